"""Other tools for feature visualization, each asked for pictures of one unit.

Runs in an environment of its own, reads tasks as lines of JSON, and answers each with a line:

    .venv-peers/bin/python -m tests.benchmarks.synthesis.peers

Every tool draws as it does by default, at the network's input size. What it is asked for is the
number of evaluations of the network for each picture.
"""

import json
import os
import random
import sys
import time
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import nn

LOGITS = "network"
"""The module that gives them, in every network."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked for.

    Attributes:
        tool: Which.
        network: File of a module that takes pictures in [0, 1] and has its logits in ``network``.
        channels: Of the pictures that it takes.
        size: Of them, in pixels.
        unit: Index of the logit.
        pictures: How many, each from its own noise.
        evaluations: Of the network for each picture.
        transforms: How many of these one step of faccent makes.
        seed: Of all randomness.
        frozen: Whether weights are kept from having gradients, which no tool but faccent does.
        threads: Of torch.
        out: Where to put the pictures, values in [0, 1], [picture, channel, height, width].
    """

    tool: str
    network: str
    channels: int
    size: int
    unit: int
    pictures: int
    evaluations: int
    transforms: int
    seed: int
    frozen: bool
    threads: int
    out: str


def lucent(network, task):
    """torch-lucent; its own upsampling brings pictures to the network's size."""
    from lucent.optvis import objectives, param, render

    channels = None if task.channels == 3 else task.channels
    (found,) = render.render_vis(
        network,
        objectives.channel(LOGITS, task.unit),
        lambda: param.image(task.size, batch=task.pictures, channels=channels),
        thresholds=(task.evaluations,),
        preprocess=False,
        fixed_image_size=task.size,
        progress=False,
        show_image=False,
    )
    return torch.from_numpy(found).movedim(3, 1)


def torch_dreams(network, task):
    """torch-dreams; it always normalizes for ImageNet, and has a way to take that back."""
    from torch_dreams import Dreamer
    from torch_dreams.batched_image_param import BatchedAutoImageParam
    from torch_dreams.batched_objective import BatchedObjective

    dreamer = Dreamer(network, quiet=True, device="cpu")
    dreamer.set_custom_normalization(nn.Identity())
    blank = BatchedAutoImageParam(
        batch_size=task.pictures, width=task.size, height=task.size, device="cpu"
    )
    drawn = dreamer.render(
        layers=[network.network],
        image_parameter=blank,
        iters=task.evaluations,
        custom_func=BatchedObjective([lambda out: -out[0][:, task.unit].mean()] * task.pictures),
    )
    return torch.stack([each.to_chw_tensor() for each in drawn.image_params])


def dreamlens(network, task):
    """dreamlens, with its classic engine."""
    from dreamlens import FeatureVisualizer, RenderConfig

    visualizer = FeatureVisualizer(network, quiet=True, device="cpu", normalize=False)
    config = RenderConfig(width=task.size, height=task.size, steps=task.evaluations)
    found = visualizer.maximize_neurons(LOGITS, [task.unit] * task.pictures, config=config)
    return found.as_nchw()


def faccent(network, task):
    """faccent, a picture at a time: a step is of many crops, and one step more shows the last."""
    from faccent import objectives, param, render

    steps = ceil(task.evaluations / task.transforms)
    drawn = []
    for _ in range(task.pictures):
        (picture,), *_ = render.render_vis(
            network,
            objectives.channel(LOGITS, task.unit),
            param.fourier(device=torch.device("cpu"), img_size=(task.size, task.size)),
            out_thresholds=[steps],
            inline_thresholds=[],
            nb_transforms=task.transforms,
            model_input_size=(task.size, task.size),
            model_input_range=(0, 1),
            img_size=(task.size, task.size),
            progress=False,
        )
        drawn.append(picture)
    return torch.cat(drawn)


TOOLS = {
    "torch-lucent": lucent,
    "torch-dreams": torch_dreams,
    "dreamlens": dreamlens,
    "faccent": faccent,
}


def draw(task):
    """What came of a task: pictures in its file, and what they cost."""
    network = torch.load(task.network, weights_only=False)
    network.requires_grad_(requires_grad=not task.frozen)
    seen = []
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    torch.set_num_threads(task.threads)
    _seed(task.seed)
    began = time.perf_counter()
    pictures = TOOLS[task.tool](network, task)
    seconds = time.perf_counter() - began
    np.save(task.out, pictures.detach().float().numpy())
    return {
        "seconds": seconds,
        "evaluations": sum(batch for batch, *_ in seen),
        "pixels": sum(batch * height * width for batch, _, height, width in seen),
    }


def _seed(seed):
    """The tools draw from all three, and none takes a seed of its own."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it is what they draw from
    random.seed(seed)


def main():
    """Answer every line until there is no more; what the tools print goes to the log."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(draw(Task(**json.loads(line)))), file=answers, flush=True)


if __name__ == "__main__":
    main()
