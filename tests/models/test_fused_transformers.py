"""Transformers as exporters write them have no block that is left in its parts."""

import onnx
import pytest
import torch
from tests.models.fused import ROUNDED, assert_same, fused
from tests.models.onnx.samples import SIDE, exported
from torch import nn

from facetscope.models.onnx import translate


def transformer(architecture, **options):
    """A network of random weights, those of a classifier that begins as zeros too."""
    from torchvision import models

    torch.manual_seed(0)
    built = models.get_model(architecture, weights=None, **options).eval()
    for part in built.modules():
        if isinstance(part, nn.Linear) and not part.weight.any():
            nn.init.normal_(part.weight, std=0.1)
    return built


def small_transformer():
    """The vision transformer, but for its size."""
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    built = VisionTransformer(
        image_size=SIDE, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    nn.init.normal_(built.heads.head.weight)
    return built.eval()


TRACE_WARNS = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
"""Tracing warns of what torch's own modules do."""


@pytest.fixture
def slow_attention():
    """Exporters do not know the operator that torch fuses attention into for inference."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def assert_fused(built, exporter, *, blocks):
    """All of the file's blocks are fused, and nothing of their parts is left."""
    file = onnx.load_model_from_string(exported(built, dynamo=exporter == "dynamo"))
    images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).double()
    translation = translate(file, images[:1])
    calls, reading = fused(translation)
    names = [getattr(call, "__name__", "") for call in calls]
    assert (names.count("attend"), names.count("gelu")) == (blocks, blocks)
    assert not {"erf", "softmax", "gemm"} & set(names)
    assert_same(reading, translation.module, images, ROUNDED)


@TRACE_WARNS
@pytest.mark.usefixtures("slow_attention")
@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_a_small_transformer_is_fused(exporter):
    """What the exporters of today write is recognized."""
    assert_fused(small_transformer(), exporter, blocks=2)


@pytest.mark.slow
@TRACE_WARNS
@pytest.mark.usefixtures("slow_attention")
@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
@pytest.mark.parametrize(
    ("architecture", "options"), [("vit_b_16", {"image_size": SIDE}), ("swin_t", {})]
)
def test_a_transformer_is_fused(architecture, options, exporter):
    """Whole architectures have no block that is spelled in another way."""
    assert_fused(transformer(architecture, **options), exporter, blocks=12)
