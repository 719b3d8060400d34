"""Options that say how pictures become a model's input."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import Parse, ParseError

from facetscope_client.cli.parsing import Numbers, Size, parse_numbers, parse_size
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
    Input,
)

_input = partial(typer.Option, rich_help_panel="How pictures become the model's input")


class FitName(StrEnum):
    """How a picture of another size is fitted."""

    CROP = "crop"
    STRETCH = "stretch"
    LETTERBOX = "letterbox"


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
