"""Bytes and files on their way to the server."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from facetscope_client.artifacts import CHUNK_BYTES, Artifact, writes


@given(st.integers(0, 3 * CHUNK_BYTES))
def test_chunks_are_the_bytes_in_order(size):
    """What the server puts together is what was named, also where it is empty."""
    data = bytes(size)
    artifact = Artifact.of(data)
    chunks = list(writes(artifact))
    assert b"".join(chunk.data for chunk in chunks) == data
    assert artifact.digest == hashlib.sha256(data).hexdigest() == chunks[0].digest
    assert all(len(chunk.data) == CHUNK_BYTES for chunk in chunks[:-1])
