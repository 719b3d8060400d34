"""What certificates say of images of each kind, and what they cost.

    python -m tests.benchmarks.certificates [digits] [photos]

``photos`` needs the real models and images of FACETSCOPE_ASSETS. Both use CPU time of one thread,
which what else runs does not lengthen much.
"""

import sys
import time
from collections import Counter
from dataclasses import replace

import torch
from tests import certifying, fooling
from tests.assets import ASSETS
from tests.benchmarks.facets.photos import MODELS, PUBLISHED, UNIONS
from tests.benchmarks.facets.subjects import opened, surveyed
from torch.nn.functional import normalize

from facetscope.algorithms.ascent import ascend
from facetscope.algorithms.certificates.certify import Controls, Origin, certify
from facetscope.algorithms.certificates.paths import chosen_layers
from facetscope.algorithms.certificates.reference import Natural, Readings, read, refer
from facetscope.algorithms.codes import codes_of
from facetscope.algorithms.facets import discover
from facetscope.domain.certificates import Certification, Level
from facetscope.domain.discoveries import AllImages, Discovery
from facetscope.domain.jobs import ImageSet, InlineImage
from facetscope.domain.schedules import MEAN_IMAGE
from facetscope.domain.units import Readout, Unit
from facetscope.engine.image_sets import Decoding, OpenImageSet

SEEDS = (*range(4), *range(100, 104))
"""Of digits; training fails for 102, and its images show it."""

LEARNED = 0.9
"""Accuracy of a network that has learned its classes."""

BELL_PEPPER, FACETS, WITNESSES, UNSEEN, STRANGERS = 945, 4, 8, 32, 16
OTHERS = 12
"""Images of each class that is no bell pepper."""

PART = 0.3
"""Of the published schedule's steps, that the photos' facets are sharpened with."""

NUMBERS = (
    "percentile",
    "margin",
    "robust_margin",
    "retained",
    "facet_margin",
    "outlying",
    "path_similarity",
    "least_path_similarity",
    "spectrum_deviation",
    "start_shortfall",
    "start_excess",
    "transfer_percentile",
)


def main():
    """Run the named measurements, or all."""
    torch.set_num_threads(1)
    measurements = {"digits": digits, "photos": photos}
    for name in sys.argv[1:] or measurements:
        print(f"\n{name}")
        for kind, found in measurements[name]().items():
            show(kind, found)


def show(kind, found):
    """Print how many are of each level, and the range of every number."""
    levels = Counter(each.verdict for each in found)
    counts = " ".join(f"{level.name} {levels[level]}" for level in Level)
    print(f"{kind} ({len(found)}): {counts}")
    for name in NUMBERS:
        values = [getattr(each, name) for each in found if getattr(each, name) is not None]
        if values:
            low, high = min(values), max(values)
            print(f"    {name:22} {low:8.2f} {torch.tensor(values).median():8.2f} {high:8.2f}")
    for level in (Level.RED, Level.AMBER):
        said = [r.measure.name for each in found for r in each.reasons if r.level is level]
        print(f"    {level.name}: {dict(Counter(said))}")


def digits():
    """Images of honest and manipulated networks, noise, and digits that no network has seen."""
    found = {}
    for seed in SEEDS:
        known, unseen = fooling.digits(seed)
        honest = fooling.trained_honest(known, seed)
        manipulated = fooling.trained_manipulation(honest, known, seed)
        with torch.no_grad():
            right = honest(unseen.pixels).argmax(dim=1) == unseen.classes
        learned = "" if right.float().mean() > LEARNED else "untrained, "
        print(f"seed {seed}: accuracy {right.float().mean():.3f}", flush=True)
        for name, network in {"honest": honest, "manipulated": manipulated}.items():
            compared = certifying.reference(network, known)
            kinds = {
                "images of facets": certifying.synthesized(network, known, seed + 1000),
                "noise": certifying.white_noise(seed),
                "natural images": certifying.natural(unseen),
            }
            for kind, images in kinds.items():
                certificates = images.certified(network, compared)
                found.setdefault(f"{learned}{name}: {kind}", []).extend(certificates)
    return found


def photos():
    """Bell peppers on EfficientNet-Lite0, with SqueezeNet as the other model."""
    bench = Photos()
    noise = torch.cat(
        [
            torch.normal(128.0, 60.0, (6, *bench.pixels.shape[1:]), generator=generator(3)),
            255 * torch.rand((6, *bench.pixels.shape[1:]), generator=generator(4)),
        ]
    ).clamp(0, 255)
    images, controls, spent = bench.synthesized()
    own = [Origin(int(bench.facets[image])) for image in bench.unseen]
    turns = [Origin(index % FACETS) for index in range(UNSEEN)]
    began = time.process_time()
    reference = bench.reference()
    origins = [Origin(index, index) for index in range(FACETS)]
    found = {"images of facets": bench.certified(images[:FACETS], origins, reference, controls)}
    cost = (time.process_time() - began) / (spent * FACETS / len(images) / PART)
    print(f"certificates / the ascents of the whole schedule that they certify: {cost:.3f}")
    found["image from noise"] = bench.certified(
        images[FACETS:], [Origin(None, FACETS)], reference, controls
    )
    found["noise"] = bench.certified(noise, turns[: len(noise)], reference)
    found["natural images"] = bench.certified(bench.pixels[bench.unseen], own, reference)
    found["natural images of other classes"] = bench.certified(
        bench.pixels[bench.unseen_others], turns, reference
    )
    found["mean images"] = bench.certified(controls.starts[:FACETS], origins, reference)
    return found


class Photos:
    """150 bell peppers in 4 facets, and images of other classes; some of both are kept apart."""

    def __init__(self):
        self.model, self.other = (
            opened(ASSETS / "models" / MODELS[name][0], MODELS[name][1])
            for name in ("efficientnet", "squeezenet")
        )
        self.target = self.model.target(Unit("logits", BELL_PEPPER))
        pictures, count = _pictures()
        images = ImageSet(inline=tuple(pictures))
        self.survey = surveyed(self.model, images, (self.target.unit,))
        decoded = OpenImageSet(self.model, images, {}, Decoding())
        self.pixels = torch.stack(list(decoded.pixels(list(range(len(pictures)))))).float()
        discovery = Discovery(selection=AllImages(), facets=FACETS)
        found = discover(self.survey.codes[:count].numpy(), discovery)
        self.facets = torch.from_numpy(found.labels)
        nearest = [torch.from_numpy(facet.members[: discovery.averaged]) for facet in found.facets]
        self.means = torch.stack([self.pixels[places].mean(dim=0) for places in nearest])
        shuffled = torch.randperm(count, generator=generator(1))
        self.unseen, self.seen = shuffled[:UNSEEN], shuffled[UNSEEN:]
        rest = count + torch.randperm(len(pictures) - count, generator=generator(2))
        self.unseen_others, self.others = rest[:UNSEEN], rest[UNSEEN:]
        self.readings = self._readings()

    def synthesized(self):
        """An image of each facet and one from noise, their starts, and the seconds they took."""
        shape = self.means.shape[1:]
        noise = torch.normal(175.0, 8.0, (1, *shape), generator=generator(0)).clamp(0, 255)
        starts = torch.cat([self.means, noise])
        phases = (replace(p, steps=round(p.steps * PART)) for p in MEAN_IMAGE.phases)
        began = time.process_time()
        for step in ascend(
            {Readout.ACTIVATION: self.target.activation},
            starts,
            schedule=replace(MEAN_IMAGE, phases=tuple(phases)),
            generators=[generator(index) for index in range(len(starts))],
        ):
            last = step
        spent = time.process_time() - began
        images = last.images.round().clamp(0, 255)
        with torch.no_grad():
            return images, Controls(starts, self.readings.activations(images)), spent

    @torch.no_grad()
    def reference(self):
        """What the seen images say."""
        codes, activations = self.survey.codes, self.survey.activations[self.target.unit]
        every = torch.cat([self.seen, self.others])
        natural = Natural(
            activations=activations[every],
            own=activations[self.seen],
            codes=codes[self.seen],
            facets=self.facets[self.seen],
            witnesses=tuple(map(self._witnesses, range(FACETS))),
            strangers=self.pixels[self.others[:STRANGERS]],
            transferred=read(self.readings.transferred, self.pixels[every]),
        )
        return refer(natural, self.readings)

    def certified(self, images, origins, reference, controls=None):
        """Certificates of images."""
        return certify(
            images,
            origins,
            self.readings,
            Certification(),
            generators=[generator(index) for index in range(len(images))],
            reference=reference,
            controls=controls,
        )

    def _witnesses(self, facet):
        members = self.seen[self.facets[self.seen] == facet]
        codes = normalize(self.survey.codes[members])
        nearest = (codes - codes.mean(dim=0)).norm(dim=1).argsort()[:WITNESSES]
        return self.pixels[members[nearest]]

    def _readings(self):
        network, preprocessing = self.model.network, self.model.preprocessing
        layers = chosen_layers(network.on_the_way(self.target.layer), Certification().layers)
        code = network.code_layer()
        path = network.reading([layer.name for layer in layers])
        coding = network.reading([code.name])
        logits = self.other.network.reading([self.other.network.classifier()[0]])

        return Readings(
            activations=self.target.activation,
            codes=lambda images: codes_of(coding(preprocessing(images))[0], code.channel_axis),
            path=lambda images: [
                codes_of(values, layer.channel_axis)
                for values, layer in zip(path(preprocessing(images)), layers, strict=True)
            ],
            layers=tuple(layer.name for layer in layers),
            transferred=lambda images: logits(self.other.preprocessing(images))[0].flatten(1)[
                :, BELL_PEPPER
            ],
        )


def generator(seed):
    """Randomness of one thing."""
    return torch.Generator().manual_seed(seed)


def _pictures():
    """Bell peppers first, with their number, and images of the other classes."""
    own = sorted(PUBLISHED.glob("*/*.*"))
    folders = sorted(UNIONS.glob("*/*"))
    others = [path for folder in folders for path in sorted(folder.glob("*.jpg"))[:OTHERS]]
    pictures = [
        InlineImage(str(path), path.parent.name, path.read_bytes()) for path in own + others
    ]
    return pictures, len(own)


if __name__ == "__main__":
    main()
