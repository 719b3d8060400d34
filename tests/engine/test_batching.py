"""How many images ascend together follows from what one of them takes."""

import pytest
import torch

from facetscope.engine.batching import COPIES, batch_size, footprint, free_bytes

IMAGE = torch.ones(3, 8, 8)
COPIED = COPIES * IMAGE.numel() * 4


def test_a_footprint_is_what_the_way_back_needs_and_no_weights():
    """On paper: a square keeps its argument, a product with weights keeps that and the weights."""
    weights = torch.ones(1000, 3, 8, 8, requires_grad=True)

    def score(images):
        squares = images * images
        return (squares[:, None] * weights).sum(dim=(1, 2, 3, 4))

    kept = 2 * IMAGE.numel() * 4
    assert footprint(score, IMAGE) == kept * 3 // 2 + COPIED


@pytest.mark.parametrize(
    ("wanted", "largest", "free", "size"),
    [(10, 32, 10**9, 10), (40, 32, 10**9, 32), (10, 32, 10_000, 4), (10, 32, 0, 1)],
    ids=["all fit", "more than may", "some fit", "one always does"],
)
def test_a_batch_fills_what_is_free(wanted, largest, free, size):
    """Of 10000 bytes 6000 are spent: six fit, and a power of two of them ascends."""
    assert batch_size(wanted, largest=largest, each=1000, free=free) == size


def test_free_memory_is_less_after_some_was_taken():
    """What a worker may take is not what it has taken already."""
    before = free_bytes(torch.device("cpu"))
    assert before > 0
