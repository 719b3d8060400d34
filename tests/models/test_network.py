"""What a network tells of its layers, and what it lets be read."""

import numpy as np
import pytest
import torch
from onnx import helper
from tests.models.onnx.samples import model
from torch import nn

from facetscope.domain.errors import InvalidFieldError, LayerNotFoundError, ModelUnreadableError
from facetscope.models import torchscript
from facetscope.models.network import Network
from facetscope.models.onnx import translate

node = helper.make_node
IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
STORED = {
    "kernel": np.random.default_rng(0).normal(size=(12, 3, 3, 3)).astype(np.float32),
    "weights": np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32),
    "square": np.random.default_rng(2).normal(size=(12, 12)).astype(np.float32),
    "pixels": np.random.default_rng(3).normal(size=(192, 12)).astype(np.float32),
}
CLASSIFIER = [
    node("Conv", ["x", "kernel"], ["conv"], "first"),
    node("Relu", ["conv"], ["relu"], "second"),
    node("ReduceMean", ["relu"], ["code"], "third", axes=[2, 3], keepdims=0),
    node("Gemm", ["code", "weights"], ["logits"], "fourth"),
]
SOFTMAX = node("Softmax", ["logits"], ["probabilities"], axis=1)


def network(*nodes, outputs=("logits",), stored=STORED):
    file = model(*nodes, stored=stored, outputs=outputs)
    return Network(translate(file, IMAGES[:1]), torch.device("cpu"))


def test_layers_are_listed_in_the_order_of_execution():
    """A reader of the list follows the network from the image to the classes."""
    layers = network(*CLASSIFIER).layers
    assert [layer.name for layer in layers] == ["conv", "relu", "code", "logits"]
    assert [layer.shape for layer in layers] == [(-1, 12, 6, 6)] * 2 + [(-1, 12), (-1, 5)]
    assert [layer.channels for layer in layers] == [12, 12, 12, 5]


def test_a_layer_with_channels_at_the_end_has_them_there():
    """Units of such a layer were rows of pixels, if the axis were taken from the rank."""
    transpose = node("Transpose", ["conv"], ["last"], perm=[0, 2, 3, 1])
    layer = network(CLASSIFIER[0], transpose, outputs=("last",)).layer("last")
    assert (layer.channel_axis, layer.channels, layer.extent) == (3, 12, (6, 6))


def test_a_layer_has_the_name_of_its_node_too():
    """Some tools show the names of nodes, others those of tensors."""
    found = network(*CLASSIFIER)
    assert found.layer("second") == found.layer("relu")
    assert found.aliases("relu") == ("second",)


def test_an_unknown_layer_is_answered_with_near_names():
    """Most unknown layers are mistyped."""
    with pytest.raises(LayerNotFoundError) as caught:
        network(*CLASSIFIER).layer("logit")
    assert caught.value.nearest[0] == "logits"


def test_windows_of_an_image_are_no_layer():
    """A row for each window would be taken for one of each image."""
    windows = node("Reshape", ["conv", "shape"], ["windows"])
    file = model(
        CLASSIFIER[0],
        windows,
        stored=STORED | {"shape": np.array([-1, 12, 9])},
        outputs=("windows",),
    )
    layers = Network(translate(file, IMAGES[:1]), torch.device("cpu")).layers
    assert [layer.name for layer in layers] == ["conv"]


def test_a_model_without_layers_is_refused():
    """It has no units, and no code layer."""
    flat = node("Reshape", ["x", "shape"], ["y"])
    file = model(flat, stored={"shape": np.array([-1])})
    with pytest.raises(ModelUnreadableError, match="channels"):
        Network(translate(file, IMAGES[:1]), torch.device("cpu"))


def test_a_reading_gives_what_the_whole_graph_computes():
    """Activations are those of the model, for whatever layers together."""
    found = network(*CLASSIFIER, outputs=("conv", "logits"))
    conv, logits = network(*CLASSIFIER, outputs=("conv", "logits"))._module(IMAGES)
    read_logits, read_conv = found.reading(["logits", "conv"])(IMAGES)
    torch.testing.assert_close((read_logits, read_conv), (logits, conv))


def test_a_reading_computes_nothing_after_its_layers():
    """An early layer costs as little as it is deep."""
    graph = network(*CLASSIFIER).reading(["conv"]).part.graph
    assert [each.op for each in graph.nodes if each.op == "call_function"] == ["call_function"]


def test_units_of_a_layer_share_its_reading():
    """torch keeps the source of every graph that it compiles, for ever."""
    found = network(*CLASSIFIER)
    assert found.reading(["conv"]) is found.reading(("conv",))
    assert found.reading(["conv"]) is not found.reading(["conv", "relu"])


@pytest.mark.parametrize(
    ("last", "dtype", "shape"),
    [
        (node("ArgMax", ["conv"], ["y"], axis=1), torch.int64, (3, 1, 6, 6)),
        (node("TopK", ["code", "k"], ["_", "y"], axis=1), torch.int64, (3, 2)),
        (node("Greater", ["conv", "relu"], ["y"]), torch.bool, (3, 12, 6, 6)),
    ],
)
def test_numbers_without_a_fraction_are_read_as_they_are(last, dtype, shape):
    """An index or a mask is a layer like others, though it has no gradient."""
    file = model(*CLASSIFIER[:3], last, stored=STORED | {"k": np.array([2])})
    found = Network(translate(file, IMAGES[:1]), torch.device("cpu"))
    (values,) = found.reading([found.layer("y").name])(IMAGES)
    assert (values.dtype, values.shape) == (dtype, shape)


def test_the_logits_of_a_softmax_are_what_it_reads():
    """A probability saturates; the logit below it has a gradient everywhere."""
    found = network(*CLASSIFIER, SOFTMAX, outputs=("probabilities",))
    assert found.logits(found.layer("probabilities")) == found.layer("logits")
    assert found.logits(found.layer("relu")) == found.layer("relu")


def test_a_softmax_over_positions_stays_itself():
    """Attention has no logits of classes: the layer before it would be another layer."""
    attention = node("Softmax", ["conv"], ["attention"], axis=3)
    found = network(CLASSIFIER[0], attention, outputs=("attention",))
    assert found.logits(found.layer("attention")) == found.layer("attention")


def test_a_module_that_ends_in_a_softmax_is_one(tmp_path):
    """Its path names the same tensor as the path of the softmax within."""
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Softmax(1))
    path = tmp_path / "model.pt"
    torch.jit.script(nn.Sequential(classifier).eval()).save(str(path))
    found = Network(torchscript.translate(path, IMAGES), torch.device("cpu"))
    assert found.logits(found.layer("0")) == found.logits(found.layer("0.2")) == found.layer("0.1")
    assert [each.name for each in found.layers if found.is_classes(each)] == ["0.1", "0.2", "0"]


def test_classes_are_outputs_and_their_logits():
    """A probability is promised for these, and for no hidden layer of the same rank."""
    found = network(*CLASSIFIER, SOFTMAX, outputs=("probabilities",))
    classes = [layer.name for layer in found.layers if found.is_classes(layer)]
    assert classes == ["logits", "probabilities"]
    plain = network(*CLASSIFIER, outputs=("logits", "conv"))
    assert [layer.name for layer in plain.layers if plain.is_classes(layer)] == ["logits"]


def test_the_code_layer_is_what_the_classifier_reads():
    """It holds what the network knows of an image, before that is weighed for classes."""
    assert network(*CLASSIFIER).code_layer().name == "code"
    found = network(*CLASSIFIER, SOFTMAX, outputs=("probabilities",))
    assert found.code_layer().name == "code"


HEAD = [
    node("Gemm", ["code", "square"], ["first_hidden"]),
    node("Relu", ["first_hidden"], ["first_relu"]),
    node("Gemm", ["first_relu", "square"], ["last_hidden"]),
    node("Relu", ["last_hidden"], ["last_relu"]),
    node("Gemm", ["last_relu", "weights"], ["logits"]),
]


def test_the_code_layer_is_what_fully_connected_layers_read():
    """These merge what has one class, and the kinds of its images are merged with it."""
    found = network(*CLASSIFIER[:3], *HEAD)
    assert found.code_layer().name == "code"
    assert found.last_hidden_layer().name == "last_relu"


def test_pixels_are_no_features():
    """Images that are compared by their pixels are not compared by the network."""
    flat = node("Flatten", ["x"], ["flat"])
    first = node("Gemm", ["flat", "pixels"], ["first_hidden"])
    assert network(flat, first, *HEAD[1:]).code_layer().name == "first_relu"


def test_features_that_are_weighted_by_a_bottleneck_are_found_behind_it():
    """Squeeze and excitation has small fully connected layers, which do not end the network."""
    pooled = node("ReduceMean", ["relu"], ["pooled"], axes=[2, 3], keepdims=0)
    weighed = [
        node("Gemm", ["pooled", "square"], ["squeezed"]),
        node("Sigmoid", ["squeezed"], ["excited"]),
        node("Unsqueeze", ["excited", "axes"], ["weights_of_maps"]),
        node("Mul", ["weights_of_maps", "relu"], ["weighed"]),
        node("ReduceMean", ["weighed"], ["code"], axes=[2, 3], keepdims=0),
    ]
    axes = node("Constant", [], ["axes"], value_ints=[2, 3])
    found = network(*CLASSIFIER[:2], pooled, axes, *weighed, *HEAD)
    assert found.code_layer().name == "code"


@pytest.mark.parametrize(("width", "expected"), [(4096, "features"), (4097, "last_relu")])
def test_features_wider_than_the_papers_leave_the_last_hidden_layer(width, expected):
    """A code is kept of every image; the networks with the widest features are the paper's own."""
    stored = {
        **STORED,
        "kernel": np.zeros((width, 3, 3, 3), np.float32),
        "hidden": np.zeros((width, 12), np.float32),
    }
    features = [
        node("Conv", ["x", "kernel"], ["conv"]),
        node("ReduceMean", ["conv"], ["features"], axes=[2, 3], keepdims=0),
        node("Gemm", ["features", "hidden"], ["last_hidden"]),
    ]
    found = network(*features, *HEAD[3:], stored=stored)
    assert found.code_layer().name == expected


def test_the_classifier_is_named():
    """A newcomer to a model wants its classes first, as scores and as probabilities."""
    assert network(*CLASSIFIER).classifier() == ("logits", "")
    assert network(*CLASSIFIER, SOFTMAX, outputs=("probabilities",)).classifier() == (
        "logits",
        "probabilities",
    )
    assert network(CLASSIFIER[0], outputs=("conv",)).classifier() == ("", "")
    assert network(*CLASSIFIER, outputs=("conv", "logits")).classifier() == ("logits", "")


def test_classes_may_have_a_position_of_length_one():
    """SqueezeNet, and many files of Caffe, end in [batch, classes, 1, 1]."""
    pooled = node("GlobalAveragePool", ["conv"], ["scores"])
    softmax = node("Softmax", ["scores"], ["probabilities"], axis=1)
    found = network(CLASSIFIER[0], pooled, softmax, outputs=("probabilities",))
    assert found.classifier() == ("scores", "probabilities")
    assert found.is_classes(found.layer("scores"))


def test_layers_have_the_fields_of_their_elements():
    """A reviewer sees how much of a picture a unit can see."""
    found = network(*CLASSIFIER)
    field = found.layer("relu").receptive_field
    assert (field.size, field.stride, field.offset) == ((3, 3), (1, 1), (1.0, 1.0))
    assert found.layer("code").receptive_field is None


def test_fields_are_told_for_positions_in_the_order_of_the_picture():
    """A field would be read across where it is down, if the network turned its pictures."""
    turned = node("Transpose", ["conv"], ["turned"], perm=[0, 1, 3, 2])
    found = network(CLASSIFIER[0], turned, outputs=("turned",))
    assert found.layer("turned").receptive_field is None


def test_channels_can_be_counted_along_another_axis():
    """Where the order of axes deceives, the caller knows better."""
    layer = network(*CLASSIFIER).layer("conv").along(3)
    assert (layer.channels, layer.extent, layer.receptive_field) == (6, (12, 6), None)
    for axis in (0, 4):
        with pytest.raises(InvalidFieldError, match="axis"):
            layer.along(axis)


def test_layers_on_the_way_to_another_are_told():
    """A branch that the unit does not read says nothing of how it is computed."""
    aside = node("Sigmoid", ["conv"], ["aside"])
    found = network(*CLASSIFIER, aside, outputs=("logits", "aside"))
    before = {name: found.on_the_way(found.layer(name)) for name in ("logits", "conv")}
    assert [layer.name for layer in before["logits"]] == ["conv", "relu", "code"]
    assert before["conv"] == ()
