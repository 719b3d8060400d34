"""What one pass over an image set costs beside what it cannot do without.

    python -m tests.benchmarks.surveys [codes] [units] [memory]

Needs the real models and images of FACETSCOPE_ASSETS. Nothing else should run meanwhile.
"""

import os
import statistics
import sys
import time
from itertools import cycle, islice
from pathlib import Path

import psutil
import torch
from tests.assets import ASSETS
from tests.benchmarks.facets.photos import MODELS, UNIONS
from tests.benchmarks.facets.subjects import opened, surveyed
from tests.benchmarks.timing import interleaved, report

from facetscope.domain.computing import Runtime
from facetscope.domain.discoveries import Discovery
from facetscope.domain.jobs import ImageSet, InlineImage
from facetscope.domain.units import Unit
from facetscope.engine.image_sets import Decoding

IMAGES, ROUNDS, UNITS = 1300, 3, 100
SIZES = (500, 1000, 2000, 4000)


def main():
    """Run the named measurements, or all."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    measurements = {"codes": codes, "units": units, "memory": memory}
    for name in sys.argv[1:] or measurements:
        measurements[name]()


def codes():
    """Codes of images, against a bare forward of decoded batches and the decoding, overlapped.

    Overlapped, the two cost what the longer one costs, or all their work shared by the cores.
    """
    for name in MODELS:
        model, images = network(name), photos(IMAGES)
        batches = list(decoded(model, images))
        layer = model.code_layer("")
        with model.passes([layer], Discovery().runtime) as passes:
            works = {
                "survey": lambda: surveyed(model, images, ()),
                "forward": lambda: forward(model, passes, batches),
                "both": lambda: forward(model, passes, decoded(model, images)),
                "decoding": lambda: sum(1 for _ in decoded(model, images)),
            }
            taken = interleaved(works, ROUNDS)
        spent = {key: statistics.median(values) for key, values in taken.items()}
        print(f"{name}, {IMAGES} images, seconds:", {k: round(v, 2) for k, v in spent.items()})
        report(f"codes, {name} / decoding and bare forward", taken["survey"], taken["both"])


def network(name):
    """A real model, open."""
    file, spec = MODELS[name]
    return opened(ASSETS / "models" / file, spec)


def photos(count):
    """So many photos, the same ones again where there are not as many."""
    files = [path.read_bytes() for path in sorted(Path(UNIONS).glob("*/*/*.jpg"))]
    chosen = enumerate(islice(cycle(files), count))
    return ImageSet(inline=tuple(InlineImage(str(at), "", data) for at, data in chosen))


def decoded(model, images):
    """Batches, as the service decodes them."""
    return Decoding().load(images.inline, model)


def forward(model, passes, batches):
    """What the network itself costs."""
    with torch.inference_mode():
        for batch in batches:
            passes.read(model.preprocessing(batch.pixels.float()))


def units():
    """A pass for many units of one layer, against a pass for one."""
    for name in MODELS:
        model, images = network(name), photos(IMAGES // 4)
        layer = model.network.layers[-1].name
        many = [Unit(layer, channel) for channel in range(UNITS)]
        works = {
            "many": lambda: surveyed(model, images, many),
            "one": lambda: surveyed(model, images, many[:1]),
        }
        taken = interleaved(works, ROUNDS)
        report(f"{UNITS} units, {name} / one unit", taken["many"], taken["one"])


def memory():
    """Resident memory after a pass, above that after a short one, by the number of images."""
    model, process = network("mobilenet"), psutil.Process()
    for runtime in (Runtime.ONNX_RUNTIME, Runtime.TORCH):
        discovery = Discovery(runtime=runtime)
        surveyed(model, photos(SIZES[0]), (), discovery)
        before = process.memory_info().rss
        for size in SIZES:
            images, began = photos(size), time.perf_counter()
            survey = surveyed(model, images, (), discovery)
            grown, kept = process.memory_info().rss - before, survey.codes.nbytes
            seconds = time.perf_counter() - began
            sizes = f"{grown / 1e6:+.1f} MB, codes {kept / 1e6:.1f} MB"
            print(f"{runtime.value}, {size} images: {sizes}, {seconds:.1f} s")
            del survey


if __name__ == "__main__":
    main()
