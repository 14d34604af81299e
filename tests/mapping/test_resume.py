"""What a run keeps of itself, and whether another one may go on with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.mapping.resume import Resuming, Tiling
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs.journal import Journal
from scasnet_qgis.tiling.windows import plan_tiles
from tests.conftest import Recorder
from tests.models import tiny_models

pytestmark = pytest.mark.slow

WANTED = {"input": "image", "model": "0123", "sieve": None}


def tiling_of(rows: int, cols: int, size: int = 64, *, fixed: bool = False) -> Tiling:
    plan = plan_tiles(rows, cols, (size, size), size // 4, fixed=fixed, panel_cols=99, block=16)
    return Tiling((size, size), size // 4, plan)


@given(st.integers(1, 999), st.integers(1, 999), st.integers(8, 300), st.booleans())
def test_tiles_are_the_same_after_they_were_kept(
    rows: int, cols: int, size: int, fixed: bool
) -> None:
    tiling = tiling_of(rows, cols, size, fixed=fixed)
    assert Tiling.of(json.loads(json.dumps(tiling.as_values()))) == tiling


@pytest.fixture
def backend(tmp_path: Path) -> OnnxBackend:
    return OnnxBackend(inspect(tiny_models.pixelwise(tmp_path / "tiny.onnx")), "cpu")


def test_a_journal_is_gone_on_with_where_all_is_the_same(
    tmp_path: Path, backend: OnnxBackend, recorder: Recorder
) -> None:
    first, later = tiling_of(300, 200), tiling_of(300, 200, 128)
    path = tmp_path / "journal"
    Resuming(Journal(path), WANTED, True).begin(backend, first, recorder)
    content = (path / "journal.jsonl").read_bytes()
    assert Resuming(Journal(path), WANTED, True).tiling(later) == first
    assert Resuming(Journal(path), WANTED, False).tiling(later) == later
    assert Resuming(Journal(path), {**WANTED, "sieve": 3}, True).tiling(later) == later
    Resuming(Journal(path), WANTED, True).begin(backend, first, recorder)
    assert (path / "journal.jsonl").read_bytes() == content
    assert recorder.infos == [], "nothing was finished, so there is nothing to say"


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("provider", "CUDAExecutionProvider"),
        ("device_name", "H200"),
        ("eight_bit", True),
        ("takes_raw", True),
        ("gives_labels", True),
    ],
)
def test_what_computes_otherwise_begins_anew(
    tmp_path: Path, backend: OnnxBackend, recorder: Recorder, fact: str, value: object
) -> None:
    """What it adds to the blocks that are there would not be what they are made of."""
    path, tiling = tmp_path / "journal", tiling_of(300, 200)
    Resuming(Journal(path), WANTED, True).begin(backend, tiling, recorder)
    content = (path / "journal.jsonl").read_bytes()
    assert getattr(backend, fact) != value
    setattr(backend, fact, value)
    Resuming(Journal(path), WANTED, True).begin(backend, tiling, recorder)
    assert (path / "journal.jsonl").read_bytes() != content


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"identity": None},
        {"identity": WANTED},
        {"identity": WANTED, "tiling": {"tile": [1], "overlap": 0, "plan": {}}},
        {"identity": WANTED, "tiling": 7},
    ],
)
def test_a_journal_that_says_too_little_is_begun_anew(
    tmp_path: Path, backend: OnnxBackend, recorder: Recorder, header: dict[str, object]
) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin(header)
    tiling = tiling_of(100, 100)
    resuming = Resuming(Journal(tmp_path / "journal"), WANTED, True)
    assert resuming.tiling(tiling) is tiling
    resuming.begin(backend, tiling, recorder)
    assert (
        Resuming(Journal(tmp_path / "journal"), WANTED, True).tiling(tiling_of(100, 100, 32))
        == tiling
    )


def test_a_journal_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, backend: OnnxBackend, recorder: Recorder
) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal")
    with pytest.raises(OutputError):
        Resuming(journal, WANTED, True).begin(backend, tiling_of(9, 9), recorder)
