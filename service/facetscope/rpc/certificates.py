"""Certificates on the wire: what a request asks of them, and what an image gets."""

from collections.abc import Iterable
from typing import Any

from facetscope.domain.certificates import (
    THRESHOLDS,
    Certificate,
    Certification,
    Level,
    Measure,
    Threshold,
)
from facetscope.domain.errors import InvalidFieldError
from facetscope.gen.facetscope.v1 import certificate_pb2, synthesis_pb2
from facetscope.rpc.enums import member, number


def certification_from(asking: synthesis_pb2.Synthesis) -> Certification | None:
    """Read what certificates shall hold off the wire; ``None`` where none are asked for."""
    if not asking.HasField("certification"):
        return None
    message, default = asking.certification, Certification()
    return Certification(
        variations=message.variations if message.HasField("variations") else default.variations,
        witnesses=message.witnesses or default.witnesses,
        layers=message.layers if message.HasField("layers") else default.layers,
        start_controls=message.start_controls,
        thresholds=_thresholds(message.thresholds),
    )


def certificate_message(certificate: Certificate | None) -> certificate_pb2.Certificate | None:
    """Write a certificate to the wire, if there is one."""
    if certificate is None:
        return None
    return certificate_pb2.Certificate(
        verdict=_level(certificate.verdict),
        reasons=[
            certificate_pb2.CertificateReason(
                measure=number(certificate_pb2.Measure, "MEASURE", reason.measure),
                level=_level(reason.level),
                sentence=reason.sentence,
            )
            for reason in certificate.reasons
        ],
        undefined=[
            certificate_pb2.UndefinedMeasure(
                measure=number(certificate_pb2.Measure, "MEASURE", absent.measure),
                why=absent.why,
            )
            for absent in certificate.undefined
        ],
        path=[
            certificate_pb2.LayerSimilarity(layer=each.layer, similarity=each.similarity)
            for each in certificate.path
        ],
        activation=certificate.activation,
        percentile=certificate.percentile,
        ratio=certificate.ratio,
        margin=certificate.margin,
        robust_activation=certificate.robust_activation,
        worst_activation=certificate.worst_activation,
        robust_margin=certificate.robust_margin,
        retained=certificate.retained,
        nearest_facet=certificate.nearest_facet,
        facet_margin=certificate.facet_margin,
        outlying=certificate.outlying,
        path_similarity=certificate.path_similarity,
        least_path_similarity=certificate.least_path_similarity,
        spectrum_slope=certificate.spectrum_slope,
        spectrum_deviation=certificate.spectrum_deviation,
        start_shortfall=certificate.start_shortfall,
        start_likeness=certificate.start_likeness,
        start_excess=certificate.start_excess,
        transfer_percentile=certificate.transfer_percentile,
    )


def _thresholds(messages: Iterable[certificate_pb2.Threshold]) -> tuple[Threshold, ...]:
    """Of every measure: as given, or else the default."""
    field = "synthesis.certification.thresholds"
    given: dict[Measure, Threshold] = {}
    for message in messages:
        measure = member(f"{field}.measure", Measure, certificate_pb2.Measure, message.measure)
        if measure is None:
            raise InvalidFieldError(f"{field}.measure", "is required")
        if measure in given:
            raise InvalidFieldError(field, f"{measure.name} is given twice: give it once")
        given[measure] = Threshold(measure, message.green, message.red)
    return tuple(given.get(default.measure, default) for default in THRESHOLDS)


def _level(level: Level | None) -> Any:
    if level is None:
        return certificate_pb2.TRUST_LEVEL_UNSPECIFIED
    return number(certificate_pb2.TrustLevel, "TRUST_LEVEL", level)
