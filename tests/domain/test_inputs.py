"""What a request leaves open is filled in from the file, then from defaults."""

import pytest

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import IMAGENET_MEAN, InputSpec, Layout


def test_a_file_that_declares_nothing_gets_the_defaults():
    """Most TorchScript classifiers take 224-pixel RGB, normalized as torchvision does."""
    chosen = InputSpec().resolved(())
    assert chosen.shape(2) == (2, 3, 224, 224)
    assert chosen.mean == IMAGENET_MEAN


def test_what_the_file_declares_comes_before_defaults():
    """An ONNX file knows the size of its own input."""
    assert InputSpec().resolved((None, 1, 28, 32)).shape(1) == (1, 1, 28, 32)


def test_what_the_request_says_comes_first():
    """A dynamic or misdeclared file can be inspected at another size."""
    assert InputSpec(height=64, width=48).resolved((1, 3, 28, 28)).shape(1) == (1, 3, 64, 48)


def test_channels_last_is_read_in_its_own_order():
    """TensorFlow exports declare height, width, channels."""
    chosen = InputSpec(layout=Layout.NHWC).resolved((1, 160, 192, 3))
    assert (chosen.height, chosen.width, chosen.shape(1)) == (160, 192, (1, 160, 192, 3))


def test_a_given_range_turns_the_imagenet_statistics_off():
    """Whoever says how pixels are scaled does not get a second normalization on top."""
    chosen = InputSpec(low=-1.0, high=1.0).resolved(())
    assert (chosen.mean, chosen.std) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("input.height", {"height": 4}),
        ("input.width", {"width": 5000}),
        ("input.channels", {"channels": 2}),
        ("input.crop_fraction", {"crop_fraction": 0.0}),
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
        InputSpec(mean=(1.0, 2.0)).resolved(())
