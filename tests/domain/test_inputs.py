"""What a request leaves open is filled in from the file, then from defaults."""

import pytest

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import (
    IMAGENET_MEAN,
    ColorOrder,
    Fit,
    Guess,
    InputSpec,
    Layout,
    Source,
    layout_of,
)

SHAPE = Guess({"height": 28, "width": 32, "channels": 1}, Source.SIGNATURE, "[n, 1, 28, 32]")
WORDS = Guess({"height": 640, "low": 0.0, "high": 255.0}, Source.METADATA, "imgsz: 640")


def test_a_file_that_declares_nothing_gets_the_defaults():
    """Most TorchScript classifiers take 224-pixel RGB, normalized as torchvision does."""
    chosen = InputSpec().resolved()
    assert chosen.shape(2) == (2, 3, 224, 224)
    assert chosen.mean == IMAGENET_MEAN


def test_what_the_file_says_comes_before_defaults():
    """An ONNX file knows the size of its own input."""
    assert InputSpec().resolved([SHAPE]).shape(1) == (1, 1, 28, 32)


def test_what_the_request_says_comes_first():
    """A dynamic or misdeclared file can be inspected at another size."""
    assert InputSpec(height=64, channels=3).resolved([SHAPE]).shape(1) == (1, 3, 64, 32)


def test_of_two_guesses_the_first_counts():
    """A shape binds, a word beside it may be about another export."""
    chosen = InputSpec().resolved([SHAPE, WORDS])
    assert (chosen.height, chosen.high) == (28, 255.0)


def test_every_value_has_an_origin():
    """A reviewer checks what was guessed, and by what."""
    origins = InputSpec(width=64).origins([SHAPE, WORDS])
    said = {origin.field: (origin.source, origin.evidence) for origin in origins}
    assert said["width"] == (Source.REQUEST, "")
    assert said["height"] == (Source.SIGNATURE, "[n, 1, 28, 32]")
    assert said["high"] == (Source.METADATA, "imgsz: 640")
    assert said["mean"] == said["fit"] == (Source.DEFAULT, "")
    assert InputSpec(crop_fraction=0.5).origins()[11].source is Source.REQUEST
    assert origins[11].field == "resize"


def test_what_becomes_of_a_pixel_comes_from_one_place():
    """The mean of a request belongs to the range that its author had in mind, not to the file's."""
    chosen = InputSpec(mean=(0.5,)).resolved([WORDS])
    assert (chosen.low, chosen.high, chosen.mean) == (0.0, 1.0, (0.5, 0.5, 0.5))


def test_channels_last_has_the_picture_in_other_axes():
    """TensorFlow exports declare height, width, channels."""
    chosen = InputSpec(layout=Layout.NHWC, height=160, width=192).resolved()
    assert (chosen.shape(1), chosen.picture_axes) == ((1, 160, 192, 3), (1, 2))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((None, 3, 224, 224), Layout.NCHW),
        ((1, 224, 224, 3), Layout.NHWC),
        ((None, None, None, 1), Layout.NHWC),
        ((None, None, None, 5), Layout.NHWC),
        ((1, 1, 28, 1), Layout.NCHW),
        ((1, 3, None, 3), Layout.NCHW),
        ((None, None, None, None), Layout.NCHW),
        ((None, 64, 64, 12), Layout.NCHW),
        ((None, 100), Layout.NCHW),
    ],
)
def test_an_axis_too_short_for_pictures_is_that_of_channels(shape, layout):
    """An axis of three is never a height; where both may be, files of most formats are NCHW."""
    assert layout_of(shape) is layout


def test_a_given_range_turns_the_imagenet_statistics_off():
    """Whoever says how pixels are scaled does not get a second normalization on top."""
    chosen = InputSpec(low=-1.0, high=1.0).resolved()
    assert (chosen.mean, chosen.std) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("input.height", {"height": 4}),
        ("input.width", {"width": 5000}),
        ("input.channels", {"channels": 65}),
        ("input.crop_fraction", {"crop_fraction": 0.0}),
        ("input.resize", {"resize": 5000}),
        ("input.resize", {"resize": 256, "crop_fraction": 0.875}),
        ("input.std", {"std": (1.0, 0.0, 1.0)}),
        ("input.high", {"low": 1.0}),
    ],
)
def test_a_value_out_of_range_is_named(field, spec):
    """The caller sees which field to change."""
    with pytest.raises(InvalidFieldError) as caught:
        InputSpec(**spec)
    assert caught.value.field == field


def test_statistics_for_the_wrong_number_of_channels_are_refused():
    """Two means for three channels is a mistake, not a broadcast."""
    with pytest.raises(InvalidFieldError, match="2 numbers for 3 channels"):
        InputSpec(mean=(1.0, 2.0)).resolved()


@pytest.mark.parametrize(
    ("spec", "resize"),
    [
        (InputSpec(), 256),
        (InputSpec(resize=232), 232),
        (InputSpec(crop_fraction=1.0), 224),
        (InputSpec(fit=Fit.STRETCH), 224),
        (InputSpec(fit=Fit.STRETCH, height=227, width=227, resize=256), 256),
        (InputSpec(fit=Fit.LETTERBOX), 224),
    ],
)
def test_only_a_crop_loses_its_margins_unless_told(spec, resize):
    """torchvision resizes to 256 for an input of 224; whoever stretches wants the whole."""
    assert spec.resolved().resize == resize


def test_an_input_larger_than_what_it_is_cut_from_is_refused():
    """torchvision would frame it in black, which no network was trained on."""
    with pytest.raises(InvalidFieldError, match="less than the input's 224"):
        InputSpec(resize=200).resolved()


def test_blue_first_turns_the_imagenet_statistics():
    """Mean and std are in the order of the network's channels."""
    chosen = InputSpec(color_order=ColorOrder.BGR).resolved()
    assert chosen.mean == IMAGENET_MEAN[::-1]


def test_what_a_file_says_is_checked_where_it_counts():
    """A file that is made for other sizes can be asked for one that is served."""
    huge = Guess({"height": 4096, "width": 28}, Source.SIGNATURE)
    assert InputSpec(height=64).resolved([huge]).height == 64
    with pytest.raises(InvalidFieldError, match="4096"):
        InputSpec().resolved([huge])
