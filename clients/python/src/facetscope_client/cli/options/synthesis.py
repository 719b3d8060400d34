"""Options that say how images are synthesized."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from facetscope_client.cli.parsing import parse_schedule
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    START_FACET_MEAN,
    START_NOISE,
    START_UNSPECIFIED,
    Schedule,
    Synthesis,
)

_synthesis = partial(typer.Option, rich_help_panel="How images are synthesized")


class StartName(StrEnum):
    """Where an inspection can start its images."""

    FACET_MEAN = "facet-mean"
    NOISE = "noise"


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """How images are synthesized; what is not given is the server's to choose."""

    schedule: Annotated[
        Schedule | None,
        _synthesis(
            parser=parse_schedule,
            metavar="NAME|FILE.json",
            help="`mean-image` sharpens the mean image of the facet; `center-biased` makes one "
            "object in the middle; `authors-code` follows the script of the paper's authors step "
            "by step; a file holds phases of your own, as the contract's Schedule. "
            "Default: mean-image.",
        ),
    ] = None
    start: Annotated[
        StartName | None,
        _synthesis(help="What images start from. Default: facet-mean."),
    ] = None
    preview_interval: Annotated[
        int,
        _synthesis(
            min=0,
            metavar="STEPS",
            show_default=False,
            help="Steps between two previews, `facet-NN-preview.png`. Default: none.",
        ),
    ] = 0
    images_per_facet: Annotated[
        int,
        _synthesis(
            min=0,
            metavar="N",
            show_default=False,
            help="Images from each start, each with crops of its own. Default: 1.",
        ),
    ] = 0
    time_limit: Annotated[
        float,
        _synthesis(
            min=0.0,
            metavar="SECONDS",
            show_default=False,
            help="Send images as they are when their share of this time is up. Default: no limit.",
        ),
    ] = 0.0
    batch: Annotated[
        int,
        _synthesis(
            min=0,
            metavar="N",
            show_default=False,
            help="Images that ascend together, where memory allows. Default: 32.",
        ),
    ] = 0

    def message(self, seed: int) -> Synthesis:
        """The message, with the seed that it shares with the discovery."""
        starts = {
            None: START_UNSPECIFIED,
            StartName.FACET_MEAN: START_FACET_MEAN,
            StartName.NOISE: START_NOISE,
        }
        return Synthesis(
            schedule=self.schedule,
            start=starts[self.start],
            seed=seed,
            preview_interval=self.preview_interval,
            images_per_start=self.images_per_facet,
            time_limit_s=self.time_limit,
            largest_batch=self.batch,
        )
