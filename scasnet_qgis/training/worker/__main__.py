"""Do a task of training: ``python -m scasnet_qgis.training.worker TASK --request FILE``.

On a terminal the task tells in lines how it goes, and Ctrl+C ends it early. QGIS adds
``--child``, and reads events (see protocol.py).
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from scasnet_qgis.common.errors import ScasNetError
from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.training.worker.tasks import TASKS
from scasnet_qgis.training.worker.worker import perform, read_request, serve


class TerminalProgress(Progress):
    """Progress in lines for a person; the first Ctrl+C asks the task to end."""

    def __init__(self) -> None:
        self._stop = False
        self._percent = 0
        signal.signal(signal.SIGINT, self._interrupted)

    def _interrupted(self, number: int, _frame: FrameType | None) -> None:
        self._stop = True
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process
        self.info("Ending with the best so far; Ctrl+C again ends at once.")

    def report(self, fraction: float) -> None:
        percent = int(100 * fraction)
        if percent != self._percent:
            self._percent = percent
            self.info(f"{percent} %")

    def info(self, text: str | Message) -> None:
        print(text, flush=True)  # at once, so that a log can be followed

    def warn(self, text: str | Message) -> None:
        print(text, file=sys.stderr, flush=True)

    @property
    def cancelled(self) -> bool:
        return self._stop


def main() -> int:
    """Do the task that the command line names. Returns the exit status."""
    arguments = _parser().parse_args()
    if arguments.child:
        return serve(arguments.task, arguments.request)
    try:
        results = perform(arguments.task, read_request(arguments.request), TerminalProgress())
    except ScasNetError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    for name, value in results.items():
        print(f"{name}: {value}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scasnet_qgis.training.worker", description=__doc__
    )
    parser.add_argument("task", choices=sorted(TASKS), help="what to do")
    parser.add_argument("--request", type=Path, required=True, help="its settings (JSON)")
    parser.add_argument(
        "--child", action="store_true", help="talk in events with the program that started this"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
