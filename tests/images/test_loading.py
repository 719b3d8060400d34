"""Loading is checked against reading one picture after the other."""

import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import InlineImage
from facetscope.images.fitting import read
from facetscope.images.loading import load
from facetscope.images.samples import NamedPicture

SPEC = InputSpec(height=8, width=9, channels=3).resolved()
MEMORY = 2**24
BROKEN = (2, 7, 8, 9)


def file_of(seed):
    levels = np.random.default_rng(seed).integers(256, size=(20, 20, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()


PICTURES = [
    NamedPicture(f"{index}.png", f"label {index}", b"?" if index in BROKEN else file_of(index))
    for index in range(10)
]


@pytest.mark.parametrize("threads", [1, 4])
def test_batches_hold_the_pictures_in_order(threads):
    """Names, labels and pixels belong together, whichever thread was quicker."""
    batches = list(load(PICTURES, SPEC, batch=4, threads=threads, memory_bytes=MEMORY))
    whole = [picture for index, picture in enumerate(PICTURES) if index not in BROKEN]
    assert [name for batch in batches for name in batch.names] == [p.name for p in whole]
    assert [label for batch in batches for label in batch.labels] == [p.label for p in whole]
    assert [PICTURES[place] for batch in batches for place in batch.places] == whole
    slow = torch.stack([read(picture.data, SPEC) for picture in whole])
    assert torch.equal(torch.cat([batch.pixels for batch in batches]), slow)


def test_pictures_that_cannot_be_decoded_are_named():
    """One bad file does not spoil a set, and does not vanish from it either."""
    batches = list(load(PICTURES, SPEC, batch=4, threads=2, memory_bytes=MEMORY))
    assert [batch.undecodable for batch in batches] == [
        ("2.png",),
        ("7.png",),
        ("8.png", "9.png"),
    ]
    assert batches[2].pixels.shape == (0, 3, 8, 9)


def test_pictures_from_requests_are_loaded_alike():
    """A picture in a message is as good as one in an archive."""
    (batch,) = load(
        [InlineImage("a", "", file_of(0))], SPEC, batch=4, threads=1, memory_bytes=MEMORY
    )
    assert batch.names == ("a",)


def test_an_empty_set_has_no_batches():
    """Whether that is too few is for the caller to say."""
    assert list(load([], SPEC, batch=4, threads=1, memory_bytes=MEMORY)) == []


def test_it_reads_one_batch_ahead_and_no_further():
    """A set may be larger than memory."""
    asked = []
    batches = load(
        (asked.append(picture) or picture for picture in PICTURES),
        SPEC,
        batch=3,
        threads=2,
        memory_bytes=MEMORY,
    )
    next(batches)
    assert len(asked) == 6


def test_leaving_early_ends_the_threads():
    """A cancelled job leaves nothing behind that goes on decoding."""
    before = threading.active_count()
    batches = load(PICTURES * 10, SPEC, batch=3, threads=2, memory_bytes=MEMORY)
    next(batches)
    batches.close()
    assert threading.active_count() == before
