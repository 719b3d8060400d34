"""An engine of worker processes on this machine, one for each loaded model."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from facetscope.domain.errors import EngineBusyError
from facetscope.domain.events import Event, Progress, Work
from facetscope.domain.jobs import Job, artifacts
from facetscope.engine.worker_process import WorkerProcess

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an engine may use.

    Attributes:
        workers: Models loaded at a time, each in its own process.
        queued: Jobs that may wait for a worker; further ones are refused.
        grace_s: Time that a worker has to end a job that nobody wants any more, in seconds.
    """

    workers: int
    queued: int
    grace_s: float


@final
class ProcessEngine:
    """Runs a job in the worker that has its model loaded; a worker does one job at a time.

    When a model needs a worker and there are as many as allowed, the one that has been idle longest
    is killed, and with it goes all memory of its model.
    """

    def __init__(
        self,
        *,
        locate: Callable[[Iterable[str]], Mapping[str, Path]],
        device: str,
        threads: int,
        limits: Limits,
    ) -> None:
        """Make an engine that has no workers yet.

        Args:
            locate: Paths of artifacts by digest; raises ``ArtifactMissingError``.
            device: Where workers compute: ``cpu``, ``cuda`` or ``auto``.
            threads: Processor threads of each worker.
            limits: What may be used.
        """
        self._locate = locate
        self._device = device
        self._threads = threads
        self._limits = limits
        self._idle: OrderedDict[str, WorkerProcess] = OrderedDict()
        self._busy: set[str] = set()
        self._queued = 0
        self._changed = asyncio.Condition()
        self._settling: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[AsyncIterator[Event]]:
        """Give the events of ``job``; see ``Engine.run``."""
        paths = self._locate(artifacts(job))
        events = self._events(job, paths)
        try:
            yield events
        finally:
            await events.aclose()

    async def close(self) -> None:
        """Kill all workers."""
        await asyncio.gather(*self._settling)
        while self._idle:
            await self._idle.popitem()[1].kill()

    async def _events(self, job: Job, paths: Mapping[str, Path]) -> AsyncGenerator[Event]:
        if not self._available(job.model):
            yield Progress(work=Work.QUEUED)
        worker = await self._acquire(job.model)
        try:
            await worker.begin(job, paths)
            async for event in worker.events():
                yield event
        finally:
            # In a task of its own, because a cancelled call may be cancelled again.
            settling = asyncio.create_task(self._release(job.model, worker))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)

    def _available(self, model: str) -> bool:
        """Whether a job for ``model`` can begin at once."""
        if model in self._busy:
            return False
        return bool(self._idle) or len(self._busy) < self._limits.workers

    async def _acquire(self, model: str) -> WorkerProcess:
        async with self._changed:
            await self._wait_for(model)
            self._busy.add(model)
            worker = self._idle.pop(model, None)
            evicted = self._evicted() if worker is None else None
        try:
            if evicted is not None:
                await evicted.kill()
            return worker or await WorkerProcess.spawn(device=self._device, threads=self._threads)
        except BaseException:
            await self._forget(model)
            raise

    async def _wait_for(self, model: str) -> None:
        if self._available(model):
            return
        if self._queued >= self._limits.queued:
            raise EngineBusyError(self._queued, RETRY_AFTER_S)
        self._queued += 1
        try:
            await self._changed.wait_for(lambda: self._available(model))
        finally:
            self._queued -= 1

    def _evicted(self) -> WorkerProcess | None:
        """The worker that must go for another one to come."""
        if len(self._idle) + len(self._busy) <= self._limits.workers:
            return None
        return self._idle.popitem(last=False)[1]

    async def _release(self, model: str, worker: WorkerProcess) -> None:
        await worker.settle(grace_s=self._limits.grace_s)
        if worker.usable:
            self._idle[model] = worker
        else:
            await worker.kill()
        await self._forget(model)

    async def _forget(self, model: str) -> None:
        async with self._changed:
            self._busy.discard(model)
            self._changed.notify_all()
