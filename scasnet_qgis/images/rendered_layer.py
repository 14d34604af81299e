"""A web layer as input image, rendered block by block: grid, requests and attribution."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Callable, Protocol

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.bands import advised_bands, assign_bands
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.nodata import MaskRule
from scasnet_qgis.images.value_scaling import ValueRange, scaling_of
from scasnet_qgis.tiling.scaling import Scaling, window_slices
from scasnet_qgis.tiling.windows import Window, aligned_windows, count_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 512  # rows and columns that are rendered together
SERVICE_TILE = 256  # pixels each way of the tiles that services cut their images into
COARSE = 1.5  # by which a service's pixels may be larger than those rendered, without a word
NEAR = 0.1  # by which a service's own pixels may differ from what is asked for, and be taken

Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class RenderedGrid:
    """``grid`` is made of whole blocks around the extent; ``resolution`` is metres on the ground.

    ``own`` says that the pixels are those of the service, which are not resampled then; ``source``
    is the metres of those that are fetched, 0 where the service renders any size. A block has the
    area of ``tiles_per_block`` tiles of the service; with ``tiles_span_blocks`` some lie in several
    blocks.
    """

    grid: Grid
    resolution: float
    own: bool
    source: float
    tiles_per_block: float
    tiles_span_blocks: bool

    def requests(self, blocks: int) -> int:
        """About how many requests so many blocks take, if they lie together.

        Tiles in several blocks are fetched once, but stand out at the edge of all.
        """
        tiles = blocks * self.tiles_per_block
        return ceil(tiles + 2 * tiles**0.5 + 1 if self.tiles_span_blocks else tiles)


def rendered_grid(
    extent: Extent, wkt: str, wanted: float, natives: Sequence[float], web: bool = True
) -> RenderedGrid:
    """Pixels of ``wanted`` metres on the ground at the middle of ``extent`` (map units).

    ``natives`` are the pixel sizes of a service's own tiles in map units, none where it renders any
    size. Pixels and blocks are counted from the origin of the reference system, where the tiles of
    ``web`` maps meet: extents that overlap share their pixels, and blocks are made of whole tiles.
    Raises InputError where the reference system has no unit of length.
    """
    y, x = _metres_per_unit(extent, wkt)
    width, height = wanted / x, wanted / y  # square on the ground
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
    tiles = BLOCK**2 * width * height / (SERVICE_TILE * native) ** 2 if native else 1.0
    metres = (x * y) ** 0.5
    return RenderedGrid(
        grid,
        (width * height) ** 0.5 * metres,
        own,
        native * metres,
        tiles,
        tiles_span_blocks=native > 0 and not (own and web),
    )


def _metres_per_unit(extent: Extent, wkt: str) -> tuple[float, float]:
    """Metres per map unit in y and x at the middle of an extent."""
    x_min, y_min, x_max, y_max = extent
    middle = Grid(1, 1, ((x_min + x_max) / 2, 1.0, 0.0, (y_min + y_max) / 2, 0.0, -1.0), wkt)
    found = middle.metres_per_unit(0.0)
    if found is None or min(found) <= 0:
        raise InputError(
            translate("ScasNet", "The CRS of the layer has no length unit: assign another CRS.")
        )
    return found


def _is_near(native: float, size: float) -> bool:
    return abs(native - size) <= NEAR * size


def _whole_blocks(first: float, last: float) -> tuple[int, int]:
    """Pixels from ``first`` to ``last``, both ends moved outwards to whole blocks."""
    start = floor(first / BLOCK + 1e-6)
    return start * BLOCK, max(ceil(last / BLOCK - 1e-6), start + 1) * BLOCK


_RGB = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand)
_ALPHA = 4  # the number of the band
_MIN_OPAQUE = 128  # from here on a pixel is more there than not
_COUNTED_BLOCKS = 200_000  # that are held against the polygons of a mask, which takes seconds
_KEPT_BLOCKS = 32  # blocks of 1 MiB: what tiles side by side share


class BlockRenderer(Protocol):
    """What draws a part of a layer; used from one thread only."""

    requests: int  # that have gone over the network so far

    def render_block(self, part: Grid, progress: Progress) -> NDArray[np.uint8]:
        """Red, green, blue and alpha [4, rows, cols]; colours are not multiplied by alpha.

        Raises InputError where the layer cannot be drawn in full, and Cancelled soon after
        ``progress.cancelled`` turns true.
        """


class RenderedImage:
    """An image whose pixels are drawn as they are asked for (see images/source.py).

    Always the same whole blocks of the grid are drawn, whatever the windows: how tiles of a service
    are resampled depends, in the last digit, on where a drawing begins.
    """

    block_rows = BLOCK
    marks_gaps = True
    has_palette = False
    warnings: Sequence[Message] = ()
    is_byte = True
    is_local = False
    bits: int | None = None
    rule = MaskRule("alpha", alpha=_ALPHA)

    def __init__(
        self,
        block_renderer: BlockRenderer,
        grid: Grid,
        wanted: Sequence[str],
        chosen: Sequence[int],
        progress: Progress,
    ) -> None:
        """``wanted`` are names of the model's bands, ``chosen`` the user's band numbers, or none.

        Raises InputError where the model needs more than red, green and blue, SettingError where a
        chosen band does not exist.
        """
        self._block_renderer, self.grid, self._progress = block_renderer, grid, progress
        self.bands = assign_bands(_colour_file(), wanted, chosen)
        self.advised_bands = advised_bands(_colour_file(), wanted)
        self._blocks: OrderedDict[Window, NDArray[np.uint8]] = OrderedDict()

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def carried(self, overlap: int) -> int:
        return len(self.bands) * (overlap + BLOCK)

    def cache_bytes_for(self, _tile: tuple[int, int]) -> int:
        return 0  # GDAL reads none of it

    def scaling(self, card: ModelCard, given: ValueRange | None = None) -> Scaling:
        return scaling_of(self, card, given, self._progress)

    def may_hold_data(self, _window: Window) -> bool:
        return True  # nobody knows before it is drawn

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        pixels = np.empty((len(self.bands), window.rows, window.cols), dtype=np.uint8)
        valid = np.empty((window.rows, window.cols), dtype=np.bool_)
        indices = [number - 1 for number in self.bands]
        for block in blocks_over(window):
            common = block.intersect(window)
            rendered = self._rendered_block(block)[window_slices(common, block)]
            pixels[window_slices(common, window)] = rendered[indices]
            valid[window_slices(common, window)[1:]] = rendered[_ALPHA - 1] >= _MIN_OPAQUE
        return pixels, None if valid.all() else valid

    def _rendered_block(self, block: Window) -> NDArray[np.uint8]:
        found = self._blocks.get(block)
        if found is None:
            self._progress.check()
            found = self._block_renderer.render_block(self.grid.part(block), self._progress)
            self._blocks[block] = found
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(block)
        return found


def blocks_over(window: Window) -> Iterator[Window]:
    """The whole blocks of a grid that a window touches, row by row."""
    for part in aligned_windows(window, BLOCK):
        yield Window(part.row // BLOCK * BLOCK, part.col // BLOCK * BLOCK, BLOCK, BLOCK)


def _colour_file() -> gdal.Dataset:
    """A file with a red, a green and a blue band."""
    file = gdal.GetDriverByName("MEM").Create("", 1, 1, len(_RGB))
    for number, colour in enumerate(_RGB, start=1):
        file.GetRasterBand(number).SetColorInterpretation(colour)
    return file


@dataclass(frozen=True)
class RenderedLayer:
    """``provider`` is QGIS's name of it, ``address`` what ``address_of`` made of the source.

    ``place`` are the pixels that are rendered, ``pixel_size`` the metres that were asked for,
    ``limit`` the most requests that a run may take. ``look`` is what else the pixels follow from,
    such as a checksum of the renderer. ``rights`` are who is to be named and under which terms.
    ``digest`` is one of the source, which differs where only a hidden part of the path does.
    """

    name: str
    provider: str
    address: str
    place: RenderedGrid
    pixel_size: float
    limit: int
    block_renderer: BlockRenderer
    look: Mapping[str, str] = field(default_factory=dict)
    rights: tuple[str, ...] = ()
    digest: str = ""

    def open(
        self, wanted: Sequence[str], chosen: Sequence[int], progress: Progress
    ) -> RenderedImage:
        """See RenderedImage."""
        return RenderedImage(self.block_renderer, self.place.grid, wanted, chosen, progress)

    @property
    def identity(self) -> list[Any]:
        """What identifies this image without reading its pixels, to resume a run."""
        return [self.provider, self.address, self.digest, dict(self.look)]

    @property
    def attribution(self) -> str:
        """Who is to be named, in one line; "" where the layer does not say."""
        return "; ".join(self.rights)

    def facts(self) -> dict[str, Any]:
        """For the description of a run."""
        return {
            "name": self.name,
            "provider": self.provider,
            "address": self.address,
            "attribution": self.attribution,
            "pixel_size": self.pixel_size,
            "own_pixels": self.place.own,
            "requests": self.block_renderer.requests,
            "look": dict(self.look),
        }

    def percentiles_error(self) -> SettingError:
        """They would be fetched from all over the layer, before its limit is known to be kept."""
        return SettingError(
            translate(
                "ScasNet",
                "Percentiles need the whole image, but layer {name} is a web layer: "
                "set the input value range as values, or leave it empty for 0 to 255.",
            ),
            name=self.name,
        )

    def begin(
        self,
        area: Window,
        inside: Callable[[Window], NDArray[np.bool_] | None] | None,
        progress: Progress,
    ) -> None:
        """Say what will be asked of the service to map ``area``, or what of it is ``inside``.

        Raises SettingError where that is more than the limit, and Cancelled.
        """
        needed = self.place.requests(self._count_blocks(area, inside, progress))
        if needed > self.limit:
            raise SettingError(
                translate(
                    "ScasNet",
                    "Layer {name} would need about {needed:,} tile requests, but at most "
                    "{limit:,} are allowed: choose a smaller extent, a mask or a larger "
                    "pixel size, or raise the limit if the service permits it.",
                ),
                needed=needed,
                name=self.name,
                limit=self.limit,
            )
        self._log_rendering(needed, progress)

    def _count_blocks(
        self,
        area: Window,
        inside: Callable[[Window], NDArray[np.bool_] | None] | None,
        progress: Progress,
    ) -> int:
        """How many blocks will be rendered; tiles that reach beyond the mask may add a few."""
        count = count_windows(area, BLOCK)
        if inside is None or count > _COUNTED_BLOCKS:
            return count
        count = 0
        for window in aligned_windows(area, BLOCK):
            progress.check()
            found = inside(window)
            count += found is None or bool(found.any())
        return count

    def _log_rendering(self, needed: int, progress: Progress) -> None:
        text = translate(
            "ScasNet",
            "Layer {name} is rendered with pixels of {size:.3g} m on the ground: about "
            "{needed:,} request(s) to its service ({provider}).",
        )
        size = self.place.resolution
        progress.info(
            message(text, name=self.name, size=size, needed=needed, provider=self.provider)
        )
        source = self.place.source
        if source > COARSE * size:
            text = translate(
                "ScasNet",
                "The finest pixels of the service are {source:.3g} m: rendering them "
                "at {size:.3g} m adds no detail.",
            )
            progress.warn(message(text, source=source, size=size))
        if self.rights:
            text = translate("ScasNet", "Attribution of the image: {rights}")
            progress.info(message(text, rights=self.attribution))
        else:
            text = translate(
                "ScasNet",
                "The layer has no attribution: check the terms of use of its service "
                "before you publish the map.",
            )
            progress.warn(message(text))
