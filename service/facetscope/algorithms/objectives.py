"""Objectives: one number for each image, from what a layer gives for it."""

from torch.nn.functional import log_softmax

from facetscope.algorithms.shapes import Activations, Scores


def unit_activation(
    activations: Activations,
    channel: int,
    channel_axis: int,
    position: tuple[int, ...] | None = None,
) -> Scores:
    """The activation of one channel, at one position or in the mean over all.

    Args:
        activations: Of one layer.
        channel: Index along ``channel_axis``.
        channel_axis: The axis of ``activations`` that counts channels.
        position: Indices along the axes that are neither batch nor channel, in order.
    """
    values = activations.select(channel_axis, channel)
    if not values.is_floating_point():
        values = values.float()
    if position is None:
        return values.reshape(len(values), -1).mean(dim=1)
    index: tuple[slice | int, ...] = (slice(None), *position)
    return values[index]


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
