"""Changes protocol buffers field by field, so that the result still is one.

A byte changed anywhere mostly makes a length wrong, and the reader stops there. Here lengths are
written anew, so that the damage reaches what lies behind them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.training.caffe.wire import varint

_DEEPEST = 12
_NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32, 2**40, 2**63 - 1, 2**63)
_NUMBERS += (2**64 - 1,)
_TEXTS = (b"", b"\x00", b"..", b"/dev/zero", b"../x", b"[" * 5000, b"\xff\xfe", b"evil.ops")
_TEXTS += (b"{0: 0x" + b"f" * 6000 + b"}", b"1e999", b"null", b"image", b"scores")


@dataclass
class Field:
    """A field with its number, wire type and content: a whole number, bytes, or fields."""

    number: int
    wire: int
    content: int | bytes | list[Field]


def parsed(data: bytes, depth: int = 0) -> list[Field] | None:
    """The fields of a message, None where the bytes are none."""
    place, found = 0, []
    while place < len(data):
        tag, place = _integer(data, place)
        number, wire = tag >> 3, tag & 7
        if not number or wire not in (0, 1, 2, 5):
            return None
        content: int | bytes | list[Field]
        if wire == 0:
            content, place = _integer(data, place)
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                size, place = _integer(data, place)
            content, place = data[place : place + size], place + size
            if wire == 2 and len(content) > 1 and depth < _DEEPEST:
                inner = parsed(content, depth + 1)
                content = content if inner is None else inner
        if place > len(data) or tag < 0:
            return None
        found.append(Field(number, wire, content))
    return found


def _integer(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        value |= (data[place] & 0x7F) << shift
        place += 1
        if data[place - 1] < 0x80:
            return value, place
    return -1, len(data) + 1


def written(fields: list[Field]) -> bytes:
    """The message of these fields."""
    parts = []
    for field in fields:
        tag = varint(field.number << 3 | field.wire)
        if isinstance(field.content, int):
            parts.append(tag + varint(field.content))
            continue
        content = field.content if isinstance(field.content, bytes) else written(field.content)
        parts.append(tag + (varint(len(content)) if field.wire == 2 else b"") + content)
    return b"".join(parts)


def mutated(data: bytes, seed: int, most: int = 1 << 20) -> bytes:
    """The message with one to three fields changed; some bytes anywhere where it is none."""
    chance = random.Random(seed)
    fields = parsed(data)
    if not fields or chance.random() < 0.1:
        return _bytes(data, chance)[:most]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _change(fields, chance)
    return written(fields)[:most]


def _change(fields: list[Field], chance: random.Random) -> None:
    messages = list(_messages(fields))
    message = chance.choice(messages)
    if not message:
        return
    index = chance.randrange(len(message))
    kinds: tuple[Callable[[], object], ...] = (
        lambda: message.pop(index),
        lambda: message.insert(index, message[chance.randrange(len(message))]),
        lambda: message.append(message.pop(index)),
        lambda: message.extend(copy.deepcopy(chance.choice(messages)[:3])),
        lambda: message.__setitem__(slice(None), message * chance.choice((2, 3, 20))),
        lambda: setattr(message[index], "number", chance.randrange(1, 30)),
        *3 * (lambda: _change_content(message[index], chance),),
    )
    chance.choice(kinds)()


def _change_content(field: Field, chance: random.Random) -> None:
    if isinstance(field.content, int):
        field.content = chance.choice(_NUMBERS)
    elif isinstance(field.content, bytes):
        if field.wire == 2 and chance.random() < 0.4:
            field.content = chance.choice(_TEXTS)
        elif field.content:
            changed = _bytes(field.content, chance)
            field.content = changed if field.wire == 2 else changed.ljust(8)[: len(field.content)]
    else:
        _change(field.content, chance)


def _messages(fields: list[Field], depth: int = 0) -> list[list[Field]]:
    """A message and all inside it; one that was copied into itself has an end."""
    found = [fields]
    for field in fields:
        if isinstance(field.content, list) and depth < _DEEPEST:
            found += _messages(field.content, depth + 1)
    return found


def _bytes(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    stop = min(len(data), start + chance.choice((0, 0, 1, 1, 2, 8)))
    fresh = bytes(chance.randrange(256) for _ in range(chance.choice((0, 1, 1, 2, 4))))
    return data[:start] + fresh + data[stop:]
