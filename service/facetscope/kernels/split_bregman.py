"""Split Bregman (Goldstein & Osher, 2009) as scikit-image's ``denoise_tv_bregman`` iterates it.

Unlike ``total_variation``, which goes to the solution, this stops where that function stops, which
at small weights is far from it; and its planes are tied to a frame of pixels of the old image.
"""

import numba
import numpy as np
from numpy.typing import NDArray

compiled = numba.njit(nogil=True, error_model="numpy")

Planes = NDArray[np.float64]


def solve(planes: Planes, weight: float, *, iterations: int, tolerance: float) -> Planes:
    """Denoise the planes of one image, isotropically.

    Args:
        planes: [channel, height, width], of at least two pixels each way.
        weight: Of the data; a smaller one smooths more.
        iterations: How many to take at most.
        tolerance: It ends when one changes all planes together by less, in root mean square.
    """
    framed = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    # Mirrored at the second pixel where it begins, and repeated where it ends.
    framed[:, 0, 1:-1] = planes[:, 1]
    framed[:, 1:-1, 0] = planes[:, :, 1]
    fields = np.zeros((4, *framed.shape))
    for _ in range(iterations):
        if np.sqrt(_sweep(planes, framed, fields, weight) / planes.size) <= tolerance:
            break
    return framed[:, 1:-1, 1:-1]


@compiled
def _sweep(planes: Planes, framed: Planes, fields: NDArray[np.float64], weight: float) -> float:
    """One iteration, pixel after pixel; the sum of the squares of what they change by.

    Fields are the split gradient across and down, and the Bregman variables of both.
    """
    penalty = 2 * weight
    changed = 0.0
    for channel in range(planes.shape[0]):
        image = framed[channel]
        across, down = fields[0, channel], fields[1, channel]
        owed_across, owed_down = fields[2, channel], fields[3, channel]
        for row in range(1, image.shape[0] - 1):
            for column in range(1, image.shape[1] - 1):
                before = image[row, column]
                right, below = image[row, column + 1], image[row + 1, column]
                neighbours = below + image[row - 1, column] + right + image[row, column - 1]
                flow = (
                    (across[row, column - 1] - owed_across[row, column - 1])
                    - (across[row, column] - owed_across[row, column])
                    + (down[row - 1, column] - owed_down[row - 1, column])
                    - (down[row, column] - owed_down[row, column])
                )
                data = weight * planes[channel, row - 1, column - 1]
                now = (penalty * (neighbours + flow) + data) / (weight + 4 * penalty)
                image[row, column] = now
                changed += (now - before) ** 2
                x = right - before + owed_across[row, column]
                y = below - before + owed_down[row, column]
                length = penalty * np.sqrt(x * x + y * y)
                kept = length / (length + 1)
                across[row, column], owed_across[row, column] = kept * x, x - kept * x
                down[row, column], owed_down[row, column] = kept * y, y - kept * y
    return changed
