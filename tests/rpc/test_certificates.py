"""Certificates over a real connection: what is asked of them, and what a client gets to see."""

import re
from dataclasses import fields
from math import inf
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from tests import examples
from tests.support import details

from facetscope.domain.certificates import THRESHOLDS, Certification, Level, Measure, Threshold
from facetscope.gen.facetscope.v1 import certificate_pb2 as certificates
from facetscope.gen.facetscope.v1 import inspection_pb2 as pb
from facetscope.gen.facetscope.v1 import inspection_pb2_grpc as pb_grpc

PROTO = Path(__file__).parents[2] / "protos/facetscope/v1/certificate.proto"


@pytest.fixture
def stub(channel):
    return pb_grpc.InspectionServiceStub(channel)


def asking(certification=None):
    synthesis = {} if certification is None else {"synthesis": {"certification": certification}}
    model = {"model": {"digest": examples.DIGEST}, "images": {"digests": [examples.DIGEST]}}
    message = {**model, "units": [{"layer": "fc", "channel": 7}], **synthesis}
    return ParseDict(message, pb.InspectUnitsRequest())


async def understood(stub, engine, certification=None):
    async for _ in stub.InspectUnits(asking(certification)):
        pass
    return engine.jobs[0].synthesis.certification


async def answered(stub, engine):
    engine.script = [each for each in examples.EVENTS if "SynthesizedImage" in str(type(each))]
    (response,) = [response async for response in stub.InspectUnits(asking())]
    return response.event.image.certificate


async def test_no_certificate_is_made_unless_it_is_asked_for(stub, engine):
    """It costs passes through the model."""
    assert await understood(stub, engine) is None


async def test_an_empty_certification_has_the_defaults(stub, engine):
    """The proto's comments are the promise; the domain's defaults keep it."""
    assert await understood(stub, engine, {}) == Certification()


async def test_numbers_and_thresholds_are_read(stub, engine):
    """A measure that is not named keeps its default; one may never be RED."""
    path = {"measure": "MEASURE_PATH", "green": 0.75, "red": 0.25}
    margin = {"measure": "MEASURE_ROBUST_MARGIN", "green": 1, "red": "-Infinity"}
    wanted = {"variations": 0, "layers": 0, "witnesses": 5, "startControls": True}
    found = await understood(stub, engine, {**wanted, "thresholds": [margin, path]})
    assert (found.variations, found.layers, found.witnesses) == (0, 0, 5)
    assert found.start_controls
    own = {
        Measure.PATH: Threshold(Measure.PATH, 0.75, 0.25),
        Measure.ROBUST_MARGIN: Threshold(Measure.ROBUST_MARGIN, 1.0, -inf),
    }
    assert found.thresholds == tuple(own.get(each.measure, each) for each in THRESHOLDS)


@pytest.mark.parametrize("measure", Measure, ids=lambda measure: measure.name)
async def test_every_measure_has_one_name(stub, engine, measure):
    """A threshold never reaches another measure whose name ends alike."""
    inner = {"measure": f"MEASURE_{measure.name}", "green": 0.0, "red": 0.0}
    found = await understood(stub, engine, {"thresholds": [inner]})
    assert Threshold(measure, 0.0, 0.0) in found.thresholds
    assert len(set(found.thresholds) - set(THRESHOLDS)) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"variations": 65}, "variations"),
        ({"witnesses": 2}, "witnesses"),
        ({"layers": 65}, "layers"),
        ({"thresholds": [{"green": 1}]}, "thresholds.measure"),
        ({"thresholds": [{"measure": 99}]}, "thresholds.measure"),
        ({"thresholds": [{"measure": 7}, {"measure": 7}]}, "thresholds"),
        ({"thresholds": [{"measure": 7, "green": 0, "red": 1}]}, "thresholds.PATH"),
        ({"thresholds": [{"measure": 8, "green": 1, "red": 0}]}, "thresholds.SPECTRUM"),
        ({"thresholds": [{"measure": 7, "green": "Infinity"}]}, "thresholds.PATH"),
        ({"thresholds": [{"measure": 7, "red": "NaN"}]}, "thresholds.PATH"),
    ],
)
async def test_a_bad_certification_is_named(stub, engine, change, field):
    """Before any worker starts."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.InspectUnits(asking(change)).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    named = details(caught.value)["ErrorInfo"].metadata["field"]
    assert named == f"synthesis.certification.{field}"
    assert engine.jobs == []


async def test_a_certificate_arrives_whole(stub, engine):
    """Every number that is defined, and none that is not."""
    found = await answered(stub, engine)
    assert found.verdict == certificates.TRUST_LEVEL_AMBER
    assert [reason.measure for reason in found.reasons] == [
        certificates.MEASURE_OUTLYING,
        certificates.MEASURE_ROBUST_MARGIN,
    ]
    assert found.reasons[0].sentence == "its code is far out"
    assert found.reasons[1].level == certificates.TRUST_LEVEL_GREEN
    assert found.undefined[0].why == "no other model was asked"
    assert [(each.layer, each.similarity) for each in found.path] == [("conv", 0.25), ("pool", -1)]
    assert found.HasField("nearest_facet")
    assert found.activation == 20.5
    nested = {"verdict", "reasons", "undefined", "path", "activation"}
    for field in {field.name for field in fields(examples.CERTIFICATE)} - nested:
        sent = getattr(examples.CERTIFICATE, field)
        assert (getattr(found, field) if found.HasField(field) else None) == sent


async def test_an_image_without_a_certificate_has_none(stub, engine):
    """It is not taken for one that nothing speaks against."""
    image = next(each for each in examples.EVENTS if hasattr(each, "certificate"))
    engine.script = [type(image)(**{f.name: getattr(image, f.name) for f in fields(image)[:-1]})]
    (response,) = [response async for response in stub.InspectUnits(asking())]
    assert not response.event.image.HasField("certificate")


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda each: each.measure.name)
def test_the_contract_tells_the_default_thresholds(threshold):
    """A reader of the proto need not read the code."""
    blocks = PROTO.read_text().split("\n\n")
    (block,) = [each for each in blocks if f"  MEASURE_{threshold.measure.name} = " in each]
    comment = block.replace("\n  //", "")
    green = float(re.search(r"GREEN (?:from|up to) (-?[\d.]*\d)", comment)[1])
    red = re.search(r"RED (?:below|above) (-?[\d.]*\d)", comment)
    assert green == threshold.green
    assert (float(red[1]) if red else None) == (threshold.red if abs(threshold.red) < inf else None)
    assert ("smaller is better" in comment) is not threshold.measure.larger_is_better


def test_levels_have_the_same_names():
    """The wire's and the domain's."""
    names = {name.removeprefix("TRUST_LEVEL_") for name, _ in certificates.TrustLevel.items()}
    assert names - {"UNSPECIFIED"} == {level.name for level in Level}
