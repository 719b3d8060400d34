"""How fast the power of an image falls with frequency.

Natural images have a power of about 1 / f^2 (Field 1987); noise has the same at all frequencies,
and checkered patterns have too much at the high ones.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from facetscope.algorithms.certificates.activation import deviation
from facetscope.algorithms.shapes import Images, Scores

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance: ITU-R BT.601."""

FEWEST_RINGS = 3
"""Rings of frequencies that a slope is fitted through at least."""

DARKEST = 1e-12
"""Power, relative to the largest of the image, that is more than rounding."""


def luminance(images: Images) -> Float[Tensor, "batch height width"]:
    """Brightness: weighted by the eye for three channels, and the mean of any other number."""
    channels = images.shape[1]
    weights = LUMA if channels == len(LUMA) else [1 / channels] * channels
    return torch.einsum("nchw,c->nhw", images.double(), images.new_tensor(weights).double())


def slopes(images: Images) -> Scores:
    """Slope of the logarithm of power over that of radial frequency, by least squares.

    Power is the squared magnitude of the Fourier transform of the luminance less its mean, under a
    Hann window, averaged over rings of frequencies: ring r holds those nearest to r / n cycles a
    pixel, where n is the shorter side, for r from 1 to n / 2. Each ring counts the same.

    Returns:
        One for each image, about -2 to -3 for photographs and 0 for noise; NaN where a ring has no
        power, or there are fewer than 3 rings.
    """
    power = _rings(images)
    frequencies = torch.arange(1, power.shape[1] + 1, device=power.device).double().log()
    if len(frequencies) < FEWEST_RINGS:
        return power.new_full((len(power),), torch.nan)
    dark = (power <= DARKEST * power.amax(dim=1, keepdim=True)).any(dim=1)
    heights = power.clamp(min=torch.finfo(power.dtype).tiny).log()
    away = frequencies - frequencies.mean()
    fitted = (heights * away).sum(dim=1) / (away**2).sum()
    return fitted.masked_fill(dark, torch.nan)


def _rings(images: Images) -> Float[Tensor, "batch ring"]:
    """Mean power of each ring."""
    grey = luminance(images)
    height, width = grey.shape[1:]
    taper = _hann(height, grey)[:, None] * _hann(width, grey)
    power = torch.fft.fft2((grey - grey.mean(dim=(1, 2), keepdim=True)) * taper).abs() ** 2
    shorter = min(height, width)
    down, across = (torch.fft.fftfreq(side, device=grey.device) for side in (height, width))
    ring = (torch.hypot(*torch.meshgrid(down, across, indexing="ij")) * shorter).round()
    masks = torch.stack([(ring == r).double() for r in range(1, shorter // 2 + 1)]).flatten(1)
    rings: Tensor = power.flatten(1) @ (masks / masks.sum(dim=1, keepdim=True)).T
    return rings


def _hann(side: int, like: Tensor) -> Float[Tensor, " side"]:
    """A window that does not touch 0 at the edges of so small a side."""
    pixels = torch.arange(side, device=like.device, dtype=like.dtype)
    return torch.sin(torch.pi * (pixels + 0.5) / side) ** 2


def deviation_of(slope: float, natural: Scores) -> float | None:
    """By how many standard deviations a slope exceeds the mean of natural images' slopes.

    Args:
        slope: Of the image.
        natural: Slopes of natural images; those that are NaN do not count.

    Returns:
        Positive for an image with too much detail, negative for one too smooth; ``None`` where it
        is not known.
    """
    known = natural[natural.isfinite()]
    spread = deviation(known)
    return None if spread is None else (slope - float(known.mean())) / spread
