"""Options that say how images are synthesized."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Final

import typer

from facetscope_client.cli.parsing import parse_recipe, parse_schedule
from facetscope_client.gen.facetscope.v1.certificate_pb2 import Certification
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    ALPHA_ATTRIBUTION,
    ALPHA_TRANSPARENCY,
    ALPHA_UNSPECIFIED,
    ENCODING_FLOAT32,
    ENCODING_JPEG,
    ENCODING_NPY,
    ENCODING_PNG,
    ENCODING_UNSPECIFIED,
    ENCODING_WEBP,
    START_FACET_MEAN,
    START_NOISE,
    START_UNSPECIFIED,
    Recipe,
    Schedule,
    Start,
    Synthesis,
)

_synthesis = partial(typer.Option, rich_help_panel="How images are synthesized")


class StartName(StrEnum):
    """Where an inspection can start its images."""

    FACET_MEAN = "facet-mean"
    NOISE = "noise"


StartOption = Annotated[
    StartName | None, _synthesis("--start", help="What images start from. Default: facet-mean.")
]


class EncodingName(StrEnum):
    """What images are sent as."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    FLOAT32 = "float32"
    NPY = "npy"


class AlphaName(StrEnum):
    """What an alpha channel is made of."""

    ATTRIBUTION = "attribution"
    TRANSPARENCY = "transparency"


STARTS: Final = {
    None: START_UNSPECIFIED,
    StartName.FACET_MEAN: START_FACET_MEAN,
    StartName.NOISE: START_NOISE,
}
ENCODINGS: Final = {
    None: ENCODING_UNSPECIFIED,
    EncodingName.PNG: ENCODING_PNG,
    EncodingName.JPEG: ENCODING_JPEG,
    EncodingName.WEBP: ENCODING_WEBP,
    EncodingName.FLOAT32: ENCODING_FLOAT32,
    EncodingName.NPY: ENCODING_NPY,
}
ALPHAS: Final = {
    None: ALPHA_UNSPECIFIED,
    AlphaName.ATTRIBUTION: ALPHA_ATTRIBUTION,
    AlphaName.TRANSPARENCY: ALPHA_TRANSPARENCY,
}
"""What options that are not given, and given, stand for."""


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
    recipe: Annotated[
        Recipe | None,
        _synthesis(
            parser=parse_recipe,
            metavar="NAME|FILE.json",
            help="Instead of a schedule: `fourier` varies frequencies, `maco` phases only; a file "
            "holds parts of your own, as the contract's Recipe.",
        ),
    ] = None
    encoding: Annotated[
        EncodingName | None,
        _synthesis(
            help="What images are sent as. `float32` and `npy` are tensors [channel, height, "
            "width] in [0, 255] with all channels and fractions of grey levels. Default: png.",
        ),
    ] = None
    alpha: Annotated[
        AlphaName | None,
        _synthesis(
            help="Fade out what does not matter: `attribution` shows what the finished image owes "
            "to each pixel, `transparency` what all steps of the ascent did. Default: no alpha "
            "channel.",
        ),
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
    certify: Annotated[
        bool,
        _synthesis(
            "--certify",
            show_default=False,
            help="Say how far each image can be trusted, GREEN, AMBER or RED, and why. Takes a few "
            "passes of each image through the model.",
        ),
    ] = False
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

    diversity: Annotated[
        float,
        _synthesis(
            min=0.0,
            metavar="WEIGHT",
            show_default=False,
            help="Subtract so much of what images of a unit have in common. Default: 0.",
        ),
    ] = 0.0

    def message(self, seed: int, start: Start.ValueType = START_UNSPECIFIED) -> Synthesis:
        """The message, with the seed that it shares with the discovery, and a kind of start.

        Raises:
            typer.BadParameter: There are two methods.
        """
        if self.schedule is not None and self.recipe is not None:
            raise typer.BadParameter("give --schedule or --recipe, not both")
        return Synthesis(
            schedule=self.schedule,
            recipe=self.recipe,
            start=start,
            seed=seed,
            preview_interval=self.preview_interval,
            encoding=ENCODINGS[self.encoding],
            alpha=ALPHAS[self.alpha],
            images_per_start=self.images_per_facet,
            time_limit_s=self.time_limit,
            largest_batch=self.batch,
            diversity=self.diversity,
            certification=Certification() if self.certify else None,
        )
