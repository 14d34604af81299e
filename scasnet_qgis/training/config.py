"""The settings of one training run, read from a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate

PHASE_KEYS = ("crop", "batch", "scale_range", "balanced_share", "class_weight_power")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training run does.

    ``images`` and ``labels`` are folders of equally named files; files whose stem matches the
    pattern ``validation`` (as in file globbing) are kept apart. The learning rate follows a
    polynomial decay over ``time_budget`` minutes or ``steps``, whichever ends first.

    ``phases`` change some settings (PHASE_KEYS) from a step on: each holds ``step`` and the new
    values, which stay until a later phase changes them again.
    """

    images: str
    labels: str
    validation: str
    classes: list[dict[str, Any]]  # value in the label files, name, colour
    bands: list[str] = field(default_factory=lambda: ["red", "green", "blue"])
    value_range: tuple[float, float] = (0.0, 255.0)
    variant: str = "vgg"
    width: float = 0.25
    start_from: str | None = None  # VGG encoder weights (.caffemodel)
    start_mean_bgr: tuple[float, float, float] = (104.008, 116.669, 122.675)
    steps: int = 5000
    time_budget: float | None = None  # minutes
    crop: int = 320
    batch: int = 6
    learning_rate: float = 5e-4
    encoder_rate: float = 0.5  # factor on the learning rate of the encoder
    weight_decay: float = 0.01
    warm_up: int = 100  # steps
    decay_power: float = 0.9
    gradient_clip: float = 1.0
    average: float = 0.998  # decay of the running mean of the weights
    class_weight_power: float = 0.25  # weight of a class = its share to the minus this power
    balanced_share: float = 0.5  # share of crops centred on a class drawn at random
    scale_range: tuple[float, float] = (0.5, 2.0)
    evaluate_every: float = 10.0  # minutes
    checkpoint_every: float = 5.0  # minutes
    seed: int = 1
    phases: list[dict[str, Any]] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)
    folder: str = "."  # where relative paths start; set on reading

    @classmethod
    def read(cls, path: Path, data: Path | None = None) -> TrainingConfig:
        """Read a JSON file; unknown keys and missing ones are errors.

        Relative folders start at ``data``, by default at the file's own folder.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingError(
                translate("ScasNet", "The training settings {path} cannot be read."),
                str(error),
                path=path,
            ) from error
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SettingError(
                translate("ScasNet", "The training settings {path} have unknown keys: {names}."),
                path=path,
                names=", ".join(unknown),
            )
        missing = sorted({"images", "labels", "validation", "classes"} - set(values))
        if missing:
            raise SettingError(
                translate("ScasNet", "The training settings {path} lack: {names}."),
                path=path,
                names=", ".join(missing),
            )
        for phase in values.get("phases", []):
            odd = sorted(set(phase) - {"step", *PHASE_KEYS})
            if odd or "step" not in phase:
                raise SettingError(
                    translate(
                        "ScasNet",
                        "A phase of {path} needs 'step' and may set {names}; it has {value}.",
                    ),
                    path=path,
                    names=", ".join(PHASE_KEYS),
                    value=", ".join(odd) or "no step",
                )
        return cls(**{"folder": str(data or Path(path).parent), **values})

    def at(self, step: int) -> TrainingConfig:
        """The settings in force at a step."""
        changes: dict[str, Any] = {}
        for phase in sorted(self.phases, key=lambda each: int(each["step"])):
            if step >= int(phase["step"]):
                changes |= {key: each for key, each in phase.items() if key != "step"}
        return replace(self, **changes)

    def path(self, relative: str) -> Path:
        """A path of the configuration, relative to the folder of the data."""
        return Path(self.folder) / relative

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def class_names(self) -> list[str]:
        return [str(each["name"]) for each in self.classes]
