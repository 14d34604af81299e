"""What a refinement of the labels is: its settings, and what it does to blocks or to the map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Union, runtime_checkable

from scasnet_qgis.common.messages import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scasnet_qgis.common.progress import Progress
    from scasnet_qgis.images.grid import Grid
    from scasnet_qgis.tiling.blending import FinishedBlock
    from scasnet_qgis.tiling.windows import Window

    # A window of the map, its labels [rows, cols], and how many of its pixels were changed.
    RefinedWindow = tuple[Window, NDArray[np.uint8], int]


@dataclass(frozen=True)
class PixelCount:
    """How many pixels a refinement changed: an ``output`` of Processing and a ``key`` of the
    record.

    ``unclassified`` pixels have no class any more. ``summary`` says so at the end of a run's log,
    with {pixels}; "" where nothing need be said. Texts are marked for translation.
    """

    output: str
    key: str
    label: str
    unclassified: bool = False
    summary: str = ""


class Refinement:
    """Base of the settings of a refinement, a frozen dataclass of options."""

    counted: ClassVar[PixelCount]
    needs_scores: ClassVar[bool] = False
    # Labels, by key of the record, of what ``Step.facts`` says; marked for translation.
    fact_labels: ClassVar[Mapping[str, str]] = {}

    @property
    def active(self) -> bool:
        """Whether it does anything."""
        raise NotImplementedError

    def on(self, grid: Grid) -> Step:
        """What it does to a map of this grid; raises SettingError."""
        raise NotImplementedError


class _Step(Protocol):
    @property
    def counted(self) -> PixelCount:
        """What its changes are counted as."""

    @property
    def sentence(self) -> Message:
        """What it does, for the log."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was made of its settings, for the record."""


@runtime_checkable
class BlockStep(_Step, Protocol):
    """Refines blocks as they come from the model, with their scores."""

    def refined(self, block: FinishedBlock) -> NDArray[np.uint8]:
        """The labels [rows, cols] of a block after it; the block's own stay as they are."""


@runtime_checkable
class MapStep(_Step, Protocol):
    """Refines a whole map, when all of it is there."""

    def windows(self, labels: Path, folder: Path, progress: Progress) -> Iterator[RefinedWindow]:
        """The refined map in windows, row by row, that begin at multiples of the files' blocks.

        ``labels`` is a GeoTIFF that stays as it is, ``folder`` an empty one for what is needed on
        the way. Memory may grow with the raster's width, not with its height. Raises Cancelled,
        RuntimeError (GDAL) and OSError.
        """

    def outcome(self, changed: int) -> Message | None:
        """What came of it, for the log, once ``windows`` has ended."""


Step = Union[BlockStep, MapStep]


@dataclass(frozen=True)
class RefinementSteps:
    """What is done to one map: first to its blocks, then to the whole."""

    blocks: tuple[BlockStep, ...] = ()
    maps: tuple[MapStep, ...] = ()

    @classmethod
    def of(cls, refinements: Iterable[Refinement], grid: Grid) -> RefinementSteps:
        """The steps of the refinements that are active; raises SettingError."""
        steps = [refinement.on(grid) for refinement in refinements if refinement.active]
        return cls(
            tuple(step for step in steps if isinstance(step, BlockStep)),
            tuple(step for step in steps if isinstance(step, MapStep)),
        )

    @property
    def all(self) -> tuple[Step, ...]:
        """In the order in which they are done."""
        return (*self.blocks, *self.maps)
