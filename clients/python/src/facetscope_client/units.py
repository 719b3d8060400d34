"""Units as people write them: ``LAYER:CHANNEL``, or ``LAYER:CHANNEL@Y,X`` for one neuron.

``~AXIS`` behind it counts channels along another axis of the layer than the server would.
"""

from __future__ import annotations

import re
from typing import Final

from facetscope_client.gen.facetscope.v1.model_pb2 import Unit

PATTERN: Final = re.compile(
    r"(?P<layer>.+):(?P<channel>\d+)(?:@(?P<position>\d+(?:,\d+)*))?(?:~(?P<axis>\d+))?"
)
"""The layer comes first and is greedy: names of ONNX tensors may have colons of their own."""


def parse_unit(text: str) -> Unit:
    """The unit that ``text`` names.

    Raises:
        ValueError: The text does not have the form of a unit.
    """
    match = PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a unit: write LAYER:CHANNEL or LAYER:CHANNEL@Y,X")
    position = match["position"]
    return Unit(
        layer=match["layer"],
        channel=int(match["channel"]),
        position=map(int, position.split(",")) if position else (),
        channel_axis=int(match["axis"]) if match["axis"] else None,
    )


def unit_name(unit: Unit) -> str:
    """The text that ``parse_unit`` reads as ``unit``."""
    position = ",".join(map(str, unit.position))
    where = f"@{position}" if position else ""
    along = f"~{unit.channel_axis}" if unit.HasField("channel_axis") else ""
    return f"{unit.layer}:{unit.channel}{where}{along}"
