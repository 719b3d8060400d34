"""Codes that are not the same for all units: of crops, by attribution, or where the unit peaks.

The pass over all images stays forward only and the same for any number of units. What depends on a
unit is computed for its own images, in a second pass, by the differentiable graph.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import torch
from torch import Tensor

from facetscope.algorithms.codes import attributions_of, codes_of, on_grid
from facetscope.algorithms.objectives import unit_activation, unit_map
from facetscope.domain.discoveries import CodePooling, CodeWeighting, Discovery, View
from facetscope.domain.errors import (
    AttributionUndefinedError,
    NonFiniteActivationError,
    ReceptiveFieldUndefinedError,
)
from facetscope.domain.events import Progress, Work
from facetscope.domain.units import Layer
from facetscope.engine.targets import Target
from facetscope.engine.unit_sums import place_of
from facetscope.models.attribution import Attribution

BATCH: Final = 16
"""Images that are computed at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """Codes of one unit's own images.

    Attributes:
        target: The unit.
        code_layer: The layer whose activations become codes.
        discovery: How.
    """

    target: Target
    code_layer: Layer
    discovery: Discovery

    @property
    def is_needed(self) -> bool:
        """Whether the codes depend on the unit."""
        return (
            self.discovery.view is View.RECEPTIVE_FIELD
            or self.discovery.code_weighting is CodeWeighting.ATTRIBUTION
            or self._looks_where_the_unit_peaks
        )

    @property
    def _looks_where_the_unit_peaks(self) -> bool:
        """Whether codes are read at the unit's maximum: it has positions along the same axes."""
        axes = len(self.code_layer.extent)
        return (
            self.discovery.code_pooling is CodePooling.AT_MAXIMUM
            and axes > 0
            and axes == len(self.target.layer.extent)
        )

    def check(self) -> None:
        """Find out, before hours of work, whether there are such codes.

        Raises:
            ReceptiveFieldUndefinedError: The unit sees no window of the picture.
            AttributionUndefinedError: It has no gradient with respect to the code layer.
            OperatorUnsupportedError: A node on the way to them has no translation.
        """
        layer = self.target.layer
        if self.discovery.view is View.RECEPTIVE_FIELD and layer.receptive_field is None:
            raise ReceptiveFieldUndefinedError(layer.name, layer.shape)
        if self.discovery.code_weighting is CodeWeighting.ATTRIBUTION:
            black = torch.zeros((1, *self.target.shape), device=self.target.network.device)
            self._attributed(black)
        elif self.is_needed:
            self.target.network.reading([self.code_layer.name, layer.name])

    def encode(self, images: Iterable[Tensor], total: int) -> Generator[Progress, None, Tensor]:
        """Codes of ``total`` pictures with pixels in [0, 255], in their order, [image, channel].

        Raises:
            NonFiniteActivationError: The model gave NaN or infinity.
        """
        codes: list[Tensor] = []
        done = 0
        for batch in _batches(images):
            yield Progress(work=Work.ENCODING_IMAGES, unit=self.target.unit, done=done, total=total)
            codes.append(self.codes(batch.to(self.target.network.device).float()).cpu())
            done += len(batch)
        found = torch.cat(codes)
        if not found.isfinite().all():
            where = f"in the codes of images of unit {self.target.unit}"
            raise NonFiniteActivationError(self.code_layer.name, where)
        return found

    def codes(self, pixels: Tensor) -> Tensor:
        """Codes of a batch of pictures in [0, 255], [image, channel]."""
        pooling, axis = self.discovery.code_pooling, self.code_layer.channel_axis
        if self.discovery.code_weighting is CodeWeighting.ATTRIBUTION:
            values, of_unit, gradients = self._attributed(pixels)
            return attributions_of(values, gradients, axis, pooling, self._places(of_unit))
        with torch.inference_mode():
            values, of_unit = self._read(pixels)
            return codes_of(values, axis, pooling, self._places(of_unit))

    def _read(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        names = [self.code_layer.name, self.target.layer.name]
        values, of_unit = self.target.network.reading(names)(self.target.preprocessing(pixels))
        return values, of_unit

    def _attributed(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Activations of code layer and unit's layer, and the gradient between them."""
        values, of_unit, gradients = self._attribution()(
            self.target.preprocessing(pixels), self._score
        )
        if gradients is None:
            raise self._undefined("no gradient passes from one to the other")
        return values, of_unit, gradients

    def _attribution(self) -> Attribution:
        source, layer = self.code_layer.name, self.target.layer.name
        attribution = self.target.network.attribution(source, layer)
        if attribution is None:
            raise self._undefined("it is not computed from it")
        return attribution

    def _undefined(self, problem: str) -> AttributionUndefinedError:
        return AttributionUndefinedError(self.target.layer.name, self.code_layer.name, problem)

    def _score(self, activations: Tensor) -> Tensor:
        unit, axis = self.target.unit, self.target.layer.channel_axis
        return unit_activation(activations, unit.terms, axis, unit.position)

    def _places(self, of_unit: Tensor) -> Tensor | None:
        """Positions of the code layer to read at, where the unit has a say in them."""
        if not self._looks_where_the_unit_peaks:
            return None
        unit, layer = self.target.unit, self.target.layer
        if unit.position is None:
            peaks = unit_map(of_unit, unit.terms, layer.channel_axis).argmax(dim=1)
        else:
            place = place_of(unit, layer)
            peaks = torch.full((len(of_unit),), place, device=of_unit.device)
        return on_grid(peaks, layer.extent, self.code_layer.extent)


def _batches(images: Iterable[Tensor]) -> Iterator[Tensor]:
    remaining = iter(images)
    while batch := list(islice(remaining, BATCH)):
        yield torch.stack(batch)
