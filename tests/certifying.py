"""Certificates for the networks of ``fooling``: what an engine does, with digits for images."""

from dataclasses import dataclass

import torch

from facetscope.algorithms.certificates.certify import Controls, Origin, certify
from facetscope.algorithms.certificates.reference import Natural, Readings, Reference, read, refer
from facetscope.algorithms.certificates.round_trips import round_trips
from facetscope.algorithms.codes import codes_of
from facetscope.domain.certificates import Certificate, Certification
from tests import fooling

FACETS = range(len(fooling.UNIONS[fooling.UNIT]))
OWN, OTHERS, WITNESSES = 60, 3, 8
"""Images of each digit that are the unit's own, that are not, and that stand for a facet."""


def readings(network) -> Readings:
    """What a network of ``fooling`` says of pixels."""
    return Readings(
        activations=network.unit,
        codes=lambda images: network.path(images)[-1],
        path=lambda images: [codes_of(layer, 1) for layer in network.path(images)],
        layers=tuple(str(index) for index in range(len(network.path(fooling.noise(1, 0))))),
    )


@torch.no_grad()
def reference(network, known) -> Reference:
    """What digits say of the unit: each of its digits is a facet."""
    seen = readings(network)
    own = torch.cat([known.of(digit)[:OWN] for digit in fooling.UNIONS[fooling.UNIT]])
    facets = torch.tensor(list(FACETS)).repeat_interleave(OWN)
    rest = [digit for union in fooling.UNIONS for digit in union]
    others = [digit for digit in rest if digit not in fooling.UNIONS[fooling.UNIT]]
    every = torch.cat([own, *(known.of(digit)[:OWN] for digit in others)])
    codes = seen.codes(own)
    natural = Natural(
        activations=read(seen.activations, every),
        own=read(seen.activations, own),
        codes=codes,
        facets=facets,
        witnesses=tuple(_witnesses(own, codes, facets, facet) for facet in FACETS),
        strangers=torch.cat([known.of(digit)[:OTHERS] for digit in others]),
    )
    return refer(natural, seen)


def _witnesses(own, codes, facets, facet):
    """The images of a facet by how far they are from any other."""
    margins = round_trips(codes, codes, facets).margins[:, facet]
    margins = margins.masked_fill(facets != facet, -torch.inf)
    return own[margins.topk(WITNESSES).indices]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images of one kind, and the facet that each is shown for; ``None`` for none."""

    pixels: torch.Tensor
    facets: tuple[int | None, ...]
    controls: Controls | None = None
    starts: tuple[int, ...] = ()

    def certified(self, network, compared) -> list[Certificate]:
        """Their certificates."""
        starts = self.starts or (None,) * len(self.facets)
        return certify(
            self.pixels,
            [Origin(*each) for each in zip(self.facets, starts, strict=True)],
            readings(network),
            Certification(),
            generators=[torch.Generator().manual_seed(index) for index in range(len(self.facets))],
            reference=compared,
            controls=self.controls,
        )


def synthesized(network, known, seed):
    """The image of each facet, with a control from noise beside their starts."""
    starts = torch.cat([fooling.mean_images(known), fooling.noise(1, seed)])
    shown = fooling.visualized(network.unit, starts, seed)
    with torch.no_grad():
        controls = Controls(starts, network.unit(shown))
    facets = tuple(FACETS)
    return Images(shown[: len(facets)], facets, controls, facets)


def white_noise(seed, count=6):
    """Noise that is shown for one facet after the other."""
    return Images(fooling.noise(count, seed), tuple(index % 3 for index in range(count)))


def natural(unseen, count=12):
    """Digits that no network has seen, each for its own facet."""
    pixels = [unseen.of(digit)[:count] for digit in fooling.UNIONS[fooling.UNIT]]
    return Images(torch.cat(pixels), tuple(facet for facet in FACETS for _ in range(count)))
