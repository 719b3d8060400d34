"""Files that people send by mistake, and files that are sent to break things."""

import io
import random
import warnings
import zipfile

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import Tensor, nn

from tests import networks

node = helper.make_node


class Endless(nn.Module):
    def forward(self, x):
        while True:
            pass
        return x


class Stalls(nn.Module):
    """Ends where it is translated, in single precision, and never where it is run."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(3, dtype=torch.float64))

    def forward(self, x):
        while self.weight.dtype == torch.float64:
            pass
        return x.mean([2, 3])


class Prints(nn.Module):
    def forward(self, x):
        print("seen")  # noqa: T201
        return x + 1


class Wakes(nn.Module):
    """Prints while it is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return (torch.zeros(1), self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        print("awake")  # noqa: T201
        self.training = state[1]

    def forward(self, x):
        return x


class Sound(nn.Module):
    """Nothing is wrong with it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.relu(self.conv(x)).mean((2, 3))


class Reads(nn.Module):
    def forward(self, x):
        return x + torch.from_file("/etc/hostname", size=1, dtype=torch.uint8)


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            x = -x
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(3, 8, batch_first=True)

    def forward(self, x):
        return self.layer(x.mean(2).transpose(1, 2))[0]


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Embedding(10, 4)

    def forward(self, x):
        return self.layer(x)


class TwoImages(nn.Module):
    def forward(self, x, mask):
        return x * mask


class Enormous(nn.Module):
    def forward(self, x):
        return x + torch.zeros(1000000000000).sum()


def jpeg():
    """A picture where a model belongs."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "jpeg")
    return file.getvalue()


def noise():
    """Bytes without any order."""
    return random.Random(0).randbytes(4096)


def scripted(module):
    """A TorchScript archive."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), file)
    return file.getvalue()


def checkpoint(*, zipped=True):
    """What people save while they train: weights without the model, in torch's new or old way."""
    file = io.BytesIO()
    state = {"state_dict": nn.Linear(2, 2).state_dict()}
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def module():
    """A whole module, pickled."""
    file = io.BytesIO()
    torch.save(nn.Linear(2, 2), file)
    return file.getvalue()


def doubled():
    """A TorchScript archive with two files of one name, and a mind of its own."""
    file = io.BytesIO(scripted(nn.ReLU()))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data.pkl", b"\x80\x02}.")
    return file.getvalue()


def lethal():
    """A program of branches within branches, on which torch's compiler overflows its stack."""
    begin, branch = b"-> Tensor:\n", b"if torch.eq(torch.dim(x), 1):\n      x = x\n    "
    branches = begin + b"    " + branch + (b"el" + branch) * 50_000 + b"\n"
    old, new = io.BytesIO(scripted(Sound())), io.BytesIO()
    with zipfile.ZipFile(old) as archive, zipfile.ZipFile(new, "w") as changed:
        for name in archive.namelist():
            code, own = archive.read(name), name.endswith("hostile_files.py")
            changed.writestr(name, code.replace(begin, branches, 1) if own else code)
    return new.getvalue()


def exported_program(**entries):
    """The beginnings of a ``.pt2`` file, with these entries."""
    entries = {f"model/{name}": content for name, content in entries.items()}
    return networks.zipped(**{"model/archive_format": b"pt2"}, **entries)


def external_onnx():
    """A model that asks for a file of the server."""
    model = onnx.load_from_string(networks.tiny_onnx())
    kernel = model.graph.initializer[0]
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def two_input_onnx():
    """A model of an image and a mask."""
    model = onnx.load_from_string(networks.tiny_onnx())
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch"]))
    return model.SerializeToString()


def vector_onnx():
    """One number for each image: a unit, but no channel."""
    return _onnx(node("ReduceMean", ["image"], ["y"], axes=[1, 2, 3], keepdims=0))


def scalar_onnx():
    """One number for all images together."""
    return _onnx(node("Relu", ["image"], ["relu"]), node("ReduceMean", ["relu"], ["y"], keepdims=0))


def bomb_onnx():
    """A hundred bytes that claim a constant of 400 MB four times over."""
    return _onnx(
        node("ConstantOfShape", ["size"], ["huge"], "bomb"),
        node("Add", ["image", "huge"], ["y"]),
        size=np.array([4, 100 * 2**20]),
    )


def overlarge_onnx():
    """A model whose activations take 6 GB for the two images of a probe."""
    return _onnx(
        node("Tile", ["image", "times"], ["swollen"], "swell"),
        node("Sigmoid", ["swollen"], ["y"]),
        times=np.array([1, 1, 1024, 1024]),
    )


def piecemeal_onnx():
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


def looping_onnx():
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


def branching_onnx():
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


def recurrent_onnx():
    """An LSTM over the rows of an image."""
    return _onnx(
        node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=0),
        node("LSTM", ["grey", "w", "r"], ["y"], "memory", hidden_size=2),
        w=np.ones((1, 8, networks.SIZE), np.float32),
        r=np.ones((1, 8, 2), np.float32),
    )


def tokens_onnx():
    """A model of texts."""
    model = onnx.load_from_string(_onnx(node("Gather", ["table", "image"], ["y"]), table=_eye()))
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", 128])
    model.graph.input[0].CopyFrom(tokens)
    model.graph.node[0].input[1] = "tokens"
    return model.SerializeToString()


def table_onnx():
    """A model of rows of numbers."""
    model = onnx.load_from_string(_onnx(node("MatMul", ["image", "table"], ["y"]), table=_eye()))
    model.graph.input[0].CopyFrom(_value("image", ["batch", 16]))
    return model.SerializeToString()


def _eye():
    return np.eye(16, dtype=np.float32)


def custom_onnx():
    """A model that needs a library of its own."""
    model = onnx.load_from_string(networks.tiny_onnx())
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model.SerializeToString()


def doubling_onnx():
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


def nested_onnx():
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


def mutated(data, seed):
    """``data`` with its end cut off, or a few bits or a stretch of bytes changed."""
    chance, changed = random.Random(seed), bytearray(data)
    place = chance.randrange(len(changed))
    match seed % 4:
        case 0:
            del changed[place:]
        case 1:
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case 2:
            end = min(place + 16, len(changed))
            changed[place:end] = chance.randbytes(end - place)
        case 3:
            head = chance.randrange(min(64, len(changed)))
            changed[head] = chance.randrange(256)
    return bytes(changed)


def swelling_onnx():
    """A model whose activations would take a petabyte."""
    return _onnx(
        node("Tile", ["image", "times"], ["swollen"], "swell"),
        node("ReduceMean", ["swollen"], ["y"], axes=[2, 3]),
        times=np.array([1, 1, 2**20, 2**18]),
    )


def dense_onnx():
    """A classifier of all pixels, which fits images of 16 pixels alone and declares none."""
    return _onnx(
        node("Flatten", ["image"], ["flat"]),
        node("Gemm", ["flat", "weights"], ["logits"], "classifier"),
        sides=("height", "width"),
        weights=np.ones((3 * networks.SIZE**2, networks.CLASSES), np.float32),
    )


def recurrent_tail_onnx():
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


def detecting_onnx():
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


def troubled_onnx():
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


def half_spoiled_pictures():
    """Pictures as ``networks.pictures`` makes them, and two that cannot be decoded."""
    with zipfile.ZipFile(io.BytesIO(networks.pictures())) as folder:
        files = {name: folder.read(name) for name in folder.namelist()}
    return networks.zipped(**files, **{"red/text.png": b"no picture", "red/cut.jpg": jpeg()[:200]})


def copies_of_one_picture():
    """Five files, and one picture."""
    return networks.zipped(**{f"red/{number}.jpg": jpeg() for number in range(5)})


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
