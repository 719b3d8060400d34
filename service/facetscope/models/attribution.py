"""How much a tensor of a graph has to do with a later one: its gradient, and no other."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, fx


def leaf(activations: Tensor) -> Tensor:
    """The same numbers, where a gradient ends: nothing before them is kept for it."""
    if not activations.is_floating_point():
        return activations
    return activations.detach().requires_grad_()


@final
class Attribution:
    """Two tensors of a graph, and the gradient of the later with respect to the earlier."""

    def __init__(self, graph: fx.GraphModule, batch: int | None, autocast: str | None) -> None:
        """Take a graph that gives the earlier tensor, a ``leaf``, and the later one.

        Args:
            graph: From a batch of network inputs.
            batch: The only size of a batch that it takes, if there is one.
            autocast: Kind of device under autocast to brain floats, if any.
        """
        self._graph = graph
        self._batch = batch
        self._autocast = autocast

    def __call__(
        self, images: Tensor, score: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Both tensors, and the gradient of each image's score; ``None`` where there is none.

        Args:
            images: A batch of network inputs.
            score: From the later tensor to a number for each image, which depends on no other.
        """
        size = self._batch or len(images)
        parts = [self._part(part, size, score) for part in images.split(size)]
        earlier, later, gradients = zip(*parts, strict=True)
        if any(gradient is None for gradient in gradients):
            return torch.cat(earlier), torch.cat(later), None
        return torch.cat(earlier), torch.cat(later), torch.cat(gradients)

    def _part(
        self, images: Tensor, size: int, score: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        whole = images[torch.arange(size, device=images.device) % len(images)]
        with torch.enable_grad():
            earlier, later = self._computed(whole)
            scores = score(later).sum()
        gradient = None
        if scores.requires_grad and earlier.requires_grad:
            (gradient,) = torch.autograd.grad(scores, earlier, allow_unused=True)
        given = len(images)
        return (
            earlier.detach()[:given].to(images.dtype),
            later.detach()[:given],
            None if gradient is None else gradient[:given].to(images.dtype),
        )

    def _computed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._autocast is None:
            earlier, later = self._graph(images)
        else:
            with torch.autocast(self._autocast, torch.bfloat16):
                earlier, later = self._graph(images)
        return earlier, later
