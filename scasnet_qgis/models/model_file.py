"""What a model file is: its card, its bands and classes, and the sizes it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, NoReturn, Union

import numpy as np

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import ModelCard, from_metadata
from scasnet_qgis.common.untrusted import parse
from scasnet_qgis.models.arena import release, use_shared
from scasnet_qgis.models.runtime import CPU, onnxruntime, open_session, quiet_options, run_options
from scasnet_qgis.models.vetting import vet

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_OTHER_MODELS = ("detector", "regressor", "superresolution", "recognition", "classifier")
# Multiples of 32, which many networks insist on; the smaller ones are for images of many bands.
_PROBE_SIZES = ((256, 320), (128, 160), (64, 96))
_PROBE_NUMBERS = 2**22  # of one such image
_PROBE_SECONDS = 30  # the largest networks take a third of that on slow computers
_MOST_NUMBERS = 2**26  # of one input: a tile of 4096 x 4096 pixels with four bands
Dimension = Union[int, str, None]  # a number, the name of one that may vary, or nothing
_MAX_BANDS_LAST = 16  # so many bands at most in a shape that has them at its end


@dataclass(frozen=True)
class ModelInfo:
    """A segmentation model as it lies on the disk.

    ``classes`` are those of the map: two where ``sigmoid`` says that the model gives one channel.
    ``fixed_size`` (rows, cols) and ``fixed_batch`` are None where any will do. ``input_type`` is
    numpy's name of the type. The output is ``margin`` pixels smaller than the input on each side.
    """

    path: Path
    card: ModelCard
    bands: int
    classes: int
    sigmoid: bool
    fixed_size: tuple[int, int] | None
    fixed_batch: int | None
    input_name: str
    output_name: str
    input_type: str
    margin: int


def inspect(path: Path | str) -> ModelInfo:
    """Read a model file; the answer is kept until the file changes.

    Raises ModelError where the file is missing, no ONNX model or no segmentation model, and
    DependencyError where onnxruntime is missing.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(
            translate(
                "ScasNet",
                "The model file {path} does not exist or cannot be read: choose another file.",
            ),
            str(error),
            path=path,
        ) from error
    if not path.is_file():
        raise ModelError(
            translate("ScasNet", "{path} is not a file: choose a model file (.onnx)."), path=path
        )
    return _inspect(str(path.absolute()), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _inspect(path: str, _changed: int, _size: int) -> ModelInfo:
    file = Path(path)
    onnxruntime()  # where it is missing, nothing else is worth saying
    vet(file)
    try:
        return _read(file)
    except UnicodeDecodeError as error:  # ONNX Runtime does not mind, and Python finds it later
        raise ModelError(
            translate(
                "ScasNet",
                "{name} has unreadable names or sizes: export it again, or choose another model.",
            ),
            str(error),
            name=file.name,
        ) from error


def _read(file: Path) -> ModelInfo:
    session = _session(file)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    metadata = session.get_modelmeta().custom_metadata_map
    _check_kind(file, metadata)
    if len(inputs) != 1 or not outputs:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} has {count} inputs and {outputs} outputs, but a segmentation model "
                "has one image as input and class scores as output: choose another model.",
            ),
            ", ".join(value.name for value in (*inputs, *outputs))[:1000],
            name=file.name,
            count=len(inputs),
            outputs=len(outputs),
        )
    image, scores = inputs[0], outputs[0]
    shape: list[Dimension] = list(image.shape or ())
    bands = image_bands(file.name, shape, _stated_bands(metadata))
    input_type = _type_of(file, image.type)
    out: list[Dimension] = list(scores.shape or ())
    check_output(file.name, out, scores.type in TYPES)
    fixed_size = _fixed_size(shape)
    _check_amount(file, shape, bands, fixed_size or _PROBE_SIZES[-1])
    channels, margin = _channels_and_margin(
        file.name, session, shape, out, (bands, fixed_size, input_type)
    )
    sigmoid = channels == 1
    classes = 2 if sigmoid else channels
    return ModelInfo(
        path=file,
        card=_card(file, metadata, bands, classes, sigmoid, fixed_size),
        bands=bands,
        classes=classes,
        sigmoid=sigmoid,
        fixed_size=fixed_size,
        fixed_batch=shape[0] if isinstance(shape[0], int) else None,
        input_name=image.name,
        output_name=scores.name,
        input_type=input_type,
        margin=margin,
    )


def _session(file: Path) -> Any:
    options = quiet_options()
    # Optimising a graph takes longer than reading it.
    options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
    use_shared(options)  # which is bounded
    return open_session(file, [CPU], options)


def _check_kind(file: Path, metadata: Mapping[str, str]) -> None:
    kind = parse("model_type", metadata.get("model_type", '"Segmentor"'))
    if isinstance(kind, str) and kind.lower() in _OTHER_MODELS:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} is a {lower}, not a segmentation model: choose a model with class "
                "scores for every pixel.",
            ),
            name=file.name,
            lower=kind.lower(),
        )


def _stated_bands(metadata: Mapping[str, str]) -> int:
    """How many bands a card of ours names; 3 (red, green, blue) where there is none."""
    bands = parse("scasnet_bands", metadata.get("scasnet_bands", "null"))
    return len(bands) if isinstance(bands, list) and bands else 3


def _check_amount(file: Path, shape: list[Dimension], bands: int, size: tuple[int, int]) -> None:
    """Raise ModelError where one input would fill the memory."""
    batch = shape[0] if isinstance(shape[0], int) else 1
    if prod((batch, bands, *size)) > _MOST_NUMBERS:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} needs a batch of {batch} tiles with {bands} bands and {rows} x "
                "{cols} pixels, which is too large: choose a model for smaller tiles.",
            ),
            name=file.name,
            batch=batch,
            bands=bands,
            rows=size[0],
            cols=size[1],
        )


def _type_of(file: Path, kind: str) -> str:
    if kind not in TYPES:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} has integer input, but values from 0 to 1 are needed: export it "
                "again with float input.",
            ),
            kind,
            name=file.name,
        )
    return TYPES[kind]


def _fixed_size(shape: list[Dimension]) -> tuple[int, int] | None:
    rows, cols = shape[2], shape[3]
    if isinstance(rows, int):
        return rows, cols if isinstance(cols, int) else rows
    return (cols, cols) if isinstance(cols, int) else None


def _channels_and_margin(
    name: str,
    session: Any,
    shape: list[Dimension],
    out: list[Dimension],
    image: tuple[int, tuple[int, int] | None, str],
) -> tuple[int, int]:
    """From the shapes the file states, else from running it on a made-up image."""
    stated = stated_margin(name, shape, out)
    if stated is not None and isinstance(out[1], int):
        return out[1], stated
    bands, fixed_size, input_type = image
    batch = shape[0] if isinstance(shape[0], int) else 1
    fitting = (sides for sides in _PROBE_SIZES if batch * bands * sides[1] ** 2 <= _PROBE_NUMBERS)
    free = next(fitting, _PROBE_SIZES[-1])
    sizes = [fixed_size] if fixed_size else [(side, side) for side in free]
    shapes = [(batch, bands, *size) for size in sizes]
    results = [_probed(name, session, shape, input_type) for shape in shapes]
    margins = [margin_of(name, size, found[2:]) for size, found in zip(sizes, results)]
    if len(set(margins)) > 1:
        _refuse_coarse(name, sizes[-1], results[-1][2:])
    return int(results[0][1]), margins[0]


def _probed(name: str, session: Any, shape: tuple[int, ...], input_type: str) -> tuple[int, ...]:
    """The shape that a made-up image's scores have; a model may not compute for ever."""
    options = run_options()
    timer = Timer(_PROBE_SECONDS, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        return probe(name, session, shape, input_type, options).shape
    except ModelError as error:
        if not options.terminate:
            raise
        raise ModelError(
            translate(
                "ScasNet",
                "{name} takes more than {seconds} seconds for a small tile: choose a "
                "smaller model.",
            ),
            error.detail,
            name=name,
            seconds=_PROBE_SECONDS,
        ) from error
    finally:
        timer.cancel()
        release()


def _card(
    file: Path,
    metadata: Mapping[str, str],
    bands: int,
    classes: int,
    sigmoid: bool,
    fixed_size: tuple[int, int] | None,
) -> ModelCard:
    card = from_metadata(metadata, bands, classes, sigmoid=sigmoid)
    if not card.name:
        card = replace(card, name=file.stem)
    if fixed_size is not None:
        size = min(fixed_size)
        overlap = min(card.overlap * size // card.tile_size, size - 1)
        card = replace(card, tile_size=size, overlap=overlap)
    return card


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
    few_bands = isinstance(bands, int) and bands <= _MAX_BANDS_LAST
    if isinstance(cols, int) and cols <= _MAX_BANDS_LAST and not few_bands:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} has its bands last ([batch, rows, columns, bands]): export it with "
                "channels first ([batch, bands, rows, columns]).",
            ),
            f"its input is {shape}",
            name=name,
        )
    return bands if isinstance(bands, int) else stated


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
                "{name} outputs class numbers: export it without argmax, so that it outputs"
                " class scores.",
            ),
            name=name,
        )


def stated_margin(name: str, shape: list[Dimension], out: list[Dimension]) -> int | None:
    """The output's margin where the file states the sizes, else None."""
    if len(out) != 4:
        return None
    sizes, results = shape[2:], out[2:]
    if None not in sizes and sizes == results:
        return 0
    if all(isinstance(size, int) for size in (*sizes, *results)):
        if _bands_last(sizes, out):
            _refuse_bands_last(name, out)
        return margin_of(
            name, [int(size or 0) for size in sizes], [int(size or 0) for size in results]
        )
    return None


def margin_of(name: str, size: Sequence[int], result: Sequence[int]) -> int:
    """How many pixels an output of ``result`` rows and cols lacks on each side of ``size``."""
    missing = [before - after for before, after in zip(size, result)]
    if min(result) < 1 or min(missing) < 0 or missing[0] != missing[1] or missing[0] % 2:
        text = translate("ScasNet", "which is not centred in the tile")
        _refuse(name, size, result, message(text))
    # A coarse map of every fourth, eighth ... pixel would else pass for the middle of the tile.
    ratios = [before / after for before, after in zip(size, result)]
    if all(ratio >= 4 and ratio.is_integer() for ratio in ratios):
        _refuse_coarse(name, size, result)
    return missing[0] // 2


def _refuse_coarse(name: str, size: Sequence[int], result: Sequence[int]) -> NoReturn:
    """The output is a smaller picture of the whole input, not its middle."""
    text = translate("ScasNet", "a coarser map: export it with its output resized to the input")
    _refuse(name, size, result, message(text))


def _refuse(name: str, size: Sequence[int], result: Sequence[int], what: Message) -> NoReturn:
    raise ModelError(
        translate(
            "ScasNet", "{name} outputs {out_rows} x {out_cols} pixels for {rows} x {cols}, {what}."
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
            "{name} has its classes last ([batch, rows, columns, classes]): export it with "
            "channels first ([batch, classes, rows, columns]).",
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
        feed = {session.get_inputs()[0].name: probe_image(shape).astype(input_type)}
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
                "{name} outputs {maps} maps for {images} tiles: choose a model with "
                "one map per tile.",
            ),
            name=name,
            maps=result.shape[0],
            images=shape[0],
        )
    return result


def probe_image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values in 0-1: noise over the left half, a slope over the right."""
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    half = shape[3] // 2
    image[..., half:] = np.linspace(0, 1, shape[2], dtype=np.float32)[:, None]
    return image
