"""Writes the protocol buffers of a ``.caffemodel`` byte by byte, with no code of the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def varint(value: int) -> bytes:
    """An integer in groups of seven bits; a negative one takes ten bytes, as in 64 bits."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int) -> bytes:
    """An integer field."""
    return varint(field << 3) + varint(value)


def chunk(field: int, content: bytes | str) -> bytes:
    """A field with a length: text, a message, or packed numbers."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def floats(values: ArrayLike, *, double: bool = False, packed: bool = True) -> bytes:
    """The numbers of a blob: field 5, or field 8 in double precision."""
    if double:
        return chunk(8, np.asarray(values, dtype="<f8").tobytes())
    array = np.asarray(values, dtype="<f4")
    if packed:
        return chunk(5, array.tobytes())
    return b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in array.ravel())


def shape(dims: Sequence[int]) -> bytes:
    """The shape of a blob, as newer files have it."""
    return chunk(7, chunk(1, b"".join(map(varint, dims))))


def legacy_shape(dims: Sequence[int]) -> bytes:
    """The shape of a blob in four fields, as older files have it."""
    return b"".join(number(field, extent) for field, extent in enumerate(dims, start=1))


def blob(values: NDArray[np.float32]) -> bytes:
    """An array the way a present Caffe writes it."""
    return shape(values.shape) + floats(values)


def old_blob(values: NDArray[np.float32], *, double: bool = False) -> bytes:
    """An array the way an old Caffe wrote it, with four extents whatever its shape."""
    dims = (1, 1, 1, 1, *values.shape)[-4:]
    return legacy_shape(dims) + floats(values, double=double)


def layer(name: str, kind: str, blobs: Sequence[bytes], *, fed: str = "", feeds: str = "") -> bytes:
    """A layer in the present container, with the maps that it is fed and feeds."""
    content = chunk(1, name) + chunk(2, kind) + b"".join(chunk(7, part) for part in blobs)
    wiring = (chunk(3, fed) if fed else b"") + (chunk(4, feeds) if feeds else b"")
    return chunk(100, content + wiring)


def old_layer(name: str, kind: int, blobs: Sequence[bytes]) -> bytes:
    """A layer in the container of old files (V1LayerParameter)."""
    content = chunk(4, name) + number(5, kind) + b"".join(chunk(6, part) for part in blobs)
    return chunk(2, content)
