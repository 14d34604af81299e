"""What a run leaves about itself: where the map comes from, and how to make it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.options import given, stamps
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.common.redaction import without_secrets
from scasnet_qgis.images.reader import files_of
from scasnet_qgis.labels.vectors.mask import layer_digest
from scasnet_qgis.mapping import repeat_command as mapping_repeat
from scasnet_qgis.mapping.context import RunContext
from scasnet_qgis.mapping.map_files import MapCounts
from scasnet_qgis.mapping.plan import tile_and_overlap
from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.settings import MapSettings, TilingOptions
from scasnet_qgis.mapping.software import plugin_version, software
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.runtime import short_name
from scasnet_qgis.outputs.provenance.fingerprint import (
    Fingerprint,
    Fingerprints,
    fingerprint,
    fingerprints,
    utc,
)
from scasnet_qgis.outputs.provenance.input_guard import InputGuard, same_content
from scasnet_qgis.outputs.provenance.stamp import (
    grid_facts,
    stamp_items,
    vector_files,
    write_records,
)
from scasnet_qgis.outputs.provenance.warning_log import WarningLog
from scasnet_qgis.tiling.pipeline import RunReport


class RunRecord:
    """Begins with the run, so that it marks the input as it was before it was read.

    ``image`` and ``model`` tell the states of their files. ``progress`` is to be used from then
    on: it keeps the run's warnings. Raises Cancelled.
    """

    def __init__(self, settings: MapSettings, progress: Progress) -> None:
        image, model = settings.image, settings.model
        self._image, self._card, self._model_path = image, model.card, model.path
        self._began, self._clock = time.time(), time.monotonic()
        self.progress = WarningLog(progress)
        check = self.progress.check
        files = [] if image.layer else files_of(image.source)
        self._input = fingerprints(files, check)
        self._mask = fingerprints(vector_files(image.mask) if image.mask else [], check)
        self._model = fingerprint(str(model.path), check, parts=0)
        self._watches = [InputGuard(self._input, same_content(check))]

    @property
    def image(self) -> Fingerprints:
        """The files of the image, as they were when the run began."""
        return self._input

    @property
    def model(self) -> Fingerprint:
        """The model's file."""
        return self._model

    def watch_mask(self, digest: str) -> None:
        """``digest`` is that of the polygons (see ``labels/vectors/mask.py``)."""
        image, check = self._image, self.progress.check

        def same(_before: Fingerprint) -> bool:
            return layer_digest(image.mask, image.mask_layer, check) == digest

        self._watches.append(InputGuard(self._mask, same))

    def check_files(self) -> None:
        """Raise InputError where the image or the mask is no longer what it was."""
        for watch in self._watches:
            watch.check()

    def check_model(self) -> None:
        """Raise ModelError where the model's file is not that of the beginning any more.

        To be asked once it is opened: from then on the file is not read again.
        """
        if self._model.has_changed:
            raise ModelError(
                translate("ScasNet", "The model {name} changed while it was opened: run again."),
                name=self._model_path.name,
            )

    def _tell_files(self) -> None:
        """Warn of files of which nobody can be quite sure."""
        gone = translate(
            "ScasNet", "{path} was removed during the run: the map shows its former content."
        )
        unverified = translate(
            "ScasNet",
            "The timestamp of {path} changed during the run. Its size and the part of its content "
            "that was compared are the same; run again if the file was edited.",
        )
        for watch in self._watches:
            for path in watch.gone:
                self.progress.warn(message(gone, path=path))
            for path in watch.unverified:
                self.progress.warn(message(unverified, path=path))

    def origin(self, run: RunContext) -> dict[str, str]:
        """What goes into the files themselves: the same for the same input, model and settings."""
        card, layer = self._card, self._image.layer
        return stamp_items(
            card.name,
            self._model.sha256 or "",
            [asdict(model_class) for model_class in card.classes],
            licence=card.licence,
            attribution=card.attribution,
            **_stamps(run),
            image_attribution=layer.attribution if layer else "",
            plugin=plugin_version(),
        )

    def write(
        self,
        working: Mapping[str, Path],
        run: RunContext,
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
            "map": _map_facts(run, counts),
            "input": self._input_facts(run),
            "area": self._area_facts(run),
            "model": self._model_facts(),
            "settings": {"given": _given(run), "used": _used(run)},
            "provider": _provider_facts(run.backend),
            "software": software(),
            "kept_of_an_interrupted_run": kept,
            "tiles": {"computed": report.computed_tiles, "skipped": report.skipped_tiles},
            "warnings": [without_secrets(warning) for warning in self.progress.warnings],
            "repeat": mapping_repeat.facts(run),
        }
        write_records(content, working, self.progress.check)

    def _times(self) -> dict[str, Any]:
        seconds = time.monotonic() - self._clock
        began = self._began
        return {"started": utc(began), "ended": utc(began + seconds), "seconds": round(seconds, 2)}

    def _input_facts(self, run: RunContext) -> dict[str, Any]:
        reader, scaling, image = run.reader, run.scaling, self._image
        named = zip(self._card.bands, reader.bands)
        return {
            "source": mapping_repeat.public_source(image),
            **({} if image.layer is None else {"rendered": image.layer.facts()}),
            **self._input.as_dict(),
            **grid_facts(run.grid),
            "crs_from_layer": run.grid.wkt != reader.grid.wkt,
            "type": str(reader.dtype),
            "bands": [{"name": name, "number": number} for name, number in named],
            "scaling": {"low": scaling.low, "high": scaling.high, "rule": str(scaling.rule)},
            "nodata": {**asdict(reader.rule), "rule": str(reader.rule.sentence)},
        }

    def _area_facts(self, run: RunContext) -> dict[str, Any]:
        image = self._image
        mask = {
            "source": without_secrets(image.mask),
            "layer": image.mask_layer,
            **self._mask.as_dict(),
        }
        return {
            "extent": image.extent,
            "window": asdict(run.area),
            "mask": mask if image.mask else None,
        }

    def _model_facts(self) -> dict[str, Any]:
        name = self._model_path.name
        return {"name": name, **self._model.as_dict(), "card": asdict(self._card)}


def _stamps(run: RunContext) -> dict[str, str]:
    """What was asked for otherwise than the model and the image advise.

    So the map of the command that repeats a run, which spells that out, has the same bytes.
    """
    settings = run.settings
    model, tiling, threads = settings.model, settings.tiling, settings.device.threads
    tile, _ = tile_and_overlap(model, TilingOptions(), threads)
    _, overlap = tile_and_overlap(model, TilingOptions(tiling.tile_size), threads)
    advised = {
        "BANDS": ";".join(map(str, run.reader.advised_bands)),
        "TILE_SIZE": str(tile[0]),
        "OVERLAP": str(overlap),
    }
    if model.card.resolution is not None:
        low, high = model.card.resolution
        advised["PIXEL_SIZE"] = repr(float((low * high) ** 0.5))
    found = {name: text for part in settings.parts for name, text in stamps(part).items()}
    return {name: text for name, text in found.items() if advised.get(name) != text}


def _given(run: RunContext) -> dict[str, Any]:
    settings = run.settings
    found = {name: value for part in settings.parts for name, value in given(part).items()}
    return {**found, "probabilities": settings.output.probabilities is not None}


def _used(run: RunContext) -> dict[str, Any]:
    """What a run made of its settings; what was not asked for is None."""
    plan, backend, model_grid = run.plan, run.backend, run.model_grid
    return {
        "model_sees": None if model_grid is None else model_grid.size,
        "model_sees_m": None if model_grid is None else model_grid.resolution,
        "tile": run.tiling.tile,
        "tile_of_the_plan": (plan.vertical.size, plan.horizontal.size),
        "tiles": plan.count,
        "overlap": run.tiling.overlap,
        "batch": backend.batch,
        "threads": backend.threads,
        "workers": backend.workers,
        **{name: None for refinement in REFINEMENTS for name in refinement.fact_labels},
        **{name: value for step in run.steps.all for name, value in step.facts.items()},
    }


def _map_facts(run: RunContext, counts: MapCounts) -> dict[str, Any]:
    grid = run.map_grid
    classes = sum(area.pixels for area in counts.areas)
    return {
        **grid_facts(grid),
        "classes": [asdict(area) for area in counts.areas],
        "area_unit": grid.area_unit,
        **{refinement.counted.key: 0 for refinement in REFINEMENTS},
        **counts.refined,
        "nodata_pixels": grid.rows * grid.cols - classes - counts.unclassified,
    }


def _provider_facts(backend: OnnxBackend) -> dict[str, Any]:
    return {
        "name": backend.provider,
        "device": short_name(backend.provider),
        "details": backend.device_name,
        "eight_bit_scores": backend.eight_bit and not backend.gives_labels,
        "labels_only": backend.gives_labels,
        "takes_raw_values": backend.takes_raw,
        "notes": [str(note) for note in backend.notes],
    }
