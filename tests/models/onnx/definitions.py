"""Quantized files computed slowly: a real network whose tensors are put on their levels.

``torch.fake_quantize`` rounds and clips, and has the straight-through gradient.
"""

import numpy as np
import torch
from onnx import helper, numpy_helper
from torch.nn import functional as F  # noqa: N812 (its usual name)

REAL = {
    "Add": lambda a, b, **_: a + b,
    "AveragePool": lambda x, kernel_shape, strides, **_: F.avg_pool2d(x, kernel_shape, strides),
    "Concat": lambda *x, **_: torch.cat(x, 1),
    "Conv": lambda x, w, b, strides, pads, group=1, **_: F.conv2d(
        x, w, b, strides, pads[:2], 1, group
    ),
    "DequantizeLinear": lambda x: x,
    "Flatten": lambda x, **_: x.flatten(1),
    "Gemm": lambda x, w, b, **_: F.linear(x, w, b),
    "GlobalAveragePool": lambda x, **_: x.mean((2, 3), keepdim=True),
    "LeakyRelu": lambda x, **factor: F.leaky_relu(x, factor["alpha"]),
    "MaxPool": lambda x, kernel_shape, strides, **_: F.max_pool2d(x, kernel_shape, strides),
    "Mul": lambda a, b: a * b,
    "Sigmoid": torch.sigmoid,
}
"""Operators on the numbers that levels stand for."""


class Definition:
    """The scores of a file whose weights and scales are stored, and whose levels have 8 bits."""

    def __init__(self, file):
        self._file = file
        self._stored = {each.name: numpy_helper.to_array(each) for each in file.graph.initializer}

    def __call__(self, images):
        self._real = {self._file.graph.input[0].name: images}
        for step in self._file.graph.node:
            settings = {each.name: helper.get_attribute_value(each) for each in step.attribute}
            kind, names = step.op_type, list(step.input)
            self._real[step.output[0]] = self._computed(kind, names, settings)
        return self._real[self._file.graph.output[0].name]

    def _computed(self, kind, names, settings):
        if kind == "QuantizeLinear":
            return self._on_levels(self._real[names[0]], *names[1:])
        if kind == "DequantizeLinear" and names[0] in self._stored:
            return self._weights(*names)
        inputs = [self._real[name] for name in names if name in self._real]
        if not kind.startswith("Q"):
            return REAL[kind](*inputs, **settings)
        if kind in {"QLinearConv", "QGemm"}:
            inputs += self._weights_and_bias(names[1], *names[3:6], names[-1 if "C" in kind else 6])
        result = names[:2] if kind == "QLinearConcat" else names[6:8]
        if kind not in {"QLinearConv", "QLinearAdd", "QLinearMul", "QLinearConcat"}:
            result = names[-2:]
        return self._on_levels(
            REAL[kind.removeprefix("QLinear").removeprefix("Q")](*inputs, **settings), *result
        )

    def _weights_and_bias(self, x_scale, kernel, scale, zero, bias):
        unit = np.float64(self._stored[x_scale]) * self._stored[scale]
        return [self._weights(kernel, scale, zero), torch.from_numpy(self._stored[bias] * unit)]

    def _weights(self, name, scale, zero):
        """Stored levels as numbers, with a scale for all or for each filter."""
        levels = self._stored[name]
        by_filter = [-1] + [1] * (levels.ndim - 1)
        scales, zeros = (
            np.float64(self._stored[each]).reshape(by_filter) for each in (scale, zero)
        )
        return torch.from_numpy(((levels - zeros) * scales).reshape(levels.shape))

    def _on_levels(self, value, scale, zero):
        limits = np.iinfo(self._stored[zero].dtype)
        return torch.fake_quantize_per_tensor_affine(
            value, float(self._stored[scale]), int(self._stored[zero]), limits.min, limits.max
        )
