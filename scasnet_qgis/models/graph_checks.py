"""Whether a graph can be computed at all: no circles, and not larger than any network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

MOST_OPERATORS = 50_000  # the largest networks of this kind have a fifth
DEEPEST = 16  # functions inside functions

Operator = tuple[str, str]  # domain and name


@dataclass
class Body:
    """What a graph or a function consists of, the graphs inside its operators included."""

    calls: Counter[Operator] = field(default_factory=Counter)


def has_circle(nodes: Sequence[tuple[Collection[bytes], Sequence[bytes]]]) -> bool:
    """Whether nodes, each with the names that it needs and gives, wait for each other.

    They may stand in any order. (Kahn 1962, doi:10.1145/368996.369025)
    """
    makers = {name: index for index, (_, gives) in enumerate(nodes) for name in gives if name}
    waiting: list[int] = []
    followers: dict[int, list[int]] = defaultdict(list)
    for index, (needs, _) in enumerate(nodes):
        before = {makers[name] for name in needs if name in makers}
        waiting.append(len(before))
        for each in before:
            followers[each].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    done = 0
    while ready:
        done += 1
        for each in followers[ready.pop()]:
            waiting[each] -= 1
            if not waiting[each]:
                ready.append(each)
    return done < len(nodes)


def operators_in(body: Body, functions: Mapping[Operator, Body]) -> int:
    """How many operators there are once every function is put where it is called.

    Each function may call others, so a few lines can stand for more operators than any memory
    holds. Raises ValueError where functions call themselves or nest deeper than DEEPEST.
    """
    known: dict[Operator, int] = {}

    def count(calls: Mapping[Operator, int], depth: int) -> int:
        if depth > DEEPEST:
            raise ValueError(f"functions nest deeper than {DEEPEST}")
        total = 0
        for operator, times in calls.items():
            if operator in functions and operator not in known:
                known[operator] = count(functions[operator].calls, depth + 1)
            total += times * known.get(operator, 1)
        return total

    return count(body.calls, 0)
