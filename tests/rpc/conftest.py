import grpc
import pytest
from tests.support import ScriptedEngine

from facetscope.artifacts.store import Store
from facetscope.gen.facetscope.v1 import artifact_pb2_grpc, inspection_pb2_grpc
from facetscope.rpc.artifacts import ArtifactServicer
from facetscope.rpc.inspection import InspectionServicer


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, largest_bytes=2**20)


@pytest.fixture
async def channel(engine, store):
    """A client of a real server on a free local port; only the engine is scripted."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    inspection_pb2_grpc.add_InspectionServiceServicer_to_server(
        InspectionServicer(engine, store.put), server
    )
    artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(ArtifactServicer(store), server)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(grace=None)
