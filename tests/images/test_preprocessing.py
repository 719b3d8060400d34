"""Preprocessing is checked against the formula of the contract, pixel by pixel."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from facetscope.domain.inputs import ColorOrder, Gamma, InputSpec, Layout
from facetscope.images.preprocessing import Preprocessing

PIXELS = 255 * torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
NUMBERS = {"low": -1.0, "high": 3.0, "mean": (0.1, 0.2, 0.3), "std": (0.5, 2.0, 3.0)}


def spec(**options):
    return InputSpec(height=8, width=9, **options).resolved()


def slow(pixel, channel):
    low, high = NUMBERS["low"], NUMBERS["high"]
    mean, std = NUMBERS["mean"][channel], NUMBERS["std"][channel]
    return (low + pixel / 255 * (high - low) - mean) / std


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("order", ColorOrder)
def test_each_pixel_becomes_what_the_contract_says(layout, order):
    """Mean and std belong to the network's channels, in the network's order of colours."""
    into = spec(color_order=order, layout=layout, **NUMBERS)
    made = Preprocessing(into)(PIXELS)
    assert made.shape == into.shape(2)
    first = made if layout is Layout.NCHW else made.permute(0, 3, 1, 2)
    source = [0, 1, 2] if order is ColorOrder.RGB else [2, 1, 0]
    for channel in range(3):
        expected = slow(PIXELS[:, source[channel]], channel)
        torch.testing.assert_close(first[:, channel], expected)


def test_by_default_it_is_torchvisions():
    """Most networks were trained so."""
    expected = reference.normalize(PIXELS / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(Preprocessing(spec())(PIXELS), expected)


def test_grey_stays_one_channel():
    """There is no order of one colour."""
    into = spec(channels=1, color_order=ColorOrder.BGR, mean=(0.5,), std=(0.5,))
    torch.testing.assert_close(Preprocessing(into)(PIXELS[:, :1]), PIXELS[:, :1] / 127.5 - 1)


def test_gradients_pass_through():
    """Synthesis climbs in pixels, so it needs the gradient in pixels."""
    into = spec(color_order=ColorOrder.BGR, layout=Layout.NHWC, **NUMBERS)
    pixels = PIXELS.clone().requires_grad_()
    Preprocessing(into)(pixels).sum().backward()
    expected = torch.tensor([4 / 255 / std for std in reversed(NUMBERS["std"])])
    torch.testing.assert_close(pixels.grad, expected.reshape(3, 1, 1).expand_as(pixels))


@pytest.mark.parametrize("order", ColorOrder)
def test_five_channels_have_no_order_of_colours(order):
    """Bands of a satellite stay where its file has them."""
    pixels = 255 * torch.rand(1, 5, 8, 9, generator=torch.Generator().manual_seed(1))
    into = spec(channels=5, color_order=order, low=0.0, high=255.0)
    torch.testing.assert_close(Preprocessing(into)(pixels), pixels)


def srgb(level):
    """From level to light, as IEC 61966-2-1 defines it."""
    part = level / 255
    return 255 * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)


def test_linear_levels_are_in_proportion_to_light():
    """A model of raw camera values would see every shadow too bright."""
    levels = torch.arange(256.0).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    into = spec(gamma=Gamma.LINEAR, low=0.0, high=255.0)
    expected = torch.tensor([srgb(level) for level in range(256)]).reshape(16, 16)
    torch.testing.assert_close(Preprocessing(into)(levels)[0, 1], expected)


def test_linear_levels_have_a_gradient_everywhere():
    """An ascent that starts from black must get away from it."""
    pixels = torch.zeros(1, 3, 8, 9, requires_grad=True)
    Preprocessing(spec(gamma=Gamma.LINEAR, low=0.0, high=255.0))(pixels).sum().backward()
    torch.testing.assert_close(pixels.grad, torch.full_like(pixels, 1 / 12.92))
