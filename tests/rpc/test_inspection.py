"""Inspections over a real connection, with a scripted engine behind it."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from itertools import product

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from tests import examples
from tests.support import details, reason

from facetscope.domain import computing, discoveries, errors, events, syntheses
from facetscope.domain.events import Progress, Work
from facetscope.domain.inputs import Source
from facetscope.domain.schedules import AUTHORS_CODE, CENTER_BIASED
from facetscope.domain.units import Unit
from facetscope.gen.facetscope.v1 import facet_pb2, model_pb2, synthesis_pb2
from facetscope.gen.facetscope.v1 import inspection_pb2 as pb
from facetscope.gen.facetscope.v1 import inspection_pb2_grpc as pb_grpc
from facetscope.rpc.status import CODE_OF

MODEL = {"digest": examples.DIGEST}
UNIT = {"layer": "fc", "channel": 7}
DIRECTION = Unit("fc", 0, (2,), weights=((3, 0.5), (8, -1.0)))
IMAGES = {"digests": [examples.DIGEST]}
DISCOVER = ParseDict({"model": MODEL, "unit": UNIT, "images": IMAGES}, pb.DiscoverFacetsRequest())
INSPECT = ParseDict({"model": MODEL, "units": [UNIT], "images": IMAGES}, pb.InspectUnitsRequest())


@pytest.fixture
def stub(channel):
    return pb_grpc.InspectionServiceStub(channel)


async def failure(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read() if hasattr(call, "read") else await call
    return caught.value


async def test_it_streams_every_event_in_order(stub, engine):
    """What the engine gives is what the client sees, numbered without gaps."""
    engine.script = [event for event in examples.EVENTS if "Description" not in repr(type(event))]
    got = [response.event async for response in stub.InspectUnits(INSPECT)]
    assert [event.sequence for event in got] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (got[0].progress.rate, got[0].progress.fraction) == (35.5, 0.25)
    assert not got[1].progress.HasField("fraction")
    assert [event.WhichOneof("kind") for event in got] == [
        "progress",
        "progress",
        "preview",
        "facet_count",
        "facet",
        "image",
        "skipped",
        "manifest",
    ]
    assert got[3].facet_count.verdict == facet_pb2.VERDICT_SEVERAL_FACETS
    assert got[3].facet_count.candidates[0].separation == 0.875
    assert got[5].image.natural.maximum == 18.5
    assert not got[5].image.HasField("probability")
    crops = [member.crop for member in got[4].facet.members if member.HasField("crop")]
    assert [(crop.left, crop.top, crop.width, crop.height) for crop in crops] == [(3, 0, 11, 8)]
    assert got[6].skipped.reason == "UNIT_SILENT"


async def test_a_description_is_one_answer(stub, engine):
    """Progress of the worker is not part of a unary answer."""
    engine.script = [examples.EVENTS[0], examples.EVENTS[-1]]
    answer = await stub.DescribeModel(pb.DescribeModelRequest(model=model_pb2.Model(**MODEL)))
    assert answer.layers[0].channels == 8
    assert answer.parity.provider == "CPUExecutionProvider"
    assert not answer.HasField("parity_absence")
    assert [layer.differentiable for layer in answer.layers] == [True, False]
    assert answer.layers[1].obstacle == answer.obstacle
    assert not answer.differentiable
    assert answer.input.height == 224
    assert (answer.logits, answer.probabilities, answer.class_names) == (
        "logits",
        "softmax",
        ["cat", "dog"],
    )
    (origin,) = answer.input_origins
    assert (origin.field, origin.source) == ("channels", model_pb2.INPUT_SOURCE_SIGNATURE)
    field = answer.layers[0].receptive_field
    assert (field.size, field.stride, field.offset) == ([7, 9], [2, 4], [0.5, 1.0])


async def test_an_input_that_was_reported_can_be_asked_for(stub, engine):
    """A manifest's input, sent again, is the same input, whatever the file says."""
    engine.script = [examples.EVENTS[-1]]
    model = model_pb2.Model(**MODEL)
    answer = await stub.DescribeModel(pb.DescribeModelRequest(model=model))
    await stub.DescribeModel(pb.DescribeModelRequest(model=model, input=answer.input))
    assert engine.jobs[1].input.resolved() == examples.INPUT
    assert {origin.source for origin in engine.jobs[1].input.origins()} == {Source.REQUEST}


async def test_a_unit_keeps_its_axis(stub, engine):
    """A unit that counts along another axis is another unit, and is told so."""
    request = pb.InspectUnitsRequest()
    request.CopyFrom(INSPECT)
    request.units[0].channel_axis = 2
    async for _ in stub.InspectUnits(request):
        pass
    assert engine.jobs[0].units == (Unit("fc", 7, channel_axis=2),)


async def test_a_comparison_that_is_missing_is_explained(stub, engine):
    """Silence would pass for agreement."""
    engine.script = [examples.UNMATCHED]
    answer = await stub.DescribeModel(pb.DescribeModelRequest(model=model_pb2.Model(**MODEL)))
    assert not answer.HasField("parity")
    assert answer.parity_absence.reason == model_pb2.PARITY_ABSENCE_REASON_TIMED_OUT
    assert answer.parity_absence.problem == "it took more than 60 s"


async def test_a_manifest_tells_what_passed_the_images(stub, engine):
    """Figures of two runtimes differ by rounding, and a reader knows which these are."""
    engine.script = [event for event in examples.EVENTS if type(event).__name__ == "Manifest"]
    (answer,) = [response.event async for response in stub.DiscoverFacets(DISCOVER)]
    assert answer.manifest.forward_runtime == model_pb2.RUNTIME_ONNX_RUNTIME
    assert answer.manifest.forward_provider == "CPUExecutionProvider"
    assert list(answer.manifest.warnings) == ["it rains"]


async def test_the_runtime_of_a_discovery_is_read(stub, engine):
    """A client can ask for the runtime that it wants to compare."""
    request = pb.DiscoverFacetsRequest()
    request.CopyFrom(DISCOVER)
    request.discovery.runtime = model_pb2.RUNTIME_TORCH
    async for _ in stub.DiscoverFacets(request):
        pass
    assert engine.jobs[0].discovery.runtime is computing.Runtime.TORCH


async def test_what_is_left_out_gets_the_documented_defaults(stub, engine):
    """The proto's comments are the promise; the domain's defaults keep it."""
    async for _ in stub.InspectUnits(INSPECT):
        pass
    (job,) = engine.jobs
    assert job.discovery == discoveries.Discovery()
    assert job.synthesis == syntheses.Synthesis()


@pytest.mark.parametrize(
    ("asked", "understood"),
    [
        ({"preset": "DISCOVERY_PRESET_PAPER"}, discoveries.PAPER),
        (
            {"preset": "DISCOVERY_PRESET_PAPER", "whitening": 0.25},
            replace(discoveries.PAPER, whitening=0.25),
        ),
        ({"range": {}}, discoveries.Discovery(facets=discoveries.FacetRange(1, 10))),
        ({"range": {"minimum": 12}}, discoveries.Discovery(facets=discoveries.FacetRange(12, 12))),
        ({"range": {"maximum": 4}}, discoveries.Discovery(facets=discoveries.FacetRange(1, 4))),
        (
            {"clustering": "CLUSTERING_HDBSCAN"},
            discoveries.Discovery(facets=None, clustering=discoveries.Clustering.HDBSCAN),
        ),
        (
            {"clustering": "CLUSTERING_WARD", "wardThreshold": 15},
            discoveries.Discovery(
                facets=None, clustering=discoveries.Clustering.WARD, ward_threshold=15
            ),
        ),
    ],
)
async def test_a_way_of_finding_facets_is_read(stub, engine, asked, understood):
    """What is left open is the preset's, and where the number is found none is asked for."""
    message = {"model": MODEL, "unit": UNIT, "images": IMAGES, "discovery": asked}
    async for _ in stub.DiscoverFacets(ParseDict(message, pb.DiscoverFacetsRequest())):
        pass
    assert [job.discovery for job in engine.jobs] == [understood]


@pytest.mark.parametrize(
    ("encoding", "alpha"),
    [
        *product(
            (each for each in syntheses.Encoding if each is not syntheses.Encoding.JPEG),
            syntheses.Alpha,
        ),
        (syntheses.Encoding.JPEG, syntheses.Alpha.NONE),
    ],
)
async def test_what_images_are_sent_as_is_read(stub, engine, encoding, alpha):
    """All pairs are understood, but for an alpha channel where there is no room for one."""
    asked = {"encoding": f"ENCODING_{encoding.name}", "alpha": f"ALPHA_{alpha.name}"}
    message = {"model": MODEL, "unit": UNIT, "synthesis": asked}
    async for _ in stub.MaximizeActivation(ParseDict(message, pb.MaximizeActivationRequest())):
        pass
    (job,) = engine.jobs
    assert (job.synthesis.encoding, job.synthesis.alpha) == (encoding, alpha)


async def test_a_tensor_arrives_with_its_shape(stub, engine):
    """Raw floats can be read in any language that knows their shape and type."""
    picture = events.Picture(
        b"\0" * 96, "application/octet-stream", 3, 2, (4, 2, 3), "float32", alpha=True
    )
    image = next(each for each in examples.EVENTS if isinstance(each, events.SynthesizedImage))
    engine.script = [replace(image, picture=picture)]
    (answer,) = [response.event.image.picture async for response in stub.InspectUnits(INSPECT)]
    assert (answer.shape, answer.element_type, answer.alpha) == ([4, 2, 3], "float32", True)


@pytest.mark.parametrize("precision", computing.Precision)
async def test_a_model_computes_in_the_precision_asked_for(stub, engine, precision):
    """It is part of the job, so that results of one are never taken for those of another."""
    model = {**MODEL, "precision": f"PRECISION_{precision.name}"}
    message = {"model": model, "units": [UNIT], "images": IMAGES}
    async for _ in stub.InspectUnits(ParseDict(message, pb.InspectUnitsRequest())):
        pass
    assert [job.precision for job in engine.jobs] == [precision]


async def test_an_image_starts_from_the_mean_of_its_facet(stub, engine):
    """By whatever schedule: from noise it would show the unit, and nothing of the facet."""
    request = pb.InspectUnitsRequest()
    request.CopyFrom(INSPECT)
    request.synthesis.schedule.preset = synthesis_pb2.SCHEDULE_PRESET_CENTER_BIASED
    async for _ in stub.InspectUnits(request):
        pass
    (job,) = engine.jobs
    assert job.synthesis.start is syntheses.Start.FACET_MEAN
    assert job.synthesis.method == CENTER_BIASED


@pytest.mark.parametrize(
    ("asked", "understood"),
    [
        ({"preset": "SCHEDULE_PRESET_AUTHORS_CODE"}, AUTHORS_CODE),
        (
            {"preset": "SCHEDULE_PRESET_CENTER_BIASED", "authorsSteps": True},
            replace(CENTER_BIASED, authors_steps=True),
        ),
        (
            {"preset": "SCHEDULE_PRESET_MEAN_IMAGE", "authorsRamps": True, "authorsSteps": True},
            AUTHORS_CODE,
        ),
    ],
)
async def test_the_authors_ways_are_read(stub, engine, asked, understood):
    """As a preset, or as options of another: what is not asked for stays ours."""
    request = pb.InspectUnitsRequest()
    request.CopyFrom(INSPECT)
    ParseDict({"schedule": asked}, request.synthesis)
    async for _ in stub.InspectUnits(request):
        pass
    (job,) = engine.jobs
    assert job.synthesis.method == understood


async def test_a_direction_is_read_and_given_back(stub, engine):
    """In its one form, whatever order the weights came in."""
    weights = [{"channel": 8, "weight": -1.0}, {"channel": 3, "weight": 0.5}, {"channel": 5}]
    request = pb.MaximizeActivationRequest(
        model=MODEL, unit={"layer": "fc", "weights": weights, "position": [2]}
    )
    engine.script = [Progress(work=Work.SYNTHESIZING, unit=DIRECTION)]
    (event,) = [response.event async for response in stub.MaximizeActivation(request)]
    (job,) = engine.jobs
    assert job.unit == DIRECTION
    assert [each.channel for each in event.progress.unit.weights] == [3, 8]
    assert [each.weight for each in event.progress.unit.weights] == [0.5, -1.0]


async def test_inline_models_are_kept_under_their_digest(stub, engine, store):
    """A small model needs no upload, and is the same job as one that was uploaded."""
    engine.script = [examples.EVENTS[-1]]
    await stub.DescribeModel(pb.DescribeModelRequest(model=model_pb2.Model(inline=b"ONNX")))
    assert engine.jobs[0].model == sha256(b"ONNX").hexdigest()
    assert engine.jobs[0].model in store


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": {}}, "model"),
        ({"model": {"digest": "../../etc/passwd"}}, "model.digest"),
        ({"model": {**MODEL, "precision": 9}}, "model.precision"),
        ({"unit": {"channel": 3}}, "unit.layer"),
        ({"images": {}}, "images"),
        ({"images": {"digests": ["x"]}}, "images.digests"),
        ({"discovery": {"facets": 0}}, "discovery.facets"),
        ({"discovery": {"facets": -1}}, "discovery.facets"),
        ({"discovery": {"facets": 3, "range": {}}}, "discovery.range"),
        ({"discovery": {"range": {"minimum": 101}}}, "discovery.range.minimum"),
        ({"discovery": {"range": {"minimum": 5, "maximum": 4}}}, "discovery.range.maximum"),
        ({"discovery": {"clustering": 9}}, "discovery.clustering"),
        ({"discovery": {"clustering": 4, "facets": 3}}, "discovery.facets"),
        ({"discovery": {"clustering": 2, "wardThreshold": 3}}, "discovery.ward_threshold"),
        ({"discovery": {"clustering": 3, "wardThreshold": -3}}, "discovery.ward_threshold"),
        ({"discovery": {"clustering": 3, "wardThreshold": 3, "range": {}}}, "discovery.facets"),
        ({"discovery": {"preset": 9}}, "discovery.preset"),
        ({"discovery": {"bootstraps": 1}}, "discovery.bootstraps"),
        ({"discovery": {"significance": 1.0}}, "discovery.significance"),
        ({"discovery": {"whitening": 1.5}}, "discovery.whitening"),
        ({"discovery": {"components": 1}}, "discovery.components"),
        ({"discovery": {"perplexity": -1.0}}, "discovery.perplexity"),
        ({"discovery": {"selection": {"top": 0}}}, "discovery.selection.top"),
        ({"discovery": {"runtime": 9}}, "discovery.runtime"),
        ({"input": {"height": 7}}, "input.height"),
        ({"input": {"colorOrder": 9}}, "input.color_order"),
    ],
)
async def test_a_bad_field_is_named(stub, engine, change, field):
    """The caller learns which field to change, and no worker is bothered."""
    message = {"model": MODEL, "unit": UNIT, "images": IMAGES, **change}
    error = await failure(stub.DiscoverFacets(ParseDict(message, pb.DiscoverFacetsRequest())))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error)["ErrorInfo"].metadata["field"] == field
    assert engine.jobs == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"synthesis": {"schedule": {"phases": [{"steps": 0}]}}}, "phase.steps"),
        ({"synthesis": {"schedule": {"preset": 1, "phases": [{}]}}}, "synthesis.schedule"),
        ({"synthesis": {"start": "START_GIVEN"}}, "starts"),
        ({"synthesis": {"start": "START_FACET_MEAN"}}, "synthesis.start"),
        ({"count": 1000}, "count"),
        ({"synthesis": {"encoding": 9}}, "synthesis.encoding"),
        ({"synthesis": {"alpha": 9}}, "synthesis.alpha"),
        ({"synthesis": {"encoding": 2, "alpha": 2}}, "synthesis.alpha"),
    ],
)
async def test_a_bad_synthesis_is_named(stub, change, field):
    """Schedules are checked before any worker starts."""
    request = ParseDict({"model": MODEL, "unit": UNIT, **change}, pb.MaximizeActivationRequest())
    error = await failure(stub.MaximizeActivation(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error)["ErrorInfo"].metadata["field"] == field


@pytest.mark.parametrize("expected", examples.ERRORS, ids=lambda error: type(error).__name__)
async def test_every_error_arrives_with_its_reason(stub, engine, expected):
    """A client can tell each failure from every other without reading prose."""
    engine.script = [expected]
    error = await failure(stub.DiscoverFacets(DISCOVER))
    assert error.details() == str(expected)
    assert reason(error) == expected.reason
    code = next(CODE_OF[kind] for kind in type(expected).__mro__ if kind in CODE_OF)
    assert error.code().value[0] == code


async def test_missing_artifacts_are_listed_as_violations(stub, engine):
    """The client uploads just those and calls again."""
    engine.script = [errors.ArtifactMissingError(("ab" * 32, "cd" * 32))]
    error = await failure(stub.DiscoverFacets(DISCOVER))
    violations = details(error)["PreconditionFailure"].violations
    assert [(each.type, each.subject) for each in violations] == [
        ("MISSING", "ab" * 32),
        ("MISSING", "cd" * 32),
    ]


async def test_details_stay_small_however_long_the_values(stub, engine):
    """Beyond 8 KiB of trailing metadata the status itself would be lost."""
    names = tuple("n" * 300 for _ in range(1000))
    engine.script = [errors.LayerNotFoundError("x" * 5000, names[:5], 1000)]
    error = await failure(stub.DiscoverFacets(DISCOVER))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert reason(error) == "LAYER_NOT_FOUND"


async def test_a_full_queue_says_when_to_come_back(stub, engine):
    """Clients obey RetryInfo rather than guess."""
    engine.script = [errors.EngineBusyError(64, 2.5)]
    error = await failure(stub.DiscoverFacets(DISCOVER))
    assert details(error)["RetryInfo"].retry_delay.ToTimedelta().total_seconds() == 2.5


async def test_a_bug_reveals_nothing_but_an_incident(stub, engine):
    """What went wrong inside is in our log, not in the answer."""
    engine.script = [ZeroDivisionError("/secret/path")]
    error = await failure(stub.DiscoverFacets(DISCOVER))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()
    assert details(error)["ErrorInfo"].metadata["incident"] in error.details()


async def test_cancelling_the_call_ends_the_job(stub, engine):
    """A client that has seen enough frees the worker at once."""
    engine.script = [examples.EVENTS[0], ...]
    call = stub.InspectUnits(INSPECT)
    await call.read()
    call.cancel()
    await asyncio.wait_for(engine.ended.wait(), timeout=5)


async def test_a_deadline_ends_the_job(stub, engine):
    """A client that is out of time does not keep a worker."""
    engine.script = [...]
    call = stub.InspectUnits(INSPECT, timeout=0.2)
    assert (await failure(call)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(engine.ended.wait(), timeout=5)
