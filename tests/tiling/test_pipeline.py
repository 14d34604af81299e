"""The loop, with a backend whose scores depend on nothing but the pixel."""

from __future__ import annotations

import platform
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.errors import Cancelled, InputError, ModelError, OutputError, ScasNetError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.pipeline import READ_AHEAD, HeapTrimmer, Pipeline, RunReport, as_float
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder
from tests.tiling.plans import pixels, plan_of

pytestmark = pytest.mark.slow

BANDS = 3
FILL = 0.25


class ArraySource:
    block_rows = 1

    def __init__(self, image: np.ndarray, mask: np.ndarray | None = None) -> None:
        self.image, self.mask, self.reads = image, mask, 0

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        self.reads += 1
        at = pixels(window)
        mask = None if self.mask is None or self.mask[at].all() else self.mask[at]
        return self.image[(slice(None), *at)], mask


class PixelBackend:
    """The class of a pixel is its brightest band; ``before`` is called with every batch."""

    classes = BANDS
    takes_raw = gives_labels = False

    def __init__(
        self,
        workers: int = 1,
        margin: int = 0,
        before: Callable[[np.ndarray], object] = lambda _: None,
    ) -> None:
        self.workers, self.margin, self.before = workers, margin, before
        self.stopped = threading.Event()

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        self.before(tiles)
        rows, cols = tiles.shape[2] - self.margin, tiles.shape[3] - self.margin
        middle = tiles[:, :, self.margin : rows, self.margin : cols] + np.float32(0.01)
        return middle / middle.sum(axis=1, keepdims=True)

    def cancel(self) -> None:
        self.stopped.set()


class Canvas:
    """A sink that keeps the labels and the windows in the order they came."""

    def __init__(self, rows: int, cols: int) -> None:
        self.labels = np.full((rows, cols), 255, dtype=np.uint8)
        self.windows: list[Window] = []

    def __call__(self, block: FinishedBlock) -> None:
        self.labels[pixels(block.window)] = block.labels()
        self.windows.append(block.window)


def image_of(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (BANDS, rows, cols)).astype(np.uint8)


def truth_of(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    labels = image.argmax(axis=0) + 1
    return labels if mask is None else np.where(mask, labels, 0)


def job(
    source: ArraySource,
    backend: PixelBackend,
    tile: int = 64,
    overlap: int = 16,
    *,
    batch: int = 1,
    panel_cols: int = 10_000,
    fixed: bool = False,
    area: Window | None = None,
    inside: Callable[[Window], np.ndarray | None] | None = None,
) -> Pipeline:
    raster = Window(0, 0, *source.image.shape[1:])
    area = area or raster
    scaling = Scaling((0.0,) * BANDS, (255.0,) * BANDS, (FILL,) * BANDS, "")
    size = area.rows, area.cols
    plan = plan_of(*size, (tile, tile), overlap, fixed=fixed, panel_cols=panel_cols)
    return Pipeline(source, raster, area, scaling, backend, plan, batch, inside)


def classify(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    backend: PixelBackend | None = None,
    **how: object,
) -> tuple[np.ndarray, RunReport, list[Window]]:
    run = job(ArraySource(image, mask), backend or PixelBackend(), **how)
    canvas = Canvas(run.area.rows, run.area.cols)
    report = run.run(canvas, Recorder())
    return canvas.labels, report, canvas.windows


class Watching(PixelBackend):
    """Notes whether, while a tile is computed, the scores of earlier ones are all let go of."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[weakref.ref[np.ndarray]] = []
        self.let_go: list[bool] = []

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        end = time.monotonic() + 5.0  # what came before is being blended meanwhile
        while any(reference() is not None for reference in self.given) and time.monotonic() < end:
            time.sleep(0.001)
        self.let_go.append(all(reference() is None for reference in self.given))
        scores = super().predict(tiles)
        self.given.append(weakref.ref(scores))
        return scores


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [
        thread.name for thread in threading.enumerate() if thread.name.startswith("scasnet")
    ]


@pytest.mark.parametrize("batch", [1, 2])
def test_no_scores_are_held_while_others_are_computed(batch: int) -> None:
    """They lie where a model computes, which would have to grow for them."""
    backend = Watching()
    classify(image_of(100, 150), backend=backend, batch=batch)
    assert len(backend.let_go) > 3
    assert all(backend.let_go)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("panel_cols", [64, 10_000])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("tile", "overlap"), [(64, 0), (64, 32), (72, 71), (500, 100)])
def test_labels_do_not_depend_on_how_the_raster_is_cut(
    tile: int, overlap: int, batch: int, panel_cols: int, fixed: bool
) -> None:
    image = image_of(150, 133) if overlap < 71 else image_of(80, 90)
    labels, report, _ = classify(
        image, tile=tile, overlap=overlap, batch=batch, panel_cols=panel_cols, fixed=fixed
    )
    np.testing.assert_array_equal(labels, truth_of(image))
    assert report.skipped_tiles == 0


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 300), (300, 1), (10, 20), (63, 64)])
@pytest.mark.parametrize("margin", [0, 12])
@pytest.mark.parametrize("fixed", [False, True])
def test_small_and_thin_rasters(rows: int, cols: int, margin: int, fixed: bool) -> None:
    """Peers give no tiles, and an all-zero map, for a raster no larger than a tile."""
    image = image_of(rows, cols)
    labels, report, _ = classify(image, backend=PixelBackend(margin=margin), fixed=fixed)
    np.testing.assert_array_equal(labels, truth_of(image))
    assert report.computed_tiles > 0


def test_an_output_smaller_than_the_tile() -> None:
    sizes = set()
    backend = PixelBackend(margin=20, before=lambda tiles: sizes.add(tiles.shape[2:]))
    image = image_of(200, 170)
    labels, _, _ = classify(image, backend=backend, tile=64, fixed=True)
    np.testing.assert_array_equal(labels, truth_of(image))
    assert sizes == {(104, 104)}


def test_an_area_looks_at_the_raster_around_it() -> None:
    """At the area's edge the model sees the raster go on; it mirrors only at the raster's."""
    image = image_of(100, 120)
    seen = []
    backend = PixelBackend(margin=10, before=lambda tiles: seen.append(tiles.copy()))
    area = Window(20, 5, 70, 64)
    labels, _, _ = classify(image, backend=backend, tile=100, overlap=0, area=area)
    np.testing.assert_array_equal(labels, truth_of(image)[20:90, 5:69])
    expected = np.pad(image, ((0, 0), (0, 0), (5, 0)), mode="symmetric")[:, 10:100, 0:84]
    np.testing.assert_allclose(seen[0][0], expected / 255.0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("margin", [0, 12])
def test_windows_without_data_are_never_computed(batch: int, margin: int) -> None:
    """Peers check the mask of the whole raster, and so skip nothing."""
    image = image_of(256, 320)
    mask = np.zeros((256, 320), dtype=bool)
    mask[:100, :100] = True
    mask[200, 300] = True
    computed = []
    backend = PixelBackend(margin=margin, before=lambda tiles: computed.extend(tiles.copy()))
    labels, report, _ = classify(image, mask, backend, batch=batch)
    np.testing.assert_array_equal(labels, truth_of(image, mask))
    middle = slice(margin, -margin or None)
    assert all((tile[:, middle, middle] != np.float32(FILL)).any() for tile in computed)
    assert len(computed) == report.computed_tiles
    assert report.skipped_tiles > report.computed_tiles > 0


def test_a_raster_without_any_data_gives_an_empty_map() -> None:
    def never(tiles: np.ndarray) -> None:
        raise AssertionError("nothing to compute")

    labels, report, _ = classify(
        image_of(100, 90), np.zeros((100, 90), bool), PixelBackend(before=never), batch=3
    )
    assert (labels == 0).all()
    assert (report.computed_tiles, report.skipped_tiles) == (0, 4)


@pytest.mark.parametrize("batch", [1, 3])
def test_what_nobody_asked_for_is_neither_read_nor_computed(batch: int) -> None:
    """An L along two edges: a check of its bounding box would skip nothing."""
    image = image_of(256, 320)
    wanted = np.zeros((256, 320), dtype=bool)
    wanted[:20], wanted[:, :20] = True, True

    source = ArraySource(image)
    run = job(source, PixelBackend(), batch=batch, inside=lambda window: wanted[pixels(window)])
    canvas = Canvas(256, 320)
    report = run.run(canvas, Recorder())
    np.testing.assert_array_equal(canvas.labels, truth_of(image, wanted))
    assert report.computed_tiles == len(run.plan.vertical) + len(run.plan.horizontal) - 1
    assert report.skipped_tiles == run.plan.count - report.computed_tiles
    assert source.reads == report.computed_tiles
    assert not run._reader._kept, "nothing is kept for tiles that nobody asked for"


def test_tiles_see_the_image_around_what_was_asked_for() -> None:
    image, seen = image_of(64, 64), []
    wanted = np.zeros((64, 64), dtype=bool)
    wanted[10:20, 10:20] = True
    backend = PixelBackend(before=lambda tiles: seen.append(tiles.copy()))
    run = job(ArraySource(image), backend, inside=lambda window: wanted[pixels(window)])
    canvas = Canvas(64, 64)
    run.run(canvas, Recorder())
    np.testing.assert_allclose(seen[0][0], image / 255.0, atol=1e-6)
    assert (canvas.labels > 0).sum() == 100


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(0, 4),
    st.integers(0, 99),
    st.sampled_from([np.uint8, np.uint16, np.float64]),
)
def test_tiles_are_single_precision_and_filled_where_there_is_no_data(
    size: tuple[int, int], margin: int, seed: int, kind: type
) -> None:
    """Nodata of 250 must not be seen, for it is bright."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 100, (BANDS, *size)).astype(kind)
    mask = random.random(size) > 0.3
    image[:, ~mask] = 250
    seen = []
    backend = PixelBackend(margin=margin, before=lambda tiles: seen.append(tiles.copy()))
    labels, _, _ = classify(image, mask, backend, tile=32, overlap=8, fixed=True, panel_cols=64)
    np.testing.assert_array_equal(labels > 0, mask)
    for tiles in seen:
        assert tiles.dtype == np.float32
        assert len(tiles) == 1, "one at a time unless told otherwise"
        assert (np.isclose(tiles, FILL, atol=1e-6) | (tiles < 0.5)).all()


class RawBackend(PixelBackend):
    """Scales the raster's values itself and answers in 8 bits, as on a graphics card."""

    takes_raw = True

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        assert tiles.dtype == np.uint8
        scores = super().predict(tiles.astype(np.float32) / 255)
        return np.rint(scores * 255).astype(np.uint8)


@pytest.mark.parametrize("margin", [0, 12])
def test_8_bit_in_and_8_bit_out(margin: int) -> None:
    image = np.array([200, 120, 40], dtype=np.uint8)[
        np.random.default_rng(1).permuted(np.tile(np.arange(3), (150 * 170, 1)), axis=1).T
    ].reshape(3, 150, 170)
    mask = np.random.default_rng(2).random((150, 170)) > 0.3
    labels, _, _ = classify(image, mask, RawBackend(workers=2, margin=margin))
    np.testing.assert_array_equal(labels, truth_of(image, mask))


class LabelBackend(PixelBackend):
    """Gives the class itself: 1 for the first."""

    gives_labels = True

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        return (super().predict(tiles).argmax(axis=1, keepdims=True) + 1).astype(np.uint8)


@pytest.mark.parametrize("panel_cols", [64, 10_000])
@pytest.mark.parametrize("batch", [1, 3])
def test_labels_in_place_of_scores(batch: int, panel_cols: int) -> None:
    image = image_of(128, 192)
    mask = np.random.default_rng(2).random((128, 192)) > 0.3
    mask[:70, :70] = False
    blocks: list[FinishedBlock] = []
    source = ArraySource(image, mask)
    run = job(source, LabelBackend(), overlap=0, batch=batch, panel_cols=panel_cols)
    report = run.run(blocks.append, Recorder())
    assert report.skipped_tiles > 0
    canvas = Canvas(128, 192)
    for block in blocks:
        canvas(block)
        assert block.scores is None
        assert block.labels().dtype == np.uint8
    np.testing.assert_array_equal(canvas.labels, truth_of(image, mask))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (np.uint8([0, 51, 255]), [0.0, 0.2, 1.0]),
        (np.float64([0.0, 0.2, 1.0]), [0.0, 0.2, 1.0]),
        (np.float32([0.0, 0.2, 1.0]), [0.0, 0.2, 1.0]),
    ],
)
def test_scores_are_shares_of_one_in_single_precision(
    scores: np.ndarray, expected: list[float]
) -> None:
    found = as_float(scores)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(("batch", "sizes"), [(0, {1}), (1, {1}), (2, {1, 2}), (9, {3})])
def test_so_many_tiles_of_a_row_are_computed_together(batch: int, sizes: set[int]) -> None:
    seen = set()
    backend = PixelBackend(before=lambda tiles: seen.add(len(tiles)))
    classify(image_of(64, 150), backend=backend, batch=batch)
    assert seen == sizes


def test_one_thread_reads_and_no_more_compute_than_a_backend_takes() -> None:
    """GDAL's datasets are not made for several threads, nor each backend for more."""
    names: dict[str, set[str]] = {"read": set(), "compute": set()}

    def note(kind: str) -> None:
        names[kind].add(threading.current_thread().name)
        time.sleep(0.002)

    source = ArraySource(image_of(400, 64))
    read = source.read
    source.read = lambda window: (note("read"), read(window))[1]
    backend = PixelBackend(workers=2, before=lambda _: note("compute"))
    job(source, backend).run(Canvas(400, 64), Recorder())
    assert [name.startswith("scasnet-read") for name in names["read"]] == [True]
    assert 1 <= len(names["compute"]) <= backend.workers
    assert all(name.startswith("scasnet-compute") for name in names["compute"])


def test_nothing_is_under_way_once_a_run_has_failed() -> None:
    """The caller closes the image then, and a read in a closed one crashes."""
    under_way: list[str] = []

    def slowly(_: object) -> None:
        under_way.append("")
        time.sleep(0.2)
        under_way.pop()

    source = ArraySource(image_of(400, 64))
    read = source.read
    source.read = lambda window: (slowly(window), read(window))[1]
    error = OutputError("no")
    with pytest.raises(OutputError):
        job(source, PixelBackend(before=slowly)).run(Boom(error, at=1), Recorder())
    assert not under_way


@pytest.mark.parametrize("margin", [0, 12])
def test_no_pixel_is_read_twice_down_a_column_of_tiles(margin: int) -> None:
    source = ArraySource(image_of(400, 60))
    reads = np.zeros((400, 60), dtype=int)
    read = source.read

    def counting(window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        reads[pixels(window)] += 1
        return read(window)

    source.read = counting
    area = Window(50, 0, 300, 60)
    job(source, PixelBackend(margin=margin), area=area).run(Canvas(300, 60), Recorder())
    assert reads[50:350].min() == 1
    assert reads.max() == 1


def test_rows_come_in_order_with_several_workers() -> None:
    delays = iter(np.random.default_rng(5).random(10_000) * 0.01)
    backend = PixelBackend(workers=4, before=lambda _: time.sleep(next(delays)))
    image = image_of(300, 200)
    started = time.monotonic()
    labels, report, windows = classify(image, backend=backend, panel_cols=64)
    assert 0 < report.seconds <= time.monotonic() - started
    np.testing.assert_array_equal(labels, truth_of(image))
    ends = {}
    for window in windows:
        assert window.row == ends.get(window.col, 0)
        ends[window.col] = window.row_end
    assert list(ends) == sorted(ends), "panel by panel"
    assert set(ends.values()) == {300}


@pytest.mark.parametrize("rows", [400, 1600])
def test_what_is_under_way_does_not_grow_with_the_raster(rows: int) -> None:
    source = ArraySource(image_of(rows, 112))
    backend = PixelBackend(workers=2, before=lambda _: time.sleep(0.002))
    run = job(source, backend, batch=2)
    assert len(run.plan.horizontal) == run.batch
    ahead = []

    class Watch(Recorder):
        def report(self, fraction: float) -> None:
            super().report(fraction)
            ahead.append(source.reads - round(fraction * run.plan.count))

    watch = Watch()
    run.run(Canvas(rows, 112), watch)
    assert max(ahead) <= (backend.workers + READ_AHEAD) * run.batch
    assert watch.fractions == sorted(watch.fractions)
    assert watch.fractions[-1] == 1.0


class Boom:
    """Raises ``error`` at one of its calls."""

    def __init__(self, error: ScasNetError, at: int = 3) -> None:
        self.error, self.at, self.calls = error, at, 0

    def __call__(self, _: object) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise self.error


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("place", ["source", "backend", "sink"])
def test_an_error_ends_the_run_as_it_is(place: str, workers: int) -> None:
    error = {"source": InputError, "backend": ModelError, "sink": OutputError}[place]("no")
    boom = Boom(error)
    source = ArraySource(image_of(400, 100))
    backend = PixelBackend(workers=workers)
    canvas = Canvas(400, 100)
    sink: Callable[[FinishedBlock], None] = canvas
    if place == "source":
        read = source.read
        source.read = lambda window: (boom(window), read(window))[1]
    elif place == "backend":
        backend.before = boom
    else:
        sink = boom
    with pytest.raises(type(error)) as caught:
        job(source, backend).run(sink, Recorder())
    assert caught.value is error
    assert backend.stopped.is_set(), "what still runs is told to stop"


@pytest.mark.parametrize("workers", [1, 4])
def test_a_cancel_reaches_into_a_slow_batch(workers: int, recorder: Recorder) -> None:
    def wait_for_cancel(tiles: np.ndarray) -> None:
        if not backend.stopped.wait(20):
            raise AssertionError("was not told")
        raise Cancelled

    backend = PixelBackend(workers=workers, before=wait_for_cancel)
    timer = threading.Timer(0.2, lambda: setattr(recorder, "stop", True))
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        job(ArraySource(image_of(400, 400)), backend).run(Canvas(400, 400), recorder)
    assert time.monotonic() - started < 2.0
    timer.join()


def test_a_run_cancelled_between_batches_stops_there(recorder: Recorder) -> None:
    computed = []

    def stop_at_the_third(tiles: np.ndarray) -> None:
        computed.append(len(tiles))
        recorder.stop = len(computed) >= 3

    backend = PixelBackend(before=stop_at_the_third)
    with pytest.raises(Cancelled):
        job(ArraySource(image_of(900, 400)), backend).run(Canvas(900, 400), recorder)
    assert len(computed) <= 3 + backend.workers + READ_AHEAD


def test_a_cancel_does_not_wait_for_all_reads_of_a_batch(recorder: Recorder) -> None:
    source = ArraySource(image_of(64, 1600))
    read = source.read
    source.read = lambda window: (time.sleep(0.1), read(window))[1]
    timer = threading.Timer(0.3, lambda: setattr(recorder, "stop", True))
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        job(source, PixelBackend(), batch=32).run(Canvas(64, 1600), recorder)
    assert time.monotonic() - started < 1.0
    assert source.reads < 10
    timer.join()


def later_blocks(
    start: int, panel_cols: int, overlap: int, *, batch: int = 1, fixed: bool = False
) -> list[FinishedBlock]:
    run = job(
        ArraySource(image_of(200, 150)),
        PixelBackend(),
        overlap=overlap,
        panel_cols=panel_cols,
        batch=batch,
        fixed=fixed,
    )
    blocks: list[FinishedBlock] = []

    def keep(block: FinishedBlock) -> None:
        blocks.append(replace(block, scores=block.scores.copy()))

    run.run(keep, Progress(), start)
    return blocks


@pytest.mark.parametrize("panel_cols", [32, 64, 10_000])
@pytest.mark.parametrize("how", [{"overlap": 16}, {"overlap": 45}, {"overlap": 20, "fixed": True}])
def test_a_run_that_starts_later_gives_the_same_scores_bit_by_bit(panel_cols, how) -> None:
    """Also where more than two rows of tiles overlap, and in a later panel."""
    whole = later_blocks(0, panel_cols, batch=2, **how)
    rows = [block.row for block in whole]
    starts = [index for index in range(len(rows)) if index == 0 or rows[index] != rows[index - 1]]
    assert len(starts) > 3
    for start, first in enumerate(starts):
        later = later_blocks(start, panel_cols, batch=2, **how)
        assert [block.window for block in later] == [block.window for block in whole[first:]]
        for one, other in zip(later, whole[first:]):
            assert one.scores.tobytes() == other.scores.tobytes()
    assert later_blocks(len(starts), panel_cols, **how) == []


def test_progress_of_a_run_that_starts_later(recorder) -> None:
    run = job(ArraySource(image_of(200, 150)), PixelBackend())
    report = run.run(lambda _: None, recorder, 2)
    across, down = len(run.plan.horizontal), len(run.plan.vertical)
    assert recorder.fractions[:across] == [2 / down] * across, "those that are computed again"
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0
    assert report.computed_tiles == (down - 1) * across


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_memory_is_given_back_now_and_then() -> None:
    assert not HeapTrimmer(60.0).trim_malloc(), "it has just begun"
    trimmer = HeapTrimmer(0.0)
    assert trimmer.trim_malloc()
    trimmer._seconds = 60.0
    assert not trimmer.trim_malloc()
