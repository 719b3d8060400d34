"""Labels come from where the format of the set has them."""

import io
import itertools
import json
import tarfile
import zipfile

import pytest

from facetscope.images import samples
from facetscope.images.archives import Archives


def packed(kind, files):
    data = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(data, "w") as archive:
            for name, content in files:
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=data, mode=f"w:{kind}") as archive:
            for name, content in files:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def read(tmp_path):
    """Names and labels of the pictures among these files, and the warnings."""

    def read(files, kind=""):
        (tmp_path / "set").write_bytes(packed(kind, files))
        archives = Archives([tmp_path / "set"], ["set"])
        return [(each.name, each.label) for each in archives.pictures()], archives.warnings

    return read


@pytest.mark.parametrize("kind", ["", "gz", "zip"])
@pytest.mark.parametrize("files", list(itertools.permutations(["1.jpg", "1.cls", "1.txt"])))
def test_a_sidecar_labels_its_picture_wherever_it_stands(read, files, kind):
    """Writers of WebDataset sort by name, or by the order of their keys, or not at all."""
    content = {"1.jpg": b"picture", "1.cls": b"207\n", "1.txt": b"a caption"}
    others = [("2.cls", b"8"), ("2.jpg", b"picture")]
    pictures, warnings = read([(name, content[name]) for name in files] + others, kind)
    assert (pictures, warnings) == ([("1.jpg", "207"), ("2.jpg", "8")], ())


@pytest.mark.parametrize(
    ("sidecar", "label"),
    [
        (("1.cls", b"golden retriever"), "golden retriever"),
        (("1.CLS", " caf\N{LATIN SMALL LETTER E WITH ACUTE} ".encode()), "caf\xe9"),
        (("1.json", b'{"label": 207, "width": 99}'), "207"),
        (("1.json", b'{"label": "retriever"}'), "retriever"),
        (("1.json", b'{"caption": "a dog"}'), "train"),
        (("1.json", b"[1, 2]"), "train"),
        (("1.txt", b"a dog"), "train"),
        (("1.seg.json", b'{"label": 1}'), "train"),
    ],
)
def test_the_label_is_what_the_sidecar_says(read, sidecar, label):
    """A description without a label, or a caption, leaves the label to the folder."""
    name, content = sidecar
    pictures, warnings = read([("train/1.jpg", b"picture"), (f"train/{name}", content)])
    assert (pictures, warnings) == ([("train/1.jpg", label)], ())


@pytest.mark.parametrize("first", ["cls", "json"])
def test_a_class_goes_before_a_description(read, first):
    """The name of the file says that it is the class."""
    files = [("1.cls", b"cat"), ("1.json", b'{"label": "dog"}'), ("1.jpg", b"picture")]
    pictures, _ = read(files if first == "cls" else files[::-1])
    assert pictures == [("1.jpg", "cat")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1.cls", b""),
        ("1.cls", b"\xff\xfe"),
        ("1.cls", b"two\nlines"),
        ("1.cls", b"x" * 257),
        ("1.cls", b"7" + b" " * 2**16),
        ("1.json", b"{"),
        ("1.json", b"[" * 60_000),
        ("1.json", b'{"label": true}'),
        ("1.json", b'{"label": ["a", "b"]}'),
        ("1.json", b'{"label": ""}'),
        ("1.json", b'{"label": 1.5}'),
    ],
)
def test_a_sidecar_that_gives_no_label_is_told_of(read, name, content):
    """One bad line among millions costs its picture the label, not the night's run."""
    pictures, warnings = read([(f"train/{name}", content), ("train/1.jpg", b"picture")])
    assert pictures == [("train/1.jpg", "")]
    (warning,) = warnings
    assert f"no label: 1, among them train/{name}" in warning


def test_all_pictures_of_a_sample_have_its_label(read):
    """Two cameras saw one dog."""
    files = ["1.left.png", "1.cls", "1.right.png"]
    assert read([(name, b"dog") for name in files])[0] == [
        ("1.left.png", "dog"),
        ("1.right.png", "dog"),
    ]


def test_a_sample_is_in_one_folder(read):
    """Shards of several splits number their samples alike."""
    pictures, _ = read([("a/1.cls", b"x"), ("b/1.jpg", b"picture")])
    assert pictures == [("b/1.jpg", "b")]


def test_labels_of_nested_folders_are_the_innermost(read):
    """As in ImageNet: a split has classes, which have pictures."""
    assert read([("train/n01/x.jpg", b"picture")])[0] == [("train/n01/x.jpg", "n01")]


@pytest.mark.parametrize("limit", ["MOST_PICTURES", "MOST_BYTES"])
def test_what_waits_for_a_label_is_bounded(read, limit, monkeypatch):
    """A folder whose pictures are all called IMG.something looks like one sample."""
    monkeypatch.setattr(samples, limit, 2)
    files = [(f"cat/IMG.{index}.jpg", b"x") for index in range(5)] + [("cat/IMG.cls", b"late")]
    pictures, _ = read(files)
    assert [name for name, _ in pictures] == [name for name, _ in files[:5]]
    assert {label for _, label in pictures[:2]} == {"cat"}


def test_what_json_may_be_is_bounded_before_it_is_read(read):
    """A sidecar is read whole."""
    content = json.dumps({"label": "x", "text": "y" * 2**16}).encode()
    pictures, warnings = read([("1.json", content), ("1.jpg", b"picture")])
    assert pictures == [("1.jpg", "")]
    assert warnings
