"""Codes and rankings are checked against loops."""

import torch

from facetscope.algorithms.codes import codes_of, top_images


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
