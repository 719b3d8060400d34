"""Activation maximization: gradient ascent on images, denoised at every step.

Nguyen, Yosinski & Clune, "Multifaceted Feature Visualization" (2016), arXiv:1602.03616, as their
code does it: jittered crops, mean-normalized gradients, total-variation denoising.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from facetscope.algorithms.authors import (
    denoise_by_split_bregman,
    mean_of_masked,
    resize_by_splines,
)
from facetscope.algorithms.canvases import (
    Origin,
    Size,
    crop,
    fit,
    height_width,
    paste,
    random_origins,
    resize,
    slack,
)
from facetscope.algorithms.denoising import denoise
from facetscope.algorithms.schedules import margin_pixels, settings, tv_weight_for
from facetscope.algorithms.shapes import Canvas, CanvasMaps, Images, Scores
from facetscope.algorithms.slopes import Objective, Slopes, check_finite
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.units import Readout


@dataclass(frozen=True, slots=True)
class Step:
    """The state after one step of an ascent.

    Attributes:
        index: Number of steps taken, from 1.
        phase: Index of the phase that the step belongs to.
        canvas: All that has been drawn so far; later steps leave it as it is.
        size: Height and width of the network's input.
        scores: The objective of the step's crops before the step, in the objective's own unit.
        slope: The gradient of the scores before the step, in absolute value and summed over
            channels; NaN where the step did not look. ``None`` where it was not asked for.
    """

    index: int
    phase: int
    canvas: Canvas
    size: Size
    scores: Scores
    slope: CanvasMaps | None = None

    @property
    def images(self) -> Images:
        """The whole canvas, at the network's input size."""
        return fit(self.canvas, self.size)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What a schedule leaves open of a step.

    Attributes:
        resize: A canvas to a multiple of its size.
        whole: A crop's place between pixels to a pixel.
        steepness: Mean absolute gradient of images, of all of it and of the part that is updated.
        denoise: Crops by a weight.
    """

    resize: Callable[..., Canvas]
    whole: Callable[[float], int]
    steepness: Callable[[Images, Tensor], Tensor]
    denoise: Callable[[Images, float], Images]


def _mean_of_all(gradient: Images, _: Tensor) -> Tensor:
    return gradient.abs().mean(dim=(1, 2, 3), keepdim=True)


OWN: Final = Arithmetic(resize, round, _mean_of_all, denoise)
"""Bilinear, to the nearest, and denoised to the end."""

AUTHORS: Final = Arithmetic(resize_by_splines, int, mean_of_masked, denoise_by_split_bregman)
"""As ``Schedule.authors_steps`` has it."""


def ascend(
    objectives: Mapping[Readout, Objective],
    start: Images,
    *,
    schedule: Schedule,
    generators: Sequence[torch.Generator],
    rescue: Mapping[Readout, Objective] | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    slopes: bool = False,
) -> Generator[Step]:
    """Climb from ``start`` as ``schedule`` says, yielding after every step.

    The caller sets the pace: it ends the ascent by asking for no further step. Images share nothing
    but the batch, so each ends the same in any company.

    Args:
        objectives: By readout; every readout of the schedule has one.
        start: Where to begin, at the network's input size; left as it is.
        schedule: Its step sizes and weights are meant for grey levels in [0, 255].
        generators: The randomness of each image. On the CPU they cost no synchronization.
        rescue: The same where rectifiers are silent, by readout: see ``Slopes``.
        value_range: Least and greatest value of a pixel.
        slopes: Whether steps tell where the objectives' gradients were.

    Raises:
        NotFiniteError: A score or gradient is NaN or infinite.
        UnreachableError: An image cannot be climbed at all: see ``Slopes``.
    """
    canvas, size, index = start.detach(), height_width(start), 0
    by = AUTHORS if schedule.authors_steps else OWN
    climbing = Slopes(schedule.steps)
    for number, phase in enumerate(schedule.phases):
        canvas = by.resize(canvas, phase.scale, at_least=size)
        room = slack(canvas, size)
        for now in settings(phase, authors_ramps=schedule.authors_ramps):
            origins = random_origins(
                room, window=phase.window, generators=generators, whole=by.whole
            )
            crops = crop(canvas, origins, size)
            aid = rescue[phase.readout] if rescue else None
            scores, gradient = climbing(objectives[phase.readout], crops, aid)
            slope = _on_canvas(gradient, canvas, origins) if slopes else None
            direction = _normalized(scores, gradient, phase, by)
            _central(crops, phase).add_(direction, alpha=now.step_size)
            smooth = by.denoise(crops.clamp_(*value_range), tv_weight_for(now.tv_weight, *size))
            canvas, index = paste(canvas, smooth, origins), index + 1
            yield Step(index, number, canvas, size, scores, slope)


def _normalized(scores: Scores, gradient: Images, phase: Phase, by: Arithmetic) -> Tensor:
    """What of gradients the phase updates, over their mean absolute value; zeros stay zeros."""
    central = _central(gradient, phase)
    steepness = by.steepness(gradient, central)
    check_finite(scores + steepness.flatten())
    scaled: Tensor = central / steepness.clamp_(min=torch.finfo(steepness.dtype).tiny)
    return scaled


def _on_canvas(gradient: Images, canvas: Canvas, origins: Sequence[Origin]) -> CanvasMaps:
    """The absolute gradient of crops, summed over channels, where they were cut; NaN elsewhere."""
    unseen = canvas.new_full((len(canvas), 1, *height_width(canvas)), torch.nan)
    return paste(unseen, gradient.abs().sum(dim=1, keepdim=True), origins).squeeze(1)


def _central(images: Images, phase: Phase) -> Tensor:
    """The part of ``images`` that the phase updates: a view."""
    height, width = height_width(images)
    top, left = margin_pixels(phase, height), margin_pixels(phase, width)
    return images[..., top : height - top, left : width - left]
