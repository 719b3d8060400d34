"""A grammar of small vision networks: what real ones are made of, and what they seldom are."""

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

SIDE = 12


class Concat(nn.Module):
    def __init__(self, one, other):
        super().__init__()
        self.one = one
        self.other = other

    def forward(self, x):
        return torch.cat([self.one(x), self.other(x)], dim=1)


class Residual(nn.Module):
    def __init__(self, body, *, in_place):
        super().__init__()
        self.body = body
        self.in_place = in_place

    def forward(self, x):
        y = self.body(x)
        if self.in_place:
            y += x
            return y
        return x + y


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.layer(x.mean((2, 3), keepdim=True)))


class Halves(nn.Module):
    def forward(self, x):
        one, other = x.chunk(2, dim=1)
        return one * torch.sigmoid(other)


class Shuffled(nn.Module):
    """Groups of channels, interleaved."""

    def forward(self, x):
        batch, channels, height, width = x.shape
        grouped = x.view(batch, 2, channels // 2, height, width)
        return grouped.transpose(1, 2).contiguous().view(batch, channels, height, width)


class Sliced(nn.Module):
    def __init__(self, kind: int):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.kind == 0:
            return x[:, :, ::2, 1:]
        if self.kind == 1:
            return x[:, -2:]
        if self.kind == 2:
            return torch.flip(x, [2, 3])
        return torch.roll(x, [1, -2], [2, 3])


class Interpolated(nn.Module):
    def __init__(self, mode: str, corners: bool | None):  # noqa: FBT001 - torch's own argument
        super().__init__()
        self.mode = mode
        self.corners = corners

    def forward(self, x):
        return functional.interpolate(
            x, scale_factor=2.0, mode=self.mode, align_corners=self.corners
        )


class Mixed(nn.Module):
    """A matrix over the channels, as a sum of products."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels) / channels**0.5)

    def forward(self, x):
        return torch.einsum("nchw,cd->ndhw", x, self.weight)


class Padded(nn.Module):
    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode

    def forward(self, x):
        return functional.pad(x, [1, 0, 0, 2], mode=self.mode)


class Clamped(nn.Module):
    """Operators on elements, and a choice between them."""

    def forward(self, x):
        y = torch.where(x > 0, x, x.abs().sqrt() - 1)
        return torch.maximum(y.clamp(-2, 2), x / 3) + x**2 - 0.5


class Standardized(nn.Module):
    def forward(self, x):
        mean = x.mean(dim=[2, 3], keepdim=True)
        variance = x.var(dim=[2, 3], keepdim=True, unbiased=False)
        return (x - mean) * torch.rsqrt(variance + 1e-5)


class Tokens(nn.Module):
    """Positions in a row, with a token for the class before them."""

    def __init__(self, channels):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, channels))

    def forward(self, x):
        rows = x.flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(x.shape[0], -1, -1), rows], dim=1)


class Attention(nn.Module):
    def __init__(self, channels, *, fused):
        super().__init__()
        self.inward = nn.Linear(channels, 3 * channels)
        self.outward = nn.Linear(channels, channels)
        self.fused = fused

    def forward(self, x):
        batch, tokens, channels = x.shape
        qkv = self.inward(x).reshape(batch, tokens, 3, 2, channels // 2).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        if self.fused:
            y = functional.scaled_dot_product_attention(query, key, value)
        else:
            weights = torch.softmax(query @ key.transpose(-2, -1) * (channels // 2) ** -0.5, dim=-1)
            y = weights @ value
        return x + self.outward(y.transpose(1, 2).reshape(batch, tokens, channels))


class Perceptron(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 2 * channels)
        self.act = nn.GELU()
        self.drop = nn.Dropout(0.1)
        self.narrow = nn.Linear(2 * channels, channels)

    def forward(self, x):
        return x + self.drop(self.narrow(self.act(self.wide(self.norm(x)))))


class Pooled(nn.Module):
    """From images or tokens to one row for each image."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.kind == "mean":
            return x.mean(1) if x.dim() == 3 else x.mean([2, 3])
        if self.kind == "flatten":
            return torch.flatten(x, 1)
        return x[:, 0] if x.dim() == 3 else x.amax(dim=[2, 3])


class Unit(nn.Module):
    """Rows of length one."""

    def forward(self, x):
        return functional.normalize(x, dim=1)


def _either(*makes):
    """A layer by one of several makings, which need nothing but the number of channels."""
    return lambda channels: st.sampled_from(makes).map(lambda make: make(channels))


def activations(channels):
    """Pointwise layers; some overwrite what they are given."""
    places = st.booleans()
    return st.one_of(
        places.map(nn.ReLU),
        places.map(nn.ReLU6),
        places.map(lambda inplace: nn.LeakyReLU(0.1, inplace)),
        places.map(lambda inplace: nn.ELU(0.7, inplace)),
        places.map(nn.SiLU),
        places.map(nn.Hardswish),
        places.map(nn.Hardsigmoid),
        st.sampled_from(["none", "tanh"]).map(nn.GELU),
        st.sampled_from([nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Mish, nn.SELU]).map(lambda f: f()),
        st.builds(nn.PReLU, st.just(channels)),
    )


@st.composite
def convolutions(draw, channels, *, same=False):
    """With strides, dilations, groups, and every way to pad; or such as keep the shape."""
    size, dilation = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
    groups = draw(st.sampled_from([1, 2, channels]))
    around = dilation * (size // 2)
    return nn.Conv2d(
        channels,
        channels if same else draw(st.sampled_from([1, 2])) * channels,
        size,
        stride=1 if same else draw(st.sampled_from([1, 2])),
        padding=around if same else draw(st.sampled_from([0, around])),
        dilation=dilation,
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])),
    )


def residuals(channels):
    """A few layers beside nothing, joined by a sum."""
    bodies = st.builds(nn.Sequential, convolutions(channels, same=True), activations(channels))
    return st.builds(Residual, bodies, in_place=st.booleans())


def concatenations(channels):
    """Two layers beside one another."""
    bodies = st.builds(nn.Sequential, convolutions(channels, same=True), activations(channels))
    return st.builds(Concat, convolutions(channels, same=True), bodies)


normalizations = _either(
    nn.BatchNorm2d,
    lambda channels: nn.GroupNorm(2, channels),
    lambda channels: nn.InstanceNorm2d(channels, affine=True),
    lambda _: nn.LocalResponseNorm(3, alpha=0.1),
)

mixtures = _either(
    Gate,
    Mixed,
    lambda _: Shuffled(),
    lambda _: Sliced(2),
    lambda _: Sliced(3),
    lambda _: Clamped(),
    lambda _: Standardized(),
    lambda _: nn.Dropout2d(0.3),
    lambda _: nn.Softmax(dim=1),
    lambda _: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    lambda _: nn.MaxPool2d(3, 1, 1),
    lambda channels: nn.Sequential(nn.Conv2d(channels, 8, 1), Halves()),
    lambda channels: nn.Sequential(nn.Conv2d(channels, 8, 1), nn.PixelShuffle(2)),
)

reductions = _either(
    lambda _: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    lambda _: nn.MaxPool2d(2, stride=2, dilation=2),
    lambda _: nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    lambda _: nn.AvgPool2d(2),
    lambda _: nn.AdaptiveAvgPool2d(2),
    lambda _: Sliced(0),
    lambda _: Sliced(1),
)

enlargements = _either(
    lambda channels: nn.ConvTranspose2d(channels, 4, 3, 2, 1, 1),
    lambda _: Interpolated("nearest", None),
    lambda _: Interpolated("bilinear", corners=False),
    lambda _: Interpolated("bilinear", corners=True),
    lambda _: Interpolated("bicubic", corners=False),
    lambda _: Padded("constant"),
    lambda _: Padded("reflect"),
    lambda _: Padded("replicate"),
)

on_tokens = _either(
    lambda channels: Attention(channels, fused=True),
    lambda channels: Attention(channels, fused=False),
    Perceptron,
    nn.LayerNorm,
    lambda channels: nn.Linear(channels, channels),
)

on_rows = _either(
    nn.BatchNorm1d,
    lambda _: Unit(),
    lambda channels: nn.Linear(channels, 6),
    lambda _: nn.Softmax(dim=1),
    lambda _: nn.ReLU(inplace=True),
    lambda _: nn.Dropout(0.5),
)

SMALL, LARGE = 4, 24
"""Sides of images below which they are not made smaller, and above which not larger."""


WIDEST = 2
"""Pixels of padding at one side; an image that is reflected there has to be larger."""


def networks():
    """Networks for images of ``SIDE`` pixels, in inference and in double precision.

    Statistics and weights are such that no layer is a constant. Torch can differentiate them: it
    cannot where a layer overwrites what the gradient of the one before needs.
    """
    return _networks().filter(_is_differentiable)


def _is_differentiable(network):
    images = torch.randn(2, 3, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    try:
        network(images).sum().backward()
    except RuntimeError as error:
        if "modified by an inplace operation" in str(error):
            return False
        raise
    return True


@st.composite
def _networks(draw):
    torch.manual_seed(draw(st.integers(0, 10**6)))
    layers = [nn.Conv2d(3, 4, 3, padding=1)]
    images = torch.randn(2, 3, SIDE, SIDE)
    for _ in range(draw(st.integers(1, 4))):
        channels, side = _shape(layers, images)
        kinds = [convolutions] if side > SMALL else []
        kinds += [activations, normalizations, mixtures]
        kinds += [residuals, concatenations] if side > WIDEST else []
        kinds += [reductions] if side > SMALL else []
        kinds += [enlargements] if WIDEST < side < LARGE else []
        layers.append(draw(draw(st.sampled_from(kinds))(channels)))
    if draw(st.booleans()):
        channels, _ = _shape(layers, images)
        layers.append(Tokens(channels))
        layers += [draw(on_tokens(channels)) for _ in range(draw(st.integers(1, 2)))]
    layers.append(Pooled(draw(st.sampled_from(["mean", "flatten", "some"]))))
    if draw(st.booleans()):
        layers.append(draw(on_rows(_shape(layers, images)[0])))
    return _settled(nn.Sequential(*layers))


def _shape(layers, images):
    """Number of channels of what the layers compute, and length of the shortest axis of images."""
    with torch.no_grad():
        shape = nn.Sequential(*layers).eval()(images).shape
    return shape[1], min(shape[2:], default=shape[1])


def _settled(network):
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
        if isinstance(getattr(part, "weight", None), Tensor) and part.weight.dim() == 1:
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return network.double().eval()
