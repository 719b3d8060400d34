"""The command ``replay``: the same request again, and whether it has the same results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from facetscope_client.artifacts import Artifact, named
from facetscope_client.cli.exits import Exit, failures_told
from facetscope_client.cli.progress import Display
from facetscope_client.cli.reporting import fill
from facetscope_client.cli.setting import Setting, print_json
from facetscope_client.client import Client
from facetscope_client.comparison import Comparison, compare, finished_report, largest_gap
from facetscope_client.folder import ReportFolder
from facetscope_client.image_sets import image_sources
from facetscope_client.recording import Recording, RecordingError
from facetscope_client.requests import Prepared

MOST_SHOWN: Final = 5
"""Differing figures that are printed one by one."""


def replay(
    ctx: typer.Context,
    manifest: Annotated[
        Path,
        typer.Argument(
            exists=True,
            metavar="MANIFEST",
            help="The folder that `discover`, `maximize` or `inspect` wrote, or its facets.json.",
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(file_okay=False, metavar="DIR", help="Where the new report is written."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="The model's file, where the server lacks it."
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR|FILE|'PATTERN'",
            help="The images, where the server lacks them. May be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Run the request of an earlier report again, and compare what comes of it.

    The same job on the same kind of device with the same versions has the same results, to the
    byte. Exit code 6 says that it has not, and the output tells how many pictures differ, by how
    many grey levels, and what else is not as it was: versions or the device, for example.

    Model and images are taken by their digests from the server's store. Where they are gone, files
    can be given again; their digests are checked.

    Examples:
    - `facetscope replay report --out again`

    - `facetscope replay report/facets.json --model model.onnx --images photos/ --out again`
    """
    setting: Setting = ctx.obj
    earlier = manifest if manifest.is_dir() else manifest.parent
    display = Display(setting.messages)
    with failures_told(setting.messages), setting.client(display.show_upload) as client:
        if out.resolve() == earlier.resolve():
            raise RecordingError(f"{out} is what shall be compared with: write to another folder")
        recording = Recording.read(earlier)
        finished_report(earlier)
        prepared = _prepared(recording, client, model, images or ())
        folder = ReportFolder(out, recording)
        fill(setting, client, prepared, folder, display, as_json=False)
        found = compare(earlier, out)
    if as_json:
        print_json({"identical": found.identical, **asdict(found)})
    else:
        for sentence in _sentences(found):
            setting.output.print(sentence, soft_wrap=True)
    if not found.identical:
        raise typer.Exit(Exit.DIFFERENT)


def _prepared(
    recording: Recording, client: Client, model: Path | None, images: list[str] | tuple[str, ...]
) -> Prepared[Any]:
    """The request, with the artifacts that are given again.

    Raises:
        RecordingError: One is not what the request names, or the server lacks one that is not
            given.
    """
    wanted = {each.digest: each for each in recording.needs}
    at_hand: dict[str, Artifact] = {}
    if model is not None:
        at_hand |= named([model])[1]
    at_hand |= named(image_sources(images))[1]
    for digest, artifact in at_hand.items():
        if digest not in wanted:
            needed = "; ".join(map(str, recording.needs))
            raise RecordingError(
                f"{artifact.name} has SHA-256 {digest}, and is not what the report was made of: "
                f"{needed}"
            )
    missing = [each for each in client.find_missing(wanted) if each not in at_hand]
    if missing:
        needed = "; ".join(str(wanted[each]) for each in missing)
        raise RecordingError(
            f"the server no longer has {needed}: give the model with --model FILE, and the images "
            "as they were given before with --images"
        )
    return Prepared(recording.request, at_hand)


def _sentences(found: Comparison) -> Iterator[str]:
    """What a comparison came to, for people."""
    if found.identical:
        yield f"identical: {found.pictures} pictures and {found.figures} figures"
    if found.different_pictures:
        yield _of_pictures(found)
    if found.different_figures:
        gap = largest_gap(found.different_figures)
        by = "" if gap is None else f", numbers by {gap:.2g} of their size at most"
        yield f"{len(found.different_figures)} of {found.figures} figures differ{by}:"
        yield from (f"  {each}" for each in found.different_figures[:MOST_SHOWN])
        if len(found.different_figures) > MOST_SHOWN:
            yield "  and so on; --json has all"
    if found.manifest:
        yield "what they are a function of differs:"
        yield from (f"  {each}" for each in found.manifest)
    elif not found.identical:
        yield "what they are a function of is the same: model, images, job, device and versions"


def _of_pictures(found: Comparison) -> str:
    differ = found.different_pictures
    sentence = f"{len(differ)} of {found.pictures} pictures differ"
    measured = [each for each in differ if each.largest is not None and each.mean is not None]
    if measured:
        largest = max(each.largest or 0 for each in measured)
        mean = sum(each.mean or 0 for each in measured) / len(measured)
        sentence += f", by {largest:.3g} grey levels at most and {mean:.3g} in the mean"
    if len(measured) < len(differ):
        sentence += f"; {len(differ) - len(measured)} are gone, or have another size"
    return sentence
