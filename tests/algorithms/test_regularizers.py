"""Penalties are checked against their definitions, pixel by pixel."""

import pytest
import torch

from facetscope.algorithms.regularizers import blur, l2, total_variation


def pictures(*shape):
    generator = torch.Generator().manual_seed(0)
    return 255 * torch.rand(*shape, generator=generator, dtype=torch.float64)


def slow_total_variation(image):
    channels, height, width = image.shape
    places = [(c, y, x) for c in range(channels) for y in range(height) for x in range(width)]
    down = [abs(image[c, y + 1, x] - image[c, y, x]) for c, y, x in places if y + 1 < height]
    across = [abs(image[c, y, x + 1] - image[c, y, x]) for c, y, x in places if x + 1 < width]
    return (sum(down) / len(down) + sum(across) / len(across)) / 255


def slow_l2(image):
    return sum((float(level) / 255 - 0.5) ** 2 for level in image.flatten()) / image.numel()


def slow_blur(image):
    channels, height, width = image.shape
    total = 0.0
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                mean = sum(
                    weight_y * weight_x / 16 * float(image[c, row, column])
                    for weight_y, row in ((1, max(y - 1, 0)), (2, y), (1, min(y + 1, height - 1)))
                    for weight_x, column in ((1, max(x - 1, 0)), (2, x), (1, min(x + 1, width - 1)))
                )
                total += ((float(image[c, y, x]) - mean) / 255) ** 2
    return total / image.numel()


PENALTIES = {total_variation: slow_total_variation, l2: slow_l2, blur: slow_blur}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 5, 4), (5, 3, 3)])
def test_a_penalty_is_its_definition(penalty, shape):
    """For each image of a batch, whatever the number of channels."""
    batch = pictures(2, *shape)
    expected = [float(PENALTIES[penalty](image)) for image in batch]
    torch.testing.assert_close(penalty(batch), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("penalty", [total_variation, l2])
def test_its_gradient_is_that_of_the_definition(penalty):
    """The optimizer goes down what is reported."""
    assert torch.autograd.gradcheck(penalty, (pictures(1, 2, 3, 4).requires_grad_(),))


def test_a_blur_pulls_towards_the_blurred_picture():
    """Which is taken as given: its gradient is the difference itself."""
    image = pictures(1, 1, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(blur(image).sum(), image)
    stepped = image.detach() - gradient * 255**2 * 16 / 4
    assert float(blur(stepped)) < float(blur(image.detach()))


@pytest.mark.parametrize("penalty", [total_variation, blur])
def test_a_plain_picture_is_as_smooth_as_can_be(penalty):
    """Brightness costs nothing."""
    assert penalty(torch.full((2, 3, 4, 4), 77.0)).abs().max() < 1e-9
