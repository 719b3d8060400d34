"""Objectives are checked against their definitions, element by element."""

import pytest
import torch

from facetscope.algorithms.objectives import unit_activation, unit_map, unit_probability

CHANNEL = ((4, 1.0),)
DIRECTION = ((0, 0.5), (3, -2.0), (4, 1.0))
LAYOUTS = [((2, 5), 1), ((2, 5, 3, 4), 1), ((2, 3, 4, 5), 3), ((2, 6, 5), 2)]


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_a_unit_is_the_mean_over_its_positions(shape, axis):
    """Classes, NCHW, NHWC and tokens: a channel is a channel."""
    activations = random(*shape)
    expected = [image.select(axis - 1, 4).mean() for image in activations]
    torch.testing.assert_close(unit_activation(activations, CHANNEL, axis), torch.stack(expected))


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
        unit_activation(activations, CHANNEL, axis, position), torch.stack(expected)
    )


def slow_map(image, weights, axis):
    """Product by product, at every position in order."""
    channels_last = image.movedim(axis - 1, -1).reshape(-1, image.shape[axis - 1])
    return [
        sum(weight * float(row[channel]) for channel, weight in weights) for row in channels_last
    ]


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
@pytest.mark.parametrize(
    "weights", [DIRECTION, ((3, -1.0),), tuple(enumerate([1.0, 2.0, 3.0, 4.0, 5.0]))]
)
def test_a_direction_is_the_weighted_sum_of_its_channels(shape, axis, weights):
    """One channel upside down, some, and all: what the definition says, element by element."""
    activations = random(*shape)
    maps = [slow_map(image, weights, axis) for image in activations]
    expected = torch.tensor(maps, dtype=torch.float64)
    torch.testing.assert_close(unit_map(activations, weights, axis), expected)
    torch.testing.assert_close(unit_activation(activations, weights, axis), expected.mean(dim=1))


def test_a_direction_at_a_position_reads_that_alone():
    """A neuron's own surroundings do not count."""
    activations = random(2, 5, 3, 4)
    expected = [0.5 * each[0, 2, 1] - 2 * each[3, 2, 1] + each[4, 2, 1] for each in activations]
    found = unit_activation(activations, DIRECTION, 1, (2, 1))
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("position", [None, (2, 1)])
@pytest.mark.parametrize("weights", [DIRECTION, ((3, -1.0),)])
def test_the_gradient_of_a_direction_is_its_weights(weights, position):
    """What an ascent follows, against finite differences in double precision."""
    activations = random(2, 5, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: unit_activation(values, weights, 1, position), activations
    )


def test_a_direction_of_whole_numbers_is_read_in_floats():
    """Quantized layers give integers, and half of one is none."""
    counts = torch.arange(10).reshape(2, 5)
    found = unit_activation(counts, ((0, 0.5), (1, 0.5)), 1)
    torch.testing.assert_close(found, torch.tensor([0.5, 5.5]))


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
