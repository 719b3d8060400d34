"""The one door between the gRPC side and the side that computes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from facetscope.domain.events import Event
from facetscope.domain.jobs import Job


class Engine(Protocol):
    """Runs jobs somewhere: in a worker process, in a Ray actor."""

    def run(self, job: Job) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Start ``job`` and give its events as they come.

        Leaving the context ends the job, whether or not it is done: it is over within one step. A
        reader that lags behind is spared progress and previews, and gets every result.

        Raises:
            InspectionError: The job cannot be done; from the context or the iterator.
        """
        ...
