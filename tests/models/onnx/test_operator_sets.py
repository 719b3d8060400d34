"""Operators mean what they meant in the operator set that a file is written for.

The reference is ONNX Runtime, which keeps every version of an operator.
"""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import helper
from tests.models.onnx.samples import model

from facetscope.models.onnx import translate

node = helper.make_node
RANDOM = np.random.default_rng(0)


def weights(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def floats(*numbers):
    return np.array(numbers, np.float32)


def ints(*numbers):
    return np.array(numbers, np.int64)


def op(kind, opset, stored=None, outputs=("y",), **attributes):
    """A parameter: one operator of an operator set on images, with stored inputs behind them."""
    stored = dict(stored or {})
    step = node(kind, ["x", *(name if name[0] != "_" else "" for name in stored)], outputs)
    step.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
    kept = {name: value for name, value in stored.items() if name[0] != "_"}
    told = "-".join(str(value) for value in attributes.values())
    return pytest.param([step], kept, opset, outputs, id=f"{kind}-{opset}-{told}".strip("-"))


def reduction(kind, opset):
    return op(kind, opset, axes=[1, -1] if opset >= 11 else [1, 3], keepdims=0)


def rows(kind, opset, stored, **attributes):
    """A parameter: one operator on the rows that images flatten to."""
    steps = [node("Flatten", ["x"], ["f"]), node(kind, ["f", *stored], ["y"], **attributes)]
    return pytest.param(steps, stored, opset, ("y",), id=f"{kind}-{opset}")


STATISTICS = {"a": weights(3), "b": weights(3), "m": weights(3), "v": weights(3) ** 2 + 0.1}

OLD = [
    op("Slice", 7, starts=[0, 2], ends=[9, -1], axes=[1, 3]),
    op("Pad", 7, pads=[0, 0, 1, 2, 0, 0, 3, -1], value=0.5),
    op("Pad", 10, pads=[0, 0, 1, 2, 0, 0, 3, 4], mode="reflect"),
    op("Pad", 10, pads=[0, 0, 1, 2, 0, 0, 3, 4], mode="edge"),
    op("Pad", 11, {"p": ints(0, 0, 1, 0, 0, 0, 0, 1), "v": np.float32(2)}),
    op("Unsqueeze", 7, axes=[0, 3]),
    op("Unsqueeze", 11, axes=[-1, 1]),
    op("Unsqueeze", 13, {"a": ints(-1, 1)}),
    op("Clip", 7, min=-0.5, max=0.25),
    op("Clip", 10, min=0.0),
    op("Clip", 11, {"_lo": floats(0), "hi": np.float32(0.5)}),
    op("Dropout", 7, ratio=0.3),
    op("Dropout", 10, ratio=0.3),
    op("Dropout", 12, {"r": np.float32(0.7)}, outputs=("y", "mask")),
    op("BatchNormalization", 7, STATISTICS, epsilon=0.1, momentum=0.5, spatial=1),
    op("BatchNormalization", 9, STATISTICS, momentum=0.5),
    op("BatchNormalization", 14, STATISTICS, training_mode=0),
    op("Split", 7, split=[1, 2], axis=1, outputs=("y", "z")),
    op("Split", 11, axis=-1, outputs=("y", "z")),
    op("Split", 13, {"s": ints(5, 3)}, axis=-1, outputs=("y", "z")),
    op("Split", 18, num_outputs=3, axis=3, outputs=("y", "z", "w")),
    op("TopK", 7, k=2, axis=1, outputs=("y", "i")),
    op("TopK", 10, {"k": ints(3)}, axis=-1, outputs=("y", "i")),
    op("TopK", 11, {"k": ints(3)}, largest=0, outputs=("y", "i")),
    op("Cast", 7, to=7),
    op("Cast", 9, to=1),
    op("Upsample", 7, scales=[1.0, 1.0, 2.0, 3.0]),
    op("Upsample", 7, scales=[1.0, 1.0, 1.5, 2.0], mode="linear"),
    op("Upsample", 9, {"s": floats(1, 1, 2, 1.5)}, mode="nearest"),
    op("Upsample", 9, {"s": floats(1, 1, 2, 1.5)}, mode="linear"),
    op("Resize", 10, {"s": floats(1, 1, 0.6, 1.5)}),
    op("Resize", 10, {"s": floats(1, 1, 0.6, 2.5)}, mode="linear"),
    op("Flatten", 7, axis=2),
    op("Flatten", 11, axis=-1),
    op("PRelu", 7, {"s": weights(3, 1, 1)}),
    op("PRelu", 16, {"s": weights(3, 1, 1)}),
    op("Pow", 7, {"e": floats(2)}),
    op("Expand", 8, {"s": ints(2, 1, 3, 1, 8)}),
    op("Tile", 7, {"r": ints(1, 2, 1, 3)}),
    op("ArgMax", 7, axis=1, keepdims=0),
    op("ArgMax", 12, axis=-1, select_last_index=1),
    op("Gather", 7, {"i": ints(2, 0)}, axis=1),
    op("Gather", 11, {"i": ints(-1, 0)}, axis=-2),
    op("DepthToSpace", 7, blocksize=1),
    op("SpaceToDepth", 7, blocksize=2),
    op("Transpose", 7, perm=[0, 2, 3, 1]),
    op("MaxPool", 7, kernel_shape=[3, 2], pads=[1, 0, 1, 1]),
    op("MaxPool", 8, kernel_shape=[3, 3], strides=[2, 2], outputs=("y", "i")),
    op("MaxPool", 10, kernel_shape=[2, 2], ceil_mode=1, dilations=[2, 2], strides=[3, 3]),
    op("MaxPool", 12, kernel_shape=[2, 2], pads=[0, 1, 1, 0], outputs=("y", "i")),
    op("MaxPool", 12, kernel_shape=[2, 2], strides=[2, 2], storage_order=1, outputs=("y", "i")),
    op("AveragePool", 7, kernel_shape=[3, 3], auto_pad="SAME_LOWER", strides=[2, 2]),
    op("AveragePool", 10, kernel_shape=[3, 3], ceil_mode=1, strides=[2, 2], count_include_pad=1),
    op("LpPool", 7, kernel_shape=[3, 3], p=3, pads=[1, 1, 1, 1], strides=[2, 2]),
    op("LpPool", 18, kernel_shape=[2, 3], ceil_mode=1, strides=[2, 2]),
    op("GlobalLpPool", 7, p=3),
    op("GlobalMaxPool", 7),
    op("LRN", 7, size=3, alpha=0.1),
    op("InstanceNormalization", 7, {"s": weights(3), "b": weights(3)}),
    op("LpNormalization", 7, axis=1, p=1),
    op("MeanVarianceNormalization", 9, axes=[0, 2, 3]),
    *(op(kind, opset) for kind in ("Softmax", "LogSoftmax", "Hardmax") for opset in (7, 11, 13)),
    *(op(kind, 11, axis=-1) for kind in ("Softmax", "LogSoftmax", "Hardmax")),
    *(op(kind, 7, axis=2) for kind in ("Softmax", "LogSoftmax", "Hardmax")),
    *(
        reduction(kind, opset)
        for kind in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
        for opset in ((7, 11) if kind == "ReduceSum" else (7, 11, 13))
    ),
    *(reduction(kind, 7) for kind in ("ReduceSumSquare", "ReduceLogSumExp", "ReduceProd")),
    op("ReduceSum", 13, {"a": ints(2, 3)}),
    op("ReduceSum", 13, noop_with_empty_axes=1),
    op("ReduceMean", 18, {"a": ints(1)}, keepdims=0),
    op("ReduceMax", 18, {"a": ints(-1)}),
    rows("Gemm", 7, {"b": weights(192, 4), "c": weights(4)}, alpha=0.5, beta=2.0),
    rows("Gemm", 11, {"b": weights(4, 192)}, transB=1),
    op("Shape", 15, start=1, end=-1),
    op("CumSum", 11, {"a": np.array(1, np.int32)}, exclusive=1, reverse=1),
    op("Trilu", 14, {"k": np.array(1)}, upper=0),
    op("Einsum", 12, equation="nchw->nhc"),
    op("ThresholdedRelu", 10, alpha=0.3),
    op("Shrink", 9, lambd=0.3, bias=0.1),
    op("Compress", 11, {"c": np.array([True, False, True])}, axis=1),
    op("Mish", 18),
    op("GroupNormalization", 18, {"s": weights(1), "b": weights(1)}, num_groups=1),
]
"""Operators in forms that are no longer the newest."""

ONE = node("Gather", ["x", "first"], ["one"], axis=0)
"""The first image, for operators whose other inputs come image by image."""


def placed(kind, opset, stored, **attributes):
    """A parameter: one operator on a single image, with stored inputs behind it."""
    step = node(kind, ["one", *stored], ["y"], **attributes)
    told = "-".join(str(value) for value in attributes.values())
    stored = {**stored, "first": ints(0)}
    return pytest.param([ONE, step], stored, opset, ("y",), id=f"{kind}-{opset}-{told}")


GRID = {"g": weights(1, 4, 5, 2)}
REGIONS = {
    "r": floats(0, 0, 7, 7, 2, 1, 5, 6, -3, 1, 4, 12, 3, 3, 3.2, 3.1).reshape(4, 4),
    "b": ints(0, 0, 0, 0),
}
OFFSET = weights(1, 18, 4, 4)

PLACED = [
    *(
        placed("GridSample", opset, GRID, mode=mode, padding_mode=padding, align_corners=align)
        for opset, modes in ((16, ("bilinear", "nearest", "bicubic")), (20, ("linear", "cubic")))
        for mode in modes
        for padding in ("zeros", "border", "reflection")
        for align in (0, 1)
    ),
    *(
        placed("RoiAlign", 10, REGIONS, sampling_ratio=ratio, output_height=3, output_width=2)
        for ratio in (0, 2)
    ),
    *(
        placed(
            "RoiAlign",
            16,
            REGIONS,
            coordinate_transformation_mode=where,
            mode=mode,
            output_height=2,
            output_width=3,
            spatial_scale=0.5,
        )
        for where in ("half_pixel", "output_half_pixel")
        for mode in ("avg", "max")
    ),
    placed("Scatter", 9, {"i": np.zeros((1, 3, 1, 8), np.int64), "u": weights(1, 3, 1, 8)}, axis=2),
    placed("GatherND", 12, {"i": np.array([[[1, 0]]])}, batch_dims=1),
    placed("DeformConv", 19, {"w": weights(2, 3, 3, 3), "o": OFFSET}, strides=[2, 2], pads=[1] * 4),
]
"""Operators that read or write where other inputs say."""


@pytest.mark.parametrize(("steps", "stored", "opset", "outputs"), [*OLD, *PLACED])
def test_an_operator_of_an_older_set_is_what_onnx_runtime_makes_of_it(
    steps, stored, opset, outputs
):
    """Attributes became inputs, and defaults changed, while files stayed as they were."""
    agrees(model(*steps, stored=stored, opset=opset, outputs=outputs))


def agrees(file, batch=None, atol=1e-5):
    """Compare all outputs with those of ONNX Runtime, for random images."""
    batch = weights(2, 3, 8, 8) if batch is None else batch
    for output in file.graph.output:
        output.ClearField("type")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        file.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    module = translate(file, torch.from_numpy(batch[:1])).module
    expected = session.run(None, {"x": batch})
    for given, wanted in zip(module(torch.from_numpy(batch)), expected, strict=True):
        assert given.shape == wanted.shape
        np.testing.assert_allclose(given.numpy(), wanted, rtol=1e-4, atol=atol)


COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
MODES = [
    *({"mode": "nearest", "nearest_mode": rounding} for rounding in ROUNDINGS),
    {"mode": "linear"},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]
SCALES = [(1, 1, 2, 3), (1, 1, 0.6, 0.8), (1, 1, 1.7, 0.3), (1, 1, 0.125, 1.3)]


def resize(opset=13, stored=None, **attributes):
    """A Resize of images; the names of what is left out begin with an underscore."""
    names = ["" if name[0] == "_" else name for name in stored]
    step = node("Resize", ["x", *names], ["y"], **attributes)
    return model(step, stored={n: v for n, v in stored.items() if n[0] != "_"}, opset=opset)


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(map(str, mode.values())))
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_images_are_resized_as_onnx_runtime_does(coordinates, mode, scales):
    """Detectors and segmentation networks resize within, and each framework in its own way."""
    stored = {"_r": None, "s": floats(*scales)}
    agrees(resize(stored=stored, coordinate_transformation_mode=coordinates, **mode))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("outside", [0, 1])
@pytest.mark.parametrize("scales", SCALES[:3])
def test_images_are_shrunk_without_aliases_as_onnx_runtime_does(mode, outside, scales):
    """Preprocessing inside of a file smooths before it leaves pixels out."""
    stored = {"_r": None, "s": floats(*scales)}
    agrees(resize(18, stored, mode=mode, antialias=1, exclude_outside=outside))


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_images_are_resized_to_sizes_as_onnx_runtime_does(policy, mode):
    """The axes may be named, and the aspect ratio be kept."""
    stored = {"_r": None, "_s": None, "z": ints(11, 5)}
    agrees(resize(19, stored, mode=mode, axes=[3, 2], keep_aspect_ratio_policy=policy))


@pytest.mark.parametrize("sizes", [(2, 3, 5, 4), (2, 3, 1, 9)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_images_are_cropped_and_resized_as_onnx_runtime_does(mode, sizes):
    """A crop may reach beyond the image, where there is one value."""
    stored = {"r": floats(0, 0, -0.2, 0.1, 1, 1, 0.7, 1.3), "_s": None, "z": ints(*sizes)}
    file = resize(
        stored=stored,
        mode=mode,
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=7.0,
    )
    agrees(file)


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 0, 2, 1]},
        {"output_padding": [1, 0], "dilations": [1, 2]},
        {"output_shape": [17, 16]},
        {"output_shape": [14, 13]},
        {"output_shape": [16, 15], "auto_pad": "SAME_UPPER"},
        {"output_shape": [14, 13], "auto_pad": "SAME_LOWER"},
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
        {"group": 3},
    ],
    ids=str,
)
def test_transposed_convolutions_are_placed_as_onnx_runtime_does(attributes):
    """Decoders depend on which side the odd element goes to, and on the bias at the ends."""
    stored = {"w": weights(3, 2, 3, 3), "b": weights(2 * attributes.get("group", 1))}
    step = node("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2, 2], **attributes)
    agrees(model(step, stored=stored))
