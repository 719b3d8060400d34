"""Inputs of all kinds and units along any axis, through the whole server."""

import io

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict

from facetscope.gen.facetscope.v1 import inspection_pb2, inspection_pb2_grpc, model_pb2
from tests import networks
from tests.servers import serving
from tests.support import reason


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    with (
        serving(tmp_path_factory.mktemp("store")) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=20)
        yield inspection_pb2_grpc.InspectionServiceStub(channel)


def array(level, channels=5):
    """A picture of five channels as a file, of which the last is bright."""
    random = np.random.default_rng(level)
    levels = random.integers(0, 32, (20, 20, channels), dtype=np.uint8)
    levels[..., -1] += level
    file = io.BytesIO()
    np.save(file, levels)
    return file.getvalue()


def test_a_model_of_five_channels_is_inspected(stub):
    """Satellites, microscopes and depth cameras see more than three colours."""
    model = networks.tiny_onnx(channels=5)
    request = inspection_pb2.InspectUnitsRequest(
        model={"inline": model},
        units=[{"layer": "conv", "channel": 1}],
        images={"inline": [{"data": array(level)} for level in range(0, 200, 20)]},
        discovery={"facets": 2, "averaged": 2},
    )
    phases = [{"steps": 2, "stepSizeStart": 1, "tvWeightStart": 1}]
    ParseDict({"schedule": {"phases": phases}}, request.synthesis)
    events = [response.event for response in stub.InspectUnits(request)]
    kinds = [event.WhichOneof("kind") for event in events]
    assert (kinds.count("facet"), kinds.count("image")) == (2, 2)
    assert events[-1].manifest.input.channels == 5
    assert events[-1].manifest.undecodable_count == 0
    facet = next(event.facet for event in events if event.WhichOneof("kind") == "facet")
    assert facet.mean_image.media_type == "image/png"


def test_pictures_of_three_colours_are_no_input_of_five_channels(stub):
    """The sentence says what to send instead."""
    request = inspection_pb2.DiscoverFacetsRequest(
        model={"inline": networks.tiny_onnx(channels=5)},
        unit={"layer": "conv"},
        images={"inline": [{"data": networks.picture()}]},
    )
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.DiscoverFacets(request))
    assert reason(caught.value) == "IMAGES_UNDECODABLE"
    assert ".npy" in caught.value.details()


def test_a_description_says_where_its_input_comes_from(stub):
    """A reviewer checks each guess before trusting any image."""
    request = inspection_pb2.DescribeModelRequest(
        model={"inline": networks.tiny_onnx(metadata={"names": "{0: 'cat', 1: 'dog'}"})},
        input={"width": 16},
    )
    answer = stub.DescribeModel(request)
    origins = {origin.field: origin for origin in answer.input_origins}
    assert origins["width"].source == model_pb2.INPUT_SOURCE_REQUEST
    assert origins["height"].evidence == "input 'image' [n, 3, 16, 16]"
    assert (answer.logits, answer.class_names) == ("logits", ["cat", "dog"])
    assert answer.layers[0].receptive_field.size == [3, 3]


def test_a_unit_along_another_axis_is_another(stub):
    """Rows of a map are units if the caller says so; its positions are then the other axes."""
    request = inspection_pb2.MaximizeActivationRequest(
        model={"inline": networks.tiny_onnx()},
        unit={"layer": "conv", "channel": 15, "position": [7, 15], "channel_axis": 2},
    )
    phases = [{"steps": 1, "stepSizeStart": 1, "tvWeightStart": 1}]
    ParseDict({"schedule": {"phases": phases}}, request.synthesis)
    (image,) = [each.event.image for each in stub.MaximizeActivation(request) if image_of(each)]
    assert image.unit == request.unit
    request.unit.channel_axis = 4
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.MaximizeActivation(request))
    assert reason(caught.value) == "INVALID_FIELD"


def image_of(response):
    return response.event.WhichOneof("kind") == "image"
