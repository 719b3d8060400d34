"""What is known of a unit before it is drawn: its facets, and what natural images do to it."""

from dataclasses import asdict, dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from tests.benchmarks.facets.subjects import surveyed
from tests.benchmarks.synthesis.scores import directions, nearest, slopes
from tests.benchmarks.synthesis.subjects import OUT

from facetscope.algorithms.canvases import fit
from facetscope.algorithms.codes import codes_of
from facetscope.domain.events import Facet
from facetscope.domain.jobs import DiscoverFacets
from facetscope.engine.image_sets import Decoding

BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Of one unit.

    Attributes:
        starts: Mean image of each facet, [facet, channel, height, width], in whole grey levels.
        examples: The same of the image nearest to each facet's centroid.
        centroids: Mean of the codes of each facet's members, scaled to length 1, [facet, channel].
        natural: Activation of each natural image.
        own: Whether it is one of the unit's own.
        elsewhere: What the unit of the other network makes of it.
        slope: Mean slope of the spectra of its own images.
        returned: Part of its own images that lie nearest to the centroid of their own facet.
    """

    starts: np.ndarray
    examples: np.ndarray
    centroids: np.ndarray
    natural: np.ndarray
    own: np.ndarray
    elsewhere: np.ndarray
    slope: np.ndarray
    returned: np.ndarray


def ground(inspector, subject):
    """What is known of a subject, from its file where that is there."""
    kept = OUT / "pictures" / subject.name / "ground.npz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **asdict(_found(inspector, subject)))
    return Ground(**np.load(kept))


def read(model, unit, pictures):
    """Activation of the unit and code of each picture, which has whole grey levels.

    Pictures of another size are resized to the network's.
    """
    opened = model.opened
    layers = [unit.layer, opened.code_layer("").name]
    reading = opened.network.reading(layers)
    size = (opened.input.height, opened.input.width)
    activations, codes = [], []
    for batch in torch.from_numpy(pictures).split(BATCH):
        with torch.inference_mode():
            values, code = reading(opened.preprocessing(fit(batch.float(), size)))
        activations.append(values[:, unit.channel])
        codes.append(codes_of(code, opened.code_layer("").channel_axis))
    return torch.cat(activations).numpy(), torch.cat(codes).numpy()


def pixels(picture):
    """A picture as it came, as an array, [channel, height, width]."""
    levels = np.asarray(Image.open(BytesIO(picture.data)))
    return levels[None] if levels.ndim == 2 else np.moveaxis(levels, 2, 0)


def _found(inspector, subject):
    job = DiscoverFacets(
        model=str(subject.model.path),
        unit=subject.unit,
        images=subject.images,
        input=subject.model.spec,
        discovery=subject.discovery,
    )
    events = inspector.run(job, {job.model: subject.model.path})
    facets = [event for event in events if isinstance(event, Facet)]
    survey = surveyed(subject.model.opened, subject.images, [subject.unit], subject.discovery)
    place = {name: at for at, name in enumerate(survey.names)}
    members = [[place[member.name] for member in facet.members] for facet in facets]
    codes = survey.codes.numpy()
    centroids = np.stack([directions(codes[each]).mean(axis=0) for each in members])
    own = np.isin(np.arange(len(codes)), np.concatenate(members))
    seen = _decoded(subject)
    right = [nearest(codes[each], centroids) == facet for facet, each in enumerate(members)]
    others = surveyed(subject.other.opened, subject.images, [subject.unit])
    return Ground(
        starts=np.stack([pixels(facet.mean_image) for facet in facets]),
        examples=np.stack([seen[each[0]] for each in members]),
        centroids=centroids,
        natural=survey.activations[subject.unit].numpy(),
        own=own,
        elsewhere=others.activations[subject.unit].numpy(),
        slope=np.array(slopes(seen[own]).mean()),
        returned=np.array(np.concatenate(right).mean()),
    )


def _decoded(subject):
    batches = Decoding().load(subject.images.inline, subject.model.opened)
    return np.concatenate([batch.pixels.numpy() for batch in batches])
