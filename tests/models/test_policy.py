"""Files that would do more than be read."""

import zipfile

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError
from facetscope.models.policy import check_onnx, check_torchscript


class Wakes(nn.Module):
    """Runs code of its own while it is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return (torch.zeros(1), self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        self.training = state[1]

    def forward(self, x):
        return x


@pytest.fixture
def archive(tmp_path):
    """A clean archive."""
    path = tmp_path / "model.pt"
    torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())).save(str(path))
    return path


def rewritten(path, change):
    """The archive at ``path`` with its entries written as ``change(name, data)`` wants them."""
    with zipfile.ZipFile(path) as old:
        entries = [(info, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(path, "w") as new:
        for info, data in entries:
            name, content, compression = change(info.filename, data)
            new.writestr(name, content, compress_type=compression)
    return path


@pytest.mark.parametrize("program", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(2))])
def test_clean_archives_pass(tmp_path, program):
    """What torch writes for an ordinary model is what people send."""
    program(nn.ReLU()).save(str(tmp_path / "model.pt"))
    check_torchscript(tmp_path / "model.pt")


def test_code_that_runs_at_loading_is_refused(tmp_path):
    """Loading happens before anybody can look at what a program does."""
    torch.jit.script(Wakes()).save(str(tmp_path / "model.pt"))
    with pytest.raises(ModelForbiddenError, match="__setstate__") as caught:
        check_torchscript(tmp_path / "model.pt")
    assert caught.value.where.endswith(".py")


def test_code_is_found_whatever_the_case_of_its_name(tmp_path):
    """Torch looks entries up without regard to case."""
    path = tmp_path / "model.pt"
    torch.jit.script(Wakes()).save(str(path))
    rewritten(path, lambda n, d: (n.replace(".py", ".PY"), d, zipfile.ZIP_STORED))
    with pytest.raises(ModelForbiddenError, match="__setstate__"):
        check_torchscript(path)


def test_compressed_weights_are_refused(archive):
    """Torch stores tensors as they are; a compressed one may be a bomb."""
    with pytest.raises(ModelForbiddenError, match="compressed"):
        check_torchscript(rewritten(archive, lambda n, d: (n, d, zipfile.ZIP_DEFLATED)))


def test_code_that_unpacks_to_far_more_than_the_file_is_refused(archive):
    """Code is compressed, and zeros compress a thousandfold."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as new:
        new.writestr("model/code/bomb.txt", bytes(2**26 + 2**20))
    with pytest.raises(ModelForbiddenError, match="when unpacked"):
        check_torchscript(archive)


def test_an_archive_with_a_comment_is_refused(archive):
    """Two readers of one zip file must not find two archives in it."""
    with zipfile.ZipFile(archive, "a") as new:
        new.comment = b"PK"
    with pytest.raises(ModelForbiddenError, match="comment"):
        check_torchscript(archive)


def test_a_checkpoint_is_told_from_a_model(tmp_path):
    """The commonest mistake: weights alone, and what to do instead."""
    torch.save(nn.ReLU().state_dict(), tmp_path / "model.pt")
    with pytest.raises(ModelUnreadableError, match=r"checkpoint.*torch\.jit\.trace"):
        check_torchscript(tmp_path / "model.pt")


def test_damaged_weights_are_noticed(archive):
    """Torch itself loads them, and a wrong weight looks like a right one."""
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as whole:
        weights = next(info for info in whole.infolist() if "/data/" in info.filename)
        position = data.index(whole.read(weights))
    data[position] ^= 1
    archive.write_bytes(data)
    with pytest.raises(ModelUnreadableError, match="checksum"):
        check_torchscript(archive)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive at all", bytes(1000)])
def test_what_is_no_archive_is_unreadable(tmp_path, data):
    """Anything can be uploaded."""
    (tmp_path / "model.pt").write_bytes(data)
    with pytest.raises(ModelUnreadableError):
        check_torchscript(tmp_path / "model.pt")


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
