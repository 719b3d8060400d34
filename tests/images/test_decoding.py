"""Files of every kind that users have, and of the kinds that attackers make."""

import io
import struct
import threading
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from facetscope.images.decoding import FORMATS, LARGEST_AREA, UndecodableError, decode, opened

LOSSLESS = {"PNG": {}, "BMP": {}, "GIF": {}, "WEBP": {"lossless": True}}


def file_of(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(mode="RGB", size=(12, 9)):
    channels = len(Image.new(mode, (1, 1)).getbands())
    levels = np.random.default_rng(0).integers(256, size=(*size[::-1], channels), dtype=np.uint8)
    return Image.fromarray(levels.squeeze(), mode)


def paletted():
    """The second of two dark colours, everywhere."""
    picture = Image.new("P", (4, 2), 1)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    return picture


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claiming(width, height):
    """A PNG of a few bytes that says it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded(kind):
    """The formats that the contract names are those that are taken."""
    picture = Image.linear_gradient("L")
    decoded = decode(file_of(picture, kind, **LOSSLESS.get(kind, {"quality": 95})), channels=1)
    difference = np.asarray(decoded).astype(int) - np.asarray(picture)
    assert abs(difference).max() <= (0 if kind in LOSSLESS else 2)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO", "TGA"])
def test_no_other_format_is_taken(kind):
    """Decoders that nobody needs are the ones that nobody watches."""
    with pytest.raises(UndecodableError):
        decode(file_of(noise(size=(16, 16)), kind), channels=3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_becomes_grey_or_rgb(mode, channels):
    """A picture of one opaque grey is that grey, however its file keeps it."""
    level = {"1": 255, "I;16": 0xC8FF}.get(mode, 200)
    color = {"LA": (level, 255), "RGB": (level,) * 3, "RGBA": (level,) * 3 + (255,)}
    picture = Image.new(mode, (4, 2), color.get(mode, level))
    if mode == "P":
        picture.putpalette([grey for level in range(256) for grey in (level,) * 3])
    decoded = decode(file_of(picture), channels=channels)
    assert decoded.mode == {1: "L", 3: "RGB"}[channels]
    assert set(np.asarray(decoded).flatten()) == {255 if mode == "1" else 200}


@pytest.mark.parametrize("detail", [None, 20])
def test_a_progressive_jpeg_is_decoded_like_another(detail):
    """The network's photos come from the web."""
    picture = noise(size=(96, 64))
    plain, progressive = (
        file_of(picture, "JPEG", progressive=progressive) for progressive in (False, True)
    )
    same = [decode(data, channels=3, detail=detail) for data in (plain, progressive)]
    assert np.array_equal(*same)
    assert same[0].size == (96 if detail is None else 48, 64 if detail is None else 32)


def interlaced(levels):
    """A grey PNG in seven passes, as the specification of PNG lays them out (section 8.2)."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)]
    passes += [(0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [levels[row::down, column::across] for row, column, down, across in passes]
    data = b"".join(b"\0" + line.tobytes() for part in parts if part.size for line in part)
    header = struct.pack(">IIBBBBB", *levels.shape[::-1], 8, 0, 0, 0, 1)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_an_interlaced_png_is_decoded():
    """Pictures once came slowly, coarse ones first."""
    picture = noise("L", size=(21, 13))
    assert np.array_equal(decode(interlaced(np.asarray(picture)), channels=1), picture)


def test_a_profile_of_colours_is_passed_over():
    """Networks are trained on the levels of the file, whatever they stand for."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture = noise()
    assert np.array_equal(decode(file_of(picture, icc_profile=profile), channels=3), picture)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_has_hardly_begun_is_undecodable(data):
    """Disks that were full leave such files."""
    with pytest.raises(UndecodableError):
        decode(data, channels=3)


@pytest.mark.parametrize(
    ("picture", "kind", "options"),
    [
        (noise(size=(400, 300)), "PNG", {}),
        (noise(size=(400, 300)), "JPEG", {"progressive": True}),
        (noise("RGBA", size=(400, 300)), "PNG", {}),
        (noise("L", size=(400, 300)), "WEBP", {"lossless": True}),
    ],
)
def test_a_header_says_how_much_memory_decoding_takes(picture, kind, options):
    """Threads that decode share memory by it, before any is taken."""
    size = opened(file_of(picture, kind, **options)).size_bytes
    assert 8 <= size / (400 * 300) <= 16


def test_a_picture_that_is_decoded_reduced_takes_less():
    """A hundred photos of a camera may be decoded at once, at an eighth of their sides."""
    data = file_of(noise(size=(800, 800)), "JPEG")
    assert opened(data, detail=100).size_bytes * 64 == opened(data).size_bytes


def test_cmyk_becomes_rgb():
    """Print shops' JPEG files keep ink, not light."""
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode(file_of(picture, "JPEG"), channels=3).getpixel((8, 8))
    assert red > 250
    assert max(green, blue) < 5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (Image.new("RGBA", (4, 2), (0, 0, 0, 0)), {}),
        (Image.new("LA", (4, 2), (0, 0)), {}),
        (Image.new("RGB", (4, 2), (1, 2, 3)), {"transparency": (1, 2, 3)}),
        (Image.new("L", (4, 2), 7), {"transparency": 7}),
        (paletted(), {"transparency": 1}),
        (paletted(), {"transparency": b"\xff\x00"}),
    ],
    ids=["RGBA", "LA", "RGB", "L", "P", "P with alpha"],
)
def test_what_is_transparent_becomes_white(picture, options, channels):
    """The colour under a transparent pixel is an accident of the tool that wrote it."""
    assert set(np.asarray(decode(file_of(picture, **options), channels=channels)).flat) == {255}


def test_half_transparent_is_half_white():
    """Soft edges stay soft."""
    picture = Image.new("RGBA", (4, 2), (0, 0, 0, 128))
    assert decode(file_of(picture), channels=3).getpixel((0, 0)) == (127, 127, 127)


def test_an_animation_is_its_first_frame():
    """An image has one code, so it has one frame."""
    frames = [Image.new("L", (4, 2), level) for level in (10, 200)]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, channels=1).getpixel((0, 0)) == 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(orientation):
    """Telephones save what the sensor saw, and a note of how they were held."""
    upright = noise("L")
    turns = {
        1: lambda levels: levels,
        2: np.fliplr,
        3: lambda levels: np.rot90(levels, 2),
        4: np.flipud,
        5: np.transpose,
        6: np.rot90,
        7: lambda levels: np.rot90(levels, 2).T,
        8: lambda levels: np.rot90(levels, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](np.asarray(upright))))
    decoded = decode(file_of(stored, exif=exif), channels=1)
    assert np.array_equal(decoded, upright)


def test_a_large_jpeg_is_decoded_no_larger_than_it_needs_to_be():
    """Cameras make pictures ten times the size that networks take."""
    data = file_of(noise(size=(1024, 800)), "JPEG")
    assert decode(data, channels=3, detail=150).size == (256, 200)
    assert decode(data, channels=3, detail=201).size == (512, 400)
    assert decode(data, channels=3).size == (1024, 800)


@pytest.mark.parametrize("size", [(8001, 8000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_before_they_are_unpacked(size):
    """A file of 69 bytes could otherwise fill the memory."""
    assert size[0] * size[1] > LARGEST_AREA
    with pytest.raises(UndecodableError, match="pixels"):
        decode(claiming(*size), channels=3)


@pytest.mark.parametrize("kind", FORMATS)
def test_half_a_file_is_undecodable(kind):
    """A grey lower half would be taken for a facet."""
    data = file_of(noise(size=(64, 64)), kind)
    with pytest.raises(UndecodableError):
        decode(data[: len(data) // 2], channels=3)


@given(st.sampled_from(FORMATS), st.data())
def test_damage_is_undecodable_or_harmless(kind, draw):
    """Whatever bytes are changed, one bad picture never ends the job of all others."""
    data = bytearray(file_of(noise().convert("P" if kind == "GIF" else "RGB"), kind))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(UndecodableError):
        decode(bytes(data), channels=3)


def test_damaged_exif_costs_nothing_but_the_orientation():
    """The picture is whole, and a warning on the server would help nobody."""
    data = file_of(noise("L"), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0" * 3)
    assert np.array_equal(decode(data, channels=1), noise("L"))


def test_threads_leave_the_filters_of_warnings_as_they_were():
    """Filters are shared by all threads, and those of others are not ours to lose."""
    data, before = file_of(noise()), list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [decode(data, channels=3) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
