"""What pictures of a unit are worth, and what they cost, beside those of other tools.

    make peers
    python -m tests.benchmarks.synthesis [mnist] [fashion] [efficientnet] [squeezenet] [mobilenet]
        [speed] [sheet] [--threads N] [--write-docs]

``planted`` stands for the first two, ``photos`` for the next three. What has been drawn is kept in
out/synthesis, so a run goes on where another ended; remove it to begin anew. Speed is of use only
where nothing else runs.
"""

import argparse
import os
import sys
import warnings

import torch
from tests.benchmarks.synthesis import judging, sheets, speed, tables
from tests.benchmarks.synthesis.ground import ground
from tests.benchmarks.synthesis.methods import METHODS, draw, kept, peers
from tests.benchmarks.synthesis.peers import TOOLS
from tests.benchmarks.synthesis.subjects import ARCHITECTURES, bell_pepper, planted_units

from facetscope.engine.inspection import Inspector

PLANTED, PHOTOS = ("mnist", "fashion"), tuple(ARCHITECTURES)
GROUPS = {"planted": PLANTED, "photos": PHOTOS}
SHOWN = ("efficientnet", "squeezenet")


def main():
    """Measure the named parts, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = (*GROUPS, *PLANTED, *PHOTOS, "speed", "sheet")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(known)}; default: all")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--write-docs", action="store_true", help="put the tables into the docs")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    asked = options.parts or [*GROUPS, "speed", "sheet"]
    if unknown := set(asked) - set(known):
        parser.error(f"there is no {', '.join(unknown)}")
    inspector = Inspector(device="cpu", threads=options.threads)
    for name in asked:
        for part in GROUPS.get(name, (name,)):
            try:
                measure(inspector, part)
            except FileNotFoundError as missing:
                print(f"{part}: left out: {missing.filename}: {missing.strerror}", file=sys.stderr)
    print(tables.quality((*PLANTED, *PHOTOS)), tables.speed(), sep="\n\n")
    if options.write_docs:
        tables.write_docs((*PLANTED, *PHOTOS))


def measure(inspector, part):
    """One part, whose figures are kept."""
    if part == "sheet":
        sheets.write(sheets.sheet({name: shown(inspector, name) for name in SHOWN}))
    elif part == "speed":
        with peers() as others:
            tables.keep(part, speed.paces(inspector, others, TOOLS))
    else:
        with peers() as others:
            subjects = planted_units(part) if part in PLANTED else bell_pepper(part)
            tables.keep(part, [row for each in subjects for row in rows(inspector, others, each)])


def rows(inspector, others, subject):
    """The figures of every method for one subject."""
    known = ground(inspector, subject)
    yield judging.natural(subject, known)
    for name, drawn, of_facets in every(inspector, others, subject, known):
        row = judging.judged(subject, known, name, drawn, of_facets=of_facets)
        print(subject.name, row, file=sys.stderr, flush=True)
        yield row


def every(inspector, others, subject, known):
    """What every method draws, its name, and whether each picture is of a facet."""
    for method in METHODS:
        drawn = kept(subject, method.name, lambda: draw(inspector, subject, known, method))
        yield method.name, drawn, method.of_facets
    for tool in TOOLS:
        count = len(known.starts)
        work = lambda: others.draw(tool, subject.model, subject.unit, count)[0]  # noqa: E731
        yield tool, kept(subject, tool, work), False


def shown(inspector, part):
    """Rows of a contact sheet: examples and means of the facets, and what every method drew."""
    (subject,) = bell_pepper(part)
    known = ground(inspector, subject)
    with peers() as others:
        drawn = {name: each.pictures for name, each, _ in every(inspector, others, subject, known)}
    return {"a photo of each": known.examples, "mean images": known.starts, **drawn}


if __name__ == "__main__":
    torch.set_num_interop_threads(1)
    main()
