"""A unit as what is maximized: read from pixels, and checked before hours of work."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facetscope.algorithms.objectives import unit_activation, unit_probability
from facetscope.domain.errors import GradientUnavailableError, ReadoutUndefinedError
from facetscope.domain.events import Box
from facetscope.domain.recipes import Recipe
from facetscope.domain.schedules import CENTER_BIASED, Schedule
from facetscope.domain.units import Layer, Readout, Unit
from facetscope.engine.sights import box_at
from facetscope.images.preprocessing import Preprocessing
from facetscope.models.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A unit, read from pixels.

    Attributes:
        network: The model.
        preprocessing: How pixels become its input.
        unit: The unit.
        layer: The layer that it is read from.
        shape: Channels, height and width of the pixels.
    """

    network: Network
    preprocessing: Preprocessing
    unit: Unit
    layer: Layer
    shape: tuple[int, int, int]

    @property
    def readouts(self) -> Sequence[Readout]:
        """What can be maximized: the probability only where the unit is a class."""
        is_class = self.network.is_classes(self.layer) and not self.unit.is_direction
        return tuple(Readout) if is_class else (Readout.ACTIVATION,)

    @property
    def field(self) -> Box | None:
        """What of the picture a unit at a position depends on, where that is known."""
        if self.unit.position is None or self.layer.receptive_field is None:
            return None
        row, column = self.unit.position
        return box_at(self.layer.receptive_field, (row, column), *self.shape[1:])

    def score(self, values: Tensor, readout: Readout = Readout.ACTIVATION) -> Tensor:
        """One number for each image, of what the unit's layer gives for them."""
        unit, axis = self.unit, self.layer.channel_axis
        if readout is Readout.PROBABILITY:
            return unit_probability(values.flatten(1), unit.channel)
        return unit_activation(values, unit.terms, axis, unit.position)

    def activation(self, pixels: Tensor) -> Tensor:
        """The unit's activation for each picture in [0, 255]."""
        (values,) = self.network.reading([self.layer.name])(self.preprocessing(pixels))
        return self.score(values)

    def check(self, method: Schedule | Recipe) -> None:
        """Find out, before hours of work, whether an ascent is possible.

        Raises:
            GradientUnavailableError: The unit has no gradient.
            OperatorUnsupportedError: A node on the way to it has no translation.
            ReadoutUndefinedError: The schedule asks for a probability that the unit does not have.
        """
        if isinstance(method, Schedule):
            self.schedule(method)
        black = torch.zeros((1, *self.shape), device=self.network.device, requires_grad=True)
        if not self.activation(black).requires_grad:
            raise self._without_gradient(black)

    def _without_gradient(self, pixels: Tensor) -> GradientUnavailableError:
        """What stands in the way of the gradient, which is known to be missing."""
        shape = tuple(self.preprocessing(pixels).shape)
        obstacle = self.network.obstacles(shape)[self.layer.name]
        return GradientUnavailableError(
            self.layer.name, obstacle.node, obstacle.operator, obstacle.problem
        )

    def schedule(self, asked: Schedule) -> Schedule:
        """The schedule for this unit: the center-biased preset reads activations of hidden ones.

        Raises:
            ReadoutUndefinedError: Own phases ask for a probability that the unit does not have.
        """
        if all(phase.readout in self.readouts for phase in asked.phases):
            return asked
        if asked.phases != CENTER_BIASED.phases:
            direction = str(self.unit) if self.unit.is_direction else ""
            raise ReadoutUndefinedError(self.layer.name, self.layer.shape, direction)
        phases = tuple(replace(phase, readout=Readout.ACTIVATION) for phase in asked.phases)
        return replace(asked, phases=phases)
