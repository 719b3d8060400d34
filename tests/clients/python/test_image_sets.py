"""Folders, archives and patterns on their way to the server."""

import io
import os
import random
import shutil
import tarfile
from pathlib import Path

import pytest

from facetscope_client import image_sets
from facetscope_client.artifacts import Artifact
from facetscope_client.image_sets import NoPicturesError, image_sources


def bytes_of(artifact):
    return b"".join(artifact.blocks())


def names_in(artifact):
    with tarfile.open(fileobj=io.BytesIO(bytes_of(artifact))) as tar:
        return tar.getnames()


@pytest.fixture
def many(tmp_path):
    """A folder of 600 files that are called pictures, of many sizes."""
    sizes = random.Random(0)
    for index in range(600):
        path = tmp_path / "many" / f"class {index % 3}" / f"{index:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(sizes.randrange(1, 3000)))
    return tmp_path / "many"


@pytest.fixture
def small_shards(monkeypatch):
    for name, value in {"MOST_PICTURES": 60, "USUAL_PICTURES": 20}.items():
        monkeypatch.setattr(image_sets, name, value)
    for name, value in {"MOST_BYTES": 80_000, "USUAL_BYTES": 30_000}.items():
        monkeypatch.setattr(image_sets, name, value)


def test_a_folder_is_a_tar_of_its_pictures(photos):
    """The folder that a picture lies in is its label, so it has to stay."""
    (photos / "notes.txt").write_text("no picture")
    (photos / "cat" / "._a.png").write_bytes(b"what a file system left behind")
    (artifact,) = image_sources(photos)
    with tarfile.open(fileobj=io.BytesIO(bytes_of(artifact))) as tar:
        assert tar.getnames() == ["cat/a.png", "cat/b.png", "dog/a.png"]
        assert tar.extractfile("dog/a.png").read() == (photos / "dog" / "a.png").read_bytes()


def test_the_same_pictures_are_the_same_artifact(photos, tmp_path):
    """A set that was uploaded from one machine is not uploaded again from another."""
    twin = shutil.copytree(photos, tmp_path / "elsewhere")
    os.utime(twin / "cat" / "a.png", (0, 0))
    (twin / "dog" / "a.png").chmod(0o600)
    assert [each.digest for each in image_sources(twin)] == [
        each.digest for each in image_sources(photos)
    ]


@pytest.mark.usefixtures("small_shards")
def test_a_large_folder_is_several_shards(many):
    """Each is uploaded on its own, and together they hold every picture once, in order."""
    shards = list(image_sources(many))
    names = [names_in(shard) for shard in shards]
    pictures = sorted(path.relative_to(many).as_posix() for path in many.rglob("*.png"))
    assert [name for shard in names for name in shard] == pictures
    assert len(shards) > 8
    for shard in names:
        assert len(shard) <= 60
        assert sum((many / name).stat().st_size for name in shard) <= 80_000


@pytest.mark.usefixtures("small_shards")
def test_one_more_picture_changes_few_shards(many):
    """Who adds a picture to a million does not upload a million again."""
    before = {shard.digest for shard in image_sources(many)}
    (many / "class 0" / "0000a.png").write_bytes(b"new")
    after = {shard.digest for shard in image_sources(many)}
    assert 1 <= len(after - before) <= 3


@pytest.mark.usefixtures("small_shards")
def test_a_picture_larger_than_a_shard_has_one_of_its_own(photos):
    """It is for the server to say what is too large."""
    (photos / "cat" / "aa.png").write_bytes(bytes(100_000))
    assert ["cat/aa.png"] in [names_in(shard) for shard in image_sources(photos)]


def test_a_pattern_is_the_files_it_matches(tmp_path):
    """The shards of a WebDataset are named one by one by nobody."""
    for index in (1, 0, 2):
        (tmp_path / f"set-{index}.tar").write_bytes(bytes([index]))
    (tmp_path / "set.txt").write_bytes(b"else")
    found = image_sources(str(tmp_path / "set-*.tar"))
    assert [bytes_of(each) for each in found] == [b"\0", b"\1", b"\2"]


def test_a_file_may_be_called_as_a_pattern_is(tmp_path):
    """A file that is there is itself."""
    (tmp_path / "set[1].tar").write_bytes(b"x")
    (found,) = image_sources(tmp_path / "set[1].tar")
    assert bytes_of(found) == b"x"


def test_kinds_of_sources_mix(photos):
    """What is given as a digest stays one."""
    digest, folder, inline = image_sources(["0" * 64, photos, b"archive"])
    assert (digest, bytes_of(inline)) == ("0" * 64, b"archive")
    assert isinstance(folder, Artifact)


@pytest.mark.parametrize("pattern", ["", "no-*.tar"])
def test_what_has_no_pictures_is_refused_at_once(tmp_path, pattern):
    """Who mistypes a folder learns it before anything is sent."""
    with pytest.raises(NoPicturesError, match=r"has no pictures|matches no file"):
        list(image_sources(Path(tmp_path, pattern)))


def test_an_unchanged_shard_is_not_sent_again(caller, scripted, photos, monkeypatch):
    """Only what is new of a large set travels."""
    monkeypatch.setattr(image_sets, "MOST_PICTURES", 1)
    first = caller.ask("upload_images", photos)
    assert (len(first), len(scripted.writes)) == (3, 3)
    shutil.copy(photos / "cat" / "a.png", photos / "cat" / "c.png")
    second = caller.ask("upload_images", photos)
    assert (len(second), len(scripted.writes)) == (4, 4)
    assert set(first) < set(second)
