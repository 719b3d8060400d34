"""Who comes first in the engine, who must go, and what survives cancelled and killed work."""

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest
from tests import networks

from facetscope.domain import errors, jobs, syntheses
from facetscope.domain.descriptions import Description
from facetscope.domain.events import Progress, Work
from facetscope.engine.process_engine import Limits, ProcessEngine


@pytest.fixture
async def make_engine(tmp_path):
    """Engines over a folder of tiny models, each named after its seed."""
    for seed in "abc":
        (tmp_path / seed).write_bytes(networks.tiny_onnx(seed=ord(seed)))
    engines = []

    def locate(digests):
        return {digest: tmp_path / digest for digest in digests}

    def make(**limits):
        chosen = Limits(
            **{"workers": 1, "queued": 1, "memory_bytes": 3 * 2**30, "grace_s": 20.0}
            | {"decoded_bytes": 2**26, "synthesis_budget": 10**12}
            | limits
        )
        engines.append(
            ProcessEngine(locate=locate, device="cpu", threads=1, parity_s=30, limits=chosen)
        )
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()


def first_to_go(process):
    return Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"


async def described(engine, model, *, padding=0):
    job = jobs.DescribeModel(model=model)
    if padding:
        pictures = (jobs.InlineImage("x", "", bytes(padding)),)
        job = jobs.MaximizeActivation(
            model=model,
            unit=networks.UNIT,
            starts=pictures,
            synthesis=syntheses.Synthesis(start=syntheses.Start.GIVEN),
        )
    async with engine.run(job) as events:
        return [event async for event in events]


def workers():
    return [
        child
        for child in psutil.Process().children()
        if "facetscope.engine.worker" in " ".join(child.cmdline())
    ]


async def test_a_cancelled_job_leaves_nothing_for_the_next(make_engine):
    """Even a job that was cancelled while it was still being sent to a starting worker."""
    engine = make_engine()
    large = asyncio.create_task(described(engine, "a", padding=3_000_000))
    await asyncio.sleep(0.2)
    large.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await large
    *_, last = await described(engine, "a")
    assert isinstance(last, Description)
    *_, last = await described(engine, "a")
    assert isinstance(last, Description)


async def test_a_worker_that_died_in_its_sleep_is_replaced(make_engine):
    """The out-of-memory killer may take an idle process; nobody's call should fail for it."""
    engine = make_engine()
    await described(engine, "a")
    (worker,) = workers()
    worker.kill()
    await asyncio.sleep(1)
    *_, last = await described(engine, "a")
    assert isinstance(last, Description)


async def test_a_full_queue_refuses_before_the_first_event(make_engine):
    """A client that has seen no event may try again."""
    engine = make_engine(queued=0)
    async with engine.run(jobs.DescribeModel(model="a")) as busy:
        assert await anext(busy) == Progress(work=Work.LOADING_MODEL)
        with pytest.raises(errors.EngineBusyError):
            await described(engine, "b")


async def test_jobs_wait_for_their_turn(make_engine):
    """Those that wait are told so, and all are done in the end, by one worker at a time."""
    engine = make_engine(queued=8)
    answers = await asyncio.gather(*(described(engine, model) for model in "aaa"))
    assert all(isinstance(events[-1], Description) for events in answers)
    assert any(events[0] == Progress(work=Work.QUEUED) for events in answers)
    assert len(workers()) == 1


async def test_a_cancelled_wait_gives_its_place_to_the_next(make_engine):
    """Impatient clients do not block patient ones."""
    engine = make_engine(queued=8)
    first = asyncio.create_task(described(engine, "a"))
    await asyncio.sleep(0.05)
    impatient = asyncio.create_task(described(engine, "b"))
    patient = asyncio.create_task(described(engine, "c"))
    await asyncio.sleep(0.05)
    impatient.cancel()
    assert isinstance((await first)[-1], Description)
    assert isinstance((await patient)[-1], Description)


async def test_a_worker_has_given_up_memory_beyond_its_limit(make_engine):
    """A model cannot fill the machine; and where the machine is full, the front is not killed."""
    await described(make_engine(memory_bytes=3 * 2**30), "a")
    (worker,) = workers()
    assert worker.rlimit(psutil.RLIMIT_DATA) == (3 * 2**30, 3 * 2**30)
    assert first_to_go(worker)
