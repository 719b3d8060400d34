"""A model's graph on a device: its layers, and the activations of those that are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final, cast, final

import torch
from torch import Tensor, fx, nn
from typing_extensions import override

from facetscope.domain.errors import (
    LayerNotFoundError,
    ModelUnreadableError,
    OperatorUnsupportedError,
)
from facetscope.domain.units import Layer, Obstacle
from facetscope.models.attribution import Attribution, leaf
from facetscope.models.channels import channel_axes
from facetscope.models.fusions import fuse
from facetscope.models.gradients import obstacles
from facetscope.models.graph import BATCHES, Translation, missing
from facetscope.models.groups import Groups
from facetscope.models.onnx import convolution
from facetscope.models.receptive_fields import field_along, receptive_fields
from facetscope.models.redirecting import redirect

aten: Final = torch.ops.aten

KERNEL_RANK: Final = 4
"""Rank of the kernels of convolutions over images."""

CONVOLUTIONS: Final = frozenset(
    {
        *(aten.conv2d, aten.convolution, aten.conv_transpose2d),
        *(convolution.conv, convolution.conv_transpose),
    }
)
"""Operators whose second argument is a kernel."""

WIDEST_CODE: Final = 4096
"""Channels of the widest layer that is compared by unless a request names it: as many as the
paper's own has. A code is kept of every image."""


@final
class Network:
    """A translated model, ready to compute.

    Attributes:
        layers: Every tensor whose channels are units, in the order of execution.
        outputs: Names of those that the model gives out.
        places: Where these are among all tensors that the model gives out.
        obstacle: The first node without a translation, if there is one.
        device: Where it computes.
    """

    def __init__(
        self,
        translation: Translation,
        device: torch.device,
        *,
        picture_axes: tuple[int, int] = (2, 3),
        autocast: bool = False,
    ) -> None:
        """Move the graph of ``translation`` to ``device``, convolutions in channels-last layout.

        It computes in the type that it was translated for.

        Args:
            translation: The model.
            device: Where to compute.
            picture_axes: Axes of height and width in a batch of network inputs.
            autocast: Whether to compute products of matrices and convolutions in brain floats.

        Raises:
            ModelUnreadableError: It has no layers.
        """
        self._translation = translation
        self._module = _channels_last(translation.module.to(device))
        self._names = {
            alias: name
            for name, value in translation.values.items()
            for alias in (*value.aliases, name)
        }
        self._readings: dict[tuple[tuple[str, ...], bool], Reading] = {}
        self._attributions: dict[tuple[str, str], Attribution] = {}
        self._autocast = autocast
        self.layers = tuple(_layers(translation, picture_axes))
        if not self.layers:
            raise ModelUnreadableError("none of its tensors has channels, which are the units here")
        self.outputs = translation.outputs
        self.places = translation.places or tuple(range(len(translation.outputs)))
        self.obstacle = translation.obstacle
        self._missing = missing(self._module.graph)
        self.device = device

    def layer(self, name: str) -> Layer:
        """The layer of that name or alias.

        Raises:
            LayerNotFoundError: There is none.
        """
        canonical = self._names.get(name)
        for layer in self.layers:
            if layer.name == canonical:
                return layer
        names = [layer.name for layer in self.layers]
        nearest = get_close_matches(name, names, n=5, cutoff=0.0)
        raise LayerNotFoundError(name, tuple(nearest), len(names))

    def aliases(self, name: str) -> tuple[str, ...]:
        """Other names of the layer ``name``."""
        return self._translation.values[name].aliases

    def reading(self, names: Sequence[str], *, redirected: bool = False) -> "Reading":
        """The part of the graph that computes these layers, and nothing after them.

        Args:
            names: Of the layers.
            redirected: Whether rectifiers that are silent for an image let a gradient through that
                would wake them; see ``redirecting``. What is computed is the same, bit by bit.

        Returns:
            A module from a batch of network inputs to a tuple of activations, one for each name, in
            the type that the graph was translated for, whatever the batch size that the file was
            made for.
            It shares its weights with every other reading, and is made once: torch keeps the
            source of every graph for ever.

        Raises:
            OperatorUnsupportedError: A node on the way to them has no translation.
        """
        key = (tuple(names), redirected)
        if key not in self._readings:
            cut, batch = self._cut(names), self._translation.batch
            if redirected:
                redirect(cut.graph)
                cut.recompile()
            whole = cut if batch is None else Groups(cut, batch)
            self._readings[key] = Reading(whole, self.device.type if self._autocast else None)
        return self._readings[key]

    def attribution(self, source: str, target: str) -> Attribution | None:
        """The gradient of the layer ``target`` with respect to the layer ``source``.

        Returns:
            ``None`` where ``target`` is not computed from ``source``. It shares its weights with
            every reading, and is made once, as these are.

        Raises:
            OperatorUnsupportedError: A node on the way to them has no translation.
        """
        if self._node(source) not in _computed_from(self._node(target)):
            return None
        key = (source, target)
        if key not in self._attributions:
            autocast = self.device.type if self._autocast else None
            cut = self._cut(key, leaf_at=source)
            self._attributions[key] = Attribution(cut, self._translation.batch, autocast)
        return self._attributions[key]

    def on_the_way(self, layer: Layer) -> tuple[Layer, ...]:
        """The layers that ``layer`` is computed from, in the order of execution."""
        sources = _computed_from(self._node(layer.name))
        return tuple(each for each in self.layers if self._node(each.name) in sources)

    def obstructed(self, name: str) -> Obstacle | None:
        """The first node without a translation on the way to ``name``, if there is one."""
        return self._missing.get(self._node(name))

    def obstacles(self, shape: tuple[int, ...]) -> Mapping[str, Obstacle]:
        """What stands in the way of the gradient, by name, for layers that have none.

        Args:
            shape: Of a batch of network inputs, of any size.
        """
        batch = self._translation.batch or BATCHES[0]
        found = obstacles(self._module, self._translation.values, (batch, *shape[1:]))
        nodes = {layer.name: self._node(layer.name) for layer in self.layers}
        return {name: found[node] for name, node in nodes.items() if node in found}

    def _cut(self, names: Sequence[str], leaf_at: str | None = None) -> fx.GraphModule:
        for obstacle in filter(None, map(self.obstructed, names)):
            raise OperatorUnsupportedError(obstacle.node, obstacle.operator, obstacle.problem)
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(self._module.graph, copies)
        graph.output(tuple(copies[self._node(name)] for name in names))
        if leaf_at is not None:
            _end_gradient(copies[self._node(leaf_at)])
        graph.eliminate_dead_code()
        fuse(graph, self._module)
        return fx.GraphModule(self._module, graph)

    def logits(self, layer: Layer) -> Layer:
        """The layer that a softmax over classes reads; of any other layer, ``layer`` itself."""
        node = self._node(layer.name)
        if not self._is_softmax(node) or not _has_one_position(layer):
            return layer
        source = next(self._sources(node), layer)
        alike = (source.shape, source.channel_axis) == (layer.shape, layer.channel_axis)
        return source if alike else layer

    def is_classes(self, layer: Layer) -> bool:
        """Whether the channels are classes: those of an output, or the logits of an output."""
        outputs = [self._node(name) for name in self.outputs]
        given = [each for each in self.layers if self._node(each.name) in outputs]
        logits = [self._node(self.logits(each).name) for each in given]
        return _has_one_position(layer) and self._node(layer.name) in (*outputs, *logits)

    def classifier(self) -> tuple[str, str]:
        """Names of the logits and the probabilities of the first output that is classes, or empty.

        The second is empty where the model gives out the logits themselves.
        """
        by_name = {layer.name: layer for layer in self.layers}
        for layer in (by_name[name] for name in self.outputs if name in by_name):
            if _has_one_position(layer):
                logits = self.logits(layer)
                softmax = layer.name if self._is_softmax(self._node(layer.name)) else ""
                return (logits.name if logits is not layer or not softmax else "", softmax)
        return "", ""

    def code_layer(self) -> Layer:
        """The features of an image: what the first of the fully connected layers at the end reads.

        The layers between it and the classifier are there to merge what has one class. Where
        features are the picture itself, it is the first hidden layer; where they are wider than
        ``WIDEST_CODE``, the last one.
        """
        last = self.last_hidden_layer()
        *_, found = (last, *filter(self._has_weights, self._connected(last)))
        return found if found.channels <= WIDEST_CODE else last

    def last_hidden_layer(self) -> Layer:
        """The last layer before the classifier: what the last weighted operator reads."""
        if self.outputs:
            for node in _upstream(self._node(self.outputs[0])):
                if self._is_weighted(node):
                    return next(self._sources(node), self.layers[-1])
        return self.layers[-1]

    def _connected(self, layer: Layer) -> Iterator[Layer]:
        """What weighted operators upstream of ``layer`` read, up to the first with positions."""
        by_node = {self._node(each.name): each for each in self.layers}
        read = False
        for node in _upstream(self._node(layer.name)):
            found = by_node.get(node)
            if found is not None and not _has_one_position(found):
                return
            if found is not None and read:
                yield found
            read = self._is_weighted(node) or (read and found is None)

    def _has_weights(self, layer: Layer) -> bool:
        """Whether weights have a part in ``layer``: they have none in the picture, flattened."""
        return any(map(self._is_weighted, _upstream(self._node(layer.name))))

    def _sources(self, node: fx.Node) -> Iterator[Layer]:
        """Layers upstream of ``node`` along its first inputs, nearest first."""
        by_node = {self._node(layer.name): layer for layer in self.layers}
        return (by_node[source] for source in _upstream(node, itself=False) if source in by_node)

    def _is_softmax(self, node: fx.Node) -> bool:
        """Whether ``node`` computes a softmax, by any of its names: some are of whole modules."""
        values = self._translation.values.values()
        return "softmax" in {value.kind.lower() for value in values if value.node is node}

    def _is_weighted(self, node: fx.Node) -> bool:
        """Whether ``node`` has a matrix of weights among its inputs."""
        return any(
            source.op == "get_attr" and self._weights(source).dim() > 1
            for source in node.all_input_nodes
        )

    def _node(self, name: str) -> fx.Node:
        return self._translation.values[name].node

    def _weights(self, node: fx.Node) -> Tensor:
        return self._module.get_buffer(cast("str", node.target))


@final
class Reading(nn.Module):
    """A part of a network's graph.

    Attributes:
        part: The part, for any batch size.
    """

    def __init__(self, part: nn.Module, autocast: str | None) -> None:
        """Compute ``part`` under autocast to brain floats on a kind of device, if any."""
        super().__init__()
        self.part = part
        self._autocast = autocast

    @override
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Activations of one batch of network inputs."""
        if self._autocast is None:
            return cast("tuple[Tensor, ...]", self.part(images))
        with torch.autocast(self._autocast, torch.bfloat16):
            values = self.part(images)
        return tuple(
            value.to(images.dtype) if value.is_floating_point() else value for value in values
        )


def _channels_last(module: fx.GraphModule) -> fx.GraphModule:
    """``module`` with its kernels in the layout in which convolutions are fastest on most chips.

    Other tensors of four axes, such as the masks of attention, are read fastest as they are.
    """
    for node in module.graph.nodes:
        if getattr(node.target, "overloadpacket", node.target) not in CONVOLUTIONS:
            continue
        kernel: Any = node.args[1]
        weights = module.get_buffer(kernel.target) if kernel.op == "get_attr" else None
        if weights is not None and weights.dim() == KERNEL_RANK:
            weights.data = weights.to(memory_format=torch.channels_last)
    return module


def _layers(translation: Translation, picture: tuple[int, int]) -> Iterator[Layer]:
    axes, fields = channel_axes(translation.module.graph), receptive_fields(translation.module)
    for name, value in translation.values.items():
        axis = axes.get(value.node)
        if axis is not None and value.shape[0] == -1 and value.shape[axis] > 0:
            layer = Layer(name, value.kind, value.shape, axis)
            field = field_along(fields.get(value.node, {}), picture, layer.positions)
            yield replace(layer, receptive_field=field)


def _has_one_position(layer: Layer) -> bool:
    """Whether it is [batch, classes], perhaps with further axes of length 1."""
    return set(layer.extent) <= {1}


def _end_gradient(node: fx.Node) -> None:
    """Let all that reads ``node`` read a leaf in its place."""
    with node.graph.inserting_after(node):
        end = node.graph.call_function(leaf, (node,))
    node.replace_all_uses_with(end, delete_user_cb=lambda user: user is not end)


def _computed_from(node: fx.Node) -> set[fx.Node]:
    """The nodes on all the ways to ``node``, itself left out."""
    seen: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        found = set(waiting.pop().all_input_nodes) - seen
        seen |= found
        waiting.extend(found)
    return seen


def _upstream(node: fx.Node, *, itself: bool = True) -> Iterator[fx.Node]:
    """``node`` and what it is computed from, along the first input that depends on the image."""
    if itself:
        yield node
    while True:
        sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
        if not sources or sources[0].op == "placeholder":
            return
        node = sources[0]
        yield node
