"""The iteration of ``facetscope.algorithms.denoising`` on one plane, in one pass over memory.

Written out in tensor operations an iteration reads and writes each pixel some sixty times, and
stops all threads a score of times. Here a plane stays in the cache of one core until it is done.
"""

import numba
import numpy as np
from numpy.typing import NDArray

# All of these are powers of two or sums of such: exact in single precision, and so in both.
STEP = np.float32(1 / 8)
QUARTER, HALF, ONE = np.float32(1 / 4), np.float32(1 / 2), np.float32(1)
KEPT = ONE - STEP

REORDERED = {"reassoc", "contract", "nsz", "arcp"}
"""Liberties that let loops run on vectors; NaN stays NaN."""


compiled = numba.njit(nogil=True, fastmath=REORDERED, error_model="numpy")

Array = NDArray[np.floating]


def solve(target: Array, extrapolations: Array, *, tolerance: float) -> Array:
    """Ascend from a zero field until a round moves the plane by less than ``tolerance``.

    Args:
        target: The plane, scaled by half its weight, [height, width].
        extrapolations: How far to go beyond the proposal at each iteration, as a part of its
            distance from the field, [round, iteration].
        tolerance: In root mean square, in the unit of ``target``.

    Returns:
        The denoised plane; of the same shape, type and unit as ``target``.
    """
    height, width = target.shape
    # Fields have a row and a column of zeros in front, and images a copy of their last row and
    # column behind, so that no pixel is a special one.
    field, ahead = np.zeros((2, 2, height + 1, width + 1), target.dtype)
    image = np.zeros((height + 1, width + 1), target.dtype)
    result, least = target.copy(), tolerance**2 * target.size
    for some in extrapolations:
        _advance(target, some, field, ahead, image)
        if _write_plane(target, field, result) < least:
            break
    return result


@compiled
def _advance(
    target: Array, extrapolations: Array, field: Array, ahead: Array, image: Array
) -> None:
    for iteration in range(len(extrapolations)):
        _write_plane(target, ahead, image)
        _extend(image)
        _climb(field, ahead, image, extrapolations[iteration])


@compiled
def _extend(image: Array) -> None:
    """Copy the last row and column but one to the last."""
    height, width = image.shape
    for row in range(height - 1):
        image[row, width - 1] = image[row, width - 2]
    for column in range(width):
        image[height - 1, column] = image[height - 2, column]


@compiled
def _write_plane(target: Array, field: Array, plane: Array) -> np.floating:
    """Make ``plane`` the one that belongs to ``field``; by how much it moves, squared and added."""
    moved = target.dtype.type(0)
    for row in range(target.shape[0]):
        given, written = target[row], plane[row]
        across, down, above = field[0, row + 1], field[1, row + 1], field[1, row]
        for column in range(target.shape[1]):
            flow = across[column + 1] - across[column]
            now = given[column] + flow + down[column + 1] - above[column + 1]
            moved += (now - written[column]) ** 2
            written[column] = now
    return moved


@compiled
def _climb(field: Array, ahead: Array, image: Array, beyond: float) -> None:
    """A proximal step from the field ahead, and extrapolation from there."""
    for row in range(image.shape[0] - 1):
        here, below = image[row], image[row + 1]
        across, down = ahead[0, row + 1], ahead[1, row + 1]
        across_before, down_before = field[0, row + 1], field[1, row + 1]
        for column in range(image.shape[1] - 1):
            x = across[column + 1] + STEP * (here[column + 1] - here[column])
            y = down[column + 1] + STEP * (below[column] - here[column])
            square = x * x + y * y
            length = np.sqrt(square)
            divisor = HALF + length + np.sqrt(QUARTER + square - KEPT * length)
            x /= divisor
            y /= divisor
            across[column + 1] = x + beyond * (x - across_before[column + 1])
            down[column + 1] = y + beyond * (y - down_before[column + 1])
            across_before[column + 1], down_before[column + 1] = x, y
