"""Real worker processes, and how much memory they hold."""

from contextlib import asynccontextmanager, suppress
from pathlib import Path

from facetscope.domain.errors import LayerNotFoundError, ModelUnreadableError
from facetscope.domain.jobs import DescribeModel, DiscoverFacets, ImageSet, MaximizeActivation
from facetscope.domain.units import Unit
from facetscope.engine.synthesis import BUDGET
from facetscope.engine.worker_process import WorkerProcess

PEAK, NOW = "VmHWM", "VmRSS"

FORGET_PEAK = "5"
"""See proc(5), clear_refs."""

GRACE_S = 10.0
MEMORY_BYTES = 16 * 2**30
DECODED_BYTES = 2**28
PARITY_S = 120.0


class Worker:
    """A worker, which is given models to open."""

    def __init__(self, process):
        self._process = process

    async def load(self, path, spec):
        """Open a model and no more: the job asks for a layer that there is none of."""
        await self._run(MaximizeActivation(model="m", unit=Unit("none", 0), input=spec), path)

    async def describe(self, path, spec):
        """Open a model, and compare it with its own runtime."""
        await self._run(DescribeModel(model="m", input=spec), path)

    async def refuse(self, path):
        """Be asked to open what is no model: everything that opens models is imported then."""
        await self._run(DescribeModel(model="m"), path)

    async def discover(self, paths, **options):
        """Find facets; the artifacts lie at ``paths``, the model first. The events."""
        model, *images = paths
        images = ImageSet(tuple(images))
        job = DiscoverFacets(model=model, images=images, **options)
        self._forget_peak()
        await self._process.begin(job, paths)
        events = [event async for event in self._process.events()]
        await self._process.settle(grace_s=GRACE_S)
        return events

    async def _run(self, job, path):
        self._forget_peak()
        await self._process.begin(job, {"m": path})
        with suppress(LayerNotFoundError, ModelUnreadableError):
            async for _ in self._process.events():
                pass
        await self._process.settle(grace_s=GRACE_S)

    @property
    def megabytes(self):
        """Resident memory: the most since the last job began, and now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        lines = dict(line.split(":") for line in status.splitlines())
        return tuple(int(lines[name].split()[0]) * 1024 / 1e6 for name in (PEAK, NOW))

    def _forget_peak(self):
        Path(f"/proc/{self._process.pid}/clear_refs").write_text(FORGET_PEAK)


@asynccontextmanager
async def worker(decoded_bytes=DECODED_BYTES):
    """A worker that has opened nothing yet."""
    process = await WorkerProcess.spawn(
        device="cpu",
        threads=1,
        parity_s=PARITY_S,
        memory_bytes=MEMORY_BYTES,
        decoded_bytes=decoded_bytes,
        synthesis_budget=BUDGET,
    )
    try:
        yield Worker(process)
    finally:
        await process.kill()
