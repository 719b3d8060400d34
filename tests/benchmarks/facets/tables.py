"""The figures as tables of Markdown, printed and put into the documentation."""

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from tests.benchmarks.facets.pipelines import Pipeline
from tests.benchmarks.facets.scores import Score

DOCS = Path(__file__).parents[3] / "docs" / "facets.md"
HEADINGS = (
    *("images", "codes", "facets found by", "units", "ARI", "least ARI", "NMI", "purity", "1-NN"),
    *("k within 1", "one facet of one", "s"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one pipeline found of one unit.

    Attributes:
        group: Of units that share a line of the table.
        codes: What it compared images by.
        pipeline: What found facets.
        score: How well.
    """

    group: str
    codes: str
    pipeline: Pipeline
    score: Score

    @property
    def key(self):
        """What rows of one line have in common."""
        return self.group, self.codes, str(self.pipeline)


def report(rows):
    """One line for each group, code and pipeline."""
    keys = sorted({row.key for row in rows})
    lines = [_line(key, [row for row in rows if row.key == key]) for key in keys]
    return "\n".join(_markdown(cells) for cells in (HEADINGS, ["---"] * len(HEADINGS), *lines))


def _line(key, rows):
    unions = [row.score for row in rows if row.score.true > 1]
    singles = [row.score for row in rows if row.score.true == 1]
    cells = [*key, f"{len(unions)} ({len(singles)})" if singles else str(len(unions))]
    if unions:
        cells.append(f"{mean(score.rand for score in unions):.2f}")
        cells.append(f"{min(score.rand for score in unions):.2f}")
        cells.append(f"{mean(score.information for score in unions):.2f}")
        cells.append(f"{mean(score.purity for score in unions):.2f}")
        cells.append(f"{mean(score.neighbours for score in unions):.2f}")
    else:
        cells += [""] * 5
    counted = rows[0].pipeline.counts
    cells.append(_part(abs(s.found - s.true) <= 1 for s in unions) if counted else "given")
    cells.append(_part(s.found == 1 for s in singles) if counted else "")
    return [*cells, f"{median(row.score.seconds for row in rows):.1f}"]


def _part(flags):
    flags = list(flags)
    return f"{sum(flags)} of {len(flags)}" if flags else ""


def _markdown(cells):
    return f"| {' | '.join(cells)} |"


def write_docs(rows):
    """Replace the table in the documentation."""
    begin, end = "<!-- figures: tests.benchmarks.facets -->", "<!-- end of figures -->"
    text = DOCS.read_text()
    table = f"{begin}\n{report(rows)}\n{end}"
    DOCS.write_text(re.sub(f"{begin}.*{end}", lambda _: table, text, flags=re.DOTALL))
