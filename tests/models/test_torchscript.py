"""TorchScript archives as users make them, against the modules that they were made from."""

import random

import pytest
import torch
from tests.assets import models
from torch import Tensor, nn

from facetscope.domain.errors import (
    InputMismatchError,
    InspectionError,
    OperatorUnsupportedError,
)
from facetscope.models import policy
from facetscope.models.torchscript import evaluator, translate

FORMS = {
    "traced": torch.jit.trace,
    "scripted": lambda model, _: torch.jit.script(model),
    "frozen": lambda model, images: torch.jit.freeze(torch.jit.trace(model, images)),
}
SIDES = {"resnet18": 64, "squeezenet1_1": 96, "mobilenet_v3_small": 80, "densenet121": 64}

TRACE_WARNS = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
"""Tracing warns of what torch's own modules do."""


@pytest.fixture
def archive(tmp_path):
    """Writes a module as an archive."""

    def write(program):
        path = tmp_path / "model.pt"
        program.save(str(path))
        return path

    return write


@pytest.fixture
def scripted(archive):
    """Translates a scripted module for pictures of 8 by 8."""
    return lambda model: translate(archive(torch.jit.script(model.eval())), pictures(1))


@pytest.fixture
def traced(archive):
    """Translates a module traced with two pictures of 8 by 8."""
    return lambda model: translate(archive(torch.jit.trace(model.eval(), pictures(2))), pictures(1))


def pictures(batch, side=8, *, dtype=torch.float32):
    """The same random pictures at every call."""
    return torch.rand(batch, 3, side, side, dtype=dtype, generator=torch.Generator().manual_seed(7))


def network(architecture):
    """A network of random weights and statistics, in double precision, for inference."""
    from torchvision import models

    torch.manual_seed(0)
    built = models.get_model(architecture, weights=None).eval()
    for part in built.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return built.double()


def gradient(model, images, weights):
    """What moves the weighted sum of the outputs."""
    images = images.clone().requires_grad_()
    (model(images) * weights).sum().backward()
    return images.grad


def difference(one, other):
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("architecture", SIDES)
def test_the_graph_computes_what_the_model_computes(archive, architecture, form):
    """An explanation is of the deployed model: same outputs, same gradients, any batch size."""
    model, side = network(architecture), SIDES[architecture]
    images = pictures(3, side, dtype=torch.float64)
    graph = translate(archive(FORMS[form](model, images[:2])), images[:1]).module
    outputs = model(images).detach()
    torch.testing.assert_close(graph(images)[0], outputs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(graph(images[:1])[0], outputs[:1], rtol=1e-9, atol=1e-12)
    weights = torch.randn_like(outputs)
    wanted = gradient(model, images, weights)
    assert difference(gradient(lambda x: graph(x)[0], images, weights), wanted) < 1e-9


@pytest.mark.parametrize("path", models("*.ts.pt"))
def test_a_real_file_translates(path):
    """The files that people deploy are not those that tests build."""
    images = pictures(3, 128, dtype=torch.float64)
    original = torch.jit.load(path).double()
    graph = translate(path, images).module
    outputs = original(images).detach()
    torch.testing.assert_close(graph(images)[0], outputs)
    wanted = gradient(original, images, outputs)
    assert difference(gradient(lambda x: graph(x)[0], images, outputs), wanted) < 1e-9


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_values_have_the_names_of_the_modules(archive, form):
    """People know layers by the paths that they wrote in their training code."""
    program = FORMS[form](network("resnet18").float(), pictures(2, 64))
    translation = translate(archive(program), pictures(1, 64))
    names = list(translation.values)
    first = names.index("layer1.0.conv1")
    assert names[:4] == ["conv1", "bn1", "relu", "maxpool"]
    assert names[first : first + 8] == [
        "layer1.0.conv1",
        "layer1.0.bn1",
        "layer1.0.relu",
        "layer1.0.conv2",
        "layer1.0.bn2",
        "layer1.0/add",
        "layer1.0.relu#1",
        "layer1.0",
    ]
    assert translation.values["layer1.0"].kind == "BasicBlock"
    assert translation.values["layer1.0/add"].kind == "add"
    assert translation.values["conv1"].kind == "Conv2d"
    assert translation.values["conv1"].shape == (-1, 64, 32, 32)
    assert translation.outputs == ("fc",)


def test_a_frozen_archive_names_values_by_operator(archive):
    """Freezing leaves no modules, and its layers must be addressable all the same."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)).eval()
    translation = translate(archive(FORMS["frozen"](model, pictures(2))), pictures(1))
    assert list(translation.values) == ["convolution", "relu", "convolution#1"]


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.add = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        once = self.add(x + 1) + x
        return {"once": once, "both": (torch.relu(once), self.add(once))}


def test_names_are_unique_and_outputs_are_all_listed(scripted):
    """A unit is told by its layer's name alone, even if an operator is called like a module."""
    translation = scripted(Shared())
    assert list(translation.values) == ["/add", "add", "/add#1", "relu", "add#1"]
    assert translation.outputs == ("/add#1", "relu", "add#1")
    assert len(translation.module(pictures(3))) == 3


class Halves(nn.Module):
    def forward(self, x):
        one, other = torch.relu(x).chunk(2, dim=2)
        return one * other


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_each_of_several_results_has_a_name(archive, form):
    """The halves of a split are tensors like any other."""
    translation = translate(archive(FORMS[form](Halves(), pictures(2))), pictures(1))
    assert list(translation.values) == ["relu", "chunk:0", "chunk:1", "mul"]


def test_a_layer_is_what_it_was_before_a_later_relu_in_place(traced):
    """In-place ReLU is everywhere, and half of a batch norm's activations are negative."""
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True))
    translation = traced(model)
    before = reading(translation, "0", pictures(2) - 0.5)
    assert before.min() < 0
    torch.testing.assert_close(translation.module(pictures(2) - 0.5)[0], before.relu())


def reading(translation, name, images):
    """One value of the graph, computed node by node."""
    interpreter = torch.fx.Interpreter(translation.module, garbage_collect_values=False)
    interpreter.run(images)
    return interpreter.env[translation.values[name].node]


class WritesConstant(nn.Module):
    def forward(self, x):
        bias = torch.zeros(3, 1, 1)
        y = x + bias
        bias.add_(1)
        return y + bias


def test_a_constant_that_changes_between_two_uses_is_refused(scripted):
    """A constant is one buffer, which has one value."""
    with pytest.raises(OperatorUnsupportedError, match="used before"):
        scripted(WritesConstant())


@pytest.mark.parametrize("form", FORMS)
def test_the_graph_lives_on_the_device_of_its_buffers(archive, form):
    """A file traced on one device serves on another: nothing stays behind."""

    class Masked(nn.Module):
        def forward(self, x):
            mask = torch.ones(x.shape[0], 1, device=x.device).to(x.device)
            return x.flatten(1) * mask * torch.arange(192, device=x.device)

    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Masked()).eval()
    program = FORMS[form](model, pictures(2))
    module = translate(archive(program), pictures(1)).module.to("meta")
    assert module(pictures(3).to("meta"))[0].shape == (3, 192)


def test_the_graph_takes_every_memory_layout(traced):
    """Convolutions are faster in channels-last layout, in which a view would fail."""

    class Viewed(nn.Module):
        def forward(self, x):
            return x.view(x.size(0), -1)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Viewed())
    module = traced(model).module.to(memory_format=torch.channels_last)
    images = pictures(3).to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(images)[0], model(pictures(3)).detach())


def test_a_half_precision_archive_computes_in_the_precision_asked_for(archive):
    """Gradients of a model that was saved as float16 would overflow in its own precision."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().half()
    translation = translate(archive(torch.jit.script(model)), pictures(1))
    wanted = model.float()(pictures(2)).detach()
    torch.testing.assert_close(translation.module(pictures(2))[0], wanted)


@TRACE_WARNS
def test_a_model_saved_in_training_is_translated_for_inference(archive):
    """Dropout at random would explain a different network at each step."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    for program in (
        torch.jit.script(model),
        torch.jit.trace(model, pictures(2), check_trace=False),
    ):
        module = translate(archive(program), pictures(1)).module
        torch.testing.assert_close(module(pictures(2))[0], model.eval()(pictures(2)).detach())
        model.train()


class FusedAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(12, 2, batch_first=True)

    def forward(self, x):
        tokens = x.flatten(2)[:, :, :12].contiguous()
        return self.layer(tokens, tokens, tokens, need_weights=False)[0]


@TRACE_WARNS
def test_fused_attention_gets_its_gradient_back(archive):
    """A trace in inference has a fused operator that torch cannot differentiate."""
    model = FusedAttention().eval().requires_grad_(requires_grad=False)
    program = torch.jit.trace(model, pictures(2), check_trace=False)
    assert "_native_multi_head_attention" in str(program.inlined_graph)
    module = translate(archive(program), pictures(1)).module
    with torch.enable_grad():
        wanted = gradient(model, pictures(3), torch.ones(3, 3, 12))
    found = gradient(lambda x: module(x)[0], pictures(3), torch.ones(3, 3, 12))
    torch.testing.assert_close(found, wanted)


class FixedBatch(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(self.shape)


@pytest.mark.parametrize("shape", [(2, 192), (2, -1), (1, 384), (1, 3, -1)])
def test_a_trace_of_one_batch_size_is_refused(traced, shape):
    """Rows of different images would mix, and the numbers would look right."""
    with pytest.raises(OperatorUnsupportedError, match="trace the model with a batch"):
        traced(FixedBatch(*shape))


def test_an_image_of_another_size_is_refused_with_the_models_reason(archive):
    """The user chose the size, and the file does not declare one."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(InputMismatchError, match=r"1/linear.*reduction dim") as caught:
        translate(archive(torch.jit.script(model)), pictures(1, 9))
    assert caught.value.asked == (1, 3, 9, 9)


class Picky(nn.Module):
    def forward(self, x):
        if x.shape[2] != 9:
            raise ValueError(f"wanted 9 rows and got {x.shape[2]}")
        return x


def test_a_model_that_raises_is_quoted(scripted):
    """Models check their inputs, and explain themselves best."""
    with pytest.raises(InputMismatchError, match="wanted 9 rows and got 8"):
        scripted(Picky())


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class BranchesOnBatch(nn.Module):
    def forward(self, x):
        return x if x.size(0) == 5 else -x


class Endless(nn.Module):
    def forward(self, x):
        count = 0
        while count < 10**15:
            count += 1
        return x + count


class Overflows(nn.Module):
    def forward(self, x):
        count = 3
        while count > 0:
            count = count * count
        return x + count


class Doubles(nn.Module):
    def forward(self, x):
        sizes = [1, 2]
        while len(sizes) > 0:
            sizes = sizes + sizes
        return x + sizes[0]


class Huge(nn.Module):
    def forward(self, x):
        return x + torch.zeros(1 << 20, 1 << 20).sum()


class Reads(nn.Module):
    def forward(self, x):
        return x + torch.from_file("/etc/hostname", size=1, dtype=torch.uint8)


class Saves(nn.Module):
    def forward(self, x):
        torch.save([x], "taken")
        return x


class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand(1)


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


class Prints(nn.Module):
    def forward(self, x):
        print("seen")  # noqa: T201
        return x + 1


class TwoImages(nn.Module):
    def forward(self, x, y):
        return x + y


class Constant(nn.Module):
    def forward(self, x: Tensor):
        return torch.ones(x.dim(), 2)


class Same(nn.Module):
    def forward(self, x):
        return x


REFUSED = {
    Branches: "pixels",
    BranchesOnBatch: "batch size",
    Endless: "more than 1000 steps",
    Overflows: "overflows",
    Doubles: "grows",
    Huge: "elements",
    Reads: "from_file.*no translation",
    Saves: "save.*no translation",
    Random: "rand.*no translation",
    Remembers: "SetAttr.*no translation",
    Prints: "Print.*no translation",
    TwoImages: "another input",
    Constant: "no output",
    Same: "the image itself",
}


@pytest.mark.parametrize(
    ("model", "problem"), REFUSED.items(), ids=lambda x: getattr(x, "__name__", None)
)
def test_what_has_no_translation_is_refused_by_name(scripted, monkeypatch, model, problem):
    """Whoever gets a refusal learns which operator to replace; and no program runs or hangs."""
    monkeypatch.setattr(evaluator, "STEPS", 1000)
    with pytest.raises(OperatorUnsupportedError, match=problem):
        scripted(model())


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_archive_is_an_error_of_the_domain(archive, seed):
    """Uploads break; the worker must answer, not crash."""
    path = archive(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())))
    chance = random.Random(seed)
    damaged = bytearray(path.read_bytes())
    if seed % 3 == 0:
        del damaged[chance.randrange(len(damaged)) :]
    else:
        for _ in range(seed % 3):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    path.write_bytes(damaged)
    try:
        policy.check_torchscript(path)
        translate(path, pictures(1))
    except InspectionError:
        pass
