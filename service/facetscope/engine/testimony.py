"""What goes between a worker and an oracle: arrays of numbers, never a pickle."""

from __future__ import annotations

from typing import Final

import numpy as np

from facetscope.gen.facetscope.worker.v1 import oracle_pb2 as pb
from facetscope.models.arrays import NUMBERS, Array

LARGEST_BYTES: Final = 256 * 2**20
"""Size of an answer, and of anything else that a model in an oracle may write."""


def array_message(array: Array | None, *, outline: bool = False) -> pb.Array:
    """Write an array to the wire, or its outline alone; an empty message where there is none."""
    if array is None:
        return pb.Array()
    data = b"" if outline else array.tobytes()
    return pb.Array(shape=array.shape, type=array.dtype.name, data=data)


def array_from(message: pb.Array) -> Array | None:
    """Read an array of numbers off the wire, if it is one; an outline has no memory.

    Raises:
        TypeError: Its type is none.
        ValueError: It does not have as many elements as its shape says.
    """
    if not message.type:
        return None
    kind = np.dtype(message.type)
    if kind.kind not in NUMBERS:
        raise TypeError(f"{message.type} is no type of numbers")
    if not message.data:
        return np.broadcast_to(np.zeros((), kind), tuple(message.shape))
    return np.frombuffer(message.data, kind).reshape(tuple(message.shape))
