"""Any number of images for a graph that takes just one number of them."""

import warnings
from collections.abc import Callable
from typing import Final, final

import torch
from torch import Tensor, nn

FALLBACK: Final = (
    "There is a performance drop because we have not yet implemented the batching rule"
)
"""How torch announces that ``torch.vmap`` computes an operator group by group, in a loop."""


@final
class Groups(nn.Module):
    """A graph for batches of one size, computed for as many of them as are there, side by side."""

    def __init__(self, graph: Callable[[Tensor], tuple[Tensor, ...]], size: int) -> None:
        """Apply ``graph`` to groups of ``size`` images."""
        super().__init__()
        self._graph = graph
        self._size = size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The outputs of all groups, one after another along the first axis.

        Images are repeated to fill the last group. Outputs that have a row for each image of a
        group have one for each of ``images``; of others, all is returned.
        """
        given, groups = len(images), -(-len(images) // self._size)
        if groups * self._size != given:
            images = images[torch.arange(groups * self._size, device=images.device) % given]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=FALLBACK)
            outputs = torch.vmap(self._graph)(images.unflatten(0, (groups, self._size)))
        return tuple(self._joined(output)[: self._rows(output, given)] for output in outputs)

    def _rows(self, output: Tensor, images: int) -> int | None:
        """How many rows of an output of groups are asked for; None for all."""
        return images if output.shape[1:2] == (self._size,) else None

    def _joined(self, output: Tensor) -> Tensor:
        return output if output.dim() == 1 else output.flatten(0, 1)
