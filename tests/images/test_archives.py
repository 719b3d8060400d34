"""Archives are written as users write them, and damaged as networks and disks damage them."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facetscope.domain.errors import ImageSetUnreadableError
from facetscope.images import members, samples
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


def header(name, size, kind=tarfile.REGTYPE):
    """A header of a tar that claims this size, whatever follows it."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


HOSTILE = {
    "a header without end": (header("x", 2**30, tarfile.XHDTYPE), "a header that goes on"),
    "a name without end": (header("x", 2**30, tarfile.GNUTYPE_LONGNAME), "a header that goes on"),
    "a long name": (tar_of({"x" * 5000 + ".png": b"a"}), "a name of 5004 characters"),
    "a file with holes": (header("x.png", 2**40, tarfile.GNUTYPE_SPARSE), "a sparse file"),
    "a file of an exabyte": (header("x.bin", 2**60), "is cut off, or a bomb"),
    "a picture of a gigabyte": (
        gzip.compress(header("x.png", 2**30 - 2**20)),
        "x.png has 1072693248 bytes",
    ),
    "a bomb of zeros": (gzip.compress(header("x.bin", 2**34)), "is cut off, or a bomb"),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE.values(), ids=HOSTILE)
def test_what_claims_to_be_huge_is_refused_by_its_claim(read, data, words):
    """A few bytes must not cost the memory or the hours that they ask for."""
    with pytest.raises(ImageSetUnreadableError, match=words):
        read(data)


@pytest.mark.parametrize("kind", ["0.0", "0.1", "1.0"])
def test_sparse_files_of_every_age_are_refused(read, kind):
    """There are four ways to write them; a picture is none."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("a.png")
        major, minor = kind.split(".")
        entry.pax_headers = {
            "0.0": {"GNU.sparse.size": "99", "GNU.sparse.numblocks": "1", "GNU.sparse.offset": "0"},
            "0.1": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "99"},
            "1.0": {"GNU.sparse.major": major, "GNU.sparse.minor": minor},
        }[kind]
        archive.addfile(entry)
    with pytest.raises(ImageSetUnreadableError, match="sparse"):
        read(packed.getvalue())


def test_a_zip_that_would_unpack_to_too_much_is_refused(read, monkeypatch):
    """Each file alone is small enough to be read."""
    monkeypatch.setattr(members, "ALWAYS_UNPACKED", 0)
    data = zip_of({f"{index}.png": bytes(10**6) for index in range(3)})
    with pytest.raises(ImageSetUnreadableError, match="would unpack to 3000000"):
        read(data)


def test_the_directory_of_a_zip_has_a_limit(read, monkeypatch):
    """It is read as a whole, before the first picture."""
    data = zip_of({f"{index}.png": b"" for index in range(1000)})
    assert len(read(data)) == 1000
    monkeypatch.setattr(members, "LARGEST_DIRECTORY", 10_000)
    with pytest.raises(ImageSetUnreadableError, match=r"a directory of \d+ bytes.*send a tar"):
        read(data)


def test_a_zip_with_64_bit_numbers_is_read(read):
    """Tools write them for large sets, and some for small ones too."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w") as archive,
        archive.open("cat/a.png", "w", force_zip64=True) as file,
    ):
        file.write(b"a")
    assert read(packed.getvalue()) == [NamedPicture("cat/a.png", "cat", b"a")]


def test_a_zip_with_a_name_that_is_no_text_is_refused_or_read(read):
    """The flag says UTF-8, and the bytes are not."""
    data = zip_of({"caf\N{LATIN SMALL LETTER E WITH ACUTE}.png": b"a"})
    with pytest.raises(ImageSetUnreadableError, match="decode"):
        read(data.replace(b"\xc3\xa9", b"\xff\xff"))


@KINDS
def test_archives_within_archives_stay_closed(read, pack):
    """Nobody knows how deep they go."""
    assert [picture.name for picture in read(pack({"a.zip": zip_of(FILES), "b.png": b"b"}))] == [
        "b.png"
    ]


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_two_pictures_of_one_name_are_two(read):
    """A tar that was appended to has them."""
    one, two = tar_of({"a/x.png": b"1"}), tar_of({"a/x.png": b"2"})
    assert [picture.data for picture in read(one[:1024] + two)] == [b"1", b"2"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/x.png", b"1")
        archive.writestr("a/x.png", b"2")
    assert [picture.data for picture in read(packed.getvalue())] == [b"1", b"2"]


def test_headers_that_are_behind_are_let_go(tmp_path):
    """A set of millions of pictures takes no more memory than one of hundreds."""
    path = tmp_path / "large.tar"
    with path.open("wb") as file:
        for index in range(2000):
            file.write(header(f"{index}.png", 0))
        file.write(bytes(1024))
    seen = Archives([path], ["set 1"]).pictures()
    next(seen)
    tracemalloc.start()
    try:
        assert sum(1 for _ in seen) == 1999
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e5


@pytest.fixture
def shards(tmp_path):
    """Three archives of different kinds, and what is in them."""
    contents = [FILES, {"x/1.png": b"1", "x/2.png": b"2"}, {"y/3.png": b"3", "z/4.png": b"4"}]
    for index, (pack, files) in enumerate(zip([tar_of, zip_of, tar_gz_of], contents, strict=True)):
        (tmp_path / f"{index}").write_bytes(pack(files))
    return Archives([tmp_path / f"{index}" for index in range(3)], list("abc"))


@given(places=st.sets(st.integers(0, 7), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_chosen_pictures_are_those_at_their_places(shards, places):
    """The second reading finds again what the first has seen."""
    whole = list(shards.pictures())
    chosen = list(shards.at(sorted(places)))
    assert [(picture.name, picture.data) for picture in chosen] == [
        (whole[place].name, whole[place].data) for place in sorted(places)
    ]


def test_nothing_is_read_behind_the_last_chosen_picture(shards, tmp_path):
    """Of a set of a hundred gigabytes, ten pictures are wanted."""
    assert len(list(shards.pictures())) == shards.seen == 8
    for name, kept in {"0": 1024, "1": 0, "2": 0}.items():
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:kept])
    assert [picture.name for picture in shards.at([0])] == ["set/cat/b.jpg"]
    with pytest.raises(ImageSetUnreadableError, match="b is not a readable"):
        list(shards.at([0, 4]))


def test_a_zip_says_how_many_pictures_it_has(tmp_path, shards):
    """A tar does not; then the part of its bytes that is behind is all there is to say."""
    (tmp_path / "zip").write_bytes(zip_of(FILES))
    assert Archives([tmp_path / "zip"] * 2, ["a", "b"]).total == 2 * len(PICTURES)
    assert shards.total is None
    assert Archives([], []).total == 0
    fractions = [shards.fraction for _ in shards.pictures()]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.6 < fractions[-1] <= shards.fraction == 1
