"""Stand-ins that keep the promises of the ports they stand in for, and readers of answers."""

import asyncio
from contextlib import asynccontextmanager

from google.rpc import error_details_pb2, status_pb2


class ScriptedEngine:
    """An ``Engine`` that replays a script of events, errors, and ``...`` for waiting forever."""

    def __init__(self, *script):
        self.script = list(script)
        self.jobs = []
        self.ended = asyncio.Event()

    @asynccontextmanager
    async def run(self, job):
        self.jobs.append(job)
        try:
            yield self._replay()
        finally:
            self.ended.set()

    async def _replay(self):
        for line in self.script:
            if isinstance(line, Exception):
                raise line
            if line is ...:
                await asyncio.Event().wait()
            yield line


def details(error):
    """The details of a failed call's status, by the name of their type."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = {}
    for detail in status_pb2.Status.FromString(packed).details:
        name = detail.type_url.rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name)()
        assert detail.Unpack(found[name])
    return found


def reason(error):
    """The reason that a failed call gives to programs."""
    info = details(error)["ErrorInfo"]
    assert info.domain == "facetscope"
    return info.reason
