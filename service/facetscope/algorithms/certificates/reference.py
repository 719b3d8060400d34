"""What natural images say of a unit, computed once for all images that are compared with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from facetscope.algorithms.certificates.spectra import slopes
from facetscope.algorithms.codes import Codes
from facetscope.algorithms.shapes import Images, Scores
from facetscope.domain.certificates import FEWEST_WITNESSES

BATCH: Final = 8
"""Images that are read at once: a step of an ascent needs more memory for as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a model says of a batch of images, one row for each, whatever the batch.

    Attributes:
        activations: Of the unit.
        codes: Of the images, as facets were discovered by.
        path: Of each of ``layers``, the mean of every channel over the layer's positions.
        layers: Names of the layers on the way to the unit that are compared, first to last.
        transferred: Activations of the unit's counterpart in another model; ``None`` without one.
    """

    activations: Callable[[Images], Scores]
    codes: Callable[[Images], Codes]
    path: Callable[[Images], Sequence[Codes]]
    layers: tuple[str, ...]
    transferred: Callable[[Images], Scores] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Natural:
    """Natural images, and what is known of them.

    Attributes:
        activations: Of the unit, for all images of the set.
        own: Of the unit, for its own images.
        codes: Of its own images, in the same order.
        facets: Of its own images, in the same order.
        witnesses: Of each facet, the images nearest to its centroid.
        strangers: Images that are not the unit's own; may be empty, for the unit's other facets do
            not stand for them: they are too much like the facet.
        transferred: Activations of the counterpart in another model, for all images of the set;
            ``None`` without one.
    """

    activations: Float[Tensor, " image"]
    own: Float[Tensor, " member"]
    codes: Float[Tensor, "member feature"]
    facets: Int[Tensor, " member"]
    witnesses: tuple[Float[Tensor, "_ channel height width"], ...]
    strangers: Float[Tensor, "stranger channel height width"]
    transferred: Float[Tensor, " image"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The same, as far as it depends on the unit alone.

    Attributes:
        natural: The images.
        states: For each facet, and each layer, the codes of its witnesses.
        strange: For each layer, the codes of the strangers.
        slopes: Of the spectra of all witnesses.
    """

    natural: Natural
    states: tuple[tuple[Float[Tensor, "_ _"], ...], ...]
    strange: tuple[Float[Tensor, "stranger _"], ...]
    slopes: Float[Tensor, " natural"]

    def is_path_known(self, facet: int) -> bool:
        """Whether there are natural images enough of this kind, and some of others."""
        several = len(self.natural.witnesses[facet]) >= FEWEST_WITNESSES
        return several and bool(self.states[facet]) and bool(self.strange)


def refer(natural: Natural, readings: Readings) -> Reference:
    """Read the witnesses and the strangers: as many passes as there are of them."""
    return Reference(
        natural,
        tuple(states(witnesses, readings) for witnesses in natural.witnesses),
        states(natural.strangers, readings),
        slopes(torch.cat(natural.witnesses)),
    )


def states(images: Images, readings: Readings) -> tuple[Float[Tensor, "batch _"], ...]:
    """Codes of images at each layer on the way; nothing without images or layers."""
    if not len(images) or not readings.layers:
        return ()
    batches = [readings.path(batch) for batch in images.split(BATCH)]
    return tuple(torch.cat(layer) for layer in zip(*batches, strict=True))


def read(function: Callable[[Images], Tensor], images: Images) -> Tensor:
    """A reading of images, a few at a time."""
    return torch.cat([function(batch) for batch in images.split(BATCH)])
