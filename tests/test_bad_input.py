"""Bad input, from the client's side: each mistake has a code, a reason and a sentence that helps.

After every one of them the same server answers a good request.
"""

from base64 import b64encode
from hashlib import sha256
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from facetscope.gen.facetscope.v1 import (
    artifact_pb2,
    artifact_pb2_grpc,
    inspection_pb2,
    inspection_pb2_grpc,
)
from tests import bad_files, hostile_files, hostile_onnx, networks
from tests.servers import serving
from tests.support import details, reason

FIELD = ("INVALID_ARGUMENT", "INVALID_FIELD")
MISMATCH = ("INVALID_ARGUMENT", "INPUT_MISMATCH")
NO_GRADIENT = ("UNIMPLEMENTED", "GRADIENT_UNAVAILABLE")
NO_LAYER = ("NOT_FOUND", "LAYER_NOT_FOUND")
NO_POSITION = ("OUT_OF_RANGE", "POSITION_OUT_OF_RANGE")
NOT_FINITE = ("FAILED_PRECONDITION", "NON_FINITE_ACTIVATION")
SILENT = ("FAILED_PRECONDITION", "UNIT_SILENT")
NO_FIELD = ("INVALID_ARGUMENT", "RECEPTIVE_FIELD_UNDEFINED")
NO_ATTRIBUTION = ("INVALID_ARGUMENT", "ATTRIBUTION_UNDEFINED")
TOO_FEW = ("FAILED_PRECONDITION", "TOO_FEW_IMAGES")
NO_ARCHIVE = ("INVALID_ARGUMENT", "IMAGE_SET_UNREADABLE")
UNDECODABLE = ("INVALID_ARGUMENT", "IMAGES_UNDECODABLE")

MOST_METADATA = 8 * 2**10
"""Bytes of trailing metadata beyond which clients lose the status."""


def phases(steps=2, **changes):
    return {"phases": [{"steps": steps, "stepSizeStart": 11, "tvWeightStart": 1, **changes}]}


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    limit = ("--worker-memory-bytes", str(3 * 2**30))
    with serving(folder, *limit) as (_, address), grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        yield channel


@pytest.fixture(scope="module")
def upload(channel):
    """Puts bytes into the store; gives their digest."""
    artifacts = artifact_pb2_grpc.ArtifactServiceStub(channel)

    def write(data):
        digest = sha256(data).hexdigest()
        artifacts.Write(iter([artifact_pb2.WriteRequest(digest=digest, data=data)]))
        return digest

    return write


@pytest.fixture(scope="module")
def troubled(upload):
    return {"digest": upload(hostile_onnx.troubled())}


@pytest.fixture(scope="module")
def pictures(upload):
    return {"digests": [upload(networks.pictures())]}


@pytest.fixture
def stub(channel, troubled):
    """Calls; and when the test is over, shows that the server goes on."""
    stub = inspection_pb2_grpc.InspectionServiceStub(channel)
    yield stub
    good = {"model": troubled, "unit": {"layer": "logits"}, "synthesis": {"schedule": phases()}}
    *_, last = stub.MaximizeActivation(ParseDict(good, inspection_pb2.MaximizeActivationRequest()))
    assert last.event.manifest.model_digest == troubled["digest"]


@pytest.fixture
def describe(stub):
    return lambda model, **size: stub.DescribeModel(
        inspection_pb2.DescribeModelRequest(model={"inline": model}, input=size)
    )


@pytest.fixture
def maximize(stub, troubled):
    """Maximizes a unit in two steps, but for what the test changes; gives the events."""

    def call(**changes):
        request = {"model": troubled, "unit": {"layer": "logits"}} | changes
        request["synthesis"] = {"schedule": phases()} | changes.get("synthesis", {})
        message = ParseDict(request, inspection_pb2.MaximizeActivationRequest())
        return [answer.event for answer in stub.MaximizeActivation(message)]

    return call


@pytest.fixture
def discover(stub, troubled, pictures):
    """Finds three facets among all images, but for what the test changes; gives the events."""

    def call(**changes):
        request = {"model": troubled, "unit": {"layer": "logits"}, "images": pictures} | changes
        asked = {"facets": 3, "selection": {"all": True}} | changes.get("discovery", {})
        message = ParseDict(request | {"discovery": asked}, inspection_pb2.DiscoverFacetsRequest())
        return [answer.event for answer in stub.DiscoverFacets(message)]

    return call


def assert_refused(call, expected, *words):
    """The call fails with this code and reason, in a sentence with these words."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    assert (error.code().name, reason(error)) == expected
    assert [word for word in words if word not in error.details()] == [], error.details()
    return error


@pytest.fixture(scope="module")
def answers(channel):
    """What comes of files, which are sent at once and wait for a worker."""
    describe = inspection_pb2_grpc.InspectionServiceStub(channel).DescribeModel
    return {
        name: describe.future(
            inspection_pb2.DescribeModelRequest(model={"inline": bad_files.FILES[name][0]()})
        )
        for name in bad_files.REPRESENTATIVE
    }


@pytest.mark.usefixtures("stub")
@pytest.mark.parametrize("name", bad_files.REPRESENTATIVE)
def test_a_file_is_refused_with_help(answers, name):
    """Whoever sends the wrong file learns what is wrong with it, and what to send."""
    _, expected, words = bad_files.FILES[name]
    assert_refused(answers[name].result, expected, *words)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*bad_files.FILES} - {*bad_files.REPRESENTATIVE}))
def test_any_other_file_is_refused_with_help(describe, name):
    """A worker is started for each; what they say is tested without one, too."""
    file, expected, words = bad_files.FILES[name]
    assert_refused(lambda: describe(file()), expected, *words)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", bad_files.SOUND)
def test_damaged_files_never_bring_the_server_down(stub, name):
    """Uploads break. What is left is a model or an error of the domain: INTERNAL would be a bug."""
    damaged = [hostile_files.mutated(bad_files.SOUND[name](), seed) for seed in range(100, 160)]
    calls = [
        stub.DescribeModel.future(inspection_pb2.DescribeModelRequest(model={"inline": data}))
        for data in damaged
    ]
    codes = {call.code().name for call in calls}
    assert codes <= {"OK", "INVALID_ARGUMENT", "UNIMPLEMENTED"}


def test_a_model_is_refused_at_a_size_that_it_does_not_take(describe):
    """Which layer does not fit which shape tells what the model was made for."""
    model = hostile_onnx.dense()
    words = ["3, 24, 24", "'classifier'", "768", "set the input's size"]
    assert_refused(lambda: describe(model, height=24, width=24), MISMATCH, *words)
    assert describe(model, height=16, width=16).parity.largest_relative < 1e-5


SYNTHESES = {
    "no model": ({"model": {}}, FIELD, ["model", "is required", "digest"]),
    "no layer": ({"unit": {}}, FIELD, ["unit.layer", "is required", "DescribeModel"]),
    "a wrong layer": (
        {"unit": {"layer": "logitz"}},
        NO_LAYER,
        ["'logitz'", "nearest", "are logits", "DescribeModel"],
    ),
    "a vector": ({"unit": {"layer": "largest"}}, NO_LAYER, ["'largest'", "DescribeModel"]),
    "a wrong channel": (
        {"unit": {"layer": "logits", "channel": 4}},
        ("OUT_OF_RANGE", "CHANNEL_OUT_OF_RANGE"),
        ["'logits'", "0 to 3", "not 4"],
    ),
    "a wrong position": (
        {"unit": {"layer": "conv", "position": [16, 0]}},
        NO_POSITION,
        ["'conv'", "below (16, 16)", "(16, 0)"],
    ),
    "a position of a class": (
        {"unit": {"layer": "logits", "position": [0]}},
        NO_POSITION,
        ["'logits'", "leave the position out"],
    ),
    "a probability of a hidden layer": (
        {
            "unit": {"layer": "conv"},
            "synthesis": {"schedule": phases(readout="READOUT_PROBABILITY")},
        },
        ("INVALID_ARGUMENT", "READOUT_UNDEFINED"),
        ["'conv'", "[-1, 8, 16, 16]", "activation instead"],
    ),
    "an argmax": ({"unit": {"layer": "winner"}}, NO_GRADIENT, ["'winner'", "ArgMax", "facets can"]),
    "a constant": ({"unit": {"layer": "still"}}, NO_GRADIENT, ["'still'", "does not depend"]),
    "NaN": ({"unit": {"layer": "sick"}}, NOT_FINITE, ["'sick'", "image 0", "sound"]),
    "overflow on the way": (
        {"unit": {"layer": "loud"}, "synthesis": {"schedule": phases(5)}},
        NOT_FINITE,
        ["'loud'", "image 0", "ascending"],
    ),
    "overflow at the end": (
        {"unit": {"layer": "loud"}, "synthesis": {"schedule": phases(1)}},
        NOT_FINITE,
        ["'loud'", "image 0", "synthesized"],
    ),
    "grey images": ({"input": {"channels": 1}}, MISMATCH, ["1, 16, 16", "'conv_node'", "channels"]),
    "many channels": ({"input": {"channels": 65}}, FIELD, ["input.channels", "65", "[1, 64]"]),
    "no number": ({"input": {"mean": ["NaN"]}}, FIELD, ["input.mean", "finite"]),
    "a start that is no picture": (
        {"synthesis": {"start": "START_GIVEN"}, "starts": [{"name": "mine", "data": "Tm8="}]},
        UNDECODABLE,
        ["1 of 1", "mine", "PNG"],
    ),
}


@pytest.mark.parametrize(("change", "expected", "words"), SYNTHESES.values(), ids=SYNTHESES)
def test_a_synthesis_is_refused_with_help(maximize, change, expected, words):
    """The sentence says what was asked for, what there is, and what to do."""
    assert_refused(lambda: maximize(**change), expected, *words)


DISCOVERIES = {
    "a wrong code layer": (
        {"discovery": {"codeLayer": "codes"}},
        NO_LAYER,
        ["'codes'", "are code,", "DescribeModel"],
    ),
    "no facets": ({"discovery": {"facets": 0}}, FIELD, ["discovery.facets", "0", "[1, 100]"]),
    "fewer than no facets": ({"discovery": {"facets": -1}}, FIELD, ["facets", "-1", "[1, 100]"]),
    "more facets than images": (
        {"discovery": {"facets": 19}},
        TOO_FEW,
        ["19 facets of logits:0", "18 are left", "fewer facets"],
    ),
    "a class without images": (
        {"discovery": {"selection": {"label": "violet"}}},
        ("NOT_FOUND", "CLASS_NOT_FOUND"),
        ["'violet'", "blue, green, red"],
    ),
    "a class that is never predicted": (
        {"discovery": {"selection": {"predicted": True}}},
        TOO_FEW,
        ["3 facets of logits:0", "0 are left", "select others"],
    ),
    "NaN": ({"unit": {"layer": "sick"}}, NOT_FINITE, ["'sick'", "'red/0.png'", "sound"]),
    "codes of NaN": (
        {"discovery": {"codeLayer": "sick"}},
        NOT_FINITE,
        ["'sick'", "'red/0.png'", "sound"],
    ),
    "no decodable picture allowed": (
        {"discovery": {"undecodableLimit": -0.5}},
        FIELD,
        ["discovery.undecodable_limit", "-0.5", "(0, 1]"],
    ),
    "a unit that never differs": (
        {"unit": {"layer": "still"}},
        SILENT,
        ["still:0", "activation 0 for all 18", "another unit"],
    ),
    "codes that never differ": (
        {"discovery": {"codeLayer": "still"}},
        TOO_FEW,
        ["3 facets", "equal codes count as one", "1 are left"],
    ),
    "half a quantile too much": (
        {"discovery": {"selection": {"quantile": 1}}},
        FIELD,
        ["discovery.selection.quantile", "1 is not in (0, 1)"],
    ),
    "a quantile of few": (
        {"discovery": {"selection": {"quantile": 0.95}}},
        TOO_FEW,
        ["3 facets of logits:0", "1 are left"],
    ),
    "crops of a class": (
        {"discovery": {"view": "VIEW_RECEPTIVE_FIELD"}},
        NO_FIELD,
        ["'logits'", "WHOLE_IMAGE", "DescribeModel"],
    ),
    "crops of what sees everything": (
        {"unit": {"layer": "pool"}, "discovery": {"view": "VIEW_RECEPTIVE_FIELD"}},
        NO_FIELD,
        ["'pool'", "[-1, 8, 1, 1]", "look everywhere"],
    ),
    "attribution to a later layer": (
        {"unit": {"layer": "conv"}, "discovery": {"codeWeighting": "CODE_WEIGHTING_ATTRIBUTION"}},
        NO_ATTRIBUTION,
        ["'conv'", "'code'", "not computed from it", "NONE"],
    ),
    "attribution through an argmax": (
        {"unit": {"layer": "winner"}, "discovery": {"codeWeighting": "CODE_WEIGHTING_ATTRIBUTION"}},
        NO_ATTRIBUTION,
        ["'winner'", "'code'", "no gradient passes"],
    ),
    "no images": ({"images": {}}, FIELD, ["images", "at least one archive", "inline"]),
}


@pytest.mark.parametrize(("change", "expected", "words"), DISCOVERIES.values(), ids=DISCOVERIES)
def test_a_discovery_is_refused_with_help(discover, change, expected, words):
    """The sentence says what was asked for, what there is, and what to do."""
    assert_refused(lambda: discover(**change), expected, *words)


IMAGE_SETS = {
    "a text": (lambda: b"no archive" * 99, NO_ARCHIVE, ["archive 0", "tar or zip"]),
    "half a zip": (lambda: networks.pictures()[:-99], NO_ARCHIVE, ["archive 0", "tar or zip"]),
    "a zip of texts": (
        lambda: networks.zipped(**{"read.me": b"hello"}),
        NO_ARCHIVE,
        ["the image set", "no picture"],
    ),
    "broken pictures": (
        lambda: networks.zipped(**{"a/text.png": b"hello", "a/cut.jpg": hostile_files.jpeg()[:99]}),
        UNDECODABLE,
        ["2 of 2", "a/text.png", "a/cut.jpg", "PNG"],
    ),
    "one picture": (
        lambda: networks.zipped(**{"a/0.png": networks.picture()}),
        TOO_FEW,
        ["3 facets of logits:0", "1 are left", "fewer facets"],
    ),
    "one picture five times": (
        hostile_files.copies_of_one_picture,
        TOO_FEW,
        ["3 facets", "equal codes count as one", "1 are left"],
    ),
}


@pytest.mark.parametrize(("archive", "expected", "words"), IMAGE_SETS.values(), ids=IMAGE_SETS)
def test_an_image_set_is_refused_with_help(discover, upload, archive, expected, words):
    """An archive is gigabytes to send again: the sentence says what must change in it."""
    images = {"digests": [upload(archive())]}
    assert_refused(lambda: discover(images=images), expected, *words)


def test_one_picture_is_one_facet(discover, upload):
    """Whoever asks for one kind of a single image gets it, and not an error about variety."""
    images = {"digests": [upload(networks.zipped(**{"a/0.png": networks.picture()}))]}
    (facet,) = facets_in(discover(images=images, discovery={"facets": 1}))
    assert [member.name for member in facet.members] == ["a/0.png"]


def test_a_label_of_a_set_without_labels_is_refused_with_help(discover, upload):
    """Folders are what labels are read from."""
    images = {"digests": [upload(networks.zipped(**{"0.png": networks.picture()}))]}
    assert_refused(
        lambda: discover(images=images, discovery={"selection": {"label": "cat"}}),
        ("NOT_FOUND", "CLASS_NOT_FOUND"),
        *("'cat'", "any label at all", "folders"),
    )


def test_pictures_that_do_not_decode_are_left_out_and_named(discover, upload):
    """Two bad files among thousands must not cost the night's run, nor go unnoticed."""
    images = {"digests": [upload(hostile_files.half_spoiled_pictures())]}
    manifest = discover(images=images)[-1].manifest
    assert (manifest.images_read, manifest.undecodable_count) == (18, 2)
    assert list(manifest.undecodable_images) == ["red/text.png", "red/cut.jpg"]
    limits = {"undecodableLimit": 0.1}
    assert discover(images=images, discovery=limits)[-1].manifest.undecodable_count == 2


def test_more_undecodable_pictures_than_allowed_are_refused(discover, upload):
    """Who knows the set sound wants to hear that it is not, rather than facets of the rest."""
    images = {"digests": [upload(hostile_files.half_spoiled_pictures())]}
    assert_refused(
        lambda: discover(images=images, discovery={"undecodableLimit": 0.09}),
        UNDECODABLE,
        "2 of 20",
        "undecodable_limit is 0.09",
        "red/text.png, red/cut.jpg",
    )


def test_images_are_discovered_for_a_layer_without_gradient(discover, pictures):
    """An argmax cannot be climbed, but the pictures that it likes can be shown."""
    white = {"name": "white", "data": b64encode(networks.picture(color="white")).decode()}
    facets = facets_in(discover(unit={"layer": "winner"}, images=pictures | {"inline": [white]}))
    assert sum(len(facet.members) for facet in facets) == 19


def facets_in(events):
    return [event.facet for event in events if event.WhichOneof("kind") == "facet"]


def inspected(stub, troubled, pictures, layers, **discovery):
    """The events of an inspection of the first units of these layers."""
    request = {
        "model": troubled,
        "units": [{"layer": layer} for layer in layers],
        "images": pictures,
        "discovery": {"facets": 3, "averaged": 2} | discovery,
        "synthesis": {"schedule": phases()},
    }
    message = ParseDict(request, inspection_pb2.InspectUnitsRequest())
    return [answer.event for answer in stub.InspectUnits(message)]


def test_one_unit_without_facets_does_not_end_an_inspection(stub, troubled, pictures):
    """A thousand units are a night's work, and some of them are dead."""
    selection = {"predicted": True}
    events = inspected(stub, troubled, pictures, ["logits", "loud"], selection=selection)
    (skipped,) = [event.skipped for event in events if event.WhichOneof("kind") == "skipped"]
    assert (skipped.unit.layer, skipped.reason) == ("logits", "TOO_FEW_IMAGES")
    assert "3 facets of logits:0" in skipped.message
    assert {facet.unit.layer for facet in facets_in(events)} == {"loud"}
    assert events[-1].manifest.images_read == 18


def test_an_inspection_whose_units_have_all_no_facets_ends_well(stub, troubled, pictures):
    """Its manifest says what that is a function of; a single unit's trouble is the call's."""
    events = inspected(stub, troubled, pictures, ["logits", "conv"], facets=19)
    kinds = [event.WhichOneof("kind") for event in events]
    assert kinds.count("skipped") == 2
    assert kinds[-1] == "manifest"
    assert_refused(
        lambda: inspected(stub, troubled, pictures, ["logits"], facets=19), TOO_FEW, "19 facets"
    )


def test_all_missing_artifacts_are_listed(discover):
    """The client uploads these, and calls again: once."""
    missing = [digit * 64 for digit in "012"]
    error = assert_refused(
        lambda: discover(model={"digest": missing[0]}, images={"digests": missing[1:]}),
        ("FAILED_PRECONDITION", "ARTIFACT_MISSING"),
        "missing from the store: 3",
        "upload them",
    )
    violations = details(error)["PreconditionFailure"].violations
    assert [violation.subject for violation in violations] == missing


@pytest.mark.parametrize("letter", ["x", "ü", "\N{GRINNING FACE}"])
def test_a_very_long_name_does_not_destroy_the_status(maximize, letter):
    """What is quoted travels as metadata, three times over, in bytes and not in characters."""
    error = assert_refused(
        lambda: maximize(unit={"layer": letter * 100_000}), NO_LAYER, "the model has no layer"
    )
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert len(packed) * 4 / 3 + len(quote(error.details())) < MOST_METADATA


def test_a_model_that_gives_one_number_is_described(describe):
    """Losses end in one; their hidden layers can be inspected like any other."""
    answer = describe(hostile_onnx.scalar())
    assert [layer.name for layer in answer.layers] == ["relu"]
