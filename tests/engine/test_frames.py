"""Values arrive from a worker as they were sent, and nothing else can arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import examples

from facetscope.domain.errors import InspectionError, InvalidFieldError
from facetscope.domain.events import Event
from facetscope.domain.jobs import Job
from facetscope.domain.units import Unit
from facetscope.engine import frames
from facetscope.gen.facetscope.worker.v1 import frame_pb2 as pb


def through_the_pipe(value, expected):
    data = frames.encode(value).SerializeToString()
    return frames.decode(pb.Value.FromString(data), expected)


@pytest.mark.parametrize("job", examples.JOBS, ids=lambda job: type(job).__name__)
def test_a_job_arrives_as_it_was_sent(job):
    """The worker does what the client asked for, to the last bit of the seed."""
    assert through_the_pipe(job, Job) == job


@pytest.mark.parametrize(
    "event", [*examples.EVENTS, examples.UNMATCHED], ids=lambda event: type(event).__name__
)
def test_an_event_arrives_as_it_was_sent(event):
    """The client sees what the worker computed."""
    assert through_the_pipe(event, Event) == event


@pytest.mark.parametrize("error", examples.ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_keeps_its_meaning(error):
    """Type, message and values of an error in a worker reach the client unchanged."""
    arrived = through_the_pipe(error, InspectionError)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.metadata) == (str(error), error.metadata)


def test_every_error_has_an_example():
    """An error that is added is tested without anybody thinking of it."""
    kinds = {value for value in frames.RECORDS.values() if issubclass(value, InspectionError)}
    assert kinds == {type(error) for error in examples.ERRORS}


@given(
    st.builds(
        Unit, st.text(), st.integers(0, 2**64 - 1), st.tuples(st.integers(0, 2**63)) | st.none()
    )
)
def test_equal_values_have_equal_digests(unit):
    """Results are cached and compared under the digest of their job."""
    assert frames.digest(unit) == frames.digest(through_the_pipe(unit, Unit))


@pytest.mark.parametrize(
    "value",
    [
        pb.Value(),
        pb.Value(text="a unit"),
        pb.Value(record=pb.Record(type="Popen", fields=[pb.Value(text="sh")])),
        pb.Value(record=pb.Record(type="InlineImage", fields=[pb.Value(text="x")] * 3)),
        pb.Value(record=pb.Record(type="Unit", fields=[pb.Value(text="fc")])),
        pb.Value(record=pb.Record(type="Unit", fields=[pb.Value(text="fc")] * 3)),
    ],
    ids=["nothing", "text", "foreign class", "other class", "missing fields", "wrong field"],
)
def test_what_is_not_of_the_expected_type_is_refused(value):
    """A worker that a hostile model has taken over can send no object of its choosing."""
    with pytest.raises(frames.FrameError):
        frames.decode(value, Unit)


def test_a_record_that_breaks_its_own_rules_is_refused():
    """Decoding runs the checks of the value itself."""
    value = frames.encode(examples.JOBS[0].input)
    value.record.fields[0].natural = 3
    with pytest.raises(InvalidFieldError):
        frames.decode(value, type(examples.JOBS[0].input))


def test_a_frame_beyond_the_limit_is_refused():
    """A worker cannot fill the memory of the front."""
    with pytest.raises(frames.FrameError, match="at most"):
        frames.checked_length(frames.LARGEST_FRAME_BYTES + 1)
