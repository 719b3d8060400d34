"""Inputs of all kinds and units along any axis, through the whole server."""

import io

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from PIL import Image

from facetscope.gen.facetscope.v1 import facet_pb2, inspection_pb2, inspection_pb2_grpc, model_pb2
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


def test_facets_of_crops_are_of_what_the_unit_saw(stub):
    """A unit of a hidden layer sees 3 pixels, and no whole picture explains it better."""
    request = inspection_pb2.DiscoverFacetsRequest(
        model={"inline": networks.tiny_onnx()},
        unit={"layer": "relu", "channel": 2},
        images={"inline": [{"data": data} for data in networks.inline_pictures()]},
        discovery={"facets": 2, "averaged": 1, "selection": {"quantile": 0.5}},
    )
    whole = {each.name: each for each in members(stub.DiscoverFacets(request))}
    request.discovery.view = facet_pb2.VIEW_RECEPTIVE_FIELD
    crops = {each.name: each for each in members(stub.DiscoverFacets(request))}
    assert {name: each.activation for name, each in crops.items()} == {
        name: each.activation for name, each in whole.items()
    }
    assert len(crops) == 9
    for name, member in crops.items():
        assert not whole[name].HasField("crop")
        assert 2 <= member.crop.width <= 3
        assert 2 <= member.crop.height <= 3
        assert member.crop.left + member.crop.width <= networks.SIZE
        assert member.crop.top + member.crop.height <= networks.SIZE


def test_a_mean_image_of_crops_is_made_of_crops(stub):
    """What is shown is what was compared: on flat ground, the bright dot and nothing besides."""
    ground = np.full((16, 16, 3), 40, dtype=np.uint8)
    ground[8, 5] = 255
    file = io.BytesIO()
    Image.fromarray(ground).save(file, "png")
    request = inspection_pb2.DiscoverFacetsRequest(
        model={"inline": networks.tiny_onnx()},
        input={"crop_fraction": 1.0},
        unit={"layer": "conv", "channel": 0, "position": [8, 5]},
        images={"inline": [{"data": file.getvalue()}]},
        discovery={"facets": 1, "view": "VIEW_RECEPTIVE_FIELD"},
    )
    events = [response.event for response in stub.DiscoverFacets(request)]
    (facet,) = [event.facet for event in events if event.WhichOneof("kind") == "facet"]
    (member,) = facet.members
    assert member.crop == facet_pb2.Box(left=4, top=7, width=3, height=3)
    shown = np.array(Image.open(io.BytesIO(facet.mean_image.data)))
    assert shown.shape == (16, 16, 3)
    assert (shown[7:9, 7:9] > 200).all()
    assert (shown[[0, 0, -1, -1], [0, -1, 0, -1]] < 60).all()


def test_attribution_weights_the_codes_of_each_unit(stub):
    """Through the whole server: other codes than without, the same again at the second call."""
    request = inspection_pb2.DiscoverFacetsRequest(
        model={"inline": networks.tiny_onnx()},
        unit={"layer": "logits", "channel": 1},
        images={"inline": [{"data": data} for data in networks.inline_pictures()]},
        discovery={"facets": 3},
    )
    plain = [each.silhouette for each in members(stub.DiscoverFacets(request))]
    request.discovery.code_weighting = facet_pb2.CODE_WEIGHTING_ATTRIBUTION
    weighted = [each.silhouette for each in members(stub.DiscoverFacets(request))]
    again = [each.silhouette for each in members(stub.DiscoverFacets(request))]
    assert weighted == again
    assert weighted != plain


def members(responses):
    facets = [each.event.facet for each in responses if each.event.WhichOneof("kind") == "facet"]
    return [member for facet in facets for member in facet.members]


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
