"""The thread that writes: in order, never far behind, and its errors reach who hands over."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from scasnet_qgis.common.errors import Cancelled, OutputError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.outputs.writer_thread import NAME, WritingThread
from tests.conftest import Recorder

SOON = 20.0  # seconds; only a test that fails waits so long


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == NAME]


class Slow:
    """Work that waits until it is let go, item by item."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Semaphore(0), threading.Semaphore(0)
        self.seen: list[int] = []

    def __call__(self, item: int) -> None:
        self.begun.release()
        assert self.free.acquire(timeout=SOON)
        self.seen.append(item)


def in_background(function, *args) -> tuple[threading.Thread, list[BaseException]]:
    """Call it in a thread; what it raises is put into the list."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function(*args)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, raised


def test_all_items_in_order_and_in_one_thread_of_that_name() -> None:
    seen: list[tuple[int, str]] = []
    thread = WritingThread(lambda item: seen.append((item, threading.current_thread().name)))
    for item in range(200):
        thread.put(item)
    thread.finish(Progress())
    assert seen == [(item, "scasnet-write") for item in range(200)]
    assert not alive()


def test_who_is_too_fast_waits() -> None:
    work = Slow()
    thread = WritingThread(work, waiting=2)
    thread.put(0)
    assert work.begun.acquire(timeout=SOON), "the first is at work, so that two can wait"
    thread.put(1)
    thread.put(2)
    producer, raised = in_background(thread.put, 3)
    producer.join(0.3)
    assert producer.is_alive(), "a third one waits"
    work.free.release()
    producer.join(SOON)
    assert not producer.is_alive()
    assert not raised
    for _ in range(3):
        work.free.release()
    thread.finish(Progress())
    assert work.seen == [0, 1, 2, 3]


def test_an_error_is_the_same_wherever_it_shows() -> None:
    error = OutputError("no room")

    def work(item: int) -> None:
        if item == 2:
            raise error

    def put_many() -> None:
        for item in range(100):
            thread.put(item)

    thread = WritingThread(work)
    for call in (put_many, partial(thread.put, 0), partial(thread.finish, Progress())):
        with pytest.raises(OutputError) as caught:
            call()
        assert caught.value is error
    thread.stop()
    assert not alive()


def test_an_error_wakes_who_waits() -> None:
    begun, free = threading.Event(), threading.Event()

    def work(item: int) -> None:
        begun.set()
        assert free.wait(SOON)
        raise OutputError("no room")

    thread = WritingThread(work, waiting=1)
    thread.put(0)
    assert begun.wait(SOON)
    thread.put(1)
    producer, raised = in_background(thread.put, 2)
    producer.join(0.2)
    assert producer.is_alive()
    free.set()
    producer.join(SOON)
    assert [type(error) for error in raised] == [OutputError]
    thread.stop()


def test_an_error_of_the_last_item_shows_at_the_end() -> None:
    thread = WritingThread(lambda item: 1 // item)
    thread.put(1)
    thread.put(0)
    with pytest.raises(ZeroDivisionError):
        thread.finish(Progress())


def test_stopping_drops_what_waits_and_wakes_who_hands_over() -> None:
    work = Slow()
    thread = WritingThread(work, waiting=1)
    thread.put(0)
    assert work.begun.acquire(timeout=SOON)
    thread.put(1)
    producer, raised = in_background(thread.put, 2)
    stopper, _ = in_background(thread.stop)
    producer.join(SOON)
    assert [type(error) for error in raised] == [Cancelled]
    work.free.release()
    stopper.join(SOON)
    assert not stopper.is_alive()
    assert work.seen == [0], "the one at hand is not broken off"
    assert not alive()
    thread.stop()


def test_a_cancel_does_not_wait_for_what_waits(recorder: Recorder) -> None:
    work = Slow()
    thread = WritingThread(work)
    thread.put(0)
    thread.put(1)
    recorder.stop = True
    with pytest.raises(Cancelled):
        thread.finish(recorder)
    work.free.release()
    thread.stop()
    assert not alive()
    assert work.seen == [0]


def test_nothing_to_write_needs_no_thread() -> None:
    thread = WritingThread(Slow())
    thread.finish(Progress())
    thread.stop()
    assert not alive()
