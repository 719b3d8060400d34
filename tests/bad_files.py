"""Files that are refused, and what whoever sends them is told."""

from tests import hostile_files, hostile_onnx, networks

UNREADABLE = ("INVALID_ARGUMENT", "MODEL_UNREADABLE")
FORBIDDEN = ("INVALID_ARGUMENT", "MODEL_FORBIDDEN")
UNTRANSLATED = ("UNIMPLEMENTED", "OPERATOR_UNSUPPORTED")
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY")

FILES = {
    "a JPEG": (hostile_files.jpeg, UNREADABLE, ["JPEG picture", "set of images"]),
    "a text": (lambda: b"All models are wrong.\n", UNREADABLE, ["not ONNX", "torch.jit.save"]),
    "random bytes": (hostile_files.noise, UNREADABLE, ["not ONNX", "torch.jit.save"]),
    "nothing": (lambda: b"", UNREADABLE, ["empty", "send ONNX, TorchScript or .pt2"]),
    "a PDF": (lambda: b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", UNREADABLE, ["PDF", "torch.onnx.export"]),
    "half an ONNX": (lambda: networks.tiny_onnx()[:-99], UNREADABLE, ["damaged", "send all"]),
    "half a TorchScript": (
        lambda: hostile_files.scripted(hostile_files.Prints())[:-99],
        UNREADABLE,
        ["no whole TorchScript archive", "send it again"],
    ),
    "a checkpoint": (hostile_files.checkpoint, UNREADABLE, ["checkpoint", "torch.jit.trace"]),
    "an old checkpoint": (
        lambda: hostile_files.checkpoint(zipped=False),
        UNREADABLE,
        ["checkpoint", "torch.jit.trace"],
    ),
    "an empty .pt2": (hostile_files.exported_program, UNREADABLE, ["0 programs", "save one"]),
    "a compiled .pt2": (
        lambda: hostile_files.exported_program(**{"data/aotinductor/model/model.so": b"\x7fELF"}),
        FORBIDDEN,
        ["compiled library", "torch.export.save", "model.so"],
    ),
    "an old .pt2": (
        lambda: networks.zipped(**{"serialized_exported_program.json": b"{}"}),
        FORBIDDEN,
        ["pickle", "newer torch"],
    ),
    "external data": (hostile_onnx.external, FORBIDDEN, ["another file", "'kernel'"]),
    "__setstate__": (
        lambda: hostile_files.scripted(hostile_files.Wakes()),
        FORBIDDEN,
        ["__setstate__", "code/__torch__"],
    ),
    "a pickled module": (
        hostile_files.module,
        UNREADABLE,
        ["pickled module", "Python code", "torch.jit.trace"],
    ),
    "an operator that reads files": (
        lambda: hostile_files.scripted(hostile_files.Reads()),
        FORBIDDEN,
        ["aten::from_file", "code/__torch__", "line"],
    ),
    "two files of one name": (hostile_files.doubled, FORBIDDEN, ["second entry", "data.pkl"]),
    "functions without measure": (
        hostile_onnx.doubling,
        FORBIDDEN,
        ["nodes", "more than 100000", "graph 'tiny'"],
    ),
    "branches without measure": (hostile_onnx.nested, UNREADABLE, ["not ONNX, or is dam"]),
    "an unknown domain": (hostile_onnx.custom, UNTRANSLATED, ["'relu_node'", "com.example"]),
    "an LSTM in TorchScript": (
        lambda: hostile_files.scripted(hostile_files.Recurrent()),
        UNTRANSLATED,
        ["layer/lstm", "no translation"],
    ),
    "tokens in ONNX": (hostile_onnx.tokens, UNREADABLE, ["'tokens'", "INT64 of 2 axes"]),
    "tokens in TorchScript": (
        lambda: hostile_files.scripted(hostile_files.Tokens()),
        UNTRANSLATED,
        ["layer/embedding", "no translation"],
    ),
    "rows of numbers": (hostile_onnx.table, UNREADABLE, ["'image'", "FLOAT of 2 axes"]),
    "two inputs in TorchScript": (
        lambda: hostile_files.scripted(hostile_files.TwoImages()),
        UNTRANSLATED,
        ["another input", "'mask'"],
    ),
    "a branch by pixels in TorchScript": (
        lambda: hostile_files.scripted(hostile_files.Branches()),
        UNTRANSLATED,
        ["pixels of the image"],
    ),
    "a loop of 10^15 rounds": (
        hostile_onnx.looping,
        UNTRANSLATED,
        ["more than 20000 steps"],
    ),
    "an enormous constant": (
        lambda: hostile_files.scripted(hostile_files.Enormous()),
        UNTRANSLATED,
        ["zeros", "1000000000000 elements", "more than 268435456"],
    ),
    "an unknown operator": (networks.unsupported_onnx, UNTRANSLATED, ["'relu_node'", "Levitate"]),
    "two inputs": (hostile_onnx.two_input, UNREADABLE, ["one input", "image, mask"]),
    "a vector alone": (
        hostile_onnx.vector,
        UNREADABLE,
        ["none of its tensors has channels"],
    ),
    "a bomb": (hostile_onnx.bomb, UNTRANSLATED, ["'bomb'", "419430400 elements"]),
    "a swelling": (
        hostile_onnx.swelling,
        OUT_OF_MEMORY,
        ["memory of cpu"],
    ),
    "a graph larger than memory": (
        hostile_onnx.overlarge,
        OUT_OF_MEMORY,
        ["memory of cpu", "smaller input"],
    ),
    "constants without measure": (
        hostile_onnx.piecemeal,
        UNTRANSLATED,
        ["ConstantOfShape", "bytes in all, more than 4294967296"],
    ),
    "a program that would end its worker": (
        hostile_files.lethal,
        FORBIDDEN,
        ["nested more than 2000 deep"],
    ),
    "an endless loop": (
        lambda: hostile_files.scripted(hostile_files.Endless()),
        UNTRANSLATED,
        ["Loop", "more than 50000 steps"],
    ),
    "a print": (
        lambda: hostile_files.scripted(hostile_files.Prints()),
        UNTRANSLATED,
        ["prim::Print", "no translation"],
    ),
}
"""By what they are: their making, code and reason of the status, and words of its sentence."""

FOR_WORKERS = (
    "a graph larger than memory",
    "a program that would end its worker",
    "an endless loop",
)
"""Those that only a process of its own may be given, or takes long for."""

WITHOUT_A_WORKER = tuple(sorted({*FILES} - {*FOR_WORKERS}))

REPRESENTATIVE = (
    "a JPEG",
    "half a TorchScript",
    "external data",
    "__setstate__",
    "an operator that reads files",
    "tokens in ONNX",
    "a branch by pixels in TorchScript",
    "a swelling",
    *FOR_WORKERS,
)
"""One of each kind, to send to a server: it starts a worker for each."""


SOUND = {
    "ONNX": networks.tiny_onnx,
    "TorchScript": lambda: hostile_files.scripted(hostile_files.Sound()),
}
"""Good models, to be damaged."""
