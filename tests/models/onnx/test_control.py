"""Branches and loops that go the same way for every image are written out; others are refused."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from tests.models.onnx.samples import model

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models.onnx import translate, translator

node = helper.make_node
empty = helper.make_empty_tensor_value_info
IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def graph(*steps, inputs=(), outputs=("out",)):
    return helper.make_graph(list(steps), "inner", [*map(empty, inputs)], [*map(empty, outputs)])


def number(value, dtype=np.int64):
    return np.array(value, dtype)


def output(file):
    (given,) = translate(file, IMAGES[:1]).module(IMAGES)
    return given


def test_branches_may_use_the_same_names():
    """Names inside of a branch are its own."""
    branch = graph(node("Add", ["x", "x"], ["out"]))
    file = model(
        node("If", ["yes"], ["a"], then_branch=branch, else_branch=branch),
        node("If", ["yes"], ["b"], then_branch=branch, else_branch=branch),
        node("Add", ["a", "b"], ["y"]),
        stored={"yes": number(value=True, dtype=bool)},
    )
    torch.testing.assert_close(output(file), 4 * IMAGES)


def test_a_branch_that_pixels_choose_is_refused():
    """Its gradient would be that of one branch."""
    branch = graph(node("Add", ["x", "x"], ["out"]))
    file = model(
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Cast", ["s"], ["c"], to=TensorProto.BOOL),
        node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch),
    )
    with pytest.raises(OperatorUnsupportedError, match=r"choice.*computed from the image"):
        output(file)


DOUBLING = graph(
    node("Add", ["before", "before"], ["after"]),
    node("Identity", ["going"], ["still"]),
    node("ReduceMax", ["after"], ["most"], axes=[1], keepdims=0),
    inputs=("turn", "going", "before"),
    outputs=("still", "after", "most"),
)


def test_a_loop_with_a_number_of_turns_is_written_out():
    """Scripted models refine an estimate a fixed number of times."""
    file = model(
        node("Loop", ["turns", "", "x"], ["y", "collected"], body=DOUBLING),
        stored={"turns": number(3)},
        outputs=("y", "collected"),
    )
    y, collected = translate(file, IMAGES[:1]).module(IMAGES)
    torch.testing.assert_close(y, 8 * IMAGES)
    largest = IMAGES.amax(1)
    torch.testing.assert_close(collected, torch.stack([2 * largest, 4 * largest, 8 * largest]))


def test_the_runtime_is_not_asked_for_what_a_loop_gives():
    """Asking runs the whole model: only what stands behind an unknown node is worth it."""
    file = model(
        node("Loop", ["turns", "", "x"], ["y", "collected"], body=DOUBLING),
        node("NonZero", ["y"], ["places"]),
        stored={"turns": number(3)},
        outputs=("y", "places"),
    )
    asked = []

    def probe(names, batches):
        asked.append(list(names))
        return [[None for _ in names] for _ in batches]

    translate(file, IMAGES[:1], probe)
    assert asked == [["places"]]


def test_a_loop_ends_when_its_condition_does():
    """Loops over sizes are written as conditions."""
    body = graph(
        node("Add", ["before", "x"], ["after"]),
        node("Less", ["turn", "last"], ["still"]),
        inputs=("turn", "going", "before"),
        outputs=("still", "after"),
    )
    file = model(
        node("Loop", ["", "yes", "x"], ["y"], body=body),
        stored={"yes": number(value=True, dtype=bool), "last": number(2)},
    )
    torch.testing.assert_close(output(file), 4 * IMAGES)


def test_a_loop_without_end_is_refused(monkeypatch):
    """A file of a hundred bytes may ask for years."""
    monkeypatch.setattr(translator, "STEPS", 100)
    file = model(node("Loop", ["", "", "x"], ["y", "c"], name="forever", body=DOUBLING))
    with pytest.raises(OperatorUnsupportedError, match="more than 100 steps"):
        output(file)


def test_a_loop_as_long_as_the_pixels_say_is_refused():
    """It would be another network for each image."""
    file = model(
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["turns"], to=TensorProto.INT64),
        node("Loop", ["turns", "", "x"], ["y", "c"], name="refine", body=DOUBLING),
    )
    with pytest.raises(OperatorUnsupportedError, match=r"refine.*computed from the image"):
        output(file)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (node("LSTM", ["x", "x", "x"], ["", "y"], hidden_size=3), "recurrent"),
        (node("GRU", ["x", "x", "x"], ["y"], hidden_size=3), "recurrent"),
        (node("NonMaxSuppression", ["x", "x"], ["y"]), "depends on the pixels"),
        (node("RandomNormalLike", ["x"], ["y"]), "random"),
        (node("NonZero", ["x"], ["y"]), "depends on the pixels"),
    ],
    ids=lambda given: getattr(given, "op_type", ""),
)
def test_what_has_no_gradient_by_its_nature_is_refused_with_the_reason(step, reason):
    """The user learns where to cut the model."""
    with pytest.raises(OperatorUnsupportedError, match=reason) as caught:
        output(model(step))
    assert caught.value.node == "y"
