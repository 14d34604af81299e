"""Where and in which precision training computes, and how weights are updated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.settings.config import DEFAULT_MINUTES, TrainingConfig


def choose_device(wanted: str) -> str:
    """PyTorch's name of the device, one of DEVICES; "auto" takes a GPU where there is one."""
    has_gpu = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if has_gpu else "cpu"
    if wanted == "cuda" and not has_gpu:
        text = translate(
            "ScasNet",
            "PyTorch finds no GPU here: choose the device 'cpu' or 'auto', or install a PyTorch "
            "for your GPU.",
        )
        raise SettingError(text)
    return wanted


class Precision:
    """Mixed precision where the device is faster with it; weights stay in single precision."""

    def __init__(self, device: str, wanted: str) -> None:
        self.device = device
        self.kind = None if wanted == "single" else _half_kind(device)
        self._scaler = torch.amp.GradScaler(device, enabled=self.kind is torch.float16)

    def autocast(self) -> AbstractContextManager[object]:
        if self.kind is None:
            return nullcontext()
        return torch.autocast(self.device, self.kind)

    def update(
        self, loss: Tensor, optimizer: torch.optim.Optimizer, network: nn.Module, clip: float
    ) -> None:
        """One step down the gradient, which is clipped to the norm ``clip``."""
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), clip)
        self._scaler.step(optimizer)
        self._scaler.update()

    def __str__(self) -> str:
        return "float32" if self.kind is None else str(self.kind).removeprefix("torch.")


def _half_kind(device: str) -> torch.dtype | None:
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if fast else None


def make_optimizer(
    network: ScasNet, config: TrainingConfig, encoder_knows: bool
) -> torch.optim.Optimizer:
    """AdamW or SGD; each group's "factor" multiplies the learning rate.

    An encoder that knows something already moves more slowly, the head as published.
    """
    parts = {"encoder": network.encoder, "head": network.head}
    placed = {id(weight) for part in parts.values() for weight in part.parameters()}
    groups = [
        {
            "params": list(network.encoder.parameters()),
            "factor": config.encoder_rate if encoder_knows else 1.0,
        },
        {"params": list(network.head.parameters()), "factor": config.head_factor},
        {"params": [p for p in network.parameters() if id(p) not in placed], "factor": 1.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=config.base_rate, momentum=config.momentum, weight_decay=config.weight_decay
        )
    return torch.optim.AdamW(groups, lr=config.base_rate, weight_decay=config.weight_decay)


EVALUATION_SHARE = 0.1  # of the time, at most
WARM_UP_SHARE = 0.05  # of the run, at most
FIRST_EVALUATION = 0.05  # of the run, so that a training cancelled early leaves a model


class Schedule:
    """The end of a run by epochs, steps and minutes, and the learning rate on the way."""

    def __init__(self, config: TrainingConfig, scenes: list[Scene]) -> None:
        self._config = config
        self.steps_per_epoch = max(1, ceil(labelled_cells(scenes, config.crop) / config.batch))
        ends = [] if config.steps is None else [config.steps]
        if config.epochs is not None:
            ends.append(max(1, round(config.epochs * self.steps_per_epoch)))
        self._steps = min(ends, default=None)
        self._minutes = config.time_budget
        if self._steps is None and self._minutes is None:
            self._minutes = DEFAULT_MINUTES

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        by_steps = step / self._steps if self._steps else 0.0
        by_time = seconds / (60.0 * self._minutes) if self._minutes else 0.0
        return min(max(by_steps, by_time), 1.0)

    def learning_rate(self, step: int, seconds: float) -> float:
        """Polynomial decay after a linear warm-up, which is shorter where the run is."""
        done = self.progress(step, seconds)
        warm = min(1.0, max((step + 1) / max(self._config.warm_up, 1), done / WARM_UP_SHARE))
        left = 1.0 - done
        return float(self._config.base_rate * warm * left**self._config.decay_power)

    def epoch(self, step: int) -> float:
        return step / self.steps_per_epoch

    def remaining(self, step: int, seconds: float) -> float:
        """Estimated seconds to the end."""
        done = self.progress(step, seconds)
        return seconds * (1.0 - done) / done if done > 0 else float("inf")


class EvaluationTimer:
    """Says when to evaluate: now and then, but for no more than EVALUATION_SHARE of the time."""

    def __init__(self, config: TrainingConfig) -> None:
        self._every = 60.0 * config.evaluate_every
        self._last, self._took = 0.0, 0.0
        self._evaluated = False

    def due(self, seconds: float, progress: float) -> bool:
        if not self._evaluated:
            return progress >= FIRST_EVALUATION or seconds >= self._every
        since = seconds - self._last
        # Short runs look at themselves more often than every few minutes.
        wanted = min(self._every, FIRST_EVALUATION * 2 * seconds / max(progress, 1e-6))
        return since >= max(wanted, self._took / EVALUATION_SHARE)

    def evaluated(self, seconds: float, took: float) -> None:
        """Tell that an evaluation of ``took`` seconds ended at ``seconds``."""
        self._last, self._took, self._evaluated = seconds, took, True


def labelled_cells(scenes: list[Scene], size: int) -> int:
    """Squares of ``size`` pixels that hold labels: as many crops see every label about once."""
    count = 0
    for scene in scenes:
        for top in range(0, scene.labels.shape[0], size):
            strip = np.asarray(scene.labels[top : top + size]) != IGNORE
            starts = np.arange(0, strip.shape[1], size)
            count += int(np.logical_or.reduceat(strip.any(axis=0), starts).sum())
    return count
