"""A model's own runtime answers from a process that can be ended, and in plain arrays."""

import numpy as np
import psutil
import pytest
import torch
from tests import hostile_files, networks

from facetscope.domain.descriptions import ParityAbsence, ParityAbsenceReason
from facetscope.engine.oracle_process import Oracle, awaited

IMAGES = np.random.default_rng(0).random((5, 3, 16, 16), np.float32)


@pytest.fixture
def oracle(tmp_path):
    """Makes an oracle for these bytes."""

    def make(data, file_format="TorchScript", *, limit_s=120.0):
        path = tmp_path / "model"
        path.write_bytes(data)
        return Oracle(path, file_format, cuda=False, threads=1, limit_s=limit_s)

    return make


def test_an_onnx_file_is_run_in_onnx_runtime(oracle):
    """Each batch is of the first so many images, and inner tensors can be asked for."""
    asked = oracle(networks.tiny_onnx(), "ONNX").ask(IMAGES, [2, 5], tensors=["logits", "pool"])
    testimony = awaited(asked)
    assert (testimony.runtime, testimony.provider) == ("ONNX Runtime", "CPUExecutionProvider")
    shapes = [[array.shape for array in batch] for batch in testimony.batches]
    assert shapes == [[(2, 4), (2, 8, 1, 1)], [(5, 4), (5, 8, 1, 1)]]


def test_outlines_take_no_memory(oracle):
    """The shape of a tensor can be asked for without its elements."""
    testimony = awaited(oracle(networks.tiny_onnx(), "ONNX").ask(IMAGES, [5], outlines=True))
    ((array,),) = testimony.batches
    assert (array.shape, array.dtype, array.strides) == ((5, 4), np.float32, (0, 0))


def test_a_torchscript_module_is_run_itself(oracle):
    """It is what will be deployed, whatever a translation makes of it."""
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten()).eval()
    testimony = awaited(oracle(hostile_files.scripted(module)).ask(IMAGES, [3]))
    ((array,),) = testimony.batches
    right = module(torch.from_numpy(IMAGES[:3])).detach().numpy()
    np.testing.assert_allclose(array, right, rtol=1e-5, atol=1e-6)
    assert (testimony.runtime, testimony.provider) == ("TorchScript", "cpu")


def test_a_module_that_does_not_end_is_ended(oracle):
    """Nothing else stops a loop in TorchScript."""
    asked = oracle(hostile_files.scripted(hostile_files.Stalls()), limit_s=3).ask(IMAGES, [2])
    absence = awaited(asked)
    assert absence.reason is ParityAbsenceReason.TIMED_OUT
    assert "3 s" in absence.problem
    assert not psutil.Process().children()


def test_leaving_ends_the_process(oracle):
    """A call that is cancelled frees the processor at once."""
    asked = oracle(hostile_files.scripted(hostile_files.Stalls())).ask(IMAGES, [2])
    next(asked)
    (process,) = psutil.Process().children()
    asked.close()
    assert not process.is_running()


def test_a_refusal_is_told_in_a_sentence(oracle):
    """The reader learns why there is nothing to compare with."""
    absence = awaited(oracle(hostile_files.scripted(torch.nn.Linear(7, 2))).ask(IMAGES, [2]))
    assert absence.reason is ParityAbsenceReason.REFUSED
    assert "shape" in absence.problem


def test_a_process_that_breaks_down_is_told(oracle):
    """Whatever ends the process, the description goes on without it."""
    absence = awaited(oracle(networks.tiny_onnx(), "no format").ask(IMAGES, [2]))
    assert isinstance(absence, ParityAbsence)
    assert absence.reason is ParityAbsenceReason.CRASHED
