"""The image set of a job, read as often as need be: only codes are kept of most images."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from torch import Tensor

from facetscope.domain.discoveries import Discovery, PredictedImages, View
from facetscope.domain.errors import LISTED, ImagesUndecodableError
from facetscope.domain.events import Progress
from facetscope.domain.jobs import ImageSet, InlineImage
from facetscope.domain.units import Unit
from facetscope.engine.allocator import give_back
from facetscope.engine.opened import OpenModel
from facetscope.engine.pace import Pace
from facetscope.engine.survey import Survey, Surveyor
from facetscope.images.archives import Archives
from facetscope.images.loading import Batch, load
from facetscope.images.samples import NamedPicture

DECODED_BYTES: Final = 256 * 2**20
"""Memory of pictures ahead of the network, unless an operator says otherwise."""

DECODING_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Decoding:
    """How pictures become pixels.

    Attributes:
        memory_bytes: What they may take ahead of the network, at most.
        threads: How many decode.
    """

    memory_bytes: int = DECODED_BYTES
    threads: int = DECODING_THREADS

    def load(
        self,
        pictures: Iterable[NamedPicture | InlineImage],
        model: OpenModel,
        *,
        batch: int | None = None,
    ) -> Iterator[Batch]:
        """Decode ``pictures`` for ``model``; see ``images.loading.load``."""
        return load(
            pictures,
            model.input,
            threads=self.threads,
            memory_bytes=self.memory_bytes,
            batch=batch,
        )


@final
class OpenImageSet:
    """The pictures that a job names, as its model sees them."""

    def __init__(
        self,
        model: OpenModel,
        images: ImageSet,
        paths: Mapping[str, Path],
        decoding: Decoding,
    ) -> None:
        """Open the image set of a job, whose archives lie at ``paths``."""
        self._model = model
        self._inline = images.inline
        self._decoding = decoding
        names = [f"archive {index} ({digest})" for index, digest in enumerate(images.digests)]
        self._archives = Archives([paths[digest] for digest in images.digests], names)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the sender of the set should know, each a sentence."""
        return self._archives.warnings

    def survey(
        self, units: Sequence[Unit], discovery: Discovery
    ) -> Generator[Progress, None, Survey]:
        """Pass the set through the network.

        Raises:
            ImagesUndecodableError: More pictures than the discovery allows could not be decoded.
        """
        read_from = {unit: self._model.target(unit).layer for unit in units}
        code_layer = self._model.code_layer(discovery.code_layer)
        layers = list(dict.fromkeys([*read_from.values(), code_layer]))
        with self._model.passes(layers, discovery.runtime) as passes:
            surveyor = Surveyor(
                passes,
                self._model.preprocessing,
                read_from,
                code_layer,
                pooling=discovery.code_pooling,
                predictions=isinstance(discovery.selection, PredictedImages),
                peaks=discovery.view is View.RECEPTIVE_FIELD,
            )
            batches = self._decoding.load(self._pictures(), self._model)
            survey = yield from Pace().of(surveyor.survey(batches), self._completed)
        give_back()
        bad, pictures_read = len(survey.undecodable), len(survey.undecodable) + len(survey.names)
        if bad > discovery.undecodable_limit * pictures_read:
            raise ImagesUndecodableError(
                bad, pictures_read, survey.undecodable[:LISTED], discovery.undecodable_limit
            )
        return survey

    def pixels(self, places: Sequence[int]) -> Iterator[Tensor]:
        """Pixels of the pictures at these places of the set, which ascend.

        Only these are read again, and decoded.
        """
        for batch in self._decoding.load(self._at(places), self._model):
            yield from batch.pixels

    def _pictures(self) -> Iterator[NamedPicture | InlineImage]:
        yield from self._archives.pictures()
        yield from self._inline

    def _at(self, places: Sequence[int]) -> Iterator[NamedPicture | InlineImage]:
        yield from self._archives.at(places)
        begin = self._archives.seen
        yield from (self._inline[place - begin] for place in places if place >= begin)

    def _completed(self, progress: Progress) -> Progress:
        """With what is known of the set's size."""
        total = self._archives.total
        return replace(
            progress,
            total=0 if total is None else total + len(self._inline),
            fraction=self._archives.fraction if total is None else None,
        )
