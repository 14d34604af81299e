"""What a model file is: its card, its bands and classes, and the sizes it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from threading import Timer
from typing import Any

from scasnet_qgis.core.card import ModelCard, from_metadata
from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.untrusted import parse
from scasnet_qgis.models.arena import release, use_shared
from scasnet_qgis.models.runtime import (
    CPU,
    onnxruntime,
    open_session,
    quiet_options,
    run_options,
)
from scasnet_qgis.models.shapes import (
    Dimension,
    check_output,
    crop,
    image_bands,
    known_crop,
    probe,
    refuse_coarse,
)
from scasnet_qgis.models.vetting import vet

TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_OTHER_MODELS = ("detector", "regressor", "superresolution", "recognition", "classifier")
# Multiples of 32, which many networks insist on; the smaller ones are for images of many bands.
_PROBE_SIZES = ((256, 320), (128, 160), (64, 96))
_PROBE_NUMBERS = 2**22  # of one such image
_PROBE_SECONDS = 30  # the largest networks take a third of that on slow computers
_MOST_NUMBERS = 2**26  # of one input: a tile of 4096 x 4096 pixels with four bands


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
                "{name} has names or sizes that are no readable text: export it again, or choose "
                "another model.",
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
                "{name} wants {count} inputs and gives {outputs} outputs, but a segmentation "
                "model takes one image and gives class scores: choose another model.",
            ),
            ", ".join(each.name for each in (*inputs, *outputs))[:1000],
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
                "{name} is not a segmentation model but calls itself a {lower}: choose a "
                "model that gives class scores for every pixel.",
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
                "{name} wants {batch} images of {bands} bands with {rows} x {cols} pixels at a "
                "time, more than the memory is made for: choose a model for smaller tiles.",
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
                "{name} takes whole numbers, but a model must take numbers from 0 to 1: "
                "export it again with a float input.",
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
    stated = known_crop(name, shape, out)
    if stated is not None and isinstance(out[1], int):
        return out[1], stated
    bands, fixed_size, input_type = image
    batch = shape[0] if isinstance(shape[0], int) else 1
    fitting = (each for each in _PROBE_SIZES if batch * bands * each[1] ** 2 <= _PROBE_NUMBERS)
    free = next(fitting, _PROBE_SIZES[-1])
    sizes = [fixed_size] if fixed_size else [(each, each) for each in free]
    shapes = [(batch, bands, *size) for size in sizes]
    results = [_probed(name, session, each, input_type) for each in shapes]
    margins = [crop(name, size, found[2:]) for size, found in zip(sizes, results)]
    if len(set(margins)) > 1:
        refuse_coarse(name, sizes[-1], results[-1][2:])
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
                "{name} computes for more than {seconds} seconds on a small tile: choose a "
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
