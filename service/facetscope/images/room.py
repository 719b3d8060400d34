"""Memory that threads share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final


@final
class Room:
    """Bytes that several threads may take together, at most.

    Who needs more than there is has all of it, alone: the most that is ever taken is this or the
    largest single need.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, needed: int) -> Iterator[None]:
        """Wait for ``needed`` bytes, and give them back in the end."""
        amount = min(needed, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
