"""Names of classes, in the forms that exporters write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetscope.models.class_names import LONGEST, class_names

NAMES = ("cat", "dog, domestic", "o'possum")


@pytest.mark.parametrize(
    "metadata",
    [
        {"names": str(dict(enumerate(NAMES)))},
        {"names": json.dumps(dict(enumerate(NAMES)))},
        {"classes": json.dumps(NAMES)},
        {"class_names": str(list(NAMES))},
        {"Labels": str(NAMES)},
        {"labels.json": json.dumps(NAMES)},
        {"classes.txt": "\n".join(NAMES) + "\n"},
        {"id2label": json.dumps({1: NAMES[1], 0: NAMES[0], 2: NAMES[2]})},
        {"names": "{}", "labels": json.dumps(NAMES), "author": "somebody"},
    ],
)
def test_names_are_found_in_every_form(metadata):
    """A reviewer reads names, not numbers."""
    assert class_names(metadata) == NAMES


def test_names_with_commas_between_them_are_told_apart():
    """A short list often stands on one line."""
    assert class_names({"classes": "cat, dog"}) == ("cat", "dog")


@pytest.mark.parametrize(
    "text",
    [
        "{0: 'cat', 2: 'dog'}",
        "{0: 1}",
        "[1, 2]",
        "{}",
        "3",
        "__import__('os').system('true')",
        "[" * 10_000,
        "-" * 10_000 + "1",
        str(list(range(60_000))),
    ],
)
def test_what_is_no_list_of_names_is_none(text):
    """A wrong name is worse than a number, and nothing in a file is ever run."""
    names = class_names({"names": text})
    assert names == () or names == tuple(part.strip()[:LONGEST] for part in text.split(","))


def test_names_are_short():
    """A name is shown in a table."""
    assert class_names({"names": json.dumps(["x" * 10_000])}) == ("x" * LONGEST,)


@given(st.text())
def test_any_text_is_names_or_nothing(text):
    """Metadata are anybody's text."""
    assert all(isinstance(name, str) for name in class_names({"names": text}))
