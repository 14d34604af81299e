"""What a model is given, whatever the raster."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.pipeline import Pipeline
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import Window, plan_tiles
from tests.tiling.test_pipeline import ArraySource, PixelBackend


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(0, 4),
    st.floats(0, 1, width=32),
    st.integers(0, 99),
    st.sampled_from([np.uint8, np.uint16, np.float64]),
)
def test_tiles_are_single_precision_and_filled_where_there_is_no_data(
    size: tuple[int, int], margin: int, fill: float, seed: int, kind: type
) -> None:
    """Nodata of 200 must not be seen, for it is bright."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 100, (3, *size)).astype(kind)
    mask = random.random(size) > 0.3
    image[:, ~mask] = 200
    seen = []
    scaling = Scaling((0.0,) * 3, (200.0,) * 3, (fill,) * 3, "")
    plan = plan_tiles(*size, (32, 32), 8, fixed=True, panel_cols=64, block=16)
    raster = Window(0, 0, *size)
    backend = PixelBackend(margin=margin, before=lambda tiles: seen.append(tiles.copy()))
    source = ArraySource(image, mask)
    blocks = []
    run = Pipeline(source, raster, raster, scaling, backend, plan)
    run.run(lambda block: blocks.append((block.window, block.valid.copy())), Progress())
    for tiles in seen:
        assert tiles.dtype == np.float32
        assert len(tiles) == 1, "one at a time unless told otherwise"
        values = np.unique(tiles)
        assert (np.isclose(values, fill, atol=1e-6) | (values < 0.5)).all()
    for window, valid in blocks:
        at = np.s_[window.row : window.row_end, window.col : window.col_end]
        np.testing.assert_array_equal(valid, mask[at])
