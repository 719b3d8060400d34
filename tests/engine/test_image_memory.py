"""The memory of image sets that are larger than it, measured on real workers."""

import io
import tarfile

import numpy as np
from PIL import Image
from tests import networks
from tests.benchmarks.workers import worker

from facetscope.domain.discoveries import AllImages, Discovery
from facetscope.domain.inputs import InputSpec

DECODED_BYTES = 2**24
SIDE = 900
PICTURE_BYTES = 4 * SIDE**2
FEW, MANY = 6, 70

SMALL = {
    "unit": networks.UNIT,
    "input": InputSpec(height=networks.SIZE, width=networks.SIZE),
    "discovery": Discovery(selection=AllImages(), facets=2, thumbnails=1),
}


def files(kind, count):
    """Pictures of 3.2 MB each when they are decoded as the file has them."""
    random = np.random.default_rng(0)
    for index in range(count):
        coarse = random.integers(256, size=(6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        file = io.BytesIO()
        picture.save(file, kind)
        yield f"cat/{index}.{kind.lower()}", file.getvalue()


def write_set(path, kind, count):
    """A tar of these; its size."""
    with tarfile.open(path, mode="w") as archive:
        for name, data in files(kind, count):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path.stat().st_size


async def test_memory_does_not_grow_with_the_set(tmp_path):
    """Its pixels are many times what the operator allows; so is the archive of BMP files."""
    (tmp_path / "m").write_bytes(networks.tiny_onnx())
    sets = {"few": ("BMP", FEW), "stored": ("BMP", MANY), "packed": ("PNG", MANY)}
    archives = {name: write_set(tmp_path / name, *what) for name, what in sets.items()}
    assert archives["stored"] > 10 * DECODED_BYTES
    assert MANY * PICTURE_BYTES > 10 * DECODED_BYTES
    peaks = {}
    async with worker(DECODED_BYTES) as process:
        for name, (_, count) in sets.items():
            paths = {each: tmp_path / each for each in ("m", name)}
            events = await process.discover(paths, **SMALL)
            assert events[-1].images_read == count
            peaks[name], _ = process.megabytes
    assert max(peaks.values()) - peaks["few"] < DECODED_BYTES / 1e6, peaks
