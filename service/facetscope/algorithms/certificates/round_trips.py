"""Facet round trip: does an image, encoded, fall among the images that it was made for?

Codes are compared by direction alone. Synthesized images excite a network more than natural ones
do, so their codes are longer; and principal components of a unit's own images do not see what these
have in common, which is just what an image of something else lacks.
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from facetscope.algorithms.codes import Codes

NEIGHBOURS: Final = 5
"""Nearest members that say how far an image is from all."""

MOST_MEMBERS: Final = 2000
"""Members that all are measured against; of more, every second, third and so on."""

USUAL: Final = 0.95
"""Part of the members that are no outliers."""


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrips:
    """Where images fall.

    Attributes:
        nearest: The facet whose centroid is nearest to each image.
        margins: (distance to the nearest other facet - distance to its own) / their sum, in
            [-1, 1], for each image and facet that might be its own; NaN where there is one facet.
        outlyings: Mean distance to the 5 nearest members, in units of the distance from a member
            to its 5 nearest others that 95 % of the members do not exceed; NaN where it is not
            known. Of more than 2000 members, a part that is evenly spread stands for all.
    """

    nearest: Int[Tensor, " batch"]
    margins: Float[Tensor, "batch facet"]
    outlyings: Float[Tensor, " batch"]


def round_trips(
    codes: Codes,
    members: Float[Tensor, "member channel"],
    facets: Int[Tensor, " member"],
) -> RoundTrips:
    """Where images fall among the facets of a unit.

    Distances are Euclidean, between codes scaled to a length of 1; a code of zeros stays zero. A
    facet's centroid is the mean of its members' scaled codes.

    Args:
        codes: Of the images.
        members: Codes of the unit's own natural images, made in the same way.
        facets: The facet of each; every number from 0 to the largest has a member.
    """
    images, own = normalize(codes.double()), normalize(members.double())
    count = int(facets.max()) + 1
    centroids = torch.stack([own[facets == facet].mean(dim=0) for facet in range(count)])
    distances = _distances(images, centroids)
    return RoundTrips(distances.argmin(dim=1), _margins(distances), _outlyings(images, own))


def _margins(distances: Float[Tensor, "batch facet"]) -> Float[Tensor, "batch facet"]:
    facets = distances.shape[1]
    if facets == 1:
        return torch.full_like(distances, torch.nan)
    rivals = distances[:, None].expand(-1, facets, -1).clone()
    rivals.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    rival = rivals.amin(dim=2)
    return (rival - distances) / (rival + distances).clamp(min=torch.finfo(rival.dtype).tiny)


def _outlyings(images: Codes, own: Float[Tensor, "member channel"]) -> Float[Tensor, " batch"]:
    unknown = images.new_full((len(images),), torch.nan)
    if len(own) <= NEIGHBOURS:
        return unknown
    some = own[:: -(-len(own) // MOST_MEMBERS)]
    among = _distances(some, some).fill_diagonal_(torch.inf)
    usual = _nearest(among).quantile(USUAL)
    return _nearest(_distances(images, some)) / usual if usual > 0 else unknown


def _nearest(distances: Float[Tensor, "batch member"]) -> Float[Tensor, " batch"]:
    return distances.topk(NEIGHBOURS, dim=1, largest=False).values.mean(dim=1)


def _distances(
    left: Float[Tensor, "one channel"], right: Float[Tensor, "other channel"]
) -> Float[Tensor, "one other"]:
    """Euclidean distances, not by way of products, which would round small ones away."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
