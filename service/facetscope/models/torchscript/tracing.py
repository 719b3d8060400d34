"""Values that depend on the image, and what they are for two batch sizes.

Nothing of the image is computed: a tensor is known by its shape and type, on torch's meta device.
Two batch sizes tell what follows the batch from what only happens to equal it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map

from facetscope.models.graph import BATCHES

EXPORT_HINT: Final = "trace the model with a batch of another size, or script it"


class UntranslatableError(Exception):
    """An operator cannot be translated; the message is the problem, in a few words."""


@dataclass(eq=False, slots=True)
class TracedTensor:
    """A tensor that the graph computes.

    Attributes:
        node: What computes it now; an in-place operator puts its own node here.
        probes: Its shape and type for each of ``BATCHES``, as meta tensors.
        version: Count of in-place operators on its memory, as of ``node``.
        origin: The tensor whose memory it shows a part of, if it is a view.
    """

    node: fx.Node
    probes: tuple[Tensor, ...]
    version: int = 0
    origin: "View | None" = None

    @property
    def stale(self) -> bool:
        """Whether its memory was written through another tensor that shares it."""
        return version(self.probes[0]) != self.version

    def rewrite(self, node: fx.Node) -> None:
        """Let ``node`` compute it from now on; whatever else shares its memory gets stale."""
        for probe in self.probes:
            torch.autograd.graph.increment_version(probe)
        self.node, self.version = node, version(self.probes[0])


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """How a tensor shows the memory of another: what ``function`` gives for ``base`` and the rest.

    Attributes:
        base: The tensor that is shown.
        function: An operator that gives a view.
        arguments: Its arguments after the first.
        options: Its keyword arguments.
    """

    base: TracedTensor
    function: OpOverload
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class TracedNumber:
    """A number that follows the batch size, with its value for each of ``BATCHES``."""

    node: fx.Node
    probes: tuple[int | float, ...]


def version(tensor: Tensor) -> int:
    """Count of the in-place operators on the memory of ``tensor``, by torch's own record."""
    return tensor._version  # noqa: SLF001 - autograd relies on it too


def is_traced(value: Any) -> bool:
    """Whether the value, or any part of it, depends on the image or the batch size."""
    return any(isinstance(leaf, TracedTensor | TracedNumber) for leaf in tree_leaves(value))


def concrete(value: Any) -> Any:
    """``value``, if it is known now.

    Raises:
        UntranslatableError: It depends on the image, or on the batch size.
    """
    for leaf in tree_leaves(value):
        if isinstance(leaf, TracedTensor):
            raise UntranslatableError("it depends on the pixels of the image")
        if isinstance(leaf, TracedNumber):
            raise UntranslatableError("it depends on the batch size")
    return value


def probed(
    function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> tuple[Any, ...]:
    """What ``function`` gives for each of ``BATCHES``."""
    with torch.no_grad():
        return tuple(
            function(*_probe(list(arguments), index), **_probe(dict(options), index))
            for index in range(len(BATCHES))
        )


def _probe(value: Any, index: int) -> Any:
    def leaf(value: Any) -> Any:
        match value:
            case TracedTensor() if value.stale:
                _refuse_stale()
            case TracedTensor() | TracedNumber():
                return value.probes[index]
            case Tensor():
                return value.to("meta")
            case _:
                return value

    return tree_map(leaf, value)


def _refuse_stale() -> NoReturn:
    raise UntranslatableError("it reads memory that was since written through another view")
