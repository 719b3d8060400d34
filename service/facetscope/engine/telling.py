"""What is told of images while they are made, and when they are done."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facetscope.algorithms.ascent import Step
from facetscope.algorithms.certificates.activation import percentile
from facetscope.algorithms.slopes import Objective
from facetscope.domain.errors import NonFiniteActivationError
from facetscope.domain.events import (
    ImageObjective,
    NaturalComparison,
    Picture,
    Preview,
    Progress,
    SynthesizedImage,
    Work,
)
from facetscope.domain.syntheses import Encoding, Synthesis
from facetscope.domain.units import Readout, Unit
from facetscope.engine.aims import Aim, Made
from facetscope.engine.climbing import objectives
from facetscope.images.encoding import delivered as decoded
from facetscope.images.encoding import encoded


@dataclass(frozen=True, slots=True, eq=False)
class Telling:
    """What is told of a batch while it ascends; of controls, nothing.

    Attributes:
        batch: What is made.
        synthesis: How, and how often to tell.
        before: Steps of earlier batches.
        total: Steps of all batches.
    """

    batch: Sequence[Aim]
    synthesis: Synthesis
    before: int
    total: int

    @property
    def _unit(self) -> Unit | None:
        """The unit of all images, if it is one."""
        first, last = self.batch[0].target.unit, self.batch[-1].target.unit
        return first if first == last else None

    def begun(self) -> Progress:
        """That it begins."""
        return self._progress(self.before)

    def of(self, step: Step) -> Generator[Progress | Preview]:
        """What is told of a step: of some, nothing."""
        last = step.index == self.synthesis.method.steps
        if last or step.index % self.synthesis.progress_interval == 0:
            told = tuple(
                ImageObjective(
                    None if self._unit else aim.target.unit, aim.index, aim.seed_index, score
                )
                for aim, score in zip(self.batch, step.scores.tolist(), strict=True)
                if not aim.is_control
            )
            yield self._progress(self.before + step.index, told)
        interval = self.synthesis.preview_interval
        if interval and step.index % interval == 0:
            yield from self._previews(step)

    def _progress(self, done: int, told: tuple[ImageObjective, ...] = ()) -> Progress:
        return Progress(
            work=Work.SYNTHESIZING,
            unit=self._unit,
            done=done,
            total=self.total,
            objective=sum(each.objective for each in told) / len(told) if told else None,
            objectives=told,
        )

    def _previews(self, step: Step) -> Generator[Preview]:
        for aim, pixels, score in zip(self.batch, step.images, step.scores.tolist(), strict=True):
            if not aim.is_control:
                yield Preview(
                    unit=aim.target.unit,
                    index=aim.index,
                    seed_index=aim.seed_index,
                    step=step.index,
                    objective=score,
                    picture=encoded(pixels, self.synthesis.encoding),
                )


def delivered(made: Sequence[Made], encoding: Encoding) -> list[tuple[Made, SynthesizedImage]]:
    """Images of a batch as their receiver decodes them, and what their units say of just these.

    Raises:
        NonFiniteActivationError: The model gives NaN or infinity for one.
    """
    sent = [replace(each, pixels=decoded(each.pixels, encoding, each.alpha)) for each in made]
    by_readout = objectives([each.aim for each in sent])
    pixels = torch.stack([each.pixels for each in sent])
    starts = torch.stack([each.start for each in sent])
    began = _measured(sent, by_readout[Readout.ACTIVATION], starts)
    activations = _measured(sent, by_readout[Readout.ACTIVATION], pixels)
    probabilities: Sequence[float | None] = [None] * len(sent)
    if Readout.PROBABILITY in by_readout:
        probabilities = _measured(sent, by_readout[Readout.PROBABILITY], pixels)
    figures = zip(began, activations, probabilities, strict=True)
    return [
        (each, _image(each, encoded(before.pixels, encoding, before.alpha), *numbers))
        for before, each, numbers in zip(made, sent, figures, strict=True)
    ]


def _image(
    made: Made, picture: Picture, began: float, activation: float, probability: float | None
) -> SynthesizedImage:
    aim = made.aim
    return SynthesizedImage(
        unit=aim.target.unit,
        index=aim.index,
        seed_index=aim.seed_index,
        picture=picture,
        activation=activation,
        probability=probability,
        start_activation=began,
        natural=None if aim.natural is None else _compared(activation, aim.natural),
        steps=made.steps,
        stopped_early=made.stopped_early,
        field=aim.target.field,
    )


def _measured(made: Sequence[Made], objective: Objective, pixels: Tensor) -> list[float]:
    with torch.no_grad():
        scores = objective(pixels).cpu()
    broken = torch.nonzero(~scores.isfinite())
    if len(broken):
        where = f"for synthesized image {made[int(broken[0])].aim.index}"
        raise NonFiniteActivationError(made[0].aim.target.layer.name, where)
    return [float(score) for score in scores]


def _compared(activation: float, natural: Tensor) -> NaturalComparison:
    return NaturalComparison(len(natural), float(natural.max()), percentile(activation, natural))
