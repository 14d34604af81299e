"""Where the fields of a protocol buffer lie in a file, found without reading what is in them.

Weights make up nearly all of a Caffe file. Stepping over them keeps the memory small whatever
the file claims, and counting fields before they are parsed keeps a few bytes from becoming
millions of objects. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, CHUNK, FIXED32 = 0, 1, 2, 5  # wire types; Caffe has no use for the others
MAX_FIELDS = 50_000  # ResNet ScasNet has a fifth of that
_LONGEST = 10  # bytes of an integer of 64 bits


class WireError(ValueError):
    """The bytes are no protocol buffer, or one that is cut off or out of all proportion."""


@dataclass(frozen=True)
class Field:
    """One field: its number, its wire type, and where its tag and its content start and end."""

    number: int
    wire: int
    start: int
    content: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.stop - self.content


class WireReader:
    """Reads fields of a file, at most MAX_FIELDS in all, and their bytes where asked to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0

    def fields(self, start: int, stop: int) -> Iterator[Field]:
        """The fields of the message in bytes ``start`` to ``stop``, in their order.

        Each lies within start <= field.start < field.content <= field.stop <= stop. Raises
        WireError where that cannot be.
        """
        place = start
        while place < stop:
            self._count += 1
            if self._count > MAX_FIELDS:
                raise WireError(f"more than {MAX_FIELDS} fields")
            field = self._field(place, stop)
            yield field
            place = field.stop

    def _field(self, place: int, stop: int) -> Field:
        self._file.seek(place)
        head = self._file.read(min(2 * _LONGEST, stop - place))
        tag, used = _integer(head, 0, place)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            content, size = used, _integer(head, used, place)[1] - used
        elif wire == CHUNK:
            size, content = _integer(head, used, place)
        elif wire in (FIXED64, FIXED32):
            content, size = used, 8 if wire == FIXED64 else 4
        else:
            raise WireError(f"wire type {wire} at byte {place}")
        if not number or place + content + size > stop:
            raise WireError(f"field {number} at byte {place} reaches beyond byte {stop}")
        return Field(number, wire, place, place + content, place + content + size)

    def content(self, field: Field) -> bytes:
        """What a field holds."""
        self._file.seek(field.content)
        return self._file.read(field.size)

    def message(self, parts: Iterable[Field]) -> bytes:
        """Some fields with their tags, a smaller message of the same type."""
        found = []
        for each in parts:
            self._file.seek(each.start)
            found.append(self._file.read(each.stop - each.start))
        return b"".join(found)

    def fill(self, target: NDArray[np.uint8], parts: Iterable[Field]) -> None:
        """What some fields hold, one after the other, into exactly ``target``."""
        at = 0
        for each in parts:
            self._file.seek(each.content)
            at += self._file.readinto(target[at : at + each.size])  # type: ignore[attr-defined]
        if at != len(target):
            raise WireError(f"{at} bytes instead of {len(target)}")


def _integer(head: bytes, at: int, place: int) -> tuple[int, int]:
    """The integer that starts at ``at``, and where it ends."""
    value = 0
    for index in range(at, min(at + _LONGEST, len(head))):
        value |= (head[index] & 0x7F) << 7 * (index - at)
        if head[index] < 0x80:
            return value, index + 1
    raise WireError(f"an integer without end at byte {place + at}")
