"""What a run leaves about itself: where the map comes from, and how to make it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scasnet_qgis import mapping_repeat
from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import message, translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.redaction import without_secrets
from scasnet_qgis.core.remembering import Remembering
from scasnet_qgis.core.segmentation import RunReport
from scasnet_qgis.mapping_repeat import Settled
from scasnet_qgis.mapping_software import plugin_version, software
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.runtime import short_name
from scasnet_qgis.raster.fingerprint import (
    Fingerprint,
    Fingerprints,
    fingerprint,
    fingerprints,
    utc,
)
from scasnet_qgis.raster.layer_digest import layer_digest
from scasnet_qgis.raster.products import MapCounts
from scasnet_qgis.raster.provenance import (
    files_of_layer,
    origin_of,
    place_of,
    write_records,
)
from scasnet_qgis.raster.reader import files_of
from scasnet_qgis.raster.watch import Watch, same_bytes

if TYPE_CHECKING:
    from scasnet_qgis.mapping import MapRequest


class RunRecord:
    """Begins with the run, so that it marks the input as it was before it was read.

    ``image`` and ``model`` tell the states of their files. ``progress`` is to be used from then
    on: it keeps the run's warnings. Raises Cancelled.
    """

    def __init__(self, request: MapRequest, progress: Progress) -> None:
        self._request = request
        self._began, self._clock = time.time(), time.monotonic()
        self.progress = Remembering(progress)
        check = self.progress.check
        files = [] if request.layer else files_of(request.source)
        self._input = fingerprints(files, check)
        self._mask = fingerprints(files_of_layer(request.mask) if request.mask else [], check)
        self._model = fingerprint(str(request.model.path), check, parts=0)
        self._watches = [Watch(self._input, same_bytes(check))]

    @property
    def image(self) -> Fingerprints:
        """The files of the image, as they were when the run began."""
        return self._input

    @property
    def model(self) -> Fingerprint:
        """The model's file."""
        return self._model

    def watch_mask(self, digest: str) -> None:
        """``digest`` is that of the polygons (see ``raster/layer_digest.py``)."""
        request, check = self._request, self.progress.check

        def same(_before: Fingerprint) -> bool:
            return layer_digest(request.mask, request.mask_layer, check) == digest

        self._watches.append(Watch(self._mask, same))

    def check_files(self) -> None:
        """Raise InputError where the image or the mask is no longer what it was."""
        for each in self._watches:
            each.check()

    def check_model(self) -> None:
        """Raise ModelError where the model's file is not that of the beginning any more.

        To be asked once it is opened: from then on the file is not read again.
        """
        if self._model.has_changed:
            raise ModelError(
                translate(
                    "ScasNet", "The model {name} was changed as it was opened: make the map again."
                ),
                name=self._request.model.path.name,
            )

    def _tell_files(self) -> None:
        """Warn of files of which nobody can be quite sure."""
        gone = translate(
            "ScasNet", "{path} was removed while the map was made: the map shows it as it was."
        )
        doubtful = translate(
            "ScasNet",
            "{path} got another time while the map was made. Its size and what was compared of its "
            "content are the same; make the map again if somebody worked on it.",
        )
        for each in self._watches:
            for path in each.gone:
                self.progress.warn(message(gone, path=path))
            for path in each.doubtful:
                self.progress.warn(message(doubtful, path=path))

    @property
    def origin(self) -> dict[str, str]:
        """What goes into the files themselves: the same for the same input, model and settings."""
        card, request = self._request.model.card, self._request
        return origin_of(
            card.name,
            self._model.sha256 or "",
            [asdict(each) for each in card.classes],
            licence=card.licence,
            attribution=card.attribution,
            value_range=str(request.value_range or ""),
            resample="" if request.resample else "no",
            scales=";".join(f"{each:g}" for each in request.looks.scales),
            flips=request.looks.flips,
            sieve=f"{request.sieve:g} {request.sieve_unit}" if request.sieve > 0 else "",
            min_confidence=f"{request.min_confidence:g}" if request.min_confidence > 0 else "",
            image_attribution=request.layer.attribution if request.layer else "",
            plugin=plugin_version(),
        )

    def write(
        self,
        working: Mapping[str, Path],
        settled: Settled,
        counts: MapCounts,
        report: RunReport,
        kept: float = 0.0,
    ) -> None:
        """Describe the run beside its finished files, before they take their names.

        ``working`` by MAP and PROBABILITIES; ``kept`` is the share of the map, from 0 to 1, that an
        interrupted run had finished. Raises InputError where what was read has changed, OutputError
        and Cancelled.
        """
        self.check_files()
        self._tell_files()
        content = {
            **self._times(),
            "map": _map_facts(settled, counts),
            "input": self._input_facts(settled),
            "area": self._area_facts(settled),
            "model": self._model_facts(),
            "settings": {"given": self._given(), "used": self._used(settled)},
            "provider": _provider_facts(settled.backend),
            "software": software(),
            "kept_of_an_interrupted_run": kept,
            "tiles": {"computed": report.computed_tiles, "skipped": report.skipped_tiles},
            "warnings": [without_secrets(each) for each in self.progress.warnings],
            "repeat": mapping_repeat.facts(self._request, settled),
        }
        write_records(content, working, self.progress.check)

    def _times(self) -> dict[str, Any]:
        seconds = time.monotonic() - self._clock
        began = self._began
        return {"started": utc(began), "ended": utc(began + seconds), "seconds": round(seconds, 2)}

    def _input_facts(self, settled: Settled) -> dict[str, Any]:
        reader, scaling, layer = settled.reader, settled.scaling, self._request.layer
        named = zip(self._request.model.card.bands, reader.bands)
        return {
            "source": mapping_repeat.public_source(self._request),
            **({} if layer is None else {"rendered": layer.facts()}),
            **self._input.as_dict(),
            **place_of(settled.grid),
            "crs_from_layer": settled.grid.wkt != reader.grid.wkt,
            "type": str(reader.dtype),
            "bands": [{"name": name, "number": number} for name, number in named],
            "scaling": {"low": scaling.low, "high": scaling.high, "rule": str(scaling.rule)},
            "nodata": {**asdict(reader.rule), "rule": str(reader.rule.sentence)},
        }

    def _area_facts(self, settled: Settled) -> dict[str, Any]:
        request = self._request
        mask = {
            "source": without_secrets(request.mask),
            "layer": request.mask_layer,
            **self._mask.as_dict(),
        }
        return {
            "extent": request.extent,
            "window": asdict(settled.area),
            "mask": mask if request.mask else None,
        }

    def _model_facts(self) -> dict[str, Any]:
        model = self._request.model
        return {"name": model.path.name, **self._model.as_dict(), "card": asdict(model.card)}

    def _given(self) -> dict[str, Any]:
        request = self._request
        return {
            "bands": request.bands,
            "value_range": str(request.value_range or ""),
            "device": request.device,
            "tile_size": request.tile_size,
            "overlap": request.overlap,
            "batch": request.batch,
            "threads": request.threads,
            "resample": request.resample,
            "scales": request.looks.scales,
            "flips": request.looks.flips,
            "min_confidence": request.min_confidence,
            "sieve": request.sieve,
            "sieve_unit": request.sieve_unit,
            "probabilities": request.probabilities is not None,
        }

    def _used(self, settled: Settled) -> dict[str, Any]:
        plan, backend, smallest = settled.plan, settled.backend, settled.rules.smallest
        seen = settled.seen
        return {
            "model_sees": None if seen is None else seen.size,
            "model_sees_m": None if seen is None else seen.resolution,
            "tile": settled.tiling.tile,
            "tile_of_the_plan": (plan.vertical.size, plan.horizontal.size),
            "tiles": plan.count,
            "overlap": settled.tiling.overlap,
            "batch": backend.batch,
            "threads": backend.threads,
            "workers": backend.workers,
            "smallest_patch_pixels": None if smallest is None else smallest.pixels,
        }


def _map_facts(settled: Settled, counts: MapCounts) -> dict[str, Any]:
    grid = settled.grid.part(settled.area)
    classes = sum(each.pixels for each in counts.areas)
    return {
        **place_of(grid),
        "classes": [asdict(each) for each in counts.areas],
        "area_unit": grid.area_unit,
        "uncertain_pixels": counts.uncertain_pixels,
        "merged_pixels": counts.merged_pixels,
        "nodata_pixels": grid.rows * grid.cols - classes - counts.uncertain_pixels,
    }


def _provider_facts(backend: OnnxBackend) -> dict[str, Any]:
    return {
        "name": backend.provider,
        "device": short_name(backend.provider),
        "details": backend.device_name,
        "eight_bit_scores": backend.eight_bit and not backend.gives_labels,
        "labels_only": backend.gives_labels,
        "takes_raw_values": backend.takes_raw,
        "notes": [str(each) for each in backend.notes],
    }
