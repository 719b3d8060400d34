"""Photos on real networks: unions of classes, and the facets that the paper published."""

import numpy as np
from tests.assets import ASSETS
from tests.benchmarks.facets.subjects import Subject, opened, surveyed

from facetscope.domain.discoveries import Discovery
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import ImageSet, InlineImage

MODELS = {
    "efficientnet": (
        "efficientnet_lite0_fp16w.onnx",
        InputSpec(low=0.0, high=255.0, mean=(127.0,), std=(128.0,)),
    ),
    "squeezenet": ("squeezenet1_1_fp16w.onnx", InputSpec(height=224, width=224)),
    "mobilenet": (
        "mobilenet_v1_025_128_fp16w.onnx",
        InputSpec(height=128, width=128, low=-1.0, high=1.0, mean=(0.0,), std=(1.0,)),
    ),
}
PUBLISHED = ASSETS / "images" / "bell_pepper_published_facets"
UNIONS = ASSETS / "images" / "unions"


def unions():
    """Photos of 64 pixels, 240 of each class: all images of a union are its own."""
    for model, (file, spec) in MODELS.items():
        network = opened(ASSETS / "models" / file, spec)
        for folder in sorted(UNIONS.iterdir()):
            yield _subject(network, folder, f"photos-{model}-{folder.name}", f"photos, {model}")


def published():
    """The 150 photos that the paper's authors published, 15 for each of ten facets."""
    for model, (file, spec) in MODELS.items():
        network = opened(ASSETS / "models" / file, spec)
        yield _subject(network, PUBLISHED, f"published-{model}", f"published, {model}")


def _subject(network, folder, name, group):
    pictures = [
        InlineImage(f"{path.parent.name}/{path.name}", path.parent.name, path.read_bytes())
        for path in sorted(folder.glob("*/*.*"))
    ]
    survey = surveyed(network, ImageSet(inline=tuple(pictures)), (), Discovery())
    _, truth = np.unique(survey.labels, return_inverse=True)
    return Subject(name, group, {"default": survey.codes.numpy()}, truth)
