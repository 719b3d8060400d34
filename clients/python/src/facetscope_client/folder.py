"""A folder that fills while an inspection runs, and has only whole files at any moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from facetscope_client.events import Event
from facetscope_client.gen.facetscope.v1.facet_pb2 import Facet, FacetCount
from facetscope_client.gen.facetscope.v1.inspection_pb2 import Manifest, UnitSkipped
from facetscope_client.gen.facetscope.v1.model_pb2 import Unit
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import PreviewImage, SynthesizedImage
from facetscope_client.ledger import Ledger, write_whole
from facetscope_client.recording import LEDGER, REQUEST, Recording
from facetscope_client.report import UnitReport, image_name, pictures_in, plain_json, record
from facetscope_client.sheet import contact_sheet
from facetscope_client.units import channels_name, unit_name

SUFFIX_OF: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "application/x-npy": ".npy",
    "application/octet-stream": ".f32",
}
"""How files of each media type are called."""

OWN_FILES: Final = ("facet-*", "contact-sheet.png")
"""Patterns of all that is ever written for a unit."""

LONGEST_NAME: Final = 120
"""Characters of a layer's name that its folder keeps."""


class ReportFolder:
    """Writes what an inspection brings, as it comes.

    Pictures are written at once. The ``contact-sheet.png`` of a unit follows when its last result
    is there, which is when another unit's image or the manifest arrives, or the block is left: the
    contract promises images unit by unit, and units without images yet are few. ``facets.json`` has
    all that is not a picture, and appears when the block is left. What an earlier run left is
    removed.

    Args:
        path: The folder. Made when the first file is written.
        recording: What was asked for: written as ``request.json`` when the first event is there.

    Attributes:
        path: The folder.
        units: The folder of each unit in it, by the unit's name.
    """

    def __init__(self, path: Path, recording: Recording | None = None) -> None:
        self.path = path
        self.units: dict[str, Path] = {}
        self._recording = recording
        self._reports: dict[str, UnitReport] = {}
        self._ledger = Ledger(path / LEDGER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._finish_all()
        finally:
            self._ledger.close()

    def add(self, event: Event) -> dict[str, Any]:
        """Write what ``event`` brings; its JSON form, with paths in place of pictures."""
        self._begin()
        match event:
            case FacetCount() | Facet() | SynthesizedImage() | PreviewImage():
                return self._add_result(event)
            case UnitSkipped():
                self._ledger.skip(plain_json(event))
            case Manifest():
                self._finish_all()
                self._ledger.manifest = plain_json(event)
        return plain_json(event)

    def _begin(self) -> None:
        """Write down the request, once; figures of an earlier one would not belong to it."""
        recording, self._recording = self._recording, None
        if recording is not None:
            (self.path / LEDGER).unlink(missing_ok=True)
            write_whole(self.path / REQUEST, recording.as_json())

    def _add_result(
        self, result: FacetCount | Facet | SynthesizedImage | PreviewImage
    ) -> dict[str, Any]:
        name = unit_name(result.unit)
        if isinstance(result, SynthesizedImage):
            self._finish_others(name)
        report, folder = self._report_on(result.unit)
        files = _files_of(result)
        for name, data in files.items():
            write_whole(folder / name, data)
        if not isinstance(result, PreviewImage):
            report.add(result)
        if isinstance(result, SynthesizedImage):
            _remove(folder, f"{image_name(result)}-preview.*")
        return record(result, [str(folder / name) for name in files])

    def _report_on(self, unit: Unit) -> tuple[UnitReport, Path]:
        """The report that results of ``unit`` belong to, and its folder."""
        name = unit_name(unit)
        if name not in self.units:
            self.units[name] = self.path / self._free_name(unit)
            _remove(self.units[name], *OWN_FILES)
        return self._reports.setdefault(name, UnitReport(unit)), self.units[name]

    def _free_name(self, unit: Unit) -> str:
        """A name for the folder of ``unit`` that any file system takes and no other unit has."""
        layer = re.sub(r"[^\w.-]+", "_", unit.layer).strip("._")[:LONGEST_NAME] or "layer"
        what = channels_name(unit).replace("*", "x").replace("#", "-")
        name = "-".join([layer, what, *map(str, unit.position)])
        name += f"~{unit.channel_axis}" if unit.HasField("channel_axis") else ""
        taken = {folder.name for folder in self.units.values()}
        names = chain([name], (f"{name}.{number}" for number in count(2)))
        return next(each for each in names if each not in taken)

    def _finish_others(self, name: str) -> None:
        """Finish units that have had their images, now that those of ``name`` come."""
        for other in [each for each, report in self._reports.items() if report.images]:
            if other != name:
                self._finish(self._reports.pop(other))

    def _finish_all(self) -> None:
        while self._reports:
            self._finish(self._reports.pop(next(iter(self._reports))))

    def _finish(self, report: UnitReport) -> None:
        """Write what needs all results of a unit."""
        if not (report.facets or report.images):
            return
        folder = self.units[unit_name(report.unit)]
        picture = BytesIO()
        contact_sheet(report).save(picture, "png")
        write_whole(folder / "contact-sheet.png", picture.getvalue())
        self._ledger.enter(_record_of(report, folder.name))


def _files_of(result: Event) -> Mapping[str, bytes]:
    """The pictures of ``result``, by file name."""
    return {
        name + SUFFIX_OF.get(picture.media_type, ".img"): picture.data
        for name, picture in pictures_in(result)
    }


def _record_of(report: UnitReport, folder: str) -> dict[str, Any]:
    def with_files(result: Facet | SynthesizedImage) -> dict[str, Any]:
        return record(result, [f"{folder}/{name}" for name in _files_of(result)])

    return {
        "unit": plain_json(report.unit),
        "count": None if report.count is None else plain_json(report.count),
        "facets": [with_files(facet) for facet in report.facets.values()],
        "images": [with_files(report.images[key]) for key in sorted(report.images)],
        "contact_sheet": f"{folder}/contact-sheet.png",
    }


def _remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for stale in folder.glob(pattern):
            stale.unlink()
