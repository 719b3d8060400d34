"""Activation maximization over parameters: a recipe's parts, put together and optimized by Adam."""

from collections.abc import Generator, Sequence
from typing import Final

import torch
from torch import Tensor

from facetscope.algorithms.ascent import Step
from facetscope.algorithms.canvases import height_width
from facetscope.algorithms.parameterizations import Parameters, saturation
from facetscope.algorithms.regularizers import blur, l2, total_variation
from facetscope.algorithms.shapes import Images, Maps, Scores
from facetscope.algorithms.slopes import Objective, Slopes, check_finite
from facetscope.algorithms.transforms import shown, views
from facetscope.domain.recipes import Penalties, Recipe

SATURATED: Final = 0.9
"""Part of a picture that is black or white from which on nothing is left to climb by."""


class DivergedError(Exception):
    """The pictures ran into black and white: the learning rate is too large."""

    def __init__(self, image: int, step: int) -> None:
        """Of ``image``, after ``step`` steps."""
        super().__init__(f"image {image}, step {step}")
        self.image = image
        self.step = step


def optimize(
    objective: Objective,
    parameters: Parameters,
    *,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    rescue: Objective | None = None,
    slopes: bool = False,
) -> Generator[Step]:
    """Climb ``objective`` by what ``recipe`` composes, yielding after every step.

    The caller sets the pace: it ends the ascent by asking for no further step. Images share nothing
    but the batch, so each ends the same in any company.

    Args:
        objective: What to climb: one score for each picture in [0, 255].
        parameters: Where to begin.
        recipe: How; its parameterization is that of ``parameters``.
        generators: The randomness of each image, on the CPU.
        rescue: The same where rectifiers are silent: see ``Slopes``.
        slopes: Whether each step tells its slope, on the picture.

    Raises:
        NotFiniteError: A score or gradient is NaN or infinite.
        DivergedError: A picture is black or white nearly everywhere, and did not begin so.
        UnreachableError: A picture cannot be climbed at all: see ``Slopes``.
    """
    varied = parameters.start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([varied], lr=recipe.learning_rate)
    climbing = Slopes(recipe.steps)
    picture = _picture(parameters, varied)
    size, saturated = height_width(picture), saturation(picture) > SATURATED
    for index in range(1, recipe.steps + 1):
        with torch.enable_grad():
            seen = shown(picture, views(recipe.transforms, picture, generators))
            cost = _penalty(picture, recipe.penalties)
        scores, slope = climbing(objective, seen, rescue)
        told = _on_picture(seen, picture, slope) if slopes else None
        varied.grad = _downhill(varied, seen, slope, cost)
        check_finite(scores + varied.grad.flatten(1).abs().mean(dim=1))
        adam.step()
        picture = _picture(parameters, varied)
        _check_range(picture, saturated, index)
        yield Step(index, 0, picture.detach(), size, scores, told)


@torch.enable_grad()
def _picture(parameters: Parameters, varied: Tensor) -> Images:
    return parameters.picture(varied)


def _downhill(varied: Tensor, seen: Images, slope: Images, cost: Scores | None) -> Tensor:
    """What Adam goes against: the slope that is seen, brought to the parameters, and the cost's."""
    if cost is None:
        (gradient,) = torch.autograd.grad(seen, varied, -slope)
    else:
        (gradient,) = torch.autograd.grad((seen, cost.sum()), varied, (-slope, None))
    return gradient


def _on_picture(seen: Images, picture: Images, slope: Images) -> Maps:
    """The absolute slope of the picture, summed over channels."""
    (gradient,) = torch.autograd.grad(seen, picture, slope, retain_graph=True)
    return gradient.abs().sum(dim=1)


def _penalty(picture: Images, asked: Penalties) -> Scores | None:
    terms = (
        (asked.total_variation, total_variation),
        (asked.l2, l2),
        (asked.blur, blur),
    )
    weighted = [weight * term(picture) for weight, term in terms if weight]
    return torch.stack(weighted).sum(dim=0) if weighted else None


def _check_range(picture: Images, before: Tensor, step: int) -> None:
    lost = (saturation(picture) > SATURATED) & ~before
    if lost.any():
        raise DivergedError(int(lost.nonzero()[0]), step)
