"""The parts of the results page about models: refinements, precisions, trainings."""

from __future__ import annotations

from typing import Any


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def refinements_section(result: dict[str, dict[str, float]]) -> str:
    rows = [
        [
            name,
            f"{figures['overall_accuracy']:.4f}",
            f"{figures['mean_iou']:.4f}",
            f"{figures['share_with_class']:.1%}",
            f"{figures['time_ratio']:.2f}",
        ]
        for name, figures in result.items()
    ]
    return (
        "## Better maps from the same model\n\n"
        "What averaging over scales and mirrored views, merging small patches and leaving out "
        "doubtful pixels buy on the eight validation images, and cost in time, each beside the "
        "plain map in one run. Accuracy is that of the pixels that got a class.\n\n"
        + table(["way", "overall accuracy", "mean IoU", "with a class", "time / plain"], rows)
    )


def precision_section(result: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            name,
            f"{figures['overall_accuracy']:.4f}",
            f"{figures['mean_iou']:.4f}",
            f"{figures['labels_agreeing']:.2%}",
            f"{figures['megabytes']:.2f}",
            "" if figures["speed"] is None else f"{figures['speed']:.2f}",
        ]
        for name, figures in result.items()
    ]
    return (
        "## Precision\n\n"
        "The shipped model as `scasnet:exportmodel` writes it, calibrated on the demo image and "
        "judged on the seven validation images that are not the demo image. Speed is that of one "
        "thread relative to fp32, measured in turns. From a graphics card scores come as 8-bit "
        "numbers; what that rounding costs was computed on the processor.\n\n"
        + table(
            ["precision", "overall accuracy", "mean IoU", "labels as fp32", "MB", "speed"], rows
        )
    )


def _trained(result: dict[str, Any], names: dict[str, str]) -> str:
    rows = [
        [
            title,
            f"{result[name]['overall_accuracy']:.3f}",
            f"{result[name]['mean_iou']:.3f}",
            f"{result[name]['steps']:,}" if "steps" in result[name] else "",
        ]
        for name, title in names.items()
        if name in result
    ]
    return table(["start", "overall accuracy", "mean IoU", "steps"], rows)


def _classes(result: dict[str, Any], names: dict[str, str]) -> str:
    classes = list(next(result[name] for name in names if "iou" in result.get(name, {}))["iou"])
    rows = [
        [
            class_name,
            *(_number(result[name]["iou"].get(class_name)) for name in names if name in result),
        ]
        for class_name in classes
    ]
    return table(["IoU", *(title for name, title in names.items() if name in result)], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def landscape_section(result: dict[str, Any]) -> str:
    starts = {"default": "the model that ships", "nothing": "nothing"}
    forest = {"random forest": "random forest on colour and context"}
    return (
        "## Training on another landscape\n\n"
        f"Czech orthophotos of 0.25 m with six classes: {result['minutes']:.0f} minutes of "
        "training on 25 megapixels with the defaults of `scasnet:train`, judged on 12.6 that no "
        "training saw.\n\n"
        + _trained(result, {**starts, **forest})
        + "\n\n"
        + _classes(result, starts)
    )


def encoder_section(result: dict[str, Any]) -> str:
    return (
        "## What published encoder weights buy\n\n"
        "The compact network on the Dubai set after equally many steps of four crops, judged on "
        "part 8. The narrow encoder is fitted to VGG16 before the first step.\n\n"
        + _trained(result, {"VGG16 encoder": "VGG16 encoder (ImageNet)", "nothing": "nothing"})
    )


def polygons_section(result: dict[str, Any]) -> str:
    starts = {"default": "the model that ships", "nothing": "nothing"}
    where = result["default"]["judged on"]
    return (
        "## Training on few polygons\n\n"
        f"{result['polygons']} hand-drawn polygons on two small aerial images, "
        f"{result['minutes']:.0f} minutes each. Judged on {where}: far too few places for a "
        "figure to rely on.\n\n" + _trained(result, starts) + "\n\n" + _classes(result, starts)
    )
