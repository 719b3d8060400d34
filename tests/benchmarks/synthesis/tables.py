"""The figures as tables of Markdown, printed and put into the documentation."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from statistics import mean

from tests.benchmarks.synthesis.judging import Row
from tests.benchmarks.synthesis.methods import METHODS
from tests.benchmarks.synthesis.speed import Pace
from tests.benchmarks.synthesis.subjects import OUT

DOCS = Path(__file__).parents[3] / "docs" / "synthesis.md"
HEADINGS = (
    *("network", "method", "pictures", "evaluations", "above 99 % of images"),
    *("above 99 % of its own images", "round trip", "transfer", "slope"),
)
PACES = (
    *("network", "tool", "weights", "s", "beside our fastest", "beside our default"),
    "pixels shown",
)


def keep(part, found):
    """Keep the rows or paces of one part."""
    (OUT / f"{part}.json").write_text(json.dumps([asdict(each) for each in found], indent=1))


def quality(parts):
    """One line for each network and method, of the parts that have been measured."""
    rows = [Row(**each) for part in parts for each in _stored(part)]
    keys = dict.fromkeys((row.group, row.method) for row in rows)
    lines = [_line(key, [row for row in rows if (row.group, row.method) == key]) for key in keys]
    return _table(HEADINGS, lines)


def speed():
    """One line for each network and tool, beside ours."""
    found = [Pace(**each) for each in _stored("speed")]
    lines = []
    for pace in found:
        ours = {
            other.tool: other.seconds
            for other in found
            if other.network == pace.network and other.weights == "none"
        }
        default = ours[METHODS[0].name]
        lines.append(
            [
                pace.network,
                pace.tool,
                "" if pace.weights == "none" else pace.weights,
                f"{pace.seconds:.2f}",
                f"{pace.seconds / min(ours.values()):.2f}",
                f"{pace.seconds / default:.2f}",
                f"{pace.pixels:.2f}",
            ]
        )
    return _table(PACES, lines)


def write_docs(parts):
    """Replace the tables in the documentation."""
    begin, end = "<!-- figures: tests.benchmarks.synthesis -->", "<!-- end of figures -->"
    text = DOCS.read_text()
    tables = f"{begin}\n{quality(parts)}\n\n{speed()}\n{end}"
    DOCS.write_text(re.sub(f"{begin}.*{end}", lambda _: tables, text, flags=re.DOTALL))


def _stored(part):
    file = OUT / f"{part}.json"
    return json.loads(file.read_text()) if file.exists() else []


def _line(key, rows):
    pictures = sum(len(row.strong) for row in rows)
    spent = {row.evaluations for row in rows}
    cells = [*key, str(pictures), "-".join(map(str, sorted(spent))) if any(spent) else ""]
    cells.append(_part(flag for row in rows for flag in row.strong))
    cells.append(_part(flag for row in rows for flag in row.strongest))
    cells.append(_part(flag for row in rows for flag in row.returned))
    cells.append(f"{mean(each for row in rows for each in row.transfer):.0f}")
    return [*cells, f"{mean(each for row in rows for each in row.slope):+.1f}"]


def _part(flags):
    flags = list(flags)
    return f"{mean(flags):.2f}" if flags else ""


def _table(headings, lines):
    rows = (headings, ["---"] * len(headings), *lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
