"""Work that was kept and then damaged: what is believed is the beginning of what was written."""

from __future__ import annotations

import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.outputs.chunks import ChunkRecorder, DamagedChunkError, is_intact, read_blocks
from scasnet_qgis.outputs.journal import NAME, ChunkRecord, Journal
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.windows import Window

pytestmark = pytest.mark.slow

CLASSES = 3
HEADER = {"identity": {"image": "a.tif"}}


@st.composite
def works(draw: st.DrawFn) -> list[FinishedBlock]:
    """Blocks row by row, of one or two panels, with or without scores."""
    random = np.random.default_rng(draw(st.integers(0, 99)))
    with_scores, tall = draw(st.booleans()), draw(st.integers(1, 6))
    found = []
    for left, right in ((0, 7), (7, 12))[: draw(st.integers(1, 2))]:
        for row in range(draw(st.integers(1, 3))):
            cuts = draw(st.sets(st.integers(left + 1, right - 1), max_size=2))
            edges = [left, *sorted(cuts), right]
            for col, end in zip(edges, edges[1:]):
                window = Window(row * tall, col, tall, end - col)
                scores = random.random((CLASSES, tall, end - col), dtype=np.float32)
                valid = random.random((tall, end - col)) > 0.2
                block = FinishedBlock(window, scores, valid, (left, right - left))
                found.append(block if with_scores else block.without_scores())
    return found


def keep(folder: Path, work: list[FinishedBlock]) -> Journal:
    journal = Journal(folder)
    journal.begin(HEADER)
    keeper = ChunkRecorder(journal, Progress().check)
    for block in work:
        keeper.add(block, ())
    return journal


def believed(folder: Path, classes: int) -> list[FinishedBlock]:
    """The blocks that a run would go on from, see ``MapFiles.resume``."""
    found = []
    journal = Journal(folder)
    if journal.header is None:
        return []
    for chunk in journal.chunks:
        if not is_intact(folder, chunk):
            break
        found += read_blocks(folder, chunk, classes)
    return found


def same(one: FinishedBlock, other: FinishedBlock) -> bool:
    scores = [
        block.scores.tobytes() if block.scores is not None else None for block in (one, other)
    ]
    labels = np.array_equal(one.labels(), other.labels())
    return labels and scores[0] == scores[1] and (one.window, one.row) == (other.window, other.row)


def damage(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    # A share of the file, as the journal says the time and is never twice of the same size.
    at = int(data.draw(st.floats(0, 1, exclude_max=True), label="at") * len(content))
    kind = data.draw(st.sampled_from(["cut", "flip", "zeros", "twice", "gone"]), label="kind")
    if kind == "gone":
        path.unlink()
        return
    if kind == "cut":
        del content[at:]
    elif kind == "flip":
        content[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    elif kind == "zeros":  # as a disk leaves them after a loss of power
        content[at:] = bytes(len(content) - at)
    else:
        content += content[at:]
    path.write_bytes(content)


@settings(max_examples=60, deadline=None)
@given(works(), st.data())
def test_damage_to_any_files_leaves_the_beginning_or_nothing(
    work: list[FinishedBlock], data: st.DataObject
) -> None:
    classes = CLASSES if work[0].scores is not None else 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        journal = keep(folder, work)
        assert [block.row for block in believed(folder, classes)] == [block.row for block in work]
        files = sorted(file.name for file in folder.iterdir())
        for file in data.draw(st.sets(st.sampled_from(files), min_size=1, max_size=2)):
            damage(folder / file, data)
        found = believed(folder, classes)
        assert all(same(one, other) for one, other in zip(found, work))
        ends = [0]
        for chunk in journal.chunks:
            ends.append(ends[-1] + len(chunk.edges) - 1)
        assert len(found) in ends, "rows of tiles are there whole or not at all"


@settings(max_examples=25, deadline=None)
@given(works(), st.data())
def test_a_run_that_goes_on_ends_as_if_nothing_had_happened(
    work: list[FinishedBlock], data: st.DataObject
) -> None:
    classes = CLASSES if work[0].scores is not None else 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        keep(folder, work)
        files = sorted(file.name for file in folder.iterdir() if file.name != NAME)
        damage(folder / data.draw(st.sampled_from(files)), data)
        found, journal = believed(folder, classes), Journal(folder)
        kept, blocks = 0, 0
        while blocks < len(found):
            blocks += len(journal.chunks[kept].edges) - 1
            kept += 1
        journal.keep_chunks(kept)
        keeper = ChunkRecorder(journal, Progress().check)
        for block in work[blocks:]:
            keeper.add(block, ())
        again = believed(folder, classes)
        assert len(again) == len(work)
        assert all(same(one, other) for one, other in zip(again, work))


@settings(max_examples=40, deadline=None)
@given(works(), st.integers(1, 5), st.data())
def test_a_chunk_read_as_something_else_is_damaged_or_of_that_shape(
    work: list[FinishedBlock], classes: int, data: st.DataObject
) -> None:
    """Where a journal said something wrong about a file, that is found out, or does no harm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        journal = keep(folder, work)
        chunk = data.draw(st.sampled_from(journal.chunks))
        asked = data.draw(st.sampled_from([0, classes]))
        found = []
        with suppress(DamagedChunkError):
            found += read_blocks(folder, chunk, asked)
        for block in found:
            assert block.labels().shape == (block.window.rows, block.window.cols)
        if asked == (CLASSES if work[0].scores is not None else 0):
            assert len(found) == len(chunk.edges) - 1


@pytest.mark.parametrize("text", [b"[1, 2]", b"7", b"{", b"\xff", b"null"])
def test_a_line_that_is_whole_but_says_nothing_ends_the_journal(
    tmp_path: Path, text: bytes
) -> None:
    """As another program may have written it, with a checksum that is right."""
    journal = Journal(tmp_path / "journal")
    journal.begin(HEADER)
    chunk = ChunkRecord("000000.chunk", 1, 2, 0, 1, (0, 1), (), 1.0)
    journal.add(chunk)
    with (journal.folder / NAME).open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(text), text))
    journal.add(chunk)
    found = Journal(journal.folder)
    assert found.header is not None
    assert found.chunks == [chunk]
