"""A published table as the two files Caffe reads: description (prototxt) and weights."""

from __future__ import annotations

import torch
from torch import Tensor

from . import wire
from .published import IMAGE, Row, extents

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
                row=row,
                bias=str(row.bias).lower(),
                height=heights[row.top],
                width=widths[row.top],
            )
            wiring = f'name: "{name}" type: "{kind}" {bottoms} top: "{row.top}"'
            lines.append(f"layer {{ {wiring} {settings} }}")
    return "\n".join(lines)


def caffemodel(table: list[Row], weights: dict[str, list[Tensor]]) -> bytes:
    """The weights of ``table``'s layers under their published names."""
    content = [wire.chunk(1, "ScasNet")]
    for row in table:
        blobs = weights.get(row.name, [])
        if row.type == "BN":
            slope, bias, mean, variance = blobs
            parts = [[mean, variance, torch.ones(1)], [slope, bias]]
        else:
            parts = [blobs]
        for (name, kind), part in zip(_layers(row), parts):
            content.append(wire.layer(name, kind, [wire.blob(each.numpy()) for each in part]))
    return b"".join(content)


def _layers(row: Row) -> list[tuple[str, str]]:
    """Name and type of the layers that stand for ``row``.

    PSPNet's "BN" is known to its own Caffe only. The two layers that the common Caffe has for the
    same thing take its place.
    """
    if row.type == "BN":
        return [(row.name, "BatchNorm"), (f"{row.name}/scale", "Scale")]
    return [(row.name, row.type)]
