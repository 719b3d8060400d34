"""A network whose layers ONNX Runtime's quantizer knows, and its quantized files."""

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from tests.models.onnx.samples import SIDE, exported
from torch import nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

QDQ = quantization.QuantFormat.QDQ
QOPERATOR = quantization.QuantFormat.QOperator
INT8, INT16 = quantization.QuantType.QInt8, quantization.QuantType.QInt16

STATIC = {
    "QDQ": {"quant_format": QDQ},
    "QDQ by channel": {"quant_format": QDQ, "per_channel": True},
    "QDQ of ONNX Runtime's domain": {
        "quant_format": QDQ,
        "activation_type": INT16,
        "weight_type": INT8,
        "extra_options": {"UseQDQContribOps": True},
    },
    "QDQ in 16 bits": {"quant_format": QDQ, "activation_type": INT16, "weight_type": INT8},
    "QOperator": {"quant_format": QOPERATOR},
    "QOperator by channel, signed": {
        "quant_format": QOPERATOR,
        "per_channel": True,
        "activation_type": INT8,
        "weight_type": INT8,
    },
}
"""Settings of the quantizer."""


class Residual(nn.Module):
    """Convolutions with a gate, a shortcut and a concatenation.

    No pooling averages an even number of elements: half a level would be rounded to either side.
    """

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(8, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(16, 12, 3)
        self.classes = nn.Linear(12, 10)

    def forward(self, image):
        stem = F.max_pool2d(F.relu(self.stem(image)), 2)
        wide = F.leaky_relu(self.wide(stem), 0.1) + stem
        gated = self.deep(wide) * torch.sigmoid(self.gate(wide))
        joined = torch.cat([F.avg_pool2d(gated, 3), F.avg_pool2d(wide, 3)], 1)
        return self.classes(F.adaptive_avg_pool2d(F.relu(self.last(joined)), 1).flatten(1))


def batch(count, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, SIDE, SIDE, generator=generator).to(dtype)


class Calibration(quantization.CalibrationDataReader):
    """Images whose activations set the ranges."""

    def __init__(self):
        self._rest = [{"input": batch(2, seed).numpy()} for seed in range(1, 5)]

    def get_next(self):
        return self._rest.pop() if self._rest else None


def quantized(folder, built, **settings):
    """The file that ONNX Runtime makes of a network, by default with the ranges of each batch."""
    source, result = folder / "real.onnx", folder / "quantized.onnx"
    source.write_bytes(exported(built.eval(), dynamo=False))
    if settings:
        quantization.quantize_static(source, result, Calibration(), **settings)
    else:
        quantization.quantize_dynamic(source, result, weight_type=quantization.QuantType.QUInt8)
    return onnx.load(result)


def by_runtime(file, images, names=(), *, optimized=False):
    """Tensors as ONNX Runtime computes them; of its outputs, unless others are named."""
    asked = onnx.ModelProto()
    asked.CopyFrom(file)
    given = {output.name for output in file.graph.output}
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: images.numpy().astype(np.float32)}
    return [torch.from_numpy(value) for value in session.run(list(names) or None, feed)]
