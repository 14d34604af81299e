"""Reads a report back: which elements it has, and what their text is."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list[Element | str] = field(default_factory=list)

    @property
    def strings(self) -> list[str]:
        """The text of the element, a string for each piece between tags."""
        pieces = ([part] if isinstance(part, str) else part.strings for part in self.parts)
        return [text for texts in pieces for text in texts]

    @property
    def text(self) -> str:
        return "".join(self.strings)

    def all(self, tag: str) -> list[Element]:
        found = []
        for part in self.parts:
            if isinstance(part, Element):
                found += [part] if part.tag == tag else []
                found += part.all(tag)
        return found

    def texts(self, tag: str) -> list[str]:
        return [element.text for element in self.all(tag)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def read(text: str) -> Element:
    """The elements of a document or a part of one; fails where they are not properly closed."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is not closed"
    return reader.open[0]
