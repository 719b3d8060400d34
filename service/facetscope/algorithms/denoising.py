"""Total-variation denoising of whole batches.

Each plane ``f`` becomes the ``u`` that minimizes
``sum(phi(|grad u|)) + weight / 2 * sum((u - f) ** 2)``. That is the problem which the isotropic
``denoise_tv_bregman`` of scikit-image (Goldstein & Osher, 2009) converges to. Its shrinkage
``s -> s ** 2 / (s + 1 / lambda)``, with ``lambda = 2 * weight``, makes ``phi`` a total variation
that is rounded near zero: the slope ``r`` of ``phi`` at ``d`` obeys
``r ** 2 / (1 - r) = lambda * d``, where Rudin, Osher & Fatemi (1992) have ``r = 1``. Nothing flows
across the edges of a plane, so its mean is kept.

The solver is FISTA (Beck & Teboulle, 2009) on the dual field, not split Bregman. An iteration costs
the same, and at weights of 0.4 and more 15 of them come as near as 60 to 100 of split Bregman. It
is written twice: in tensor operations for a GPU, and as a compiled loop for a CPU, which is three
to five times as fast there.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from math import sqrt

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from facetscope.algorithms.shapes import Images, Planes, Scores

ROUND = 5
"""Iterations between two looks at how far the planes still move."""

STEP = 1 / 8
"""Step along the dual gradient: one over the largest eigenvalue of the grid's Laplacian."""


def denoise(
    images: Images, weights: Scores | float, *, iterations: int = 100, tolerance: float = 0.1
) -> Images:
    """``images`` with less total variation, channel by channel.

    Each plane stops by itself, so an image's result does not depend on what shares its batch.

    Args:
        images: In any range; left as they are. Grey levels in [0, 255] suit the usual weights.
        weights: Positive; of each image, or of all. A smaller weight smooths more.
        iterations: How many to take at most; counted in whole rounds of ``ROUND``.
        tolerance: A plane is done when a round moves it by less, in root mean square, in the
            images' unit. The error left is then about as large, or smaller.
    """
    batch, channels, *_ = images.shape
    planes = rearrange(
        images.detach(), "batch channel height width -> (batch channel) height width"
    )
    weights = torch.as_tensor(weights, dtype=images.dtype, device=images.device).expand(batch)
    scale = weights.repeat_interleave(channels) / 2
    solve = _solved_plane_by_plane if planes.device.type == "cpu" else _solved_together
    smooth = solve(planes, scale, rounds=-(-iterations // ROUND), tolerance=tolerance)
    return rearrange(smooth, "(batch channel) ... -> batch channel ...", batch=batch)


def _solved_plane_by_plane(
    planes: Planes, scale: Scores, *, rounds: int, tolerance: float
) -> Planes:
    """On a CPU: each plane by one thread, in compiled code."""
    # Imported here: the compiler takes a second to load, and only an ascent on a CPU needs it.
    from facetscope.kernels import total_variation  # noqa: PLC0415

    divisor = rearrange(scale, "plane -> plane 1 1")
    targets = (planes * divisor).numpy()
    beyond = np.array([*islice(_extrapolations(), rounds * ROUND)], dtype=targets.dtype)
    each_round = beyond.reshape(rounds, ROUND)

    def solve(target: np.ndarray, least_move: float) -> np.ndarray:
        return total_variation.solve(target, each_round, tolerance=least_move)

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        smooth = np.stack([*threads.map(solve, targets, (tolerance * scale).tolist())])
    return torch.from_numpy(smooth) / divisor


@torch.no_grad()
def _solved_together(planes: Planes, scale: Scores, *, rounds: int, tolerance: float) -> Planes:
    """On any device: all planes at once, in tensor operations."""
    divisor = rearrange(scale, "plane -> plane 1 1")
    dual = _Dual(planes * divisor)
    beyond = _extrapolations()
    result = before = planes
    moving = torch.ones_like(scale, dtype=torch.bool)
    for _ in range(rounds):
        for extrapolation in islice(beyond, ROUND):
            dual.advance(extrapolation)
        now = dual.planes() / divisor
        result = torch.where(rearrange(moving, "plane -> plane 1 1"), now, result)
        moving &= (now - before).square_().mean(dim=(1, 2)).sqrt_() >= tolerance
        if not moving.any():
            break
        before = now
    return result


def _extrapolations() -> Iterator[float]:
    """How far FISTA goes beyond its proposals, as a part of their distances from where it was."""
    momentum = 1.0
    while True:
        grown = (1 + sqrt(1 + 4 * momentum**2)) / 2
        yield (momentum - 1) / grown
        momentum = grown


class _Dual:
    """The dual field of some planes, and how it ascends to its optimum.

    Planes come scaled by half their weight, which takes the weight out of every equation: they
    become ``target + div(field)`` with fields of length below 1/2.

    All planes lie in one row of pixels, where a pixel's neighbours are one and ``width`` places
    away. Fields are zero at the last column of their first component and the last row of their
    second, and have ``width`` zeros in front, so divergences need no care at edges.
    """

    def __init__(self, target: Planes) -> None:
        self._shape = target.shape
        self._width = target.shape[-1]
        self._target = target.reshape(-1)
        pixels = len(self._target)
        self._field, self._next, self._ahead = target.new_zeros(3, 2, self._width + pixels)
        self._image = target.new_zeros(pixels + self._width)
        self._length, self._divisor = target.new_empty(2, pixels)

    def planes(self) -> Planes:
        """The scaled planes that belong to the field; overwritten by what comes next."""
        return self._planes_of(self._field).view(self._shape)

    def advance(self, extrapolation: float) -> None:
        """One iteration: a proximal step from the extrapolated field, then extrapolation."""
        ahead, proposal = self._ahead[:, self._width :], self._next[:, self._width :]
        self._write_gradient(self._planes_of(self._ahead), proposal)
        torch.add(ahead, proposal, alpha=STEP, out=proposal)
        self._shrink(proposal)
        torch.lerp(self._field[:, self._width :], proposal, 1 + extrapolation, out=ahead)
        self._field, self._next = self._next, self._field

    def _planes_of(self, field: Tensor) -> Tensor:
        width = self._width
        image = self._image[:-width]
        torch.add(self._target, field[0, width:], out=image)
        return image.sub_(field[0, width - 1 : -1]).add_(field[1, width:]).sub_(field[1, :-width])

    def _write_gradient(self, image: Tensor, gradient: Tensor) -> None:
        across, down = gradient
        torch.sub(self._image[1 : 1 + len(image)], image, out=across)
        torch.sub(self._image[self._width :], image, out=down)
        across.view(self._shape)[:, :, -1] = 0
        down.view(self._shape)[:, -1, :] = 0

    def _shrink(self, field: Tensor) -> None:
        """The proximal operator of the conjugate of ``phi``, a barrier at length 1/2.

        A length ``m`` becomes ``m / (1/2 + m + sqrt(1/4 + m ** 2 - (1 - STEP) * m))``, the root of
        the quadratic equation that the slope of ``phi`` obeys.
        """
        across, down = field
        divisor = torch.mul(across, across, out=self._divisor).addcmul_(down, down)
        length = torch.sqrt(divisor, out=self._length)
        divisor.sub_(length, alpha=1 - STEP).add_(0.25).sqrt_().add_(length).add_(0.5)
        field.div_(divisor)
