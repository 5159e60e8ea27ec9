"""Layers made of layers: every property of a layer, and every service of a network."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import dill
import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from autograd import numpy as anp
from hypothesis import given
from properties import Case, LayerProperties

from minnet import (
    SGD,
    Adam,
    Affinity,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    Network,
    Parallel,
    ReLU,
    Select,
    Sigmoid,
    Skip,
    Tanh,
    load,
)
from minnet.files import FileError, from_json, to_json
from minnet.gradients import check_gradients
from minnet.records import Reader, Writer
from minnet.snapshots import Snapshot
from minnet.structure import Container, containers
from minnet.study.piecewise import local_map
from minnet.study.regions import linear_regions

DUPLICATES = {
    "copy()": lambda thing: thing.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "dill": lambda thing: dill.loads(dill.dumps(thing)),
}


# The properties of a layer


def forward(layer: Layer, p: Any, x: Any) -> Any:
    """The output of one net for one fact."""

    def inside(i: int, x: Any) -> Any:
        name, inner = layer.names[i], layer.layers[i]  # type: ignore[attr-defined]
        return forward(inner, {key: p[f"{name}.{key}"] for key in inner.shapes}, x)

    match layer:
        case Parallel():
            return anp.concatenate([inside(i, x) for i in range(len(layer.layers))])
        case Skip():
            return anp.concatenate([x, inside(0, x)])
        case Select():
            return x[np.array(layer.indices)]
        case Network():
            for i in range(len(layer.layers)):
                x = inside(i, x)
            return x
    return oracle.forward(layer, p, x)


widths = st.integers(1, 3)


def affinities(n: int) -> st.SearchStrategy[Layer]:
    return st.builds(Affinity, st.just(n), widths, rng=st.just(0))


def selects(n: int) -> st.SearchStrategy[Layer]:
    return st.builds(Select, st.lists(st.integers(0, n - 1), min_size=1, max_size=4), st.just(n))


def networks(n: int) -> st.SearchStrategy[Layer]:
    return affinities(n).map(lambda layer: Network([layer, Sigmoid()]))


def parallels(n: int) -> st.SearchStrategy[Layer]:
    any_width = st.builds(Sigmoid) | st.builds(Identity)
    others = st.lists(affinities(n) | selects(n) | any_width, max_size=2)
    return st.builds(lambda first, others: Parallel([*others, first]), affinities(n), others)


def skips(n: int) -> st.SearchStrategy[Layer]:
    return (affinities(n) | networks(n)).map(Skip)


def nested(n: int) -> st.SearchStrategy[Layer]:
    """One in the other, and a Network in each."""
    inside = networks(n), skips(n), parallels(n), selects(n)
    return (
        st.permutations(inside)
        .flatmap(lambda some: st.tuples(*some[:2]))
        .map(lambda some: Skip(Network([Parallel([Network([some[0]]), some[1]])])))
    )


class TestCombinators(LayerProperties):
    cases: ClassVar = {
        "Select": Case(widths.flatmap(selects), forward),
        "Parallel": Case(widths.flatmap(parallels), forward),
        "Skip": Case(widths.flatmap(skips), forward),
        "nested": Case(widths.flatmap(nested), forward),
    }


# Networks of them


def wired(**settings: Any) -> Network:
    """3-1, with every combinator in it, in each other too."""
    block = Network([Affinity(2, 2, "fc"), Tanh()], name="block")
    both = Parallel(
        [block, Skip(Affinity(2, 1, "f"), "skip"), Select([1, 0, 1], 2, "pick")], "both"
    )
    net = Network([Affinity(3, 2, "in"), both, Affinity(8, 1, "out")], **settings)
    net.randomize(0)
    return net


def shared(**settings: Any) -> Network:
    """A Parallel and a Skip that meet the input itself, some of it before any parameter."""
    first = Parallel([Select([2, 2], 3), Affinity(3, 2), Skip(Affinity(3, 1))])
    net = Network([first, LeakyReLU(0.2), Skip(Affinity(8, 2)), Affinity(10, 1)], **settings)
    net.randomize(0)
    return net


NETS = {"wired": wired, "shared": shared}
RNG = np.random.default_rng(0)
BATCH = RNG.standard_normal((5, 3)), RNG.uniform(0.2, 0.8, (5, 1))
FACTS = list(zip(*BATCH, strict=True))

makers = pytest.mark.parametrize("make", NETS.values(), ids=NETS)


def bits(net: Layer) -> list[tuple[str, bytes]]:
    return [(key, array.tobytes()) for key, array in net.parameters.items()]


def losses(net: Network) -> bytes:
    return np.array(list(net.steps(FACTS, epochs=2))).tobytes()


def assert_one_flat_array(net: Container) -> None:
    """The parameters, wherever they are, lie side by side in one array of net's."""
    place = 0
    for key, array in net.parameters.items():
        size = math.prod(net.shapes[key])
        array[...] = np.arange(place, place + size).reshape(net.shapes[key])
        place += size
    assert (net._flat == np.arange(place)).all() and place == net._flat.shape[-1]
    for inner in containers(net):
        assert np.shares_memory(inner._flat, net._flat) or not inner.size


def test_widths_names_and_labels() -> None:
    net = wired()
    assert [(layer.n, layer.m) for layer in net.layers] == [(3, 2), (2, 8), (8, 1)]
    assert list(net.parameters) == [
        *("in.M", "in.b", "both.block.fc.M", "both.block.fc.b", "both.skip.f.M", "both.skip.f.b"),
        *("out.M", "out.b"),
    ]
    assert net["both.skip.f"] is net.layers[1].layers[1].layers[0]  # type: ignore[attr-defined]
    assert net["both.pick"].label == "Select #2 'pick'"
    assert repr(net["both.pick"]) == "Select([1, 0, 1], 2, name='pick')"
    assert "0  block  Network  2       2        fc.M (2, 2)" in repr(net["both"])
    assert (Skip(Affinity(2, 3)).m, Parallel([Tanh(), Affinity(2, 1)]).m) == (5, 3)
    assert check_gradients(net, rng=0).ok and check_gradients(net["both"], rng=0).ok


@makers
@pytest.mark.parametrize("size", [None, 1, 5])
def test_floats_take_the_step_of_the_layers(make: Callable[..., Network], size: int | None) -> None:
    facts = FACTS[:1] if size is None else [(BATCH[0][:size], BATCH[1][:size])]
    fast, slow = make(optimizer=Adam(0.01)), make(optimizer=Adam(0.01))
    slow.engine = "layers"
    assert (fast.engine, slow.engine) == ("floats", "layers")
    assert fast.learn(facts) == pytest.approx(slow.learn(facts), rel=1e-12)
    np.testing.assert_allclose(fast._flat, slow._flat, rtol=1e-11, atol=1e-13)


@makers
@pytest.mark.parametrize(("dtype", "closeness"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_arrays_take_the_step_of_the_layers(
    make: Callable[..., Network], dtype: Any, closeness: float
) -> None:
    for facts in ([BATCH], FACTS[:1]):
        fast = make(dtype=dtype).replicate(6, 1)
        slow = fast.copy()
        slow.engine = "layers"
        assert (fast.engine, slow.engine) == ("arrays", "layers")
        np.testing.assert_allclose(fast.learn(facts), slow.learn(facts), rtol=10 * closeness)
        assert abs(fast._flat - slow._flat).max() <= closeness * abs(slow._flat).max()


@pytest.mark.parametrize("nets", [None, 6])
def test_compiled_code_takes_the_step_of_the_layers(nets: int | None) -> None:
    pytest.importorskip("numba")
    fast = Network([Skip(Affinity(1, 1)), Parallel([Select([0, 0], 2), Affinity(2, 1)])])
    fast = fast if nets is None else fast.replicate(nets, 1)
    slow, fact = fast.copy(), (np.ones((1, 1)), np.zeros((1, 3)))
    fast.engine, slow.engine = "numba", "layers"
    assert fast.engine == "numba"
    np.testing.assert_allclose(fast.learn([fact]), slow.learn([fact]), rtol=1e-11)
    assert abs(fast._flat - slow._flat).max() <= 1e-12 * abs(slow._flat).max()


def test_written_out_it_computes_the_same() -> None:
    net = wired()
    text, x = net.unrolled(forward_only=True), BATCH[0][0]
    values: dict[str, Any] = {"math": math, "tanh": math.tanh, "exp": math.exp}
    values |= {f"x_{j}": v for j, v in enumerate(x.tolist())}
    for key, array in net.parameters.items():
        for index in np.ndindex(array.shape):
            values["_".join([key.replace(".", "_"), *map(str, index)])] = float(array[index])
    exec(text, values)
    assert values["out_0"] == pytest.approx(net(x)[0], rel=1e-12)


@makers
def test_members_of_a_crowd_learn_as_they_do_alone(make: Callable[..., Network]) -> None:
    crowd = make(optimizer=Adam(0.05)).replicate(3, rng=2)
    assert_one_flat_array(crowd)
    crowd = make(optimizer=Adam(0.05)).replicate(3, rng=2)
    net = make()
    net.randomize(2)
    assert bits(net) == bits(crowd.member(0))
    own = np.random.default_rng(4).standard_normal((3, 5, 3))
    for x in (BATCH[0], own):
        for i, y in enumerate(crowd(x)):
            np.testing.assert_allclose(y, crowd.member(i)(x if x.ndim == 2 else x[i]), rtol=1e-12)
    members = [crowd.member(i) for i in range(3)]
    together = crowd.learn(FACTS[:2])
    for i, member in enumerate(members):
        assert member.learn(FACTS[:2]) == pytest.approx(together[i], rel=1e-9)
        assert_one_flat_array(member)


def test_what_a_network_in_a_branch_remembers_is_void_with_its_numbers() -> None:
    net = wired(optimizer=Adam(0.1))
    block = net["both.block"]
    assert isinstance(block, Network)
    block.optimizer = Adam(0.1)
    fact = np.ones((1, 2)), np.zeros((1, 2))
    block.learn([fact])
    crowd = net.replicate(3, rng=0)
    inside = crowd["both.block"]
    assert isinstance(inside, Network) and inside.learn([fact]).shape == (3,)
    assert block._memory is not None
    net.layers = net.layers[1:]
    assert block._memory is None


def test_a_container_on_its_own_can_be_a_crowd() -> None:
    both = Parallel([Affinity(2, 2), Skip(Affinity(2, 1))])
    crowd = both.replicate(4, rng=0)
    y = crowd([[1, 2], [3, 4]])
    assert y.shape == (4, 2, 5)
    np.testing.assert_allclose(crowd.member(3)([[1, 2], [3, 4]]), y[3], rtol=1e-13)
    assert_one_flat_array(both)


@makers
def test_float32_is_kept(make: Callable[..., Network]) -> None:
    net = make(dtype=np.float32, optimizer=SGD(1e-3))
    net.learn(FACTS)
    x = BATCH[0].astype(np.float32)
    y, caches = net.forward(x)
    dx, gradients = net.backprop(y, caches)
    arrays = [y, dx, net(x), *gradients.values(), *net.parameters.values()]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@makers
@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_copies_are_the_same_and_apart(make: Callable[..., Network], duplicate: Any) -> None:
    net = make(optimizer=Adam(0.1))
    net.learn(FACTS)
    twin, before = duplicate(net), bits(net)
    assert bits(twin) == before
    learned = losses(twin)
    assert bits(net) == before and losses(net) == learned
    assert_one_flat_array(twin)
    alone = duplicate(net.layers[1])
    assert bits(alone) == bits(net.layers[1]) and alone._home is None


@makers
def test_snapshots_bring_back_numbers_and_layers(make: Callable[..., Network]) -> None:
    net = make(optimizer=Adam(0.1))
    net.learn(FACTS)
    objects = list(containers(net))
    snapshot, before, layers = Snapshot(net), bits(net), net.layers
    first = losses(net)
    for inner in objects[1:]:
        inner.layers = [layer.copy() for layer in inner.layers]
    net.layers = net.layers[1:]
    free = objects[-1].layers[0]
    free_home = Network([free.copy()])
    snapshot.restore()
    assert (bits(net), net.layers) == (before, layers)
    assert list(containers(net)) == objects and free_home.size
    assert losses(net) == first
    snapshot.restore()
    assert_one_flat_array(net)


def test_a_snapshot_takes_a_copy_of_a_branch_that_lives_elsewhere_now() -> None:
    net = wired()
    snapshot, before = Snapshot(net), bits(net)
    both = net["both"]
    net.layers = ()
    other = Network([both])
    snapshot.restore()
    assert bits(net) == before
    assert other.layers == (both,) and net.layers[1] is not both
    assert_one_flat_array(net)
    assert_one_flat_array(other)


@makers
def test_files_hold_them(make: Callable[..., Network], tmp_path: Path) -> None:
    for net in (make(optimizer=Adam(0.1)), make(dtype=np.float32), make().replicate(3, rng=0)):
        net.learn([BATCH])
        for path in (tmp_path / "net", tmp_path / "net.json"):
            net.save(path)
            twin = load(path)
            assert repr(twin) == repr(net) and bits(twin) == bits(net)
            assert_one_flat_array(twin.copy())
            again = net.copy()
            assert np.array_equal(again.learn([BATCH]), twin.learn([BATCH]))
            assert bits(twin) == bits(again)


def test_files_hold_a_history_in_which_branches_changed() -> None:
    net, writer, reader = wired(), Writer(), Reader()
    first, before = writer.network(net), net.copy()
    both = net["both"]
    assert isinstance(both, Parallel)
    both.layers[1].layers = [Affinity(2, 1, "g")]  # type: ignore[attr-defined]
    block, skip, pick = both.layers
    both.layers = (skip, block, pick.copy())
    both.layers = (skip, block, Network([pick]))  # in another place now
    second = writer.state(Snapshot(net))
    twin = reader.network(first)
    assert repr(twin) == repr(before) and bits(twin) == bits(before)
    objects = list(containers(twin))
    reader.restore(twin, second)
    assert repr(twin["both"]) == repr(both) and bits(twin) == bits(net)
    assert set(containers(twin)) > set(objects)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"container": "Skip"', '"container": "Sum"', "container must be one of Parallel, Skip"),
        ('"container": "Skip"', '"class": "Skip"', "class"),
        ('"container": "Skip",', '"container": "Skip", "loss": 1,', "loss"),
        ('"indices": [1, 0, 1]', '"indices": [1, 0, 2]', "Select: an index must be from 0 to 1"),
        ('"indices": [1, 0, 1]', '"indices": []', "at least one index"),
        ('"indices": [1, 0, 1]', '"indices": 7', "Select: indices must be a sequence"),
        ('"n": 2, "m": 1', '"n": 3, "m": 1', "parameters"),
    ],
)
def test_damaged_files_are_refused_in_words(old: str, new: str, words: str) -> None:
    text = to_json(wired())
    assert text.count(old) == 1
    with pytest.raises(FileError, match=words):
        from_json(text.replace(old, new))


def test_a_user_s_container_is_not_for_files(tmp_path: Path) -> None:
    class Beside(Parallel):
        pass

    with pytest.raises(FileError, match="a Beside is no plain Network"):
        Network([Beside([Affinity(1, 1)])]).save(tmp_path / "net")


def test_layers_are_exchanged_and_keep_their_numbers() -> None:
    net = wired()
    both, pick = net["both"], net["both.pick"]
    assert isinstance(both, Parallel)
    block, skip, _ = both.layers
    M = block.layers[0].M.copy()  # type: ignore[attr-defined]
    both.layers = (skip, pick, block)
    assert both.names == ("skip", "pick", "block") and (net["both.block.fc"].M == M).all()
    assert_one_flat_array(net)
    skip.layers = [Affinity(2, 1, "g")]  # type: ignore[attr-defined]
    assert "both.skip.g.M" in net.parameters
    net.learn(FACTS)


def assigned(name: str, layers: Callable[[], Any]) -> Callable[[], Any]:
    """Other layers for a part of NET."""
    return lambda: setattr(NET[name] if name else NET, "layers", layers())


def twice(layer: Layer) -> Any:
    return Parallel([layer, layer])


NET = wired()
MISFITS: list[tuple[Callable[[], Any], str]] = [
    (lambda: Parallel([]), "Parallel must have a branch"),
    (lambda: Parallel([Affinity(2, 1), Identity(), Affinity(3, 1)]),
     "the same input, but #0 'affinity0' takes 2 inputs, and #2 'affinity2' takes 3"),
    (lambda: Parallel([Identity(), Tanh(name="t")]),
     r"Parallel must know its number of inputs, but what is in it \('identity0', 't'\) takes any"),
    (lambda: twice(Affinity(2, 2)), "already has its place in a network; put a .copy"),
    (lambda: Parallel([Tanh(name="a"), Affinity(1, 1, "a")]), "both named 'a'"),
    (lambda: Parallel([3]), "layer #0 must be a Layer, not 3"),  # type: ignore[list-item]
    (lambda: Parallel(3), "expected a layer or a sequence of layers"),  # type: ignore[arg-type]
    (lambda: Parallel([Affinity(2, 1), Network([Affinity(2, 1)]).replicate(2, 0)]),
     "as many nets: 'affinity0' is plain, 'network1' is a crowd of 2"),
    (lambda: Skip(ReLU()), "Skip must know its number of inputs"),
    (lambda: Skip([Affinity(2, 1)]), "layer #0 must be a Layer"),  # type: ignore[arg-type]
    (assigned("both.skip", lambda: [Affinity(2, 1), Tanh()]),
     "Skip #1 'skip' takes one layer, not 2"),
    (assigned("both.skip", list), "takes one layer, not 0"),
    (assigned("both.skip", lambda: [Affinity(2, 2)]),
     "Affinity #2 'out' takes 8 inputs, but layer #1 'both' gives 9"),
    (assigned("both.skip", lambda: [Affinity(3, 1)]), "#0 'block' takes 2 inputs, and #1"),
    (assigned("both", list), "Parallel #1 'both' must have a branch"),
    (assigned("both", lambda: [Affinity(2, 7), NET]), "cannot be put into itself"),
    (assigned("", lambda: [Affinity(3, 4), NET["both"]]),
     "Parallel #1 'both' takes 2 inputs, but layer #0 'affinity0' gives 4"),
    (lambda: NET["both.pick.M"], "is no network"),
    (lambda: NET["both"]([1, 2, 3]), "Parallel #1 'both' takes 2 inputs"),
    *((lambda i=i: Select(i, 2), "Select: (an index|indices) must be")
      for i in (7, None, [0.5], ["a"], [True], [[0]])),
    *((lambda i=i: Select([i], 2), "an index must be from 0 to 1, not") for i in (2, -1, 10**30)),
    (lambda: Select([], 2), "at least one index"),
    (lambda: Select([0], 0), "number of inputs must be a positive integer"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "words"), MISFITS)
def test_what_does_not_fit_is_said_and_changes_nothing(act: Callable[[], Any], words: str) -> None:
    before, layers = bits(NET), [inner.layers for inner in containers(NET)]
    with pytest.raises((TypeError, ValueError, KeyError), match=words):
        act()
    assert bits(NET) == before and [inner.layers for inner in containers(NET)] == layers


def test_a_branch_cannot_lose_what_the_whole_needs() -> None:
    block = Network([Affinity(2, 2)])
    both = Parallel([block, Tanh()])
    with pytest.raises(ValueError, match="must know its number of inputs"):
        block.layers = ()
    assert both([1, 2]).shape == (4,)


def test_settings_of_a_user_s_layer_in_a_branch_are_obeyed() -> None:
    k = [1.0]
    net = Network([Skip(Network([Affinity(2, 1, rng=0), Map(lambda x: k[0] * x, lambda x: k[0])]))])
    fact = np.ones(2), np.ones(3)
    before = net.copy()
    net.learn([fact])
    k[0] = 0.5
    slow = net.copy()
    slow.engine = "layers"
    net.learn([fact]), slow.learn([fact])
    np.testing.assert_allclose(net._flat, slow._flat, rtol=1e-13)
    assert before.engine == "floats"


def test_equations_name_what_branches_share() -> None:
    f = Affinity(1, 1)
    f.M, f.b = [[2]], [1]
    net = Network([Skip(f), Parallel([Select([1, 0], 2), Tanh()])])
    M, b = r"\begin{bmatrix} 2 \end{bmatrix}", r"\begin{bmatrix} 1 \end{bmatrix}"
    h = rf"\begin{{pmatrix}} x \\ {M} x + {b} \end{{pmatrix}}"
    y = r"\begin{pmatrix} {h_{0}}_{(1, 0)} \\ \tanh\left(h_{0}\right) \end{pmatrix}"
    assert net.latex() == rf"\begin{{aligned}} h_{{0}} &= {h} \\ y &= {y} \end{{aligned}}"
    deep = Network([Skip(Network([Affinity(n, 1), ReLU()])) for n in range(1, 20)])
    assert len(deep.latex()) < 20_000


# Regions


def bent(rng: int, depth: int = 2) -> Network:
    """A random piecewise linear network with branches of unlike depths."""
    layers: list[Layer] = [Affinity(2, 3)]
    n = 3
    for _ in range(depth):
        deep = Network([Affinity(n, 2), ReLU(), Affinity(2, 2), LeakyReLU(0.3)])
        inner = Parallel([Network([Select([0, n - 1], n), ReLU()]), Skip(Affinity(n, 1))])
        layers.append(Parallel([Identity(), deep, Network([inner, LeakyReLU(0.1)])]))
        assert layers[-1].m is not None
        layers.append(Affinity(layers[-1].m, 2))
        n = 2
    net = Network([*layers, Skip(Network([ReLU(), Affinity(2, 1)])), ReLU()])
    net.randomize(rng)
    return net


@given(st.integers(0, 1000), st.integers(1, 2))
def test_local_maps_are_what_the_network_does(seed: int, depth: int) -> None:
    """At random points: A x + c = f(x), and A is the derivative by a complex step's exactness."""
    net = bent(seed, depth)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (6, 2))
    A, c = local_map(net, x)
    np.testing.assert_allclose(np.einsum("bmn,bn->bm", A, x) + c, net(x), atol=1e-9, rtol=1e-9)
    y, cache = net.forward(x)
    for i in range(y.shape[-1]):
        dy = np.zeros_like(y)
        dy[:, i] = 1
        np.testing.assert_allclose(net.backprop(dy, cache)[0], A[:, i], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_regions_are_certified_and_agree_with_brute_force(seed: int) -> None:
    net = bent(seed, depth=1)
    regions = linear_regions(net, [(-2, 2), (-2, 2)])
    rng = np.random.default_rng(seed)
    points = rng.uniform(-2, 2, (300, 2))
    A, c = local_map(net, points)
    maps = {tuple(np.round(np.append(a.ravel(), b), 6)) for a, b in zip(A, c, strict=True)}
    assert 2 < len(maps) <= len(regions)
