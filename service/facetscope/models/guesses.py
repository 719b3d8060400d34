"""What a file says of the pictures that its model takes, by shapes and in words."""

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import (
    MOST_CHANNELS,
    SMALLEST,
    ColorOrder,
    Fit,
    Gamma,
    Guess,
    InputSpec,
    Layout,
    Source,
    layout_of,
)

BATCH_RANK: Final = 4
"""Axes of a batch of pictures, and of a kernel that is moved over them."""

IMAGE_METADATA: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "image.bitmappixelformat": {
        "gray8": {"channels": 1},
        "rgb8": {"channels": 3, "color_order": ColorOrder.RGB},
        "bgr8": {"channels": 3, "color_order": ColorOrder.BGR},
    },
    "image.colorspacegamma": {
        "linear": {"gamma": Gamma.LINEAR},
        "srgb": {"gamma": Gamma.SRGB},
    },
    "image.nominalpixelrange": {
        "nominalrange_0_255": {"low": 0.0, "high": 255.0},
        "normalized_0_1": {"low": 0.0, "high": 1.0},
        "normalized_1_1": {"low": -1.0, "high": 1.0},
        "nominalrange_16_235": {"low": 16.0, "high": 235.0},
    },
}
"""ONNX's image metadata (docs/MetadataProps.md of ONNX), whose keys and values have no case."""

BLOCKS: Final = (0, 12, 48)
"""Channels of a first kernel that say nothing: of colour pictures, 2 by 2 or 4 by 4 pixels may have
become channels before."""

LONGEST: Final = 200
"""Letters of evidence; a file may hold any text."""

WHOLE_PICTURES: Final = frozenset({"detect", "segment", "pose", "obb"})
"""Tasks of Ultralytics' models that see pictures whole; the others see their middle."""


def from_shape(
    shape: Sequence[int | None], layout: Layout | None, *, evidence: str
) -> tuple[Guess, ...]:
    """What the declared shape of a batch says, if it is one of pictures.

    Args:
        shape: ``None`` where an axis is open.
        layout: Of the batch, if somebody has said it; else it is found from the shape.
        evidence: What to call the shape.
    """
    if len(shape) != BATCH_RANK:
        return ()
    found = layout or layout_of(shape)
    order = (3, 1, 2) if found is Layout.NHWC else (1, 2, 3)
    channels, height, width = (shape[axis] for axis in order)
    sure = layout is None and channels is not None and channels < SMALLEST
    values: dict[str, Any] = {"channels": channels, "height": height, "width": width}
    values |= {"layout": found} if sure else {}
    return (Guess(values, Source.SIGNATURE, f"{evidence} {_text(shape)}"),)


def from_kernel(kernel: Sequence[int], *, evidence: str) -> tuple[Guess, ...]:
    """What the shape of the first convolution's kernel, [out, in, height, width], says."""
    if len(kernel) != BATCH_RANK or kernel[1] > MOST_CHANNELS or kernel[1] in BLOCKS:
        return ()
    return (Guess({"channels": kernel[1]}, Source.SIGNATURE, f"{evidence} {_text(kernel)}"),)


def from_metadata(metadata: Mapping[str, str]) -> tuple[Guess, ...]:
    """What a file's own words say: ONNX's image metadata, or what Ultralytics' exporter writes."""
    guesses = []
    for key, text in metadata.items():
        values = IMAGE_METADATA.get(key.lower(), {}).get(text.lower())
        if values is not None:
            guesses.append(Guess(values, Source.METADATA, f"{key}: {text}"))
    return (*guesses, *_of_ultralytics(metadata))


def read_value(text: str) -> Any:
    """The value that JSON or a Python literal writes; None of any other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _of_ultralytics(metadata: Mapping[str, str]) -> tuple[Guess, ...]:
    """Size, fit and levels of a YOLO model; an ``imgsz`` of others says their size alone."""
    given: dict[str, Any] = {}
    match read_value(metadata.get("imgsz", "")):
        case [int(height), int(width)] | (int(height), int(width)):
            given = {"height": height, "width": width}
        case int(side):
            given = {"height": side, "width": side}
    if metadata.get("author") == "Ultralytics" and "task" in metadata:
        whole = metadata["task"] in WHOLE_PICTURES
        given |= {"low": 0.0, "high": 1.0, "fit": Fit.LETTERBOX if whole else Fit.CENTER_CROP}
        given |= {} if whole else {"crop_fraction": 1.0}
    names = [name for name in ("author", "task", "imgsz") if name in metadata]
    evidence = ", ".join(f"{name}: {metadata[name]}" for name in names)[:LONGEST]
    try:
        InputSpec(**given)
    except InvalidFieldError:  # words do not bind as a shape does
        return ()
    return (Guess(given, Source.METADATA, evidence),) if given else ()


def _text(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('n' if size is None else str(size) for size in shape)}]"
