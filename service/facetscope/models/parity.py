"""How far a translated graph is from the model as its own runtime computes it."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from facetscope.domain.descriptions import Parity
from facetscope.models.arrays import Array


def compared(
    given: Mapping[str, Tensor], expected: Sequence[Array | None], *, runtime: str, provider: str
) -> Parity:
    """The output that differs most, relative to its own largest value.

    Args:
        given: Outputs of the graph, by name; at least one.
        expected: The same, as the runtime gives them; None for what is no tensor of numbers.
        runtime: What computed these.
        provider: What it computed with.
    """
    differences = {
        name: _difference(output.detach().cpu().double().numpy(), right)
        for (name, output), right in zip(given.items(), expected, strict=True)
    }
    worst = max(differences, key=lambda name: differences[name][1])
    return Parity(worst, *differences[worst], provider, runtime)


def _difference(given: Array, expected: Array | None) -> tuple[float, float]:
    """Absolute and relative; infinite where shapes differ, or an element is not a number."""
    if expected is None or given.shape != expected.shape:
        return np.inf, np.inf
    right = expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(given == right, 0, np.abs(given - right))
    absolute = float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0))
    scale = float(np.abs(right[np.isfinite(right)]).max(initial=0))
    return absolute, absolute / scale if scale else absolute
