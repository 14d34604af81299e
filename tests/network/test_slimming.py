"""A narrow encoder takes over what a wide one knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.network.scasnet import VggEncoder, initialise
from scasnet_qgis.network.slimming import slim_vgg, spanning_columns
from tests.network.weights import randomise, weights_by_name

FULL_WIDTH, NARROW_WIDTH = 1 / 16, 1 / 24
LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "pool5")

Weights = dict[str, list[NDArray[np.float32]]]


def encoder_of(width: float, bands: int = 3) -> VggEncoder:
    torch.manual_seed(0)
    encoder = VggEncoder(bands, lambda published: max(1, round(published * width)))
    initialise(encoder)
    return encoder.eval()


def scene(seed: int, size: int = 96) -> Tensor:
    """An image with detail of every size, as photographs have it."""
    generator = torch.Generator().manual_seed(seed)
    octaves = (
        torch.randn(1, 3, size // step, size // step, generator=generator)
        for step in (1, 2, 4, 8, 16)
    )
    return torch.stack(
        [functional.interpolate(octave, size=(size, size), mode="bilinear") for octave in octaves]
    ).sum(0)


@pytest.fixture(scope="module")
def full() -> VggEncoder:
    """The encoder to start from."""
    encoder = encoder_of(FULL_WIDTH)
    randomise(encoder, scene(99))
    return encoder


@pytest.fixture(scope="module")
def weights(full: VggEncoder) -> Weights:
    """Its weights, as a Caffe file gives them."""
    return {name: [blob.numpy() for blob in blobs] for name, blobs in weights_by_name(full).items()}


@pytest.fixture(scope="module")
def images() -> list[tuple[Tensor, Tensor]]:
    """Scenes for the narrow and the full encoder, which are given the same here."""
    return [(image, image) for image in map(scene, range(12))]


@pytest.fixture(scope="module")
def narrow(weights: Weights, images: list[tuple[Tensor, Tensor]]) -> VggEncoder:
    """A narrower encoder that was started from the full one."""
    encoder = encoder_of(NARROW_WIDTH)
    slim_vgg(encoder, weights, images)
    return encoder


@torch.no_grad()
def correlations(ours: VggEncoder, theirs: VggEncoder, layer: str) -> NDArray[np.float64]:
    """For each channel of ``ours``, its correlation with the most similar one of ``theirs``."""
    image = scene(1000)  # not among the scenes of the fit
    maps = [encoder(image)[layer][0].flatten(1).double() for encoder in (ours, theirs)]
    deviations = [values - values.mean(dim=1, keepdim=True) for values in maps]
    units = [
        deviation / deviation.norm(dim=1, keepdim=True).clamp_min(1e-12) for deviation in deviations
    ]
    return (units[0] @ units[1].T).amax(dim=1).numpy()


def test_at_full_width_the_features_are_kept(
    full: VggEncoder, weights: Weights, images: list[tuple[Tensor, Tensor]]
) -> None:
    encoder = encoder_of(FULL_WIDTH)
    slim_vgg(encoder, weights, images)
    assert correlations(encoder, full, "conv1_2").min() > 0.999
    assert correlations(encoder, full, "conv3_3").min() > 0.99
    assert correlations(encoder, full, "pool5").min() > 0.9


@pytest.mark.parametrize("layer", LAYERS)
def test_a_narrow_encoder_explains_more_than_a_random_one(
    full: VggEncoder, narrow: VggEncoder, layer: str
) -> None:
    random = encoder_of(NARROW_WIDTH)
    explained, by_chance = (
        np.square(correlations(encoder, full, layer)).mean() for encoder in (narrow, random)
    )
    assert explained > by_chance + 0.1
    assert explained > 0.4


def test_kept_channels_have_unit_root_mean_square(
    narrow: VggEncoder, images: list[tuple[Tensor, Tensor]]
) -> None:
    weight, bias = weights_by_name(narrow)["conv1_1"]
    batch = torch.cat([image for image, _ in images])
    maps = functional.relu(functional.conv2d(batch, weight, bias, padding=1))
    strength = maps.square().mean(dim=(0, 2, 3)).sqrt()
    assert torch.allclose(strength, torch.ones(()), atol=0.1)


def test_the_two_inputs_may_differ_in_order_scale_and_bands(weights: Weights) -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for image in map(scene, range(12)):
        unrelated = torch.randn(1, 1, *image.shape[-2:], generator=generator)
        pairs.append((torch.cat([image.flip(1) * 0.5, unrelated], dim=1), image))
    encoder = encoder_of(FULL_WIDTH, bands=4)
    slim_vgg(encoder, weights, pairs)
    kernels = weights_by_name(encoder)["conv1_1"][0]
    assert kernels[:, :3].abs().max() > 50 * kernels[:, 3].abs().max()
    published = torch.from_numpy(weights["conv1_1"][0]).flip(1).flatten(1)
    likeness = functional.cosine_similarity(kernels[:, None, :3].flatten(2), published, dim=2)
    assert likeness.amax(dim=1).min() > 0.99


def test_the_same_seed_gives_the_same_encoder(
    weights: Weights, images: list[tuple[Tensor, Tensor]]
) -> None:
    found = []
    for seed in (1, 1, 2):
        encoder = encoder_of(NARROW_WIDTH)
        slim_vgg(encoder, weights, images[:2], seed)
        found.append(weights_by_name(encoder)["conv3_1"][0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def broken(weights: Weights, name: str, blobs: list[NDArray[np.float32]] | None) -> Weights:
    others = {key: value for key, value in weights.items() if key != name}
    return others if blobs is None else {**others, name: blobs}


@pytest.mark.parametrize(
    "blobs",
    [
        None,
        [np.ones((4, 4, 3, 3), np.float32)],
        [np.ones((4, 7, 3, 3), np.float32), np.ones(4, np.float32)],
        [np.ones((4, 4, 1, 1), np.float32), np.ones(4, np.float32)],
        [np.ones((4, 36), np.float32), np.ones(4, np.float32)],
        [np.ones((4, 4, 3, 3), np.float32), np.ones(5, np.float32)],
        [np.ones((2, 4, 3, 3), np.float32), np.ones(2, np.float32)],
    ],
)
def test_weights_that_do_not_fit_are_refused(
    weights: Weights, blobs: list[NDArray[np.float32]] | None
) -> None:
    image = scene(0)
    with pytest.raises(ModelError, match="conv1_2"):
        slim_vgg(encoder_of(NARROW_WIDTH), broken(weights, "conv1_2", blobs), [(image, image)])


def test_an_encoder_wider_than_the_weights_is_refused(weights: Weights) -> None:
    image = scene(0)
    with pytest.raises(ModelError, match="conv1_1"):
        slim_vgg(encoder_of(2 * FULL_WIDTH), weights, [(image, image)])


def test_spanning_columns_are_a_basis() -> None:
    generator = np.random.default_rng(0)
    basis = generator.normal(size=(500, 3)) * [1.0, 10.0, 100.0] + [0.0, 5.0, -5.0]
    mixed = basis @ generator.normal(size=(3, 5))
    columns = np.hstack([mixed, np.full((500, 1), 7.0), basis, 2.0 * basis])
    kept = spanning_columns(columns, 3)
    design = np.column_stack([columns[:, kept], np.ones(500)])
    fitted = design @ np.linalg.lstsq(design, columns, rcond=None)[0]
    assert np.allclose(fitted, columns, atol=1e-6)


def test_each_column_kept_is_the_one_least_explained_by_those_before() -> None:
    generator = np.random.default_rng(3)
    columns = generator.normal(size=(300, 5)) @ generator.normal(size=(5, 12))
    columns += 0.3 * generator.normal(size=columns.shape)
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    kept = spanning_columns(columns, 8)
    for step in range(1, 8):
        design = columns[:, kept[:step]]
        residual = columns - design @ np.linalg.lstsq(design, columns, rcond=None)[0]
        assert kept[step] == np.square(residual).sum(axis=0).argmax()


def test_spanning_columns_take_no_copy_and_no_constant_while_others_are_left() -> None:
    generator = np.random.default_rng(0)
    first, second, third = generator.normal(size=(3, 400))
    columns = np.column_stack([np.zeros(400), first, -first, 100 * second, 3 * second, third])
    kept = spanning_columns(columns, 3)
    assert sorted(np.digitize(kept, [1, 3, 5])) == [1, 2, 3]


def test_spanning_columns_do_not_prefer_the_strong_ones() -> None:
    generator = np.random.default_rng(0)
    weak = generator.normal(size=400)
    strong = 1000 * generator.normal(size=400)
    columns = np.column_stack([strong, strong + generator.normal(size=400), weak])
    assert 2 in spanning_columns(columns, 2)


def test_every_column_is_kept_once_when_all_are_asked_for() -> None:
    values = np.random.default_rng(0).normal(size=(50, 4))
    columns = np.hstack([values, values, np.zeros((50, 2))])
    assert sorted(spanning_columns(columns, 10)) == list(range(10))
    assert sorted(spanning_columns(columns, 99)) == list(range(10))
