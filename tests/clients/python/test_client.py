"""Both clients, against a real server that says what it is told to."""

import hashlib
import time
from datetime import timedelta

import grpc
import pytest
from tests.clients.python.support import INSPECTION, Failure, progress

from facetscope_client import (
    DeadlineError,
    Discovery,
    Facet,
    InvalidRequestError,
    Manifest,
    NotFoundError,
    Progress,
    Selection,
    SynthesizedImage,
    UnavailableError,
)
from facetscope_client.gen.facetscope.v1.inspection_pb2 import (
    DescribeModelResponse,
    DiscoverFacetsRequest,
    InspectUnitsRequest,
    MaximizeActivationRequest,
)

UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE, "WORKER_LOST")


def test_events_come_out_of_their_envelopes_in_order(caller, scripted, model, photos):
    """A caller matches on the types of the contract and needs to know no envelope."""
    scripted.scripts = [INSPECTION]
    kinds = [type(event) for event in caller.events("inspect_units", model, "fc:3", photos)]
    assert kinds[:2] == [Progress, Facet]
    assert kinds[-2:] == [SynthesizedImage, Manifest]


def test_what_the_server_lacks_is_uploaded_exactly_once(caller, scripted, model, photos):
    """A model of gigabytes crosses the network once, however often it is inspected."""
    scripted.scripts = [INSPECTION, INSPECTION]
    caller.events("inspect_units", model, ["fc:3"], photos)
    caller.events("inspect_units", model, ["fc:3"], photos)
    assert len(scripted.requests) == 3
    assert len(scripted.writes) == 2
    assert hashlib.sha256(model.read_bytes()).hexdigest() in scripted.kept


def test_a_digest_is_taken_for_what_it_names(caller, scripted, photos):
    """Whoever has uploaded a model need not have its file."""
    digest = caller.ask("upload", b"a model")
    scripted.scripts = [[progress()]]
    caller.events("discover_facets", digest, "fc:3", photos)
    assert scripted.requests[-1].model.digest == digest


@pytest.mark.parametrize(
    "kind", [DiscoverFacetsRequest, MaximizeActivationRequest, InspectUnitsRequest]
)
def test_a_request_is_made_as_it_stands(caller, scripted, kind):
    """What was kept of an earlier call is that call, with every choice that it made."""
    digest = caller.ask("upload", b"a model")
    scripted.scripts = [[progress()]]
    request = kind(model={"digest": digest}, input={"height": 32})
    assert [type(event) for event in caller.events("run", request)] == [Progress]
    assert scripted.requests[-1] == request


def test_a_missing_artifact_that_is_not_at_hand_is_an_error(caller):
    """The client cannot upload what it has only the name of, and says so rather than trying on."""
    with pytest.raises(InvalidRequestError) as caught:
        caller.ask("describe", "0" * 64)
    assert caught.value.missing == ("0" * 64,)


def test_an_unavailable_server_is_called_again(caller, scripted, model):
    """A worker that is restarted costs the caller a moment and no code."""
    scripted.scripts = [[UNAVAILABLE], [UNAVAILABLE], [progress(), progress(10)]]
    events = caller.events("maximize_activation", model, "fc:3")
    assert [event.done for event in events] == [0, 10]


def test_patience_ends(caller, scripted, model):
    """A server that stays away is reported after as many tries as were asked for."""
    scripted.scripts = [[UNAVAILABLE]] * 9
    with pytest.raises(UnavailableError) as caught:
        caller.events("maximize_activation", model, "fc:3")
    assert caught.value.reason == "WORKER_LOST"
    assert len(scripted.scripts) == 6


def test_a_stream_that_has_begun_is_not_begun_again(caller, scripted, model):
    """Nobody gets the same event twice."""
    scripted.scripts = [[progress(), UNAVAILABLE], [progress()]]
    with pytest.raises(UnavailableError):
        caller.events("maximize_activation", model, "fc:3")
    assert len(scripted.scripts) == 1


def test_a_wrong_request_is_not_repeated(caller, scripted, model):
    """The same question would get the same answer."""
    scripted.scripts = [[Failure(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")], []]
    with pytest.raises(InvalidRequestError):
        caller.events("maximize_activation", model, "fc:3")
    assert len(scripted.scripts) == 1


def test_the_server_says_when_to_come_back(caller, scripted, model):
    """A busy server is not asked before the time that it named."""
    busy = Failure(grpc.StatusCode.UNAVAILABLE, "ENGINE_BUSY", retry_after=timedelta(seconds=0.4))
    scripted.scripts = [[busy], [progress()]]
    began = time.monotonic()
    caller.events("maximize_activation", model, "fc:3")
    assert time.monotonic() - began >= 0.4


def test_no_wait_outlasts_the_deadline(caller, scripted, model):
    """Who has five seconds is not told after a minute that they were not enough."""
    busy = Failure(grpc.StatusCode.UNAVAILABLE, "ENGINE_BUSY", retry_after=timedelta(seconds=60))
    scripted.scripts = [[busy]]
    began = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        caller.events("maximize_activation", model, "fc:3", timeout_s=5)
    assert caught.value.retry_after == timedelta(seconds=60)
    assert time.monotonic() - began < 5


def test_the_deadline_ends_a_call(caller, scripted, model):
    """A call that hangs comes back when its caller said it should."""
    scripted.scripts = [[progress(), ...]]
    with pytest.raises(DeadlineError):
        caller.events("maximize_activation", model, "fc:3", timeout_s=0.5)


def test_leaving_a_stream_ends_the_call_at_the_server(caller, scripted, model):
    """A client that has seen enough frees the worker."""
    scripted.scripts = [[progress(), ...]]
    assert len(caller.events("maximize_activation", model, "fc:3", most=1)) == 1
    assert scripted.ended.wait(timeout=5)


def test_an_error_carries_what_programs_act_on(caller, scripted, model):
    """Which error it is, and its values, need not be parsed out of prose."""
    metadata = {"layer": "fd", "nearest": "fc, fe"}
    scripted.scripts = [[Failure(grpc.StatusCode.NOT_FOUND, "LAYER_NOT_FOUND", metadata)]]
    with pytest.raises(NotFoundError, match="what to do") as caught:
        caller.ask("describe", model)
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert caught.value.reason == "LAYER_NOT_FOUND"
    assert caught.value.metadata == metadata


def test_the_request_says_what_the_caller_said(caller, scripted, model, photos):
    """Options travel as they are, and no defaults are filled in on the way."""
    scripted.scripts = [[]]
    discovery = Discovery(selection=Selection(label="cat"), facets=4)
    caller.events("inspect_units", model, "conv:0:7@1,2", photos, discovery=discovery)
    (unit,) = scripted.requests[-1].units
    assert (unit.layer, unit.channel, list(unit.position)) == ("conv:0", 7, [1, 2])
    assert scripted.requests[-1].discovery == discovery
    assert not scripted.requests[-1].HasField("synthesis")


def test_starts_travel_in_the_message(caller, scripted, model, photos):
    """A facet's mean image can be synthesized from without being uploaded."""
    scripted.scripts = [[]]
    start = photos / "cat" / "a.png"
    caller.events("maximize_activation", model, "fc:3", starts=[start, b"picture"])
    starts = scripted.requests[-1].starts
    assert [each.name for each in starts] == ["a.png", ""]
    assert [each.data for each in starts] == [start.read_bytes(), b"picture"]


def test_a_model_is_described(caller, scripted, model):
    """The answer is the contract's own message."""
    description = DescribeModelResponse(format="ONNX")
    scripted.scripts = [[description]]
    assert caller.ask("describe", model) == description


def test_what_was_uploaded_can_be_downloaded(caller, scripted):
    """Artifacts come back as they went, whatever the chunks; none is sent twice."""
    data = bytes(700_000)
    digest = caller.ask("upload", data)
    assert caller.ask("upload", data) == digest
    assert scripted.writes == [[262_144, 262_144, 175_712]]
    assert caller.ask("download", digest) == data
    assert caller.ask("find_missing", [digest, "f" * 64]) == ("f" * 64,)


def test_an_upload_may_end_early(caller, scripted):
    """Another client has sent the same artifact meanwhile: that is no failure."""
    scripted.has_all = True
    data = bytes(8 * 1024 * 1024)
    assert caller.ask("upload", data) == hashlib.sha256(data).hexdigest()


def test_the_token_goes_with_every_call(caller, address, scripted, model):
    """A server that asks for one gets it."""
    scripted.scripts = [[progress()]]
    type(caller)(address, token="secret").events("maximize_activation", model, "fc:3")
    assert scripted.metadata[-1]["authorization"] == "Bearer secret"


def test_uploads_are_reported_as_they_go(caller, address, model):
    """A terminal can show how much of a large model has gone."""
    told = []
    type(caller)(address, on_upload=told.append).ask("upload", model)
    assert [each.sent_bytes for each in told] == [262_144, 524_288, 640_000]
    assert {each.size_bytes for each in told} == {640_000}
