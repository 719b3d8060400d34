"""What a pattern gives when it has recognized something."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import fx

from facetscope.models.fusions.algebra import Algebra


@dataclass(frozen=True, slots=True)
class Fusion:
    """One call that computes what a node and some of those before it compute.

    Attributes:
        function: What is called.
        args: Its arguments, among them the nodes that the replaced ones begin from.
        kwargs: Its options.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


Pattern = Callable[[fx.Node, Algebra], Fusion | None]
"""Looks for one thing that ends at a node; None where it is not there."""


def shape(value: Any) -> tuple[int, ...] | None:
    """The shape of what a node computes from the image, see ``graph.shape_of``, if it is known."""
    found: tuple[int, ...] | None = value.meta.get("shape") if isinstance(value, fx.Node) else None
    return found


def same_shape(one: Any, other: fx.Node) -> bool:
    """Whether both are known to be of one shape."""
    return shape(one) is not None and shape(one) == shape(other)
