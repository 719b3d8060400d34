"""Core ATen: the operators into which ``ExportedProgram.run_decompositions`` takes others apart.

Each is taken back to the operator that it is from, which has a gradient, and does not know of
batch sizes or of one kind of device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Origin:
    """What an operator is from.

    Attributes:
        name: Name of that operator, of whose results the first is given.
        overload: Its overload.
        names: Arguments that are called otherwise, by what they are called in the decomposition.
        fixed: Values of arguments that the decomposition leaves out.
    """

    name: str
    overload: str = "default"
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Its arguments, from those of the decomposition."""
        renamed = {self.names.get(name, name): value for name, value in arguments.items()}
        return {**renamed, **self.fixed}


ATTENTION: Final = Origin("scaled_dot_product_attention", names={"attn_bias": "attn_mask"})

ORIGINS: Final[Mapping[str, Origin]] = {
    "_adaptive_avg_pool2d": Origin("adaptive_avg_pool2d"),
    "_log_softmax": Origin("log_softmax", "int"),
    "_native_batch_norm_legit_no_training": Origin(
        "batch_norm", fixed={"training": False, "cudnn_enabled": False}
    ),
    "_scaled_dot_product_efficient_attention": ATTENTION,
    "_scaled_dot_product_flash_attention": ATTENTION,
    "_scaled_dot_product_flash_attention_for_cpu": ATTENTION,
    "_softmax": Origin("softmax", "int"),
    "_to_copy": Origin("to", "dtype"),
    "_unsafe_index": Origin("index", "Tensor"),
    "_unsafe_view": Origin("view"),
    "native_group_norm": Origin("group_norm", names={"group": "num_groups"}),
    "native_layer_norm": Origin("layer_norm"),
    "sym_numel": Origin("numel"),
    "sym_size": Origin("size", "int"),
}
"""Origins by the operator's name."""
