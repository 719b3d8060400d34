"""What a model is computed in, and by."""

from enum import Enum


class Precision(Enum):
    """What a model computes in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"


class Runtime(Enum):
    """What computes activations of many images.

    Attributes:
        AUTO: The faster one, by a rule: see ``engine.forward``.
        TORCH: The differentiable graph, in PyTorch.
        ONNX_RUNTIME: The file as it is, in ONNX Runtime.
    """

    AUTO = "auto"
    TORCH = "torch"
    ONNX_RUNTIME = "onnx runtime"
