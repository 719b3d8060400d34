"""Options of the command line, and the request that they become."""

import pytest
from tests.clients.python.support import (
    INSPECTION,
    facet,
    manifest,
    progress,
)

from facetscope_client import direction, parse_unit
from facetscope_client.cli.options.inputs import FitName, InputOptions
from facetscope_client.cli.parsing import Numbers, Size, selection_from
from facetscope_client.gen.facetscope.v1.certificate_pb2 import Certification
from facetscope_client.gen.facetscope.v1.facet_pb2 import (
    CLUSTERING_K_MEANS,
    CLUSTERING_WARD,
    CODE_POOLING_AT_MAXIMUM,
    CODE_WEIGHTING_ATTRIBUTION,
    CODE_WEIGHTING_UNSPECIFIED,
    DISCOVERY_PRESET_PAPER,
    VIEW_RECEPTIVE_FIELD,
)
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    COLOR_ORDER_BGR,
    COLOR_ORDER_RGB,
    FIT_LETTERBOX,
    GAMMA_LINEAR,
    LAYOUT_NCHW,
    LAYOUT_NHWC,
    PRECISION_BFLOAT16,
    Input,
)
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    SCHEDULE_PRESET_AUTHORS_CODE,
    SCHEDULE_PRESET_CENTER_BIASED,
)


def test_options_become_the_request(inspect, scripted):
    """What a user types is what the server is asked, and nothing else."""
    scripted.scripts = [INSPECTION]
    inspect("-k", "4", "--select", "predicted", "--seed", "7", "--schedule", "center-biased")
    request = scripted.requests[-1]
    assert (request.discovery.facets, request.discovery.selection.predicted) == (4, True)
    assert (request.discovery.seed, request.synthesis.seed) == (7, 7)
    assert request.synthesis.schedule.preset == SCHEDULE_PRESET_CENTER_BIASED
    assert request.input == Input()


def test_the_authors_code_is_a_schedule(inspect, scripted):
    """Whoever compares with the paper names it as they name the others."""
    scripted.scripts = [INSPECTION]
    inspect("--schedule", "authors-code")
    preset = scripted.requests[-1].synthesis.schedule.preset
    assert preset == SCHEDULE_PRESET_AUTHORS_CODE


@pytest.mark.parametrize(("options", "asked"), [((), False), (("--certify",), True)])
def test_certificates_are_made_where_they_are_asked_for(inspect, scripted, options, asked):
    """With the server's defaults for all that they hold."""
    scripted.scripts = [INSPECTION]
    inspect(*options)
    synthesis = scripted.requests[-1].synthesis
    assert synthesis.HasField("certification") is asked
    assert synthesis.certification == Certification()


def test_ways_of_finding_facets_become_the_request(inspect, scripted):
    """Each has a short name, and what is left out is the server's to choose."""
    scripted.scripts = [INSPECTION, INSPECTION]
    inspect("-k", "2-8", "--clustering", "k-means", "--bootstraps", "5", "--significance", "0.01")
    discovery = scripted.requests[-1].discovery
    assert (discovery.range.minimum, discovery.range.maximum) == (2, 8)
    assert not discovery.HasField("facets")
    assert discovery.clustering == CLUSTERING_K_MEANS
    assert (discovery.bootstraps, discovery.significance) == (5, 0.01)
    inspect("--paper", "--clustering", "ward", "--ward-threshold", "15", "--whitening", "0.25")
    discovery = scripted.requests[-1].discovery
    assert not discovery.HasField("range")
    assert discovery.preset == DISCOVERY_PRESET_PAPER
    assert (discovery.clustering, discovery.ward_threshold) == (CLUSTERING_WARD, 15)
    assert discovery.whitening == 0.25


def test_the_precision_becomes_part_of_the_model(inspect, scripted):
    """Fast or exact, without another file."""
    scripted.scripts = [INSPECTION]
    inspect("--precision", "bfloat16")
    assert scripted.requests[-1].model.precision == PRECISION_BFLOAT16


def test_input_options_win_over_the_file(tmp_path):
    """A team keeps its input in a file and changes one value for one run."""
    file = tmp_path / "input.json"
    file.write_text('{"height": 32, "mean": [1, 2, 3], "layout": "LAYOUT_NHWC"}')
    options = InputOptions(input_file=file, size=Size(64, 48), mean=Numbers((0.5,)), bgr=True)
    assert options.message() == Input(
        height=64, width=48, mean=[0.5], layout=LAYOUT_NHWC, color_order=COLOR_ORDER_BGR
    )


def test_what_a_file_says_can_be_denied():
    """A guess may be wrong, and the user right."""
    options = InputOptions(bgr=False, nhwc=False, linear=True, fit=FitName.LETTERBOX)
    assert options.message() == Input(
        color_order=COLOR_ORDER_RGB, layout=LAYOUT_NCHW, gamma=GAMMA_LINEAR, fit=FIT_LETTERBOX
    )
    assert InputOptions().message() == Input()


def test_a_cut_replaces_that_of_the_file(tmp_path):
    """Two ways to say one thing may not meet in one request."""
    file = tmp_path / "input.json"
    file.write_text('{"resize": 256}')
    assert InputOptions(input_file=file, crop_fraction=0.5).message() == Input(crop_fraction=0.5)


def test_a_direction_is_read_from_a_file(run, scripted, model, photos, tmp_path):
    """A concept vector that a notebook saved, beside sums that are short enough to write."""
    vector = tmp_path / "striped.json"
    vector.write_text("[0.5, 0, -1]")
    scripted.scripts = [INSPECTION]
    options = ("--unit", "fc:3-8", "--direction", f"pool={vector}", "--out", tmp_path / "out")
    run("inspect", model, "--images", photos, *options)
    assert scripted.requests[-1].units == [parse_unit("fc:3-8"), direction("pool", [0.5, 0, -1])]


def test_a_discovery_has_one_unit_or_direction(run, scripted, model, photos, tmp_path):
    """Two would be two calls."""
    vector = tmp_path / "striped.json"
    vector.write_text("[0.5, 0, -1]")
    command = ("discover", model, "--images", photos, "--out", tmp_path / "out")
    scripted.scripts = [[progress(), facet(0), manifest()]]
    assert run(*command, "--direction", f"pool={vector}").exit_code == 0
    assert scripted.requests.pop().unit == direction("pool", [0.5, 0, -1])
    scripted.requests.clear()
    result = run(*command, "--direction", f"pool={vector}", "--unit", "fc:3")
    assert (result.exit_code, scripted.requests) == (2, [])


@pytest.mark.parametrize(
    ("rule", "field", "value"),
    [
        ("all", "all", True),
        ("label:a:b", "label", "a:b"),
        ("top:50", "top", 50),
        ("predicted", "predicted", True),
        ("quantile:0.9", "quantile", 0.9),
    ],
)
def test_a_selection_is_read(rule, field, value):
    """Rules are short to type."""
    selection = selection_from(rule)
    assert selection.WhichOneof("rule") == field
    assert getattr(selection, field) == value


def test_what_images_are_compared_by_becomes_the_request(inspect, scripted):
    """What is left open is the server's to choose."""
    inspect("--view", "receptive-field", "--code-pooling", "at-maximum", "-k", "4")
    discovery = scripted.requests[-1].discovery
    assert (discovery.view, discovery.code_pooling) == (
        VIEW_RECEPTIVE_FIELD,
        CODE_POOLING_AT_MAXIMUM,
    )
    assert (discovery.code_weighting, discovery.facets) == (CODE_WEIGHTING_UNSPECIFIED, 4)
    inspect("--code-weighting", "attribution")
    assert scripted.requests[-1].discovery.code_weighting == CODE_WEIGHTING_ATTRIBUTION
