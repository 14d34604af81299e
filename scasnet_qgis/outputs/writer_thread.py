"""A writer thread with a bounded queue: computing need not wait for a disk."""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Generic, TypeVar

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.progress import Progress

WAITING = 2  # items; with scores of many classes each is as large as a tile's output
POLL_SECONDS = 0.1
NAME = "scasnet-write"

Item = TypeVar("Item")


class WritingThread(Generic[Item]):
    """Calls ``work`` for each item, one after the other; at most ``waiting`` of them wait.

    What an item holds must not be changed once it is handed over. What ``work`` raises ends the
    thread, and is raised again by each later call of ``put`` and ``finish``. The thread starts
    with the first item.
    """

    def __init__(self, work: Callable[[Item], None], waiting: int = WAITING) -> None:
        self._work, self._limit = work, waiting
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._finished = self._stopped = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def put(self, item: Item) -> None:
        """Hand over an item; blocks while too many wait. Raises Cancelled once it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._items) < self._limit)
            self._check()
            self._items.append(item)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=NAME)
            self._thread.start()

    def finish(self, progress: Progress) -> None:
        """Come back when all is worked off and the thread has ended; raises Cancelled soon."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()
        while self._thread is not None and self._thread.is_alive():
            progress.check()
            self._thread.join(POLL_SECONDS)
        self._check()

    def stop(self) -> None:
        """End the thread after the item at hand and drop all others; may be called again."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    @property
    def _ended(self) -> bool:
        return self._stopped or self._error is not None

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._stopped:
            raise Cancelled

    def _run(self) -> None:
        try:
            while self._work_next():
                pass
        except BaseException as error:  # whatever it is, it belongs to the one who hands over
            with self._changed:
                self._error = error
                self._items.clear()
                self._changed.notify_all()

    def _work_next(self) -> bool:
        """Wait for an item and work it off; False when there is none to come."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._finished or self._stopped)
            if not self._items:
                return False
            item = self._items.popleft()
            self._changed.notify_all()
        self._work(item)
        return True
