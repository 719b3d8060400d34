"""What programs of users do beside calling layers: write through views, count, mask, keep lists.

Each program is held against the module that it was made from, traced and scripted.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from facetscope.domain.errors import ModelUnreadableError, OperatorUnsupportedError
from facetscope.models.files import open_model


def pictures(batch):
    """The same random pictures at every call."""
    generator = torch.Generator().manual_seed(7)
    return torch.rand(batch, 3, 8, 8, dtype=torch.float64, generator=generator)


def trace(model):
    return torch.jit.trace(model, pictures(2), strict=False, check_trace=False)


@pytest.fixture
def translated(tmp_path):
    """Saves a program and translates its file."""

    def translate(program):
        path = tmp_path / "model.pt"
        program.save(str(path))
        return open_model(path).translate(pictures(1))

    return translate


def assert_computes(translation, model):
    """For another batch size than that of the trace: the same outputs, and the same gradient."""
    ours, theirs = pictures(3).requires_grad_(), pictures(3).requires_grad_()
    results = model(theirs)
    expected = results if isinstance(results, tuple) else (results,)
    found = translation.module(ours)
    torch.testing.assert_close(found, expected)
    gradients = (
        torch.autograd.grad(sum(part.square().sum() for part in outputs), batch)[0]
        for outputs, batch in ((found, ours), (expected, theirs))
    )
    torch.testing.assert_close(*gradients)


class ScalesChannels(nn.Module):
    def forward(self, x):
        y = x * 2
        y[:, 0] = y[:, 0] * 0.2 + 1
        y[:, 1] = x[:, 1] * 0.3
        y[:, 2] = x[:, 2] > 0.5
        return y.sin()


class ShiftsInTime(nn.Module):
    def forward(self, x):
        out = torch.zeros_like(x)
        out[:, :1, :, :-1] = x[:, :1, :, 1:]
        out[:, 1:2, :, 1:] = x[:, 1:2, :, :-1]
        out[:, 2:] = x[:, 2:]
        return out


class WritesThroughTwoViews(nn.Module):
    def forward(self, x):
        y = x.sin()
        flat = y.flatten(2).transpose(1, 2)
        flat[:, 3].mul_(3)
        y.permute(0, 2, 3, 1)[:, 0].add_(1)
        return y * y, flat


class WritesToTheImage(nn.Module):
    def forward(self, x):
        x = x * 1
        x.unsqueeze(1).squeeze(1).narrow(2, 1, 2).mul_(2)
        x.view(x.size(0), -1).add_(1)
        return x.sin()


class Sampled(nn.Module):
    """Picks one token for each image, by a range as long as the batch."""

    def forward(self, x):
        tokens = x.flatten(2).mean(-1)
        return tokens[torch.arange(x.shape[0]), tokens.argmax(-1)].unsqueeze(1)


class Attention(nn.Module):
    """Attention that torch fuses in evaluation, with masks of tokens, of keys, or of both."""

    def __init__(self, *masks):
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True)
        self.by_token, self.by_key = "tokens" in masks, "keys" in masks
        self.register_buffer("tokens", torch.ones(3, 3, dtype=torch.bool).triu(1))
        self.register_buffer("keys", torch.tensor([[False, False, True]]))

    def forward(self, x):
        tokens = x.mean(2)
        return self.layer(
            tokens,
            tokens,
            tokens,
            key_padding_mask=self.keys.expand(x.shape[0], -1) if self.by_key else None,
            attn_mask=self.tokens if self.by_token else None,
            average_attn_weights=self.by_token,
        )


class Encoder(nn.Module):
    """A layer of a transformer, which torch fuses as a whole."""

    def __init__(self, **options):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)

    def forward(self, x):
        return self.layer(x.mean(2))


PROGRAMS = [
    ScalesChannels(),
    ShiftsInTime(),
    WritesThroughTwoViews(),
    WritesToTheImage(),
    Sampled(),
    Attention(),
    Attention("tokens"),
    Attention("keys"),
    Attention("tokens", "keys"),
    Encoder(),
    Encoder(norm_first=True, activation="gelu"),
]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("form", [trace, torch.jit.script])
@pytest.mark.parametrize("model", PROGRAMS, ids=lambda model: type(model).__name__)
def test_a_program_computes_what_its_module_computes(translated, model, form):
    """Writes in place and fused operators are how people and torch save memory and time."""
    model = model.double().eval().requires_grad_(requires_grad=False)
    translation = translated(form(model))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert_computes(translation, model)


def test_what_a_layer_was_before_a_write_stays_addressable(translated):
    """The value after the write has the name of what replaces the part."""
    names = list(translated(trace(ScalesChannels())).values)
    assert names.index("mul") < names.index("select_scatter") < names.index("select_scatter#1")


class WritesToAHalf(nn.Module):
    def forward(self, x):
        y = x * 2
        one, _ = y.chunk(2, 3)
        one.add_(1)
        return y


def test_a_write_that_would_be_missed_is_refused(translated):
    """The graph has no memory to share: it says so rather than to leave the write out."""
    with pytest.raises(OperatorUnsupportedError, match="another view"):
        translated(trace(WritesToAHalf()))


class Language(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        parts: dict[str, Tensor] = {}
        for index in range(1, 8, 3):
            parts[str(index)] = x * index
        parts.update({"last": x})
        last = parts.pop("last")
        listed = [last]
        for name, part in parts.items():
            if name != "4":
                listed.insert(0, part)
        listed += [last + 1]
        listed.reverse()
        numbers = 2 * [3, 1, 2]
        numbers.sort()
        largest = max(numbers) + sum(numbers) + numbers.index(2) + sorted(numbers)[2]
        scale = math.pow(float(x.shape[2]), -0.5) + x.shape[3] ** 2
        if "7" in parts and parts.get("8") is None:
            scale += 1
        return torch.cat(listed, 1) * largest * scale


def test_the_language_around_tensors_is_computed(translated):
    """Scripts keep dictionaries of feature maps, and count in steps."""
    assert_computes(translated(torch.jit.script(Language())), Language())


class Repeats(nn.Module):
    def forward(self, x):
        return x + len([0] * 1000000000)


class Raises(nn.Module):
    def forward(self, x):
        base = x.shape[1]
        return x + base ** (base * 30)


@pytest.mark.parametrize(("model", "problem"), [(Repeats(), "grows"), (Raises(), "overflows")])
def test_a_script_cannot_make_the_translator_compute_without_end(translated, model, problem):
    """A list or a number of a gigabyte is made by a few characters."""
    with pytest.raises(OperatorUnsupportedError, match=problem):
        translated(torch.jit.script(model))


def test_an_archive_without_its_weights_is_refused_with_a_way_out(tmp_path):
    """Torch saves a model that was optimized for a processor, and cannot load it either."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    path = tmp_path / "model.pt"
    torch.jit.optimize_for_inference(torch.jit.script(model)).save(str(path))
    with pytest.raises(RuntimeError):
        torch.jit.load(path)
    with pytest.raises(ModelUnreadableError, match=r"save torch\.jit\.freeze"):
        open_model(path)
