"""What a network takes, made of pixels."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from facetscope.domain.inputs import COLOURS, ColorOrder, Gamma, Input, Layout

TOE: Final = 0.04045
"""Where the curve of sRGB begins to bend (IEC 61966-2-1), as a part of the whole range."""


class Preprocessing(nn.Module):
    """Pixels in [0, 255] to the input of a network, differentiably.

    A module, so that its numbers move to the network's device once and not with every batch.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, spec: Input) -> None:
        super().__init__()
        std = torch.tensor(spec.std, dtype=torch.float64)
        scale = (spec.high - spec.low) / 255 / std
        shift = (spec.low - torch.tensor(spec.mean, dtype=torch.float64)) / std
        self.register_buffer("scale", scale.float().reshape(-1, 1, 1))
        self.register_buffer("shift", shift.float().reshape(-1, 1, 1))
        self._flips = spec.channels == COLOURS and spec.color_order is ColorOrder.BGR
        self._linear = spec.gamma is Gamma.LINEAR
        self._channels_last = spec.layout is Layout.NHWC

    @override
    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch _ _ _"]:
        """Scale and shift each channel, in the network's gamma and order of colours and axes.

        Mean and std are in the network's order of colours, too.
        """
        given = pixels.to(self.scale.dtype)
        levels = _linear(given) if self._linear else given
        ordered = levels.flip(1) if self._flips else levels
        scaled = torch.addcmul(self.shift, ordered, self.scale)
        return scaled.permute(0, 2, 3, 1) if self._channels_last else scaled


def _linear(pixels: Tensor) -> Tensor:
    """Levels in proportion to light, in [0, 255] too."""
    part = pixels / 255
    bent = ((part.clamp(min=TOE) + 0.055) / 1.055) ** 2.4
    return 255 * torch.where(part > TOE, bent, part / 12.92)
