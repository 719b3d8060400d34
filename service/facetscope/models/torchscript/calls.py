"""Calls of tensor operators, and how they become nodes or constants."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._C import FunctionSchema
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map

from facetscope.models.memory import MOST_ELEMENTS
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import TracedTensor, UntranslatableError, is_traced


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tensor operator.

    Attributes:
        operator: Which overload.
        arguments: By the names of its schema.
        label: What the operator is called in names of values.
        path: Module that it is in.
    """

    operator: OpOverload
    arguments: dict[str, Any]
    label: str
    path: str

    @property
    def schema(self) -> FunctionSchema:
        """The operator's."""
        return self.operator._schema  # noqa: SLF001 - what torch's own passes read

    @property
    def subject(self) -> Any:
        """The first argument."""
        return next(iter(self.arguments.values()))

    def of(self, operator: OpOverload, /, **changes: Any) -> "Call":
        """The same call of another operator, with those of the arguments that it has."""
        arguments = {**self.arguments, **changes}
        other = replace(self, operator=operator, arguments=arguments)
        known = {argument.name for argument in other.schema.arguments}
        return replace(other, arguments={n: a for n, a in arguments.items() if n in known})

    def split(self) -> tuple[list[Any], dict[str, Any]]:
        """Arguments by position, and by keyword."""
        positional, named = [], {}
        for argument in self.schema.arguments:
            if argument.name not in self.arguments:
                continue
            if argument.kwarg_only:
                named[argument.name] = self.arguments[argument.name]
            else:
                positional.append(self.arguments[argument.name])
        return positional, named


def apply(tape: Tape, call: Call) -> Any:
    """The result of ``call``: a constant, unless one of its arguments is traced.

    Raises:
        UntranslatableError: It would do more than compute, or more than is sensible.
    """
    if not is_traced(call.arguments):
        return _folded(tape, call)
    if call.schema.is_mutable:
        return _rewritten(tape, call)
    if "device" in call.arguments and not any(
        isinstance(leaf, TracedTensor) for leaf in tree_leaves(call.arguments)
    ):
        raise UntranslatableError("it makes a tensor whose size depends on the batch size")
    return _recorded(tape, call)


def _recorded(tape: Tape, call: Call) -> Any:
    positional, named = call.split()
    name = tape.names.operator(call.path, call.label)
    return tape.record(call.operator, positional, named, name=name, kind=call.label)


def _folded(tape: Tape, call: Call) -> Any:
    with torch.no_grad():
        for size in map(Tensor.numel, _tensors(_run(_on_meta(call)))):
            if size > MOST_ELEMENTS:
                problem = f"a constant would have {size} elements, more than {MOST_ELEMENTS}"
                raise UntranslatableError(problem)
        result = _run(call)
    if excess := tape.memory.excess(_tensors(result), _tensors(call.arguments)):
        raise UntranslatableError(excess)
    return result


def _on_meta(call: Call) -> Call:
    arguments = tree_map(
        lambda value: value.to("meta") if isinstance(value, Tensor) else value, call.arguments
    )
    return replace(
        call, arguments={**arguments, **({"device": "meta"} if "device" in arguments else {})}
    )


def _run(call: Call) -> Any:
    positional, named = call.split()
    return call.operator(*positional, **named)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _rewritten(tape: Tape, call: Call) -> TracedTensor:
    """The result of an in-place operator: its tensor, which another node computes from now on."""
    target = call.subject
    if not isinstance(target, TracedTensor):
        raise UntranslatableError("it writes what depends on the image into a constant")
    result = _recorded(tape, _copy(tape, call) if call.label == "copy" else _pure(call))
    if any(map(_differs, result.probes, target.probes)):
        raise UntranslatableError("it changes the shape or type of its tensor in place")
    tape.rewrite(target, result.node, call.path)
    return target


def _pure(call: Call) -> Call:
    """The call that computes what an in-place operator writes."""
    packet = getattr(torch.ops.aten, call.label)
    return call.of(getattr(packet, call.operator._overloadname))  # noqa: SLF001


def _copy(tape: Tape, call: Call) -> Call:
    """What ``copy_`` writes: ``aten::copy`` has no gradient."""
    target, source = call.arguments["self"], call.arguments["src"]
    dtypes = [(x.probes[0] if isinstance(x, TracedTensor) else x).dtype for x in (target, source)]
    if dtypes[0] != dtypes[1]:
        converted = {"self": source, "dtype": dtypes[0]}
        source = apply(tape, replace(call, operator=torch.ops.aten.to.dtype, arguments=converted))
    expanded = {"self": source, "other": target}
    return replace(call, operator=torch.ops.aten.expand_as.default, arguments=expanded)


def _differs(one: Tensor, other: Tensor) -> bool:
    return one.shape != other.shape or one.dtype != other.dtype
