"""The settings of one training run, as they stand in a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from scasnet_qgis.core.card import default_color
from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate

PHASE_KEYS = ("crop", "batch", "scale_range", "balanced_share", "class_weight_power")
OPTIMIZERS = ("adamw", "sgd")
DEFAULT_MODEL = "default"  # START_FROM: the model that comes with the plugin
NOTHING = "nothing"  # START_FROM: random weights
DEFAULT_MINUTES = 60.0
TILE, OVERLAP = 512, 16  # pixels
# The published network was trained by SGD; its base rate suits a batch of a few crops.
_BASE_RATES = {"adamw": 4e-4, "sgd": 1e-3}
_PUBLISHED_HEAD_RATE = {"vgg": 20.0, "resnet": 1.0}
# What may change without making another run of it: when it ends, where it runs, what it is called;
# the data are compared by their files.
FREE_KEYS = (
    "epochs", "steps", "time_budget", "device", "threads", "card", "evaluate_every",
    "checkpoint_every", "folder", "precision", "data",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training run does.

    ``data`` lists what to learn from; an entry names ``image`` and ``labels``, two files or two
    folders of equally named files (see training/sources.py). Of entries with the role "split"
    the share ``validation_share`` is kept apart in spatial blocks.

    The run ends after ``epochs``, ``steps`` or ``time_budget`` minutes, whichever comes first; the
    learning rate falls polynomially to 0 over it. ``head_rate`` multiplies it for the head,
    ``encoder_rate`` for an encoder that does not start from nothing.

    ``phases`` change some settings (PHASE_KEYS) from a step on: each holds ``step`` and the new
    values, which stay until a later phase changes them again.
    """

    data: list[dict[str, Any]]
    classes: list[dict[str, Any]]  # value in the labels, name, colour
    bands: list[str] = field(default_factory=lambda: ["red", "green", "blue"])
    band_numbers: list[int] = field(default_factory=list)  # of the images; empty: found by name
    value_range: tuple[float, float] | None = None  # measured where it is not given
    validation_share: float = 0.2
    block: int = 0  # pixels; side of the blocks kept apart, 0: chosen from the labels
    variant: str = "vgg"
    width: float = 0.25
    start_from: str = DEFAULT_MODEL
    epochs: float | None = None
    steps: int | None = None
    time_budget: float | None = None  # minutes
    crop: int = 400
    batch: int = 4
    optimizer: str = "adamw"
    learning_rate: float | None = None
    encoder_rate: float = 0.5
    head_rate: float | None = None
    weight_decay: float = 0.01
    momentum: float = 0.9  # SGD
    warm_up: int = 100  # steps
    decay_power: float = 0.9
    gradient_clip: float = 1.0
    average: float = 0.998  # decay of the running mean of the weights
    class_weight_power: float = 0.1  # weight of a class = its share to the minus this power
    balanced_share: float = 0.3  # share of crops centred on a class drawn at random
    scale_range: tuple[float, float] = (0.8, 1.25)
    evaluate_every: float = 10.0  # minutes
    checkpoint_every: float = 3.0  # minutes
    device: str = "auto"
    threads: int = 0  # CPU threads, 0: all
    precision: str = "auto"  # "single" forbids mixed precision
    seed: int = 1
    phases: list[dict[str, Any]] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)
    folder: str = "."  # where relative paths start; set on reading

    def __post_init__(self) -> None:
        coloured = [
            {**each, "color": each.get("color") or default_color(index)}
            for index, each in enumerate(self.classes)
        ]
        object.__setattr__(self, "classes", coloured)
        for key in ("scale_range", "value_range"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, tuple(getattr(self, key)))
        _check(self)

    @classmethod
    def read(cls, path: Path, data: Path | None = None) -> TrainingConfig:
        """Read a JSON file; relative paths start at ``data``, by default at the file's folder."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingError(
                translate("ScasNet", "The training settings {path} cannot be read."),
                str(error),
                path=path,
            ) from error
        return cls.of({"folder": str(data or Path(path).parent), **values})

    @classmethod
    def of(cls, values: dict[str, Any]) -> TrainingConfig:
        """Settings from plain JSON values; unknown keys and missing ones are errors."""
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SettingError(
                translate("ScasNet", "The training settings have unknown keys: {names}."),
                names=", ".join(unknown),
            )
        missing = sorted({"data", "classes"} - set(values))
        if missing:
            raise SettingError(
                translate("ScasNet", "The training settings lack: {names}."),
                names=", ".join(missing),
            )
        return cls(**values)

    def at(self, step: int) -> TrainingConfig:
        """The settings in force at a step."""
        changes: dict[str, Any] = {}
        for phase in sorted(self.phases, key=lambda each: int(each["step"])):
            if step >= int(phase["step"]):
                changes |= {key: each for key, each in phase.items() if key != "step"}
        return replace(self, **changes) if changes else self

    def path(self, relative: str) -> Path:
        """A path of the configuration, relative to the folder of the data."""
        return Path(self.folder) / relative

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def class_names(self) -> list[str]:
        return [str(each["name"]) for each in self.classes]

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
        return _PUBLISHED_HEAD_RATE[self.variant] if self.optimizer == "sgd" else 1.0

    @property
    def ends(self) -> list[float | None]:
        """When the run ends: epochs, steps, minutes."""
        return [self.epochs, self.steps, self.time_budget]

    def decisive(self) -> dict[str, Any]:
        """The settings that make another run of it when they change, as JSON values."""
        values = json.loads(json.dumps(self.as_dict()))
        return {key: each for key, each in values.items() if key not in FREE_KEYS}


def _check(config: TrainingConfig) -> None:
    """Raise SettingError for values that cannot work."""
    if config.optimizer not in OPTIMIZERS:
        raise SettingError(
            translate("ScasNet", "There is no optimizer '{name}': choose one of {names}."),
            name=config.optimizer,
            names=", ".join(OPTIMIZERS),
        )
    for phase in config.phases:
        odd = sorted(set(phase) - {"step", *PHASE_KEYS})
        if odd or "step" not in phase:
            raise SettingError(
                translate(
                    "ScasNet", "A phase needs 'step' and may set {names}; one has {value} instead."
                ),
                names=", ".join(PHASE_KEYS),
                value=", ".join(odd) or "no step",
            )
    at_least = {"crop": 32, "batch": 1, "learning_rate": 0.0, "time_budget": 0.0, "epochs": 0.0}
    for key, least in at_least.items():
        value = getattr(config, key)
        if value is not None and (value < least or (least == 0.0 and value == 0.0)):
            raise SettingError(
                translate("ScasNet", "The training setting '{key}' must not be {value}."),
                key=key,
                value=value,
            )
    if not 0.0 <= config.validation_share < 1.0:
        raise SettingError(
            translate("ScasNet", "The share kept for validation must lie between 0 and 1.")
        )


def tile_of(config: TrainingConfig) -> tuple[int, int]:
    """Tile size and overlap in pixels that the model's card advises.

    About as large as the crops that were trained on, as networks do no better on larger tiles, and
    those need more memory. The overlap hides the borders of ScasNet's tiles (benchmarks/seams.py).
    """
    size = int(config.card.get("tile_size", TILE))
    return size, int(config.card.get("overlap", min(OVERLAP, size // 4)))
