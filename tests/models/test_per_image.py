"""Operators for one image, for a batch: images never mix."""

import pytest
import torch
from torch.utils._pytree import tree_leaves

from facetscope.models.per_image import PerImage, batched, each_image

aten = torch.ops.aten
IMAGE = (1, 4, 6, 6)
ROWS = (8, 3, 5)
CHANNELS = torch.linspace(1, 2, 4)

CASES = {
    "convolution": (aten.conv2d.default, [IMAGE, torch.ones(2, 4, 3, 3)], False),
    "image without batch": (aten.conv2d.default, [(4, 6, 6), torch.ones(2, 4, 3, 3)], True),
    "norm": (aten.batch_norm.default, [IMAGE, *[CHANNELS] * 4, False, 0.1, 1e-5, False], False),
    "norm by its statistics": (
        aten.batch_norm.default,
        [IMAGE, CHANNELS, CHANNELS, None, None, True, 0.1, 1e-5, False],
        True,
    ),
    "linear": (aten.linear.default, [ROWS, torch.ones(2, 5)], False),
    "linear of a vector": (aten.linear.default, [(5,), torch.ones(2, 5)], True),
    "elements": (aten.mul.Tensor, [ROWS, ROWS], False),
    "elements and a constant": (aten.mul.Tensor, [ROWS, torch.arange(15.0).view(1, 3, 5)], False),
    "elements and rows of a constant": (
        aten.mul.Tensor,
        [ROWS, torch.arange(120.0).view(8, 3, 5)],
        True,
    ),
    "broadcast": (aten.add.Tensor, [ROWS, (1, 3, 5)], True),
    "along the first axis": (aten.softmax.int, [ROWS, 0], True),
    "moved first axis": (aten.permute.default, [ROWS, [1, 0, 2]], True),
    "fixed shape": (aten.reshape.default, [ROWS, [24, 5]], True),
    "scalar": (aten.mean.default, [ROWS], True),
    "of a scalar": (aten.mul.Tensor, [(), 2.0], False),
    "list": (aten.cat.default, [[(1, 4), torch.ones(1, 4)], 0], True),
    "several results": (aten.split.Tensor, [ROWS, 4], True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_batch_gives_what_its_images_give_one_by_one(case):
    """An explanation of one image must not depend on its neighbours in the batch."""
    function, inputs, wrapped = CASES[case]
    probes = _filled(inputs, lambda shape: torch.empty(shape, device="meta"))
    with torch.no_grad():
        result = function(*_filled(probes, None))
    operator = each_image(function, probes, {}, result)
    assert isinstance(operator, PerImage) == wrapped
    images = [_filled(inputs, _noise(seed)) for seed in range(3)]
    batch = [_joined(parts) for parts in zip(*map(_flat, images), strict=True)]
    found = tree_leaves(operator(*_like(inputs, iter(batch))))
    wanted = zip(*(tree_leaves(function(*image)) for image in images), strict=True)
    for one, others in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, _joined(others, always=True))


def test_the_batch_is_taken_up_by_the_first_axis():
    """Shapes are told as every translation tells them."""
    assert batched((1, 3, 8, 8)) == (-1, 3, 8, 8)
    assert batched((64, 49)) == (-64, 49)
    assert batched(()) == (-1,)


def _noise(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda shape: torch.rand(shape, generator=generator)


def _filled(inputs, tensor):
    """``inputs`` with a tensor in place of each shape; constants on the device of the probes."""

    def one(value):
        match value:
            case tuple() if tensor:
                return tensor(value)
            case torch.Tensor() if tensor is None:
                return value.to("meta")
            case list() if any(isinstance(each, tuple | torch.Tensor) for each in value):
                return [one(each) for each in value]
            case _:
                return value

    return [one(value) for value in inputs]


def _flat(inputs):
    return tree_leaves(inputs)


def _joined(values, *, always=False):
    """One value for the batch: the tensors of its images behind each other, or what all share."""
    first = values[0]
    if not isinstance(first, torch.Tensor) or (not always and all(v is first for v in values)):
        return first
    return torch.stack(values) if first.dim() == 0 else torch.cat(values)


def _like(inputs, leaves):
    return [_like(each, leaves) if isinstance(each, list) else next(leaves) for each in inputs]
