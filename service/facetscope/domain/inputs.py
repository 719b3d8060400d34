"""How pictures become what a network takes, because its file does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Final

from facetscope.domain.errors import InvalidFieldError

DEFAULT_SIZE: Final = 224
DEFAULT_CHANNELS: Final = 3
SMALLEST, LARGEST = 8, 1024
LEAST_CROP: Final = 0.01
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


class ColorOrder(Enum):
    """Order of the colour channels."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(Enum):
    """Order of a batch's axes: batch, channels, height, width; or channels last."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Fit(Enum):
    """How a picture is brought to the size of the input."""

    CENTER_CROP = "center crop"
    STRETCH = "stretch"


class Interpolation(Enum):
    """How pixels between pixels are found, always with antialiasing."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """How a pixel p in [0, 255] becomes ``(low + p / 255 * (high - low) - mean) / std``.

    Attributes:
        height: Of the network's input, in pixels.
        width: Of the network's input, in pixels.
        channels: 1 (grey) or 3.
        color_order: Of three channels.
        layout: Of a batch.
        low: What a pixel of 0 becomes before mean and std.
        high: What a pixel of 255 becomes before mean and std.
        mean: One number for each channel, in ``color_order``.
        std: One number for each channel, in ``color_order``.
        fit: How a picture of another size is fitted.
        crop_fraction: Part of the short side that a centre crop keeps, in [0.01, 1].
        interpolation: How pixels are interpolated.
    """

    height: int
    width: int
    channels: int
    color_order: ColorOrder
    layout: Layout
    low: float
    high: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Fit
    crop_fraction: float
    interpolation: Interpolation

    def shape(self, batch: int) -> tuple[int, ...]:
        """Shape of a batch of network inputs."""
        if self.layout is Layout.NHWC:
            return (batch, self.height, self.width, self.channels)
        return (batch, self.channels, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """An ``Input`` as a request gives it: ``None`` and ``()`` leave it to the file or a default.

    Raises:
        InvalidFieldError: A value is out of its range.
    """

    height: int | None = None
    width: int | None = None
    channels: int | None = None
    color_order: ColorOrder = ColorOrder.RGB
    layout: Layout = Layout.NCHW
    low: float | None = None
    high: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fit: Fit = Fit.CENTER_CROP
    crop_fraction: float = 0.875
    interpolation: Interpolation = Interpolation.BILINEAR

    def __post_init__(self) -> None:
        _check_size("input.height", self.height)
        _check_size("input.width", self.width)
        _check_channels(self.channels)
        if not LEAST_CROP <= self.crop_fraction <= 1:
            raise InvalidFieldError(
                "input.crop_fraction", f"{self.crop_fraction} is not in [{LEAST_CROP}, 1]"
            )
        _check_finite("input.mean", self.mean)
        _check_finite("input.std", self.std)
        _check_finite("input.low", self._ends)
        if 0 in self.std:
            raise InvalidFieldError("input.std", "a channel cannot be divided by 0")
        if self._ends[0] == self._ends[1]:
            raise InvalidFieldError(
                "input.high", "is the same as low, so every picture is one grey"
            )

    @property
    def _ends(self) -> tuple[float, float]:
        return (0.0 if self.low is None else self.low, 1.0 if self.high is None else self.high)

    def resolved(self, declared: Sequence[int | None]) -> Input:
        """The input, with what the request leaves open taken from the file, then from defaults.

        Args:
            declared: Shape of the network's input as the file declares it, ``None`` where it leaves
                an axis open; empty if the file declares none.

        Raises:
            InvalidFieldError: The file declares sizes or channels out of range, or ``mean``
                and ``std`` do not have one number for each channel.
        """
        channels, height, width = self._sizes(declared)
        _check_size("input.height", height)
        _check_size("input.width", width)
        _check_channels(channels)
        mean, std = self._normalization(channels)
        low, high = self._ends
        return Input(
            height=height,
            width=width,
            channels=channels,
            color_order=self.color_order,
            layout=self.layout,
            low=low,
            high=high,
            mean=mean,
            std=std,
            fit=self.fit,
            crop_fraction=self.crop_fraction,
            interpolation=self.interpolation,
        )

    def _sizes(self, declared: Sequence[int | None]) -> tuple[int, int, int]:
        axes = tuple(declared)[1:] if len(declared) == 4 else (None, None, None)  # noqa: PLR2004
        if self.layout is Layout.NHWC:
            axes = (axes[2], axes[0], axes[1])
        return (
            self.channels or axes[0] or DEFAULT_CHANNELS,
            self.height or axes[1] or DEFAULT_SIZE,
            self.width or axes[2] or DEFAULT_SIZE,
        )

    def _normalization(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        open_ = (self.low, self.high, self.mean, self.std) == (None, None, (), ())
        if open_ and channels == len(IMAGENET_MEAN):
            order = -1 if self.color_order is ColorOrder.BGR else 1
            return IMAGENET_MEAN[::order], IMAGENET_STD[::order]
        return (
            _per_channel("input.mean", self.mean or (0.0,), channels),
            _per_channel("input.std", self.std or (1.0,), channels),
        )


def _check_size(field: str, size: int | None) -> None:
    if size is not None and not SMALLEST <= size <= LARGEST:
        raise InvalidFieldError(field, f"{size} is not in [{SMALLEST}, {LARGEST}]")


def _check_finite(field: str, values: tuple[float, ...]) -> None:
    if not all(map(isfinite, values)):
        raise InvalidFieldError(field, f"{values} are not all finite")


def _check_channels(channels: int | None) -> None:
    if channels not in (None, 1, 3):
        raise InvalidFieldError("input.channels", f"{channels} is neither 1 (grey) nor 3 (colour)")


def _per_channel(field: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise InvalidFieldError(field, f"has {len(values)} numbers for {channels} channels")
    return values
