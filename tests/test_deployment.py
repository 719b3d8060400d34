"""What is inspected is what will be deployed, and where it is not, the answer says so."""

import grpc
import pytest
from torch import nn

from facetscope.gen.facetscope.v1 import inspection_pb2, inspection_pb2_grpc, model_pb2
from tests import hostile_files, hostile_onnx, networks
from tests.servers import serving
from tests.support import details


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("store")) as (process, address):
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
        yield process, address


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server[1]) as channel:
        yield inspection_pb2_grpc.InspectionServiceStub(channel)


def test_a_torchscript_file_is_compared_with_its_own_module(server, stub):
    """What was inspected is what will be deployed; the module never runs where gradients are."""
    module = hostile_files.scripted(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()))
    request = inspection_pb2.DescribeModelRequest(
        model={"inline": module}, input={"height": 16, "width": 16}
    )
    answer = stub.DescribeModel(request)
    assert (answer.parity.runtime, answer.parity.provider) == ("TorchScript", "cpu")
    assert answer.parity.output == "2"
    assert answer.parity.largest_relative < 1e-5
    assert not answer.HasField("parity_absence")
    assert not any(worker.children() for worker in server[0].children())


def test_a_file_that_stalls_in_its_own_runtime_is_described_all_the_same(tmp_path, monkeypatch):
    """The comparison is missing, and the answer says why."""
    monkeypatch.setenv("FACETSCOPE_PARITY_S", "2")
    request = inspection_pb2.DescribeModelRequest(
        model={"inline": hostile_files.scripted(hostile_files.Stalls())}
    )
    with (
        serving(tmp_path) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = inspection_pb2_grpc.InspectionServiceStub(channel)
        answer = stub.DescribeModel(request, wait_for_ready=True, timeout=60)
    assert not answer.HasField("parity")
    assert answer.parity_absence.reason == model_pb2.PARITY_ABSENCE_REASON_TIMED_OUT
    assert "2 s" in answer.parity_absence.problem
    assert [layer.name for layer in answer.layers] == ["mean"]


def test_a_model_with_an_untranslated_node_is_described_and_surveyed(stub):
    """Facets need no gradient; whoever asks for one learns which node has none, at once."""
    model = {"inline": hostile_onnx.recurrent_tail()}
    answer = stub.DescribeModel(inspection_pb2.DescribeModelRequest(model=model))
    assert not answer.differentiable
    assert (answer.obstacle.node, answer.obstacle.operator) == ("lstm_node", "ai.onnx::LSTM-17")
    reason_ = answer.parity_absence.reason
    assert reason_ == model_pb2.PARITY_ABSENCE_REASON_UNTRANSLATED
    climbable = {layer.name: layer.differentiable for layer in answer.layers}
    assert climbable["code"]
    assert not climbable["logits"]
    request = {"model": model, "unit": {"layer": "logits", "channel": 1}}
    inline = {"inline": [{"data": picture} for picture in networks.inline_pictures()]}
    discovery = {"facets": 3, "selection": {"all": True}}
    events = [
        response.event
        for response in stub.DiscoverFacets(
            inspection_pb2.DiscoverFacetsRequest(**request, images=inline, discovery=discovery)
        )
    ]
    assert sum(event.HasField("facet") for event in events) == 3
    assert events[-1].manifest.forward_runtime == model_pb2.RUNTIME_ONNX_RUNTIME
    assert events[-1].manifest.forward_provider == "CPUExecutionProvider"
    for call in (
        stub.MaximizeActivation(inspection_pb2.MaximizeActivationRequest(**request)),
        stub.InspectUnits(
            inspection_pb2.InspectUnitsRequest(
                model=model, units=[request["unit"]], images=inline, discovery=discovery
            )
        ),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert details(caught.value)["ErrorInfo"].metadata["node"] == "lstm_node"
    phase = {"steps": 2, "step_size_start": 1, "tv_weight_start": 1}
    synthesis = {"schedule": {"phases": [phase]}}
    before = inspection_pb2.MaximizeActivationRequest(
        model=model, unit={"layer": "code", "channel": 1}, synthesis=synthesis
    )
    *_, last = stub.MaximizeActivation(before)
    assert last.event.manifest.forward_runtime == model_pb2.RUNTIME_UNSPECIFIED
