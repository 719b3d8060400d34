"""Tensors in place of pictures, read without NumPy, and checked by it."""

import io
import sys

import numpy as np
import pytest
from PIL import Image
from tests.clients.python.support import picture

from facetscope_client import EncodedImage, picture_array
from facetscope_client.pictures import on_paper, opened
from facetscope_client.tensors import NPY, RAW


def values(channels=3, height=4, width=5):
    random = np.random.default_rng(0)
    return random.uniform(0, 255, (channels, height, width)).astype("<f4")


def tensor(array, media_type=RAW, *, alpha=False):
    """The message that the server makes of an array."""
    file = io.BytesIO()
    np.save(file, array)
    return EncodedImage(
        data=file.getvalue() if media_type == NPY else array.tobytes(),
        media_type=media_type,
        width=array.shape[2],
        height=array.shape[1],
        shape=array.shape,
        element_type="float32",
        alpha=alpha,
    )


@pytest.mark.parametrize("media_type", [RAW, NPY])
def test_a_tensor_is_read_as_it_was_written(media_type):
    """One call gives an array, and the client needs no package for it."""
    read = np.asarray(picture_array(tensor(values(), media_type)))
    assert read.dtype == np.float32
    assert np.array_equal(read, values())


def test_a_machine_of_the_other_byte_order_reads_the_same(monkeypatch):
    """The contract names the order, whatever a machine's own is."""
    swapped = tensor(values())
    swapped.data = values().byteswap().tobytes()
    other = {"little": "big", "big": "little"}[sys.byteorder]
    monkeypatch.setattr(sys, "byteorder", other)
    assert np.array_equal(np.asarray(picture_array(swapped)), values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"media_type": "image/png"}, "decode the picture"),
        ({"element_type": "float16"}, "too old"),
        ({"shape": [3, 4, 6]}, "240 bytes are no tensor of float32 and shape"),
        ({"data": bytes(244)}, "244 bytes"),
    ],
)
def test_what_is_no_such_tensor_is_refused(change, told):
    """Figures of a misread tensor would look like any others."""
    fields = {name: getattr(tensor(values()), name) for name in ("data", "media_type", "shape")}
    with pytest.raises(ValueError, match=told):
        picture_array(EncodedImage(**{"element_type": "float32", **fields, **change}))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (2, "RGB"), (5, "RGB")])
def test_a_tensor_can_be_looked_at(channels, mode):
    """It is shown as the server's PNG of it would be: rounded, and other channels left out."""
    shown = opened(tensor(values(channels)))
    assert shown.mode == mode
    found = np.atleast_3d(shown).transpose(2, 0, 1)[:channels]
    assert np.array_equal(found, np.rint(values(channels))[:3])


def test_what_does_not_matter_fades_into_the_paper():
    """On a sheet, a map shows what the unit is about."""
    planes = np.zeros((4, 4, 5), np.float32)
    planes[3, :, 2:] = 255
    shown = on_paper(opened(tensor(planes, alpha=True)), "#ffffff")
    assert np.asarray(shown)[0, :, 0].tolist() == [255, 255, 0, 0, 0]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_opened_too(file_format):
    """Whoever draws a sheet need not know what was asked for."""
    assert isinstance(opened(picture(file_format=file_format)), Image.Image)
