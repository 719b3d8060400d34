"""Networks on a GPU: what they compute, and that a worker gives its memory back."""

import asyncio

import pytest
import torch
from tests import networks, random_networks
from tests.models import test_random_graphs as graphs
from torch import nn

from facetscope.algorithms.ascent import ascend
from facetscope.domain import jobs
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.units import Readout
from facetscope.engine.process_engine import Limits, ProcessEngine
from facetscope.models.network import Network

FORMS = ["traced", "scripted", "onnx"]


class Generating(nn.Module):
    """Makes tensors on the way: of sizes that follow the batch, of constants, of ranges."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.tokens = random_networks.Tokens(4)

    def forward(self, x):
        x = self.tokens(self.conv(x))
        mask = torch.ones(x.shape[0], 1, 1, dtype=x.dtype, device=x.device)
        ramp = torch.arange(x.shape[1], device=x.device).reshape(1, -1, 1)
        return (x * mask + ramp.to(x.dtype) / x.shape[1]).mean(1)


@pytest.fixture
def generating():
    torch.manual_seed(0)
    return Generating().double().eval()


def translated(module, form):
    if form == "onnx":
        return graphs.from_onnx(module, dynamo=False, stored=torch.float32, dtype=torch.float32)
    return graphs.from_torchscript(graphs.FORMS[form](module), dtype=torch.float32)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_stays_on_the_device_that_a_file_was_made_on(generating, form):
    """A tensor that is left behind fails at the first batch; on device meta just as on a GPU."""
    meta = torch.device("meta")
    network = Network(translated(generating, form), meta)
    images = graphs.images(3).to(meta, torch.float32)
    values = network.reading([layer.name for layer in network.layers])(images)
    assert {value.device for value in values} == {meta}
    assert values[-1].shape == (3, 4)


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMS)
def test_a_gpu_computes_what_the_processor_computes(generating, form):
    """Results are compared between machines."""
    images = graphs.images(3).float()
    outputs = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        network = Network(translated(generating, form), device)
        (output,) = network.reading(network.outputs)(images.to(device))
        outputs.append(output.cpu())
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("autocast", [False, True])
def test_an_ascent_climbs_on_a_gpu(generating, autocast):
    """In both precisions that GPUs are used for."""
    device = torch.device("cuda")
    network = Network(translated(generating, "traced"), device, autocast=autocast)
    reading = network.reading(network.outputs)
    steps = list(
        ascend(
            {Readout.ACTIVATION: lambda pixels: reading(pixels / 255)[0][:, 0]},
            torch.full((2, *graphs.SHAPE), 128.0, device=device),
            method=Schedule((Phase(steps=5, step_size=(4.0, 4.0), tv_weight=(1.0, 1.0)),)),
            generators=[torch.Generator().manual_seed(seed) for seed in range(2)],
        )
    )
    assert steps[-1].canvas.device.type == "cuda"
    assert (steps[-1].scores > steps[0].scores).all()


@pytest.mark.gpu
async def test_a_killed_worker_gives_its_memory_back(tmp_path):
    """Otherwise the next model would not fit."""
    path = tmp_path / "model"
    path.write_bytes(networks.tiny_onnx())
    limits = Limits(workers=1, queued=1, memory_bytes=16 * 2**30, grace_s=5.0)
    engine = ProcessEngine(locate=lambda _: {"m": path}, device="cuda", threads=1, limits=limits)
    before, _ = torch.cuda.mem_get_info()
    async with engine.run(jobs.DescribeModel(model="m")) as events:
        assert [event async for event in events]
    during, _ = torch.cuda.mem_get_info()
    await engine.close()
    await asyncio.sleep(1)
    after, _ = torch.cuda.mem_get_info()
    assert during < before - 2**26
    assert after >= before - 2**26
