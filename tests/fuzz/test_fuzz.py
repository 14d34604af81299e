"""A little fuzzing in every run of the tests, always the same, and what was found at length.

``make fuzz`` does it for as long as one likes, guided by the lines that are reached.
"""

from __future__ import annotations

import base64
import random
import tracemalloc

import pytest

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.models.model_file import inspect
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, file_of
from tests.fuzz.wire_mutation import mutated, parsed, written

pytestmark = pytest.mark.slow

ROUNDS = {"model": 150, "caffe": 25, "card": 300}

# A dimension with a name that is no UTF-8: ONNX Runtime takes it, Python's bindings cannot.
NO_TEXT = (b"\x12\x06height", b"\x12\x06h\xbfight")
# An image of 255 bands, whose rows and columns may vary.
MANY_BANDS = base64.b64decode(
    "CAg6oAEKGQoFbGltaXQKBWltYWdlEgRsZWZ0IgNTdWIKEgoEbGVmdBIEcm9vdCIEU3FydAomCgRyb290EgZzY29yZXMi"
    "B1NvZnRtYXgqDQoEYXhpcxgBGAGgAQISBHRpbnkqEQgBEAFCBWxpbWl0SgQAAIA/WiQKBWltYWdlEhsKGQgBEhUKAxIB"
    "bgoDCP8BCgMSAWgKBNoBAXdiCAoGc2NvcmVzQgQKABAR"
)


@pytest.mark.long
@pytest.mark.fault(
    "hundreds of random damages to model files, Caffe weights and cards",
    "a result or one sentence, nothing else",
)
@pytest.mark.parametrize("target", TARGETS)
def test_damage_ends_in_a_result_or_in_a_sentence(target: str) -> None:
    start, chance = seeds(target), random.Random(5)
    for seed in start:
        TARGETS[target](seed)
    for index in range(ROUNDS[target]):
        data = chance.choice(start)
        TARGETS[target](mutated(data, index))


@pytest.mark.parametrize("target", ["model", "caffe"])
def test_seeds_are_taken_apart_and_put_together(target: str) -> None:
    for seed in seeds(target):
        fields = parsed(seed)
        assert fields
        assert written(fields) == seed
        assert mutated(seed, 1) != seed or mutated(seed, 2) != seed


def test_seeds_are_read() -> None:
    """Else fuzzing would try the ways to refuse and nothing else."""
    found = 0
    for seed in seeds("model"):
        with file_of(seed, ".onnx") as path:
            try:
                found += isinstance(inspect(path).card, ModelCard)
            except ModelError:
                continue
    assert found > len(seeds("model")) / 2


def test_names_that_are_no_text() -> None:
    data = seeds("model")[0].replace(*NO_TEXT)
    assert data != seeds("model")[0]
    TARGETS["model"](data)
    with file_of(data, ".onnx") as path, pytest.raises(ModelError, match=r"stranger\.onnx"):
        inspect(path)


def test_many_bands() -> None:
    """Trying them took 600 MB. (It gives as many classes, which are too many.)"""
    tracemalloc.start()
    try:
        TARGETS["model"](MANY_BANDS)
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()
    with file_of(MANY_BANDS, ".onnx") as path, pytest.raises(ModelError, match="255"):
        inspect(path)
