"""Train a network from the command line: ``python -m scasnet_qgis.training CONFIG --work FOLDER``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scasnet_qgis.core.errors import ScasNetError


def main() -> int:
    """Train, or go on from the work folder's checkpoint. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scasnet_qgis.training", description=__doc__)
    parser.add_argument("config", type=Path, help="training settings (JSON)")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    import torch

    from scasnet_qgis.training.config import TrainingConfig
    from scasnet_qgis.training.loop import Trainer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        Trainer(
            TrainingConfig.read(arguments.config),
            arguments.work,
            say=lambda text: print(text, flush=True),
            device=arguments.device,
        ).run()
    except ScasNetError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
