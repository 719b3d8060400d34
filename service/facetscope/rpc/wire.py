"""From requests to jobs: where defaults are filled in and loose input becomes values, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from facetscope.artifacts.store import checked
from facetscope.domain.computing import Precision, Runtime
from facetscope.domain.discoveries import (
    PAPER,
    AllImages,
    Clustering,
    CodePooling,
    CodeWeighting,
    Discovery,
    FacetRange,
    LabelledImages,
    PredictedImages,
    QuantileImages,
    Selection,
    TopImages,
    View,
)
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import ColorOrder, Fit, Gamma, InputSpec, Interpolation, Layout
from facetscope.domain.jobs import (
    DescribeModel,
    DiscoverFacets,
    ImageSet,
    InlineImage,
    InspectUnits,
    MaximizeActivation,
)
from facetscope.domain.recipes import (
    FOURIER,
    MACO,
    Parameterization,
    Penalties,
    Recipe,
    Transforms,
)
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.syntheses import Alpha, Encoding, Start, Synthesis, Transfer
from facetscope.domain.units import Readout, Unit
from facetscope.gen.facetscope.v1 import facet_pb2, inspection_pb2, model_pb2, synthesis_pb2
from facetscope.rpc.certificates import certification_from
from facetscope.rpc.enums import member as _member
from facetscope.rpc.presets import RECIPES, SCHEDULES

Keep = Callable[[bytes], str]
"""Puts bytes that came inline into the store, and gives their digest."""

MOST_SOUGHT: Final = 10
"""The largest number of facets that is looked for, unless a request names it."""

DISCOVERY_PRESETS: Final = {
    facet_pb2.DISCOVERY_PRESET_UNSPECIFIED: Discovery(),
    facet_pb2.DISCOVERY_PRESET_PAPER: PAPER,
}


def describe_model_from(request: inspection_pb2.DescribeModelRequest, keep: Keep) -> DescribeModel:
    """Read a ``DescribeModel`` off the wire."""
    return DescribeModel(
        model=_model(request, keep),
        input=_input(request.input),
        precision=_precision(request.model),
    )


def discover_facets_from(
    request: inspection_pb2.DiscoverFacetsRequest, keep: Keep
) -> DiscoverFacets:
    """Read a ``DiscoverFacets`` off the wire."""
    return DiscoverFacets(
        model=_model(request, keep),
        input=_input(request.input),
        precision=_precision(request.model),
        unit=_unit(request.unit),
        images=_image_set(request.images),
        discovery=_discovery(request.discovery),
    )


def maximize_activation_from(
    request: inspection_pb2.MaximizeActivationRequest, keep: Keep
) -> MaximizeActivation:
    """Read a ``MaximizeActivation`` off the wire."""
    return MaximizeActivation(
        model=_model(request, keep),
        input=_input(request.input),
        precision=_precision(request.model),
        unit=_unit(request.unit),
        synthesis=_synthesis(
            request.synthesis, Start.GIVEN if request.starts else Start.NOISE, keep
        ),
        starts=_inline_images(request.starts),
        count=1 if request.starts else request.count or 1,
        spectrum=_inline_images(request.spectrum),
    )


def inspect_units_from(request: inspection_pb2.InspectUnitsRequest, keep: Keep) -> InspectUnits:
    """Read an ``InspectUnits`` off the wire."""
    return InspectUnits(
        model=_model(request, keep),
        input=_input(request.input),
        precision=_precision(request.model),
        units=tuple(_unit(unit) for unit in request.units),
        images=_image_set(request.images),
        discovery=_discovery(request.discovery),
        synthesis=_synthesis(request.synthesis, Start.FACET_MEAN, keep),
    )


def _model(request: Any, keep: Keep) -> str:
    model: model_pb2.Model = request.model
    match model.WhichOneof("source"):
        case "digest":
            return checked(model.digest, "model.digest")
        case "inline":
            return keep(model.inline)
    raise InvalidFieldError("model", "is required: give the digest of an artifact, or inline bytes")


def _precision(message: model_pb2.Model) -> Precision:
    chosen = _member("model.precision", Precision, model_pb2.Precision, message.precision)
    return chosen or Precision.FLOAT32


def _input(message: model_pb2.Input) -> InputSpec:
    return InputSpec(
        height=message.height or None,
        width=message.width or None,
        channels=message.channels or None,
        color_order=_member(
            "input.color_order", ColorOrder, model_pb2.ColorOrder, message.color_order
        ),
        layout=_member("input.layout", Layout, model_pb2.Layout, message.layout),
        low=message.low if message.HasField("low") else None,
        high=message.high if message.HasField("high") else None,
        mean=tuple(message.mean),
        std=tuple(message.std),
        gamma=_member("input.gamma", Gamma, model_pb2.Gamma, message.gamma),
        fit=_member("input.fit", Fit, model_pb2.Fit, message.fit),
        resize=message.resize or None,
        crop_fraction=message.crop_fraction if message.HasField("crop_fraction") else None,
        interpolation=_member(
            "input.interpolation", Interpolation, model_pb2.Interpolation, message.interpolation
        ),
    )


def _unit(message: model_pb2.Unit) -> Unit:
    if not message.layer:
        raise InvalidFieldError("unit.layer", "is required: DescribeModel lists the layers")
    return Unit(
        message.layer,
        message.channel,
        tuple(message.position) or None,
        message.channel_axis if message.HasField("channel_axis") else None,
        tuple((each.channel, each.weight) for each in message.weights),
    )


def _image_set(message: facet_pb2.ImageSet) -> ImageSet:
    digests = tuple(checked(digest, "images.digests") for digest in message.digests)
    return ImageSet(digests, _inline_images(message.inline))


def _inline_images(messages: Iterable[facet_pb2.InlineImage]) -> tuple[InlineImage, ...]:
    return tuple(
        InlineImage(message.name or str(index), message.label, message.data)
        for index, message in enumerate(messages)
    )


def _discovery(message: facet_pb2.Discovery) -> Discovery:
    if message.preset not in DISCOVERY_PRESETS:
        raise InvalidFieldError("discovery.preset", f"{message.preset} is unknown")
    default = DISCOVERY_PRESETS[message.preset]
    clustering = (
        _member("discovery.clustering", Clustering, facet_pb2.Clustering, message.clustering)
        or default.clustering
    )
    return Discovery(
        selection=_selection(message.selection) or default.selection,
        facets=_facets(message, clustering, default),
        clustering=clustering,
        ward_threshold=message.ward_threshold,
        bootstraps=message.bootstraps or default.bootstraps,
        significance=message.significance or default.significance,
        code_layer=message.code_layer or default.code_layer,
        components=message.components or default.components,
        whitening=message.whitening if message.HasField("whitening") else default.whitening,
        perplexity=message.perplexity or default.perplexity,
        averaged=message.averaged or default.averaged,
        thumbnails=message.thumbnails if message.HasField("thumbnails") else default.thumbnails,
        farthest=message.farthest if message.HasField("farthest") else default.farthest,
        seed=message.seed,
        code_pooling=_member(
            "discovery.code_pooling", CodePooling, facet_pb2.CodePooling, message.code_pooling
        )
        or default.code_pooling,
        code_weighting=_member(
            "discovery.code_weighting",
            CodeWeighting,
            facet_pb2.CodeWeighting,
            message.code_weighting,
        )
        or default.code_weighting,
        view=_member("discovery.view", View, facet_pb2.View, message.view) or default.view,
        runtime=_member("discovery.runtime", Runtime, model_pb2.Runtime, message.runtime)
        or default.runtime,
        undecodable_limit=message.undecodable_limit or default.undecodable_limit,
    )


def _facets(
    message: facet_pb2.Discovery, clustering: Clustering, default: Discovery
) -> int | FacetRange | None:
    """The number of facets, where to look for it, or ``None`` if the clustering finds it."""
    if message.HasField("facets") and message.HasField("range"):
        raise InvalidFieldError("discovery.range", "give the number of facets or a range, not both")
    if message.HasField("facets"):
        return message.facets
    if message.HasField("range"):
        minimum = message.range.minimum or 1
        return FacetRange(minimum, message.range.maximum or max(minimum, MOST_SOUGHT))
    finds_number = clustering is Clustering.HDBSCAN or message.ward_threshold > 0
    return None if finds_number else default.facets


def _selection(message: facet_pb2.Selection) -> Selection | None:
    match message.WhichOneof("rule"):
        case "label":
            return LabelledImages(message.label)
        case "predicted" if message.predicted:
            return PredictedImages()
        case "top":
            return TopImages(message.top)
        case "quantile":
            return QuantileImages(message.quantile)
        case "all" if message.all:
            return AllImages()
    return None


def _synthesis(message: synthesis_pb2.Synthesis, start: Start, keep: Keep) -> Synthesis:
    default = Synthesis()
    return Synthesis(
        method=_method(message),
        start=_member("synthesis.start", Start, synthesis_pb2.Start, message.start) or start,
        noise_mean=message.noise_mean if message.HasField("noise_mean") else default.noise_mean,
        noise_std=message.noise_std if message.HasField("noise_std") else default.noise_std,
        seed=message.seed,
        preview_interval=message.preview_interval,
        images_per_start=message.images_per_start or default.images_per_start,
        progress_interval=message.progress_interval or default.progress_interval,
        time_limit_s=message.time_limit_s,
        largest_batch=message.largest_batch or default.largest_batch,
        encoding=_member("synthesis.encoding", Encoding, synthesis_pb2.Encoding, message.encoding)
        or default.encoding,
        alpha=_member("synthesis.alpha", Alpha, synthesis_pb2.Alpha, message.alpha)
        or default.alpha,
        certification=certification_from(message),
        diversity=message.diversity,
        diversity_layer=message.diversity_layer,
        transfer=_transfer(message, keep),
    )


def _transfer(message: synthesis_pb2.Synthesis, keep: Keep) -> Transfer | None:
    if not message.HasField("transfer"):
        return None
    asked = message.transfer
    return Transfer(
        model=_model(asked, keep),
        unit=_unit(asked.unit),
        input=_input(asked.input),
        precision=_precision(asked.model),
    )


def _method(message: synthesis_pb2.Synthesis) -> Schedule | Recipe:
    if message.WhichOneof("method") == "recipe":
        return _recipe(message.recipe)
    return _schedule(message.schedule)


def _recipe(message: synthesis_pb2.Recipe) -> Recipe:
    parameterization = _member(
        "recipe.parameterization",
        Parameterization,
        synthesis_pb2.Parameterization,
        message.parameterization,
    )
    if message.preset and message.preset not in RECIPES:
        raise InvalidFieldError("recipe.preset", f"{message.preset} is unknown")
    usual = MACO if parameterization is Parameterization.MACO else FOURIER
    preset = RECIPES.get(message.preset, usual)
    return Recipe(
        parameterization=parameterization or preset.parameterization,
        steps=message.steps if message.HasField("steps") else preset.steps,
        learning_rate=message.learning_rate
        if message.HasField("learning_rate")
        else preset.learning_rate,
        transforms=_transforms(message.transforms)
        if message.HasField("transforms")
        else preset.transforms,
        penalties=_penalties(message.penalties)
        if message.HasField("penalties")
        else preset.penalties,
        decay=message.decay if message.HasField("decay") else preset.decay,
    )


def _transforms(message: synthesis_pb2.Transforms) -> Transforms:
    low = message.scale_low or 1.0
    return Transforms(
        jitter=message.jitter,
        scale=(low, message.scale_high or low),
        rotation=message.rotation,
        noise=message.noise,
    )


def _penalties(message: synthesis_pb2.Penalties) -> Penalties:
    return Penalties(total_variation=message.total_variation, l2=message.l2, blur=message.blur)


def _schedule(message: synthesis_pb2.Schedule) -> Schedule:
    if message.phases and message.preset:
        raise InvalidFieldError("synthesis.schedule", "give a preset or phases, not both")
    if message.preset not in SCHEDULES:
        raise InvalidFieldError("synthesis.schedule.preset", f"{message.preset} is unknown")
    preset = SCHEDULES[message.preset]
    return Schedule(
        tuple(map(_phase, message.phases)) or preset.phases,
        authors_ramps=message.authors_ramps or preset.authors_ramps,
        authors_steps=message.authors_steps or preset.authors_steps,
    )


def _phase(message: synthesis_pb2.Phase) -> Phase:
    readout = _member("phase.readout", Readout, model_pb2.Readout, message.readout)
    return Phase(
        steps=message.steps,
        step_size=(message.step_size_start, message.step_size_end or message.step_size_start),
        tv_weight=(message.tv_weight_start, message.tv_weight_end or message.tv_weight_start),
        window=message.window,
        margin=message.margin,
        scale=message.scale or 1.0,
        readout=readout or Readout.ACTIVATION,
    )
