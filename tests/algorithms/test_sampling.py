"""Sampling is checked against its definition, and its own gradient against torch's."""

import math

import pytest
import torch

from facetscope.algorithms.sampling import gathered, sampled
from facetscope.algorithms.transforms import views
from facetscope.domain.recipes import Transforms

MOVES = [
    Transforms(jitter=0.3),
    Transforms(jitter=0.2, scale=(1.0, 3.0), rotation=20.0),
    Transforms(jitter=0.1, scale=(0.3, 0.7), rotation=180.0),
]


def pictures(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def matrices(moves, images):
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(images))]
    return views(moves, images, generators).matrices


def slow_sample(picture, matrix):
    """Bilinear sampling of one plane by its definition, nothing beyond the edge."""
    height, width = picture.shape
    result = torch.zeros_like(picture)
    for row in range(height):
        for column in range(width):
            place = torch.tensor([column + 0.5 - width / 2, row + 0.5 - height / 2, 1.0])
            x, y, _ = (matrix.double() @ place.double()).tolist()
            x, y = x + width / 2 - 0.5, y + height / 2 - 0.5
            for i in (math.floor(y), math.floor(y) + 1):
                for j in (math.floor(x), math.floor(x) + 1):
                    if 0 <= i < height and 0 <= j < width:
                        part = (1 - abs(y - i)) * (1 - abs(x - j))
                        result[row, column] += part * picture[i, j]
    return result


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("shape", [(1, 6, 9), (3, 5, 4), (2, 7, 7)])
def test_it_is_its_definition(moves, shape):
    """For every image, plane and pixel."""
    images = pictures(2, *shape)
    chosen = matrices(moves, images)
    for image, found, matrix in zip(images, sampled(images, chosen), chosen, strict=True):
        for plane, seen in zip(image, found, strict=True):
            torch.testing.assert_close(seen, slow_sample(plane, matrix))


def test_a_shift_moves_whole_pixels():
    """Bit by bit: half pixels would blur."""
    image = pictures(1, 1, 4, 6).float()
    moved = sampled(image, torch.tensor([[[1.0, 0, 2], [0, 1, -1], [0, 0, 1]]]))
    torch.testing.assert_close(moved[0, 0, 1:, :4], image[0, 0, :3, 2:])
    assert not moved[0, 0, 0].any()


def test_a_quarter_turn_turns_a_square():
    """Pictures do not shear: angles are of pixels, not of sides."""
    images = pictures(1, 2, 5, 5)
    turned = sampled(images, torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]]))
    torch.testing.assert_close(turned, images.rot90(-1, (2, 3)).flip(2, 3))


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 4, 3)])
def test_the_gradient_is_that_of_the_definition(moves, shape):
    """Where a pixel is shown, it can be changed."""
    images = pictures(2, *shape).requires_grad_()
    chosen = matrices(moves, images)
    assert torch.autograd.gradcheck(lambda x: sampled(x, chosen), (images,))


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 17, 12), (2, 20, 31)])
def test_the_gathered_gradient_is_that_of_torch(moves, shape):
    """CUDA takes it in the place of torch's own, whose bytes differ from run to run."""
    images = pictures(3, *shape).requires_grad_()
    chosen, gradient = matrices(moves, images), pictures(3, *shape).flip(0) - 0.5
    (expected,) = torch.autograd.grad(sampled(images, chosen), images, gradient)
    torch.testing.assert_close(gathered(gradient, chosen), expected)


def test_a_gathered_gradient_does_not_notice_its_batch():
    """A neighbour that is enlarged more needs more of them looked at, and changes no bit."""
    gradient = pictures(2, 3, 9, 8).float()
    near = matrices(Transforms(scale=(1.0, 1.1), rotation=9.0), gradient)
    far = matrices(Transforms(scale=(4.0, 5.0)), gradient)
    alone = gathered(gradient[:1], near[:1])
    assert torch.equal(gathered(gradient, torch.stack([near[0], far[1]]))[:1], alone)


@pytest.mark.gpu
def test_cuda_gives_the_same_bytes_twice():
    """A job names its result."""
    images = pictures(4, 3, 64, 64).float().cuda().requires_grad_()
    chosen = matrices(MOVES[1], images)
    one, other = (
        torch.autograd.grad(sampled(images, chosen).square().sum(), images)[0] for _ in range(2)
    )
    assert torch.equal(one, other)
    here = images.detach().cpu().requires_grad_()
    (expected,) = torch.autograd.grad(sampled(here, chosen).square().sum(), here)
    torch.testing.assert_close(one.cpu(), expected, atol=1e-4, rtol=1e-4)
