"""From a job to its events: opens the model, and calls the algorithms."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import torch
from torch import Tensor

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
    Discovery,
    InspectUnits,
    Job,
    MaximizeActivation,
    Start,
    Synthesis,
    artifacts,
)
from facetscope.engine import frames
from facetscope.engine.discovery import Discovered, discover
from facetscope.engine.encoding import Encoder
from facetscope.engine.image_sets import DECODED_BYTES, Decoding, OpenImageSet
from facetscope.engine.opened import PARITY_S, OpenModel, device_name, versions
from facetscope.engine.survey import Survey
from facetscope.engine.synthesis import BUDGET, Aim, Studio, check_cost, cost, noise
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
                    images = OpenImageSet(model, job.images, paths, self._decoding)
                    yield from _discover_facets(model, job, images)
                case MaximizeActivation():
                    yield from _maximize_activation(model, job, self._decoding, self._budget)
                case InspectUnits():
                    images = OpenImageSet(model, job.images, paths, self._decoding)
                    yield from _inspect_units(model, job, images, self._budget)
        except (MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
            raise OutOfMemoryError(device_name(self._device)) from error

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


def _discover_facets(
    model: OpenModel, job: DiscoverFacets, images: OpenImageSet
) -> Generator[Event]:
    encoder = _encoder(model, model.target(job.unit), job.discovery)
    survey = yield from images.survey((job.unit,), job.discovery)
    found = yield from discover(survey, encoder, images.pixels, model.input)
    yield from found.facets
    yield _manifest(model, job, job.discovery, survey, images.warnings)


def _maximize_activation(
    model: OpenModel, job: MaximizeActivation, decoding: Decoding, budget: int
) -> Generator[Event]:
    target = model.target(job.unit)
    target.check(job.synthesis.schedule)
    count = len(job.starts) or job.count
    expected = _affordable(count, [target], job.synthesis, budget)
    given = _given(model, job, decoding) if job.starts else None
    aims = _aims(target, job.synthesis, count, given, None)
    studio = Studio(job.synthesis, expected=expected, budget=budget)
    yield from studio.make(aims)
    yield from studio.finish()
    yield _manifest(model, job, largest_batch=studio.largest_batch)


def _inspect_units(
    model: OpenModel, job: InspectUnits, images: OpenImageSet, budget: int
) -> Generator[Event]:
    targets = {unit: model.target(unit) for unit in job.units}
    for target in targets.values():
        target.check(job.synthesis.schedule)
    expected = _affordable(job.discovery.fewest, [*targets.values()], job.synthesis, budget)
    encoders = {unit: _encoder(model, target, job.discovery) for unit, target in targets.items()}
    studio = Studio(job.synthesis, expected=expected, budget=budget)
    survey = yield from images.survey(job.units, job.discovery)
    for unit, target in targets.items():
        try:
            found = yield from discover(survey, encoders[unit], images.pixels, model.input)
        except (TooFewImagesError, UnitSilentError) as error:
            if len(targets) == 1:
                raise
            yield UnitSkipped(unit, error.reason, str(error))
            continue
        yield from found.facets
        yield from studio.make(_facet_aims(target, job, found, survey))
    yield from studio.finish()
    yield _manifest(
        model, job, job.discovery, survey, images.warnings, largest_batch=studio.largest_batch
    )


def _affordable(starts: int, targets: Sequence[Target], synthesis: Synthesis, budget: int) -> int:
    """Number of images of ``starts`` for each target, at least, if they may be paid for.

    Raises:
        BudgetExceededError: They may not.
    """
    images = starts * synthesis.images_per_start
    check_cost(images * sum(cost(synthesis, target) for target in targets), budget)
    return images * len(targets)


def _encoder(model: OpenModel, target: Target, discovery: Discovery) -> Encoder:
    encoder = Encoder(target, model.code_layer(discovery.code_layer), discovery)
    encoder.check()
    return encoder


def _facet_aims(target: Target, job: InspectUnits, found: Discovered, survey: Survey) -> list[Aim]:
    means = found.mean_images if job.synthesis.start is Start.FACET_MEAN else None
    natural = survey.activations[target.unit]
    return _aims(target, job.synthesis, len(found.facets), means, natural)


def _aims(
    target: Target,
    synthesis: Synthesis,
    count: int,
    starts: Tensor | None,
    natural: Tensor | None,
) -> list[Aim]:
    """Images to be made of ``target``, from ``starts`` or from noise, of the first start first."""
    return [
        Aim(
            target,
            index,
            seed_index,
            noise(target, synthesis, index, seed_index) if starts is None else starts[index],
            natural,
        )
        for index in range(count)
        for seed_index in range(synthesis.images_per_start)
    ]


def _given(model: OpenModel, job: MaximizeActivation, decoding: Decoding) -> Tensor:
    (batch,) = decoding.load(job.starts, model, batch=len(job.starts))
    if batch.undecodable:
        names = batch.undecodable
        raise ImagesUndecodableError(len(names), len(job.starts), names)
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
    return Manifest(
        model_digest=model.digest,
        image_set_digests=artifacts(job)[1:],
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
