"""From starts to images: one ascent for all images of a unit, and what the unit says of them."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Tensor

from facetscope.algorithms.ascent import Step, ascend
from facetscope.algorithms.objectives import unit_activation, unit_probability
from facetscope.domain.errors import (
    GradientUnavailableError,
    NonFiniteActivationError,
    ReadoutUndefinedError,
)
from facetscope.domain.events import (
    Box,
    NaturalComparison,
    Preview,
    Progress,
    SynthesizedImage,
    Work,
)
from facetscope.domain.jobs import Synthesis
from facetscope.domain.schedules import CENTER_BIASED, Schedule
from facetscope.domain.units import Layer, Readout, Unit
from facetscope.engine.sights import box_at
from facetscope.images.encoding import png
from facetscope.images.preprocessing import Preprocessing
from facetscope.models.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A unit, read from pixels.

    Attributes:
        network: The model.
        preprocessing: How pixels become its input.
        unit: The unit.
        layer: The layer that it is read from.
        shape: Channels, height and width of the pixels.
    """

    network: Network
    preprocessing: Preprocessing
    unit: Unit
    layer: Layer
    shape: tuple[int, int, int]

    @property
    def has_probability(self) -> bool:
        """Whether the unit is a class."""
        return self.network.is_classes(self.layer) and not self.unit.is_direction

    @property
    def field(self) -> Box | None:
        """What of the picture a unit at a position depends on, where that is known."""
        if self.unit.position is None or self.layer.receptive_field is None:
            return None
        row, column = self.unit.position
        return box_at(self.layer.receptive_field, (row, column), *self.shape[1:])

    def objectives(self) -> Mapping[Readout, Callable[[Tensor], Tensor]]:
        """What can be maximized, as functions of pixels in [0, 255], one score for each image."""
        reading = self.network.reading([self.layer.name])
        unit, axis = self.unit, self.layer.channel_axis

        def activation(pixels: Tensor) -> Tensor:
            (values,) = reading(self.preprocessing(pixels))
            return unit_activation(values, unit.terms, axis, unit.position)

        def probability(pixels: Tensor) -> Tensor:
            (values,) = reading(self.preprocessing(pixels))
            return unit_probability(values.flatten(1), unit.channel)

        if not self.has_probability:
            return {Readout.ACTIVATION: activation}
        return {Readout.ACTIVATION: activation, Readout.PROBABILITY: probability}

    def check(self, asked: Schedule) -> None:
        """Find out, before hours of work, whether an ascent is possible.

        Raises:
            GradientUnavailableError: The unit has no gradient.
            OperatorUnsupportedError: A node on the way to it has no translation.
            ReadoutUndefinedError: The schedule asks for a probability that the unit does not have.
        """
        self.schedule(asked)
        black = torch.zeros((1, *self.shape), device=self.network.device, requires_grad=True)
        if not self.objectives()[Readout.ACTIVATION](black).requires_grad:
            raise self._without_gradient(black)

    def _without_gradient(self, pixels: Tensor) -> GradientUnavailableError:
        """What stands in the way of the gradient, which is known to be missing."""
        shape = tuple(self.preprocessing(pixels).shape)
        obstacle = self.network.obstacles(shape)[self.layer.name]
        return GradientUnavailableError(
            self.layer.name, obstacle.node, obstacle.operator, obstacle.problem
        )

    def schedule(self, asked: Schedule) -> Schedule:
        """The schedule for this unit: the center-biased preset reads activations of hidden ones.

        Raises:
            ReadoutUndefinedError: Own phases ask for a probability that the unit does not have.
        """
        if self.has_probability or all(
            phase.readout is Readout.ACTIVATION for phase in asked.phases
        ):
            return asked
        if asked.phases != CENTER_BIASED.phases:
            direction = str(self.unit) if self.unit.is_direction else ""
            raise ReadoutUndefinedError(self.layer.name, self.layer.shape, direction)
        phases = tuple(replace(phase, readout=Readout.ACTIVATION) for phase in asked.phases)
        return replace(asked, phases=phases)


def synthesize(
    target: Target, starts: Tensor, synthesis: Synthesis, natural: Tensor | None
) -> Generator[Progress | Preview | SynthesizedImage]:
    """Ascend from ``starts`` together, and give the images when the schedule is done.

    Args:
        target: What to maximize.
        starts: Pixels in [0, 255] at the size of the network's input, [image, channel, height,
            width].
        synthesis: How.
        natural: Activations of the unit for natural images, to compare with.

    Raises:
        NonFiniteActivationError: The model gave NaN or infinity.
    """
    unit, schedule = target.unit, target.schedule(synthesis.schedule)
    objectives = target.objectives()
    starts = starts.to(target.network.device)
    yield Progress(work=Work.SYNTHESIZING, unit=unit, total=schedule.steps)
    start_activations = _measured(target, objectives[Readout.ACTIVATION], starts)
    generators = [_generator(synthesis.seed, unit, index) for index in range(len(starts))]
    steps = ascend(objectives, starts, schedule=schedule, generators=generators)
    for step in _guarded(steps, target):
        yield Progress(
            work=Work.SYNTHESIZING,
            unit=unit,
            done=step.index,
            total=schedule.steps,
            objective=float(step.scores.mean()),
        )
        if synthesis.preview_interval and step.index % synthesis.preview_interval == 0:
            yield from _previews(unit, step)
    yield from _images(
        target,
        objectives,
        step.images,
        start_activations,
        natural=natural,
        steps=schedule.steps,
    )


def noise(shape: tuple[int, ...], synthesis: Synthesis, unit: Unit) -> Tensor:
    """Starts of independent normal pixels, [image, channel, height, width], clipped to [0, 255]."""
    images = [
        torch.normal(
            synthesis.noise_mean,
            synthesis.noise_std,
            shape[1:],
            generator=_generator(synthesis.seed, unit, index, "start"),
        )
        for index in range(shape[0])
    ]
    return torch.stack(images).clamp(0, 255)


def _generator(seed: int, unit: Unit, index: int, purpose: str = "ascent") -> torch.Generator:
    """Randomness of one image, that does not depend on what shares its batch."""
    key = sha256(f"{seed}/{unit}/{index}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8]) >> 1)


def _guarded(steps: Generator[Step], target: Target) -> Generator[Step]:
    """``steps``, with the troubles of an ascent told in words of the domain."""
    try:
        yield from steps
    except FloatingPointError as error:
        raise NonFiniteActivationError(target.layer.name, f"while ascending: {error}") from error


def _previews(unit: Unit, step: Step) -> Generator[Preview]:
    for index, (pixels, score) in enumerate(zip(step.images, step.scores, strict=True)):
        yield Preview(
            unit=unit, index=index, step=step.index, objective=float(score), picture=png(pixels)
        )


def _images(
    target: Target,
    objectives: Mapping[Readout, Callable[[Tensor], Tensor]],
    images: Tensor,
    start_activations: Tensor,
    *,
    natural: Tensor | None,
    steps: int,
) -> Generator[SynthesizedImage]:
    """The images as they are sent, in whole grey levels, and what the unit says of just these."""
    delivered = images.round().clamp(0, 255)
    activations = _measured(target, objectives[Readout.ACTIVATION], delivered)
    probabilities = (
        _measured(target, objectives[Readout.PROBABILITY], delivered)
        if target.has_probability
        else None
    )
    for index, pixels in enumerate(delivered):
        activation = float(activations[index])
        yield SynthesizedImage(
            unit=target.unit,
            index=index,
            picture=png(pixels),
            activation=activation,
            probability=None if probabilities is None else float(probabilities[index]),
            start_activation=float(start_activations[index]),
            natural=None if natural is None else _compared(activation, natural),
            steps=steps,
            field=target.field,
        )


def _measured(target: Target, objective: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    with torch.no_grad():
        scores = objective(pixels).cpu()
    broken = torch.nonzero(~scores.isfinite())
    if len(broken):
        raise NonFiniteActivationError(target.layer.name, f"for synthesized image {int(broken[0])}")
    return scores


def _compared(activation: float, natural: Tensor) -> NaturalComparison:
    smaller = int((natural < activation).sum())
    return NaturalComparison(len(natural), float(natural.max()), 100 * smaller / len(natural))
