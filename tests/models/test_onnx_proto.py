"""What lies in an ONNX file, against what the package onnx reads from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scasnet_qgis import paths
from scasnet_qgis.models.onnx_proto import contents
from tests.models.tiny_models import pixelwise, save


def test_shipped_model() -> None:
    found = contents(paths.default_model())
    model = onnx.load(str(paths.default_model()))
    assert found.producer == model.producer_name
    assert found.opset == model.opset_import[0].version
    assert list(found.keys) == [entry.key for entry in model.metadata_props]
    sizes = [int(np.prod(tensor.dims)) for tensor in model.graph.initializer]
    assert sum(found.numbers.values()) >= sum(sizes) > 1e6
    assert found.precision in ("float16", "float32")


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_weights_are_counted_by_type(tmp_path: Path, kind: str) -> None:
    path = pixelwise(tmp_path / "tiny.onnx", bands=4, classes=5, kind=kind, margin=2)
    found = contents(path)
    assert found.numbers == {kind: 4 * 5 + 5, "int64": 6}
    assert (found.precision, found.weights) == (kind, 25)


def test_weights_in_8_bit_and_in_constant_nodes(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.int8), "value")
    nodes = [
        helper.make_node("Constant", [], ["stored"], value=kernel),
        helper.make_node("DequantizeLinear", ["stored", "scale"], ["kernel"]),
        helper.make_node("Conv", ["image", "kernel"], ["scores"]),
    ]
    shape = ["n", 3, "h", "w"]
    path = save(
        tmp_path / "a.onnx",
        nodes,
        {"scale": np.float32(0.5)[()].reshape(())},
        {"image": shape},
        shape,
    )
    found = contents(path)
    assert found.numbers == {"int8": 9, "float32": 1}
    assert found.precision == "int8"


def test_operators_of_others_do_not_count_for_the_version(tmp_path: Path) -> None:
    path = pixelwise(tmp_path / "tiny.onnx")
    model = onnx.load(str(path))
    model.opset_import.append(helper.make_opsetid("com.example", 99))
    onnx.save(model, str(path))
    assert contents(path).opset == 17


def test_dimensions_that_are_not_packed_are_read(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.zeros((2, 3), np.float32), "a").SerializeToString()
    assert tensor[:4] in (b"\x0a\x02\x02\x03", b"\x08\x02\x08\x03")
    body = tensor[4:]
    for dims in (b"\x0a\x02\x02\x03", b"\x08\x02\x08\x03"):
        path = tmp_path / "dims.onnx"
        path.write_bytes(message(7, message(5, dims + body)))
        assert contents(path).numbers == {"float32": 6}


def message(number: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text, no model at all",
        message(7, message(5, b"\x08" + b"\xff" * 12)),  # a number that does not end
        b"\x3a\x7f\x00",  # longer than the file
        message(7, message(5, b"\x08\x02" * 17)),  # a tensor of 17 dimensions
        message(7, message(5, b"\x20\x05")),  # a float that is a varint
        message(7, message(5, b"\x48\x05")),  # raw data that are a varint
        message(7, message(5, b"\xc8\x3e\x01")),  # a field of our own, 1001
        message(7, b"") + message(7, b""),  # two graphs
        b"\x38\x01",  # a graph that is a number
        b"\x0b\x00",  # a group, which ONNX has none of
    ],
)
def test_what_is_no_model_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011 (the texts are of no matter)
        contents(path)


def test_every_cut_of_a_model_ends_well(tmp_path: Path) -> None:
    whole = pixelwise(tmp_path / "tiny.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    kinds = set()
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        try:
            contents(path)
            kinds.add("read")
        except ValueError:
            kinds.add("refused")
    assert kinds == {"read", "refused"}


def test_unknown_types_have_a_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(message(7, message(5, b"\x08\x04\x10" + bytes([TensorProto.FLOAT8E4M3FN]))))
    assert contents(path).numbers == {f"type {TensorProto.FLOAT8E4M3FN}": 4}
