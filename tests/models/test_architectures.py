"""Every architecture in every format computes, and differentiates, what its network does."""

from hashlib import sha256

import pytest
import torch
from tests.models import architectures_table
from tests.models.architectures import ARCHITECTURES, FORMATS, KINK, Original, measure

from facetscope.domain.computing import Precision
from facetscope.domain.descriptions import Parity
from facetscope.domain.inputs import InputSpec
from facetscope.engine.opened import OpenModel
from facetscope.engine.oracle_process import awaited

MODULAR = {"traced", "scripted"}
"""Formats that keep the modules."""

QUICK = {
    "lraspp_mobilenet_v3_large",  # gives a dictionary, resizes by the image's size
    "shufflenet_v2_x0_5",  # splits, reshapes and transposes
    "swin_t",  # attention over windows, by shape arithmetic
}
"""What every run of the suite looks at, traced and scripted: the others have quick tests of their
own."""


ROUNDING = 1e-3
"""Largest difference in single precision, as a part of the largest output: of networks with random
weights, which are less tame than trained ones."""


def _architectures():
    """Parameters of a fixture, by which pytest orders tests: one network is held at a time."""
    return [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in ARCHITECTURES
    ]


def _formats():
    return [
        pytest.param(form, marks=() if form in MODULAR else pytest.mark.slow) for form in FORMATS
    ]


@pytest.fixture(scope="module", params=_architectures())
def original(request):
    """One network at a time: all of them would fill the memory."""
    return Original(request.param)


@pytest.mark.parametrize("form", _formats())
def test_an_architecture_keeps_what_it_computes(original, form, tmp_path):
    """Whichever exporter wrote it; a reviewer asks for the paths that its author knows."""
    found = measure(original, form, tmp_path)
    assert found.outputs <= FORMATS[form].bound
    assert found.closest <= FORMATS[form].bound
    assert found.gradient <= KINK
    if form in MODULAR:
        assert found.named == found.modules


@pytest.mark.slow
@pytest.mark.parametrize("form", ["scripted", "ONNX, dynamo exporter"])
def test_an_architecture_is_described_with_its_parity(original, form, tmp_path):
    """Whoever deploys the file reads there that what is inspected is what runs."""
    path, side = tmp_path / "model", original.batch.shape[-1]
    FORMATS[form].write(original.network, original.example, path)
    opened = OpenModel(
        sha256(path.read_bytes()).hexdigest(),
        path,
        InputSpec(height=side, width=side, mean=(0.0,), std=(1.0,)),
        Precision.FLOAT32,
        torch.device("cpu"),
    )
    parity = awaited(opened.description()).parity
    assert isinstance(parity, Parity), parity
    assert parity.largest_relative <= ROUNDING


def test_the_table_lists_what_is_tested():
    """Whoever reads it can run it."""
    assert list(architectures_table.rows()) == list(ARCHITECTURES)
