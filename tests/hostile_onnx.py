"""ONNX files that people send by mistake, and that are sent to break things."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests import networks

node = helper.make_node


def external():
    """A model that asks for a file of the server."""
    model = onnx.load_from_string(networks.tiny_onnx())
    kernel = model.graph.initializer[0]
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def two_input():
    """A model of an image and a mask."""
    model = onnx.load_from_string(networks.tiny_onnx())
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch"]))
    return model.SerializeToString()


def vector():
    """One number for each image: a unit, but no channel."""
    return _onnx(node("ReduceMean", ["image"], ["y"], axes=[1, 2, 3], keepdims=0))


def scalar():
    """One number for all images together."""
    return _onnx(node("Relu", ["image"], ["relu"]), node("ReduceMean", ["relu"], ["y"], keepdims=0))


def bomb():
    """A hundred bytes that claim a constant of 400 MB four times over."""
    return _onnx(
        node("ConstantOfShape", ["size"], ["huge"], "bomb"),
        node("Add", ["image", "huge"], ["y"]),
        size=np.array([4, 100 * 2**20]),
    )


def overlarge():
    """A model whose activations take 6 GB for the two images of a probe."""
    return _onnx(
        node("Tile", ["image", "times"], ["swollen"], "swell"),
        node("Sigmoid", ["swollen"], ["y"]),
        times=np.array([1, 1, 1024, 1024]),
    )


def piecemeal():
    """Constants of 1 GB, twenty times."""
    steps = []
    for index in range(20):
        total = f"y{index - 1}" if index else "image"
        steps += [
            node("ConstantOfShape", ["size"], [f"zeros{index}"], f"piece{index}"),
            node("ReduceSum", [f"zeros{index}"], [f"sum{index}"], keepdims=0),
            node("Add", [total, f"sum{index}"], [f"y{index}"]),
        ]
    return _onnx(*steps, size=np.array([2**28]))


def looping():
    """A loop of 10^15 rounds."""
    body = helper.make_graph(
        [node("Identity", ["going"], ["on"]), node("Relu", ["carried"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            _value("carried", None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), _value("next", None)],
    )
    loop = node("Loop", ["rounds", "", "image"], ["y"], "forever", body=body)
    return _onnx(loop, rounds=np.array(10**15))


def branching():
    """Which branch is taken depends on the pixels."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["image"], [kind])], name, [], [helper.make_empty_tensor_value_info(kind)]
        )
        for name, kind in (("then", "Neg"), ("else", "Relu"))
    }
    return _onnx(
        node("ReduceSum", ["image"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["y"], "choice", **branches),
        zero=np.float32(0),
    )


def recurrent():
    """An LSTM over the rows of an image."""
    return _onnx(
        node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=0),
        node("LSTM", ["grey", "w", "r"], ["y"], "memory", hidden_size=2),
        w=np.ones((1, 8, networks.SIZE), np.float32),
        r=np.ones((1, 8, 2), np.float32),
    )


def tokens():
    """A model of texts."""
    model = onnx.load_from_string(_onnx(node("Gather", ["table", "image"], ["y"]), table=_eye()))
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", 128])
    model.graph.input[0].CopyFrom(tokens)
    model.graph.node[0].input[1] = "tokens"
    return model.SerializeToString()


def table():
    """A model of rows of numbers."""
    model = onnx.load_from_string(_onnx(node("MatMul", ["image", "table"], ["y"]), table=_eye()))
    model.graph.input[0].CopyFrom(_value("image", ["batch", 16]))
    return model.SerializeToString()


def _eye():
    return np.eye(16, dtype=np.float32)


def custom():
    """A model that needs a library of its own."""
    model = onnx.load_from_string(networks.tiny_onnx())
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model.SerializeToString()


def doubling():
    """Forty functions that each use the next one twice."""
    model = onnx.load_from_string(networks.tiny_onnx())
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for level in range(40):
        steps = [node(f"f{level + 1}", [a], [b], domain="own") for a, b in ("xm", "my")]
        model.functions.append(
            helper.make_function("own", f"f{level}", ["x"], ["y"], steps, opsets)
        )
    last = [node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("own", "f40", ["x"], ["y"], last, opsets))
    model.graph.node[1].op_type, model.graph.node[1].domain = "f0", "own"
    model.opset_import.append(opsets[1])
    return model.SerializeToString()


def nested():
    """Branches within branches, five hundred deep: made by hand, since protobuf does not."""

    def field(number, content):
        return bytes([number << 3 | 2]) + _varint(len(content)) + content

    graph = b""
    for _ in range(500):
        attribute = field(1, b"then_branch") + field(6, graph)
        graph = field(1, field(4, b"If") + field(5, attribute))
    return b"\x08\x09" + field(7, graph)


def _varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def swelling():
    """A model whose activations would take a petabyte."""
    return _onnx(
        node("Tile", ["image", "times"], ["swollen"], "swell"),
        node("ReduceMean", ["swollen"], ["y"], axes=[2, 3]),
        times=np.array([1, 1, 2**20, 2**18]),
    )


def dense():
    """A classifier of all pixels, which fits images of 16 pixels alone and declares none."""
    return _onnx(
        node("Flatten", ["image"], ["flat"]),
        node("Gemm", ["flat", "weights"], ["logits"], "classifier"),
        sides=("height", "width"),
        weights=np.ones((3 * networks.SIZE**2, networks.CLASSES), np.float32),
    )


def recurrent_tail():
    """A classifier with a recurrent layer, which has no translation, behind ``code``."""
    random = np.random.default_rng(0)
    shapes = {"kernel": (8, 3, 3, 3), "w": (1, 16, 8), "r": (1, 16, 4), "weights": (4, 4)}
    stored = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return _onnx(
        node("Conv", ["image", "kernel"], ["conv"], "conv_node", pads=[1, 1, 1, 1]),
        node("Relu", ["conv"], ["relu"]),
        node("GlobalAveragePool", ["relu"], ["pool"]),
        node("Flatten", ["pool"], ["code"]),
        node("Unsqueeze", ["code", "front"], ["sequence"]),
        node("LSTM", ["sequence", "w", "r"], ["", "last"], "lstm_node", hidden_size=4),
        node("Squeeze", ["last", "front"], ["state"]),
        node("Gemm", ["state", "weights"], ["logits"], "gemm_node"),
        front=np.array([0]),
        **stored,
    )


def detecting():
    """A detector: scores and boxes of all places, and as a tail which of them to keep."""
    stored = {
        "kernel": np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32),
        "rows": np.array([0, 5, -1]),
        "parts": np.array([4, 1]),
        "most": np.array([1000]),
        "overlap": np.array([0.05], np.float32),
    }
    return _onnx(
        node("Conv", ["image", "kernel"], ["conv"], "conv_node"),
        node("Reshape", ["conv", "rows"], ["flat"]),
        node("Split", ["flat", "parts"], ["sides", "scores"], axis=1),
        node("Transpose", ["sides"], ["boxes"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["kept"], "nms_node"),
        node("Cast", ["kept"], ["detections"], to=TensorProto.FLOAT),
        **stored,
    )


def troubled():
    """``networks.tiny_onnx`` with layers that a unit cannot well be taken from.

    ``winner`` is an argmax, ``still`` the same for all images, ``sick`` NaN, ``largest`` without
    channels; ``loud`` is finite for noise, and infinite for pictures that are brighter by a bit.
    """
    model = onnx.load_from_string(networks.tiny_onnx())
    constants = {"nan": np.float32(np.nan), "eighty": np.float32(80), "four": np.array([4])}
    model.graph.initializer.extend(_tensors(constants))
    model.graph.node.extend(
        [
            node("ArgMax", ["logits"], ["winner"], axis=1),
            node("Shape", ["image"], ["batch"], end=1),
            node("Concat", ["batch", "four"], ["shape"], axis=0),
            node("ConstantOfShape", ["shape"], ["still"]),
            node("Mul", ["logits", "nan"], ["sick"], "sick_node"),
            node("ReduceMax", ["logits"], ["largest"], axes=[1], keepdims=0),
            node("ReduceMean", ["image"], ["brightness"], axes=[1, 2, 3]),
            node("Mul", ["brightness", "eighty"], ["exponent"]),
            node("Exp", ["exponent"], ["loud"]),
        ]
    )
    model.graph.output.append(_value("still", None))
    return model.SerializeToString()


def _onnx(*nodes, sides=(networks.SIZE, networks.SIZE), **stored):
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [_value("image", ["batch", 3, *sides])],
        [_value(nodes[-1].output[0], None)],
        _tensors(stored),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def _value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _tensors(arrays):
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]
