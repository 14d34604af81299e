"""Small patches merged: against a simple implementation, and whatever the windows are."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections import Counter, deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.refinements.min_area import MinArea
from scasnet_qgis.mapping.refinements.sieve import Sieve
from tests.conftest import Recorder

pytestmark = pytest.mark.usefixtures("session")
ROOT = Path(__file__).parents[3]
LABELS = ROOT / "tests" / "data" / "dubai" / "labels"
MAPS = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 3)
)
BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))


def write(path: Path, values: np.ndarray) -> Path:
    options = ["TILED=YES", "COMPRESS=DEFLATE", "BLOCKXSIZE=256", "BLOCKYSIZE=256"]
    rows, cols = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, 1, 1, options=options)
    dataset.GetRasterBand(1).WriteArray(values)
    return path


def sieved(
    values: np.ndarray, smallest: MinArea, window: int, progress: Progress | None = None
) -> np.ndarray:
    """What comes out, after a look at what is told about it."""
    with tempfile.TemporaryDirectory() as folder:
        sieve = Sieve(write(Path(folder) / "map.tif", values), Path(folder), smallest, window)
        try:
            sieve.run(progress or Progress())
            result, changed = np.zeros_like(values), 0
            for at, part, count in sieve.parts():
                result[at.row : at.row_end, at.col : at.col_end] = part
                changed += count
            assert changed == (result != values).sum()
            left = [size for size, _, _ in patches(result, smallest) if size < smallest.limit]
            assert (sieve.small_pixels > 0) == bool(left)
        finally:
            sieve.close()
        return result


def patches(values: np.ndarray, smallest: MinArea) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Size, class and pixels of all patches, found pixel by pixel."""
    rows, cols = values.shape
    weights = [1] * rows if smallest.weights is None else smallest.weights.tolist()
    seen, result = values == 0, []
    for start in zip(*np.nonzero(values)):
        if seen[start]:
            continue
        seen[start] = True
        waiting, pixels = deque([start]), []
        while waiting:
            row, col = waiting.popleft()
            pixels.append((row, col))
            for down, right in BESIDE:
                at = (row + down, col + right)
                inside = 0 <= at[0] < rows and 0 <= at[1] < cols
                if inside and not seen[at] and values[at] == values[start]:
                    seen[at] = True
                    waiting.append(at)
        result.append((sum(weights[row] for row, _ in pixels), int(values[start]), pixels))
    return result


def expected(values: np.ndarray, smallest: MinArea) -> np.ndarray:
    """The rule as it is written, on the whole array at once."""
    while True:
        found = patches(values, smallest)
        number = {at: index for index, (_, _, pixels) in enumerate(found) for at in pixels}
        keys = [(min(size, smallest.limit), -value) for size, value, _ in found]
        result = values.copy()
        for own, (size, _, pixels) in zip(keys, found):
            if size >= smallest.limit:
                continue
            beside = [(r + down, c + right) for r, c in pixels for down, right in BESIDE]
            larger = [keys[number[at]] for at in beside if at in number]
            border = Counter(-minus for size, minus in larger if (size, minus) > own)
            if border:
                best = min(border, key=lambda neighbour: (-border[neighbour], neighbour))
                result[tuple(np.transpose(pixels))] = best
        if (result == values).all():
            return values
        values = result


@settings(max_examples=50, deadline=None)
@given(MAPS, st.integers(1, 25), st.integers(1, 15))
def test_any_map_in_any_windows(values: np.ndarray, limit: int, window: int) -> None:
    smallest = MinArea(limit)
    result = sieved(values, smallest, window)
    np.testing.assert_array_equal(result, expected(values, smallest))
    np.testing.assert_array_equal(result == 0, values == 0)


@settings(max_examples=30, deadline=None)
@given(MAPS, st.integers(1, 40), st.integers(1, 9), st.randoms(use_true_random=False))
def test_pixels_of_different_area(values: np.ndarray, limit: int, window: int, random) -> None:
    weights = np.array([random.randint(1, 5) for _ in values], dtype=np.int64)
    smallest = MinArea(limit, weights)
    np.testing.assert_array_equal(sieved(values, smallest, window), expected(values, smallest))


def real_labels() -> np.ndarray:
    """A corner of a labelled image, with noise as a weak model makes it, and a part without."""
    values = gdal.Open(str(LABELS / "tile8_part8.png")).ReadAsArray()[:90, :150] + 1
    random = np.random.default_rng(6)
    noisy = np.where(
        random.random(values.shape) < 0.15, random.integers(1, 6, values.shape), values
    )
    noisy[40:70, 80:130] = 0
    noisy[50:55, 100:103] = 2
    return noisy.astype(np.uint8)


@pytest.mark.parametrize("window", [23, 64, 1000])
@pytest.mark.parametrize("limit", [4, 50, 3000])
def test_a_real_map(limit: int, window: int) -> None:
    values, smallest = real_labels(), MinArea(limit)
    result = sieved(values, smallest, window)
    np.testing.assert_array_equal(result, expected(values, smallest))
    left = [pixels for size, _, pixels in patches(result, smallest) if size < limit]
    assert [len(patch) for patch in left] == ([15] if limit > 15 else []), "only the island stays"
    assert (result != values).sum() > 300


def long_shapes() -> dict[str, np.ndarray]:
    """Patches that reach through many windows, and meet or part only far away."""
    comb = np.ones((40, 41), dtype=np.uint8)
    comb[5:35, 5:35:4] = 2
    hanging, standing = comb.copy(), comb.copy()
    hanging[5, 5:35], standing[34, 5:35] = 2, 2
    snake = np.ones((40, 41), dtype=np.uint8)
    for index, row in enumerate(range(4, 36, 4)):
        snake[row, 4:37] = 3
        snake[row : row + 4, 36 if index % 2 == 0 else 4] = 3
    inside = snake.copy()
    inside[10, 10], inside[20:22, 30:33] = 4, 5
    return {"hanging": hanging, "standing": standing, "snake": snake, "inside": inside}


@pytest.mark.parametrize("window", [7, 40])
@pytest.mark.parametrize("shape", ["hanging", "standing", "snake", "inside"])
def test_shapes_longer_than_a_window_are_measured_whole(shape: str, window: int) -> None:
    values = long_shapes()[shape]
    size = max(size for size, value, _ in patches(values, MinArea(1)) if value in (2, 3))
    assert size > 10 * window or window == 40
    stays, goes = MinArea(size), MinArea(size + 1)
    kind = 3 if shape in ("snake", "inside") else 2
    assert (sieved(values, stays, window) == kind).sum() >= size
    assert not (sieved(values, goes, window) == kind).any()
    for smallest in (stays, goes):
        np.testing.assert_array_equal(sieved(values, smallest, window), expected(values, smallest))


def test_no_class_is_invented() -> None:
    """Peers filter class numbers, so that between water (1) and town (3) a line of forest lies."""
    values = np.ones((40, 40), dtype=np.uint8)
    values[:, 20:] = 3
    values[::5, 18:22] = 1
    values[2::7, 19:24] = 3
    values[10, 5], values[30, 35] = 3, 1
    result = sieved(values, MinArea(20), 16)
    assert set(np.unique(result)) == {1, 3}
    assert result[10, 5] == 1
    assert result[30, 35] == 3


def test_the_longest_border_decides_and_then_the_lower_value() -> None:
    values = np.full((9, 12), 4, dtype=np.uint8)
    values[:, 6:] = 2
    values[2, 4:7] = 1  # 7 sides to 4, 1 to 2 above and so on: more of class 4
    values[6, 5:7] = 3  # as much of either
    result = sieved(values, MinArea(4), 4)
    assert result[2, 4:7].tolist() == [4, 4, 4]
    assert result[6, 5:7].tolist() == [2, 2]


def test_islands_stay_as_they_are() -> None:
    values = np.zeros((20, 20), dtype=np.uint8)
    values[5:7, 5:7], values[12, 12:15], values[13, 12] = 3, 1, 2
    result = sieved(values, MinArea(10), 6)
    assert (result[5:7, 5:7] == 3).all(), "it has no neighbour"
    assert result[13, 12] == 1, "this one has"
    np.testing.assert_array_equal(result == 0, values == 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_thin_maps(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(4).integers(0, 4, shape).astype(np.uint8)
    smallest = MinArea(3)
    np.testing.assert_array_equal(sieved(values, smallest, 8), expected(values, smallest))


def test_all_values_that_a_map_can_have() -> None:
    values = np.repeat(np.arange(1, 255, dtype=np.uint8), 4)[None].repeat(3, axis=0)
    values[1, 1::4] = 254
    smallest = MinArea(2)
    np.testing.assert_array_equal(sieved(values, smallest, 100), expected(values, smallest))


def test_progress_and_cancel() -> None:
    values, smallest = real_labels(), MinArea(50)
    recorder = Recorder()
    sieved(values, smallest, 32, recorder)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1

    class Impatient(Recorder):
        def report(self, fraction: float) -> None:
            super().report(fraction)
            self.stop = fraction > 0.5

    impatient = Impatient()
    with pytest.raises(Cancelled):
        sieved(values, smallest, 32, impatient)
    assert impatient.fractions[-1] < 0.7


def peak_bytes(rows: int, cols: int) -> int:
    """Most memory of numpy and Python while a map is sieved; GDAL's cache is bounded elsewhere.

    The lower of two: a table of Python's own may happen to grow by megabytes in the meantime.
    """
    return min(one_peak(rows, cols) for _ in range(2))


def one_peak(rows: int, cols: int) -> int:
    values = np.tile(real_labels(), (-(-rows // 90), -(-cols // 150)))[:rows, :cols]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "map.tif", values)
        del values
        sieve = Sieve(path, Path(folder), MinArea(50), 64)
        tracemalloc.start()
        try:
            sieve.run(Progress())
            for _ in sieve.parts():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            sieve.close()


def test_memory_does_not_grow_with_the_height_of_a_map() -> None:
    """Less than the map would take, and far less than the sizes of its patches."""
    small, tall = peak_bytes(256, 128), peak_bytes(1024, 128)
    assert tall - small < 0.8 * (1024 - 256) * 128


def test_memory_grows_with_the_width_of_a_map_by_some_rows_of_it() -> None:
    small, wide = peak_bytes(128, 128), peak_bytes(128, 768)
    assert wide - small < 300 * (768 - 128)
