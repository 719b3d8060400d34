"""The names that users know the tensors of an ONNX file by, besides the file's own."""

import re
from collections.abc import Mapping, Sequence

from onnx import NodeProto

NAME_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter writes module paths, outermost first, and last what it called the node."""


def aliases(producers: Sequence[tuple[str, NodeProto]]) -> Mapping[str, tuple[str, ...]]:
    """Further names for each tensor, each name belonging to one tensor only.

    Args:
        producers: Names of tensors and the nodes that compute them, in the order of execution.

    Returns:
        For each tensor the paths of the modules whose last node computes it, then the node's name.
    """
    owner: dict[str, str] = {}
    for tensor, node in producers:
        owner.update(dict.fromkeys(module_paths(node), tensor))
    for tensor, node in producers:
        owner.setdefault(node.name, tensor)
    tensors = [tensor for tensor, _ in producers]
    names: dict[str, tuple[str, ...]] = dict.fromkeys(tensors, ())
    for alias in owner.keys() - {"", *tensors}:
        names[owner[alias]] += (alias,)
    return {tensor: tuple(sorted(found)) for tensor, found in names.items()}


def module_paths(node: NodeProto) -> list[str]:
    """Paths of the modules that a node is part of, outermost first."""
    for entry in node.metadata_props:
        if entry.key == NAME_SCOPES:
            return [path for path in re.findall(r"'([^']*)'", entry.value)[:-1] if path]
    return _paths_in(node.name) if node.name.startswith("/") else []


def _paths_in(name: str) -> list[str]:
    """The paths layer1, layer1.0 and layer1.0.conv1 in ``/layer1/layer1.0/conv1/Conv``.

    Children of a container repeat its name, other children do not.
    """
    steps: list[str] = []
    paths = []
    for step in name.split("/")[1:-1]:
        if steps and step.startswith(f"{steps[-1]}."):
            steps.pop()
        steps.append(step)
        paths.append(".".join(steps))
    return paths
