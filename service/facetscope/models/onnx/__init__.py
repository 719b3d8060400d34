"""ONNX files to one differentiable graph: ``translate(load(path), example)``."""

from facetscope.models.onnx import (  # noqa: F401 (a family registers its operators on import)
    casting,
    convolution,
    elementwise,
    indexing,
    integers,
    linear,
    microsoft,
    microsoft_quantized,
    normalization,
    pooling,
    quantization,
    reductions,
    resizing,
    sampling,
    shapes,
)
from facetscope.models.onnx.files import check_image, image_input, input_shape, load
from facetscope.models.onnx.signatures import signature
from facetscope.models.onnx.translator import translate

__all__ = ["check_image", "image_input", "input_shape", "load", "signature", "translate"]
