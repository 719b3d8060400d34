"""From a job to its events: opens the model, and calls the algorithms."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, final

import torch
from torch import Tensor

from facetscope.domain.errors import ImagesUndecodableError, OutOfMemoryError
from facetscope.domain.events import Event, Manifest, Progress, Work
from facetscope.domain.jobs import (
    DescribeModel,
    DiscoverFacets,
    Discovery,
    ImageSet,
    InlineImage,
    InspectUnits,
    Job,
    MaximizeActivation,
    PredictedImages,
    Start,
    artifacts,
)
from facetscope.domain.units import Unit
from facetscope.engine import frames
from facetscope.engine.discovery import Discovered, discover
from facetscope.engine.opened import PARITY_S, OpenModel, device_name, versions
from facetscope.engine.survey import Survey, Surveyor
from facetscope.engine.synthesis import Target, noise, synthesize
from facetscope.images.archives import NamedPicture, pictures
from facetscope.images.loading import Batch, load
from facetscope.models.memory import is_shortage

BATCH: Final = 16
DECODING_THREADS: Final = 2
LISTED_UNDECODABLE: Final = 100


@final
class Inspector:
    """Does jobs, and keeps the model of the last one open."""

    def __init__(self, *, device: str, threads: int, parity_s: float = PARITY_S) -> None:
        """Compute on ``device``: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is a GPU.

        A model's own runtime, wherever it is asked, has ``parity_s`` seconds to answer.
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
                    yield from _discover_facets(model, job, paths)
                case MaximizeActivation():
                    yield from _maximize_activation(model, job)
                case InspectUnits():
                    yield from _inspect_units(model, job, paths)
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
    model: OpenModel, job: DiscoverFacets, paths: Mapping[str, Path]
) -> Generator[Event]:
    images = _Images(model, job.images, paths)
    survey = yield from images.survey((job.unit,), job.discovery)
    found = yield from discover(survey, job.unit, job.discovery, images.pixels)
    yield from found.facets
    yield _manifest(model, job, job.discovery, survey)


def _maximize_activation(model: OpenModel, job: MaximizeActivation) -> Generator[Event]:
    target = model.target(job.unit)
    target.check(job.synthesis.schedule)
    if job.starts:
        starts = _given(model, job)
    else:
        starts = noise((job.count, *target.shape), job.synthesis, job.unit)
    yield from synthesize(target, starts, job.synthesis, natural=None)
    yield _manifest(model, job)


def _inspect_units(
    model: OpenModel, job: InspectUnits, paths: Mapping[str, Path]
) -> Generator[Event]:
    images = _Images(model, job.images, paths)
    targets = {unit: model.target(unit) for unit in job.units}
    for target in targets.values():
        target.check(job.synthesis.schedule)
    survey = yield from images.survey(job.units, job.discovery)
    for unit, target in targets.items():
        found = yield from discover(survey, unit, job.discovery, images.pixels)
        yield from found.facets
        starts = _starts(target, job, found)
        yield from synthesize(target, starts, job.synthesis, survey.activations[unit])
    yield _manifest(model, job, job.discovery, survey)


def _starts(target: Target, job: InspectUnits, found: Discovered) -> Tensor:
    if job.synthesis.start is Start.FACET_MEAN:
        return found.mean_images
    return noise((len(found.facets), *target.shape), job.synthesis, target.unit)


def _given(model: OpenModel, job: MaximizeActivation) -> Tensor:
    (batch,) = load(job.starts, model.input, batch=len(job.starts), threads=DECODING_THREADS)
    if batch.undecodable:
        names = batch.undecodable
        raise ImagesUndecodableError(len(names), len(job.starts), names)
    return batch.pixels.float()


@final
class _Images:
    """The image set of a job, read as often as need be: only codes are kept of most images."""

    def __init__(self, model: OpenModel, images: ImageSet, paths: Mapping[str, Path]) -> None:
        self._model = model
        self._images = images
        self._archives = [paths[digest] for digest in images.digests]

    def survey(
        self, units: Sequence[Unit], discovery: Discovery
    ) -> Generator[Progress, None, Survey]:
        """Pass the set through the network."""
        read_from = {unit: self._model.target(unit).layer for unit in units}
        code_layer = self._model.code_layer(discovery.code_layer)
        layers = list(dict.fromkeys([*read_from.values(), code_layer]))
        with self._model.passes(layers, discovery.runtime) as passes:
            surveyor = Surveyor(
                passes,
                self._model.preprocessing,
                read_from,
                code_layer,
                predictions=isinstance(discovery.selection, PredictedImages),
            )
            return (yield from surveyor.survey(self._load(self._pictures())))

    def pixels(self, places: Sequence[int]) -> Iterator[Tensor]:
        """Pixels of the pictures at these places of the set, which ascend."""
        for batch in self._load(self._at(places)):
            yield from batch.pixels

    def _at(self, places: Sequence[int]) -> Iterator[NamedPicture | InlineImage]:
        chosen = frozenset(places)
        last = islice(self._pictures(), places[-1] + 1)
        return (picture for place, picture in enumerate(last) if place in chosen)

    def _pictures(self) -> Iterator[NamedPicture | InlineImage]:
        for index, archive in enumerate(self._archives):
            yield from pictures(archive, source=f"archive {index} ({self._images.digests[index]})")
        yield from self._images.inline

    def _load(self, chosen: Iterable[NamedPicture | InlineImage]) -> Iterator[Batch]:
        return load(chosen, self._model.input, batch=BATCH, threads=DECODING_THREADS)


def _manifest(
    model: OpenModel, job: Job, discovery: Discovery | None = None, survey: Survey | None = None
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
        warnings=survey.warnings if survey else (),
    )
