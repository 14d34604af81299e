"""Train a network: ``python -m scasnet_qgis.training CONFIG --work FOLDER``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scasnet_qgis.core.errors import ScasNetError

SMALLEST_TILE = 8  # pixels, as in network/export.py


def main() -> int:
    """Train, or go on from the work folder's checkpoint. Returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.model is None and (arguments.fixed_size or arguments.half):
        parser.error("--fixed-size and --half are about the file of --model, which is missing")
    try:
        train(arguments)
    except ScasNetError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scasnet_qgis.training", description=__doc__)
    parser.add_argument("config", type=Path, help="training settings (JSON)")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--data", type=Path, help="where the relative folders of CONFIG start")
    parser.add_argument("--model", type=Path, help="write the best network to this file (.onnx)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--fixed-size",
        type=_tile_size,
        metavar="N",
        help="make the model for square tiles of N pixels, which Deepness and GeoDeep need",
    )
    parser.add_argument(
        "--half", action="store_true", help="store the model's weights in half precision"
    )
    return parser


def _tile_size(text: str) -> int:
    # Refused now, not after hours of training.
    if not text.isdecimal() or int(text) < SMALLEST_TILE:
        raise argparse.ArgumentTypeError(f"must be a whole number from {SMALLEST_TILE} on")
    return int(text)


def train(arguments: argparse.Namespace) -> None:
    """Run the schedule to its end and export the best network if a file is named."""
    import torch

    from scasnet_qgis.training.config import TrainingConfig
    from scasnet_qgis.training.export import export_best
    from scasnet_qgis.training.loop import Trainer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = TrainingConfig.read(arguments.config, arguments.data)
    trainer = Trainer(config, arguments.work, say=say, device=arguments.device)
    trainer.run()
    if arguments.model:
        check = export_best(
            arguments.work,
            config,
            arguments.model,
            fixed_size=arguments.fixed_size,
            half=arguments.half,
        )
        say(f"{arguments.model}: differs from PyTorch by at most {check.difference:.1e}")
        if arguments.half:
            say(f"Half precision changes a probability by at most {check.rounding:.1e}")


def say(text: str) -> None:
    """Write a line at once, so that a log can be followed."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
