"""Value scaling: which rule scales an image, and value ranges as users write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.images.value_scaling import ValueRange, parse_value_range
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs.provenance.stamp import read_record
from scasnet_qgis.tiling.scaling import Scaling
from tests.conftest import MakeRaster, Recorder
from tests.map_settings import map_settings
from tests.mapping.test_job import CLASSES, direct, noise, run
from tests.models import tiny_models

RGB = ("red", "green", "blue")
LAND = (ModelClass("land", "#aabbcc"), ModelClass("water", "#001122"))
ON_BYTES = ModelCard("test", LAND)


def scaled(
    source: str, card: ModelCard = ON_BYTES, given: str = "", progress: Progress | None = None
) -> Scaling:
    """The scaling of a raster for a model, as a run asks for it."""
    reader = RasterReader(source, RGB, (), progress or Progress())
    return reader.scaling(card, parse_value_range(given))


def card_of(low: float, high: float) -> ModelCard:
    return ModelCard("test", LAND, value_range=(low, high))


def dark(kind: str, top: int = 700) -> np.ndarray:
    """Values of a sensor: far from filling their type."""
    return np.random.default_rng(5).integers(100, top, (3, 90, 80)).astype(kind)


@pytest.mark.fault(
    "A 16-bit or float image, signed or not, for a model that knows 8-bit images.",
    "Each band is scaled by two percentiles of the whole image, never tile by tile.",
)
@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_other_types_are_scaled_by_percentiles(make_raster: MakeRaster, kind: str) -> None:
    image = dark(kind)
    scaling = scaled(make_raster(image))
    np.testing.assert_allclose((scaling.low, scaling.high), np.percentile(image, (2, 98), (1, 2)))
    assert "percentiles" in str(scaling.rule)


@pytest.mark.fault(
    "A signed image with values below zero.", "It is scaled like any other, none is cut off at 0."
)
def test_negative_values(make_raster: MakeRaster) -> None:
    scaling = scaled(make_raster(dark("int16") - 400))
    assert max(scaling.low) < 0 < min(scaling.high)


@pytest.mark.fault(
    "A 16-bit file of 11-bit or 12-bit values (stated as NBITS).",
    "It is scaled by percentiles: the file's number of bits says nothing about how bright it is.",
)
@pytest.mark.parametrize("bits", [11, 12])
def test_11_and_12_bits(make_raster: MakeRaster, bits: int) -> None:
    image = dark("uint16")
    scaling = scaled(make_raster(image, options=(f"NBITS={bits}",)))
    np.testing.assert_allclose(scaling.high, np.percentile(image, 98, (1, 2)))


@pytest.mark.fault(
    "An 8-bit image that was saved as 16-bit or float.", "It gives the map of the 8-bit image."
)
@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_8_bit_values_in_a_wider_type(make_raster: MakeRaster, tmp_path: Path, kind: str) -> None:
    image = noise(90, 80)
    scaling = scaled(make_raster(image.astype(kind)))
    assert (scaling.low, scaling.high) == ((0.0,) * 3, (255.0,) * 3)
    assert "like an 8-bit image" in str(scaling.rule)
    labels, _ = run(make_raster(image.astype(kind)), tmp_path)
    np.testing.assert_array_equal(labels, direct(image / 255))


@pytest.mark.fault(
    "A float image from 0 to 1.", "It is scaled by 0 to 1 and gives the map of the 8-bit image."
)
def test_float_from_0_to_1(make_raster: MakeRaster, tmp_path: Path) -> None:
    image = noise(90, 80)
    scaling = scaled(make_raster((image / 255).astype(np.float32)))
    assert (scaling.low, scaling.high) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.fault(
    "Reflectances from 0 to 1, which are dark.", "They are scaled by percentiles, not by 0 to 1."
)
def test_reflectances(make_raster: MakeRaster) -> None:
    scaling = scaled(make_raster((dark("float32") / 2000).astype(np.float32)))
    assert max(scaling.high) < 0.4
    assert "percentiles" in str(scaling.rule)


@pytest.mark.fault(
    "A file that stores 1, 2 or 4 bits a value.", "Its highest value is white, not nearly black."
)
@pytest.mark.parametrize(("bits", "top"), [(1, 1.0), (2, 3.0), (4, 15.0)])
def test_few_bits(make_raster: MakeRaster, bits: int, top: float) -> None:
    image = np.random.default_rng(2).integers(0, int(top) + 1, (3, 70, 60)).astype(np.uint8)
    scaling = scaled(make_raster(image, options=(f"NBITS={bits}",)))
    assert (scaling.low, scaling.high) == ((0.0,) * 3, (top,) * 3)
    assert f"{bits} bit(s)" in str(scaling.rule)


@pytest.mark.fault(
    "A model that was trained on 16-bit or float images, and such an image.",
    "The range on the model's card is taken, whatever the image holds.",
)
@pytest.mark.parametrize(("low", "high"), [(0.0, 10000.0), (100.0, 900.0)])
def test_the_card_wins(
    make_raster: MakeRaster, recorder: Recorder, low: float, high: float
) -> None:
    scaling = scaled(make_raster(dark("uint16", 2000)), card_of(low, high), progress=recorder)
    assert (scaling.low, scaling.high) == ((low,) * 3, (high,) * 3)
    assert recorder.warnings == []


@pytest.mark.fault(
    "A model that was trained on 16-bit or float values, and an 8-bit image.",
    "The image is scaled by 0 to 255, and a warning says that the map may be worse.",
)
@pytest.mark.parametrize(("low", "high"), [(0.0, 10000.0), (0.0, 1.0)])
def test_8_bit_for_another_model(
    make_raster: MakeRaster, recorder: Recorder, low: float, high: float
) -> None:
    scaling = scaled(make_raster(noise(90, 80)), card_of(low, high), progress=recorder)
    assert scaling.high == (255.0,) * 3
    assert len(recorder.warnings) == 1


@pytest.mark.fault(
    "An image whose values hardly reach into the range that the model was trained on.",
    "A warning names both ranges and says what to do.",
)
@pytest.mark.parametrize(
    ("kind", "low", "high"), [("uint16", 0, 65535), ("float32", 0, 1), ("uint16", 5000, 9000)]
)
def test_values_that_do_not_fit_the_card(
    make_raster: MakeRaster, recorder: Recorder, kind: str, low: float, high: float
) -> None:
    scaled(make_raster(dark(kind)), card_of(low, high), progress=recorder)
    assert len(recorder.warnings) == 1


@pytest.mark.fault(
    "A range is given in which the values of the image, or of one band, hardly lie.",
    "A warning names both; the range is taken all the same.",
)
@pytest.mark.parametrize(
    ("given", "kind", "warnings"),
    [
        ("0;1", "uint16", 1),
        ("0;1", "uint8", 1),
        ("0;1;100;700;100;700", "uint16", 1),
        ("0;100000", "uint16", 1),
        ("100;700", "uint16", 0),
        ("0;1000;100;700;50;2000", "uint16", 0),
        ("2%;98%", "uint16", 0),
    ],
)
def test_values_that_do_not_fit_the_given_range(
    make_raster: MakeRaster, recorder: Recorder, given: str, kind: str, warnings: int
) -> None:
    image = noise(90, 80) if kind == "uint8" else dark(kind)
    scaling = scaled(make_raster(image), given=given, progress=recorder)
    assert len(recorder.warnings) == warnings
    if not given.endswith("%"):
        assert scaling.high[0] == float(given.split(";")[1])


@pytest.mark.fault(
    "A range of values is given, one pair for all bands or one for each.",
    "It wins over everything else; log, description and the repeated command name it.",
)
@pytest.mark.parametrize(
    ("text", "lows", "highs"),
    [
        ("100;600", [100.0] * 3, [600.0] * 3),
        ("0;500;50;600;100.5;700", [0.0, 50.0, 100.5], [500.0, 600.0, 700.0]),
    ],
)
def test_a_given_range(
    make_raster: MakeRaster, tmp_path: Path, text: str, lows: list[float], highs: list[float]
) -> None:
    image = dark("uint16")
    given = parse_value_range(text)
    labels, _ = run(make_raster(image), tmp_path, value_range=given)
    low, high = (np.array(limits)[:, None, None] for limits in (lows, highs))
    np.testing.assert_array_equal(labels, direct(np.clip((image - low) / (high - low), 0, 1)))
    record = read_record(tmp_path / "map.tif")
    assert record.text("input", "scaling", "rule")
    assert record.text("settings", "given", "value_range") == str(given)
    assert parse_value_range(record.text("repeat", "parameters", "VALUE_RANGE")) == given


@pytest.mark.fault(
    "Percentiles are given as the range of values.",
    "They are taken of the whole image once, also where only a part is mapped.",
)
def test_given_percentiles(make_raster: MakeRaster) -> None:
    image = dark("uint16")
    scaling = scaled(make_raster(image), given="0%;50%")
    np.testing.assert_allclose((scaling.low, scaling.high), np.percentile(image, (0, 50), (1, 2)))
    assert scaled(make_raster(noise(90, 80)), given="10%;90%").low[0] > 10, "of 8-bit images too"


@pytest.mark.fault(
    "An interrupted run is started again with another range of values.",
    "The map is made from the beginning, as its values differ.",
)
def test_the_range_is_part_of_what_a_run_goes_on_with(
    make_raster: MakeRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scasnet_qgis.mapping import job as mapping

    seen = []
    identity = mapping.identity_of
    monkeypatch.setattr(mapping, "identity_of", lambda *of: seen.append(identity(*of)) or seen[-1])
    source = make_raster(dark("uint16"))
    for text in ("0;500", "0;500", "0;501"):
        run(source, tmp_path, value_range=parse_value_range(text))
    assert seen[0]["values"] == seen[1]["values"] != seen[2]["values"]


@pytest.mark.fault(
    "A float image with infinities and NaN in all bands, or in one.",
    "In all bands they are no data; in one, the model's mean stands in. None reaches the network.",
)
@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_infinities_are_no_data(make_raster: MakeRaster, tmp_path: Path, odd: float) -> None:
    image = noise(90, 80).astype(np.float32) / 255
    image[0, 10:30] = odd
    image[:, 40:60, 20:70] = odd
    metadata = {"scasnet_value_range": "[0, 1]"}
    labels, _ = run(make_raster(image), tmp_path, {"metadata": metadata})
    filled = np.where(np.isfinite(image), image, 0.5)
    np.testing.assert_array_equal(labels, direct(filled, np.isfinite(image).any(axis=0)))


@pytest.mark.fault(
    "Infinities are read raw, as a graphics card takes the values.",
    "They are replaced before they are handed over.",
)
def test_no_infinity_is_handed_over_raw() -> None:
    raw = np.array([[[np.inf, -np.inf, np.nan, 0.25, 1e300]]])
    scaling = Scaling((0.0,), (1.0,), (0.5,), ON_BYTES.name)  # type: ignore[arg-type]
    out = np.empty_like(raw)
    scaling.filled(raw, None, out)
    np.testing.assert_array_equal(out[0, 0], [0.5, 0.5, 0.5, 0.25, 1e300])
    np.testing.assert_array_equal(scaling(raw, None)[0, 0], np.float32([0.5, 0.5, 0.5, 0.25, 1.0]))


@pytest.mark.fault("An image of complex numbers (radar).", "One sentence: convert it first.")
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_complex_numbers(make_raster: MakeRaster, tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="complex"):
        run(make_raster(dark(kind)), tmp_path)


@pytest.mark.fault(
    "Bytes that are meant to be signed (-128 to 127).", "One sentence: convert them first."
)
def test_signed_bytes(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster(dark("uint8", 120), options=("PIXELTYPE=SIGNEDBYTE",))
    with pytest.raises(InputError, match="signed"):
        run(source, tmp_path)


@pytest.mark.fault(
    "A file that states a scale and an offset for its values (reflectance = 0.0001 x value).",
    "They are not applied, to any image and in training neither; a warning says so.",
)
@pytest.mark.parametrize(("scale", "offset"), [(0.0001, 0.0), (1.0, -0.1), (2.0, 3.0)])
def test_scale_and_offset_of_the_file(
    make_raster: MakeRaster, tmp_path: Path, recorder: Recorder, scale: float, offset: float
) -> None:
    image = noise(70, 60)
    source = make_raster(image)
    dataset: Any = gdal.Open(source, gdal.GA_Update)
    for number in (1, 2, 3):
        dataset.GetRasterBand(number).SetScale(scale)
        dataset.GetRasterBand(number).SetOffset(offset)
    dataset = None
    model = tiny_models.pixelwise(tmp_path / "tiny.onnx", classes=CLASSES)
    request = map_settings(source, inspect(model), tmp_path / "map.tif", threads=1)
    make_map(request, recorder, lambda _path, _classes: None)
    np.testing.assert_array_equal(
        gdal.Open(str(request.output.map)).ReadAsArray(), direct(image / 255)
    )
    assert ["Scale and offset" in warning for warning in recorder.warnings] == [True]


@pytest.mark.parametrize(
    ("text", "pairs", "percentiles", "written"),
    [
        ("0;2047", ((0.0, 2047.0),), False, "0.0;2047.0"),
        (" -1.5 ; 2 ;0; 1e16 ", ((-1.5, 2.0), (0.0, 1e16)), False, "-1.5;2.0;0.0;1e+16"),
        ("0;1;10;500;3;4", ((0.0, 1.0), (10.0, 500.0), (3.0, 4.0)), False, None),
        ("2%; 98%", ((2.0, 98.0),), True, "2.0%;98.0%"),
        ("0%;100%", ((0.0, 100.0),), True, "0.0%;100.0%"),
        ("0.5%;12.25%", ((0.5, 12.25),), True, "0.5%;12.25%"),
    ],
)
def test_what_a_range_means_and_how_it_is_written_out(
    text: str, pairs: tuple[tuple[float, float], ...], percentiles: bool, written: str | None
) -> None:
    """A description of a run holds it as written out, and repeats the run from that."""
    found = parse_value_range(text)
    assert found == ValueRange(pairs, percentiles)
    assert parse_value_range(str(found)) == found
    assert written in (None, str(found))


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_an_empty_text_is_no_range(text: str) -> None:
    assert parse_value_range(text) is None


@pytest.mark.fault(
    "A range of values that is none: words, one number, upside down, infinite.",
    "One sentence with an example of how to write it.",
)
@pytest.mark.parametrize(
    "text",
    [
        "wide", "5", "5%", ";", "0;", "0;1;2", "0;inf", "-inf;0", "nan;1", "2%;98", "2;98%",
        "0%;100.5%", "-0.5%;98%", "-1%;101%", "1%;2%;3%;4%", "1%;2%;3%",
    ],
)  # fmt: skip
def test_what_is_no_range_is_repeated_with_an_example(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_value_range(text)
    assert caught.value.message.values == {"text": text}


def test_the_log_says_which_number_is_none() -> None:
    with pytest.raises(SettingError) as caught:
        parse_value_range("0;high")
    assert "'high'" in caught.value.detail


@pytest.mark.parametrize("text", ["5;1.5", "5;5", "0;1;5;1.5", "50%;2%"])
def test_a_range_upside_down_is_told_with_its_two_values(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_value_range(text)
    low, high = text.replace("%", "").split(";")[-2:]
    assert [float(value) for value in caught.value.message.values.values()] == [
        float(low),
        float(high),
    ]


@pytest.mark.fault(
    "Ranges for two bands are given for a model with three.", "One sentence says how many it takes."
)
def test_one_pair_is_for_all_bands_and_several_are_one_for_each() -> None:
    one, three = ValueRange(((0.0, 9.0),)), ValueRange(((0.0, 1.0), (2.0, 3.0), (4.0, 5.0)))
    assert [one.of_bands(count) for count in (1, 3)] == [one.pairs, one.pairs * 3]
    assert three.of_bands(3) == three.pairs
    for count in (1, 2, 4):
        with pytest.raises(SettingError, match=rf"3.*\b{count}\b"):
            three.of_bands(count)
