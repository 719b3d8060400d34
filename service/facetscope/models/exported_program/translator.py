"""From a program and its weights to a graph."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves

from facetscope.domain.errors import InputMismatchError, OperatorUnsupportedError
from facetscope.models.exported_program.arguments import value_of
from facetscope.models.exported_program.core import ORIGINS, Origin
from facetscope.models.exported_program.program import Axis, Node, Program, Scope
from facetscope.models.exported_program.schema import CHECKS, FUNCTIONS
from facetscope.models.exported_program.scopes import Scopes
from facetscope.models.exported_program.weights import tensors
from facetscope.models.graph import BATCHES, Translation, bound
from facetscope.models.memory import is_shortage
from facetscope.models.separation import keeps_images_apart
from facetscope.models.torchscript import language, operators
from facetscope.models.torchscript.conclusion import RETURN, translation
from facetscope.models.torchscript.evaluator import BUGS_OF_PROGRAMS, STEPS
from facetscope.models.torchscript.naming import Names
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import TracedTensor, UntranslatableError

HINT: Final = (
    "export it with a dynamic batch size, dynamic_shapes=({0: torch.export.Dim('batch')},)"
)
"""What to do about outputs that are not one row for each image."""


def translate(path: Path, program: Program, example: Tensor) -> Translation:
    """Translate the ``program`` of the archive at ``path``.

    The graph takes images of the channels, height and width of ``example``: any number of them if
    the program has one meaning at all of them, and otherwise as many as it was exported for.
    It computes in the precision of ``example``, to which all floating weights are converted.

    Raises:
        ModelUnreadableError: The archive is damaged.
        InputMismatchError: The program was not exported for images of this shape.
        OperatorUnsupportedError: The program does what has no translation.
    """
    _check_shape(program, tuple(example.shape))
    fixed = program.shape[0]
    if fixed is None:
        return _translated(path, program, example, BATCHES)
    with suppress(OperatorUnsupportedError, InputMismatchError):
        free = _translated(path, program, example, BATCHES)
        if keeps_images_apart(free, free.values.values(), example):
            return free
    return bound(_translated(path, program, example, (fixed, fixed)), fixed)


def _check_shape(program: Program, asked: tuple[int, ...]) -> None:
    axes = program.axes[1:]
    if len(axes) != len(asked) - 1 or any(map(_excludes, axes, asked[1:])):
        wanted = ", ".join(["batch", *map(_text, axes)])
        raise InputMismatchError(asked, f"it was exported for images of shape [{wanted}]")


def _excludes(axis: Axis, size: int) -> bool:
    return size < axis.least or (axis.most is not None and size > axis.most)


def _text(axis: Axis) -> str:
    if axis.size is not None:
        return str(axis.size)
    return f"{axis.least} to {axis.most}" if axis.most else f"{axis.least} or more"


def _translated(
    path: Path, program: Program, example: Tensor, batches: tuple[int, int]
) -> Translation:
    scopes = Scopes(program)
    tape = Tape(example, Names(scopes.children), hint=HINT, batches=batches)
    walk = _Walk(program, scopes, tape, tensors(path, program.stored, example.dtype))
    return translation(tape, walk.results(tuple(example.shape)))


@final
class _Walk:
    """One evaluation of a program."""

    def __init__(
        self, program: Program, scopes: Scopes, tape: Tape, weights: dict[str, Tensor]
    ) -> None:
        self._program = program
        self._scopes = scopes
        self._tape = tape
        self._values = {**program.constants, **weights, program.image: tape.image}

    def results(self, asked: tuple[int, ...]) -> list[Any]:
        """What the program gives for images of the shape ``asked`` for."""
        if len(self._program.nodes) > STEPS:
            problem = f"the program takes more than {STEPS} steps"
            raise OperatorUnsupportedError("forward", "forward", problem)
        for at, node in enumerate(self._program.nodes):
            with self._explaining(node.label, node.target, asked):
                self._bind(node, self._result(node))
            for scope, given in self._scopes.ending(at):
                self._name(scope, given)
        with self._explaining("forward", RETURN, asked):
            return [value_of(output, self._values) for output in self._program.outputs]

    def _result(self, node: Node) -> Any:
        arguments = {name: value_of(given, self._values) for name, given in node.inputs}
        if node.target in FUNCTIONS:
            return language.compute(self._tape, FUNCTIONS[node.target], list(arguments.values()))
        name, overload = node.target.split(".")[3:]
        if name in CHECKS:
            return None
        origin = ORIGINS.get(name, Origin(name, overload))
        operator = _operator(origin)
        arguments = _complete(operator, origin.arguments(arguments))
        result = operators.perform(self._tape, operator, arguments, node.path)
        return [result] if name in ORIGINS and len(node.outputs) > 1 else result

    def _bind(self, node: Node, result: Any) -> None:
        """Give the results of ``node`` their names."""
        several = len(node.outputs) > 1
        for name, value in zip(node.outputs, result if several else [result], strict=False):
            names, values = (name, value) if isinstance(name, list) else ([name], [value])
            self._values.update(zip(names, values, strict=True))

    def _name(self, scope: Scope, given: Sequence[str]) -> None:
        """Name what a call of a module gives after the module."""
        leaves = [leaf for name in given for leaf in tree_leaves(self._values.get(name))]
        nodes = [leaf.node for leaf in leaves if isinstance(leaf, TracedTensor)]
        self._tape.names.add_module(scope.path, scope.kind, list(dict.fromkeys(nodes)))

    @contextmanager
    def _explaining(self, label: str, target: str, asked: tuple[int, ...]) -> Iterator[None]:
        """Report what goes wrong within as an error of the domain."""
        try:
            yield
        except (UntranslatableError, NotImplementedError, *BUGS_OF_PROGRAMS) as error:
            raise OperatorUnsupportedError(label, target, _first_line(error)) from error
        except (RuntimeError, ValueError, IndexError) as error:
            if is_shortage(error):
                raise
            raise InputMismatchError(asked, f"{label}: {_first_line(error)}") from error


def _operator(origin: Origin) -> OpOverload:
    """The operator of that name, which is allowed.

    Raises:
        UntranslatableError: It is not, or has no such overload.
    """
    packet = getattr(torch.ops.aten, operators.allowed(f"aten::{origin.name}"))
    if origin.overload not in packet.overloads():
        raise UntranslatableError(f"it has no overload {origin.overload!r}")
    operator: OpOverload = getattr(packet, origin.overload)
    return operator


def _complete(operator: OpOverload, arguments: dict[str, Any]) -> dict[str, Any]:
    """All arguments that ``operator`` has, with the values of those that are left out."""
    known = operator._schema.arguments  # noqa: SLF001 - what torch's own passes read
    return {each.name: arguments.get(each.name, each.default_value) for each in known}


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
