"""What levels a model expects, by what its graph does first with a picture.

A model that subtracts 123.7 from each pixel takes levels up to 255, one that subtracts 0.485 takes
parts of 1. What was found so is said with the levels that become 0 as evidence.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.domain.inputs import Guess, Source
from facetscope.models import normalizing
from facetscope.models.graph import shape_of
from facetscope.models.onnx import casting, elementwise, normalization, shapes

aten: Final = torch.ops.aten

AFFINE: Final = frozenset(
    {
        *(aten.add, aten.div, aten.divide, aten.mul, aten.multiply, aten.rsub, aten.sub),
        *(aten.subtract, aten.true_divide, torch.add, torch.mul, torch.sub, elementwise.div),
    }
)
"""Operators that shift or scale a picture."""

CARRYING: Final = frozenset(
    {
        *(aten.alias, aten.clone, aten.contiguous, aten.detach, aten.movedim, aten.permute),
        *(aten.to, aten.transpose, casting.cast, elementwise.identity, shapes.transpose),
    }
)
"""Operators that hand it on."""

STATISTICS: Final = {normalizing.batch_norm: 3, normalization.batch_normalization: 3}
"""Operators that shift and scale by statistics of training, and where their means are given."""

GREY_LEVELS: Final = (16.0, 240.0)
PARTS: Final = (0.05, 0.95)
"""Where the middle of pictures lies: in levels of [0, 255], or of [0, 1]."""

WIDEST: Final = 0.75
"""Standard deviation that no picture in [0, 1] has; a picture that is normalized already has 1."""

LEAST_DIVISOR: Final = 64.0
"""What only levels of up to 255 are divided by, where nothing is subtracted."""


def from_graph(module: fx.GraphModule) -> tuple[Guess, ...]:
    """The levels that the graph of ``module`` expects, if what it does first tells."""
    image = next(node for node in module.graph.nodes if node.op == "placeholder")
    steps = list(_steps(image))
    names = [_name(step) for step in steps if _operator(step) not in CARRYING]
    if not names:
        return ()
    black = torch.zeros((1, *shape_of(image)[1:]))
    with torch.no_grad():
        low, high = (_after(steps, image, level, module) for level in (black, black + 1))
    divisor = 1 / (high - low)
    zero = -low * divisor
    levels = _levels(zero, divisor)
    if levels is None:
        return ()
    evidence = f"first {', '.join(names)}: {zero.min():.4g} to {zero.max():.4g} becomes 0"
    return (Guess({"low": 0.0, "high": levels}, Source.GRAPH, evidence),)


def _levels(zero: Tensor, divisor: Tensor) -> float | None:
    """What white is, where ``(x - zero) / divisor`` is done first."""
    if _within(zero, *GREY_LEVELS):
        return 255.0
    if _within(zero, *PARTS):
        return 1.0 if _within(divisor.abs(), 0.0, WIDEST) else None
    if _within(zero, -1e-6, 1e-6) and _within(divisor, LEAST_DIVISOR, 256.0):
        return 255.0
    return None


def _within(values: Tensor, least: float, most: float) -> bool:
    return bool(((values >= least) & (values <= most)).all())


def _steps(image: fx.Node) -> Iterator[fx.Node]:
    """The nodes from the image on, as long as each only shifts, scales or hands on."""
    node = image
    while True:
        users = [user for user in node.users if "shape" in user.meta]
        if len(users) != 1 or not _is_step(users[0], node):
            return
        (node,) = users
        yield node
        if _operator(node) in STATISTICS:
            return


def _is_step(node: fx.Node, source: fx.Node) -> bool:
    others = [each for each in node.all_input_nodes if each is not source]
    known = _operator(node) in {*AFFINE, *CARRYING, *STATISTICS}
    return known and all(other.op == "get_attr" for other in others)


def _operator(node: fx.Node) -> Any:
    return getattr(node.target, "overloadpacket", node.target)


def _name(node: fx.Node) -> str:
    return str(getattr(_operator(node), "__name__", _operator(node)))


def _after(steps: list[fx.Node], image: fx.Node, value: Tensor, module: fx.GraphModule) -> Tensor:
    """What becomes of a picture in ``steps``; of batch normalization only what training saw."""
    source = image
    for step in steps:
        args, kwargs = _given(step, {source: value}, module)
        if _operator(step) in STATISTICS:
            first = STATISTICS[_operator(step)]
            value = F.batch_norm(value, *cast("Any", args)[first : first + 2])
        else:
            value = cast("Any", step.target)(*args, **kwargs)
        source = step
    return value


def _given(step: fx.Node, values: Mapping[fx.Node, Tensor], module: fx.GraphModule) -> Any:
    """Arguments of a step, positional and by name."""

    def value_of(node: fx.Node) -> Tensor:
        return values[node] if node in values else module.get_buffer(str(node.target))

    return map_arg((step.args, step.kwargs), value_of)
