"""Pictures of validation tiles: the image, what the reference says, what the network says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.core.errors import OutputError
from scasnet_qgis.core.markup import safe_color
from scasnet_qgis.core.messages import translate
from scasnet_qgis.raster.picture import png_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Pixels [3, rows, cols], class indices of the reference and of the network [rows, cols].
    Example = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

KINDS = ("image", "truth", "prediction")
_NAME = re.compile(r"(\d{2})_image\.png")
_LIGHT, _GREY, _SQUARE = 244, 220, 8  # the chequered ground where there is no class


def save_examples(folder: Path, examples: Sequence[Example], colors: Sequence[str]) -> None:
    """Write ``NN_image.png``, ``NN_truth.png`` and ``NN_prediction.png`` for each example.

    ``colors`` are those of the classes, ``#rrggbb``; an index beyond them, such as 255 for no
    class, becomes a light chequered ground. Earlier examples in the folder are removed. Raises
    OutputError.
    """
    try:
        _save(folder, examples, colors)
    except OSError as error:
        raise OutputError(
            translate(
                "ScasNet", "Nothing can be written to {folder}: make room, or choose another."
            ),
            str(error),
            folder=folder,
        ) from error


def _save(folder: Path, examples: Sequence[Example], colors: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for old in folder.glob(f"[0-9][0-9]_{kind}.png"):
            old.unlink()
    for number, (image, *indices) in enumerate(examples, start=1):
        pictures = (image, *(colored(each, colors) for each in indices))
        for kind, picture in zip(KINDS, pictures):
            (folder / f"{number:02d}_{kind}.png").write_bytes(png_bytes(picture))


def read_examples(folder: Path) -> list[tuple[bytes, ...]]:
    """The pictures (PNG) of every example, in the order of KINDS; none where there are none.

    Raises OSError where one of the three is missing.
    """
    numbers = sorted(
        match[1] for each in folder.glob("*_image.png") if (match := _NAME.fullmatch(each.name))
    )
    return [
        tuple((folder / f"{number}_{kind}.png").read_bytes() for kind in KINDS)
        for number in numbers
    ]


def colored(indices: NDArray[np.uint8], colors: Sequence[str]) -> NDArray[np.uint8]:
    """Class indices [rows, cols] as a picture [3, rows, cols]."""
    rows, cols = np.indices(indices.shape) // _SQUARE
    ground = np.where((rows + cols) % 2, _GREY, _LIGHT)
    table = np.zeros((256, 3), dtype=np.uint8)
    for index, color in enumerate(colors):
        table[index] = [int(safe_color(color)[at : at + 2], 16) for at in (1, 3, 5)]
    picture = np.where((indices < len(colors))[..., None], table[indices], ground[..., None])
    return np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.uint8)
