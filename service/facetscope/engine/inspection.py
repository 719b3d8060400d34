"""From a job to its events: opens the model, and calls the algorithms."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import torch
from torch import Tensor

from facetscope.algorithms.parameterizations import magnitudes
from facetscope.domain.discoveries import Discovery
from facetscope.domain.errors import (
    ImagesUndecodableError,
    OutOfMemoryError,
    TooFewImagesError,
    UnitSilentError,
)
from facetscope.domain.events import Event, Manifest, Progress, UnitSkipped, Work
from facetscope.domain.jobs import (
    DescribeModel,
    DiscoverFacets,
    InlineImage,
    InspectUnits,
    Job,
    MaximizeActivation,
)
from facetscope.domain.syntheses import Synthesis
from facetscope.engine import frames
from facetscope.engine.certification import Certifier, readings_of
from facetscope.engine.discovery import discover
from facetscope.engine.encoding import Encoder
from facetscope.engine.image_sets import DECODED_BYTES, Decoding, OpenImageSet
from facetscope.engine.opened import PARITY_S, OpenModel, device_name, versions
from facetscope.engine.subjects import (
    Subject,
    Tools,
    aims_for,
    certifier_of,
    facet_aims,
    kept,
    transferred,
)
from facetscope.engine.survey import Survey
from facetscope.engine.synthesis import BUDGET, Studio, check_cost, cost
from facetscope.engine.targets import Target
from facetscope.models.memory import is_shortage

LISTED_UNDECODABLE: Final = 100


@final
class Inspector:
    """Does jobs, and keeps the model of the last one open."""

    def __init__(
        self,
        *,
        device: str,
        threads: int,
        parity_s: float = PARITY_S,
        decoded_bytes: int = DECODED_BYTES,
        budget: int = BUDGET,
    ) -> None:
        """Compute on ``device``: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is a GPU.

        A model's own runtime, wherever it is asked, has ``parity_s`` seconds to answer. Pictures
        take up to ``decoded_bytes`` of memory ahead of the network. All steps of a job may change
        ``budget`` pixels together.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        # Filling fresh memory costs time, and finds bugs only.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False
        self._parity_s = parity_s
        self._decoding = Decoding(decoded_bytes)
        self._budget = budget
        self._model: OpenModel | None = None

    def run(self, job: Job, paths: Mapping[str, Path]) -> Generator[Event]:
        """The events of ``job``, whose artifacts lie at ``paths``.

        Raises:
            InspectionError: The job cannot be done.
        """
        try:
            model = yield from self._open(job, paths[job.model])
            match job:
                case DescribeModel():
                    yield (yield from model.description())
                case DiscoverFacets():
                    yield from _discover_facets(model, job, self._tools(paths))
                case MaximizeActivation():
                    yield from _maximize_activation(model, job, self._tools(paths))
                case InspectUnits():
                    yield from _inspect_units(model, job, self._tools(paths))
        except (MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
            raise OutOfMemoryError(device_name(self._device)) from error

    def _tools(self, paths: Mapping[str, Path]) -> Tools:
        return Tools(paths, self._device, self._decoding, self._parity_s, self._budget)

    def _open(self, job: Job, path: Path) -> Generator[Progress, None, OpenModel]:
        model = self._model
        asked = (job.model, job.input, job.precision)
        if model is None or (model.digest, model.spec, model.precision) != asked:
            yield Progress(work=Work.LOADING_MODEL)
            self._model = None
            model = self._model = OpenModel(
                job.model,
                path,
                job.input,
                job.precision,
                self._device,
                parity_s=self._parity_s,
            )
        return model


def _discover_facets(model: OpenModel, job: DiscoverFacets, tools: Tools) -> Generator[Event]:
    encoder = _encoder(model, model.target(job.unit), job.discovery)
    images = OpenImageSet(model, job.images, tools.paths, tools.decoding)
    survey = yield from images.survey((job.unit,), job.discovery)
    found = yield from discover(survey, encoder, images.pixels, model.input)
    yield from found.facets
    yield _manifest(model, job, job.discovery, survey, images.warnings)


def _maximize_activation(
    model: OpenModel, job: MaximizeActivation, tools: Tools
) -> Generator[Event]:
    target, synthesis = model.target(job.unit), job.synthesis
    target.check(synthesis.method)
    starts = len(job.starts) or job.count
    images = _affordable([target], starts, synthesis, tools.budget)
    given = _decoded(model, job.starts, tools.decoding) if job.starts else None
    magnitude = None
    if job.spectrum:
        found = magnitudes(_decoded(model, job.spectrum, tools.decoding))
        magnitude = found.repeat(starts, 1, 1, 1)
    aims = aims_for(target, synthesis, starts, given=given, magnitude=magnitude)
    certifier = None
    if synthesis.certification is not None:
        readings = readings_of(target, None, synthesis.certification.layers, None)
        certifier = Certifier(synthesis.certification, readings, None, synthesis.seed)
    studio = _studio(model, synthesis, images, tools.budget)
    yield from studio.make(aims, certifier)
    yield from studio.finish()
    yield _manifest(model, job, largest_batch=studio.largest_batch)


def _inspect_units(model: OpenModel, job: InspectUnits, tools: Tools) -> Generator[Event]:
    synthesis, discovery = job.synthesis, job.discovery
    targets = {unit: model.target(unit) for unit in job.units}
    for target in targets.values():
        target.check(synthesis.method)
    expected = _affordable([*targets.values()], discovery.fewest, synthesis, tools.budget)
    encoders = {unit: _encoder(model, target, discovery) for unit, target in targets.items()}
    studio = _studio(model, synthesis, expected, tools.budget)
    images = OpenImageSet(model, job.images, tools.paths, tools.decoding)
    other = yield from transferred(job, model.input.channels, tools)
    survey = yield from images.survey(job.units, discovery)
    for unit in targets:
        try:
            found = yield from discover(
                survey, encoders[unit], images.pixels, model.input, kept=kept(job)
            )
        except (TooFewImagesError, UnitSilentError) as error:
            if len(targets) == 1:
                raise
            yield UnitSkipped(unit, error.reason, str(error))
            continue
        yield from found.facets
        subject = Subject(encoders[unit], survey, found, images, other)
        yield from studio.make(facet_aims(subject, synthesis), certifier_of(subject, synthesis))
    yield from studio.finish()
    yield _manifest(
        model, job, discovery, survey, images.warnings, largest_batch=studio.largest_batch
    )


def _studio(model: OpenModel, synthesis: Synthesis, expected: int, budget: int) -> Studio:
    layer = model.code_layer(synthesis.diversity_layer) if synthesis.diversity else None
    return Studio(synthesis, expected=expected, budget=budget, diversity_layer=layer)


def _affordable(targets: Sequence[Target], starts: int, synthesis: Synthesis, budget: int) -> int:
    """Number of images of ``starts`` for each target, at least, if they may be paid for.

    Raises:
        BudgetExceededError: They may not.
    """
    images = starts * synthesis.images_per_start + synthesis.has_control
    check_cost(images * sum(cost(synthesis, target) for target in targets), budget)
    return images * len(targets)


def _encoder(model: OpenModel, target: Target, discovery: Discovery) -> Encoder:
    encoder = Encoder(target, model.code_layer(discovery.code_layer), discovery)
    encoder.check()
    return encoder


def _decoded(model: OpenModel, pictures: Sequence[InlineImage], decoding: Decoding) -> Tensor:
    """Pictures of the request, in [0, 255], all of which must be readable."""
    (batch,) = decoding.load(pictures, model, batch=len(pictures))
    if batch.undecodable:
        names = batch.undecodable
        raise ImagesUndecodableError(len(names), len(pictures), names)
    return batch.pixels.float()


def _manifest(
    model: OpenModel,
    job: Job,
    discovery: Discovery | None = None,
    survey: Survey | None = None,
    warnings: tuple[str, ...] = (),
    *,
    largest_batch: int = 0,
) -> Manifest:
    undecodable = survey.undecodable if survey else ()
    images = job.images.digests if isinstance(job, DiscoverFacets | InspectUnits) else ()
    return Manifest(
        model_digest=model.digest,
        image_set_digests=images,
        input=model.input,
        code_layer=model.code_layer(discovery.code_layer).name if discovery else "",
        device=device_name(model.network.device),
        versions=versions(),
        images_read=len(survey.names) if survey else 0,
        undecodable_images=undecodable[:LISTED_UNDECODABLE],
        undecodable_count=len(undecodable),
        job_digest=frames.digest(job),
        forward=survey.forward if survey else None,
        largest_batch=largest_batch,
        warnings=(*(survey.warnings if survey else ()), *warnings),
    )
