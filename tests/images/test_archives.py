"""Archives are written as users write them, and damaged as networks and disks damage them."""

import gzip
import io
import tarfile
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facetscope.domain.errors import ImageSetUnreadableError
from facetscope.images import samples
from facetscope.images.archives import Archives
from facetscope.images.samples import NamedPicture

FILES = {
    "set/cat/b.jpg": b"b",
    "set/dog/a.PNG": b"a",
    "top.webp": b"t",
    "set/cat/unreadable.tiff": b"u",
    "set/labels.txt": b"no picture",
    "set/cat/.hidden.jpg": b"no picture",
    "set/.cache/c.jpg": b"no picture",
    "__MACOSX/cat/._b.jpg": b"no picture",
}
PICTURES = [
    NamedPicture("set/cat/b.jpg", "cat", b"b"),
    NamedPicture("set/dog/a.PNG", "dog", b"a"),
    NamedPicture("top.webp", "", b"t"),
    NamedPicture("set/cat/unreadable.tiff", "cat", b"u"),
]


def tar_of(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def zip_of(files, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tar_gz_of(files):
    return gzip.compress(tar_of(files))


KINDS = pytest.mark.parametrize("pack", [tar_of, tar_gz_of, zip_of])


@pytest.fixture
def read(tmp_path):
    """Reads an archive of these bytes."""

    def read(data):
        path = tmp_path / "archive"
        path.write_bytes(data)
        return list(Archives([path], ["set 1"]).pictures())

    return read


@KINDS
def test_pictures_come_in_the_archives_order_labelled_by_their_folder(read, pack):
    """Whatever kind the archive is of, users see the names that they packed."""
    assert read(pack(FILES)) == PICTURES


@KINDS
def test_an_archive_without_pictures_has_none(read, pack):
    """Whether none are too few is for the caller to say."""
    assert read(pack({"readme.md": b""})) == read(pack({})) == []


def test_a_zip_at_the_end_of_a_tar_does_not_make_it_a_zip(read):
    """The kind is what the first bytes say, not the last."""
    data = tar_of({"a.png": b"a", "b.zip": zip_of({"c.png": b"c"})})
    assert [picture.name for picture in read(data)] == ["a.png"]


def test_names_that_leave_the_folder_are_only_names(read):
    """Nothing is ever unpacked, so there is nowhere to escape to."""
    assert [picture.name for picture in read(tar_of({"../x/a.png": b"a"}))] == ["../x/a.png"]


def test_links_are_passed_over(read):
    """A link has no bytes of its own, and may point to anything."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert read(packed.getvalue()) == []


def test_names_that_are_no_unicode_are_readable_all_the_same(read):
    """Names travel in messages, which are UTF-8."""
    data = tar_of({"caf?.png": b"a"}).replace(b"caf?", b"caf\xe9")
    block = bytearray(data[:512])
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    (picture,) = read(bytes(block) + data[512:])
    assert picture.name == "caf\N{REPLACEMENT CHARACTER}.png"


@KINDS
def test_a_picture_may_have_only_so_many_bytes(read, pack, monkeypatch):
    """A small archive can unpack to more than memory holds."""
    monkeypatch.setattr(samples, "LARGEST_PICTURE", 1000)
    assert len(read(pack({"a.png": bytes(1000)}))) == 1
    with pytest.raises(ImageSetUnreadableError, match=r"a\.png has 1001 bytes"):
        read(pack({"a.png": bytes(1001)}))


@pytest.mark.parametrize("data", [b"", b"PK", b"\x1f\x8b", b"GIF89a" * 1000, b"\x1f\x8b\x08" * 99])
def test_what_is_no_archive_is_refused_by_name(read, data):
    """A picture sent in the place of an archive is told from one that holds none."""
    with pytest.raises(ImageSetUnreadableError, match="set 1"):
        read(data)


@KINDS
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_an_archive_that_was_cut_off_is_refused(read, pack, part):
    """Facets of half a set would be taken for those of the whole."""
    whole = pack({f"{index}.png": bytes(range(256)) * 16 for index in range(20)})
    with pytest.raises(ImageSetUnreadableError):
        read(whole[: int(len(whole) * part)])


@pytest.mark.parametrize("blocks", [2, 2.5])
def test_a_tar_without_its_end_mark_was_cut_off(read, blocks):
    """Cut between two files, or within a header, nothing else would tell."""
    with pytest.raises(ImageSetUnreadableError, match="cut off"):
        read(tar_of({"a.png": b"a", "b.png": b"b"})[: int(blocks * 512)])


def test_a_damaged_header_is_not_the_end(read):
    """What follows it would be lost without a word."""
    data = bytearray(tar_of({"a.png": b"a", "b.png": b"b"}))
    data[2 * 512] ^= 1
    with pytest.raises(ImageSetUnreadableError, match="bad checksum"):
        read(bytes(data))


def test_damaged_bytes_in_a_zip_are_noticed(read):
    """Each file of a zip has a checksum."""
    data = zip_of({"a.png": b"picture"}, zipfile.ZIP_STORED).replace(b"picture", b"pidture", 1)
    with pytest.raises(ImageSetUnreadableError, match=r"a\.png"):
        read(data)


def test_an_encrypted_zip_is_refused(read):
    """There is no password to ask for."""
    data = bytearray(zip_of({"a.png": b"a"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ImageSetUnreadableError, match="encrypted"):
        read(bytes(data))


def test_an_unusual_compression_is_refused(read):
    """Decompressors that hardly anybody uses are not worth their risks."""
    with pytest.raises(ImageSetUnreadableError, match="unusual"):
        read(zip_of({"a.png": b"a"}, zipfile.ZIP_LZMA))


@KINDS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_an_error_of_the_set_or_harmless(read, pack, changes):
    """Whatever bytes are changed, the user is told that the archive is at fault."""
    data = bytearray(pack(FILES))
    for place, value in changes:
        data[int(place * len(data))] = value
    with suppress(ImageSetUnreadableError):
        read(bytes(data))


def test_a_missing_file_is_not_the_users_fault(tmp_path):
    """The error says what happened, not that the archive is damaged."""
    with pytest.raises(FileNotFoundError):
        Archives([tmp_path / "missing"], ["set 1"])
