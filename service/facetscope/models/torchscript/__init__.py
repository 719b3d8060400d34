"""TorchScript archives to one ``torch.fx`` graph.

The archive's own code is read, never run: it is evaluated here, step by step, for two batch sizes
at once. What depends on the image is written down as a graph of pure tensor operators; everything
else (weights, sizes, branches, checks) has its value by the end.
"""

from facetscope.models.torchscript.archive import extras, first_kernel
from facetscope.models.torchscript.translator import translate

__all__ = ["extras", "first_kernel", "translate"]
