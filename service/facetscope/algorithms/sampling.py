"""Pictures under affine moves, sampled such that the gradient has the same bytes every time.

On CUDA, torch's own gradient of ``grid_sample`` adds what pixels contribute in the order in which
threads happen to arrive, and no two runs are alike. There, each pixel of the picture gathers what
it gave instead, in a fixed order.
"""

from collections.abc import Callable
from math import floor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from typing_extensions import override

from facetscope.algorithms.canvases import height_width
from facetscope.algorithms.shapes import Images

Matrices = Float[Tensor, "image 3 3"]

Places = Float[Tensor, "#image 2 height width"]
"""For each pixel of each image, or of all alike, x and y of some place."""


def sampled(images: Images, matrices: Matrices) -> Images:
    """What each image looks like where its matrix takes each pixel to; zero beyond the edge.

    Bilinear, and differentiable with respect to the images.

    Args:
        images: Of any range.
        matrices: On the CPU: from places in the result to places in the image, as homogeneous
            columns (x, y, 1) in pixels, with the origin in the middle.
    """
    look: Callable[..., Images] = _Sampled.apply if images.is_cuda else _look
    return look(images, matrices)


class _Sampled(torch.autograd.Function):
    """``_look``, with ``gathered`` for its gradient."""

    @staticmethod
    @override
    def forward(ctx: Any, images: Tensor, matrices: Tensor) -> Tensor:
        ctx.matrices = matrices
        return _look(images, matrices)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        return gathered(gradient, ctx.matrices), None


def _look(images: Images, matrices: Matrices) -> Images:
    height, width = height_width(images)
    half = torch.tensor([width / 2, height / 2, 1.0], dtype=torch.float64)
    normalized = (matrices.double() * half / half.reshape(-1, 1))[:, :2]
    grid = affine_grid(normalized.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def gathered(gradient: Images, matrices: Matrices) -> Images:
    """The gradient of ``sampled`` with respect to its images.

    A pixel gave to those pixels of the result that were taken from less than a pixel away. They lie
    around the one place that was taken from just there, no farther than the inverse matrix reaches.
    """
    inverse = torch.linalg.inv(matrices.double())
    reach = floor(float(inverse[:, :2, :2].abs().sum(dim=2).max()) + 1 / 2)
    own, middle = _places(gradient)
    first = (_moved(own, inverse) + middle).round() - middle
    result = torch.zeros_like(gradient)
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            place = first + first.new_tensor([across, down]).reshape(2, 1, 1)
            weight = (1 - (_moved(place, matrices) - own).abs()).clamp(min=0)
            result += weight.prod(dim=1, keepdim=True) * _taken(gradient, place + middle)
    return result


def _places(images: Images) -> tuple[Places, Tensor]:
    """Every pixel's place from the middle, and the middle's from the first pixel."""
    height, width = height_width(images)
    rows = torch.arange(height, dtype=images.dtype, device=images.device)
    columns = torch.arange(width, dtype=images.dtype, device=images.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    middle = images.new_tensor([(width - 1) / 2, (height - 1) / 2]).reshape(2, 1, 1)
    return (torch.stack([x, y]) - middle)[None], middle


def _moved(places: Places, matrices: Matrices) -> Places:
    """``places`` where the matrices take them, by sums that no unit of products rounds."""
    (xx, xy, x0), (yx, yy, y0), _ = matrices.to(places)[..., None, None].permute(1, 2, 0, 3, 4)
    x, y = places.unbind(dim=1)
    return torch.stack([xx * x + xy * y + x0, yx * x + yy * y + y0], dim=1)


def _taken(images: Images, places: Places) -> Images:
    """The pixels at whole ``places``, counted from the first pixel; zero beyond the edge."""
    height, width = height_width(images)
    x, y = places.long().unbind(dim=1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = torch.where(inside, y * width + x, 0).flatten(1)[:, None]
    pixels = images.flatten(2).gather(2, index.expand(-1, images.shape[1], -1))
    return pixels.reshape(images.shape) * inside[:, None]
