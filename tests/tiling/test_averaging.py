"""Scores averaged over scales, flips and turns, with a backend that can be seen through."""

from __future__ import annotations

import numpy as np
import pytest

from scasnet_qgis.common.choices import FLIPS
from scasnet_qgis.common.errors import Cancelled, SettingError
from scasnet_qgis.tiling.augmentation import (
    LARGEST_SCALE,
    SMALLEST_SCALE,
    Augmentation,
    describe_scales,
    parse_scales,
    scaled_size,
)
from scasnet_qgis.tiling.averaging import AveragingBackend, augmented
from scasnet_qgis.tiling.resampling import resize

ALL = Augmentation((0.75, 1.0, 1.25), "full")


class RecordingBackend:
    """Two classes from the difference to the right and lower neighbour, so that turns matter."""

    classes, workers, takes_raw, gives_labels = 2, 3, False, False

    def __init__(self, margin: int = 0) -> None:
        self.margin, self.seen, self.stopped = margin, [], False

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        if self.stopped:
            raise Cancelled
        self.seen.append(np.array(tiles))
        band = tiles[:, 0]
        steps = band - np.roll(band, 1, axis=2) + 2 * (band - np.roll(band, 1, axis=1))
        first = 1 / (1 + np.exp(-4 * steps))
        end = -self.margin or None
        cut = first[:, self.margin : end, self.margin : end]
        return np.stack([cut, 1 - cut], axis=1).astype(np.float32)

    def cancel(self) -> None:
        self.stopped = True


def tiles(rows: int = 64, cols: int = 96, count: int = 2) -> np.ndarray:
    return np.random.default_rng(3).random((count, 3, rows, cols), dtype=np.float32)


def test_without_augmentation_it_is_the_backend_itself() -> None:
    backend = RecordingBackend()
    assert augmented(backend, Augmentation()) is backend
    assert isinstance(augmented(backend, Augmentation((1.0,), "mirror")), AveragingBackend)
    assert isinstance(augmented(backend, Augmentation((1.25,))), AveragingBackend)


@pytest.mark.parametrize("margin", [0, 5])
@pytest.mark.parametrize(("flips", "views"), [("none", 1), ("mirror", 2), ("full", 8)])
def test_views_are_averaged_where_they_lie(flips: str, views: int, margin: int) -> None:
    image, backend = tiles(), RecordingBackend(margin)
    result = AveragingBackend(backend, Augmentation((1.0,), flips)).predict(image.copy())
    plain = RecordingBackend(margin).predict
    turns = [(k, m) for k in (range(4) if flips == "full" else (0,)) for m in (False, True)]
    expected = []
    for turn, mirrored in turns[:views]:
        view = np.rot90(image[..., ::-1] if mirrored else image, turn, (2, 3))
        back = np.rot90(plain(view), -turn, (2, 3))
        expected.append(back[..., ::-1] if mirrored else back)
    assert len(backend.seen) == views
    np.testing.assert_allclose(result, np.mean(expected, axis=0), atol=1e-6)
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-6)


def test_a_turned_tile_gives_the_turned_scores() -> None:
    """All flips and turns treat no direction in a way of its own; a single view does."""
    backend = AveragingBackend(RecordingBackend(), Augmentation((1.0,), "full"))
    image = tiles(64, 64)
    turned = np.rot90(image, 1, (2, 3))
    expected = np.rot90(backend.predict(image), 1, (2, 3))
    np.testing.assert_allclose(backend.predict(turned), expected, atol=1e-6)
    plain = RecordingBackend().predict
    assert np.abs(plain(turned) - np.rot90(plain(image), 1, (2, 3))).max() > 0.1


def test_scales_are_averaged_at_the_size_of_the_tile() -> None:
    image, backend = tiles(), RecordingBackend()
    result = AveragingBackend(backend, Augmentation((0.75, 1.0, 1.25))).predict(image.copy())
    assert [tiles.shape[2:] for tiles in backend.seen] == [(64, 72), (64, 96), (80, 120)]
    parts = [
        resize(RecordingBackend().predict(resize(image, *s)), 64, 96)
        for s in ((64, 72), (64, 96), (80, 120))
    ]
    np.testing.assert_allclose(result, np.mean(parts, axis=0), atol=1e-6)
    assert result.flags.writeable, "the blender works in it"


def test_scores_and_never_classes_are_averaged() -> None:
    """A pixel that one of three views is sure of outweighs two that are nearly undecided."""

    class Unsure(RecordingBackend):
        def predict(self, tiles: np.ndarray) -> np.ndarray:
            first = {64: 0.45, 80: 0.45, 96: 0.9}[tiles.shape[2]]
            shape = (len(tiles), 1, *tiles.shape[2:])
            return np.concatenate([np.full(shape, share) for share in (first, 1 - first)], axis=1)

    result = AveragingBackend(Unsure(), Augmentation((1.0, 1.25, 1.5))).predict(tiles(64, 64))
    np.testing.assert_allclose(result[:, 0], 0.6, atol=1e-6)


class EightBitBackend(RecordingBackend):
    """Takes 8-bit pixels and gives 8-bit scores."""

    takes_raw = True

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        assert tiles.dtype == np.uint8
        return np.rint(super().predict(tiles / np.float32(255)) * 255).astype(np.uint8)


@pytest.mark.parametrize("augmentation", [ALL, Augmentation((1.0,), "full"), Augmentation((0.75,))])
def test_whole_numbers_are_averaged_as_what_they_stand_for(augmentation: Augmentation) -> None:
    pixels = np.rint(tiles() * 255).astype(np.uint8)
    averaged = AveragingBackend(EightBitBackend(), augmentation)
    assert averaged.takes_raw
    found = averaged.predict(pixels)
    wanted = AveragingBackend(RecordingBackend(), augmentation).predict(pixels / np.float32(255))
    assert found.dtype == np.float32
    # A scaled pixel is rounded, too, and these scores are steep.
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_scaled_pixels_are_rounded_to_the_nearest_whole_number() -> None:
    """Cutting the rest off would darken what the model sees."""
    pixels, seen = np.rint(tiles() * 255).astype(np.uint8), []

    class Watching(EightBitBackend):
        def predict(self, tiles: np.ndarray) -> np.ndarray:
            seen.append(tiles.copy())
            return super().predict(tiles)

    AveragingBackend(Watching(), Augmentation((1.25,))).predict(pixels)
    exact = resize(pixels.astype(np.float32), 80, 120)
    np.testing.assert_array_equal(seen[0], np.rint(exact))


def test_the_loop_sees_what_it_needs() -> None:
    inner = RecordingBackend(4)
    backend = AveragingBackend(inner, ALL)
    assert (backend.classes, backend.workers, backend.margin) == (2, 3, 4)
    assert not backend.gives_labels, "scores are averaged"
    backend.cancel()
    with pytest.raises(Cancelled):
        backend.predict(tiles())
    assert not inner.seen


def test_what_it_costs_and_how_large_tiles_get() -> None:
    assert Augmentation().cost == 1
    assert Augmentation((1.0,), "full").cost == 8
    assert ALL.cost == pytest.approx(8 * (0.75**2 + 1 + 1.25**2))
    assert ALL.largest((1088, 640)) == (1360, 800)
    assert Augmentation((0.5,)).largest((1088, 640)) == (544, 320)


def test_scaled_sizes_are_what_networks_take() -> None:
    assert scaled_size((1058, 635), 1.0) == (1058, 635)
    assert scaled_size((1058, 635), 0.75) == (792, 480)
    assert scaled_size((64, 40), 0.5) == (64, 40), "the network must see something"
    assert scaled_size((64, 40), 2.0) == (128, 80)


@pytest.mark.parametrize(
    ("text", "scales"),
    [
        ("1", (1.0,)),
        ("0.75;1;1.25", (0.75, 1.0, 1.25)),
        (" 1.5 ; 0,5; 1 ;", (0.5, 1.0, 1.5)),
        ("2 1 1", (1.0, 2.0)),
        ("0.25;4", (SMALLEST_SCALE, LARGEST_SCALE)),
    ],
)
def test_scales_are_read(text: str, scales: tuple[float, ...]) -> None:
    assert parse_scales(text) == scales
    assert parse_scales(describe_scales(scales)) == scales


@pytest.mark.parametrize("text", ["", ";", "big", "0", "-1", "0.1;1", "9", "nan", "inf", "0.5,1,2"])
def test_scales_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_scales(text)
    assert caught.value.message.values == {
        "text": text,
        "low": SMALLEST_SCALE,
        "high": LARGEST_SCALE,
    }


@pytest.mark.parametrize(
    ("augmentation", "fixed", "margin", "said"),
    [
        (Augmentation((1.25,)), (64, 64), 0, {}),
        (Augmentation((0.5, 1.0)), None, 8, {}),
        (Augmentation((1.0,), "full"), (64, 96), 0, {"rows": 64, "cols": 96}),
    ],
)
def test_what_a_model_cannot_do_is_refused(
    augmentation: Augmentation, fixed: tuple[int, int] | None, margin: int, said: dict[str, int]
) -> None:
    with pytest.raises(SettingError) as caught:
        augmentation.check(fixed, margin)
    assert caught.value.message.values == said


@pytest.mark.parametrize("flips", FLIPS)
def test_what_a_model_can_do_is_not(flips: str) -> None:
    Augmentation((1.0,), flips).check((64, 64), 8)
    Augmentation((0.5, 1.0), flips).check(None, 0)
    Augmentation((1.0,), "mirror").check((64, 96), 0)


def test_labels_are_not_averaged() -> None:
    backend = RecordingBackend()
    backend.gives_labels = True
    with pytest.raises(ValueError, match="labels"):
        augmented(backend, Augmentation((1.0,), "mirror"))
    assert augmented(backend, Augmentation()) is backend
