"""From an ONNX file to one differentiable ``torch.fx`` graph.

Each node on the way from the image becomes one node of the graph, which calls the function that the
operator's family registers. All else is folded into buffers and sizes (see ``folding``).
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import onnx.checker
import onnx.inliner
import torch
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto
from torch import Tensor

from facetscope.domain.errors import (
    InputMismatchError,
    ModelUnreadableError,
    OperatorUnsupportedError,
)
from facetscope.domain.units import Obstacle
from facetscope.models.graph import BATCHES, Translation, Value, bound
from facetscope.models.memory import Memory, is_shortage
from facetscope.models.onnx import files, folding, functions, registry
from facetscope.models.onnx.batching import REWRITES, Inputs
from facetscope.models.onnx.emission import Emitter
from facetscope.models.onnx.names import aliases
from facetscope.models.onnx.operands import Call, Operand, constant
from facetscope.models.onnx.outlines import Probe, Prober
from facetscope.models.onnx.registry import Operator, UnsupportedValueError
from facetscope.models.onnx.scopes import Scope
from facetscope.models.onnx.tensors import (
    attribute_from,
    constant_from,
    dtype_from,
    tensor_from,
)
from facetscope.models.separation import keeps_images_apart

STEPS: Final = 20_000
"""How many nodes are followed at most, those of loops and of functions as often as they are run."""

GOING: Final = torch.ones((), dtype=torch.bool)
"""The condition of a loop that has none."""

REFUSALS: Final = (RuntimeError, ValueError, TypeError, IndexError, ArithmeticError)
"""What torch and the operators raise when tensors do not fit."""

CONSTANT: Final = "Constant"
"""The kind of an output that no pixel changes."""


def translate(model: ModelProto, example: Tensor, probe: Probe | None = None) -> Translation:
    """Turn ``model`` into a graph that computes, and differentiates, in the type of ``example``.

    Args:
        model: A parsed file.
        example: A batch of network inputs, float32 or float64. Its height, width and channels are
            fixed by the translation, its batch size and its values are not.
        probe: Finds out what the results of a node without a translation look like. Without it,
            or where it cannot, such a node is an error.

    Returns:
        The graph, on the device of ``example``: for any batch size if it has one meaning at all of
        them, and otherwise bound to the one that the file declares, or to one image. Nodes without
        a translation are in it, and cannot be computed; outputs whose shape depends on the pixels
        are not.

    Raises:
        ModelUnreadableError: The graph contradicts itself, or does not take one image.
        ModelForbiddenError: A tensor is kept in another file.
        OperatorUnsupportedError: A node has no translation.
        InputMismatchError: The model does not take images of the example's shape.
    """
    model = _inlined(model)
    try:
        return _whole(model, example)
    except OperatorUnsupportedError as error:
        if probe is None or isinstance(error.__cause__, folding.TooLargeError):
            raise
    size = next(iter(files.input_shape(model)), None)
    batches = BATCHES if size is None else (size, size)
    translation = _Walk(model, example, batches, probe).translation()
    return translation if size is None else bound(translation, size)


def _whole(model: ModelProto, example: Tensor) -> Translation:
    """The graph of a model each of whose nodes has a translation."""
    declared = next(iter(files.input_shape(model)), None)
    try:
        free = _Walk(model, example, BATCHES).translation()
        if declared is None or keeps_images_apart(free, _computed(free), example):
            return free
    except (OperatorUnsupportedError, InputMismatchError) as error:
        if isinstance(error.__cause__, folding.TooLargeError):
            raise
    size = declared or 1
    return bound(_Walk(model, example, (size, size)).translation(), size)


def _computed(translation: Translation) -> Iterator[Value]:
    """The values that pixels change."""
    return (value for value in translation.values.values() if value.kind != CONSTANT)


def _inlined(model: ModelProto) -> ModelProto:
    """``model`` with the functions that it defines itself written out where they are used."""
    if not model.functions:
        return model
    functions.spell_defaults_out(model)
    try:
        return onnx.inliner.inline_local_functions(model)
    except (*REFUSALS, onnx.checker.ValidationError) as error:
        raise ModelUnreadableError(problem=f"its functions: {_first_line(error)}") from error


class _Walk:
    """One pass over the nodes of a file, in their order, at two batch sizes or one."""

    def __init__(
        self,
        model: ModelProto,
        example: Tensor,
        batches: tuple[int, int],
        probe: Probe | None = None,
    ) -> None:
        self.model = model
        self.scope = Scope(files.opset_of(model), addressable=True)
        self._steps = 0
        self._example = example
        self._dtype = example.dtype
        self._declared = files.input_shape(model)
        self._is_free = batches == BATCHES
        self._memory = Memory()
        self._values: dict[str, Value] = {}
        self._producers: list[tuple[str, NodeProto]] = []
        self._obstacle: Obstacle | None = None
        self._prober = probe and Prober(probe, batches, model.graph.node, self.scope.opset)
        name = files.image_input(model).name
        self._emitter = Emitter(name)
        image = Operand(folding.outlines_of(example, batches), node=self._emitter.image)
        self._emitter.image.meta |= {"shape": image.shape, "dtype": example.dtype}
        self.scope.add(name, image)

    def translation(self) -> Translation:
        """What the nodes come to."""
        self.follow(self.model.graph, self.scope)
        given = [output.name for output in self.model.graph.output]
        places = tuple(at for at, name in enumerate(given) if name not in self.scope.untranslated)
        outputs = tuple(given[at] for at in places)
        module = self._emitter.module([self._output(name) for name in outputs])
        known_as = aliases(self._producers)
        values = {
            name: Value(value.node, value.kind, known_as.get(name, ()))
            for name, value in self._values.items()
        }
        module = module.to(self._example.device)
        return Translation(module, values, outputs, places=places, obstacle=self._obstacle)

    def _output(self, name: str) -> torch.fx.Node:
        """The node of an output, which is addressable even where no pixel changes it."""
        with self._blaming(name, "output", ()):
            operand = self._given(self.scope.operand(name))
            node = self._emitter.node(operand)
            self._values.setdefault(name, Value(node, CONSTANT))
        return node

    def follow(self, graph: GraphProto, scope: Scope) -> None:
        """Compute the nodes of a graph; those that the file names are addressable."""
        for stored in graph.initializer:
            with self._blaming(stored.name, "initializer", ()):
                scope.add(stored.name, constant(tensor_from(stored, self._dtype)))
        for node in graph.node:
            try:
                self._follow(node, scope)
            except OperatorUnsupportedError as error:
                if graph is not self.model.graph or not self._go_around(node, error):
                    raise

    def _follow(self, node: NodeProto, scope: Scope) -> None:
        label = node.name or next(filter(None, node.output), "")
        with self._blaming(label, _title(node, scope.opset), node.input):
            results = self._visit(node, scope)
            if scope.addressable:
                self._announce(node, results)

    def _go_around(self, node: NodeProto, error: OperatorUnsupportedError) -> bool:
        """Let what ``node`` computes be known by its shape alone; whether that is possible."""
        if self._prober is None or isinstance(error.__cause__, folding.TooLargeError):
            return False
        named = [name for name in node.output if name]
        outlines = self._prober.outlines(named, self._dtype)
        if len(outlines) < len(named):
            return False
        if self._obstacle is None:
            self._obstacle = Obstacle(error.node, error.operator, error.problem)
        known = [self.scope.operands.get(name) for name in node.input]
        inputs = [each for each in known if each is not None and each.depends_on_image]
        results = {}
        for name, at in outlines.items():
            if at is None:
                self.scope.untranslated[name] = error
            else:
                results[name] = self._emitter.untranslated(name, error, inputs, at)
        self.scope.operands.update(results)
        self._announce(node, results)
        return True

    def _announce(self, node: NodeProto, results: Mapping[str, Operand]) -> None:
        changing = {name: known for name, known in results.items() if known.depends_on_image}
        self._producers.extend((name, node) for name in list(changing)[:1])
        for name, result in changing.items():
            self._values.setdefault(name, Value(self._emitter.node(result), node.op_type))

    def _visit(self, node: NodeProto, scope: Scope) -> Mapping[str, Operand]:
        """Compute one node: its results by name."""
        self._steps += 1
        if self._steps > STEPS:
            raise folding.TooLargeError(f"the model takes more than {STEPS} steps")
        results = self._results(node, [scope.operand(name) for name in node.input], scope)
        pairs = zip(node.output, results, strict=False)
        named = {name: self._given(known) for name, known in pairs if name}
        for name, result in named.items():
            scope.add(name, result)
        for name in node.output[len(results) :]:
            scope.absent[name] = f"output {name!r} of {_title(node, scope.opset)} is not supported"
        return named

    def _results(self, node: NodeProto, inputs: Inputs, scope: Scope) -> Sequence[Operand | None]:
        """What a node computes, in the order of its outputs."""
        name = registry.qualified(node.op_type, node.domain)
        if name == "Constant":
            return [constant(constant_from(node, self._dtype))]
        if name == "If":
            return self._branch(node, inputs, scope)
        if name == "Loop":
            return self._loop(node, inputs, scope)
        operator = registry.find(node.op_type, scope.opset, node.domain)
        if operator is None:
            return self._written_out(node, inputs, scope)
        call = self._call(node, operator, inputs)
        results = folding.evaluate(call)
        if excess := self._memory.excess(_constants(results), _constants(call.operands)):
            raise folding.TooLargeError(excess)
        for result in results:
            if result.depends_on_image:
                self._emitter.node(result)
        return results

    def _call(self, node: NodeProto, operator: Operator, inputs: Inputs) -> Call:
        attributes: dict[str, Any] = {
            name: constant(torch.tensor(value, dtype=self._dtype))
            for name, value in operator.defaults.items()
        }
        attributes |= {
            attribute.name: self._attribute(attribute, operator)
            for attribute in node.attribute
            if attribute.name not in operator.ignored
        }
        if "outputs" in operator.signature.parameters:
            attributes["outputs"] = len(node.output)
        if node.op_type in REWRITES and self._is_free:
            declared = next(iter(self._declared), None)
            inputs = REWRITES[node.op_type](inputs, attributes, declared=declared)
        try:
            bound = operator.signature.bind(*inputs, **attributes)
        except TypeError as error:
            raise UnsupportedValueError(str(error)) from error
        for name, parameter in operator.signature.parameters.items():
            if parameter.default is parameter.empty and bound.arguments.get(name, ()) is None:
                raise UnsupportedValueError(f"its input {name!r} is left out")
        return Call(operator, bound, tuple(node.output))

    def _attribute(self, attribute: AttributeProto, operator: Operator) -> Any:
        value = attribute_from(attribute, self._dtype)
        if attribute.name in operator.dtypes:
            return dtype_from(value, self._dtype)
        return constant(value) if isinstance(value, Tensor) else value

    def _branch(self, node: NodeProto, inputs: Inputs, scope: Scope) -> Sequence[Operand]:
        """The results of the branch of an If that is taken for every image."""
        taken = "then_branch" if self._constant(inputs[0]) else "else_branch"
        branch = _graph(node, taken)
        inner = scope.inside(addressable=True)
        self.follow(branch, inner)
        return [self._given(inner.operand(output.name)) for output in branch.output]

    def _loop(self, node: NodeProto, inputs: Inputs, scope: Scope) -> Sequence[Operand]:
        """The results of a Loop that turns as often for every image."""
        body = _graph(node, "body")
        limit, going, *carried = (*inputs, None)[: max(len(inputs), 2)]
        turns = STEPS if limit is None else int(self._constant(limit))
        collected: list[list[Operand]] = [[] for _ in body.output[1 + len(carried) :]]
        for turn in range(turns):
            if going is not None and not self._constant(going):
                break
            begun = [constant(torch.tensor(turn)), going or constant(GOING), *carried]
            inner = scope.inside(addressable=False)
            inner.operands.update(zip((given.name for given in body.input), begun, strict=True))
            self.follow(body, inner)
            going, *results = [self._given(inner.operand(output.name)) for output in body.output]
            carried = [*results[: len(carried)]]
            for parts, part in zip(collected, results[len(carried) :], strict=True):
                parts.append(part)
        return [*map(self._given, carried), *map(_stacked, collected)]

    def _constant(self, operand: Operand | None) -> Any:
        """The one number of an operand, at every batch size."""
        given = self._given(operand)
        first, second = (folding.sole(folding.numbers(given, which)) for which in (0, 1))
        if first != second:
            raise UnsupportedValueError("which nodes are run depends on the batch size")
        return first

    def _written_out(
        self, node: NodeProto, inputs: Inputs, scope: Scope
    ) -> Sequence[Operand | None]:
        """The results, where asked for, of an operator that ONNX defines by others."""
        body = functions.body_of(node, scope.opset, inputs)
        if body is None:
            unknown = f"{node.op_type} is not supported"
            raise UnsupportedValueError(registry.REASONS.get(node.op_type, unknown))
        inputs += [None] * (len(body.input) - len(inputs))
        named: dict[str, Operand | None] = dict(zip(body.input, inputs, strict=True))
        inner = Scope(functions.opset_of(body, scope.opset), ChainMap(named))
        for step in body.node:
            self._visit(step, inner)
        asked = zip(body.output, node.output, strict=False)
        return [inner.operand(name) if wanted else None for name, wanted in asked]

    def _given(self, operand: Operand | None) -> Operand:
        if operand is None:
            raise ModelUnreadableError(problem="a tensor that is needed is left out")
        return operand

    @contextmanager
    def _blaming(self, label: str, title: str, reads: Sequence[str]) -> Iterator[None]:
        """Say which node it was that could not be computed."""
        try:
            yield
        except UnsupportedValueError as error:
            raise OperatorUnsupportedError(label, title, str(error)) from error
        except REFUSALS as error:
            if is_shortage(error):
                raise
            known = [self.scope.operands.get(name) for name in reads]
            if any(operand is not None and operand.depends_on_image for operand in known):
                raise self._mismatch(label, title, _first_line(error)) from error
            raise OperatorUnsupportedError(label, title, _first_line(error)) from error

    def _mismatch(
        self, label: str, title: str, problem: str
    ) -> InputMismatchError | OperatorUnsupportedError:
        """Why a node does not take what the image became: because of its shape, or of the node."""
        shape = tuple(self._example.shape)
        if self._declared[1:] != shape[1:]:
            return InputMismatchError(shape, f"at {label!r}, {title}: {problem}")
        return OperatorUnsupportedError(label, title, problem)


def _constants(operands: Sequence[Operand]) -> list[Tensor]:
    """The tensors that no pixel changes."""
    return [each for known in operands if not known.depends_on_image for each in {*known.at}]


def _graph(node: NodeProto, name: str) -> GraphProto:
    """The graph that an attribute of a node is.

    Raises:
        UnsupportedValueError: There is none of that name.
    """
    for attribute in node.attribute:
        if attribute.name == name:
            return attribute.g
    raise UnsupportedValueError(f"it has no {name}")


def _stacked(parts: Sequence[Operand]) -> Operand:
    """One tensor of several, along a new first axis."""
    if not parts:
        raise UnsupportedValueError("a loop that turns no time collects nothing")
    front = constant(torch.tensor([0]))
    rows = [_applied("Unsqueeze", part, front) for part in parts]
    return _applied("Concat", *rows, axis=0)


def _applied(name: str, *operands: Operand, **attributes: int) -> Operand:
    """The result of an operator that the file does not name."""
    operator = registry.find(name, onnx.defs.onnx_opset_version())
    assert operator is not None  # noqa: S101 (it is registered)
    bound = operator.signature.bind(*operands, **attributes)
    return folding.evaluate(Call(operator, bound, (name.lower(),)))[0]


def _title(node: NodeProto, opset: int) -> str:
    """An operator for people: domain, name, and the operator set if it is ONNX's own."""
    name = registry.qualified(node.op_type, node.domain)
    return name if name != node.op_type else f"ai.onnx::{name}-{opset}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
