"""What an inspection points at: layers, their channels, and how a channel is read."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256
from itertools import pairwise
from math import isfinite
from typing import Final

from facetscope.domain.errors import (
    ChannelOutOfRangeError,
    InvalidFieldError,
    PositionOutOfRangeError,
)

MOST_WRITTEN: Final = 8
"""Channels of a direction that its name lists; of one with more, it has a digest."""


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
    """One channel of one layer, or a direction: the thing that a visualization explains.

    Attributes:
        layer: Name of the layer, as ``DescribeModel`` lists it.
        channel: Zero-based index along the layer's channel axis; 0 for a direction.
        position: For one neuron: indices along the layer's other axes, in order. ``None`` for the
            whole channel.
        channel_axis: Axis of the layer that counts channels, where the caller knows better.
        weights: For a direction: channels with their weights, in the order of the channels, none of
            them 0. The unit's activation is then the sum of their products. Empty for a channel.
    """

    layer: str
    channel: int
    position: tuple[int, ...] | None = None
    channel_axis: int | None = None
    weights: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        """Bring the weights into their one form: equal directions are equal units.

        Raises:
            InvalidFieldError: They are no direction.
        """
        if self.weights:
            object.__setattr__(self, "weights", _canonical(self.weights, self.channel))

    @property
    def is_direction(self) -> bool:
        """Whether it is a weighted sum of channels, which is neither a class nor predicted."""
        return bool(self.weights)

    @property
    def terms(self) -> tuple[tuple[int, float], ...]:
        """Channels with their weights: those of a direction, or the channel with the weight 1."""
        return self.weights or ((self.channel, 1.0),)

    def within(self, layer: Layer) -> Unit:
        """This unit, once it is known that ``layer`` has it.

        Raises:
            ChannelOutOfRangeError: The layer is too narrow.
            PositionOutOfRangeError: The layer has no such position.
        """
        for channel, _ in self.terms:
            if not 0 <= channel < layer.channels:
                raise ChannelOutOfRangeError(self.layer, channel, layer.channels)
        if self.position is not None and not _inside(self.position, layer.extent):
            raise PositionOutOfRangeError(self.layer, self.position, layer.extent)
        return self

    def __str__(self) -> str:
        where = "" if self.position is None else "@" + ",".join(map(str, self.position))
        along = "" if self.channel_axis is None else f"~{self.channel_axis}"
        what = _written(self.weights) if self.weights else self.channel
        return f"{self.layer}:{what}{where}{along}"


def _canonical(
    weights: tuple[tuple[int, float], ...], channel: int
) -> tuple[tuple[int, float], ...]:
    """``weights`` in the order of their channels, without those that are 0."""
    if channel:
        problem = f"{channel} stands beside weights: a direction names its channels there alone"
        raise InvalidFieldError("unit.channel", problem)
    if broken := [each for each, weight in weights if not isfinite(weight)]:
        raise InvalidFieldError("unit.weights", f"the weight of channel {broken[0]} is not finite")
    ordered = sorted(weights)
    for (one, _), (other, _) in pairwise(ordered):
        if one == other:
            raise InvalidFieldError("unit.weights", f"channel {one} has more than one weight")
    kept = tuple((each, float(weight)) for each, weight in ordered if weight)
    if not kept:
        raise InvalidFieldError("unit.weights", "all are 0, which is a direction to nowhere")
    return kept


def _written(weights: tuple[tuple[int, float], ...]) -> str:
    """For example ``0.5*3-8``; a digest of many weights, as short and as surely of these alone."""
    if len(weights) > MOST_WRITTEN:
        packed = b"".join(struct.pack("<qd", *each) for each in weights)
        return f"direction#{sha256(packed).hexdigest()[:16]}"
    if weights[0][1] == 1 and len(weights) == 1:
        return f"1*{weights[0][0]}"
    return "".join(map(_term, weights)).removeprefix("+")


def _term(of: tuple[int, float]) -> str:
    channel, weight = of
    size = repr(abs(weight)).removesuffix(".0")
    return f"{'-' if weight < 0 else '+'}{'' if size == '1' else f'{size}*'}{channel}"


def _inside(position: tuple[int, ...], extent: tuple[int, ...]) -> bool:
    return (
        bool(extent)
        and len(position) == len(extent)
        and all(0 <= index < size for index, size in zip(position, extent, strict=True))
    )
