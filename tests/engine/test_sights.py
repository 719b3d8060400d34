"""What a unit sees of a picture, against what its element depends on."""

import pytest
import torch
from torch.nn.functional import conv2d

from facetscope.domain.events import Box
from facetscope.domain.inputs import Interpolation
from facetscope.domain.units import ReceptiveField
from facetscope.engine.sights import Sight, box_at, cropped

HEIGHT, WIDTH = 12, 15
FIELD = ReceptiveField(size=(4, 3), stride=(2, 3), offset=(-0.5, 0.0))
"""Of a convolution of 4 x 3 pixels with stride (2, 3) and padding (2, 1)."""


@pytest.mark.parametrize("row", range(7))
@pytest.mark.parametrize("column", range(5))
def test_a_box_holds_the_pixels_that_an_element_depends_on(row, column):
    """NaN in any other pixel does not reach the element; at the borders there are fewer."""
    box = box_at(FIELD, (row, column), HEIGHT, WIDTH)
    kernel = torch.ones(1, 1, 4, 3)
    seen = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            picture = torch.zeros(1, 1, HEIGHT, WIDTH)
            picture[..., y, x] = torch.nan
            maps = conv2d(picture, kernel, stride=(2, 3), padding=(2, 1))
            seen[y, x] = maps[0, 0, row, column].isnan()
    expected = torch.zeros_like(seen)
    expected[box.top : box.top + box.height, box.left : box.left + box.width] = True
    assert torch.equal(seen, expected)


def test_an_element_that_sees_padding_alone_has_the_nearest_pixel():
    """A picture without pixels could not be shown."""
    field = ReceptiveField(size=(1, 1), stride=(1, 1), offset=(-2.0, 20.0))
    assert box_at(field, (0, 0), HEIGHT, WIDTH) == Box(14, 0, 1, 1)


@pytest.mark.parametrize("interpolation", Interpolation)
def test_a_crop_fills_the_picture(interpolation):
    """Of a flat part, nothing of its surroundings is left, and no level is out of range."""
    picture = torch.full((3, HEIGHT, WIDTH), 255, dtype=torch.uint8)
    picture[:, 2:6, 4:7] = 40
    found = cropped(picture, Box(4, 2, 3, 4), interpolation)
    torch.testing.assert_close(found, torch.full((3, HEIGHT, WIDTH), 40.0))
    whole = cropped(picture, Box(0, 0, WIDTH, HEIGHT), interpolation)
    torch.testing.assert_close(whole, picture.float())


def test_only_what_has_a_box_is_cropped():
    """Without boxes pictures are seen whole, as they came."""
    pictures = {3: torch.zeros(3, 4, 4), 5: torch.arange(48.0).reshape(3, 4, 4)}
    sight = Sight(lambda places: iter([pictures[place] for place in places]), {5: Box(1, 2, 1, 1)})
    first, second = sight.pixels([3, 5])
    assert first is pictures[3]
    assert torch.equal(second, pictures[5][:, 2:3, 1:2].expand(3, 4, 4))
