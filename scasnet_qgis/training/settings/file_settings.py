"""The settings of a training that only a JSON file can change, each declared once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import Choice, FilePath, Kind, Number, Text, option


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def classes_text(classes: Sequence[Mapping[str, Any]]) -> str:
    """The value, name and colour of each class."""
    return ", ".join("{value}: {name} ({color})".format(**entry) for entry in classes)


def setting(default: Any, label: str, kind: Kind, differs: str = "", **details: Any) -> Any:
    """A setting that stands in JSON files only, and is no parameter of the algorithm."""
    return option(default, "", label, "", kind, differs=differs, **details)


@dataclass(frozen=True)
class FileSettings:
    """They stand in the file of a training (see training/settings/config.py), and in its report.

    ``data`` lists what to learn from; an entry names ``image`` and ``labels``, two files or two
    folders of equally named files (see training/data/sources.py); relative paths start at
    ``folder``.
    ``classes`` have a value in the labels, a name and a colour. ``value_range`` is measured where
    it is not given; ``block`` is the side of the validation blocks, 0 to choose it from the labels.

    ``encoder_rate`` multiplies the learning rate of an encoder that does not start from nothing.
    ``average`` is the decay of the running mean of the weights. A class weighs its share to the
    minus ``class_weight_power``; ``balanced_share`` of the crops are centred on a class drawn at
    random. ``precision`` "single" forbids mixed precision.

    ``phases`` change some settings (PHASE_KEYS) from a step on: each holds ``step`` and the new
    values, which stay until a later phase changes them again.
    """

    data: list[dict[str, Any]] = setting(
        (),  # compared by the files themselves, see training/run.py
        translate("ScasNet", "Images and labels"),
        Text(),
        write=as_json,
    )
    folder: str = setting(".", translate("ScasNet", "Folder of the data"), FilePath(folder=True))

    classes: list[dict[str, Any]] = setting(
        (),
        translate("ScasNet", "Classes"),
        Text(),
        translate("ScasNet", "the classes differ"),
        write=classes_text,
    )
    bands: list[str] = setting(
        ("red", "green", "blue"),
        translate("ScasNet", "Bands of the model"),
        Text(),
        translate("ScasNet", "the bands differ"),
    )
    value_range: tuple[float, float] | None = setting(
        None,
        translate("ScasNet", "Input value range"),
        Text(),
        translate("ScasNet", "the input value range differs"),
    )
    block: int = setting(
        0,
        translate("ScasNet", "Side of validation blocks (pixels)"),
        Number(0, integer=True),
        translate("ScasNet", "the validation blocks differ"),
    )
    steps: int | None = setting(
        None,
        translate("ScasNet", "Maximum number of steps"),
        Number(1, integer=True, optional=True),
    )
    encoder_rate: float = setting(
        0.5,
        translate("ScasNet", "Learning-rate multiplier, encoder"),
        Number(0.0),
        translate("ScasNet", "the learning rate differs"),
    )
    weight_decay: float = setting(
        0.01,
        translate("ScasNet", "Weight decay"),
        Number(0.0),
        translate("ScasNet", "the weight decay differs"),
    )
    momentum: float = setting(
        0.9,
        translate("ScasNet", "Momentum (sgd)"),
        Number(0.0),
        translate("ScasNet", "the momentum differs"),
    )
    warm_up: int = setting(
        100,
        translate("ScasNet", "Warm-up steps"),
        Number(0, integer=True),
        translate("ScasNet", "the warm-up differs"),
    )
    decay_power: float = setting(
        0.9,
        translate("ScasNet", "Power of the learning-rate decay"),
        Number(0.0),
        translate("ScasNet", "the learning-rate decay differs"),
    )
    gradient_clip: float = setting(
        1.0,
        translate("ScasNet", "Gradient clipping"),
        Number(0.0),
        translate("ScasNet", "the gradient clipping differs"),
    )
    average: float = setting(
        0.998,
        translate("ScasNet", "Decay of the averaged weights"),
        Number(0.0, 1.0),
        translate("ScasNet", "the averaging of the weights differs"),
    )
    class_weight_power: float = setting(
        0.1,
        translate("ScasNet", "Class weighting power"),
        Number(0.0),
        translate("ScasNet", "the class weighting differs"),
    )
    balanced_share: float = setting(
        0.3,
        translate("ScasNet", "Share of class-balanced tiles"),
        Number(0.0, 1.0),
        translate("ScasNet", "the share of class-balanced tiles differs"),
    )
    scale_range: tuple[float, float] = setting(
        (0.8, 1.25),
        translate("ScasNet", "Random scaling"),
        Text(),
        translate("ScasNet", "the random scaling differs"),
    )
    evaluate_every: float = setting(
        10.0, translate("ScasNet", "Minutes between evaluations"), Number(0.0)
    )
    checkpoint_every: float = setting(
        3.0, translate("ScasNet", "Minutes between checkpoints"), Number(0.0)
    )
    precision: str = setting("auto", translate("ScasNet", "Precision"), Choice(("auto", "single")))
    phases: list[dict[str, Any]] = setting(
        (),
        translate("ScasNet", "Changes during the training"),
        Text(),
        translate("ScasNet", "the changes during the training differ"),
        write=as_json,
    )
