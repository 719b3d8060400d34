"""``torch.convolution`` by the operators for one, two and three axes.

Autocast knows these on every device, and ``torch.convolution`` itself only on some: on others it
would meet brain floats with weights in single precision, and refuse.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

FORWARD: Final[Mapping[int, Callable[..., Tensor]]] = {
    1: torch.conv1d,
    2: torch.conv2d,
    3: torch.conv3d,
}
TRANSPOSED: Final[Mapping[int, Callable[..., Tensor]]] = {
    1: torch.conv_transpose1d,
    2: torch.conv_transpose2d,
    3: torch.conv_transpose3d,
}


def convolution(  # noqa: PLR0917 - as torch has it
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,  # noqa: FBT001
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    """What ``torch.convolution`` computes of the same arguments.

    Raises:
        ValueError: It is along more axes than torch has operators for.
    """
    axes = weight.dim() - 2
    if axes not in FORWARD:
        raise ValueError(f"convolutions along {axes} axes are not supported")
    if transposed:
        operator = TRANSPOSED[axes]
        return operator(x, weight, bias, stride, padding, output_padding, groups, dilation)
    return FORWARD[axes](x, weight, bias, stride, padding, dilation, groups)
