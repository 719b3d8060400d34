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
        taken: Bytes so far, those given back since counted, too.
    """

    def __init__(self) -> None:
        self.taken = 0

    def excess(self, results: Iterable[Tensor], given: Iterable[Tensor]) -> str:
        """Count ``results`` that are no views of what was ``given`` to compute them.

        Returns:
            What to say if all are too much by now, and nothing if they are not.
        """
        known = {_place(tensor) for tensor in given}
        for tensor in results:
            if not tensor.is_meta and (_place(tensor) not in known or is_spread(tensor)):
                self.taken += tensor.numel() * tensor.element_size()
        if self.taken <= MOST_BYTES:
            return ""
        return f"its constants take {self.taken} bytes in all, more than {MOST_BYTES}"


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def is_spread(tensor: Tensor) -> bool:
    """Whether a tensor has more elements than are stored: a copy of it would be larger."""
    return tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()


def is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory was short."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(words in str(error) for words in SHORTAGES)
