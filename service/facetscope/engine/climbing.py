"""One batch on its way: what its images climb, where they begin, and step after step."""

from collections.abc import Generator, Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

from facetscope.algorithms.ascent import Step, ascend
from facetscope.algorithms.diversity import similarity
from facetscope.algorithms.optimization import DivergedError, optimize
from facetscope.algorithms.parameterizations import Parameters, parameters
from facetscope.algorithms.slopes import NotFiniteError, Objective, UnreachableError
from facetscope.domain.errors import (
    AscentDivergedError,
    NonFiniteActivationError,
    ObjectiveUnreachableError,
)
from facetscope.domain.recipes import Recipe
from facetscope.domain.schedules import Schedule
from facetscope.domain.syntheses import Alpha, Start, Synthesis
from facetscope.domain.units import Layer, Readout
from facetscope.engine.aims import Aim


def climb(
    batch: Sequence[Aim], synthesis: Synthesis, diversity_layer: Layer | None
) -> tuple[Tensor, Generator[Step]]:
    """The pictures that a batch begins with, in [0, 255], and its steps.

    Args:
        batch: Images for units of one layer.
        synthesis: How.
        diversity_layer: Where images of a unit are to differ, if they are.
    """
    target = batch[0].target
    starts = torch.stack([aim.start for aim in batch]).to(target.network.device)
    generators = [aim.generator(synthesis.seed, "ascent") for aim in batch]
    climbed = objectives(batch, synthesis.diversity, diversity_layer)
    rescue = objectives(batch, synthesis.diversity, diversity_layer, redirected=True)
    traced = synthesis.alpha is Alpha.TRANSPARENCY
    match synthesis.method:
        case Schedule() as schedule:
            plan = target.schedule(schedule)
            steps = ascend(
                climbed,
                starts,
                schedule=plan,
                generators=generators,
                rescue=rescue,
                slopes=traced,
            )
        case Recipe() as recipe:
            begin = _parameters(batch, synthesis, recipe, starts)
            starts = begin.picture(begin.start)
            steps = optimize(
                climbed[Readout.ACTIVATION],
                begin,
                recipe=recipe,
                generators=generators,
                rescue=rescue[Readout.ACTIVATION],
                slopes=traced,
            )
    return starts, _guarded(steps, batch, synthesis)


def objectives(
    batch: Sequence[Aim],
    diversity: float = 0.0,
    diversity_layer: Layer | None = None,
    *,
    redirected: bool = False,
) -> Mapping[Readout, Objective]:
    """What can be maximized, of images that are for units of one layer.

    Args:
        batch: Those of a unit in sequence.
        diversity: Weight of the mean similarity of each image to the others of its unit, which is
            subtracted from what is read.
        diversity_layer: Where they are compared.
        redirected: Whether silent rectifiers let gradients pass.
    """
    groups = [(target, len([*aims])) for target, aims in groupby(batch, lambda aim: aim.target)]
    sizes = [size for _, size in groups]
    first = batch[0].target
    layers = [first.layer.name]
    if diversity and diversity_layer is not None:
        layers.append(diversity_layer.name)
    reading = first.network.reading(layers, redirected=redirected)

    def objective(readout: Readout) -> Objective:
        def scores(pixels: Tensor) -> Tensor:
            values, *compared = reading(first.preprocessing(pixels))
            parts = zip(groups, values.split(sizes), strict=True)
            found = torch.cat([target.score(part, readout) for (target, _), part in parts])
            for activations in compared:
                found = found - diversity * _similarities(activations, sizes, diversity_layer)
            return found

        return scores

    return {readout: objective(readout) for readout in first.readouts}


def _similarities(activations: Tensor, sizes: Sequence[int], layer: Layer | None) -> Tensor:
    assert layer is not None  # noqa: S101  # its activations are there
    return torch.cat([similarity(part, layer.channel_axis) for part in activations.split(sizes)])


def _parameters(
    batch: Sequence[Aim], synthesis: Synthesis, recipe: Recipe, starts: Tensor
) -> Parameters:
    """What a recipe varies, beginning at ``starts`` or at noise of its own kind."""
    noises = [aim.generator(synthesis.seed, "start") for aim in batch]
    given = [aim.magnitude for aim in batch if aim.magnitude is not None]
    return parameters(
        recipe.parameterization,
        starts,
        noise=noises if synthesis.start is Start.NOISE else None,
        magnitude=torch.stack(given).to(starts.device) if given else None,
        decay=recipe.decay,
    )


def _guarded(steps: Generator[Step], batch: Sequence[Aim], synthesis: Synthesis) -> Generator[Step]:
    """``steps``, with the troubles of an ascent told in words of the domain."""
    layer = batch[0].target.layer.name
    try:
        yield from steps
    except NotFiniteError as error:
        aim = batch[error.image]
        where = f"while ascending to image {aim.index} of unit {aim.target.unit}"
        raise NonFiniteActivationError(layer, where) from error
    except DivergedError as error:
        aim = batch[error.image]
        rate = synthesis.method.learning_rate if isinstance(synthesis.method, Recipe) else 0.0
        raise AscentDivergedError(str(aim.target.unit), aim.index, error.step, rate) from error
    except UnreachableError as error:
        aim = batch[error.image]
        raise ObjectiveUnreachableError(str(aim.target.unit), aim.index, error.steps) from error
