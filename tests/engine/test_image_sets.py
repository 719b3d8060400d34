"""Image sets of every form, from the artifact to the manifest, in this process."""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from tests import networks

from facetscope.domain.discoveries import AllImages, Discovery, LabelledImages
from facetscope.domain.errors import ClassNotFoundError, ImageSetUnreadableError
from facetscope.domain.events import Facet, Manifest, Progress, Work
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import DiscoverFacets, ImageSet, InlineImage
from facetscope.engine.image_sets import Decoding, OpenImageSet
from facetscope.engine.inspection import Inspector
from facetscope.images.fitting import read

SMALL = InputSpec(height=networks.SIZE, width=networks.SIZE)


def picture(seed):
    levels = np.random.default_rng(seed).integers(256, size=(20, 20, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()


def tar(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def webdataset(first, labels):
    """A shard with a picture and a class for each of ``labels``."""
    files = {}
    for index, label in enumerate(labels, start=first):
        files[f"{index:06}.png"] = picture(index)
        files[f"{index:06}.cls"] = label.encode()
    return tar(files)


@pytest.fixture(scope="module")
def inspector():
    return Inspector(device="cpu", threads=1, decoded_bytes=2**24)


@pytest.fixture
def discover(inspector, tmp_path):
    """The events of a discovery in these archives and inline images."""

    def run(*archives, inline=(), **discovery):
        paths = {"model": tmp_path / "model"}
        paths["model"].write_bytes(networks.tiny_onnx())
        for index, data in enumerate(archives):
            paths[str(index)] = tmp_path / str(index)
            paths[str(index)].write_bytes(data)
        job = DiscoverFacets(
            model="model",
            unit=networks.UNIT,
            images=ImageSet(tuple(map(str, range(len(archives)))), inline),
            input=SMALL,
            discovery=Discovery(**{"facets": 2, "selection": AllImages(), **discovery}),
        )
        return list(inspector.run(job, paths))

    return run


def members(events):
    return [member for event in events if isinstance(event, Facet) for member in event.members]


def test_shards_are_one_set_and_their_sidecars_its_labels(discover):
    """A set in a hundred files is asked for as one, and its classes by their names."""
    shards = [webdataset(0, ["7", "8"] * 5), webdataset(10, ["8", "7"] * 5)]
    events = discover(*shards, selection=LabelledImages("7"))
    assert {member.label for member in members(events)} == {"7"}
    assert len(members(events)) == 10
    assert events[-1].images_read == 20
    with pytest.raises(ClassNotFoundError, match="the set has 7, 8"):
        discover(*shards, selection=LabelledImages("9"))


def test_a_set_in_shards_gives_the_facets_of_the_whole(discover):
    """How a set was cut up is of no importance to what is found in it."""
    files = {f"a/{index}.png": picture(index) for index in range(40)}
    halves = [dict(list(files.items())[:17]), dict(list(files.items())[17:])]
    whole, parts = discover(tar(files)), discover(*map(tar, halves))
    assert [each for each in parts if isinstance(each, Facet)] == [
        each for each in whole if isinstance(each, Facet)
    ]


def test_progress_tells_part_and_rate(discover):
    """Whoever waits for a million pictures wants to know for how long."""
    files = {f"a/{index}.png": picture(index) for index in range(40)}
    inline = (InlineImage("one", "", picture(99)),)
    for archive, total in ((tar(files), 0), (networks.zipped(**files), 41)):
        told = [
            event
            for event in discover(archive, inline=inline)
            if isinstance(event, Progress) and event.work is Work.ENCODING_IMAGES
        ]
        assert told[-1].done == 41
        assert told[-1].rate > 0
        assert {event.total for event in told} == {total}
        assert told[-1].fraction == (None if total else 1)


def test_a_sidecar_without_a_label_is_in_the_manifest(discover):
    """The night's run is not lost, and its reader knows what was left out."""
    broken = tar({"1.png": picture(1), "1.json": b"{", "2.png": picture(2), "2.cls": b"x"})
    *_, manifest = discover(broken)
    assert isinstance(manifest, Manifest)
    assert any("no label: 1, among them 1.json" in warning for warning in manifest.warnings)


def test_archives_of_archives_have_no_pictures(discover):
    """The user learns that they are not opened."""
    with pytest.raises(ImageSetUnreadableError, match="archives within archives"):
        discover(tar({"set.tar": tar({"a.png": picture(0)})}))


@pytest.mark.parametrize("places", [[0], [3, 4], [0, 6, 7], list(range(8))])
def test_pixels_are_those_of_the_places(inspector, discover, tmp_path, places):
    """A mean image is made of the pictures that lie nearest, and of no others."""
    data = [picture(index) for index in range(8)]
    files = [{"a.png": data[0], "no.txt": b"x", "b.png": data[1]}, {"c.png": data[2]}]
    inline = tuple(InlineImage(str(index), "", each) for index, each in enumerate(data[3:]))
    events = discover(*map(tar, files), inline=inline)
    assert len(members(events)) == 8
    model = inspector._model
    paths = {"0": tmp_path / "0", "1": tmp_path / "1"}
    images = OpenImageSet(model, ImageSet(("0", "1"), inline), paths, Decoding())
    for _ in images.survey([networks.UNIT], Discovery(selection=AllImages())):
        pass
    pixels = list(images.pixels(places))
    expected = [read(data[place], SMALL.resolved()) for place in places]
    assert all(map(torch.equal, pixels, expected))
    assert len(pixels) == len(places)
