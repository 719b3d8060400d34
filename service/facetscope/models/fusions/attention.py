"""Attention, written out as two matrix products around a softmax."""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final

import torch
from torch import Tensor, fx
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.fusions.algebra import Algebra, kind_of, operands, orders
from facetscope.models.fusions.patterns import Fusion, same_shape, shape

RANKS: Final = (3, 4)
"""Of queries: [batch · head, token, channel] and [batch, head, token, channel]."""

WINDOWED: Final = 5
"""Rank of scores [image, window, head, token, token]."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a softmax is applied to.

    Attributes:
        node: Where they are read.
        masks: Constants that are added to them.
        window_masks: Constants that are added while the windows of an image have an axis.
    """

    node: fx.Node
    masks: tuple[fx.Node, ...] = ()
    window_masks: tuple[fx.Node, ...] = ()


def attention(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """``softmax(scale · query · keyᵀ + masks) · value``, the scale on any of the three."""
    if kind_of(root) != "matmul" or kind_of(root.args[0]) != "softmax":
        return None
    weights: Any
    weights, value = root.args
    if not _is_of_last_axis(weights):
        return None
    scores = _unmasked(_unwindowed(Scores(weights.args[0]), algebra), algebra)
    scale, product = algebra.scaled(scores.node)
    if kind_of(product) != "matmul":
        return None
    factors: Any = product.args
    (by_query, query), (by_key, key) = map(algebra.scaled, factors)
    if not _fit(query, key, value, root):
        return None
    options = {
        "scale": scale * by_query * by_key,
        "masks": scores.masks,
        "window_masks": scores.window_masks,
    }
    return Fusion(attend, (query, key, value), options)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scale: float,
    masks: tuple[Tensor, ...] = (),
    window_masks: tuple[Tensor, ...] = (),
) -> Tensor:
    """Attention of ``query`` [..., token, channel] to ``key`` [..., channel, token].

    Args:
        query: What asks.
        key: What is asked, transposed as its matrix product takes it.
        value: What is answered, [..., token, channel].
        scale: Factor of the scores.
        masks: Added to the scores.
        window_masks: Added to the scores of each image, [image, window, head, token, token].
    """
    mask = reduce(torch.add, (*window_masks, *masks)) if masks or window_masks else None
    if mask is not None and window_masks:
        images = len(query) // mask.shape[1]
        mask = mask.expand(images, *mask.shape[1:]).flatten(0, 1)
    batch = query if query.dim() == max(RANKS) else query[None]
    given = [each if each.dim() == max(RANKS) else each[None] for each in (key, value)]
    if mask is not None:
        mask = mask[(None,) * (batch.dim() - mask.dim())]
    attended = F.scaled_dot_product_attention(batch, given[0].mT, given[1], mask, scale=scale)
    return attended.reshape((*query.shape[:-1], value.shape[-1]))


def _is_of_last_axis(softmax: fx.Node) -> bool:
    rank = len(shape(softmax) or ())
    axis = softmax.kwargs.get("axis", softmax.args[1] if len(softmax.args) > 1 else None)
    return rank > 0 and axis in {-1, rank - 1}


def _unmasked(scores: Scores, algebra: Algebra) -> Scores:
    """``scores`` before constants are added to them."""
    for value, mask in orders(operands(scores.node)) if kind_of(scores.node) == "add" else ():
        if same_shape(value, scores.node) and _masks(algebra.constant(mask)):
            masked = replace(scores, node=value, masks=(mask, *scores.masks))
            return _unmasked(masked, algebra)
    return scores


def _masks(constant: Tensor | None) -> bool:
    """Whether ``constant`` can be added to scores, and leaves each token one to attend to."""
    if constant is None or not constant.is_floating_point() or not constant.dim():
        return False
    return not bool(constant.isneginf().all(-1).any())


def _unwindowed(scores: Scores, algebra: Algebra) -> Scores:
    """``scores`` before constants are added by window, as in Swin (arXiv:2103.14030, §3.2)."""
    if kind_of(scores.node) != "reshape":
        return scores
    by_window = scores.node.args[0]
    if not isinstance(by_window, fx.Node):
        return scores
    found = _unmasked(Scores(by_window), algebra)
    if not found.masks or kind_of(found.node) != "reshape":
        return scores
    source: Any = found.node.args[0]
    windows = (shape(by_window) or (0, 0))[1]
    fits = [
        stored is not None and stored.dim() == WINDOWED and stored.shape[:2] == (1, windows)
        for stored in map(algebra.constant, found.masks)
    ]
    unfolded = (-windows, *(shape(by_window) or ())[2:])
    if not all(fits) or shape(source) != unfolded or shape(scores.node) != unfolded:
        return scores
    return Scores(source, window_masks=found.masks)


def _fit(query: Any, key: Any, value: Any, root: fx.Node) -> bool:
    """Whether these are batches of matrices, all for the same heads."""
    shapes = [shape(each) for each in (query, key, value, root)]
    if None in shapes or any(len(each or ()) not in RANKS for each in shapes):
        return False
    queries, keys, values, results = (each or () for each in shapes)
    heads = {each[:-2] for each in (queries, keys, values, results)}
    inner = (queries[-1], keys[-1]) == (keys[-2], values[-2])
    return len(heads) == 1 and inner and results == (*queries[:-1], values[-1])
