"""The folder that a report is written to."""

import json

import pytest
from tests.clients.python.support import INSPECTION, facet, facet_count, image, preview

from facetscope_client import direction, parse_unit
from facetscope_client.folder import ReportFolder
from facetscope_client.gen.facetscope.v1.model_pb2 import Unit


def add_all(folder, events):
    return [folder.add(getattr(event, event.WhichOneof("kind"))) for event in events]


def names_in(path):
    return sorted(file.name for file in path.iterdir())


def test_every_result_becomes_a_file(tmp_path):
    """What the server sent is what lies in the folder, and nothing unfinished with it."""
    with ReportFolder(tmp_path) as folder:
        add_all(folder, INSPECTION)
    assert names_in(tmp_path) == ["facets.json", "fc-3"]
    pictures = ["facet-00{}.png", "facet-00-mean.png"]
    assert {name.format("") for name in pictures} <= set(names_in(tmp_path / "fc-3"))
    assert "facet-01-member-01.jpg" in names_in(tmp_path / "fc-3")
    assert "facet-00-preview.png" not in names_in(tmp_path / "fc-3")


def test_the_figures_name_their_files(tmp_path):
    """A program finds every picture of a facet beside its figures."""
    with ReportFolder(tmp_path) as folder:
        add_all(folder, INSPECTION)
    report = json.loads((tmp_path / "facets.json").read_text())
    (unit,) = report["units"]
    assert [each["index"] for each in unit["facets"]] == [0, 1]
    assert unit["facets"][0]["members"][0]["activation"] == 2.5
    assert unit["images"][1]["activation"] == 9.5
    files = [each["picture"]["file"] for each in unit["images"]]
    files += [each["file"] for facets in unit["facets"] for each in facets["thumbnails"]]
    assert all((tmp_path / file).is_file() for file in [*files, unit["contact_sheet"]])
    assert report["manifest"]["images_read"] == 6


def test_the_count_of_facets_is_among_the_figures(tmp_path):
    """How the number came about stands before what it is the number of."""
    with ReportFolder(tmp_path) as folder:
        add_all(folder, [facet_count(), facet(0), facet(1)])
    (unit,) = json.loads((tmp_path / "facets.json").read_text())["units"]
    assert (unit["count"]["facets"], unit["count"]["p_value"]) == (2, 0.025)
    assert unit["count"]["verdict"] == "VERDICT_SEVERAL_FACETS"
    assert [each["index"] for each in unit["facets"]] == [0, 1]


def test_results_are_there_as_soon_as_they_arrive(tmp_path):
    """A long inspection can be watched, and an interrupted one is not lost."""
    folder = ReportFolder(tmp_path)
    add_all(folder, [facet(), preview()])
    assert {"facet-00-mean.png", "facet-00-preview.png"} <= set(names_in(tmp_path / "fc-3"))


def test_an_interrupted_run_leaves_a_report_of_what_there_is(tmp_path):
    """Half an inspection is worth keeping, if its files are whole."""

    def interrupted():
        with ReportFolder(tmp_path) as folder:
            add_all(folder, [facet(0), facet(1), image(0)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    report = json.loads((tmp_path / "facets.json").read_text())
    assert len(report["units"][0]["facets"]) == 2
    assert report["manifest"] is None
    assert "contact-sheet.png" in names_in(tmp_path / "fc-3")


@pytest.mark.parametrize(
    ("media_type", "suffix"),
    [("image/webp", ".webp"), ("application/x-npy", ".npy"), ("application/octet-stream", ".f32")],
)
def test_every_encoding_has_its_suffix(tmp_path, media_type, suffix):
    """Programs choose a reader by the name of the file."""
    event = preview()
    event.preview.picture.media_type = media_type
    folder = ReportFolder(tmp_path)
    add_all(folder, [event])
    assert names_in(tmp_path / "fc-3") == [f"facet-00-preview{suffix}"]


def test_units_do_not_share_a_folder(tmp_path):
    """Names that a file system cannot hold become others, but never the same."""
    units = [Unit(layer=layer, channel=1) for layer in ("/a/b", "a_b", "a:b", "..")]
    with ReportFolder(tmp_path) as folder:
        add_all(folder, [image(unit=unit) for unit in units])
    places = {place.resolve() for place in folder.units.values()}
    assert len(places) == 4
    assert all(place.parent == tmp_path.resolve() for place in places)


def test_a_direction_has_a_folder_that_tells_it(tmp_path):
    """Sums are read off the name; a vector of many channels has a short one of its own."""
    vectors = [
        direction("pool", [1.0 + channel for channel in range(20 + more)]) for more in (0, 1)
    ]
    units = [parse_unit("fc:0.5*3-8"), parse_unit("fc:-3"), *vectors]
    with ReportFolder(tmp_path) as folder:
        add_all(folder, [image(unit=unit) for unit in units])
    names = [place.name for place in folder.units.values()]
    assert names[:2] == ["fc-0.5x3-8", "fc--3"]
    assert len(set(names)) == 4
    assert all(name.startswith("pool-direction-") and len(name) < 40 for name in names[2:])


def test_what_an_earlier_run_left_is_removed(tmp_path):
    """No picture of yesterday's ten facets stands beside today's two."""
    with ReportFolder(tmp_path) as folder:
        add_all(folder, map(facet, range(3)))
    with ReportFolder(tmp_path) as folder:
        add_all(folder, [facet(0)])
    assert "facet-02-mean.png" not in names_in(tmp_path / "fc-3")
