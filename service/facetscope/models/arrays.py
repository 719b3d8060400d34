"""Arrays of NumPy, as runtimes other than torch take and give them."""

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

NUMBERS: Final = "biuf"
"""Kinds of element types that are numbers, or truth values."""
