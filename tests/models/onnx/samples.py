"""Networks as both exporters of torch write them, small models of one node, and real files."""

import contextlib
import io
import warnings

import torch
from onnx import TensorProto, helper, numpy_helper

SIDE = 64


def exported(built, *, dynamo, dynamic=True, side=SIDE):
    """The file that torch writes for a network."""
    example = torch.zeros(2 if dynamic else 1, 3, side, side)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
            program = torch.onnx.export(
                built,
                (example,),
                dynamo=True,
                opset_version=18,
                dynamic_shapes=shapes,
                verbose=False,
            )
            return program.model_proto.SerializeToString()
        axes = {"input": {0: "batch"}} if dynamic else None
        with attention_in_parts():
            torch.onnx.export(
                built,
                (example,),
                stream,
                dynamo=False,
                opset_version=17,
                input_names=["input"],
                dynamic_axes=axes,
            )
    return stream.getvalue()


@contextlib.contextmanager
def attention_in_parts():
    """Without the fused operator of inference, which the older exporter does not know."""
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def model(*nodes, shape=("n", 3, 8, 8), stored=(), outputs=("y",), opset=17, **changes):
    """A file of a few nodes, from the image ``x`` to ``outputs``."""
    tensors = [numpy_helper.from_array(value, name) for name, value in dict(stored).items()]
    graph = helper.make_graph(
        list(nodes),
        "few",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        tensors,
    )
    opsets = changes.pop("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **changes)
