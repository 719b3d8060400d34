"""Ratios that matter to users, each measured side by side in one run.

    python -m tests.benchmarks.ratios [step] [recipes] [service] [front] [describe] [facets]

Needs the real models of FACETSCOPE_ASSETS. Nothing else should run meanwhile.
"""

import io
import os
import sys
import time
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from tests.assets import ASSETS
from tests.benchmarks.timing import interleaved, report, timed
from tests.servers import serving
from threadpoolctl import threadpool_limits

from facetscope.algorithms import parameterizations
from facetscope.algorithms.ascent import ascend
from facetscope.algorithms.facets import discover
from facetscope.algorithms.optimization import optimize
from facetscope.domain.computing import Precision
from facetscope.domain.discoveries import PAPER, Discovery
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import MaximizeActivation
from facetscope.domain.recipes import FOURIER, MACO
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.syntheses import Start, Synthesis
from facetscope.domain.units import Readout, Unit
from facetscope.engine.inspection import Inspector
from facetscope.engine.opened import OpenModel
from facetscope.gen.facetscope.v1 import artifact_pb2, inspection_pb2
from facetscope.gen.facetscope.v1.artifact_pb2_grpc import ArtifactServiceStub
from facetscope.gen.facetscope.v1.inspection_pb2_grpc import InspectionServiceStub

MODELS = {
    "EfficientNet-Lite0": (
        "efficientnet_lite0_fp16w.onnx",
        InputSpec(low=0.0, high=255.0, mean=(127.0,), std=(128.0,)),
    ),
    "SqueezeNet 1.1": ("squeezenet1_1_fp16w.onnx", InputSpec(height=224, width=224)),
}
BATCH, ROUNDS = 10, 7
UNIT = Unit("logits", 945)
STEPS = 10


def main():
    """Run the named measurements, or all."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    measurements = {
        "step": step,
        "recipes": recipes,
        "service": service,
        "front": front,
        "describe": describe,
        "facets": facets,
    }
    for name in sys.argv[1:] or measurements:
        measurements[name]()


def facets():
    """Facets of a given number, with all that is said of them, against plain scikit-learn."""
    for images in (200, 500, 1300):
        codes = codes_of(images)
        for name, discovery in {"default": Discovery(), "paper": PAPER}.items():
            works = {"ours": partial(discover, codes, discovery), "plain": partial(plain, codes)}
            with threadpool_limits(1):
                taken = interleaved(works, rounds=3)
            report(f"{images} images, {name}", taken["ours"], taken["plain"])


def codes_of(images):
    """Codes in ten clouds that touch, rectified as those of a network's last layers are."""
    random = np.random.default_rng(0)
    centres = 2 * random.standard_normal((10, 1024), dtype=np.float32)
    codes = centres[np.arange(images) % 10]
    return np.maximum(codes + 3 * random.standard_normal(codes.shape, dtype=np.float32), 0)


def plain(codes):
    """What a user of scikit-learn would write."""
    places = TSNE(random_state=0).fit_transform(PCA(50, random_state=0).fit_transform(codes))
    return KMeans(10, n_init=10, random_state=0).fit_predict(places)


def step():
    """A step of an ascent, against the bare forward and backward of the same cut model."""
    for name, (file, spec) in MODELS.items():
        model = OpenModel(
            "", ASSETS / "models" / file, spec, Precision.FLOAT32, torch.device("cpu")
        )
        layer = model.network.layers[-1].name
        target = model.target(Unit(layer, 945))
        objective = target.activation
        reading = model.network.reading([target.layer.name])
        noise = torch.Generator().manual_seed(0)
        start = 255 * torch.rand(BATCH, *target.shape, generator=noise)
        for weight in (0.4, 0.05, 0.01):
            plan = Schedule((Phase(ROUNDS + 1, (1.0, 1.0), (weight, weight)),))
            generators = [torch.Generator().manual_seed(index) for index in range(BATCH)]
            steps = ascend(
                {Readout.ACTIVATION: objective}, start, schedule=plan, generators=generators
            )
            next(steps)
            bare, whole = [], []
            for _ in range(ROUNDS):
                bare.append(timed(lambda: forward_and_backward(reading, model, start)))
                whole.append(timed(lambda: next(steps)))
            report(f"step, {name}, batch {BATCH}, TV weight {weight}", whole, bare)


def recipes():
    """A step of each recipe, against the bare forward and backward of the same cut model."""
    file, spec = MODELS["EfficientNet-Lite0"]
    model = OpenModel("", ASSETS / "models" / file, spec, Precision.FLOAT32, torch.device("cpu"))
    target = model.target(UNIT)
    objective = target.activation
    reading = model.network.reading([target.layer.name])
    noise = torch.Generator().manual_seed(0)
    start = 255 * torch.rand(BATCH, *target.shape, generator=noise)
    works = {"bare": lambda: forward_and_backward(reading, model, start)}
    for recipe in (FOURIER, MACO):
        generators = [torch.Generator().manual_seed(index) for index in range(BATCH)]
        begun = parameterizations.parameters(recipe.parameterization, start)
        steps = optimize(objective, begun, recipe=recipe, generators=generators)
        works[recipe.parameterization.name] = partial(next, steps)
    taken = interleaved(works, ROUNDS)
    bare = taken.pop("bare")
    for name, seconds in taken.items():
        report(f"recipe {name}, batch {BATCH}", seconds, bare)


def forward_and_backward(reading, model, pixels):
    """What every method of this kind pays at least."""
    leaves = model.preprocessing(pixels).requires_grad_()
    (logits,) = reading(leaves)
    torch.autograd.grad(logits[:, UNIT.channel].sum(), leaves)


def service():
    """The same job as a call of the library and through the server, workers warm."""
    file, spec = MODELS["EfficientNet-Lite0"]
    path = ASSETS / "models" / file
    plan = Schedule((Phase(STEPS, (1.0, 1.0), (0.4, 0.4)),))
    synthesis = Synthesis(method=plan, start=Start.NOISE)
    job = MaximizeActivation(model="m", unit=UNIT, input=spec, synthesis=synthesis, count=BATCH)
    inspector = Inspector(device="cpu", threads=torch.get_num_threads())
    through, library = [], []
    with connected("--threads", str(torch.get_num_threads())) as channel:
        call = remote(channel, path)
        call(), list(inspector.run(job, {"m": path}))
        for _ in range(3):
            library.append(timed(lambda: list(inspector.run(job, {"m": path}))))
            through.append(timed(call))
    report(f"service, {STEPS} steps of {BATCH} images", through, library)


def sent(channel, path):
    """Upload a file; gives its digest."""
    data = path.read_bytes()
    digest = sha256(data).hexdigest()
    chunks = (
        artifact_pb2.WriteRequest(digest=digest, offset=at, data=data[at : at + 2**18])
        for at in range(0, len(data), 2**18)
    )
    ArtifactServiceStub(channel).Write(chunks, wait_for_ready=True)
    return digest


def remote(channel, path):
    """The job of ``service`` as a call."""
    digest = sent(channel, path)
    phase = {"steps": STEPS, "step_size_start": 1, "tv_weight_start": 0.4, "window": 0.3}
    request = inspection_pb2.MaximizeActivationRequest(
        model={"digest": digest},
        input={"low": 0, "high": 255, "mean": [127], "std": [128]},
        unit={"layer": UNIT.layer, "channel": UNIT.channel},
        synthesis={"schedule": {"phases": [phase]}},
        count=BATCH,
    )
    return lambda: list(InspectionServiceStub(channel).MaximizeActivation(request))


def front():
    """Time to the first answer of a server, and its memory when idle."""
    began = time.monotonic()
    with TemporaryDirectory() as folder, serving(folder) as (process, address):
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result()
            print(f"front: ready after {time.monotonic() - began:.2f} s", end=", ")
        print(f"{process.memory_info().rss / 1e6:.0f} MB resident")


def describe():
    """A description, from the start of the worker on."""
    import torchvision

    network = torchvision.models.efficientnet_b0().eval()
    stored = io.BytesIO()
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 224, 224),),
        stored,
        dynamo=False,
        opset_version=17,
        input_names=["images"],
        dynamic_axes={"images": {0: "batch"}},
    )
    folder = TemporaryDirectory()
    model = Path(folder.name) / "efficientnet_b0.onnx"
    model.write_bytes(stored.getvalue())
    for path in (model, ASSETS / "models" / MODELS["EfficientNet-Lite0"][0]):
        with connected("--threads", str(torch.get_num_threads())) as channel:
            request = inspection_pb2.DescribeModelRequest(model={"digest": sent(channel, path)})
            stub = InspectionServiceStub(channel)
            cold = timed(lambda: stub.DescribeModel(request))
            warm = timed(lambda: stub.DescribeModel(request))
        size = path.stat().st_size / 1e6
        print(f"describe, {size:.1f} MB: {cold:.1f} s, worker's start included; {warm:.1f} s warm")


@contextmanager
def connected(*options):
    """A channel to a server of its own."""
    with TemporaryDirectory() as folder, serving(folder, *options) as (_, address):
        with grpc.insecure_channel(address) as channel:
            yield channel


if __name__ == "__main__":
    main()
