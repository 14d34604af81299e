"""What a tile holds in memory while a model computes it, and how large it may therefore be."""

from __future__ import annotations

from math import isqrt

from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.tiling.windows import SIZE_STEP

# What side by side computed tiles may hold in memory, however many processors there are.
WORKING_BYTES = 2**30
SMALLEST_TILE = 256  # pixels; a smaller one is mostly overlap, so fewer are computed at a time
UNKNOWN_BYTES = 600  # of the hidden layers, by pixel: more than a full-width VGG ScasNet holds
# By pixel at full width, measured at widths 0.25 and 1 with two threads on tiles of 512 and 1088:
# a VGG encoder holds two layers of 64 channels, a ResNet the working space of wide convolutions.
_HIDDEN_BYTES = {"vgg": 530, "resnet": 930}
_FLOAT = 4
_FRAGMENTS = 1.06  # of what is in use at a time; with 1.0 the pool still grew by a layer


def bytes_a_pixel(info: ModelInfo) -> int:
    """Bytes that computing a tile takes by pixel of its input, image and scores included.

    They are known for the networks of this project (the shipped model: 196) and guessed for others.
    """
    hidden = _hidden_bytes(info)
    # The scores are there twice where the last step, such as a softmax, reads and writes them.
    ends = _FLOAT * (info.bands + 2 * info.classes)
    return round(_FRAGMENTS * ((UNKNOWN_BYTES if hidden is None else hidden) + ends))


def _hidden_bytes(info: ModelInfo) -> float | None:
    """What the layers between input and output hold by pixel; None where it is not known."""
    card = info.card
    for name, full_width in _HIDDEN_BYTES.items():
        if name in card.network.lower() and card.width:
            return full_width * card.width
    return None


def bytes_ahead(info: ModelInfo, tile_size: tuple[int, int], at_once: int) -> int:
    """What to reserve for computing ``at_once`` tiles; 0 where it would only be a guess."""
    if _hidden_bytes(info) is None:
        return 0
    return min(tile_size[0] * tile_size[1] * at_once * bytes_a_pixel(info), WORKING_BYTES)


def tile_limit(info: ModelInfo, threads: int) -> int:
    """Side of the largest square tile of which ``threads`` can compute one each; at least 256.

    A multiple of 8. Where even 256 is too large, fewer threads get a tile of their own.
    """
    pixels = WORKING_BYTES // (max(threads, 1) * bytes_a_pixel(info))
    return max(isqrt(pixels) // SIZE_STEP * SIZE_STEP, SMALLEST_TILE)


def workers_for(
    threads: int, tile_size: tuple[int, int], batch: int, tiles: int | None, pixel_bytes: int
) -> int:
    """How many of ``threads`` can each have ``batch`` tiles of their own, by memory and by tiles.

    ``tiles`` are all that will be computed (None: many), ``pixel_bytes`` as of ``bytes_a_pixel``.
    """
    worker_bytes = tile_size[0] * tile_size[1] * batch * pixel_bytes
    calls = threads if tiles is None else -(-tiles // batch)
    return max(min(threads, WORKING_BYTES // worker_bytes, calls), 1)
