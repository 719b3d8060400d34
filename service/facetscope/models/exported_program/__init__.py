"""Files of ``torch.export.save`` (.pt2) to one ``torch.fx`` graph.

``torch.export.load`` unpickles parts of a file and evaluates others, so it has no part in this: the
program is read from the archive's JSON and the weights from its bytes, and evaluated node by node
like TorchScript, for two batch sizes at once.
"""

from facetscope.models.exported_program.archive import is_exported_program
from facetscope.models.exported_program.program import Program
from facetscope.models.exported_program.reading import load
from facetscope.models.exported_program.translator import translate

__all__ = ["Program", "is_exported_program", "load", "translate"]
