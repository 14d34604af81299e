"""What tells files apart, what is put into a map, and what lies beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, InputError, OutputError
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.outputs.atomic_output import side_files
from scasnet_qgis.outputs.provenance import fingerprint as marks
from scasnet_qgis.outputs.provenance.fingerprint import fingerprint, fingerprints, sha256_of, utc
from scasnet_qgis.outputs.provenance.run_record import MAX_BYTES, InvalidRecord, record_file
from scasnet_qgis.outputs.provenance.stamp import (
    MAP,
    PROBABILITIES,
    authority_of,
    grid_facts,
    read_record,
    read_stamp,
    stamp,
    stamp_items,
    vector_files,
    write_records,
)

CLASSES = [{"name": "a & <b>", "color": "#112233"}, {"name": "ü", "color": "#445566"}]


def nothing() -> None:
    """A check that never cancels."""


def cancel() -> None:
    raise Cancelled


@pytest.fixture
def small_parts(monkeypatch):
    """Files of a few hundred bytes count as large."""
    monkeypatch.setattr(marks, "PART", 16)


def flipped(path: Path, place: int) -> None:
    """Change one byte, but neither the size nor the time of the file."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_small_file_is_read_to_its_end(tmp_path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(256)) * 9)
    found = fingerprint(str(path), nothing)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == sha256_of(path, nothing)
    assert found.as_dict()["sha256_of"] == "the whole file"
    assert found.size == 2304
    os.utime(path, (0, 86400))
    assert fingerprint(str(path), nothing).as_dict()["modified"] == "1970-01-02T00:00:00+00:00"


@pytest.mark.parametrize("size", [0, 1, 64, 65, 1000, 100_003])
def test_of_a_large_file_start_end_and_parts_between_count(tmp_path, small_parts, size) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(np.random.default_rng(1).bytes(size))
    whole = fingerprint(str(path), nothing, parts=4)
    assert whole.parts == (4 if size > 64 else 0)
    if not size:
        return
    for place in {0, size - 1}:
        flipped(path, place)
        assert fingerprint(str(path), nothing, parts=4).sha256 != whole.sha256
        flipped(path, place)
    assert fingerprint(str(path), nothing, parts=4) == whole
    if size == 100_003:
        assert whole.as_dict()["sha256_of"] == "4 parts of 16 bytes, evenly spread"
        middle = (size - 16) // 3
        flipped(path, middle)
        assert fingerprint(str(path), nothing, parts=4).sha256 != whole.sha256
        flipped(path, middle)
        flipped(path, 1000)  # read by nobody
        assert fingerprint(str(path), nothing, parts=4).sha256 == whole.sha256


def test_what_cannot_be_read_is_said_not_raised(tmp_path) -> None:
    for name in (str(tmp_path / "none"), str(tmp_path), "a\0b", "/vsizip/none.zip/a.tif"):
        found = fingerprint(name, nothing)
        assert (found.size, found.sha256) == (None, None)
        assert found.as_dict()["problem"]


def test_what_is_on_no_disk_is_not_read() -> None:
    gdal.FileFromMemBuffer("/vsimem/a.bin", b"12345")
    found = fingerprint("/vsimem/a.bin", nothing)
    gdal.Unlink("/vsimem/a.bin")
    assert (found.size, found.sha256) == (5, None)
    assert "not read" in found.problem


def test_a_change_of_an_input_shows(tmp_path) -> None:
    paths = [tmp_path / name for name in ("a.tif", "a.tif.aux.xml", "none.tif")]
    for path in paths[:2]:
        path.write_text(path.name)
    before = fingerprints([*map(str, paths), str(paths[0])], nothing)
    assert before.count == 2, "statistics are no part of it"
    assert before.size == len("a.tif")
    assert before.changed() == []
    paths[1].write_text("QGIS has written statistics")
    assert before.changed() == []
    paths[0].write_text("longer than before")
    assert [file.path for file in before.changed()] == [str(paths[0])]
    assert fingerprints([*map(str, paths)], nothing).listing != before.listing


def test_of_very_many_files_some_are_read_and_all_are_listed(tmp_path) -> None:
    paths = [tmp_path / f"{index}.bin" for index in range(marks.MAX_FILES + 20)]
    for path in paths:
        path.write_text("x")
    before = fingerprints([*map(str, paths)], nothing)
    assert len(before.files) == marks.MAX_FILES
    assert (before.count, before.size) == (len(paths), len(paths))
    paths[-1].write_text("xy")
    assert fingerprints([*map(str, paths)], nothing).listing != before.listing
    assert fingerprints([], nothing).files == ()


def test_reading_can_be_cancelled(tmp_path) -> None:
    path = tmp_path / "a.bin"
    path.write_text("x")
    with pytest.raises(Cancelled):
        fingerprint(str(path), cancel)
    with pytest.raises(Cancelled):
        fingerprints([str(path)], cancel)
    with pytest.raises(Cancelled):
        write_records({}, {MAP: path}, cancel)


def test_times_that_no_calendar_knows_are_empty() -> None:
    assert utc(1e18) == ""


def stamped(path: Path, origin: dict[str, str]) -> bytes:
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), 64, 64, 1, gdal.GDT_Byte, options=["TILED=YES", "COMPRESS=DEFLATE"]
    )
    stamp(dataset, origin)
    dataset.GetRasterBand(1).Fill(3)
    dataset.FlushCache()
    dataset = None
    return path.read_bytes()


def test_what_is_put_into_a_map_comes_back_and_is_always_the_same(tmp_path, session) -> None:
    origin = stamp_items(
        "A <model>", "0" * 64, CLASSES, licence="CC0", attribution="", flips="none"
    )
    first = stamped(tmp_path / "a.tif", origin)
    found = read_stamp(tmp_path / "a.tif")
    assert found == origin
    assert set(found) == {"MODEL", "MODEL_SHA256", "CLASSES", "LICENCE", "FLIPS"}
    assert '"value": 2, "name": "ü"' in found["CLASSES"]
    assert stamped(tmp_path / "b.tif", origin) == first
    assert stamped(tmp_path / "c.tif", {**origin, "MODEL": "B"}) != first
    assert not list(tmp_path.glob("*.aux.xml"))


def test_other_rasters_say_nothing(tmp_path, session) -> None:
    stamped(tmp_path / "a.tif", {})
    assert read_stamp(tmp_path / "a.tif") == {}
    (tmp_path / "b.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"b\.tif"):
        read_stamp(tmp_path / "b.tif")


def test_every_file_gets_the_description_of_all(tmp_path) -> None:
    files = {MAP: tmp_path / "map.tif", PROBABILITIES: tmp_path / "p.tif"}
    for kind, path in files.items():
        path.write_text(kind)
    write_records({"seconds": 3}, files, nothing)
    records = [read_record(path) for path in files.values()]
    assert records[0].content == records[1].content
    assert records[0].intact
    entries = records[0].parts("files")
    assert [entry.text("kind") for entry in entries] == [MAP, PROBABILITIES]
    assert [entry.text("name") for entry in entries] == ["map.tif", "p.tif"]
    assert entries[0].text("sha256") == hashlib.sha256(MAP.encode()).hexdigest()
    assert entries[0].count("bytes") == 3


def test_a_full_disk_or_missing_folder_is_one_sentence(tmp_path) -> None:
    with pytest.raises(OutputError, match=r"map\.tif"):
        write_records({}, {MAP: tmp_path / "none" / "map.tif"}, nothing)
    (tmp_path / "map.tif").write_text("x")
    record_file(tmp_path / "map.tif").mkdir()
    with pytest.raises(OutputError, match=r"map\.tif"):
        write_records({}, {MAP: tmp_path / "map.tif"}, nothing)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\0", b"{}", b" " * (MAX_BYTES + 1)])
def test_a_description_that_cannot_be_read(tmp_path, content) -> None:
    if content is not None:
        record_file(tmp_path / "map.tif").write_bytes(content)
    with pytest.raises(InvalidRecord):
        read_record(tmp_path / "map.tif")


def test_an_old_description_goes_with_its_map() -> None:
    assert record_file(Path("map.tif")) in side_files(Path("map.tif"))


def test_gdal_takes_the_description_for_no_part_of_the_map(tmp_path, session) -> None:
    stamped(tmp_path / "a.tif", {})
    write_records({}, {MAP: tmp_path / "a.tif"}, nothing)
    assert gdal.Open(str(tmp_path / "a.tif")).GetFileList() == [str(tmp_path / "a.tif")]


def test_place_of_a_raster(make_raster) -> None:
    grid = Grid.of(gdal.Open(make_raster(np.zeros((5, 7), np.uint8))))
    found = grid_facts(grid)
    assert (found["rows"], found["cols"], found["crs"]) == (5, 7, "EPSG:32640")
    assert found["resolution_m"] == pytest.approx(0.5)
    assert authority_of("") is None
    assert authority_of("no reference system") is None
    assert authority_of('LOCAL_CS["x",UNIT["metre",1]]') is None


def test_files_of_a_layer(tmp_path, session) -> None:
    path = tmp_path / "mask.shp"
    dataset = gdal.GetDriverByName("ESRI Shapefile").Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    dataset.CreateLayer("mask")
    dataset = None
    found = vector_files(str(path))
    assert found[0] == str(path)
    assert str(tmp_path / "mask.dbf") in found
    assert len(found) == len(set(found))
    assert vector_files("none.gpkg") == ["none.gpkg"]


def test_what_viewers_write_beside_a_raster_is_no_change(tmp_path: Path, monkeypatch) -> None:
    """Also where the number of files decides how much of each is read."""
    monkeypatch.setattr(marks, "PART", 16)
    image = tmp_path / "image.tif"
    image.write_bytes(bytes(range(256)) * 16)
    before = fingerprints([str(image)], nothing)
    beside = [tmp_path / f"image.tif{ending}" for ending in (".aux.xml", ".ovr")]
    for path in beside:
        path.write_bytes(b"statistics")
    assert fingerprints([str(image), *map(str, beside)], nothing) == before
