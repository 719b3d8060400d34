"""Objectives: one number for each image, from what a layer gives for it."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import log_softmax

from facetscope.algorithms.shapes import Activations, Scores

Weights = Sequence[tuple[int, float]]
"""Channels of a layer with their factors, at least one."""


def unit_activation(
    activations: Activations,
    weights: Weights,
    channel_axis: int,
    position: tuple[int, ...] | None = None,
) -> Scores:
    """The weighted sum of channels, at one position or in the mean over all.

    Args:
        activations: Of one layer.
        weights: Indices along ``channel_axis`` with their factors; for a single channel, it and 1.
        channel_axis: The axis of ``activations`` that counts channels.
        position: Indices along the axes that are neither batch nor channel, in order.
    """
    values = _weighted(activations, weights, channel_axis)
    if position is None:
        return values.reshape(len(values), -1).mean(dim=1)
    index: tuple[slice | int, ...] = (slice(None), *position)
    return values[index]


def unit_map(
    activations: Activations, weights: Weights, channel_axis: int
) -> Float[Tensor, "batch position"]:
    """The weighted sum of channels at every position, counted as in ``algorithms.codes``."""
    return _weighted(activations, weights, channel_axis).reshape(len(activations), -1)


def _weighted(activations: Activations, weights: Weights, channel_axis: int) -> Tensor:
    """The sum over the channels, with all other axes as they are."""
    if not activations.is_floating_point():
        activations = activations.float()
    if len(weights) == 1:
        ((channel, weight),) = weights
        values = activations.select(channel_axis, channel)
        return values if weight == 1 else weight * values
    channels, factors = zip(*weights, strict=True)
    direction = activations.new_zeros(activations.shape[channel_axis])
    direction[list(channels)] = activations.new_tensor(factors)
    return activations.movedim(channel_axis, -1) @ direction


def unit_probability(activations: Activations, channel: int) -> Scores:
    """The softmax probability of one class, with the gradient of its logarithm.

    The two gradients differ by a positive factor for each image, the probability itself. An ascent
    that normalizes gradients takes the same way by either; but the logarithm's does not vanish
    where the network is sure that the image shows something else.

    Args:
        activations: Logits, of shape [batch, classes].
        channel: Index of the class.
    """
    logarithm = log_softmax(activations, dim=1)[:, channel]
    return logarithm.exp().detach() + (logarithm - logarithm.detach())
