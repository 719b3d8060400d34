"""Differences from the model's own runtime are found and told by output."""

import numpy as np
import pytest
import torch

from facetscope.models.parity import compared

GIVEN = {"y": torch.tensor([[1.0, 2.0]]), "z": torch.tensor([[-4.0, 8.0]])}
BY = {"runtime": "ONNX Runtime", "provider": "CPUExecutionProvider"}


def expected(**changes):
    return list(({name: value.numpy() for name, value in GIVEN.items()} | changes).values())


def test_equal_outputs_do_not_differ():
    """A faithful graph is told as such, and by whom."""
    parity = compared(GIVEN, expected(), **BY)
    assert (parity.largest_absolute, parity.largest_relative) == (0, 0)
    assert (parity.runtime, parity.provider) == tuple(BY.values())


def test_the_worst_output_is_named():
    """A reader of the report knows which output not to trust, and how little."""
    parity = compared(GIVEN, expected(z=np.array([[-4.0, 10.0]])), **BY)
    assert (parity.output, parity.largest_absolute, parity.largest_relative) == ("z", 2, 0.2)


def test_outputs_that_are_all_zero_do_not_differ():
    """The head of an untrained ViT of torchvision gives nothing but zeros."""
    zeros = torch.zeros(1, 5)
    parity = compared({"y": zeros}, [zeros.numpy()], **BY)
    assert (parity.largest_absolute, parity.largest_relative) == (0, 0)


@pytest.mark.parametrize(
    "wrong", [np.array([[1, np.nan]]), np.array([[1.0, 2, 3]]), np.array([[1, np.inf]]), None]
)
def test_what_cannot_be_compared_is_infinitely_wrong(wrong):
    """NaN, another shape or no tensor at all must not pass for agreement."""
    parity = compared(GIVEN, expected(y=wrong), **BY)
    assert (parity.output, parity.largest_absolute) == ("y", np.inf)


def test_the_same_infinity_is_no_difference():
    """Masks are made of infinities, on both sides."""
    parity = compared({"y": torch.tensor([-torch.inf, 1])}, [np.array([-np.inf, 1])], **BY)
    assert parity.largest_absolute == 0
