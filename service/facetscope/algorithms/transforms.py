"""Transforms: what a network is shown of a picture, so that it must like more than its pixels.

A move is one matrix for each image, from places in what is shown to places in the picture, both
with the origin in the middle and pixels as the unit. Moves compose by multiplication, and the
picture is sampled once. What lies beyond its edge is middle grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from facetscope.algorithms.canvases import Size, height_width
from facetscope.algorithms.sampling import sampled
from facetscope.algorithms.shapes import Images
from facetscope.domain.recipes import Transforms

Matrix = Float[Tensor, "3 3"]

Matrices = Float[Tensor, "batch 3 3"]

GREY: Final = 127.5

LEVELS: Final = 255.0


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """How the network is shown the pictures of a batch, once.

    Attributes:
        matrices: Of each, from places in what is shown to places in the picture; None leaves them.
        noise: What is added, in grey levels; None adds nothing.
    """

    matrices: Matrices | None
    noise: Images | None


def views(asked: Transforms, images: Images, generators: Sequence[torch.Generator]) -> Views:
    """A view of each image, by draws from its own generator.

    Args:
        asked: What may happen: as in Lucid, first the scale is drawn, then the angle and the shift.
        images: What will be shown; their shape and device alone are used.
        generators: One for each image, on the CPU.
    """
    size = height_width(images)
    matrices = torch.stack([_matrix(asked, size, each) for each in generators])
    still = (asked.scale, asked.rotation, asked.jitter) == ((1.0, 1.0), 0, 0)
    return Views(None if still else matrices, _noise(asked, images, generators))


def shown(images: Images, chosen: Views) -> Images:
    """``images``, in [0, 255], each by its own view; of views that change nothing, themselves."""
    if chosen.matrices is not None:
        images = sampled(images - GREY, chosen.matrices).add_(GREY)
    return images if chosen.noise is None else images + chosen.noise


def shift(part: float, size: Size, generator: torch.Generator) -> Matrix:
    """A shift by whole pixels, at most ``part`` of the side along each axis."""
    height, width = size
    across, down = _uniform(2, generator).tolist()
    matrix = torch.eye(3)
    matrix[0, 2], matrix[1, 2] = round(across * part * width), round(down * part * height)
    return matrix


def enlargement(low: float, high: float, generator: torch.Generator) -> Matrix:
    """An enlargement by a factor in [low, high]."""
    factor = low + (high - low) * float((_uniform(1, generator) + 1) / 2)
    return torch.diag(torch.tensor([1 / factor, 1 / factor, 1.0]))


def rotation(degrees: float, generator: torch.Generator) -> Matrix:
    """A rotation by at most ``degrees`` to either side."""
    angle = radians(degrees) * float(_uniform(1, generator))
    return torch.tensor(
        [[cos(angle), -sin(angle), 0.0], [sin(angle), cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )


def _matrix(asked: Transforms, size: Size, generator: torch.Generator) -> Matrix:
    """All moves of one image; those that are not asked for draw nothing."""
    matrix = torch.eye(3)
    if asked.scale != (1.0, 1.0):
        matrix = matrix @ enlargement(*asked.scale, generator)
    if asked.rotation:
        matrix = matrix @ rotation(asked.rotation, generator)
    if asked.jitter:
        matrix = matrix @ shift(asked.jitter, size, generator)
    return matrix


def _noise(
    asked: Transforms, images: Images, generators: Sequence[torch.Generator]
) -> Images | None:
    if not asked.noise:
        return None
    levels = torch.empty(images.shape)
    for own, each in zip(levels, generators, strict=True):
        own.normal_(0, LEVELS * asked.noise, generator=each)
    return levels.to(images)


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    """Numbers in [-1, 1)."""
    return 2 * torch.rand(count, generator=generator) - 1
