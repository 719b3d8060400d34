import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import islice

import grpc
import pytest
from PIL import Image
from tests.clients.python.support import ScriptedServer
from typer.testing import CliRunner

from facetscope_client import AsyncClient, Client, RetryPolicy
from facetscope_client.cli.app import app
from facetscope_client.gen.facetscope.v1 import artifact_pb2_grpc, inspection_pb2_grpc

QUICK = RetryPolicy(attempts=3, first_pause_s=0.01)


@pytest.fixture
def scripted():
    return ScriptedServer()


@pytest.fixture
def address(scripted):
    """A real server on a free local port; only what it answers is scripted."""
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads)
        inspection_pb2_grpc.add_InspectionServiceServicer_to_server(scripted, server)
        artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(scripted, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        scripted.ended.set()
        server.stop(grace=None).wait()


class WithThreads:
    """Calls of the client for threads."""

    def __init__(self, address, **options):
        self.make = lambda: Client(address, **{"retry": QUICK, **options})

    def ask(self, method, *args, **options):
        with self.make() as client:
            return getattr(client, method)(*args, **options)

    def events(self, method, *args, most=None, **options):
        with self.make() as client:
            events = getattr(client, method)(*args, **options)
            taken = list(islice(events, most))
            events.close()
            return taken


class WithAsyncio:
    """The same calls of the client for asyncio."""

    def __init__(self, address, **options):
        self.make = lambda: AsyncClient(address, **{"retry": QUICK, **options})

    def ask(self, method, *args, **options):
        async def ask():
            async with self.make() as client:
                return await getattr(client, method)(*args, **options)

        return asyncio.run(ask())

    def events(self, method, *args, most=None, **options):
        async def take():
            taken = []
            async with (
                self.make() as client,
                aclosing(getattr(client, method)(*args, **options)) as events,
            ):
                async for event in events:
                    taken.append(event)
                    if len(taken) == most:
                        break
            return taken

        return asyncio.run(take())


@pytest.fixture(params=[WithThreads, WithAsyncio])
def caller(request, address):
    """Both clients in turn: what one promises, the other does too."""
    return request.param(address)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes(range(256)) * 2500)
    return path


@pytest.fixture
def photos(tmp_path):
    for name in ("cat/a.png", "cat/b.png", "dog/a.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), len(name)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def run(address):
    """The command line with a server; gives exit code and output."""
    return lambda *args: CliRunner().invoke(app, ["--server", address, *map(str, args)])


@pytest.fixture
def inspect(run, model, photos, tmp_path):
    options = ("--images", photos, "--unit", "fc:3", "--out", tmp_path / "out")
    return lambda *more: run("inspect", model, *options, *more)
