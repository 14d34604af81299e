"""The settings of one training, each declared once, as they stand in a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import default_color
from scasnet_qgis.common.options import Choice, FilePath, Number, Text, check_limits, option
from scasnet_qgis.training.settings.file_settings import FileSettings, as_json
from scasnet_qgis.training.settings.parsing import (
    DEFAULT_MODEL,
    band_numbers,
    card_of,
    start_from,
    validation_share,
)

PHASE_KEYS = ("crop", "batch", "scale_range", "balanced_share", "class_weight_power")
COMPACT = "compact"  # the VGG network with a quarter of its channels
NETWORKS = (COMPACT, "vgg", "resnet")
OPTIMIZERS = ("adamw", "sgd")
DEVICES = ("auto", "cpu", "cuda")
DEFAULT_MINUTES = 60.0
TILE, OVERLAP = 512, 16  # pixels
_COMPACT_WIDTH = 0.25
# The published network was trained by SGD; its base rate suits a batch of a few crops.
_BASE_RATES = {"adamw": 4e-4, "sgd": 1e-3}
_PUBLISHED_HEAD_RATE = {"vgg": 20.0, "resnet": 1.0}
_LISTS = ("data", "classes", "bands", "band_numbers", "phases")
_PAIRS = ("scale_range", "value_range")


@dataclass(frozen=True)
class TrainingConfig(FileSettings):
    """Everything that decides what a training run does.

    Of data with the role "split" the share ``validation_share`` is set aside in spatial blocks.
    The run ends after ``epochs``, ``steps`` or ``time_budget`` minutes, whichever comes first; the
    learning rate falls polynomially to 0 over it. ``head_rate`` multiplies it for the head.
    ``width`` is that of ``variant`` where it is not given.
    """

    band_numbers: list[int] = option(
        (),
        "BANDS",
        translate("ScasNet", "Bands"),
        translate(
            "ScasNet",
            "Band numbers to learn from, as in 4;3;2. Leave it empty for red, green and blue, or "
            "for all bands of images that have fewer than three. The model will need the same "
            "bands in the same order.",
        ),
        Text(),
        differs=translate("ScasNet", "the bands differ"),
        parse=band_numbers,
    )
    validation_share: float = option(
        0.2,
        "VALIDATION",
        translate("ScasNet", "Validation share"),
        translate(
            "ScasNet",
            "Share of the labelled area that is set aside to measure the accuracy, as in 0.2 or "
            "20 (percent). It is set aside in whole blocks, because pixels next to those learned "
            "from would make the model look better than it is.",
        ),
        Number(0.0, 90.0),
        differs=translate("ScasNet", "the validation share differs"),
        parse=validation_share,
    )
    variant: str = option(
        COMPACT,
        "NETWORK",
        translate("ScasNet", "Network"),
        translate(
            "ScasNet",
            "compact is a quarter as wide as the published VGG network, trains on an ordinary "
            "processor and maps quickly. vgg and resnet are the published networks: more accurate, "
            "but slow to train without a graphics card.",
        ),
        Choice(NETWORKS),
        differs=translate("ScasNet", "the network differs"),
    )
    start_from: str = option(
        DEFAULT_MODEL,
        "START_FROM",
        translate("ScasNet", "Start from"),
        translate(
            "ScasNet",
            "Weights to begin with: a model made by this plugin (.onnx), published weights "
            "(.caffemodel, or the .safetensors made of one), or the folder of a training. Leave it "
            "empty for the model that comes with the plugin, if it has the same network and bands; "
            "write nothing to begin with random weights.",
        ),
        # QGIS refuses what its filter does not match, and that is also a folder or a word.
        FilePath(
            file_filter=translate(
                "ScasNet", "Models and weights (*.onnx *.safetensors *.caffemodel *)"
            )
        ),
        differs=translate("ScasNet", "it starts from other weights"),
        parse=start_from,
    )
    time_budget: float | None = option(
        DEFAULT_MINUTES,
        "TIME_BUDGET",
        translate("ScasNet", "Time budget (minutes)"),
        translate(
            "ScasNet",
            "Maximum training time. To continue a training that was cancelled, or one that has "
            "ended, with more time, run it again with the same model file.",
        ),
        Number(0.01, 1e6, optional=True),
    )
    epochs: float | None = option(
        None,
        "EPOCHS",
        translate("ScasNet", "Epochs"),
        translate(
            "ScasNet",
            "Maximum number of passes over all labels. Training ends after the epochs or the time "
            "budget, whichever comes first; leave one of them empty to have the other decide.",
        ),
        Number(1, 1_000_000, integer=True, optional=True),
    )
    card: dict[str, Any] = option(
        None,
        "MODEL_NAME",
        translate("ScasNet", "Model name"),
        translate("ScasNet", "Shown in the report and stored in the model file."),
        Text(),
        parse=card_of,
        write=as_json,
    )
    width: float = option(
        None,
        "WIDTH",
        translate("ScasNet", "Network width"),
        translate(
            "ScasNet",
            "Share of the published number of channels, as in 0.25. Leave it empty for the width "
            "of the network chosen above.",
        ),
        Number(0.03125, 1.0, optional=True),
        advanced=True,
        differs=translate("ScasNet", "the network's width differs"),
    )
    crop: int = option(
        400,
        "TILE_SIZE",
        translate("ScasNet", "Tile size (pixels)"),
        translate(
            "ScasNet",
            "Side of the tiles that are cut from the images at random; 400 as published. Smaller "
            "tiles need less memory, but show the network less of the surroundings.",
        ),
        Number(32, 4096, integer=True),
        advanced=True,
        differs=translate("ScasNet", "the tile size differs"),
    )
    batch: int = option(
        4,
        "BATCH_SIZE",
        translate("ScasNet", "Batch size (tiles)"),
        translate("ScasNet", "Tiles in one training step. Fewer tiles need less memory."),
        Number(1, 1024, integer=True),
        advanced=True,
        differs=translate("ScasNet", "the batch size differs"),
    )
    optimizer: str = option(
        OPTIMIZERS[0],
        "OPTIMIZER",
        translate("ScasNet", "Optimizer"),
        translate("ScasNet", "adamw needs no tuning; sgd is what the authors published."),
        Choice(OPTIMIZERS),
        advanced=True,
        differs=translate("ScasNet", "the optimizer differs"),
    )
    learning_rate: float | None = option(
        None,
        "LEARNING_RATE",
        translate("ScasNet", "Learning rate"),
        translate(
            "ScasNet",
            "Learning rate at the start; it falls to zero during the training. Leave it empty for "
            "one that suits the optimizer.",
        ),
        Number(1e-8, 10.0, optional=True),
        advanced=True,
        differs=translate("ScasNet", "the learning rate differs"),
    )
    head_rate: float | None = option(
        None,
        "HEAD_RATE",
        translate("ScasNet", "Learning-rate multiplier, last layers"),
        translate(
            "ScasNet",
            "How many times faster the last layers learn than the others. Leave it empty for 20 as "
            "published (vgg with sgd), and 1 otherwise.",
        ),
        Number(0.01, 1000.0, optional=True),
        advanced=True,
        differs=translate("ScasNet", "the learning rate differs"),
    )
    device: str = option(
        DEVICES[0],
        "DEVICE",
        translate("ScasNet", "Device"),
        translate(
            "ScasNet",
            "cuda trains on an NVIDIA graphics card, cpu on the processor; auto takes a graphics "
            "card if there is one.",
        ),
        Choice(DEVICES),
        advanced=True,
    )
    threads: int = option(
        0,
        "THREADS",
        translate("ScasNet", "Processor threads"),
        translate("ScasNet", "Processor cores to use; 0 uses all of them."),
        Number(0, 1024, integer=True),
        advanced=True,
    )
    seed: int = option(
        1,
        "SEED",
        translate("ScasNet", "Random seed"),
        translate(
            "ScasNet",
            "The same seed, data and settings give the same model again on the same computer.",
        ),
        Number(0, 2**31 - 1, integer=True),
        advanced=True,
        differs=translate("ScasNet", "the random seed differs"),
    )

    def __post_init__(self) -> None:
        values: dict[str, Any] = {name: list(getattr(self, name)) for name in _LISTS}
        values["classes"] = [
            {**entry, "color": entry.get("color") or default_color(index)}
            for index, entry in enumerate(self.classes)
        ]
        for name in _PAIRS:
            pair = getattr(self, name)
            values[name] = pair if pair is None else tuple(pair)
        values["card"] = dict(self.card or {})
        given_width: float | None = self.width
        if given_width is None:
            values["width"] = _COMPACT_WIDTH if self.variant == COMPACT else 1.0
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _check(self)

    @classmethod
    def read(cls, path: Path, data: Path | None = None) -> TrainingConfig:
        """Read a JSON file; relative paths start at ``data``, by default at the file's folder."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            text = translate("ScasNet", "The training settings {path} cannot be read.")
            raise SettingError(text, str(error), path=path) from error
        return cls.of({"folder": str(data or Path(path).parent), **values})

    @classmethod
    def of(cls, values: dict[str, Any]) -> TrainingConfig:
        """Settings from plain JSON values; unknown keys and missing ones are errors.

        Without ``time_budget`` a run is not limited in time, unless nothing else limits it.
        """
        known = {setting.name for setting in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            text = translate("ScasNet", "The training settings have unknown keys: {names}.")
            raise SettingError(text, names=", ".join(unknown))
        missing = sorted({"data", "classes"} - set(values))
        if missing:
            text = translate("ScasNet", "The training settings lack: {names}.")
            raise SettingError(text, names=", ".join(missing))
        return cls(**{"time_budget": None, **values})

    def at(self, step: int) -> TrainingConfig:
        """The settings in force at a step."""
        changes: dict[str, Any] = {}
        for phase in sorted(self.phases, key=lambda phase: int(phase["step"])):
            if step >= int(phase["step"]):
                changes |= {key: value for key, value in phase.items() if key != "step"}
        return replace(self, **changes) if changes else self

    def path(self, relative: str) -> Path:
        """A path of the configuration, relative to the folder of the data."""
        return Path(self.folder) / relative

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def encoder(self) -> str:
        """The encoder of the network: "vgg" or "resnet"."""
        return "vgg" if self.variant == COMPACT else self.variant

    @property
    def class_names(self) -> list[str]:
        return [str(entry["name"]) for entry in self.classes]

    @property
    def base_rate(self) -> float:
        """The learning rate at the start."""
        return self.learning_rate or _BASE_RATES[self.optimizer]

    @property
    def head_factor(self) -> float:
        """The head's learning rate in units of the base rate.

        As published for VGG under SGD. AdamW's steps do not grow with the gradient, so that there
        a factor would do something else than it did for the authors.
        """
        if self.head_rate is not None:
            return self.head_rate
        return _PUBLISHED_HEAD_RATE[self.encoder] if self.optimizer == "sgd" else 1.0

    @property
    def ends(self) -> list[float | None]:
        """When the run ends: epochs, steps, minutes."""
        return [self.epochs, self.steps, self.time_budget]


def _check(config: TrainingConfig) -> None:
    """Raise SettingError for values that cannot work."""
    check_limits(config)
    if not 0.0 <= config.validation_share < 1.0:
        text = translate("ScasNet", "The validation share must be from 0 to below 1.")
        raise SettingError(text)
    for phase in config.phases:
        odd = sorted(set(phase) - {"step", *PHASE_KEYS})
        if odd or "step" not in phase:
            text = translate(
                "ScasNet", "A phase needs 'step' and may set {names}; one has {value} instead."
            )
            names = ", ".join(PHASE_KEYS)
            raise SettingError(text, names=names, value=", ".join(odd) or "no step")


def tile_of(config: TrainingConfig) -> tuple[int, int]:
    """Tile size and overlap in pixels that the model's card advises.

    About as large as the crops that were trained on, as networks do no better on larger tiles, and
    those need more memory. The overlap hides the borders of ScasNet's tiles (benchmarks/seams.py).
    """
    size = int(config.card.get("tile_size", TILE))
    return size, int(config.card.get("overlap", min(OVERLAP, size // 4)))
