"""Models from strangers: refused in one sentence, before ONNX Runtime sees them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis import paths
from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models import arena, model_file
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.models.session import ModelLoader
from scasnet_qgis.models.vetting import MAX_FUNCTION_DEPTH, has_cycle, operators_in, vet
from tests.models import strangers as made
from tests.models import tiny_models as tiny

TOO_LARGE = "too large or too deeply nested"
KERNEL = b"\0" * 36  # what a tiny model keeps in another file


def refusal(path: Path, check: Callable[[Path], object] = vet) -> str:
    with pytest.raises(ModelError) as caught:
        check(path)
    sentence = caught.value.sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 300
    return sentence


def test_the_shipped_model_passes() -> None:
    vet(paths.default_model())


@pytest.mark.fault(
    "a model whose weights lie outside its folder: /dev/zero, .., drives, network names",
    "refused in one sentence before it is loaded",
)
@pytest.mark.parametrize(
    "location",
    ["/dev/zero", "../weights.bin", "inner/../../weights.bin", "C:\\weights.bin", "..\\weights.bin",
     "\\\\server\\weights.bin", "C:weights.bin", "a\0b"],
)  # fmt: skip
def test_weights_outside_the_models_folder(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "weights.bin").write_bytes(KERNEL)
    sentence = refusal(made.external(folder / "m.onnx", location))
    assert "outside its folder" in sentence


@pytest.mark.fault(
    "a model whose weights are reached by a link out of its folder",
    "refused in one sentence before it is loaded",
)
@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(KERNEL)
    (folder / "file.bin").symlink_to(tmp_path / "weights.bin")
    (folder / "there").symlink_to(tmp_path)
    (folder / "round.bin").symlink_to(folder / "round.bin")
    for location in ("file.bin", "there/weights.bin"):
        assert "outside its folder" in refusal(made.external(folder / "m.onnx", location))
    assert "weights of m.onnx are missing" in refusal(made.external(folder / "m.onnx", "round.bin"))


@pytest.mark.parametrize("location", ["none.bin", "*/_ORT_MEM_ADDR_/*", "", ".", "folder"])
def test_weights_that_are_not_there(tmp_path: Path, location: str) -> None:
    (tmp_path / "folder").mkdir()
    path = made.external(tmp_path / "m.onnx", location, offset=0, length=36)
    sentence = refusal(path)
    assert "weights of m.onnx are missing" in sentence or "outside its folder" in sentence


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_weights_in_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.bin")
    assert "weights of m.onnx are missing" in refusal(
        made.external(tmp_path / "m.onnx", "weights.bin")
    )


def test_weights_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for location in ("weights.bin", "inner/weights.bin"):
        (tmp_path / location).write_bytes(b"1234" + KERNEL)
        path = made.external(tmp_path / "m.onnx", location, offset=4, length=36)
        vet(path)
        assert inspect(path).classes == 3


@pytest.mark.parametrize(
    "entries", [{"offset": 8}, {"offset": 2**62}, {"length": 35}, {"offset": 4, "length": 40}]
)
def test_weights_beyond_the_end_of_their_file(tmp_path: Path, entries: dict[str, int]) -> None:
    (tmp_path / "weights.bin").write_bytes(KERNEL)
    sentence = refusal(made.external(tmp_path / "m.onnx", "weights.bin", **entries))
    assert "shorter than the model says" in sentence


@pytest.mark.parametrize("offset", ["-5", "1e3", "9" * 30, "", "\u0663"])
def test_places_that_are_none(tmp_path: Path, offset: str) -> None:
    (tmp_path / "weights.bin").write_bytes(KERNEL)
    path = made.external(tmp_path / "m.onnx", "weights.bin", offset=offset)
    assert "not an ONNX model" in refusal(path)


def test_one_file_for_the_weights_of_many(tmp_path: Path) -> None:
    """A thousand tensors of one large file would fill the memory a thousand times."""
    (tmp_path / "weights.bin").write_bytes(KERNEL)
    stored = made.external(tmp_path / "m.onnx", "weights.bin")
    model = onnx.load(str(stored), load_external_data=False)
    for index in range(9):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].name = f"copy{index}"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert "shorter than the model says" in refusal(tmp_path / "m.onnx")


@pytest.mark.fault(
    "a model with tensors of gigantic, overflowing or negative sizes",
    "refused in one sentence before any memory is taken",
)
@pytest.mark.parametrize(
    ("dims", "shape"),
    [
        ((2**20, 2**20), "1048576 x 1048576"),
        ((2**32, 2**32, 1, 1), "4294967296 x 4294967296 x 1 x 1"),  # 0 in 64 bits
        ((10, 1), "10 x 1"),
        ((-3, -3, 1, 1), "-3 x -3 x 1 x 1"),
        ((2**63 - 1,) * 16, "9223372036854775807 x"),
    ],
)
def test_weights_that_claim_more_than_there_is(
    tmp_path: Path, dims: tuple[int, ...], shape: str
) -> None:
    sentence = refusal(made.claiming(tmp_path / "m.onnx", *dims))
    assert f"have shape {shape}" in sentence
    assert "'kernel'" in sentence


def test_a_constant_that_claims_more_than_there_is(tmp_path: Path) -> None:
    assert "'inner'" in refusal(made.claiming_in_a_node(tmp_path / "m.onnx"))


def test_every_kind_of_numbers_is_counted(tmp_path: Path) -> None:
    """Whole numbers, packed in various ways, as the package onnx writes them."""
    kinds = {name: kind for name, kind in onnx.TensorProto.DataType.items() if kind}
    for name, kind in kinds.items():
        text = name == "STRING"
        values = ["a"] * 6 if text else [1] * 6
        tensor = onnx.helper.make_tensor("more", kind, [6], values)

        def change(model: onnx.ModelProto, tensor: onnx.TensorProto = tensor) -> None:
            model.graph.initializer.append(tensor)

        vet(made.edited(tmp_path / "m.onnx", change))
        tensor.dims[0] = 100
        assert "'more'" in refusal(made.edited(tmp_path / "m.onnx", change)), name


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "circle": (made.circle, "graph of model.onnx has a cycle"),
    "circle through a branch": (made.circle_through_a_branch, "graph of model.onnx has a cycle"),
    "foreign operator": (made.foreign_operator, "'Softmax' of 'evil.ops'"),
    "operator of a foreign name": (
        lambda path: made.foreign_operator(path, "<b>" + "x" * 5000, "<i>\n"),
        "uses the operator '‹i›' of '‹b›xxx",
    ),
    "compiled": (
        lambda path: made.foreign_operator(path, "com.microsoft", "EPContext"),
        "'EPContext' of 'com.microsoft'",
    ),
    "functions that call each other twice": (
        lambda path: made.functions(path, 16), TOO_LARGE,
    ),
    "functions deep inside each other": (lambda path: made.functions(path, 30), TOO_LARGE),
    "a function that calls itself": (lambda path: made.functions(path, 3, True), TOO_LARGE),
    "branches inside branches": (lambda path: made.nested(path, 25), TOO_LARGE),
    "endless operators": (made.many_operators, TOO_LARGE),
    "sparse weights": (made.sparse, "sparse weights"),
    "sizes of 0": (lambda path: tiny.pixelwise(path, size=(0, 0)), "size 0 in 'image'"),
    "negative sizes": (lambda path: tiny.pixelwise(path, size=(-4, -4)), "size -4 in 'image'"),
    "no images": (lambda path: tiny.pixelwise(path, batch=0), "size 0 in 'image'"),
    "endless metadata": (
        lambda path: tiny.pixelwise(path, metadata={"log": "x" * 9_000_000}),
        "metadata of the model file",
    ),
    "two graphs": (
        lambda path: path.write_bytes(2 * tiny.pixelwise(path).read_bytes()), "not an ONNX model",
    ),
    "no graph": (lambda path: path.write_bytes(b"\x08\x08"), "not an ONNX model"),
    "a field of no number": (lambda path: path.write_bytes(b"\x00\x00"), "not an ONNX model"),
    "a field beyond numbers": (
        lambda path: path.write_bytes(b"\xba\x80\x80\x80\x10\x00"), "not an ONNX model",
    ),
    "endless fields": (lambda path: path.write_bytes(b"\x08\x08" * 500_000), TOO_LARGE),
}  # fmt: skip


@pytest.mark.fault(
    "graphs that go in a circle, call themselves, nest without end or need operators of "
    "strangers; sizes of zero or less; endless metadata",
    "refused in one sentence before ONNX Runtime sees them",
)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_before_it_is_loaded(tmp_path: Path, kind: str) -> None:
    make, words = REFUSED[kind]
    path = tmp_path / "model.onnx"
    make(path)
    assert words in refusal(path)


def test_what_looks_alike_and_is_fine(tmp_path: Path) -> None:
    for path in (
        made.functions(tmp_path / "functions.onnx", 4),
        made.nested(tmp_path / "nested.onnx", 3),
    ):
        assert inspect(path).classes == 3


def test_operators_in_any_order(tmp_path: Path) -> None:
    def turn(model: onnx.ModelProto) -> None:
        nodes = list(model.graph.node)[::-1]
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    assert inspect(made.edited(tmp_path / "m.onnx", turn)).classes == 3


def test_a_file_beyond_two_gigabytes(tmp_path: Path) -> None:
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(2**31)  # sparse: it takes no room
    assert "2.0 GiB" in refusal(tmp_path / "m.onnx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes_and_devices_are_no_models(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    for path in (tmp_path / "m.onnx", Path("/dev/zero")):
        assert "is not a file" in refusal(path, inspect)


@pytest.mark.fault("a model that wants tiles that no memory holds", "refused in one sentence")
@pytest.mark.parametrize("size", [(2**31, 2**31), (60_000, 60_000), (2**40, "w")])
@pytest.mark.parametrize("output", ["stated", None])
def test_tiles_that_no_memory_holds(
    tmp_path: Path, size: tuple[int, int | str], output: str | None
) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", size=size, output=output)
    assert "which is too large" in refusal(path, inspect)


def test_bands_that_no_memory_holds(tmp_path: Path) -> None:
    bands = "[" + ", ".join(['"b"'] * 100_000) + "]"
    path = made.edited(
        tmp_path / "m.onnx",
        lambda model: model.graph.input[0].type.tensor_type.shape.dim[1].Clear(),
        metadata={"scasnet_bands": bands},
        output=None,
    )
    assert "which is too large" in refusal(path, inspect)


@pytest.mark.fault("a model that computes without end", "stopped and refused in one sentence")
def test_a_model_that_computes_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "_PROBE_SECONDS", 0.2)
    path = made.endless_loop(tmp_path / "m.onnx")
    assert "takes more than 0.2 seconds" in refusal(path, inspect)


def test_a_model_without_outputs(tmp_path: Path) -> None:
    assert "0 outputs" in refusal(made.without_outputs(tmp_path / "m.onnx"), inspect)


def test_a_model_that_asks_for_more_memory_than_there_is(tmp_path: Path) -> None:
    path = made.giant(tmp_path / "m.onnx", 2**33)  # 32 GiB: not asked for, so never taken
    if not 0 < arena._most_bytes() < 2**35:
        pytest.skip("this computer has that much, or does not say")
    loader = ModelLoader(inspect(path), (64, 64), 0, Progress())
    assert "cannot be run on a tile" in refusal(path, lambda _: loader.open_on("cpu"))


def test_a_model_that_gives_no_maps(tmp_path: Path) -> None:
    """Its shapes look right; that they are not is found when it is tried."""
    path = made.no_maps(tmp_path / "m.onnx", [64, 64])
    loader = ModelLoader(inspect(path), (64, 64), 0, Progress())
    assert "0 maps for 1 tiles" in refusal(path, lambda _: loader.open_on("cpu"))
    path = made.no_maps(tmp_path / "free.onnx", ["h", "w"])
    assert "0 maps for 1 tiles" in refusal(
        path, lambda file: ModelLoader(inspect(file), (64, 64), 0, Progress()).open_on("cpu")
    )


@pytest.mark.fault("a model file that is cut off at any place", "refused in one sentence")
def test_every_cut_of_a_model_is_refused(tmp_path: Path) -> None:
    whole = tiny.pixelwise(tmp_path / "m.onnx").read_bytes()
    for end in range(0, len(whole) - 4, 3):  # what comes last is its version, which may lack
        (tmp_path / "m.onnx").write_bytes(whole[:end])
        refusal(tmp_path / "m.onnx", inspect)


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
    assert has_cycle(nodes) == circle


@settings(max_examples=300, deadline=None)
@given(NODES)
def test_without_a_circle_there_is_an_order(nodes: list[tuple[set[bytes], list[bytes]]]) -> None:
    """Against another way to tell: computing whatever can be, until nothing is left to do."""
    names = [name for _, gives in nodes for name in gives]
    if len(names) != len(set(names)):
        return  # a name that two operators give is refused elsewhere
    known, left = {b"a", b"b", b"c", b"d", b"e"} - set(names), list(nodes)
    while ready := [node for node in left if node[0] <= known]:
        known |= {name for _, gives in ready for name in gives}
        left = [node for node in left if node not in ready]
    assert has_cycle(nodes) == bool(left)


def test_operators_are_counted_where_functions_are_called() -> None:
    inner, outer = (Counter({("", "Relu"): 3}), Counter({("own", "in"): 2, ("", "Add"): 1}))
    functions = {("own", "in"): inner, ("own", "out"): outer}
    main = Counter({("own", "out"): 5, ("", "Conv"): 4})
    assert operators_in(main, functions) == 5 * (2 * 3 + 1) + 4
    assert operators_in(main, {}) == 9


def test_functions_that_double_each_other_are_counted_without_being_put_together() -> None:
    functions = {
        ("own", str(index)): Counter({("own", str(index + 1)): 1000})
        for index in range(MAX_FUNCTION_DEPTH)
    }
    assert operators_in(Counter({("own", "0"): 1}), functions) == 1000**MAX_FUNCTION_DEPTH


@pytest.mark.parametrize("depth", [MAX_FUNCTION_DEPTH + 1, 5000])
def test_functions_that_nest_without_end(depth: int) -> None:
    functions = {
        ("own", str(index)): Counter({("own", str((index + 1) % depth)): 1})
        for index in range(depth)
    }
    with pytest.raises(ValueError, match="deeper"):
        operators_in(Counter({("own", "0"): 1}), functions)
