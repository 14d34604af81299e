"""The training loop: crops in, the best network on the validation scenes out."""

from __future__ import annotations

import copy
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import Cancelled, TrainingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.checkpoint import BEST, CHECKPOINT, Checkpoint
from scasnet_qgis.training.data.crops import CropSampler
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.evaluation import confusion, forward_of
from scasnet_qgis.training.initialisation import start
from scasnet_qgis.training.optimisation import (
    EvaluationTimer,
    Precision,
    Schedule,
    choose_device,
    make_optimizer,
)
from scasnet_qgis.training.run_log import RunLog
from scasnet_qgis.training.settings.config import TrainingConfig, tile_of

LOG_EVERY = 20  # steps
LOG_SECONDS = 10.0  # the same in time, for slow computers
_AHEAD = {"cpu": 1, "cuda": 6}  # batches cut while one is learned from


class Trainer:
    """One run in a work folder: it holds the checkpoint, the best network and the log."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        scenes: tuple[list[Scene], list[Scene]],
        normalisation: Normalisation,
        facts: dict[str, Any],
        progress: Progress,
    ) -> None:
        """``facts`` about the data (summary.data_facts) go into the checkpoints as they are."""
        self.config, self.folder, self.progress = config, folder, progress
        self.training, self.validation = scenes
        self.normalisation, self.facts = normalisation, facts
        self.device = choose_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self._precision = Precision(self.device, config.precision)
        self.schedule = Schedule(config, self.training)
        self._timer = EvaluationTimer(config)
        self._log = RunLog(folder, self.schedule, progress)
        self.sampler = CropSampler(self.training, len(config.classes), normalisation, config.seed)
        self.step, self.seconds, self.best = 0, 0.0, -1.0
        self._begin(Checkpoint.load(folder / CHECKPOINT))

    def _begin(self, saved: Checkpoint | None) -> None:
        config = self.config
        torch.manual_seed(config.seed)
        self.network = ScasNet(
            ScasNetConfig(config.encoder, len(config.bands), len(config.classes), config.width)
        )
        if saved is None:
            began = time.monotonic()
            begun = start(self.network, config, self.training, self.normalisation)
            self._encoder_knows = begun.encoder_knows
            self.seconds = time.monotonic() - began  # slimming an encoder takes minutes
            self.progress.info(begun.sentence)
        else:
            self._encoder_knows = bool(saved.state["encoder_knows"])
        self.network = self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimizer = make_optimizer(self.network, config, self._encoder_knows)
        if saved is not None:
            self._restore(saved)

    @property
    def done(self) -> float:
        """Share of the run that is done."""
        return self.schedule.progress(self.step, self.seconds)

    def run(self) -> None:
        """Train to the end of the schedule, or go on from the checkpoint.

        Raises Cancelled, with the checkpoint saved, soon after ``progress.cancelled`` turns true.
        """
        weights = sum(weight.numel() for weight in self.network.parameters())
        self._log.start(weights, self.device, str(self._precision), self.step)
        try:
            self._run()
        except Cancelled:
            self.save()
            raise
        except torch.cuda.OutOfMemoryError as error:
            text = translate(
                "ScasNet",
                "The memory of the graphics card is full: choose a smaller batch size, a smaller "
                "tile size or the device cpu.",
            )
            raise TrainingError(text, str(error)) from error

    def _run(self) -> None:
        saved = logged = self.seconds
        measured = -1  # step
        workers = 1 if self.device == "cpu" else _AHEAD[self.device]
        with ThreadPoolExecutor(max_workers=workers) as cutting:
            upcoming: deque[Future[tuple[Tensor, Tensor]]] = deque()
            ahead = self.step
            while self.done < 1.0:
                self.progress.check()
                while len(upcoming) <= _AHEAD[self.device]:
                    upcoming.append(cutting.submit(self._batch, ahead))
                    ahead += 1
                began = time.monotonic()
                loss = self._train_on(*upcoming.popleft().result())
                self.step += 1
                self.seconds += time.monotonic() - began
                if self.step % LOG_EVERY == 0 or self.seconds - logged >= LOG_SECONDS:
                    self._log.loss(self.step, self.seconds, loss)
                    self.progress.report(self.done)
                    logged = self.seconds
                if self._timer.due(self.seconds, self.done) and self.done < 1.0:
                    self.evaluate()
                    self.save()  # so that what was measured can be gone on from
                    saved, measured = self.seconds, self.step
                if self.seconds - saved >= 60 * self.config.checkpoint_every:
                    self.save()
                    saved = self.seconds
            for batch in upcoming:
                batch.cancel()
        if measured != self.step:  # an evaluation may have used up the rest of the time
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
        rate = self.schedule.learning_rate(self.step, self.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        inputs = self.normalisation.standardise(images).to(self.device, non_blocking=True)
        with self._precision.autocast():
            scores = self.network(inputs.contiguous(memory_format=torch.channels_last))
        weights = self.sampler.class_weights(self.config.at(self.step).class_weight_power)
        loss = functional.cross_entropy(
            scores.float(),
            labels.to(self.device),
            weight=weights.to(self.device),
            ignore_index=IGNORE,
        )
        self.optimizer.zero_grad(set_to_none=True)
        if torch.isfinite(loss):  # a batch without any label has no loss
            self._precision.update(loss, self.optimizer, self.network, self.config.gradient_clip)
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
        began = time.monotonic()
        matrix = confusion(
            forward_of(self.averaged, self.device),
            self.validation,
            self.normalisation,
            len(self.config.classes),
            tile_of(self.config),
            self.progress,
        )
        took = time.monotonic() - began
        self.seconds += took
        self._timer.evaluated(self.seconds, took)
        result = self._log.accuracy(self.step, self.seconds, matrix, self.config.class_names)
        # Compared as it is written, for a resumed run takes it from the file.
        if result["mean_iou"] > self.best:
            self.best = result["mean_iou"]
            self._keep_best(matrix, result)
        return matrix

    def _keep_best(self, matrix: ConfusionMatrix, result: dict[str, Any]) -> None:
        tensors = {
            f"model.{key}": tensor.cpu() for key, tensor in self.averaged.state_dict().items()
        }
        state = {**self._identity(), "step": self.step, **result}
        state["epoch"] = round(self.schedule.epoch(self.step), 3)
        state["confusion"] = matrix.counts.tolist()
        Checkpoint(tensors, state).save(self.folder / BEST)

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint says about its network."""
        return {
            "network": vars(self.network.config),
            "bands": self.config.bands,
            "classes": self.config.class_names,
            "normalisation": vars(self.normalisation),
            "config": self.config.as_dict(),
            "facts": self.facts,
        }

    def save(self) -> None:
        """Write everything a later run needs to go on as if it had not been interrupted."""
        tensors = {
            f"model.{key}": tensor.cpu() for key, tensor in self.network.state_dict().items()
        }
        tensors |= {
            f"mean.{key}": tensor.cpu() for key, tensor in self.averaged.state_dict().items()
        }
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{index}.{key}": torch.as_tensor(value).cpu()
                for key, value in values.items()
                if value is not None
            }
        state = {
            **self._identity(),
            "step": self.step,
            "seconds": self.seconds,
            "encoder_knows": self._encoder_knows,
            "finished": self.done >= 1.0,
            "ends": self.config.ends,
        }
        Checkpoint(tensors, state).save(self.folder / CHECKPOINT)

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
        best = Checkpoint.load(self.folder / BEST)
        self.best = -1.0 if best is None else float(best.state["mean_iou"])
