"""Crops show image and labels of one place, rare classes too, and little that teaches nothing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from scasnet_qgis.training.data.crops import MAX_POSITIONS, CropSampler, find_positions
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.settings.config import TrainingConfig

BYTES = Normalisation((0.0, 255.0), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def config(**changes) -> TrainingConfig:
    classes = [{"value": index, "name": str(index)} for index in range(2)]
    return TrainingConfig(
        **{
            "data": [],
            "classes": classes,
            "crop": 64,
            "batch": 40,
            "balanced_share": 0.5,
            **changes,
        }
    )


def generator(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_crops_keep_image_and_labels_together():
    """Where the label says class 1 the image is bright, whatever the crop was turned into."""
    labels = np.zeros((100, 130), dtype=np.uint8)
    labels[20:70, 30:90] = 1
    pixels = np.repeat((40 + 180 * labels)[None], 3, axis=0).astype(np.uint8)
    sampler = CropSampler([Scene("one", pixels, labels)], 2, BYTES, 1)
    images, masks = sampler.batch(config(scale_range=(0.7, 1.4)), generator())
    assert images.shape == (40, 3, 64, 64)
    assert masks.shape == (40, 64, 64)
    both = 0
    for image, mask in zip(images, masks):
        if (mask == 0).any() and (mask == 1).any():
            grey = image.mean(dim=0)
            assert grey[mask == 1].median() > grey[mask == 0].median() + 0.2
            both += 1
    assert both > 10


@pytest.mark.parametrize("bands", [1, 2, 4, 7])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_any_number_of_bands_of_any_type(bands, kind):
    pixels = generator().integers(100, 200, (bands, 90, 80)).astype(kind)
    labels = np.zeros((90, 80), dtype=np.uint8)
    normalisation = Normalisation((100.0, 200.0), (0.5,) * bands, (0.3,) * bands)
    sampler = CropSampler([Scene("one", pixels, labels)], 1, normalisation, 1)
    images, _ = sampler.batch(config(batch=10), generator())
    assert images.shape == (10, bands, 64, 64)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.mean() == pytest.approx(0.5, abs=0.1)


def test_saturation_is_for_colours_only():
    """Grey stays grey, and near infrared is no part of it."""
    pixels = np.full((4, 70, 70), 60, dtype=np.uint8)
    pixels[3] = 200
    labels = np.zeros((70, 70), dtype=np.uint8)
    normalisation = Normalisation((0.0, 255.0), (0.5,) * 4, (0.2,) * 4)
    sampler = CropSampler([Scene("one", pixels, labels)], 1, normalisation, 1)
    images, _ = sampler.batch(config(batch=60), generator())
    ratio = images[:, :3].amax(dim=(1, 2, 3)) / images[:, :3].amin(dim=(1, 2, 3)).clamp(1e-6)
    assert ratio.max() < np.exp(0.2) + 0.01  # the gains of the bands


def test_equal_generators_draw_equal_crops():
    labels = generator().integers(0, 2, (200, 210)).astype(np.uint8)
    scene = Scene("one", np.repeat(labels[None], 3, axis=0), labels)
    first, again = (CropSampler([scene], 2, BYTES, 7) for _ in range(2))
    for one, other in zip(first.batch(config(), generator(3)), again.batch(config(), generator(3))):
        assert torch.equal(one, other)
    other, _ = first.batch(config(), generator(4))
    assert not torch.equal(first.batch(config(), generator(3))[0], other)


def test_pixels_without_data_are_the_mean_whatever_the_light():
    """Their raw values, far from all others, must not run into their neighbours either."""
    labels = np.zeros((128, 128), dtype=np.uint8)
    valid = np.ones((128, 128), dtype=bool)
    valid[:, 64:] = False
    labels[~valid] = IGNORE
    pixels = np.full((3, 128, 128), 1200, dtype=np.int16)
    pixels[:, ~valid] = -9999
    normalisation = Normalisation((1000.0, 1400.0), (0.3, 0.5, 0.7), (0.2, 0.2, 0.2))
    sampler = CropSampler([Scene("one", pixels, labels, valid)], 1, normalisation, 1)
    images, masks = sampler.batch(config(scale_range=(0.6, 1.5)), generator())
    columns = torch.tensor(normalisation.mean).view(3, 1)
    mixed = 0
    for image, mask in zip(images, masks):
        holds = mask != IGNORE
        assert torch.allclose(image[:, ~holds], columns.expand(3, int((~holds).sum())))
        if holds.any() and not holds.all():
            mixed += 1
            assert np.ptp(image[1, holds].numpy()) < 0.1  # 0.5 everywhere, but for the light
    assert mixed > 5


def test_scenes_smaller_than_a_crop_are_mirrored_without_labels():
    labels = np.zeros((40, 50), dtype=np.uint8)
    pixels = np.full((3, 40, 50), 255, dtype=np.uint8)
    sampler = CropSampler([Scene("one", pixels, labels)], 1, BYTES, 1)
    images, masks = sampler.batch(config(scale_range=(1.0, 1.0)), generator())
    assert ((masks == 0).sum(dim=(1, 2)) == 40 * 50).all()
    assert images.min() > 0.5


def test_rare_classes_are_drawn_as_often_as_others():
    labels = np.zeros((600, 600), dtype=np.uint8)
    labels[500:505, 20:25] = 1
    scene = Scene("one", np.repeat(labels[None], 3, axis=0), labels)
    sampler = CropSampler([scene], 2, BYTES, 1)
    _, masks = sampler.batch(config(balanced_share=1.0, batch=100), generator())
    assert 30 < (masks == 1).any(dim=2).any(dim=1).sum() < 70
    _, masks = sampler.batch(config(balanced_share=0.0, batch=100), generator())
    assert (masks == 1).any(dim=2).any(dim=1).sum() < 10


def test_of_sparse_labels_every_crop_shows_some():
    labels = np.full((900, 1000), IGNORE, dtype=np.uint8)
    labels[30:60, 40:70] = 0
    labels[800:810, 900:920] = 1
    scene = Scene("one", np.zeros((3, 900, 1000), dtype=np.uint8), labels)
    sampler = CropSampler([scene], 2, BYTES, 1)
    assert sampler.is_sparse
    settings = config(balanced_share=0.2, batch=100, scale_range=(0.5, 2.0))
    _, masks = sampler.batch(settings, generator())
    assert (masks != IGNORE).any(dim=2).any(dim=1).all()
    shown = [(masks == label).any(dim=2).any(dim=1).sum() for label in range(2)]
    assert shown[0] > 2 * shown[1] > 0


def test_loss_weights_have_mean_one_over_the_pixels():
    labels = np.full((100, 100), IGNORE, dtype=np.uint8)
    labels[:60], labels[60:70] = 0, 2
    scene = Scene("one", np.zeros((3, 100, 100), dtype=np.uint8), labels)
    sampler = CropSampler([scene], 3, BYTES, 1)
    weights = sampler.class_weights(0.5)
    assert sampler.class_counts.tolist() == [6000, 0, 1000]
    assert weights[1] == 0
    assert float(weights[2] / weights[0]) == pytest.approx(6**0.5)
    assert float(weights @ torch.tensor([6 / 7, 0, 1 / 7])) == pytest.approx(1)
    assert sampler.class_weights(0.0).tolist() == pytest.approx([1, 0, 1])


def test_places_are_drawn_evenly_from_all_pixels_of_a_class():
    labels = np.full((2100, 1500), IGNORE, dtype=np.uint8)
    labels[:, 700:] = 0
    labels[1000:1030, 5:105] = 1
    scenes = [Scene("one", labels[None], labels), Scene("two", labels[None, 1500:], labels[1500:])]
    found = find_positions(scenes, 3, generator())
    assert [[group.scene for group in groups] for groups in found] == [[0, 1], [0], []]
    large, rare = found[0][0], found[1][0]
    assert (large.pixels, rare.pixels) == (2100 * 800, 3000)
    assert MAX_POSITIONS * 0.9 < len(large.positions) <= MAX_POSITIONS
    assert (labels[tuple(large.positions.T)] == 0).all()
    assert len(np.unique(large.positions, axis=0)) == len(large.positions)
    assert np.allclose(large.positions.mean(axis=0), (1050, 1100), atol=(40, 15))
    assert sorted(map(tuple, rare.positions)) == [
        tuple(place) for place in np.argwhere(labels == 1)
    ]


def test_finding_places_takes_no_memory_that_grows_with_the_scene(tmp_path: Path):
    peaks = []
    for rows in (2048, 16384):
        path = tmp_path / f"{rows}.npy"
        labels = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, 2048))
        labels[:, ::2] = 1
        scene = Scene("large", labels[None], labels)
        tracemalloc.start()
        find_positions([scene], 2, generator())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 5_000_000  # 29 million pixels more
