"""All measures of an image together, and what is said where one is missing."""

from dataclasses import replace

import pytest
import torch

from facetscope.algorithms.certificates.certify import Controls, Origin, certify
from facetscope.algorithms.certificates.paths import path_similarities, rank_correlations
from facetscope.algorithms.certificates.reference import Natural, Readings, refer
from facetscope.algorithms.certificates.spectra import slopes
from facetscope.algorithms.certificates.variations import variation
from facetscope.domain.certificates import THRESHOLDS, Certification, Level, Measure, Threshold

SOME = torch.Generator().manual_seed(0)
IMAGES = torch.rand(3, 3, 12, 12, generator=SOME)
NATURAL = torch.rand(24, 3, 12, 12, generator=SOME)
KERNELS = torch.rand(2, 8, 3, 3, 3, generator=SOME) - 0.5
ORIGINS = [Origin(0, 0), Origin(1, 1), Origin(1, 2)]
CONTROLS = Controls(torch.rand(3, 3, 12, 12, generator=SOME), torch.tensor([1.0, 2.0, 4.0]))


def convolved(images, index):
    return torch.nn.functional.conv2d(images, KERNELS[index]).mean(dim=(2, 3))


READINGS = Readings(
    activations=lambda images: convolved(images, 0)[:, 0],
    codes=lambda images: convolved(images, 1).relu(),
    path=lambda images: [convolved(images, index) for index in range(2)],
    layers=("left", "right"),
    transferred=lambda images: convolved(images, 1)[:, 0],
)


def known(readings=READINGS, **changes):
    natural = Natural(
        activations=READINGS.activations(NATURAL),
        own=READINGS.activations(NATURAL[:16]),
        codes=READINGS.codes(NATURAL[:16]),
        facets=torch.arange(16) % 2,
        witnesses=(NATURAL[0:8:2], NATURAL[1:8:2]),
        strangers=NATURAL[16:],
        transferred=READINGS.transferred(NATURAL),
    )
    return refer(replace(natural, **changes), readings)


def certified(images=IMAGES, origins=ORIGINS, asked=None, readings=READINGS, **given):
    generators = [torch.Generator().manual_seed(10 + index) for index in range(len(images))]
    asked = asked or Certification()
    return certify(images, origins, readings, asked, generators=generators, **given)


def why(certificate):
    return {absent.measure: absent.why for absent in certificate.undefined}


def test_every_measure_is_defined_where_everything_is_known():
    """And each has its say once."""
    for each in certified(reference=known(), controls=CONTROLS):
        assert sorted(reason.measure.name for reason in each.reasons) == sorted(
            measure.name for measure in Measure if measure not in why(each)
        )
        assert set(why(each)) <= {Measure.RETAINED, Measure.START_SHORTFALL}
        assert [layer.layer for layer in each.path] == ["left", "right"]
        assert each.verdict is each.reasons[0].level


def test_the_path_is_compared_with_the_images_own_facet():
    """Beside the same of the parts, put together by hand."""
    compared = known()
    for index, (each, origin) in enumerate(
        zip(certified(reference=compared), ORIGINS, strict=True)
    ):
        kin = NATURAL[origin.facet : 8 : 2]
        for layer, image, near, far in zip(
            each.path,
            *(READINGS.path(some) for some in (IMAGES[index : index + 1], kin, NATURAL[16:])),
            strict=True,
        ):
            to_kin = [rank_correlations(codes, near) for codes in (image, near, far)]
            assert layer.similarity == pytest.approx(float(path_similarities(*to_kin)), abs=1e-5)


def test_variations_are_seen_by_the_unit():
    """Their mean and their worst, over the variations that the generators give."""
    (each,) = certified(IMAGES[:1], ORIGINS[:1], Certification(variations=3))
    generator = torch.Generator().manual_seed(10)
    slow = [float(READINGS.activations(variation(IMAGES[:1], [generator]))) for _ in range(3)]
    assert each.robust_activation == pytest.approx(sum(slow) / 3)
    assert each.worst_activation == pytest.approx(min(slow))


def test_a_certificate_does_not_depend_on_its_company():
    """But for the rounding of the network itself, for which a batch of one may take another way."""
    together = certified(reference=known(), controls=CONTROLS)
    for index, each in enumerate(together):
        generators = [torch.Generator().manual_seed(10 + index)]
        one = slice(index, index + 1)
        asked = (IMAGES[one], ORIGINS[one], READINGS, Certification())
        given = {"generators": generators, "reference": known(), "controls": CONTROLS}
        (alone,) = certify(*asked, **given)
        for field in ("activation", "robust_activation", "outlying", "path_similarity", "margin"):
            assert getattr(alone, field) == pytest.approx(getattr(each, field), rel=1e-4, abs=1e-5)
        assert [reason.level for reason in alone.reasons] == [r.level for r in each.reasons]


def test_it_costs_a_few_passes_of_each_image():
    """Not one of the hundreds of an ascent."""
    seen = []

    def counting(reading):
        return lambda images: (seen.append(len(images)), reading(images))[1]

    names = ("activations", "codes", "path", "transferred")
    counted = replace(READINGS, **{name: counting(getattr(READINGS, name)) for name in names})
    certified(reference=known(), asked=Certification(variations=8), readings=counted)
    assert sum(seen) == len(IMAGES) * (1 + 8 + 1 + 1 + 1)


def test_without_natural_images_little_is_said_and_the_reasons_are_given():
    """What can be measured is; and no verdict is made of nothing."""
    (each,) = certified(IMAGES[:1], ORIGINS[:1])
    assert each.verdict is None
    assert each.reasons == ()
    assert each.robust_activation is not None
    assert each.spectrum_slope == pytest.approx(float(slopes(IMAGES[:1])))
    assert list(why(each)) == list(Measure)
    assert "no natural images" in why(each)[Measure.PATH]
    assert "no other start" in why(each)[Measure.START_EXCESS]


def test_starts_can_be_told_without_natural_images():
    """What an image looks like needs no unit."""
    (each,) = certified(IMAGES[:1], ORIGINS[:1], controls=CONTROLS)
    assert [reason.measure for reason in each.reasons] == [Measure.START_EXCESS]
    assert "no natural images" in why(each)[Measure.START_SHORTFALL]


@pytest.mark.parametrize(
    ("asked", "changes", "measure", "sentence"),
    [
        ({"variations": 0}, {}, Measure.RETAINED, "no variations were asked for"),
        ({"layers": 0}, {}, Measure.PATH, "no layers were asked for"),
        ({}, {"strangers": NATURAL[:0]}, Measure.PATH, "add others"),
        ({}, {"witnesses": (NATURAL[:2],) * 2}, Measure.PATH, "fewer than 3"),
        ({}, {"own": torch.ones(16)}, Measure.ACTIVATION_MARGIN, "excite it alike"),
        ({}, {"facets": torch.zeros(16, dtype=torch.long)}, Measure.FACET_MARGIN, "one facet"),
        ({}, {"transferred": None}, Measure.TRANSFER, "no other model"),
        ({}, {"activations": torch.full((24,), 1e6)}, Measure.RETAINED, "not above the median"),
        ({}, {"activations": torch.full((24,), 1e6)}, Measure.START_SHORTFALL, "not above"),
    ],
)
def test_a_measure_that_is_missing_says_why(asked, changes, measure, sentence):
    """Silence would pass for approval."""
    origins = [Origin(0, 0)]
    readings = replace(READINGS, layers=()) if "layers" in asked else READINGS
    given = {"reference": known(readings, **changes), "controls": CONTROLS, "readings": readings}
    (each,) = certified(IMAGES[:1], origins, Certification(**asked), **given)
    assert sentence in why(each)[measure]
    assert measure not in {reason.measure for reason in each.reasons}


def test_an_image_for_no_facet_takes_the_path_of_the_nearest():
    """It has no margin, since no facet is its own."""
    asked = {"reference": known(), "controls": CONTROLS}
    (each,) = certified(IMAGES[:1], [Origin()], **asked)
    assert "no facet" in why(each)[Measure.FACET_MARGIN]
    (near,) = certified(IMAGES[:1], [Origin(each.nearest_facet)], **asked)
    assert each.path == near.path


def test_the_worst_level_decides_and_comes_first():
    """By the thresholds that were asked for; the sentence tells the number and the bound."""
    lenient = [
        Threshold(each.measure, *((-1e9, -1e9) if each.measure.larger_is_better else (1e9, 1e9)))
        for each in THRESHOLDS
    ]
    (green,) = certified(
        IMAGES[:1], ORIGINS[:1], Certification(thresholds=tuple(lenient)), reference=known()
    )
    assert green.verdict is Level.GREEN
    lenient[6] = Threshold(Measure.PATH, 2.0, 1.5)
    (red,) = certified(
        IMAGES[:1], ORIGINS[:1], Certification(thresholds=tuple(lenient)), reference=known()
    )
    assert red.verdict is Level.RED
    assert red.reasons[0].measure is Measure.PATH
    assert f"{red.path_similarity:.2f} of the way" in red.reasons[0].sentence
    assert "RED unless at least 1.5" in red.reasons[0].sentence
