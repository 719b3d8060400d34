"""Memory that was freed, and is kept by the allocator for later."""

import ctypes

ALL = 0
"""Bytes to keep."""


def give_back() -> None:
    """Return freed memory to the system.

    Reading a model frees as much as its weights take, and each batch of images as much as its
    activations, in blocks that glibc holds on to for good.
    Elsewhere nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ALL)
