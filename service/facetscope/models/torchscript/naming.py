"""The names under which users find the tensors of a TorchScript model."""

from collections import Counter
from typing import final

from torch import fx

from facetscope.models.graph import Value


@final
class Names:
    """Names of values, given while the model is evaluated.

    A module's output has the module's path, an operator's result the path of the module that it
    is in, a slash and the operator. ``#k`` is the k-th repetition, ``:i`` the i-th of several
    results.

    Attributes:
        values: What has a name so far, in the order of execution.
    """

    def __init__(self, children: frozenset[str]) -> None:
        """Know the root's ``children``: an operator of the root is never named like one."""
        self.values: dict[str, Value] = {}
        self._children = children
        self._uses: Counter[str] = Counter()
        self._operators: dict[fx.Node, str] = {}

    def operator(self, path: str, operator: str) -> str:
        """A new name for a result of ``operator`` within the module at ``path``."""
        prefix = f"{path}/" if path or operator in self._children else ""
        return self._numbered(prefix + operator)

    def add_operator(self, name: str, kind: str, node: fx.Node) -> None:
        """Give a name of ``operator`` to what ``node`` computes."""
        self._operators[node] = name
        self.values[name] = Value(node, kind)

    def add_module(self, path: str, kind: str, outputs: list[fx.Node]) -> None:
        """Give a module's path to its outputs, in place of the names of its own operators."""
        name = self._numbered(path)
        for index, node in enumerate(outputs):
            inner = self._operators.get(node, "")
            if inner.startswith((f"{path}/", f"{path}.")):
                del self.values[self._operators.pop(node)]
            self.values[name if len(outputs) == 1 else f"{name}:{index}"] = Value(node, kind)

    def of(self, node: fx.Node) -> str | None:
        """The innermost name of what ``node`` computes."""
        return next((name for name, value in self.values.items() if value.node is node), None)

    def _numbered(self, name: str) -> str:
        uses = self._uses[name]
        self._uses[name] += 1
        return f"{name}#{uses}" if uses else name
