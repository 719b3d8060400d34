"""Bytes, files and folders on their way to the server."""

import hashlib
import io
import os
import shutil
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetscope_client.artifacts import CHUNK_BYTES, Artifact, NoPicturesError, writes


@given(st.integers(0, 3 * CHUNK_BYTES))
def test_chunks_are_the_bytes_in_order(size):
    """What the server puts together is what was named, also where it is empty."""
    data = bytes(size)
    artifact = Artifact.of(data)
    chunks = list(writes(artifact))
    assert b"".join(chunk.data for chunk in chunks) == data
    assert artifact.digest == hashlib.sha256(data).hexdigest() == chunks[0].digest
    assert all(len(chunk.data) == CHUNK_BYTES for chunk in chunks[:-1])


def test_a_folder_is_a_tar_of_its_pictures(photos):
    """The folder that a picture lies in is its label, so it has to stay."""
    (photos / "notes.txt").write_text("no picture")
    (photos / "cat" / "._a.png").write_bytes(b"what a file system left behind")
    data = b"".join(Artifact.of(photos).blocks())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["cat/a.png", "cat/b.png", "dog/a.png"]
        assert tar.extractfile("dog/a.png").read() == (photos / "dog" / "a.png").read_bytes()


def test_the_same_pictures_are_the_same_artifact(photos, tmp_path):
    """A set that was uploaded from one machine is not uploaded again from another."""
    twin = shutil.copytree(photos, tmp_path / "elsewhere")
    os.utime(twin / "cat" / "a.png", (0, 0))
    (twin / "dog" / "a.png").chmod(0o600)
    assert Artifact.of(twin).digest == Artifact.of(photos).digest


def test_a_folder_without_pictures_is_refused_at_once(tmp_path):
    """Who mistypes a folder learns it before anything is sent."""
    with pytest.raises(NoPicturesError, match="has no pictures"):
        Artifact.of(tmp_path)
