"""An exported program, from the client's side."""

import grpc
import pytest
import torch
from tests.models.exported_program.samples import BATCH, exported, rewritten
from tests.servers import serving
from tests.support import reason
from torch import nn

from facetscope.gen.facetscope.v1 import inspection_pb2, inspection_pb2_grpc


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with serving(folder) as (_, address), grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        yield inspection_pb2_grpc.InspectionServiceStub(channel)


def classifier():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


@pytest.mark.parametrize("dynamic_shapes", [BATCH, None], ids=["dynamic", "static"])
def test_an_exported_program_is_described_and_maximized(stub, dynamic_shapes):
    """It is a model like any other: layers by their paths, the code layer, images of a unit."""
    images = torch.rand(2 if dynamic_shapes else 1, 3, 16, 16)
    model = {"inline": exported(classifier(), images, dynamic_shapes=dynamic_shapes)}
    found = stub.DescribeModel(inspection_pb2.DescribeModelRequest(model=model))
    assert (found.format, found.input.height, found.code_layer) == ("torch.export", 16, "3")
    assert [layer.name for layer in found.layers] == ["0", "1", "2", "3", "4"]
    assert [layer.channel_axis for layer in found.layers] == [1] * 5
    request = inspection_pb2.MaximizeActivationRequest(model=model, unit={"layer": "1"})
    request.synthesis.schedule.phases.add(steps=2, step_size_start=11, tv_weight_start=1)
    *_, last = stub.MaximizeActivation(request)
    assert last.event.HasField("manifest")


def test_a_program_that_is_not_safe_to_load_is_refused(stub):
    """The reason tells a client that the file, and not the request, is the trouble."""
    data = exported(classifier(), torch.rand(1, 3, 16, 16), dynamic_shapes=None)
    data = rewritten(data, lambda _, old: old.replace(b"aten.relu.", b"mine.evil."))
    data = rewritten(
        data, lambda _, old: old.replace(b"torch.ops.mine.evil.default", b"torch.os.system")
    )
    with pytest.raises(grpc.RpcError) as caught:
        stub.DescribeModel(inspection_pb2.DescribeModelRequest(model={"inline": data}))
    assert reason(caught.value) == "MODEL_FORBIDDEN"
    assert "'torch.os.system'" in caught.value.details()
