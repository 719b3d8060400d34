"""Units as people write them: ``LAYER:CHANNEL``, or ``LAYER:CHANNEL@Y,X`` for one neuron.

A direction is a sum of channels with their weights in place of a channel: ``fc:3-8`` (3 and not 8),
``fc:0.5*3+2*11``, ``fc:-3`` (as little of 3 as can be). ``~AXIS`` behind it counts channels along
another axis of the layer than the server would.
"""

from __future__ import annotations

import re
import struct
from hashlib import sha256
from typing import Final

from facetscope_client.gen.facetscope.v1.model_pb2 import ChannelWeight, Unit

TERM: Final = r"(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\*)?\d+"

PATTERN: Final = re.compile(
    rf"(?P<layer>.+):(?P<channels>-?{TERM}(?:[+-]{TERM})*)"
    r"(?:@(?P<position>\d+(?:,\d+)*))?(?:~(?P<axis>\d+))?"
)
"""The layer comes first and is greedy: names of ONNX tensors may have colons of their own."""

MOST_WRITTEN: Final = 8
"""Channels of a direction that its name lists; of one with more, it has a digest."""


def parse_unit(text: str) -> Unit:
    """The unit that ``text`` names.

    Raises:
        ValueError: The text does not have the form of a unit.
    """
    match = PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a unit: write LAYER:CHANNEL or LAYER:CHANNEL@Y,X, or a sum of "
            "channels such as LAYER:3-8 or LAYER:0.5*3+2*11"
        )
    position, channels = match["position"], match["channels"]
    single = channels.isdecimal()
    return Unit(
        layer=match["layer"],
        channel=int(channels) if single else 0,
        position=map(int, position.split(",")) if position else (),
        channel_axis=int(match["axis"]) if match["axis"] else None,
        weights=()
        if single
        else [_weight(each[0]) for each in re.finditer(f"[+-]?{TERM}", channels)],
    )


def unit_name(unit: Unit) -> str:
    """The text that ``parse_unit`` reads as ``unit``.

    A direction of more than 8 channels has a name by which it can be told from any other, and no
    text that is read.
    """
    position = ",".join(map(str, unit.position))
    where = f"@{position}" if position else ""
    along = f"~{unit.channel_axis}" if unit.HasField("channel_axis") else ""
    return f"{unit.layer}:{channels_name(unit)}{where}{along}"


def channels_name(unit: Unit) -> str:
    """What of its layer a unit is: a channel, a sum of some, or the digest of one of many."""
    weights = sorted((each.channel, each.weight) for each in unit.weights if each.weight)
    if not weights:
        return str(unit.channel)
    if len(weights) > MOST_WRITTEN:
        packed = b"".join(struct.pack("<qd", *each) for each in weights)
        return f"direction#{sha256(packed).hexdigest()[:16]}"
    text = "".join(map(_term, weights)).removeprefix("+")
    return f"1*{text}" if text.isdecimal() else text


def _weight(term: str) -> ChannelWeight:
    """For example of ``-0.5*3``."""
    factor, _, channel = term.lstrip("+-").rpartition("*")
    sign = -1.0 if term.startswith("-") else 1.0
    return ChannelWeight(channel=int(channel), weight=sign * float(factor or 1))


def _term(of: tuple[int, float]) -> str:
    channel, weight = of
    size = repr(abs(weight)).removesuffix(".0")
    return f"{'-' if weight < 0 else '+'}{'' if size == '1' else f'{size}*'}{channel}"
