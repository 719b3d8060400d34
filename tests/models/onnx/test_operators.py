"""Every operator gives what the ONNX backend tests expect of it, and differentiates."""

from collections import Counter

import numpy as np
import pytest
import torch
from tests.models.onnx.node_tests import (
    CASES,
    NONCONFORMING,
    OPERATORS,
    check,
    image_of,
    inputs_of,
    is_like_an_image,
    outputs_of,
    with_image,
)

from facetscope.domain.errors import ModelError
from facetscope.models.onnx import registry, translate

WITHOUT_GRADIENT = {"ConstantOfShape", "EyeLike", "Hardmax", "OneHot", "Range", "Shape", "Size"}
"""Operators that give floats which small changes of the first input do not change."""

STEPS = {"Cast", "CastLike", "DequantizeLinear", "QuantizeLinear"}
"""Operators that round and let gradients pass as if they did not."""

SHARE = 0.95
"""Of the tests of operators, how many are passed at least."""

FEW = 2
"""How many gradients of each operator are checked in a quick run."""


def is_expansion(name):
    """Whether a test is another's operator written out by ONNX's own definition."""
    return "_expanded" in name


def kind(name):
    return CASES[name].model.graph.node[-1].op_type


def case(name, what, *, slow):
    """A parameter for a test of ``what``, expected to fail where that is known."""
    marks = [pytest.mark.slow] if slow else []
    if name in NONCONFORMING[what]:
        reason = NONCONFORMING[what][name]
        raises = (ModelError, AssertionError)
        marks.append(pytest.mark.xfail(reason=reason, strict=True, raises=raises))
    return pytest.param(name, marks=marks)


def is_differentiable(name):
    """Whether a test maps floats to floats."""
    inputs, outputs = inputs_of(CASES[name]), outputs_of(CASES[name])
    return (
        name not in NONCONFORMING["outputs"]
        and not is_expansion(name)
        and kind(name) not in WITHOUT_GRADIENT
        and inputs
        and inputs[0].size
        and is_like_an_image(inputs[0])
        and "float" in outputs[0].dtype.name
        and np.isfinite(outputs[0].astype(np.float32)).all()
    )


def differentiable():
    """Tests of gradients: a few of each operator, and in a slow run all."""
    seen = Counter()
    for name in filter(is_differentiable, sorted(CASES)):
        seen[kind(name)] += 1
        yield case(name, "gradients", slow=seen[kind(name)] > FEW)


@pytest.mark.parametrize(
    "name", [case(name, "outputs", slow=is_expansion(name)) for name in sorted(CASES)]
)
def test_an_operator_is_what_onnx_says_it_is(name):
    """Each result is right; nothing is computed on a fixed device."""
    check(CASES[name])


def test_most_operators_are_what_onnx_says_they_are():
    """What is not passed is listed, with a reason, and is little."""
    assert all(known.keys() <= CASES.keys() for known in NONCONFORMING.values())
    assert {name for name in registry.OPERATORS if "::" not in name} <= OPERATORS
    own = [name for name in CASES if not is_expansion(name)]
    assert {kind(name) for name in own} == OPERATORS - {"GlobalLpPool"}
    assert len([name for name in own if name not in NONCONFORMING["outputs"]]) >= SHARE * len(own)


@pytest.mark.parametrize("name", list(differentiable()))
def test_an_operator_differentiates_as_its_differences(name):
    """The slope along a direction is what a small step in that direction does to the output."""
    torch.manual_seed(0)
    image = image_of(CASES[name], dtype=torch.float64)
    module = translate(with_image(CASES[name]), image).module
    start = image + 0.01 * torch.rand_like(image)
    direction = torch.randn_like(image)
    weights = torch.randn_like(module(start)[0])

    def score(batch):
        return (module(batch)[0] * weights).sum()

    start.requires_grad_()
    slope = (torch.autograd.grad(score(start), start)[0] * direction).sum()
    assert slope.isfinite()
    if kind(name) not in STEPS:
        rise = (score(start + 1e-6 * direction) - score(start - 1e-6 * direction)) / 2e-6
        torch.testing.assert_close(slope, rise, rtol=1e-5, atol=1e-6)
