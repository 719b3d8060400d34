"""The steps of an ascent as the authors' script takes them, where ours are others.

``act_max.tvd.mean.py`` of Nguyen, Yosinski & Clune (2016), https://github.com/Evolving-AI-Lab/mfv.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facetscope.algorithms.canvases import Size, height_width, size_of
from facetscope.algorithms.shapes import Canvas, Images

ITERATIONS = 100
"""Of split Bregman, at most."""

TOLERANCE = 1e-3
"""Change of an image at which split Bregman ends, in root mean square of its grey levels."""


def resize_by_splines(canvas: Images, scale: float, *, at_least: Size) -> Canvas:
    """``canvas`` with sides ``scale`` times as long, by ``scipy.ndimage.zoom``: cubic splines.

    Corners stay corners, pixels may leave the range, and what shrinks is not averaged.
    """
    before, after = height_width(canvas), size_of(canvas, scale, at_least=at_least)
    if before == after:
        return canvas
    down, across = (
        torch.from_numpy(_zooming(*sides)).to(canvas.device)
        for sides in zip(before, after, strict=True)
    )
    return (down @ canvas.double() @ across.T).to(canvas.dtype)


def _zooming(before: int, after: int) -> np.ndarray:
    """What ``zoom`` does along one axis, as a matrix: it is linear, and treats axes alike."""
    # Imported here: no other ascent needs it.
    from scipy import ndimage  # noqa: PLC0415

    matrix: np.ndarray = ndimage.zoom(np.eye(before), (after / before, 1))
    return matrix


def mean_of_masked(gradient: Images, central: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    """The mean absolute gradient after the border was masked: zeros count, so steps are larger.

    Args:
        gradient: The whole of it.
        central: What is left of it.
    """
    sums = central.abs().sum(dim=(1, 2, 3), keepdim=True)
    return sums / gradient[0].numel()


def denoise_by_split_bregman(images: Images, weight: float) -> Images:
    """``images`` as scikit-image's ``denoise_tv_bregman`` leaves them after 100 iterations.

    On the CPU and in double precision, whatever the images are; each image ends by itself.
    """
    # Imported here: the compiler takes a second to load.
    from facetscope.kernels import split_bregman  # noqa: PLC0415

    def solve(planes: np.ndarray) -> np.ndarray:
        return split_bregman.solve(planes, weight, iterations=ITERATIONS, tolerance=TOLERANCE)

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        smooth = np.stack([*threads.map(solve, images.detach().double().cpu().numpy())])
    return torch.from_numpy(smooth).to(images)
