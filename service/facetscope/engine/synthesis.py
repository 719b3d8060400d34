"""From starts to images: batches that ascend together, and what the unit says of each image."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from math import ceil, inf
from typing import final

import torch
from torch import Tensor

from facetscope.algorithms.ascent import Step, ascend
from facetscope.algorithms.slopes import Objective
from facetscope.domain.errors import BudgetExceededError, NonFiniteActivationError
from facetscope.domain.events import (
    ImageObjective,
    NaturalComparison,
    Preview,
    Progress,
    SynthesizedImage,
    Work,
)
from facetscope.domain.jobs import Synthesis
from facetscope.domain.units import Layer, Readout, Unit
from facetscope.engine.batching import batch_size, footprint, free_bytes, release
from facetscope.engine.targets import Target
from facetscope.images.encoding import png
from facetscope.models.memory import is_shortage

BUDGET = 10**12
"""Pixels that all steps of a job may change together, unless the operator says otherwise."""

Events = Generator[Progress | Preview | SynthesizedImage]


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """An image to be made.

    Attributes:
        target: The unit that it shall excite.
        index: Facet that it is for, or index of its start.
        seed_index: Which of the images from this start it is.
        start: Where it begins, in [0, 255], [channel, height, width].
        natural: Activations of the unit for natural images, to compare with.
    """

    target: Target
    index: int
    seed_index: int
    start: Tensor
    natural: Tensor | None

    @property
    def kind(self) -> tuple[Layer, Sequence[Readout]]:
        """What images that ascend together have in common."""
        return self.target.layer, self.target.readouts


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An image as the ascent leaves it.

    Attributes:
        aim: What it was made for.
        pixels: The picture, in [0, 255].
        steps: How many were taken.
        stopped_early: Whether time was up before the last one.
    """

    aim: Aim
    pixels: Tensor
    steps: int
    stopped_early: bool


@final
class Studio:
    """Gathers images to be made, and makes those of one layer together, a batch at a time.

    Images share nothing but the batch, so each ends the same in any company, but for the rounding
    of sums that the size of a batch may change.

    Attributes:
        largest_batch: Images that ascended together, at most, so far.
    """

    def __init__(
        self,
        synthesis: Synthesis,
        *,
        expected: int,
        budget: int = BUDGET,
        clock: Callable[[], float] = time.monotonic,
        free: Callable[[torch.device], int] = free_bytes,
    ) -> None:
        """Make nothing yet.

        Args:
            synthesis: How images are made.
            expected: How many there will be; the time limit is shared out by it.
            budget: Pixels that all steps of all images may change together.
            clock: Seconds, from any beginning.
            free: Bytes that batches may be expected to find on a device.
        """
        self.largest_batch = 0
        self._synthesis = synthesis
        self._pending: list[Aim] = []
        self._left = expected
        self._cost = 0
        self._budget = budget
        self._steps_done = 0
        self._size: int | None = None
        self._clock = clock
        self._free = free
        self._end = clock() + (synthesis.time_limit_s or inf)

    def make(self, aims: Sequence[Aim]) -> Events:
        """Take images in, and make those that fill a batch.

        Raises:
            BudgetExceededError: All images together cost more than they may.
            NonFiniteActivationError: The model gave NaN or infinity.
        """
        for aim in aims:
            self._afford(aim)
        if self._pending and self._pending[0].kind != aims[0].kind:
            yield from self.finish()
        self._pending.extend(aims)
        while len(self._pending) >= self._batch_size(self._synthesis.largest_batch):
            yield from self._make_some()

    def finish(self) -> Events:
        """Make the images that are left.

        Raises:
            NonFiniteActivationError: The model gave NaN or infinity.
        """
        while self._pending:
            yield from self._make_some()
        self._size = None

    def _afford(self, aim: Aim) -> None:
        self._cost += cost(self._synthesis, aim.target)
        check_cost(self._cost, self._budget)

    def _make_some(self) -> Events:
        """Make a batch; as it turns out that it does not fit, half of it."""
        size = self._batch_size(len(self._pending))
        while True:
            batch = self._pending[:size]
            short: BaseException | None = None
            try:
                made = yield from self._ascended(batch)
            except (MemoryError, RuntimeError) as error:
                if size == 1 or not is_shortage(error):
                    raise
                short = error.with_traceback(None)
            if short is None:
                break
            # Here, and not above: a traceback keeps what its frames hold.
            release(batch[0].target.network.device)
            size = self._size = ceil(size / 2)
        self.largest_batch = max(self.largest_batch, size)
        del self._pending[:size]
        self._left -= size
        self._steps_done += self._synthesis.schedule.steps
        yield from _told(made)

    def _batch_size(self, wanted: int) -> int:
        """How many of ``wanted`` images ascend together, as predicted or as found out."""
        if self._size is None:
            first = self._pending[0]
            device = first.target.network.device
            self._size = batch_size(
                self._synthesis.largest_batch,
                largest=self._synthesis.largest_batch,
                each=footprint(first.target.activation, first.start.to(device)),
                free=self._free(device),
            )
        return min(wanted, self._size)

    def _ascended(self, batch: Sequence[Aim]) -> Generator[Progress | Preview, None, list[Made]]:
        """Ascend together, until the last step or until the time of this batch is up."""
        synthesis, first = self._synthesis, batch[0].target
        schedule = first.schedule(synthesis.schedule)
        starts = torch.stack([aim.start for aim in batch]).to(first.network.device)
        deadline = self._deadline(len(batch))
        progress = _Telling(batch, synthesis, self._steps_done, self._total(len(batch)))
        yield progress.begun()
        images, taken = starts, 0
        steps = ascend(
            objectives(batch),
            starts,
            schedule=schedule,
            generators=[generator(synthesis.seed, aim) for aim in batch],
        )
        for step in _guarded(steps, first) if self._clock() < deadline else ():
            yield from progress.of(step)
            images, taken = step.images, step.index
            if self._clock() >= deadline:
                break
        early = taken < schedule.steps
        return [Made(aim, pixels, taken, early) for aim, pixels in zip(batch, images, strict=True)]

    def _total(self, size: int) -> int:
        """Steps of all batches that are known of."""
        batches = ceil(len(self._pending) / size)
        return self._steps_done + batches * self._synthesis.schedule.steps

    def _deadline(self, images: int) -> float:
        """When the time of a batch is up: it has the part of what is left that its images are."""
        now = self._clock()
        return now + max(0.0, self._end - now) * images / max(images, self._left)


def cost(synthesis: Synthesis, target: Target) -> int:
    """Pixels that all steps of one image change."""
    _, height, width = target.shape
    return synthesis.schedule.steps * height * width


def check_cost(asked: int, budget: int) -> None:
    """Refuse what costs too much.

    Raises:
        BudgetExceededError: It does.
    """
    if asked > budget:
        raise BudgetExceededError(asked, budget)


def objectives(batch: Sequence[Aim]) -> Mapping[Readout, Objective]:
    """What can be maximized, of images that are for units of one layer."""
    groups = [(target, len([*aims])) for target, aims in groupby(batch, lambda aim: aim.target)]
    sizes = [size for _, size in groups]
    first = batch[0].target
    reading = first.network.reading([first.layer.name])

    def objective(readout: Readout) -> Objective:
        def scores(pixels: Tensor) -> Tensor:
            (values,) = reading(first.preprocessing(pixels))
            parts = zip(groups, values.split(sizes), strict=True)
            return torch.cat([target.score(part, readout) for (target, _), part in parts])

        return scores

    return {readout: objective(readout) for readout in first.readouts}


def noise(target: Target, synthesis: Synthesis, index: int, seed_index: int) -> Tensor:
    """A start of independent normal pixels, [channel, height, width], clipped to [0, 255]."""
    random = _generator(synthesis.seed, target.unit, index, seed_index, "start")
    pixels = torch.normal(synthesis.noise_mean, synthesis.noise_std, target.shape, generator=random)
    return pixels.clamp(0, 255)


def generator(seed: int, aim: Aim) -> torch.Generator:
    """Randomness of an image's ascent, which does not depend on what shares its batch."""
    return _generator(seed, aim.target.unit, aim.index, aim.seed_index, "ascent")


def _generator(seed: int, unit: Unit, index: int, seed_index: int, purpose: str) -> torch.Generator:
    key = sha256(f"{seed}/{unit}/{index}/{seed_index}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8]) >> 1)


def _guarded(steps: Generator[Step], target: Target) -> Generator[Step]:
    """``steps``, with the troubles of an ascent told in words of the domain."""
    try:
        yield from steps
    except FloatingPointError as error:
        raise NonFiniteActivationError(target.layer.name, f"while ascending: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Telling:
    """What is told of a batch while it ascends.

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

    def begun(self) -> Progress:
        """That it begins."""
        return self._progress(self.before)

    def of(self, step: Step) -> Generator[Progress | Preview]:
        """What is told of a step: of some, nothing."""
        last = step.index == self.synthesis.schedule.steps
        if last or step.index % self.synthesis.progress_interval == 0:
            scores = step.scores.tolist()
            told = tuple(
                ImageObjective(aim.target.unit, aim.index, aim.seed_index, score)
                for aim, score in zip(self.batch, scores, strict=True)
            )
            yield self._progress(self.before + step.index, sum(scores) / len(scores), told)
        interval = self.synthesis.preview_interval
        if interval and step.index % interval == 0:
            yield from self._previews(step)

    def _progress(
        self, done: int, mean: float | None = None, told: tuple[ImageObjective, ...] = ()
    ) -> Progress:
        units = {aim.target.unit for aim in self.batch}
        return Progress(
            work=Work.SYNTHESIZING,
            unit=units.pop() if len(units) == 1 else None,
            done=done,
            total=self.total,
            objective=mean,
            objectives=told,
        )

    def _previews(self, step: Step) -> Generator[Preview]:
        for aim, pixels, score in zip(self.batch, step.images, step.scores.tolist(), strict=True):
            yield Preview(
                unit=aim.target.unit,
                index=aim.index,
                seed_index=aim.seed_index,
                step=step.index,
                objective=score,
                picture=png(pixels),
            )


def _told(made: Sequence[Made]) -> Generator[SynthesizedImage]:
    """The images as they are sent, in whole grey levels, and what the unit says of just these."""
    delivered = torch.stack([each.pixels for each in made]).round().clamp(0, 255)
    starts = torch.stack([each.aim.start for each in made]).to(delivered.device)
    by_readout = objectives([each.aim for each in made])
    before = _measured(made, by_readout[Readout.ACTIVATION], starts)
    activations = _measured(made, by_readout[Readout.ACTIVATION], delivered)
    probabilities = (
        _measured(made, by_readout[Readout.PROBABILITY], delivered)
        if Readout.PROBABILITY in by_readout
        else None
    )
    for place, (each, pixels) in enumerate(zip(made, delivered, strict=True)):
        activation, natural = activations[place], each.aim.natural
        yield SynthesizedImage(
            unit=each.aim.target.unit,
            index=each.aim.index,
            seed_index=each.aim.seed_index,
            picture=png(pixels),
            activation=activation,
            probability=None if probabilities is None else probabilities[place],
            start_activation=before[place],
            natural=None if natural is None else _compared(activation, natural),
            steps=each.steps,
            stopped_early=each.stopped_early,
            field=each.aim.target.field,
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
    smaller = int((natural < activation).sum())
    return NaturalComparison(len(natural), float(natural.max()), 100 * smaller / len(natural))
