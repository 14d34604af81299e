"""What a model file is: its card, its bands and classes, and the sizes it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from scasnet_qgis.core.card import ModelCard, from_metadata
from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.untrusted import parse
from scasnet_qgis.models.runtime import CPU, open_session
from scasnet_qgis.models.shapes import (
    Dimension,
    check_output,
    crop,
    image_bands,
    known_crop,
    probe,
    refuse_coarse,
)

TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_OTHER_MODELS = ("detector", "regressor", "superresolution", "recognition", "classifier")
_PROBE_SIZES = (256, 320)  # multiples of 32, which many networks insist on


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
    # Unoptimised, because optimising a graph takes longer than reading it.
    session = open_session(file, [CPU], optimise=False)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    metadata = session.get_modelmeta().custom_metadata_map
    _check_kind(file, metadata)
    if len(inputs) != 1:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} wants {count} inputs, but a segmentation model takes one image: "
                "choose another model.",
            ),
            ", ".join(each.name for each in inputs),
            name=file.name,
            count=len(inputs),
        )
    image, scores = inputs[0], outputs[0]
    shape: list[Dimension] = list(image.shape)
    bands = image_bands(file.name, shape, _stated_bands(metadata))
    input_type = _type_of(file, image.type)
    check_output(file.name, list(scores.shape), scores.type in TYPES)
    fixed_size = _fixed_size(shape)
    channels, margin = _channels_and_margin(
        file.name, session, shape, list(scores.shape), (bands, fixed_size, input_type)
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


def _check_kind(file: Path, metadata: Mapping[str, str]) -> None:
    kind = str(parse("model_type", metadata.get("model_type", '"Segmentor"')))
    if kind.lower() in _OTHER_MODELS:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} is not a segmentation model but calls itself a {lower}: choose a "
                "model that gives class scores for every pixel.",
            ),
            name=file.name,
            lower=kind.lower()[:20],
        )


def _stated_bands(metadata: Mapping[str, str]) -> int:
    """How many bands a card of ours names; 3 (red, green, blue) where there is none."""
    bands = parse("scasnet_bands", metadata.get("scasnet_bands", "null"))
    return len(bands) if isinstance(bands, list) and bands else 3


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
    sizes = [fixed_size] if fixed_size else [(each, each) for each in _PROBE_SIZES]
    results = [probe(name, session, (batch, bands, *size), input_type).shape for size in sizes]
    margins = [crop(name, size, found[2:]) for size, found in zip(sizes, results)]
    if len(set(margins)) > 1:
        refuse_coarse(name, sizes[-1], results[-1][2:])
    return int(results[0][1]), margins[0]


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
