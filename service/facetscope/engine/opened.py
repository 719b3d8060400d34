"""A model that a worker has open: its network, and what can be told of it."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import torch

from facetscope.domain.events import DescribedLayer, Description, Parity
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import Precision
from facetscope.domain.units import Layer, Unit
from facetscope.engine.synthesis import Target
from facetscope.images.preprocessing import Preprocessing
from facetscope.models.class_names import class_names
from facetscope.models.files import example, open_model
from facetscope.models.network import Network
from facetscope.models.scaling import from_graph

VERSIONED: Final = (
    "facetscope",
    "numpy",
    "onnx",
    "onnxruntime-gpu",
    "pillow",
    "scikit-learn",
    "torch",
)
"""Packages whose versions can change a result."""

PROBES: Final = 2
"""Images in a probe batch: one would not show a mistake along the batch axis."""


@final
class OpenModel:
    """A model file, translated for images of one shape.

    Attributes:
        digest: SHA-256 of the file.
        spec: How pictures become its input, as asked for.
        precision: What it computes in.
        input: The same, with nothing left open.
        preprocessing: The same, as a module.
        network: The graph.
    """

    def __init__(
        self,
        digest: str,
        path: Path,
        spec: InputSpec,
        precision: Precision,
        device: torch.device,
    ) -> None:
        """Open the file, and translate it.

        Raises:
            InspectionError: It cannot be inspected.
        """
        self.digest = digest
        self.spec = spec
        self.precision = precision
        dtype = torch.float64 if precision is Precision.FLOAT64 else torch.float32
        self._file = open_model(path)
        said = self._file.guesses(spec.layout)
        shape = spec.resolved(said).shape(PROBES)
        translation = self._file.translate(example(shape, dtype=dtype))
        self._guesses = (*said, *from_graph(translation.module))
        self.input = spec.resolved(self._guesses)
        self.preprocessing = Preprocessing(self.input).to(device, dtype)
        self.network = Network(
            translation,
            device,
            picture_axes=self.input.picture_axes,
            autocast=precision is Precision.BFLOAT16,
        )

    def target(self, unit: Unit) -> Target:
        """The unit, ready to be read; of a softmax's unit, the logit.

        Raises:
            LayerNotFoundError: There is no such layer.
            InvalidFieldError: The layer has no such axis for channels.
            ChannelOutOfRangeError: The layer is too narrow.
            PositionOutOfRangeError: The layer has no such position.
        """
        layer = self.network.logits(self.network.layer(unit.layer)).along(unit.channel_axis)
        chosen = self.input
        shape = (chosen.channels, chosen.height, chosen.width)
        return Target(self.network, self.preprocessing, unit.within(layer), layer, shape)

    def code_layer(self, name: str) -> Layer:
        """The layer ``name``, or the last one before the classifier where it is empty.

        Raises:
            LayerNotFoundError: There is no such layer.
        """
        return self.network.layer(name) if name else self.network.code_layer()

    def description(self) -> Description:
        """What the model is, and how far its graph is from its own runtime."""
        outputs = set(self.network.outputs)
        logits, probabilities = self.network.classifier()
        return Description(
            digest=self.digest,
            format=self._file.format,
            input_tensors=self._file.input_tensors,
            input=self.input,
            input_origins=self.spec.origins(self._guesses),
            layers=tuple(
                DescribedLayer(layer, self.network.aliases(layer.name), layer.name in outputs)
                for layer in self.network.layers
            ),
            code_layer=self.network.code_layer().name,
            logits=logits,
            probabilities=probabilities,
            class_names=class_names(self._file.metadata),
            parity=self._parity(),
        )

    def _parity(self) -> Parity | None:
        dtype = self.preprocessing.scale.dtype
        images = example(self.input.shape(PROBES), seed=1, dtype=dtype)
        names = self.network.outputs
        with torch.inference_mode():
            outputs = self.network.reading(names)(images.to(self.network.device))
        named = {name: output.cpu() for name, output in zip(names, outputs, strict=True)}
        return self._file.parity(images, named)


def versions() -> dict[str, str]:
    """Versions of what computes, by package."""
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}


def device_name(device: torch.device) -> str:
    """What to call the device in replies: ``cpu``, or ``cuda`` and the chip's name."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return device.type
