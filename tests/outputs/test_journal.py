"""The journal of a run, and the chunks that it lists."""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.outputs.chunks import ChunkRecorder, DamagedChunkError, is_intact, read_blocks
from scasnet_qgis.outputs.journal import NAME, ChunkRecord, Journal, same
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.windows import Window

pytestmark = pytest.mark.slow

CLASSES = 3
HEADER = {"identity": {"image": "Straße.tif", "low": [0.1, 2.5e-7]}, "tiling": {"tile": (64, 64)}}

numbers = st.integers(0, 10**12)
edges = st.lists(numbers, min_size=2, max_size=4, unique=True).map(sorted).map(tuple)
records = st.builds(
    ChunkRecord,
    st.from_regex(r"[0-9]{6}\.chunk", fullmatch=True),
    numbers,
    st.integers(0, 2**32 - 1),
    numbers,
    numbers,
    edges,
    st.lists(numbers, max_size=2).map(tuple),
    st.floats(0, 1e9),
)


@contextmanager
def folder() -> Iterator[Path]:
    """A fresh one for each example."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "journal"


def written(path: Path, chunks: list[ChunkRecord]) -> Journal:
    journal = Journal(path)
    journal.begin(HEADER)
    for chunk in chunks:
        journal.add(chunk)
    return journal


@settings(deadline=None, max_examples=60)
@given(st.lists(records, max_size=6))
def test_what_is_written_is_read_again(chunks: list[ChunkRecord]) -> None:
    with folder() as path:
        journal, found = written(path, chunks), Journal(path)
        assert found.chunks == journal.chunks == chunks
        assert found.header is not None
        assert same({key: found.header[key] for key in HEADER}, HEADER)
        assert found.seconds == (chunks[-1].seconds if chunks else 0)
        assert found.pixels == sum(chunk.pixels for chunk in chunks)


@settings(deadline=None, max_examples=100)
@given(st.lists(records, max_size=5), st.data())
def test_a_torn_journal_holds_its_whole_lines_and_goes_on(
    chunks: list[ChunkRecord], data: st.DataObject
) -> None:
    with folder() as path:
        written(path, chunks)
        content = (path / NAME).read_bytes()
        end = data.draw(st.integers(0, len(content)))
        (path / NAME).write_bytes(content[:end])
        found = Journal(path)
        lines = content[:end].count(b"\n")
        assert (found.header is not None) is (lines > 0)
        assert found.chunks == chunks[: max(lines - 1, 0)]
        if found.header is not None:
            found.keep_chunks(len(found.chunks))
            found.add(chunks[0] if chunks else ChunkRecord("a", 1, 2, 0, 1, (0, 1), (), 1.0))
            assert Journal(path).chunks == found.chunks
            assert len(found.chunks) == lines


@settings(deadline=None, max_examples=100)
@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_a_byte_that_changed_ends_the_journal_before_it(
    chunks: list[ChunkRecord], data: st.DataObject
) -> None:
    with folder() as path:
        written(path, chunks)
        content = bytearray((path / NAME).read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        line = (path / NAME).read_bytes()[:at].count(b"\n")
        (path / NAME).write_bytes(content)
        found = Journal(path)
        assert (found.header is not None) is (line > 0)
        assert found.chunks == chunks[: max(line - 1, 0)]


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_journal_without_work(content: bytes) -> None:
    with folder() as path:
        path.mkdir()
        (path / NAME).write_bytes(content)
        found = Journal(path)
        assert found.header is None
        assert found.chunks == []


def test_a_journal_of_another_format_is_none(tmp_path: Path) -> None:
    written(tmp_path / "a", [])
    content = (tmp_path / "a" / NAME).read_bytes()
    assert b'"format":1' in content
    text = content[9:-1].replace(b'"format":1', b'"format":2')
    (tmp_path / "a" / NAME).write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    assert Journal(tmp_path / "a").header is None


def test_beginning_and_cutting_remove_what_is_not_wanted(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = written(path, [])
    chunks = kept(journal, 20, 30, 10)
    (path / "000003.chunk.unfinished").write_text("half")
    assert len(chunks) == 4
    journal.keep_chunks(2)
    assert sorted(file.name for file in path.iterdir()) == ["000000.chunk", "000001.chunk", NAME]
    assert Journal(path).chunks == chunks[:2]
    journal.begin({"other": 1})
    assert [file.name for file in path.iterdir()] == [NAME]


def blocks(rows: int, cols: int, step: int, *, scores: bool = True) -> list[FinishedBlock]:
    """Rows of blocks over two panels, with some pixels that hold no data."""
    random = np.random.default_rng(5)
    found = []
    for left, right in ((0, cols // 2), (cols // 2, cols)):
        for top in range(0, rows, step):
            for col in range(left, right, step):
                at = Window(top, col, min(step, rows - top), min(step, right - col))
                values = random.random((CLASSES, at.rows, at.cols), dtype=np.float32)
                valid = random.random((at.rows, at.cols)) > 0.2
                block = FinishedBlock(at, values / values.sum(axis=0), valid, (left, right - left))
                found.append(block if scores else block.without_scores())
    return found


def kept(
    journal: Journal, rows: int, cols: int, step: int, *, scores: bool = False
) -> list[ChunkRecord]:
    keeper = ChunkRecorder(journal, Progress().check)
    for block in blocks(rows, cols, step, scores=scores):
        keeper.add(replace(block, known_labels=block.labels()), ())
    return journal.chunks


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(2, 50), st.integers(3, 30), st.booleans())
def test_chunks_give_back_the_same_blocks(rows: int, cols: int, step: int, scores: bool) -> None:
    """One chunk for each row of tiles of each panel."""
    with folder() as path:
        journal = written(path, [])
        chunks = kept(journal, rows, cols, step, scores=scores)
        assert len(chunks) == 2 * -(-rows // step)
        assert sum(chunk.pixels for chunk in chunks) == rows * cols
        assert len({id(chunk.edges) for chunk in journal.chunks}) == 2, "memory does not grow"
        found = [
            block
            for chunk in chunks
            for block in read_blocks(path, chunk, CLASSES if scores else 0)
        ]
        expected = blocks(rows, cols, step, scores=scores)
        assert [block.window for block in found] == [block.window for block in expected]
        assert [block.row for block in found] == [block.row for block in expected]
        for block, before in zip(found, expected):
            np.testing.assert_array_equal(block.labels(), before.labels())
            if scores:
                np.testing.assert_array_equal(block.scores, before.scores)
                np.testing.assert_array_equal(block.valid, before.valid)


@settings(deadline=None, max_examples=60)
@given(st.booleans(), st.data())
def test_any_damage_to_a_chunk_is_found(scores: bool, data: st.DataObject) -> None:
    with folder() as path:
        chunk = kept(written(path, []), 12, 14, 12, scores=scores)[0]
        file = path / chunk.name
        content = bytearray(file.read_bytes())
        assert is_intact(path, chunk)
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] ^= data.draw(st.integers(1, 255))
        else:
            del content[at:]
        file.write_bytes(content)
        assert not is_intact(path, chunk)
        # Nor does it do harm where the checksum should say nothing.
        with suppress(DamagedChunkError):
            list(read_blocks(path, chunk, CLASSES if scores else 0))


def test_a_chunk_that_is_gone_is_not_whole(tmp_path: Path) -> None:
    journal = written(tmp_path / "journal", [])
    chunk = kept(journal, 10, 10, 10)[0]
    (journal.folder / chunk.name).unlink()
    assert not is_intact(journal.folder, chunk)
    shutil.rmtree(journal.folder)
    assert not is_intact(journal.folder, chunk)


def test_a_row_of_tiles_that_is_not_complete_is_not_listed(tmp_path: Path) -> None:
    journal = written(tmp_path / "journal", [])
    keeper = ChunkRecorder(journal, Progress().check)
    first, second = blocks(10, 40, 10, scores=False)[:2]
    assert first.row == second.row
    keeper.add(first, (3, 0))
    assert journal.chunks == []
    keeper.abandon()
    keeper.abandon()
    keeper.add(first, (3, 0))
    keeper.add(second, (4, 5))
    assert [chunk.refined for chunk in Journal(journal.folder).chunks] == [(7, 5)]
    assert journal.seconds > 0


def test_seconds_go_on_from_those_of_the_run_before(tmp_path: Path) -> None:
    before = ChunkRecord("x", 1, 2, 0, 1, (0, 10), (), 5000.0)
    journal = written(tmp_path / "journal", [before])
    kept(journal, 5, 10, 5)
    assert journal.seconds > 5000
