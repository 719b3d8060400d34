"""Codes and rankings are checked against loops."""

from itertools import product

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from facetscope.algorithms.codes import (
    attributions_of,
    codes_of,
    images_from,
    on_grid,
    top_images,
)
from facetscope.domain.discoveries import CodePooling

MAPS = torch.randn(2, 5, 3, 4, generator=torch.manual_seed(1))
GRADIENTS = torch.randn(2, 5, 3, 4, generator=torch.manual_seed(2))
CELLS = tuple(product(range(3), range(4)))
ONE_EACH = torch.tensor([7, 2])


def slow(values, pooling, places=None, *, summed=False):
    """Codes of [batch, channel, row, column] by their definition."""
    rows = []
    for index, image in enumerate(values):
        channels = [[channel[cell] for cell in CELLS] for channel in image]
        strengths = [
            sum(each[at] if summed else each[at] ** 2 for each in channels) for at in range(12)
        ]
        match pooling:
            case CodePooling.MEAN:
                rows.append([sum(each) / (1 if summed else 12) for each in channels])
            case CodePooling.MAX:
                rows.append([max(each) for each in channels])
            case CodePooling.AT_MAXIMUM:
                at = strengths.index(max(strengths)) if places is None else places[index]
                rows.append([each[at] for each in channels])
    return torch.tensor(rows)


def test_codes_are_pooled_as_asked_wherever_the_channels_are():
    """Mean, largest, or one place: the norm's greatest, or one that is given."""
    for pooling, places in product(CodePooling, (None, ONE_EACH)):
        expected = slow(MAPS, pooling, places)
        torch.testing.assert_close(codes_of(MAPS, 1, pooling, places), expected)
        torch.testing.assert_close(codes_of(MAPS.movedim(1, 3), 3, pooling, places), expected)
        tokens = MAPS.flatten(2).movedim(1, 2)
        torch.testing.assert_close(codes_of(tokens, 2, pooling, places), expected)


def test_attributions_are_pooled_as_asked():
    """Products are summed, not averaged: what channels add to a unit adds up."""
    for pooling, places in product(CodePooling, (None, ONE_EACH)):
        expected = slow(MAPS * GRADIENTS, pooling, places, summed=True)
        found = attributions_of(MAPS, GRADIENTS, 1, pooling, places)
        torch.testing.assert_close(found, expected)


def test_without_positions_every_pooling_is_the_same():
    """A fully connected layer has one number for each channel, and that is its code."""
    activations, gradients = torch.randn(4, 6), torch.randn(4, 6)
    for pooling in CodePooling:
        assert torch.equal(codes_of(activations, 1, pooling), activations)
        found = attributions_of(activations, gradients, 1, pooling)
        assert torch.equal(found, activations * gradients)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=2), st.data())
def test_a_cell_of_another_grid_holds_the_middle_of_the_own_one(sizes, data):
    """Two layers of one picture meet by relative position, along each axis by itself."""
    extent, onto = zip(*sizes, strict=True)
    cell = [data.draw(st.integers(0, size - 1)) for size in extent]
    place = int(np.ravel_multi_index(cell, extent))
    (found,) = on_grid(torch.tensor([place]), extent, onto).tolist()
    middles = [(index + 0.5) / size for index, size in zip(cell, extent, strict=True)]
    expected = [int(middle * size + 1e-9) for middle, size in zip(middles, onto, strict=True)]
    assert list(np.unravel_index(found, onto)) == expected


@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=30),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_images_from_a_quantile_are_those_that_numpy_finds(activations, quantile):
    """The definition that statisticians know, with the largest first."""
    values = np.array(activations, dtype=np.float64)
    expected = {int(i) for i in np.flatnonzero(values >= np.quantile(values, quantile) + 1e-12)}
    found = images_from(torch.tensor(activations), quantile).tolist()
    assert expected <= set(found)
    assert all(values[found] >= np.quantile(values, quantile) - 1e-12)
    assert found == top_images(torch.tensor(activations), len(found)).tolist()


def test_a_code_is_the_mean_over_positions_wherever_the_channels_are():
    """Convolutional maps, channels last, and tokens are compared in the same way."""
    maps = torch.rand(2, 5, 3, 4, generator=torch.manual_seed(0))
    expected = torch.stack(
        [torch.stack([channel.flatten().mean() for channel in image]) for image in maps]
    )
    torch.testing.assert_close(codes_of(maps, 1), expected)
    torch.testing.assert_close(codes_of(maps.movedim(1, 3), 3), expected)
    torch.testing.assert_close(codes_of(maps.flatten(2).movedim(1, 2), 2), expected)


def test_activations_without_positions_are_codes_already():
    """A fully connected layer needs no mean."""
    activations = torch.rand(4, 6)
    assert torch.equal(codes_of(activations, 1), activations)


def test_half_precision_is_summed_in_single():
    """Thousands of positions in half precision would lose the last of them."""
    maps = torch.full((1, 1, 100, 100), 10.01, dtype=torch.float16)
    torch.testing.assert_close(codes_of(maps, 1), maps[:, :, 0, 0].float())


def test_top_images_are_the_largest_in_stable_order():
    """Of equally active images the earlier is first, so that runs agree."""
    assert top_images(torch.tensor([1.0, 3.0, 2.0, 3.0, 3.0]), 4).tolist() == [1, 3, 4, 2]


def test_top_images_are_all_where_there_are_fewer():
    """A small set is not an error."""
    assert top_images(torch.tensor([1.0, 2.0]), 200).tolist() == [1, 0]
