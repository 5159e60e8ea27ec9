"""The catalogue of circuits, proven in rationals, and the verdict on XOR against brute force."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import bench.catalogue
import bench.catalogue_plots as plots
from bench.__main__ import main
from bench.plots import figure
from minnet import Affinity, Identity, Layer, LeakyReLU, Network, ReLU, Sigmoid, Tanh
from minnet.facts import GATES, gate
from minnet.study.circuits import (
    Circuit,
    catalogue,
    circuit_names,
    circuit_of,
    models_xor,
    refutation,
    units_of,
)
from minnet.study.gates import trained_xor
from minnet.study.inequalities import inequalities
from minnet.study.units import KINDS, SILENT, name_of, ordered, units_named

FACTS = list(product([0, 1], repeat=2))
COUNTS = {1: (0, 7, 8, 27), 2: (80, 189, 196, 378)}  # of xor, and, a, false
CLASSES = {1: (0, 6, 6, 9), 2: (32, 119, 112, 79)}
LIKE = {  # up to swaps, flips and negation there are four gates
    **dict.fromkeys(["xor", "xnor"], 0),
    **dict.fromkeys(["and", "or", "nand", "nor"], 1),
    **dict.fromkeys(["a_not_b", "b_not_a", "a_or_not_b", "b_or_not_a"], 1),
    **dict.fromkeys(["a", "b", "not_a", "not_b"], 2),
    **dict.fromkeys(["false", "true"], 3),
}


def two_two_one(M: Any, b: Any, v: Any, c: float, *output: Layer, hidden: Any = ReLU) -> Network:
    first, second = Affinity(2, len(M), "fc1", rng=0), Affinity(len(M), 1, "fc2", rng=0)
    first.M, first.b, second.M, second.b = M, b, [v], [c]
    return Network([first, hidden("hidden"), second, *output])


def by_hand_c() -> Network:
    return two_two_one([[1, 1], [1, 1]], [0, -1], [1, -2], 0)


def truths(name: str) -> list[bool]:
    return [answer == 1 for answer in gate(name).T[:, 0]]


# ---------------------------------------------------------------- the catalogue


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("units", [1, 2])
def test_how_many_circuits_there_are(name: str, units: int) -> None:
    circuits = catalogue(name, units)
    assert len(circuits) == len(set(circuits)) == COUNTS[units][LIKE[name]]
    assert len({circuit.symmetric for circuit in circuits}) == CLASSES[units][LIKE[name]]


@pytest.mark.parametrize("name", GATES)
def test_every_circuit_has_a_witness_in_rationals(name: str) -> None:
    """By definition: who is on where, what is added up, and which side of 1/2 that is."""
    for circuit in [*catalogue(name, 1), *catalogue(name)]:
        *units, c = circuit.weights
        distances, values = [], []
        for x in FACTS:
            y = c
            for i, (pattern, sign) in enumerate(circuit.units):
                w0, w1, b = units[3 * i : 3 * i + 3]
                z = w0 * x[0] + w1 * x[1] + b
                assert (z > 0) == (pattern[FACTS.index(x)] == "1")
                y += sign * max(z, Fraction(0))
                if sign:
                    distances.append(abs(z))
            values.append(y)
            distances.append(abs(y - Fraction(1, 2)))
        assert [y > Fraction(1, 2) for y in values] == truths(name)
        assert min(distances) == Fraction(1, 2)
        assert Fraction(circuit.margin).limit_denominator(99) == min(distances) / max(distances)


@pytest.mark.parametrize("name", ["xor", "and", "a"])
@pytest.mark.parametrize("units", [1, 2])
def test_every_other_choice_of_units_contradicts_itself(name: str, units: int) -> None:
    there = {circuit.units for circuit in catalogue(name, units)}
    for choice in combinations_with_replacement(KINDS, units):
        if choice not in there:
            parts = refutation(name, name_of(choice))
            allowed = list(inequalities(GATES.index(name), choice))
            total = np.zeros(3 * units + 2, int)
            for times, part in parts:
                assert times > 0 and part in allowed
                row = np.array([*part.coefficients, int(2 * part.bound)])
                total += times * row if part.relation == ">" else -times * row
            assert not total.any()  # 0 on both sides,
            assert any(part.relation != "<=" for _, part in parts)  # and ">" between them


def test_one_unit_is_not_enough_for_xor_but_for_every_other_gate() -> None:
    assert [name for name in GATES if not catalogue(name, 1)] == ["xor", "xnor"]


def moved(values: Any, swap: bool, flips: tuple[int, int]) -> list[Any]:
    """Values at the four facts, when the inputs are first flipped and then swapped."""
    result: list[Any] = [None] * 4
    for value, (x0, x1) in zip(values, FACTS, strict=True):
        place = (x0 ^ flips[0], x1 ^ flips[1])
        result[FACTS.index(place[::-1] if swap else place)] = value
    return result


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("flips", FACTS)
@pytest.mark.parametrize("negated", [False, True])
def test_symmetries_map_catalogues_to_catalogues(
    swap: bool, flips: tuple[int, int], negated: bool
) -> None:
    for name in ("xor", "and", "b", "true"):
        answers = [t != negated for t in moved(truths(name), swap, flips)]
        other = next(g for g in GATES if truths(g) == answers)
        images = {
            ordered(
                ("".join(moved(pattern, swap, flips)), -sign if negated else sign)
                for pattern, sign in circuit.units
            ): circuit
            for circuit in catalogue(name)
        }
        others = {circuit.units: circuit for circuit in catalogue(other)}
        assert set(images) == set(others)
        assert all(others[units].margin == pytest.approx(c.margin) for units, c in images.items())
        if other == name and not negated:
            assert all(others[units].symmetric == c.symmetric for units, c in images.items())


def test_classes_are_no_larger_than_symmetry_makes_them() -> None:
    for name in ("xor", "and", "a"):
        group = [
            (swap, flips)
            for swap, flips in product([False, True], FACTS)
            if moved(truths(name), swap, flips) == truths(name)
        ]
        for circuit in catalogue(name):
            images = {
                ordered(("".join(moved(p, *how)), sign) for p, sign in circuit.units)
                for how in group
            }
            there = {c.units for c in catalogue(name) if c.symmetric == circuit.symmetric}
            assert there == images


def test_the_order_is_by_class_and_each_class_has_its_margin() -> None:
    circuits = catalogue("xor")
    numbers = [circuit.symmetric for circuit in circuits]
    assert numbers == sorted(numbers) and set(numbers) == set(range(32))
    margins = [circuit.margin for circuit in circuits]
    assert margins == sorted(margins, reverse=True)
    circuits.clear()
    assert len(catalogue("xor")) == 80  # the list is the caller's own


@pytest.mark.parametrize("name", GATES)
def test_witness_networks_compute_their_gates_in_their_circuits(name: str) -> None:
    x = gate(name).X
    for circuit in [*catalogue(name, 1), *catalogue(name)[::5]]:
        net = circuit.network
        y = net(x)[:, 0]
        assert [bool(answer >= 1) for answer in y] == truths(name)
        assert [bool(answer <= 0) for answer in y] == [not true for true in truths(name)]
        assert circuit_of(net) == circuit
        net["fc1"].b = [99] * len(circuit.units)
        assert circuit.network["fc1"].b.max() < 99  # a new one each time


def test_three_units_have_all_circuits_of_two() -> None:
    three = {circuit.units for circuit in catalogue("xor", 3)}
    assert len(three) == 1640
    assert {ordered([*circuit.units, SILENT]) for circuit in catalogue("xor")} <= three
    for circuit in catalogue("xor", 3)[::97]:
        y = circuit.network(gate("xor").X)[:, 0]
        np.testing.assert_array_equal(y > 0.5, truths("xor"))
        assert circuit_of(circuit.network) == circuit


@given(st.data())
def test_inequalities_say_what_the_network_does(data: Any) -> None:
    """At any weights, each one holds exactly where its unit or the output is on its side."""
    name = data.draw(st.sampled_from(GATES))
    circuit = data.draw(st.sampled_from(catalogue(name)))
    quarters = st.integers(-8, 8).map(lambda k: k / 4)
    p = np.array(data.draw(st.lists(quarters, min_size=7, max_size=7)))
    signs = [sign for _, sign in circuit.units]
    net = two_two_one(p[:6].reshape(2, 3)[:, :2], p[:6].reshape(2, 3)[:, 2], signs, p[6])
    z = net["fc1"](FACTS)
    sides = {">": np.greater, "<": np.less, "<=": np.less_equal}
    held = []
    for i in circuit.inequalities:
        holds = sides[i.relation](np.dot(i.coefficients, p), float(i.bound))
        fact = FACTS.index(i.fact)
        if i.unit is not None:
            on = circuit.units[i.unit][0][fact] == "1"
            assert (i.relation == ">") == on and holds == ((z[fact, i.unit] > 0) == on)
        held.append(bool(holds))
    y = net(FACTS)[:, 0]
    computed = all((y > 0.5) == truths(name)) and not (y == 0.5).any()
    assert all(held) == (computed and circuit_of(net) == circuit)
    if all(held[:-4]):  # in these patterns, each of the last four is about one answer
        right = [a > 0.5 if t else a < 0.5 for a, t in zip(y, truths(name), strict=True)]
        assert held[-4:] == right


def test_inequalities_in_words_and_symbols() -> None:
    circuit = next(c for c in catalogue("xor") if c.name == "+0111 -0001")
    shown = {str(i): (i.what, i.latex) for i in circuit.inequalities}
    assert shown["b0 <= 0"] == ("unit 0 is off at (0, 0)", r"b_{0} \leq 0")
    assert shown["w10 + w11 + b1 > 0"][0] == "unit 1 is on at (1, 1)"
    what, latex = shown["c + w00 + w01 + b0 - w10 - w11 - b1 < 1/2"]
    assert what == "(1, 1) is answered false"
    assert latex == "c + w_{00} + w_{01} + b_{0} - w_{10} - w_{11} - b_{1} < 1/2"
    assert circuit.words == "or - and"
    assert str(circuit) == "+0111 -0001  xor = or - and: OR minus AND (notebooks B and C)"
    assert repr(circuit) == "Circuit('xor', '+0111 -0001')"
    assert "0  true = a constant" in map(str, catalogue("true", 1))


def test_the_notebooks_circuits() -> None:
    a = circuit_of(trained_xor())
    assert a is not None and a.gate == "xor" and a.name == "+0100 +0010" and "A" in a.nickname
    c = circuit_of(by_hand_c())
    assert c is not None and c.name == "+0111 -0001" and "C" in c.nickname
    # B's is on -1 and 1: x = 2u - 1 brings it to 0 and 1, and its threshold 0 to 1/2
    b = circuit_of(two_two_one([[2, 2], [2, 2]], [-1, -2], [2, -4], -0.5))
    assert b == c
    mirror = next(c for c in catalogue("xor") if c.name == "-1000 -0001")
    assert "mirror" in mirror.nickname
    assert not any(c.nickname for c in catalogue("xnor"))


# ---------------------------------------------------------------- units and names


def crowd(nets: int, rng: np.random.Generator, *, hidden: Any = ReLU, dtype: Any = np.float64,
          output: Any = Identity, width: int = 2) -> Network:  # fmt: skip
    """Nets of all kinds: circuits at their witness and near it, and random ones of all scales.

    One number in twenty of a random net is 0.
    """
    layers = [Affinity(2, width, rng=0), hidden(), Affinity(width, 1, rng=0), output()]
    many = Network(layers, dtype=dtype).replicate(nets, rng)
    M, b, v, c = many.parameters.values()
    for array in (M, b, v, c):
        array *= 10 ** rng.uniform(-3, 3, size=(nets,) + (1,) * (array.ndim - 1))
        array[rng.random(array.shape) < 0.05] = 0
    half = slice(0, nets // 2)
    circuits = catalogue("xor", width)
    units = np.array([circuit.weights for circuit in circuits], float)
    signs = np.array([[sign for _, sign in circuit.units] for circuit in circuits])
    which = rng.integers(len(circuits), size=nets // 2)
    p = units[which] + rng.normal(size=(nets // 2, 3 * width + 1)) * 10 ** rng.uniform(
        -3, 0.5, size=(nets // 2, 1)
    )
    scale = 10 ** rng.uniform(-3, 3, size=(nets // 2, width))
    rows = p[:, :-1].reshape(-1, width, 3) * scale[..., None]
    M[half], b[half], v[half, 0] = rows[..., :2], rows[..., 2], signs[which] / scale
    c[half, 0] = p[:, -1] - (0.5 if output is Sigmoid else 0)
    return many


def test_units_of_a_crowd_are_those_of_its_members() -> None:
    for hidden in (ReLU, Sigmoid, Tanh):
        many = crowd(60, np.random.default_rng(1), hidden=hidden)
        units, names = units_of(many), circuit_names(many)
        for i in range(60):
            net = many.member(i)
            one = units_of(net)
            z = net["affinity0"](FACTS).T
            assert [f"{p:04b}" for p in one.patterns] == [
                "".join("1" if value > 0 else "0" for value in row) for row in z
            ]
            np.testing.assert_array_equal(one.signs, np.sign(net["affinity2"].M[0]))
            for key in ("patterns", "signs", "margin"):
                np.testing.assert_array_equal(getattr(units, key)[i], getattr(one, key))
            assert names[i] == circuit_names(net) != ""


def test_units_of_any_width() -> None:
    wide = Network([Affinity(2, 7, rng=0), Tanh(), Affinity(7, 1, rng=0)])
    assert units_of(wide).patterns.shape == units_of(wide).signs.shape == (7,)
    assert units_of(wide.replicate(5, 0)).patterns.shape == (5, 7)
    assert len(str(circuit_names(wide)).split()) == 7
    with pytest.raises(ValueError, match="1 to 3 units, not of 7"):
        circuit_of(wide)


@given(st.integers(0, 10**6), st.permutations(range(3)), st.sampled_from([0.25, 4, 2**-40]))
def test_names_see_no_order_and_no_scale(seed: int, order: list[int], scale: float) -> None:
    many = crowd(8, np.random.default_rng(seed), width=3)
    M, b, v, c = (array.copy() for array in many.parameters.values())
    names, margin = circuit_names(many), units_of(many).margin
    twin = many.copy()
    keys = list(twin.parameters)
    changed = [scale * M[:, order], scale * b[:, order], v[:, :, order] / scale, c]
    twin = twin.with_parameters(dict(zip(keys, changed, strict=True)))
    np.testing.assert_array_equal(circuit_names(twin), names)
    np.testing.assert_allclose(units_of(twin).margin, margin)


def test_what_is_silent() -> None:
    """An output weight of 0, or for ReLU a unit that is off everywhere."""
    off, on = [[-1, -1], [1, 1]], [-1, -1]
    assert circuit_names(two_two_one(off, on, [5, 1], 0)) == "+0001 0"
    assert circuit_names(two_two_one(off, on, [-5, 1], 0)) == "+0001 0"
    assert circuit_names(two_two_one([[1, 1], [1, 1]], on, [-0.0, 1], 0)) == "+0001 0"
    assert circuit_names(two_two_one(off, on, [0, 0], 1)) == "0 0"
    assert circuit_names(two_two_one(off, on, [-5, 1], 0, hidden=Sigmoid)) == "+0001 -0000"
    assert circuit_names(two_two_one(off, on, [0, 1], 0, hidden=Sigmoid)) == "+0001 0"
    constant = circuit_of(two_two_one(off, on, [0, 0], 1))
    assert constant is not None and constant.gate == "true" and constant.units == (SILENT, SILENT)


def test_margins_of_switching() -> None:
    net = two_two_one([[1, 1], [3, -1]], [-1, 0.5], [1, 1], 0)
    assert units_of(net).margin == 0  # unit 0 is at its kink at (0, 1): there it is off
    assert units_of(net).patterns[0] == 0b0001
    net["fc2"].M = [[0, 1]]
    assert units_of(net).margin == 0.5 / 4.5
    net["fc2"].M = [[0, 0]]
    assert units_of(net).margin == np.inf


def test_nan_and_inf_enter_no_circuit() -> None:
    many = crowd(6, np.random.default_rng(0))
    arrays = {key: array.copy() for key, array in many.parameters.items()}
    for i, bad in enumerate([np.nan, np.inf, -np.inf, np.nan]):
        list(arrays.values())[i][i].flat[0] = bad
    twin = many.with_parameters(arrays)
    assert [name == "" for name in circuit_names(twin)] == [True] * 4 + [False] * 2
    units_of(twin)
    assert not models_xor(twin).holds[:4].any()


# ---------------------------------------------------------------- models_xor


def brute_force(net: Network) -> Any:
    with np.errstate(all="ignore"):
        y = net(np.array(FACTS, net.dtype))[..., 0]
    return ((y > 0.5) == [0, 1, 1, 0]).all(axis=-1) & ((y < 0.5) == [1, 0, 0, 1]).all(axis=-1)


def kinds() -> Iterator[tuple[Any, Any, Any]]:
    yield from product([ReLU, Sigmoid], [Identity, Sigmoid], [np.float64, np.float32])
    yield from product([ReLU], [ReLU], [np.float64])
    yield from product([Tanh], [Sigmoid], [np.float64])


def test_a_million_networks() -> None:
    seen = 0
    there = {circuit.name for circuit in catalogue("xor")}
    for seed, (hidden, output, dtype) in enumerate(kinds()):
        many = crowd(
            100_000, np.random.default_rng(seed), hidden=hidden, output=output, dtype=dtype
        )
        verdict, truth = models_xor(many), brute_force(many)
        disagree = verdict.holds != truth
        assert not (disagree & ~verdict.tie).any()
        assert verdict.tie.mean() < 0.02  # most of them exact, by weights that are 0
        seen += len(truth)
        if hidden is ReLU:
            assert truth.mean() > 0.15
            # none is outside the catalogue, and all of it is found
            assert set(verdict.name[truth]) == there
    assert seen == 1_000_000


@pytest.mark.parametrize("dtype, exponents", [
    (np.float64, [-1070, -600, 0, 10, 1020]),
    (np.float32, [-145, -80, 0, 10, 124]),
])  # fmt: skip
@pytest.mark.parametrize("output", [Identity, Sigmoid])
def test_huge_and_tiny_weights(dtype: Any, exponents: list[int], output: Any) -> None:
    """Products that underflow or overflow do so in the network, and in the inequalities."""
    circuits = catalogue("xor")
    p = np.array([circuit.weights for circuit in circuits], float)
    signs = np.array([[sign for _, sign in circuit.units] for circuit in circuits], float)
    for hidden, out, offset in product(exponents, repeat=3):
        layers = [Affinity(2, 2, rng=0), ReLU(), Affinity(2, 1, rng=0), output()]
        many = Network(layers, dtype=dtype).replicate(80, 0)
        with np.errstate(all="ignore"):
            rows = np.ldexp(p[:, :-1], hidden).reshape(80, 2, 3)
            c = np.ldexp(p[:, -1] - 0.5, offset) + 0.5 * (output is Identity)
            arrays = [rows[..., :2], rows[..., 2], np.ldexp(signs, out)[:, None], c[:, None]]
            arrays = [np.nan_to_num(a).astype(dtype) for a in arrays]
        twin = many.with_parameters(dict(zip(many.parameters, arrays, strict=True)))
        verdict, truth = models_xor(twin), brute_force(twin)
        assert not ((verdict.holds != truth) & ~verdict.tie).any()
        if 0 <= offset == hidden + out < 100:
            assert truth.all()


def test_negative_zeros_are_zeros() -> None:
    net = by_hand_c()
    for b, c in product([(0.0, -1), (-0.0, -1)], [0.0, -0.0]):
        net["fc1"].b, net["fc2"].b = b, [c]
        assert models_xor(net) and str(models_xor(net).name) == "+0111 -0001"


def test_an_answer_of_one_half_is_no_answer() -> None:
    """Neither true nor false: such a network does not model XOR, and it is a tie."""
    net = two_two_one([[1, 1], [1, 1]], [0, -1], [1, -2], 0.5)
    verdict = models_xor(net)
    assert [fail[:6] for fail in verdict.fails] == ["(0, 0)", "(1, 1)"]
    assert not verdict and verdict.tie and verdict.margin == 0 and circuit_of(net) is None
    tiny = two_two_one([[1e-30, -1e-30], [-1e-30, 1e-30]], [0, 0], [1, 1], -5e-31, Sigmoid())
    assert not brute_force(tiny) and not models_xor(tiny) and models_xor(tiny).tie


@pytest.mark.parametrize("output", [(), (Sigmoid(),), (ReLU(),), (Identity(), Sigmoid())])
def test_the_kind_of_output_moves_the_threshold(output: tuple[Layer, ...]) -> None:
    layers = [layer.copy() for layer in output]
    half = 0.5 if Sigmoid in map(type, output) else 0.0
    net = two_two_one([[1, 1], [1, 1]], [0, -1], [1, -2], -half, *layers)
    assert models_xor(net) and brute_force(net)
    net["fc2"].b = [0.6 - half]  # (0, 0) and (1, 1) are true now
    assert not models_xor(net) and not brute_force(net)
    assert [fail[:6] for fail in models_xor(net).fails] == ["(0, 0)", "(1, 1)"]


def test_the_verdict_names_what_fails_with_its_numbers() -> None:
    net = trained_xor()
    verdict, before = models_xor(net), circuit_of(net)
    net["fc1"].M, net["fc2"].b = -net["fc1"].M, [-7]  # the verdict is on the network as it was
    assert verdict and verdict.fails == [] and verdict.circuit == before
    net["fc1"].M = -net["fc1"].M
    verdict = models_xor(net)
    assert not verdict and verdict.circuit is not None
    assert verdict.fails == ["(1, 0) true: c + v0 (w00 + b0) = -7 + 6.9488 = -0.051234 > 0"]
    text = repr(verdict)
    assert text.startswith("XOR: no, circuit +0100 +0010, b_not_a + a_not_b\neach unit fires")
    assert text.count("FAILS") == 1 and text.splitlines()[4].endswith("FAILS")
    both = repr(models_xor(two_two_one([[1, 1], [1, 1]], [0, 0], [1, 1], 0)))
    assert "XOR: no, circuit +0111 +0111" in both
    assert "no weights of these patterns and signs make XOR" in both
    assert "(1, 1) false: c + v0 (w00 + w01 + b0) + v1 (w10 + w11 + b1)" in both
    assert "= 0 + 2 + 2 = 4 < 1/2  FAILS" in both


def test_a_circuit_outside_the_catalogue_always_fails_an_inequality() -> None:
    there = {circuit.name for circuit in catalogue("xor")}
    many = crowd(3000, np.random.default_rng(5))
    verdict = models_xor(many)
    outside = [i for i, name in enumerate(verdict.name) if name not in there]
    assert len(outside) > 300
    for i in outside[:300]:
        assert verdict[i].fails and verdict[i].circuit is None and not verdict.holds[i]


def test_where_the_programme_stops_sigmoids_model_xor_in_other_patterns() -> None:
    """Far below its threshold a sigmoid is an exponential: exp(x - y) + exp(y - x) is XOR."""
    far = 10.0
    v = np.exp(far) * np.ones(2)
    net = two_two_one([[1, -1], [-1, 1]], [-far, -far], v, 0.5 - 2.5, hidden=Sigmoid)
    verdict = models_xor(net)
    assert verdict and brute_force(net)
    assert str(verdict.name) == "+0000 +0000" and verdict.circuit is None
    assert circuit_of(net) is None
    assert "sigmoid(w01 + b0)" in repr(verdict) and "no weights" not in repr(verdict)
    with pytest.raises(ValueError, match="a circuit's name is one such as"):
        refutation("xor", str(verdict.name))


def test_steep_sigmoids_are_in_their_circuits() -> None:
    net = two_two_one([[60, 60], [60, 60]], [-30, -90], [1, -1], 0, hidden=Sigmoid)
    assert models_xor(net) and str(circuit_of(net)).startswith("+0111 -0001")
    net = two_two_one([[60, 60], [60, 60]], [-30, -90], [1, -1], -0.5, Sigmoid(), hidden=Tanh)
    assert models_xor(net) and str(circuit_of(net)).startswith("+0111 -0001")


def test_a_crowd_has_a_verdict_for_each_net() -> None:
    many = crowd(40, np.random.default_rng(3))
    verdict = models_xor(many)
    assert len(verdict) == 40 and repr(verdict) == f"{verdict.holds.sum()} of 40 nets model XOR"
    for i, one in enumerate(verdict):
        assert bool(one) == verdict.holds[i] and one.margin == verdict.margin[i]
        np.testing.assert_array_equal(one.right, verdict.right[i])
    for refused in (bool, lambda v: v.circuit, lambda v: v.fails, lambda v: v.inequalities):
        with pytest.raises(ValueError, match="40 nets have no single verdict"):
            refused(verdict)
    with pytest.raises(IndexError, match="no net 40 in a crowd of 40"):
        verdict[40]
    with pytest.raises(TypeError, match="no length"):
        len(models_xor(by_hand_c()))


def test_a_nested_network_is_read_through() -> None:
    inner = Network([Affinity(2, 2, "fc1"), ReLU()], name="inner")
    net = Network([inner, Identity(), Affinity(2, 1, "fc2")])
    inner["fc1"].M, inner["fc1"].b = [[1, 1], [1, 1]], [0, -1]
    net["fc2"].M, net["fc2"].b = [[1, -2]], [0]
    assert models_xor(net) and brute_force(net)


# ---------------------------------------------------------------- what bad input gets


@pytest.mark.parametrize(
    "layers, said",
    [
        ([], "here Affinity is missing"),
        ([Affinity(2, 1)], "here ReLU or Sigmoid or Tanh is missing"),
        ([Affinity(2, 2), ReLU()], "here Affinity is missing"),
        ([ReLU(), Affinity(2, 1)], "'relu0' is ReLU"),
        ([Affinity(2, 2), LeakyReLU(), Affinity(2, 1)], "'leakyrelu1' is LeakyReLU"),
        ([Affinity(2, 2), Affinity(2, 1)], "'affinity1' is Affinity"),
        ([Affinity(2, 2), ReLU(), Affinity(2, 1), Tanh()], "'tanh3' is Tanh"),
        ([Affinity(2, 2), ReLU(), Affinity(2, 1), Sigmoid(), ReLU()], "'relu4' is one too many"),
        ([Affinity(3, 2), ReLU(), Affinity(2, 1)], "the widths here are 3, 2 and 1"),
        ([Affinity(2, 2), ReLU(), Affinity(2, 2)], "the widths here are 2, 2 and 2"),
        ([Affinity(2, 3), ReLU(), Affinity(3, 1)], "the widths here are 2, 3 and 1"),
    ],
)
def test_other_networks_are_refused_in_words(layers: list[Layer], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        models_xor(Network([layer.copy() for layer in layers]))


@pytest.mark.parametrize("ask", [models_xor, circuit_of, circuit_names, units_of])
def test_other_things_are_refused(ask: Any) -> None:
    for thing in (None, "xor", Affinity(2, 2), gate("xor")):
        with pytest.raises(TypeError, match="a circuit is one of a Network, not of"):
            ask(thing)


def test_other_gates_and_numbers_are_refused() -> None:
    for name in ("XOR", "", None, 6, ["xor"]):
        with pytest.raises(ValueError, match="the gate must be one of false, and, "):
            catalogue(name)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="the gate must be one of false, and, "):
            refutation(name, "+0111")  # type: ignore[arg-type]
    for units in (0, 4, -1, 10**30):
        with pytest.raises(ValueError, match="the number of units must be from 1 to 3, not"):
            catalogue("xor", units)
    for bad in (2.0, "2", True, None):
        with pytest.raises(TypeError, match="the number of units must be an integer"):
            catalogue("xor", bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a crowd of 3 nets is in many circuits: see circuit_name"):
        circuit_of(by_hand_c().replicate(3, 0))


def test_other_circuits_are_refused() -> None:
    for bad in ("", "0111", "+0110", "+1001 -0001", "+01", "or - and", None, 5):
        with pytest.raises(ValueError, match="a circuit's name is one such as"):
            refutation("xor", bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\+0111 -0001 computes xor: it is in the catalogue"):
        refutation("xor", "+0111 -0001")
    with pytest.raises(ValueError, match="from 1 to 3"):
        refutation("xor", "0 0 0 0")
    assert units_named("0 -0001 +0111") == (("0111", 1), ("0001", -1), SILENT)


def test_a_network_is_left_as_it_is() -> None:
    net = trained_xor()
    before = {key: array.copy() for key, array in net.parameters.items()}
    repr(models_xor(net)), circuit_of(net), units_of(net)
    for key, array in net.parameters.items():
        np.testing.assert_array_equal(array, before[key])


# ---------------------------------------------------------------- pictures and the command


def circuit(name: str, of: str = "xor") -> Circuit:
    return next(c for c in catalogue(of, len(name.split())) if c.name == name)


@pytest.mark.parametrize("name", ["+0100 +0010", "+0111 -0001", "-1111 -0001"])
@pytest.mark.parametrize("at", [(0, 0), (3, -7)])
def test_a_picture_shows_lines_directions_answers_and_facts(
    name: str, at: tuple[float, float]
) -> None:
    ax = figure().add_subplot()
    plots.square(circuit(name), ax, at)
    net = circuit(name).network
    shift = np.array(at)
    lines = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert len(lines) == (1 if "1111" in name else 2)  # no line of -1111 in the window
    z_at = [net["fc1"](np.column_stack(line.get_data()) - shift) for line in lines]
    for line, z in zip(lines, z_at, strict=True):
        unit = int(np.abs(z).max(axis=0).argmin())
        np.testing.assert_allclose(z[:, unit], 0, atol=1e-12)
        sign = circuit(name).units[unit][1]
        assert line.get_color() == plots.COLOURS[sign]
        arrows = [a for a in ax.texts if a.arrowprops["color"] == line.get_color()]  # type: ignore
        onward = [net["fc1"](np.array(a.xy) - shift)[unit] for a in arrows]
        assert sum(z > 1e-3 for z in onward) >= 2  # they end where it is on,
        start = [net["fc1"](np.array(a.get_position()) - shift)[unit] for a in arrows]
        assert sum(abs(z) < 1e-9 for z in start) == 2  # and begin on its line
    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    assert (left, bottom) == tuple(shift - 0.5) and (right, top) == tuple(shift + 1.5)
    y = np.asarray(image.get_array())
    assert y[0, 0] == net([-0.5, -0.5])[0] and y[-1, 0] == pytest.approx(net([-0.5, 1.5])[0])
    (dots,) = [c for c in ax.collections if len(c.get_offsets()) == 4]
    np.testing.assert_array_equal(dots.get_offsets(), gate("xor").X + shift)
    reds = [colour[0] > colour[2] for colour in dots.get_facecolors()]  # type: ignore
    assert reds == truths("xor")


def test_every_circuit_of_every_gate_can_be_drawn() -> None:
    """Those of constants have no boundary, silent units no line."""
    for name in GATES:
        for one in [catalogue(name)[0], *(c for c in catalogue(name) if SILENT in c.units)][:3]:
            plots.square(one, figure().add_subplot())


def test_a_sheet_has_all_of_them_by_name() -> None:
    ax = figure().add_subplot()
    circuits = catalogue("xor")[:11]
    plots.sheet(circuits, ax, columns=4)
    named = {t.get_text(): t.get_position() for t in ax.texts if t.get_text()}
    assert list(named) == [f"{c.symmetric}:  {c.name}" for c in circuits]
    assert len(ax.images) == 11 and len(set(named.values())) == 11
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for x, y in named.values():
        assert left < x < right and low < y < high
    for image in ax.images:
        west, east, south, north = image.get_extent()
        assert left <= west < east <= right and low <= south < north <= high


def test_details_have_the_inequalities() -> None:
    ax, beside = figure().subplots(1, 2)
    plots.details(circuit("+0111 -0001"), ax, beside)
    text = beside.texts[0].get_text()
    for inequality in circuit("+0111 -0001").inequalities:
        assert f"{inequality.fact}:  ${inequality.latex}$" in text
    assert "unit 1: -0001" in text and "or - and" in ax.get_title()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    written: list[str] = []

    def save(picture: Any, path: Path) -> None:
        written.append(str(path))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench.catalogue, "save", save)
    return written


def test_the_command_lists_and_draws(quick: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "--gate", "and", "--units", "1"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "7 circuits of one hidden ReLU unit compute and, in 6 classes" in out
    for one in catalogue("and", 1):
        assert f"\n  {one}\n" in out
        assert f"out/and/{one.name}.png" in quick
    assert "  +0001  and = and\n" in out
    assert ",  ".join(map(str, circuit("+0001", "and").inequalities[:4])) in out
    assert quick[0] == "out/and.png" and len(quick) == 8
    names, weights = ("w00", "w01", "b0", "c"), circuit("+0001", "and").weights
    shown = ", ".join(f"{n} = {w}" for n, w in zip(names, weights, strict=True))
    assert f"    such as  {shown}\n" in out


def test_the_command_shows_why_there_is_none(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", "--units", "1"]) == 0
    out = capsys.readouterr().out
    assert "No circuit of one hidden ReLU unit computes xor" in out
    assert "+0111   b0 <= 0,  w00 + b0 > 0,  c + w01 + b0 > 1/2,  c + w00 + w01 + b0 < 1/2" in out
    assert len([line for line in out.splitlines() if line.startswith("  ")]) == len(KINDS) == 27
    assert not quick


def test_the_command_counts_all_gates(
    quick: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "sheet", lambda circuits, ax, columns: None)
    assert main(["catalogue", "--all", "--out", "here"]) == 0
    out = capsys.readouterr().out
    rows = dict(line.split(None, 1) for line in out.splitlines()[2:18])
    assert list(rows) == list(GATES)
    assert rows["xor"].split()[:3] == ["80", "32", "1/3,"]
    assert rows["and"].split()[:2] == ["189", "119"]
    assert quick == [f"here/{name}.png" for name in GATES]


def test_the_command_writes_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = catalogue("xor")[:1]
    monkeypatch.setattr(bench.catalogue, "catalogue", lambda gate, units: few)
    assert main(["catalogue", "--out", str(tmp_path)]) == 0
    for path in (tmp_path / "xor.png", tmp_path / "xor" / "+1100+0011.png"):
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and np.asarray(picture.convert("L")).std() > 10
    assert f"Written: {tmp_path}/xor.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--gate", "XOR"], "invalid choice: 'XOR'"),
        (["--units", "4"], "must be an integer from 1 to 3, not '4'"),
        (["--units", "two"], "must be an integer from 1 to 3"),
        (["--all", "--gate", "and"], "not allowed with argument"),
        (["--out", ""], "the folder to write to has an empty name"),
    ],
)
def test_the_command_refuses_in_one_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1
