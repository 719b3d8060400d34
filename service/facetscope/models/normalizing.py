"""``torch.batch_norm`` and ``torch.instance_norm``, with gradients that are right for one image.

On CPUs, torch 2.13 differentiates both wrongly for a batch of one image if the gradient that
comes in is transposed, as it is where positions become tokens. These are made of other operators.
"""

import torch
from torch import Tensor


def batch_norm(  # noqa: PLR0917 - as torch has it
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,  # noqa: FBT001
    _momentum: float,
    eps: float,
    _cudnn_enabled: bool = False,  # noqa: FBT001, FBT002
) -> Tensor:
    """What ``torch.batch_norm`` computes of the same arguments; running statistics are kept."""
    mean, variance = running_mean, running_var
    if training or mean is None or variance is None:
        variance, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0)
    return scaled_by_channel(x, weight, bias, mean, variance, eps)


def scaled_by_channel(  # noqa: PLR0917 - as torch has it
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
) -> Tensor:
    """``(x - mean) / √(variance + eps) · weight + bias``, each by the second axis of ``x``.

    One multiplication and addition, which ``torch.vmap`` leaves in the layout that they are in.
    """
    factor = torch.rsqrt(variance + eps)
    if weight is not None:
        factor = factor * weight
    offset = -mean * factor if bias is None else torch.addcmul(bias, mean, factor, value=-1)
    by_channel = [-1] + [1] * (x.dim() - 2)
    return torch.addcmul(offset.reshape(by_channel), x, factor.reshape(by_channel))


def instance_norm(  # noqa: PLR0917 - as torch has it
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,  # noqa: FBT001
    _momentum: float,
    eps: float,
    _cudnn_enabled: bool = False,  # noqa: FBT001, FBT002
) -> Tensor:
    """What ``torch.instance_norm`` computes of the same arguments; running statistics are kept."""
    if use_input_stats or running_mean is None or running_var is None:
        return torch.group_norm(x, x.shape[1], weight, bias, eps)
    return scaled_by_channel(x, weight, bias, running_mean, running_var, eps)
