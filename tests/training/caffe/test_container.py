"""Reading weights from Caffe files, old and new, whole and broken."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.training.caffe.container import CaffeFile
from tests.training.caffe import wire

ROOT = Path(__file__).parents[3]
CONVOLUTION, RELU = 4, 18  # layer types of the old container
WEIGHT = np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3) / 7
BIAS = np.array([-1.5, 2.25], dtype=np.float32)


@pytest.fixture
def caffe_file(tmp_path: Path) -> Path:
    """Where a test writes its file."""
    return tmp_path / "weights.caffemodel"


def weights_in(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Everything a file holds, by layer."""
    file = CaffeFile(path)
    return {layer.name: file.read(layer) for layer in file.layers}


def test_present_container(caffe_file: Path) -> None:
    blobs = [wire.blob(WEIGHT), wire.blob(BIAS)]
    caffe_file.write_bytes(
        wire.chunk(1, "a net")
        + wire.layer("relu1_1", "ReLU", [])
        + wire.layer("conv1_1", "Convolution", blobs)
    )
    found = weights_in(caffe_file)
    assert list(found) == ["conv1_1"]
    weight, bias = found["conv1_1"]
    assert weight.dtype == np.float32
    assert np.array_equal(weight, WEIGHT)
    assert np.array_equal(bias, BIAS)


def test_old_container_with_legacy_shapes(caffe_file: Path) -> None:
    blobs = [
        wire.legacy_shape(WEIGHT.shape) + wire.floats(WEIGHT),
        wire.legacy_shape((1, 1, 1, 2)) + wire.floats(BIAS),
    ]
    caffe_file.write_bytes(
        wire.chunk(1, "an old net")
        + wire.old_layer("relu1_1", RELU, [])
        + wire.old_layer("conv1_1", CONVOLUTION, blobs)
    )
    found = weights_in(caffe_file)
    assert list(found) == ["conv1_1"]
    weight, bias = found["conv1_1"]
    assert np.array_equal(weight, WEIGHT)
    assert np.array_equal(bias, BIAS.reshape(1, 1, 1, 2))


def test_both_containers_in_one_file(caffe_file: Path) -> None:
    new = wire.layer("fc6_1", "Convolution", [wire.blob(WEIGHT)])
    old = wire.old_layer("conv1_1", CONVOLUTION, [wire.blob(BIAS)])
    caffe_file.write_bytes(new + old)
    assert set(weights_in(caffe_file)) == {"fc6_1", "conv1_1"}


@pytest.mark.parametrize("form", [{"double": True}, {"packed": False}, {"packed": True}])
def test_every_form_of_numbers(caffe_file: Path, form: dict[str, bool]) -> None:
    blob = wire.shape(WEIGHT.shape) + wire.floats(WEIGHT, **form)
    caffe_file.write_bytes(wire.layer("conv1_1", "Convolution", [blob]))
    assert np.array_equal(weights_in(caffe_file)["conv1_1"][0], WEIGHT)


def test_fields_that_are_not_needed_are_passed_over(caffe_file: Path) -> None:
    gradient = wire.chunk(6, WEIGHT.tobytes())
    parameters = wire.chunk(106, wire.number(1, 64))  # convolution_param
    bottom_and_top = wire.chunk(3, "data") + wire.chunk(4, "conv1_1")
    layer = (
        wire.chunk(1, "conv1_1")
        + bottom_and_top
        + wire.chunk(7, wire.blob(WEIGHT) + gradient)
        + parameters
    )
    caffe_file.write_bytes(wire.chunk(100, layer) + wire.number(5, 1))
    assert np.array_equal(weights_in(caffe_file)["conv1_1"][0], WEIGHT)


def assert_refused(path: Path, part: str) -> None:
    """One sentence, and no other error."""
    with pytest.raises(ModelError, match=part) as caught:
        weights_in(path)
    sentence = caught.value.sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.caffemodel", "cannot be read")
    assert_refused(tmp_path, "cannot be read")


@pytest.mark.fault("Caffe weights that are cut off at any place", "refused in one sentence")
def test_a_file_cut_off_anywhere_is_refused(caffe_file: Path) -> None:
    content = wire.layer("conv1_1", "Convolution", [wire.blob(WEIGHT), wire.blob(BIAS)])
    for length in range(1, len(content)):
        caffe_file.write_bytes(content[:length])
        assert_refused(caffe_file, "complete Caffe model")


@pytest.mark.parametrize("content", [b"", wire.chunk(1, "a net"), wire.layer("r", "ReLU", [])])
def test_a_file_without_weights_is_refused(caffe_file: Path, content: bytes) -> None:
    caffe_file.write_bytes(content)
    assert_refused(caffe_file, "no layers with weights")


def test_a_description_is_no_weights(caffe_file: Path) -> None:
    caffe_file.write_text('name: "VGG"\nlayer { name: "data" type: "Input" top: "data" }\n')
    assert_refused(caffe_file, "complete Caffe model")


def test_random_bytes_are_refused(caffe_file: Path) -> None:
    generator = np.random.default_rng(0)
    for length in generator.integers(1, 300, size=300):
        caffe_file.write_bytes(generator.bytes(int(length)))
        assert_refused(caffe_file, caffe_file.name)


def test_a_damaged_byte_ends_in_weights_or_in_a_sentence(caffe_file: Path) -> None:
    small = np.ones((1, 2), np.float32)
    content = wire.layer("conv1_1", "Convolution", [wire.blob(small)])
    content += wire.old_layer("fc6", 14, [wire.legacy_shape((1, 1, 1, 2)) + wire.floats(small)])
    for place in range(len(content)):
        for value in (0x00, 0x0A, 0x7F, 0x80, 0xFF):
            caffe_file.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            with suppress(ModelError):
                weights_in(caffe_file)


SHAPES = {
    "too many": ((2, 2), wire.floats(BIAS), "2 x 2 .* 2 values"),
    "too few": ((1,), wire.floats(BIAS), "1 .* 2 values"),
    "a single number": ((), wire.floats(BIAS), "2 values"),
    "negative": ((-1, -2), wire.floats(BIAS), "-1 x -2 .* 2 values"),
    "empty": ((0, 2), wire.floats(BIAS), "0 x 2 .* 2 values"),
    "beyond 64 bits": ((2**32, 2**31, 2, 1 << 40, 2), wire.floats(BIAS), "x 2 .* 2 values"),
    "0 in 64 bits": ((2**32, 2**32), b"", "4294967296 x 4294967296 .* 0 values"),
    "many axes": ((1,) * 33, wire.floats([1.0]), "1 x 1"),
}


@pytest.mark.parametrize(("dims", "numbers", "said"), SHAPES.values(), ids=SHAPES)
def test_a_shape_that_does_not_fit_is_refused(
    caffe_file: Path, dims: tuple[int, ...], numbers: bytes, said: str
) -> None:
    caffe_file.write_bytes(wire.layer("conv1_1", "Convolution", [wire.shape(dims) + numbers]))
    assert_refused(caffe_file, f"'conv1_1' .* {said}")


def test_layers_of_one_name_are_refused_where_they_have_weights(caffe_file: Path) -> None:
    data = wire.layer("data", "Data", [])  # one to train with and one to test with
    layer = wire.layer("conv1_1", "Convolution", [wire.blob(WEIGHT)])
    caffe_file.write_bytes(data + data + layer)
    assert list(weights_in(caffe_file)) == ["conv1_1"]
    caffe_file.write_bytes(layer + wire.old_layer("conv1_1", CONVOLUTION, [wire.blob(WEIGHT)]))
    assert_refused(caffe_file, "two layers .*'conv1_1'")


def test_numbers_in_several_parts_are_put_together(caffe_file: Path) -> None:
    parts = [wire.floats(WEIGHT.ravel()[:20]), wire.floats(WEIGHT.ravel()[20:])]
    blob = wire.shape(WEIGHT.shape) + b"".join(parts)
    caffe_file.write_bytes(wire.layer("conv1_1", "Convolution", [blob]))
    assert np.array_equal(weights_in(caffe_file)["conv1_1"][0], WEIGHT)


def test_types_and_wiring_come_along(caffe_file: Path) -> None:
    blobs = [wire.blob(BIAS)]
    caffe_file.write_bytes(
        wire.layer("scale", "Scale", blobs, fed="conv1", feeds="conv2")
        + wire.old_layer("fc6", 14, blobs)
        + wire.old_layer("other", 99, blobs)
    )
    scale, inner, other = CaffeFile(caffe_file).layers
    assert (scale.type, scale.bottoms, scale.tops) == ("Scale", ("conv1",), ("conv2",))
    assert (inner.type, other.type) == ("InnerProduct", "99")
    assert scale.shapes == [(2,)]


def test_a_file_that_shrinks_while_it_is_used_is_refused(caffe_file: Path) -> None:
    content = wire.layer("conv1_1", "Convolution", [wire.blob(WEIGHT)])
    caffe_file.write_bytes(content)
    file = CaffeFile(caffe_file)
    caffe_file.write_bytes(content[:-40])
    with pytest.raises(ModelError, match="complete Caffe model"):
        file.read(file.layers[0])


def test_a_file_beyond_two_gigabytes_is_refused(caffe_file: Path) -> None:
    with caffe_file.open("wb") as file:
        file.truncate(2**31)  # sparse: it takes no room
    assert_refused(caffe_file, "2.0 GiB")


def hostile(count: int) -> dict[str, bytes]:
    """Files of ``count`` times something, which is more than any honest file has."""
    axes = wire.chunk(7, wire.chunk(1, b"\x01" * count))
    layer = wire.chunk(1, "a") + wire.chunk(2, "b")
    return {
        "layers": wire.layer("", "", []) * count,
        "old layers": wire.old_layer("", 0, []) * count,
        "arrays": wire.chunk(100, layer + wire.chunk(7, b"") * count),
        "parts of an array": wire.layer("a", "b", [wire.number(1, 1) * count]),
        "inputs": wire.chunk(100, layer + wire.chunk(3, "") * count),
        "axes": wire.layer("a", "b", [axes]),
        "axes of loose numbers": wire.layer("a", "b", [wire.floats([1.0], packed=False) + axes]),
        "name": wire.layer("n" * count, "b", [wire.blob(BIAS)]),
        "claimed length": b"\xa2\x06" + wire.varint(count << 32) + b"\x0a\x01a",
        "claimed numbers": wire.chunk(100, wire.chunk(7, b"\x2a" + wire.varint(count << 20))),
        "unknown fields": wire.number(5, 1) * count,
        "groups": b"\x0b" * count,
        "overlong integers": b"\xff" * count,
    }


HOSTILE = hostile(60_000)


@pytest.mark.fault(
    "Caffe weights that claim more than there is, in many ways", "refused in one sentence"
)
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_out_of_all_proportion_is_refused(caffe_file: Path, content: bytes) -> None:
    caffe_file.write_bytes(content)
    assert_refused(caffe_file, "complete Caffe model")


def test_all_of_that_takes_little_memory(tmp_path: Path) -> None:
    """What the protocol buffers take is not Python's memory, so this asks the system."""
    for index, content in enumerate(hostile(4_000_000).values()):
        (tmp_path / f"{index}.caffemodel").write_bytes(content)
    script = """
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.training.caffe.container import CaffeFile, parsed
parsed("BlobProto", b"")
before = getrusage(RUSAGE_SELF).ru_maxrss
for path in Path(sys.argv[1]).iterdir():
    try:
        CaffeFile(path)
    except ModelError:
        continue
    raise SystemExit(f"{path} was read")
print(getrusage(RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40_000  # KiB; the files have up to 16,000


def test_weights_are_read_once_and_only_when_they_are_asked_for(caffe_file: Path) -> None:
    values = np.ones((1000, 1000), np.float32)
    caffe_file.write_bytes(
        wire.layer("fc6", "InnerProduct", [wire.blob(values)])
        + wire.layer("fc7", "InnerProduct", [wire.blob(values)])
    )
    tracemalloc.start()
    try:
        file = CaffeFile(caffe_file)
        assert tracemalloc.get_traced_memory()[1] < 0.1 * values.nbytes
        found = file.read(file.layers[1])
        assert tracemalloc.get_traced_memory()[1] < 1.1 * values.nbytes
    finally:
        tracemalloc.stop()
    assert np.array_equal(found[0], values)


SMALL = np.ones((1, 2), np.float32)
WHOLE = (
    wire.chunk(1, "a net")
    + wire.layer("conv1_1", "Convolution", [wire.blob(SMALL)], fed="data", feeds="conv1_1")
    + wire.old_layer("fc6", 14, [wire.legacy_shape((1, 1, 1, 2)) + wire.floats(SMALL)])
    + wire.layer("fc7", "InnerProduct", [wire.shape((2,)) + wire.floats(BIAS, double=True)])
    + wire.layer("fc8", "InnerProduct", [wire.shape((2,)) + wire.floats(BIAS, packed=False)])
)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_damage_ends_in_weights_or_in_a_sentence(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(WHOLE)))
    length = data.draw(st.integers(0, 12))
    inserted = data.draw(st.binary(max_size=12))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.caffemodel"
        path.write_bytes(WHOLE[:start] + inserted + WHOLE[start + length :])
        found: dict[str, list[NDArray[np.float32]]] = {}
        with suppress(ModelError):
            found = weights_in(path)
    assert sum(blob.nbytes for blobs in found.values() for blob in blobs) <= len(WHOLE) + 12


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes_and_devices_are_no_files(caffe_file: Path) -> None:
    """Opening a pipe that nobody writes into would wait for ever."""
    os.mkfifo(caffe_file)
    assert_refused(caffe_file, "cannot be read")
    assert_refused(Path("/dev/zero"), "cannot be read")


def test_names_are_fit_to_be_shown(caffe_file: Path) -> None:
    name = "<b>" + 200 * "x" + "\n"
    layer = wire.layer(name, "Convolution", [wire.blob(BIAS)])
    caffe_file.write_bytes(layer + layer)
    with pytest.raises(ModelError) as caught:
        CaffeFile(caffe_file)
    assert f"'‹b›{77 * 'x'}'" in caught.value.sentence
    caffe_file.write_bytes(wire.layer(name, "X", [wire.shape((7,)) + wire.floats(BIAS)]))
    with pytest.raises(ModelError) as caught:
        CaffeFile(caffe_file)
    assert f"'‹b›{77 * 'x'}'" in caught.value.sentence
