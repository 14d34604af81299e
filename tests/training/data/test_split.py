"""What is kept apart for validation is no neighbour of what is learned from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from osgeo import osr

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.data.memmaps import Unpacked
from scasnet_qgis.training.data.scenes import IGNORE
from scasnet_qgis.training.data.sources import Source
from scasnet_qgis.training.data.split import GUARD, Split, choose_blocks, count_labels, divide

CLASSES = 3


def utm() -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    return str(reference.ExportToWkt())


def unpacked(labels: np.ndarray, name: str = "one", grid: Grid | None = None) -> Unpacked:
    grid = grid or Grid(*labels.shape, None)
    return Unpacked(Source("", "", name=name), Path(name), grid, labels[None], labels, None)


def divided(scenes: list[Unpacked], split: Split, cache: Path) -> list[tuple]:
    """Training and validation labels of each scene as arrays."""
    return [
        tuple(
            np.full(scene.labels.shape, IGNORE) if array is None else np.asarray(array)
            for array in (part.training, part.validation)
        )
        for scene, part in zip(scenes, divide(scenes, CLASSES, split, cache, Progress()))
    ]


def landscape(rows: int, cols: int, seed: int = 1) -> np.ndarray:
    """Fields of three classes, the last one rare."""
    generator = np.random.default_rng(seed)
    coarse = generator.choice(CLASSES, (rows // 50 + 1, cols // 50 + 1), p=(0.6, 0.37, 0.03))
    return np.kron(coarse, np.ones((50, 50))).astype(np.uint8)[:rows, :cols]


def polygons(rows: int, cols: int, count: int, seed: int = 2) -> np.ndarray:
    """A few squares on unlabelled ground."""
    generator = np.random.default_rng(seed)
    labels = np.full((rows, cols), IGNORE, dtype=np.uint8)
    for index in range(count):
        row, col = generator.integers(0, rows - 20), generator.integers(0, cols - 20)
        labels[row : row + 20, col : col + 20] = index % CLASSES
    return labels


def check_apart(labels: np.ndarray, training: np.ndarray, validation: np.ndarray) -> None:
    """No label changes, none is in both, and none to learn from is near one to judge by."""
    for part in (training, validation):
        assert np.array_equal(part[part != IGNORE], labels[part != IGNORE])
    far = cv2.distanceTransform((validation == IGNORE).astype(np.uint8), cv2.DIST_C, 3)
    assert far[training != IGNORE].min() > GUARD


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_each_class_has_about_its_share_in_validation(tmp_path, share):
    labels = landscape(3000, 4000)
    [(training, validation)] = divided([unpacked(labels)], Split(share, 1, 128), tmp_path)
    check_apart(labels, training, validation)
    for label in range(CLASSES):
        count = (labels == label).sum()
        assert (validation == label).sum() / count == pytest.approx(share, abs=0.05)
        assert (training == label).sum() / count > 1 - share - 0.2
    # Only the guard is lost, not more.
    near = cv2.dilate((validation != IGNORE).astype(np.uint8), np.ones((2 * GUARD + 1,) * 2)) > 0
    assert np.array_equal(training != IGNORE, ~near)


@pytest.mark.parametrize("seed", range(6))
def test_a_few_polygons_give_every_class_to_both_sides(tmp_path, seed):
    labels = polygons(341, 280, 12, seed)
    [(training, validation)] = divided([unpacked(labels)], Split(0.25, seed), tmp_path)
    check_apart(labels, training, validation)
    for label in range(CLASSES):
        assert (training == label).any()
        assert (validation == label).any()
    assert 0.1 < (validation != IGNORE).sum() / (labels != IGNORE).sum() < 0.5


def test_a_class_in_one_place_is_learned_from(tmp_path):
    labels = landscape(1500, 1500)
    labels[labels == 2] = 0
    labels[705:711, 333:338] = 2
    for seed in range(5):
        folder = tmp_path / str(seed)
        [(training, validation)] = divided([unpacked(labels)], Split(0.3, seed), folder)
        check_apart(labels, training, validation)
        assert (training == 2).any()
        assert not (validation == 2).any()


def test_a_class_in_one_small_area_is_on_both_sides(tmp_path):
    """Blocks are cut smaller there, and only there."""
    labels = landscape(3000, 3000)
    labels[labels == 2] = 0
    labels[1100:1200, 2100:2200] = 2
    [(training, validation)] = divided([unpacked(labels)], Split(0.2, 1), tmp_path)
    check_apart(labels, training, validation)
    assert (training == 2).sum() > 1000
    assert (validation == 2).sum() > 1000
    kept = choose_blocks([labels], CLASSES, Split(0.2, 1), Progress())
    assert sorted({block.size for block in kept})[-1] == 512
    assert sum(block.size < 512 for block in kept) < 10


def test_the_same_seed_keeps_the_same_blocks_apart(tmp_path):
    labels = polygons(400, 300, 12)

    def kept(seed: int, folder: str) -> np.ndarray:
        return divided([unpacked(labels)], Split(0.2, seed), tmp_path / folder)[0][1]

    assert np.array_equal(kept(1, "a"), kept(1, "b"))
    assert not np.array_equal(kept(1, "a"), kept(2, "c"))


def test_blocks_are_smaller_where_little_is_labelled():
    def side(labels: np.ndarray, block: int = 0) -> int:
        blocks = choose_blocks([labels], CLASSES, Split(0.2, 1, block), Progress())
        return max(block.window.cols for block in blocks)

    assert side(landscape(3000, 3000)) == 512
    assert side(polygons(3000, 3000, 60)) in (128, 256, 512)
    assert side(polygons(600, 600, 30)) in (64, 128)
    assert side(polygons(300, 300, 3)) == 32
    assert side(landscape(3000, 3000), 100) == 100


def test_ground_in_two_scenes_is_kept_apart_in_both(tmp_path):
    """The second scene, half as fine, begins in the middle of the first."""
    whole = landscape(800, 800)
    first = unpacked(whole, "first", Grid(800, 800, (0.0, 1.0, 0.0, 800.0, 0.0, -1.0), utm()))
    second = unpacked(
        np.kron(whole[400:, 400:], np.ones((2, 2))).astype(np.uint8),
        "second",
        Grid(800, 800, (400.0, 0.5, 0.0, 400.0, 0.0, -0.5), utm()),
    )
    (_, judged), (learned, judged_too) = divided([first, second], Split(0.3, 4, 64), tmp_path)
    kept = np.kron(judged[400:, 400:] != IGNORE, np.ones((2, 2))) > 0
    assert kept.sum() > 10000
    far = cv2.distanceTransform((~kept).astype(np.uint8), cv2.DIST_C, 3)
    assert far[learned != IGNORE].min() > GUARD
    check_apart(second.labels, learned, judged_too)


def test_files_are_made_once_and_anew_for_another_split(tmp_path, monkeypatch):
    scene = unpacked(polygons(400, 400, 20))
    before = divided([scene], Split(0.2, 1), tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("scasnet_qgis.training.data.split.choose_blocks", None)
        again = divided([scene], Split(0.2, 1), tmp_path)
        with pytest.raises(TypeError):
            divided([scene], Split(0.4, 1), tmp_path)
    assert np.array_equal(before, again)
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["split"]


def test_nothing_is_kept_apart_where_nothing_can_be(tmp_path):
    """No labels, labels in one block, or a share of nothing."""
    nothing = np.full((300, 300), IGNORE, dtype=np.uint8)
    one = nothing.copy()
    one[40:50, 40:50] = 1
    for index, (labels, share) in enumerate([(nothing, 0.2), (one, 0.2), (landscape(300, 300), 0)]):
        parts = divide(
            [unpacked(labels)], CLASSES, Split(share, 1), tmp_path / str(index), Progress()
        )
        assert parts[0].validation is None
        assert np.array_equal(parts[0].training, labels)
    assert divide([], CLASSES, Split(0.2, 1), tmp_path, Progress()) == []


def test_labels_are_counted_in_windows_that_reach_beyond():
    labels = landscape(1500, 1300)
    found = count_labels(labels, CLASSES, Window(-20, 700, 1200, 5000))
    assert found.tolist() == [(labels[:1180, 700:] == label).sum() for label in range(CLASSES)]
