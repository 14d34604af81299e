"""What is fuzzed: any bytes give a result or a ScasNetError, never anything else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scasnet_qgis.common.errors import ScasNetError
from scasnet_qgis.common.model_card import MAX_CLASSES, ModelCard, from_metadata

_TILE = (64, 136)  # pixels
_LONGEST = 500  # letters of a sentence


@contextmanager
def file_of(data: bytes, suffix: str) -> Iterator[Path]:
    """A file with this content in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="scasnet-fuzz-") as folder:
        path = Path(folder) / f"stranger{suffix}"
        path.write_bytes(data)
        yield path


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Where a file is refused, the words for that are fit to be shown."""
    try:
        yield
    except ScasNetError as error:
        sentence = error.sentence
        assert sentence.endswith("."), sentence
        assert not set("<>\n\0") & set(sentence), sentence
        assert len(sentence) < _LONGEST, sentence


def model(data: bytes) -> None:
    """A model file: what it is, what lies in it, and opening it."""
    from scasnet_qgis.common.progress import Progress
    from scasnet_qgis.models import model_file
    from scasnet_qgis.models.activations import softmax
    from scasnet_qgis.models.cpu_graph import strip_softmax
    from scasnet_qgis.models.gpu_graph import gpu_graph
    from scasnet_qgis.models.onnx_proto import contents
    from scasnet_qgis.models.session import ModelLoader

    # Less than for models that are meant well, which may need more than fuzzing allows.
    model_file._PROBE_SECONDS, model_file._MOST_NUMBERS = 1, 2**22
    with file_of(data, ".onnx") as path, _one_sentence():
        info = model_file.inspect(path)
        assert 0 < info.classes <= MAX_CLASSES
        assert len(info.card.bands) == info.bands
        _check_texts(info.card)
        with suppress(ValueError):  # its callers expect that
            contents(path)
        with suppress(ValueError):
            assert len(strip_softmax(path)) < len(data) + 16
        with suppress(ValueError):
            gpu_graph(info, None, softmax)
        ModelLoader(info, _TILE, 0, Progress()).open_on("cpu")


def caffe(data: bytes) -> None:
    """A Caffe file: its layers, where they belong, and their weights."""
    from scasnet_qgis.training.caffe.container import CaffeFile
    from scasnet_qgis.training.caffe.layer_names import match
    from scasnet_qgis.training.caffe.weights import read_arrays

    with file_of(data, ".caffemodel") as path, _one_sentence():
        file = CaffeFile(path)
        read = sum(array.nbytes for layer in file.layers for array in file.read(layer))
        assert read <= len(data)
        found = match(file.layers)
        for _, line in found.unused:
            assert "<" not in str(line)
        for pair in found.pairs:
            read_arrays(file, pair)


def card(data: bytes) -> None:
    """The metadata of a model file: lines of keys and values, each value up to the next zero."""
    text = data.decode("utf-8", "surrogateescape")
    entries = [line.partition("=") for line in text.split("\0")]
    metadata = {key: value for key, _, value in entries}
    for bands, classes, sigmoid in ((3, 3, False), (1, 2, True), (12, 254, False)):
        with _one_sentence():
            found = from_metadata(metadata, bands, classes, sigmoid=sigmoid)
            _check_texts(found)
            assert (len(found.bands), len(found.classes)) == (bands, classes)


def _check_texts(card: ModelCard) -> None:
    """What is shown or written has no markup and is valid text."""
    texts = [card.name, card.network, card.licence, card.attribution, card.description]
    texts += [*card.class_names, *card.bands, card.training_data]
    for shown in texts:
        assert not set("<>\0") & set(shown)
        shown.encode()
    json.dumps(dict(card.accuracy), allow_nan=False)


TARGETS: dict[str, Callable[[bytes], None]] = {"model": model, "caffe": caffe, "card": card}
