"""Workers share what memory there is."""

import psutil
from hypothesis import given
from hypothesis import strategies as st

from facetscope.engine import memory


@given(st.integers(1, 64))
def test_workers_never_get_more_than_there_is(workers):
    """Together they leave a tenth, until there is not even enough to load torch."""
    share = memory.share(workers)
    assert share == memory.LEAST or workers * share <= 0.9 * memory.total()


def test_no_more_is_counted_than_the_machine_has():
    """In a container it is what the container may take."""
    assert 2**29 < memory.total() <= psutil.virtual_memory().total


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    """It is what the system kills for."""
    monkeypatch.setattr(memory, "CONTAINER_LIMIT", tmp_path / "memory.max")
    machine = memory.total()
    for text, bytes_ in (("max\n", machine), ("1073741824\n", 2**30)):
        (tmp_path / "memory.max").write_text(text)
        assert memory.total() == bytes_
