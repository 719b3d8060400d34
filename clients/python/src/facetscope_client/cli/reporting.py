"""From a request to a folder: what is common to all commands that stream events."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from facetscope_client.cli.exits import failures_told
from facetscope_client.cli.progress import Display
from facetscope_client.cli.setting import Setting, print_json
from facetscope_client.client import Client
from facetscope_client.events import KINDS, Event
from facetscope_client.folder import ReportFolder
from facetscope_client.gen.facetscope.v1.inspection_pb2 import Manifest, Progress, UnitSkipped
from facetscope_client.recording import Recording
from facetscope_client.requests import Prepared
from facetscope_client.units import unit_name


def report(setting: Setting, prepared: Prepared[Any], out: Path, *, as_json: bool) -> None:
    """Make the call of ``prepared``, fill the folder ``out``, and print where to look."""
    display = Display(setting.messages, disable=as_json)
    with failures_told(setting.messages), setting.client(display.show_upload) as client:
        folder = ReportFolder(out, Recording.of(prepared))
        fill(setting, client, prepared, folder, display, as_json=as_json)
    if not as_json:
        for place in folder.units.values():
            setting.output.print(str(place / "contact-sheet.png"), soft_wrap=True)


def fill(
    setting: Setting,
    client: Client,
    prepared: Prepared[Any],
    folder: ReportFolder,
    display: Display,
    *,
    as_json: bool,
) -> None:
    """Write what the call brings into ``folder``, and tell how far it has come."""
    events = client.run(prepared.request, prepared.artifacts)
    with folder, display, closing(events):
        for event in events:
            record = folder.add(event)
            _tell(setting, event, display)
            if as_json:
                print_json({KINDS[type(event)]: record})


def _tell(setting: Setting, event: Event, display: Display) -> None:
    match event:
        case Progress():
            display.show(event)
        case UnitSkipped():
            name = unit_name(event.unit)
            setting.messages.print(f"skipped {name}: {event.message}", soft_wrap=True)
        case Manifest():
            for warning in event.warnings:
                setting.messages.print(f"warning: {warning}", soft_wrap=True)
