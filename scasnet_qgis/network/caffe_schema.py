"""The messages of a Caffe file (``.caffemodel``), which is a protocol buffer.

Only the few fields that hold names and weights are described here, so no Caffe and no generated
code is needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from scasnet_qgis.core.protobuf_wire import (
    BYTES,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    Schema,
    message_classes,
    parse_message,
)

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
