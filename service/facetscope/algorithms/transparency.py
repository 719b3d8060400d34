"""What matters in a synthesized image: one number in [0, 1] for each pixel, to fade out the rest.

Transparency is that of Fel et al., "Unlocking Feature Visualization for Deeper Networks with
MAgnitude Constrained Optimization" (2023), arXiv:2306.06805, section 4.
"""

from math import ceil
from typing import Final, final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from facetscope.algorithms.canvases import Size, fit, height_width
from facetscope.algorithms.shapes import CanvasMaps, Images, Maps
from facetscope.algorithms.slopes import Objective

SMOOTHING: Final = 1 / 32
"""Standard deviation of what smooths maps, in shorter sides: gradients are ragged by nature."""

OPAQUE_FROM: Final = 0.95
"""The quantile from which on pixels are opaque: a few outliers would hide all others."""


@torch.enable_grad()
def attribution(objective: Objective, images: Images) -> Maps:
    """What the score of each image owes to each of its pixels, in [0, 1].

    The gradient times the pixel's difference from the image's mean colour: to first order, what the
    score would lose if the pixel had that colour; in absolute value, summed over channels.
    """
    leaves = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(leaves).sum(), leaves)
    with torch.no_grad():
        difference = images - images.mean(dim=(2, 3), keepdim=True)
        return opacity((gradient * difference).abs().sum(dim=1))


@final
class Transparency:
    """Where an ascent found its gradients: the mean of their absolute values over its steps so far.

    It is fed with the ``slope`` of each step. A canvas may grow from one step to the next. The mean
    is over the steps that looked at a pixel: else it would show above all that crops are seldom cut
    at the edges.
    """

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._seen: Tensor | None = None

    def add(self, slope: CanvasMaps) -> None:
        """Count in the absolute gradient of one more step, NaN where it did not look."""
        size = height_width(slope[:, None])
        seen = ~slope.isnan()
        if self._sum is None or self._seen is None:
            self._sum, self._seen = slope.nan_to_num(0.0), seen.to(slope)
            return
        self._sum = _fit(self._sum, size) + slope.nan_to_num(0.0)
        self._seen = _fit(self._seen, size) + seen

    def maps(self, size: Size) -> Maps:
        """How much each pixel of images of ``size`` mattered, in [0, 1].

        Raises:
            ValueError: No step was taken.
        """
        if self._sum is None or self._seen is None:
            raise ValueError("there is no transparency before the first step")
        # A pixel that no step saw has the sum 0.
        mean = self._sum / self._seen.clamp(min=torch.finfo(self._seen.dtype).eps)
        return opacity(_fit(mean, size))


def opacity(maps: Maps) -> Maps:
    """Maps of any positive scale, smoothed, and scaled to [0, 1] by their upper quantile.

    A map that is 0 everywhere stays so: nothing mattered, and nothing is to be seen.
    """
    smooth = _smoothed(maps)
    flat = smooth.flatten(1)
    quantile = flat.quantile(OPAQUE_FROM, dim=1)
    # Few pixels may matter at all: those of a unit that sees a small part of the image.
    scale = torch.where(quantile > 0, quantile, flat.amax(dim=1))
    positive = scale.clamp(min=torch.finfo(scale.dtype).tiny)
    return (smooth / positive.view(-1, 1, 1)).clamp(max=1)


def _smoothed(maps: Maps) -> Maps:
    """Convolved with a Gaussian; what lies beyond an edge is what lies at it."""
    deviation = SMOOTHING * min(maps.shape[1:])
    reach = ceil(3 * deviation)
    offsets = torch.arange(-reach, reach + 1, dtype=maps.dtype, device=maps.device)
    weights = (-0.5 * (offsets / deviation).square()).exp()
    weights /= weights.sum()
    wide = pad(maps[:, None], (reach,) * 4, mode="replicate")
    return conv2d(conv2d(wide, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1)).squeeze(1)


def _fit(maps: CanvasMaps, size: Size) -> Maps:
    return fit(maps[:, None], size).squeeze(1)
