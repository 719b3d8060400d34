"""The main of a worker process: takes jobs from its pipe, does them, and sends their events.

python -m facetscope.engine.worker DEVICE THREADS PARITY_S MEMORY_BYTES DECODED_BYTES BUDGET
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, cast, final

from facetscope.domain.errors import InspectionError
from facetscope.domain.events import Event
from facetscope.domain.jobs import Job
from facetscope.engine import frames, sandbox
from facetscope.gen.facetscope.worker.v1 import frame_pb2 as pb


@final
class Pipe:
    """The worker's end of the pipe: jobs and wishes to cancel come in, events go out."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._tasks: SimpleQueue[pb.Task] = SimpleQueue()
        self._cancelled = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def tasks(self) -> Iterator[pb.Task]:
        """Tasks as they come, for ever."""
        while True:
            yield self._tasks.get()

    @property
    def cancelled(self) -> bool:
        """Whether the job at hand is not wanted any more."""
        return self._cancelled.is_set()

    def send(self, frame: pb.Frame) -> None:
        """Send ``frame``, waiting while the pipe is full."""
        self._outgoing.write(frames.packed(frame))
        self._outgoing.flush()

    def _listen(self) -> None:
        """Take frames; end the process when the front is gone, whatever the main thread is at."""
        try:
            while (frame := frames.read(self._incoming)) is not None:
                if frame.WhichOneof("kind") == "cancel":
                    self._cancelled.set()
                else:
                    self._cancelled.clear()
                    self._tasks.put(frame.task)
        finally:
            os._exit(0)


def serve(
    pipe: Pipe, device: str, *, threads: int, parity_s: float, decoded_bytes: int, budget: int
) -> None:
    """Do jobs from ``pipe`` until the process ends."""
    # Imported here, so that a front that is gone is noticed while torch is still loading.
    from facetscope.engine.inspection import Inspector  # noqa: PLC0415

    inspector = Inspector(
        device=device,
        threads=threads,
        parity_s=parity_s,
        decoded_bytes=decoded_bytes,
        budget=budget,
    )
    for task in pipe.tasks():
        job = frames.decode(task.job, cast("type[Job]", Job))
        paths = {digest: Path(path) for digest, path in task.paths.items()}
        _do(pipe, inspector.run(job, paths))
        pipe.send(pb.Frame(done=pb.Done()))


def _do(pipe: Pipe, events: Generator[Event]) -> None:
    """Send ``events`` until they end, fail, or are not wanted any more."""
    try:
        with closing(events):
            for event in events:
                if pipe.cancelled:
                    return
                pipe.send(pb.Frame(event=frames.encode(event)))
    except InspectionError as error:
        pipe.send(pb.Frame(error=frames.encode(error)))
    except Exception:  # noqa: BLE001  # the front logs it, and gets another worker
        pipe.send(pb.Frame(crash=pb.Crash(traceback=traceback.format_exc())))


def main() -> None:
    """Serve on the standard streams, which nothing else in this process gets to use."""
    _, device, threads, parity_s, memory_bytes, decoded_bytes, budget = sys.argv
    pipe = Pipe(*sandbox.private_streams())
    sandbox.confine(int(memory_bytes))
    serve(
        pipe,
        device,
        threads=int(threads),
        parity_s=float(parity_s),
        decoded_bytes=int(decoded_bytes),
        budget=int(budget),
    )


if __name__ == "__main__":
    main()
