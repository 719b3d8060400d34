"""The frames on a worker's pipe: values of the domain as protobuf, and back.

The front does not trust a worker, which has opened a stranger's model. So a frame is never a
pickle: decoding makes nothing but the dataclasses and enums of the domain, and checks each value
against the type that its field declares.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from inspect import isclass
from types import MappingProxyType, NoneType, UnionType
from typing import Any, BinaryIO, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from facetscope.domain import (
    certificates,
    descriptions,
    discoveries,
    errors,
    events,
    inputs,
    jobs,
    recipes,
    schedules,
    syntheses,
    units,
)
from facetscope.gen.facetscope.worker.v1 import frame_pb2 as pb

T = TypeVar("T")

LARGEST_FRAME_BYTES: Final = 64 * 2**20
LENGTH: Final = struct.Struct(">I")

RECORDS: Final[Mapping[str, type]] = MappingProxyType(
    {
        name: value
        for room in (
            certificates,
            descriptions,
            discoveries,
            errors,
            events,
            inputs,
            jobs,
            recipes,
            schedules,
            syntheses,
            units,
        )
        for name, value in vars(room).items()
        if isclass(value) and is_dataclass(value)
    }
)


class FrameError(Exception):
    """Bytes on the pipe that are not a frame: the worker is broken or hostile."""


def encode(value: object) -> pb.Value:  # noqa: PLR0911
    """``value`` of the domain as protobuf; equal values give equal bytes when serialized."""
    match value:
        case None:
            return pb.Value(absent=pb.Absent())
        case bool():
            return pb.Value(boolean=value)
        case Enum():
            return pb.Value(text=value.name)
        case int():
            return pb.Value(natural=value) if value >= 0 else pb.Value(negative=value)
        case float():
            return pb.Value(real=value)
        case str():
            return pb.Value(text=value)
        case bytes():
            return pb.Value(data=value)
        case tuple():
            return pb.Value(items=pb.Items(values=map(encode, value)))
        case Mapping():
            return pb.Value(
                entries=pb.Entries(values={key: encode(item) for key, item in value.items()})
            )
    record = pb.Record(
        type=type(value).__name__,
        fields=(encode(getattr(value, field.name)) for field in fields(cast("Any", value))),
    )
    return pb.Value(record=record)


def decode(value: pb.Value, expected: type[T]) -> T:
    """The value of type ``expected`` that ``value`` stands for.

    Raises:
        FrameError: It is not of that type.
    """
    return cast("T", _decode(value, expected))


def digest(value: object) -> str:
    """SHA-256 of a value of the domain, in hexadecimal digits."""
    return sha256(encode(value).SerializeToString(deterministic=True)).hexdigest()


def packed(frame: pb.Frame) -> bytes:
    """``frame`` as it goes on the pipe: its length in four bytes, and its bytes.

    Raises:
        FrameError: It is too large.
    """
    data = frame.SerializeToString()
    return LENGTH.pack(checked_length(len(data))) + data


def checked_length(length: int) -> int:
    """``length`` of a frame, if it is one that a frame may have.

    Raises:
        FrameError: It is too large.
    """
    if length > LARGEST_FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes; at most {LARGEST_FRAME_BYTES} are allowed")
    return length


def read(pipe: BinaryIO) -> pb.Frame | None:
    """The next frame on ``pipe``, or ``None`` when its other end is closed."""
    header = pipe.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    return pb.Frame.FromString(pipe.read(checked_length(length)))


_SCALARS: Final[Mapping[type, tuple[str, ...]]] = MappingProxyType(
    {
        NoneType: ("absent",),
        bool: ("boolean",),
        int: ("natural", "negative"),
        float: ("real", "natural", "negative"),
        str: ("text",),
        bytes: ("data",),
    }
)


def _decode(value: pb.Value, expected: Any) -> object:
    kind = value.WhichOneof("kind")
    if get_origin(expected) in (Union, UnionType):
        return _decode(value, _arm(value, kind, get_args(expected)))
    if not _fits(value, kind, expected):
        raise FrameError(f"a {kind} where {expected} belongs")
    origin = get_origin(expected) or expected
    if origin in _SCALARS:
        return None if kind == "absent" else expected(getattr(value, cast("str", kind)))
    if origin is tuple:
        return _tuple(value.items.values, get_args(expected))
    if origin is Mapping:
        (_, item) = get_args(expected)
        return {key: _decode(entry, item) for key, entry in value.entries.values.items()}
    return _member(value, expected) if issubclass(expected, Enum) else _record(value.record)


def _arm(value: pb.Value, kind: str | None, arms: tuple[Any, ...]) -> Any:
    for arm in arms:
        if _fits(value, kind, arm):
            return arm
    raise FrameError(f"a {kind} where one of {arms} belongs")


def _fits(value: pb.Value, kind: str | None, expected: Any) -> bool:
    origin = get_origin(expected) or expected
    if origin in _SCALARS:
        return kind in _SCALARS[origin]
    if origin is tuple:
        return kind == "items"
    if origin is Mapping:
        return kind == "entries"
    if issubclass(origin, Enum):
        return kind == "text"
    found = RECORDS.get(value.record.type)
    return kind == "record" and found is not None and issubclass(found, origin)


def _tuple(values: Any, arms: tuple[Any, ...]) -> tuple[object, ...]:
    if len(arms) == 2 and arms[1] is Ellipsis:  # noqa: PLR2004
        return tuple(_decode(value, arms[0]) for value in values)
    if len(arms) != len(values):
        raise FrameError(f"{len(values)} values where {len(arms)} belong")
    return tuple(_decode(value, arm) for value, arm in zip(values, arms, strict=True))


def _member(value: pb.Value, expected: type[Enum]) -> Enum:
    try:
        return expected[value.text]
    except KeyError:
        raise FrameError(f"{expected.__name__} has no member {value.text!r}") from None


def _record(record: pb.Record) -> object:
    kind = RECORDS[record.type]
    hints = _hints(kind)
    if len(hints) != len(record.fields):
        raise FrameError(f"{record.type} has {len(hints)} fields, not {len(record.fields)}")
    values = {
        name: _decode(value, hint)
        for (name, hint), value in zip(hints.items(), record.fields, strict=True)
    }
    return kind(**values)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Types of a dataclass's fields by name, in the order of their definition."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
