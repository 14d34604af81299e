"""Each declared setting of a map: whether it stops a resume, and where it is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scasnet_qgis.common.options import BandNumbers, Choice, Flag, Number, Option, options_of
from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.settings import DECLARED, MapSettings, WebLayerOptions
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.outputs.provenance.stamp import read_record, read_stamp
from tests.map_settings import changed
from tests.mapping.interrupting import fresh, interrupted, mapped, request_in

pytestmark = pytest.mark.usefixtures("worth_keeping")
OPTIONS = [
    pytest.param(declared, name, id=option.parameter)
    for declared in DECLARED
    if declared is not WebLayerOptions
    for name, option in options_of(declared).items()
]
# What another text may be, of settings that are written as text.
TEXTS = {"scales": "0.5;1", "value_range": "3;250"}
# Chosen by the computer where nothing is given, so that a repeat names the result of the choice.
CHOSEN = {"device", "batch", "tile_size", "overlap", "bands"}


@pytest.fixture
def worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the shortest work."""
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)


def another(name: str, option: Option, value: Any) -> Any:
    """A value that differs from ``value``, from what kind of setting it is."""
    kind = option.kind
    if isinstance(kind, Flag):
        return not value
    if isinstance(kind, Choice):
        return next(word for word in ("cpu", *kind.values) if word in kind.values and word != value)
    if isinstance(kind, BandNumbers):
        return (3, 2, 1)
    if isinstance(kind, Number):
        return _another_number(kind, value)
    assert option.parse is not None
    return option.parse(TEXTS[name])


def _another_number(kind: Number, value: float | None) -> float:
    if not kind.integer:
        return 0.5 if kind.maximum == 1 else (value or 0.0) + 6.0
    if value is None:
        return max(int(kind.minimum or 0), 48)
    return int(value) + (8 if value else 3)  # odd, or a multiple of what tiles are


def base(declared: type, name: str, folder: Path) -> MapSettings:
    """As declared, but for what a setting needs to have an effect."""
    request = request_in(folder)
    needed = options_of(declared)[name].only_with
    if not needed:
        return request
    return changed(request, **{needed: another(needed, options_of(declared)[needed], None)})


def with_another(request: MapSettings, declared: type, name: str) -> tuple[MapSettings, Any]:
    for part in (*request.parts, request.run):
        if type(part) is declared:
            value = another(name, options_of(declared)[name], getattr(part, name))
            return changed(request, **{name: value}), value
    raise TypeError(f"no part of the settings: {declared}")


@pytest.mark.parametrize(("declared", "name"), OPTIONS)
def test_a_setting_that_is_part_of_the_identity_stops_a_resume_and_no_other_does(
    tmp_path: Path, declared: type, name: str
) -> None:
    option = options_of(declared)[name]
    request = base(declared, name, tmp_path)
    interrupted(request)
    other, _ = with_another(request, declared, name)
    progress, result = mapped(other)
    reasons = [text for text in progress.infos if option.differs and option.differs in text]
    resumes = not option.part_of_identity and name != "resume"
    assert (result.kept > 0) == resumes
    assert len(reasons) == option.part_of_identity
    if option.part_of_identity:
        assert other.output.map.read_bytes() == fresh(other, tmp_path / "fresh")


@pytest.mark.parametrize(("declared", "name"), OPTIONS)
def test_a_setting_stands_in_stamp_record_and_repeat_command(
    tmp_path: Path, declared: type, name: str
) -> None:
    option = options_of(declared)[name]
    request = base(declared, name, tmp_path)
    other, value = with_another(request, declared, name)
    found = []
    for settings in (request, other):
        mapped(settings)
        record = read_record(settings.output.map).content
        found.append(
            (read_stamp(settings.output.map), record["settings"]["given"], record["repeat"])
        )
    stamps, given, repeats = zip(*found)
    assert (stamps[0] != stamps[1]) == option.part_of_identity
    if name == "resume":
        return
    assert given[0][name] != given[1][name]
    if option.part_of_identity:
        assert repeats[1]["parameters"][option.parameter] == option.text(value)
        assert option.text(value) in repeats[1]["command"]
        assert name in CHOSEN or option.parameter not in repeats[0]["parameters"]


def test_options_of_web_layers_are_part_of_the_settings_where_there_is_one(tmp_path: Path) -> None:
    request = request_in(tmp_path)
    kinds = [type(part) for part in request.parts]
    assert WebLayerOptions not in kinds
    rendered = changed(request, web_layer=WebLayerOptions(pixel_size=2.0))
    assert {*DECLARED} - {type(request.run)} == {type(part) for part in rendered.parts}


def test_every_setting_has_its_own_parameter_and_name() -> None:
    declared = [(name, option) for kind in DECLARED for name, option in options_of(kind).items()]
    names = [name for name, _ in declared]
    parameters = [option.parameter for _, option in declared]
    assert len(set(names)) == len(names)
    assert len(set(parameters)) == len(parameters)
    assert all(parameters)
    assert len({kind.counted.key for kind in REFINEMENTS}) == len(REFINEMENTS)
