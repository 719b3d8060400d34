"""How often a job tells of its progress, and how fast that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Final, TypeVar, cast, final

from facetscope.domain.events import Progress

INTERVAL_S: Final = 0.25
"""Seconds between two events of one work, at least: nobody reads faster, and sets are large."""

Result = TypeVar("Result")


@final
class Pace:
    """Passes on progress with its rate, and leaves out what comes too soon.

    The first and the last of a work are always passed on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def of(
        self, work: Generator[Progress, None, Result], complete: Callable[[Progress], Progress]
    ) -> Generator[Progress, None, Result]:
        """The events of ``work``, each completed when it is passed on; and its result."""
        began = told = self._clock()
        latest, waiting = None, False
        try:
            while True:
                latest = complete(next(work))
                now = self._clock()
                seconds = now - began
                latest = replace(latest, rate=latest.done / seconds if seconds > 0 else 0.0)
                waiting = latest.done > 0 and now - told < INTERVAL_S
                if not waiting:
                    told = now
                    yield latest
        except StopIteration as end:
            if latest is not None and waiting:
                yield latest
            return cast("Result", end.value)
        finally:
            work.close()
