"""A model that a worker has open: its network, and what can be told of it."""

import platform
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import torch
from torch import Tensor

from facetscope.domain.computing import Precision, Runtime
from facetscope.domain.descriptions import (
    DescribedLayer,
    Description,
    Parity,
    ParityAbsence,
    ParityAbsenceReason,
)
from facetscope.domain.discoveries import LastHiddenLayer
from facetscope.domain.events import Progress
from facetscope.domain.inputs import InputSpec
from facetscope.domain.units import Layer, Unit
from facetscope.engine.allocator import give_back
from facetscope.engine.forward import Passes, passes
from facetscope.engine.oracle_process import Oracle, awaited
from facetscope.engine.targets import Target
from facetscope.images.preprocessing import Preprocessing
from facetscope.models.class_names import class_names
from facetscope.models.files import example, open_model
from facetscope.models.network import Network
from facetscope.models.onnx.outlines import Outline
from facetscope.models.parity import compared
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

PARITY_S: Final = 60.0
"""Seconds that a model's own runtime may take, unless the operator says otherwise."""

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
        *,
        parity_s: float = PARITY_S,
    ) -> None:
        """Open the file, and translate it.

        Args:
            digest: See above.
            path: The file.
            spec: See above.
            precision: See above.
            device: Where to compute.
            parity_s: Time that the model's own runtime may take whenever it is asked, in seconds.

        Raises:
            InspectionError: It cannot be inspected.
        """
        self.digest = digest
        self.spec = spec
        self.precision = precision
        dtype = torch.float64 if precision is Precision.FLOAT64 else torch.float32
        self._file = open_model(path)
        self._oracle = Oracle(
            path,
            self._file.format,
            cuda=device.type == "cuda",
            threads=torch.get_num_threads(),
            limit_s=parity_s,
        )
        said = self._file.guesses(spec.layout)
        self.input = spec.resolved(said)
        self.preprocessing = Preprocessing(self.input)
        translation = self._file.translate(
            example(self.input.shape(PROBES), dtype=dtype), self._outlines
        )
        self._guesses = (*said, *from_graph(translation.module))
        self.input = spec.resolved(self._guesses)
        self.preprocessing = Preprocessing(self.input).to(device, dtype)
        self.network = Network(
            translation,
            device,
            picture_axes=self.input.picture_axes,
            autocast=precision is Precision.BFLOAT16,
        )
        give_back()

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

    def code_layer(self, asked: str | LastHiddenLayer) -> Layer:
        """The layer that a discovery asks for: by its name, or the features where that is empty.

        Raises:
            LayerNotFoundError: There is no such layer.
        """
        match asked:
            case LastHiddenLayer():
                return self.network.last_hidden_layer()
            case "":
                return self.network.code_layer()
            case name:
                return self.network.layer(name)

    def passes(self, layers: Sequence[Layer], asked: Runtime) -> AbstractContextManager[Passes]:
        """Forward passes of many images for ``layers``; see ``engine.forward``."""
        as_stored = self.precision is Precision.FLOAT32 and self._file.declares(
            self.input.shape(PROBES)
        )
        return passes(self._file, self.network, layers, as_stored=as_stored, asked=asked)

    def description(self) -> Generator[Progress, None, Description]:
        """What the model is, and how far its graph is from its own runtime."""
        outputs = set(self.network.outputs)
        obstacles = self.network.obstacles(self.input.shape(PROBES))
        parity = yield from self._parity()
        logits, probabilities = self.network.classifier()
        return Description(
            digest=self.digest,
            format=self._file.format,
            input_tensors=self._file.input_tensors,
            input=self.input,
            input_origins=self.spec.origins(self._guesses),
            layers=tuple(
                DescribedLayer(
                    layer,
                    self.network.aliases(layer.name),
                    layer.name in outputs,
                    obstacles.get(layer.name),
                )
                for layer in self.network.layers
            ),
            code_layer=self.network.code_layer().name,
            logits=logits,
            probabilities=probabilities,
            class_names=class_names(self._file.metadata),
            parity=parity,
            obstacle=self.network.obstacle,
        )

    def _parity(self) -> Generator[Progress, None, Parity | ParityAbsence]:
        """The comparison for a batch of noise, as the network sees pictures of it."""
        outputs = zip(self.network.outputs, self.network.places, strict=True)
        places = {name: at for name, at in outputs if self.network.obstructed(name) is None}
        if not places:
            problem = "no output of the model could be translated, so there is nothing to compare"
            return ParityAbsence(ParityAbsenceReason.UNTRANSLATED, problem)
        with torch.inference_mode():
            noise = self._noise().to(self.preprocessing.scale)
            images = self.preprocessing(noise)
            values = self.network.reading(tuple(places))(images)
        testimony = yield from self._oracle.ask(images.cpu().numpy(), [PROBES])
        if isinstance(testimony, ParityAbsence):
            return testimony
        (expected,) = testimony.batches
        return compared(
            dict(zip(places, values, strict=True)),
            [expected[at] if at < len(expected) else None for at in places.values()],
            runtime=testimony.runtime,
            provider=testimony.provider,
        )

    def _noise(self) -> Tensor:
        """Pictures of independent grey levels, the same at every call."""
        shape = (PROBES, self.input.channels, self.input.height, self.input.width)
        return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float()

    def _outlines(
        self, names: Sequence[str], batches: Sequence[int]
    ) -> list[list[Outline | None]] | None:
        """What tensors of the file look like, as its own runtime computes them."""
        with torch.inference_mode():
            images = self.preprocessing(self._noise())[torch.arange(max(batches)) % PROBES]
        asked = self._oracle.ask(images.numpy(), batches, tensors=names, outlines=True)
        testimony = awaited(asked)
        if isinstance(testimony, ParityAbsence):
            return None
        return [
            [each if each is None else (each.shape, each.dtype.name) for each in batch]
            for batch in testimony.batches
        ]


def versions() -> dict[str, str]:
    """Versions of what computes, by package."""
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}


def device_name(device: torch.device) -> str:
    """What to call the device in replies: ``cpu``, or ``cuda`` and the chip's name."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return device.type
