"""What an inspection points at: layers, their channels, and how a channel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from facetscope.domain.errors import (
    ChannelOutOfRangeError,
    InvalidFieldError,
    PositionOutOfRangeError,
)


class Readout(Enum):
    """How a unit's activation becomes one number.

    Attributes:
        ACTIVATION: The activation itself: a class unit's logit; for a unit with positions, the
            mean over them, or the value at the unit's position.
        PROBABILITY: The softmax over the layer's channels, for layers that are classes.
    """

    ACTIVATION = "activation"
    PROBABILITY = "probability"


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What part of the picture an element of a layer depends on, over height and width.

    The centre of element (y, x) is pixel ``offset + (y, x) * stride``, counted from the middle of
    the first pixel; pixels beyond the edges of the picture are padding.

    Attributes:
        size: Pixels that an element depends on, from the first to the last.
        stride: Pixels from the centre of one element to that of the next.
        offset: The centre of the first element, in pixels.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    offset: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layer:
    """A value of the network that units are channels of.

    Attributes:
        name: What the model's format calls it: module path, or name of the output tensor.
        kind: Operator or class that computes it, for example ``Conv`` or ``Conv2d``.
        shape: Shape of its activation, with -1 for the batch axis.
        channel_axis: Index into ``shape`` of the axis that counts channels.
        receptive_field: Of its elements, where their positions have one.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    channel_axis: int
    receptive_field: ReceptiveField | None = None

    @property
    def positions(self) -> tuple[int, ...]:
        """The axes that are neither batch nor channel, in order."""
        return tuple(a for a in range(1, len(self.shape)) if a != self.channel_axis)

    @property
    def channels(self) -> int:
        """How many units the layer has."""
        return self.shape[self.channel_axis]

    @property
    def extent(self) -> tuple[int, ...]:
        """Sizes of the axes that are neither batch nor channel, in order: the positions."""
        return tuple(self.shape[axis] for axis in self.positions)

    def along(self, axis: int | None) -> Layer:
        """This layer with its channels along another axis, or as it is if that is ``None``.

        Raises:
            InvalidFieldError: It has no such axis, or one that follows the batch.
        """
        if axis in (None, self.channel_axis):
            return self
        if not 0 < axis < len(self.shape) or self.shape[axis] < 1:
            problem = f"{axis} is no axis of channels in {list(self.shape)}: count the batch as 0"
            raise InvalidFieldError("unit.channel_axis", problem)
        return replace(self, channel_axis=axis, receptive_field=None)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A node of a model that no gradient passes.

    Attributes:
        node: Its name; where it has none, that of its output.
        operator: What it computes, for example ``ai.onnx::LSTM-14`` or ``ArgMax``.
        problem: Why no gradient passes it, in a few words.
    """

    node: str
    operator: str
    problem: str


@dataclass(frozen=True, slots=True)
class Unit:
    """One channel of one layer: the thing that a visualization explains.

    Attributes:
        layer: Name of the layer, as ``DescribeModel`` lists it.
        channel: Zero-based index along the layer's channel axis.
        position: For one neuron: indices along the layer's other axes, in order. ``None`` for the
            whole channel.
        channel_axis: Axis of the layer that counts channels, where the caller knows better.
    """

    layer: str
    channel: int
    position: tuple[int, ...] | None = None
    channel_axis: int | None = None

    def within(self, layer: Layer) -> Unit:
        """This unit, once it is known that ``layer`` has it.

        Raises:
            ChannelOutOfRangeError: The layer is too narrow.
            PositionOutOfRangeError: The layer has no such position.
        """
        if not 0 <= self.channel < layer.channels:
            raise ChannelOutOfRangeError(self.layer, self.channel, layer.channels)
        if self.position is not None and not _inside(self.position, layer.extent):
            raise PositionOutOfRangeError(self.layer, self.position, layer.extent)
        return self

    def __str__(self) -> str:
        where = "" if self.position is None else "@" + ",".join(map(str, self.position))
        along = "" if self.channel_axis is None else f"~{self.channel_axis}"
        return f"{self.layer}:{self.channel}{where}{along}"


def _inside(position: tuple[int, ...], extent: tuple[int, ...]) -> bool:
    return (
        bool(extent)
        and len(position) == len(extent)
        and all(0 <= index < size for index, size in zip(position, extent, strict=True))
    )
