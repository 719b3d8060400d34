"""How a synthesis proceeds: phases of gradient ascent, and the published schedules.

Nguyen, Yosinski & Clune, "Multifaceted Feature Visualization" (2016), arXiv:1602.03616, as their
code has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.units import Readout

REFERENCE_SIZE = 227
"""Height and width, in pixels, of the input that margins and weights are given for."""

LARGEST_STEP = 255
"""Grey levels that the pixels of an image may change by in one step, in the mean."""

WEIGHTS = (1e-6, 1e6)
"""Least and greatest weight of the data: at the ends nothing, or everything, is left."""

LARGEST_WINDOW = 10

LARGEST_CANVAS = 8
"""How many times as long as the network's input the sides of a canvas may become."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps with one set of parameters. Ramps run linearly from the first step to the last.

    Attributes:
        steps: How many, in [1, 4096].
        step_size: Mean change of a pixel, in grey levels, at the first and at the last step; in
            (0, 255].
        tv_weight: Weight of the data against total variation, at the first and at the last step,
            for a 227-pixel input; in [1e-6, 1e6]. Smaller is smoother.
        window: Standard deviation of the crop's origin, as a part of the slack between canvas and
            crop; in [0, 10].
        margin: Width of the border that is not updated, in pixels of a 227-pixel input; in
            [0, 113).
        scale: Factor by which the canvas is resized before the first step, in [0.25, 4]; it never
            becomes smaller than the network's input.
        readout: What is maximized.
    """

    steps: int
    step_size: tuple[float, float]
    tv_weight: tuple[float, float]
    window: float = 0.3
    margin: float = 0.0
    scale: float = 1.0
    readout: Readout = Readout.ACTIVATION

    def __post_init__(self) -> None:
        """Refuse what no ascent can follow.

        Raises:
            InvalidFieldError: A value is not in its range.
        """
        _check("phase.steps", "in [1, 4096]", holds=1 <= self.steps <= 4096)  # noqa: PLR2004
        sizes = all(0 < end <= LARGEST_STEP for end in self.step_size)
        _check("phase.step_size", f"above 0, and at most {LARGEST_STEP}", holds=sizes)
        low, high = WEIGHTS
        weights = all(low <= end <= high for end in self.tv_weight)
        _check("phase.tv_weight", f"in [{low:g}, {high:g}]", holds=weights)
        _check("phase.window", "in [0, 10]", holds=0 <= self.window <= LARGEST_WINDOW)
        _check("phase.margin", "in [0, 113)", holds=0 <= self.margin < REFERENCE_SIZE // 2)
        _check("phase.scale", "in [0.25, 4]", holds=0.25 <= self.scale <= 4)  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Schedule:
    """The phases of an ascent.

    Attributes:
        phases: In order, 1 to 32 of them, with at most 10000 steps together. The canvas may become
            8 times as long as the network's input.
        authors_ramps: Ramp as the authors' script does: the weight of the total variation runs from
            start * (1 - 1/n) to about start + end, and step sizes that are whole numbers are cut to
            whole numbers.
        authors_steps: Step as the authors' script does: the canvas is resized by cubic splines,
            crops begin at the pixel before their place, a phase with a margin divides by the mean
            of the gradient with zeros in the margin, and denoising ends after 100 iterations of
            split Bregman, wherever that is.
    """

    phases: tuple[Phase, ...]
    authors_ramps: bool = False
    authors_steps: bool = False

    def __post_init__(self) -> None:
        """Refuse too few or too many phases or steps, and canvases too large.

        Raises:
            InvalidFieldError: One of these.
        """
        field = "synthesis.schedule.phases"
        _check(field, "1 to 32 phases", holds=1 <= len(self.phases) <= 32)  # noqa: PLR2004
        _check(field, "at most 10000 steps", holds=self.steps <= 10_000)  # noqa: PLR2004
        largest = f"such that the canvas stays below {LARGEST_CANVAS} times the input's size"
        _check("phase.scale", largest, holds=self._largest_canvas() <= LARGEST_CANVAS)

    @property
    def steps(self) -> int:
        """Number of steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def _largest_canvas(self) -> float:
        """Sides of the largest canvas, in sides of the network's input."""
        largest = side = 1.0
        for phase in self.phases:
            side = max(side * phase.scale, 1.0)
            largest = max(largest, side)
        return largest


def _check(field: str, requirement: str, *, holds: bool) -> None:
    if not holds:
        raise InvalidFieldError(field, f"must be {requirement}")


MEAN_IMAGE = Schedule(
    (
        Phase(190, step_size=(1.0, 2.0), tv_weight=(0.4, 0.4)),
        Phase(150, step_size=(1.0, 1.0), tv_weight=(0.01, 2.0), scale=1.2),
        Phase(20, step_size=(2.0, 2.0), tv_weight=(0.1, 2.0), window=0.2, margin=50.0),
        Phase(10, step_size=(2.0, 2.0), tv_weight=(0.4, 2.0)),
    )
)
"""Sharpens a facet's mean image."""

CENTER_BIASED = Schedule(
    (
        Phase(190, (11.0, 11.0), (0.001, 0.05), readout=Readout.PROBABILITY),
        Phase(150, (6.0, 6.0), (0.01, 0.08), scale=1.2, readout=Readout.PROBABILITY),
        Phase(150, (1.0, 1.0), (0.01, 2.0), scale=1.2),
        Phase(30, (3.0, 3.0), (0.1, 2.0), window=0.1, margin=50.0),
        Phase(10, (6.0, 3.0), (0.01, 2.0)),
    )
)
"""Center-biased regularization: a blurry image first, then the centre more than the edges."""

AUTHORS_CODE = Schedule(MEAN_IMAGE.phases, authors_ramps=True, authors_steps=True)
"""Sharpens a facet's mean image as the script that came with the paper does, step by step."""
