"""Exported programs as users make them, against the modules that they were made from."""

from itertools import product

import pytest
import torch
from tests.models.exported_program.samples import BATCH, exported, saved
from torch import nn
from torch.export import Dim
from torch.nn import functional

from facetscope.domain.errors import InputMismatchError, OperatorUnsupportedError
from facetscope.models.channels import channel_axes
from facetscope.models.exported_program import load, translate
from facetscope.models.groups import Groups

slow = pytest.mark.slow
SIDES = {"resnet18": 64, "squeezenet1_1": 96, "mobilenet_v3_small": 80, "densenet121": 64}
FAST = {("resnet18", "dynamic"), ("squeezenet1_1", "static")}
TRANSFORMERS = {"vit_b_16": 64, "swin_t": 64}

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec:FutureWarning")
"""What torch's own exporter warns itself of."""


@pytest.fixture
def translated(tmp_path):
    """Translates an archive for a batch like these images."""

    def translation(data, images):
        path = tmp_path / "model.pt2"
        path.write_bytes(data)
        return translate(path, load(path), images)

    return translation


def pictures(batch, side=8, *, dtype=torch.float32):
    """The same random pictures at every call."""
    return torch.rand(batch, 3, side, side, dtype=dtype, generator=torch.Generator().manual_seed(7))


def network(architecture):
    """A network of random weights and statistics, in double precision, for inference."""
    from torchvision import models

    torch.manual_seed(0)
    size = {"image_size": 64} if architecture.startswith("vit") else {}
    built = models.get_model(architecture, weights=None, **size).eval()
    for part in built.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, 0.02)  # torchvision starts ViT's head at zero
    return built.double()


def computing(translation):
    """The graph for any number of images."""
    module, batch = translation.module, translation.batch
    return module if batch is None else Groups(module, batch)


def gradient(model, images, weights):
    """What moves the weighted sum of the outputs."""
    images = images.clone().requires_grad_()
    (model(images) * weights).sum().backward()
    return images.grad


def difference(one, other):
    return float((one - other).norm() / other.norm())


def assert_equal(module, model, images):
    """Same outputs for any number of images, and the same gradients."""
    outputs = model(images).detach()
    torch.testing.assert_close(module(images)[0], outputs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(module(images[:1])[0], outputs[:1], rtol=1e-9, atol=1e-12)
    weights = torch.randn_like(outputs)
    wanted = gradient(model, images, weights)
    assert difference(gradient(lambda x: module(x)[0], images, weights), wanted) < 1e-9


@pytest.mark.parametrize(
    ("architecture", "form"),
    [
        pytest.param(*case, marks=[] if case in FAST else slow)
        for case in product(SIDES | TRANSFORMERS, ["dynamic", "static"])
    ],
)
def test_the_graph_computes_what_the_model_computes(translated, architecture, form):
    """An explanation is of the deployed model; exporters fix its batch to one unless told."""
    model, side = network(architecture), (SIDES | TRANSFORMERS)[architecture]
    images = pictures(3, side, dtype=torch.float64)
    dynamic = form == "dynamic"
    data = exported(model, images[: 1 + dynamic], dynamic_shapes=BATCH if dynamic else None)
    assert_equal(computing(translated(data, images[:2])), model, images)


class Transformer(nn.Module):
    """A small vision transformer, with the idioms that fix a batch size when it is exported."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 2, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 17, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.norm(self.patches(x))
        tokens = x.reshape(x.shape[0], 8, 16).permute(0, 2, 1)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], dim=1)
        windows = (tokens + self.positions)[:, 1:].reshape(x.shape[0] * 4, 4, 8)
        windows = functional.softmax(windows, dim=-1) + torch.arange(4).view(4, 1)
        mixed = tokens[:, 1:] * windows.reshape(x.shape[0], 16, 8)
        first, rest = self.layer(torch.cat([tokens[:, :1], mixed], 1)).split([1, 16], 1)
        return self.head(first[:, 0] + rest.amax(1) + torch.ones(x.shape[0], 1))


def transformer():
    torch.manual_seed(0)
    return Transformer().eval().double()


@pytest.mark.parametrize("dynamic_shapes", [BATCH, None], ids=["dynamic", "static"])
def test_a_program_for_one_image_takes_a_batch(translated, dynamic_shapes):
    """The default of torch.export makes one, with its shapes and its class token for one image."""
    model, images = transformer(), pictures(5, dtype=torch.float64)
    data = exported(model, images[: 2 if dynamic_shapes else 1], dynamic_shapes=dynamic_shapes)
    assert_equal(computing(translated(data, images[:2])), model, images)


def test_layers_are_the_same_whether_the_batch_was_fixed_or_not(translated):
    """A user who exports again with a dynamic batch finds the same units."""
    model, images = transformer(), pictures(2, dtype=torch.float64)
    modules, found = dict(model.named_modules()), []
    for data in (exported(model, images), exported(model, images[:1], dynamic_shapes=None)):
        translation = translated(data, images)
        axes = channel_axes(translation.module.graph)
        found.append(
            {
                name: (value.kind, value.shape, axes.get(value.node))
                for name, value in translation.values.items()
                if name in modules
            }
        )
    assert found[0] == found[1]
    assert len(found[0]) > 10
    assert found[0]["layer.linear1"] == ("Linear", (-1, 17, 12), 2)


def test_values_have_the_names_of_the_modules(translated):
    """People know layers by the paths that they wrote in their training code."""
    translation = translated(
        exported(network("resnet18").float(), pictures(2, 64)), pictures(1, 64)
    )
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


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
        self.add = nn.Conv2d(3, 3, 1)

    def forward(self, x, *, scale=None):
        once = self.add(x + 1) + (x if scale is None else x * scale)
        return {"once": once, "both": (self.block(self.block(once)), x.chunk(2, 2)[1])}


@pytest.mark.parametrize("strict", [False, True])
def test_repetitions_are_numbered_and_outputs_are_all_listed(translated, strict):
    """A unit is told by its layer's name alone, even if an operator is called like a module."""
    program = torch.export.export(
        Shared().eval(),
        (pictures(2),),
        dynamic_shapes={"x": {0: Dim("n")}, "scale": None},
        kwargs={"scale": None},
        strict=strict,
    )
    translation = translated(saved(program), pictures(1))
    assert [name for name in translation.values if "chunk" not in name] == [
        "/add",
        "add",
        "/add#1",
        "block.0",
        "block.1",
        "block",
        "block.0#1",
        "block.1#1",
        "block#1",
    ]
    assert translation.outputs == ("/add#1", "block.1#1", "chunk:1")
    assert len(translation.module(pictures(3))) == 3


def test_a_layer_is_what_it_was_before_a_later_relu_in_place(translated):
    """In-place ReLU is everywhere, and half of a batch norm's activations are negative."""
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True))
    translation = translated(exported(model, pictures(2)), pictures(2))
    interpreter = torch.fx.Interpreter(translation.module, garbage_collect_values=False)
    (after,) = interpreter.run(pictures(2) - 0.5)
    before = interpreter.env[translation.values["0"].node]
    assert before.min() < 0
    torch.testing.assert_close(after, before.relu())


class Scaled(nn.Module):
    """Has a constant that it fills by pieces, and sizes that follow the image."""

    def forward(self, x):
        mask = torch.zeros(1, 1, 4)
        mask[:, :, 2:] = torch.tensor(float("-inf"))
        pooled = functional.interpolate(x, size=(x.shape[2] // 2, 4))
        rows = (pooled + mask).softmax(-1).sum(2).view(x.shape[0], 12)
        return rows.to(torch.float64).float() * x.shape[2] + pooled.shape[2]


@pytest.mark.parametrize("side", [8, 12])
def test_a_dynamic_size_is_free_within_its_range(translated, side):
    """Who exports for several sizes is served at each."""
    height, width = Dim("height", min=8, max=16), Dim("width", min=4)
    shapes = ({0: Dim("batch"), 2: height, 3: width},)
    data = exported(Scaled(), pictures(2), dynamic_shapes=shapes)
    images = pictures(3, side)
    torch.testing.assert_close(translated(data, images).module(images)[0], Scaled()(images))
    with pytest.raises(InputMismatchError, match=r"\[batch, 3, 8 to 16, 4 or more\]") as caught:
        translated(data, pictures(3, 20))
    assert caught.value.asked == (3, 3, 20, 20)


def test_an_image_of_another_size_is_refused_with_the_size_that_was_exported(translated):
    """A size that the exporter took for granted may be anywhere in the program."""
    data = exported(nn.Conv2d(3, 4, 3), pictures(2))
    with pytest.raises(
        InputMismatchError, match=r"exported for images of shape \[batch, 3, 8, 8\]"
    ):
        translated(data, pictures(2, 9))


class Grouped(nn.Module):
    def forward(self, x):
        rows = x.view(x.shape[0], 3, 64).softmax(2)
        return torch.stack([row.sum(0) for row in rows])


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_program_of_a_fixed_batch_takes_any_number_of_images(translated, batch):
    """Rows of different images must not mix: the numbers would look right."""
    images = pictures(5, dtype=torch.float64)
    translation = translated(exported(Grouped(), images[:batch], dynamic_shapes=None), images)
    assert translation.batch == batch
    assert_equal(computing(translation), Grouped(), images)


class Averaging(nn.Module):
    def forward(self, x):
        return x - x.mean(0, keepdim=True).sigmoid()


def test_what_is_taken_across_a_batch_of_one_is_of_each_image(translated):
    """Such a program has one meaning for one image, and for several it would mix them."""
    images = pictures(3, dtype=torch.float64)
    data = exported(Averaging(), images[:1], dynamic_shapes=None)
    module = computing(translated(data, images))
    torch.testing.assert_close(module(images)[0], images - images.sigmoid())


class Competing(nn.Module):
    def forward(self, x):
        return x * x.softmax(0) + x.cumsum(0)


def test_images_of_a_batch_of_one_do_not_compete(translated):
    """A softmax along the batch keeps its length: only the values would tell."""
    images = pictures(3, dtype=torch.float64)
    translation = translated(exported(Competing(), images[:1], dynamic_shapes=None), images)
    assert translation.batch == 1
    torch.testing.assert_close(computing(translation)(images)[0], 2 * images)


@pytest.mark.parametrize("dynamic_shapes", [BATCH, None], ids=["dynamic", "static"])
def test_the_graph_lives_on_the_device_of_its_buffers(translated, dynamic_shapes):
    """A file exported on one device serves on another: nothing stays behind."""
    images = pictures(2 if dynamic_shapes else 1)
    data = exported(transformer().float(), images, dynamic_shapes=dynamic_shapes)
    module = computing(translated(data, pictures(1))).to("meta")
    assert module(pictures(3).to("meta"))[0].shape == (3, 5)


def test_a_half_precision_program_computes_in_the_precision_asked_for(translated):
    """Gradients of a model that was saved as float16 would overflow in its own precision."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().half()
    data = exported(model, pictures(2).half())
    wanted = model.float()(pictures(2)).detach()
    torch.testing.assert_close(translated(data, pictures(1)).module(pictures(2))[0], wanted)


def test_a_model_exported_in_training_is_translated_for_inference(translated):
    """Dropout at random would explain a different network at each step."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    program = torch.export.export(model, (pictures(2),), dynamic_shapes=BATCH)
    module = translated(saved(program), pictures(1)).module
    torch.testing.assert_close(module(pictures(2))[0], model.eval()(pictures(2)).detach())


class Mixed(nn.Module):
    """One of each operator that decomposition changes, and can be taken back."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm([4, 6, 6])
        )

    def forward(self, x):
        x = self.features(x)
        tokens = x.flatten(2)
        attended = functional.scaled_dot_product_attention(tokens, tokens, tokens)
        pooled = functional.adaptive_avg_pool2d(attended.unflatten(2, (6, 6)), 2)
        return pooled.flatten(1).softmax(1).log_softmax(1)


@pytest.mark.parametrize("dynamic_shapes", [BATCH, None], ids=["dynamic", "static"])
def test_a_decomposed_program_computes_what_the_model_computes(translated, dynamic_shapes):
    """Programs for other runtimes are kept in core ATen, which has less of gradients."""
    torch.manual_seed(0)
    model, images = Mixed().eval().double(), pictures(3, dtype=torch.float64)
    program = torch.export.export(
        model, (images[: 2 if dynamic_shapes else 1],), dynamic_shapes=dynamic_shapes
    )
    data = saved(program.run_decompositions())
    assert_equal(computing(translated(data, images)), model, images)


class Branches(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x * 3, (x,))


class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class TwoImages(nn.Module):
    def forward(self, x):
        return x[0] + x[1]


class Constant(nn.Module):
    def forward(self, x):
        return torch.ones(2, x.dim())


REFUSED = {
    Branches: "control flow",
    Random: "rand_like.*no translation",
    Constant: "no output",
    nn.Identity: "the image itself",
}


@pytest.mark.parametrize("model", REFUSED, ids=lambda model: model.__name__)
def test_what_has_no_translation_is_refused_by_name(translated, model):
    """Whoever gets a refusal learns which operator to replace."""
    data = exported(model(), pictures(2), dynamic_shapes=None)
    with pytest.raises(OperatorUnsupportedError, match=REFUSED[model]):
        translated(data, pictures(2))


def test_a_second_image_is_refused(translated):
    """Nobody could say which of the two an explanation is of."""
    both = [pictures(2), pictures(2)]
    data = saved(torch.export.export(TwoImages(), (both,)))
    with pytest.raises(OperatorUnsupportedError, match="takes 2 tensors"):
        translated(data, pictures(2))
