"""Progress comes often enough to watch, and no more often."""

import pytest

from facetscope.domain.events import Progress, Work
from facetscope.engine.pace import INTERVAL_S, Pace


def work(clock, steps, seconds):
    yield Progress(work=Work.ENCODING_IMAGES)
    for step in range(1, steps + 1):
        clock[0] += seconds
        yield Progress(work=Work.ENCODING_IMAGES, done=16 * step)
    return "result"


def told(steps, seconds):
    clock, events = [0.0], []
    paced = Pace(lambda: clock[0]).of(work(clock, steps, seconds), lambda progress: progress)

    def drain():
        return (yield from paced)

    draining = drain()
    with pytest.raises(StopIteration, match="result"):
        while True:
            events.append(next(draining))
    return events


def test_a_fast_work_is_told_of_four_times_a_second():
    """A million pictures would otherwise be a flood of events."""
    events = told(10_000, 0.001)
    assert len(events) == pytest.approx(10 / INTERVAL_S, abs=3)
    assert (events[0].done, events[-1].done) == (0, 160_000)


def test_a_slow_work_is_told_of_at_every_step():
    """Nothing is held back that there is time for."""
    assert [event.done for event in told(5, 1.0)] == [0, 16, 32, 48, 64, 80]


def test_the_rate_is_what_was_done_in_a_second():
    """Sixteen images in a tenth of a second."""
    first, *others = told(100, 0.1)
    assert first.rate == 0
    assert [event.rate for event in others] == pytest.approx([160] * len(others))


def test_leaving_early_ends_the_work():
    """A cancelled job decodes no further picture."""
    ended = []

    def endless():
        try:
            while True:
                yield Progress(work=Work.ENCODING_IMAGES)
        finally:
            ended.append(True)

    paced = Pace().of(endless(), lambda progress: progress)
    next(paced)
    paced.close()
    assert ended
