"""The fields of an ONNX file, found without loading it.

An ONNX file is a protobuf message. Only the headers of its fields are looked at here, so that the
package onnx is not needed and a large file costs no memory, whatever it claims.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

import numpy as np

Value = Union[int, slice]  # a whole number, or where anything longer lies in the file

MOST_FIELDS = 400_000  # the largest networks have a quarter; looking at more would take seconds
_MOST_LETTERS = 32_000_000  # of all names together
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LARGEST_FIELD = 2**29 - 1
_64_BITS = 2**64 - 1
_CHUNK = 1 << 20


class OversizeError(ValueError):
    """The file has more of something than any network."""


@contextmanager
def opened(path: Path) -> Iterator[Wire]:
    """The fields of a file. Raises OSError, and ValueError where it is empty."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield Wire(data)


class Wire:
    """Walks through messages, at most MOST_FIELDS fields in all; ValueError where that fails."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._fields_left = MOST_FIELDS
        self._letters_left = _MOST_LETTERS

    def all(self) -> Iterator[tuple[int, Value]]:
        """The fields of the whole file."""
        return self._fields(0, len(self._data))

    def inside(self, value: Value) -> Iterator[tuple[int, Value]]:
        """Number and value of each field of a message."""
        span = _span(value)
        return self._fields(span.start, span.stop)

    def text(self, value: Value, most: int) -> str:
        """The first ``most`` bytes of a text."""
        span = _span(value)
        return self._data[span.start : min(span.stop, span.start + most)].decode("utf-8", "replace")

    def name(self, value: Value) -> bytes:
        """A whole name; all of them together may not be endless."""
        self._letters_left -= length(value)
        if self._letters_left < 0:
            raise OversizeError("names without end")
        return bytes(self._data[_span(value)])

    def numbers(self, value: Value) -> list[int]:
        """Whole numbers with a sign: one, or as many as are packed together."""
        if isinstance(value, int):
            return [_signed(value)]
        found, place = [], value.start
        while place < value.stop:
            self._count_field()
            each, place = self._varint(place, value.stop)
            found.append(_signed(each))
        return found

    def count_numbers(self, value: Value) -> int:
        """How many whole numbers are packed together."""
        if isinstance(value, int):
            return 1
        parts = (
            self._data[at : min(at + _CHUNK, value.stop)]
            for at in range(value.start, value.stop, _CHUNK)
        )
        return sum(int((np.frombuffer(each, np.uint8) < 0x80).sum()) for each in parts)

    def _count_field(self) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise OversizeError(f"more than {MOST_FIELDS} fields")

    def _fields(self, place: int, end: int) -> Iterator[tuple[int, Value]]:
        while place < end:
            self._count_field()
            key, place = self._varint(place, end)
            number, wire = key >> 3, key & 7
            # Others than these would be read differently by different programs.
            if not 0 < number <= _LARGEST_FIELD:
                raise ValueError(f"no such field: {number}")
            if wire == _VARINT:
                found, place = self._varint(place, end)
                yield number, found
                continue
            if wire == _BYTES:
                size, place = self._varint(place, end)
            elif wire in (_FIXED32, _FIXED64):
                size = 4 if wire == _FIXED32 else 8
            else:
                raise ValueError(f"no such type of field: {wire}")
            if size > end - place:
                raise ValueError("a field goes beyond its message")
            yield number, slice(place, place + size)
            place += size

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """A whole number in groups of seven bits, the lowest first, and where it ends."""
        result = 0
        for shift in range(0, 70, 7):
            if place >= end:
                break
            byte = self._data[place]
            place += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result & _64_BITS, place
        raise ValueError("a number that does not end")


def length(value: Value) -> int:
    """Bytes of a text, of packed numbers or of a message."""
    span = _span(value)
    return int(span.stop - span.start)


def _span(value: Value) -> slice:
    if not isinstance(value, slice):
        raise ValueError("a number where something longer was expected")
    return value


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
