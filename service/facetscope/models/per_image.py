"""Operators of a program for one image, applied to each image of a batch.

Where such a program has a tensor of shape [k, ...], the graph has one of [batch * k, ...]: the
first axis, which is the batch of one in most tensors, takes up the batch. An operator that treats
the rows of that axis alike is called as it is, any other for each image, by ``torch.vmap``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

IMAGES_RANK: Final = 4
"""Rank of [image, channel, height, width]."""

OF_IMAGES: Final = frozenset(
    """
    adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d batch_norm conv2d conv_transpose2d
    convolution max_pool2d pixel_shuffle pixel_unshuffle upsample_bicubic2d upsample_bilinear2d
    upsample_nearest2d
    """.split()  # noqa: SIM905 - names to read, not to punctuate
)
"""Operators that treat images alike, whose other tensors are weights."""

OF_ELEMENTS: Final = frozenset(
    """
    celu elu gelu hardsigmoid hardswish hardtanh leaky_relu mish relu relu6 selu sigmoid silu
    softplus tanh abs ceil clamp clamp_max clamp_min cos erf exp expm1 floor log log1p neg pow
    reciprocal round rsqrt sin sqrt square add div lerp maximum minimum mul sub
    """.split()  # noqa: SIM905 - names to read, not to punctuate
)
"""Operators that treat elements alike, of tensors that are broadcast to one shape."""


def batched(shape: Sequence[int]) -> tuple[int, ...]:
    """Shape in the graph, as ``shape_of`` gives it, of what has ``shape`` for one image."""
    return (-shape[0], *shape[1:]) if shape else (-1,)


def each_image(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any],
    result: Any,
) -> Callable[..., Any]:
    """``function`` for each image of a batch.

    Args:
        function: An operator, as it is for one image.
        arguments: What it is called with; tensors on the meta device stand for those that depend
            on the image.
        options: The same, by keyword.
        result: What it gives, as tensors on the meta device.
    """
    if _treats_rows_alike(function, arguments, options, result):
        return function
    return PerImage(function, tree_leaves((tuple(arguments), dict(options))))


def each_of(target: Any) -> Any:
    """The operator that a node of this ``target`` applies, to all images or to each."""
    return getattr(target, "each", target)


@final
class PerImage:
    """An operator that is applied to each image by itself.

    Attributes:
        each: The operator.
    """

    def __init__(self, each: Callable[..., Any], leaves: Sequence[Any]) -> None:
        """Know what it is called with for one image, see ``each_image``."""
        self.each = each
        self._rows = {
            at: leaf.shape[0] if leaf.dim() else None
            for at, leaf in enumerate(leaves)
            if _depends_on_image(leaf)
        }
        self.__name__ = f"per_image_{each.__name__.replace('.', '_')}"

    @property
    def overloadpacket(self) -> Any:
        """The operator without its overload, by which rules for operators are found."""
        return getattr(self.each, "overloadpacket", self.each)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The results for all images of a batch."""
        leaves, form = tree_flatten((args, kwargs))

        def one(*tensors: Tensor) -> Any:
            mine = dict(zip(self._rows, tensors, strict=True))
            arguments, options = tree_unflatten(
                [mine.get(at, leaf) for at, leaf in enumerate(leaves)], form
            )
            return self.each(*arguments, **options)

        apart = [
            leaves[at] if rows is None else leaves[at].unflatten(0, (-1, rows))
            for at, rows in self._rows.items()
        ]
        return tree_map(_merged, torch.vmap(one)(*apart))


def _merged(result: Tensor) -> Tensor:
    return result.flatten(0, 1) if result.dim() > 1 else result


def _depends_on_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta


def _treats_rows_alike(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any],
    result: Any,
) -> bool:
    """Whether rows along the first axis keep apart, so that those of other images change nothing.

    Normalizing by the statistics of the batch does not.
    """
    packet = getattr(function, "overloadpacket", function).__name__
    leaves = tree_leaves((arguments, options))
    traced = [leaf for leaf in leaves if _depends_on_image(leaf)]
    if not isinstance(result, Tensor) or any(
        (one.dim(), *one.shape[:1]) != (result.dim(), *result.shape[:1]) for one in traced
    ):
        return False
    others = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not leaf.is_meta]
    match packet:
        case "linear":
            return result.dim() > 1
        case "batch_norm" if any(each is True for each in arguments):
            return False
        case _ if packet in OF_IMAGES:
            return result.dim() == IMAGES_RANK
        case _:
            return packet in OF_ELEMENTS and all(
                other.dim() < result.dim() or other.shape[0] == 1 for other in others
            )
