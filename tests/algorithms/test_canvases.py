"""Crops come from where their origins say, and go back there."""

import pytest
import torch

from facetscope.algorithms.canvases import crop, fit, paste, random_origins, resize, slack

CANVAS = torch.arange(2 * 5 * 7.0).view(2, 1, 5, 7)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_crops_begin_at_their_origins():
    """Each image is seen through a window of its own."""
    first, second = crop(CANVAS, [(0, 0), (2, 3)], (3, 4))
    assert torch.equal(first, CANVAS[0, :, :3, :4])
    assert torch.equal(second, CANVAS[1, :, 2:, 3:])


def test_what_was_cropped_can_be_pasted_back():
    """A step that changes nothing leaves the canvas as it was."""
    origins = [(1, 0), (2, 3)]
    assert torch.equal(paste(CANVAS, crop(CANVAS, origins, (3, 4)), origins), CANVAS)


def test_pasting_makes_a_new_canvas():
    """Steps that somebody kept must not change."""
    before = CANVAS.clone()
    paste(CANVAS, torch.zeros(2, 1, 3, 4), [(0, 0), (0, 0)])
    assert torch.equal(CANVAS, before)


def test_without_a_window_crops_are_central():
    """A window of zero means no jitter."""
    origins = random_origins((4, 6), window=0.0, generators=generators(0, 1))
    assert origins == [(2, 3), (2, 3)]


def test_origins_spread_by_the_window_and_stay_on_the_canvas():
    """Their standard deviation is a part of the slack, before they are clipped."""
    origins = random_origins((1000, 100), window=0.1, generators=generators(*range(400)))
    rows, columns = torch.tensor(origins).double().unbind(dim=1)
    assert float(rows.std()) == pytest.approx(100, rel=0.1)
    assert float(columns.std()) == pytest.approx(10, rel=0.1)
    wild = torch.tensor(random_origins((9, 9), window=50.0, generators=generators(*range(50))))
    assert {int(wild.min()), int(wild.max())} == {0, 9}


def test_an_origin_depends_on_its_own_generator_alone():
    """An image is jittered alike in every batch, to the bit."""
    together = random_origins((90, 90), window=0.3, generators=generators(1, 2, 3))
    assert [together[1]] == random_origins((90, 90), window=0.3, generators=generators(2))


def test_a_canvas_grows_by_the_scale():
    """A constant stays constant, and both sides grow."""
    grown = resize(torch.full((1, 3, 10, 20), 7.0), 1.2, at_least=(10, 20))
    torch.testing.assert_close(grown, torch.full((1, 3, 12, 24), 7.0))


def test_a_canvas_is_never_smaller_than_the_input():
    """The network's input must fit on it."""
    assert resize(CANVAS, 0.25, at_least=(4, 7)).shape == (2, 1, 4, 7)


def test_shrinking_averages():
    """Fine stripes become grey, where mere sampling would keep one of the two colours."""
    stripes = torch.tensor([0.0, 255.0]).repeat(16).expand(1, 1, 32, 32)
    shrunk = resize(stripes, 0.25, at_least=(1, 1))[..., 2:-2]
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, 127.5), atol=20, rtol=0)


def test_the_slack_is_what_a_crop_leaves():
    """Crops are jittered by it."""
    assert slack(CANVAS, (3, 3)) == (2, 4)


def test_a_canvas_is_shown_whole():
    """What stands at its edges is part of the picture: a ramp keeps both its ends."""
    ramp = torch.linspace(0, 255, 40).expand(1, 1, 40, 40)
    shown = fit(ramp, (20, 20))
    expected = ramp.reshape(1, 1, 20, 2, 20, 2).mean(dim=(3, 5))
    torch.testing.assert_close(shown[..., 1:-1], expected[..., 1:-1])
    torch.testing.assert_close(shown, expected, atol=2.0, rtol=0)
    assert fit(ramp, (40, 40)) is ramp
