"""Objectives are checked against their definitions, element by element."""

import pytest
import torch

from facetscope.algorithms.objectives import unit_activation, unit_probability


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 5), 1), ((2, 5, 3, 4), 1), ((2, 3, 4, 5), 3), ((2, 6, 5), 2)]
)
def test_a_unit_is_the_mean_over_its_positions(shape, axis):
    """Classes, NCHW, NHWC and tokens: a channel is a channel."""
    activations = random(*shape)
    expected = [image.select(axis - 1, 4).mean() for image in activations]
    torch.testing.assert_close(unit_activation(activations, 4, axis), torch.stack(expected))


@pytest.mark.parametrize(
    ("shape", "axis", "position", "place"),
    [
        ((2, 5, 3, 4), 1, (2, 1), (4, 2, 1)),
        ((2, 3, 4, 5), 3, (2, 1), (2, 1, 4)),
        ((2, 6, 5), 2, (3,), (3, 4)),
    ],
)
def test_a_neuron_is_one_element(shape, axis, position, place):
    """Positions count along the axes that are neither batch nor channel, in order."""
    activations = random(*shape)
    expected = [image[place] for image in activations]
    torch.testing.assert_close(
        unit_activation(activations, 4, axis, position), torch.stack(expected)
    )


def test_a_probability_is_the_softmax():
    """The score that is reported is the one that users know."""
    logits = random(3, 10)
    torch.testing.assert_close(unit_probability(logits, 7), logits.softmax(dim=1)[:, 7])


def test_a_probability_points_the_way_of_its_gradient():
    """Normalized, the logarithm's gradient is the probability's own."""
    logits = random(1, 10).requires_grad_()
    (taken,) = torch.autograd.grad(unit_probability(logits, 7).sum(), logits)
    (own,) = torch.autograd.grad(logits.softmax(dim=1)[:, 7].sum(), logits)
    torch.testing.assert_close(taken / taken.norm(), own / own.norm())


def test_a_hopeless_probability_still_has_a_gradient():
    """Noise may be a class with probability 0 in single precision, and must be able to leave it."""
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    score = unit_probability(logits, 1)
    (gradient,) = torch.autograd.grad(score.sum(), logits)
    assert float(score.detach()) == 0
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, 1.0]]))
