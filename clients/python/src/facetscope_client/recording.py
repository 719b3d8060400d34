"""A request as it is kept beside its results, so that it can be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from facetscope_client.artifacts import Artifact
from facetscope_client.gen.facetscope.v1.inspection_pb2 import (
    DiscoverFacetsRequest,
    InspectUnitsRequest,
    MaximizeActivationRequest,
)
from facetscope_client.requests import Prepared, Request

LEDGER: Final = "facets.json"
"""What the file with all figures of a report is called."""

REQUEST: Final = "request.json"
"""What the file with its request is called."""

RPCS: Final[Mapping[str, type[Request]]] = {
    "DiscoverFacets": DiscoverFacetsRequest,
    "MaximizeActivation": MaximizeActivationRequest,
    "InspectUnits": InspectUnitsRequest,
}
"""The requests that can be made again, by the names of their calls."""


class RecordingError(ValueError):
    """A folder holds no request that can be made again."""


@dataclass(frozen=True, slots=True)
class Needed:
    """An artifact that a request names.

    Attributes:
        digest: SHA-256 of its bytes.
        name: Of the file that it was, or of the folder, with a slash; empty if not known.
        size_bytes: How many bytes it has; 0 if not known.
    """

    digest: str
    name: str = ""
    size_bytes: int = 0

    def __str__(self) -> str:
        size = f", {self.size_bytes:,} bytes" if self.size_bytes else ""
        return f"{self.name or 'a file'} (SHA-256 {self.digest}{size})"


@dataclass(frozen=True, slots=True)
class Recording:
    """A request, and what there is to know of the artifacts that it names.

    Attributes:
        request: The request: model and archives by digest, start pictures as they are.
        needs: Its artifacts, the model first.
    """

    request: Request
    needs: tuple[Needed, ...]

    @classmethod
    def of(cls, prepared: Prepared[Any]) -> Self:
        """Record what is about to be asked."""
        images = getattr(prepared.request, "images", None)
        digests = [prepared.request.model.digest, *(images.digests if images else ())]
        needs = (_needed(digest, prepared.artifacts) for digest in dict.fromkeys(digests))
        return cls(prepared.request, tuple(needs))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The request whose results are in ``folder``.

        Raises:
            RecordingError: It is not there, or is not understood.
        """
        path = folder / REQUEST
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            request = ParseDict(kept["request"], RPCS[kept["rpc"]]())
            return cls(request, tuple(Needed(**each) for each in kept["artifacts"]))
        except FileNotFoundError:
            raise RecordingError(
                f"{folder} has no {REQUEST}: give the folder that `discover`, `maximize` or "
                "`inspect` wrote, or a file in it"
            ) from None
        except (KeyError, ParseError, TypeError, ValueError) as problem:
            raise RecordingError(
                f"{path} is not understood; a newer client may have written it: {problem}"
            ) from problem

    def as_json(self) -> bytes:
        """What ``read`` reads."""
        rpc = next(name for name, kind in RPCS.items() if isinstance(self.request, kind))
        kept = {
            "rpc": rpc,
            "request": MessageToDict(self.request, preserving_proto_field_name=True),
            "artifacts": [asdict(each) for each in self.needs],
        }
        return json.dumps(kept, ensure_ascii=False, indent=1).encode()


def _needed(digest: str, at_hand: Mapping[str, Artifact]) -> Needed:
    artifact = at_hand.get(digest)
    return Needed(digest, artifact.name, artifact.size_bytes) if artifact else Needed(digest)
