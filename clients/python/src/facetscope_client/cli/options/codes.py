"""Options of the command line that say by what images are compared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from facetscope_client.gen.facetscope.v1.facet_pb2 import (
    CODE_POOLING_UNSPECIFIED,
    CODE_WEIGHTING_UNSPECIFIED,
    VIEW_UNSPECIFIED,
    CodePooling,
    CodeWeighting,
    Discovery,
    View,
)

_codes = partial(typer.Option, rich_help_panel="How images are compared")


class PoolingName(StrEnum):
    """How a code layer with positions becomes codes."""

    MEAN = "mean"
    MAX = "max"
    AT_MAXIMUM = "at-maximum"


class WeightingName(StrEnum):
    """What codes can be weighted by."""

    NONE = "none"
    ATTRIBUTION = "attribution"


class ViewName(StrEnum):
    """What of each image can be looked at."""

    WHOLE_IMAGE = "whole-image"
    RECEPTIVE_FIELD = "receptive-field"


@dataclass(frozen=True, kw_only=True)
class CodeOptions:
    """By what images are compared; what is not given is the server's to choose."""

    view: Annotated[
        ViewName | None,
        _codes(
            help="Find facets of whole images, or of what the unit's strongest position sees of "
            "each. Default: whole-image.",
        ),
    ] = None
    code_pooling: Annotated[
        PoolingName | None,
        _codes(
            help="Of a code layer with positions, take the mean of each channel, its largest "
            "activation, or those where the unit has its maximum. Default: mean.",
        ),
    ] = None
    code_weighting: Annotated[
        WeightingName | None,
        _codes(
            help="`attribution` weights codes by the unit's gradient: images are compared by what "
            "the unit makes of them. Default: none.",
        ),
    ] = None

    def added_to(self, discovery: Discovery) -> Discovery:
        """``discovery`` with these."""
        pooling, weighting, view = self.code_pooling, self.code_weighting, self.view
        chosen = Discovery(
            code_pooling=CodePooling.Value(f"CODE_POOLING_{pooling.name}")
            if pooling
            else CODE_POOLING_UNSPECIFIED,
            code_weighting=CodeWeighting.Value(f"CODE_WEIGHTING_{weighting.name}")
            if weighting
            else CODE_WEIGHTING_UNSPECIFIED,
            view=View.Value(f"VIEW_{view.name}") if view else VIEW_UNSPECIFIED,
        )
        chosen.MergeFrom(discovery)
        return chosen
