"""What figures are drawn with: colours, letters, and marks that tell facets apart for everybody."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageColor, ImageDraw, ImageFont

PAPER: Final = "#ffffff"
INK: Final = "#1d2129"
PALE: Final = "#6a7280"
LINE: Final = "#dfe2e7"
ALARM: Final = "#b42318"

PALETTE: Final = (
    "#cc6677",
    "#332288",
    "#ddcc77",
    "#117733",
    "#88ccee",
    "#882255",
    "#44aa99",
    "#999933",
    "#aa4499",
)
"""Paul Tol's scheme *muted*, which remains distinct in all common kinds of colour blindness."""

CORNERS: Final = (None, 4, 3, 6)
"""Corners of the form that each round through the palette takes; the first takes discs."""

FINENESS: Final = 8
"""Marks are drawn so many times larger and reduced, for Pillow's forms have jagged edges."""

BRIGHT: Final = 136
"""Grey level from which a colour is easier to read dark letters on."""


class Pen:
    """Writes and puts pictures on one sheet; lengths are in pixels, from the upper left."""

    def __init__(self, sheet: Image.Image) -> None:
        self._sheet = sheet
        self._draw = ImageDraw.Draw(sheet)
        self._fonts: dict[int, ImageFont.FreeTypeFont | ImageFont.ImageFont] = {}
        self._markers: dict[tuple[int, int], Image.Image] = {}

    def write(
        self,
        at: tuple[float, float],
        text: str,
        *,
        size: int = 15,
        ink: str = INK,
        anchor: str = "ls",
    ) -> None:
        """Write ``text`` at a place that ``anchor`` relates to it, as Pillow's anchors do."""
        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size)
        self._draw.text(at, text, ink, self._fonts[size], anchor)

    def frame(self, at: tuple[int, int], size: tuple[int, int], *, ink: str = LINE) -> None:
        """Draw a thin frame, just outside of a field of this size."""
        (left, top), (width, height) = at, size
        self._draw.rectangle((left - 1, top - 1, left + width, top + height), outline=ink)

    def put(self, picture: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> None:
        """Put ``picture`` into the middle of a field of this size."""
        (left, top), (width, height) = at, size
        place = left + (width - picture.width) // 2, top + (height - picture.height) // 2
        mask = picture if picture.mode == "RGBA" else None
        self._sheet.paste(picture, place, mask)

    def mark(self, facet: int, centre: tuple[float, float], diameter: int) -> None:
        """Draw the mark of ``facet``."""
        if (facet, diameter) not in self._markers:
            self._markers[facet, diameter] = marker(facet, diameter)
        left, top = (round(length - diameter / 2) for length in centre)
        self.put(self._markers[facet, diameter], (left, top), (diameter, diameter))

    def badge(self, facet: int, centre: tuple[float, float], diameter: int) -> None:
        """Draw the mark of ``facet`` with its number in it."""
        self.mark(facet, centre, diameter)
        ink = ink_on(color_of(facet))
        self.write(centre, str(facet), size=diameter // 2, ink=ink, anchor="mm")


def color_of(facet: int) -> str:
    """The colour of this facet."""
    return PALETTE[facet % len(PALETTE)]


def ink_on(color: str) -> str:
    """Dark or light, whichever is easier to read on ``color``."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > BRIGHT else PAPER


def marker(facet: int, diameter: int) -> Image.Image:
    """The mark of this facet on transparent ground, with a thin light rim."""
    corners = CORNERS[facet // len(PALETTE) % len(CORNERS)]
    radius = diameter * FINENESS / 2
    large = Image.new("RGBA", (diameter * FINENESS,) * 2, (255, 255, 255, 0))
    draw = ImageDraw.Draw(large)
    for size, color in ((radius, PAPER), (radius - FINENESS, color_of(facet))):
        if corners is None:
            draw.circle((radius, radius), size, fill=color)
        else:
            draw.regular_polygon((radius, radius, size), corners, fill=color)
    return large.reduce(FINENESS)
