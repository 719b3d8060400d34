"""Activations of many units of one layer at once: channels are picked, directions multiplied."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from facetscope.domain.units import Layer, Unit


@final
class UnitSums:
    """The weighted sums of a layer's channels that some units are.

    All directions together are one product of matrices; a channel costs no arithmetic. What goes in
    is [image, channel, position], as ``algorithms.codes.by_position`` has it.

    Attributes:
        units: In the order of what comes out: channels first, then directions.
    """

    def __init__(self, units: Sequence[Unit], layer: Layer) -> None:
        """Expect activations of ``layer``."""
        channels = [unit for unit in units if not unit.is_direction]
        directions = [unit for unit in units if unit.is_direction]
        self.units = (*channels, *directions)
        self._channels = [unit.channel for unit in channels]
        self._places = [place_of(unit, layer) for unit in self.units if unit.position]
        self._weights = torch.zeros(len(directions), layer.channels, dtype=torch.float64)
        for row, unit in zip(self._weights, directions, strict=True):
            for channel, weight in unit.weights:
                row[channel] = weight

    def means(self, values: Tensor) -> Tensor:
        """Over all positions, [image, unit]."""
        means = values[:, self._channels].mean(dim=2)
        if not len(self._weights):
            return means
        return torch.cat([means, values.mean(dim=2) @ self._weights.to(values).T], dim=1)

    def peaks(self, values: Tensor) -> Tensor:
        """The position of the largest of each unit's own map, [image, unit]."""
        peaks = values[:, self._channels].argmax(dim=2)
        if not len(self._weights):
            return peaks
        maps = torch.matmul(self._weights.to(values), values)
        return torch.cat([peaks, maps.argmax(dim=2)], dim=1)

    def at_positions(self, values: Tensor) -> Tensor:
        """At the position of each unit, where all have one, [image, unit]."""
        count = len(self._channels)
        elements = values[:, self._channels, self._places[:count]]
        if not len(self._weights):
            return elements
        columns = values[:, :, self._places[count:]] * self._weights.to(values).T
        return torch.cat([elements, columns.sum(dim=1)], dim=1)


def place_of(unit: Unit, layer: Layer) -> int:
    """The position of a unit that has one, counted as in ``algorithms.codes``."""
    place = 0
    for index, size in zip(unit.position or (), layer.extent, strict=True):
        place = place * size + index
    return place
