"""The walk through a TorchScript program: its modules, functions, branches and loops."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, final

from torch import Tensor
from torch._C import (
    Block,
    CompilationUnit,
    FunctionSchema,
    Graph,
    Node,
    ScriptModule,
    Value,
)
from torch.utils._pytree import tree_leaves

from facetscope.domain.errors import InputMismatchError, OperatorUnsupportedError
from facetscope.models.memory import MOST_ELEMENTS, is_shortage, is_spread
from facetscope.models.torchscript import language, operators
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import TracedTensor, UntranslatableError, concrete

STEPS: Final = 50_000
"""Operators and rounds of loops that a program may take: what takes more may have no end.

EfficientNet-B7, scripted, takes 14000.
"""

FORWARD: Final = re.compile(r"forward(__)?\d*")
"""Methods that are calls of a module: a trace has one for each, and a script for each overload."""

BUGS_OF_PROGRAMS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    KeyError,
    MemoryError,
    TypeError,
)
"""What an ill-typed program meets: torch's own compiler writes none."""


@dataclass(frozen=True, slots=True)
class Submodule:
    """A module of the program, and the dotted path that it was reached by."""

    module: ScriptModule
    path: str

    @property
    def kind(self) -> str:
        """Name of its class."""
        return str(self.module._type().qualified_name()).rpartition(".")[2]  # noqa: SLF001

    def graph(self, method: str) -> Graph:
        """The program of its ``method``."""
        return self.module._get_method(method).graph  # noqa: SLF001 - nothing public has it

    def schema(self, method: str) -> FunctionSchema:
        """What its ``method`` takes and gives."""
        return self.module._get_method(method).schema  # noqa: SLF001

    def child(self, name: str) -> "Submodule | Any":
        """Its attribute ``name``, with the path if that is a module; it is in inference mode."""
        if name == "training":
            return False
        value = self.module.getattr(name)  # type: ignore[attr-defined] # not in torch's stubs
        if not isinstance(value, ScriptModule):
            return value
        return Submodule(value, f"{self.path}.{name}" if self.path else name)


@dataclass(frozen=True, slots=True)
class Frame:
    """One run of one graph: the values it has so far, and the path of the module it belongs to."""

    path: str
    values: dict[str, Any] = field(default_factory=dict)

    def inputs(self, node: Node) -> list[Any]:
        """Values of the inputs of ``node``."""
        return [self.values[value.debugName()] for value in node.inputs()]

    def bind(self, names: Iterator[Value], values: Sequence[Any]) -> None:
        """Let ``names`` have ``values`` from now on."""
        self.values.update(
            (name.debugName(), value) for name, value in zip(names, values, strict=True)
        )

    def outputs(self, names: Iterator[Value]) -> list[Any]:
        """Values of the outputs of a graph or block."""
        return [self.values[name.debugName()] for name in names]


@final
class Evaluator:
    """Evaluates a program, and writes what depends on the image to a tape."""

    def __init__(self, functions: CompilationUnit, tape: Tape, asked: tuple[int, ...]) -> None:
        """Know the program's free ``functions``, and the shape of images that was ``asked`` for."""
        self._functions = functions
        self._tape = tape
        self._asked = asked
        self._steps = 0

    def call(self, owner: Submodule, method: str, arguments: Sequence[Any]) -> list[Any]:
        """The results of a method.

        Raises:
            InputMismatchError: The program refuses images of this shape.
            OperatorUnsupportedError: It does what has no translation.
        """
        results = self._run(owner.graph(method), [owner, *arguments], owner.path)
        if FORWARD.fullmatch(method) and owner.path:
            self._name(owner, results)
        return results

    def _name(self, owner: Submodule, results: list[Any]) -> None:
        leaves = [leaf for leaf in tree_leaves(results) if isinstance(leaf, TracedTensor)]
        self._tape.names.add_module(owner.path, owner.kind, [leaf.node for leaf in leaves])

    def _run(self, graph: Graph, arguments: Sequence[Any], path: str) -> list[Any]:
        frame = Frame(path)
        frame.bind(graph.inputs(), arguments)
        return self._walk(graph, frame)

    def _walk(self, block: Graph | Block, frame: Frame) -> list[Any]:
        for node in block.nodes():
            self._step(node, frame)
        return frame.outputs(block.outputs())

    def _step(self, node: Node, frame: Frame) -> None:
        kind = node.kind()
        with self._explaining(kind, frame.path):
            self._count()
            handle = self.CONTROL.get(kind, Evaluator._operate)
            frame.bind(node.outputs(), handle(self, node, frame))

    def _count(self) -> None:
        self._steps += 1
        if self._steps > STEPS:
            raise UntranslatableError(f"the program takes more than {STEPS} steps")

    @contextmanager
    def _explaining(self, kind: str, path: str) -> Iterator[None]:
        """Report what goes wrong within as an error of the domain."""
        name = f"{path}/{kind.rpartition(':')[2]}" if path else kind.rpartition(":")[2]
        try:
            yield
        except (
            UntranslatableError,
            NotImplementedError,
            RecursionError,
            *BUGS_OF_PROGRAMS,
        ) as error:
            raise OperatorUnsupportedError(name, kind, _first_line(error)) from error
        except (RuntimeError, ValueError, IndexError) as error:
            if is_shortage(error):
                raise
            raise InputMismatchError(self._asked, f"{name}: {_first_line(error)}") from error

    def _operate(self, node: Node, frame: Frame) -> list[Any]:
        """The results of an operator that needs nothing but its inputs."""
        kind, inputs = node.kind(), frame.inputs(node)
        if language.computes(kind, inputs):
            result = language.compute(self._tape, kind, inputs)
        elif kind in operators.QUESTIONS:
            result = operators.ask(kind, inputs[0])
        else:
            result = operators.compute(self._tape, kind, node.schema(), inputs, frame.path)
        count = node.outputsSize()
        return list(result) if count > 1 else [result][:count]

    def _constant(self, node: Node, _: Frame) -> list[Any]:
        output = node.output()
        match output.type().kind():
            case "NoneType":
                return [None]
            case "FunctionType":
                return [str(output.type())]
            case _:
                return [self._in_precision(output.toIValue())]

    def _attribute(self, node: Node, frame: Frame) -> list[Any]:
        (owner,) = frame.inputs(node)
        if not isinstance(owner, Submodule):
            raise UntranslatableError("it reads an object that is no module")
        return [self._in_precision(owner.child(node.s("name")))]

    def _in_precision(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.numel() > MOST_ELEMENTS and is_spread(value):
            problem = f"a stored tensor claims {value.numel()} elements, more than it has"
            raise UntranslatableError(problem)
        return value.to(self._tape.precision) if value.is_floating_point() else value

    def _method(self, node: Node, frame: Frame) -> list[Any]:
        owner, *arguments = frame.inputs(node)
        if not isinstance(owner, Submodule):
            raise UntranslatableError("it calls an object that is no module")
        return self.call(owner, node.s("name"), arguments)

    def _function(self, node: Node, frame: Frame) -> list[Any]:
        name, *arguments = frame.inputs(node)
        function = self._functions.find_function(name)
        if function is None:
            raise UntranslatableError(f"there is no function {name}")
        return self._run(function.graph, arguments, frame.path)

    def _branch(self, node: Node, frame: Frame) -> list[Any]:
        (condition,) = frame.inputs(node)
        then, otherwise = node.blocks()
        return self._walk(then if concrete(condition) else otherwise, frame)

    def _loop(self, node: Node, frame: Frame) -> list[Any]:
        rounds, going, *carried = frame.inputs(node)
        (body,) = node.blocks()
        index = 0
        while index < concrete(rounds) and concrete(going):
            self._count()
            frame.bind(body.inputs(), [index, *carried])
            going, *carried = self._walk(body, frame)
            index += 1
        return carried

    def _unpack(self, node: Node, frame: Frame) -> list[Any]:
        (container,) = frame.inputs(node)
        return list(container)

    def _raise(self, node: Node, frame: Frame) -> list[Any]:
        message, *_ = frame.inputs(node)
        raise InputMismatchError(self._asked, f"it raises {message!r}")

    CONTROL: ClassVar[Mapping[str, Callable[["Evaluator", Node, Frame], list[Any]]]] = {
        "prim::CallFunction": _function,
        "prim::CallMethod": _method,
        "prim::Constant": _constant,
        "prim::GetAttr": _attribute,
        "prim::If": _branch,
        "prim::ListUnpack": _unpack,
        "prim::Loop": _loop,
        "prim::RaiseException": _raise,
        "prim::TupleUnpack": _unpack,
    }


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
