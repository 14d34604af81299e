"""The published layer tables, and what follows from them without any network of ours."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
IMAGE = "data"
IMAGE_SIZE = 400  # pixels, what the tables' notes are for
VARIANTS = ("vgg", "resnet")


@dataclass(frozen=True)
class Row:
    """One layer of a table; None where the table has an empty cell."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    top: str
    num_output: int | None = None
    kernel: int | None = None
    stride: int | None = None
    pad: int | None = None
    dilation: int | None = None
    bias: bool | None = None
    note: str = ""
    lr_mult: float | None = None


def read_table(variant: str) -> list[Row]:
    """The layers of the published ``vgg`` or ``resnet`` network in order of execution."""
    with (DATA / f"{variant}_scasnet_layers.tsv").open(encoding="ascii", newline="") as file:
        return [_row(cells) for cells in csv.DictReader(file, delimiter="\t")]


def _row(cells: dict[str, str]) -> Row:
    def number(column: str) -> int | None:
        return int(cells[column]) if cells[column] else None

    return Row(
        name=cells["name"],
        type=cells["type"],
        bottoms=tuple(cells["bottoms"].split("+")),
        top=cells["top"],
        num_output=number("num_output"),
        kernel=number("kernel"),
        stride=number("stride"),
        pad=number("pad"),
        dilation=number("dilation"),
        bias={"yes": True, "no": False, "": None}[cells["bias"]],
        note=cells["note"],
        lr_mult=float(cells["lr_mult"]) if cells["lr_mult"] else None,
    )


def scaled(rows: list[Row], width: float, classes: int) -> list[Row]:
    """The table of a network ``width`` times as wide; its last convolution has ``classes``."""
    *inner, classifier = (row for row in rows if row.type == "Convolution")
    counts = {row.name: max(1, round(row.num_output * width)) for row in inner if row.num_output}
    counts[classifier.name] = classes
    return [replace(row, num_output=counts.get(row.name)) for row in rows]


def channels(rows: list[Row], bands: int) -> Iterator[tuple[Row, int]]:
    """Each layer with the number of channels it is given, for an image of ``bands`` bands."""
    found = {IMAGE: bands}
    for row in rows:
        given = {found[bottom] for bottom in row.bottoms}
        assert len(given) == 1, f"{row.name} sums maps of {given} channels"
        yield row, given.copy().pop()
        found[row.top] = row.num_output or given.pop()


def parameter_count(rows: list[Row], bands: int) -> int:
    """Number of trained weights: those of convolutions, slope and bias of batch norms."""
    total = 0
    for row, inputs in channels(rows, bands):
        if row.type == "Convolution":
            assert row.num_output
            assert row.kernel
            total += row.num_output * (inputs * row.kernel**2 + bool(row.bias))
        elif row.type == "BN":
            total += 2 * inputs
    return total


def extents(rows: list[Row], pixels: int) -> dict[str, int]:
    """Extent of each map along one axis, by Caffe's rules, for an image of ``pixels``.

    The tables give the size of a resize for an image of 400 pixels only; at any other size it
    is that of the first map which has the given size there.
    """
    published = _extents(rows, IMAGE_SIZE, {})
    like = {}
    for row in rows:
        if row.type == "Interp":
            wanted = published[row.top]
            like[row.name] = next(name for name, extent in published.items() if extent == wanted)
    return _extents(rows, pixels, like)


def _extents(rows: list[Row], pixels: int, like: dict[str, str]) -> dict[str, int]:
    found = {IMAGE: pixels}
    for row in rows:
        given = {found[bottom] for bottom in row.bottoms}
        assert len(given) == 1, f"{row.name} sums maps of the sizes {given}"
        found[row.top] = _extent(row, given.pop(), found, like)
    return found


def _extent(row: Row, given: int, found: dict[str, int], like: dict[str, str]) -> int:
    if row.type == "Interp":
        return found[like[row.name]] if like else int(row.note.split("x")[0])
    if row.type == "Pooling":
        return pooled_extent(row, given)
    if row.type == "Convolution":
        assert row.kernel
        assert row.stride
        assert row.pad is not None
        assert row.dilation
        reach = row.dilation * (row.kernel - 1) + 1
        return (given + 2 * row.pad - reach) // row.stride + 1
    return given


def pooled_extent(row: Row, given: int) -> int:
    """Caffe rounds up, and drops a last window that would lie in the padding altogether."""
    assert row.kernel
    assert row.stride
    assert row.pad is not None
    pooled = -(-(given + 2 * row.pad - row.kernel) // row.stride) + 1
    if (pooled - 1) * row.stride >= given + row.pad:
        pooled -= 1
    return pooled
