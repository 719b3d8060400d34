"""Recipes beside the paper's: what is varied, what the network is shown, and for how long.

Olah, Mordvintsev & Schubert, "Feature Visualization" (2017) with the defaults of their library
Lucid; Fel et al., "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
Optimization" (2023), arXiv:2306.06805.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.ranges import check_range

MOST_STEPS = 10_000
LARGEST_RATE = 100.0
LARGEST_JITTER = 0.5
LARGEST_ROTATION = 180.0
LARGEST_NOISE = 1.0
SCALES = (0.1, 10.0)
HEAVIEST_PENALTY = 1e6

STEEPEST_DECAY = 3.0
DECAY = 1.5
"""Of the Fourier spectrum. At Lucid's 1 a fine texture covers the forms."""


class Parameterization(Enum):
    """What the optimizer varies.

    Attributes:
        PIXELS: Each pixel, through a sigmoid.
        FOURIER: The spectrum of decorrelated colours, with equal energy at all scales.
        MACO: The phases of the spectrum alone; its magnitudes are those of given pictures.
    """

    PIXELS = "pixels"
    FOURIER = "fourier"
    MACO = "maco"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transforms:
    """How the picture is moved before the network sees it, afresh for each image and step.

    Attributes:
        jitter: Largest shift along each axis, as a part of the side; in [0, 0.5].
        scale: Least and greatest factor that the picture is enlarged by; in [0.1, 10].
        rotation: Largest angle, in degrees, to either side; in [0, 180].
        noise: Standard deviation of what is added to each pixel, of levels in [0, 1]; in [0, 1].
    """

    jitter: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_range("recipe.jitter", self.jitter, 0, LARGEST_JITTER)
        check_range("recipe.rotation", self.rotation, 0, LARGEST_ROTATION)
        check_range("recipe.noise", self.noise, 0, LARGEST_NOISE)
        low, high = self.scale
        check_range("recipe.scale_low", low, *SCALES)
        check_range("recipe.scale_high", high, low, SCALES[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """Weights of what is subtracted from the activation; all in [0, 1e6], of levels in [0, 1].

    Attributes:
        total_variation: Of the mean absolute difference of neighbours.
        l2: Of the mean square distance from middle grey.
        blur: Of the mean square distance from the picture's own blurred version.
    """

    total_variation: float = 0.0
    l2: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        check_range("recipe.total_variation", self.total_variation, 0, HEAVIEST_PENALTY)
        check_range("recipe.l2", self.l2, 0, HEAVIEST_PENALTY)
        check_range("recipe.blur", self.blur, 0, HEAVIEST_PENALTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A composition of parts, optimized by Adam.

    Attributes:
        parameterization: What is varied.
        steps: How many, in [1, 10000].
        learning_rate: Of Adam, in units of what is varied; above 0, and at most 100.
        transforms: What the network is shown of the picture.
        penalties: What is subtracted from the activation.
        decay: Of the parameterization FOURIER: the power of a frequency by which it counts less; in
            [0, 3].
    """

    parameterization: Parameterization
    steps: int
    learning_rate: float
    transforms: Transforms = field(default_factory=Transforms)
    penalties: Penalties = field(default_factory=Penalties)
    decay: float = DECAY

    def __post_init__(self) -> None:
        """Refuse what no optimizer can follow.

        Raises:
            InvalidFieldError: A value is not in its range.
        """
        check_range("recipe.steps", self.steps, 1, MOST_STEPS)
        check_range("recipe.learning_rate", self.learning_rate, 0, LARGEST_RATE)
        check_range("recipe.decay", self.decay, 0, STEEPEST_DECAY)
        if self.learning_rate == 0:
            raise InvalidFieldError("recipe.learning_rate", "must be above 0")


FOURIER = Recipe(
    parameterization=Parameterization.FOURIER,
    steps=256,
    learning_rate=0.03,
    transforms=Transforms(jitter=0.1, scale=(1.0, 1.8), rotation=10.0, noise=0.06),
)
"""Decorrelated colours and frequencies, as Lucid has them, shown at more scales and with noise."""

MACO = Recipe(
    parameterization=Parameterization.MACO,
    steps=256,
    learning_rate=0.2,
    transforms=Transforms(jitter=0.2, scale=(1.0, 2.5), rotation=5.0, noise=0.02),
)
"""Magnitude-constrained: phases only."""
