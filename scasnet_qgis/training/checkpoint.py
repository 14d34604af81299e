"""Checkpoints: tensors as safetensors, everything else as JSON, never pickle."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from scasnet_qgis.common.errors import OutputError, TrainingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.untrusted import check_regular_file

TENSORS, STATE = "tensors.safetensors", "state.json"
CHECKPOINT, BEST = "checkpoint", "best"  # folders in a training's work folder
_MOST_STATE = 8_000_000  # bytes; ours have a few thousand


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and a state of plain JSON values."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name starts with ``prefix.``, without it."""
        start = f"{prefix}."
        return {
            key[len(start) :]: tensor
            for key, tensor in self.tensors.items()
            if key.startswith(start)
        }

    def save(self, folder: Path) -> None:
        """Write the folder whole: an interruption leaves the former checkpoint or this one."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        fresh, former = folder.with_name(folder.name + ".new"), _former(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        tensors = {key: tensor.contiguous() for key, tensor in self.tensors.items()}
        try:
            fresh.mkdir(parents=True)
            save_file(tensors, fresh / TENSORS)
            (fresh / STATE).write_text(json.dumps(self.state, indent=1), encoding="utf-8")
        except (OSError, SafetensorError) as error:
            shutil.rmtree(fresh, ignore_errors=True)
            text = translate(
                "ScasNet",
                "The training cannot be saved in {folder}: free some disk space and run the "
                "training again to resume it.",
            )
            raise OutputError(text, str(error), folder=folder.parent) from error
        if folder.exists():  # else the former one may be the only one: it stays until the end
            shutil.rmtree(former, ignore_errors=True)
            folder.replace(former)
        fresh.replace(folder)
        shutil.rmtree(former, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> Checkpoint | None:
        """The checkpoint in ``folder``, None where there is none.

        Nothing is moved, as the run that owns the folder may be replacing it right now.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not folder.exists():
            folder = _former(folder)
        if not folder.exists():
            return None
        try:
            check_regular_file(folder / STATE, _MOST_STATE)
            check_regular_file(folder / TENSORS)
            state = json.loads((folder / STATE).read_text(encoding="utf-8"))
            if not isinstance(state, dict):
                raise ValueError("the state is no dictionary")
            return cls(load_file(folder / TENSORS), state)
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            text = translate(
                "ScasNet", "The checkpoint {folder} is damaged: delete it to start again."
            )
            raise TrainingError(text, str(error), folder=folder) from error


def _former(folder: Path) -> Path:
    """Where the former checkpoint lies while a new one takes its place."""
    return folder.with_name(folder.name + ".old")


def checkpoint_folder(path: Path) -> Path | None:
    """The checkpoint that a path means: a folder, one of its files, or a training's work folder."""
    folder = path.parent if path.name in (STATE, TENSORS) else path
    if (folder / BEST).is_dir():
        return folder / BEST
    return folder if (folder / STATE).is_file() else None
