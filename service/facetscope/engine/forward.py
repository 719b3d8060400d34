"""What computes the activations of many images: the graph, or ONNX Runtime.

ONNX Runtime is the faster on the CPU (docs/decisions/2026-11-24-forward-passes.md has figures).
Which one it is must not depend on a measurement, or the same job would give other bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from facetscope.domain.computing import Runtime
from facetscope.domain.errors import InvalidFieldError, ModelUnreadableError
from facetscope.domain.events import Forward
from facetscope.domain.units import Layer
from facetscope.models.files import ModelFile
from facetscope.models.network import Network
from facetscope.models.onnx_runtime import CUDA
from facetscope.models.sessions import Session

FELL_BACK: Final = (
    "ONNX Runtime computed on the CPU although there is a GPU: check that CUDA and cuDNN are those "
    "of its release"
)


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Forward passes through a model.

    Attributes:
        layers: What they give.
        read: From a batch of network inputs to the activations of these layers.
        by: What computes them.
        warnings: What an operator should know, each a sentence.
    """

    layers: tuple[Layer, ...]
    read: Callable[[Tensor], Sequence[Tensor]]
    by: Forward
    warnings: tuple[str, ...] = ()


@contextmanager
def passes(
    file: ModelFile,
    network: Network,
    layers: Sequence[Layer],
    *,
    as_stored: bool,
    asked: Runtime,
) -> Iterator[Passes]:
    """Forward passes for ``layers``; what they need beside the network is let go in the end.

    Args:
        file: The model.
        network: Its graph.
        layers: What the passes are to give.
        as_stored: Whether images and precision are those that the file itself asks for: the graph
            may take others, too.
        asked: What is to compute.

    Raises:
        InvalidFieldError: ONNX Runtime was asked for, and does not give these layers.
        ModelUnreadableError: It was asked for, and does not run the file.
        OperatorUnsupportedError: A layer is behind a node without a translation, and PyTorch was
            asked for, or nothing else runs the file.
    """
    obstructed = any(network.obstructed(layer.name) is not None for layer in layers)
    prefers = obstructed or (network.device.type == "cpu" and as_stored)
    asked = Runtime.TORCH if asked is Runtime.AUTO and not prefers else asked
    session = _session(file, layers, network.device, asked)
    if session is None:
        names = [layer.name for layer in layers]
        by = Forward(Runtime.TORCH, str(network.device))
        yield Passes(tuple(layers), network.reading(names), by)
        return
    fell_back = network.device.type == "cuda" and session.provider != CUDA
    warnings = (FELL_BACK,) if fell_back else ()
    by = Forward(Runtime.ONNX_RUNTIME, session.provider)
    yield Passes(tuple(layers), session, by, warnings)


def _session(
    file: ModelFile, layers: Sequence[Layer], device: torch.device, asked: Runtime
) -> Session | None:
    """A session where ONNX Runtime is to compute, and can."""
    if asked is Runtime.TORCH:
        return None
    try:
        session = file.session(layers, device)
    except ModelUnreadableError:
        if asked is Runtime.AUTO:
            return None
        raise
    if session is None and asked is Runtime.ONNX_RUNTIME:
        problem = f"ONNX Runtime gives none of these layers of a {file.format} file: take TORCH"
        raise InvalidFieldError("discovery.runtime", problem)
    return session
