"""Regularizers: penalties of pictures in [0, 255], one for each, with levels counted in [0, 1]."""

import torch
from torch.nn.functional import conv2d, pad

from facetscope.algorithms.shapes import Images, Scores


def total_variation(images: Images) -> Scores:
    """Mean absolute difference of neighbours: down, plus across."""
    levels = images / 255
    down = levels.diff(dim=2).abs().mean(dim=(1, 2, 3))
    return down + levels.diff(dim=3).abs().mean(dim=(1, 2, 3))


def l2(images: Images) -> Scores:
    """Mean square distance from middle grey."""
    return (images / 255 - 0.5).square().mean(dim=(1, 2, 3))


def blur(images: Images) -> Scores:
    """Mean square distance from the picture's own blurred version, which is taken as given."""
    levels = images / 255
    return (levels - _blurred(levels.detach())).square().mean(dim=(1, 2, 3))


def _blurred(levels: Images) -> Images:
    """By the kernel [1, 2, 1] / 4 along each axis; the edge is repeated."""
    channels = levels.shape[1]
    line = torch.tensor([0.25, 0.5, 0.25], dtype=levels.dtype, device=levels.device)
    kernel = torch.outer(line, line).expand(channels, 1, 3, 3)
    return conv2d(pad(levels, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
