"""The option that says what a model computes in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from facetscope_client.gen.facetscope.v1.model_pb2 import Precision


class PrecisionName(StrEnum):
    """What a model can compute in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"

    @property
    def number(self) -> Precision.ValueType:
        """The contract's number for it."""
        return Precision.Value(f"PRECISION_{self.name}")


PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        help="What the model computes in: bfloat16 is faster on GPUs, and right to two digits."
    ),
]
