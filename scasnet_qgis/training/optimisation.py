"""Where and in which precision training computes, and how weights are updated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.training.config import TrainingConfig


def choose_device(wanted: str) -> str:
    """PyTorch's name of the device; "auto" takes a GPU where there is one."""
    has_gpu = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if has_gpu else "cpu"
    if wanted == "cuda" and not has_gpu:
        raise SettingError(
            translate(
                "ScasNet",
                "PyTorch finds no GPU here: choose the device 'cpu' or 'auto', or install a "
                "PyTorch for your GPU.",
            )
        )
    if wanted not in ("cpu", "cuda"):
        raise SettingError(
            translate("ScasNet", "Training runs on 'cpu' or 'cuda', not on '{device}'."),
            device=wanted,
        )
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
