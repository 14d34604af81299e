"""Weights from a Caffe file (``.caffemodel``), by layer name.

The container is a protocol buffer. Only the few fields that hold names and weights are described
here, so no Caffe and no generated code is needed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate

_INT32, _INT64, _FLOAT, _DOUBLE, _STRING, _ENUM_AS_INT, _MESSAGE = 5, 3, 2, 1, 9, 5, 11
_OPTIONAL, _REPEATED = 1, 3

# message -> (field, number, label, type, message type, packed)
_SCHEMA: dict[str, list[tuple[str, int, int, int, str, bool]]] = {
    "BlobShape": [("dim", 1, _REPEATED, _INT64, "", True)],
    "BlobProto": [
        ("num", 1, _OPTIONAL, _INT32, "", False),
        ("channels", 2, _OPTIONAL, _INT32, "", False),
        ("height", 3, _OPTIONAL, _INT32, "", False),
        ("width", 4, _OPTIONAL, _INT32, "", False),
        ("data", 5, _REPEATED, _FLOAT, "", True),
        ("shape", 7, _OPTIONAL, _MESSAGE, "BlobShape", False),
        ("double_data", 8, _REPEATED, _DOUBLE, "", True),
    ],
    "LayerParameter": [
        ("name", 1, _OPTIONAL, _STRING, "", False),
        ("type", 2, _OPTIONAL, _STRING, "", False),
        ("blobs", 7, _REPEATED, _MESSAGE, "BlobProto", False),
    ],
    "V1LayerParameter": [
        ("name", 4, _OPTIONAL, _STRING, "", False),
        ("type", 5, _OPTIONAL, _ENUM_AS_INT, "", False),
        ("blobs", 6, _REPEATED, _MESSAGE, "BlobProto", False),
    ],
    "NetParameter": [
        ("name", 1, _OPTIONAL, _STRING, "", False),
        ("layers", 2, _REPEATED, _MESSAGE, "V1LayerParameter", False),
        ("layer", 100, _REPEATED, _MESSAGE, "LayerParameter", False),
    ],
}


@lru_cache(maxsize=1)
def _net_parameter() -> Any:
    """The message class of a whole Caffe network."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    package = "scasnet.caffe"
    file = descriptor_pb2.FileDescriptorProto(
        name="scasnet_caffe.proto", package=package, syntax="proto2"
    )
    for message, fields in _SCHEMA.items():
        description = file.message_type.add(name=message)
        for name, number, label, kind, type_name, packed in fields:
            field = description.field.add(name=name, number=number, label=label, type=kind)
            if type_name:
                field.type_name = f".{package}.{type_name}"
            if packed:
                field.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.NetParameter"))


def read_caffemodel(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """The weight arrays (blobs) of each layer of a ``.caffemodel``, by layer name.

    Raises ModelError where the file is missing, truncated or no Caffe model.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(
            translate("ScasNet", "The Caffe file {path} cannot be read."), str(error), path=path
        ) from error
    from google.protobuf.message import DecodeError

    try:
        net = _net_parameter().FromString(content)
        layers = {layer.name: list(layer.blobs) for layer in (*net.layer, *net.layers)}
    except (DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            translate("ScasNet", "{path} is not a whole Caffe model (.caffemodel)."),
            str(error),
            path=path,
        ) from error
    weights = {
        name: [_array(name, blob) for blob in blobs] for name, blobs in layers.items() if blobs
    }
    if not weights:
        raise ModelError(translate("ScasNet", "{path} holds no layer with weights."), path=path)
    return weights


def _array(layer: str, blob: Any) -> NDArray[np.float32]:
    data = np.asarray(blob.data if len(blob.data) else blob.double_data, dtype=np.float32)
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    if min(shape, default=0) < 0 or math.prod(shape) != data.size:
        raise ModelError(
            translate(
                "ScasNet",
                "The Caffe layer '{layer}' claims the shape {shape} but holds {size} numbers.",
            ),
            layer=layer,
            shape=shape,
            size=data.size,
        )
    return data.reshape(shape)
