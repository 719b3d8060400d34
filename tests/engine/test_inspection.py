"""What a worker makes of files, in this process."""

import contextlib
from hashlib import sha256

import pytest
from google.rpc import code_pb2
from tests import bad_files, hostile_files, hostile_onnx, networks

from facetscope.domain.errors import InspectionError
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import DescribeModel
from facetscope.engine.inspection import Inspector
from facetscope.rpc.status import status_of

SMALL = InputSpec(height=networks.SIZE, width=networks.SIZE)


@pytest.fixture(scope="module")
def inspector():
    return Inspector(device="cpu", threads=1, parity_s=5)


@pytest.fixture
def describe(inspector, tmp_path):
    """The description of a file; whatever it raises is for the caller."""

    def run(data):
        path = tmp_path / "model"
        path.write_bytes(data)
        digest = sha256(data).hexdigest()
        job = DescribeModel(model=digest, input=SMALL)
        (*_, description) = inspector.run(job, {digest: path})
        return description

    return run


@pytest.mark.parametrize("name", bad_files.WITHOUT_A_WORKER)
def test_a_bad_file_is_refused_with_help(describe, name):
    """Whoever sends the wrong file learns what is wrong with it, and what to send."""
    file, expected, words = bad_files.FILES[name]
    with pytest.raises(InspectionError) as caught:
        describe(file())
    error = caught.value
    assert (code_pb2.Code.Name(status_of(error).code), error.reason) == expected
    assert [word for word in words if word not in str(error)] == [], str(error)


@pytest.mark.parametrize(
    ("file", "node", "words"),
    [
        (hostile_onnx.recurrent, "memory", ["LSTM"]),
        (hostile_onnx.branching, "choice", ["If", "computed from the image"]),
    ],
    ids=["an LSTM", "a branch by pixels"],
)
def test_an_obstacle_that_onnx_runtime_computes_is_described(describe, file, node, words):
    """Facets need no gradient: the file is of use, and its reader learns what stands in the way."""
    obstacle = describe(file()).obstacle
    assert obstacle.node == node
    told = f"{obstacle.operator} {obstacle.problem}"
    assert [word for word in words if word not in told] == [], told


@pytest.mark.parametrize("name", bad_files.SOUND)
@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_is_described_or_refused(describe, name, seed):
    """Uploads break: what is left is a model or an error of the domain, and never a bug."""
    with contextlib.suppress(InspectionError):
        assert describe(hostile_files.mutated(bad_files.SOUND[name](), seed)).layers
