"""The files of one run: filled together, finished together, published together or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scasnet_qgis.core.blending import FinishedBlock
from scasnet_qgis.core.card import ModelClass
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster.class_map import (
    ClassArea,
    ClassMapWriter,
    ProbabilityWriter,
    Product,
    finish_all,
)
from scasnet_qgis.raster.delivery import Delivery, publish
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.patches import SmallestPatch
from scasnet_qgis.raster.sieved_map import SievedMapWriter


@dataclass(frozen=True)
class MapRules:
    """What is done to the model's answer: below which score a pixel gets no class (0: never),
    and how large a patch must be to stay (None: of any size)."""

    min_confidence: float = 0.0
    smallest: SmallestPatch | None = None


@dataclass(frozen=True)
class MapCounts:
    """What the map holds, class by class.

    ``uncertain_pixels`` got no class for want of confidence, ``merged_pixels`` that of a neighbour.
    """

    areas: list[ClassArea]
    uncertain_pixels: int
    merged_pixels: int


class Products:
    """The map and, if wanted, the probabilities; see ``open_products``."""

    def __init__(
        self, deliveries: list[Delivery], writers: list[Product], class_map: ClassMapWriter
    ) -> None:
        """The map is the last of the files, so that it is there only if everything is."""
        self._deliveries, self._writers, self._map = deliveries, writers, class_map

    @property
    def map_file(self) -> Path:
        """The map as long as it is not published."""
        return self._deliveries[-1].working

    def write(self, block: FinishedBlock) -> None:
        for writer in self._writers:
            writer.write(block)

    def finish(self, progress: Progress) -> None:
        """Add what comes last; the files are whole then, in their work folders."""
        finish_all(self._writers, progress)

    def publish(self) -> MapCounts:
        """Give all files their names."""
        publish(self._deliveries)
        last = self._writers[-1]
        merged = last.merged_pixels if isinstance(last, SievedMapWriter) else 0
        return MapCounts(self._map.areas, self._map.uncertain_pixels, merged)


@contextmanager
def open_products(
    output: Path,
    probabilities: Path | None,
    grid: Grid,
    classes: Sequence[ModelClass],
    rules: MapRules,
) -> Iterator[Products]:
    """Work folders and writers; at the end nothing is left of them, whatever happened."""
    with ExitStack() as stack:
        deliveries: list[Delivery] = []
        writers: list[Product] = []
        for path in filter(None, (probabilities, output)):
            deliveries.append(Delivery(path))
            stack.callback(deliveries[-1].discard)
        if probabilities is not None:
            writers.append(ProbabilityWriter(deliveries[0], grid, classes))
            stack.callback(writers[-1].abandon)
        class_map = ClassMapWriter(deliveries[-1], grid, classes, rules.min_confidence)
        stack.callback(class_map.abandon)
        writers.append(class_map)
        if rules.smallest is not None:
            writers[-1] = SievedMapWriter(deliveries[-1], grid, class_map, rules.smallest)
            stack.callback(writers[-1].abandon)
        yield Products(deliveries, writers, class_map)
