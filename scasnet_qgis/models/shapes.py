"""Which shapes of input and output make a segmentation model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Union

import numpy as np

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import Message, message, translate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Dimension = Union[int, str, None]  # a number, the name of one that may vary, or nothing
_MAX_BANDS_LAST = 16  # so many bands at most in a shape that has them at its end


def image_bands(name: str, shape: list[Dimension], stated: int) -> int:
    """Bands of an input [N, bands, rows, cols]; ``stated`` where the shape leaves them open."""
    if len(shape) != 4:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} does not take an image: choose a model whose input is [batch, bands, "
                "rows, columns].",
            ),
            f"its input is {shape}",
            name=name,
        )
    bands, cols = shape[1], shape[3]
    if isinstance(cols, int) and cols <= _MAX_BANDS_LAST < _at_least(bands):
        raise ModelError(
            translate(
                "ScasNet",
                "{name} wants its bands last ([batch, rows, columns, bands]): export it again "
                "with the bands before the rows.",
            ),
            f"its input is {shape}",
            name=name,
        )
    return bands if isinstance(bands, int) else stated


def _at_least(dimension: Dimension) -> int:
    return dimension if isinstance(dimension, int) else _MAX_BANDS_LAST + 1


def check_output(name: str, shape: list[Dimension], is_float: bool) -> None:
    """Raise ModelError unless the output may be scores [N, classes, rows, cols]."""
    if shape and len(shape) != 4:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} is not a segmentation model: choose one that gives class scores for "
                "every pixel ([batch, classes, rows, columns]).",
            ),
            f"its output is {shape}",
            name=name,
        )
    if not is_float:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} gives class numbers instead of class scores: export it again without "
                "its last step (argmax).",
            ),
            name=name,
        )


def known_crop(name: str, shape: list[Dimension], out: list[Dimension]) -> int | None:
    """The output's margin where the file states the sizes, else None."""
    if len(out) != 4:
        return None
    sizes, results = shape[2:], out[2:]
    if None not in sizes and sizes == results:
        return 0
    if all(isinstance(each, int) for each in (*sizes, *results)):
        if _bands_last(sizes, out):
            _refuse_bands_last(name, out)
        return crop(name, [int(each or 0) for each in sizes], [int(each or 0) for each in results])
    return None


def crop(name: str, size: Sequence[int], result: Sequence[int]) -> int:
    """How many pixels an output of ``result`` rows and cols lacks on each side of ``size``."""
    missing = [before - after for before, after in zip(size, result)]
    if min(result) < 1 or min(missing) < 0 or missing[0] != missing[1] or missing[0] % 2:
        text = translate("ScasNet", "which does not lie evenly inside it")
        _refuse(name, size, result, message(text))
    # A coarse map of every fourth, eighth ... pixel would else pass for the middle of the tile.
    ratios = [before / after for before, after in zip(size, result)]
    if all(each >= 4 and each.is_integer() for each in ratios):
        refuse_coarse(name, size, result)
    return missing[0] // 2


def refuse_coarse(name: str, size: Sequence[int], result: Sequence[int]) -> NoReturn:
    """The output is a smaller picture of the whole input, not its middle."""
    text = translate("ScasNet", "a coarser map: export it with its output resized to the input")
    _refuse(name, size, result, message(text))


def _refuse(name: str, size: Sequence[int], result: Sequence[int], what: Message) -> NoReturn:
    raise ModelError(
        translate(
            "ScasNet", "{name} turns {rows} x {cols} pixels into {out_rows} x {out_cols}, {what}."
        ),
        name=name,
        rows=size[0],
        cols=size[1],
        out_rows=result[0],
        out_cols=result[1],
        what=what,
    )


def _bands_last(sizes: Sequence[Dimension], out: Sequence[Dimension]) -> bool:
    return list(out[1:3]) == list(sizes) and list(out[2:4]) != list(sizes)


def _refuse_bands_last(name: str, out: Sequence[Dimension]) -> NoReturn:
    raise ModelError(
        translate(
            "ScasNet",
            "{name} gives its classes last ([batch, rows, columns, classes]): export it "
            "again with the classes before the rows.",
        ),
        f"its output is {list(out)}",
        name=name,
    )


def probe(
    name: str, session: Any, shape: tuple[int, ...], input_type: str, options: Any = None
) -> NDArray[np.floating[Any]]:
    """The scores [N, channels, rows, cols] of a made-up image of ``shape``.

    Raises ModelError where the model cannot take such an image or gives no such scores.
    """
    try:
        feed = {session.get_inputs()[0].name: made_up_image(shape).astype(input_type)}
        result = session.run([session.get_outputs()[0].name], feed, options)[0]
    except Exception as error:  # its exceptions have no common class of their own
        raise ModelError(
            translate(
                "ScasNet",
                "{name} cannot be run on a tile of {rows} x {cols} pixels with {bands} "
                "bands: choose another tile size or model.",
            ),
            str(error),
            name=name,
            rows=shape[2],
            cols=shape[3],
            bands=shape[1],
        ) from error
    check_output(name, list(np.shape(result)) or [0], np.issubdtype(result.dtype, np.floating))
    if _bands_last(shape[2:], result.shape):
        _refuse_bands_last(name, result.shape)
    if result.shape[0] != shape[0]:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} gives {maps} maps for {images} images: choose a model that gives one for "
                "each.",
            ),
            name=name,
            maps=result.shape[0],
            images=shape[0],
        )
    return result


def made_up_image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values in 0-1: noise over the left half, a slope over the right."""
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    half = shape[3] // 2
    image[..., half:] = np.linspace(0, 1, shape[2], dtype=np.float32)[:, None]
    return image
