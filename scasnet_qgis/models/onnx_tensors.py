"""Whether the weights of an ONNX file are where and as large as the file says.

ONNX Runtime sets memory aside by what a file claims. A claim is compared here with what there is,
before any memory is set aside. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.untrusted import clean_name
from scasnet_qgis.models.onnx_wire import Value, Wire, length

_MOST_DIMS, _SHOWN_DIMS = 16, 6
_MOST_LETTERS = 4_000  # of the path of another file
_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _PLACE = 1, 2, 8, 9, 13, 14
_FLOATS, _INT32, _STRINGS, _INT64, _DOUBLES, _UINT64 = 4, 5, 6, 7, 10, 11
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64,
    15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
_COMPLEX = (14, 15)
_SAME_BYTES = 2  # times that bytes of another file may be used, for weights that layers share


@dataclass
class _Tensor:
    name: str = ""
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    stored: int = 0  # numbers, each in a field of its own or packed
    raw: int | None = None  # bytes
    outside: dict[str, str] | None = None

    @property
    def bits(self) -> int:
        """Of each number; the least there is where the type is not known."""
        return _BITS.get(self.kind, 1)

    @property
    def held(self) -> int:
        """How many numbers the file has for it, at most."""
        if self.raw is not None:
            return 8 * self.raw // self.bits
        if self.kind in _COMPLEX:
            return self.stored // 2
        return self.stored * max(8 // self.bits, 1)  # small ones share a place


class Tensors:
    """Looks at the tensors of one model file; each refusal is a ModelError."""

    def __init__(self, path: Path, wire: Wire) -> None:
        self._path, self._wire = path, wire
        self._outside: dict[str, tuple[int, int]] = {}  # size and bytes used of other files

    def check(self, value: Value) -> bytes:
        """Look at one tensor; returns its name."""
        tensor, name = self._read(value)
        claimed = math.prod(tensor.dims)
        if min(tensor.dims, default=1) < 0:
            raise self._misleading(tensor, 0)
        if tensor.outside is not None:
            self._check_outside(tensor.outside, -(-claimed * tensor.bits // 8))
        elif claimed > tensor.held:
            raise self._misleading(tensor, tensor.held)
        return name

    def _read(self, value: Value) -> tuple[_Tensor, bytes]:
        tensor, name = _Tensor(), b""
        for number, part in self._wire.inside(value):
            if number == _DIMS:
                tensor.dims += self._wire.numbers(part)
                if len(tensor.dims) > _MOST_DIMS:
                    raise ValueError("a tensor of too many dimensions")
            elif number == _TYPE and isinstance(part, int):
                tensor.kind = part
            elif number == _NAME:
                name = self._wire.name(part)
                tensor.name = clean_name(self._wire.text(part, 200))
            elif number == _RAW:
                tensor.raw = length(part)
            elif number == _PLACE and part == 1:
                tensor.outside = tensor.outside or {}
            elif number == _EXTERNAL:
                tensor.outside = {**(tensor.outside or {}), **self._entry(part)}
            else:
                tensor.stored += self._stored(number, part)
        return tensor, name

    def _stored(self, number: int, value: Value) -> int:
        """How many numbers or texts a field holds."""
        if number in (_FLOATS, _DOUBLES):
            return length(value) // (4 if number == _FLOATS else 8)
        if number in (_INT32, _INT64, _UINT64):
            return self._wire.count_numbers(value)
        return int(number == _STRINGS)

    def _entry(self, value: Value) -> dict[str, str]:
        parts = dict(self._wire.inside(value))
        if not {1, 2} <= set(parts) or length(parts[2]) > _MOST_LETTERS:
            raise ValueError("an odd description of another file")
        return {self._wire.text(parts[1], 20): self._wire.text(parts[2], _MOST_LETTERS)}

    def _check_outside(self, entry: dict[str, str], wanted: int) -> None:
        location = entry.get("location", "")
        if location not in self._outside:
            self._outside[location] = self._size(location), 0
        size, used = self._outside[location]
        offset = _whole(entry.get("offset", "0"))
        available = _whole(entry.get("length", str(max(size - offset, 0))))
        used += wanted
        self._outside[location] = size, used
        if wanted > available or offset + wanted > size or used > _SAME_BYTES * size:
            raise ModelError(
                translate(
                    "ScasNet",
                    "The file '{file}' with the weights of {name} is shorter than the model says: "
                    "copy both again.",
                ),
                f"{wanted} of {available} bytes from {offset} of {size}, {used} in all",
                file=clean_name(location),
                name=self._path.name,
            )

    def _size(self, location: str) -> int:
        """Bytes of another file, which has to lie in the model's folder."""
        ways = PurePosixPath(location), PureWindowsPath(location)
        if any(each.anchor or ".." in each.parts for each in ways) or "\0" in location:
            raise self._elsewhere(location)
        folder = self._path.parent
        try:
            file = (folder / location).resolve(strict=True)
            status = file.stat()
            inside = folder.resolve() in file.parents
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
            raise self._missing(location, str(error)) from error
        if not inside:
            raise self._elsewhere(location)
        if not stat.S_ISREG(status.st_mode):
            raise self._missing(location, "not a file")
        return status.st_size

    def _elsewhere(self, location: str) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "{name} wants to read '{file}' outside its own folder, which no model may: choose "
                "one whose weights lie beside it.",
            ),
            name=self._path.name,
            file=clean_name(location),
        )

    def _missing(self, location: str, detail: str) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "{name} lacks the file with its weights: put the file '{file}' beside it.",
            ),
            detail,
            name=self._path.name,
            file=clean_name(location),
        )

    def _misleading(self, tensor: _Tensor, held: int) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "The weights '{tensor}' of {name} claim the shape {shape} but the file holds "
                "{size:,} numbers: copy the model again, or choose another one.",
            ),
            tensor=tensor.name,
            name=self._path.name,
            shape=" x ".join(map(str, tensor.dims[:_SHOWN_DIMS])),
            size=held,
        )


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise ValueError(f"no place in a file: {text[:40]}")
    return int(text)
