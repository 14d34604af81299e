"""Where the image of a server on this computer lies, for tests of layers without a file."""

from __future__ import annotations

from tests.tile_server import LEFT, PIXEL, TOP

TILES = {"TILE_SIZE": 128, "OVERLAP": 16}
ROWS, COLS = 300, 400


def box(row: int, col: int, rows: int = ROWS, cols: int = COLS) -> str:
    """An extent in Web Mercator, in pixels of the image."""
    west, north = LEFT + col * PIXEL, TOP - row * PIXEL
    return f"{west},{west + cols * PIXEL},{north - rows * PIXEL},{north} [EPSG:3857]"
