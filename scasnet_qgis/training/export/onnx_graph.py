"""The graph of a model file: read, given a fixed tile size, observed, described and written."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from scasnet_qgis.common.model_card import PREFIX, to_metadata
from scasnet_qgis.models.model_file import ModelInfo

_OLDEST_OPSET = 13  # the first in which each channel of a weight may have a scale of its own
_SIZE_KEYS = ("tile_size", "tiles_size", "tiles_overlap")


def read_graph(path: Path) -> ModelProto:
    """The model in a file, each node with a name of its own."""
    model = onnx.load(str(path))
    taken = {node.name for node in model.graph.node}
    for index, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{index}"
            while name in taken:
                name += "_"
            taken.add(name)
            node.name = name
    return model


def simplified(model: ModelProto) -> ModelProto:
    """The same with batch norms worked into the convolutions before them, in a known format.

    Between a convolution and its activation they would keep both from being computed in one step.
    """
    version = next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
    if version < _OLDEST_OPSET:
        from onnx.version_converter import convert_version

        model = convert_version(model, _OLDEST_OPSET)
    if any(node.op_type == "BatchNormalization" for node in model.graph.node):
        model = _optimised(model)
    return model


def _optimised(model: ModelProto) -> ModelProto:
    """What ONNX Runtime makes of a model by rules that hold on every device."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        onnx.save(model, str(before))
        options = SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(after)
        InferenceSession(str(before), options, providers=["CPUExecutionProvider"])
        result = read_graph(after)
    result.ir_version = model.ir_version
    return result


def fix_size(model: ModelProto, info: ModelInfo, size: int) -> None:
    """Make ``model`` one for square tiles of ``size`` pixels, which Deepness and GeoDeep need."""
    image, scores = _ends(model, info)
    _state_shape(image, scores, info)
    for value, side in ((image, size), (scores, size - 2 * info.margin)):
        for dimension in value.type.tensor_type.shape.dim[2:]:
            dimension.dim_value = side


def _ends(model: ModelProto, info: ModelInfo) -> tuple[ValueInfoProto, ValueInfoProto]:
    """What the graph says of its image and of its scores."""
    image = next(value for value in model.graph.input if value.name == info.input_name)
    return image, next(value for value in model.graph.output if value.name == info.output_name)


def _state_shape(image: ValueInfoProto, scores: ValueInfoProto, info: ModelInfo) -> None:
    """Give the scores four dimensions where the file leaves out how many they have."""
    shape = scores.type.tensor_type.shape
    if len(shape.dim) != 4:
        del shape.dim[:]
        shape.dim.add().CopyFrom(image.type.tensor_type.shape.dim[0])
        shape.dim.add(dim_value=1 if info.sigmoid else info.classes)
        shape.dim.add()
        shape.dim.add()


def written(model: ModelProto, like: ModelProto, info: ModelInfo, precision: str) -> bytes:
    """The bytes of a file: ``model`` with the metadata of ``like``, checked, the same each time.

    ``info`` tells about ``model`` as it was before its precision changed; a fixed size that it has
    by now is described too.
    """
    image, scores = _ends(model, info)
    _state_shape(image, scores, info)
    fixed = int(image.type.tensor_type.shape.dim[2].dim_value) or None
    fresh = to_metadata(replace(info.card, precision=precision), fixed)
    changed = (f"{PREFIX}precision", *(_SIZE_KEYS if fixed else ()))
    props = {entry.key: entry.value for entry in like.metadata_props}
    onnx.helper.set_model_props(model, {**props, **{key: fresh[key] for key in changed}})
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used or not opset.domain]
    kept = [copy.deepcopy(opset) for opset in opsets]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for key in ("producer_name", "producer_version", "doc_string", "domain", "model_version"):
        setattr(model, key, getattr(like, key))
    model.graph.name = like.graph.name
    del model.graph.value_info[:]  # types and shapes in between are those of before
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


CHANNEL_MEAN, SMALLEST, LARGEST = "GlobalAveragePool", "ReduceMin", "ReduceMax"


def observe(
    model: ModelProto,
    wanted: Sequence[tuple[str, str]],
    tiles: Iterable[NDArray[np.float32]],
    input_name: str,
) -> Iterator[list[NDArray[np.float32]]]:
    """For each of ``tiles`` [1, bands, rows, cols] the figures that are wanted.

    ``wanted`` are pairs of an operator (CHANNEL_MEAN, SMALLEST, LARGEST) and the name of a tensor.
    Only the figures leave the graph, so that memory does not grow with the tiles.
    """
    watched = copy.deepcopy(model)
    graph = watched.graph
    del graph.output[:]
    for index, (operator, tensor) in enumerate(wanted):
        name = f"observed_{index}"
        options: dict[str, Any] = {} if operator == CHANNEL_MEAN else {"keepdims": 0}
        graph.node.append(helper.make_node(operator, [tensor], [name], **options))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    for tile in tiles:
        yield session.run(None, {input_name: tile})
