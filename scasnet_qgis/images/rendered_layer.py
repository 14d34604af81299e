"""A web layer as input image: its identity, attribution and limit of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.rendered_image import BLOCK, BlockRenderer, RenderedGrid, RenderedImage
from scasnet_qgis.tiling.windows import Window, aligned_windows, count_windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_BLOCKS = 200_000  # that are held against the polygons of a mask, which takes seconds
COARSE = 1.5  # by which a service's pixels may be larger than those rendered, without a word


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
                "Percentiles are taken from all of an image, which the layer {name} would have to "
                "be fetched for: give the range as values, or none, which is 0 to 255.",
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
        if inside is None or count > _MAX_BLOCKS:
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
            "The layer {name} is rendered with pixels of {size:.3g} m on the ground, for about "
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
                "The finest pixels that the service has for this are {source:.3g} m: those of "
                "{size:.3g} m show no more than they do.",
            )
            progress.warn(message(text, source=source, size=size))
        if self.rights:
            text = translate("ScasNet", "Attribution of the image: {rights}")
            progress.info(message(text, rights=self.attribution))
        else:
            text = translate(
                "ScasNet",
                "The layer states no attribution: the terms of use of its service apply, also to "
                "what is made from its images.",
            )
            progress.warn(message(text))
