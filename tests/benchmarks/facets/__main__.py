"""Are the facets that are found the true ones?

    python -m tests.benchmarks.facets [mnist] [fashion] [digits] [photos] [published]
        [--only "paper, k sought" ...] [--units N] [--codes FOLDER] [--write-docs]

Fashion-MNIST comes with Debian's package ``dataset-fashion-mnist``, or lies in FASHION_MNIST;
photos and their networks are those of FACETSCOPE_ASSETS. What is absent is named and left out.
"""

import argparse
import sys
import time
import warnings
from collections import defaultdict
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
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
    parser.add_argument("--units", type=int, default=1000, help="unions of a group at most")
    parser.add_argument("--only", choices=[*map(str, PIPELINES)], nargs="+", help="ways to find")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into the docs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    chosen = [each for each in PIPELINES if not options.only or str(each) in options.only]
    measured = []
    for source in options.sources or SOURCES:
        try:
            found = kept(source, options.codes) if options.codes else SOURCES[source]()
            for subject in some(found, options.units):
                measured.extend(scored(subject, chosen))
        except FileNotFoundError as missing:
            print(f"{source}: left out, because {missing.filename} is absent", file=sys.stderr)
    print(tables.report(measured))
    if options.write_docs:
        tables.write_docs(measured)


def scored(subject, pipelines):
    """What each pipeline finds of one unit."""
    for pipeline, (name, codes) in product(pipelines, subject.codes.items()):
        if subject.single and not pipeline.counts:
            continue
        began = time.perf_counter()
        labels = pipeline.find(codes, subject.facets)
        result = score(codes, subject.truth, labels, time.perf_counter() - began)
        row = tables.Row(subject.group, name, pipeline, result)
        print(f"{subject.name}, {row}", file=sys.stderr, flush=True)
        yield row


def some(subjects_of_a_source, most):
    """So many unions and single classes of each group, and of each network about as many."""
    kinds = defaultdict(list)
    for subject in subjects_of_a_source:
        kinds[subject.group, subject.single].append(subject)
    for kind in kinds.values():
        chosen = np.unique(np.linspace(0, len(kind) - 1, most).astype(int))
        yield from (kind[index] for index in chosen)


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
