"""Metadata of a model file: card, input, output, size and checksum."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.model_card import PREFIX
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.i18n import translate
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.models.onnx_proto import OnnxContents, contents
from scasnet_qgis.outputs.provenance.fingerprint import sha256_of

# What Deepness and GeoDeep write into their files; most of it goes into the card.
PEER_KEYS = (
    "model_type", "class_names", "names", "resolution", "tile_size", "tiles_size", "tiles_overlap",
    "standardization_mean", "standardization_std", "seg_thresh", "seg_small_segment",
)  # fmt: skip
_MAX_KEYS = 100


@dataclass(frozen=True)
class ModelFacts:
    """A model file: what it is, what it holds, its size in bytes and its checksum."""

    model: ModelInfo
    inside: OnnxContents
    size: int
    sha256: str

    @classmethod
    def of(cls, model: ModelInfo, check: Callable[[], None]) -> ModelFacts:
        """Read the whole file; ``check`` is called between its parts and may raise Cancelled."""
        try:
            digest = sha256_of(model.path, check)
            size = model.path.stat().st_size
            inside = contents(model.path)
        except (OSError, ValueError) as error:
            text = translate("ScasNet", "{path} is incomplete: copy the model again.")
            raise ModelError(text, str(error), path=model.path) from error
        shown = tuple(clean_name(key) for key in inside.keys[:_MAX_KEYS])
        return cls(model, replace(inside, keys=shown), size, digest)

    @property
    def own_keys(self) -> list[str]:
        return [key for key in self.inside.keys if key.startswith(PREFIX)]

    @property
    def peer_keys(self) -> list[str]:
        return [key for key in self.inside.keys if key in PEER_KEYS]

    @property
    def other_keys(self) -> list[str]:
        known = {*self.own_keys, *self.peer_keys}
        return [key for key in self.inside.keys if key not in known]


def as_json(facts: ModelFacts) -> str:
    """Every field, for programs."""
    model, inside = facts.model, facts.inside
    content = {
        "file": {
            "path": str(model.path),
            "bytes": facts.size,
            "sha256": facts.sha256,
            "producer": clean_name(inside.producer),
            "opset": inside.opset,
            "weights": inside.weights,
            "precision": inside.precision or None,
            "stored_numbers": dict(inside.numbers),
        },
        "card": asdict(model.card),
        "input": {
            "name": clean_name(model.input_name),
            "type": model.input_type,
            "bands": model.bands,
            "fixed_size": model.fixed_size,
            "fixed_batch": model.fixed_batch,
        },
        "output": {
            "name": clean_name(model.output_name),
            "classes": model.classes,
            "sigmoid": model.sigmoid,
            "margin": model.margin,
        },
        "metadata_keys": {
            "scasnet": facts.own_keys,
            "deepness_geodeep": facts.peer_keys,
            "other": facts.other_keys,
        },
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
