"""The contact sheet, of which a person has to judge the looks."""

from array import array
from io import BytesIO

import pytest
from PIL import Image, ImageColor
from tests.clients.python.support import UNIT, facet, facet_count, image, picture

from facetscope_client.gen.facetscope.v1 import facet_pb2
from facetscope_client.gen.facetscope.v1.certificate_pb2 import TRUST_LEVEL_GREEN, TRUST_LEVEL_RED
from facetscope_client.pen import ALARM, PALETTE, color_of, ink_on
from facetscope_client.report import UnitReport
from facetscope_client.sheet import CELL, HEAD, MARGIN, ROW_GAP, _summary, contact_sheet


def report_of(*events):
    report = UnitReport(UNIT)
    for event in events:
        report.add(getattr(event, event.WhichOneof("kind")))
    return report


def test_each_facet_is_a_row():
    """A sheet of ten facets is as high as ten rows."""
    report = report_of(*map(facet, range(10)), *map(image, range(10)))
    assert contact_sheet(report).height == HEAD + 10 * (CELL + ROW_GAP) - ROW_GAP + MARGIN


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (facet_pb2.VERDICT_GIVEN, "6 images in 2 facets"),
        (facet_pb2.VERDICT_SEVERAL_FACETS, "6 images in 2 facets (found, p = 0.025)"),
        (facet_pb2.VERDICT_CLUSTERING, "6 images in 2 facets (found)"),
        (
            facet_pb2.VERDICT_TOO_FEW_IMAGES,
            "6 images in 2 facets (too few images to find more)",
        ),
    ],
)
def test_the_head_tells_how_the_number_came_about(verdict, told):
    """A reader of the sheet alone knows a finding from a request."""
    assert _summary(report_of(facet_count(verdict), facet(0), facet(1))) == told


@pytest.mark.parametrize("events", [[facet()], [image()], [facet(), image()], [facet(), image(1)]])
def test_what_is_missing_leaves_no_gap(events):
    """A discovery without synthesis has a sheet, a synthesis without discovery has one, too."""
    whole = contact_sheet(report_of(facet(), image()))
    assert contact_sheet(report_of(*events)).width <= whole.width


def test_what_a_neuron_sees_is_framed():
    """A reader looks there, and not at the rest of the picture."""
    neuron, alarm = image(), ImageColor.getrgb(ALARM)
    assert alarm not in contact_sheet(report_of(neuron)).get_flattened_data()
    neuron.image.field.CopyFrom(facet_pb2.Box(left=2, top=1, width=3, height=2))
    sheet = contact_sheet(report_of(neuron))
    scale = CELL // neuron.image.picture.width
    red = [
        divmod(place, sheet.width)
        for place, color in enumerate(sheet.get_flattened_data())
        if color == alarm
    ]
    rows, columns = ({*axis} for axis in zip(*red, strict=True))
    assert max(rows) - min(rows) == 2 * scale + 1
    assert max(columns) - min(columns) == 3 * scale + 1
    assert min(rows) == HEAD + scale - 1


def test_signs_are_written_in_the_color_of_alarm():
    """What casts doubt on a facet must not be overlooked."""
    alarm = ImageColor.getrgb(ALARM)
    honest = facet()
    honest.facet.evidence.ClearField("flags")
    flagged, without = (
        contact_sheet(report_of(event)).convert("RGB") for event in (facet(), honest)
    )
    assert alarm in flagged.get_flattened_data()
    assert alarm not in without.get_flattened_data()


@pytest.mark.parametrize(
    ("level", "alarmed"), [(TRUST_LEVEL_RED, True), (TRUST_LEVEL_GREEN, False)]
)
def test_a_red_verdict_is_written_in_the_color_of_alarm(level, alarmed):
    """A picture that must not be believed must not be looked at without knowing."""
    event = image()
    event.image.certificate.verdict = level
    plain, certified = (contact_sheet(report_of(each)).convert("RGB") for each in (image(), event))
    alarm = ImageColor.getrgb(ALARM)
    assert (alarm in certified.get_flattened_data()) is alarmed
    assert plain.tobytes() != certified.tobytes()


def test_small_pictures_keep_their_pixels():
    """The pixels of a digit are squares, not a blur."""
    checkered = Image.new("L", (28, 28))
    checkered.putdata([255 * ((x + y) % 2) for y in range(28) for x in range(28)])
    event = image()
    event.image.picture.data = png(checkered)
    sheet = contact_sheet(report_of(event)).convert("L")
    left = next(x for x in range(sheet.width) if sheet.getpixel((x, HEAD)) == 0)
    assert [sheet.getpixel((left + x, HEAD)) for x in range(8)] == [0] * 4 + [255] * 4


def test_large_pictures_fit():
    """A photograph is shown whole, in its proportions."""
    event = image()
    event.image.picture.CopyFrom(picture(width=560, height=280, grey=0))
    sheet = contact_sheet(report_of(event)).convert("L")
    middle = HEAD + CELL // 2
    dark = [x for x in range(300) if sheet.getpixel((MARGIN + 176 + x, middle)) == 0]
    assert (dark[0], dark[CELL - 1]) == (0, CELL - 1)
    assert sheet.getpixel((MARGIN + 180, HEAD + 10)) == 255


def test_tensors_are_shown_like_pictures():
    """A sheet has no gap, whatever was asked for."""
    event, other = image(), image()
    event.image.picture.CopyFrom(picture(grey=77))
    other.image.picture.CopyFrom(
        facet_pb2.EncodedImage(
            data=array("f", [77.4] * 28 * 28).tobytes(),
            media_type="application/octet-stream",
            width=28,
            height=28,
            shape=[1, 28, 28],
            element_type="float32",
        )
    )
    assert contact_sheet(report_of(event)).tobytes() == contact_sheet(report_of(other)).tobytes()


def test_what_is_transparent_is_paper():
    """A map on a sheet shows what the unit is about."""
    event, clear = image(), Image.new("LA", (28, 28), (0, 0))
    clear.paste((0, 255), (0, 0, 14, 28))
    event.image.picture.data = png(clear)
    sheet = contact_sheet(report_of(event)).convert("L")
    left = next(x for x in range(sheet.width) if sheet.getpixel((x, HEAD + 4)) == 0)
    assert sheet.getpixel((left + CELL // 2 - 1, HEAD + 4)) == 0
    assert sheet.getpixel((left + CELL // 2, HEAD + 4)) == 255


@pytest.mark.parametrize("color", PALETTE)
def test_numbers_are_legible_on_every_color(color):
    """WCAG asks for a contrast of 3 to 1 of large letters."""
    lighter, darker = sorted(map(luminance, (color, ink_on(color))), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_facets_of_one_color_differ_in_form():
    """More facets than colours still have marks of their own."""
    first, second = (
        contact_sheet(report_of(image(index))).crop((MARGIN, HEAD, MARGIN + 40, HEAD + CELL))
        for index in (0, len(PALETTE))
    )
    assert color_of(0) == color_of(len(PALETTE))
    assert first.getbbox() is not None
    assert first.getpixel((3, CELL // 2)) != second.getpixel((3, CELL // 2))


def luminance(color):
    """Relative luminance by its definition in WCAG 2."""
    parts = [part / 255 for part in ImageColor.getrgb(color)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def png(drawn):
    file = BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()
