"""What the network is shown is checked against moves that can be done by hand."""

import pytest
import torch

from facetscope.algorithms.transforms import Views, enlargement, rotation, shift, shown, views
from facetscope.domain.recipes import Transforms

ALL = Transforms(jitter=0.3, scale=(0.8, 1.3), rotation=30.0, noise=0.1)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def pictures(*shape):
    return 255 * torch.rand(*shape, generator=generators(0)[0], dtype=torch.float64)


def test_without_transforms_nothing_is_moved():
    """The network sees just the picture, not a resampled one."""
    images = pictures(2, 3, 5, 7)
    assert shown(images, views(Transforms(), images, generators(0, 1))) is images


def test_draws_compose_in_the_published_order():
    """Scale, rotation and shift, one after another, of one generator."""
    images = pictures(1, 3, 6, 9)
    view = views(ALL, images, generators(4))
    (same,) = generators(4)
    expected = enlargement(0.8, 1.3, same) @ rotation(30.0, same) @ shift(0.3, (6, 9), same)
    torch.testing.assert_close(view.matrices, expected[None])
    torch.testing.assert_close(
        view.noise, 25.5 * torch.randn(1, 3, 6, 9, generator=same).double(), atol=1e-4, rtol=0
    )


def test_what_lies_beyond_the_edge_is_grey():
    """Black would be a colour that the network knows."""
    away = Views(torch.tensor([[[1.0, 0, 90], [0, 1, 0], [0, 0, 1]]]), None)
    seen = shown(pictures(1, 3, 4, 6), away)
    torch.testing.assert_close(seen, torch.full_like(seen, 127.5))


def test_shifts_are_whole_pixels_of_their_part():
    """Half pixels would blur."""
    drawn = torch.stack([shift(0.5, (9, 31), each)[:2, 2] for each in generators(*range(50))])
    assert torch.equal(drawn, drawn.round())
    assert (drawn.abs() <= torch.tensor([16.0, 4.0]) + 0.5).all()
    assert drawn.std(dim=0).min() > 1


def test_scales_and_angles_keep_their_bounds():
    """And use all of what is between them."""
    factors = torch.stack(
        [1 / enlargement(0.5, 2.0, each)[0, 0] for each in generators(*range(99))]
    )
    assert factors.min() >= 0.5
    assert factors.max() <= 2.0
    assert factors.max() - factors.min() > 1.2
    turns = torch.stack([rotation(20.0, each) for each in generators(*range(99))])
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0]).rad2deg()
    assert 15 < angles.abs().max() <= 20
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(99, 3, 3))


def test_noise_has_the_spread_that_was_asked_for():
    """In grey levels of the picture."""
    images = pictures(2, 3, 64, 64)
    added = shown(images, views(Transforms(noise=0.1), images, generators(1, 2))) - images
    assert added.std(dim=(1, 2, 3)).tolist() == pytest.approx([25.5, 25.5], rel=0.05)
    assert not torch.equal(added[0], added[1])


def test_an_image_is_shown_alike_in_any_company():
    """Its result must not depend on what shares its batch."""
    images = pictures(3, 3, 8, 6)
    together = shown(images, views(ALL, images, generators(1, 2, 3)))
    alone = shown(images[1:2], views(ALL, images[1:2], generators(2)))
    assert torch.equal(together[1:2], alone)
