"""The tensor operators: which there may be, and those whose calls are not taken as they are."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor
from torch._C import parse_schema
from torch._ops import OpOverload

from facetscope.models import normalizing
from facetscope.models.graph import BATCHES
from facetscope.models.torchscript.attention import record_attention, record_encoder_layer
from facetscope.models.torchscript.calls import Call, apply
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import (
    TracedTensor,
    UntranslatableError,
    is_traced,
)

aten: Final = torch.ops.aten

ALLOWED: Final = frozenset(
    """
    _convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d convolution linear addmm
    _weight_norm bilinear bmm baddbmm dot einsum matmul mm mv outer scaled_dot_product_attention
    _native_multi_head_attention _transformer_encoder_layer_fwd

    batch_norm group_norm instance_norm layer_norm local_response_norm rms_norm
    frobenius_norm linalg_vector_norm norm

    celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_softmax
    mish prelu relu relu6 selu sigmoid silu softmax softplus softshrink softsign square tanh
    tanhshrink threshold

    dropout alpha_dropout feature_dropout feature_alpha_dropout

    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d avg_pool1d avg_pool2d avg_pool3d
    max_pool1d max_pool2d max_pool2d_with_indices lp_pool2d constant_pad_nd pad
    reflection_pad2d replication_pad2d grid_sampler affine_grid_generator pixel_shuffle
    pixel_unshuffle channel_shuffle im2col col2im upsample_bicubic2d upsample_bilinear2d
    upsample_nearest2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa

    abs acos add addcdiv addcmul asin atan atan2 ceil clamp clamp_max clamp_min clip cos cosh div
    divide erf exp expm1 floor floor_divide fmod log log10 log1p log2 lerp maximum minimum mul
    multiply neg pow reciprocal remainder round rsqrt rsub sign sin sinh sqrt sub subtract tan
    true_divide trunc where

    __and__ __or__ __xor__ bitwise_and bitwise_not bitwise_or eq ge gt isnan le logical_and
    logical_not logical_or logical_xor lt ne

    all amax amin any argmax argmin cumsum logsumexp max mean median min prod std std_mean sum
    topk sort var var_mean

    alias broadcast_to cat chunk clone concat contiguous copy detach diagonal expand expand_as
    flatten flip gather hstack index index_put index_select lift_fresh_copy masked_fill meshgrid
    movedim narrow
    permute repeat repeat_interleave reshape reshape_as roll rot90 scatter select select_scatter
    mT numpy_T slice slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t
    take_along_dim tensor_split tile transpose tril triu unbind unflatten unfold unsqueeze view
    view_as vstack

    arange empty empty_like eye fill full full_like linspace new_empty new_full new_ones new_zeros
    ones ones_like scalar_tensor tensor to type_as zero zeros zeros_like

    len numel size
    """.split()  # noqa: SIM905 - two hundred names to read, not to punctuate
)
"""Pure operators of vision models: none draws random numbers, reads, writes or calls back."""

DTYPES: Final = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex32,
    torch.complex64,
    torch.complex128,
    torch.bool,
    torch.qint8,
    torch.quint8,
    torch.qint32,
    torch.bfloat16,
)
"""Element types, in the order of their numbers in c10/core/ScalarType.h."""

Number = int | float

QUESTIONS: Final[Mapping[str, Callable[[Tensor], Any]]] = {
    "aten::dim": Tensor.dim,
    "aten::is_floating_point": Tensor.is_floating_point,
    "prim::device": lambda _: torch.device("cpu"),
    "prim::dtype": lambda tensor: DTYPES.index(tensor.dtype),
    "prim::is_cuda": lambda _: False,
    "prim::is_mkldnn": lambda _: False,
    "prim::is_nested": lambda _: False,
    "prim::is_quantized": lambda _: False,
    "prim::is_sparse": lambda _: False,
    "prim::layout": lambda _: 0,
    "prim::requires_grad": lambda _: False,
}
"""What programs ask of a tensor, and of which all images give the same answer."""


def ask(kind: str, tensor: Any) -> Any:
    """The answer to one of ``QUESTIONS``."""
    return QUESTIONS[kind](tensor.probes[0] if isinstance(tensor, TracedTensor) else tensor)


def compute(tape: Tape, kind: str, schema: str, inputs: list[Any], path: str) -> Any:
    """The result of the tensor operator ``kind`` of ``schema`` within the module at ``path``.

    Raises:
        UntranslatableError: The operator is not allowed, or not for these inputs.
    """
    name = allowed(kind)
    parsed = parse_schema(schema)
    operator = getattr(getattr(aten, name), parsed.overload_name or "default")
    names = [argument.name for argument in parsed.arguments]
    return perform(tape, operator, dict(zip(names, inputs, strict=True)), path)


def allowed(kind: str) -> str:
    """The name, within its library, of the operator ``kind``.

    Raises:
        UntranslatableError: It is not one of ``ALLOWED``, nor the in-place form of one.
    """
    namespace, _, name = kind.partition("::")
    if namespace != "aten" or _pure(name) not in ALLOWED:
        raise UntranslatableError("there is no translation of it")
    return name


def perform(tape: Tape, operator: OpOverload, arguments: dict[str, Any], path: str) -> Any:
    """The result of an ``operator`` that is ``allowed``, within the module at ``path``.

    Args:
        tape: Where to write it down if it depends on the image.
        operator: Which overload.
        arguments: All of them, by name; element types are numbers, as in ``DTYPES``.
        path: The module that it is in.

    Raises:
        UntranslatableError: It has no translation for these arguments.
    """
    name = operator.overloadpacket.__name__
    pure_name = _pure(name)
    if operator._schema.is_mutable and name == pure_name:  # noqa: SLF001 - as in Call
        raise UntranslatableError("it writes to one of its arguments")
    handle = HANDLERS.get(pure_name, apply)
    label = pure_name.strip("_")
    return handle(tape, Call(operator, _normalized(tape, arguments), label, path))


def _pure(name: str) -> str:
    """The operator that computes what ``name`` does, which may be its in-place form."""
    return name if name in ALLOWED else name.removesuffix("_")


def _normalized(tape: Tape, arguments: dict[str, Any]) -> dict[str, Any]:
    """``arguments`` with no device of their own, and floating types that are the image's."""
    for name in ("device", "pin_memory"):
        if name in arguments:
            arguments[name] = None
    if arguments.get("dtype") is not None:
        dtype = DTYPES[arguments["dtype"]]
        arguments["dtype"] = tape.precision if dtype.is_floating_point else dtype
    return arguments


def _size(tape: Tape, call: Call) -> Any:
    tensor, axis = call.arguments["self"], call.arguments.get("dim")
    if isinstance(tensor, Tensor):
        return list(tensor.shape) if axis is None else tensor.shape[axis]
    if axis is not None:
        return tape.size(tensor, axis)
    return [tape.size(tensor, axis) for axis in range(tensor.probes[0].dim())]


def _length(tape: Tape, call: Call) -> Any:
    tensor = call.arguments["t"]
    return len(tensor) if isinstance(tensor, Tensor) else tape.size(tensor, 0)


def _numel(tape: Tape, call: Call) -> Any:
    tensor = call.arguments["self"]
    if isinstance(tensor, Tensor):
        return tensor.numel()
    return tape.number(aten.sym_numel.default, tensor)


def _input(_: Tape, call: Call) -> Any:
    """What inference makes of dropout."""
    return call.subject


def _inferring(tape: Tape, call: Call) -> Any:
    """Batch normalization by its running statistics, whatever mode a trace was made in."""
    without = call.arguments["running_mean"] is None
    return _normalizing(tape, call.of(call.operator, training=without))


def _normalizing(tape: Tape, call: Call) -> Any:
    """A normalization of which torch's own gradient is wrong."""
    if not is_traced(call.arguments):
        return apply(tape, call)
    positional, _ = call.split()
    name = tape.names.operator(call.path, call.label)
    return tape.record(getattr(normalizing, call.label), positional, name=name, kind=call.label)


def _convolution(tape: Tape, call: Call) -> Any:
    """A trace's convolution by the operator for its axes, which autocast knows on every device."""
    axes = len(call.arguments["stride"])
    name = f"conv_transpose{axes}d" if call.arguments["transposed"] else f"conv{axes}d"
    overloads = getattr(aten, name)
    operator = overloads.input if call.arguments["transposed"] else overloads.default
    return apply(tape, call.of(operator))


def _reshape(tape: Tape, call: Call) -> Any:
    """A view or reshape, which must not fix the batch size; it takes every memory layout."""
    shape = call.arguments.get("shape", call.arguments.get("size"))
    if shape is None:
        raise UntranslatableError("it reads the bits of a tensor as another type")
    if not is_traced(shape) and _fixes_batch(call.arguments["self"], shape):
        raise UntranslatableError(f"the shape {shape} is that of a fixed batch size: {tape.hint}")
    return apply(tape, call.of(aten.reshape.default, shape=shape))


def _fixes_batch(tensor: Any, shape: list[int]) -> bool:
    """Whether ``shape`` holds a whole number of images, which the batch may not be."""
    if not isinstance(tensor, TracedTensor):
        return False
    sizes = [probe.numel() for probe in tensor.probes]
    of_image = (sizes[1] - sizes[0]) // (BATCHES[1] - BATCHES[0])
    return of_image > 0 and math.prod(shape) % of_image == 0 and -1 not in shape


def _to(tape: Tape, call: Call) -> Any:
    """A conversion of type; the graph is on one device, and its floating tensors of one type."""
    tensor, other = call.arguments["self"], call.arguments.get("other")
    dtype = call.arguments.get("dtype") if other is None else _dtype(other)
    if dtype in (None, _dtype(tensor)):
        return replace(tensor) if isinstance(tensor, TracedTensor) else tensor
    return apply(tape, call.of(aten.to.dtype, dtype=dtype))


def _dtype(tensor: Any) -> torch.dtype:
    return DTYPES[ask("prim::dtype", tensor)]


def _filled(tape: Tape, call: Call) -> Any:
    """A tensor filled with one value; if its size follows the batch, so does its device."""
    if not is_traced(call.arguments):
        return apply(tape, call)
    operator = getattr(aten, f"new_{call.label}").default
    return apply(tape, call.of(operator, self=tape.image))


def counted(
    image: Tensor,
    start: Number,
    end: Number,
    step: Number,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Numbers from ``start`` to ``end``, where ``image`` is."""
    return torch.arange(start, end, step, dtype=dtype, device=image.device)


def _arange(tape: Tape, call: Call) -> Any:
    """A range; if its length follows the batch, so does its device."""
    given = call.arguments
    if not is_traced(given):
        return apply(tape, call)
    limits = [given.get("start", 0), given["end"], given.get("step", 1)]
    name = tape.names.operator(call.path, call.label)
    options = {"dtype": given["dtype"]}
    return tape.record(counted, [tape.image, *limits], options, name=name, kind=call.label)


def _new(tape: Tape, call: Call) -> Any:
    """A tensor of the type of another; it is a constant unless its size or filling is traced."""
    subject, *others = call.arguments.values()
    if isinstance(subject, TracedTensor) and not is_traced(others):
        subject = torch.empty(0, dtype=_dtype(subject))
    return apply(tape, call.of(call.operator, self=subject))


HANDLERS: Final[Mapping[str, Callable[[Tape, Call], Any]]] = {
    "_convolution": _convolution,
    "_native_multi_head_attention": record_attention,
    "_transformer_encoder_layer_fwd": record_encoder_layer,
    "alpha_dropout": _input,
    "arange": _arange,
    "batch_norm": _inferring,
    "dropout": _input,
    "feature_alpha_dropout": _input,
    "feature_dropout": _input,
    "full": _filled,
    "instance_norm": _normalizing,
    "len": _length,
    "new_empty": _new,
    "new_full": _new,
    "new_ones": _new,
    "new_zeros": _new,
    "numel": _numel,
    "ones": _filled,
    "reshape": _reshape,
    "size": _size,
    "to": _to,
    "type_as": _to,
    "view": _reshape,
    "zeros": _filled,
}
"""Operators that are not taken as they are."""
