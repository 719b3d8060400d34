"""The authors' steps, against a script that is written from their description, one image at a time.

That one is numpy, scipy and scikit-image alone, as theirs was; both follow the same gradients, and
draw the same random numbers.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.restoration import denoise_tv_bregman
from torch import nn

from facetscope.algorithms.ascent import ascend
from facetscope.algorithms.authors import denoise_by_split_bregman, resize_by_splines
from facetscope.algorithms.canvases import resize
from facetscope.algorithms.denoising import denoise
from facetscope.domain.schedules import AUTHORS_CODE, CENTER_BIASED, Schedule
from facetscope.domain.units import Readout

OCTAVES = (
    {"steps": 190, "size": (1, 2), "weight": (0.4, 0.4), "window": 0.3, "margin": 0},
    {
        "steps": 150,
        "size": (1.0, 1.0),
        "weight": (0.01, 2),
        "window": 0.3,
        "margin": 0,
        "zoom": 1.2,
    },
    {"steps": 20, "size": (2.0, 2.0), "weight": (0.1, 2), "window": 0.2, "margin": 50, "zoom": 1.0},
    {"steps": 10, "size": (2.0, 2.0), "weight": (0.4, 2), "window": 0.3, "margin": 0},
)
"""The table of the script, with its whole numbers where it has whole numbers."""

CENTER_OCTAVES = (
    {"steps": 20, "size": (11.0, 11.0), "weight": (0.001, 0.05), "window": 0.3, "margin": 0},
    {
        "steps": 20,
        "size": (6.0, 6.0),
        "weight": (0.01, 0.08),
        "window": 0.3,
        "margin": 0,
        "zoom": 1.2,
    },
    {"steps": 20, "size": (1.0, 1.0), "weight": (0.01, 2), "window": 0.3, "margin": 0, "zoom": 1.2},
    {"steps": 20, "size": (3.0, 3.0), "weight": (0.1, 2), "window": 0.1, "margin": 50, "zoom": 1.0},
)
"""Of the script of the center-biased images, with fewer steps, and without its last octave."""


def divided(numerator, denominator):
    """As Python 2 divides."""
    whole = isinstance(numerator, int) and isinstance(denominator, int)
    return numerator // denominator if whole else numerator / denominator


def script(start, gradient_of, octaves, generator):
    """The canvas after every step, from a picture [channel, height, width]."""
    canvas, side = start.copy(), start.shape[1]
    for octave in octaves:
        if "zoom" in octave:
            canvas = ndimage.zoom(canvas, (1, octave["zoom"], octave["zoom"]))
        slack = canvas.shape[1] - side
        for step in range(octave["steps"]):
            deviates = torch.randn(2, generator=generator).tolist()
            top, left = (
                int(np.clip(slack / 2 + slack * octave["window"] * each, 0, slack))
                for each in deviates
            )
            part = canvas[:, top : top + side, left : left + side]
            part[:] = stepped(part.copy(), gradient_of, octave, step)
            yield canvas.copy()


def stepped(crop, gradient_of, octave, step):
    """One step: ascent inside the margin, clipping, and denoising of all of the crop."""
    count, side = octave["steps"], crop.shape[1]
    first, last = octave["size"]
    size = first + divided((last - first) * step, count)
    start, end = octave["weight"]
    weight = start - divided(start - end * step, count)
    gradient = gradient_of(crop)
    margin = round(octave["margin"] * side / 227)
    mask = np.zeros_like(gradient)
    mask[:, margin : side - margin, margin : side - margin] = 1
    gradient *= mask
    crop += size / np.abs(gradient).mean() * gradient
    crop = np.clip(crop, 0, 255)
    picture = crop.transpose(1, 2, 0)
    smooth = denoise_tv_bregman(picture, weight=weight * 227 / side, max_num_iter=100, eps=1e-3)
    return smooth.reshape(picture.shape).transpose(2, 0, 1)


def tiny_network(channels):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(channels, 8, 5, stride=2), nn.Tanh(), nn.Conv2d(8, 4, 3), nn.Tanh()
    ).double()
    return lambda images: layers((images - 117) / 58)[:, 1].mean(dim=(1, 2))


def gradient_of(objective):
    def gradient(crop):
        leaf = torch.from_numpy(crop)[None].requires_grad_()
        (found,) = torch.autograd.grad(objective(leaf).sum(), leaf)
        return found[0].numpy()

    return gradient


def noise(channels, side):
    generator = torch.Generator().manual_seed(5)
    shape = (1, channels, side, side)
    return (128 + 40 * torch.randn(shape, generator=generator, dtype=torch.float64)).clamp(0, 255)


def deviations(
    channels, side, *, octaves=OCTAVES, plan=AUTHORS_CODE, most=math.inf, dtype=torch.float64
):
    """The largest difference between script and service after each step, in grey levels."""
    objective, start = tiny_network(channels), noise(channels, side)
    expected = script(
        start[0].numpy(), gradient_of(objective), octaves, torch.Generator().manual_seed(3)
    )
    steps = ascend(
        dict.fromkeys(Readout, lambda images: objective(images.double()).to(dtype)),
        start.to(dtype),
        schedule=plan,
        generators=[torch.Generator().manual_seed(3)],
    )
    found = []
    for step, canvas in zip(steps, expected, strict=True):
        assert step.canvas.shape[1:] == canvas.shape
        found.append(float(np.abs(step.canvas[0].numpy() - canvas).max()))
        assert found[-1] <= most, f"step {step.index}, phase {step.phase}"
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_every_step_is_the_scripts(channels):
    """All 370, from the same crops: what differs is the rounding of double precision."""
    found = deviations(channels, 20, most=1e-9)
    assert len(found) == 370


def test_at_the_size_of_the_paper_nothing_is_scaled():
    """227 pixels, a canvas of 272, a margin of 50: a few steps of each octave."""
    few = [octave | {"steps": 2} for octave in OCTAVES]
    plan = replace(
        AUTHORS_CODE, phases=tuple(replace(phase, steps=2) for phase in AUTHORS_CODE.phases)
    )
    deviations(3, 227, octaves=few, plan=plan, most=1e-9)


def test_center_biased_steps_are_the_scripts_too():
    """Any schedule takes the options; the canvas grows twice here, and is smoothed far more."""
    phases = tuple(replace(phase, steps=20) for phase in CENTER_BIASED.phases[:-1])
    plan = Schedule(phases, authors_ramps=True, authors_steps=True)
    deviations(3, 20, octaves=CENTER_OCTAVES, plan=plan, most=1e-9)


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(replace(AUTHORS_CODE, authors_steps=False), id="own steps"),
        pytest.param(replace(AUTHORS_CODE, authors_ramps=False), id="own ramps"),
        pytest.param(Schedule(AUTHORS_CODE.phases), id="mean image"),
    ],
)
def test_each_of_the_two_options_matters(plan):
    """A test that any schedule passed would show nothing."""
    plan = replace(plan, phases=tuple(replace(each, steps=20) for each in plan.phases))
    octaves = [octave | {"steps": 20} for octave in OCTAVES]
    assert max(deviations(3, 20, octaves=octaves, plan=plan)) > 1


def test_an_ascent_by_single_precision_stays_near_the_script():
    """What the service computes in: rounding stays far below what a picture has levels for."""
    few = [octave | {"steps": 25} for octave in OCTAVES]
    plan = replace(
        AUTHORS_CODE, phases=tuple(replace(phase, steps=25) for phase in AUTHORS_CODE.phases)
    )
    deviations(3, 20, octaves=few, plan=plan, most=0.01, dtype=torch.float32)


@pytest.mark.parametrize("weight", [0.003, 0.05, 0.4, 2.0, 30.0])
@pytest.mark.parametrize("shape", [(3, 17, 24), (1, 9, 9), (4, 2, 31)])
def test_denoising_is_that_of_scikit_image(weight, shape):
    """All channels of an image end together, and long before they are done at small weights."""
    images = 255 * torch.rand(2, *shape, generator=torch.manual_seed(0), dtype=torch.float64)
    for found, image in zip(denoise_by_split_bregman(images, weight), images, strict=True):
        picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        expected = denoise_tv_bregman(picture, weight=weight, max_num_iter=100, eps=1e-3)
        expected = torch.from_numpy(expected.reshape(picture.shape)).permute(2, 0, 1)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_single_precision_is_denoised_in_double():
    """The script converts to double and back; an ascent computes in single precision."""
    images = 255 * torch.rand(2, 3, 12, 12, generator=torch.manual_seed(0))
    found = denoise_by_split_bregman(images, 0.4)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, denoise_by_split_bregman(images.double(), 0.4).float())


@pytest.mark.gpu
def test_images_on_a_gpu_are_denoised_on_the_processor():
    """The same bytes as on a machine without one."""
    images = 255 * torch.rand(2, 3, 12, 12, generator=torch.manual_seed(0))
    found = denoise_by_split_bregman(images.cuda(), 0.4)
    assert found.is_cuda
    assert torch.equal(found.cpu(), denoise_by_split_bregman(images, 0.4))


def test_denoising_stops_before_the_solution_where_the_weight_is_small():
    """Why the authors' pictures are not those of a solver that goes on to the end."""
    images = noise(1, 64)
    near = (denoise_by_split_bregman(images, 2.0) - denoise(images, 2.0)).abs()
    far = (denoise_by_split_bregman(images, 0.003) - denoise(images, 0.003)).abs()
    assert float(near[..., 4:-4, 4:-4].max()) < 0.5
    assert float(far[..., 4:-4, 4:-4].max()) > 2


@pytest.mark.parametrize(("side", "scale"), [(20, 1.2), (227, 1.2), (16, 2.5), (30, 0.8)])
def test_a_canvas_is_zoomed_by_splines(side, scale):
    """``scipy.ndimage.zoom`` with its defaults, pixel by pixel."""
    canvas = noise(2, side)
    found = resize_by_splines(canvas, scale, at_least=(8, 8))
    expected = ndimage.zoom(canvas[0].numpy(), (1, scale, scale))
    torch.testing.assert_close(found[0], torch.from_numpy(expected), atol=1e-9, rtol=0)
    assert found.shape == resize(canvas, scale, at_least=(8, 8)).shape


def test_a_canvas_that_keeps_its_size_is_the_same():
    """Nothing is interpolated between pixels that stay."""
    canvas = noise(2, 20)
    assert resize_by_splines(canvas, 0.5, at_least=(20, 20)) is canvas


def test_an_image_does_not_notice_its_batch():
    """Also by these steps: split Bregman ends for each image by itself."""
    objective = tiny_network(3)
    start = torch.cat([noise(3, 20), 255 - noise(3, 20), noise(3, 20).flip(-1)])
    few = tuple(replace(phase, steps=4) for phase in AUTHORS_CODE.phases)
    plan = replace(AUTHORS_CODE, phases=few)

    def last(images, *seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        objectives = dict.fromkeys(Readout, objective)
        *_, step = ascend(objectives, images, schedule=plan, generators=generators)
        return step.canvas

    torch.testing.assert_close(last(start, 5, 6, 7)[1:2], last(start[1:2], 6))
