"""Replays, from a real server: what was made once is made again, and compared."""

import json
from pathlib import Path
from shutil import copytree

import pytest
from PIL import Image
from tests import networks
from tests.servers import serving
from typer.testing import CliRunner

from facetscope_client.cli.app import app

SCHEDULE = {"phases": [{"steps": 6, "step_size_start": 3, "tv_weight_start": 1}]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a model, photos, a picture to start from and a schedule."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "model.onnx").write_bytes(networks.tiny_onnx())
    (folder / "other.onnx").write_bytes(networks.tiny_onnx(seed=1))
    (folder / "schedule.json").write_text(json.dumps(SCHEDULE))
    for number, data in enumerate(networks.inline_pictures()):
        path = folder / "photos" / f"{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "start.png").write_bytes(networks.picture())
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("store")) as (_, address):
        yield address


def ran(address, *args):
    return CliRunner().invoke(app, ["--server", address, "--timeout", "120", *map(str, args)])


def replayed(address, *args):
    return ran(address, "replay", *args)


@pytest.fixture(scope="module")
def report(address, files, tmp_path_factory):
    """The folder of an inspection with facets and synthesized images."""
    out = tmp_path_factory.mktemp("report")
    result = ran(
        *(address, "inspect", files / "model.onnx", "--images", files / "photos"),
        *("--unit", "logits:0", "-k", 3, "--select", "all", "--seed", 5),
        *("--schedule", files / "schedule.json", "--alpha", "transparency", "--out", out),
    )
    assert result.exit_code == 0, result.output
    return out


def test_the_same_request_has_the_same_results(address, report, tmp_path):
    """A published picture can be made again by whoever has the report."""
    result = replayed(address, report, "--out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("identical: ")
    pictures = [path.relative_to(report) for path in report.rglob("facet-*")]
    assert len(pictures) > 6
    for picture in pictures:
        assert (tmp_path / "again" / picture).read_bytes() == (report / picture).read_bytes()


@pytest.mark.parametrize("encoding", ["npy", "float32", "webp"])
def test_pictures_to_start_from_are_kept(address, files, tmp_path, encoding):
    """What a request has in itself is in its record, whatever becomes of the files."""
    start = tmp_path / "start.png"
    start.write_bytes((files / "start.png").read_bytes())
    result = ran(
        *(address, "maximize", files / "model.onnx", "--unit", "logits:1", "--start", start),
        *("--schedule", files / "schedule.json", "--encoding", encoding, "--out", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    start.unlink()
    result = replayed(address, tmp_path / "out" / "facets.json", "--out", tmp_path / "again")
    assert (result.exit_code, result.stdout[:9]) == (0, "identical"), result.output


def test_a_discovery_is_replayed_too(address, files, tmp_path):
    """Facets have a seed, and are a function of their request like images."""
    result = ran(
        *(address, "discover", files / "model.onnx", "--images", files / "photos"),
        *("--unit", "logits:0", "-k", 3, "--select", "all", "--out", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    result = replayed(address, tmp_path / "out", "--out", tmp_path / "again")
    assert (result.exit_code, result.stdout[:9]) == (0, "identical"), result.output


def test_what_differs_is_told_with_its_size_and_its_cause(address, report, tmp_path):
    """A reader learns whether it is rounding on another machine, or another picture."""
    changed = copytree(report, tmp_path / "changed")
    picture = changed / "logits-0" / "facet-01.png"
    pixels = Image.open(picture)
    colour = list(pixels.getpixel((2, 3)))
    colour[0] += 4 if colour[0] < 128 else -4
    pixels.putpixel((2, 3), tuple(colour))
    pixels.save(picture)
    ledger = json.loads((changed / "facets.json").read_text())
    ledger["units"][0]["images"][0]["activation"] *= 2
    ledger["manifest"]["versions"]["torch"] = "1.0"
    (changed / "facets.json").write_text(json.dumps(ledger))
    result = replayed(address, changed, "--out", tmp_path / "again")
    assert result.exit_code == 6, result.output
    assert "1 of 36 pictures differ, by 4 grey levels at most" in result.stdout
    assert "units[0].images[0].activation was" in result.stdout
    assert "numbers by 0.5 of their size at most" in result.stdout
    assert "manifest.versions.torch was 1.0 and is" in result.stdout
    found = replayed(address, changed, "--out", tmp_path / "again", "--json")
    found = json.loads(found.stdout)
    assert not found["identical"]
    assert found["different_pictures"][0]["file"] == "logits-0/facet-01.png"
    assert found["different_pictures"][0]["mean"] == pytest.approx(4 / (4 * 16 * 16))


def test_another_server_says_what_it_lacks_and_makes_the_same(report, files, tmp_path):
    """Results do not depend on the process; files that the store lost are asked for by name."""
    with serving(tmp_path / "store") as (_, address):
        result = replayed(address, report, "--out", tmp_path / "again")
        assert result.exit_code == 2
        needed = json.loads((report / "request.json").read_text())["artifacts"]
        assert [each["name"] for each in needed] == ["model.onnx", "photos/"]
        for each in needed:
            assert f"{each['name']} (SHA-256 {each['digest']}" in result.stderr
        wrong = ["--model", files / "other.onnx", "--images", files / "photos"]
        result = replayed(address, report, *wrong, "--out", tmp_path / "again")
        assert result.exit_code == 2
        assert "other.onnx has SHA-256" in result.stderr
        right = ["--model", files / "model.onnx", "--images", files / "photos"]
        result = replayed(address, report, *right, "--out", tmp_path / "again")
        assert (result.exit_code, result.stdout[:9]) == (0, "identical"), result.output


def test_a_report_is_not_written_over(address, report):
    """What is compared with must be there to be compared with."""
    before = {path: path.read_bytes() for path in report.rglob("*.json")}
    result = replayed(address, report, "--out", report)
    assert result.exit_code == 2
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "request.json").unlink(), "has no request.json"),
        (lambda folder: (folder / "request.json").write_text("{}"), "is not understood"),
        (lambda folder: (folder / "facets.json").unlink(), "brought no results"),
        (
            lambda folder: (folder / "facets.json").write_text('{"units": [], "manifest": null}'),
            "did not come to its end",
        ),
    ],
)
def test_what_cannot_be_replayed_is_told(address, report, tmp_path, spoil, told):
    """Before the server has worked for minutes."""
    folder = copytree(report, tmp_path / "spoilt")
    spoil(folder)
    result = replayed(address, folder, "--out", tmp_path / "again")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not Path(tmp_path / "again").exists()
