"""The work folders of a run, kept where it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from scasnet_qgis.outputs.journal import Journal

MIN_KEPT_SECONDS = 20.0  # of work; less is not worth a folder that somebody wonders about


@dataclass
class Workspace:
    """The work folders of a run, the map's last, and the journal of what was finished before."""

    outputs: list[AtomicOutput]
    journal: Journal

    @property
    def with_probabilities(self) -> bool:
        return len(self.outputs) > 1


@contextmanager
def open_workspace(
    output: Path, probabilities: Path | None, progress: Progress, *, keep: bool = True
) -> Iterator[Workspace]:
    """Folders that no other run has; after an error, what took long stays in the map's.

    Unless ``keep`` is false: a later run cannot resume an output that then has another name.

    Raises OutputError where a folder cannot be made or another run has the same output.
    """
    with ExitStack() as stack:
        outputs: list[AtomicOutput] = []
        for path in filter(None, (probabilities, output)):
            outputs.append(AtomicOutput(path))
            stack.callback(outputs[-1].discard)
        folder = outputs[-1].root
        journal = Journal(folder / "journal")
        try:
            yield Workspace(outputs, journal)
        except BaseException:
            if keep and journal.seconds >= MIN_KEPT_SECONDS:
                outputs[-1].leave()
                _log_kept(folder, progress)
            raise


def _log_kept(folder: Path, progress: Progress) -> None:
    text = translate(
        "ScasNet",
        "The finished part is kept in {folder}: run the same again to resume, or delete the"
        " folder.",
    )
    progress.info(message(text, folder=folder))
