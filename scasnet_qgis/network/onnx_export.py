"""Export of a network and its card to an ONNX file that is checked against PyTorch."""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scasnet_qgis.common.errors import DependencyError, ModelError, OutputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelCard, to_metadata
from scasnet_qgis.network.scasnet import ScasNet

OPSET = 17  # readable by onnxruntime from 1.12 on, and so by other tools
IR_VERSION = 8
TOLERANCE = 1e-4  # of a probability
_ODD_SIZES = ((401, 399), (33, 47), (1, 60))  # rows, cols; cropped from the sample


class _Graph(nn.Module):
    """Image in 0-1 -> normalisation -> network -> probabilities."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: ScasNet, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(card.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(card.std).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.network((image - self.mean) / self.std), dim=1)


def export(network: ScasNet, card: ModelCard, path: Path | str, *, sample: Tensor) -> float:
    """Write ``network`` with ``card`` to ``path``; the file appears only once it is checked.

    ``sample`` [N, bands, H, W] float32 is real image data in 0-1, on which ONNX Runtime must give
    PyTorch's probabilities to TOLERANCE. The file takes any number of rows and columns. The same
    input gives the same bytes. Returns the largest difference of a probability on the sample.

    Raises ModelError where card and network do not fit or the check fails, OutputError where the
    file cannot be written.
    """
    path = Path(path)
    _check_fit(network, card, sample)
    _onnxruntime()  # fails before the work, not after it
    graph = _Graph(copy.deepcopy(network).cpu().float(), card).eval()
    return _write(_serialised(graph, card), path, graph, _crops(sample))


def _write(content: bytes, path: Path, graph: _Graph, images: list[Tensor]) -> float:
    """Check the file under a temporary name, then move it to ``path``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
    except OSError as error:
        text = translate("ScasNet", "The model cannot be written to {parent}.")
        raise OutputError(text, str(error), parent=path.parent) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        difference = _check(Path(partial), graph, images)
        Path(partial).chmod(0o644)  # a temporary file is readable by its owner only
        Path(partial).replace(path)
    except OSError as error:
        raise OutputError(
            translate("ScasNet", "The model {path} cannot be written."), str(error), path=path
        ) from error
    finally:
        Path(partial).unlink(missing_ok=True)
    return difference


def _check_fit(network: ScasNet, card: ModelCard, sample: Tensor) -> None:
    config = network.config
    if (len(card.bands), len(card.classes)) != (config.bands, config.classes):
        text = translate(
            "ScasNet",
            "The card names {named_bands} bands and {named_classes} classes, but the network has "
            "{bands} and {classes}.",
        )
        raise ModelError(
            text,
            named_bands=len(card.bands),
            named_classes=len(card.classes),
            bands=config.bands,
            classes=config.classes,
        )
    if card.standardise:
        raise ModelError(
            translate(
                "ScasNet",
                "The card asks for standardised input, but an exported model standardises the "
                "image itself.",
            )
        )
    if sample.dim() != 4 or sample.shape[1] != config.bands or not sample.numel():
        text = translate("ScasNet", "The sample must be [N, {bands}, rows, columns] in 0-1.")
        raise ModelError(text, bands=config.bands)
    if not 0 <= float(sample.min()) <= float(sample.max()) <= 1:
        raise ModelError(translate("ScasNet", "The sample must have values from 0 to 1."))


def _onnxruntime() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        text = translate(
            "ScasNet", "To export a model the Python packages onnx and onnxruntime are needed."
        )
        raise DependencyError(text, str(error)) from error
    return onnxruntime


def _serialised(graph: _Graph, card: ModelCard) -> bytes:
    """The file's bytes: graph with dynamic axes, and metadata."""
    import onnx

    model = onnx.load_model_from_string(_traced(graph))
    _set_shape(model.graph.input[0], ["batch", len(card.bands), "height", "width"])
    _set_shape(model.graph.output[0], ["batch", len(card.classes), "height", "width"])
    del model.graph.value_info[:]
    model.ir_version = IR_VERSION
    model.graph.name = "scasnet"
    onnx.helper.set_model_props(model, to_metadata(card))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _traced(graph: _Graph) -> bytes:
    image = torch.zeros(2, graph.network.config.bands, 97, 131)
    dynamic = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        # The dynamo exporter takes twenty times as long and leaves local paths in the file.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        file = Path(folder) / "traced.onnx"
        torch.onnx.export(
            graph,
            (image,),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_axes={"image": dynamic, "probabilities": dynamic},
        )
        return file.read_bytes()


def _set_shape(value: Any, dimensions: list[str | int]) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for dimension in dimensions:
        if isinstance(dimension, int):
            shape.dim.add(dim_value=dimension)
        else:
            shape.dim.add(dim_param=dimension)


def _crops(sample: Tensor) -> list[Tensor]:
    """The images to check: the sample as it is, a batch of crops, and crops of odd sizes."""
    whole = sample.detach().cpu().float()
    rows, cols = whole.shape[2:]
    small = whole[[0, -1, 0], :, : min(rows, 65), : min(cols, 50)]
    return [whole, small, *(whole[:1, :, :high, :wide] for high, wide in _ODD_SIZES)]


def _check(path: Path, graph: _Graph, images: list[Tensor]) -> float:
    session = _onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    difference = 0.0
    with torch.inference_mode():
        for image in images:
            found = session.run(None, {"image": image.contiguous().numpy()})[0]
            wanted = graph(image).numpy()
            if found.shape != wanted.shape:
                text = translate(
                    "ScasNet", "The exported model gives a map of another size than the network."
                )
                raise ModelError(
                    text, f"{tuple(image.shape)}: {found.shape} instead of {wanted.shape}"
                )
            # Python's own max would drop a NaN.
            difference = float(np.max([difference, np.abs(found - wanted).max()]))
    # Written so that NaN fails, too.
    if not difference <= TOLERANCE:
        text = translate(
            "ScasNet",
            "The exported model differs from the network by {difference:.1e} of a probability, "
            "more than the {tolerance:.0e} allowed, and was not written.",
        )
        raise ModelError(text, difference=difference, tolerance=TOLERANCE)
    return difference
