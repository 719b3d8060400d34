"""Similarity is checked against Lucid's own loops, written out."""

import math

import pytest
import torch

from facetscope.algorithms.diversity import similarity


def activations(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def slow_features(image, axis):
    """Rows of a number for each position, one row for each channel."""
    channels = image.shape[axis - 1]
    return [image.select(axis - 1, channel).flatten().tolist() for channel in range(channels)]


def slow_signature(image, axis):
    """The Gram matrix, or the code of a layer without positions."""
    rows = slow_features(image, axis)
    if len(rows[0]) == 1:
        return [row[0] for row in rows]
    return [sum(a * b for a, b in zip(one, two, strict=True)) for one in rows for two in rows]


def slow_cosine(one, other):
    lengths = [math.sqrt(sum(each * each for each in vector)) for vector in (one, other)]
    if not all(lengths):
        return 0.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths[0] / lengths[1]


def slow_similarity(batch, axis):
    found = []
    for i, image in enumerate(batch):
        others = [other for j, other in enumerate(batch) if j != i]
        own = slow_signature(image, axis)
        alike = [slow_cosine(own, slow_signature(other, axis)) for other in others]
        found.append(sum(alike) / max(len(alike), 1))
    return torch.tensor(found, dtype=batch.dtype)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((4, 3, 4, 5), 1),
        ((3, 9, 2, 3), 1),
        ((3, 4, 5, 3), 3),
        ((2, 6, 4), 2),
        ((5, 7), 1),
        ((3, 7, 1, 1), 1),
        ((1, 3, 2, 2), 1),
    ],
)
def test_similarity_is_its_definition(shape, axis):
    """Channels first or last, tokens, codes; more channels than positions and fewer; one image."""
    batch = activations(*shape)
    torch.testing.assert_close(similarity(batch, axis), slow_similarity(batch, axis))


@pytest.mark.parametrize("shape", [(3, 2, 3, 2), (3, 8, 2, 2), (3, 5)])
def test_its_gradient_is_that_of_the_definition(shape):
    """The optimizer goes down what is reported."""
    batch = activations(*shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: similarity(x, 1), (batch,))


@pytest.mark.parametrize("shape", [(3, 2, 3, 3), (3, 8, 2, 2), (3, 5)])
def test_equal_images_are_wholly_alike_and_silent_ones_like_none(shape):
    """The two ends of the scale, whatever the brightness."""
    one = activations(*shape)[:1]
    torch.testing.assert_close(
        similarity(torch.cat([one, 3 * one]), 1), torch.ones(2, dtype=torch.float64)
    )
    assert similarity(torch.cat([one, 0 * one]), 1).tolist() == [0, 0]


def test_where_things_are_does_not_matter():
    """A Gram matrix knows what goes with what, and not where: moved images are no other images."""
    image = activations(1, 3, 4, 4)
    moved = image.roll((1, 2), dims=(2, 3))
    torch.testing.assert_close(
        similarity(torch.cat([image, moved]), 1), torch.ones(2, dtype=torch.float64)
    )


def test_single_precision_holds_large_layers():
    """Squares of squares of 100 stay within range."""
    batch = 100 * activations(2, 512, 7, 7).float()
    torch.testing.assert_close(
        similarity(batch, 1), similarity(batch.double(), 1).float(), atol=1e-4, rtol=0
    )
