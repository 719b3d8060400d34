"""The phases of an ascent, and the two published schedules.

Nguyen, Yosinski & Clune, "Multifaceted Feature Visualization" (2016), arXiv:1602.03616, and the
scripts ``act_max.tvd.mean.py`` and ``act_max.tvd.center.py`` of its authors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.units import Readout

PUBLISHED_SIZE: Final = 227
"""Side of the published network's input in pixels, which margins are given for."""

MOST_PHASES: Final = 32
MOST_STEPS_OF_A_PHASE: Final = 4096
MOST_STEPS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Steps with one set of parameters; pairs run from the first step to the last.

    Attributes:
        steps: How many.
        step_size: Mean change of a pixel, in grey levels.
        tv_weight: Weight of the data against total variation: smaller is smoother.
        window: Standard deviation of the crop's place, as a part of the slack between the canvas
            and the crop.
        margin: Width of the border that is not updated, in pixels of an input of
            ``PUBLISHED_SIZE``.
        scale: Factor by which the canvas is resized before the first step.
        readout: What is maximized.

    Raises:
        InvalidFieldError: A value is out of its range.
    """

    steps: int
    step_size: tuple[float, float]
    tv_weight: tuple[float, float]
    window: float = 0.3
    margin: float = 0.0
    scale: float = 1.0
    readout: Readout = Readout.ACTIVATION

    def __post_init__(self) -> None:
        _require(
            1 <= self.steps <= MOST_STEPS_OF_A_PHASE,
            "phase.steps",
            f"{self.steps} is not in [1, {MOST_STEPS_OF_A_PHASE}]",
        )
        _require(min(self.step_size) > 0, "phase.step_size", f"{self.step_size} is not above 0")
        _require(min(self.tv_weight) > 0, "phase.tv_weight", f"{self.tv_weight} is not above 0")
        _require(self.window >= 0, "phase.window", f"{self.window} is below 0")
        _require(
            0 <= self.margin < PUBLISHED_SIZE // 2,
            "phase.margin",
            f"{self.margin} is not in [0, {PUBLISHED_SIZE // 2})",
        )
        _require(0.25 <= self.scale <= 4, "phase.scale", f"{self.scale} is not in [0.25, 4]")  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Schedule:
    """A sequence of phases.

    Attributes:
        phases: In order.
        authors_ramps: Ramps as the authors' script computes them; see
            ``facetscope.algorithms.schedules``.

    Raises:
        InvalidFieldError: There are no phases, or too many of them or of their steps.
    """

    phases: tuple[Phase, ...]
    authors_ramps: bool = False

    def __post_init__(self) -> None:
        _require(
            1 <= len(self.phases) <= MOST_PHASES,
            "schedule.phases",
            f"{len(self.phases)} is not in [1, {MOST_PHASES}]",
        )
        _require(
            self.steps <= MOST_STEPS,
            "schedule.phases",
            f"have {self.steps} steps together; at most {MOST_STEPS} are done",
        )

    @property
    def steps(self) -> int:
        """Steps of all phases together."""
        return sum(phase.steps for phase in self.phases)


def _require(holds: bool, field: str, problem: str) -> None:  # noqa: FBT001
    if not holds:
        raise InvalidFieldError(field, problem)


MEAN_IMAGE: Final = Schedule(
    (
        Phase(steps=190, step_size=(1.0, 2.0), tv_weight=(0.4, 0.4)),
        Phase(steps=150, step_size=(1.0, 1.0), tv_weight=(0.01, 2.0), scale=1.2),
        Phase(steps=20, step_size=(2.0, 2.0), tv_weight=(0.1, 2.0), window=0.2, margin=50.0),
        Phase(steps=10, step_size=(2.0, 2.0), tv_weight=(0.4, 2.0)),
    )
)
"""Sharpens the mean image of a facet."""

CENTER_BIASED: Final = Schedule(
    (
        Phase(
            steps=190,
            step_size=(11.0, 11.0),
            tv_weight=(0.001, 0.05),
            readout=Readout.PROBABILITY,
        ),
        Phase(
            steps=150,
            step_size=(6.0, 6.0),
            tv_weight=(0.01, 0.08),
            scale=1.2,
            readout=Readout.PROBABILITY,
        ),
        Phase(steps=150, step_size=(1.0, 1.0), tv_weight=(0.01, 2.0), scale=1.2),
        Phase(steps=30, step_size=(3.0, 3.0), tv_weight=(0.1, 2.0), window=0.1, margin=50.0),
        Phase(steps=10, step_size=(6.0, 3.0), tv_weight=(0.01, 2.0)),
    )
)
"""Center-biased regularization: blurry first, then sharp, then the centre more than the edges."""
