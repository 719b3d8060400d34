"""The memory that there is for workers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
"""Bytes that a container may take, or the word max."""

PART: Final = 0.9
"""Of the memory, what workers may take: the front and the system need some, too."""

LEAST: Final = 2 * 2**30
"""Bytes that a worker gets at least: torch takes 0.9 GiB of address space before any model."""


def share(workers: int) -> int:
    """Bytes for each of ``workers``."""
    return max(LEAST, int(total() * PART) // workers)


def total() -> int:
    """Bytes of the machine, or of the container where that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        return min(machine, int(CONTAINER_LIMIT.read_text()))
    return machine
