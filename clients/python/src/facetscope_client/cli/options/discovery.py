"""Options that say how facets are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Annotated, Final

import typer

from facetscope_client.cli.parsing import Facets, parse_facets, selection_from
from facetscope_client.gen.facetscope.v1.facet_pb2 import (
    CLUSTERING_HDBSCAN,
    CLUSTERING_K_MEANS,
    CLUSTERING_PLANE_K_MEANS,
    CLUSTERING_UNSPECIFIED,
    CLUSTERING_WARD,
    DISCOVERY_PRESET_PAPER,
    DISCOVERY_PRESET_UNSPECIFIED,
    Clustering,
    Discovery,
)
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    RUNTIME_AUTO,
    RUNTIME_ONNX_RUNTIME,
    RUNTIME_TORCH,
    RUNTIME_UNSPECIFIED,
    Runtime,
)

_discovery = partial(typer.Option, rich_help_panel="How facets are found")


class RuntimeName(StrEnum):
    """What can pass pictures through a model."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX_RUNTIME = "onnx-runtime"


RUNTIMES: Final[Mapping[RuntimeName | None, Runtime.ValueType]] = MappingProxyType(
    {
        None: RUNTIME_UNSPECIFIED,
        RuntimeName.AUTO: RUNTIME_AUTO,
        RuntimeName.TORCH: RUNTIME_TORCH,
        RuntimeName.ONNX_RUNTIME: RUNTIME_ONNX_RUNTIME,
    }
)
"""The runtimes of the contract by their names."""


class ClusteringName(StrEnum):
    """What can share out images among facets."""

    PLANE_K_MEANS = "plane-k-means"
    K_MEANS = "k-means"
    WARD = "ward"
    HDBSCAN = "hdbscan"


CLUSTERINGS: Final[Mapping[ClusteringName | None, Clustering.ValueType]] = MappingProxyType(
    {
        None: CLUSTERING_UNSPECIFIED,
        ClusteringName.PLANE_K_MEANS: CLUSTERING_PLANE_K_MEANS,
        ClusteringName.K_MEANS: CLUSTERING_K_MEANS,
        ClusteringName.WARD: CLUSTERING_WARD,
        ClusteringName.HDBSCAN: CLUSTERING_HDBSCAN,
    }
)
"""The clusterings of the contract by their names."""


@dataclass(frozen=True, kw_only=True)
class DiscoveryOptions:
    """How facets are found; what is not given is the server's to choose."""

    facets: Annotated[
        Facets | None,
        _discovery(
            "--facets",
            "-k",
            parser=parse_facets,
            metavar="K|MIN-MAX",
            help="How many, or between which numbers to find out how many. Default: 10.",
        ),
    ] = None
    paper: Annotated[
        bool,
        _discovery(
            "--paper",
            help="As Nguyen, Yosinski & Clune (2016), where other options leave it open.",
        ),
    ] = False
    clustering: Annotated[
        ClusteringName | None,
        _discovery(
            help="What shares out images: k-means in the plane of t-SNE; k-means, Ward's criterion "
            "or HDBSCAN, which finds out how many, between codes. Default: plane-k-means.",
        ),
    ] = None
    ward_threshold: Annotated[
        float | None,
        _discovery(
            min=0.0, metavar="D", help="Distance beyond which `ward` merges no more, instead of -k."
        ),
    ] = None
    bootstraps: Annotated[
        int | None,
        _discovery(
            min=2, metavar="N", help="Subsamples that tell how stable facets are. Default: 10."
        ),
    ] = None
    significance: Annotated[
        float | None,
        _discovery(
            min=0.0, metavar="P", help="Largest p-value for more than one facet. Default: 0.05."
        ),
    ] = None
    whitening: Annotated[
        float | None,
        _discovery(
            min=0.0,
            max=1.0,
            metavar="W",
            help="How far wide principal components are narrowed: 0 not at all, 1 to equal width.",
        ),
    ] = None
    select: Annotated[
        str | None,
        _discovery(
            metavar="RULE",
            help="Which images: `all`, `label:NAME` (those in folders of that name, or with this "
            "label in a WebDataset), `top:N` (those that excite the unit most), `quantile:Q` "
            "(those at or above a quantile of its activations; 0.9 for the upper tenth), "
            "`predicted` (those that the model takes for the unit's class). Default: top:200.",
        ),
    ] = None
    code_layer: Annotated[
        str,
        _discovery(
            metavar="LAYER",
            help="Compare images by this layer. Default: the one that `describe` marks.",
        ),
    ] = ""
    components: Annotated[
        int | None,
        _discovery(min=2, metavar="N", help="Dimensions kept by PCA. Default: 50."),
    ] = None
    perplexity: Annotated[
        float | None,
        _discovery(min=0.0, metavar="P", help="Perplexity of t-SNE. Default: 30."),
    ] = None
    averaged: Annotated[
        int | None,
        _discovery(min=1, metavar="M", help="Images in each mean image. Default: 15."),
    ] = None
    thumbnails: Annotated[
        int | None,
        _discovery(min=0, metavar="N", help="Pictures of real images per facet. Default: 8."),
    ] = None
    farthest: Annotated[
        int | None,
        _discovery(min=0, metavar="N", help="Pictures of its farthest images too. Default: 4."),
    ] = None
    runtime: Annotated[
        RuntimeName | None,
        _discovery(
            help="What passes the pictures through the model. Default: auto, which is ONNX Runtime "
            "for ONNX files on a CPU, else PyTorch.",
        ),
    ] = None
    undecodable_limit: Annotated[
        float | None,
        _discovery(
            min=0.0,
            max=1.0,
            metavar="PART",
            help="Give up if more of the pictures cannot be decoded, for example 0.01. Default: 1, "
            "which leaves them out as long as any is left.",
        ),
    ] = None
    seed: Annotated[
        int,
        _discovery(min=0, metavar="SEED", help="Of every random choice, synthesis included."),
    ] = 0

    def message(self) -> Discovery:
        """The message."""
        return Discovery(
            selection=None if self.select is None else selection_from(self.select),
            facets=None if self.facets is None else self.facets.number,
            code_layer=self.code_layer,
            components=self.components or 0,
            perplexity=self.perplexity or 0,
            averaged=self.averaged or 0,
            thumbnails=self.thumbnails,
            farthest=self.farthest,
            seed=self.seed,
            range=None if self.facets is None else self.facets.range,
            clustering=CLUSTERINGS[self.clustering],
            ward_threshold=self.ward_threshold or 0,
            preset=DISCOVERY_PRESET_PAPER if self.paper else DISCOVERY_PRESET_UNSPECIFIED,
            bootstraps=self.bootstraps or 0,
            significance=self.significance or 0,
            whitening=self.whitening,
            runtime=RUNTIMES[self.runtime],
            undecodable_limit=self.undecodable_limit or 0,
        )
