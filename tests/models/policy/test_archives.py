"""Archives that two readers would read in two ways, or that grow when they are read."""

import io
import struct
import zipfile
from itertools import repeat

import pytest
from tests.models.policy.rewriting import rewritten

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError
from facetscope.models.policy import archives, check_torchscript


def test_compressed_weights_are_refused(archive):
    """Torch stores tensors as they are; a compressed one may be a bomb."""
    with pytest.raises(ModelForbiddenError, match="compressed"):
        check_torchscript(rewritten(archive, lambda n, d: [(n, d, zipfile.ZIP_DEFLATED)]))


def test_code_that_unpacks_to_far_more_than_the_file_is_refused(archive):
    """Code is compressed, and zeros compress a thousandfold."""
    bomb = bytes(2**26 + 2**20)

    def change(name, data):
        yield name, data
        if name.endswith("/version"):
            yield name.replace("version", "code/bomb.txt"), bomb, zipfile.ZIP_DEFLATED

    with pytest.raises(ModelForbiddenError, match="when unpacked"):
        check_torchscript(rewritten(archive, change))


def test_an_archive_with_a_comment_is_refused(archive):
    """Two readers of one zip file must not find two archives in it."""
    with zipfile.ZipFile(archive, "a") as new:
        new.comment = b"PK"
    with pytest.raises(ModelForbiddenError, match="comment"):
        check_torchscript(archive)


def test_damaged_weights_are_noticed(archive):
    """Torch itself loads them, and a wrong weight looks like a right one."""
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as whole:
        weights = next(info for info in whole.infolist() if "/data/" in info.filename)
        position = data.index(whole.read(weights))
    data[position] ^= 1
    archive.write_bytes(data)
    with pytest.raises(ModelUnreadableError, match="checksum"):
        check_torchscript(archive)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive at all", bytes(1000)])
def test_what_is_no_archive_is_unreadable(tmp_path, data):
    """Anything can be uploaded."""
    (tmp_path / "model.pt").write_bytes(data)
    with pytest.raises(ModelUnreadableError):
        check_torchscript(tmp_path / "model.pt")


ADDED = {
    "model/version": "a second entry 'model/version'",
    "model/VERSION": "a second entry 'model/VERSION'",
    "model/../../etc/passwd": "leads elsewhere",
    "/etc/passwd": "leads elsewhere",
    "model/data\\0": "leads elsewhere",
    "other/data/0": "two root folders, 'model' and 'other'",
    "model/" + "x" * 1024: "a name of 1030 characters, more than 1024",
}


@pytest.mark.parametrize(("name", "problem"), ADDED.items(), ids=lambda text: text[:30])
def test_a_name_that_readers_take_differently_is_refused(archive, name, problem):
    """What is checked must be what is opened."""

    def change(entry, data):
        yield entry, data
        if entry == "model/version":
            yield name, data

    with pytest.raises(ModelForbiddenError) as caught:
        check_torchscript(rewritten(archive, change))
    assert problem in str(caught.value)


def test_a_table_of_very_many_entries_is_refused(archive, monkeypatch):
    """Each costs memory, several times over, in everything that reads the archive."""
    monkeypatch.setattr(archives, "MOST_ENTRIES", 20)
    extra = iter(repeat(b"", 20))

    def change(name, data):
        yield name, data
        yield from ((f"model/extra/{number}", data) for number, data in enumerate(extra))

    with pytest.raises(ModelForbiddenError, match=r"\d+ entries, more than 20"):
        check_torchscript(rewritten(archive, change))


def table_of(data):
    """Offset of the table of contents, and of what ends it: with torch's wide description."""
    end = len(data) - archives.END.size
    return archives.END.unpack_from(data, end)[6], end


def with_gap(data):
    start, end = table_of(data)
    locator = end - archives.LOCATOR.size
    wide = locator - archives.END_64.size
    moved = bytearray(data[:start] + bytes(100) + data[start:])
    struct.pack_into("<Q", moved, wide + 100 + 48, start + 100)
    struct.pack_into("<Q", moved, locator + 100 + 8, wide + 100)
    struct.pack_into("<L", moved, end + 100 + 16, start + 100)
    return bytes(moved)


def with_narrow_start(data):
    start, end = table_of(data)
    changed = bytearray(data)
    struct.pack_into("<L", changed, end + 16, start + 1)
    return bytes(changed)


def with_locator(data):
    _, end = table_of(data)
    changed = bytearray(data)
    struct.pack_into("<Q", changed, end - archives.LOCATOR.size + 8, 0)
    return bytes(changed)


def with_overlap(data):
    start, _ = table_of(data)
    changed = bytearray(data)
    second = data.index(b"PK\x01\x02", start + 4)
    struct.pack_into("<L", changed, second + 42, 0)
    return bytes(changed)


def with_encryption(data):
    start, _ = table_of(data)
    changed = bytearray(data)
    changed[start + 8] |= 1
    return bytes(changed)


LAYOUTS = {
    "another archive before": (lambda data: data + data, "differ"),
    "bytes between": (with_gap, "bytes of no entry, before the table"),
    "a narrow description that differs": (with_narrow_start, "descriptions.*differ"),
    "a wide description elsewhere": (with_locator, "descriptions.*differ|beside its own"),
    "two entries in one place": (with_overlap, "share bytes"),
    "an encrypted entry": (with_encryption, "encrypted"),
}


@pytest.mark.parametrize(("spoil", "problem"), LAYOUTS.values(), ids=LAYOUTS)
def test_an_archive_with_two_contents_is_refused(archive, spoil, problem):
    """A scanner that follows one description, and a loader that follows the other."""
    archive.write_bytes(spoil(archive.read_bytes()))
    with pytest.raises(ModelForbiddenError, match=problem):
        check_torchscript(archive)


def test_archives_that_python_writes_pass(archive):
    """Tools repack archives, and their layout is as plain as torch's."""
    check_torchscript(rewritten(archive, lambda name, data: [(name, data)]))
    data = io.BytesIO(archive.read_bytes())
    assert zipfile.ZipFile(data).testzip() is None
