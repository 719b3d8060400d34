"""Torchvision's architectures, the formats that they can be saved in, and what becomes of them.

One member or two of each family, the small ones, for images as small as it takes. Files are written
in single precision, as people deploy them, and compared in double precision.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from tests.models.onnx.samples import exported
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from facetscope.models.files import open_model


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a network is built, and looked at.

    Attributes:
        side: Height and width of its images, in pixels.
        options: What torchvision's builder takes.
    """

    side: int = 64
    options: Mapping[str, object] = field(default_factory=dict)


INCEPTION = {"init_weights": False, "transform_input": True}
"""As the trained ones are; torchvision's own initial weights take a minute to draw."""

SEGMENTATION = {"weights_backbone": None, "num_classes": 5}
WITH_AUXILIARY = {**SEGMENTATION, "aux_loss": True}

ARCHITECTURES: Mapping[str, Architecture] = {
    # The old exporter takes adaptive pooling only to a size that divides the map's.
    "alexnet": Architecture(side=224),
    "convnext_tiny": Architecture(),
    "deeplabv3_mobilenet_v3_large": Architecture(options=WITH_AUXILIARY),
    "deeplabv3_resnet50": Architecture(options=WITH_AUXILIARY),
    "densenet121": Architecture(),
    "densenet169": Architecture(),
    "efficientnet_b0": Architecture(),
    "efficientnet_v2_s": Architecture(),
    "fcn_resnet50": Architecture(options=WITH_AUXILIARY),
    "googlenet": Architecture(options=INCEPTION),
    "inception_v3": Architecture(side=75, options=INCEPTION),
    "lraspp_mobilenet_v3_large": Architecture(options=SEGMENTATION),
    "maxvit_t": Architecture(side=224),
    "mnasnet0_5": Architecture(),
    "mnasnet1_0": Architecture(),
    "mobilenet_v2": Architecture(),
    "mobilenet_v3_large": Architecture(),
    "mobilenet_v3_small": Architecture(),
    "regnet_x_400mf": Architecture(),
    "regnet_y_400mf": Architecture(),
    "resnet18": Architecture(),
    "resnet50": Architecture(),
    "resnext50_32x4d": Architecture(),
    "shufflenet_v2_x0_5": Architecture(),
    "shufflenet_v2_x1_0": Architecture(),
    "squeezenet1_0": Architecture(),
    "squeezenet1_1": Architecture(),
    "swin_t": Architecture(side=96),
    "swin_v2_t": Architecture(side=96),
    "vgg11": Architecture(side=224),
    "vgg11_bn": Architecture(side=224),
    "vit_b_16": Architecture(options={"image_size": 64}),
    "vit_b_32": Architecture(options={"image_size": 64}),
    "wide_resnet50_2": Architecture(),
}


def network(architecture: str) -> nn.Module:
    """A network for inference, of random weights, biases and statistics.

    What torchvision fills with one number (biases, class tokens, the last layer of a ViT, scales of
    1e-6) would hide mistakes: no such parameter is left.
    """
    from torchvision import models

    torch.manual_seed(0)
    built = models.get_model(architecture, weights=None, **ARCHITECTURES[architecture].options)
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.min() == parameter.max():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for part in built.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 2)
    return built.eval()


def images(batch: int, side: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same random images at every call."""
    generator = torch.Generator().manual_seed(7)
    return torch.rand(batch, 3, side, side, dtype=dtype, generator=generator)


def traced(built: nn.Module, example: Tensor) -> torch.jit.ScriptModule:
    """What ``torch.jit.trace`` gives, in inference or for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.jit.trace(built, example, strict=False, check_trace=False)


def scripted(built: nn.Module, _: Tensor) -> torch.jit.ScriptModule:
    """What ``torch.jit.script`` gives."""
    with warnings.catch_warnings():
        # Of an auxiliary classifier, which a module has as a constant where it has none.
        warnings.simplefilter("ignore", UserWarning)
        return torch.jit.script(built)


def frozen(
    program: Callable[[nn.Module, Tensor], torch.jit.ScriptModule],
    built: nn.Module,
    example: Tensor,
) -> torch.jit.ScriptModule:
    """A ``program`` with its weights as constants, and normalization folded into them."""
    return torch.jit.freeze(program(built, example))


def write_torchscript(
    program: Callable[[nn.Module, Tensor], torch.jit.ScriptModule],
    built: nn.Module,
    example: Tensor,
    path: Path,
) -> None:
    """Write a ``program`` of a network."""
    program(built, example).save(str(path))


def write_onnx(built: nn.Module, example: Tensor, path: Path, *, dynamo: bool) -> None:
    """Write a network by one of torch's two exporters."""
    path.write_bytes(exported(built, dynamo=dynamo, side=example.shape[-1]))


def write_exported_program(built: nn.Module, example: Tensor, path: Path) -> None:
    """Write a network as ``torch.export`` does, for batches of any size."""
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(built, (example,), dynamic_shapes=shapes), path)


@dataclass(frozen=True, slots=True)
class Format:
    """How a network is written.

    Attributes:
        write: Writes a network for inference, given a batch of two images and a path.
        bound: Largest relative distance of outputs and gradients from the network's.
    """

    write: Callable[[nn.Module, Tensor, Path], None]
    bound: float


EXACT = 1e-8
"""For the same weights: a trace keeps numbers such as 1 / sqrt(32) in single precision."""

FOLDED = 1e-6
"""For weights that were multiplied by those of a normalization, in single precision."""

KINK = 1e-2
"""For the gradient of an image that is so near a kink of a ReLU, or a tie of a maximum, that
weights which differ by 1e-7 of themselves are on the other side of it."""

FORMATS: Mapping[str, Format] = {
    "traced": Format(partial(write_torchscript, traced), EXACT),
    "scripted": Format(partial(write_torchscript, scripted), EXACT),
    "traced, frozen": Format(partial(write_torchscript, partial(frozen, traced)), FOLDED),
    "scripted, frozen": Format(partial(write_torchscript, partial(frozen, scripted)), FOLDED),
    "ONNX, dynamo exporter": Format(partial(write_onnx, dynamo=True), FOLDED),
    "ONNX, TorchScript exporter": Format(partial(write_onnx, dynamo=False), FOLDED),
    ".pt2": Format(write_exported_program, EXACT),
}


@dataclass(frozen=True, slots=True)
class Explained:
    """What a network gives for a batch, in double precision.

    Attributes:
        outputs: All that it gives out.
        gradient: What moves a fixed random weighting of the outputs.
    """

    outputs: list[Tensor]
    gradient: Tensor


def explained(model: Callable[[Tensor], object], batch: Tensor) -> Explained:
    """Outputs and gradient of a ``model``."""
    batch = batch.clone().requires_grad_()
    outputs = tensors(model(batch))
    generator = torch.Generator().manual_seed(3)
    weighted = [
        (output * torch.randn(output.shape, generator=generator, dtype=output.dtype)).sum()
        for output in outputs
    ]
    (gradient,) = torch.autograd.grad(torch.stack(weighted).sum(), batch)
    return Explained([output.detach() for output in outputs], gradient)


def tensors(result: object) -> list[Tensor]:
    """The tensors of a result, of a dictionary in its order."""
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]


class Original:
    """A network as its author has it, and what its files are held against.

    Attributes:
        name: Of the architecture.
        network: In single precision, for inference.
        batch: Three images, in double precision.
        explained: What the network gives for them, in double precision.
        modules: Paths of the modules that compute a tensor from the image: those that hand on what
            they are given, such as dropout, have no value of their own.
    """

    def __init__(self, architecture: str) -> None:
        self.name = architecture
        side = ARCHITECTURES[architecture].side
        self.network = network(architecture).requires_grad_(requires_grad=False)
        self.batch = images(3, side, dtype=torch.float64)
        self.modules = computing(self.network, images(2, side))
        self.explained = explained(self.network.double(), self.batch)
        self.network.float()

    @property
    def example(self) -> Tensor:
        """The batch that files are made with."""
        return self.batch[:2].float()


def computing(built: nn.Module, batch: Tensor) -> list[str]:
    """Paths of the modules that compute a tensor from the images."""
    paths: dict[str, None] = {}

    def note(path: str, _: nn.Module, given: tuple[object, ...], result: object) -> None:
        if isinstance(result, Tensor) and result.requires_grad and result is not given[0]:
            paths[path] = None

    hooks = [
        module.register_forward_hook(partial(note, path))
        for path, module in built.named_modules()
        if path
    ]
    built(batch.requires_grad_())
    for hook in hooks:
        hook.remove()
    return list(paths)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What became of an architecture in a format.

    Attributes:
        outputs: Largest relative distance of an output, for batches of three images and of one.
        gradient: Relative distance of the gradient, for three images together.
        closest: The same for the image that comes closest: others may be at a ``KINK``.
        named: How many of the original's modules are layers under their own paths.
        modules: How many there are.
        values: Number of all layers.
        seconds: Processor time that it took to read and translate the file.
    """

    outputs: float
    gradient: float
    closest: float
    named: int
    modules: int
    values: int
    seconds: float


def measure(original: Original, form: str, folder: Path) -> Measurement:
    """Write the ``original`` in a format, translate the file, and compare."""
    path = folder / "model"
    FORMATS[form].write(original.network, original.example, path)
    begun = time.process_time()
    translation = open_model(path).translate(original.batch[:1])
    seconds = time.process_time() - begun
    found = explained(translation.module, original.batch)
    alone = tensors(translation.module(original.batch[:1]))
    wanted = original.explained
    names = {name for value in translation.values.values() for name in value.aliases}
    names.update(translation.values)
    return Measurement(
        max(
            *map(distance, found.outputs, wanted.outputs),
            *(distance(one, all_[:1]) for one, all_ in zip(alone, wanted.outputs, strict=True)),
        ),
        distance(found.gradient, wanted.gradient),
        min(map(distance, found.gradient, wanted.gradient)),
        len(names.intersection(original.modules)),
        len(original.modules),
        len(translation.values),
        seconds,
    )


def distance(found: Tensor, wanted: Tensor) -> float:
    """Norm of the difference, relative to that of what is wanted."""
    return float((found - wanted).norm() / wanted.norm())
