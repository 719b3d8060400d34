"""Casts, also to the types of a few bits that are for storage alone.

A tensor that a file stores in such a type keeps it, so that its type can be asked for. What is cast
to one is rounded as it says and goes on in a type that torch computes with, and the gradient passes
as if there were no rounding (the straight-through estimator, arXiv:1308.3432).
"""

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from facetscope.models.onnx.registry import UnsupportedValueError, operator
from facetscope.models.onnx.tensors import INT2, INT4, UINT2, UINT4

SMALL_FLOATS: Final = frozenset(
    {
        torch.float8_e4m3fn,
        torch.float8_e4m3fnuz,
        torch.float8_e5m2,
        torch.float8_e5m2fnuz,
        torch.float8_e8m0fnu,
    }
)
"""Types of 8 bits that torch converts."""

SMALL_INTEGERS: Final[Mapping[torch.dtype, tuple[int, int]]] = {
    INT2: (-2, 1),
    INT4: (-8, 7),
    UINT2: (0, 3),
    UINT4: (0, 15),
}
"""Types of less than a byte, one in each byte, and the least and the largest of each."""

FLOAT4: Final = torch.float4_e2m1fn_x2
"""torch's name of floats of 4 bits; here there is one in each byte."""

OF_FLOAT4: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""The values of floats of 4 bits, but for the sign, by their code."""


@operator("Cast", dtypes=("to",), ignored=("round_mode",))
def cast(x: Tensor, *, saturate: int = 1, to: torch.dtype) -> Tensor:
    """ONNX Cast-25."""
    values = wide(x)
    if to in SMALL_INTEGERS:
        least, largest = SMALL_INTEGERS[to]
        return (values.to(torch.int8) - least) % (largest - least + 1) + least
    if to is not FLOAT4 and to not in SMALL_FLOATS:
        return values.to(to)
    exact = values if values.is_floating_point() else values.float()
    rounded = _to_float4(exact) if to is FLOAT4 else _to_float8(exact, to, saturate)
    return rounded.detach() + (exact - exact.detach()).nan_to_num()


@operator("CastLike", ignored=("round_mode",))
def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1) -> Tensor:
    """ONNX CastLike-25."""
    return cast(x, saturate=saturate, to=like.dtype)


def wide(x: Tensor) -> Tensor:
    """The values of a tensor, in a type that torch computes with."""
    if x.dtype in SMALL_INTEGERS:
        return x.view(torch.int8)
    if x.dtype in SMALL_FLOATS:
        return x.float()
    if x.dtype is FLOAT4:
        table = [*OF_FLOAT4, *(-value for value in OF_FLOAT4)]
        return torch.tensor(table, device=x.device)[x.view(torch.uint8).long()]
    return x


def _to_float8(x: Tensor, dtype: torch.dtype, saturate: int) -> Tensor:
    """The nearest value; what is too large becomes the largest, or overflows as the type does."""
    if dtype is torch.float8_e8m0fnu:
        raise UnsupportedValueError("rounding to powers of two is not supported")
    largest = torch.finfo(dtype).max
    rounded = x.clamp(-largest, largest).to(dtype).to(x.dtype)
    if saturate:
        return rounded
    overflow = math.inf if dtype is torch.float8_e5m2 else math.nan
    beyond = x.abs() >= _first_beyond(dtype)
    return torch.where(beyond, torch.full_like(x, overflow).copysign(x), rounded)


def _first_beyond(dtype: torch.dtype) -> float:
    """The least number that is nearer to what would follow the largest than to the largest."""
    limits = torch.finfo(dtype)
    return limits.max + limits.eps * 2.0 ** (math.floor(math.log2(limits.max)) - 1)


def _to_float4(x: Tensor) -> Tensor:
    """The nearest value, of two equally near the one with an even code."""
    values = torch.tensor(OF_FLOAT4, dtype=x.dtype, device=x.device)
    code = torch.arange(len(OF_FLOAT4), device=x.device)
    between = (values[1:] + values[:-1]) / 2
    size = x.abs()[..., None]
    above = (size > between) | ((size == between) & (code[1:] % 2 == 0))
    return values[above.sum(-1)].copysign(x)
