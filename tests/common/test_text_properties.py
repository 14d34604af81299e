"""Texts that leave the plugin: commands to be pasted, and addresses without their secrets."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.redaction import HIDDEN, without_secrets
from scasnet_qgis.outputs.provenance.command_line import command, safe_parameters

pytestmark = pytest.mark.slow

START = "qgis_process run a:b -- "
names = st.from_regex(r"[A-Z][A-Z_]{0,12}", fullmatch=True)
# What a shell is given has no zero bytes, and no halves of characters.
values = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"))
odd = st.text(st.sampled_from(list("ab \\\"'%^&|<>()!$`*?;~#={}[]-")), max_size=20)
parameters = st.dictionaries(names, values | odd, max_size=4)
# Values after the name of a secret end at these.
secrets = st.text("abcdefghXYZ0123456789%+.-_~$!*()", min_size=8, max_size=30).map("S3".__add__)
words = st.from_regex(
    r"(?i:password|passwd|pwd|passphrase|token|secret|signature|sig|(api|access)_?key|key)",
    fullmatch=True,
)


@settings(max_examples=200, deadline=None)
@given(parameters)
def test_a_posix_shell_gets_what_was_meant(given_values: dict[str, str]) -> None:
    text = command("a:b", given_values, windows=False)
    found = shlex.split(text)
    assert found[:4] == ["qgis_process", "run", "a:b", "--"]
    assert found[4:] == [f"{name}={value}" for name, value in given_values.items()]


def taken_apart(line: str) -> list[str]:
    """The words that a program of Microsoft's C runtime makes of a command line.

    2n backslashes before a quote are n, and the quote counts; of 2n + 1 one stands for it. Two
    quotes inside of quotes are one.
    """
    found, word, quoted, place, inside = [], "", False, 0, False
    while place < len(line):
        slashes = len(line) - place - len(line[place:].lstrip("\\"))
        after = line[place + slashes : place + slashes + 1]
        if slashes and after == '"':
            word += "\\" * (slashes // 2)
            place += slashes
            if slashes % 2:
                word, place = word + '"', place + 1
            inside = True
            continue
        if line[place] == '"':
            inside = True
            if quoted and line[place + 1 : place + 2] == '"':
                word, place = word + '"', place + 1
            else:
                quoted = not quoted
        elif line[place] in " \t" and not quoted:
            if inside:
                found.append(word)
            word, inside = "", False
        else:
            word, inside = word + line[place], True
        place += 1
    return [*found, word] if inside else found


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, odd | values.filter(lambda text: "\n" not in text), max_size=4))
def test_a_program_on_windows_gets_what_was_meant(given_values: dict[str, str]) -> None:
    line = command("a:b", given_values, windows=True)
    assert line.startswith(START.rstrip())
    expected = [f"{name}={value}" for name, value in given_values.items()]
    assert taken_apart(line[len(START) :]) == expected


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, odd | values, max_size=4))
def test_what_a_stranger_wrote_stays_quoted_on_windows(given_values: dict[str, str]) -> None:
    """cmd.exe knows nothing of backslashes: outside of quotes, counted plainly, is nothing."""
    safe = safe_parameters(given_values)
    assert set(safe) <= set(given_values)
    assert all(given_values[name] == value for name, value in safe.items())
    line = command("a:b", safe, windows=True)[len(START) :]
    assert "".join(line.split('"')[::2]).strip() == ""
    assert line.isprintable()


@settings(max_examples=200, deadline=None)
@given(words, secrets, st.sampled_from(["=", " = ", "= "]))
def test_no_secret_of_a_known_form_stays(word: str, secret: str, sign: str) -> None:
    texts = [
        f"PG:host=h user=u {word}{sign}{secret} dbname=d",
        f"PG:host=h {word}{sign}'{secret} with blanks' dbname=d",
        f"https://example.org/a.tif?x=1&{word}{sign}{secret}&y=2",
        f"https://example.org/a.tif?X-Amz-{word}{sign}{secret}",
        f"/vsicurl/https://user:{secret}@example.org/a.tif",
    ]
    for text in texts:
        shown = without_secrets(text)
        assert secret not in shown
        assert HIDDEN in shown
        assert without_secrets(shown) == shown, "a second time changes nothing"


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_what_names_no_secret_stays_as_it_is(text: str) -> None:
    if not set("=@%") & set(text):
        assert without_secrets(text) == text
    assert without_secrets(without_secrets(text)) == without_secrets(text)
