"""One worker process, as the front sees it: a pipe that takes jobs and gives events."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast, final

from google.protobuf.message import DecodeError

from facetscope.domain.errors import InspectionError, WorkerLostError
from facetscope.domain.events import Event, Preview, Progress
from facetscope.domain.jobs import Job
from facetscope.engine import frames
from facetscope.gen.facetscope.worker.v1 import frame_pb2 as pb

log = logging.getLogger(__name__)

INHERITED: Final = frozenset(
    {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"}
)
"""The only variables of the environment that a worker gets to see."""

BACKLOG: Final = 64
"""Events that wait for a slow reader, at most: then the worker waits too."""

SPARED: Final = 16
"""Waiting events from which on progress and previews are dropped."""


LOGGED_BYTES: Final = 4096
"""How much of a worker's words is logged at a time."""


LAST_WORDS_S: Final = 1.0
"""Time for the log to catch up with a worker that has ended, in seconds."""


class WorkerCrashedError(Exception):
    """The job met a bug in the worker, whose traceback this carries."""


@final
class WorkerProcess:
    """A spawned ``facetscope.engine.worker``, which does one job at a time."""

    def __init__(
        self, process: asyncio.subprocess.Process, folder: TemporaryDirectory[str]
    ) -> None:
        self._process = process
        self._folder = folder
        self._backlog: asyncio.Queue[Event | Exception | None] = asyncio.Queue(BACKLOG)
        self._pump: asyncio.Task[None] | None = None
        self._log = asyncio.create_task(self._log_words())
        self._abandoned = False
        self._crashed = False

    @classmethod
    async def spawn(
        cls,
        *,
        device: str,
        threads: int,
        parity_s: float,
        memory_bytes: int,
        decoded_bytes: int,
        synthesis_budget: int,
    ) -> WorkerProcess:
        """Start a worker in an empty folder, with an environment that holds no secrets."""
        folder = TemporaryDirectory(prefix="facetscope-worker-", ignore_cleanup_errors=True)
        numbers = (threads, parity_s, memory_bytes, decoded_bytes, synthesis_budget)
        arguments = (device, *map(str, numbers))
        try:
            return cls(await _spawned(folder.name, arguments), folder)
        except BaseException:
            folder.cleanup()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether the process can be given another job, as far as is known.

        After a bug it cannot: what is left of a device's context is anybody's guess.
        """
        return self._process.returncode is None and not self._crashed

    async def begin(self, job: Job, paths: Mapping[str, Path]) -> None:
        """Give the worker a job; its events come from ``events``.

        Raises:
            WorkerLostError: The process has ended.
        """
        task = pb.Task(
            job=frames.encode(job), paths={digest: str(path) for digest, path in paths.items()}
        )
        self._abandoned = False
        self._backlog = asyncio.Queue(BACKLOG)
        self._pump = asyncio.create_task(self._fill_backlog())
        await self._send(pb.Frame(task=task))

    async def events(self) -> AsyncIterator[Event]:
        """Events of the job at hand, until it is over.

        Raises:
            InspectionError: The job failed, or the process ended.
            WorkerCrashedError: The job met a bug.
            FrameError: The worker does not keep to the protocol.
        """
        while (event := await self._backlog.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def settle(self, *, grace_s: float) -> None:
        """End the job at hand: kindly, or after ``grace_s`` by killing the process."""
        if self._pump is None:
            return
        self._abandoned = True
        while not self._backlog.empty():
            self._backlog.get_nowait()
        try:
            async with asyncio.timeout(grace_s):
                if not self._pump.done():
                    await self._send(pb.Frame(cancel=pb.Cancel()))
                await asyncio.shield(self._pump)
        except TimeoutError:
            log.warning("worker %d: did not end its job within %g s", self.pid, grace_s)
            await self.kill()
        except WorkerLostError:
            await self.kill()

    async def kill(self) -> None:
        """End the process, the only sure way to give back its memory and its device's."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        code = await self._process.wait()
        await asyncio.wait([self._log], timeout=LAST_WORDS_S)
        self._log.cancel()
        log.info("worker %d: ended with %d", self.pid, code)
        self._folder.cleanup()

    async def _fill_backlog(self) -> None:
        """Move events from the pipe to the backlog until the job is over."""
        try:
            while (frame := await self._read()).WhichOneof("kind") != "done":
                self._crashed |= frame.HasField("crash")
                await self._keep(_content(frame))
            await self._keep(None)
        except WorkerLostError as error:
            await self._keep(error)
        except Exception as error:  # noqa: BLE001  # whatever a hostile worker sends
            self._crashed = True
            await self._keep(error)

    async def _log_words(self) -> None:
        """Log what the worker, or the model in it, writes to its standard streams."""
        pipe = cast("asyncio.StreamReader", self._process.stderr)
        while words := await pipe.read(LOGGED_BYTES):
            for line in words.decode(errors="backslashreplace").splitlines():
                log.info("worker %d says: %s", self.pid, line)

    async def _keep(self, event: Event | Exception | None) -> None:
        spared = isinstance(event, Progress | Preview) and self._backlog.qsize() >= SPARED
        if not self._abandoned and not spared:
            await self._backlog.put(event)

    async def _read(self) -> pb.Frame:
        pipe = cast("asyncio.StreamReader", self._process.stdout)
        try:
            (length,) = frames.LENGTH.unpack(await pipe.readexactly(frames.LENGTH.size))
            return pb.Frame.FromString(await pipe.readexactly(frames.checked_length(length)))
        except asyncio.IncompleteReadError:
            raise WorkerLostError(await self._process.wait()) from None
        except DecodeError:
            raise frames.FrameError("bytes that are no frame") from None

    async def _send(self, frame: pb.Frame) -> None:
        pipe = cast("asyncio.StreamWriter", self._process.stdin)
        try:
            pipe.write(frames.packed(frame))
            await pipe.drain()
        except ConnectionError:
            raise WorkerLostError(await self._process.wait()) from None


async def _spawned(folder: str, arguments: tuple[str, ...]) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if name in INHERITED}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "facetscope.engine.worker", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**kept, "HOME": folder, "TMPDIR": folder},
        start_new_session=True,
    )
    log.info("worker %d: started", process.pid)
    return process


def _content(frame: pb.Frame) -> Event | Exception:
    match frame.WhichOneof("kind"):
        case "event":
            return frames.decode(frame.event, cast("type[Event]", Event))
        case "error":
            return frames.decode(frame.error, InspectionError)
        case "crash":
            return WorkerCrashedError(frame.crash.traceback)
        case kind:
            raise frames.FrameError(f"a worker does not say {kind}")
