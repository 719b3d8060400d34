"""One row of figures for the pictures of one method and subject."""

from dataclasses import dataclass

import numpy as np
from tests.benchmarks.synthesis.ground import read
from tests.benchmarks.synthesis.scores import percentiles, returned, slopes, strong


@dataclass(frozen=True, slots=True)
class Row:
    """What one method made of one subject; every list has one number for each picture.

    Attributes:
        group: Of subjects that share a line of the table.
        method: Its name.
        evaluations: Of the network for each picture.
        strong: Whether it exceeds the 99th percentile of all natural images.
        strongest: Whether it exceeds that of the unit's own.
        returned: Whether its code is nearest its own facet's; empty where it is of none.
        transfer: Its percentile among natural images, for a network that it was not made for.
        slope: Of its spectrum, less that of the unit's own images.
    """

    group: str
    method: str
    evaluations: int
    strong: list[bool]
    strongest: list[bool]
    returned: list[bool]
    transfer: list[float]
    slope: list[float]


def judged(subject, ground, name, drawn, *, of_facets):
    """The figures of what was drawn."""
    activations, codes = read(subject.model, subject.unit, drawn.pictures)
    elsewhere, _ = read(subject.other, subject.unit, drawn.pictures)
    own = ground.natural[ground.own]
    return Row(
        group=subject.group,
        method=name,
        evaluations=drawn.evaluations,
        strong=strong(activations, ground.natural).tolist(),
        strongest=strong(activations, own).tolist(),
        returned=returned(codes, ground.centroids).tolist() if of_facets else [],
        transfer=percentiles(elsewhere, ground.elsewhere).tolist(),
        slope=(slopes(drawn.pictures) - ground.slope).tolist(),
    )


def natural(subject, ground):
    """The same figures of the unit's own images, which is what they can be compared with."""
    own = ground.natural[ground.own]
    right = round(float(ground.returned) * len(own))
    return Row(
        group=subject.group,
        method="its own images",
        evaluations=0,
        strong=strong(own, ground.natural).tolist(),
        strongest=strong(own, own).tolist(),
        returned=(np.arange(len(own)) < right).tolist(),
        transfer=percentiles(ground.elsewhere[ground.own], ground.elsewhere).tolist(),
        slope=[0.0],
    )
