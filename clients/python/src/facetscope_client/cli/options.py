"""Options of the command line, in groups, and the messages of the contract that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import typer
from google.protobuf.json_format import Parse, ParseError

from facetscope_client.cli.parsing import (
    Facets,
    Numbers,
    Size,
    parse_facets,
    parse_numbers,
    parse_schedule,
    parse_size,
    selection_from,
)
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
    COLOR_ORDER_BGR,
    COLOR_ORDER_RGB,
    COLOR_ORDER_UNSPECIFIED,
    FIT_CENTER_CROP,
    FIT_LETTERBOX,
    FIT_STRETCH,
    FIT_UNSPECIFIED,
    GAMMA_LINEAR,
    GAMMA_SRGB,
    GAMMA_UNSPECIFIED,
    INTERPOLATION_BICUBIC,
    INTERPOLATION_UNSPECIFIED,
    LAYOUT_NCHW,
    LAYOUT_NHWC,
    LAYOUT_UNSPECIFIED,
    RUNTIME_AUTO,
    RUNTIME_ONNX_RUNTIME,
    RUNTIME_TORCH,
    RUNTIME_UNSPECIFIED,
    Input,
    Precision,
    Runtime,
)
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    START_FACET_MEAN,
    START_NOISE,
    START_UNSPECIFIED,
    Schedule,
    Synthesis,
)

_input = partial(typer.Option, rich_help_panel="How pictures become the model's input")
_discovery = partial(typer.Option, rich_help_panel="How facets are found")
_synthesis = partial(typer.Option, rich_help_panel="How images are synthesized")


class PrecisionName(StrEnum):
    """What a model can compute in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"

    @property
    def number(self) -> Precision.ValueType:
        """The contract's number for it."""
        return Precision.Value(f"PRECISION_{self.name}")


PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        help="What the model computes in: bfloat16 is faster on GPUs, and right to two digits."
    ),
]


class FitName(StrEnum):
    """How a picture of another size is fitted."""

    CROP = "crop"
    STRETCH = "stretch"
    LETTERBOX = "letterbox"


class StartName(StrEnum):
    """Where an inspection can start its images."""

    FACET_MEAN = "facet-mean"
    NOISE = "noise"


COLOR_ORDERS: Final = {
    None: COLOR_ORDER_UNSPECIFIED,
    True: COLOR_ORDER_BGR,
    False: COLOR_ORDER_RGB,
}
LAYOUTS: Final = {None: LAYOUT_UNSPECIFIED, True: LAYOUT_NHWC, False: LAYOUT_NCHW}
GAMMAS: Final = {None: GAMMA_UNSPECIFIED, True: GAMMA_LINEAR, False: GAMMA_SRGB}
FITS: Final = {
    None: FIT_UNSPECIFIED,
    FitName.CROP: FIT_CENTER_CROP,
    FitName.STRETCH: FIT_STRETCH,
    FitName.LETTERBOX: FIT_LETTERBOX,
}
"""What options that are not given, given or denied stand for."""


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
class InputOptions:
    """What the file of a model does not say about its input, or says wrong."""

    size: Annotated[
        Size | None,
        _input(
            parser=parse_size,
            metavar="N|HxW",
            help="Height and width in pixels. Default: what the file says, else 224.",
        ),
    ] = None
    channels: Annotated[
        int | None,
        _input(
            min=1,
            max=64,
            metavar="N",
            help="1 for grey, 3 for colour; other numbers are read from .npy arrays [H, W, N]. "
            "Default: what the file says, else 3.",
        ),
    ] = None
    bgr: Annotated[
        bool | None,
        _input(
            "--bgr/--rgb",
            show_default=False,
            help="Blue comes first (Caffe, OpenCV), or red. Default: what the file says, else red.",
        ),
    ] = None
    nhwc: Annotated[
        bool | None,
        _input(
            "--nhwc/--nchw",
            show_default=False,
            help="Channels come last (TensorFlow), or first. Default: what the file says, else "
            "first.",
        ),
    ] = None
    value_range: Annotated[
        Numbers | None,
        _input(
            "--range",
            parser=parse_numbers,
            metavar="LOW,HIGH",
            help="What black and white become before mean and std. Default: what the file says, "
            "else 0,1.",
        ),
    ] = None
    mean: Annotated[
        Numbers | None,
        _input(
            parser=parse_numbers,
            metavar="M[,M,M]",
            help="Subtracted. Default: ImageNet's for colour without any range or std, else 0.",
        ),
    ] = None
    std: Annotated[
        Numbers | None,
        _input(
            parser=parse_numbers,
            metavar="S[,S,S]",
            help="Divided by. Default: ImageNet's for colour without any range or mean, else 1.",
        ),
    ] = None
    linear: Annotated[
        bool | None,
        _input(
            "--linear/--srgb",
            show_default=False,
            help="Levels are in proportion to light, or as in picture files. Default: what the "
            "file says, else as in picture files.",
        ),
    ] = None
    fit: Annotated[
        FitName | None,
        _input(
            help="`crop` keeps proportions and cuts the centre (torchvision), `stretch` does not "
            "(Caffe), `letterbox` shows whole pictures on grey (YOLO). Default: what the file "
            "says, else crop.",
        ),
    ] = None
    resize: Annotated[
        int | None,
        _input(
            min=8,
            max=4096,
            metavar="N",
            help="Short side that a picture is resized to before the centre is cut: 256 for "
            "torchvision's usual --size 224. Default: by --crop-fraction.",
        ),
    ] = None
    crop_fraction: Annotated[
        float | None,
        _input(
            min=0.0,
            max=1.0,
            metavar="PART",
            help="Part of the resized picture's short side that is kept. Default: 0.875 of a "
            "crop, else 1.",
        ),
    ] = None
    bicubic: Annotated[
        bool,
        _input("--bicubic", help="Resize with cubic interpolation."),
    ] = False
    input_file: Annotated[
        Path | None,
        _input(
            "--input",
            metavar="FILE.json",
            exists=True,
            dir_okay=False,
            help="All of these in one file: the contract's `Input` message as JSON. Options win.",
        ),
    ] = None

    def message(self) -> Input:
        """The file's message, with the fields replaced that options give."""
        chosen, given = self._from_file(), self._from_options()
        for name in ("mean", "std"):
            if getattr(given, name):
                chosen.ClearField(name)
        if given.resize or given.HasField("crop_fraction"):
            chosen.ClearField("resize")
            chosen.ClearField("crop_fraction")
        chosen.MergeFrom(given)
        return chosen

    def _from_file(self) -> Input:
        if self.input_file is None:
            return Input()
        try:
            return Parse(self.input_file.read_text(), Input())
        except (ParseError, UnicodeDecodeError) as error:
            raise typer.BadParameter(str(error), param_hint="--input") from None

    def _from_options(self) -> Input:
        height, width = self.size or (0, 0)
        low, high = self._limits()
        return Input(
            height=height,
            width=width,
            channels=self.channels or 0,
            color_order=COLOR_ORDERS[self.bgr],
            layout=LAYOUTS[self.nhwc],
            low=low,
            high=high,
            mean=self.mean or (),
            std=self.std or (),
            gamma=GAMMAS[self.linear],
            fit=FITS[self.fit],
            resize=self.resize or 0,
            crop_fraction=self.crop_fraction,
            interpolation=INTERPOLATION_BICUBIC if self.bicubic else INTERPOLATION_UNSPECIFIED,
        )

    def _limits(self) -> tuple[float | None, float | None]:
        match self.value_range:
            case None:
                return None, None
            case (low, high):
                return low, high
        raise typer.BadParameter("give two numbers, for example -1,1", param_hint="--range")


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
            "label in a WebDataset), `top:N` (those that excite the unit most), `quantile:Q` (those "
            "at or above a quantile of its activations; 0.9 for the upper tenth), `predicted` "
            "(those that the model takes for the unit's class). Default: top:200.",
        ),
    ] = None
    code_layer: Annotated[
        str,
        _discovery(
            metavar="LAYER",
            help="Compare images by this layer. Default: the last one before the classifier.",
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


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """How images are synthesized; what is not given is the server's to choose."""

    schedule: Annotated[
        Schedule | None,
        _synthesis(
            parser=parse_schedule,
            metavar="NAME|FILE.json",
            help="`mean-image` sharpens the mean image of the facet; `center-biased` makes one "
            "object in the middle; a file holds phases of your own, as the contract's Schedule. "
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
        )
