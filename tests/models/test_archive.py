"""An archive tells of its model without anything in it being run."""

import io
import pickle
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from facetscope.models.torchscript.archive import LARGEST_TEXT, extras, first_kernel


class Touching:
    """An object whose pickle makes a file when it is loaded as pickles usually are."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def archive_of(path, module, **texts):
    torch.jit.save(torch.jit.script(module.eval()), str(path), _extra_files=texts)
    return path


def with_pickle(path, data):
    """The archive at ``path`` with other weights."""
    with ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, data if name.endswith("/data.pkl") else content)
    return path


def test_the_first_kernel_is_that_of_the_first_module(tmp_path):
    """Later kernels say nothing of pictures."""
    network = nn.Sequential(nn.BatchNorm2d(5), nn.Conv2d(5, 8, (3, 1)), nn.Conv2d(8, 2, 1))
    assert first_kernel(archive_of(tmp_path / "model", network)) == (8, 5, 3, 1)


def test_nothing_in_a_pickle_is_run(tmp_path):
    """A pickle can name any function; here it finds none."""
    marker = tmp_path / "touched"
    data = pickle.dumps([Touching(marker)])
    path = with_pickle(archive_of(tmp_path / "model", nn.Conv2d(3, 4, 3)), data)
    assert first_kernel(path) == ()
    assert not marker.exists()
    pickle.loads(data)
    assert marker.exists()


def nested(depth):
    """Lists in lists, twice each: as a tree they would have 2 ** depth leaves."""
    content = []
    for _ in range(depth):
        content = [content, content]
    return content


def test_what_is_shared_is_seen_once(tmp_path):
    """A pickle of a kilobyte could otherwise keep a worker busy for ever."""
    path = archive_of(tmp_path / "model", nn.Conv2d(3, 4, 3))
    assert first_kernel(with_pickle(path, pickle.dumps(nested(100)))) == ()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A whole archive, and its pickle."""
    path = archive_of(tmp_path_factory.mktemp("archives") / "model", nn.Conv2d(3, 4, 3))
    with ZipFile(path) as archive:
        return path.read_bytes(), archive.read("model/data.pkl")


@given(st.data())
def test_damage_says_nothing_or_something(tmp_path_factory, weights, draw):
    """Whatever bytes are changed, the translator is who refuses a broken archive."""
    whole, data = weights
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model"
    path.write_bytes(whole)
    assert len(first_kernel(with_pickle(path, bytes(damaged)))) in (0, 4)


def test_texts_beside_a_model_are_read(tmp_path):
    """Members of an object stand beside it, as ONNX has them."""
    config = '{"task": "detect", "imgsz": [320, 320]}'
    path = archive_of(tmp_path / "model", nn.ReLU(), **{"config.txt": config, "a/b.txt": "c"})
    assert extras(path) == {
        "config.txt": config,
        "task": "detect",
        "imgsz": "[320, 320]",
        "a/b.txt": "c",
    }


@pytest.mark.parametrize("text", ["[1, 2]", "{", "[" * 10_000, "\udcff", "x" * (LARGEST_TEXT + 1)])
def test_any_text_may_lie_beside_a_model(tmp_path, text):
    """What says nothing is passed over, and what is too long is not read."""
    path = archive_of(tmp_path / "model", nn.ReLU())
    with ZipFile(path, "a") as archive:
        archive.writestr("model/extra/t", text.encode(errors="surrogateescape"))
    found = extras(path)
    assert set(found) == (set() if len(text) > LARGEST_TEXT else {"t"})


def test_an_archive_in_memory_is_like_one_on_disk(tmp_path):
    """``torch.jit.save`` names the folder in the archive after the file, or not."""
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Conv2d(2, 4, 3)), stream)
    path = tmp_path / "other"
    path.write_bytes(stream.getvalue())
    assert first_kernel(path) == (4, 2, 3, 3)
