"""Seconds of an evaluation of ten pictures of 224 pixels, ours and those of other tools in turn."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import torch
from tests.benchmarks.synthesis.methods import METHODS, pictures
from tests.benchmarks.synthesis.subjects import BELL_PEPPER, real
from tests.benchmarks.timing import timed

from facetscope.domain.jobs import MaximizeActivation
from facetscope.domain.recipes import Recipe
from facetscope.domain.schedules import Schedule
from facetscope.domain.syntheses import Start
from facetscope.domain.units import Unit

FILES = ("efficientnet_lite0_fp16w.onnx", "squeezenet1_1_fp16w.onnx")
PICTURES, ROUNDS, SIDE = 10, 2, 224
SHORTER = 20
"""By how much our schedules are shortened, every phase in proportion."""

STEPS = 8
"""Evaluations of ten pictures that the other tools are asked for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one tool on one network.

    Attributes:
        network: Its file.
        tool: Whose, or the method of ours.
        weights: Whether they have gradients, as they do where nobody says otherwise.
        seconds: The shortest of all rounds, of one evaluation of ten pictures of 224 pixels.
        pixels: What the network really saw of each, as a part of 224 x 224.
    """

    network: str
    tool: str
    weights: str
    seconds: float
    pixels: float


def paces(inspector, peers, tools):
    """Whole calls, divided by their evaluations, interleaved; a first round does not count."""
    unit = Unit("logits", BELL_PEPPER)
    for file in FILES:
        model = real(file)
        works = {
            (method.name, "none"): lambda method=method: ours(inspector, model, unit, method)
            for method in {each.way: each for each in reversed(METHODS)}.values()
        }
        works["our graph alone", "frozen"] = lambda: alone(model, unit)
        for tool in tools:
            for weights in ("with gradients", "frozen"):
                works[tool, weights] = lambda tool=tool, weights=weights: theirs(
                    peers, tool, model, unit, weights
                )
        taken = defaultdict(list)
        for turn in range(ROUNDS + 1):
            for key, work in works.items():
                found = work()
                if turn:
                    taken[key].append(found)
        for (tool, weights), found in taken.items():
            seconds, pixels = min(found)
            yield Pace(file.split("_")[0], tool, weights, seconds, pixels)


def ours(inspector, model, unit, method):
    """Seconds of an evaluation, by a job from noise."""
    shorter = replace(method, way=shortened(method.way), start=Start.NOISE)
    levels = np.random.default_rng(0).integers(0, 256, (1, 3, SIDE, SIDE), dtype=np.uint8)
    job = MaximizeActivation(
        model=str(model.path),
        unit=unit,
        input=model.spec,
        synthesis=shorter.synthesis,
        count=PICTURES,
        spectrum=pictures(levels) if shorter.synthesis.keeps_magnitudes else (),
    )
    seconds = timed(lambda: list(inspector.run(job, {job.model: model.path})))
    return seconds / shorter.way.steps, 1.0


def shortened(way):
    """A recipe of fewer steps, or a schedule with as many of each kind, in proportion."""
    if isinstance(way, Recipe):
        return replace(way, steps=way.steps // SHORTER)
    phases = (replace(phase, steps=max(1, round(phase.steps / SHORTER))) for phase in way.phases)
    return Schedule(tuple(phases), authors_ramps=way.authors_ramps)


def alone(model, unit):
    """Seconds of the forward and backward pass that no tool can do without."""
    reading = model.opened.network.reading([unit.layer])
    shown = torch.rand(PICTURES, 3, SIDE, SIDE, requires_grad=True)

    def passes():
        for _ in range(STEPS):
            (logits,) = reading(model.opened.preprocessing(255 * shown))
            torch.autograd.grad(logits[:, unit.channel].sum(), shown)

    return timed(passes) / STEPS, 1.0


def theirs(peers, tool, model, unit, weights):
    """Seconds of an evaluation of as many pictures, or of as many crops of one.

    A tool that shows the network larger or smaller pictures than 224 pixels, as its transforms
    have it, is credited in proportion.
    """
    asked = {"count": PICTURES, "evaluations": STEPS}
    if tool == "faccent":
        asked = {"count": 1, "evaluations": STEPS * PICTURES, "transforms": PICTURES}
    _, cost = peers.draw(tool, model, unit, frozen=weights == "frozen", **asked)
    shown = cost["pixels"] / SIDE**2
    return PICTURES * cost["seconds"] / shown, shown / cost["evaluations"]
