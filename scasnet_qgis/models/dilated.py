"""Convolutions that look far to the sides of a pixel, cut where they look beyond the image.

With a dilation of 24, a quarter of what a kernel of three columns looks at in a tile of 512 pixels
(64 columns at an eighth of the resolution) is padding. ONNX Runtime leaves out rows of padding on a
processor, but not columns; near the sides it works pixel by pixel and slowly. Here the columns are
cut in three: to the left and to the right the kernel loses the column that sees nothing but zeros.
What is computed is the same (benchmarks/graph.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.models.graph_bytes import FLOAT, Graph, Node, a_node, a_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_DILATION = 6  # the least of ScasNet's; with less there are few columns to be left out
# Of weights that are stored twice: memory that networks of full width need for their tiles.
MOST_BYTES = 2**25
MOST_CONVOLUTIONS = 16  # ScasNet has four; each becomes six nodes, which take time to be opened
PREFIX = b"scasnet_cut_"
_INT64, _COLUMNS, _FLOAT_BYTES = 7, 3, 4
_ALL = 2**31 - 1  # a slice ends where the image does
_ONES, _NOTHING = (1, 1), (0, 0, 0, 0)
_MOST_LAYERS = 8  # that are cut with a convolution


@dataclass
class Cut:
    """What stands for the nodes at some places, and more weights."""

    exchanged: dict[int, list[bytes]] = field(default_factory=dict)
    tensors: list[bytes] = field(default_factory=list)


def cut_dilated(graph: Graph, columns: int) -> Cut:
    """The graph's widely dilated convolutions in three parts each.

    ``columns`` are what those convolutions get at least, in the narrowest tile: of fewer a graph
    that was cut makes nothing, but fails. The layers behind that look at one pixel each are cut
    with them. Nothing is cut where that would take much memory or time.
    """
    cut = Cut()
    found = [
        (number, node, dilation)
        for number, node in enumerate(graph.nodes)
        if (dilation := _dilation(graph, node)) >= LEAST_DILATION and 2 * dilation < columns
    ]
    added = sum(_added_bytes(graph, node) for _, node, _ in found)
    if not 0 < len(found) <= MOST_CONVOLUTIONS or added > MOST_BYTES or _is_taken(graph, PREFIX):
        return cut
    followers = graph.followers()
    for number, node, dilation in found:
        chain = [node, *_pointwise(graph, node, followers)]
        _cut(graph, chain, dilation, PREFIX + b"%d_" % number, cut)
    return cut


def _dilation(graph: Graph, node: Node) -> int:
    """Of a convolution by three columns that keeps the width of an image; 0 for anything else."""
    if node.operator != b"Conv" or not _is_plain(graph, node) or len(node.outputs) != 1:
        return 0
    weights = graph.weights[node.inputs[1]]
    if weights.kind != FLOAT or weights.raw is None or weights.dims[_COLUMNS] != 3:
        return 0
    size = weights.raw.stop - weights.raw.start
    if min(weights.dims) < 1 or math.prod(weights.dims) * _FLOAT_BYTES != size:
        return 0
    pads = node.numbers.get(b"pads", _NOTHING)
    dilations = node.numbers.get(b"dilations", _ONES)
    if len(pads) != 4 or len(dilations) != 2 or graph.uses[node.inputs[1]] != 1:
        return 0
    return dilations[1] if pads[1] == pads[3] == dilations[1] else 0


def _is_plain(graph: Graph, node: Node) -> bool:
    """Whether a convolution has four dimensions of weights in the file, and makes no step."""
    weights = graph.weights.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return (
        weights is not None
        and len(weights.dims) == 4
        and b"auto_pad" not in node.numbers
        and len(node.numbers.get(b"group", (1,))) == 1
        and node.numbers.get(b"strides", _ONES) == _ONES
    )


def _added_bytes(graph: Graph, node: Node) -> int:
    """Of weights that cutting a convolution adds: two of three columns, on both sides."""
    return math.prod(graph.weights[node.inputs[1]].dims) * _FLOAT_BYTES * 4 // 3


def _is_taken(graph: Graph, prefix: bytes) -> bool:
    """Whether the graph has a name that begins so."""
    names = {name for node in graph.nodes for name in node.outputs}
    names.update(graph.weights, graph.uses, graph.outputs)
    return any(each.startswith(prefix) for each in names)


def _pointwise(graph: Graph, node: Node, followers: dict[bytes, Node]) -> list[Node]:
    """The layers behind a node that look at one pixel each, as long as nothing else takes part."""
    found: list[Node] = []
    name = node.outputs[0]
    while len(found) < _MOST_LAYERS:
        following = followers.get(name)
        if following is None or not _is_pointwise(graph, following, name):
            break
        found.append(following)
        name = following.outputs[0]
    return found


def _is_pointwise(graph: Graph, node: Node, name: bytes) -> bool:
    """Whether it makes one image of the image ``name``."""
    if node.inputs[0] != name or len(node.outputs) != 1:
        return False
    if node.operator == b"Relu":
        return True
    return (
        node.operator == b"Conv"
        and _is_plain(graph, node)
        and graph.weights[node.inputs[1]].dims[2:] == _ONES
        and node.numbers.get(b"pads", _NOTHING) == _NOTHING
    )


def _cut(graph: Graph, chain: list[Node], dilation: int, prefix: bytes, cut: Cut) -> None:
    """Put a chain of nodes three times, side by side, where its last node was."""
    first = chain[0]
    pixels, weights = first.inputs[:2]
    kernel = _kernel(graph, weights)
    left, right = prefix + b"left", prefix + b"right"
    nodes = [
        _slice(pixels, (0, 2 * dilation), left, cut),
        _slice(pixels, (-2 * dilation, _ALL), right, cut),
    ]
    cut.tensors += [_weights(left, kernel[..., 1:]), _weights(right, kernel[..., :2])]
    parts = []
    for name, taken in (
        (left, [left + b"_pixels", left + b"_weights"]),
        (prefix + b"middle", [pixels, weights]),
        (right, [right + b"_pixels", right + b"_weights"]),
    ):
        copied, part = _copies(chain, taken, name)
        nodes += copied
        parts.append(part)
    nodes.append(a_node(b"Concat", parts, chain[-1].outputs[0], axis=_COLUMNS))
    cut.exchanged.update({node.place.start: [] for node in chain})
    cut.exchanged[chain[-1].place.start] = nodes


def _copies(chain: list[Node], taken: list[bytes], name: bytes) -> tuple[list[bytes], bytes]:
    """The nodes of a chain for one part of the columns, and the name of what they give.

    ``taken`` are pixels and weights of the first one.
    """
    nodes = []
    inputs = [*taken, *chain[0].inputs[2:]]
    for index, node in enumerate(chain):
        given = name + b"_%d" % index
        nodes.append(a_node(node.operator, inputs, given, **_numbers(node, index == 0)))
        inputs = [given, *chain[index + 1].inputs[1:]] if index + 1 < len(chain) else []
    return nodes, given


def _numbers(node: Node, dilated: bool) -> dict[str, int | tuple[int, ...]]:
    """Attributes of a copy; others than these have no effect on it."""
    if node.operator != b"Conv":
        return {}
    found: dict[str, int | tuple[int, ...]] = {"group": node.numbers.get(b"group", (1,))[0]}
    if dilated:
        top, _, bottom, _ = node.numbers[b"pads"]
        found.update(pads=(top, 0, bottom, 0), dilations=node.numbers[b"dilations"])
    return found


def _slice(pixels: bytes, span: tuple[int, int], name: bytes, cut: Cut) -> bytes:
    """Some columns of an image."""
    taken = [pixels]
    for what, value in ((b"_from", span[0]), (b"_to", span[1]), (b"_axis", _COLUMNS)):
        taken.append(name + what)
        raw = np.array([value], dtype="<i8").tobytes()
        cut.tensors.append(a_tensor(name + what, [1], _INT64, raw))
    return a_node(b"Slice", taken, name + b"_pixels")


def _weights(name: bytes, kernel: NDArray[np.float32]) -> bytes:
    return a_tensor(name + b"_weights", kernel.shape, FLOAT, kernel.tobytes())


def _kernel(graph: Graph, name: bytes) -> NDArray[np.float32]:
    """Weights [out, in, rows, 3]."""
    weights = graph.weights[name]
    raw = b"" if weights.raw is None else graph.data[weights.raw]
    return np.frombuffer(raw, dtype="<f4").reshape(weights.dims)
