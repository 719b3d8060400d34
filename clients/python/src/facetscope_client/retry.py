"""Whether a failed call is tried again, when, and what must be done before: no transport here."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import grpc

from facetscope_client.artifacts import Artifact
from facetscope_client.errors import FacetscopeError, UnavailableError, error_from

JITTER: Final = 0.2
"""Part of a pause by which it is longer or shorter at random (gRFC A6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a call is tried while the server is unavailable, and how long between.

    No other status is worth a second try of the same request (AIP-194).

    Attributes:
        attempts: Tries in all, at least 1.
        first_pause_s: Seconds before the second try; each pause is twice the one before it.
        longest_pause_s: Seconds that no pause exceeds, unless the server asks for more.
        chance: Gives numbers in [0, 1), so that clients of one server do not return together.
    """

    attempts: int = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    chance: Callable[[], float] = random.random

    def pause_s(self, error: FacetscopeError, failures: int) -> float:
        """Seconds to wait after this many ``failures``, the last of which was ``error``."""
        if error.retry_after is not None:
            return error.retry_after.total_seconds()
        pause = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (failures - 1))
        return pause * (1 + JITTER * (2 * self.chance() - 1))


@dataclass(frozen=True, slots=True)
class Wait:
    """Call again after a pause."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """Upload these, then call again."""

    artifacts: tuple[Artifact, ...]


class Attempts:
    """The tries of one call: what is left of its time, of its patience, and of its artifacts.

    The clients for threads and for asyncio ask it what to do after a failure, and do it each in
    their own way.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        timeout_s: float | None,
        artifacts: Mapping[str, Artifact],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._deadline = None if timeout_s is None else clock() + timeout_s
        self._unsent = dict(artifacts)
        self._failures = 0

    def remaining_s(self) -> float | None:
        """Seconds until the deadline of all tries together, or ``None`` for no deadline."""
        return None if self._deadline is None else self._deadline - self._clock()

    def remedy(self, failure: grpc.RpcError, *, delivered: bool = False) -> Wait | Send:
        """What to do before the next try.

        Args:
            failure: How the last one ended.
            delivered: Whether the caller has already got a part of the answer. Then there is no
                next try: it would give that part again.

        Raises:
            FacetscopeError: There is nothing to be done.
        """
        error = error_from(failure)
        if not delivered:
            if error.missing and self._unsent.keys() >= set(error.missing):
                return Send(tuple(self._unsent.pop(digest) for digest in set(error.missing)))
            if isinstance(error, UnavailableError):
                self._failures += 1
                pause_s = self._policy.pause_s(error, self._failures)
                if self._failures < self._policy.attempts and self._allows(pause_s):
                    return Wait(pause_s)
        raise error from failure

    def _allows(self, pause_s: float) -> bool:
        remaining_s = self.remaining_s()
        return remaining_s is None or pause_s < remaining_s
