"""A contact sheet: a row for each method, and beside each other what two networks are shown."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHEET = Path(__file__).parents[3] / "docs" / "images" / "recipes.png"
SIDE, GAP, MARGIN, HEAD = 96, 3, 118, 18
COLOURS = 64
"""Of the sheet's palette, which keeps the file small."""


def sheet(blocks):
    """A sheet of ``blocks``: by the network's name, pictures by the row's name."""
    names = list(dict.fromkeys(name for rows in blocks.values() for name in rows))
    columns = [len(next(iter(rows.values()))) for rows in blocks.values()]
    width = MARGIN + sum(count * (SIDE + GAP) + 3 * GAP for count in columns)
    page = Image.new("RGB", (width, HEAD + len(names) * (SIDE + GAP)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for at, name in enumerate(names):
        pen.text((2, HEAD + at * (SIDE + GAP) + SIDE // 2 - 8), name, "black", font)
    left = MARGIN
    for (network, rows), count in zip(blocks.items(), columns, strict=True):
        pen.text((left, 2), network, "black", font)
        for name, pictures in rows.items():
            top = HEAD + names.index(name) * (SIDE + GAP)
            for column, picture in enumerate(pictures):
                page.paste(_small(picture), (left + column * (SIDE + GAP), top))
        left += count * (SIDE + GAP) + 3 * GAP
    return page.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)


def write(page):
    """Put the sheet into the documentation."""
    page.save(SHEET, optimize=True)


def _small(picture):
    return Image.fromarray(np.moveaxis(picture, 0, 2)).resize((SIDE, SIDE), Image.Resampling.BOX)
