"""No password gets into a description."""

from __future__ import annotations

import pytest

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import message
from scasnet_qgis.common.redaction import address_of, redacted, shown_name, without_secrets
from scasnet_qgis.common.reports.escaping import escaped

KEY_IN_PATH = "9x7nvfzojv5wa96dsga5nk8w"


@pytest.mark.parametrize(
    "text",
    [
        "PG:host=h user=u password=hidden dbname=d",
        "PG:host=h password='hidden' table=t",
        "https://user:hidden@example.org/a.tif",
        "/vsicurl/https://example.org/a.tif?token=hidden&x=1",
        "/vsicurl/https://example.org/a.tif?X-Amz-Signature=hidden",
        "https://example.org/a.tif?sv=2020&sig=hidden",
        "https://example.org/wms?API_KEY=hidden",
        "PASSWORD = hidden",
        "type=xyz&url=https%3A%2F%2Fexample.org%2F1.png%3Fapi_key%3Dhidden%26x%3D1&zmax=3",
        "type=xyz&url=https%3A%2F%2Fexample.org%2F1.png%3Fx%3D1%26token%3Dhidden",
        "url=https%253A%252F%252Fexample.org%253Fsubscription-key%253Dhidden%2526x",
        "url=https%3A%2F%2Fexample.org%3Ftoken%3Dhid%2526den",
        "type=xyz&url=https%3A%2F%2Fuser%3Ahidden%40example.org%2F1.png",
        "the image https://user:hid@den@example.org/a.tif cannot be read",
    ],
)
def test_secrets_are_hidden(text) -> None:
    shown = without_secrets(text)
    assert not any(part in shown.replace("hidden", "hid") for part in ("hid", "den"))
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "/maps/monkey=1/passwords.tif",
        "C:\\maps\\a.tif",
        "/vsizip/a.zip/b.tif",
        "GPKG:/a.gpkg:layer",
        "https://example.org:8080/a.tif?bbox=1,2",
        "",
    ],
)
def test_ordinary_names_stay_and_so_does_the_rest(text) -> None:
    assert without_secrets(text) == text
    secret = f"{text} password=hidden dbname=d"
    assert without_secrets(secret) == f"{text} password=*** dbname=d"


@pytest.mark.parametrize(
    "source",
    [
        "type=xyz&url=https://tiles.example.org/%7Bz%7D/%7Bx%7D/%7By%7D.png?key%3Dhidden&zmax=18",
        "url=https://example.org/wms?access_token%253Dhidden%26x%3D1&layers=a",
        "crs=EPSG:4326&username=hidden&password=hidden&url=https://example.org",
        "type=xyz&http-header:authorization=hidden&url=https://example.org",
        "type=xyz&url=https://someone:hidden@example.org/1.png",
        "type=xyz&url=https%3A%2F%2Fexample.org%2F%7Bz%7D.png%3Fapi_key%3Dhidden&zmax=5",
        "url=https://example.org/api_key/hidden/wmts&layers=a",
        f"type=xyz&url=https%3A%2F%2Fexample.org%2F{KEY_IN_PATH}%2Fwmts%2F%7Bz%7D.png",
        f"url=https://example.org/{KEY_IN_PATH}/wmts&layers=a",
        "url=https://example.org/t/0f8fad5b-d9cb-469f-a165-70867728950e/wmts",
    ],
)
def test_neither_an_address_nor_a_name_made_of_it_holds_a_secret(source: str) -> None:
    """A newer QGIS names a layer by its source."""
    for shown in (address_of(source), shown_name(source), shown_name("", source)):
        for secret in ("hidden", KEY_IN_PATH, "0f8fad5b"):
            assert secret not in shown
        assert "example.org" in shown
    assert "***" in address_of(source)
    assert without_secrets(shown_name(source)) == shown_name(source)


@pytest.mark.parametrize(
    "path",
    [
        "styles/World_Imagery/MapServer/tile/{z}/{y}/{x}",
        "wmts/GoogleMapsCompatible9/EuropeanETRS89LAEAQuad/{z}.png",
        "ORTHOPHOTOS2018ILEDEFRANCE/2024-05-01/s2cloudless-2020_3857",
    ],
)
def test_ordinary_paths_of_services_stay(path: str) -> None:
    assert address_of(f"url=https://example.org/{path}") == f"url=https://example.org/{path}"


@pytest.mark.parametrize("name", ["Dubai", "tiles of 2024 (50%)", "a: b", "dubai.tif"])
def test_ordinary_names_of_layers_stay(name: str) -> None:
    assert shown_name(name, "url=https://example.org?key=hidden") == name


def test_no_text_that_is_shown_or_kept_holds_a_secret() -> None:
    name = "/vsicurl/https://user:hidden@example.org/a.tif?token=hidden"
    error = InputError("{name} cannot be read.", f"404 {name}", name=name)
    texts = [
        error.sentence,
        str(error),
        error.detail,
        str(message("{name} was read.", name=name)),
        escaped(name),
        str(redacted({"a": [name, {"b": (name, 1)}]})),
    ]
    for text in texts:
        assert "hidden" not in text
        assert "example.org" in text
