"""Directions of layers through the whole server: their facets, inspections and syntheses."""

import io

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from PIL import Image

from facetscope.gen.facetscope.v1 import inspection_pb2, inspection_pb2_grpc
from tests import networks
from tests.servers import serving
from tests.support import details, reason

STEPS = [{"steps": 20, "stepSizeStart": 4, "tvWeightStart": 1}]
DIFFERENCE = [{"channel": 3, "weight": 1.0}, {"channel": 5, "weight": -2.0}]


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    with (
        serving(tmp_path_factory.mktemp("store")) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=20)
        yield inspection_pb2_grpc.InspectionServiceStub(channel)


def maximized(stub, unit, *, starts=(), phases=STEPS):
    """The image that is synthesized for a unit."""
    request = inspection_pb2.MaximizeActivationRequest(
        model={"inline": networks.tiny_onnx()},
        input={"crop_fraction": 1.0},
        unit=unit,
        starts=[{"data": data} for data in starts],
    )
    ParseDict({"schedule": {"phases": phases}}, request.synthesis)
    events = [response.event for response in stub.MaximizeActivation(request)]
    (image,) = [event.image for event in events if event.WhichOneof("kind") == "image"]
    return image


def measured(stub, unit, picture):
    """The activation of a unit for a picture, which a synthesis says of its start."""
    phases = [{"steps": 1, "stepSizeStart": 1, "tvWeightStart": 1}]
    return maximized(stub, unit, starts=[picture], phases=phases).start_activation


def inspection(**unit):
    request = inspection_pb2.InspectUnitsRequest(
        model={"inline": networks.tiny_onnx()},
        input={"crop_fraction": 1.0},
        units=[unit],
        images={"inline": [{"data": data} for data in networks.inline_pictures()]},
        discovery={"facets": 2, "averaged": 2},
    )
    ParseDict({"schedule": {"phases": STEPS}}, request.synthesis)
    return request


def test_maximizing_a_negative_channel_lowers_it(stub):
    """What a class is not: the objective upside down, and said of exactly these pixels."""
    image = maximized(stub, {"layer": "logits", "weights": [{"channel": 3, "weight": -1.0}]})
    channel = measured(stub, {"layer": "logits", "channel": 3}, image.picture.data)
    assert image.activation > image.start_activation + 1
    assert channel == pytest.approx(-image.activation, rel=1e-5)
    assert not image.HasField("probability")


@pytest.mark.parametrize("position", [[], [7, 4]], ids=["whole", "at a position"])
def test_a_direction_of_a_convolution_is_the_sum_of_its_channels(stub, position):
    """Measured channel by channel on the picture that is sent."""
    unit = {"layer": "conv", "weights": DIFFERENCE, "position": position}
    image = maximized(stub, unit)
    three, five = (
        measured(
            stub, {"layer": "conv", "channel": channel, "position": position}, image.picture.data
        )
        for channel in (3, 5)
    )
    assert image.activation > image.start_activation
    assert image.activation == pytest.approx(three - 2 * five, rel=1e-4)


def test_equal_directions_give_equal_images(stub):
    """Written in another order, with weights of nothing, it is the same unit with the same seed."""
    one = maximized(stub, {"layer": "conv", "weights": DIFFERENCE})
    nothing = {"channel": 0, "weight": 0.0}
    other = maximized(stub, {"layer": "conv", "weights": [*DIFFERENCE[::-1], nothing]})
    assert one == other
    assert [each.channel for each in one.unit.weights] == [3, 5]


def test_a_direction_is_inspected_like_a_channel(stub):
    """Facets by its own activation, and images ranked among those of natural images."""
    weights = [{"channel": channel, "weight": 0.5 - channel % 3} for channel in range(8)]
    request = inspection(layer="code", weights=weights)
    events = [response.event for response in stub.InspectUnits(request)]
    facets = [event.facet for event in events if event.WhichOneof("kind") == "facet"]
    images = [event.image for event in events if event.WhichOneof("kind") == "image"]
    assert (len(facets), len(images)) == (2, 2)
    natural = {member.name: member.activation for facet in facets for member in facet.members}
    pictures = [each.data for each in request.images.inline]
    for name in list(natural)[:3]:
        again = measured(stub, request.units[0], pictures[int(name)])
        assert natural[name] == pytest.approx(again, abs=1e-4)
    for image in images:
        smaller = sum(activation < image.activation for activation in natural.values())
        assert image.natural.images == len(natural) == 18
        assert image.natural.maximum == pytest.approx(max(natural.values()))
        assert image.natural.percentile == pytest.approx(100 * smaller / len(natural))


def test_the_negative_of_a_channel_orders_images_the_other_way(stub):
    """Its own images are those that excite the channel least."""
    request = inspection(layer="logits", weights=[{"channel": 1, "weight": -1.0}])
    request.discovery.selection.top = 6
    least = natural_members(stub, request)
    request.units[0].CopyFrom(inspection(layer="logits", channel=1).units[0])
    request.discovery.selection.all = True
    every = natural_members(stub, request)
    assert set(least) == set(sorted(every, key=every.get)[:6])
    for name, activation in least.items():
        assert activation == pytest.approx(-every[name], abs=1e-5)


def natural_members(stub, request):
    facets = [
        response.event.facet
        for response in stub.InspectUnits(request)
        if response.event.WhichOneof("kind") == "facet"
    ]
    return {member.name: member.activation for facet in facets for member in facet.members}


def test_crops_of_a_direction_are_where_its_own_map_peaks(stub):
    """Blue and not red: the bright red dot excites one of its channels, and is not what it sees."""
    request = inspection_pb2.DiscoverFacetsRequest(
        model={"inline": networks.linear_onnx()},
        input={"crop_fraction": 1.0, "low": 0.0, "high": 1.0, "mean": [0.0], "std": [1.0]},
        unit={
            "layer": "conv",
            "weights": [{"channel": 2, "weight": 1.0}, {"channel": 0, "weight": -1.0}],
        },
        images={"inline": [{"data": dots()}]},
        discovery={"facets": 1, "view": "VIEW_RECEPTIVE_FIELD"},
    )
    facets = [
        response.event.facet
        for response in stub.DiscoverFacets(request)
        if response.event.WhichOneof("kind") == "facet"
    ]
    (member,) = facets[0].members
    assert (member.crop.left, member.crop.top) == (11, 9)
    assert (member.crop.width, member.crop.height) == (1, 1)


def dots():
    """A red, a white and a blue dot on black, of which the white one is the brightest."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[3, 4], pixels[12, 2], pixels[9, 11] = (250, 0, 0), (255, 255, 255), (0, 0, 200)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([{"channel": 8, "weight": 1.0}], "CHANNEL_OUT_OF_RANGE"),
        ([{"channel": 1, "weight": 0.0}], "INVALID_FIELD"),
        ([{"channel": 1, "weight": 1.0}] * 2, "INVALID_FIELD"),
        ([{"channel": 1, "weight": float("nan")}], "INVALID_FIELD"),
    ],
)
def test_what_is_no_direction_of_the_layer_is_refused(stub, weights, expected):
    """With the reason that a program reads, before any work."""
    with pytest.raises(grpc.RpcError) as caught:
        maximized(stub, {"layer": "code", "weights": weights})
    assert reason(caught.value) == expected


def test_no_image_is_predicted_to_be_a_direction(stub):
    """Only a channel can be the largest of its layer; the sentence says what to select by."""
    request = inspection(layer="logits", weights=[{"channel": 1, "weight": -1.0}])
    request.discovery.selection.predicted = True
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.InspectUnits(request))
    assert reason(caught.value) == "INVALID_FIELD"
    assert details(caught.value)["ErrorInfo"].metadata["field"] == "discovery.selection.predicted"
    assert "select by top" in caught.value.details()


def test_a_direction_has_no_probability(stub):
    """Own phases that ask for one are told; the preset reads the activation, as of hidden units."""
    unit = {"layer": "logits", "weights": DIFFERENCE[:1]}
    with pytest.raises(grpc.RpcError) as caught:
        maximized(stub, unit, phases=[{**STEPS[0], "readout": "READOUT_PROBABILITY"}])
    assert reason(caught.value) == "READOUT_UNDEFINED"
    assert "logits:1*3 is a direction" in caught.value.details()
    request = inspection_pb2.MaximizeActivationRequest(
        model={"inline": networks.tiny_onnx()}, unit=unit
    )
    request.synthesis.schedule.preset = 2
    events = [response.event for response in stub.MaximizeActivation(request)]
    assert [event.WhichOneof("kind") for event in events].count("image") == 1
