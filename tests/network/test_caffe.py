"""Reading weights from Caffe files, old and new, whole and broken."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.network.caffe import read_caffemodel

from . import wire

CONVOLUTION, RELU = 4, 18  # layer types of the old container
WEIGHT = np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3) / 7
BIAS = np.array([-1.5, 2.25], dtype=np.float32)


@pytest.fixture
def caffe_file(tmp_path: Path) -> Path:
    """Where a test writes its file."""
    return tmp_path / "weights.caffemodel"


def test_present_container(caffe_file: Path) -> None:
    blobs = [wire.blob(WEIGHT), wire.blob(BIAS)]
    caffe_file.write_bytes(
        wire.chunk(1, "a net")
        + wire.layer("relu1_1", "ReLU", [])
        + wire.layer("conv1_1", "Convolution", blobs)
    )
    found = read_caffemodel(caffe_file)
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
    found = read_caffemodel(caffe_file)
    assert list(found) == ["conv1_1"]
    weight, bias = found["conv1_1"]
    assert np.array_equal(weight, WEIGHT)
    assert np.array_equal(bias, BIAS.reshape(1, 1, 1, 2))


def test_both_containers_in_one_file(caffe_file: Path) -> None:
    new = wire.layer("fc6_1", "Convolution", [wire.blob(WEIGHT)])
    old = wire.old_layer("conv1_1", CONVOLUTION, [wire.blob(BIAS)])
    caffe_file.write_bytes(new + old)
    assert set(read_caffemodel(caffe_file)) == {"fc6_1", "conv1_1"}


@pytest.mark.parametrize("form", [{"double": True}, {"packed": False}, {"packed": True}])
def test_every_form_of_numbers(caffe_file: Path, form: dict[str, bool]) -> None:
    blob = wire.shape(WEIGHT.shape) + wire.floats(WEIGHT, **form)
    caffe_file.write_bytes(wire.layer("conv1_1", "Convolution", [blob]))
    assert np.array_equal(read_caffemodel(caffe_file)["conv1_1"][0], WEIGHT)


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
    assert np.array_equal(read_caffemodel(caffe_file)["conv1_1"][0], WEIGHT)


def assert_refused(path: Path, part: str) -> None:
    """One sentence, and no other error."""
    with pytest.raises(ModelError, match=part) as caught:
        read_caffemodel(path)
    sentence = caught.value.sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.caffemodel", "cannot be read")
    assert_refused(tmp_path, "cannot be read")


def test_a_file_cut_off_anywhere_is_refused(caffe_file: Path) -> None:
    content = wire.layer("conv1_1", "Convolution", [wire.blob(WEIGHT), wire.blob(BIAS)])
    for length in range(1, len(content)):
        caffe_file.write_bytes(content[:length])
        assert_refused(caffe_file, "not a whole Caffe model")


@pytest.mark.parametrize("content", [b"", wire.chunk(1, "a net"), wire.layer("r", "ReLU", [])])
def test_a_file_without_weights_is_refused(caffe_file: Path, content: bytes) -> None:
    caffe_file.write_bytes(content)
    assert_refused(caffe_file, "holds no layer with weights")


def test_a_description_is_no_weights(caffe_file: Path) -> None:
    caffe_file.write_text('name: "VGG"\nlayer { name: "data" type: "Input" top: "data" }\n')
    assert_refused(caffe_file, "not a whole Caffe model")


def test_random_bytes_are_refused(caffe_file: Path) -> None:
    generator = np.random.default_rng(0)
    for length in generator.integers(1, 300, size=300):
        caffe_file.write_bytes(generator.bytes(int(length)))
        assert_refused(caffe_file, ".")


def test_a_damaged_byte_ends_in_weights_or_in_a_sentence(caffe_file: Path) -> None:
    small = np.ones((1, 2), np.float32)
    content = wire.layer("conv1_1", "Convolution", [wire.blob(small)])
    content += wire.old_layer("fc6", 14, [wire.legacy_shape((1, 1, 1, 2)) + wire.floats(small)])
    for place in range(len(content)):
        for value in (0x00, 0x0A, 0x7F, 0x80, 0xFF):
            caffe_file.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            with suppress(ModelError):
                read_caffemodel(caffe_file)


@pytest.mark.parametrize(
    "dims",
    [
        pytest.param((2, 2), id="too many"),
        pytest.param((1,), id="too few"),
        pytest.param((), id="a single number"),
        pytest.param((-1, -2), id="negative"),
        pytest.param((0, 2), id="empty"),
        pytest.param((2**32, 2**31, 2, 1 << 40, 2), id="beyond 64 bits"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(caffe_file: Path, dims: tuple[int, ...]) -> None:
    blob = wire.shape(dims) + wire.floats(BIAS)
    caffe_file.write_bytes(wire.layer("conv1_1", "Convolution", [blob]))
    assert_refused(caffe_file, "'conv1_1' claims the shape .* holds 2 numbers")


def test_a_huge_shape_without_numbers_is_refused(caffe_file: Path) -> None:
    blob = wire.shape((2**32, 2**32))  # the product is 0 in 64 bits
    caffe_file.write_bytes(wire.layer("conv1_1", "Convolution", [blob]))
    assert_refused(caffe_file, "holds 0 numbers")
