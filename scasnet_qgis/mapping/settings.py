"""What to map and how: small values, each for those who use it, and their parameters.

The parameters of ``scasnet:segment``, a run's identity, the stamp in the map, the record, the
report and the command that repeats a run follow from the options that are declared here, in
tiling/augmentation.py and in refinements/. Loading this module loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import BandNumbers, Choice, Flag, Number, Text, labels, option
from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.refinements.refinement import Refinement
from scasnet_qgis.models.runtime import PROVIDERS
from scasnet_qgis.tiling.augmentation import NO_AUGMENTATION, Augmentation

if TYPE_CHECKING:
    from scasnet_qgis.images.rendered_layer import RenderedLayer
    from scasnet_qgis.images.value_scaling import ValueRange
    from scasnet_qgis.models.model_file import ModelInfo

DEVICES = ("auto", *PROVIDERS)


@dataclass(frozen=True)
class WebLayerOptions:
    """How a layer without a file is rendered."""

    pixel_size: float | None = option(
        None,
        "PIXEL_SIZE",
        translate("ScasNet", "Pixel size for web layers (m)"),
        translate(
            "ScasNet",
            "Ground resolution at which a web layer is rendered; files keep their own. If the "
            "service has a zoom level within 10 % of it, that one is used. Leave empty for the "
            "resolution that the model was trained at.",
        ),
        Number(0.0, 10000.0, optional=True),
        advanced=True,
        differs=translate("ScasNet", "the pixel size for web layers differs"),
    )
    max_requests: int = option(
        2000,
        "MAX_REQUESTS",
        translate("ScasNet", "Maximum number of tile requests"),
        translate(
            "ScasNet",
            "A web layer that needs more requests than this is refused before the first one is "
            "sent. Many services limit downloads in their terms of use: read them before you "
            "raise this.",
        ),
        Number(1, 10_000_000, integer=True),
        advanced=True,
    )


def _parse_value_range(text: str) -> ValueRange | None:
    from scasnet_qgis.images.value_scaling import parse_value_range  # loads GDAL

    return parse_value_range(text)


@dataclass(frozen=True)
class ImageInput:
    """The image, which part of it is mapped, and how it is read.

    Where ``source`` names no file, ``layer`` is what is rendered, as ``web_layer`` says.
    ``fallback_wkt`` is the reference system for a raster that states none, or, where the
    ``layer_wins``, for any. ``extent`` is x_min, y_min, x_max, y_max in the raster's coordinates;
    None: all of it. ``mask`` is a file of polygons, ``mask_layer`` the layer in it: what lies
    outside of all of them is not mapped. ``value_range`` are the values that become 0 and 1, see
    images/value_scaling.py. With ``resample`` the model sees the raster at the ground resolution
    that it was trained for.
    """

    source: str
    layer: RenderedLayer | None = None
    web_layer: WebLayerOptions | None = None
    fallback_wkt: str = ""
    layer_wins: bool = False
    extent: tuple[float, float, float, float] | None = None
    mask: str = ""
    mask_layer: str = ""
    bands: tuple[int, ...] = option(
        (),
        "BANDS",
        translate("ScasNet", "Bands"),
        translate(
            "ScasNet",
            "Image bands for the bands of the model, in the model's order (built-in model: red, "
            'green, blue); on the command line as in "3;2;1". Leave empty to assign them by colour '
            "interpretation, then by order.",
        ),
        BandNumbers("INPUT"),
        differs=translate("ScasNet", "the bands differ"),
    )
    resample: bool = option(
        True,
        "RESAMPLE",
        translate("ScasNet", "Resample image to the model's ground resolution"),
        translate(
            "ScasNet",
            "If the ground resolution of the image is outside the range that the model was "
            "trained at, the image is resampled on the fly; the map keeps the pixels of the image. "
            "The log states both resolutions. Images within the range, and those more than 2.5 "
            "times too coarse, are not resampled.",
        ),
        Flag(),
        advanced=True,
        differs=translate("ScasNet", "resampling to the model's resolution differs"),
        stamp=lambda _image: "no",
    )
    value_range: ValueRange | None = option(
        None,
        "VALUE_RANGE",
        translate("ScasNet", "Input value range (min;max)"),
        translate(
            "ScasNet",
            "Image values that correspond to 0 and 1 of the model's input, for the whole image: "
            '"0;2047" for all bands, one pair for each band as in "0;2047;0;2047;0;1800", or '
            'percentiles of the whole image as in "2%;98%". Leave empty to derive it from the '
            "model and the image; the log states how.",
        ),
        Text(),
        advanced=True,
        differs=translate("ScasNet", "the input value range differs"),
        parse=_parse_value_range,
        write=str,
    )


@dataclass(frozen=True)
class OutputFiles:
    """Where the results go; the probabilities only if wanted.

    The name of a ``temporary`` map is made up for one run, so that no later run can resume it.
    """

    map: Path
    probabilities: Path | None = None
    temporary: bool = False

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.map,) if self.probabilities is None else (self.map, self.probabilities)


@dataclass(frozen=True)
class DeviceOptions:
    """What computes; 0: as the device advises."""

    device: str = option(
        DEVICES[0],
        "DEVICE",
        translate("ScasNet", "Device"),
        translate(
            "ScasNet",
            "Execution provider that runs the model: auto, cpu, cuda and so on. auto takes the "
            "fastest one that works on this computer; the log states which.",
        ),
        Choice(DEVICES),
        advanced=True,
    )
    batch: int = option(
        0,
        "BATCH_SIZE",
        translate("ScasNet", "Batch size (tiles)"),
        translate(
            "ScasNet",
            "Number of tiles that the model processes at once. 0: as many as fit into the memory "
            "of the graphics card, 1 on a CPU.",
        ),
        Number(0, 1024, integer=True),
        advanced=True,
    )
    threads: int = option(
        0,
        "THREADS",
        translate("ScasNet", "CPU threads"),
        translate("ScasNet", "Number of CPU cores to use; 0: all."),
        Number(0, 1024, integer=True),
        advanced=True,
    )


@dataclass(frozen=True)
class TilingOptions:
    """How the image is cut into tiles, in pixels; None: as the model advises."""

    tile_size: int | None = option(
        None,
        "TILE_SIZE",
        translate("ScasNet", "Tile size (pixels)"),
        translate(
            "ScasNet",
            "Side of the tiles that the model processes. Tiles have at most this area; their sides "
            "may be up to 1.4 times as long where that fits the image better. Smaller tiles need "
            "less memory. Leave empty for the model's own size.",
        ),
        Number(32, 16384, integer=True, optional=True),
        advanced=True,
        differs=translate("ScasNet", "the tile size differs"),
    )
    overlap: int | None = option(
        None,
        "OVERLAP",
        translate("ScasNet", "Overlap (pixels)"),
        translate(
            "ScasNet",
            "Overlap of neighbouring tiles, over which their scores are blended. Leave empty for "
            "the model's own value.",
        ),
        Number(0, 8192, integer=True, optional=True),
        advanced=True,
        differs=translate("ScasNet", "the overlap differs"),
    )


@dataclass(frozen=True)
class RunOptions:
    """How a run treats an interrupted one."""

    resume: bool = option(
        True,
        "RESUME",
        translate("ScasNet", "Resume interrupted run"),
        translate(
            "ScasNet",
            "A run that is cancelled or fails keeps its finished part in a hidden folder beside "
            "the output, if that took more than 20 seconds; one that is killed keeps it in any "
            "case. Run again with the same image, model, settings and output, it continues from "
            "there, and the map is the same as without the interruption. Temporary outputs cannot "
            "be resumed. Unticked, the run starts from the beginning.",
        ),
        Flag(),
        advanced=True,
    )


def _no_refinements() -> tuple[Refinement, ...]:
    return tuple(refinement() for refinement in REFINEMENTS)


@dataclass(frozen=True)
class MapSettings:
    """All of a run; hand its parts to those who need them.

    ``refinements`` are one value of each of REFINEMENTS, in their order.
    """

    image: ImageInput
    model: ModelInfo
    output: OutputFiles
    tiling: TilingOptions = field(default_factory=TilingOptions)
    device: DeviceOptions = field(default_factory=DeviceOptions)
    augmentation: Augmentation = NO_AUGMENTATION
    refinements: tuple[Refinement, ...] = field(default_factory=_no_refinements)
    run: RunOptions = field(default_factory=RunOptions)

    @property
    def parts(self) -> Iterator[Any]:
        """The values whose options tell about the map; how it was run is not among them."""
        yield self.image
        if self.image.web_layer is not None:
            yield self.image.web_layer
        yield self.augmentation
        yield from self.refinements
        yield self.device
        yield self.tiling

    @property
    def needs_scores(self) -> bool:
        """Whether more is asked for than the likeliest class of each pixel."""
        wanted = (step.needs_scores for step in self.refinements if step.active)
        return self.output.probabilities is not None or any(wanted)


# All types with options, in the order of their parameters.
DECLARED = (
    ImageInput,
    Augmentation,
    *REFINEMENTS,
    DeviceOptions,
    TilingOptions,
    WebLayerOptions,
    RunOptions,
)


def labels_of_settings() -> dict[str, str]:
    """The label of each setting, by attribute; not translated."""
    return {name: label for declared in DECLARED for name, label in labels(declared).items()}
