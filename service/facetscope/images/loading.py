"""Image sets as batches of pixels, decoded ahead of whoever uses them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from facetscope.domain.inputs import Input
from facetscope.domain.jobs import InlineImage
from facetscope.images.archives import NamedPicture
from facetscope.images.decoding import UndecodableError
from facetscope.images.fitting import Pixels, read

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
    pictures: Iterable[NamedPicture | InlineImage], spec: Input, *, batch: int, threads: int
) -> Iterator[Batch]:
    """Decode pictures and fit them to ``spec``, a batch at a time.

    Threads decode the next batch while the caller works on this one, and nothing beyond it. Which
    pictures are in which batch does not depend on the threads.

    Args:
        pictures: What to decode; asked for in the caller's thread.
        spec: The network's input.
        batch: Files in a batch, decodable or not; the last may have fewer.
        threads: How many decode.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decoding")
    try:
        decode = partial(_decoded, spec=spec)
        decoded = _map_ahead(pool, decode, enumerate(pictures), ahead=batch)
        while chunk := tuple(islice(decoded, batch)):
            yield _batch(chunk, spec)
    finally:
        pool.shutdown(cancel_futures=True)


def _map_ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    ahead: int,
) -> Iterator[Result]:
    """``map(function, items)``, with ``ahead`` results under way beyond the one that is taken."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """A picture without its file: the pixels, or ``None`` where they could not be decoded."""

    place: int
    name: str
    label: str
    pixels: Pixels | None


def _decoded(placed: tuple[int, NamedPicture | InlineImage], spec: Input) -> _Decoded:
    place, picture = placed
    try:
        return _Decoded(place, picture.name, picture.label, read(picture.data, spec))
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
