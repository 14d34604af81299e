"""How fast is a graphics card? Both networks at full width, in single and in half precision.

    build/venv/bin/python -m benchmarks.gpu [--device cuda] [--size 10000x10000] [--repeats 3]

The weights are random, which costs as much time as trained ones. Each model maps a
raster of real images, next to one bare session fed with the same tiles from memory. Without a
device of that name nothing is measured. Prints a JSON object. To try the script without a
card: --device cpu --width 0.1 --size 600x600 --repeats 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from osgeo import gdal

from benchmarks.child import run_fresh, spread
from benchmarks.rasters import mosaic, size_of
from benchmarks.throughput import DEMO
from scasnet_qgis.common.model_card import ModelCard, ModelClass, default_color
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.runtime import PROVIDERS, available
from scasnet_qgis.training.export.job import export_task

SIZE = (10_000, 10_000)  # rows, columns
CARDS = ("cuda", "tensorrt", "migraphx", "rocm", "directml")
VARIANTS = ("vgg", "resnet")
PRECISIONS = ("fp32", "fp16")
CLASSES = ("building", "land", "road", "vegetation", "water")
PROBE = 256  # pixels; on these an export is checked against PyTorch


def card_here() -> str:
    """The first graphics card provider of the installed onnxruntime, "" for none."""
    return next((name for name in available() if name in CARDS), "")


def card_name() -> str:
    """What NVIDIA's own tool says there is, "" where it says nothing."""
    command = [
        "nvidia-smi",
        "--query-gpu=name,memory.total,driver_version",
        "--format=csv,noheader",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def model_file(folder: Path, variant: str, precision: str, width: float) -> Path:
    """A network of random weights, exported."""
    exact, target = folder / f"{variant}.onnx", folder / f"{variant}_{precision}.onnx"
    if not exact.exists():
        write_network(exact, variant, width)
    request = {"source": exact, "output": target, "precision": precision, "raster": DEMO}
    export_task(request, Progress())
    return target


def write_network(target: Path, variant: str, width: float) -> None:
    """A network in single precision, its values kept small.

    Its batch norms are fitted to the demo image, or those of the deep one would grow beyond what
    half precision holds; and its scores are close together, or rounding would show in them.
    """
    import torch

    from scasnet_qgis.network.onnx_export import export
    from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig

    torch.manual_seed(1)
    network = ScasNet(ScasNetConfig(variant, 3, len(CLASSES), width))
    classes = tuple(ModelClass(name, default_color(k)) for k, name in enumerate(CLASSES))
    card = ModelCard(name=variant, classes=classes, mean=(0.5,) * 3, std=(0.25,) * 3)
    pixels = gdal.Open(str(DEMO)).ReadAsArray(0, 0, PROBE, PROBE)
    sample = torch.from_numpy(pixels[None]).float() / 255
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()((sample - 0.5) / 0.25)
        *_, classifier = (
            layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)
        )
        classifier.weight *= 0.01
    export(network.eval(), card, target, sample=sample)


def measure_gpu(
    device: str = "", size: tuple[int, int] = SIZE, repeats: int = 3, width: float = 1.0
) -> dict[str, Any]:
    """Megapixels of the map a second, and of the tiles over those of the bare session."""
    device = device or card_here()
    if not device:
        return {"device": ""}
    models: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        raster = mosaic(folder / "image.tif", *size)
        for variant in VARIANTS:
            for precision in PRECISIONS:
                model = model_file(folder, variant, precision, width)
                values = {"raster": raster, "model": model, "plan": folder / "plan.json"}
                models[f"{variant}, {precision}"] = _figures(device, values, repeats)
    return {
        "device": device,
        "card": card_name(),
        "width": width,
        "rows": size[0],
        "cols": size[1],
        "repeats": repeats,
        "models": models,
    }


def _figures(device: str, values: dict[str, Any], repeats: int) -> dict[str, Any]:
    alone = {**values, "sessions": 1, "threads": 1, "provider": PROVIDERS[device]}
    ours, bare = [], []
    for _ in range(repeats):
        ours.append(run_fresh("benchmarks.contenders:ours", **values, device=device))
        bare.append(run_fresh("benchmarks.contenders:bare", **alone))
    return {
        "ran": ours[0]["provider"],
        "bare_ran": bare[0]["provider"],
        "tile": ours[0]["tile"],
        "speed": spread(run["delivered"] / run["seconds"] / 1e6 for run in ours),
        "bare_speed": spread(run["computed"] / run["seconds"] / 1e6 for run in bare),
        "ratio": spread(b["seconds"] / a["seconds"] for a, b in zip(ours, bare)),
        "peak_megabytes": max(run["peak_megabytes"] for run in ours),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="", help="default: the first card that is there")
    parser.add_argument("--size", type=size_of, default=SIZE, help="rows x columns")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", type=float, default=1.0)
    wanted = parser.parse_args()
    found = measure_gpu(wanted.device, wanted.size, wanted.repeats, wanted.width)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
