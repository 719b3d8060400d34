"""How pictures become what a network takes: by the request, else by the file, else by defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from math import isfinite
from typing import Any, Final

from facetscope.domain.errors import InvalidFieldError

DEFAULT_SIZE: Final = 224
DEFAULT_CHANNELS: Final = 3
DEFAULT_CROP: Final = 0.875
SMALLEST, LARGEST = 8, 1024
LEAST_CROP: Final = 0.01
LARGEST_RESIZE: Final = 4096
MOST_CHANNELS: Final = 64
GREY: Final = 1
COLOURS: Final = 3
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

LEVELS: Final = ("low", "high", "mean", "std")
"""Fields that say together what becomes of a pixel: they come from one place, or from defaults."""

CUTS: Final = ("resize", "crop_fraction")
"""Two ways to say one thing; both from one place would be one too many."""


class ColorOrder(Enum):
    """Order of the colour channels."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(Enum):
    """Order of a batch's axes: batch, channels, height, width; or channels last."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Fit(Enum):
    """How a picture is brought to the size of the input.

    Attributes:
        CENTER_CROP: Resized, proportions kept, and cut.
        STRETCH: Resized whatever its proportions, and cut.
        LETTERBOX: Resized to lie within, proportions kept, on grey of level 114.
    """

    CENTER_CROP = "center crop"
    STRETCH = "stretch"
    LETTERBOX = "letterbox"


class Interpolation(Enum):
    """How pixels between pixels are found, always with antialiasing."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


class Gamma(Enum):
    """How levels relate to light: as in picture files (IEC 61966-2-1), or in proportion."""

    SRGB = "srgb"
    LINEAR = "linear"


class Source(Enum):
    """Who says a value of an input.

    Attributes:
        REQUEST: The caller.
        METADATA: The file, in words.
        SIGNATURE: The file, by the type and shape of the tensor that it takes or of its weights.
        GRAPH: The file, by what it does first with the picture.
        DEFAULT: Nobody: it is what most networks take.
    """

    REQUEST = "request"
    METADATA = "metadata"
    SIGNATURE = "signature"
    GRAPH = "graph"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value of an input comes from.

    Attributes:
        field: Name of the value.
        source: Who says it.
        evidence: The very words, shape or operators that say it; empty for the caller's own.
    """

    field: str
    source: Source
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """How a pixel p in [0, 255] becomes ``(low + p / 255 * (high - low) - mean) / std``.

    Attributes:
        height: Of the network's input, in pixels.
        width: Of the network's input, in pixels.
        channels: 1 (grey), 3 (colour) or another number, in [1, 64].
        color_order: Of three channels.
        layout: Of a batch.
        low: What a pixel of 0 becomes before mean and std.
        high: What a pixel of 255 becomes before mean and std.
        mean: One number for each channel, in ``color_order``.
        std: One number for each channel, in ``color_order``.
        gamma: Of levels, which are brought to it before all else.
        fit: How a picture of another size is fitted.
        resize: Pixels of the short side of what the input is cut from, where it is cut.
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
    gamma: Gamma
    fit: Fit
    resize: int
    interpolation: Interpolation

    @property
    def crop_fraction(self) -> float:
        """Part of the short side that is kept."""
        return min(self.height, self.width) / self.resize

    @property
    def uncut(self) -> tuple[int, int]:
        """Height and width of what the input is cut from the centre of, at least."""
        short = min(self.height, self.width)
        return round(self.height * self.resize / short), round(self.width * self.resize / short)

    @property
    def picture_axes(self) -> tuple[int, int]:
        """Axes of height and width in a batch."""
        return (1, 2) if self.layout is Layout.NHWC else (2, 3)

    def shape(self, batch: int) -> tuple[int, ...]:
        """Shape of a batch of network inputs."""
        if self.layout is Layout.NHWC:
            return (batch, self.height, self.width, self.channels)
        return (batch, self.channels, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """An ``Input`` as somebody gives it: ``None`` and ``()`` leave a value open.

    Besides, what is kept of a picture's short side may be given as ``crop_fraction``.

    Raises:
        InvalidFieldError: A value is out of its range.
    """

    height: int | None = None
    width: int | None = None
    channels: int | None = None
    color_order: ColorOrder | None = None
    layout: Layout | None = None
    low: float | None = None
    high: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    gamma: Gamma | None = None
    fit: Fit | None = None
    resize: int | None = None
    crop_fraction: float | None = None
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        _check("height", self.height, SMALLEST, LARGEST)
        _check("width", self.width, SMALLEST, LARGEST)
        _check("channels", self.channels, 1, MOST_CHANNELS)
        _check("resize", self.resize, SMALLEST, LARGEST_RESIZE)
        _check("crop_fraction", self.crop_fraction, LEAST_CROP, 1)
        low, high = _ends(self.low, self.high)
        for field, values in (("mean", self.mean), ("std", self.std), ("low", (low, high))):
            if not all(map(isfinite, values)):
                raise InvalidFieldError(f"input.{field}", f"{values} are not all finite")
        if 0 in self.std:
            raise InvalidFieldError("input.std", "a channel cannot be divided by 0")
        if low == high:
            raise InvalidFieldError(
                "input.high", "is the same as low, so every picture is one grey"
            )
        if self.resize is not None and self.crop_fraction is not None:
            raise InvalidFieldError("input.resize", "give this or crop_fraction, not both")

    def resolved(self, guesses: Sequence[Guess] = ()) -> Input:
        """The input, with what the request leaves open taken from the file, then from defaults.

        Args:
            guesses: What the file says, the most trusted first.

        Raises:
            InvalidFieldError: The file says a value out of its range, ``mean`` and ``std`` do not
                have one number for each channel, or the input is larger than what it is to be cut
                from.
        """
        given: dict[str, Any] = {field: value for field, value, _ in self._chosen(guesses)}
        InputSpec(**given)
        height, width = given.get("height", DEFAULT_SIZE), given.get("width", DEFAULT_SIZE)
        channels = given.get("channels", DEFAULT_CHANNELS)
        order = given.get("color_order", ColorOrder.RGB)
        fit = given.get("fit", Fit.CENTER_CROP)
        low, high = _ends(given.get("low"), given.get("high"))
        mean, std = _normalization(given, channels, order)
        return Input(
            height=height,
            width=width,
            channels=channels,
            color_order=order,
            layout=given.get("layout", Layout.NCHW),
            low=low,
            high=high,
            mean=mean,
            std=std,
            gamma=given.get("gamma", Gamma.SRGB),
            fit=fit,
            resize=_resize(given, min(height, width), fit),
            interpolation=given.get("interpolation", Interpolation.BILINEAR),
        )

    def origins(self, guesses: Sequence[Guess] = ()) -> tuple[Origin, ...]:
        """Where each value of ``resolved(guesses)`` comes from, in the order of its fields."""
        known = {field: guess for field, _, guess in self._chosen(guesses)}
        if "crop_fraction" in known:
            known["resize"] = known["crop_fraction"]
        return tuple(
            Origin(field.name, known[field.name].source, known[field.name].evidence)
            if field.name in known
            else Origin(field.name, Source.DEFAULT)
            for field in fields(Input)
        )

    def _chosen(self, guesses: Sequence[Guess]) -> Iterator[tuple[str, Any, Guess]]:
        """Each value that somebody gives, and who is the first to."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        layers = [Guess(own, Source.REQUEST), *guesses]
        for group in (LEVELS, CUTS, *((field,) for field in _SINGLE)):
            first = next((layer for layer in layers if layer.says(group)), None)
            if first is not None:
                for field in first.says(group):
                    yield field, first.values[field], first


_SINGLE: Final = tuple(
    field.name for field in fields(InputSpec) if field.name not in (*LEVELS, *CUTS)
)


@dataclass(frozen=True, slots=True)
class Guess:
    """What somebody says of an input.

    Attributes:
        values: By the names that ``InputSpec`` has for them, not checked yet.
        source: Who says them.
        evidence: By what.
    """

    values: Mapping[str, Any]
    source: Source
    evidence: str = ""

    def says(self, names: Sequence[str]) -> list[str]:
        """Those of the fields that have a value."""
        return [name for name in names if self.values.get(name) not in (None, ())]


def layout_of(shape: Sequence[int | None]) -> Layout:
    """The layout of a batch that is declared with this shape, ``None`` where an axis is open.

    An axis that is shorter than any picture can only be that of the channels.
    """
    few = [size is not None and size < SMALLEST for size in shape]
    return Layout.NHWC if few[1:] == [False, False, True] else Layout.NCHW


def _ends(low: float | None, high: float | None) -> tuple[float, float]:
    return (0.0 if low is None else low, 1.0 if high is None else high)


def _normalization(
    given: dict[str, Any], channels: int, order: ColorOrder
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std: ImageNet's for colour if nobody says what becomes of a pixel."""
    if channels == COLOURS and not given.keys() & set(LEVELS):
        step = -1 if order is ColorOrder.BGR else 1
        return IMAGENET_MEAN[::step], IMAGENET_STD[::step]
    return (
        _per_channel("input.mean", given.get("mean", (0.0,)), channels),
        _per_channel("input.std", given.get("std", (1.0,)), channels),
    )


def _per_channel(field: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise InvalidFieldError(field, f"has {len(values)} numbers for {channels} channels")
    return values


def _resize(given: dict[str, Any], short: int, fit: Fit) -> int:
    """Short side of what is cut; unless told, only a centre crop loses its margins."""
    if fit is Fit.LETTERBOX:
        return short
    kept = given.get("crop_fraction", DEFAULT_CROP if fit is Fit.CENTER_CROP else 1.0)
    resize: int = given.get("resize", round(short / kept))
    if resize < short:
        raise InvalidFieldError("input.resize", f"{resize} is less than the input's {short}")
    return resize


def _check(field: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidFieldError(f"input.{field}", f"{value:g} is not in [{least}, {most}]")
