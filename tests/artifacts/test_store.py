"""Artifacts are whole and verified, or not there."""

from hashlib import sha256

import pytest

from facetscope.artifacts.store import READ_BYTES, Store
from facetscope.domain import errors

DATA = b"facets" * 100_000
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", largest_bytes=len(DATA))


def files(store):
    return sorted(path.name for path in store._folder.iterdir())


def test_what_was_kept_is_read_back(store):
    """The bytes of a model are the bytes that were reviewed."""
    assert store.put(DATA) == DIGEST
    chunks = list(store.read(DIGEST, 0))
    assert b"".join(chunks) == DATA
    assert max(map(len, chunks)) <= READ_BYTES


def test_reading_begins_where_it_is_told(store):
    """A broken download goes on from where it was."""
    store.put(DATA)
    assert b"".join(store.read(DIGEST, 100)) == DATA[100:]


def test_reading_beyond_the_end_is_refused(store):
    """An offset that cannot be is a mistake of the client's."""
    store.put(DATA)
    with pytest.raises(errors.InvalidFieldError, match="beyond"):
        next(store.read(DIGEST, len(DATA) + 1))


def test_other_bytes_than_announced_leave_nothing(store):
    """A flipped bit in a weight loads silently, so the digest must catch it."""
    with pytest.raises(errors.DigestMismatchError), store.upload(DIGEST) as upload:
        upload.write(0, DATA[:-1] + b"!")
        upload.keep()
    assert files(store) == []


def test_an_interrupted_upload_leaves_nothing(store):
    """Half a model must never be found under its digest."""
    with pytest.raises(ConnectionError), store.upload(DIGEST) as upload:
        upload.write(0, DATA[:100])
        raise ConnectionError
    assert files(store) == []
    assert DIGEST not in store


def test_a_gap_is_refused(store):
    """A lost chunk is noticed at once, not after gigabytes."""
    with store.upload(DIGEST) as upload:
        upload.write(0, DATA[:100])
        with pytest.raises(errors.OffsetMismatchError, match="next byte due is 100"):
            upload.write(200, DATA[200:])


def test_more_than_allowed_is_refused(store):
    """A disk is not filled by one client."""
    with store.upload("0" * 64) as upload, pytest.raises(errors.ArtifactTooLargeError):
        upload.write(0, DATA + b"!")


def test_all_that_is_missing_is_named_at_once(store):
    """The client uploads what is missing in one go."""
    store.put(DATA)
    with pytest.raises(errors.ArtifactMissingError) as caught:
        store.locate([DIGEST, "a" * 64, "b" * 64])
    assert caught.value.digests == ("a" * 64, "b" * 64)
