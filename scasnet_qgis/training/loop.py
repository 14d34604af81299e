"""The training loop: crops in, the best network on the validation scenes out."""

from __future__ import annotations

import copy
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.core.errors import TrainingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.evaluation import confusion
from scasnet_qgis.training.initialisation import start_encoder
from scasnet_qgis.training.normalisation import measure
from scasnet_qgis.training.sampling import CropSampler
from scasnet_qgis.training.scenes import IGNORE, scenes_of

LOG_EVERY = 20  # steps


class Trainer:
    """One run in a work folder: it holds the checkpoint, the best network and the log."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        say: Callable[[str], None] = print,
        device: str = "cpu",
    ) -> None:
        self.config, self.folder, self.say, self.device = config, folder, say, device
        saved = Checkpoint.load(folder / "checkpoint")
        if saved is not None:
            _check_resumable(config, saved.state["config"], folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.training, self.validation = scenes_of(config, folder)
        self.normalisation = measure(self.training, config.value_range)
        self.sampler = CropSampler(self.training, config)
        self.step, self.seconds, self.best = 0, 0.0, -1.0
        torch.manual_seed(config.seed)
        self.network = ScasNet(
            ScasNetConfig(config.variant, len(config.bands), len(config.classes), config.width)
        )
        if saved is None and config.start_from:
            start_encoder(self.network, config, self.training, self.normalisation)
        self.network = self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimizer = self._optimizer()
        if saved is not None:
            self._restore(saved)

    def _optimizer(self) -> torch.optim.AdamW:
        encoder = list(self.network.encoder.parameters())
        inside = {id(each) for each in encoder}
        rest = [each for each in self.network.parameters() if id(each) not in inside]
        rate = self.config.encoder_rate if self.config.start_from else 1.0
        groups = [{"params": encoder, "factor": rate}, {"params": rest, "factor": 1.0}]
        return torch.optim.AdamW(
            groups, lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )

    @property
    def progress(self) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        done = self.step / self.config.steps
        if self.config.time_budget:
            done = max(done, self.seconds / (60.0 * self.config.time_budget))
        return min(done, 1.0)

    def learning_rate(self) -> float:
        """Polynomial decay after a linear warm-up."""
        warm = min(1.0, (self.step + 1) / max(self.config.warm_up, 1))
        return self.config.learning_rate * warm * (1.0 - self.progress) ** self.config.decay_power

    def run(self) -> None:
        """Train to the end of the schedule, or go on from the checkpoint."""
        config = self.config
        self.say(
            f"{len(self.training)} training and {len(self.validation)} validation images, "
            f"{sum(each.numel() for each in self.network.parameters()):,} weights, "
            f"from step {self.step}"
        )
        saved = evaluated = self.seconds
        with ThreadPoolExecutor(max_workers=1) as prefetch:
            upcoming = prefetch.submit(self._batch, self.step)
            while self.progress < 1.0:
                started = time.monotonic()
                images, labels = upcoming.result()
                upcoming = prefetch.submit(self._batch, self.step + 1)
                loss = self._train_on(images, labels)
                self.step += 1
                self.seconds += time.monotonic() - started
                if self.step % LOG_EVERY == 0:
                    self._log(loss=loss)
                if self.seconds - evaluated >= 60 * config.evaluate_every:
                    self.evaluate()
                    evaluated = self.seconds
                if self.seconds - saved >= 60 * config.checkpoint_every:
                    self.save()
                    saved = self.seconds
        self.evaluate()
        self.save()

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        # A generator per step makes a resumed run see what an uninterrupted one would have seen.
        return self.sampler.batch(
            self.config.at(step), np.random.default_rng([self.config.seed, step])
        )

    def _train_on(self, images: Tensor, labels: Tensor) -> float:
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # for dropout
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate() * group["factor"]
        inputs = self.normalisation.standardise(images)
        inputs = inputs.to(self.device).contiguous(memory_format=torch.channels_last)
        scores = self.network(inputs)
        loss = functional.cross_entropy(
            scores,
            labels.to(self.device),
            weight=self.sampler.class_weights(self.config.at(self.step).class_weight_power).to(
                self.device
            ),
            ignore_index=IGNORE,
        )
        self.optimizer.zero_grad(set_to_none=True)
        if torch.isfinite(loss):  # a batch without any label has no loss
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
            self.optimizer.step()
        self._average()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        for mean, current in zip(
            self.averaged.state_dict().values(), self.network.state_dict().values()
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(current, 1.0 - decay)
            else:
                mean.copy_(current)

    def evaluate(self) -> ConfusionMatrix:
        """Measure the averaged network on the validation scenes; keep it if it is the best."""
        matrix = confusion(
            self.averaged,
            self.validation,
            self.normalisation,
            len(self.config.classes),
            self.device,
        )
        # Rounded as in the file, from which a resumed run takes it.
        score = round(matrix.mean_iou, 4)
        result = {
            "overall_accuracy": round(matrix.overall_accuracy, 4),
            "mean_iou": score,
            "iou": dict(zip(self.config.class_names, np.round(matrix.iou, 4).tolist())),
        }
        self._log(**result)
        if score > self.best:
            self.best = score
            tensors = {
                f"model.{key}": each.cpu() for key, each in self.averaged.state_dict().items()
            }
            state = {"network": vars(self.network.config), "step": self.step, **result}
            state["confusion"] = matrix.counts.tolist()
            state["normalisation"] = vars(self.normalisation)
            Checkpoint(tensors, state).save(self.folder / "best")
        return matrix

    def save(self) -> None:
        """Write everything a later run needs to go on as if it had not been interrupted."""
        tensors = {f"model.{key}": each.cpu() for key, each in self.network.state_dict().items()}
        tensors |= {f"mean.{key}": each.cpu() for key, each in self.averaged.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": each.cpu() for key, each in values.items()}
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "config": self.config.as_dict(),
        }
        Checkpoint(tensors, state).save(self.folder / "checkpoint")

    def _restore(self, saved: Checkpoint) -> None:
        self.network.load_state_dict(saved.group("model"))
        self.averaged.load_state_dict(saved.group("mean"))
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in saved.group("optimizer").items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = tensor
        current = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})
        self.step = int(saved.state["step"])
        self.seconds = float(saved.state["seconds"])
        # The best network may be newer than the checkpoint: it alone knows how good it is.
        best = Checkpoint.load(self.folder / "best")
        self.best = -1.0 if best is None else float(best.state["mean_iou"])

    def _log(self, **values: Any) -> None:
        record = {"step": self.step, "minutes": round(self.seconds / 60, 2), **values}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        self.say(json.dumps(record))


def _check_resumable(config: TrainingConfig, begun: dict[str, Any], folder: Path) -> None:
    """Refuse settings that make another network, or other classes, than the checkpoint's."""
    now = config.as_dict()
    changed = [key for key in ("variant", "width", "bands") if now[key] != begun[key]]
    values, former = ([each["value"] for each in some["classes"]] for some in (now, begun))
    if values != former:  # names and colours may change
        changed.append("classes")
    if changed:
        raise TrainingError(
            translate(
                "ScasNet",
                "The training in {folder} was begun with other settings for {names}: set them "
                "back or use another work folder.",
            ),
            folder=folder,
            names=", ".join(changed),
        )
