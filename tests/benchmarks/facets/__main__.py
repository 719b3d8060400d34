"""Are the facets that are found the true ones?

    python -m tests.benchmarks.facets [mnist] [fashion] [digits] [photos] [published]
        [--codes FOLDER] [--write-docs]

Fashion-MNIST comes with Debian's package ``dataset-fashion-mnist``, or lies in FASHION_MNIST;
photos and their networks are those of FACETSCOPE_ASSETS. What is absent is named and left out.
"""

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import torch
from tests.benchmarks.facets import photos, planted, subjects, tables
from tests.benchmarks.facets.pipelines import PIPELINES
from tests.benchmarks.facets.scores import score

SOURCES = {
    **{name: partial(planted.subjects, name) for name in planted.SOURCES},
    "photos": photos.unions,
    "published": photos.published,
}


def main():
    """Measure the named sources, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", nargs="*", help="default: all")
    parser.add_argument("--codes", type=Path, help="keeps codes from one run to the next")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into the docs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    measured = []
    for source in options.sources or SOURCES:
        try:
            for subject in kept(source, options.codes) if options.codes else SOURCES[source]():
                measured.extend(scored(subject))
        except FileNotFoundError as missing:
            print(f"{source}: left out, because {missing.filename} is absent", file=sys.stderr)
    print(tables.report(measured))
    if options.write_docs:
        tables.write_docs(measured)


def scored(subject):
    """What each pipeline finds of one unit."""
    for pipeline in PIPELINES:
        if subject.single and not pipeline.counts:
            continue
        began = time.perf_counter()
        labels = pipeline.find(subject.codes[pipeline.codes], subject.facets)
        result = score(subject.truth, labels, time.perf_counter() - began)
        print(f"{subject.name}, {pipeline.name}: {result}", file=sys.stderr, flush=True)
        yield tables.Row(subject.group, pipeline.name, pipeline.counts, result)


def kept(source, folder):
    """The subjects of a source from its folder, which is filled where it is not complete."""
    place = folder / source
    place.mkdir(parents=True, exist_ok=True)
    if not (complete := place / "complete").exists():
        for subject in SOURCES[source]():
            subjects.write(place, subject)
        complete.touch()
    yield from map(subjects.read, sorted(place.glob("*.npz")))


if __name__ == "__main__":
    main()
