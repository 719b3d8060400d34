"""Ways to draw a unit: ours, one line each, and those of other tools."""

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tests.benchmarks.facets.subjects import inline
from tests.benchmarks.synthesis.ground import pixels
from tests.benchmarks.synthesis.peers import Task
from tests.benchmarks.synthesis.subjects import OUT

from facetscope.domain.events import SynthesizedImage
from facetscope.domain.jobs import MaximizeActivation
from facetscope.domain.recipes import FOURIER, MACO, Recipe
from facetscope.domain.schedules import CENTER_BIASED, MEAN_IMAGE, Schedule
from facetscope.domain.syntheses import Start, Synthesis

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"

LOG = OUT / "peers.log"

EVALUATIONS = MEAN_IMAGE.steps
"""Of the network for each picture of another tool: as many as our default takes."""

TRANSFORMS = 16
"""Of faccent in one step, by its default."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way of ours.

    Attributes:
        name: In tables and files.
        way: The phases of the ascent, or a recipe.
        start: ``GIVEN`` begins at the mean images of the facets.
    """

    name: str
    way: Schedule | Recipe
    start: Start

    @property
    def of_facets(self):
        """Whether each picture is of a facet."""
        return self.start is Start.GIVEN

    @property
    def synthesis(self):
        """What a job is asked for."""
        return Synthesis(method=self.way, start=self.start)


METHODS = (
    Method("mean-image", MEAN_IMAGE, Start.GIVEN),
    Method("center-biased", CENTER_BIASED, Start.GIVEN),
    Method("center-biased, noise", CENTER_BIASED, Start.NOISE),
    Method("Fourier", FOURIER, Start.GIVEN),
    Method("Fourier, noise", FOURIER, Start.NOISE),
    Method("MACO", MACO, Start.GIVEN),
)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pictures of one subject by one method.

    Attributes:
        pictures: In whole grey levels, [picture, channel, height, width].
        evaluations: Of the network, for each picture.
    """

    pictures: np.ndarray
    evaluations: int


def kept(subject, name, draw):
    """What a method drew of a subject, from its file; it is drawn where that is not there."""
    file = OUT / "pictures" / subject.name / f"{name}.npz"
    if not file.exists():
        drawn = draw()
        np.savez(file, pictures=drawn.pictures, evaluations=drawn.evaluations)
    stored = np.load(file)
    return Drawn(stored["pictures"], int(stored["evaluations"]))


def draw(inspector, subject, ground, method):
    """Ours: a picture for each facet, or as many from noise."""
    starts, examples = pictures(ground.starts), pictures(ground.examples)
    job = MaximizeActivation(
        model=str(subject.model.path),
        unit=subject.unit,
        input=subject.model.spec,
        synthesis=method.synthesis,
        starts=starts if method.of_facets else (),
        count=len(starts),
        spectrum=examples if method.synthesis.keeps_magnitudes else (),
    )
    events = inspector.run(job, {job.model: subject.model.path})
    images = [event for event in events if isinstance(event, SynthesizedImage)]
    images.sort(key=lambda image: image.index)
    return Drawn(np.stack([pixels(image.picture) for image in images]), images[0].steps)


def pictures(levels):
    """Grey levels [picture, channel, height, width], as they come with a request."""
    last = np.moveaxis(levels, 1, 3)
    return inline(last[..., 0] if last.shape[3] == 1 else last, range(len(last))).inline


class Peers:
    """The other tools, in a process of their own environment."""

    def __init__(self, process, folder):
        """Speak with ``process``, and exchange files through ``folder``."""
        self._process = process
        self._folder = folder

    def draw(self, tool, model, unit, count, **asked):
        """What a tool drew, and what it says that it cost."""
        network, out = self._folder / "network.pt", self._folder / "pictures.npy"
        torch.save(model.module, network)
        told = {
            "evaluations": EVALUATIONS,
            "transforms": TRANSFORMS,
            "seed": 0,
            "frozen": True,
            "threads": torch.get_num_threads(),
            **asked,
        }
        task = Task(
            tool=tool,
            network=str(network),
            channels=model.opened.input.channels,
            size=model.opened.input.height,
            unit=unit.channel,
            pictures=count,
            out=str(out),
            **told,
        )
        print(json.dumps(asdict(task)), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{tool} ended its process; see {LOG}")
        cost = json.loads(answer)
        levels = np.clip(np.round(255 * np.load(out)), 0, 255).astype(np.uint8)
        if levels.shape[1] > task.channels:
            levels = np.round(levels.mean(axis=1, keepdims=True)).astype(np.uint8)
        return Drawn(levels, round(cost["evaluations"] / count)), cost


@contextmanager
def peers():
    """The other tools, where ``make peers`` has installed them.

    Raises:
        FileNotFoundError: It has not.
    """
    if not PYTHON.exists():
        raise FileNotFoundError(2, "run: make peers", str(PYTHON))
    OUT.mkdir(parents=True, exist_ok=True)
    told = os.environ | {"MPLBACKEND": "agg"}
    command = [str(PYTHON), "-m", "tests.benchmarks.synthesis.peers"]
    with (
        TemporaryDirectory() as folder,
        LOG.open("a") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=told,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        yield Peers(process, Path(folder))
        process.stdin.close()
