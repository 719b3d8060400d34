"""The certificates of a unit's images: every measure, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from facetscope.algorithms.certificates import activation as activations
from facetscope.algorithms.certificates.absences import Known, absences
from facetscope.algorithms.certificates.paths import path_similarities, rank_correlations
from facetscope.algorithms.certificates.reference import Readings, Reference, read, states
from facetscope.algorithms.certificates.round_trips import round_trips
from facetscope.algorithms.certificates.spectra import deviation_of, slopes
from facetscope.algorithms.certificates.starts import excess, likenesses, shortfall
from facetscope.algorithms.certificates.variations import variation
from facetscope.algorithms.certificates.verdicts import reasons, verdict, votes
from facetscope.algorithms.codes import Codes
from facetscope.algorithms.shapes import Images, Scores
from facetscope.domain.certificates import Certificate, Certification, LayerSimilarity


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """The starts of a unit's ascents, and what was reached from each by the same schedule.

    Attributes:
        starts: One for each, with a control from noise among them where there is one.
        activations: Reached from each; the mean where several ascents began there.
    """

    starts: Float[Tensor, "start channel height width"]
    activations: Float[Tensor, " start"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an image comes from.

    Attributes:
        facet: The facet that it is for; ``None`` where it is for none.
        start: Index of its start among the controls; ``None`` where it is not among them.
    """

    facet: int | None = None
    start: int | None = None


@torch.no_grad()
def certify(
    images: Images,
    origins: Sequence[Origin],
    readings: Readings,
    certification: Certification,
    *,
    generators: Sequence[torch.Generator],
    reference: Reference | None = None,
    controls: Controls | None = None,
) -> list[Certificate]:
    """The certificates of images of one unit, in their order.

    It takes a pass of each image for its activation, one for its code, one for its path, one for
    each of its variations, and one through the other model where there is one.

    Args:
        images: Pixels, as they are delivered.
        origins: Of each image.
        readings: What the model says of pixels.
        certification: What is asked for.
        generators: The randomness of each image, on the CPU.
        reference: What natural images say; without it most measures are not defined.
        controls: Starts; without them the bias of the start is not known.
    """
    reached = read(readings.activations, images)
    perturbed = _perturbed(images, readings, certification.variations, generators)
    begun = [_begun(*each) for each in zip(reached, perturbed, slopes(images), strict=True)]
    if reference is not None:
        begun = [_compared(each, reference) for each in begun]
        begun = _round_trips(begun, images, origins, readings, reference)
        begun = _paths(begun, images, origins, readings, reference)
        begun = _transferred(begun, images, readings, reference)
    if controls is not None:
        begun = _started(begun, images, origins, controls, reference)
    known = Known(certification, readings, reference, starts=controls is not None)
    return [_judged(*each, known) for each in zip(begun, origins, strict=True)]


def _perturbed(
    images: Images, readings: Readings, count: int, generators: Sequence[torch.Generator]
) -> Float[Tensor, "image variation"]:
    """Activations of the unit for variations of each image."""
    if not count:
        return images.new_empty((len(images), 0))
    varied = [read(readings.activations, variation(images, generators)) for _ in range(count)]
    return torch.stack(varied, dim=1)


def _begun(reached: Tensor, perturbed: Scores, slope: Tensor) -> Certificate:
    """What needs no natural images."""
    measured = len(perturbed) > 0
    return Certificate(
        verdict=None,
        reasons=(),
        undefined=(),
        activation=float(reached),
        robust_activation=float(perturbed.mean()) if measured else None,
        worst_activation=float(perturbed.min()) if measured else None,
        spectrum_slope=_defined(slope),
    )


def _compared(measured: Certificate, reference: Reference) -> Certificate:
    """With activations and spectra of natural images."""
    natural, own = reference.natural.activations, reference.natural.own
    reached, robust, slope = (
        measured.activation,
        measured.robust_activation,
        measured.spectrum_slope,
    )
    return replace(
        measured,
        percentile=activations.percentile(reached, natural),
        ratio=activations.ratio(reached, natural),
        margin=activations.margin(reached, own),
        robust_margin=None if robust is None else activations.margin(robust, own),
        retained=None if robust is None else activations.retained(robust, reached, natural),
        spectrum_deviation=None if slope is None else deviation_of(slope, reference.slopes),
    )


def _round_trips(
    begun: Sequence[Certificate],
    images: Images,
    origins: Sequence[Origin],
    readings: Readings,
    reference: Reference,
) -> list[Certificate]:
    natural = reference.natural
    codes = read(readings.codes, images).to(natural.codes.device)
    found = round_trips(codes, natural.codes, natural.facets)
    return [
        replace(
            measured,
            nearest_facet=int(found.nearest[index]),
            facet_margin=None
            if origin.facet is None
            else _defined(found.margins[index, origin.facet]),
            outlying=_defined(found.outlyings[index]),
        )
        for index, (measured, origin) in enumerate(zip(begun, origins, strict=True))
    ]


def _paths(
    begun: Sequence[Certificate],
    images: Images,
    origins: Sequence[Origin],
    readings: Readings,
    reference: Reference,
) -> list[Certificate]:
    layers = states(images, readings)
    return [
        _path(
            measured,
            [layer[index : index + 1] for layer in layers],
            measured.nearest_facet if origin.facet is None else origin.facet,
            readings.layers,
            reference,
        )
        for index, (measured, origin) in enumerate(zip(begun, origins, strict=True))
    ]


def _path(
    measured: Certificate,
    image: Sequence[Tensor],
    facet: int | None,
    layers: Sequence[str],
    reference: Reference,
) -> Certificate:
    if facet is None or not reference.is_path_known(facet):
        return measured
    kin, strange = reference.states[facet], reference.strange
    found = tuple(
        LayerSimilarity(name, _similarity(*codes))
        for name, *codes in zip(layers, image, kin, strange, strict=True)
    )
    values = [layer.similarity for layer in found]
    return replace(
        measured,
        path=found,
        path_similarity=sum(values) / len(values),
        least_path_similarity=min(values),
    )


def _similarity(
    image: Codes, kin: Float[Tensor, "witness channel"], strange: Float[Tensor, "stranger channel"]
) -> float:
    """Path similarity of an image at one layer."""
    to_kin = [rank_correlations(codes, kin) for codes in (image, kin, strange)]
    return float(path_similarities(*to_kin))


def _transferred(
    begun: Sequence[Certificate], images: Images, readings: Readings, reference: Reference
) -> list[Certificate]:
    natural, transferred = reference.natural.transferred, readings.transferred
    if natural is None or transferred is None:
        return list(begun)
    return [
        replace(measured, transfer_percentile=activations.percentile(float(reached), natural))
        for measured, reached in zip(begun, read(transferred, images), strict=True)
    ]


def _started(
    begun: Sequence[Certificate],
    images: Images,
    origins: Sequence[Origin],
    controls: Controls,
    reference: Reference | None,
) -> list[Certificate]:
    like = likenesses(images, controls.starts.to(images))
    ordinary = None if reference is None else float(reference.natural.activations.median())
    return [
        _biased(measured, like[index], origin.start, controls.activations, ordinary)
        for index, (measured, origin) in enumerate(zip(begun, origins, strict=True))
    ]


def _biased(
    measured: Certificate,
    likeness: Float[Tensor, " start"],
    own: int | None,
    reached: Float[Tensor, " start"],
    ordinary: float | None,
) -> Certificate:
    if own is None:
        return measured
    elsewhere = torch.cat([reached[:own], reached[own + 1 :]])
    lost = (
        None
        if ordinary is None or not len(elsewhere)
        else shortfall(float(elsewhere.mean()), measured.activation, ordinary)
    )
    return replace(
        measured,
        start_shortfall=lost,
        start_likeness=_defined(likeness[own]),
        start_excess=excess(likeness, own),
    )


def _judged(measured: Certificate, origin: Origin, known: Known) -> Certificate:
    values = votes(measured)
    said = reasons(values, known.certification.thresholds)
    missing = absences(values, known, has_facet=origin.facet is not None)
    return replace(measured, verdict=verdict(said), reasons=said, undefined=missing)


def _defined(value: Tensor) -> float | None:
    """A number that is not NaN."""
    return None if value.isnan() else float(value)
