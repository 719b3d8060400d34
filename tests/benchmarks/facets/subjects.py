"""What the benchmark asks for the facets of: the codes of a unit's images, and the true facets."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from facetscope.domain.computing import Precision
from facetscope.domain.discoveries import Discovery
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import ImageSet, InlineImage
from facetscope.engine.encoding import Encoder
from facetscope.engine.image_sets import Decoding, OpenImageSet
from facetscope.engine.opened import OpenModel


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The images of one unit.

    Attributes:
        name: Of it, for files and logs.
        group: Row of the table that it counts in.
        codes: Of the images by the name of what made them: a layer, a pooling.
        truth: Number of each image's sub-class; negative for an image that is of none of them.
    """

    name: str
    group: str
    codes: Mapping[str, np.ndarray]
    truth: np.ndarray

    @property
    def facets(self):
        """How many there truly are."""
        return len(np.unique(self.truth[self.truth >= 0]))

    @property
    def single(self):
        """Whether the unit has one facet."""
        return self.facets == 1


def write(folder, subject):
    """Keep a subject in a file named after it."""
    known = {"truth": subject.truth, "group": np.array(subject.group)}
    np.savez(folder / f"{subject.name}.npz", **known, **subject.codes)


def read(path):
    """The subject in a file."""
    arrays = dict(np.load(path))
    truth, group = arrays.pop("truth"), str(arrays.pop("group"))
    return Subject(path.stem, group, arrays, truth)


def opened(path, spec):
    """A model, as a worker opens it on the CPU."""
    return OpenModel("", path, spec, Precision.FLOAT32, torch.device("cpu"))


def grey(size):
    """The input of a network that takes grey levels in [0, 1], whole."""
    levels = {"low": 0.0, "high": 1.0, "mean": (0.0,), "std": (1.0,)}
    return InputSpec(height=size, width=size, channels=1, crop_fraction=1.0, **levels)


def inline(pixels, labels):
    """Pictures of an array, [image, height, width], as they come with a request."""
    return ImageSet(
        inline=tuple(
            InlineImage(str(number), str(label), _png(image))
            for number, (image, label) in enumerate(zip(pixels, labels, strict=True))
        )
    )


def _png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", compress_level=1)
    return file.getvalue()


def surveyed(model, images, units, discovery=None):
    """The survey of an image set, as a job for ``units`` makes it."""
    opened_set = OpenImageSet(model, images, {}, Decoding())
    return _returned(opened_set.survey(units, discovery or Discovery()))


def encoded(model, images, unit, own, discovery):
    """Codes of a unit's own images, by their ascending places, as a second pass makes them."""
    encoder = Encoder(model.target(unit), model.code_layer(discovery.code_layer), discovery)
    pixels = OpenImageSet(model, images, {}, Decoding()).pixels(own.tolist())
    return _returned(encoder.encode(pixels, len(own))).numpy()


def _returned(generator):
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value
