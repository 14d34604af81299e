"""scasnet:segment with a majority filter."""

from __future__ import annotations

import numpy as np
import pytest
from qgis.core import QgsProcessingException

from scasnet_qgis.outputs.provenance.stamp import read_record, read_stamp
from tests.mapping.refinements.test_majority import expected
from tests.real_qgis import pixels


def test_edges_are_smoothed(run, image, tmp_path, feedback):
    plain, smooth = tmp_path / "plain.tif", tmp_path / "smooth.tif"
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(plain))
    outputs = run("scasnet:segment", INPUT=str(image), OUTPUT=str(smooth), MAJORITY=7)
    np.testing.assert_array_equal(pixels(smooth), expected(pixels(plain), 7))
    assert outputs["SMOOTHED_PIXELS"] == (pixels(smooth) != pixels(plain)).sum() > 0
    assert read_stamp(smooth)["MAJORITY"] == "7"
    record = read_record(smooth)
    assert record.at("settings", "given", "majority") == 7
    assert record.at("repeat", "parameters")["MAJORITY"] == "7"
    assert any("7 x 7 pixels" in line for line in feedback.lines)


def test_an_even_window_is_refused(run, image, tmp_path):
    with pytest.raises(QgsProcessingException, match="must be odd"):
        run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "map.tif"), MAJORITY=4)
