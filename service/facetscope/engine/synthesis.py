"""From starts to images: what is made together, and when it is told."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from math import ceil, inf
from typing import final

import torch
from torch import Tensor

from facetscope.algorithms.canvases import height_width
from facetscope.algorithms.transparency import Transparency, attribution
from facetscope.domain.errors import BudgetExceededError
from facetscope.domain.events import Preview, Progress, SynthesizedImage, Work
from facetscope.domain.syntheses import Alpha, Synthesis
from facetscope.domain.units import Layer, Readout
from facetscope.engine.aims import Aim, Made
from facetscope.engine.batching import batch_size, footprint, free_bytes, release
from facetscope.engine.certification import Certifier
from facetscope.engine.climbing import climb, objectives
from facetscope.engine.targets import Target
from facetscope.engine.telling import Telling, delivered
from facetscope.models.memory import is_shortage

BUDGET = 10**12
"""Pixels that all steps of a job may change together, unless the operator says otherwise."""

Events = Generator[Progress | Preview | SynthesizedImage]


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
        diversity_layer: Layer | None = None,
        clock: Callable[[], float] = time.monotonic,
        free: Callable[[torch.device], int] = free_bytes,
    ) -> None:
        """Make nothing yet.

        Args:
            synthesis: How images are made.
            expected: How many there will be; the time limit is shared out by it.
            budget: Pixels that all steps of all images may change together.
            diversity_layer: Where images of a unit are to differ, if they are.
            clock: Seconds, from any beginning.
            free: Bytes that batches may be expected to find on a device.
        """
        self.largest_batch = 0
        self._synthesis = synthesis
        self._diversity_layer = diversity_layer
        self._pending: list[Aim] = []
        self._certifiers: dict[Target, tuple[Certifier, int]] = {}
        self._uncertified: list[tuple[Made, SynthesizedImage]] = []
        self._left = expected
        self._cost = 0
        self._budget = budget
        self._steps_done = 0
        self._size: int | None = None
        self._clock = clock
        self._free = free
        self._seconds_left = synthesis.time_limit_s or inf

    def make(self, aims: Sequence[Aim], certifier: Certifier | None = None) -> Events:
        """Take images of one unit in, and make those that fill a batch.

        Args:
            aims: The images, those of a start in sequence, and the controls.
            certifier: Certifies them, when the last is made.

        Raises:
            BudgetExceededError: All images together cost more than they may.
            NonFiniteActivationError: The model gave NaN or infinity.
        """
        for aim in aims:
            self._afford(aim)
        if certifier is not None:
            self._certifiers[aims[0].target] = certifier, len(aims)
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
        size = self._uncut(self._batch_size(len(self._pending)))
        while True:
            batch = self._pending[:size]
            short: BaseException | None = None
            try:
                made = yield from self._ascended(batch)
            except (MemoryError, RuntimeError) as error:
                if size == self._uncut(1) or not is_shortage(error):
                    raise
                short = error.with_traceback(None)
            if short is None:
                break
            # Here, and not above: a traceback keeps what its frames hold.
            release(batch[0].target.network.device)
            self._size = ceil(size / 2)
            size = self._uncut(self._size)
        self.largest_batch = max(self.largest_batch, size)
        del self._pending[:size]
        self._left -= size
        self._steps_done += self._synthesis.method.steps
        yield from self._told(delivered(made, self._synthesis.encoding))

    def _told(self, images: Sequence[tuple[Made, SynthesizedImage]]) -> Events:
        """Images as they are done; those of a unit that is certified when all are."""
        for made, image in images:
            if made.aim.target in self._certifiers:
                self._uncertified.append((made, image))
                yield from self._certified(made.aim.target)
            elif not made.aim.is_control:
                yield image

    def _certified(self, target: Target) -> Events:
        """The images of a unit, if all are made."""
        certifier, count = self._certifiers[target]
        if len(self._uncertified) < count:
            return
        yield Progress(work=Work.CERTIFYING, unit=target.unit)
        certificates = iter(certifier.certificates(self._uncertified))
        for made, image in self._uncertified:
            if not made.aim.is_control:
                yield replace(image, certificate=next(certificates))
        self._uncertified.clear()

    def _uncut(self, size: int) -> int:
        """``size``, or another such that images that depend on each other stay together."""
        if not self._synthesis.diversity:
            return size
        units = [len([*aims]) for _, aims in groupby(self._pending, lambda aim: aim.target)]
        ends = list(accumulate(units))
        return max([end for end in ends if end <= size], default=ends[0])

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
        """Ascend together, until the last step or until the time of this batch is up.

        It has the part of the time left that its images are of the images left.
        """
        synthesis = self._synthesis
        began = self._clock()
        share = len(batch) / max(len(batch), self._left)
        deadline = began + self._seconds_left * share
        progress = Telling(batch, synthesis, self._steps_done, self._total(len(batch)))
        yield progress.begun()
        starts, steps = climb(batch, synthesis, self._diversity_layer)
        images, taken, transparency = starts, 0, Transparency()
        for step in steps if self._clock() < deadline else ():
            yield from progress.of(step)
            images, taken = step.images, step.index
            if step.slope is not None:
                transparency.add(step.slope)
            if self._clock() >= deadline:
                break
        self._seconds_left = max(0.0, self._seconds_left - (self._clock() - began))
        early = taken < synthesis.method.steps
        alphas = self._alphas(batch, images, transparency if taken else None)
        return [
            Made(aim, start, pixels, taken, early, alpha)
            for aim, start, pixels, alpha in zip(batch, starts, images, alphas, strict=True)
        ]

    def _alphas(
        self, batch: Sequence[Aim], images: Tensor, transparency: Transparency | None
    ) -> Iterable[Tensor | None]:
        """How much each pixel matters, where that is sent; nothing does before the first step."""
        match self._synthesis.alpha:
            case Alpha.ATTRIBUTION:
                return attribution(objectives(batch)[Readout.ACTIVATION], images)
            case Alpha.TRANSPARENCY if transparency is not None:
                return transparency.maps(height_width(images))
            case Alpha.TRANSPARENCY:
                return torch.zeros_like(images[:, 0])
        return [None] * len(batch)

    def _total(self, size: int) -> int:
        """Steps of all batches that are known of."""
        batches = ceil(len(self._pending) / size)
        return self._steps_done + batches * self._synthesis.method.steps


def cost(synthesis: Synthesis, target: Target) -> int:
    """Pixels that all steps of one image change."""
    _, height, width = target.shape
    return synthesis.method.steps * height * width


def check_cost(asked: int, budget: int) -> None:
    """Refuse what costs too much.

    Raises:
        BudgetExceededError: It does.
    """
    if asked > budget:
        raise BudgetExceededError(asked, budget)
