"""Commands that can be pasted into a shell and mean what they say."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from scasnet_qgis.outputs.provenance.command_line import command, safe_parameters

ODD = {
    "INPUT": '/my maps/it\'s "here" $HOME `id`;rm -rf x & <y> \\n.tif',
    "BANDS": "3;2;1",
    "EXTENT": "-1.5,2,3,4",
    "MASK": "/a b.gpkg|layername=x y",
}


def test_a_posix_shell_takes_it_apart_again() -> None:
    text = command("scasnet:segment", ODD, windows=False)
    words = shlex.split(text)
    assert words[:4] == ["qgis_process", "run", "scasnet:segment", "--"]
    assert words[4:] == [f"{name}={value}" for name, value in ODD.items()]
    echoed = subprocess.run(
        ["sh", "-c", text.replace("qgis_process run", "printf '%s\\n'")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert echoed.stdout.splitlines()[2:] == words[4:]


def test_windows_gets_everything_in_quotes() -> None:
    values = {"INPUT": "C:\\my maps\\a.tif", "BANDS": "1"}
    text = command("scasnet:segment", values, windows=True)
    assert text == 'qgis_process run scasnet:segment -- "INPUT=C:\\my maps\\a.tif" "BANDS=1"'


@pytest.mark.parametrize(
    "value",
    ["C:\\a.gpkg|layername=b", "a&calc&b", '" & calc & "', '\\" & calc', "a^<b>", "C:\\maps\\", ""],
)
def test_on_windows_nothing_lies_outside_of_quotes(value) -> None:
    """Which toggle with each quote there, whatever stands before it."""
    text = command("a:b", {"X": value, "Y": "1"}, windows=True)
    words = text[len("qgis_process run a:b -- ") :]
    assert words.count('"') % 2 == 0
    assert "".join(words.split('"')[::2]).strip() == ""
    assert words.endswith('" "Y=1"')


def test_a_backslash_at_the_end_does_not_hide_the_quote_on_windows() -> None:
    assert command("a:b", {"X": "C:\\maps\\"}, windows=True).endswith(' "X=C:\\maps\\\\"')


def test_an_empty_value_stays_one() -> None:
    assert shlex.split(command("a:b", {"X": ""}, windows=False))[-1] == "X="


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        [],
        "INPUT=x",
        {"input": "x"},
        {"X Y": "1"},
        {"X;id": "1"},
        {"X": 3},
        {"X": "a\nrm -rf /"},
        {"X": "a\x1b[2J"},
        {"X": "\u202e"},
        {"X": "x" * 10_000},
        {"X": '" & calc & "%PATH%'},
    ],
)
def test_parameters_that_could_do_harm_are_left_out(parameters) -> None:
    assert safe_parameters(parameters) == {}


def test_ordinary_parameters_stay() -> None:
    assert safe_parameters(ODD) == ODD


def test_a_value_stays_up_to_what_fits_into_a_command() -> None:
    most = {"X": "x" * 4000, "A" * 41: ""}
    assert safe_parameters({**most, "Y": "x" * 4001, "A" * 42: ""}) == most
