"""What a network takes, made of pixels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from facetscope.domain.inputs import ColorOrder, Input, Layout


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
        self._flips = spec.channels > 1 and spec.color_order is ColorOrder.BGR
        self._channels_last = spec.layout is Layout.NHWC

    @override
    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch _ _ _"]:
        """Scale and shift each channel, in the network's order of colours and axes.

        Mean and std are in the network's order of colours, too.
        """
        ordered = pixels.flip(1) if self._flips else pixels
        scaled = torch.addcmul(self.shift, ordered, self.scale)
        return scaled.permute(0, 2, 3, 1) if self._channels_last else scaled
