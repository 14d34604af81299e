"""Import a Caffe file: its encoder as an initialisation, or all of it as a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from scasnet_qgis.common.errors import ModelError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import (
    ModelCard,
    ModelClass,
    check_class_count,
    default_bands,
    default_color,
)
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.network.onnx_export import export
from scasnet_qgis.network.scasnet import NETWORK_NAMES, ScasNet
from scasnet_qgis.training.caffe.container import CaffeFile, CaffeLayer
from scasnet_qgis.training.caffe.layer_names import (
    LayerMapping,
    LayerMatch,
    TargetLayer,
    format_shapes,
    layer_values,
    match,
)
from scasnet_qgis.training.caffe.request import AUTO, CaffeImport
from scasnet_qgis.training.caffe.weights import (
    PUBLISHED_MEAN,
    Arrays,
    CaffeInput,
    check_encoder,
    encoder_from_caffe,
    listed,
    load,
    read_arrays,
    write_encoder,
)

_SAMPLE = (160, 192)  # rows and columns that the model file is checked on


def import_task(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The task ``importcaffe``: see CaffeImport for the request, Table for the result."""
    job = CaffeImport.of(request)
    file = CaffeFile(job.source)
    found = match(file.layers, None if job.network == AUTO else job.network)
    table = Table.of(found, encoder_only=not job.whole)
    text = translate("ScasNet", "{name} has layers of {network}.")
    progress.info(message(text, name=job.source.name, network=NETWORK_NAMES[found.config.variant]))
    for line in table.lines():
        progress.info(line)
    progress.check()
    if job.whole:
        import_model(job, file, found, Stage(progress, 0.1, 1.0))
    else:
        import_encoder(job, file, found)
        if not found.missing:
            text = translate(
                "ScasNet",
                "The file has all layers of ScasNet: choose an output that ends in .onnx for a "
                "complete model.",
            )
            progress.info(message(text))
    progress.report(1.0)
    return {
        "output": str(job.output),
        "network": found.config.variant,
        "matched": table.matched,
        "unmatched": table.unmatched,
    }


def import_encoder(job: CaffeImport, file: CaffeFile, found: LayerMapping) -> None:
    """Write the encoder's weights, as they are, with what is known of their input."""
    check_encoder(file, found)
    mean = _mean(job, found)
    weights = encoder_from_caffe(
        file, found, mean[::-1] if job.rgb else mean, scale=job.scale, rgb=job.rgb
    )
    write_encoder(replace(weights, sha256=file.sha256()), job.output)


def import_model(
    job: CaffeImport, file: CaffeFile, found: LayerMapping, progress: Progress
) -> None:
    """Write a model file with the file's weights; raises ModelError where any is missing."""
    if found.missing:
        text = translate(
            "ScasNet",
            "{path} has no complete ScasNet: {names} are missing or have another shape. To "
            "import its encoder, choose an output that ends in .safetensors.",
        )
        raise ModelError(
            text, path=str(job.source), names=listed([layer.name for layer in found.missing])
        )
    check_class_count(found.config.classes)
    given = CaffeInput(_mean(job, found), job.scale, _bands(job, found))
    card = _card(job, found, given, file.sha256())
    network = ScasNet(found.config)
    load(network, _arrays(file, found, progress), given, card.mean, card.std)
    progress.check()
    difference = export(network, card, job.output, sample=_sample(found.config.bands))
    text = translate("ScasNet", "The model file differs from the network by at most {value}.")
    progress.info(message(text, value=f"{difference:.1e}"))


def _arrays(
    file: CaffeFile, found: LayerMapping, progress: Progress
) -> Iterator[tuple[str, Arrays]]:
    for index, pair in enumerate(found.pairs):
        progress.check()
        progress.report(0.5 * index / len(found.pairs))
        yield pair.target.name, read_arrays(file, pair)


def _mean(job: CaffeImport, found: LayerMapping) -> tuple[float, ...]:
    """The mean in the order of the file's bands."""
    if not job.mean and found.config.bands == 3:
        published = PUBLISHED_MEAN[found.config.variant]
        return published[::-1] if job.rgb else published
    mean = job.mean
    if len(mean) != found.config.bands or not all(map(math.isfinite, mean)):
        text = translate(
            "ScasNet",
            "The network takes {bands} bands: give the mean as {bands} numbers, not {given}.",
        )
        raise SettingError(text, bands=found.config.bands, given=len(mean))
    return mean


def _bands(job: CaffeImport, found: LayerMapping) -> tuple[int, ...]:
    """The band of ours, red first, for each of the file's."""
    bands = tuple(range(found.config.bands))
    return bands if job.rgb or len(bands) < 3 else (2, 1, 0, *bands[3:])


def _card(job: CaffeImport, found: LayerMapping, given: CaffeInput, digest: str) -> ModelCard:
    config = found.config
    for texts in (job.class_names, job.class_colors):
        if texts and len(texts) != config.classes:
            text = translate(
                "ScasNet",
                "The network has {classes} classes: give as many names and colours, not {given}.",
            )
            raise SettingError(text, classes=config.classes, given=len(texts))
    names = job.class_names or tuple(f"class {index + 1}" for index in range(config.classes))
    colors = job.class_colors or tuple(map(default_color, range(config.classes)))
    return ModelCard(
        name=job.output.stem,
        classes=tuple(ModelClass(name, color) for name, color in zip(names, colors)),
        bands=default_bands(config.bands),
        mean=given.card_mean,
        std=config.bands * (1.0,),
        network=NETWORK_NAMES[config.variant],
        width=config.width,
        description=f"Imported from the Caffe file {job.source.name}, SHA-256 {digest}.",
    )


def _sample(bands: int) -> Tensor:
    """A made-up image in 0-1 with shapes and grain, [1, bands, rows, cols]."""
    rows, cols = _SAMPLE
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, bands, rows // 12, cols // 12, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, _SAMPLE, mode="bicubic")
    return (smooth + 0.02 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


@dataclass(frozen=True)
class Table:
    """Layers that are matched, layers that only the file has, layers that only ScasNet has.

    Each of the file's comes with a line that says why it is not used.
    """

    pairs: tuple[LayerMatch, ...]
    unused: tuple[tuple[CaffeLayer, Message], ...]
    empty: tuple[TargetLayer, ...]

    @classmethod
    def of(cls, found: LayerMapping, *, encoder_only: bool) -> Table:
        """The table of a matching of which all or only the encoder is imported."""
        if not encoder_only:
            return cls(found.pairs, found.unused, found.missing)
        outside = [pair for pair in found.pairs if not pair.target.in_encoder]
        text = translate("ScasNet", "{layer} ({shapes}): not in ScasNet's encoder")
        left = [
            (source, message(text, **layer_values(source)))
            for pair in outside
            for source in pair.sources
        ]
        empty = found.missing + tuple(pair.target for pair in outside)
        return cls(tuple(found.encoder_matches), (*found.unused, *left), empty)

    def lines(self) -> Iterator[str | Message]:
        """The table for the log."""
        yield message(
            translate("ScasNet", "Layers of the file -> layers of ScasNet: {count}"),
            count=len(self.pairs),
        )
        for pair in self.pairs:
            yield f"{_sources(pair)} ({format_shapes(pair.target.shapes)}) -> {pair.target.name}"
        yield message(
            translate("ScasNet", "Unused layers of the file: {count}"), count=len(self.unused)
        )
        for _, line in self.unused:
            yield line
        yield message(
            translate("ScasNet", "Layers of ScasNet that are not in the file: {count}"),
            count=len(self.empty),
        )
        for target in self.empty:
            yield f"{target.name} ({format_shapes(target.shapes)})"

    @property
    def matched(self) -> list[dict[str, Any]]:
        """The matched layers as values of JSON."""
        return [
            {
                "file": [clean_name(source.name) for source in pair.sources],
                "scasnet": pair.target.name,
                "shapes": [list(shape) for shape in pair.target.shapes],
            }
            for pair in self.pairs
        ]

    @property
    def unmatched(self) -> dict[str, list[dict[str, Any]]]:
        """The other layers on both sides as values of JSON."""
        file = [
            {
                "layer": clean_name(layer.name),
                "type": clean_name(layer.type),
                "shapes": [list(shape) for shape in layer.shapes],
                "reason": str(line),
            }
            for layer, line in self.unused
        ]
        scasnet = [
            {"layer": target.name, "shapes": [list(shape) for shape in target.shapes]}
            for target in self.empty
        ]
        return {"file": file, "scasnet": scasnet}


def _sources(pair: LayerMatch) -> str:
    return " + ".join(clean_name(source.name) for source in pair.sources)
