"""What every translator gives: one ``torch.fx`` graph whose values keep the names of the file."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, fx


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor that the graph computes from the image.

    Attributes:
        node: The node of ``Translation.module.graph`` that computes it, before any later in-place
            operator of the original.
        kind: Operator or module class that it comes from, for example ``Conv`` or ``Conv2d``.
        shape: Its shape for the example batch, with -1 where it varies with the batch.
        aliases: Other names that users may know it by.
    """

    node: fx.Node
    kind: str
    shape: tuple[int, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """A user's model as one differentiable graph.

    Attributes:
        module: Takes one batch of network inputs of any batch size and returns a tuple of the
            model's outputs; weights and constants are its buffers. Pure: nothing is done in place.
        values: Every addressable tensor by name, in the order of execution. The names are the
            format's: module paths (TorchScript) or output tensor names (ONNX).
        outputs: Names of the model's outputs, in order, each a key of ``values``.
        input_name: What the file calls the image.
    """

    module: fx.GraphModule
    values: Mapping[str, Value]
    outputs: tuple[str, ...]
    input_name: str


Example = Tensor
"""A batch of network inputs to translate with: its height, width and channels are fixed then."""
