"""Artifacts over a real connection and a real folder."""

from hashlib import sha256

import grpc
import pytest
from tests.support import reason

from facetscope.gen.facetscope.v1 import artifact_pb2 as pb
from facetscope.gen.facetscope.v1 import artifact_pb2_grpc as pb_grpc

DATA = bytes(range(256)) * 3000
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture
def stub(channel):
    return pb_grpc.ArtifactServiceStub(channel)


def chunks(data=DATA, digest=DIGEST, size=100_000):
    for offset in range(0, len(data), size):
        first = {"digest": digest} if offset == 0 else {}
        yield pb.WriteRequest(offset=offset, data=data[offset : offset + size], **first)


async def failure(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), reason(caught.value)


async def read(stub, **request):
    return b"".join([part.data async for part in stub.Read(pb.ReadRequest(**request))])


async def test_what_was_written_is_read(stub):
    """Chunks of any size arrive as one artifact."""
    written = await stub.Write(chunks())
    assert (written.digest, written.size_bytes) == (DIGEST, len(DATA))
    assert await read(stub, digest=DIGEST) == DATA
    assert await read(stub, digest=DIGEST, offset=1000) == DATA[1000:]


async def test_what_is_there_is_not_missing(stub):
    """The client uploads only what the server does not have."""
    request = pb.FindMissingRequest(digests=["f" * 64, DIGEST])
    assert list((await stub.FindMissing(request)).missing_digests) == ["f" * 64, DIGEST]
    await stub.Write(chunks())
    assert list((await stub.FindMissing(request)).missing_digests) == ["f" * 64]


async def test_writing_what_is_there_succeeds_at_once(stub):
    """Two clients may upload the same model at the same time."""
    await stub.Write(chunks())
    again = await stub.Write(chunks(size=1000))
    assert again.size_bytes == len(DATA)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([], "INVALID_FIELD"),
        ([pb.WriteRequest(digest="ABC")], "INVALID_FIELD"),
        (
            [pb.WriteRequest(digest=DIGEST), pb.WriteRequest(digest="0" * 64)],
            "INVALID_FIELD",
        ),
        ([pb.WriteRequest(digest=DIGEST, offset=1, data=b"x")], "OFFSET_MISMATCH"),
        ([pb.WriteRequest(digest=DIGEST, data=b"x")], "DIGEST_MISMATCH"),
    ],
    ids=["nothing", "malformed digest", "two digests", "gap", "other bytes"],
)
async def test_a_bad_upload_is_refused_and_leaves_nothing(stub, store, requests, expected):
    """The reason says what to do; the folder stays clean."""
    code, got = await failure(stub.Write(iter(requests)))
    assert (code, got) == (grpc.StatusCode.INVALID_ARGUMENT, expected)
    assert list(store._folder.iterdir()) == []


async def test_an_upload_beyond_the_limit_is_refused(stub):
    """The limit is the operator's, and it is told."""
    data = bytes(2**20 + 1)
    code, got = await failure(stub.Write(chunks(data, sha256(data).hexdigest())))
    assert (code, got) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ARTIFACT_TOO_LARGE")


async def test_reading_what_is_not_there_says_so(stub):
    """Not found, not an empty file."""
    code, got = await failure(stub.Read(pb.ReadRequest(digest=DIGEST)).read())
    assert (code, got) == (grpc.StatusCode.NOT_FOUND, "ARTIFACT_NOT_FOUND")


async def test_resuming_an_upload_is_not_served_yet(stub):
    """The contract has it; the answer says so rather than fail in some other way."""
    code, got = await failure(stub.QueryWrite(pb.QueryWriteRequest(digest=DIGEST)))
    assert (code, got) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED")
