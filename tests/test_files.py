"""What is saved loads as it was, to the bit; what is damaged or hostile is refused in words."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fuzz_files
import hypothesis.strategies as st
import numpy as np
import pytest
from golden.make import GOLDEN, networks
from hypothesis import given
from sealed import arrays, opened, sealed

import minnet
from minnet import (
    SGD,
    Adam,
    Affinity,
    Identity,
    Layer,
    LeakyReLU,
    Loss,
    Map,
    MeanSquaredError,
    Network,
    Optimizer,
    Parameter,
    ReLU,
    Sigmoid,
    SquaredError,
    Tanh,
    along_batch,
    batch_sum,
    load,
    registry,
)
from minnet.facts import gate
from minnet.files import FileError, from_json, load_with_notes, save, to_json
from minnet.initializers import INITIALIZERS, he
from minnet.registry import register
from minnet.snapshots import Snapshot

ROOT = Path(minnet.__file__).parents[1]


# ---------------------------------------------------------------- layers and functions of a user


@register("test.Scale", ["n", "power"])
class Scale(Layer):
    """Each input times s^power; with a parameter of shape () and an empty one."""

    s, shift, nothing = Parameter(), Parameter(), Parameter()

    def __init__(self, n: int, power: int = 1, name: str | None = None) -> None:
        super().__init__(n, n, name)
        self.power = power
        self.s, self.shift, self.nothing = np.ones(n), 0.5, np.zeros((3, 0))

    def forward(self, x: Any) -> Any:
        return along_batch(self.s) ** self.power * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        s, lead = along_batch(self.s), self.shift.shape
        g = {"s": batch_sum(dy * x * self.power * s ** (self.power - 1))}
        return dy * s**self.power, {**g, "shift": np.zeros(lead), "nothing": self.nothing * 0}


@register("test.Masked", lambda layer: {"mask": layer.mask, "then": layer.then, "tags": layer.tags})
class Masked(Layer):
    """A fixed array, a function and a list as arguments."""

    def __init__(self, mask: Any, then: Callable[[Any], Any], tags: Any) -> None:
        super().__init__(len(mask), len(mask))
        self.mask, self.then, self.tags = mask, then, tags

    def forward(self, x: Any) -> Any:
        return self.then(x) * self.mask, None

    def backprop(self, dy: Any, cache: None, inputs: bool = True) -> Any:
        return dy * self.mask, {}


@register("test.Cubic", ["reduction", "weight"])
class Cubic(Loss):
    def __init__(self, weight: float, reduction: str = "sum") -> None:
        super().__init__(reduction)
        self.weight = weight

    def per_fact(self, y: Any, expected: Any) -> Any:
        return self.weight * (abs(y - expected) ** 3).sum(axis=-1)

    def slope(self, y: Any, expected: Any) -> Any:
        return 3 * self.weight * (y - expected) * abs(y - expected)


@register("test.Signs", ["alpha"])
class Signs(Optimizer):
    def start(self, p: Any) -> Any:
        return {"steps": np.zeros((*p.shape[:-1], 1))}

    def update(self, p: Any, g: Any, state: Any) -> Any:
        return p - self.alpha * np.sign(g), {"steps": state["steps"] + 1}


@register("test.square")
def square(x: Any) -> Any:
    return x * x


@register("test.double")
def double(x: Any) -> Any:
    return 2 * x


@pytest.fixture
def unregister() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = dict(registry._CLASSES), dict(registry._FUNCTIONS)
    yield
    for table, was in zip((registry._CLASSES, registry._FUNCTIONS), before, strict=True):
        table.clear()
        table.update(was)


# ---------------------------------------------------------------- the same network


def alike(a: Network, b: Network) -> None:
    """Everything that learning or structure can change is the same, to the bit."""
    assert repr(a) == repr(b) and a.names == b.names and a._name == b._name
    assert a._float_type == b._float_type and a._flat.dtype == b._flat.dtype
    assert a._flat.tobytes() == b._flat.tobytes() and a._flat.shape == b._flat.shape
    assert type(a.loss) is type(b.loss) and vars(a.loss) == vars(b.loss)
    assert type(a.optimizer) is type(b.optimizer) and np.array_equal(a.alpha, b.alpha)
    mine, other = ({**vars(net.optimizer), "_alpha": None} for net in (a, b))
    assert mine == other and np.asarray(a.alpha).dtype == np.asarray(b.alpha).dtype
    assert (a._memory is None) == (b._memory is None)
    for key, array in (a._memory or {}).items():
        assert array.dtype == b._memory[key].dtype and array.shape == b._memory[key].shape
        assert array.tobytes() == b._memory[key].tobytes() and b._memory[key].flags.writeable
    assert list(a._memory or ()) == list(b._memory or ())
    assert np.array_equal(a._diverged, b._diverged) and a._engine == b._engine
    for one, two in zip(a.layers, b.layers, strict=True):
        assert type(one) is type(two) and one._name == two._name and one.label == two.label
        if isinstance(one, Network):
            alike(one, two)  # type: ignore[arg-type]
            continue
        assert [(k, v.shape, v.dtype) for k, v in one.parameters.items()] == [
            (k, v.shape, v.dtype) for k, v in two.parameters.items()
        ]
        private = {"_arrays", "_home", "mask"}
        mine, other = ({k: v for k, v in vars(i).items() if k not in private} for i in (one, two))
        assert mine == other
        for array in two.parameters.values():
            assert array.size == 0 or np.shares_memory(array, b._flat)


def learn_on(net: Network, facts: Any, steps: int = 4) -> bytes:
    return np.array(
        [loss for _, loss in zip(range(steps), net.steps(facts), strict=False)]
    ).tobytes()


NAMES = ["fc1", "über", "a/b", "\n", "out", "x" * 300, "'", " "]
INNER = st.sampled_from(["sigmoid", "tanh", "relu", "leaky", "identity", "map", "scale", "masked"])


@st.composite
def learners(draw: Callable[..., Any]) -> tuple[Network, Any]:
    """A network of any structure, which has perhaps begun to learn, and facts for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = itertools.chain(draw(st.permutations(NAMES)), map(str, itertools.count()))

    def name() -> str | None:
        return draw(st.sampled_from([None, next(names)]))

    def layers(n: int, m: int, depth: int) -> list[Layer]:
        made: list[Layer] = []
        for kind in draw(st.lists(INNER, max_size=3)):
            made.append(
                {
                    "sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU, "identity": Identity,
                    "leaky": lambda name: LeakyReLU(rng.normal(), name),
                    "map": lambda name: Map(square, double, name),
                    "scale": lambda name: Scale(n, 2, name),
                    "masked": lambda name: Masked(rng.normal(size=n), square, [1, "ä", None, 0.1]),
                }[kind](name=name())
            )  # fmt: skip
        initializer = draw(st.sampled_from(list(INITIALIZERS.values())))
        made.append(Affinity(n, m, name(), initializer=initializer, rng=rng))
        if depth and draw(st.booleans()):
            dtype = draw(st.sampled_from(["float32", "float64"]))
            made.append(Network(layers(m, m, depth - 1), dtype=dtype, name=name()))
        return made

    optimizer = draw(
        st.sampled_from(
            [SGD(0.1), SGD(1 / 3, 0.9, 1e-4), Adam(0.01, (0.8, 0.99), 1e-7), Signs(0.1)]
        )
    )
    net = Network(
        layers(2, 3, 2),
        loss=draw(st.sampled_from([SquaredError("mean"), MeanSquaredError(), Cubic(0.1)])),
        optimizer=optimizer,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        name=name(),
    )
    if draw(st.booleans()):
        net = net.replicate(draw(st.integers(1, 3)), rng)
        if draw(st.booleans()):
            net.alpha = rng.uniform(0.01, 0.1, net.nets)
    net.engine = draw(st.sampled_from(["auto", "layers"]))
    facts = [(rng.normal(size=(4, 2)), rng.normal(size=(4, 3))) for _ in range(4)]
    if draw(st.booleans()):
        learn_on(net, facts)
        net.alpha = net.alpha / 2
    return net, facts


@given(learners())
def test_a_loaded_network_is_the_saved_one_and_learns_on_as_it(
    tmp_path_factory: pytest.TempPathFactory, given: tuple[Network, Any]
) -> None:
    net, facts = given
    path = tmp_path_factory.getbasetemp() / "any.minnet"
    save(net, path)
    again = load(path)
    alike(net, again)
    save(again, path.with_name("again"))
    assert path.with_name("again").read_bytes() == path.read_bytes()
    assert learn_on(net.copy(), facts) == learn_on(again, facts)
    if np.isfinite(net._flat).all():
        text = from_json(to_json(net))
        alike(net, text)
        again = net.copy()
        assert learn_on(again, facts) == learn_on(text, facts)
        alike(again, text)


def test_an_optimizer_goes_on_where_it_was(tmp_path: Path) -> None:
    for optimizer in (Adam(0.1), SGD(0.1, momentum=0.9)):
        net = Network([Affinity(2, 2, rng=0), Tanh(), Affinity(2, 1, rng=1)], optimizer=optimizer)
        unbroken = net.copy()
        expected = list(unbroken.steps(gate("xor"), epochs=50))
        losses = list(net.steps(gate("xor"), epochs=20))
        net.save(tmp_path / "net")
        net = load(tmp_path / "net")
        assert losses + list(net.steps(gate("xor"), epochs=30)) == expected
        alike(net, unbroken)


def test_engine_and_divergence_are_kept(tmp_path: Path) -> None:
    net = Network([Affinity(1, 1, rng=0), Map(square, double), Map(square, double)])
    net.learn([([9], [1])] * 50)
    assert net.diverged is not None
    net.engine = "layers"
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    assert again.diverged == net.diverged and again._engine == "layers"
    crowd = net.replicate(4, 0)
    crowd.learn([([9], [1])] * 50)
    save(crowd, tmp_path / "net")
    assert np.array_equal(load(tmp_path / "net").diverged, crowd.diverged)


SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, -2.2e-308, 1.8e308, 0.1, 1e-45, 3.4e38])
PAYLOADS = np.array([0x7FF0000000000001, 0xFFF8DEADBEEF0001, 0x7FF8000000000000], np.uint64)


def test_every_bit_of_a_number_is_kept(tmp_path: Path) -> None:
    for dtype in ("float64", "float32"):
        net = Network([Affinity(13, 1, rng=0)], dtype=dtype, optimizer=SGD(0.1, momentum=0.5))
        net.learn([(np.zeros(13), [0])])
        with np.errstate(all="ignore"):
            values = np.concatenate([SPECIAL, PAYLOADS.view(np.float64)]).astype(dtype)
        net.layers[0].M[0] = values  # in place: assigning would refuse them
        net._memory["v"][:13] = values
        save(net, tmp_path / "net")
        again = load(tmp_path / "net")
        alike(net, again)
        assert again.layers[0].M.tobytes() == values.tobytes()
        assert (
            values.astype(values.dtype.newbyteorder("<")).tobytes()
            in Path(tmp_path / "net").read_bytes()
        )
        with pytest.raises(FileError, match="JSON"):
            to_json(net)


def test_notes_hold_plain_data_and_any_array(tmp_path: Path) -> None:
    notes = {
        "losses": [0.5, np.inf, -0.0, 5e-324], "n": 2**127, "ok": True, "none": None,
        "text": "ä\0\n€", "nested": [{"a": []}, [[]], {}], "one": [np.inf, 1],
        "0-d": np.array(1.5), "empty": np.zeros((0, 3)), "bool": np.array([True, False]),
        "strided": np.arange(20.0)[::-3], "fortran": np.asfortranarray(np.eye(2, 3)),
        "broadcast": np.broadcast_to(np.float32(3), (2, 2)), "big": np.arange(5, dtype=">f8"),
        "half": np.array([1, np.nan], np.float16), "bytes": np.arange(3, dtype=np.uint8),
        "signed": np.array(-(2**63)), "scalar": np.float32(0.1), "int": np.int8(-3),
    }  # fmt: skip
    save(Network(), tmp_path / "net", notes)
    net, came = load_with_notes(tmp_path / "net")
    assert net.layers == () and list(came) == list(notes)
    for key, value in notes.items():
        if isinstance(value, np.ndarray):
            assert came[key].tobytes() == value.astype(value.dtype.newbyteorder("=")).tobytes()
            assert came[key].shape == value.shape and came[key].dtype.isnative
            assert came[key].flags.writeable
        else:
            assert came[key] == value and type(came[key]) is type(
                value.item() if isinstance(value, np.generic) else value
            )
    assert np.signbit(came["losses"][2])
    assert load_with_notes(GOLDEN / "xor.minnet")[1] is None


@pytest.mark.parametrize(
    "notes",
    [
        {1: 2}, {"$array": 0}, {"a": object()}, {"a": 1j}, {"a": b"bytes"}, {"a": {1, 2}},
        np.array([object()]), np.array(["text"]), np.array([1j]), np.array([1], "M8[s]"),
        2**128, "\ud800", {"\udfff": 1}, lambda x: x, [[]] * 2**18, ["x" * 2**24],
    ],
    ids=lambda notes: type(notes).__name__,
)  # fmt: skip
def test_notes_that_are_no_plain_data_are_refused(tmp_path: Path, notes: Any) -> None:
    with pytest.raises(FileError):
        save(Network(), tmp_path / "net", notes)
    assert not (tmp_path / "net").exists()


def test_notes_that_contain_themselves_are_refused(tmp_path: Path) -> None:
    notes: list[Any] = []
    notes.append(notes)
    with pytest.raises(FileError, match="deeper"):
        save(Network(), tmp_path / "net", notes)


def test_a_nested_network_keeps_how_it_learns_by_itself(tmp_path: Path) -> None:
    inner = Network([Affinity(1, 1, rng=0)], optimizer=Adam(0.5), loss=MeanSquaredError())
    net = Network([inner, Tanh()], dtype="float32")
    inner.learn([([1.0], [2.0])])
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    alike(net, again)
    for one in (net, again):
        one.layers[0].learn([([1.0], [2.0])])  # type: ignore[attr-defined]
    alike(net, again)


@pytest.mark.usefixtures("unregister")
def test_empty_parameters_keep_their_shapes(tmp_path: Path) -> None:
    @register("test.Empty")
    class Empty(Identity):
        p = Parameter()

        def __init__(self) -> None:
            super().__init__()
            self.p = np.zeros((0, 3))

    net = Network([Empty()])
    save(net, tmp_path / "net")
    alike(net, load(tmp_path / "net"))
    with pytest.raises(FileError, match=r"loses its shape \(0, 3\)"):
        to_json(net)


# ---------------------------------------------------------------- registration


def test_what_is_not_registered_is_refused_in_words_that_say_what_to_do(tmp_path: Path) -> None:
    class Mine(ReLU):
        pass

    class MyNet(Network):
        pass

    shift = 1
    for net, words in [
        (Network([Map(lambda x: x + shift, np.ones_like)]), r"Map #0 'map0': its f is .*lambda.*"
         r"registered, .* give it a name.*minnet.registry.register\('name'\)\(f\)"),
        (Network([Map(square, np.ones_like)]), "Map #0 'map0': its dfdx is .*not registered"),
        (Network([Affinity(1, 1, initializer=lambda rng, n, m, lead: he(rng, n, m, lead))]),
         "its initializer is .*not registered"),
        (Network([Mine()]), r'class Mine is not registered .*@register\("Mine", '),
        (MyNet(), "a MyNet is no plain Network"),
        (Network([MyNet([Affinity(1, 1)])]), "a MyNet is no plain Network"),
        (Network(loss=type("Own", (Loss,), {})()), "class Own is not registered"),
        (Network(optimizer=type("Own", (Optimizer,), {})(0.1)), "class Own is not registered"),
    ]:  # fmt: skip
        for target in ("net.minnet", "net.json"):
            with pytest.raises(FileError, match=words):
                save(net, tmp_path / target)
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("unregister")
def test_registering() -> None:
    with pytest.raises(ValueError, match="'ReLU' is the registered name of"):
        register("ReLU")(Scale)
    with pytest.raises(ValueError, match=r"'test\.square' is the registered name of"):
        register("test.square")(double)
    with pytest.raises(TypeError, match="Network is no Layer, Loss or Optimizer of its own"):
        register("net")(Network)
    with pytest.raises(TypeError, match="dict is no Layer"):
        register("dict")(dict)
    with pytest.raises(TypeError, match="only classes and functions"):
        register("three")(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="the string 'n'"):
        register("Scale", "n")(Scale)
    for name in ("", "\n", None, "\ud800"):
        with pytest.raises(ValueError, match="a registered name must be"):
            register(name)  # type: ignore[arg-type]
    # as a notebook does when a cell is run again
    first, second = [register("again")(lambda x: x) for _ in range(2)]
    assert registry.name_of(second) == "again" and registry.name_of(first) is None
    assert registry.function_named("again") is second


@pytest.mark.usefixtures("unregister")
def test_arguments_that_are_not_the_constructors_are_found_when_saving(tmp_path: Path) -> None:
    @register("test.Halved", ["leak"])
    class Halved(Layer):
        def __init__(self, leak: float) -> None:
            super().__init__()
            self.leak = leak / 2

    @register("test.Forgotten")
    class Forgotten(Layer):
        def __init__(self, leak: float) -> None:
            super().__init__()

    @register("test.Absent", ["leak"])
    class Absent(Forgotten):
        pass

    @register("test.Odd", ["leak"])
    class Odd(Layer):
        leak = {1: 2}  # noqa: RUF012

    (tmp_path / "net").write_text("old")
    for layer, words in [
        (Halved(1), "would not load as the same network"),
        (Forgotten(1), r"layer #0 is no test\.Forgotten, as it is now: .*leak"),
        (Absent(1), "the arguments registered for test.Absent: .*no attribute 'leak'"),
        (Odd(), "its leak is {1: 2}, which is no plain data"),
    ]:
        with pytest.raises(FileError, match=words):
            save(Network([layer]), tmp_path / "net")
    assert (tmp_path / "net").read_text() == "old"


@pytest.mark.usefixtures("unregister")
@pytest.mark.parametrize(
    "words, body",
    [
        ("lacks|as it is now", {"__init__": lambda self, n, power, more: None}),
        ("as it is now: .*unexpected keyword", {"__init__": lambda self, n: None}),
        ("has the parameters {'s': .*but the file holds", {"nothing": None}),
        ("as it is now: gone", {"__init__": lambda self, n, power: [][n] if n < 0 else 1 / 0}),
    ],
)
def test_a_class_that_has_changed_since_is_told(
    tmp_path: Path, words: str, body: dict[str, Any]
) -> None:
    save(Network([Scale(2)]), tmp_path / "net")
    if "nothing" in body:

        def init(self: Any, n: int, power: int) -> None:
            super(Scale, self).__init__(n, n)
            self.s = np.ones(n)

        body = {"__init__": init}
    del registry._CLASSES["test.Scale"]
    register("test.Scale", ["n", "power"])(type("Scale", (Scale,), body))
    with pytest.raises(FileError, match=words.replace("gone", "division by zero")):
        load(tmp_path / "net")


@pytest.mark.usefixtures("unregister")
def test_a_constructor_may_get_new_optional_arguments(tmp_path: Path) -> None:
    save(Network([Scale(2)]), tmp_path / "net")

    class Newer(Scale):
        def __init__(self, n: int, power: int, more: str = "new") -> None:
            super().__init__(n, power)
            self.more = more

    del registry._CLASSES["test.Scale"]
    register("test.Scale", ["n", "power", "more"])(Newer)
    assert load(tmp_path / "net").layers[0].more == "new"  # type: ignore[attr-defined]


# ---------------------------------------------------------------- JSON for people


def test_json_is_read_edited_and_loaded(tmp_path: Path) -> None:
    net = Network([Affinity(2, 2, "fc1"), ReLU(), Affinity(2, 1)], optimizer=SGD(0.5))
    net.save(tmp_path / "net.json")
    text = (tmp_path / "net.json").read_text()
    assert text.endswith("}\n") and max(map(len, text.splitlines())) < 120
    edited = json.loads(text)
    edited["network"]["layers"][0]["parameters"]["M"] = [[1, -1], [-1, 1]]
    edited["network"]["layers"][0]["name"] = "hidden"
    edited["network"]["optimizer"]["arguments"]["alpha"] = 1
    (tmp_path / "net.json").write_text(json.dumps(edited), encoding="utf-8-sig")
    net = load(tmp_path / "net.json")
    assert net["hidden"].parameters["M"].tolist() == [[1, -1], [-1, 1]] and net.alpha == 1


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('"M": [[', '"M": [', r"its JSON is wrong: Expecting.*line \d+ column"),
        ('"M": [[', '"M": [[1],[', "layer #0: M"),
        ('"M": [[', '"M": [["a",', "layer #0: M"),
        ('"M": [[', '"M": [[null,', "layer #0: M"),
        ('"M": [[', '"M": [[1e999,', "which is no number"),
        ('"M": [[', '"M": [[NaN,', "which is no number"),
        ('"M": [[', '"M": [[-Infinity,', "which is no number"),
        ('"M": [[', '"M": [[{"$float": "nan"},', "layer #0: M"),
        ('"M": [[', '"M": [[1' + "0" * 50 + ",", "integer of 51 digits"),
        ('"M": [[', '"M": [[3,', "the parameters"),
        ('"b": [', '"b": [true, ', "the parameters"),
        ('"n": 2', '"n": 3', "the parameters"),
        ('"n": 2', '"n": 2.5', "positive integer"),
        ('"n": 2', '"n": true', "positive integer"),
        ('"alpha": 0.1', '"alpha": 0', "alpha"),
        ('"alpha": 0.1', '"alpha": "0.1"', "alpha"),
        ('"float64"', '"float32"', ""),
        ('"float64"', '"float16"', "dtype must be one of"),
        ('"minnet": 1', '"minnet": 2', "has format 2, but this minnet reads format 1"),
        ('"minnet": 1', '"minnet": true', "has format True"),
        ('"minnet": 1', '"minnet": "1"', "has format '1'"),
        ('"minnet": 1,', "", "no minnet file"),
        ('"kind": "network"', '"kind": "bench"', "holds no network, but 'bench'"),
        ('"engine": "auto"', '"engine": "warp"', "engine must be one of"),
        ('"diverged": null', '"diverged": 0.5', "diverged must be int64"),
        ('"diverged": null', '"diverged": [[1]]', "diverged must be int64 of shape"),
        ('"diverged": null', '"diverged": -2', "diverged cannot be"),
        ('"memory": null', '"memory": {"v": []}', "the optimizer's memory has 'v'"),
        ('"memory": null', '"memory": []', "the optimizer's memory must be a record"),
        ('"name": null', '"name": "a", "name": "b"', "'name' twice"),
        ('"name": null', '"name": 5', "name must be a string"),
    ],
)  # fmt: skip
def test_wrong_json_is_refused_in_words(old: str, new: str, words: str) -> None:
    text = to_json(Network([Affinity(2, 1, rng=0)]))
    assert old in text
    if not words:
        from_json(text.replace(old, new))
        return
    with pytest.raises(FileError, match=words):
        from_json(text.replace(old, new, 1))


# ---------------------------------------------------------------- damage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(Network([Affinity(2, 2, rng=0), Tanh(), Affinity(2, 1, rng=1)], optimizer=Adam()),
         tmp_path / "net.minnet")  # fmt: skip
    return tmp_path / "net.minnet"


def refused(path: Path, words: str = "") -> str:
    with pytest.raises(FileError, match=words or None) as told:
        load(path)
    assert str(told.value).startswith(f"{path}: ") and len(str(told.value)) < 1000
    return str(told.value)


def places(length: int) -> list[int]:
    """All of the first and last hundred, where the fields and the checksum are; every fifth."""
    return [k for k in range(length) if k < 100 or k >= length - 100 or k % 5 == 0]


def test_cut_off_anywhere_it_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in places(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, "empty" if not length else "no minnet file" if length < 8 else "cut off")


def test_with_any_byte_changed_it_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for place in places(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        refused(path)
    assert load(GOLDEN / "xor.minnet")


def test_with_a_tail_of_zeros_or_more_bytes_it_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for damaged in [
        *(whole[:kept] + bytes(len(whole) - kept) for kept in range(0, len(whole), 16)),
        whole + b"\0", whole + b"\n", whole + bytes(4096), whole + whole, b"\0" + whole,
        whole[1:] + b"\0", bytes(len(whole)), bytes(10**6), whole.replace(b"\n", b"\r\n", 1),
    ]:  # fmt: skip
        path.write_bytes(damaged)
        refused(path)
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte of zeros that takes no room
    refused(path, "1099511627776 bytes")


def test_a_failed_load_changes_nothing(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])

    def state() -> list[Any]:
        tables = dict(registry._CLASSES), dict(registry._FUNCTIONS), set(sys.modules)
        random = np.random.get_state()[1].tobytes()  # noqa: NPY002
        return [*tables, random, os.getcwd(), path.read_bytes(), os.listdir(path.parent)]

    before = state()
    refused(path)
    assert state() == before


# ---------------------------------------------------------------- hostile, with a valid checksum

TREE: dict[str, Any] = {
    "kind": "network",
    "network": {
        "name": None,
        "dtype": "float64",
        "layers": [
            {
                "class": "Affinity",
                "arguments": {"n": 2, "m": 1, "initializer": {"function": "normal"}},
                "name": None,
                "parameters": {"M": {"$array": 0}, "b": {"$array": 1}},
            }
        ],
        "loss": {"class": "SquaredError", "arguments": {"reduction": "sum"}},
        "optimizer": {"class": "SGD", "arguments": {"alpha": 0.1}},
        "memory": None,
        "diverged": None,
        "engine": "auto",
    },
}
TABLE = [["float64", [1, 2]], ["float64", [1]]]
DATA = np.arange(3.0).tobytes()


def tree(**changes: Any) -> dict[str, Any]:
    """The tree with other things at paths such as layers__0__name."""
    result = json.loads(json.dumps(TREE))
    for place, value in changes.items():
        *parts, last = place.split("__")
        record = result["network"]
        for part in parts:
            record = record[int(part) if isinstance(record, list) else part]
        if value is DELETED:
            del record[last]
        else:
            record[int(last) if isinstance(record, list) else last] = copy.deepcopy(value)
    return result


DELETED = object()


def with_tree(**changes: Any) -> bytes:
    return sealed({"arrays": TABLE, "tree": tree(**changes)}, DATA)


def with_table(table: Any, data: bytes = DATA, **changes: Any) -> bytes:
    return sealed({"arrays": table, "tree": tree(**changes)}, data)


def nested(depth: int) -> Any:
    learning = {key: value for key, value in TREE["network"].items() if key != "dtype"}
    inner: list[Any] = []
    for _ in range(depth):
        inner = [{**learning, "layers": inner}]
    return {**TREE["network"], "layers": inner}


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def npz(**members: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("M.npy", bytes(10**7))
    return buffer.getvalue()


AFFINITY = TREE["network"]["layers"][0]
RELU = {"class": "ReLU", "arguments": {}, "name": None, "parameters": {}}
CODE = (
    "posix.system",
    "builtins.eval",
    "os.system",
    "__import__",
    "numpy.load",
    "minnet.load",
    "x.y",
)

HOSTILE: dict[str, tuple[bytes, str]] = {
    # other formats, which can run code or grow
    "a pickle": (pickle.dumps(Evil()), "no minnet file"),
    "an npz of objects": (npz(M=np.array([Evil()])), "no minnet file"),
    "a zip bomb": (zip_bomb(), "no minnet file"),
    "a pickle behind the magic": (b"\x89minnet\n" + pickle.dumps(Evil()), ""),
    "a pickle as JSON": (sealed(pickle.dumps(Evil())), "JSON"),
    "a zip bomb as JSON": (sealed(zip_bomb()), "JSON"),
    # lengths
    "a JSON length beyond the end": (sealed({}, text_length=10**9), "cut off or damaged"),
    "a data length before the end": (
        sealed({"arrays": TABLE, "tree": TREE}, DATA, data_length=0), "cut off or damaged"),
    "a data length beyond the end": (sealed({}, data_length=2**64 - 1), "cut off or damaged"),
    "no JSON": (sealed(b""), "its JSON is wrong"),
    "a future version": (sealed({}, version=2), "has format 2, .* newer minnet"),
    "version 0": (sealed({}, version=0), "has format 0"),
    "only the prefix": (sealed(b"")[:24], "cut off"),
    # JSON
    "not UTF-8": (sealed(b'{"arrays": [], "tree": "\xff"}'), "not UTF-8"),
    "UTF-16": (sealed(json.dumps({"arrays": []}).encode("utf-16")), "not UTF-8"),
    "overlong UTF-8": (sealed(b'{"arrays": [], "tree": "\xc0\xaf"}'), "not UTF-8"),
    "half a character": (sealed(b'{"arrays": [], "tree": "\\ud800"}'), "is no text"),
    "half a character as key": (sealed(b'{"arrays": [], "tree": {"\\udfff": 1}}'), "is no text"),
    "deep JSON": (sealed(b"[" * 10**5), "nested deeper|wrong"),
    "deep JSON, closed": (sealed(b"[" * 10**5 + b"]" * 10**5), "nested deeper"),
    "JSON as deep as the parser bears": (
        sealed(b'{"arrays": [], "tree": ' + b"[" * 500 + b"]" * 500 + b"}"), "nested deeper"),
    "100 MB of JSON": (sealed(b" " * 10**8), "too large"),
    "a million lists": (sealed(b"[" + b"[]," * 10**6 + b"[]]"), "too large"),
    "a million records": (sealed(b"[" + b"{}," * 10**6 + b"{}]"), "too large"),
    "nan in JSON": (sealed(b'{"arrays": [], "tree": NaN}'), "which is no number"),
    "infinity in JSON": (sealed(b'{"arrays": [], "tree": -Infinity}'), "which is no number"),
    "a float beyond range": (sealed(b'{"arrays": [], "tree": -1e400}'), "which is no number"),
    "an integer of a million digits": (sealed(b"9" * 10**6), "integer of 1000000 digits"),
    "two keys alike": (sealed(b'{"arrays": [], "tree": 1, "tree": 2}'), "'tree' twice"),
    "a list": (sealed([]), "must be a record"),
    "null": (sealed(None), "must be a record"),
    "a number": (sealed(1), "must be a record"),
    "no tree": (sealed({"arrays": []}), "lacks 'tree'"),
    "more than that": (sealed({"arrays": [], "tree": 1, "code": 2}), "'code', which"),
    "arrays that are no list": (sealed({"arrays": 5, "tree": 1}), "list of arrays is 5"),
    # arrays
    **{
        f"an array of {dtype}": (with_table([[dtype, [1, 2]], TABLE[1]]), "dtype must be one of")
        for dtype in ("object", "O", "|O8", "str", "<U4", "S8", "V8", "M8[s]", "complex128",
                      "float128", ">f8", "f8,f8", "", 8, None, ["float64"])
    },
    **{
        f"an array of shape {shape}": (with_table([["float64", shape], TABLE[1]]), "array")
        for shape in ([2**60], [2**31, 2**31], [2**62, 4], [-1], [-1, -2], [1.0, 2], [True, 2],
                      ["1", 2], [None], "12", 2, {}, [1] * 33, [1, 3], [3, 1], [0], [0, 2**60],
                      [2**32, 0, 2**32, 2**32], [10**30])
    },
    "a table row of one": (with_table([["float64"], TABLE[1]]), "described by"),
    "a table row that is a string": (with_table(["float64", TABLE[1]]), "described by"),
    "data that no array uses": (with_table(TABLE, DATA + b"12345678"), "belong to no array"),
    "too little data": (with_table(TABLE, DATA[:-1]), "larger than its data"),
    "an array that nothing uses": (
        with_table([*TABLE, ["float64", [0]]]), "arrays that nothing in it uses"),
    "a thousand empty arrays": (
        with_table([*TABLE, *[["float64", [0]]] * 1000]), "arrays that nothing in it uses"),
    "a truth value of 2": (
        with_table([["bool", [3]]], b"\0\1\2", layers=[], diverged={"$array": 0}),
        "neither 0 nor 1"),
    **{
        f"array {number}": (
            with_tree(layers__0__parameters__M={"$array": number}), "stands for nothing|most|has")
        for number in (1, 2, -1, -2, 0.0, False, None, "0", [0], 2**64)
    },
    "one array twice": (
        with_tree(layers__0__parameters__b={"$array": 0}), "stands for nothing"),
    "arrays in another order": (
        with_tree(layers__0__parameters={"b": {"$array": 1}, "M": {"$array": 0}}),
        "stands for nothing"),
    "a mark with more": (
        with_tree(layers__0__parameters__M={"$array": 0, "offset": -8}), "stands for nothing"),
    "more with a mark": (
        with_tree(layers__0__parameters__M={"offset": 8, "$array": 0}), "stands for nothing"),
    "an unknown mark": (with_tree(name={"$code": "1"}), "stands for nothing"),
    "an odd float": (with_tree(name={"$float": "1e5"}), "stands for nothing"),
    "a matrix as list of floats": (
        with_tree(layers__0__parameters__M={"$floats": 0}), "stands for nothing"),
    # numbers that do not fit
    "wrong dtype": (
        with_table([["float32", [2, 2]], ["float32", [2]]]), "layer #0: M must be float64"),
    "integers": (with_table([["int64", [1, 2]], TABLE[1]]), "M must be float64, not int64"),
    "transposed": (with_table([["float64", [2, 1]], TABLE[1]]), "has the parameters"),
    "flat": (with_table([["float64", [2]], TABLE[1]]), "has the parameters"),
    "a crowd and no crowd": (
        with_table([["float64", [1, 1, 2]], TABLE[1]]), "has the parameters"),
    "crowds of two sizes": (
        with_table([["float64", [2, 1, 2]], ["float64", [1, 1]]], bytes(40)), "has the parameters"),
    "a crowd of none": (
        with_table([["float64", [0, 1, 2]], ["float64", [0, 1]]], b""), "a crowd cannot"),
    "a crowd of crowds": (
        with_table([["float64", [1, 1, 1, 2]], ["float64", [1, 1, 1]]]), "a crowd cannot"),
    "a parameter missing": (
        with_table(TABLE[:1], DATA[:16], layers__0__parameters={"M": {"$array": 0}}),
        "has the parameters"),
    "a parameter more": (
        with_tree(layers__0__parameters={"M": {"$array": 0}, "b": {"$array": 1}, "c": 1.0}),
        "has the parameters"),
    "parameters in a list": (
        with_tree(layers__0__parameters=[{"$array": 0}, {"$array": 1}]), "must be a record"),
    "a parameter that is a record": (
        with_table(TABLE[1:], DATA[:8], layers__0__parameters={"M": {}, "b": {"$array": 0}}),
        "layer #0: M"),
    # what would make a constructor take all memory
    **{
        f"an Affinity({n}, {m})": (
            with_tree(layers__0__arguments={"n": n, "m": m}), "product|parameters|integer")
        for n, m in [(2**60, 1), (1, 2**60), (2**31, 2**31), (2**20, 2**20), (-(2**60), 1),
                     (-1, 2), (0, 0), (2.5, 1), ("2", 1), (None, 1), (True, 1), ([2], 1)]
    },
    "a layer of a user's, as large": (
        with_table([], b"", layers=[{**AFFINITY, "class": "test.Scale", "parameters": {},
                                     "arguments": {"n": 2**33, "power": 1}}]), "product"),
    "and with a list": (
        with_table([], b"", layers=[{**AFFINITY, "class": "test.Scale", "parameters": {},
                                     "arguments": {"n": [2**40], "power": 1}}]), "product"),
    # names of things
    **{
        f"a {place} called {name!r}": (
            with_tree(**{f"{path}__class": name}), f"no {place} is registered as")
        for place, path in
        [("layer", "layers__0"), ("loss", "loss"), ("optimizer", "optimizer")]
        for name in (*CODE, "Layer", "Network", "normal", "", None, 5, ["Affinity"])
    },
    "a layer as loss": (with_tree(loss__class="ReLU"), "no loss is registered as 'ReLU'"),
    "a loss as layer": (with_tree(layers__0__class="SquaredError"), "no layer is registered"),
    **{
        f"a function called {name!r}": (
            with_tree(layers__0__arguments__initializer={"function": name}),
            "no function is registered as")
        for name in (*CODE, "Affinity", "SGD", "", None, 5)
    },
    "a function and more": (
        with_tree(layers__0__arguments__initializer={"function": "he", "module": "os"}),
        "'module', which"),
    **{
        f"a name {name!r}": (with_tree(layers__0__name=name), "name")
        for name in ("", "a.b", "../../etc/passwd", 5, True, ["a"], {"a": 1}, 0.5)
    },
    "two layers of one name": (
        with_table([], b"", layers=[{**RELU, "name": "a"}] * 2), "both named 'a'"),
    "a network of an odd name": (with_tree(name="a.b"), "name"),
    # structure
    "layers that are no list": (with_table([], b"", layers={}), "layers must be a list"),
    "a layer that is null": (with_table([], b"", layers=[None]), "must be a record"),
    "a layer that is a string": (with_table([], b"", layers=["ReLU"]), "must be a record"),
    "widths that do not fit": (
        with_table([*TABLE, *TABLE], DATA * 2, layers=[AFFINITY, {**AFFINITY, "parameters": {
            "M": {"$array": 2}, "b": {"$array": 3}}}]), "takes 2 inputs, but layer #0 .* gives 1"),
    "more layers than there may be": (
        with_table([], b"", layers=[RELU] * 1500), "1000 layers are the most"),
    "networks in networks in networks": (
        sealed({"arrays": [], "tree": {"kind": "network", "network": nested(27)}}),
        "nested deeper"),
    "a layer twice": (with_tree(layers=[AFFINITY, {"same": 0, "parameters": {}}]), "parameters"),
    "a layer that is the same as none": (
        with_tree(layers=[{"same": 0, "parameters": AFFINITY["parameters"]}]), "same as #0"),
    "a layer that is the same as -1": (
        with_tree(layers=[{"same": -1, "parameters": AFFINITY["parameters"]}]), "same as #-1"),
    # settings
    **{
        f"alpha for each net, {alpha}": (
            with_tree(optimizer__arguments__alpha={"array": alpha, "dtype": "float64"}), "alpha")
        for alpha in ([[0.1]], [0.1], 0.1, [], [[0.1, 0.2]])
    },
    "alpha for each net, one of them 0": (
        with_table([["float64", [2, 1, 2]], ["float64", [2, 1]]], bytes(48),
                   optimizer__arguments__alpha={"array": [[0.1], [0]], "dtype": "float64"}),
        "alpha must be above 0"),
    **{
        f"{setting} {value}": (with_tree(**{place: value}), setting)
        for setting, place, values in [
            ("alpha", "optimizer__arguments__alpha",
             [0, -1, "0.1", None, True, {"$float": "nan"}, {"$float": "inf"}, [0.1]]),
            ("momentum", "optimizer__arguments__momentum", [1, -0.1, {"$float": "nan"}]),
            ("reduction", "loss__arguments__reduction", ["max", 1, None, ["sum"]]),
            ("dtype", "dtype", ["float16", "object", "O", "f8,f8", None, 8, ["float64"]]),
            ("engine", "engine", ["", "warp", 1, None, ["auto"], {"a": 1}]),
            ("diverged", "diverged", [0.5, "no", [[0]], {}, [True], -2]),
            ("memory", "memory", [[], 5, "v", {"v": 1}]),
        ]
        for value in values
    },
    "arguments in a list": (with_tree(loss__arguments=["sum"]), "must be a record"),
    "arguments nobody knows": (with_tree(loss__arguments={"code": "x"}), "as it is now"),
    "an array as argument, of objects": (
        with_tree(loss__arguments__reduction={"array": [1], "dtype": "object"}), "dtype"),
    # fields
    **{
        f"without {place}": (
            with_table([], b"", **{"layers": [RELU], place: DELETED}),
            f"lacks '{place.split('__')[-1]}'")
        for place in [
            *(name for name in TREE["network"] if name != "engine"),
            *(f"layers__0__{name}" for name in RELU), "loss__class", "optimizer__arguments",
        ]
    },
    **{
        f"with an unknown field in {where or 'the network'}": (
            with_tree(**{f"{where}code": 1}), "'code', which this minnet does not know")
        for where in ("", "layers__0__", "loss__", "optimizer__")
    },
    "with an unknown field in the file": (
        sealed({"arrays": TABLE, "tree": {**tree(), "code": 1}}, DATA), "'code', which"),
    "no kind": (sealed({"arrays": [], "tree": {"network": {}}}), "holds no network, but None"),
    "an unknown kind": (sealed({"arrays": [], "tree": {"kind": ["x"]}}), "holds no network"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_with_a_valid_checksum_are_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    contents, words = HOSTILE[name]
    (tmp_path / "net").write_bytes(contents)
    refused(tmp_path / "net", words)
    assert os.listdir(tmp_path) == ["net"], "no code has run"


def test_the_file_that_the_hostile_ones_are_made_of_loads(tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(with_tree())
    net = load(tmp_path / "net")
    assert net.parameters["affinity0.M"].tolist() == [[0, 1]] and net([1, 1]) == [3]
    (tmp_path / "net").write_bytes(with_tree(engine=DELETED))  # the one optional field
    assert load(tmp_path / "net")._engine == "auto"
    assert len(nested(10)["layers"]) == 1
    (tmp_path / "net").write_bytes(
        sealed({"arrays": [], "tree": {"kind": "network", "network": nested(10)}})
    )
    load(tmp_path / "net")


def test_hostile_files_take_little_memory(tmp_path: Path) -> None:
    for i, (contents, _) in enumerate(HOSTILE.values()):
        (tmp_path / str(i)).write_bytes(contents)
    code = """
import os, resource, sys
sys.path.insert(0, "tests")
import test_files
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in os.listdir(sys.argv[1]):
    try:
        test_files.load(os.path.join(sys.argv[1], name))
    except test_files.FileError:
        continue
    raise SystemExit(f"{name} loads")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    largest = max(len(contents) for contents, _ in HOSTILE.values())
    assert int(result.stdout) * 1024 < 4 * largest + 2**28


test_fuzz = fuzz_files.few


# ---------------------------------------------------------------- the format itself


def test_the_layout_is_the_one_described(tmp_path: Path) -> None:
    """Read without minnet's code, by what docs/files.md says."""
    net = Network([Affinity(2, 1, "sum", rng=0)], optimizer=SGD(0.5, momentum=0.5))
    net.learn([([1, 2], [3])])
    save(net, tmp_path / "net", {"big-endian": np.arange(3, dtype=">f8")})
    file = (tmp_path / "net").read_bytes()
    header, _ = opened(file)
    layer = net.layers[0]
    record = header["tree"]["network"]
    assert record["layers"][0] == {
        "class": "Affinity",
        "arguments": {"n": 2, "m": 1, "initializer": {"function": "normal"}},
        "name": "sum",
        "parameters": {"M": {"$array": 0}, "b": {"$array": 1}},
    }
    assert record["memory"] == {"v": {"$array": 2}} and record["diverged"] == {"$array": 3}
    expected = [layer.M, layer.b, net._memory["v"], np.array(-1), np.arange(3.0)]  # type: ignore[attr-defined]
    for array, value in zip(arrays(file), expected, strict=True):
        assert array.tobytes() == np.asarray(value).astype(array.dtype).tobytes()
    assert [array.dtype.name for array in arrays(file)] == ["float64"] * 3 + ["int64", "float64"]


def test_limits_hold_when_saving_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for net, words in [
        (Network([ReLU() for _ in range(1001)]), "1000 layers are the most"),
        (Network([Scale(2, 2**30)]), "product of its whole arguments"),
    ]:
        with pytest.raises(FileError, match=words):
            save(net, tmp_path / "net")
    deep = Network([ReLU()])
    for _ in range(25):
        deep = Network([deep])
    save(deep, tmp_path / "net")
    with pytest.raises(FileError, match="nested deeper than 25"):
        save(Network([deep]), tmp_path / "net")
    save(Network([ReLU() for _ in range(1000)]), tmp_path / "net")
    assert len(load(tmp_path / "net").layers) == 1000
    monkeypatch.setattr("minnet.durable.LARGEST", 1000)
    with pytest.raises(FileError, match="1000 are the most"):
        save(Network([Affinity(20, 20)]), tmp_path / "net")
    with pytest.raises(FileError, match="1000 are the most"):
        load(tmp_path / "net")


def test_there_is_one_kind_of_error() -> None:
    assert issubclass(FileError, OSError) and issubclass(FileError, ValueError)
    with pytest.raises(TypeError, match="int"):
        load(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a path must be a string"):
        load(b"net")  # type: ignore[arg-type]


def test_files_keep_all_that_a_snapshot_keeps() -> None:
    """Whoever gives a network another state has to say here that files have it too."""
    learning = Snapshot(Network())._learning.popitem()[1]
    assert set(learning) == {"_loss", "_optimizer", "_engine", "_memory", "_diverged"}


@pytest.mark.parametrize("name", [path.name for path in sorted(GOLDEN.iterdir())
                                  if path.suffix in (".minnet", ".json")])  # fmt: skip
def test_golden_files_of_every_version_load_as_they_were(name: str) -> None:
    """Made once by golden/make.py; they stay as they are when the format changes."""
    stem = name.split(".")[0]
    if stem == "bench":
        return  # see test_bench_files
    expected = networks()[stem]
    alike(load(GOLDEN / name), expected)
    assert len(networks()) == 3 and np.isfinite(expected._flat).all()
