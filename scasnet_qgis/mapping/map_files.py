"""The files of one run: filled together, finished together, published together or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.file_errors import failed
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.refinements.refined_map import RefinedMapWriter
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from scasnet_qgis.outputs.atomic_output import publish
from scasnet_qgis.outputs.chunks import ChunkRecorder, DamagedChunkError, is_intact, read_blocks
from scasnet_qgis.outputs.class_map import (
    ClassArea,
    ClassMapWriter,
    ProbabilityWriter,
    Product,
    finish_all,
)
from scasnet_qgis.outputs.journal import ChunkRecord
from scasnet_qgis.outputs.provenance.stamp import MAP, PROBABILITIES
from scasnet_qgis.outputs.workspace import Workspace
from scasnet_qgis.outputs.writer_thread import WritingThread
from scasnet_qgis.tiling.blending import FinishedBlock


@dataclass(frozen=True)
class MapCounts:
    """What the map holds, class by class.

    ``refined`` is how many pixels each refinement changed, by its key in the record; of these,
    ``unclassified`` pixels have data but no class.
    """

    areas: list[ClassArea]
    refined: dict[str, int]
    unclassified: int = 0


@dataclass(frozen=True)
class _Item:
    """A block to write; one that is not new need not be kept for the next run.

    ``refined`` is how many pixels each refinement of blocks changed; None where they have not been
    applied yet.
    """

    block: FinishedBlock
    is_new: bool
    refined: tuple[int, ...] | None = None


class MapFiles:
    """The map and, if wanted, the probabilities; see ``open_map_files``.

    A thread of their own fills the files. As long as it runs nobody else touches them.
    """

    def __init__(
        self,
        work: Workspace,
        writers: list[Product],
        class_map: ClassMapWriter,
        steps: RefinementSteps,
        check: Callable[[], None],
    ) -> None:
        """The map is the last of the files, so that it is there only if everything is."""
        self._work, self._writers, self._map, self._steps = work, writers, class_map, steps
        self._check = check
        self._refined = [0] * len(steps.blocks)
        self._keeper: ChunkRecorder | None = None
        self._thread: WritingThread[_Item] = WritingThread(self._write_to_all)

    @property
    def map_file(self) -> Path:
        """The map as long as it is not published."""
        return self._work.outputs[-1].working

    @property
    def working(self) -> dict[str, Path]:
        """All files as long as they are not published."""
        paths = [output.working for output in reversed(self._work.outputs)]
        return dict(zip((MAP, PROBABILITIES), paths))

    @property
    def counts(self) -> MapCounts:
        """What the files hold; complete once they are finished."""
        last = self._writers[-1]
        changed = [*self._refined, *(last.changed if isinstance(last, RefinedMapWriter) else ())]
        counted = [step.counted for step in self._steps.all]
        refined = {count.key: pixels for count, pixels in zip(counted, changed)}
        unclassified = sum(refined[count.key] for count in counted if count.unclassified)
        return MapCounts(self._map.areas, refined, unclassified)

    def resume(self, finished: Callable[[int], None]) -> int:
        """Write what an interrupted run finished, as if it came from the model.

        From then on what is finished is kept for the next run. Returns how many rows of tiles were
        there; ``finished`` hears of each of them and may raise Cancelled. Raises OutputError.
        """
        journal, count = self._work.journal, 0
        try:
            for chunk in journal.chunks:
                if not is_intact(journal.folder, chunk):
                    break
                for item in self._kept(chunk):
                    self._thread.put(item)
                count += 1
                finished(count)
        except (OSError, DamagedChunkError) as error:
            raise _not_resumed(journal.folder.parent, error) from error
        try:
            journal.keep_chunks(count)
        except OSError as error:
            raise failed(self.map_file, error) from error
        self._keeper = ChunkRecorder(journal, self._check_row)
        return count

    def _check_row(self) -> None:
        """Raise what speaks against keeping a finished row of tiles for the next run."""
        for output in self._work.outputs:
            output.check()
        self._check()

    def _kept(self, chunk: ChunkRecord) -> Iterator[_Item]:
        folder, refined = self._work.journal.folder, chunk.refined
        if self._work.with_probabilities:
            for block in read_blocks(folder, chunk, self._map.class_count):
                yield _Item(block, is_new=False)
            return
        for block in read_blocks(folder, chunk, 0):
            yield _Item(block, is_new=False, refined=refined)
            refined = ()  # it is known for all blocks together

    def write(self, block: FinishedBlock) -> None:
        """Hand over a block, which nobody may change from now on; blocks keep their order.

        Waits as long as too many blocks are still to be written. Raises what went wrong with an
        earlier block.
        """
        self._thread.put(_Item(block, is_new=True))

    def _write_to_all(self, item: _Item) -> None:
        block, refined = item.block, item.refined
        if refined is None:
            block, refined = self._refine(block)
        for index, pixels in enumerate(refined):
            self._refined[index] += pixels
        for writer in self._writers:
            writer.write(block)
        if self._keeper is not None and item.is_new:
            scores = block.scores if self._work.with_probabilities else None
            try:
                self._keeper.add(replace(block, scores=scores), refined)
            except OSError as error:
                raise failed(self.map_file, error) from error

    def _refine(self, block: FinishedBlock) -> tuple[FinishedBlock, tuple[int, ...]]:
        """With the labels that the map gets, and how many pixels each step changed."""
        counts = []
        block = replace(block, known_labels=block.labels())
        for step in self._steps.blocks:
            labels = step.refined(block)
            counts.append(int((labels != block.labels()).sum()))
            block = replace(block, known_labels=labels)
        return block, tuple(counts)

    def stop(self) -> None:
        """End the thread without waiting for more than the block at hand."""
        self._thread.stop()
        if self._keeper is not None:
            self._keeper.abandon()

    def finish(self, progress: Progress) -> None:
        """Write what waits and add what comes last; the files are whole then, in their folders."""
        self._thread.finish(progress)
        finish_all(self._writers, progress)

    def publish(self) -> MapCounts:
        """Give all files their names."""
        publish(self._work.outputs)
        return self.counts


@contextmanager
def open_map_files(
    work: Workspace,
    grid: Grid,
    classes: Sequence[ModelClass],
    steps: RefinementSteps,
    origin: Mapping[str, str] | None = None,
    check: Callable[[], None] = Progress().check,
) -> Iterator[MapFiles]:
    """Writers into the work folders; at the end they are closed, whatever happened.

    ``origin`` goes into the files as it is (see ``provenance.stamp``). ``check`` is asked before a
    row of tiles is kept for the next run; it raises where what is read is no longer what it was.
    """
    with ExitStack() as stack:
        outputs = work.outputs
        writers: list[Product] = []
        if work.with_probabilities:
            writers.append(ProbabilityWriter(outputs[0], grid, classes, origin))
            stack.callback(writers[-1].abandon)
        class_map = ClassMapWriter(outputs[-1], grid, classes, origin)
        stack.callback(class_map.abandon)
        writers.append(class_map)
        if steps.maps:
            writers[-1] = RefinedMapWriter(outputs[-1], grid, class_map, steps.maps)
            stack.callback(writers[-1].abandon)
        files = MapFiles(work, writers, class_map, steps, check)
        stack.callback(files.stop)  # before the files are let go
        yield files


def _not_resumed(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "The files of an interrupted run in {folder} cannot be read: delete the folder "
            "and run again.",
        ),
        str(error),
        folder=folder,
    )
