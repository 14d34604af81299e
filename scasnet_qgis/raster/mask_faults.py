"""The errors of a mask layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from osgeo import osr

from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.raster.footprint import Bounds


@dataclass(frozen=True)
class Place:
    """Bounds in a reference system; None where it is not known."""

    bounds: Bounds
    reference: osr.SpatialReference | None

    @property
    def text(self) -> Message:
        """x, y and the system, as many digits as people can compare."""
        digits = 5 if self.reference is not None and self.reference.IsGeographic() else 1
        left, bottom, right, top = (f"{edge:.{digits}f}" for edge in self.bounds)
        text = translate("ScasNet", "x {left} to {right}, y {bottom} to {top} in {system}")
        return message(
            text, left=left, right=right, bottom=bottom, top=top, system=self._crs_name()
        )

    def _crs_name(self) -> Message | str:
        if self.reference is None:
            return message(translate("ScasNet", "an unknown coordinate reference system"))
        code = self.reference.GetAuthorityCode(None)
        name = self.reference.GetName() or ""
        return f"{self.reference.GetAuthorityName(None)}:{code} {name}".strip() if code else name


def raster_without_place() -> InputError:
    return InputError(
        translate(
            "ScasNet",
            "The raster has no position on earth, so that no mask can be laid over it: leave the "
            "mask out, or give the raster a position with the Georeferencer.",
        )
    )


def which_layer(source: str, names: Sequence[str]) -> InputError:
    return InputError(
        translate("ScasNet", "Name the layer of {source} that is the mask: there is {names}."),
        source=source,
        names=", ".join(names) or "none",
    )


def no_polygons(source: str, features: int, kinds: Collection[str]) -> InputError:
    """``kinds`` are the names of the geometries that are there instead."""
    if not features:
        return InputError(
            translate(
                "ScasNet",
                "The mask {source} holds no polygons: draw some, or leave the mask out.",
            ),
            source=source,
        )
    if not kinds:
        return InputError(
            translate(
                "ScasNet",
                "The geometries of the mask {source} are empty: choose a layer with polygons, or "
                "leave the mask out.",
            ),
            source=source,
        )
    return InputError(
        translate(
            "ScasNet",
            "The mask {source} holds no polygons but {kinds}: choose a polygon layer, or make one "
            "of it with Buffer.",
        ),
        source=source,
        kinds=", ".join(sorted(kinds)),
    )


def elsewhere(source: str, mask: Place, raster: Place, *, is_part: bool) -> InputError:
    """The mask lies beside the raster, or beside the extent that is mapped (``is_part``)."""
    if is_part:
        text = translate(
            "ScasNet",
            "The mask {source} does not overlap the extent: it covers {there}, but the extent is "
            "{here}; choose another extent, or none.",
        )
    else:
        text = translate(
            "ScasNet",
            "The mask {source} does not overlap the raster: it covers {there}, but the raster "
            "{here}; choose another layer, or correct the coordinate reference system of one of "
            "them.",
        )
    return InputError(text, source=source, there=mask.text, here=raster.text)
