"""What is going on, on one line of the terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from facetscope_client.artifacts import UploadProgress
from facetscope_client.gen.facetscope.v1 import inspection_pb2 as pb
from facetscope_client.units import unit_name

PHASES: Final = {
    pb.WORK_PHASE_QUEUED: "waiting for a worker",
    pb.WORK_PHASE_LOADING_MODEL: "loading the model",
    pb.WORK_PHASE_ENCODING_IMAGES: "encoding images",
    pb.WORK_PHASE_CLUSTERING: "finding facets",
    pb.WORK_PHASE_SYNTHESIZING: "synthesizing",
    pb.WORK_PHASE_CERTIFYING: "certifying",
}
"""What each phase of the work is called."""

NOUNS: Final = {pb.WORK_PHASE_ENCODING_IMAGES: "images", pb.WORK_PHASE_SYNTHESIZING: "steps"}
"""What the phases count that count anything."""

MEBIBYTE: Final = 1024 * 1024


class CountColumn(ProgressColumn):
    """How much is done, of how much, and how fast."""

    def render(self, task: Task) -> Text:
        """For example ``120/370 steps, 35/s``."""
        if not task.fields["noun"]:
            return Text()
        total = task.fields["of"]
        done = f"{task.fields['counted']:,.0f}{f'/{total:,.0f}' if total else ''}"
        rate = task.fields["rate"] or task.speed
        counted = f"{done} {task.fields['noun']}"
        return Text(f"{counted}, {rate:,.0f}/s" if rate else counted)


class Display:
    """A live line on ``console``: phase, bar, counts, rate, objective and time."""

    def __init__(self, console: Console, *, disable: bool = False) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            CountColumn(),
            TextColumn("{task.fields[objective]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=disable,
        )
        self._task = self._progress.add_task(
            "reading files", total=None, noun="", objective="", counted=0.0, of=0.0, rate=0.0
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show_upload(self, upload: UploadProgress) -> None:
        """Show how far an upload has come; may be called from any thread."""
        self._show(
            f"uploading {upload.digest[:12]}",
            done=upload.sent_bytes / MEBIBYTE,
            total=upload.size_bytes / MEBIBYTE,
            noun="MiB",
        )

    def show(self, progress: pb.Progress) -> None:
        """Show how far the work has come."""
        phase = PHASES.get(progress.phase, "working")
        unit = f" {unit_name(progress.unit)}" if progress.HasField("unit") else ""
        self._show(
            phase + unit,
            done=progress.done,
            total=progress.total,
            noun=NOUNS.get(progress.phase, ""),
            rate=progress.rate,
            fraction=progress.fraction if progress.HasField("fraction") else None,
            objective=f"objective {progress.objective:.4g}"
            if progress.HasField("objective")
            else "",
        )

    def _show(
        self,
        description: str,
        *,
        done: float,
        total: float,
        noun: str,
        rate: float = 0.0,
        fraction: float | None = None,
        objective: str = "",
    ) -> None:
        """Show these figures; a new description starts the bar and its rate anew.

        The bar shows the part of the total that is done, or else ``fraction``.
        """
        if self._progress.tasks[0].description != description:
            self._progress.reset(self._task, description=description)
        known = total or fraction is None
        self._progress.update(
            self._task,
            completed=done if known else fraction,
            total=(total or None) if known else 1.0,
            noun=noun,
            objective=objective,
            rate=rate,
            counted=done,
            of=total,
        )
