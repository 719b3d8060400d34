"""An engine of worker processes on this machine, one for each loaded model."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
)
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

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
        memory_bytes: Main memory that a worker may write to, files of code and weights not counted.
        decoded_bytes: Of these, what pictures may take ahead of the network.
        synthesis_budget: Pixels that all steps of a job may change together.
        grace_s: Time that a worker has to end a job that nobody wants any more, in seconds.
    """

    workers: int
    queued: int
    memory_bytes: int
    decoded_bytes: int
    synthesis_budget: int
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
        parity_s: float,
        limits: Limits,
    ) -> None:
        """Make an engine that has no workers yet.

        Args:
            locate: Paths of artifacts by digest; raises ``ArtifactMissingError``.
            device: Where workers compute: ``cpu``, ``cuda`` or ``auto``.
            threads: Processor threads of each worker.
            parity_s: Time that a model's own runtime may take for a comparison, in seconds.
            limits: What may be used.
        """
        self._locate = locate
        self._device = device
        self._threads = threads
        self._parity_s = parity_s
        self._limits = limits
        self._idle: OrderedDict[str, WorkerProcess] = OrderedDict()
        self._busy: set[str] = set()
        self._waiting: list[_Waiting] = []
        self._background: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[AsyncIterator[Event]]:
        """Give the events of ``job``; see ``Engine.run``."""
        async with aclosing(self._events(job, self._locate(artifacts(job)))) as events:
            yield events

    async def close(self) -> None:
        """End all jobs and workers."""
        while self._background:
            await asyncio.wait(self._background)
        while self._idle:
            await self._idle.popitem()[1].kill()

    async def _events(self, job: Job, paths: Mapping[str, Path]) -> AsyncGenerator[Event]:
        if not self._available(job.model):
            if len(self._waiting) >= self._limits.queued:
                raise EngineBusyError(len(self._waiting), RETRY_AFTER_S)
            yield Progress(work=Work.QUEUED)
        worker = await self._acquire(job.model)
        try:
            await worker.begin(job, paths)
            async for event in worker.events():
                yield event
        finally:
            self._in_background(self._release(job.model, worker))

    def _available(self, model: str) -> bool:
        """Whether a job for ``model`` can begin at once."""
        return model not in self._busy and len(self._busy) < self._limits.workers

    async def _acquire(self, model: str) -> WorkerProcess:
        """Wait for a place, then give the worker that has the model, or a new one."""
        await self._place(model)
        try:
            worker = self._idle.pop(model, None)
            if worker is not None and worker.usable:
                return worker
            await self._make_room(worker)
            return await WorkerProcess.spawn(
                device=self._device,
                threads=self._threads,
                parity_s=self._parity_s,
                memory_bytes=self._limits.memory_bytes,
                decoded_bytes=self._limits.decoded_bytes,
                synthesis_budget=self._limits.synthesis_budget,
            )
        except BaseException:
            self._free(model)
            raise

    async def _place(self, model: str) -> None:
        """Make ``model`` one of the busy ones, after those that came before."""
        if self._available(model):
            self._busy.add(model)
            return
        waiting = _Waiting(model, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self._free(model)
            raise

    async def _make_room(self, broken: WorkerProcess | None) -> None:
        """Kill the worker that must go for another one to come, and wait until it is gone."""
        gone = broken
        if gone is None and len(self._idle) + len(self._busy) > self._limits.workers:
            _, gone = self._idle.popitem(last=False)
        if gone is not None:
            await asyncio.shield(self._in_background(gone.kill()))

    async def _release(self, model: str, worker: WorkerProcess) -> None:
        try:
            await worker.settle(grace_s=self._limits.grace_s)
            if not worker.usable:
                await worker.kill()
        finally:
            self._free(model, worker)

    def _free(self, model: str, worker: WorkerProcess | None = None) -> None:
        """Give up the place of ``model``, keep its worker if it has one, and let others come."""
        self._busy.discard(model)
        if worker is not None and worker.usable:
            self._idle[model] = worker
        for waiting in tuple(self._waiting):
            if self._available(waiting.model):
                self._waiting.remove(waiting)
                self._busy.add(waiting.model)
                waiting.turn.set_result(None)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do what must be done even if the call it is done for is cancelled, once or again."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a worker could not be put away", exc_info=error)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A job that waits for its turn to be busy with ``model``."""

    model: str
    turn: asyncio.Future[None]
