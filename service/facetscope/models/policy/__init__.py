"""What a model file may not contain, found before anything opens it.

TorchScript runs an archive's ``__setstate__`` methods while it loads; ONNX reads tensors from files
that the model names; both formats describe in a few bytes what takes hours or terabytes to build.
A file that asks for any of it is refused, naming what and where.
"""

from facetscope.models.policy.archives import DAMAGES, check_zip
from facetscope.models.policy.onnx import check_onnx
from facetscope.models.policy.torchscript import check_torchscript

__all__ = ["DAMAGES", "check_onnx", "check_torchscript", "check_zip"]
