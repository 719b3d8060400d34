"""One value of every kind that crosses a boundary."""

from dataclasses import replace

from facetscope.domain import computing, descriptions, discoveries, errors, events, jobs, syntheses
from facetscope.domain.certificates import (
    Certificate,
    Certification,
    LayerSimilarity,
    Level,
    Measure,
    Reason,
    Undefined,
)
from facetscope.domain.inputs import InputSpec, Origin, Source
from facetscope.domain.units import Layer, Obstacle, ReceptiveField, Unit

UNIT = Unit("layer4.1", 42, (3, 4))
DIGEST = "ab" * 32
PICTURE = events.Picture(b"\x89PNG", "image/png", 28, 28)
INPUT = InputSpec().resolved()
FIELD = ReceptiveField(size=(7, 9), stride=(2, 4), offset=(0.5, 1.0))
LAYER = Layer("conv", "Conv", (-1, 8, 5, 6), 1, FIELD)
OBSTACLE = Obstacle("lstm", "ai.onnx::LSTM-14", "LSTM is not supported")

ERRORS = (
    errors.InspectionError(),
    errors.InvalidRequestError(),
    errors.InvalidFieldError("facets", "0 is not in [1, 100]"),
    errors.LayerNotFoundError("conv9", ("conv1", "conv2"), 17),
    errors.ChannelOutOfRangeError("conv1", 64, 64),
    errors.PositionOutOfRangeError("conv1", (9, 9), (7, 7)),
    errors.ReadoutUndefinedError("conv1", (-1, 64, 7, 7)),
    errors.ReadoutUndefinedError("fc", (-1, 1000), "fc:3-8"),
    errors.InputMismatchError((1, 3, 32, 32), "the kernel is larger than the input"),
    errors.ImageSetUnreadableError("archive 0", "it is a PDF"),
    errors.ImagesUndecodableError(3, 40, ("a.jpg",), 0.05),
    errors.ImagesUndecodableError(3, 3, ("a.jpg", "b.jpg", "c.jpg")),
    errors.ClassNotFoundError("dog", ("cat", "bridge")),
    errors.TooFewImagesError(3, 10, "finding 10 facets"),
    errors.UnitSilentError("conv1:3", 0.0, 1300),
    errors.ReceptiveFieldUndefinedError("fc", (-1, 1000)),
    errors.AttributionUndefinedError("conv1", "fc", "it comes later"),
    errors.BudgetExceededError(2 * 10**12, 10**12),
    errors.NonFiniteActivationError("fc", "for image a.jpg"),
    errors.AscentDivergedError("fc:3", 1, 3, 50.0),
    errors.ObjectiveUnreachableError("conv1:3", 0, 16),
    errors.ModelError(),
    errors.ModelUnreadableError("it ends after 12 bytes"),
    errors.ModelForbiddenError("__setstate__", "code/__torch__.py"),
    errors.OperatorUnsupportedError("loop_1", "ai.onnx::Loop-13", "has no translation"),
    errors.GradientUnavailableError("winner", "argmax", "ArgMax", "it has no gradient"),
    errors.ArtifactError(),
    errors.ArtifactMissingError((DIGEST, "cd" * 32)),
    errors.ArtifactNotFoundError(DIGEST),
    errors.ArtifactTooLargeError(2**33),
    errors.DigestMismatchError(DIGEST, "cd" * 32, 12),
    errors.OffsetMismatchError(12, 10),
    errors.StoreFullError(),
    errors.NotServedError("QueryWrite"),
    errors.EngineError(),
    errors.EngineBusyError(64, 5.0),
    errors.WorkerLostError(-9),
    errors.OutOfMemoryError("cuda: NVIDIA H100"),
)

CERTIFICATE = Certificate(
    verdict=Level.AMBER,
    reasons=(
        Reason(Measure.OUTLYING, Level.AMBER, "its code is far out"),
        Reason(Measure.ROBUST_MARGIN, Level.GREEN, "it is robust"),
    ),
    undefined=(Undefined(Measure.TRANSFER, "no other model was asked"),),
    activation=20.5,
    robust_margin=2.25,
    nearest_facet=0,
    outlying=1.125,
    path=(LayerSimilarity("conv", 0.25), LayerSimilarity("pool", -1.0)),
    path_similarity=-0.375,
)

MEMBER = events.Member(
    name="a.jpg", label="cat", activation=1.5, embedding=(0.5, -2.0), distance=0.25, silhouette=0.1
)

EVENTS = (
    events.Progress(
        work=events.Work.SYNTHESIZING,
        unit=UNIT,
        done=3,
        total=370,
        rate=35.5,
        fraction=0.25,
        objective=1.5,
        objectives=(events.ImageObjective(UNIT, 2, 1, 1.5),),
    ),
    events.Progress(work=events.Work.QUEUED),
    events.Preview(unit=UNIT, index=2, seed_index=1, step=10, objective=0.5, picture=PICTURE),
    events.FacetCount(
        unit=UNIT,
        images=150,
        facets=2,
        verdict=events.Verdict.SEVERAL_FACETS,
        candidates=(
            events.FacetCandidate(facets=2, silhouette=0.25, stability=0.75, separation=0.875),
        ),
        p_value=0.025,
        agreement=0.5,
        trustworthiness=0.9375,
        noise=3,
    ),
    events.Facet(
        unit=UNIT,
        index=1,
        members=(MEMBER, replace(MEMBER, crop=events.Box(left=3, top=0, width=11, height=8))),
        mean_image=PICTURE,
        thumbnails=(PICTURE,),
        silhouette=0.3,
        centroid=(1.0, 2.0),
        evidence=events.FacetEvidence(
            share=0.25,
            activation_mean=12.5,
            activation_std=1.5,
            activation_least=9.0,
            activation_most=15.25,
            common_label="cat",
            purity=0.75,
            stability=None,
            flags=(events.FacetFlag(events.Sign.CORNER, 0.5, "the facet may be a logo"),),
        ),
        farthest_thumbnails=(PICTURE, PICTURE),
    ),
    events.SynthesizedImage(
        unit=UNIT,
        index=1,
        seed_index=2,
        picture=PICTURE,
        activation=20.5,
        probability=None,
        start_activation=3.0,
        natural=events.NaturalComparison(150, 18.5, 100.0),
        steps=370,
        stopped_early=True,
        field=events.Box(left=3, top=0, width=11, height=8),
        certificate=CERTIFICATE,
    ),
    events.UnitSkipped(UNIT, "UNIT_SILENT", "nothing in the images excites it"),
    events.Manifest(
        model_digest=DIGEST,
        image_set_digests=(DIGEST,),
        input=INPUT,
        code_layer="pool",
        device="cpu",
        versions={"torch": "2.13.0", "facetscope": "0.1.0"},
        images_read=150,
        undecodable_images=("x.jpg",),
        undecodable_count=1,
        job_digest=DIGEST,
        forward=events.Forward(computing.Runtime.ONNX_RUNTIME, "CPUExecutionProvider"),
        largest_batch=10,
        warnings=("it rains",),
    ),
    descriptions.Description(
        digest=DIGEST,
        format="ONNX",
        input_tensors=(descriptions.InputTensor("input", (-1, 3, 224, 224)),),
        input=INPUT,
        input_origins=(Origin("channels", Source.SIGNATURE, "input 'x' [n, 3, 224, 224]"),),
        layers=(
            descriptions.DescribedLayer(LAYER, ("c",), output=True, obstacle=None),
            descriptions.DescribedLayer(LAYER, (), output=False, obstacle=OBSTACLE),
        ),
        code_layer="conv",
        logits="logits",
        probabilities="softmax",
        class_names=("cat", "dog"),
        parity=descriptions.Parity("logits", 1e-5, 1e-6, "CPUExecutionProvider", "ONNX Runtime"),
        obstacle=OBSTACLE,
    ),
)

UNMATCHED = replace(
    EVENTS[-1],
    parity=descriptions.ParityAbsence(
        descriptions.ParityAbsenceReason.TIMED_OUT, "it took more than 60 s"
    ),
)
"""A description without a comparison."""

JOBS = (
    jobs.DescribeModel(model=DIGEST, input=InputSpec(height=64, mean=(1.0,), low=-1.0)),
    jobs.DiscoverFacets(
        model=DIGEST,
        unit=UNIT,
        images=jobs.ImageSet((DIGEST,), (jobs.InlineImage("a", "cat", b"\xff"),)),
        discovery=discoveries.Discovery(
            selection=discoveries.QuantileImages(0.75),
            facets=3,
            seed=2**64 - 1,
            code_pooling=discoveries.CodePooling.AT_MAXIMUM,
            code_weighting=discoveries.CodeWeighting.ATTRIBUTION,
            view=discoveries.View.RECEPTIVE_FIELD,
        ),
    ),
    jobs.MaximizeActivation(
        model=DIGEST,
        unit=Unit("mixer", 3, channel_axis=2),
        count=4,
        precision=computing.Precision.BFLOAT16,
    ),
    jobs.InspectUnits(
        model=DIGEST,
        units=(UNIT, Unit("fc", 1), Unit("fc", 0, weights=((3, 0.5), (8, -1.0)))),
        images=jobs.ImageSet((DIGEST,)),
    ),
    jobs.InspectUnits(
        model=DIGEST,
        units=(UNIT,),
        images=jobs.ImageSet((DIGEST,)),
        synthesis=syntheses.Synthesis(
            certification=Certification(variations=0, start_controls=True)
        ),
    ),
    jobs.DiscoverFacets(
        model=DIGEST,
        unit=UNIT,
        images=jobs.ImageSet((DIGEST,)),
        discovery=discoveries.Discovery(
            facets=discoveries.FacetRange(1, 7), clustering=discoveries.Clustering.K_MEANS
        ),
    ),
    jobs.DiscoverFacets(
        model=DIGEST,
        unit=UNIT,
        images=jobs.ImageSet((DIGEST,)),
        discovery=discoveries.Discovery(facets=None, clustering=discoveries.Clustering.HDBSCAN),
    ),
    jobs.DiscoverFacets(
        model=DIGEST, unit=UNIT, images=jobs.ImageSet((DIGEST,)), discovery=discoveries.PAPER
    ),
)
