"""The table of docs/models.md: what becomes of each architecture in each format.

    python -m tests.models.architectures_table [ARCHITECTURE ...] [FORMAT ...]

Measures the named architectures in the named formats, or all, and writes their cells; other cells
stay as they are.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tests.models.architectures import ARCHITECTURES, FORMATS, Measurement, Original, measure

from facetscope.domain.errors import InspectionError

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- architectures -->\n", "<!-- /architectures -->"


def main():
    """Measure, and write each row as soon as it is known."""
    torch.set_num_threads(1)
    names = [name for name in ARCHITECTURES if name in sys.argv] or ARCHITECTURES
    forms = [form for form in FORMATS if form in sys.argv] or FORMATS
    for name in names:
        original, known = Original(name), rows()
        old = dict(zip(FORMATS, known.get(name, ["not measured"] * len(FORMATS)), strict=True))
        new = {form: _cell(original, form) for form in forms}
        write({**known, name: [*(old | new).values()]})


def rows():
    """The cells of each architecture in the document."""
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    split = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return {name: cells for name, *cells in split}


def write(table: Mapping[str, list[str]]):
    """Put ``table`` into the document, in the order of the architectures."""
    head = ["architecture", *FORMATS]
    body = [[name, *table[name]] for name in ARCHITECTURES if name in table]
    lines = [head, ["---"] * len(head), *body]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    DOCUMENT.write_text(pattern.sub(lambda _: f"{BEGIN}{text}{END}", DOCUMENT.read_text()))


def _cell(original, form):
    with TemporaryDirectory() as folder:
        try:
            cell = text(measure(original, form, Path(folder)))
        except InspectionError as error:
            cell = error.reason
    print(original.name, form, cell, sep="\t", flush=True)  # noqa: T201
    return cell


def text(found: Measurement):
    """Distances of outputs and gradient, layers under their modules' paths, and seconds."""
    distances = f"{found.outputs:.0e}, {found.gradient:.0e}"
    return f"{distances}; {found.named}/{found.modules} of {found.values}; {found.seconds:.1f} s"


if __name__ == "__main__":
    main()
