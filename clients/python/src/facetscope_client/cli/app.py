"""The commands."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import grpc
import typer
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from facetscope_client import requests
from facetscope_client.cli.description import description_table
from facetscope_client.cli.exits import Exit, failures_told
from facetscope_client.cli.options.codes import CodeOptions
from facetscope_client.cli.options.discovery import DiscoveryOptions
from facetscope_client.cli.options.inputs import InputOptions
from facetscope_client.cli.options.precision import PrecisionName, PrecisionOption
from facetscope_client.cli.options.synthesis import STARTS, StartOption, SynthesisOptions
from facetscope_client.cli.options.units import UnitOptions, UnitsOptions
from facetscope_client.cli.progress import Display
from facetscope_client.cli.replaying import replay
from facetscope_client.cli.reporting import report
from facetscope_client.cli.setting import EXIT_CODES, Setting, console, print_json
from facetscope_client.cli.spread import spread
from facetscope_client.connection import Connection, Tls
from facetscope_client.errors import error_from
from facetscope_client.report import plain_json

PACKAGE_OF_SERVER = "facetscope"
HEALTH_TIMEOUT_S = 10.0
SECURITY = "How the connection is secured"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=EXIT_CODES,
)


@app.callback()
def connect(
    ctx: typer.Context,
    *,
    server: Annotated[
        str, typer.Option(envvar="FACETSCOPE_SERVER", metavar="HOST:PORT", help="Where it listens.")
    ] = "127.0.0.1:50051",
    timeout: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Give up after so long.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="FACETSCOPE_TOKEN", help="Sent as bearer.", rich_help_panel=SECURITY),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Encrypt, and check the server.", rich_help_panel=SECURITY)
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of whom to trust; implies --tls.", rich_help_panel=SECURITY),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(help="PEM file of the client's certificate.", rich_help_panel=SECURITY),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file of its key.", rich_help_panel=SECURITY)
    ] = None,
) -> None:
    """Find out what makes a unit of a vision model fire.

    Facetscope takes an ONNX, TorchScript or .pt2 file and a folder of pictures, finds the kinds of
    picture (the *facets*) that excite a unit of the model, and synthesizes an image for each.

    1. Start a server: `facetscope serve`

    2. See what the model has: `facetscope describe model.onnx`

    3. Find the facets of unit 3 of layer fc: `facetscope discover model.onnx --images photos/
    --unit fc:3 --out report`

    4. Synthesize an image of each, too: `facetscope inspect model.onnx --images photos/ --unit fc:3
    --out report`

    5. Make sure that it was no chance: `facetscope replay report --out again`
    """
    secured = tls or ca or cert or key
    connection = Connection(
        server, tls=Tls(authorities=ca, certificate=cert, key=key) if secured else None, token=token
    )
    ctx.obj = Setting(connection, timeout, console(), console(stderr=True))


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def serve(ctx: typer.Context) -> None:
    """Start a server on this machine; `facetscope serve --help` lists its options.

    Needs the server itself: `pip install facetscope`.
    """
    if find_spec(PACKAGE_OF_SERVER) is None:
        ctx.obj.messages.print(
            "facetscope: the server is not installed here; install it with: pip install facetscope",
            soft_wrap=True,
        )
        raise typer.Exit(Exit.OTHER)
    os.execv(sys.executable, [sys.executable, "-m", PACKAGE_OF_SERVER, *ctx.args])  # noqa: S606 - to become the server is the purpose


@app.command(epilog=EXIT_CODES)
def health(
    ctx: typer.Context,
    service: Annotated[str, typer.Option(help="Ask for one service only.")] = "",
) -> None:
    """Ask whether the server is up and takes calls."""
    setting: Setting = ctx.obj
    with failures_told(setting.messages), setting.connection.channel() as channel:
        try:
            answer = HealthStub(channel).Check(
                HealthCheckRequest(service=service),
                timeout=setting.timeout_s or HEALTH_TIMEOUT_S,
                metadata=setting.connection.metadata,
            )
        except grpc.RpcError as failure:
            raise error_from(failure) from failure
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    setting.output.print(status.lower().replace("_", " "))
    if answer.status != HealthCheckResponse.SERVING:
        raise typer.Exit(Exit.UNAVAILABLE)


@app.command(epilog=EXIT_CODES)
@spread
def describe(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="An ONNX, TorchScript or .pt2 file, or its digest.")],
    input: InputOptions,
    *,
    precision: PrecisionOption = PrecisionName.FLOAT32,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List what a model takes, and its layers with the number of units in each.

    Example: `facetscope describe model.onnx --size 224`
    """
    setting: Setting = ctx.obj
    display = Display(setting.messages)
    with failures_told(setting.messages):
        with setting.client(display.show_upload) as client, display:
            description = client.describe(model, precision=precision.number, input=input.message())
        if as_json:
            print_json(plain_json(description))
        else:
            setting.output.print(description_table(description))


ModelArgument = Annotated[
    str, typer.Argument(help="An ONNX, TorchScript or .pt2 file, or its digest.")
]
ImagesOption = Annotated[
    list[str],
    typer.Option(
        metavar="DIR|FILE|'PATTERN'",
        help="A folder with folders of pictures, named after their classes; a tar or zip of "
        "one, a WebDataset tar, or a digest; or a pattern in quotes, such as 'shards/*.tar'. "
        "May be repeated.",
    ),
]
OutOption = Annotated[
    Path, typer.Option(file_okay=False, metavar="DIR", help="Where the report is written.")
]
EventsOption = Annotated[
    bool, typer.Option("--json", help="Print every event as one line of JSON.")
]


@app.command(epilog=EXIT_CODES)
@spread
def discover(
    ctx: typer.Context,
    model: ModelArgument,
    *,
    images: ImagesOption,
    unit: UnitOptions,
    out: OutOption,
    discovery: DiscoveryOptions,
    codes: CodeOptions,
    input: InputOptions,
    precision: PrecisionOption = PrecisionName.FLOAT32,
    as_json: EventsOption = False,
) -> None:
    """Find the kinds of image that excite a unit, and what speaks against each.

    No image is synthesized, so this takes seconds where `inspect` takes minutes, and works for
    layers without a gradient. The unit's folder in `--out` has a `contact-sheet.png` to look at
    first.

    Examples:
    - `facetscope discover model.onnx --images photos/ --unit fc:3 --out report`

    - `facetscope discover model.onnx --images photos.tar --unit fc:3 --out report --json | jq
    .facet.evidence.flags`
    """
    setting: Setting = ctx.obj
    chosen = unit.chosen()
    with failures_told(setting.messages):
        prepared = requests.discover_facets(
            model,
            chosen,
            images,
            precision=precision.number,
            input=input.message(),
            discovery=codes.added_to(discovery.message()),
        )
    report(setting, prepared, out, as_json=as_json)


@app.command(epilog=EXIT_CODES)
@spread
def inspect(
    ctx: typer.Context,
    model: ModelArgument,
    *,
    images: ImagesOption,
    units: UnitsOptions,
    out: OutOption,
    discovery: DiscoveryOptions,
    codes: CodeOptions,
    synthesis: SynthesisOptions,
    start: StartOption = None,
    input: InputOptions,
    precision: PrecisionOption = PrecisionName.FLOAT32,
    as_json: EventsOption = False,
) -> None:
    """Find the kinds of image that excite units, and synthesize an image of each kind.

    Every unit gets a folder in `--out` with a `contact-sheet.png` to look at first, its synthesized
    images `facet-NN.png`, mean images and real members. All figures are in `facets.json`.

    Examples:
    - `facetscope inspect model.onnx --images photos/ --unit fc:3 --out report`

    - `facetscope inspect model.pt --images photos/ --unit layer4:17 --unit layer4:18 -k 4 --select
    top:100 --size 224 --out report`

    - `facetscope inspect model.onnx --images photos.tar --unit fc:3 --select label:cat --out report
    --json | jq .image.activation`

    - `facetscope inspect model.onnx --images photos/ --direction pool=striped.npy --out report`
    """
    setting: Setting = ctx.obj
    chosen = units.chosen()
    with failures_told(setting.messages):
        prepared = requests.inspect_units(
            model,
            chosen,
            images,
            precision=precision.number,
            input=input.message(),
            discovery=codes.added_to(discovery.message()),
            synthesis=synthesis.message(discovery.seed, STARTS[start]),
        )
    report(setting, prepared, out, as_json=as_json)


@app.command(epilog=EXIT_CODES)
@spread
def maximize(
    ctx: typer.Context,
    model: ModelArgument,
    *,
    unit: UnitOptions,
    out: OutOption,
    start: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="A picture to start from, for example a facet's mean image or a photo. May be "
            "repeated; each becomes an image. Default: noise.",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, max=256, metavar="N", help="Images to start from noise. Default: 1."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    synthesis: SynthesisOptions,
    input: InputOptions,
    precision: PrecisionOption = PrecisionName.FLOAT32,
    as_json: EventsOption = False,
) -> None:
    """Synthesize images that excite a unit, from noise or from pictures, without an image set.

    `--out` gets a folder for the unit with a `contact-sheet.png` to look at first, and the images:
    `facet-NN.png` is the one from the start of that number.

    Examples:
    - `facetscope maximize model.onnx --unit fc:3 --count 4 --out report`

    - `facetscope maximize model.onnx --unit fc:3 --start cat.jpg --start dog.jpg --alpha
    transparency --out report`
    """
    setting: Setting = ctx.obj
    chosen = unit.chosen()
    if start and count:
        raise typer.BadParameter("each --start becomes one image", param_hint="--count")
    with failures_told(setting.messages):
        prepared = requests.maximize_activation(
            model,
            chosen,
            precision=precision.number,
            input=input.message(),
            synthesis=synthesis.message(seed),
            starts=start or (),
            count=count or 0,
        )
    report(setting, prepared, out, as_json=as_json)


app.command(epilog=EXIT_CODES)(replay)
