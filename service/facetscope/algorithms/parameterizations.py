"""Parameterizations: what an optimizer varies, and the pictures that it makes.

Olah, Mordvintsev & Schubert, "Feature Visualization" (2017), and their Lucid (``param/spatial.py``,
``param/color.py``); Fel et al. (2023), arXiv:2306.06805, for phases alone.

All make a picture by a sigmoid of *values*, which have no bounds. Of three channels, the values are
mixed from decorrelated colours; of other numbers of channels, each is its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

import torch
from torch import Tensor

from facetscope.algorithms.canvases import Size, height_width
from facetscope.algorithms.shapes import Images, Scores
from facetscope.domain.recipes import DECAY, Parameterization

COLOURS: Final = 3

MIXING: Final = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Root of the covariance of colours in ImageNet: Lucid's ``color_correlation_svd_sqrt``."""

KEPT_CYCLES: Final = 8
"""The frequency, in cycles along the longer side, that counts the same whatever the decay."""

NEAREST_EDGE: Final = 1 / 64
"""How near to black and white a picture can begin, in [0, 1]: a sigmoid has no ends."""

CONTRAST: Final = 4.0
"""What Lucid divides the transformed spectrum by."""

MIDDLE: Final = 127.5

NEARLY: Final = 127.0
"""Grey levels from the middle beyond which a pixel counts as black or white."""

FIRST_SPREAD: Final = 0.01
"""Standard deviation of the parameters that a Fourier picture begins with, as in Lucid."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Numbers for an optimizer, and what they look like.

    Attributes:
        start: Where to begin, one row for each image.
        picture: Pixels in [0, 255] of such numbers; differentiable, and image by image.
    """

    start: Tensor
    picture: Callable[[Tensor], Images]


def parameters(
    kind: Parameterization,
    starts: Images,
    *,
    noise: Sequence[torch.Generator] | None = None,
    magnitude: Tensor | None = None,
    decay: float = DECAY,
) -> Parameters:
    """What an optimizer varies, and where it begins: at ``starts``, or at noise of its own kind.

    Args:
        kind: What is varied.
        starts: Pictures in [0, 255]. Noise has their number, shape and device.
        noise: The randomness of each image, on the CPU, where it begins at noise. Pixels make no
            use of it: noise of theirs is a picture.
        magnitude: What phases alone are varied of, as ``magnitudes`` gives it, or with a set for
            each image; where there is none, each keeps the magnitudes of its own start.
        decay: Of the Fourier spectrum: see ``energies``.
    """
    match kind:
        case Parameterization.PIXELS:
            return pixels(starts)
        case Parameterization.FOURIER:
            return fourier(starts, decay) if noise is None else fourier_noise(starts, noise, decay)
        case Parameterization.MACO:
            own, size = _spectra(starts), height_width(starts)
            kept = _signed(own, size) if magnitude is None else magnitude.to(starts)
            phases = own.angle() if noise is None else random_phases(own.real, noise)
            return maco(kept, phases, size)


def pixels(start: Images) -> Parameters:
    """Every pixel is a parameter; it begins at ``start``, in [0, 255]."""
    return Parameters(_values(start), _squashed)


def fourier(start: Images, decay: float = DECAY) -> Parameters:
    """Every frequency is a parameter; it begins at ``start``, in [0, 255]."""
    spectrum = _spectra(start) * CONTRAST
    scale = energies(height_width(start), decay).to(start)
    return Parameters(torch.view_as_real(spectrum / scale), _drawn(height_width(start), scale))


def fourier_noise(
    like: Images, generators: Sequence[torch.Generator], decay: float = DECAY
) -> Parameters:
    """The same from noise, grey with a tinge, of the shape and on the device of ``like``."""
    size = height_width(like)
    scale = energies(size, decay).to(like)
    shape = (like.shape[1], *scale.shape, 2)
    draws = [FIRST_SPREAD * torch.randn(shape, generator=each) for each in generators]
    return Parameters(torch.stack(draws).to(like), _drawn(size, scale))


def maco(magnitude: Tensor, phases: Tensor, size: Size) -> Parameters:
    """Phases are parameters, magnitudes are kept exactly.

    Args:
        magnitude: As ``magnitudes`` gives it, for all images or for each.
        phases: Where to begin, in radians: [image, channel, height, width // 2 + 1].
        size: Of the pictures.
    """

    def picture(varied: Tensor) -> Images:
        spectrum = torch.polar(magnitude.expand_as(varied), _odd(varied, size))
        return _squashed(mixed(torch.fft.irfft2(spectrum, s=size)))

    return Parameters(phases, picture)


def magnitudes(natural: Images) -> Tensor:
    """Mean magnitude of each frequency of pictures in [0, 255]: [channel, height, width // 2 + 1].

    A frequency that is its own opposite, such as 0, has a sign in place of a phase, and the mean is
    of its signed values: dark pictures stay dark.
    """
    mean: Tensor = _signed(_spectra(natural), height_width(natural)).mean(dim=0)
    return mean


def random_phases(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Uniform phases, a set of the shape of one of ``like`` for each generator."""
    draws = [2 * pi * torch.rand(like.shape[1:], generator=each) for each in generators]
    return torch.stack(draws).to(like)


def energies(size: Size, decay: float = DECAY) -> Tensor:
    """How much a parameter counts, by frequency: the lower, the more, as in natural pictures.

    ``sqrt(height * width) / f * (r / f) ** (decay - 1)``, for a frequency of f cycles a pixel, at
    least one along the longer side, and r that of ``KEPT_CYCLES``. At a decay of 1 it is Lucid's.
    """
    height, width = size
    down = torch.fft.fftfreq(height, dtype=torch.float64).reshape(-1, 1)
    frequency = torch.hypot(down, torch.fft.rfftfreq(width, dtype=torch.float64))
    frequency = frequency.clamp(min=1 / max(size))
    kept = KEPT_CYCLES / max(size)
    return sqrt(height * width) / frequency * (kept / frequency) ** (decay - 1)


def mixed(values: Images) -> Images:
    """Values of colours, from decorrelated ones."""
    return _through(values, _mixing())


def decorrelated(values: Images) -> Images:
    """The inverse of ``mixed``."""
    return _through(values, torch.linalg.inv(_mixing()))


def saturation(picture: Images) -> Scores:
    """Part of each picture, in [0, 1], that is black or white to less than half a grey level."""
    extreme = (picture.detach() - MIDDLE).abs() > NEARLY
    return extreme.sum(dim=(1, 2, 3)).to(picture.dtype) / picture[0].numel()


def _mixing() -> Tensor:
    """Lucid's matrix, with columns such that the longest has length 1."""
    root = torch.tensor(MIXING, dtype=torch.float64)
    longest = float(torch.linalg.vector_norm(root, dim=0).max())
    return root / longest


def _through(values: Images, matrix: Tensor) -> Images:
    if values.shape[1] != COLOURS:
        return values
    return torch.einsum("ij,bjhw->bihw", matrix.to(values), values)


def _drawn(size: Size, scale: Tensor) -> Callable[[Tensor], Images]:
    def picture(parameters: Tensor) -> Images:
        spectrum = torch.view_as_complex(parameters) * scale
        return _squashed(mixed(torch.fft.irfft2(spectrum, s=size) / CONTRAST))

    return picture


def _odd(phases: Tensor, size: Size) -> Tensor:
    """``phases`` such that the spectrum is that of a real picture.

    Half of the spectrum is stored. In the columns that are their own mirror image, the first and of
    an even width the last, a phase is the opposite of that of its mirror frequency.
    """
    _, width = size
    last = (width + 1) // 2
    own, others, more = phases[..., :1], phases[..., 1:last], phases[..., last:]
    return torch.cat([_opposed(own), others, _opposed(more)], dim=-1)


def _opposed(columns: Tensor) -> Tensor:
    """Half of each column against its mirror image."""
    return (columns - columns.flip(-2).roll(1, dims=-2)) / 2


def _mirroring(size: Size, device: torch.device) -> Tensor:
    """Which columns of a half spectrum are their own mirror image."""
    _, width = size
    return 2 * torch.arange(width // 2 + 1, device=device) % width == 0


def _spectra(pictures: Images) -> Tensor:
    """Of the decorrelated values of each picture."""
    spectra: Tensor = torch.fft.rfft2(decorrelated(_values(pictures)))
    return spectra


def _signed(spectra: Tensor, size: Size) -> Tensor:
    """Magnitudes, with their signs where a frequency is its own opposite."""
    height, _ = size
    rows = 2 * torch.arange(height, device=spectra.device).reshape(-1, 1) % height == 0
    return torch.where(rows & _mirroring(size, spectra.device), spectra.real, spectra.abs())


def _values(picture: Images) -> Images:
    part = (picture.detach() / 255).clamp(NEAREST_EDGE, 1 - NEAREST_EDGE)
    return torch.logit(part)


def _squashed(values: Images) -> Images:
    return 255 * torch.sigmoid(values)
