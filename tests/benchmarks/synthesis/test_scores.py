"""Scores are what their definitions say, written slowly; and networks are those of the files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests import assets
from tests.benchmarks.synthesis import methods, scores, speed, subjects
from tests.benchmarks.synthesis.networks import Seen

from facetscope.domain.schedules import MEAN_IMAGE


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_a_percentile_is_its_definition(random):
    """An image that is as strong as a natural one does not exceed it."""
    natural, values = random.integers(0, 9, 40), random.integers(0, 9, 12)
    found = scores.percentiles(values, natural)
    for value, percentile in zip(values, found, strict=True):
        assert percentile == pytest.approx(100 * sum(each < value for each in natural) / 40)


def test_strong_is_its_definition(random):
    """The bar lies between two natural activations, in proportion."""
    natural, values = random.normal(size=151), random.normal(size=400)
    ordered = sorted(natural)
    bar = ordered[148] + 0.5 * (ordered[149] - ordered[148])  # 0.99 of 150 steps is 148.5
    assert scores.strong(values, natural).tolist() == [value > bar for value in values]


def test_the_nearest_centroid_is_its_definition(random):
    """Among facets, the least sum of squares wins, however strongly a picture excites."""
    codes, centroids = random.normal(size=(20, 5)), random.normal(size=(4, 5))
    found = scores.nearest(7 * codes, centroids)
    for code, facet in zip(codes, found, strict=True):
        length = sum(a**2 for a in code) ** 0.5
        distances = [
            sum((a / length - b) ** 2 for a, b in zip(code, c, strict=True)) for c in centroids
        ]
        assert facet == distances.index(min(distances))


def test_centroids_return_to_themselves(random):
    """Pictures come in the order of facets, and around again."""
    centroids = scores.directions(random.normal(size=(3, 8)))
    assert scores.returned(np.concatenate([centroids, centroids]), centroids).all()
    assert not scores.returned(centroids[[1, 2, 0]], centroids).any()


def test_the_slope_is_that_of_a_made_spectrum(random):
    """Noise that is filtered to fall as a power of the frequency has that power."""
    side = 64
    frequencies = np.maximum(np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2)), 1 / side)
    for exponent in (0.0, 1.0, 2.0, 3.0):
        white = np.fft.fft2(random.normal(size=(16, 3, side, side)))
        made = np.fft.ifft2(white * frequencies ** (-exponent / 2)).real
        assert scores.slopes(made).mean() == pytest.approx(exponent, abs=0.15)


def test_the_slope_is_its_definition(random):
    """One picture, ring by ring, by the sums that a Fourier transform stands for."""
    side = 12
    picture = random.normal(size=(1, 2, side, side))
    places = np.arange(side)
    window = np.sin(np.pi * (places + 1) / (side + 1)) ** 2
    grey = picture[0].mean(axis=0)
    grey = (grey - grey.mean()) * np.outer(window, window)
    powers = {}
    for row in range(-side // 2, side // 2):
        for column in range(-side // 2, side // 2):
            turns = (row * places[:, None] + column * places[None]) / side
            amplitude = (grey * np.exp(-2j * np.pi * turns)).sum()
            powers.setdefault(round(float(np.hypot(row, column))), []).append(abs(amplitude) ** 2)
    rings = range(2, side // 2)
    heights = [np.log(np.mean(powers[ring])) for ring in rings]
    slope, _ = np.polyfit(np.log(rings), heights, 1)
    assert scores.slopes(picture)[0] == pytest.approx(-slope)


@pytest.mark.parametrize("path", assets.models("*_fp16w.onnx"))
def test_tools_are_given_the_network_of_the_file(path):
    """A peer that draws for another network than ours is compared with nothing."""
    model = subjects.real(path.name)
    size = model.opened.input.height
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    (expected,) = model.opened.network.reading(["logits"])(
        model.opened.preprocessing(255 * pictures)
    )
    torch.testing.assert_close(model.module(pictures), expected, rtol=1e-4, atol=1e-4)


def test_a_shorter_schedule_is_the_same_mixture():
    """A step with strong smoothing takes longer, so speed is that of all phases in proportion."""
    shorter = speed.shortened(MEAN_IMAGE)
    assert [phase.steps for phase in shorter.phases] == [10, 8, 1, 1]
    assert [replace(phase, steps=1) for phase in shorter.phases] == [
        replace(phase, steps=1) for phase in MEAN_IMAGE.phases
    ]


def test_a_grey_network_sees_what_tools_draw_in_colour():
    """Two of the tools draw nothing but three channels, at sizes of their own."""
    seen = Seen(torch.nn.Identity(), [2.0], [-1.0], size=4)
    picture = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(seen(picture), torch.zeros(1, 1, 4, 4))


def test_without_the_tools_the_way_to_them_is_named(monkeypatch, tmp_path):
    """They are not among what set-up installs."""
    monkeypatch.setattr(methods, "PYTHON", tmp_path / "python")
    with pytest.raises(FileNotFoundError, match="make peers"), methods.peers():
        pass
