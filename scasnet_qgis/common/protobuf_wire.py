"""Protocol buffers from anywhere: their fields found before they are parsed, and their classes.

A model file may come from anybody. Its fields are counted first, so that a few bytes cannot become
millions of objects, and weights are stepped over, so that memory stays small whatever the file
claims. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Union

import numpy as np

from scasnet_qgis.common.errors import DependencyError
from scasnet_qgis.common.messages import translate

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARINT, FIXED64, CHUNK, FIXED32 = 0, 1, 2, 5  # wire types; ONNX and Caffe use no others
DOUBLE, FLOAT, INT64, INT32, STRING, BYTES = 1, 2, 3, 5, 9, 12  # types of fields
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_LONGEST = 10  # bytes of an integer of 64 bits
_LARGEST_FIELD = 2**29 - 1
_64_BITS = 2**64 - 1
_BLOCK = 1 << 20  # bytes

# A field's type, or the name of the message that it holds; in a list where it is repeated.
Kind = Union[int, str, list[int], list[str]]
# message -> field -> its number and kind
Schema = Mapping[str, Mapping[str, tuple[int, Kind]]]


class WireError(ValueError):
    """The bytes are no protocol buffer, or one that is cut off."""


class OversizeError(WireError):
    """The file has more of something than any network."""


class Field(NamedTuple):
    """One field: its number and wire type, where its tag and its content start, where it ends.

    ``value`` is that of an integer, 0 for anything else.
    """

    number: int
    wire: int
    start: int
    content: int
    stop: int
    value: int = 0

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.stop - self.content


class WireReader:
    """Reads fields of a file, at most ``max_fields`` in all, and their bytes where asked to."""

    def __init__(self, file: BinaryIO, max_fields: int) -> None:
        self._file = file
        self._max_fields = max_fields
        self._count = 0

    def size(self) -> int:
        """Bytes of the whole file."""
        return self._file.seek(0, 2)

    def fields(self, start: int, stop: int) -> Iterator[Field]:
        """The fields of the message in bytes ``start`` to ``stop``, in their order.

        Each lies within start <= field.start < field.content <= field.stop <= stop. Raises
        WireError where that cannot be, OversizeError where there are too many.
        """
        place = start
        while place < stop:
            self._count += 1
            if self._count > self._max_fields:
                raise OversizeError(f"more than {self._max_fields} fields")
            field = self._field(place, stop)
            yield field
            place = field.stop

    def _field(self, place: int, stop: int) -> Field:
        self._file.seek(place)
        head = self._file.read(min(2 * _LONGEST, stop - place))
        tag, used = _integer(head, 0, place)
        number, wire, value = tag >> 3, tag & 7, 0
        if wire == VARINT:
            value, end = _integer(head, used, place)
            content, size = used, end - used
        elif wire == CHUNK:
            size, content = _integer(head, used, place)
        elif wire in (FIXED64, FIXED32):
            content, size = used, 8 if wire == FIXED64 else 4
        else:
            raise WireError(f"wire type {wire} at byte {place}")
        if not 0 < number <= _LARGEST_FIELD or place + content + size > stop:
            raise WireError(f"field {number} at byte {place} reaches beyond byte {stop}")
        return Field(number, wire, place, place + content, place + content + size, value)

    def content(self, field: Field) -> bytes:
        """What a field holds."""
        return self._read(field.content, field.stop)

    def message(self, fields: Iterable[Field]) -> bytes:
        """Some fields with their tags, a smaller message of the same type."""
        return b"".join(self._read(field.start, field.stop) for field in fields)

    def _read(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(stop - start)

    def count_integers(self, field: Field) -> int:
        """How many integers a field holds: one, or as many as are packed together."""
        if field.wire != CHUNK:
            return 1
        self._file.seek(field.content)
        count = 0
        for left in range(field.size, 0, -_BLOCK):
            block = np.frombuffer(self._file.read(min(left, _BLOCK)), np.uint8)
            count += int(np.count_nonzero(block < 0x80))
        return count

    def fill(self, target: NDArray[np.uint8], fields: Iterable[Field]) -> None:
        """What some fields hold, one after the other, into exactly ``target``."""
        at = 0
        for field in fields:
            self._file.seek(field.content)
            at += self._file.readinto(target[at : at + field.size])  # type: ignore[attr-defined]
        if at != len(target):
            raise WireError(f"{at} bytes instead of {len(target)}")


def _integer(head: bytes, at: int, place: int) -> tuple[int, int]:
    """The integer that starts at ``at``, and where it ends."""
    value = 0
    for index in range(at, min(at + _LONGEST, len(head))):
        value |= (head[index] & 0x7F) << 7 * (index - at)
        if head[index] < 0x80:
            return value & _64_BITS, index + 1
    raise WireError(f"an integer without end at byte {place + at}")


def varint(value: int) -> bytes:
    """An integer in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def message_classes(package: str, schema: Schema) -> dict[str, Any]:
    """The class of each message of a schema, without generated code.

    Fields that the schema lacks are kept as they are when a message is parsed and written again.
    Raises DependencyError where google.protobuf is missing or does not load.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except (ImportError, OSError, TypeError) as error:  # TypeError: files of several versions
        raise DependencyError(
            translate(
                "ScasNet",
                "The Python package protobuf, which reads model files, is missing or does not "
                "load.",
            ),
            str(error),
        ) from error
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto2"
    )
    for message, described in schema.items():
        description = file.message_type.add(name=message)
        for name, (number, kind) in described.items():
            one = kind[0] if isinstance(kind, list) else kind
            field = description.field.add(name=name, number=number)
            field.label = _REPEATED if isinstance(kind, list) else _OPTIONAL
            field.type = _MESSAGE if isinstance(one, str) else one
            if isinstance(one, str):
                field.type_name = f".{package}.{one}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    descriptors = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in schema}
    if hasattr(message_factory, "GetMessageClass"):  # since protobuf 4.22
        return {
            name: message_factory.GetMessageClass(descriptor)
            for name, descriptor in descriptors.items()
        }
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(descriptor) for name, descriptor in descriptors.items()}


def parse_message(message_class: Any, content: bytes) -> Any:
    """A message of this class; raises WireError where the bytes are none."""
    from google.protobuf.message import DecodeError

    try:
        return message_class.FromString(content)
    except (DecodeError, UnicodeDecodeError) as error:
        raise WireError(str(error)) from error
