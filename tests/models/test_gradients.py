"""Which layers can be climbed, and what stands in the way of the others."""

import numpy as np
import onnx
import pytest
import torch
from tests import hostile_onnx

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models import onnx_runtime
from facetscope.models.files import example
from facetscope.models.network import Network
from facetscope.models.onnx import translate

SHAPE = (2, 3, 16, 16)


def network(file):
    """The graph of a file, whose untranslated nodes ONNX Runtime is asked about."""
    images = np.random.default_rng(0).random((7, *SHAPE[1:]), np.float32)

    def probe(names, batches):
        session = onnx_runtime.session(
            onnx_runtime.with_outputs(file, names), threads=1, cuda=False
        )
        found = [onnx_runtime.run(session, images[:size], names) for size in batches]
        return [[(array.shape, array.dtype.name) for array in batch] for batch in found]

    translation = translate(onnx.load_from_string(file), example(SHAPE), probe)
    return Network(translation, torch.device("cpu"))


def obstacles(file):
    found = network(file).obstacles(SHAPE)
    return {name: (each.node, each.operator) for name, each in found.items()}


def test_layers_without_a_gradient_are_known_before_any_work():
    """An argmax and a constant cannot be climbed; all that is not behind them can."""
    found = network(hostile_onnx.troubled()).obstacles(SHAPE)
    assert {name: (each.operator, each.problem) for name, each in found.items()} == {
        "winner": ("ArgMax", "it has no gradient"),
        "still": ("Constant", "it does not depend on the image"),
    }


def test_what_is_behind_a_node_without_a_translation_is_known_by_shape():
    """Layers on both sides of it have names, shapes and channels; the code layer is found, too."""
    layers = {layer.name: layer for layer in network(hostile_onnx.recurrent_tail()).layers}
    assert (layers["code"].shape, layers["logits"].shape) == ((-1, 8), (-1, 4))
    assert layers["logits"].kind == "Gemm"
    assert network(hostile_onnx.recurrent_tail()).code_layer().name == "state"


def test_the_node_in_the_way_is_named_for_every_layer_behind_it():
    """The reader learns of one operator, not of all that comes after it."""
    assert obstacles(hostile_onnx.recurrent_tail()) == dict.fromkeys(
        ["state", "logits"], ("lstm_node", "ai.onnx::LSTM-17")
    )


def test_layers_before_it_are_computed_and_those_behind_it_are_not():
    """A unit whose path to the image avoids the node has its gradient."""
    found = network(hostile_onnx.recurrent_tail())
    images = torch.rand(SHAPE, requires_grad=True)
    (code,) = found.reading(["code"])(images)
    (gradient,) = torch.autograd.grad(code.sum(), images)
    assert gradient.abs().sum() > 0
    with pytest.raises(OperatorUnsupportedError, match="lstm_node"):
        found.reading(["logits"])


def test_a_tail_whose_shape_depends_on_the_pixels_is_left_out():
    """A detector's layers are inspected like a classifier's; what it keeps is no layer."""
    found = network(hostile_onnx.detecting())
    assert [layer.name for layer in found.layers] == ["conv", "flat", "sides", "scores", "boxes"]
    assert found.outputs == ()
    assert found.obstacle.node == "nms_node"
    assert found.obstacles(SHAPE) == {}


def test_a_constant_without_measure_is_never_run_elsewhere():
    """What is refused as too large must not be tried in another runtime."""
    with pytest.raises(OperatorUnsupportedError, match="419430400 elements"):
        network(hostile_onnx.bomb())
