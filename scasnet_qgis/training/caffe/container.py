"""The container of a Caffe file (``.caffemodel``): its layers, their names and their weights.

A file is indexed first. Weights are read when they are asked for, so that the memory holds those
that are used and never more than the file has.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.protobuf_wire import (
    BYTES,
    CHUNK,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    Field,
    Schema,
    WireError,
    WireReader,
    message_classes,
    parse_message,
)
from scasnet_qgis.common.untrusted import check_regular_file, clean_name

MAX_FILE = 2**31 - 1  # bytes; a protocol buffer cannot be larger
MAX_FIELDS = 50_000  # ResNet ScasNet has a fifth of that
_CHUNK = 2**20  # bytes
MAX_TEXT = 1_000  # bytes of a name or of a shape
MAX_AXES = 32  # Caffe's own limit, and numpy's


@dataclass(frozen=True)
class Blob:
    """One array of a layer: its shape, and the fields of the file that hold its numbers.

    Numbers that are not packed, each in a field of its own, are in the one field ``loose``.
    """

    shape: tuple[int, ...]
    double: bool
    packed: tuple[Field, ...]
    loose: Field | None = None

    def read(self, reader: WireReader) -> NDArray[np.float32]:
        """The array in single precision; raises WireError where the file has been cut since."""
        if self.loose is None:
            stored = np.empty(math.prod(self.shape), "<f8" if self.double else "<f4")
            reader.fill(stored.view(np.uint8), self.packed)
        else:
            found = parsed("BlobProto", reader.content(self.loose))
            numbers = found.double_data if self.double else found.data
            stored = np.fromiter(numbers, np.float64, len(numbers))
        with np.errstate(over="ignore"):  # infinity is refused with the rest
            return stored.astype(np.float32, copy=False).reshape(self.shape)


@dataclass(frozen=True)
class CaffeLayer:
    """A layer with weights: its name and type, the maps it takes and gives, its blobs."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    blobs: tuple[Blob, ...]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [blob.shape for blob in self.blobs]


class CaffeFile:
    """The layers with weights of a ``.caffemodel``, in the file's order.

    Raises ModelError where the file is missing, cut off, too large or no Caffe model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            check_regular_file(path)
            with path.open("rb") as file:
                self.layers = tuple(self._index(file))
        except OSError as error:
            raise self._unreadable(error) from error
        except WireError as error:
            raise self._broken(error) from error
        if not self.layers:
            text = translate("ScasNet", "{path} has no layers with weights.")
            raise ModelError(text, path=str(path))

    def read(self, layer: CaffeLayer) -> list[NDArray[np.float32]]:
        """The arrays of one of the layers; raises ModelError where the file has changed."""
        try:
            with self.path.open("rb") as file:
                return [blob.read(WireReader(file, MAX_FIELDS)) for blob in layer.blobs]
        except OSError as error:
            raise self._unreadable(error) from error
        except WireError as error:
            raise self._broken(error) from error

    def sha256(self) -> str:
        """The checksum of the whole file."""
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def _index(self, file: BinaryIO) -> Iterator[CaffeLayer]:
        reader, names = WireReader(file, MAX_FIELDS), set[str]()
        size = reader.size()
        if size > MAX_FILE:
            text = translate(
                "ScasNet", "{path} has {size:.1f} GiB; no Caffe model has more than 2 GiB."
            )
            raise ModelError(text, path=str(self.path), size=size / 2**30)
        for field in reader.fields(0, size):
            if field.wire != CHUNK or field.number not in CONTAINERS:
                continue
            layer = _layer(reader, field)
            if not layer.blobs:
                continue
            if layer.name in names:
                text = translate("ScasNet", "{path} has two layers named '{layer}'.")
                raise ModelError(text, path=str(self.path), layer=clean_name(layer.name))
            names.add(layer.name)
            yield layer

    def _unreadable(self, error: OSError) -> ModelError:
        text = translate("ScasNet", "The Caffe file {path} cannot be read.")
        return ModelError(text, str(error), path=str(self.path))

    def _broken(self, error: WireError) -> ModelError:
        text = translate("ScasNet", "{path} is not a complete Caffe model (.caffemodel).")
        return ModelError(text, str(error), path=str(self.path))


def _layer(reader: WireReader, field: Field) -> CaffeLayer:
    message, blob_number = CONTAINERS[field.number]
    parts = list(reader.fields(field.content, field.stop))
    blobs = [part for part in parts if part.number == blob_number and part.wire == CHUNK]
    found = parsed(message, _header(reader, message, parts))
    try:
        name, kind = str(found.name), found.type
        bottoms, tops = tuple(map(str, found.bottom)), tuple(map(str, found.top))
    except UnicodeDecodeError as error:
        raise WireError(str(error)) from error
    if isinstance(kind, int):
        kind = OLD_TYPES.get(kind, str(kind))
    return CaffeLayer(name, kind, bottoms, tops, tuple(_blob(reader, blob, name) for blob in blobs))


def _header(reader: WireReader, message: str, parts: list[Field]) -> bytes:
    """The fields of names and shapes, once they are found to be of honest size."""
    known = [part for part in parts if part.number in header_fields(message)]
    if any(part.size > MAX_TEXT for part in known):
        raise WireError(f"a name or shape of more than {MAX_TEXT} bytes")
    return reader.message(known)


def _blob(reader: WireReader, field: Field, layer: str) -> Blob:
    parts: list[Field] = []
    for part in reader.fields(field.content, field.stop):
        if part.number in (DATA, DOUBLE_DATA) and part.wire != CHUNK:
            return _loose_blob(reader, field, layer)
        parts.append(part)
    single, double = (
        tuple(part for part in parts if part.number == number) for number in (DATA, DOUBLE_DATA)
    )
    counts = [sum(part.size for part in found) for found in (single, double)]
    if counts[0] % 4 or counts[1] % 8:
        raise WireError(f"broken numbers at byte {field.start}")
    count = counts[0] // 4 or counts[1] // 8
    shape = _shape(parsed("BlobProto", _header(reader, "BlobProto", parts)), count, layer)
    return Blob(shape, not counts[0], single if counts[0] else double)


def _loose_blob(reader: WireReader, field: Field, layer: str) -> Blob:
    found = parsed("BlobProto", reader.content(field))
    count = len(found.data) or len(found.double_data)
    return Blob(_shape(found, count, layer), not len(found.data), (), field)


def _shape(blob: Any, count: int, layer: str) -> tuple[int, ...]:
    """The shape that a blob of ``count`` numbers claims; raises ModelError where it cannot be."""
    if blob.HasField("shape"):
        if len(blob.shape) > MAX_TEXT:
            raise WireError(f"a shape of {len(blob.shape)} bytes")
        shape = tuple(parsed("BlobShape", blob.shape).dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    if len(shape) > MAX_AXES or min(shape, default=0) < 0 or math.prod(shape) != count:
        text = translate(
            "ScasNet", "The Caffe layer '{layer}' states the shape {shape} but has {size} values."
        )
        raise ModelError(
            text, layer=clean_name(layer), shape=" x ".join(map(str, shape[:8])), size=count
        )
    return shape


DATA, DOUBLE_DATA = 5, 8

_SCHEMA: Schema = {
    "BlobShape": {"dim": (1, [INT64])},
    "BlobProto": {
        "num": (1, INT32),
        "channels": (2, INT32),
        "height": (3, INT32),
        "width": (4, INT32),
        "data": (DATA, [FLOAT]),
        "shape": (7, BYTES),  # a BlobShape, parsed once its length is known
        "double_data": (DOUBLE_DATA, [DOUBLE]),
    },
    "LayerParameter": {
        "name": (1, STRING),
        "type": (2, STRING),
        "bottom": (3, [STRING]),
        "top": (4, [STRING]),
    },
    "V1LayerParameter": {
        "bottom": (2, [STRING]),
        "top": (3, [STRING]),
        "name": (4, STRING),
        "type": (5, INT32),
    },
}
# Field of the file that holds layers -> message of a layer, and that message's field of blobs.
CONTAINERS = {100: ("LayerParameter", 7), 2: ("V1LayerParameter", 6)}
OLD_TYPES = {4: "Convolution", 14: "InnerProduct"}


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    return message_classes("scasnet.caffe", _SCHEMA)


def parsed(message: str, content: bytes) -> Any:
    """A message of _SCHEMA; raises WireError where the bytes are none."""
    return parse_message(_classes()[message], content)


def header_fields(message: str) -> set[int]:
    """The numbers of the fields that a message has beside weights."""
    return {number for number, kind in _SCHEMA[message].values() if kind not in ([FLOAT], [DOUBLE])}
