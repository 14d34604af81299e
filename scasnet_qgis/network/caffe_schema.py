"""The messages of a Caffe file (``.caffemodel``), which is a protocol buffer.

Only the few fields that hold names and weights are described here, so no Caffe and no generated
code is needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from scasnet_qgis.network.caffe_wire import WireError

_DOUBLE, _FLOAT, _INT64, _INT32, _STRING, _BYTES = 1, 2, 3, 5, 9, 12
_OPTIONAL, _REPEATED = 1, 3
DATA, DOUBLE_DATA = 5, 8

# message -> (field, number, label, type)
_SCHEMA: dict[str, list[tuple[str, int, int, int]]] = {
    "BlobShape": [("dim", 1, _REPEATED, _INT64)],
    "BlobProto": [
        ("num", 1, _OPTIONAL, _INT32),
        ("channels", 2, _OPTIONAL, _INT32),
        ("height", 3, _OPTIONAL, _INT32),
        ("width", 4, _OPTIONAL, _INT32),
        ("data", DATA, _REPEATED, _FLOAT),
        ("shape", 7, _OPTIONAL, _BYTES),  # a BlobShape, parsed once its length is known
        ("double_data", DOUBLE_DATA, _REPEATED, _DOUBLE),
    ],
    "LayerParameter": [
        ("name", 1, _OPTIONAL, _STRING),
        ("type", 2, _OPTIONAL, _STRING),
        ("bottom", 3, _REPEATED, _STRING),
        ("top", 4, _REPEATED, _STRING),
    ],
    "V1LayerParameter": [
        ("bottom", 2, _REPEATED, _STRING),
        ("top", 3, _REPEATED, _STRING),
        ("name", 4, _OPTIONAL, _STRING),
        ("type", 5, _OPTIONAL, _INT32),
    ],
}
# Field of the file that holds layers -> message of a layer, and that message's field of blobs.
CONTAINERS = {100: ("LayerParameter", 7), 2: ("V1LayerParameter", 6)}
OLD_TYPES = {4: "Convolution", 14: "InnerProduct"}


@lru_cache(maxsize=1)
def _messages() -> dict[str, Any]:
    """The class of each message of _SCHEMA."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    package = "scasnet.caffe"
    file = descriptor_pb2.FileDescriptorProto(
        name="scasnet_caffe.proto", package=package, syntax="proto2"
    )
    for message, described in _SCHEMA.items():
        description = file.message_type.add(name=message)
        for name, number, label, kind in described:
            description.field.add(name=name, number=number, label=label, type=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in _SCHEMA
    }


def parsed(message: str, content: bytes) -> Any:
    """A message of _SCHEMA; raises WireError where the bytes are none."""
    from google.protobuf.message import DecodeError

    try:
        return _messages()[message].FromString(content)
    except DecodeError as error:
        raise WireError(str(error)) from error


def header_fields(message: str) -> set[int]:
    """The numbers of the fields that a message has beside weights."""
    return {number for _, number, _, kind in _SCHEMA[message] if kind not in (_FLOAT, _DOUBLE)}
