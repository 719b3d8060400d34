"""An exported program as values: its inputs, its nodes and its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Argument = Mapping[str, Any]
"""An argument as the file has it: one item, the kind and the value."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One call of a module.

    Attributes:
        key: What tells it from other calls.
        path: Dotted path of the module.
        kind: Name of its class.
    """

    key: str
    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a program.

    Attributes:
        target: What it calls, for example ``torch.ops.aten.relu.default``.
        inputs: Arguments in order; the names of those of operators are the schema's.
        outputs: Names of its results, in lists where one result is a list of tensors.
        scopes: The calls of modules that it is in, outermost first, without the root's.
    """

    target: str
    inputs: Sequence[tuple[str, Argument]]
    outputs: Sequence[Any]
    scopes: Sequence[Scope]

    @property
    def path(self) -> str:
        """Path of the module that it is in."""
        return self.scopes[-1].path if self.scopes else ""

    @property
    def label(self) -> str:
        """What to call it in errors: its path, and the name of what it calls."""
        _, name, *_ = self.target.removeprefix("torch.ops.").split(".")
        return f"{self.path}/{name}" if self.path else name


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight or constant in the archive.

    Attributes:
        entry: Name of the entry with the bytes of its storage.
        dtype: Element type, by its number in torch's schema of exported programs.
        sizes: Its shape.
        strides: Elements from one to the next, along each axis.
        offset: Elements before the first.
    """

    entry: str
    dtype: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Axis:
    """What sizes an axis of the image may have: a single one where it was not exported as dynamic.

    Attributes:
        least: The smallest.
        most: The largest, or None where there is none.
    """

    least: int
    most: int | None

    @property
    def size(self) -> int | None:
        """The only size, if there is but one."""
        return self.least if self.least == self.most else None


@dataclass(frozen=True, slots=True)
class Program:
    """What a file describes.

    Attributes:
        image: Name of the input that is the batch of images.
        axes: The sizes that it may have, axis by axis.
        constants: Values of the other inputs that are no tensors, by name.
        stored: Weights and constants by the name of the input that they are.
        nodes: The steps, in order.
        outputs: What it gives to its caller.
    """

    image: str
    axes: tuple[Axis, ...]
    constants: Mapping[str, Any]
    stored: Mapping[str, Stored]
    nodes: Sequence[Node]
    outputs: Sequence[Argument]

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the image, None where the program leaves it open."""
        return tuple(axis.size for axis in self.axes)
