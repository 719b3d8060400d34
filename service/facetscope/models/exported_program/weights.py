"""Weights and constants, from the bytes of an archive."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from facetscope.domain.errors import ModelUnreadableError, OperatorUnsupportedError
from facetscope.models.exported_program import archive
from facetscope.models.exported_program.program import Stored
from facetscope.models.exported_program.schema import DTYPES
from facetscope.models.memory import MOST_ELEMENTS, is_spread


def tensors(path: Path, stored: Mapping[str, Stored], precision: torch.dtype) -> dict[str, Tensor]:
    """The tensors that are ``stored`` in an archive, by the same names.

    Floating ones have the type ``precision``. Names that share an entry share its memory.

    Raises:
        ModelUnreadableError: Bytes are missing, or too few.
        OperatorUnsupportedError: An element type is not supported.
    """
    users: dict[str, list[str]] = {}
    for name, tensor in stored.items():
        users.setdefault(tensor.entry, []).append(name)
    found: dict[str, Tensor] = {}
    for entry, data in archive.contents(path, users):
        for name in users[entry]:
            found[name] = _tensor(name, stored[name], data, precision)
    return found


def _tensor(name: str, stored: Stored, data: bytearray, precision: torch.dtype) -> Tensor:
    if stored.dtype not in DTYPES:
        problem = f"its element type, number {stored.dtype}, is not supported"
        raise OperatorUnsupportedError(name, "tensor", problem)
    try:
        view = _view(stored, data)
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        problem = f"{stored.entry} does not hold the tensor {name!r}: save or send it again"
        raise ModelUnreadableError(problem) from error
    return view.to(precision) if view.is_floating_point() else view


def _view(stored: Stored, data: bytearray) -> Tensor:
    """The tensor within the bytes of its storage; torch checks that it lies within."""
    dtype = DTYPES[stored.dtype]
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    view = flat.as_strided(stored.sizes, stored.strides, stored.offset)
    if view.numel() > MOST_ELEMENTS and is_spread(view):
        raise ValueError(stored.sizes)
    return view
