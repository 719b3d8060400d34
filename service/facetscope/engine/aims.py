"""Images to be made, and images as an ascent leaves them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from facetscope.domain.syntheses import Synthesis
from facetscope.domain.units import Layer, Readout, Unit
from facetscope.engine.targets import Target

CONTROL = -1
"""Index of a start that no facet has."""


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """An image to be made.

    Attributes:
        target: The unit that it shall excite.
        index: Facet that it is for, or index of its start; ``CONTROL`` where it is only to be
            compared with.
        seed_index: Which of the images from this start it is.
        start: Where it begins, in [0, 255], [channel, height, width].
        natural: Activations of the unit for natural images, to compare with.
        magnitude: Of natural images, by frequency, where only phases are varied.
    """

    target: Target
    index: int
    seed_index: int
    start: Tensor
    natural: Tensor | None = None
    magnitude: Tensor | None = None

    @property
    def kind(self) -> tuple[Layer, Sequence[Readout]]:
        """What images that ascend together have in common."""
        return self.target.layer, self.target.readouts

    @property
    def is_control(self) -> bool:
        """Whether nobody is sent this image."""
        return self.index == CONTROL

    def generator(self, seed: int, purpose: str) -> torch.Generator:
        """Randomness of this image, which does not depend on what shares its batch."""
        return _generator(seed, self.target.unit, self.index, self.seed_index, purpose)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An image as the ascent leaves it, or as it is delivered.

    Attributes:
        aim: What it was made for.
        start: The picture that it began with, in [0, 255].
        pixels: The picture, in [0, 255].
        steps: How many were taken.
        stopped_early: Whether time was up before the last one.
        alpha: How much each pixel matters, in [0, 1]; ``None`` where that is not sent.
    """

    aim: Aim
    start: Tensor
    pixels: Tensor
    steps: int
    stopped_early: bool
    alpha: Tensor | None = None


def noise(target: Target, synthesis: Synthesis, index: int, seed_index: int) -> Tensor:
    """A start of independent normal pixels, [channel, height, width], clipped to [0, 255]."""
    random = _generator(synthesis.seed, target.unit, index, seed_index, "start")
    pixels = torch.normal(synthesis.noise_mean, synthesis.noise_std, target.shape, generator=random)
    return pixels.clamp(0, 255)


def _generator(seed: int, unit: Unit, index: int, seed_index: int, purpose: str) -> torch.Generator:
    key = sha256(f"{seed}/{unit}/{index}/{seed_index}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8]) >> 1)
