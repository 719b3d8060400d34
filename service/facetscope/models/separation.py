"""Whether a graph that was freed from its one batch size computes each image by itself."""

from collections.abc import Iterable
from itertools import starmap
from typing import Final

import torch
from torch import Tensor

from facetscope.models.graph import Translation, Value
from facetscope.models.memory import is_shortage

CLOSE: Final = {"rtol": 1e-3, "atol": 1e-6}
"""What rounding may change in an image's results beside another image."""


def keeps_images_apart(translation: Translation, values: Iterable[Value], example: Tensor) -> bool:
    """Whether what a graph gives for an image is the same whatever other images are beside it.

    A file for one image may take the first along the batch axis, or the mean, and mean the image:
    then a tensor has no part for each. Or it may have a softmax along that axis, which is known by
    what an image that is not a number does to the one beside it.

    Args:
        translation: The graph, right for several batch sizes.
        values: Those of its tensors that pixels change.
        example: Images of the shape and type that it takes.
    """
    apart = all(min(value.shape, default=0) < 0 for value in values)
    return apart and not _disturbs(translation, example)


def _disturbs(translation: Translation, example: Tensor) -> bool:
    """Whether one of two images changes what the graph gives for the other."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, *example.shape[1:])
    pair = torch.rand(shape, generator=generator, dtype=example.dtype)
    try:
        with torch.no_grad():
            undisturbed = translation.module(pair)
            return any(
                _changed(undisturbed, translation.module(_spoilt(pair, other)), 1 - other)
                for other in (0, 1)
            )
    except (RuntimeError, IndexError) as error:
        if is_shortage(error):
            raise
        return True


def _spoilt(pair: Tensor, image: int) -> Tensor:
    """``pair`` with an ``image`` that is not a number."""
    spoilt = pair.clone()
    spoilt[image] = torch.nan
    return spoilt


def _changed(before: Iterable[Tensor], after: Iterable[Tensor], image: int) -> bool:
    return any(
        starmap(_differs, ((b[image], a[image]) for b, a in zip(before, after, strict=True)))
    )


def _differs(one: Tensor, other: Tensor) -> bool:
    return not torch.allclose(one.double(), other.double(), **CLOSE, equal_nan=True)
