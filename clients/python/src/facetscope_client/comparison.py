"""How far two reports of the same request agree: pictures byte by byte, figures, and manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from math import isfinite
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from PIL import ImageChops, ImageStat

from facetscope_client.gen.facetscope.v1.facet_pb2 import EncodedImage
from facetscope_client.pictures import opened
from facetscope_client.recording import LEDGER, RecordingError
from facetscope_client.tensors import NPY, RAW, picture_array

SHEET: Final = "contact_sheet"
"""What the client draws itself, from all the rest."""


@dataclass(frozen=True, slots=True)
class PictureDifference:
    """A picture whose bytes are not the same.

    Attributes:
        file: Its path in the report.
        largest: The largest difference of two values, in grey levels. ``None`` where it is not
            there, or has another size or number of channels.
        mean: The mean difference.
    """

    file: str
    largest: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was one thing and is another; ``None`` for what is not there."""

    place: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.place} was {self.was} and is {self.now}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two reports.

    What only the later one tells is no difference: a newer server may tell more.

    Attributes:
        pictures: How many were compared.
        different_pictures: Those whose bytes differ.
        figures: How many numbers, names and flags were compared.
        different_figures: Those that differ.
        manifest: What differs of what the results are a function of: versions, for example.
    """

    pictures: int
    different_pictures: tuple[PictureDifference, ...]
    figures: int
    different_figures: tuple[Difference, ...]
    manifest: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether every picture and every figure is the same."""
        return not self.different_pictures and not self.different_figures


def finished_report(folder: Path) -> Mapping[str, Any]:
    """The figures in ``folder``, of a run that came to its end.

    Raises:
        RecordingError: There are none, or the run was interrupted.
    """
    try:
        report: Mapping[str, Any] = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordingError(f"{folder} has no {LEDGER}: the run brought no results") from None
    if report.get("manifest") is None:
        raise RecordingError(f"the run in {folder} did not come to its end: run it anew")
    return report


def compare(earlier: Path, later: Path) -> Comparison:
    """Compare the reports in two folders.

    Raises:
        RecordingError: One of them is none, or was interrupted.
    """
    was, now = finished_report(earlier), finished_report(later)
    pairs = list(chain.from_iterable(_pairs(each, was[each], now.get(each)) for each in RESULTS))
    pictures = [pair for pair in pairs if _is_picture(pair.was)]
    figures = [pair for pair in pairs if not _is_picture(pair.was)]
    found = (_compared(pair, earlier, later) for pair in pictures)
    return Comparison(
        pictures=len(pictures),
        different_pictures=tuple(each for each in found if each is not None),
        figures=len(figures),
        different_figures=tuple(pair for pair in figures if pair.was != pair.now),
        manifest=tuple(
            pair
            for pair in _pairs("manifest", was["manifest"], now["manifest"])
            if pair.was != pair.now
        ),
    )


RESULTS: Final = ("units", "skipped")
"""Parts of a report that are a function of its manifest."""


def _is_picture(value: Any) -> bool:
    return isinstance(value, Mapping) and "file" in value


def _pairs(place: str, was: Any, now: Any) -> Iterator[Difference]:
    """All that can be compared, place by place, whether it differs or not."""
    if isinstance(was, Mapping) and not _is_picture(was):
        others = now if isinstance(now, Mapping) else {}
        for key, value in was.items():
            if key != SHEET:
                yield from _pairs(f"{place}.{key}", value, others.get(key))
    elif isinstance(was, list):
        items = now if isinstance(now, list) else []
        for number, (one, other) in enumerate(zip_longest(was, items)):
            yield from _pairs(f"{place}[{number}]", one, other)
    else:
        yield Difference(place, was, now)


def _compared(pair: Difference, earlier: Path, later: Path) -> PictureDifference | None:
    """How a picture differs, or ``None`` where its bytes are the same."""
    file = pair.was["file"]
    one = _picture(pair.was, earlier)
    other = _picture(pair.now, later) if _is_picture(pair.now) else None
    if one is None or other is None:
        return PictureDifference(file, None, None)
    if one == other:
        return None
    return PictureDifference(file, *_levels_between(one, other))


def _picture(record: Mapping[str, Any], folder: Path) -> EncodedImage | None:
    """The picture of a record, or ``None`` where its file is gone."""
    path = folder / record["file"]
    if not path.is_file():
        return None
    fields = {key: value for key, value in record.items() if key != "file"}
    picture = ParseDict(fields, EncodedImage(), ignore_unknown_fields=True)
    picture.data = path.read_bytes()
    return picture


def _levels_between(
    one: EncodedImage, other: EncodedImage
) -> tuple[float, float] | tuple[None, None]:
    """The largest and the mean difference of two pictures, in grey levels."""
    if {one.media_type, other.media_type} <= {RAW, NPY}:
        return _between_tensors(one, other)
    first, second = opened(one), opened(other)
    if (first.mode, first.size) != (second.mode, second.size):
        return None, None
    statistics = ImageStat.Stat(ImageChops.difference(first, second))
    largest = max(high for _, high in statistics.extrema)
    return float(largest), sum(statistics.mean) / len(statistics.mean)


def _between_tensors(
    one: EncodedImage, other: EncodedImage
) -> tuple[float, float] | tuple[None, None]:
    if one.shape != other.shape:
        return None, None
    values, others = (picture_array(each).cast("B").cast("f") for each in (one, other))
    gaps = [abs(value - another) for value, another in zip(values, others, strict=True)]
    return max(gaps), sum(gaps) / len(gaps)


def largest_gap(differences: tuple[Difference, ...]) -> float | None:
    """The largest difference of two numbers, as a part of the larger; ``None`` without numbers."""
    gaps = [
        abs(each.was - each.now) / max(abs(each.was), abs(each.now))
        for each in differences
        if _is_number(each.was) and _is_number(each.now)
    ]
    return max(gaps, default=None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
