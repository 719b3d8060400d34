"""From the descriptions in an archive to a ``Program``, without evaluating any part of them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from facetscope.domain.errors import (
    ModelForbiddenError,
    ModelUnreadableError,
    OperatorUnsupportedError,
)
from facetscope.models.exported_program import archive
from facetscope.models.exported_program.program import Argument, Axis, Node, Program, Scope, Stored
from facetscope.models.exported_program.schema import FUNCTIONS, STRIDED

MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a description meets that is not of the form that torch writes."""

OPERATOR: Final = re.compile(r"torch\.ops\.(\w+)\.\w+(\.\w+)?")

SYMBOL: Final = re.compile(r"Symbol\('(\w+)'(?:, \w+=\w+)*\)")

EXPRESSION: Final = re.compile(
    r"(?:(?:Symbol|Integer|Rational|Float|Boolean|Add|Mul|Pow|Mod|PythonMod|Max|Min|Abs|FloorDiv"
    r"|CleanDiv|CeilDiv|IntTrueDiv|FloatTrueDiv|FloatPow|PowByNatural|FloorToInt|CeilToInt"
    r"|TruncToInt|RoundToInt|ToFloat|TruncToFloat|ModularIndexing|LShift|RShift|Where|Piecewise"
    r"|OpaqueUnaryFn_sqrt|Eq|Ne|Equality|Unequality|StrictGreaterThan|StrictLessThan|GreaterThan"
    r"|LessThan|And|Or|Not|ExprCondPair|Tuple|true|false|positive|integer|negative|nonnegative"
    r"|nonzero|precision|real|True|False|oo)\b|'[\w.+-]*'|[\d\s(),*+/<>=-])*"
)
"""Arithmetic with sizes, as sympy writes it. It is never evaluated here; torch would."""

LONGEST_AXIS: Final = 2**16
"""Images or pixels along an axis; more are no pictures."""

CUSTOM: Final = "data/constants/custom_obj_", "data/constants/opaque_obj_"

EMPTY_SCOPE: Final = "_empty_nn_module_stack_from_metadata_hook"

CONTROL_FLOW: Final = "it calls other graphs (control flow, or a change of torch's modes within)"


def load(path: Path) -> Program:
    """Read the program of an archive, and refuse what it may not hold.

    Raises:
        ModelUnreadableError: The archive is damaged, or its description is malformed.
        ModelForbiddenError: It holds pickles, code, or calls of what is no operator.
        OperatorUnsupportedError: An operator is of another library than torch's own.
    """
    name = archive.check(path)
    where = f"models/{name}.json"
    described = archive.description(path, where)
    try:
        _check_expressions(described, where)
        payloads = {
            **_payloads(path, archive.WEIGHTS, f"{name}_weights_config.json"),
            **_payloads(path, archive.CONSTANTS, f"{name}_constants_config.json"),
        }
        return _program(described, payloads)
    except MALFORMED as error:
        problem = f"{where} is not of the form that torch.export writes"
        raise ModelUnreadableError(f"{problem} ({type(error).__name__}: {error})") from error


def _check_expressions(value: Any, where: str) -> None:
    """Refuse a symbolic expression, anywhere in ``value``, that is more than arithmetic."""
    for text in _expressions(value):
        if not EXPRESSION.fullmatch(text):
            what = f"the expression {text[:80]!r}, which is not arithmetic with sizes,"
            raise ModelForbiddenError(what, where)


def _expressions(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                if key == "expr_str":
                    yield str(item)
                yield from _expressions(item)
        case list():
            for item in value:
                yield from _expressions(item)


def _payloads(path: Path, folder: str, name: str) -> dict[str, Stored]:
    """Tensors that are stored in ``folder``, by the names that its description gives them."""
    config = archive.description(path, folder + name).get("config", {})
    return {name: _stored(name, folder, payload) for name, payload in config.items()}


def _stored(name: str, folder: str, payload: Mapping[str, Any]) -> Stored:
    entry = folder + _text(payload["path_name"])
    if payload["use_pickle"] or entry.startswith(CUSTOM):
        raise ModelForbiddenError(f"a pickle, as {name!r},", entry)
    meta = payload["tensor_meta"]
    if meta["layout"] != STRIDED:
        raise OperatorUnsupportedError(name, "tensor", "sparse weights are not supported")
    return Stored(
        entry,
        int(meta["dtype"]),
        tuple(int(size["as_int"]) for size in meta["sizes"]),
        tuple(int(stride["as_int"]) for stride in meta["strides"]),
        int(meta["storage_offset"]["as_int"]),
    )


def _program(described: Mapping[str, Any], payloads: Mapping[str, Stored]) -> Program:
    module = described["graph_module"]
    graph, signature = module["graph"], module["signature"]
    images: list[str] = []
    constants: dict[str, Any] = {}
    stored: dict[str, Stored] = {}
    for spec in signature["input_specs"]:
        ((kind, given),) = spec.items()
        match kind:
            case "user_input":
                images.append(_text(given["arg"]["as_tensor"]["name"]))
            case "constant_input":
                ((form, value),) = given["value"].items()
                constants[_text(given["name"])] = None if form == "as_none" else value
            case "parameter" | "buffer" | "tensor_constant":
                stored[_text(given["arg"]["name"])] = _payload(payloads, given[f"{kind}_name"])
            case _:
                raise ModelForbiddenError(f"an input of kind {kind!r}", "its signature")
    if len(images) != 1:
        problem = f"it takes {len(images)} tensors ({', '.join(images)}), not the image alone"
        raise OperatorUnsupportedError("forward", "forward", problem)
    return Program(
        image=images[0],
        axes=tuple(
            _axis(size, described["range_constraints"])
            for size in graph["tensor_values"][images[0]]["sizes"]
        ),
        constants=constants,
        stored=stored,
        nodes=[_node(node) for node in graph["nodes"]],
        outputs=[
            _argument(spec["user_output"]["arg"])
            for spec in signature["output_specs"]
            if "user_output" in spec
        ],
    )


def _payload(payloads: Mapping[str, Stored], name: str) -> Stored:
    if name not in payloads:
        raise ModelUnreadableError(f"the weights of {name!r} are missing: save or send it again")
    return payloads[name]


def _axis(size: Mapping[str, Any], ranges: Mapping[str, Mapping[str, int | None]]) -> Axis:
    """The sizes that an axis may have; of sizes that are computed from another, any."""
    if "as_int" in size:
        length = int(size["as_int"])
        if not 0 < length <= LONGEST_AXIS:
            raise ValueError(f"an axis of {length}")
        return Axis(length, length)
    symbol = SYMBOL.fullmatch(size["as_expr"]["expr_str"])
    bounds = ranges.get(symbol[1], {}) if symbol else {}
    return Axis(bounds.get("min_val") or 1, bounds.get("max_val"))


def _node(node: Mapping[str, Any]) -> Node:
    target = _text(node["target"])
    _check_target(_text(node.get("name") or target), target)
    return Node(
        target,
        [(_text(given["name"]), _argument(given["arg"])) for given in node["inputs"]],
        [_result(output) for output in node["outputs"]],
        list(_scopes(_text(node["metadata"].get("nn_module_stack", "")))),
    )


def _check_target(name: str, target: str) -> None:
    """Refuse what is no operator, by which torch would look up any function of any module."""
    if target in FUNCTIONS:
        return
    operator = OPERATOR.fullmatch(target)
    if operator is None:
        raise ModelForbiddenError(f"a call of {target!r}, which is no operator,", f"node {name!r}")
    if operator[1] == "higher_order":
        raise OperatorUnsupportedError(name, target, CONTROL_FLOW)
    if operator[2] is None:
        raise OperatorUnsupportedError(name, target, "it names no overload")
    if operator[1] != "aten":
        problem = f"it is of the library {operator[1]!r}, and only torch's own is here"
        raise OperatorUnsupportedError(name, target, problem)


def _result(output: Mapping[str, Any]) -> Any:
    """The name of a result, or the names of a list of them; None for a result that is none."""
    ((kind, value),) = output.items()
    match kind:
        case "as_tensor":
            return _text(value["name"])
        case "as_tensors":
            return [_text(each["name"]) for each in value]
        case "as_sym_int" | "as_sym_bool" | "as_sym_float":
            return _text(value["as_name"])
        case "as_none":
            return None
        case _:
            raise KeyError(kind)


def _argument(argument: Any) -> Argument:
    """``argument``, if it is of one kind; its value is read where it is used."""
    ((kind, value),) = argument.items()
    return {_text(kind): value}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} stands for a name")
    return value


def _scopes(stack: str) -> Iterator[Scope]:
    """The calls of modules in ``stack``, which are written ``key,path,class;...``."""
    for item in filter(None, stack.split(";")):
        key, path, kind = item.rsplit(",", 2)
        if path and key != EMPTY_SCOPE:
            yield Scope(key, path, kind.rpartition(".")[2])
