"""The whole server as a process, with real workers, real kills and clients that are not ours."""

import os
import signal
import subprocess
import sys
import time

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_requests import Client as ReflectionClient

from facetscope.gen.facetscope.v1 import (
    artifact_pb2,
    artifact_pb2_grpc,
    facet_pb2,
    inspection_pb2,
    inspection_pb2_grpc,
)
from tests import networks
from tests.servers import serving
from tests.support import details, reason

LONG = {"phases": [{"steps": 4096, "stepSizeStart": 1, "tvWeightStart": 1}] * 2}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("store")) as (process, address):
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
        yield process, address


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server[1]) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return inspection_pb2_grpc.InspectionServiceStub(channel)


@pytest.fixture
def ascent():
    """A call that would take minutes if nothing ended it."""
    return ParseDict(
        {"unit": {"layer": "logits", "channel": 1}, "synthesis": {"schedule": LONG}},
        inspection_pb2.MaximizeActivationRequest(
            model={"inline": networks.tiny_onnx()},
            input={"height": 128, "width": 128},
            count=16,
        ),
    )


def worker_of(process):
    workers = [each for each in process.children() if "facetscope.engine.worker" in each.cmdline()]
    (worker,) = workers
    return worker


def first_steps(call, steps=3):
    """Read until the ascent has taken some steps; gives how long one takes, in seconds."""
    began = None
    for response in call:
        progress = response.event.progress
        if progress.done == 1:
            began = time.monotonic()
        if progress.done == 1 + steps:
            return (time.monotonic() - began) / steps
    raise AssertionError("the ascent took no steps")


def seconds_until_idle(worker):
    """How long the worker goes on using a processor."""
    began = time.monotonic()
    while time.monotonic() - began < 20:
        before = sum(worker.cpu_times()[:2])
        time.sleep(0.25)
        if sum(worker.cpu_times()[:2]) - before < 0.05:
            return time.monotonic() - began - 0.25
    raise AssertionError("the worker works on")


def test_an_idle_front_is_small(tmp_path):
    """Replicas of a process that loads no tensors cost next to nothing."""
    with serving(tmp_path) as (process, address), grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        assert process.memory_info().rss < 150e6


def test_the_front_never_loads_torch(server):
    """The process that holds the sockets maps no library that opens a model."""
    process, _ = server
    mapped = " ".join(region.path for region in process.memory_maps())
    assert "torch" not in mapped
    assert "onnx" not in mapped


def test_health_is_told_for_each_service(channel):
    """Orchestrators check the server, load balancers watch a service, people list them."""
    health = health_pb2_grpc.HealthStub(channel)
    serving_ = health_pb2.HealthCheckResponse.SERVING
    name = "facetscope.v1.InspectionService"
    assert health.Check(health_pb2.HealthCheckRequest()).status == serving_
    assert next(health.Watch(health_pb2.HealthCheckRequest(service=name))).status == serving_
    assert health.List(health_pb2.HealthListRequest()).statuses[name].status == serving_


def test_a_foreign_client_learns_the_contract_by_reflection(server):
    """Tools that have no stubs can still call."""
    client = ReflectionClient.get_by_endpoint(server[1])
    assert "facetscope.v1.InspectionService" in client.service_names
    answer = client.request("facetscope.v1.ArtifactService", "FindMissing", {"digests": ["0" * 64]})
    assert answer["missing_digests"] == ["0" * 64]
    assert client.request("grpc.health.v1.Health", "Check", {}) == {"status": "SERVING"}


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_answer(channel, version):
    """Current tools ask for v1, older ones for v1alpha; the messages are the same."""
    from grpc_reflection.v1alpha import reflection_pb2

    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    symbol = "facetscope.v1.InspectionService"
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    (answer,) = ask(iter([request]))
    assert answer.file_descriptor_response.file_descriptor_proto


def test_a_model_is_described(stub):
    """The first thing that a reviewer asks for."""
    request = inspection_pb2.DescribeModelRequest(model={"inline": networks.tiny_onnx()})
    answer = stub.DescribeModel(request)
    assert answer.format == "ONNX"
    assert [layer.name for layer in answer.layers] == ["conv", "relu", "pool", "code", "logits"]
    assert (answer.input.height, answer.input.width) == (networks.SIZE, networks.SIZE)
    assert answer.code_layer == "code"
    assert answer.parity.largest_relative < 1e-5
    assert answer.parity.runtime == "ONNX Runtime"
    assert answer.differentiable
    assert all(layer.differentiable for layer in answer.layers)


def test_a_unit_is_inspected_from_artifacts(channel, stub):
    """The main job: model and images by digest, facets and one image for each, then a manifest."""
    artifacts = artifact_pb2_grpc.ArtifactServiceStub(channel)
    request = inspection_pb2.InspectUnitsRequest(
        units=[{"layer": "logits", "channel": 0}],
        discovery={"facets": 3, "selection": {"all": True}},
        synthesis={
            "schedule": {"phases": [{"steps": 5, "step_size_start": 1, "tv_weight_start": 1}]}
        },
    )
    digests = []
    for data in (networks.tiny_onnx(), networks.pictures()):
        from hashlib import sha256

        digests.append(sha256(data).hexdigest())
        artifacts.Write(iter([artifact_pb2.WriteRequest(digest=digests[-1], data=data)]))
    request.model.digest, request.images.digests[:] = digests[0], digests[1:]
    events = [response.event for response in stub.InspectUnits(request)]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    facets = [event.facet for event in events if event.HasField("facet")]
    images = [event.image for event in events if event.HasField("image")]
    (count,) = [event.facet_count for event in events if event.HasField("facet_count")]
    assert (count.images, count.facets, count.verdict) == (18, 3, facet_pb2.VERDICT_GIVEN)
    assert (count.agreement, count.HasField("p_value")) == (1, False)
    assert 0.5 < count.trustworthiness <= 1
    assert sorted(len(facet.members) for facet in facets) == [6, 6, 6]
    assert all(len({member.label for member in facet.members}) == 1 for facet in facets)
    assert [image.index for image in images] == [0, 1, 2]
    assert all(image.activation > image.start_activation for image in images)
    assert all(image.natural.images == 18 for image in images)
    assert events[-1].manifest.images_read == 18
    again = [response.event for response in stub.InspectUnits(request)]
    assert [event.image.picture.data for event in again if event.HasField("image")] == [
        image.picture.data for image in images
    ]


def test_a_missing_artifact_is_named(stub):
    """The client uploads just that, and calls again."""
    request = inspection_pb2.DescribeModelRequest(model={"digest": "0" * 64})
    with pytest.raises(grpc.RpcError) as caught:
        stub.DescribeModel(request)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    (violation,) = details(caught.value)["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("MISSING", "0" * 64)


@pytest.mark.parametrize("way", ["cancel", "deadline"])
def test_ending_a_call_ends_the_ascent_within_a_step(server, stub, ascent, way):
    """A client that has seen enough, or has no more time, frees the processor at once."""
    call = stub.MaximizeActivation(ascent, timeout=30 if way == "deadline" else None)
    step_s = first_steps(call)
    worker = worker_of(server[0])
    if way == "cancel":
        call.cancel()
    else:
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert seconds_until_idle(worker) < step_s + 1
    assert worker.is_running()


CLIENT = """
import sys, grpc
from facetscope.gen.facetscope.v1 import inspection_pb2, inspection_pb2_grpc
request = inspection_pb2.MaximizeActivationRequest.FromString(sys.stdin.buffer.read())
stub = inspection_pb2_grpc.InspectionServiceStub(grpc.insecure_channel(sys.argv[1]))
for response in stub.MaximizeActivation(request):
    print(response.event.progress.done, flush=True)
"""


def test_the_death_of_a_client_ends_the_ascent(server, ascent):
    """Nobody is left to cancel, and the worker stops all the same."""
    command = [sys.executable, "-c", CLIENT, server[1]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        client.stdin.write(ascent.SerializeToString())
        client.stdin.close()
        while client.stdout.readline().strip() != b"5":
            pass
        client.kill()
    assert seconds_until_idle(worker_of(server[0])) < 3


def test_a_killed_worker_is_told_and_replaced(server, stub, ascent):
    """The client may call again, and the next call works."""
    call = stub.MaximizeActivation(ascent)
    first_steps(call)
    worker = worker_of(server[0])
    worker.send_signal(signal.SIGKILL)
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(caught.value) == "WORKER_LOST"
    call = stub.MaximizeActivation(ascent)
    first_steps(call)
    assert worker_of(server[0]).pid != worker.pid
    call.cancel()


@pytest.mark.parametrize(
    ("precision", "least", "most"),
    [("FLOAT32", 0, 1e-5), ("BFLOAT16", 1e-4, 2e-2), ("FLOAT64", 0, 1e-5)],
)
def test_a_model_computes_in_the_precision_asked_for(stub, precision, least, most):
    """Speed is bought with digits; how many, its parity says, and the images are much the same."""
    model = {"inline": networks.tiny_onnx(), "precision": f"PRECISION_{precision}"}
    described = stub.DescribeModel(inspection_pb2.DescribeModelRequest(model=model))
    assert least <= described.parity.largest_relative < most
    phase = {"steps": 3, "stepSizeStart": 11, "tvWeightStart": 1}
    asked = {"unit": {"layer": "logits"}, "synthesis": {"schedule": {"phases": [phase]}}}
    request = inspection_pb2.MaximizeActivationRequest(model=model)
    images = [
        answer.event.image
        for answer in stub.MaximizeActivation(ParseDict(asked, request))
        if answer.event.HasField("image")
    ]
    assert [image.activation > image.start_activation for image in images] == [True]


def test_the_least_recent_model_makes_room(tmp_path):
    """Memory of a model goes back with its process; the newest models stay."""
    requests = [
        inspection_pb2.DescribeModelRequest(model={"inline": networks.tiny_onnx(seed=seed)})
        for seed in range(2)
    ]
    options = ("--workers", "1")
    with (
        serving(tmp_path, *options) as (process, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = inspection_pb2_grpc.InspectionServiceStub(channel)
        stub.DescribeModel(requests[0], wait_for_ready=True)
        first = worker_of(process).pid
        stub.DescribeModel(requests[0])
        assert worker_of(process).pid == first
        stub.DescribeModel(requests[1])
        assert worker_of(process).pid != first


def test_stopping_leaves_no_process_behind(tmp_path):
    """Neither workers nor their folders outlive the server."""
    request = inspection_pb2.DescribeModelRequest(model={"inline": networks.tiny_onnx()})
    with serving(tmp_path) as (process, address), grpc.insecure_channel(address) as channel:
        stub = inspection_pb2_grpc.InspectionServiceStub(channel)
        stub.DescribeModel(request, wait_for_ready=True)
        worker = worker_of(process)
        folder = worker.cwd()
    assert not worker.is_running()
    assert not os.path.exists(folder)  # noqa: PTH110
