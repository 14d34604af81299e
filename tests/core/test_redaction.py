"""No password gets into a description."""

from __future__ import annotations

import pytest

from scasnet_qgis.core.redaction import without_secrets


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
    ],
)
def test_secrets_are_hidden(text) -> None:
    shown = without_secrets(text)
    assert "hidden" not in shown
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
def test_ordinary_names_stay(text) -> None:
    assert without_secrets(text) == text


def test_the_rest_stays() -> None:
    text = "PG:host=h user=u password=hidden dbname=d"
    assert without_secrets(text) == "PG:host=h user=u password=*** dbname=d"
