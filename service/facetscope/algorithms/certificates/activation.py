"""How much an image excites a unit, beside what natural images do."""

from facetscope.algorithms.shapes import Scores

NARROWEST = 1e-6
"""Standard deviation, relative to the largest magnitude, that is more than rounding."""


def percentile(activation: float, natural: Scores) -> float:
    """Part of the natural activations that are smaller, in [0, 100].

    Args:
        activation: Of the image.
        natural: Of natural images, at least one.
    """
    return 100 * int((natural < activation).sum()) / len(natural)


def ratio(activation: float, natural: Scores) -> float | None:
    """The activation in units of the largest natural one; ``None`` unless that is above 0."""
    largest = float(natural.max())
    return activation / largest if largest > 0 else None


def margin(activation: float, own: Scores) -> float | None:
    """By how many standard deviations the activation exceeds the mean of natural images.

    Args:
        activation: Of the image.
        own: Of the natural images that are the unit's own.

    Returns:
        ``None`` where these are fewer than two, or do not differ.
    """
    spread = deviation(own)
    return None if spread is None else (activation - float(own.double().mean())) / spread


def retained(perturbed: float, activation: float, natural: Scores) -> float | None:
    """What is left of an activation after a perturbation, counted from the natural median.

    Activations have no zero of their own, so they are counted from what the unit gives for an
    ordinary image.

    Args:
        perturbed: Activation after the perturbation.
        activation: Before.
        natural: Of natural images, at least one.

    Returns:
        1 where nothing is lost; ``None`` unless the activation is above the natural median.
    """
    ordinary = float(natural.double().median())
    scale = max(float(natural.abs().max()), abs(activation))
    if activation - ordinary <= NARROWEST * scale:
        return None
    return (perturbed - ordinary) / (activation - ordinary)


def deviation(values: Scores) -> float | None:
    """The standard deviation, of a sample; ``None`` where values are fewer than two or equal."""
    if len(values) < 2:  # noqa: PLR2004
        return None
    spread = float(values.double().std())
    return spread if spread > NARROWEST * float(values.abs().max()) else None
