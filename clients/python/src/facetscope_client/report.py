"""What an inspection found out about one unit, and its form as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from facetscope_client.events import Event
from facetscope_client.gen.facetscope.v1.facet_pb2 import EncodedImage, Facet, FacetCount
from facetscope_client.gen.facetscope.v1.model_pb2 import Unit
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import PreviewImage, SynthesizedImage

M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class UnitReport:
    """The facets of a unit and the images synthesized for it, as they arrive.

    Attributes:
        unit: The unit.
        facets: Its facets, by index.
        images: Images synthesized for it, by index and seed index.
        count: How many facets it has, and why, once that is known.
    """

    unit: Unit
    facets: dict[int, Facet] = field(default_factory=dict)
    images: dict[tuple[int, int], SynthesizedImage] = field(default_factory=dict)
    count: FacetCount | None = None

    def add(self, result: FacetCount | Facet | SynthesizedImage) -> None:
        """Take in one result of this unit."""
        match result:
            case FacetCount():
                self.count = result
            case Facet():
                self.facets[result.index] = result
            case SynthesizedImage():
                self.images[result.index, result.seed_index] = result

    def images_of(self, index: int) -> list[SynthesizedImage]:
        """Images for the facet or start ``index``, in the order of their seeds."""
        return [self.images[key] for key in sorted(self.images) if key[0] == index]


def pictures_in(event: Event) -> Iterator[tuple[str, EncodedImage]]:
    """Every picture that ``event`` carries, with a name that no other of its unit has."""
    match event:
        case Facet():
            if event.HasField("mean_image"):
                yield f"facet-{event.index:02}-mean", event.mean_image
            for number, thumbnail in enumerate(event.thumbnails):
                yield f"facet-{event.index:02}-member-{number:02}", thumbnail
            for number, thumbnail in enumerate(event.farthest_thumbnails):
                yield f"facet-{event.index:02}-farthest-{number:02}", thumbnail
        case PreviewImage():
            yield f"{image_name(event)}-preview", event.picture
        case SynthesizedImage():
            yield image_name(event), event.picture


def image_name(image: PreviewImage | SynthesizedImage) -> str:
    """How files of a synthesized image are called, without what follows a point."""
    seed = f"-seed-{image.seed_index:02}" if image.seed_index else ""
    return f"facet-{image.index:02}{seed}"


def record(event: Event, files: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON form of ``event``, with the names of ``files`` in place of its pictures' bytes."""
    lean = _copy(event)
    for _, picture in pictures_in(lean):
        picture.ClearField("data")
    plain = plain_json(lean)
    for picture_record, file in zip(_picture_records(plain), files, strict=True):
        picture_record["file"] = file
    return plain


def plain_json(message: Message) -> dict[str, Any]:
    """``message`` with the names and the defaults of the contract."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _copy(message: M) -> M:
    twin = type(message)()
    twin.CopyFrom(message)
    return twin


def _picture_records(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an event's pictures, in the order of ``pictures_in``, without their bytes."""
    single = [plain[name] for name in ("mean_image", "picture") if name in plain]
    several = (plain.get(name, ()) for name in ("thumbnails", "farthest_thumbnails"))
    records = [*single, *chain.from_iterable(several)]
    for picture in records:
        del picture["data"]
    return records
