"""What a model is: the answer of a DescribeModel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from facetscope.domain.inputs import Input, Origin
from facetscope.domain.units import Layer, Obstacle


@dataclass(frozen=True, slots=True)
class InputTensor:
    """One tensor that the model takes, with -1 for the sizes that the file leaves open."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """The output that differs most from the model's own runtime's.

    Attributes:
        output: Its name.
        largest_absolute: The largest difference of an element; infinite if one is not a number.
        largest_relative: The same, relative to the largest element that the runtime gives.
        provider: What the runtime computed with.
        runtime: What ran the model as it is: ``ONNX Runtime`` or ``TorchScript``.
    """

    output: str
    largest_absolute: float
    largest_relative: float
    provider: str
    runtime: str


class ParityAbsenceReason(Enum):
    """A kind of reason for which a graph was not compared with the model's own runtime.

    Attributes:
        REFUSED: The runtime does not run the file, or not for images of this shape.
        TIMED_OUT: The runtime took longer than it may.
        CRASHED: The process that ran the file ended without an answer.
        UNTRANSLATED: No output has a translation.
    """

    REFUSED = "refused"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    UNTRANSLATED = "untranslated"


@dataclass(frozen=True, slots=True)
class ParityAbsence:
    """Why a graph was not compared with the model's own runtime; the problem is a sentence."""

    reason: ParityAbsenceReason
    problem: str


@dataclass(frozen=True, slots=True)
class DescribedLayer:
    """A layer, and what is to be known of it.

    Attributes:
        layer: The layer.
        aliases: Other names that it has.
        output: Whether the model gives it out.
        obstacle: What stands in the way of its gradient; ``None`` where it has one.
    """

    layer: Layer
    aliases: tuple[str, ...]
    output: bool
    obstacle: Obstacle | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a model is.

    Attributes:
        digest: SHA-256 of its file.
        format: Of the file.
        input_tensors: What it takes, as the file declares it.
        input: How pictures become its input, with every default filled in.
        input_origins: Where each value of ``input`` comes from.
        layers: Everything that can be inspected.
        code_layer: What images are compared by where a request names no layer.
        logits: Name of the layer of the classes' scores, or empty.
        probabilities: Name of the layer that is the softmax of ``logits``, or empty.
        class_names: Names of the classes by channel, where the file has them.
        parity: How far its graph is from its own runtime, or why that is not known.
        obstacle: The first node without a translation; ``None`` where every one has.
    """

    digest: str
    format: str
    input_tensors: tuple[InputTensor, ...]
    input: Input
    input_origins: tuple[Origin, ...]
    layers: tuple[DescribedLayer, ...]
    code_layer: str
    logits: str
    probabilities: str
    class_names: tuple[str, ...]
    parity: Parity | ParityAbsence
    obstacle: Obstacle | None
