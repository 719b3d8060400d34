"""From events to messages: what a client gets to see of a job's work."""

from __future__ import annotations

from typing import Any

from facetscope.domain.descriptions import Description, Parity, ParityAbsence
from facetscope.domain.events import (
    Box,
    Event,
    Facet,
    FacetCount,
    FacetEvidence,
    Forward,
    Manifest,
    Member,
    NaturalComparison,
    Picture,
    Preview,
    Progress,
    SynthesizedImage,
    UnitSkipped,
)
from facetscope.domain.inputs import Input, Origin
from facetscope.domain.units import Obstacle, ReceptiveField, Unit
from facetscope.gen.facetscope.v1 import facet_pb2, inspection_pb2, model_pb2, synthesis_pb2
from facetscope.rpc.certificates import certificate_message
from facetscope.rpc.enums import number as _number
from facetscope.rpc.presets import preset_messages


def event_message(sequence: int, event: Event) -> inspection_pb2.Event:
    """Write one event of a stream to the wire."""
    message = inspection_pb2.Event(sequence=sequence)
    match event:
        case Progress():
            message.progress.CopyFrom(_progress(event))
        case Preview():
            message.preview.CopyFrom(_preview(event))
        case FacetCount():
            message.facet_count.CopyFrom(_facet_count(event))
        case Facet():
            message.facet.CopyFrom(_facet(event))
        case SynthesizedImage():
            message.image.CopyFrom(_image(event))
        case UnitSkipped():
            message.skipped.CopyFrom(_skipped(event))
        case Manifest():
            message.manifest.CopyFrom(_manifest(event))
        case _:
            raise TypeError(f"{type(event).__name__} is no event of a stream")
    return message


def description_message(description: Description) -> inspection_pb2.DescribeModelResponse:
    """Write a description to the wire."""
    return inspection_pb2.DescribeModelResponse(
        digest=description.digest,
        format=description.format,
        input_tensors=[
            model_pb2.InputTensor(name=tensor.name, shape=tensor.shape)
            for tensor in description.input_tensors
        ],
        input=_input(description.input),
        layers=[
            model_pb2.Layer(
                name=described.layer.name,
                kind=described.layer.kind,
                shape=described.layer.shape,
                channel_axis=described.layer.channel_axis,
                channels=described.layer.channels,
                aliases=described.aliases,
                output=described.output,
                receptive_field=_receptive_field(described.layer.receptive_field),
                differentiable=described.obstacle is None,
                obstacle=_obstacle(described.obstacle),
            )
            for described in description.layers
        ],
        code_layer=description.code_layer,
        input_origins=[_origin(origin) for origin in description.input_origins],
        logits=description.logits,
        probabilities=description.probabilities,
        class_names=description.class_names,
        parity=_parity(description.parity),
        parity_absence=_parity_absence(description.parity),
        differentiable=description.obstacle is None,
        obstacle=_obstacle(description.obstacle),
        synthesis_presets=preset_messages(),
    )


def _progress(event: Progress) -> inspection_pb2.Progress:
    return inspection_pb2.Progress(
        phase=_number(inspection_pb2.WorkPhase, "WORK_PHASE", event.work),
        unit=_unit(event.unit),
        done=event.done,
        total=event.total,
        rate=event.rate,
        fraction=event.fraction,
        objective=event.objective,
        objectives=[
            inspection_pb2.ImageObjective(
                unit=_unit(told.unit),
                index=told.index,
                seed_index=told.seed_index,
                objective=told.objective,
            )
            for told in event.objectives
        ],
    )


def _preview(event: Preview) -> synthesis_pb2.PreviewImage:
    return synthesis_pb2.PreviewImage(
        unit=_unit(event.unit),
        index=event.index,
        seed_index=event.seed_index,
        step=event.step,
        objective=event.objective,
        picture=_picture(event.picture),
    )


def _facet_count(count: FacetCount) -> facet_pb2.FacetCount:
    return facet_pb2.FacetCount(
        unit=_unit(count.unit),
        images=count.images,
        candidates=[
            facet_pb2.FacetCandidate(
                facets=candidate.facets,
                silhouette=candidate.silhouette,
                stability=candidate.stability,
                separation=candidate.separation,
            )
            for candidate in count.candidates
        ],
        facets=count.facets,
        p_value=count.p_value,
        verdict=_number(facet_pb2.Verdict, "VERDICT", count.verdict),
        agreement=count.agreement,
        trustworthiness=count.trustworthiness,
        noise=count.noise,
    )


def _facet(facet: Facet) -> facet_pb2.Facet:
    return facet_pb2.Facet(
        unit=_unit(facet.unit),
        index=facet.index,
        members=[_member(member) for member in facet.members],
        mean_image=_picture(facet.mean_image),
        thumbnails=[_picture(picture) for picture in facet.thumbnails],
        silhouette=facet.silhouette,
        centroid=_point(facet.centroid),
        evidence=_evidence(facet.evidence),
        farthest_thumbnails=[_picture(picture) for picture in facet.farthest_thumbnails],
    )


def _evidence(evidence: FacetEvidence) -> facet_pb2.FacetEvidence:
    return facet_pb2.FacetEvidence(
        share=evidence.share,
        activation_mean=evidence.activation_mean,
        activation_std=evidence.activation_std,
        activation_least=evidence.activation_least,
        activation_most=evidence.activation_most,
        common_label=evidence.common_label,
        purity=evidence.purity,
        stability=evidence.stability,
        flags=[
            facet_pb2.FacetFlag(
                sign=_number(facet_pb2.Sign, "SIGN", flag.sign),
                strength=flag.strength,
                message=flag.message,
            )
            for flag in evidence.flags
        ],
    )


def _member(member: Member) -> facet_pb2.Member:
    return facet_pb2.Member(
        name=member.name,
        label=member.label,
        activation=member.activation,
        embedding=_point(member.embedding),
        distance=member.distance,
        silhouette=member.silhouette,
        crop=_box(member.crop),
    )


def _box(box: Box | None) -> facet_pb2.Box | None:
    if box is None:
        return None
    return facet_pb2.Box(left=box.left, top=box.top, width=box.width, height=box.height)


def _skipped(event: UnitSkipped) -> inspection_pb2.UnitSkipped:
    return inspection_pb2.UnitSkipped(
        unit=_unit(event.unit), reason=event.reason, message=event.message
    )


def _image(image: SynthesizedImage) -> synthesis_pb2.SynthesizedImage:
    return synthesis_pb2.SynthesizedImage(
        unit=_unit(image.unit),
        index=image.index,
        seed_index=image.seed_index,
        picture=_picture(image.picture),
        activation=image.activation,
        probability=image.probability,
        start_activation=image.start_activation,
        natural=_natural(image.natural),
        steps=image.steps,
        stopped_early=image.stopped_early,
        field=_box(image.field),
        certificate=certificate_message(image.certificate),
    )


def _manifest(manifest: Manifest) -> inspection_pb2.Manifest:
    return inspection_pb2.Manifest(
        model_digest=manifest.model_digest,
        image_set_digests=manifest.image_set_digests,
        input=_input(manifest.input),
        code_layer=manifest.code_layer,
        device=manifest.device,
        versions=manifest.versions,
        images_read=manifest.images_read,
        undecodable_images=manifest.undecodable_images,
        undecodable_count=manifest.undecodable_count,
        job_digest=manifest.job_digest,
        forward_runtime=_runtime(manifest.forward),
        forward_provider=manifest.forward.provider if manifest.forward else "",
        largest_batch=manifest.largest_batch,
        warnings=manifest.warnings,
    )


def _runtime(forward: Forward | None) -> Any:
    if forward is None:
        return model_pb2.RUNTIME_UNSPECIFIED
    return _number(model_pb2.Runtime, "RUNTIME", forward.runtime)


def _input(value: Input) -> model_pb2.Input:
    return model_pb2.Input(
        height=value.height,
        width=value.width,
        channels=value.channels,
        color_order=_number(model_pb2.ColorOrder, "COLOR_ORDER", value.color_order),
        layout=_number(model_pb2.Layout, "LAYOUT", value.layout),
        low=value.low,
        high=value.high,
        mean=value.mean,
        std=value.std,
        gamma=_number(model_pb2.Gamma, "GAMMA", value.gamma),
        fit=_number(model_pb2.Fit, "FIT", value.fit),
        resize=value.resize,
        interpolation=_number(model_pb2.Interpolation, "INTERPOLATION", value.interpolation),
    )


def _origin(origin: Origin) -> model_pb2.InputOrigin:
    return model_pb2.InputOrigin(
        field=origin.field,
        source=_number(model_pb2.InputSource, "INPUT_SOURCE", origin.source),
        evidence=origin.evidence,
    )


def _receptive_field(field: ReceptiveField | None) -> model_pb2.ReceptiveField | None:
    if field is None:
        return None
    return model_pb2.ReceptiveField(size=field.size, stride=field.stride, offset=field.offset)


def _unit(unit: Unit | None) -> model_pb2.Unit | None:
    if unit is None:
        return None
    return model_pb2.Unit(
        layer=unit.layer,
        channel=unit.channel,
        position=unit.position,
        channel_axis=unit.channel_axis,
        weights=[
            model_pb2.ChannelWeight(channel=channel, weight=weight)
            for channel, weight in unit.weights
        ],
    )


def _picture(picture: Picture) -> facet_pb2.EncodedImage:
    return facet_pb2.EncodedImage(
        data=picture.data,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        shape=picture.shape,
        element_type=picture.element_type,
        alpha=picture.alpha,
    )


def _point(point: tuple[float, float]) -> facet_pb2.Point:
    return facet_pb2.Point(x=point[0], y=point[1])


def _natural(natural: NaturalComparison | None) -> synthesis_pb2.NaturalComparison | None:
    if natural is None:
        return None
    return synthesis_pb2.NaturalComparison(
        images=natural.images, maximum=natural.maximum, percentile=natural.percentile
    )


def _obstacle(obstacle: Obstacle | None) -> model_pb2.Obstacle | None:
    if obstacle is None:
        return None
    return model_pb2.Obstacle(
        node=obstacle.node, operator=obstacle.operator, problem=obstacle.problem
    )


def _parity_absence(parity: Parity | ParityAbsence) -> model_pb2.ParityAbsence | None:
    if isinstance(parity, Parity):
        return None
    reason = _number(model_pb2.ParityAbsenceReason, "PARITY_ABSENCE_REASON", parity.reason)
    return model_pb2.ParityAbsence(reason=reason, problem=parity.problem)


def _parity(parity: Parity | ParityAbsence) -> model_pb2.Parity | None:
    if isinstance(parity, ParityAbsence):
        return None
    return model_pb2.Parity(
        output=parity.output,
        largest_absolute=parity.largest_absolute,
        largest_relative=parity.largest_relative,
        provider=parity.provider,
        runtime=parity.runtime,
    )
