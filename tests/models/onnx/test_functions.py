"""Functions that a file defines itself are written out where they are used."""

import pytest
import torch
from onnx import AttributeProto, helper
from tests.models.onnx.samples import model

from facetscope.domain.errors import ModelUnreadableError, OperatorUnsupportedError
from facetscope.models.onnx import translate

node = helper.make_node
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def function(name, *steps, domain="own", inputs=("a",), opsets=None, **more):
    return helper.make_function(
        domain, name, list(inputs), ["b"], list(steps), opsets or OPSETS, **more
    )


def referring(step, attribute, kind, parameter):
    """``step`` with an attribute that is a parameter of the function."""
    given = AttributeProto(name=attribute, type=kind, ref_attr_name=parameter)
    step.attribute.append(given)
    return step


def file(*steps, functions, opsets=None, ir_version=10):
    built = model(*steps, functions=list(functions), opset_imports=opsets or OPSETS)
    built.ir_version = ir_version
    return built


def output(built):
    (given,) = translate(built, IMAGES[:1]).module(IMAGES)
    return given


LEAK = function(
    "Leak",
    referring(node("LeakyRelu", ["c"], ["b"]), "alpha", AttributeProto.FLOAT, "slope"),
    inputs=("c",),
    attribute_protos=[helper.make_attribute("slope", 0.5)],
)


@pytest.mark.parametrize(("given", "slope"), [({}, 0.5), ({"slope": 0.25}, 0.25)])
def test_attributes_of_a_function_are_given_or_have_a_default(given, slope):
    """Exporters keep one function for modules that differ in a number."""
    built = file(
        node("Neg", ["x"], ["n"]),
        node("Leak", ["n"], ["y"], domain="own", **given),
        functions=[LEAK],
    )
    torch.testing.assert_close(output(built), -slope * IMAGES)


def test_functions_call_functions_and_pass_their_attributes_on():
    """Modules inside of modules become functions inside of functions."""
    outer = function(
        "Twice",
        referring(node("Leak", ["a"], ["h"], domain="own"), "slope", AttributeProto.FLOAT, "outer"),
        referring(node("Leak", ["h"], ["b"], domain="own"), "slope", AttributeProto.FLOAT, "outer"),
        attributes=["outer"],
    )
    built = file(
        node("Neg", ["x"], ["n"]),
        node("Twice", ["n"], ["y"], domain="own", outer=0.1),
        functions=[outer, LEAK],
    )
    torch.testing.assert_close(output(built), -0.01 * IMAGES)


def test_names_inside_of_a_function_are_its_own():
    """A function used twice, with names that the file uses too."""
    inner = function("F", node("Relu", ["a"], ["h"]), node("Add", ["h", "a"], ["b"]))
    built = file(
        node("F", ["x"], ["h"], domain="own"),
        node("F", ["h"], ["y"], domain="own"),
        functions=[inner],
    )
    torch.testing.assert_close(output(built), 4 * IMAGES)


def test_overloads_are_told_apart():
    """Functions of one name are distinguished by their overload."""
    add = function("F", node("Add", ["a", "a"], ["b"]), overload="add")
    square = function("F", node("Mul", ["a", "a"], ["b"]), overload="square")
    first, second = node("F", ["x"], ["h"], domain="own"), node("F", ["h"], ["y"], domain="own")
    first.overload, second.overload = "add", "square"
    torch.testing.assert_close(output(file(first, second, functions=[add, square])), 4 * IMAGES**2)


def test_a_function_may_stand_for_an_operator_of_another_domain():
    """Files bring the meaning of a vendor's operators along."""
    vendor = helper.make_opsetid("com.microsoft", 1)
    gelu = function("Gelu", node("Gelu", ["a"], ["b"]), domain="com.microsoft")
    built = file(
        node("Gelu", ["x"], ["y"], domain="com.microsoft"),
        functions=[gelu],
        opsets=[OPSETS[0], vendor],
    )
    torch.testing.assert_close(output(built), torch.nn.functional.gelu(IMAGES))


def test_a_function_may_leave_inputs_out():
    """Optional inputs of a function are optional where they are handed on."""
    clip = function("F", node("Clip", ["a", "low", "high"], ["b"]), inputs=("a", "low", "high"))
    built = file(node("F", ["x"], ["y"], domain="own"), functions=[clip])
    torch.testing.assert_close(output(built), IMAGES)


def test_a_function_in_a_branch_is_written_out():
    """Graphs inside of nodes use functions as well."""
    branch = helper.make_graph(
        [node("Leak", ["x"], ["out"], domain="own")],
        "branch",
        [],
        [helper.make_empty_tensor_value_info("out")],
    )
    built = file(
        node("Constant", [], ["yes"], value=helper.make_tensor("v", 9, [], [True])),
        node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
        functions=[LEAK],
    )
    torch.testing.assert_close(output(built), IMAGES)


def test_an_unsupported_operator_inside_of_a_function_is_named():
    """The user learns which operator it is, though the file calls it by the function's name."""
    built = file(
        node("F", ["x"], ["y"], domain="own"), functions=[function("F", node("Foo", ["a"], ["b"]))]
    )
    with pytest.raises(OperatorUnsupportedError, match="Foo"):
        output(built)


def test_functions_that_call_each_other_are_refused():
    """Writing them out would not end."""
    one = function("F", node("G", ["a"], ["b"], domain="own"))
    other = function("G", node("F", ["a"], ["b"], domain="own"))
    built = file(node("F", ["x"], ["y"], domain="own"), functions=[one, other])
    with pytest.raises(ModelUnreadableError, match="functions"):
        output(built)


def test_what_a_function_computes_is_addressable():
    """Its result has the name that the file gives it."""
    built = file(node("Leak", ["x"], ["y"], domain="own"), functions=[LEAK])
    assert "y" in translate(built, IMAGES).values
