"""What the tensors behind a node without a translation look like, as another runtime finds out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, final

import onnx
import torch
from onnx import NodeProto
from torch import Tensor

from facetscope.models.onnx import registry
from facetscope.models.onnx.files import DEFAULT_DOMAIN
from facetscope.models.onnx.operands import Outlines

WRITTEN_OUT: Final = frozenset({"Constant", "If", "Loop"})
"""Operators that the translator follows itself."""

Outline = tuple[tuple[int, ...], str]
"""Shape and type, as NumPy names it, of a tensor."""

Probe = Callable[[Sequence[str], Sequence[int]], Sequence[Sequence[Outline | None]] | None]
"""Outlines of tensors, by name, at batches of several sizes: None for what is no tensor of numbers,
and None in place of all where the file does not run."""


@final
class Prober:
    """Asks for the outlines of tensors, of many at once: each time the whole model runs."""

    def __init__(
        self, probe: Probe, batches: tuple[int, int], nodes: Iterable[NodeProto], opset: int
    ) -> None:
        """Expect to be asked for the results of those of ``nodes`` that have no translation."""
        self._probe = probe
        self._batches = batches
        self._expected = [
            name
            for node in nodes
            if not _has_translation(node, opset)
            for name in node.output
            if name
        ]
        self._known: dict[str, Outlines | None] = {}

    def outlines(self, names: Sequence[str], dtype: torch.dtype) -> Mapping[str, Outlines | None]:
        """Each tensor by name, with floating types as ``dtype``.

        None stands for those whose shape does not follow the batch size alone. All are missing
        where the file does not run.
        """
        if not all(name in self._known for name in names):
            together = list(dict.fromkeys([*names, *self._expected]))
            found = self._found(together, dtype)
            self._known |= found if found or together == [*names] else self._found(names, dtype)
        return {name: self._known[name] for name in names if name in self._known}

    def _found(self, names: Sequence[str], dtype: torch.dtype) -> dict[str, Outlines | None]:
        found = self._probe(names, self._batches)
        if found is None:
            return {}
        pairs = zip(*found, strict=True)
        return {
            name: _outlines(pair, self._batches, dtype)
            for name, pair in zip(names, pairs, strict=True)
        }


def _has_translation(node: NodeProto, opset: int) -> bool:
    if node.domain not in DEFAULT_DOMAIN:
        return False
    if node.op_type in WRITTEN_OUT or registry.find(node.op_type, opset) is not None:
        return True
    if not onnx.defs.has(node.op_type, opset):
        return False
    schema: Any = onnx.defs.get_schema(node.op_type, opset)
    return bool(schema.has_function or schema.has_context_dependent_function)


def _outlines(
    pair: Sequence[Outline | None], batches: tuple[int, int], dtype: torch.dtype
) -> Outlines | None:
    at_first, at_second = pair
    if at_first is None or at_second is None:
        return None
    (first, kind), (second, _) = at_first, at_second
    lengths = zip(first, second, strict=False)
    if len(first) != len(second) or not all(_follows(length, batches) for length in lengths):
        return None
    stored = getattr(torch, kind)
    of = dtype if stored.is_floating_point else stored
    return _outline(first, of), _outline(second, of)


def _follows(lengths: tuple[int, int], batches: tuple[int, int]) -> bool:
    """Whether a length is the same for both batch sizes, or a multiple of them."""
    return lengths[0] == lengths[1] or lengths[0] * batches[1] == lengths[1] * batches[0]


def _outline(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")
