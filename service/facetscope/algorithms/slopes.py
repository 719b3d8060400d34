"""Slopes: scores of images and their gradients, and what becomes of images that have none.

A network of rectifiers may be silent for an image: nothing of the gradient comes through. Such an
image takes it from a rescue objective for its first steps: the same unit, read such that rectifiers
let a gradient through that wakes them, as in Lucid (``misc/redirected_relu_grad.py``).
"""

from collections.abc import Callable
from typing import Final, final

import torch
from torch import Tensor

from facetscope.algorithms.shapes import Images, Scores

Objective = Callable[[Images], Scores]
"""What to climb: one score for each image of the network's input size."""

RESCUE_STEPS: Final = 16
"""For how many steps images without a gradient are rescued: Lucid's number."""


class UnreachableError(Exception):
    """The gradient of an image was zero in every step, with rescue and all."""

    def __init__(self, image: int, steps: int) -> None:
        """Of ``image``, in the first ``steps`` steps."""
        super().__init__(f"image {image}, {steps} steps")
        self.image = image
        self.steps = steps


class NotFiniteError(FloatingPointError):
    """A number of an image is NaN or infinite."""

    def __init__(self, image: int) -> None:
        """Of ``image``."""
        super().__init__(f"the score or gradient of image {image} is NaN or infinite")
        self.image = image


@final
class Slopes:
    """The gradients of one ascent, step after step."""

    def __init__(self, steps: int) -> None:
        """Prepare for an ascent of so many steps."""
        self._steps = min(RESCUE_STEPS, steps)
        self._taken = 0
        self._moved: Tensor | None = None

    def __call__(
        self, objective: Objective, images: Images, rescue: Objective | None
    ) -> tuple[Scores, Images]:
        """The scores of ``images``, and the gradient that the next step of the ascent goes by.

        Args:
            objective: What is climbed.
            images: What it is shown.
            rescue: Has the scores of ``objective``. In the first ``RESCUE_STEPS`` steps, an image
                whose gradient is exactly zero has that of ``rescue``, which is shown the whole
                batch; all others keep their own. Without it, an image without a gradient keeps
                none.

        Raises:
            UnreachableError: There is a rescue, these steps are over, and an image never had a
                gradient.
        """
        scores, gradient = slope(objective, images)
        if rescue is not None and self._taken < self._steps:
            still = _still(gradient)
            if still.any():
                _, rescued = slope(rescue, images)
                gradient = torch.where(still.reshape(-1, 1, 1, 1), rescued, gradient)
            self._note(_still(gradient))
        return scores, gradient

    def _note(self, still: Tensor) -> None:
        """Remember which images had a gradient in any step."""
        self._taken += 1
        self._moved = ~still if self._moved is None else self._moved | ~still
        if self._taken == self._steps and not self._moved.all():
            raise UnreachableError(int((~self._moved).nonzero()[0]), self._taken)


@torch.enable_grad()
def slope(objective: Objective, images: Images) -> tuple[Scores, Images]:
    """Scores, and the gradient of each with respect to its image."""
    leaves = images.detach().requires_grad_()
    scores = objective(leaves)
    (gradient,) = torch.autograd.grad(scores.sum(), leaves)
    return scores.detach(), gradient


def check_finite(evidence: Scores) -> None:
    """Stop where a number of an image is no number.

    Raises:
        NotFiniteError: It is NaN or infinite.
    """
    broken = ~evidence.isfinite()
    if broken.any():
        raise NotFiniteError(int(broken.nonzero()[0]))


def _still(gradient: Images) -> Tensor:
    """Which images have a gradient of zeros alone."""
    return ~gradient.flatten(1).any(dim=1)
