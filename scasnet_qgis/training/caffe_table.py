"""What of a Caffe file goes into ScasNet and what does not, in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.core.untrusted import clean_name
from scasnet_qgis.network.caffe_container import CaffeLayer
from scasnet_qgis.network.caffe_names import Home, Matching, Pair, layer_text, shapes_text


@dataclass(frozen=True)
class Table:
    """Layers that are matched, layers that only the file has, layers that only ScasNet has.

    Each of the file's comes with a line that says why it is not used.
    """

    pairs: tuple[Pair, ...]
    unused: tuple[tuple[CaffeLayer, Message], ...]
    empty: tuple[Home, ...]

    @classmethod
    def of(cls, found: Matching, *, encoder_only: bool) -> Table:
        """The table of a matching of which all or only the encoder is imported."""
        if not encoder_only:
            return cls(found.pairs, found.unused, found.missing)
        outside = [pair for pair in found.pairs if not pair.home.in_encoder]
        text = translate("ScasNet", "{layer} ({shapes}): not in ScasNet's encoder")
        left = [
            (source, message(text, **layer_text(source)))
            for pair in outside
            for source in pair.sources
        ]
        empty = found.missing + tuple(pair.home for pair in outside)
        return cls(tuple(found.of_encoder), (*found.unused, *left), empty)

    def lines(self) -> Iterator[str | Message]:
        """The table for the log."""
        yield message(
            translate("ScasNet", "Layers of the file -> layers of ScasNet: {count}"),
            count=len(self.pairs),
        )
        for pair in self.pairs:
            yield f"{_sources(pair)} ({shapes_text(pair.home.shapes)}) -> {pair.home.name}"
        yield message(
            translate("ScasNet", "Unused layers of the file: {count}"),
            count=len(self.unused),
        )
        for _, line in self.unused:
            yield line
        yield message(
            translate("ScasNet", "Layers of ScasNet that are not in the file: {count}"),
            count=len(self.empty),
        )
        for home in self.empty:
            yield f"{home.name} ({shapes_text(home.shapes)})"

    @property
    def matched(self) -> list[dict[str, Any]]:
        """The matched layers as values of JSON."""
        return [
            {
                "file": [clean_name(each.name) for each in pair.sources],
                "scasnet": pair.home.name,
                "shapes": [list(each) for each in pair.home.shapes],
            }
            for pair in self.pairs
        ]

    @property
    def unmatched(self) -> dict[str, list[dict[str, Any]]]:
        """The other layers on both sides as values of JSON."""
        file = [
            {
                "layer": clean_name(layer.name),
                "type": clean_name(layer.type),
                "shapes": [list(each) for each in layer.shapes],
                "reason": str(line),
            }
            for layer, line in self.unused
        ]
        scasnet = [
            {"layer": home.name, "shapes": [list(each) for each in home.shapes]}
            for home in self.empty
        ]
        return {"file": file, "scasnet": scasnet}


def _sources(pair: Pair) -> str:
    return " + ".join(clean_name(each.name) for each in pair.sources)
