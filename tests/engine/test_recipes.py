"""Recipes beside the paper's, certificates and controls, from a job to its events."""

from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from zipfile import ZipFile

import pytest
from tests import networks

from facetscope.domain import discoveries, jobs, syntheses
from facetscope.domain.certificates import Certification, Measure
from facetscope.domain.errors import AscentDivergedError, InvalidFieldError
from facetscope.domain.events import FacetCount, Manifest, Progress, SynthesizedImage, Work
from facetscope.domain.recipes import FOURIER, MACO, Parameterization
from facetscope.engine.inspection import Inspector

MODEL = networks.tiny_onnx()
DIGEST = sha256(MODEL).hexdigest()
OTHER = networks.tiny_onnx(seed=7)
OTHER_DIGEST = sha256(OTHER).hexdigest()
GREY = networks.tiny_onnx(channels=1)
GREY_DIGEST = sha256(GREY).hexdigest()
PICTURES = networks.pictures(each=10)
ARCHIVE = sha256(PICTURES).hexdigest()
with ZipFile(BytesIO(PICTURES)) as folder:
    SPECTRUM = tuple(jobs.InlineImage(name, "", folder.read(name)) for name in folder.namelist())
PIXELS = replace(FOURIER, parameterization=Parameterization.PIXELS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The events of a job."""
    folder = tmp_path_factory.mktemp("models")
    paths = {DIGEST: folder / "one", OTHER_DIGEST: folder / "other", ARCHIVE: folder / "set"}
    paths[DIGEST].write_bytes(MODEL)
    paths[OTHER_DIGEST].write_bytes(OTHER)
    paths[GREY_DIGEST] = folder / "grey"
    paths[GREY_DIGEST].write_bytes(GREY)
    paths[ARCHIVE].write_bytes(PICTURES)
    inspector = Inspector(device="cpu", threads=1, parity_s=10)
    return lambda job: [*inspector.run(job, paths)]


def maximized(**synthesis):
    pictures = synthesis.pop("spectrum", ())
    asked = syntheses.Synthesis(start=syntheses.Start.NOISE, **synthesis)
    return jobs.MaximizeActivation(
        model=DIGEST, unit=networks.UNIT, synthesis=asked, count=2, spectrum=pictures
    )


def inspected(*channels, **synthesis):
    units = tuple(replace(networks.UNIT, channel=channel) for channel in channels or (1,))
    return jobs.InspectUnits(
        model=DIGEST,
        units=units,
        images=jobs.ImageSet((ARCHIVE,)),
        discovery=discoveries.Discovery(selection=discoveries.TopImages(20), facets=2),
        synthesis=syntheses.Synthesis(**synthesis),
    )


def images_of(events):
    return [event for event in events if isinstance(event, SynthesizedImage)]


@pytest.mark.parametrize("recipe", [FOURIER, MACO, PIXELS], ids=["fourier", "maco", "pixels"])
def test_a_recipe_excites_the_unit(run, recipe):
    """What it is for: each image excites the unit more than what it began with."""
    recipe = replace(recipe, steps=40)
    spectrum = SPECTRUM if recipe.parameterization is Parameterization.MACO else ()
    for event in images_of(run(maximized(method=recipe, spectrum=spectrum))):
        assert event.activation > event.start_activation
        assert event.steps == 40


def test_maco_takes_magnitudes_from_the_images_of_each_facet(run):
    """Nothing is downloaded: what is natural, the request's own images tell."""
    events = run(inspected(method=replace(MACO, steps=5)))
    assert [image.index for image in images_of(events)] == [0, 1]


def test_maco_needs_pictures():
    """There is no spectrum of nature in the box, and its user is told what to send."""
    with pytest.raises(InvalidFieldError, match="send pictures if and only if"):
        maximized(method=MACO)


def test_a_rate_that_is_too_large_is_told(run):
    """And after how many steps it went wrong, and what to ask for."""
    with pytest.raises(AscentDivergedError, match=r"of unit logits:1 .* a tenth"):
        run(maximized(method=replace(PIXELS, learning_rate=100.0, steps=40)))


def test_units_of_one_layer_ascend_together(run):
    """Their images come unit by unit, behind the facets of all."""
    events = run(inspected(0, 1, 2, images_per_start=2))
    counts = [event.unit.channel for event in events if isinstance(event, FacetCount)]
    images = [event.unit.channel for event in images_of(events)]
    assert counts == [0, 1, 2]
    assert images == [channel for channel in (0, 1, 2) for _ in range(4)]
    (manifest,) = [event for event in events if isinstance(event, Manifest)]
    assert manifest.largest_batch == 12


def test_an_image_is_certified(run):
    """With natural images at hand, every measure but the transfer has a say."""
    events = run(inspected(certification=Certification(start_controls=True)))
    works = [event.work for event in events if isinstance(event, Progress)]
    assert Work.CERTIFYING in works
    images = images_of(events)
    assert [image.index for image in images] == [0, 1]
    for image in images:
        certificate = image.certificate
        assert certificate.activation == pytest.approx(image.activation, rel=1e-5)
        assert certificate.percentile == image.natural.percentile
        undefined = {each.measure for each in certificate.undefined}
        assert Measure.TRANSFER in undefined
        assert not undefined & {Measure.PERCENTILE, Measure.START_SHORTFALL, Measure.FACET_MARGIN}


def test_another_model_has_a_say(run):
    """An image that one network alone likes shows its peculiarities."""
    transfer = syntheses.Transfer(model=OTHER_DIGEST, unit=networks.UNIT)
    (image, *_) = images_of(run(inspected(certification=Certification(), transfer=transfer)))
    assert 0 <= image.certificate.transfer_percentile <= 100


def test_another_model_takes_the_same_kind_of_picture(run):
    """A grey image is no image for a model of colours, which is told before hours of work."""
    transfer = syntheses.Transfer(model=GREY_DIGEST, unit=networks.UNIT)
    with pytest.raises(InvalidFieldError, match="pictures of 1 channels, and the model those of 3"):
        run(inspected(certification=Certification(), transfer=transfer))


def test_without_natural_images_little_can_be_certified(run):
    """A reader is told which measures have no say, and why: silence would pass for approval."""
    events = images_of(run(maximized(certification=Certification())))
    for image in events:
        undefined = {each.measure: each.why for each in image.certificate.undefined}
        assert undefined[Measure.PERCENTILE] == "there are no natural images to compare with"
        assert image.certificate.robust_activation is not None


def test_images_of_a_unit_can_be_made_to_differ(run):
    """Diversity pushes what they have in common apart, and keeps a unit's images together."""
    alike = images_of(run(inspected(method=replace(PIXELS, steps=30))))
    diverse = images_of(run(inspected(method=replace(PIXELS, steps=30), diversity=1e3)))
    assert [image.picture for image in alike] != [image.picture for image in diverse]
