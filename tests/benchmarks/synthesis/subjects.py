"""What is drawn: units of networks, with natural images of theirs, and a second network to ask."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from tests.assets import ASSETS
from tests.benchmarks.facets import photos, planted
from tests.benchmarks.facets.subjects import grey, inline, opened
from tests.benchmarks.synthesis.networks import EfficientNetLite0, MobileNet, Seen, squeezenet

from facetscope.domain.discoveries import Discovery, LabelledImages, PredictedImages
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import ImageSet, InlineImage
from facetscope.domain.units import Unit

OUT = Path(__file__).parents[3] / "out" / "synthesis"
"""Where everything is kept from one run to the next."""

PARTITIONS = 2
"""Of ten classes into unions, for each way that a network reads its last convolution."""

BELL_PEPPER = 945
FACETS = 4
"""Of photos: as many pictures of each method are drawn."""

EVERY = 8
"""How many photos of other classes one is taken of, to be compared with."""

ARCHITECTURES = {
    "efficientnet": EfficientNetLite0,
    "squeezenet": squeezenet,
    "mobilenet": MobileNet,
}
OTHERS = {
    "efficientnet": "squeezenet",
    "squeezenet": "efficientnet",
    "mobilenet": "efficientnet",
}
"""Whom pictures are shown to that were drawn for another architecture."""


@dataclass(frozen=True, eq=False)
class Model:
    """A network in the two forms that are compared.

    Attributes:
        path: The file that we take.
        spec: How pictures become its input; nothing of a picture is cut off.
        network: The module that other tools take.
        only_size: Pixels of the input, where it has no other.
    """

    path: Path
    spec: InputSpec
    network: torch.nn.Module
    only_size: int | None = None

    @cached_property
    def opened(self):
        """The file, as a worker opens it."""
        return opened(self.path, self.spec)

    @cached_property
    def module(self):
        """The module, with pictures in [0, 1] as its input."""
        preprocessing = self.opened.preprocessing
        return Seen(
            self.network, 255 * preprocessing.scale, preprocessing.shift, self.only_size
        ).eval()


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A unit to draw.

    Attributes:
        name: Of it, for files and logs.
        group: Rows of the table that it counts in.
        model: Its network.
        unit: The unit.
        images: Natural images, its own and others.
        discovery: How its facets are found among its own.
        other: A network that was trained for the same classes independently.
    """

    name: str
    group: str
    model: Model
    unit: Unit
    images: ImageSet
    discovery: Discovery
    other: Model


def planted_units(source):
    """Unions of several classes: their facets are these, and a network of another seed judges.

    Raises:
        FileNotFoundError: The images are not there.
    """
    pictures = planted.SOURCES[source]()
    images = inline(pictures.held_out, pictures.held_out_classes)
    for head, number in product(planted.HEADS, range(PARTITIONS)):
        unions = planted.partition(number)
        drawn, other = (_trained(source, pictures, unions, head, seed) for seed in range(2))
        for union, members in enumerate(unions):
            if len(members) > 1:
                yield Subject(
                    name=f"{source}-{head}-{number}-{''.join(map(str, members))}",
                    group=f"{source}, {head}",
                    model=drawn,
                    unit=Unit("classifier", union),
                    images=images,
                    discovery=Discovery(selection=PredictedImages(), facets=len(members)),
                    other=other,
                )


def bell_pepper(architecture):
    """The class that the paper's authors published photos of, among photos of others.

    Raises:
        FileNotFoundError: The models or photos are not there.
    """
    yield Subject(
        name=architecture,
        group=architecture,
        model=real(photos.MODELS[architecture][0]),
        unit=Unit("logits", BELL_PEPPER),
        images=_photos(),
        discovery=Discovery(selection=LabelledImages("own"), facets=FACETS),
        other=real(photos.MODELS[OTHERS[architecture]][0]),
    )


def real(file):
    """A model of the assets, and a module with its weights."""
    (name,) = (name for name, (known, _) in photos.MODELS.items() if known == file)
    path, spec = ASSETS / "models" / file, photos.MODELS[name][1]
    stored = onnx.load(path).graph.initializer
    weights = {
        tensor.name.removesuffix("_fp16"): torch.from_numpy(
            numpy_helper.to_array(tensor).astype("float32")
        )
        for tensor in stored
    }
    network = ARCHITECTURES[name]().eval()
    network.load_state_dict({key: weights[key] for key in network.state_dict()})
    return Model(path, InputSpec(**_given(spec), crop_fraction=1.0), network)


def _given(spec):
    fields = ("height", "width", "low", "high", "mean", "std")
    return {field: getattr(spec, field) for field in fields}


def _photos():
    own = sorted(photos.PUBLISHED.glob("*/*.jpg"))
    others = sorted(photos.UNIONS.glob("*/*/*.*"))[::EVERY]
    if not own:
        raise FileNotFoundError(2, "no photos", str(photos.PUBLISHED))
    labelled = [*((path, "own") for path in own), *((path, "other") for path in others)]
    return ImageSet(
        inline=tuple(
            InlineImage(f"{path.parent.name}/{path.name}", label, path.read_bytes())
            for path, label in labelled
        )
    )


def _trained(source, pictures, unions, head, seed):
    """A small network for these unions, trained once and kept."""
    folder = OUT / "networks"
    folder.mkdir(parents=True, exist_ok=True)
    shape = "_".join("".join(map(str, members)) for members in unions)
    kept = folder / f"{source}-{head}-{shape}-s{seed}.pt"
    size = pictures.seen.shape[1]
    if not kept.exists():
        union_of = {member: union for union, members in enumerate(unions) for member in members}
        classes = [union_of[each] for each in pictures.seen_classes.tolist()]
        network = planted.trained(pictures.seen, torch.tensor(classes), head, seed)
        torch.save(network, kept)
    network = torch.load(kept, weights_only=False)
    file = kept.with_suffix(".ts.pt")
    torch.jit.trace(network, torch.zeros(2, 1, size, size)).save(str(file))
    return Model(file, grey(size), network, only_size=size)
