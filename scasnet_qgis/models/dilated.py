"""Convolutions that look far to the sides of a pixel, cut where they look beyond the image.

With a dilation of 24, a third of what a kernel of three columns looks at in a tile of 512 pixels
(64 columns at an eighth of the resolution) is padding. ONNX Runtime leaves out rows of padding on a
processor, but not columns; near the sides it works pixel by pixel and slowly. Here the columns are
cut in three: to the left and to the right the kernel loses the column that sees nothing but zeros.
What is computed is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.models.onnx_graph import FLOAT, Graph, Node, a_node, a_number, a_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_DILATION = 6  # nearer to the sides there is less to be had than cutting costs
MOST_BYTES = 2**25  # of weights that are stored twice; a network of full width has three times that
_INT64, _NO_END, _COLUMNS = 7, 2**31 - 1, 3
_KEPT = (b"dilations", b"group", b"strides")
_FLOAT_BYTES = 4
_ONES, _NOTHING = (1, 1), (0, 0, 0, 0)


@dataclass(frozen=True)
class Cut:
    """What stands for the nodes at some places, and more weights."""

    exchanged: dict[int, list[bytes]]
    tensors: list[bytes]


def cut_dilated(graph: Graph, columns: int) -> Cut:
    """The graph's widely dilated convolutions in three parts each.

    ``columns`` are what those convolutions at least get in the narrowest tile: in narrower ones
    such a graph fails. Node by node, the pointwise layers that follow are cut with them.
    """
    cut, followers = Cut({}, []), graph.followers()
    prefix = _free_prefix(graph)
    found = [
        (number, node, dilation)
        for number, node in enumerate(graph.nodes)
        if (dilation := _dilation(graph, node)) >= LEAST_DILATION and 2 * dilation < columns
    ]
    if sum(_twice(graph, node) for _, node, _ in found) > MOST_BYTES:
        return cut
    for number, node, dilation in found:
        chain = [node, *_pointwise(graph, node, followers)]
        _cut(graph, chain, dilation, prefix + b"%d_" % number, cut)
    return cut


def _twice(graph: Graph, node: Node) -> int:
    """Bytes of weights that cutting a convolution adds: two of three columns, on both sides."""
    return math.prod(graph.weights[node.inputs[1]].dims) * _FLOAT_BYTES * 4 // 3


def _dilation(graph: Graph, node: Node) -> int:
    """Of a convolution by three columns that keeps the width of an image; 0 for anything else."""
    weights = graph.weights.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if node.operator != b"Conv" or weights is None or len(weights.dims) != 4:
        return 0
    whole = weights.raw is not None and weights.kind == FLOAT and weights.dims[_COLUMNS] == 3
    if not whole or graph.uses[node.inputs[1]] != 1 or b"auto_pad" in node.attributes:
        return 0
    pads = node.numbers.get(b"pads", _NOTHING)
    dilations = node.numbers.get(b"dilations", _ONES)
    if len(pads) != 4 or len(dilations) != 2 or node.numbers.get(b"strides", _ONES) != _ONES:
        return 0
    return dilations[1] if pads[1] == pads[3] == dilations[1] else 0


def _pointwise(graph: Graph, node: Node, followers: dict[bytes, Node]) -> list[Node]:
    """The layers behind a node that look at one pixel each, as long as nothing else takes part."""
    found: list[Node] = []
    following = followers.get(node.outputs[0])
    while following is not None and _is_pointwise(graph, following):
        found.append(following)
        following = followers.get(following.outputs[0])
    return found


def _is_pointwise(graph: Graph, node: Node) -> bool:
    if node.operator == b"Relu":
        return True
    if node.operator != b"Conv" or len(node.inputs) < 2 or b"auto_pad" in node.attributes:
        return False
    weights = graph.weights.get(node.inputs[1])
    return (
        weights is not None
        and weights.dims[2:] == _ONES
        and node.numbers.get(b"pads", _NOTHING) == _NOTHING
        and node.numbers.get(b"strides", _ONES) == _ONES
    )


def _cut(graph: Graph, chain: list[Node], dilation: int, prefix: bytes, cut: Cut) -> None:
    """Put a chain of nodes three times, side by side, where its last node was."""
    first = chain[0]
    kernel = _kernel(graph, first.inputs[1])
    nodes: list[bytes] = []
    parts: list[bytes] = []
    ends = {b"left": (0, 2 * dilation), b"middle": None, b"right": (-2 * dilation, _NO_END)}
    for side, span in ends.items():
        name, pixels, weights = prefix + side, first.inputs[0], first.inputs[1]
        if span is not None:
            pixels, weights = name + b"_pixels", name + b"_weights"
            nodes.append(_slice(first.inputs[0], span, pixels, cut))
            columns = slice(1, None) if side == b"left" else slice(None, 2)
            part = np.ascontiguousarray(kernel[..., columns])
            cut.tensors.append(a_tensor(weights, part.shape, FLOAT, part.tobytes()))
        pads = list(first.numbers[b"pads"])
        pads[1] = pads[3] = 0
        taken = [pixels, weights, *first.inputs[2:]]
        nodes.append(a_node(b"Conv", taken, name, graph.kept(first, _KEPT), pads=pads))
        for index, node in enumerate(chain[1:]):
            taken = [name, *node.inputs[1:]]
            name = prefix + side + b"_%d" % index
            kept = graph.kept(node, list(node.attributes))
            nodes.append(a_node(node.operator, taken, name, kept))
        parts.append(name)
    axis = a_number(b"axis", _COLUMNS)
    nodes.append(a_node(b"Concat", parts, chain[-1].outputs[0], [axis]))
    cut.exchanged.update({node.place.start: [] for node in chain})
    cut.exchanged[chain[-1].place.start] = nodes


def _slice(pixels: bytes, span: tuple[int, int], name: bytes, cut: Cut) -> bytes:
    """Some columns of an image."""
    taken = [pixels]
    for what, value in ((b"_from", span[0]), (b"_to", span[1]), (b"_axis", _COLUMNS)):
        taken.append(name + what)
        raw = np.array([value], dtype="<i8").tobytes()
        cut.tensors.append(a_tensor(name + what, [1], _INT64, raw))
    return a_node(b"Slice", taken, name)


def _kernel(graph: Graph, name: bytes) -> NDArray[np.float32]:
    """Weights [out, in, rows, 3]."""
    weights = graph.weights[name]
    raw = b"" if weights.raw is None else graph.data[weights.raw]
    return np.frombuffer(raw, dtype="<f4").reshape(weights.dims)


def _free_prefix(graph: Graph) -> bytes:
    """The beginning of names that the graph has none of."""
    prefix = b"scasnet_cut_"
    names = {name for node in graph.nodes for name in (*node.inputs, *node.outputs)}
    names.update(graph.weights, graph.uses)
    while any(each.startswith(prefix) for each in names):
        prefix += b"_"
    return prefix
