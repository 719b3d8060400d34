"""The calls of modules, of which a program tells only which steps they are of."""

from collections.abc import Iterator, Sequence
from typing import Any, final

from torch.utils._pytree import tree_leaves

from facetscope.models.exported_program.program import Argument, Program, Scope


@final
class Scopes:
    """Where the calls of modules end, and what they give."""

    def __init__(self, program: Program) -> None:
        """Look through the steps of ``program``."""
        self._nodes = program.nodes
        self._readers = _readers(program)
        self._steps: dict[str, list[int]] = {}
        for at, node in enumerate(program.nodes):
            for scope in node.scopes:
                self._steps.setdefault(scope.key, []).append(at)

    @property
    def children(self) -> frozenset[str]:
        """Names of the modules that are the root's own."""
        paths = (scope.path for node in self._nodes for scope in node.scopes)
        return frozenset(path.partition(".")[0] for path in paths)

    def ending(self, at: int) -> Iterator[tuple[Scope, list[str]]]:
        """The calls whose last step is number ``at``, innermost first, and what each gives.

        That is what its steps compute and others read.
        """
        for scope in reversed(self._nodes[at].scopes):
            steps = self._steps[scope.key]
            if steps[-1] == at:
                yield scope, list(self._given(frozenset(steps)))

    def _given(self, steps: frozenset[int]) -> Iterator[str]:
        for at in sorted(steps):
            for name in tree_leaves(self._nodes[at].outputs):
                if not self._readers.get(name, set()) <= steps:
                    yield name


def _readers(program: Program) -> dict[str, set[int]]:
    """The numbers of the steps that read a value, by its name; an output is read at the end."""
    readers: dict[str, set[int]] = {}
    for at, node in enumerate(program.nodes):
        for _, argument in node.inputs:
            for name in _names(argument):
                readers.setdefault(name, set()).add(at)
    for output in program.outputs:
        for name in _names(output):
            readers.setdefault(name, set()).add(len(program.nodes))
    return readers


def _names(argument: Argument) -> Iterator[str]:
    """Names of the values that an argument is made of."""
    for value in argument.values():
        for item in value if isinstance(value, list) else [value]:
            yield from _name(item)


def _name(item: Any) -> Sequence[str]:
    match item:
        case {"name": str(name)} | {"as_name": str(name)} | {"as_tensor": {"name": str(name)}}:
            return [name]
        case _:
            return []
