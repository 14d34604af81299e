"""The grid on which a web layer is rendered, from an extent and a ground resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.raster.grid import Grid

BLOCK = 512  # rows and columns that are rendered together
SERVICE_TILE = 256  # pixels each way of the tiles that services cut their images into
NEAR = 0.1  # by which a service's own pixels may differ from what is asked for, and be taken

Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class RenderedGrid:
    """``grid`` is made of whole blocks around the extent; ``resolution`` is metres on the ground.

    ``own`` says that the pixels are those of the service, which are not resampled then; ``source``
    is the metres of those that are fetched, 0 where the service renders any size. A block has the
    area of ``per_block`` tiles of the service; with ``straddling`` some lie in several blocks.
    """

    grid: Grid
    resolution: float
    own: bool
    source: float
    per_block: float
    straddling: bool

    def requests(self, blocks: int) -> int:
        """About how many requests so many blocks take, if they lie together.

        Tiles in several blocks are fetched once, but stand out at the edge of all.
        """
        tiles = blocks * self.per_block
        return ceil(tiles + 2 * tiles**0.5 + 1 if self.straddling else tiles)


def rendered_grid(
    extent: Extent, wkt: str, wanted: float, natives: Sequence[float], web: bool = True
) -> RenderedGrid:
    """Pixels of ``wanted`` metres on the ground at the middle of ``extent`` (map units).

    ``natives`` are the pixel sizes of a service's own tiles in map units, none where it renders any
    size. Pixels and blocks are counted from the origin of the reference system, where the tiles of
    ``web`` maps meet: extents that overlap share their pixels, and blocks are made of whole tiles.
    Raises InputError where the reference system has no unit of length.
    """
    width, height = _pixel_size(extent, wkt, wanted)
    # QGIS takes the tiles whose pixels are nearest in width.
    native = min(natives, key=lambda size: abs(size - width)) if natives else 0.0
    own = _is_near(native, width) and _is_near(native, height)
    if own:
        width = height = native
    x_min, y_min, x_max, y_max = extent
    cols, rows = (
        _whole_blocks(x_min / width, x_max / width),
        _whole_blocks(-y_max / height, -y_min / height),
    )
    placed = (cols[0] * width, width, 0.0, -rows[0] * height, 0.0, -height)
    grid = Grid(rows[1] - rows[0], cols[1] - cols[0], placed, wkt)
    y, x = _metres_per_unit(extent, wkt)
    tiles = BLOCK**2 * width * height / (SERVICE_TILE * native) ** 2 if native else 1.0
    metres = (x * y) ** 0.5
    return RenderedGrid(
        grid,
        (width * height) ** 0.5 * metres,
        own,
        native * metres,
        tiles,
        straddling=native > 0 and not (own and web),
    )


def _metres_per_unit(extent: Extent, wkt: str) -> tuple[float, float]:
    """Metres per map unit in y and x at the middle of an extent."""
    x_min, y_min, x_max, y_max = extent
    middle = Grid(1, 1, ((x_min + x_max) / 2, 1.0, 0.0, (y_min + y_max) / 2, 0.0, -1.0), wkt)
    found = middle.metres_per_unit(0.0)
    if found is None or min(found) <= 0:
        raise InputError(
            translate(
                "ScasNet",
                "The layer's coordinate reference system tells no lengths, so that a pixel size in "
                "metres means nothing: give the layer another one.",
            )
        )
    return found


def _pixel_size(extent: Extent, wkt: str, wanted: float) -> tuple[float, float]:
    """Width and height in map units of a pixel that is square on the ground."""
    y, x = _metres_per_unit(extent, wkt)
    return wanted / x, wanted / y


def _is_near(native: float, size: float) -> bool:
    return abs(native - size) <= NEAR * size


def _whole_blocks(first: float, last: float) -> tuple[int, int]:
    """Pixels from ``first`` to ``last``, both ends moved outwards to whole blocks."""
    start = floor(first / BLOCK + 1e-6)
    return start * BLOCK, max(ceil(last / BLOCK - 1e-6), start + 1) * BLOCK
