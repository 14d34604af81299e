"""The settings of an evaluation, and its results."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scasnet_qgis.accuracy.area_estimation import AreaAdjusted
from scasnet_qgis.accuracy.options import EvaluationOptions
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import open_raster
from scasnet_qgis.labels.label_class import LabelClass


@dataclass(frozen=True)
class ReferenceSource:
    """Where a reference is: a raster, or a layer of a vector file with its field of classes.

    ``wkt`` is the CRS of points in a file that states none.
    """

    path: str
    is_vector: bool = False
    layer: str = ""
    field: str = ""
    wkt: str = ""


@dataclass(frozen=True)
class AssessmentRequest:
    """What to compare with what, and how.

    ``extent`` is x_min, y_min, x_max, y_max in the map's coordinates.
    """

    source: str
    classes: tuple[LabelClass, ...]
    reference: ReferenceSource
    reference_classes: tuple[LabelClass, ...]
    options: EvaluationOptions
    extent: tuple[float, float, float, float] | None = None
    fallback_wkt: str = ""


@dataclass(frozen=True)
class LeftOut:
    """How many pixels or points were not compared, and why; ``reason`` goes behind "pixels"."""

    reason: Message
    count: int

    def sentence(self, points: bool) -> Message:
        """For the log."""
        if points:
            text = translate("ScasNet", "Ignored: {count:,} points {reason}.")
        else:
            text = translate("ScasNet", "Ignored: {count:,} pixels {reason}.")
        return Message(text, {"count": self.count, "reason": self.reason})


@dataclass(frozen=True)
class SampleFigures:
    """Area-adjusted figures, and the design they follow from; a value for each class."""

    figures: AreaAdjusted
    pixels: tuple[int, ...]
    areas: tuple[float, ...]
    area_unit: str

    @property
    def area(self) -> float:
        """Ground area of all classes."""
        return sum(self.areas)


@dataclass(frozen=True)
class Assessment:
    """The outcome: ``matrix`` counts pixels or points by the classes of the map.

    ``not_adjusted`` says why there are no area-adjusted figures, unless they were not wanted;
    ``notes`` are warnings about the figures.
    """

    classes: tuple[LabelClass, ...]
    matrix: ConfusionMatrix
    points: bool
    left_out: tuple[LeftOut, ...]
    matching: Message
    boundary: int = 0
    adjusted: SampleFigures | None = None
    not_adjusted: Message | None = None
    notes: tuple[Message, ...] = ()


def map_grid(source: str, fallback_wkt: str) -> Grid:
    """The grid of a map, with ``fallback_wkt`` as its CRS where it states none."""
    grid = Grid.of(open_raster(source))
    if grid.wkt or not fallback_wkt:
        return grid
    return replace(grid, wkt=fallback_wkt)


def sample_missing(request: AssessmentRequest, points: bool) -> Message | None:
    """Why a reference that is no sample gives no area-adjusted figures; None where they are
    not wanted.

    Raises SettingError where they were requested.
    """
    if request.options.adjusted == "no":
        return None
    if points:
        kind = message(translate("ScasNet", "the points have no sampling design"))
    elif request.reference.is_vector:
        kind = message(translate("ScasNet", "polygons are not a random sample"))
    else:
        kind = message(translate("ScasNet", "a reference raster is not a random sample"))
    return not_adjusted(request, kind)


def not_adjusted(request: AssessmentRequest, reason: Message) -> Message:
    """Why there are no area-adjusted figures; a SettingError where they were requested."""
    text = translate(
        "ScasNet",
        "No area-adjusted accuracy and areas: {reason}. They need labelled points from "
        "'Draw sample points'.",
    )
    if request.options.adjusted == "yes":
        raise SettingError(text, reason=reason)
    return Message(text, {"reason": reason})
