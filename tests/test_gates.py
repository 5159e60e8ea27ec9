"""Gates made by hand are exact, and so is what is wired of them; and all of it learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from minnet import Affinity, Network, ReLU, Skip, load
from minnet.facts import GATES as NAMES
from minnet.facts import gate
from minnet.facts import parity as parity_facts
from minnet.gradients import check_gradients
from minnet.study.gates import (
    GATES,
    XORS,
    compose,
    full_adder,
    half_adder,
    inverter,
    parity,
    ripple_adder,
    xor_from_and_or_not,
)
from minnet.study.regions import linear_regions


def all_inputs(bits: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=bits)))


# Gates


@pytest.mark.parametrize("name", NAMES)
def test_gates_are_exact_and_as_their_reason_says(name: str) -> None:
    net, facts = GATES[name], gate(name)
    assert (net(facts.X) == facts.T).all()
    assert net.name == name and type(net.layers[1]) is ReLU and net.names[0] == "hidden"
    assert net["hidden"].m == (2 if name in ("xor", "xnor") else 1)
    formula = GATES.reason(name).partition(":")[0]
    words = formula.replace("2 relu", "2*relu").replace("0 relu", "0*relu")
    for (a, b), y in zip(
        np.random.default_rng(0).uniform(-2, 2, (20, 2)), [None] * 20, strict=True
    ):
        y = eval(words, {"relu": lambda z: max(z, 0.0), "a": a, "b": b})
        assert net([a, b])[0] == pytest.approx(y, abs=1e-12)


def test_gates_are_a_mapping_that_nobody_spoils() -> None:
    assert tuple(GATES) == NAMES and len(GATES) == 16 and "xor" in GATES and "XOR" not in GATES
    GATES["xor"].layers[0].M[...] = 7  # type: ignore[attr-defined]
    assert (GATES["xor"](gate("xor").X) == gate("xor").T).all()
    assert [line.split()[0] for line in repr(GATES).splitlines()] == list(NAMES)
    assert GATES.get("neither") is None
    for name in ("neither", 3, None, ["xor"]):
        with pytest.raises(KeyError, match=r"no gate .*; there are false, and, a_not_b"):
            GATES[name]  # type: ignore[index]
        with pytest.raises(KeyError, match="there is no gate"):
            GATES.reason(name)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        GATES["xor"] = 3  # type: ignore[index]


def test_xor_in_five_circuits() -> None:
    assert len(XORS) == len(repr(XORS).splitlines()) == 5
    for name, net in XORS.items():
        low, threshold = (-1, 0) if name == "signs" else (0, 0.5)
        facts = gate("xor", low)
        y, is_true = net(facts.X), gate("xor").T == 1
        assert ((y > threshold) == is_true).all(), name
        if name not in ("trained", "signs"):
            assert (y == facts.T).all(), name
    assert XORS["trained"]([1, 0]).round(4) == 0.983  # as notebook A printed it


# Circuits


@pytest.mark.parametrize("bits", range(1, 13))
@pytest.mark.parametrize("shape", ["chain", "tree"])
def test_parity_is_exact_on_all_inputs(bits: int, shape: str) -> None:
    net, facts = parity(bits, shape), parity_facts(bits)
    assert (net(facts.X) == facts.T).all()
    depth = bits - 1 if shape == "chain" else int(np.ceil(np.log2(bits)))
    assert len(net.layers) == depth + 1
    assert net.size == 9 * (bits - 1)


@pytest.mark.parametrize("bits", [1, 2, 3, 5])
def test_adders_add(bits: int) -> None:
    net, x = ripple_adder(bits), all_inputs(2 * bits + 1)
    values = 2 ** np.arange(bits + 1)
    total = x[:, :bits] @ values[:-1] + x[:, bits : 2 * bits] @ values[:-1] + x[:, -1]
    y = net(x)
    assert set(np.unique(y)) == {0, 1}
    assert (y @ values == total).all()


def test_small_adders_and_xor_of_and_or_not() -> None:
    x = all_inputs(3)
    assert (full_adder()(x) @ [1, 2] == x.sum(axis=1)).all()
    assert (half_adder()(x[:4, 1:]) @ [1, 2] == x[:4].sum(axis=1)).all()
    assert (xor_from_and_or_not()(gate("xor").X) == gate("xor").T).all()
    assert inverter()([[0], [1]]).tolist() == [[1], [0]]


@given(st.data())
def test_any_wiring_computes_what_its_gates_do(data: st.DataObject) -> None:
    """Random circuits of random gates, listed in any order, against Python's own evaluation."""
    wires = [f"i{i}" for i in range(data.draw(st.integers(1, 3), "inputs"))]
    inputs, gates = wires.copy(), []
    for i in range(data.draw(st.integers(0, 5), "gates")):
        name = data.draw(st.sampled_from([*NAMES, "not"]))
        reads = data.draw(st.tuples(*[st.sampled_from(wires)] * (1 if name == "not" else 2)))
        gates.append((name, list(reads), [f"g{i}"]))
        wires.append(f"g{i}")
    read = {wire for _, reads, _ in gates for wire in reads}
    outputs = [wire for wire in wires if wire not in read] or wires
    net = compose(inputs, data.draw(st.permutations(gates), "order"), outputs)
    x = all_inputs(len(inputs))
    values = dict(zip(inputs, x.T, strict=True))
    for name, reads, [made] in gates:
        a, b = values[reads[0]], values[reads[-1]]
        table = gate("not_a" if name == "not" else name).T.ravel()
        values[made] = table[(2 * a + b).astype(int)]
    assert (net(x) == np.transpose([values[wire] for wire in outputs])).all()


MADE = {"xor": xor_from_and_or_not, "half adder": half_adder, "parity": lambda: parity(3)}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_circuits_learn_like_any_network(make: Callable[[], Network], tmp_path: Path) -> None:
    net, rng = make(), np.random.default_rng(0)
    for array in net.parameters.values():
        array[...] = rng.uniform(0.5, 1.5, array.shape)  # so that every unit is on
    assert net.n is not None and net.m is not None
    x = rng.uniform(0.1, 1, (8, net.n))
    assert check_gradients(net, x, rng=0).ok
    facts = [(x, rng.uniform(size=(8, net.m)))]
    net.alpha = 1e-6
    crowd, before, slow = net.replicate(3, rng=0), net._flat.copy(), net.copy()
    slow.engine = "layers"
    assert net.learn(facts) == pytest.approx(slow.learn(facts), rel=1e-12)
    assert (net._flat != before).all()
    np.testing.assert_allclose(net._flat, slow._flat, rtol=1e-12)
    net.save(tmp_path / "net")
    twin = load(tmp_path / "net")
    assert twin._flat.tobytes() == net._flat.tobytes() and repr(twin) == repr(net)
    assert twin.learn(facts) == net.learn(facts)
    members = [crowd.member(i) for i in range(3)]
    together = crowd.learn(facts)
    for i, member in enumerate(members):
        assert member.learn(facts) == pytest.approx(together[i], rel=1e-9)
        np.testing.assert_allclose(member._flat, crowd._flat[i], rtol=1e-9, atol=1e-12)


def test_a_circuit_that_was_shaken_learns_its_facts_again() -> None:
    net = half_adder()
    facts, rng = [(all_inputs(2), half_adder()(all_inputs(2)))], np.random.default_rng(0)
    for array in net.parameters.values():
        array += rng.uniform(-0.1, 0.1, array.shape)
    net.alpha = 0.05
    first = net.learn(facts)
    assert net.learn(facts, epochs=500) < first / 100


def test_the_nets_given_are_those_in_the_circuit() -> None:
    either, both = GATES["or"], GATES["and"]
    net = compose("a b", [(either, "a b", "o"), (both, ["b", "a"], ["n"])], ["n", "o"])
    assert net.names == ("depth0", "outputs")
    assert net["depth0.o.or"] is either and net["depth0.n"].layers[1] is both  # type: ignore[attr-defined]
    assert "depth0.o.or.hidden.M" in net.parameters
    either["output"].b = [5]
    assert net([0, 0]).tolist() == [0, 4]
    assert compose("a b", [], "b b a")([3, 5]).tolist() == [5, 5, 3]


def test_gates_of_several_wires_and_layers_that_are_no_networks() -> None:
    net = compose(
        "a b",
        [(Skip(Affinity(2, 1)), "b a", "x y z"), (ReLU(), "z x", "u v")],
        "u y",
    )
    assert (net.n, net.m) == (2, 2)
    layer = net["depth0.x"].layers[1].layers[0]  # type: ignore[attr-defined]
    layer.M, layer.b = [[1, -1]], [0.5]
    assert net([3, 5]).tolist() == [2.5, 3]


def test_a_circuit_of_crowds_is_a_crowd() -> None:
    crowds = [GATES[name].replicate(4, rng=0) for name in ("or", "and")]
    net = compose("a b", [(crowds[0], "a b", "c"), (crowds[1], "a c", "d")], "d c")
    assert net.nets == 4 and net(all_inputs(2)).shape == (4, 4, 2)
    alone = net.member(2)(all_inputs(2))
    np.testing.assert_allclose(net(all_inputs(2))[2], alone, rtol=1e-13)


PLACED = Network([GATES["or"]]).layers[0]
TWICE = GATES["or"]


@pytest.mark.parametrize(
    ("inputs", "gates", "outputs", "words"),
    [
        ("a b", [("or", "a c", "o")], "o",
         "the gate that makes 'o' needs the wire 'c', which nothing makes; there are a, b, o"),
        ("a b", [("or", "a b", "o")], "p", "the output needs the wire 'p', which nothing makes"),
        ("a b", [("or", "a b", "o"), ("and", "a b", "o")], "o",
         "the wire 'o' is made twice; the first is the gate that makes 'o'"),
        ("a b", [("or", "a b", "a")], "a", "the wire 'a' is made twice; the first is the circuit"),
        ("a a", [], "a", "the circuit's inputs: the wire 'a' is there twice"),
        ("a b", [("or", "a b a", "o")], "o",
         "the gate that makes 'o', Network 'or', takes 2, but its wires are a, b, a"),
        ("a b", [("or", "a b", "o p")], "o", "gives 1, but its wires are o, p"),
        ("a b", [("or", "a p", "o"), ("and", "b o", "q"), ("or", "q q", "p")], "o",
         "a circuit cannot have a loop: 'o' needs 'p' needs 'q' needs 'o'"),
        ("a b", [("or", "a o", "o")], "o", "a loop: 'o' needs 'o'"),
        ("a b", [("or", "a b", "o"), ("and", "a b", "n")], "o",
         "nothing uses what the gate that makes 'n' makes"),
        ("a b", [("ore", "a b", "o")], "o", "gate #0 must be one of false, .*, true, not; not"),
        ("a b", [("or", "a b")], "o", "gate #0 must be \\(gate, inputs, outputs\\), not"),
        ("a b", ["or"], "o", "gate #0 must be \\(gate, inputs, outputs\\), not 'or'"),
        ("a b", [(3, "a b", "o")], "o", "gate #0 must be a network, a layer or the name of one"),
        ("a b", [(PLACED, "a b", "o")], "o", "Network #0 'or' already has its place; wire in a"),
        ("a b", [(TWICE, "a b", "o"), (TWICE, "a b", "p")], "o p", "Network 'or' already has its"),
        ("a b", [(GATES["or"].replicate(2, 0), "a b", "o"), ("or", "a b", "p")], "o p",
         "all gates must be plain, or crowds of as many nets"),
        ("", [], "a", "the circuit's inputs: there must be a wire"),
        ("a", [], "", "the circuit's outputs: there must be a wire"),
        (3, [], "a", "the circuit's inputs: wires must be names, not 3"),
        (["a.b"], [], "a", "a wire's name must be of letters, digits and _, not 'a.b'"),
        ([7], [], "a", "a wire's name must be of letters, digits and _, not 7"),
    ],
)  # fmt: skip
def test_bad_wiring_is_said_and_changes_nothing(
    inputs: Any, gates: Any, outputs: Any, words: str
) -> None:
    nets = [entry[0] for entry in gates if isinstance(entry[0], Network)]
    before = [(net._home, net._flat, net._memory) for net in nets]
    with pytest.raises((ValueError, TypeError), match=words):
        compose(inputs, gates, outputs)
    after = [(net._home, net._flat, net._memory) for net in nets]
    assert all(
        a is b for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("bits", [0, -1, 2.5, "3", True])
def test_numbers_of_bits_are_checked(bits: Any) -> None:
    for make in (ripple_adder, parity):
        with pytest.raises((ValueError, TypeError), match="the number of bits must be"):
            make(bits)
    with pytest.raises(ValueError, match="the shape must be one of tree, chain"):
        parity(3, "ring")


# Regions


@pytest.mark.parametrize("make", [xor_from_and_or_not, half_adder, lambda: GATES["xor"]])
def test_regions_of_a_circuit_agree_with_brute_force(make: Callable[[], Network]) -> None:
    """Made by hand, its lines coincide and cross in points; shaken, they do not."""
    rng = np.random.default_rng(1)
    for shaken in (0.0, 0.05):
        net = make()
        for array in net.parameters.values():
            array += rng.uniform(-shaken, shaken, array.shape)
        regions = linear_regions(net, ((-0.5, 1.5), (-0.5, 1.5)))
        x = rng.uniform(-0.5, 1.5, (4000, 2))
        seen = seen_maps(net, x)
        claimed = np.column_stack([regions.slopes.reshape(len(regions), -1), regions.offsets])
        large = regions.areas > 0.02
        assert seen <= maps_of(claimed)
        assert maps_of(claimed[large]) <= seen and len(maps_of(claimed[large])) > 2


def seen_maps(net: Network, x: np.ndarray) -> set[tuple[float, ...]]:
    """Slopes by backprop and offsets, at points."""
    y, cache = net.forward(x)
    slopes = [net.backprop(np.tile(row, (len(x), 1)), cache)[0] for row in np.eye(y.shape[1])]
    offsets = [y[:, i] - (slope * x).sum(axis=1) for i, slope in enumerate(slopes)]
    return maps_of(np.column_stack([*slopes, *offsets]))


def maps_of(rows: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in rows.round(6) + 0.0}
