"""What codes of one kind of image would look like, and how often they fall apart as far."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from facetscope.algorithms.embedding import Codes


def unimodal(codes: Codes, random: np.random.RandomState) -> Float32[np.ndarray, "image feature"]:
    """As many codes from a normal distribution of equal covariance.

    Args:
        codes: Principal components, which are not correlated; their mean is 0.
        random: Of the draw.
    """
    drawn = random.standard_normal(codes.shape) * codes.std(axis=0)
    return np.asarray(drawn, dtype=np.float32)


def p_value(observed: float, references: Sequence[float]) -> float:
    """Part of all, the observed one included, that are as large as the observed one."""
    larger = sum(reference >= observed for reference in references)
    return (1 + larger) / (1 + len(references))
