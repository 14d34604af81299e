"""Circles, and functions that stand for more operators than they look."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.models.graph_checks import DEEPEST, Body, has_circle, operators_in

NAMES = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
NODES = st.lists(st.tuples(st.sets(NAMES, max_size=3), st.lists(NAMES, max_size=2)), max_size=5)


@pytest.mark.parametrize(
    ("nodes", "circle"),
    [
        ([], False),
        ([({b"a"}, [b"b"]), ({b"b"}, [b"c"])], False),
        ([({b"b"}, [b"c"]), ({b"a"}, [b"b"])], False),
        ([({b"a"}, [b"a"])], True),
        ([({b"c"}, [b"b"]), ({b"b"}, [b"c"])], True),
        ([({b"x", b"c"}, [b"b"]), ({b"b"}, [b"c", b"d"]), ({b"d"}, [b"e"])], True),
    ],
)
def test_circles(nodes: list[tuple[set[bytes], list[bytes]]], circle: bool) -> None:
    assert has_circle(nodes) == circle


@settings(max_examples=300, deadline=None)
@given(NODES)
def test_without_a_circle_there_is_an_order(nodes: list[tuple[set[bytes], list[bytes]]]) -> None:
    """Against another way to tell: computing whatever can be, until nothing is left to do."""
    names = [name for _, gives in nodes for name in gives]
    if len(names) != len(set(names)):
        return  # a name that two operators give is refused elsewhere
    known, left = {b"a", b"b", b"c", b"d", b"e"} - set(names), list(nodes)
    while ready := [each for each in left if each[0] <= known]:
        known |= {name for _, gives in ready for name in gives}
        left = [each for each in left if each not in ready]
    assert has_circle(nodes) == bool(left)


def test_operators_are_counted_where_functions_are_called() -> None:
    inner, outer = (
        Body(Counter({("", "Relu"): 3})),
        Body(Counter({("own", "in"): 2, ("", "Add"): 1})),
    )
    functions = {("own", "in"): inner, ("own", "out"): outer}
    main = Body(Counter({("own", "out"): 5, ("", "Conv"): 4}))
    assert operators_in(main, functions) == 5 * (2 * 3 + 1) + 4
    assert operators_in(main, {}) == 9


def test_functions_that_double_each_other_are_counted_without_being_put_together() -> None:
    functions = {
        ("own", str(index)): Body(Counter({("own", str(index + 1)): 1000}))
        for index in range(DEEPEST)
    }
    assert operators_in(Body(Counter({("own", "0"): 1})), functions) == 1000**DEEPEST


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5000])
def test_functions_that_nest_without_end(depth: int) -> None:
    functions = {
        ("own", str(index)): Body(Counter({("own", str((index + 1) % depth)): 1}))
        for index in range(depth)
    }
    with pytest.raises(ValueError, match="deeper"):
        operators_in(Body(Counter({("own", "0"): 1})), functions)
