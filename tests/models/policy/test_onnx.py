"""ONNX files that ask for other files, and files that are larger than they look."""

import onnx
import pytest
from onnx import TensorProto, helper
from tests.models.onnx.samples import model as runnable

from facetscope.domain.errors import ModelForbiddenError
from facetscope.models.policy import check_onnx
from facetscope.models.policy import onnx as policy


def elsewhere(name="stolen"):
    """A tensor whose data is in a file of the server."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def sparse(values):
    return onnx.SparseTensorProto(values=values, dims=[1])


def graph(*, nodes=(), **contents):
    return onnx.GraphProto(name="graph", node=nodes, **contents)


def node(**attributes):
    return helper.make_node("Op", [], ["y"], **attributes)


def model(main=None, **contents):
    return onnx.ModelProto(graph=main or graph(), **contents)


HIDING_PLACES = {
    "an initializer": lambda: model(graph(initializer=[elsewhere()])),
    "values of a sparse initializer": lambda: model(
        graph(sparse_initializer=[sparse(elsewhere())])
    ),
    "an attribute": lambda: model(graph(nodes=[node(value=elsewhere())])),
    "one of the tensors of an attribute": lambda: model(graph(nodes=[node(value=[elsewhere()])])),
    "a sparse attribute": lambda: model(graph(nodes=[node(value=sparse(elsewhere()))])),
    "a graph within a graph": lambda: model(
        graph(nodes=[node(body=graph(nodes=[node(body=graph(initializer=[elsewhere()]))]))])
    ),
    "a function": lambda: model(
        functions=[onnx.FunctionProto(name="f", node=[node(value=elsewhere())])]
    ),
    "a default of a function": lambda: model(
        functions=[
            onnx.FunctionProto(
                name="f", attribute_proto=[helper.make_attribute("value", elsewhere())]
            )
        ]
    ),
    "training": lambda: model(
        training_info=[onnx.TrainingInfoProto(algorithm=graph(initializer=[elsewhere()]))]
    ),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_onnx_tensors_in_other_files_are_refused(place):
    """A model that names files could have the server read any file it can."""
    with pytest.raises(ModelForbiddenError, match="stolen"):
        check_onnx(HIDING_PLACES[place]())


def test_an_onnx_model_with_its_data_inside_passes():
    """What exporters write by default is what people send."""
    inside = helper.make_tensor("weights", TensorProto.FLOAT, [1], [1.0])
    check_onnx(model(graph(initializer=[inside], nodes=[node(value=inside, axis=1)])))


def calls(name, times, *, domain="own"):
    return [helper.make_node(name, ["x"], ["y"], domain=domain) for _ in range(times)]


def function(name, nodes):
    return onnx.FunctionProto(name=name, domain="own", input=["x"], output=["y"], node=nodes)


def test_functions_that_come_to_very_many_nodes_are_refused():
    """Forty functions that each use the next one twice make a thousand billion nodes."""
    doubling = [function(f"f{level}", calls(f"f{level + 1}", 2)) for level in range(40)]
    functions = [*doubling, function("f40", calls("Relu", 1, domain=""))]
    with pytest.raises(ModelForbiddenError, match=rf"{3 * 2**40 - 1} nodes.*more than 100000"):
        check_onnx(model(graph(nodes=calls("f0", 1)), functions=functions))


def test_a_function_that_uses_itself_is_refused():
    """It has no end."""
    functions = [function("f", calls("g", 1)), function("g", calls("f", 1))]
    with pytest.raises(ModelForbiddenError, match=r"in themselves.*function '[fg]'"):
        check_onnx(model(graph(nodes=calls("f", 1)), functions=functions))


def test_a_million_nodes_are_refused(monkeypatch):
    """Each becomes a step of Python, and a layer of the description."""
    monkeypatch.setattr(policy, "MOST_NODES", 100)
    check_onnx(model(graph(nodes=calls("Relu", 100))))
    within = node(body=graph(nodes=calls("Relu", 100)))
    with pytest.raises(ModelForbiddenError, match=r"101 nodes.*more than 100.*graph 'graph'"):
        check_onnx(model(graph(nodes=[within])))


def test_names_that_nobody_can_read_are_refused(monkeypatch):
    """Names travel in every answer."""
    with pytest.raises(ModelForbiddenError, match="a name of 4097 characters, more than 4096"):
        check_onnx(model(graph(nodes=calls("x" * 4097, 1))))
    monkeypatch.setattr(policy, "ALL_NAMES", 100)
    with pytest.raises(ModelForbiddenError, match="names of 108 characters in all, more than 100"):
        check_onnx(model(graph(nodes=calls("x" * 50, 2, domain="own"))))


def test_a_model_of_functions_within_functions_passes():
    """Exporters write one for each module."""
    functions = [function(f"f{level}", calls(f"f{level + 1}", 1)) for level in range(20)]
    functions.append(function("f20", calls("Relu", 1, domain="")))
    check_onnx(runnable(*calls("f0", 1), functions=functions))
