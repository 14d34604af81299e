"""A published table as the two files Caffe reads: description (prototxt) and weights."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.training.caffe import wire
from tests.training.caffe.published import IMAGE, Row, extents

WINDOW = "kernel_size: {row.kernel} stride: {row.stride} pad: {row.pad}"
SETTINGS = {
    "Convolution": (
        "convolution_param {{ num_output: {row.num_output} "
        + WINDOW
        + " dilation: {row.dilation} bias_term: {bias} }}"
    ),
    "Pooling": "pooling_param {{ pool: {row.note} " + WINDOW + " }}",
    "Eltwise": "eltwise_param {{ operation: {row.note} }}",
    "Dropout": "dropout_param {{ dropout_ratio: {row.note} }}",
    "Interp": "interp_param {{ height: {height} width: {width} }}",
    "BatchNorm": "batch_norm_param {{ use_global_stats: true eps: 1e-5 }}",
    "Scale": "scale_param {{ bias_term: true }}",
    "ReLU": "",
}


def prototxt(table: list[Row], bands: int, rows: int, cols: int) -> str:
    """The network of ``table`` for an image of a fixed size."""
    heights, widths = extents(table, rows), extents(table, cols)
    dims = " ".join(f"dim: {extent}" for extent in (1, bands, rows, cols))
    image = f'name: "{IMAGE}" type: "Input" top: "{IMAGE}" input_param {{ shape {{ {dims} }} }}'
    lines = ['name: "ScasNet"', f"layer {{ {image} }}"]
    for row in table:
        bottoms = " ".join(f'bottom: "{bottom}"' for bottom in row.bottoms)
        for name, kind in _layers(row):
            settings = SETTINGS[kind].format(
                row=row, bias=str(row.bias).lower(), height=heights[row.top], width=widths[row.top]
            )
            wiring = f'name: "{name}" type: "{kind}" {bottoms} top: "{row.top}"'
            lines.append(f"layer {{ {wiring} {settings} }}")
    return "\n".join(lines)


def caffemodel(table: list[Row], weights: dict[str, list[Tensor]]) -> bytes:
    """The weights of ``table``'s layers under their published names, for the common Caffe."""
    content = [wire.chunk(1, "ScasNet")]
    for row in table:
        blobs = weights.get(row.name, [])
        if row.type == "BN":
            slope, bias, mean, variance = blobs
            count = torch.full((1,), 3.0)  # Caffe keeps sums, and by what to divide them
            parts = [[3 * mean, 3 * variance, count], [slope, bias]]
        else:
            parts = [blobs]
        for (name, kind), part in zip(_layers(row), parts):
            content.append(wire.layer(name, kind, [wire.blob(tensor.numpy()) for tensor in part]))
    return b"".join(content)


def pspnet_caffemodel(table: list[Row], weights: dict[str, list[Tensor]]) -> bytes:
    """The same as PSPNet's own Caffe writes it: a batch norm is one layer of 1 x C x 1 x 1."""
    content = [wire.chunk(1, "ScasNet")]
    for row in table:
        blobs = [tensor.numpy() for tensor in weights.get(row.name, [])]
        if row.type == "BN":
            blobs = [array.reshape(1, -1, 1, 1) for array in blobs]
        content.append(wire.layer(row.name, row.type, [wire.blob(array) for array in blobs]))
    return b"".join(content)


def old_caffemodel(
    table: list[Row], weights: dict[str, list[Tensor]], *, double: bool = False
) -> bytes:
    """The same in the container of old files, which knew no batch norms."""
    kinds = {"Convolution": 4, "ReLU": 18, "Pooling": 17, "Dropout": 6, "Eltwise": 25}
    content = [wire.chunk(1, "ScasNet")]
    for row in table:
        arrays = [tensor.numpy() for tensor in weights.get(row.name, [])]
        blobs = [wire.old_blob(array, double=double) for array in arrays]
        content.append(wire.old_layer(row.name, kinds.get(row.type, 0), blobs))
    return b"".join(content)


def _layers(row: Row) -> list[tuple[str, str]]:
    """Name and type of the layers that stand for ``row``.

    PSPNet's "BN" is known to its own Caffe only. The two layers that the common Caffe has for the
    same thing take its place.
    """
    if row.type == "BN":
        return [(row.name, "BatchNorm"), (f"{row.name}/scale", "Scale")]
    return [(row.name, row.type)]
