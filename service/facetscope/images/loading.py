"""Image sets as batches of pixels, decoded ahead of whoever uses them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from facetscope.domain.inputs import Input
from facetscope.domain.jobs import InlineImage
from facetscope.images.decoding import UndecodableError
from facetscope.images.fitting import Pixels, read
from facetscope.images.room import Room
from facetscope.images.samples import NamedPicture

LARGEST_BATCH: Final = 16
"""Files in a batch, unless their pixels would take too much memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some pictures of an image set, in its order.

    Attributes:
        places: Of the pictures, among all that were to be decoded.
        names: Of the pictures.
        labels: Of the pictures; empty where there is none.
        pixels: Of the pictures.
        undecodable: Names of those that could not be decoded, and are left out above.
    """

    places: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    pixels: UInt8[Tensor, "batch channel height width"]
    undecodable: tuple[str, ...]


def load(
    pictures: Iterable[NamedPicture | InlineImage],
    spec: Input,
    *,
    threads: int,
    memory_bytes: int,
    batch: int | None = None,
) -> Iterator[Batch]:
    """Decode pictures and fit them to ``spec``, a batch at a time.

    Threads decode the next batch while the caller works on this one, and nothing beyond it. Which
    pictures are in which batch does not depend on the threads.

    Half of the memory is for pictures that are being decoded, a quarter for files that wait for it,
    and a quarter for the pixels of two batches. One picture is always decoded, however large.

    Args:
        pictures: What to decode; asked for in the caller's thread.
        spec: The network's input.
        threads: How many decode.
        memory_bytes: What files and pixels may take ahead of the caller, at most.
        batch: Files in a batch, decodable or not; the last may have fewer. If not given,
            ``LARGEST_BATCH``, or as many as there is memory for.
    """
    batch = batch or batch_size(spec, memory_bytes)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decoding")
    try:
        decode = partial(_decoded, spec=spec, room=Room(memory_bytes // 2))
        decoded = _map_ahead(
            pool,
            decode,
            enumerate(pictures),
            ahead=batch,
            weight=lambda placed: len(placed[1].data),
            heaviest=memory_bytes // 4,
        )
        while chunk := tuple(islice(decoded, batch)):
            yield _batch(chunk, spec)
    finally:
        pool.shutdown(cancel_futures=True)


def batch_size(spec: Input, memory_bytes: int) -> int:
    """Files in a batch where two batches of pixels may take a quarter of ``memory_bytes``."""
    picture_bytes = spec.channels * spec.height * spec.width
    return max(1, min(LARGEST_BATCH, memory_bytes // (8 * picture_bytes)))


def _map_ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    ahead: int,
    weight: Callable[[Item], int],
    heaviest: int,
) -> Iterator[Result]:
    """``map(function, items)``, with results under way beyond the one that is taken.

    These are ``ahead`` at most, and of items that weigh ``heaviest`` together, or are one.
    """
    waiting: deque[tuple[Future[Result], int]] = deque()
    weights = 0
    for item in items:
        waiting.append((pool.submit(function, item), weight(item)))
        weights += waiting[-1][1]
        while len(waiting) > ahead or (weights > heaviest and waiting):
            future, freed = waiting.popleft()
            weights -= freed
            yield future.result()
    while waiting:
        yield waiting.popleft()[0].result()


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """A picture without its file: the pixels, or ``None`` where they could not be decoded."""

    place: int
    name: str
    label: str
    pixels: Pixels | None


def _decoded(placed: tuple[int, NamedPicture | InlineImage], spec: Input, room: Room) -> _Decoded:
    place, picture = placed
    try:
        return _Decoded(place, picture.name, picture.label, read(picture.data, spec, room))
    except UndecodableError:
        return _Decoded(place, picture.name, picture.label, None)


def _batch(pictures: Iterable[_Decoded], spec: Input) -> Batch:
    kept = [picture for picture in pictures if picture.pixels is not None]
    pixels = torch.empty((len(kept), spec.channels, spec.height, spec.width), dtype=torch.uint8)
    for row, picture in zip(pixels, kept, strict=True):
        row.copy_(picture.pixels)
    return Batch(
        places=tuple(picture.place for picture in kept),
        names=tuple(picture.name for picture in kept),
        labels=tuple(picture.label for picture in kept),
        pixels=pixels,
        undecodable=tuple(picture.name for picture in pictures if picture.pixels is None),
    )
