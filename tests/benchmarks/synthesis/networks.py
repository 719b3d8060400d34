"""Networks as modules with hooks, which is what the tools that we are compared with take.

Imported by their environment too, so of torch alone.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import interpolate

STAGES = (
    # kernel, stride, expansion, channels, repeats
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Of EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation, and with ReLU6)."""

STEM, HEAD, CLASSES = 32, 1280, 1000

WIDTHS = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
HALVING = (1, 3, 5, 11)
"""Of MobileNetV1 at a quarter of its width (Howard et al. 2017): which pairs of layers halve."""


class Seen(nn.Module):
    """A network of pictures with values in [0, 1], which every tool can give.

    Its logits are the output of the one module ``network``, so all tools find them by that name.
    """

    def __init__(self, network, scale, shift, size=None):
        """Take pictures of any size, or resize them to ``size`` where the network takes no other.

        A network of one channel sees the mean of the three that most tools draw.
        """
        super().__init__()
        self.network = network
        self.size = size
        self.register_buffer("scale", torch.as_tensor(scale).float().reshape(-1, 1, 1))
        self.register_buffer("shift", torch.as_tensor(shift).float().reshape(-1, 1, 1))

    def forward(self, pictures):
        if self.size and pictures.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            pictures = interpolate(pictures, size, mode="bilinear", antialias=True)
        if pictures.shape[1] > len(self.scale):
            pictures = pictures.mean(dim=1, keepdim=True)
        return self.network(torch.addcmul(self.shift, pictures, self.scale))


class EfficientNetLite0(nn.Module):
    """The network, its normalization folded into the convolutions as in files for inference."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(*_convolution(3, STEM, 3, stride=2), nn.ReLU6())
        self.blocks = nn.Sequential(*_blocks())
        self.head = nn.Sequential(nn.Conv2d(STAGES[-1][3], HEAD, 1), nn.ReLU6())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(HEAD, CLASSES)

    def forward(self, images):
        return self.fc(self.pool(self.head(self.blocks(self.stem(images)))).flatten(1))


class Block(nn.Module):
    """Widens, filters each channel by itself, and narrows again."""

    def __init__(self, taken, given, *, kernel, stride, expansion):
        super().__init__()
        wide = taken * expansion
        widening = (nn.Conv2d(taken, wide, 1), nn.ReLU6()) if expansion > 1 else ()
        filtering = _convolution(wide, wide, kernel, stride=stride, groups=wide)
        self.body = nn.Sequential(*widening, *filtering, nn.ReLU6(), nn.Conv2d(wide, given, 1))
        self.adds = stride == 1 and taken == given

    def forward(self, values):
        return values + self.body(values) if self.adds else self.body(values)


class MobileNet(nn.Module):
    """MobileNetV1 at a quarter of its width, normalization folded: pairs of two convolutions."""

    def __init__(self):
        super().__init__()
        pairs = [nn.Sequential(*_convolution(3, WIDTHS[0] // 2, 3, stride=2), nn.ReLU6())]
        for number, (taken, given) in enumerate(pairwise((WIDTHS[0] // 2, *WIDTHS))):
            stride = 2 if number in HALVING else 1
            filtering = _convolution(taken, taken, 3, stride=stride, groups=taken)
            pairs.append(nn.Sequential(*filtering, nn.ReLU6()))
            pairs.append(nn.Sequential(nn.Conv2d(taken, given, 1), nn.ReLU6()))
        last = nn.Sequential(nn.Conv2d(WIDTHS[-1], CLASSES, 1))
        parts = [*pairs, nn.AdaptiveAvgPool2d(1), last]
        self.mods = nn.ModuleDict({f"op{number}": part for number, part in enumerate(parts)})

    def forward(self, images):
        for part in self.mods.values():
            images = part(images)
        return images.flatten(1)


def squeezenet():
    """SqueezeNet 1.1, as torchvision has it."""
    from torchvision.models import squeezenet1_1

    return squeezenet1_1(weights=None)


def _blocks():
    taken = STEM
    for kernel, stride, expansion, given, repeats in STAGES:
        for repeat in range(repeats):
            first = repeat == 0
            yield Block(
                taken, given, kernel=kernel, stride=stride if first else 1, expansion=expansion
            )
            taken = given


def _convolution(taken, given, kernel, *, stride, groups=1):
    """TensorFlow pads by as much as is needed, and at the right and lower border first."""
    if stride == 1:
        return (nn.Conv2d(taken, given, kernel, padding=kernel // 2, groups=groups),)
    before, after = (kernel - stride) // 2, (kernel - 1) // 2
    return (
        nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(taken, given, kernel, stride=stride, groups=groups),
    )
