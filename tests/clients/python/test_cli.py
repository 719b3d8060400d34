"""The command line, as its own process or through Typer's runner, against the scripted server."""

import io
import json
import re
import signal
import subprocess
import sys

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from rich.console import Console
from tests.clients.python.support import (
    INSPECTION,
    UNIT,
    Failure,
    facet,
    image,
    manifest,
    preview,
    progress,
)
from typer.testing import CliRunner

from facetscope_client.cli.app import app
from facetscope_client.cli.progress import Display
from facetscope_client.gen.facetscope.v1 import inspection_pb2
from facetscope_client.gen.facetscope.v1.inspection_pb2 import (
    WORK_PHASE_ENCODING_IMAGES,
    DescribeModelResponse,
    Progress,
)
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    FIT_STRETCH,
    INPUT_SOURCE_GRAPH,
    RUNTIME_ONNX_RUNTIME,
    Input,
    InputOrigin,
    InputTensor,
    Layer,
    Obstacle,
    ParityAbsence,
    ReceptiveField,
)
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    ALPHA_ATTRIBUTION,
    ENCODING_UNSPECIFIED,
    ENCODING_WEBP,
)

COMMAND = [sys.executable, "-m", "facetscope_client"]


def test_an_inspection_fills_a_folder(inspect, scripted, tmp_path):
    """The path that is printed is the picture to look at."""
    scripted.scripts = [INSPECTION]
    result = inspect()
    assert result.exit_code == 0, result.output
    sheet = tmp_path / "out" / "fc-3" / "contact-sheet.png"
    assert result.stdout.strip() == str(sheet)
    assert sheet.is_file()


def test_a_discovery_has_a_sheet_without_images(run, model, photos, scripted, tmp_path):
    """Who wants facets alone waits for seconds only."""
    scripted.scripts = [[progress(), facet(0), facet(1), manifest()]]
    options = ("--images", photos, "--unit", "fc:3", "--out", tmp_path / "out", "-k", 2)
    result = run("discover", model, *options)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "fc-3" / "contact-sheet.png").is_file()
    report = json.loads((tmp_path / "out" / "facets.json").read_text())
    (unit,) = report["units"]
    assert unit["facets"][0]["evidence"]["flags"][0]["sign"] == "SIGN_CORNER"
    assert unit["facets"][0]["farthest_thumbnails"][2]["file"].endswith("farthest-02.png")
    assert unit["images"] == []
    assert scripted.requests[-1].discovery.facets == 2


def test_events_can_be_piped(inspect, scripted):
    """Every line of --json is an event, with the path of a picture where its bytes were."""
    scripted.scripts = [INSPECTION]
    lines = [json.loads(line) for line in inspect("--json").stdout.splitlines()]
    kinds = [kind for line in lines for kind in line]
    assert kinds == ["progress", "facet", "facet", "preview", "image", "image", "manifest"]
    assert lines[4]["image"]["picture"]["file"].endswith("fc-3/facet-00.png")
    assert "data" not in lines[4]["image"]["picture"]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 3),
        (grpc.StatusCode.NOT_FOUND, 3),
        (grpc.StatusCode.UNIMPLEMENTED, 3),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 1),
        (grpc.StatusCode.INTERNAL, 1),
    ],
)
def test_a_failure_is_one_sentence_and_a_code(inspect, scripted, code, exit_code):
    """A script acts on the code, a person on the sentence; nobody reads a traceback."""
    scripted.scripts = [[Failure(code, "SOME_REASON")]]
    result = inspect()
    assert result.exit_code == exit_code
    assert result.stderr.strip() == "facetscope: what to do [SOME_REASON]"


def test_no_server_is_told_from_other_failures():
    """A pipeline may wait for a server, but not for a wrong request to become right."""
    result = CliRunner().invoke(app, ["--server", "127.0.0.1:1", "health"])
    assert result.exit_code == 4
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "options",
    [
        ["--unit", "fc"],
        [],
        ["--direction", "fc=nowhere.npy"],
        ["--unit", "fc:1", "--select", "best"],
        ["--unit", "fc:1", "-k", "some"],
        ["--unit", "fc:1", "-k", "2-"],
        ["--unit", "fc:1", "--select", "quantile:most"],
        ["--unit", "fc:1", "--view", "nearby"],
        ["--unit", "fc:1", "--range", "1"],
        ["--unit", "fc:1", "--size", "big"],
        ["--unit", "fc:1", "--select", "predicted:1"],
    ],
)
def test_wrong_options_are_refused_before_any_call(run, scripted, model, photos, options):
    """Nothing is uploaded for a typing error."""
    result = run("inspect", model, "--images", photos, "--out", photos / "out", *options)
    assert result.exit_code == 2
    assert not scripted.requests


def test_a_wrong_unit_is_told_the_forms(inspect):
    """The sentence of the parser reaches the reader."""
    result = inspect("--unit", "fc:three")
    assert (result.exit_code, "LAYER:3-8" in re.sub(r"[\s│]+", "", result.stderr)) == (2, True)


def test_a_file_that_is_not_there_is_a_usage_error(run, tmp_path):
    """The sentence names the file."""
    result = run("describe", tmp_path / "nowhere.onnx")
    assert result.exit_code == 2
    assert "nowhere.onnx" in result.stderr.replace("\n", "")


def test_a_model_is_described_as_a_table(run, scripted, model):
    """A newcomer finds the names of layers to inspect."""
    field = ReceptiveField(size=[7, 9], stride=[2, 2])
    layer = Layer(
        name="fc", kind="Gemm", shape=[-1, 10], channels=10, output=True, receptive_field=field
    )
    tensor = InputTensor(name="x", shape=[-1, 3, 32, 32])
    origin = InputOrigin(field="high", source=INPUT_SOURCE_GRAPH, evidence="first sub")
    described = DescribeModelResponse(
        format="ONNX",
        layers=[layer],
        input_tensors=[tensor],
        input=Input(channels=5, resize=256, fit=FIT_STRETCH),
        input_origins=[origin],
        logits="fc",
        class_names=[f"class {index}" for index in range(10)],
    )
    scripted.scripts = [[described], [described]]
    table = run("describe", model).stdout
    assert all(text in table for text in ("ONNX", "x [n, 3, 32, 32]", "Gemm", "[n, 10]", "output"))
    assert all(text in table for text in ("7 x 9 / 2", "by graph", "high (first sub)"))
    assert all(
        text in table for text in ("of 5 channels", "stretched to 256", "class 7 and 2 more")
    )
    assert json.loads(run("describe", model, "--json").stdout)["layers"][0]["channels"] == 10


def test_a_description_tells_what_stands_in_the_way(run, scripted, model):
    """A missing comparison and a missing gradient are told in the words of the server."""
    obstacle = Obstacle(node="rnn", operator="LSTM", problem="no translation")
    layer = Layer(name="fc", kind="Gemm", shape=[-1, 10], channels=10, obstacle=obstacle)
    absence = ParityAbsence(problem="nothing to compare")
    described = DescribeModelResponse(layers=[layer], obstacle=obstacle, parity_absence=absence)
    scripted.scripts = [[described]]
    table = run("describe", model).stdout
    assert "not measured: nothing to compare" in table
    assert "LSTM at rnn: no translation" in table
    assert "no gradient" in table


def test_the_runtime_is_asked_for_and_warnings_are_shown(inspect, scripted):
    """A GPU that was not used is no secret."""
    scripted.scripts = [[manifest("it rains")]]
    result = inspect("--runtime", "onnx-runtime")
    assert "warning: it rains" in result.stderr
    assert scripted.requests[-1].discovery.runtime == RUNTIME_ONNX_RUNTIME


def test_images_are_maximized_from_pictures(run, model, photos, scripted, tmp_path):
    """The pictures themselves travel with the request, and what is sent back is chosen."""
    scripted.scripts = [[image(0), image(1), manifest()]]
    starts = [
        option for name in ("a.png", "b.png") for option in ("--start", photos / "cat" / name)
    ]
    how = ("--encoding", "webp", "--alpha", "attribution", "--seed", 9)
    result = run("maximize", model, "--unit", "fc:3", *starts, *how, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    request = scripted.requests[-1]
    assert [start.data for start in request.starts] == [
        (photos / "cat" / name).read_bytes() for name in ("a.png", "b.png")
    ]
    assert (request.synthesis.encoding, request.synthesis.alpha) == (
        ENCODING_WEBP,
        ALPHA_ATTRIBUTION,
    )
    assert (request.synthesis.seed, request.synthesis.start, request.count) == (9, 0, 0)
    assert result.stdout.strip() == str(tmp_path / "out" / "fc-3" / "contact-sheet.png")


def test_images_are_maximized_from_noise(run, model, scripted, tmp_path):
    """Who has no pictures says how many images to make, and cannot say it twice."""
    scripted.scripts = [[image(0), manifest()]]
    options = ("maximize", model, "--unit", "fc:3", "--out", tmp_path / "out")
    assert run(*options, "--count", 4).exit_code == 0
    assert scripted.requests[-1].count == 4
    assert scripted.requests[-1].synthesis.encoding == ENCODING_UNSPECIFIED
    assert run(*options, "--count", 4, "--start", model).exit_code == 2


def test_a_run_keeps_its_request(inspect, scripted, model, tmp_path):
    """It is there from the first event on, so that an interrupted run can be made again, too."""
    scripted.scripts = [[progress()]]
    inspect("--seed", "7")
    kept = json.loads((tmp_path / "out" / "request.json").read_text())
    assert kept["rpc"] == "InspectUnits"
    assert ParseDict(kept["request"], inspection_pb2.InspectUnitsRequest()) == scripted.requests[-1]
    assert [each["name"] for each in kept["artifacts"]] == ["model.onnx", "photos/"]
    assert kept["artifacts"][0]["size_bytes"] == model.stat().st_size


def test_a_refused_request_leaves_the_report_before_it(inspect, scripted, tmp_path):
    """A mistyped option costs nothing that was found out."""
    scripted.scripts = [INSPECTION, [Failure(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")]]
    inspect("--seed", "7")
    files = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.json")}
    assert len(files) == 2
    assert inspect("--seed", "8").exit_code == 3
    assert {path: path.read_bytes() for path in files} == files


def test_a_run_without_results_leaves_no_figures_of_another(inspect, scripted, tmp_path):
    """Figures beside a request that did not bring them would be taken for its own."""
    scripted.scripts = [INSPECTION, [progress()]]
    inspect("--seed", "7")
    inspect("--seed", "8")
    assert not (tmp_path / "out" / "facets.json").exists()


def test_a_skipped_unit_is_told_and_reported(inspect, scripted, tmp_path):
    """It has no folder to look into, and no silence either."""
    skipped = inspection_pb2.UnitSkipped(
        unit=UNIT, reason="UNIT_SILENT", message="nothing excites it"
    )
    scripted.scripts = [[inspection_pb2.Event(skipped=skipped), manifest()]]
    result = inspect()
    assert result.exit_code == 0
    assert "skipped fc:3: nothing excites it" in result.stderr
    report = json.loads((tmp_path / "out" / "facets.json").read_text())
    assert report["units"] == []
    assert [each["reason"] for each in report["skipped"]] == ["UNIT_SILENT"]


def test_an_interrupt_cancels_the_call_and_keeps_the_results(
    address, scripted, model, photos, tmp_path
):
    """Ctrl-C frees the worker and costs nothing that has already arrived."""
    scripted.scripts = [[progress(), facet(), preview(), ...]]
    options = ["--images", photos, "--unit", "fc:3", "--out", tmp_path, "--json"]
    # A shell starts what runs in the background deaf to interrupts, and so its children.
    hearing = ["env", "--default-signal=INT", *COMMAND]
    command = [*hearing, "--server", address, "inspect", model, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while b'"preview"' not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 5
    assert b"Traceback" not in errors
    assert scripted.ended.wait(timeout=5)
    assert len(json.loads((tmp_path / "facets.json").read_text())["units"]) == 1


def test_serve_becomes_the_server_or_says_what_is_missing():
    """The client alone has no server to start, and knows how to get one."""
    probe = "import sys; sys.path = [p for p in sys.path if not p.endswith('/service')]; "
    probe += "from facetscope_client.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-P", "-c", probe, "serve"], capture_output=True, check=False, text=True
    )
    assert result.returncode == 1
    assert "pip install facetscope" in result.stderr


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({"done": 320, "total": 1300, "rate": 87.6}, "320/1,300 images, 88/s"),
        ({"done": 320, "fraction": 0.25, "rate": 87.6}, "320 images, 88/s"),
    ],
)
def test_images_are_counted_with_their_rate(known, shown):
    """Who waits for a large set sees how fast it goes, and how long it is where that is known."""
    screen = io.StringIO()
    with Display(Console(file=screen, force_terminal=True, width=120)) as display:
        display.show(Progress(phase=WORK_PHASE_ENCODING_IMAGES, **known))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert f" {shown} " in text
