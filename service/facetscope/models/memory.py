"""How much memory the constants of one translation may take.

A file of a hundred bytes can describe terabytes of zeros, whole or in pieces.
"""

from collections.abc import Iterable
from typing import Final, final

import torch
from torch import Tensor

MOST_ELEMENTS: Final = 2**28
"""Elements of one tensor that is computed during translation."""

MOST_BYTES: Final = 2**32
"""Bytes of all of them together, weights not counted."""

SHORTAGES: Final = ("DefaultCPUAllocator", "std::bad_alloc", "Cannot allocate memory")
"""What torch and its libraries say of it, in errors of no type of their own."""


@final
class Memory:
    """Counts the bytes of tensors as they are computed.

    Attributes:
        taken: Bytes so far; views of what was counted before take none.
    """

    def __init__(self) -> None:
        self._counted: set[int] = set()
        self.taken = 0

    def excess(self, tensors: Iterable[Tensor]) -> str:
        """Count ``tensors``; what to say if they are too much, and nothing if they are not."""
        for tensor in tensors:
            self._count(tensor)
        if self.taken <= MOST_BYTES:
            return ""
        return f"its constants take {self.taken} bytes in all, more than {MOST_BYTES}"

    def _count(self, tensor: Tensor) -> None:
        if tensor.is_meta:
            return
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._counted or is_spread(tensor):
            self.taken += tensor.numel() * tensor.element_size()
            self._counted.add(storage.data_ptr())


def is_spread(tensor: Tensor) -> bool:
    """Whether a tensor has more elements than are stored: a copy of it would be larger."""
    return tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()


def is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory was short."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(words in str(error) for words in SHORTAGES)
