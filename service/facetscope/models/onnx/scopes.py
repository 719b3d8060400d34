"""Scopes: the tensors that a node of a graph may refer to by name."""

from collections import ChainMap
from dataclasses import dataclass, field

from facetscope.domain.errors import ModelUnreadableError, OperatorUnsupportedError
from facetscope.models.onnx.operands import Operand
from facetscope.models.onnx.registry import UnsupportedValueError


@dataclass(slots=True)
class Scope:
    """What nodes may refer to.

    Attributes:
        opset: The operator set that they are written for.
        operands: The tensors computed so far, by name; None for inputs of a function left out.
        absent: Why a tensor that a node announces was not computed, by name.
        addressable: Whether the file runs the nodes once, so that users know the tensors by name.
        untranslated: Which node is in the way to a tensor of which nothing is known, by name.
    """

    opset: int
    operands: ChainMap[str, Operand | None] = field(default_factory=ChainMap)
    absent: ChainMap[str, str] = field(default_factory=ChainMap)
    addressable: bool = False
    untranslated: dict[str, OperatorUnsupportedError] = field(default_factory=dict)

    def inside(self, *, addressable: bool) -> "Scope":
        """The scope of a graph inside a node of this one: its names are its own."""
        operands, absent = self.operands.new_child(), self.absent.new_child()
        return Scope(
            self.opset, operands, absent, self.addressable and addressable, self.untranslated
        )

    def operand(self, name: str) -> Operand | None:
        """The tensor of that name; None where the name is empty.

        Raises:
            ModelUnreadableError: No node before computes such a tensor.
            UnsupportedValueError: It is a result that is not supported.
            OperatorUnsupportedError: It is a result of a node without a translation.
        """
        if not name:
            return None
        if name in self.untranslated:
            raise self.untranslated[name]
        if name in self.absent:
            raise UnsupportedValueError(self.absent[name])
        if name not in self.operands:
            raise ModelUnreadableError(problem=f"no node computes {name!r} before it is read")
        return self.operands[name]

    def add(self, name: str, operand: Operand) -> None:
        """Give a tensor its name.

        Raises:
            ModelUnreadableError: The name is taken.
        """
        if name in self.operands.maps[0]:
            raise ModelUnreadableError(problem=f"two nodes compute {name!r}")
        self.operands[name] = operand
