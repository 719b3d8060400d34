"""What a stream brings: the messages of the contract, out of their envelopes."""

from __future__ import annotations

from typing import Final, Protocol

from facetscope_client.gen.facetscope.v1 import inspection_pb2
from facetscope_client.gen.facetscope.v1.facet_pb2 import Facet, FacetCount
from facetscope_client.gen.facetscope.v1.inspection_pb2 import Manifest, Progress, UnitSkipped
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import PreviewImage, SynthesizedImage

Event = Progress | PreviewImage | FacetCount | Facet | SynthesizedImage | UnitSkipped | Manifest

KINDS: Final = {
    Progress: "progress",
    PreviewImage: "preview",
    FacetCount: "facet_count",
    Facet: "facet",
    SynthesizedImage: "image",
    UnitSkipped: "skipped",
    Manifest: "manifest",
}
"""What the contract calls each kind of event."""


class Envelope(Protocol):
    """A response that carries an event: those of all three streaming calls do."""

    @property
    def event(self) -> inspection_pb2.Event:
        """The event and its place in the stream."""


def opened(envelope: Envelope) -> Event | None:
    """The event in ``envelope``, or ``None`` for a kind that this client is too old to know."""
    kind = envelope.event.WhichOneof("kind")
    return None if kind is None else getattr(envelope.event, kind)
