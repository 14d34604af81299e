"""Areas below a minimum mapping unit are merged into their neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from scasnet_qgis.common.choices import PATCH_UNITS, PIXELS
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.options import Choice, Number, option
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.mapping.refinements.refinement import PixelCount, Refinement

if TYPE_CHECKING:
    from scasnet_qgis.images.grid import Grid
    from scasnet_qgis.mapping.refinements.min_area import MinArea
    from scasnet_qgis.mapping.refinements.refinement import RefinedWindow

_MERGING_SHARE = 0.75  # of the progress; giving out the map takes the rest


@dataclass(frozen=True)
class MinimumMappingUnit(Refinement):
    """``sieve`` is the size, in ``sieve_unit``, that an area needs to stay; 0 keeps all."""

    sieve: float = option(
        0.0,
        "SIEVE",
        translate("ScasNet", "Minimum mapping unit"),
        translate(
            "ScasNet",
            "Areas of one class that are smaller than this are merged into the larger neighbour "
            "with the longest common border. Pixels belong together if they share a side. Pixels "
            "without data are not changed. 0 keeps all areas.",
        ),
        Number(0.0),
        advanced=True,
        differs=translate("ScasNet", "the minimum mapping unit differs"),
        stamp=lambda settings: f"{settings.sieve:g} {settings.sieve_unit}",
    )
    sieve_unit: str = option(
        PIXELS,
        "SIEVE_UNIT",
        translate("ScasNet", "Minimum mapping unit in"),
        translate(
            "ScasNet",
            "Pixels, or square metres on the ground; the latter needs a georeferenced image. On "
            'the command line: SIEVE_UNIT="square metres".',
        ),
        Choice(PATCH_UNITS),
        advanced=True,
        differs=translate("ScasNet", "the unit of the minimum mapping unit differs"),
        stamp=lambda _settings: "",  # stands beside the number
        only_with="sieve",
    )

    counted = PixelCount(
        "SIEVED_PIXELS",
        "merged_pixels",
        translate("ScasNet", "Pixels merged by minimum mapping unit"),
    )
    fact_labels: ClassVar[Mapping[str, str]] = {
        "smallest_patch_pixels": translate("ScasNet", "Minimum mapping unit (pixels)")
    }

    @property
    def active(self) -> bool:
        return self.sieve > 0

    def on(self, grid: Grid) -> MergeSmallAreas:
        from scasnet_qgis.mapping.refinements.min_area import MinArea

        return MergeSmallAreas(MinArea.of(self.sieve, self.sieve_unit, grid))


class MergeSmallAreas:
    """The sieve with the size that it has on one grid."""

    counted = MinimumMappingUnit.counted

    def __init__(self, min_area: MinArea) -> None:
        self._min_area = min_area
        self._kept = 0

    @property
    def sentence(self) -> Message:
        text = translate(
            "ScasNet", "Areas of less than {pixels:,} pixels are merged into their neighbours."
        )
        return message(text, pixels=self._min_area.pixels)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"smallest_patch_pixels": self._min_area.pixels}

    def windows(self, labels: Path, folder: Path, progress: Progress) -> Iterator[RefinedWindow]:
        from scasnet_qgis.mapping.refinements.sieve import Sieve

        sieve = Sieve(labels, folder, self._min_area)
        try:
            sieve.run(Stage(progress, 0.0, _MERGING_SHARE))
            giving = Stage(progress, _MERGING_SHARE, 1.0)
            for window, refined, changed in sieve.parts():
                giving.report(window.row_end / sieve.rows)
                yield window, refined, changed
            self._kept = sieve.small_pixels
        finally:
            sieve.close()

    def outcome(self, changed: int) -> Message | None:
        text = translate(
            "ScasNet",
            "Minimum mapping unit: {merged:,} pixels were given the class of a neighbour; "
            "{kept:,} pixels of small areas without a neighbour were left unchanged.",
        )
        return message(text, merged=changed, kept=self._kept)
