"""The comparison of two checkouts sees what differs, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from tree_checks import STAMP, Check, Limits, check_figures, check_help, check_maps

LABELS = np.arange(64, dtype=np.uint8).reshape(8, 8) % 5 + 1
OTHERS = np.where(LABELS == 1, 2, LABELS).astype(np.uint8)
STAMPS = {"stamp but for the plugin's version", "probabilities' stamp"}
SCORES = np.full((2, 8, 8), 0.5, np.float32)
RECORD = {"seconds": 1.0, "settings": {"used": {"overlap": 16}}, "warnings": ["Words."]}
NUMBER = {
    "description": "Overlap", "help": "Words.", "optional": True, "default_value": None,
    "type": {"id": "number", "description": "Words."},
    "raw_definition": {"flags": 8, "min": 0.0, "help": "Words.", "file_filter": "Any (*.tif)"},
}  # fmt: skip
HELP = {
    "segment": {
        "json": {
            "algorithm_details": {"id": "scasnet:segment", "name": "Words", "can_cancel": True},
            "parameters": {"OVERLAP": NUMBER, "SIZE": NUMBER},
            "outputs": {},
        },
        "text": "OVERLAP: Words\n\tNOTE: words\nSIZE: Words\n",
    }
}


def write(folder: Path, labels=LABELS, scores=SCORES, stamp=None, style="style", record=RECORD):
    folder.mkdir()
    for name, pixels in (("map.tif", labels[None]), ("scores.tif", scores)):
        kind = gdal.GDT_Byte if pixels.dtype == np.uint8 else gdal.GDT_Float32
        dataset = gdal.GetDriverByName("GTiff").Create(str(folder / name), 8, 8, len(pixels), kind)
        dataset.SetMetadata({"PLUGIN": str(folder), **(stamp or {})}, STAMP)
        if kind == gdal.GDT_Byte:
            table = gdal.RasterAttributeTable()
            table.CreateColumn("Pixels", gdal.GFT_Integer, gdal.GFU_PixelCount)
            table.SetValueAsInt(0, 0, int((labels == 1).sum()))
            dataset.GetRasterBand(1).SetDefaultRAT(table)
        dataset.WriteArray(pixels)
        dataset.BuildOverviews("NEAREST", [2])
        dataset = None
    (folder / "map.qml").write_text(style)
    (folder / "map.tif.scasnet.json").write_text(json.dumps(record))
    return folder


def differing(checks) -> set[str]:
    return {check.what for check in checks if not check.ok}


def test_texts_times_and_versions_may_differ(tmp_path: Path) -> None:
    worded = {**RECORD, "seconds": 2.0, "warnings": ["Other words."]}
    maps = write(tmp_path / "a"), write(tmp_path / "b", record=worded)
    assert differing(check_maps(*maps, Limits())) == set()


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"labels": OTHERS}, {"labels", "overview 1:2", "attribute table"}),
        ({"scores": SCORES + np.float32(3e-5)}, {"probabilities"}),
        ({"stamp": {"SCALES": "2"}}, STAMPS),
        ({"style": "other"}, {"style"}),
        ({"record": {**RECORD, "settings": {"used": {"overlap": 17}}}}, {"record of map"}),
        ({"record": {"seconds": 1.0, "warnings": []}}, {"record of map"}),
    ],
)
def test_a_map_that_differs_is_seen(tmp_path: Path, change, seen: set[str]) -> None:
    maps = write(tmp_path / "a"), write(tmp_path / "b", **change)
    assert differing(check_maps(*maps, Limits())) == seen


def test_limits_are_kept(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[0, 1] = 9
    maps = write(tmp_path / "a"), write(tmp_path / "b", labels, SCORES + np.float32(3e-5))
    share = 1e6 / 64
    assert differing(check_maps(*maps, Limits(share, 4e-5))) == set()
    assert differing(check_maps(*maps, Limits(share * 0.9))) == {"labels", "probabilities"}


def figures(folder: Path, other) -> Check:
    for name, found in (
        ("a", {"kappa": 0.5, "left_out": [{"reason": "x", "count": 3}]}),
        ("b", other),
    ):
        (folder / name).write_text(json.dumps(found))
    return check_figures(folder / "a", folder / "b")


def test_figures_are_compared_but_for_reasons(tmp_path: Path) -> None:
    assert figures(tmp_path, {"kappa": 0.5, "left_out": [{"reason": "y", "count": 3}]}).ok
    assert not figures(tmp_path, {"kappa": 0.5, "left_out": [{"reason": "x", "count": 4}]}).ok
    assert not figures(tmp_path, {"kappa": 0.5, "left_out": [{"count": 3}]}).ok
    assert not figures(tmp_path, {"kappa": 0.5001, "left_out": [{"reason": "x", "count": 3}]}).ok


def helped(folder: Path, changed, *allowed: str) -> set[str]:
    folders = folder / "a", folder / "b"
    for path, known in zip(folders, (HELP, changed)):
        path.mkdir(exist_ok=True)
        (path / "help.json").write_text(json.dumps(known))
    return differing(check_help(*folders, Limits(help=allowed)))


def test_help_may_differ_in_texts_only(tmp_path: Path) -> None:
    worded = json.loads(json.dumps(HELP).replace("Words", "Other words").replace("Any", "All"))
    assert helped(tmp_path, worded) == set()
    turned = json.loads(json.dumps(HELP))
    turned["segment"]["text"] = "SIZE: Words\nOVERLAP: Words\n"
    assert helped(tmp_path, turned) == {"segment"}
    for key, value in (("flags", 10), ("min", 1.0), ("file_filter", "Any (*.png)")):
        declared = json.loads(json.dumps(HELP))
        declared["segment"]["json"]["parameters"]["SIZE"]["raw_definition"][key] = value
        assert helped(tmp_path, declared) == {"segment"}
        assert helped(tmp_path, declared, "segment:SIZE") == set()
        assert helped(tmp_path, declared, "train:SIZE", "segment:OVERLAP") == {"segment"}
