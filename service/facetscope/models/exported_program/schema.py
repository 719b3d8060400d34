"""The vocabulary of exported programs, in that of TorchScript.

The numbers are of torch/_export/serde/schema.py, which differ from those of c10.
"""

from collections.abc import Mapping
from typing import Final

import torch

DTYPES: Final[Mapping[int, torch.dtype]] = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
    29: torch.float8_e4m3fn,
    30: torch.float8_e5m2,
}
"""Element types by their number."""

STRIDED: Final = 7
"""The layout of dense tensors."""

MEMORY_FORMATS: Final[Mapping[int, torch.memory_format]] = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
"""Orders of axes in memory by their number."""

FUNCTIONS: Final[Mapping[str, str]] = {
    "_operator.add": "aten::add",
    "_operator.and_": "aten::__and__",
    "_operator.eq": "aten::eq",
    "_operator.floordiv": "aten::floordiv",
    "_operator.ge": "aten::ge",
    "_operator.gt": "aten::gt",
    "_operator.le": "aten::le",
    "_operator.lt": "aten::lt",
    "_operator.mod": "aten::remainder",
    "_operator.mul": "aten::mul",
    "_operator.ne": "aten::ne",
    "_operator.neg": "aten::neg",
    "_operator.or_": "aten::__or__",
    "_operator.sub": "aten::sub",
    "_operator.truediv": "aten::div",
    "math.ceil": "aten::ceil",
    "math.floor": "aten::floor",
    "math.trunc": "aten::Int",
    "torch.sym_float": "aten::Float",
    "torch.sym_int": "aten::Int",
    "torch.sym_max": "prim::max",
    "torch.sym_min": "prim::min",
    "torch.sym_not": "aten::__not__",
}
"""Arithmetic with sizes: what else than operators is called, and its name in TorchScript."""

CHECKS: Final = frozenset(
    {
        "_assert_async",
        "_assert_scalar",
        "_assert_tensor_metadata",
        "sym_constrain_range",
        "sym_constrain_range_for_size",
    }
)
"""Operators that check what was so at the export, and give nothing."""
