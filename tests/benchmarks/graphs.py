"""What a translated graph costs beside the module that its file was made from.

    python -m tests.benchmarks.graphs [speed] [translation] [memory] [ARCHITECTURE ...]

Nothing else should run meanwhile.
"""

import asyncio
import os
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tests.benchmarks.timing import interleaved, report, timed
from tests.benchmarks.workers import worker

from facetscope.domain.inputs import InputSpec
from facetscope.models.files import example, open_model
from facetscope.models.network import Network

ARCHITECTURES = ("resnet18", "resnet50", "efficientnet_b0", "vit_b_16", "swin_t")
LARGE = ("resnet50", "vit_b_16")
FORMS = ("traced", "scripted", "dynamo", "legacy")
SIDE, BATCH, ROUNDS = 224, 4, 9


def main():
    """Run the named measurements, or all, for the named architectures, or all."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    measurements = {"speed": speed, "translation": translation, "memory": memory}
    chosen = [name for name in sys.argv[1:] if name not in measurements]
    for name in [name for name in sys.argv[1:] if name in measurements] or measurements:
        measurements[name](chosen)


def speed(chosen):
    """Forward, and forward and backward to the image, of the whole graph and of the module."""
    for architecture in chosen or ARCHITECTURES:
        module = built(architecture)
        with TemporaryDirectory() as folder:
            for form in FORMS:
                path = written(Path(folder), module, form)
                beside_the_module(f"{architecture}, {form}", module, graph(path))


def beside_the_module(name, module, reading):
    """Compare with the module as it is, and with the module in the graph's own layout."""
    images = example((BATCH, 3, SIDE, SIDE))
    last = deepcopy(module).to(memory_format=torch.channels_last)
    called = {
        "graph": lambda x: reading(x)[0],
        "eager": module,
        "eager, channels last": last,
    }
    for direction, run in (("forward", forward), ("forward and backward", forward_and_backward)):
        works = {key: lambda call=call, run=run: run(call, images) for key, call in called.items()}
        taken = interleaved(works, ROUNDS)
        for yardstick in ("eager", "eager, channels last"):
            report(f"{name}, {direction} / {yardstick}", taken["graph"], taken[yardstick])


def forward(call, images):
    """What codes of images need."""
    with torch.inference_mode():
        call(images)


def forward_and_backward(call, images):
    """What a step of an ascent needs."""
    leaves = images.detach().clone().requires_grad_()
    torch.autograd.grad(call(leaves).sum(), leaves)


def translation(chosen):
    """From a file to what can be read of it."""
    for architecture in chosen or ARCHITECTURES:
        with TemporaryDirectory() as folder:
            for form in FORMS:
                path = written(Path(folder), built(architecture), form)
                print(f"{architecture}, {form}: {timed(lambda: graph(path)):.1f} s to translate")


def memory(chosen):
    """What a worker process holds for one model, above what an empty one does, by file size."""
    for architecture in chosen or LARGE:
        with TemporaryDirectory() as folder:
            for form in FORMS:
                path = written(Path(folder), built(architecture), form)
                asyncio.run(in_a_worker(f"{architecture}, {form}", path))


async def in_a_worker(name, path):
    """Memory of one worker that opens a model and then describes it."""
    spec, size = InputSpec(height=SIDE, width=SIDE), path.stat().st_size / 1e6
    nothing = path.with_suffix(".empty")
    nothing.touch()
    async with worker() as process:
        await process.refuse(nothing)
        _, empty = process.megabytes
        print(f"{name}: a file of {size:.0f} MB, beside {empty:.0f} MB of an empty worker")
        for title, job in (("opened", process.load), ("described", process.describe)):
            await job(path, spec)
            peak, idle = ((held - empty) / size for held in process.megabytes)
            print(f"{name}, {title}: {peak:.2f} files at most, {idle:.2f} after", flush=True)


def built(architecture):
    """A module of random weights and statistics, for inference."""
    from torchvision import models

    torch.manual_seed(0)
    module = models.get_model(architecture, weights=None).eval().requires_grad_(requires_grad=False)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return module


def written(folder, module, form):
    """The file that torch writes of a module."""
    images = example((2, 3, SIDE, SIDE))
    path = folder / f"{form}.model"
    torch.backends.mha.set_fastpath_enabled(False)  # the exporters do not know it
    match form:
        case "traced":
            torch.jit.trace(module, images).save(str(path))
        case "scripted":
            torch.jit.script(module).save(str(path))
        case "dynamo":
            shapes = ({0: torch.export.Dim("batch")},)
            options = {"dynamo": True, "dynamic_shapes": shapes, "verbose": False}
            program = torch.onnx.export(module, (images,), opset_version=18, **options)
            path.write_bytes(program.model_proto.SerializeToString())
        case "legacy":
            names = {"input_names": ["images"], "dynamic_axes": {"images": {0: "batch"}}}
            options = {"dynamo": False, "opset_version": 17, **names}
            torch.onnx.export(module, (images,), str(path), **options)
    torch.backends.mha.set_fastpath_enabled(True)
    return path


def graph(path):
    """The whole graph of a file, as algorithms read it."""
    translation = open_model(path).translate(example((2, 3, SIDE, SIDE)))
    network = Network(translation, torch.device("cpu"))
    return network.reading(network.outputs)


if __name__ == "__main__":
    main()
