"""Whether an interrupted run can be resumed: with the same input, model and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scasnet_qgis.common.file_errors import failed
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.options import identity, reasons
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.source import Image
from scasnet_qgis.mapping.model_grid import ModelGrid
from scasnet_qgis.mapping.settings import DECLARED, MapSettings
from scasnet_qgis.mapping.software import plugin_version
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.runtime import onnxruntime
from scasnet_qgis.outputs.journal import Journal, same
from scasnet_qgis.outputs.provenance.fingerprint import Fingerprint, Fingerprints
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import (
    Axis,
    Panel,
    TilePlan,
    Window,
    recomputed_tiles,
    tiles_in_rows,
)

# What is compared, in this order; what to say where it is not the same.
_REASONS = {
    "input": translate("ScasNet", "the image differs"),
    "model": translate("ScasNet", "the model differs"),
    "mask": translate("ScasNet", "the mask differs"),
    "area": translate("ScasNet", "the extent differs"),
    "grid": translate("ScasNet", "the image has a different extent or CRS"),
    **{name: reason for declared in DECLARED for name, reason in reasons(declared).items()},
    "values": translate("ScasNet", "bands or value scaling differ"),
    "resolution": translate("ScasNet", "the ground resolution that the model sees differs"),
    "probabilities": translate(
        "ScasNet", "class probabilities are wanted now and were not before, or the reverse"
    ),
    "engine": translate("ScasNet", "the device or the software versions differ"),
}


@dataclass(frozen=True)
class Tiling:
    """How a run is cut into tiles; ``tile`` and ``overlap`` are pixels of the model's input.

    ``strips`` is how the map is given out where the image is resampled (see mapping/views.py):
    columns of a panel and rows of a strip.
    """

    tile: tuple[int, int]
    overlap: int
    plan: TilePlan
    strips: tuple[int, int] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Tiling:
        """From a journal; raises KeyError, TypeError or ValueError."""
        plan = values["plan"]
        axes = [
            Axis(int(axis["length"]), int(axis["size"]), tuple(axis["starts"]))
            for axis in (plan["vertical"], plan["horizontal"])
        ]
        panels = tuple(
            Panel(int(panel["col"]), int(panel["cols"]), range(*panel["tile_cols"]))
            for panel in plan["panels"]
        )
        rows, cols = values["tile"]
        plan = TilePlan(axes[0], axes[1], panels)
        strips = values.get("strips")
        if strips is not None:
            strips = int(strips[0]), int(strips[1])
        return cls((int(rows), int(cols)), int(values["overlap"]), plan, strips)

    def as_values(self) -> dict[str, Any]:
        """For a journal."""
        plan = self.plan
        panels = [
            {
                "col": panel.col,
                "cols": panel.cols,
                "tile_cols": [panel.tile_cols.start, panel.tile_cols.stop],
            }
            for panel in plan.panels
        ]
        axes = {"vertical": asdict(plan.vertical), "horizontal": asdict(plan.horizontal)}
        plan_values = {**axes, "panels": panels}
        values = {"tile": self.tile, "overlap": self.overlap, "plan": plan_values}
        return values if self.strips is None else {**values, "strips": self.strips}


class Resuming:
    """The journal of an output, and whether this run may go on with it.

    ``wanted`` is what ``identity_of`` says about this run.
    """

    def __init__(self, journal: Journal, wanted: Mapping[str, Any], allowed: bool) -> None:
        self._journal, self._wanted, self._allowed = journal, dict(wanted), allowed
        header = journal.header
        self._found: dict[str, Any] | None = header.get("identity") if header else None

    def tiling(self, fresh: Tiling) -> Tiling:
        """How the run is cut into tiles: as it was begun, if it goes on."""
        header = self._journal.header
        if header is None or self._difference(self._wanted) is not None:
            return fresh
        try:
            return Tiling.of(header["tiling"])
        except (KeyError, TypeError, ValueError):
            self._found = None
            return fresh

    def begin(self, backend: OnnxBackend, tiling: Tiling, progress: Progress) -> None:
        """Go on with the journal, or begin it anew and say why; raises OutputError."""
        engine = {
            "provider": backend.provider,
            "device": backend.device_name,
            "eight_bit": backend.eight_bit,
            "takes_raw": backend.takes_raw,
            "gives_labels": backend.gives_labels,
            "onnxruntime": str(onnxruntime().__version__),
            "plugin": plugin_version(),
        }
        wanted = {**self._wanted, "engine": engine}
        difference = self._difference(wanted)
        if difference is None:
            return
        if self._journal.chunks:
            progress.info(difference)
        try:
            self._journal.begin({"identity": wanted, "tiling": tiling.as_values()})
        except OSError as error:
            raise failed(self._journal.folder.parent, error) from error

    def _difference(self, wanted: Mapping[str, Any]) -> Message | None:
        """Why this run cannot go on with what is there; None where it can."""
        if not self._allowed:
            text = translate(
                "ScasNet", "The finished part of an interrupted run is ignored (resume is off)."
            )
            return message(text)
        found = self._found
        if found is None:
            return message(
                translate("ScasNet", "The finished part of an interrupted run cannot be used.")
            )
        for name in _REASONS:
            if name in wanted and not same(wanted[name], found.get(name)):
                text = translate(
                    "ScasNet",
                    "An interrupted run of this map cannot be resumed, as {reason}: starting from "
                    "the beginning.",
                )
                return message(text, reason=message(_REASONS[name]))
        return None


def log_kept(share: float, plan: TilePlan, rows: int, progress: Progress) -> None:
    """How much of the map (0 to 1) an interrupted run had finished; nothing where that is none.

    ``rows`` of tiles, counted through the panels, are done: the log says what is left to compute.
    """
    if share <= 0:
        return
    left, again = plan.count - tiles_in_rows(plan, rows), recomputed_tiles(plan, rows)
    text = translate(
        "ScasNet",
        "Resuming an interrupted run: {share:.0%} of the map is finished. {left:,} of {count:,} "
        "tiles are left to compute.",
    )
    if again:
        text = translate(
            "ScasNet",
            "Resuming an interrupted run: {share:.0%} of the map is finished. {left:,} of "
            "{count:,} tiles are left to compute, and {again:,} are recomputed for overlap.",
        )
    progress.info(message(text, share=share, count=plan.count, left=left, again=again))


def identity_of(
    settings: MapSettings,
    files: Fingerprints,
    model: Fingerprint,
    mask: str,
    reader: Image,
    grid: Grid,
    area: Window,
    scaling: Scaling,
    seen: ModelGrid | None,
) -> dict[str, Any]:
    """Everything that the pixels of a map follow from, but for what computes them.

    ``files`` are those of the image, ``mask`` is the SHA-256 of the polygons, ``grid`` the whole
    raster's, ``seen`` what the model sees of it where that is another one. The batch size and the
    number of threads are left out: they are for the computer to choose.
    """
    image = settings.image
    return {
        "input": image.layer.identity if image.layer else _state_of(image.source, files),
        "model": model.sha256,
        "mask": mask,
        "area": asdict(area),
        "grid": [grid.rows, grid.cols, grid.geotransform, grid.wkt],
        "values": [
            reader.bands,
            str(reader.dtype),
            asdict(reader.rule),
            scaling.low,
            scaling.high,
            scaling.fill,
        ],
        "resolution": None if seen is None else seen.size,
        "probabilities": settings.output.probabilities is not None,
        **{name: text for part in settings.parts for name, text in identity(part).items()},
    }


def _state_of(source: str, image: Fingerprints) -> list[Any]:
    """The files, and which of the images in them it is: their pages or variables are no files."""
    files = [[file.path, file.size, file.changed, file.sha256] for file in image.files]
    listing = image.listing if image.count > len(image.files) else None
    return redacted([source, files, listing])
