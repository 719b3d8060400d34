"""Files run in ONNX Runtime as they are, with inner tensors given out."""

import numpy as np
import pytest
from onnx import helper
from tests import networks
from tests.models.onnx.samples import model

from facetscope.domain.errors import InputMismatchError, ModelUnreadableError
from facetscope.models.onnx_runtime import run, session, with_outputs

node = helper.make_node
IMAGES = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)


def opened(file):
    return session(file, threads=1, cuda=False)


@pytest.mark.parametrize("batch", ["n", 1, 2, 3, 5])
def test_a_file_of_a_fixed_batch_size_is_run_as_often_as_needed(batch):
    """The last batch is filled up, and what that gives is left out."""
    file = model(node("Exp", ["x"], ["y"]), shape=(batch, 3, 8, 8)).SerializeToString()
    (values,) = run(opened(file), IMAGES)
    np.testing.assert_allclose(values, np.exp(IMAGES), rtol=1e-6)


def test_inner_tensors_are_given_out_beside_the_outputs():
    """A file need not be written anew, or even parsed, to see its layers."""
    images = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    code, logits = run(
        opened(with_outputs(networks.tiny_onnx(), ["code"])), images, ["code", "logits"]
    )
    assert (code.shape, logits.shape) == ((2, 8), (2, networks.CLASSES))


def test_what_onnx_runtime_refuses_is_unreadable():
    """A graph without an oracle is reported as such."""
    with pytest.raises(ModelUnreadableError, match="ONNX Runtime"):
        opened(b"no model")


def test_a_batch_of_another_shape_is_a_mismatch():
    """The caller's mistake is told from the model's."""
    with pytest.raises(InputMismatchError):
        run(opened(networks.tiny_onnx()), IMAGES)
