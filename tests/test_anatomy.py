"""A network taken apart: its numbers against the network itself, differences and rationals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from math import nextafter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import close, same

from minnet import (
    Affinity,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    Network,
    Parameter,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    along_batch,
    batch_sum,
)
from minnet.checks import UnknownName
from minnet.combinators import Parallel, Select, Skip
from minnet.structure import leaves
from minnet.study.anatomy import (
    activations,
    attributions,
    contributions,
    difference,
    gradients,
    sweep,
    trace,
)
from minnet.study.gates import trained_xor
from minnet.study.regions import local_map, regions_along


class Shift(Layer):
    """Adds s, whose gradient is that at its output."""

    s = Parameter()

    def __init__(self, n: int, name: str | None = None) -> None:
        super().__init__(n, n, name)
        self.s = np.zeros(n)

    def forward(self, x: Any) -> Any:
        return x + along_batch(self.s), None

    def backprop(self, dy: Any, cache: None, inputs: bool = True) -> Any:
        return +dy, {"s": batch_sum(dy)}


def piecewise() -> Network:
    return Network([Affinity(2, 4), ReLU(), Affinity(4, 3), LeakyReLU(0.25), Affinity(3, 2)])


def smooth() -> Network:
    return Network(
        [Affinity(2, 3, "in"), Tanh(), Affinity(3, 3), ReLU(), Affinity(3, 2), Sigmoid()]
    )


def nested() -> Network:
    block = Network(
        [Affinity(3, 3, "fc"), Network([Tanh(), Identity()], name="deep")], name="block"
    )
    square = Map(lambda x: x * x / 2, lambda x: x, "square")
    return Network([Tanh(), Affinity(2, 3, "fc"), block, square, Affinity(3, 2)])


def wired() -> Network:
    left = Network([Affinity(2, 3, "fc"), Shift(3, "at_fc"), ReLU("relu")], name="left")
    inner = Network([Affinity(2, 2, "fc"), Shift(2, "at_fc"), Tanh()], name="inner")
    both = Parallel([left, Skip(inner, name="skip"), Select([1], 2, name="select")], name="both")
    return Network(
        [Shift(2, "at_x"), both, Shift(8, "at_both"), ReLU("relu"), Affinity(8, 2, "out")]
    )


CHAINS = [piecewise, smooth, nested]
ALL = [*CHAINS, wired]
Make = Callable[[], Network]
seeds = st.integers(0, 2**32 - 1)


def drawn(make: Make, seed: int, facts: tuple[int, ...] = ()) -> tuple[Network, Any, Any]:
    """A network with random numbers, an input, and what is expected."""
    net, rng = make(), np.random.default_rng(seed)
    net.randomize(rng)
    return net, rng.standard_normal((*facts, 2)), rng.random((*facts, 2))


# ---------------------------------------------------------------- activations


@given(st.sampled_from(CHAINS), seeds)
def test_activations_are_what_each_layer_makes_of_the_one_before(make: Make, seed: int) -> None:
    net, x, _ = drawn(make, seed)
    found = activations(net, x)
    assert list(found) == [name for name, _ in leaves(net)]
    same(found.x, x, "x")
    for name, layer in leaves(net):
        x = layer(x)
        same(found[name], x, name)


@given(st.sampled_from(ALL), seeds)
def test_the_last_activation_is_the_networks_answer(make: Make, seed: int) -> None:
    for facts in ((), (5,)):
        net, x, _ = drawn(make, seed, facts)
        same(list(activations(net, x).values())[-1], net(x), "output")


def test_layers_in_branches_come_in_the_order_of_computation() -> None:
    net, x, _ = drawn(wired, 0)
    found = activations(net, x)
    inside = [f"both.left.{name}" for name in ("fc", "at_fc", "relu")]
    inside += [f"both.skip.inner.{name}" for name in ("fc", "at_fc", "tanh2")]
    inside += ["both.skip", "both.select"]
    assert list(found) == ["at_x", *inside, "both", "at_both", "relu", "out"]
    parts = [found[name] for name in ("both.left.relu", "both.skip", "both.select")]
    same(found["both"], np.concatenate(parts), "both")
    same(
        found["both.skip"], np.concatenate([found["at_x"], found["both.skip.inner.tanh2"]]), "skip"
    )


@settings(max_examples=10)
@given(st.sampled_from(ALL), seeds, st.sampled_from([(), (3,), (4, 3)]))
def test_a_crowd_is_its_members(make: Make, seed: int, facts: tuple[int, ...]) -> None:
    net, x, expected = drawn(make, seed, facts)
    crowd = net.replicate(4, rng=seed)
    found = activations(crowd, x)
    slopes = gradients(crowd, x, expected)
    shares = attributions(crowd, x, 1)
    changed = difference(crowd, x, x + 1)
    carried = {name: contributions(crowd, x, name) for name in found}
    for i in range(4):
        mine, t = (x[i], expected[i]) if len(facts) == 2 else (x, expected)
        member = crowd.member(i)
        pairs = [
            (found, activations(member, mine)),
            (slopes, gradients(member, mine, t)),
            (slopes.inputs, gradients(member, mine, t).inputs),
            (shares, attributions(member, mine, 1)),
            (shares.offsets, attributions(member, mine, 1).offsets),
            ({"": shares.inputs}, {"": attributions(member, mine, 1).inputs}),
            ({"": shares.value}, {"": attributions(member, mine, 1).value}),
            (changed, difference(member, mine, mine + 1)),
            (changed.contributions, difference(member, mine, mine + 1).contributions),
            (carried, {name: contributions(member, mine, name) for name in found}),
        ]
        for crowds, members in pairs:
            assert list(crowds) == list(members)
            for name, array in members.items():
                close(crowds[name][i], array, name, 1e-12, 1e-12)


# ---------------------------------------------------------------- gradients


def finite_difference(f: Callable[[], Any], array: Any) -> Any:
    """df/darray, where f looks at the array."""
    slopes = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        before, values = array[index], []
        for h in (1e-5, -1e-5):
            array[index] = before + h
            values.append(f())
        array[index] = before
        slopes[index] = (values[0] - values[1]) / 2e-5
    return slopes


@settings(max_examples=10)
@given(st.sampled_from(ALL), seeds)
def test_gradients_of_parameters_are_finite_differences_and_backprops(
    make: Make, seed: int
) -> None:
    net, x, t = drawn(make, seed)
    found = gradients(net, x, t)
    y, cache = net.forward(x)
    _, expected = net.backprop(net.loss.gradient(y, t), cache)
    assert found.loss == net.loss(y, t)
    for key, array in net.parameters.items():
        same(found[key], expected[key], key)
        close(found[key], finite_difference(lambda: net.loss(net(x), t), array), key, 1e-4, 1e-6)


@settings(max_examples=10)
@given(st.sampled_from(CHAINS), seeds)
def test_gradients_at_layers_are_those_of_the_rest_of_the_network(make: Make, seed: int) -> None:
    net, x, t = drawn(make, seed)
    found, outputs = gradients(net, x, t), activations(net, x)
    layers = list(leaves(net))
    given = x
    for i, (name, _) in enumerate(layers):
        for rest, at, slope in (
            (layers[i:], given, found.inputs[name]),
            (layers[i + 1 :], outputs[name], found[name]),
        ):
            copies = (Network([layer.copy()], name=f"part{k}") for k, (_, layer) in enumerate(rest))
            tail = Network(copies)
            at = at.copy()
            expected = finite_difference(lambda: net.loss(tail(at), t), at)  # noqa: B023
            close(slope, expected, name, 1e-4, 1e-6)
        given = outputs[name]


@given(seeds)
def test_gradients_in_branches_are_those_of_what_is_added_there(seed: int) -> None:
    net, x, t = drawn(wired, seed)
    found = gradients(net, x, t)
    for name in ("at_x", "both.left.at_fc", "both.skip.inner.at_fc", "at_both"):
        slope = finite_difference(lambda: net.loss(net(x), t), net.parameters[f"{name}.s"])
        close(found[name], slope, name, 1e-4, 1e-6)
    for before, after in (("both.left.fc", "both.left.at_fc"), ("both", "at_both")):
        same(found[before], found.inputs[after], before)


def test_gradients_come_in_the_order_of_the_way_back() -> None:
    net = Network([Network([Affinity(2, 2, "a")], name="block"), Tanh("t")])
    found = gradients(net, [1, 2], [0, 0])
    assert list(found) == ["t", "block.a", "block.a.M", "block.a.b"]
    assert list(found.inputs) == ["t", "block.a"]


def test_gradients_in_branches_come_in_that_order_too() -> None:
    skip = ["both.skip", "both.skip.inner.tanh2", "both.skip.inner.at_fc"]
    skip += ["both.skip.inner.at_fc.s", "both.skip.inner.fc"]
    skip += ["both.skip.inner.fc.M", "both.skip.inner.fc.b"]
    left = ["both.left.relu", "both.left.at_fc", "both.left.at_fc.s", "both.left.fc"]
    left += ["both.left.fc.M", "both.left.fc.b"]
    found = list(gradients(wired(), [1, 2], [0, 0]))
    assert found[5:7] == ["at_both.s", "both"]
    assert found[7:] == ["both.select", *skip, *left, "at_x", "at_x.s"]


def test_gradients_take_what_the_loss_takes() -> None:
    net = Network([Affinity(2, 3)], loss=SoftmaxCrossEntropy("mean"))
    net.randomize(0)
    x = np.array([[1.0, 2], [0, 1], [1, 1]])
    found = gradients(net, x, [0, 2, 1])
    slope = finite_difference(lambda: net.loss(net(x), [0, 2, 1]), net.parameters["affinity0.b"])
    close(found["affinity0.b"], slope, "b", 1e-6)
    close(found["affinity0"].sum(axis=0), slope, "of the facts", 1e-6)


# ---------------------------------------------------------------- contributions


@given(st.sampled_from(ALL), seeds)
def test_contributions_and_b_add_up_to_each_unit(make: Make, seed: int) -> None:
    net, x, _ = drawn(make, seed, (3,))
    found = activations(net, x)
    for name in found:
        layer, products = net[name], contributions(net, x, name)
        if isinstance(layer, Affinity):
            close(products.sum(axis=-1) + layer.b, found[name], name, 1e-12)
        elif isinstance(layer, (ReLU, LeakyReLU, Identity, Select)):
            close(products.sum(axis=-1), found[name], name, 1e-12)


@given(st.sampled_from(CHAINS), seeds)
def test_contributions_of_an_affinity_are_the_products(make: Make, seed: int) -> None:
    net, x, _ = drawn(make, seed)
    given = x
    for name, layer in leaves(net):
        if isinstance(layer, Affinity):
            same(contributions(net, x, name), layer.M * given, name)
        given = layer(given)


def test_contributions_of_a_smooth_layer_are_those_of_its_tangent() -> None:
    net, x, _ = drawn(smooth, 1)
    u = activations(net, x)["in"]
    close(contributions(net, x, "tanh1"), np.diag(u / np.cosh(u) ** 2), "tanh", 1e-12)


@given(st.sampled_from(ALL), seeds)
def test_what_an_output_is_followed_back_to_adds_up_to_it(make: Make, seed: int) -> None:
    net, x, _ = drawn(make, seed, (3,))
    found = activations(net, x)
    for layer, output in product([None, *found], range(2)):
        if layer is not None and found[layer].shape[-1] <= output:
            continue
        shares = attributions(net, x, output, layer)
        y = net(x) if layer is None else found[layer]
        same(shares.value, y[:, output], "the output")
        close(shares.inputs.sum(axis=-1) + sum(shares.offsets.values()), y[:, output], "sum", 1e-9)


def test_nothing_behind_the_layer_that_is_followed_back_has_a_share() -> None:
    assert list(attributions(smooth(), [1, 2], 0, "affinity2")) == ["in", "tanh1", "affinity2"]


@given(st.sampled_from(CHAINS), seeds)
def test_at_each_layer_of_a_chain_what_comes_through_and_is_added_later_is_all(
    make: Make, seed: int
) -> None:
    net, x, _ = drawn(make, seed)
    shares = attributions(net, x, 1)
    names = list(shares)
    for i, name in enumerate(names):
        later = sum(shares.offsets[after] for after in names[i + 1 :])
        close(shares[name].sum() + later, shares.value, name, 1e-9)


@given(seeds)
def test_a_piecewise_linear_output_is_followed_by_its_own_map(seed: int) -> None:
    net, x, _ = drawn(piecewise, seed)
    A, c = local_map(net, x)
    for output in range(2):
        shares = attributions(net, x, output)
        close(shares.inputs, A[output] * x, "inputs", 1e-9)
        close(sum(shares.offsets.values()), c[output], "offsets", 1e-9)
        assert not shares.offsets["relu1"] and not shares.offsets["leakyrelu3"]


@given(seeds)
def test_shares_are_sums_over_paths(seed: int) -> None:
    net, x, _ = drawn(piecewise, seed)
    z1, z2 = (activations(net, x)[f"affinity{i}"] for i in (0, 2))
    M1, M2, M3 = (net[f"affinity{i}"].M for i in (0, 2, 4))
    expected = [
        sum(
            M3[1, k] * (1 if z2[k] > 0 else 0.25) * M2[k, j] * (z1[j] > 0) * M1[j, i] * x[i]
            for j in range(4)
            for k in range(3)
        )
        for i in range(2)
    ]
    close(attributions(net, x, 1).inputs, expected, "paths", 1e-9)


# ---------------------------------------------------------------- difference


@given(st.sampled_from(ALL), seeds)
def test_differences_are_those_of_the_activations_and_weights_carry_them(
    make: Make, seed: int
) -> None:
    net, x, _ = drawn(make, seed, (2, 3))
    found = difference(net, x[0], x[1])
    one, two = activations(net, x[0]), activations(net, x[1])
    assert list(found) == list(one)
    same(found.x, x[0] - x[1], "x")
    for name in found:
        same(found[name], one[name] - two[name], name)
        assert (name in found.contributions) == isinstance(net[name], Affinity)
    for name, products in found.contributions.items():
        close(products.sum(axis=-1), found[name], name, 1e-9, 1e-12)


# ---------------------------------------------------------------- sweep


def exactly(net: Network, x: list[Fraction]) -> dict[str, list[Fraction]]:
    """What each layer of a piecewise linear chain is given, without rounding."""
    given = {}
    for name, layer in leaves(net):
        given[name] = x
        if isinstance(layer, Affinity):
            rows = zip(layer.M.tolist(), layer.b.tolist(), strict=True)
            x = [
                sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b))
                for row, b in rows
            ]
        elif isinstance(layer, (ReLU, LeakyReLU)):
            leak = Fraction(layer.leak if isinstance(layer, LeakyReLU) else 0)
            x = [v if v > 0 else leak * v for v in x]
    return given


def between(start: Any, stop: Any, t: Fraction | float) -> list[Fraction]:
    pairs = zip(start, stop, strict=True)
    return [(1 - Fraction(t)) * Fraction(a) + Fraction(t) * Fraction(b) for a, b in pairs]


@given(seeds)
def test_units_switch_exactly_there_and_nowhere_else(seed: int) -> None:
    net, (start, stop), _ = drawn(piecewise, seed, (2,))
    found = sweep(net, start, stop, steps=2)
    for switch in found.switches:
        assert isinstance(switch.at, Fraction)
        value = exactly(net, between(start, stop, switch.at))[switch.layer][switch.unit]
        assert value == 0
        below = nextafter(float(switch.at), 0)
        above = nextafter(float(switch.at), 1)
        sides = [
            exactly(net, between(start, stop, t))[switch.layer][switch.unit] > 0
            for t in (below, above)
        ]
        assert sides == [not switch.on, switch.on]
        close(switch.x, [float(v) for v in between(start, stop, switch.at)], "x", 0)
    # along the line every unit is on or off as often as its switches say
    places = np.unique([float(switch.at) for switch in found.switches])
    close(places, regions_along(net, start, stop).at[1:-1], "all places", 1e-9)


@given(st.sampled_from(ALL), seeds)
def test_a_sweep_at_its_points_is_the_network_there(make: Make, seed: int) -> None:
    net, (start, stop), _ = drawn(make, seed, (2,))
    found = sweep(net, start, stop, steps=7)
    same(found.x[[0, -1]], np.stack([start, stop]), "ends")
    same(found.at, np.linspace(0, 1, 7), "at")
    for x, outputs in zip(found.x, zip(*found.values(), strict=True), strict=True):
        for (name, expected), output in zip(activations(net, x).items(), outputs, strict=True):
            close(output, expected, name, 1e-12, 1e-12)
    assert [float(s.at) for s in found.switches] == sorted(float(s.at) for s in found.switches)


@given(st.sampled_from([smooth, nested, wired]), seeds)
def test_switches_found_by_halving_lie_between_neighbouring_floats(make: Make, seed: int) -> None:
    net, (start, stop), _ = drawn(make, seed, (2,))
    for switch in sweep(net, start, stop, steps=50).switches:
        if isinstance(switch.at, float):
            sides = [
                inputs_of(net, ((1 - t) * start + t * stop))[switch.layer][switch.unit] > 0
                for t in (nextafter(switch.at, 0), switch.at)
            ]
            assert sides == [not switch.on, switch.on]


def inputs_of(net: Network, x: Any) -> dict[str, Any]:
    """What each activation of a network is given."""
    found = activations(net, x)
    names = list(found)
    before = {name: found[names[i - 1]] if i else x for i, name in enumerate(names)}
    branches = {
        "both.left.relu": "both.left.at_fc",
        "both.skip.inner.tanh2": "both.skip.inner.at_fc",
    }
    return before | {a: found[b] for a, b in branches.items() if a in found}


def test_what_lies_behind_something_smooth_is_found_by_halving_and_the_rest_exactly() -> None:
    net, start, _ = drawn(smooth, 5)
    kinds = {switch.layer: type(switch.at) for switch in sweep(net, start, -start).switches}
    assert kinds["tanh1"] is Fraction
    assert kinds.get("relu3", float) is float


def test_two_switches_between_two_steps_are_found() -> None:
    net = Network([Affinity(1, 2), ReLU(), Affinity(2, 1), ReLU()])
    net["affinity0"].M, net["affinity0"].b = [[1], [-1]], [-0.5, 0.5]
    net["affinity2"].M, net["affinity2"].b = [[-1, -1]], [2.0**-40]
    switches = sweep(net, [0], [1], steps=2).switches
    last = [s.at for s in switches if s.layer == "relu3"]
    assert last == [Fraction(1, 2) - Fraction(1, 2**40), Fraction(1, 2) + Fraction(1, 2**40)]


def test_a_unit_that_only_touches_zero_does_not_switch() -> None:
    net = Network([Affinity(1, 2), ReLU(), Affinity(2, 1), ReLU()])
    net["affinity0"].M, net["affinity0"].b = [[1], [-1]], [-0.5, 0.5]
    net["affinity2"].M, net["affinity2"].b = [[1, 1]], [0]
    assert {s.layer for s in sweep(net, [0], [1], steps=2).switches} == {"relu1"}


def test_a_unit_that_comes_to_rest_at_zero_switches_off() -> None:
    net = Network([Affinity(1, 1), ReLU(), Affinity(1, 1), ReLU()])
    net["affinity0"].M, net["affinity0"].b = [[-1]], [0.5]
    net["affinity2"].M, net["affinity2"].b = [[1]], [0]
    switches = sweep(net, [0], [1], 2).switches
    assert [(s.layer, s.at, s.on) for s in switches] == [
        ("relu1", Fraction(1, 2), False),
        ("relu3", Fraction(1, 2), False),
    ]


def test_a_layer_of_ones_own_that_only_adds_and_compares_is_followed_exactly() -> None:
    class Fold(Layer):
        def forward(self, x: Any) -> Any:
            return abs(x - 0.25), x

        def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
            return dy * np.sign(x - 0.25), {}

    net = Network([Fold(), Affinity(1, 1), ReLU()])
    net["affinity1"].M, net["affinity1"].b = [[4]], [-0.5]
    assert [s.at for s in sweep(net, [0], [1], 2).switches] == [Fraction(1, 8), Fraction(3, 8)]


def test_the_switches_of_a_crowd_are_its_members() -> None:
    crowd = smooth().replicate(3, rng=0)
    found = sweep(crowd, [-1, 2], [1, -2], 11)
    assert {switch.net for switch in found.switches} == {0, 1, 2}
    for i in range(3):
        alone = sweep(crowd.member(i), [-1, 2], [1, -2], 11)
        mine = [switch for switch in found.switches if switch.net == i]
        assert [(s.layer, s.unit, s.at, s.on) for s in mine] == [
            (s.layer, s.unit, s.at, s.on) for s in alone.switches
        ]
        for name, array in alone.items():
            close(found[name][i], array, name, 1e-12)


def test_single_precision_is_kept() -> None:
    net = Network([Affinity(2, 2), ReLU(), Affinity(2, 1)], dtype=np.float32)
    net.randomize(0)
    for arrays in (
        activations(net, [1, 0]),
        gradients(net, [1, 0], [1]),
        attributions(net, [1, 0]),
        difference(net, [1, 0], [0, 1]),
        sweep(net, [1, 0], [0, 1], 3),
    ):
        assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}


# ---------------------------------------------------------------- the figures of notebook A

A = 3e-4  # what weights printed to four decimals leave open


@pytest.mark.parametrize(
    "x, expected",
    [
        ([0, 0], [[-3.6790e-05, -2.3193e-04], [0, 0], [-2.8915], [0.0526]]),
        ([1, 0], [[2.2371, -2.2851], [2.2371, 0], [4.0572], [0.9830]]),
        ([1, 1], [[-0.0003, -0.0004], [0, 0], [-2.8915], [0.0526]]),
    ],
)
def test_the_activations_of_the_notebook(x: list[int], expected: list[list[float]]) -> None:
    found = activations(trained_xor(), x)
    assert list(found) == ["fc1", "relu", "fc2", "sigmoid"]
    for array, values in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(array, values, rtol=0, atol=A)


def test_the_differences_of_the_notebook() -> None:
    found = difference(trained_xor(), [1, 0], [0, 0])
    expected = [[2.2371, -2.2849], [2.2371, 0], [6.9488], [0.9304]]
    for array, values in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(array, values, rtol=0, atol=A)


def test_the_contributions_of_the_notebook() -> None:
    found = contributions(trained_xor(), [0.1, 0], "fc1")
    np.testing.assert_allclose(found, [[0.2237, 0], [-0.2285, 0]], rtol=0, atol=A)


def test_an_input_changed_gradually_does_move() -> None:
    found = sweep(trained_xor(), [0, 0], [1, 0], steps=11)  # integers, too
    np.testing.assert_allclose(found.x[1], [0.1, 0], rtol=1e-15)
    assert (np.diff(found["sigmoid"][:, 0]) > 0).all()
    relu, sigmoid = found.switches
    M, b = trained_xor()["fc1"].M, trained_xor()["fc1"].b
    assert (relu.layer, relu.unit, relu.on) == ("relu", 0, True)
    assert relu.at == -Fraction(b[0]) / Fraction(M[0, 0])
    assert (sigmoid.layer, sigmoid.unit, sigmoid.on) == ("sigmoid", 0, True)
    assert abs(trained_xor()(sigmoid.x).item() - 0.5) < 1e-12


# ---------------------------------------------------------------- what stays as it was


def calls(net: Network, x: Any) -> Iterator[Any]:
    yield activations(net, x)
    yield gradients(net, x, [0.5, 0.5])
    yield contributions(net, x, next(iter(activations(net, x))))
    yield attributions(net, x)
    yield difference(net, x, x + 1)
    yield sweep(net, x, x + 1, 5)
    yield trace(net, x, [0.5, 0.5])


class Same(Layer):
    """Gives the very array that it was given."""

    def forward(self, x: Any) -> Any:
        return x, None

    def backprop(self, dy: Any, cache: None, inputs: bool = True) -> Any:
        return dy, {}


def passing() -> Network:
    return Network([Same(), Affinity(2, 2), Same()])


@pytest.mark.parametrize("make", [*ALL, passing])
def test_the_network_and_the_input_stay_as_they_were(make: Make) -> None:
    net, x, _ = drawn(make, 3)
    before, given = {key: a.copy() for key, a in net.parameters.items()}, x.copy()
    contents = [set(vars(layer)) for layer in (net, *net.layers)]
    for result in calls(net, x):
        assert isinstance(repr(result), str)
        for array in result.values() if isinstance(result, dict) else ():
            array[...] = 7
    for key, array in net.parameters.items():
        same(array, before[key], key)
    same(x, given, "x")
    assert [set(vars(layer)) for layer in (net, *net.layers)] == contents


def test_two_runs_are_the_same_to_the_bit() -> None:
    net, x, _ = drawn(wired, 4)
    for one, two in zip(calls(net, x), calls(net, x), strict=True):
        assert repr(one) == repr(two)


# ---------------------------------------------------------------- what is printed


def test_what_is_printed_is_short_however_much_there_is() -> None:
    net = Network([Affinity(2, 50), ReLU(), Affinity(50, 1)])
    net.randomize(0)
    x = np.ones((1000, 2))
    crowd = net.replicate(20, rng=0)
    for result in (
        activations(net, x),
        gradients(net, x, np.ones((1000, 1))),
        attributions(net, x),
        difference(net, x[0], -x[0]),
        sweep(net, [-1, -1], [1, 1]),
        activations(crowd, x),
    ):
        lines = repr(result).splitlines()
        assert len(lines) < 100 and max(map(len, lines)) < 200
        assert "more" in repr(result)


# ---------------------------------------------------------------- bad input


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    net = wired()
    for call in (
        lambda name: contributions(net, [1, 0], name),
        lambda name: attributions(net, [1, 0], 0, name),
    ):
        for name in ("fc9", "both.left", "", 3, ["fc"]):
            with pytest.raises(UnknownName, match=r"it has 'at_x', 'both\.left\.fc'"):
                call(name)


@pytest.mark.parametrize(
    "x", [[1], [1, 2, 3], 1, [[[1, 2]]], [1, np.nan], "ab", None, [[1], [1, 2]]]
)
def test_inputs_that_do_not_fit_are_refused(x: Any) -> None:
    net = smooth()
    for call in (
        lambda: activations(net, x),
        lambda: gradients(net, x, [0, 0]),
        lambda: contributions(net, x, "in"),
        lambda: attributions(net, x),
        lambda: difference(net, x, x),
        lambda: sweep(net, x, [1, 2]),
        lambda: sweep(net, [1, 2], x),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda net: activations(net["in"], [1, 2]), "only a Network"),
        (lambda net: sweep("net", [1, 2], [2, 1]), "only a Network can be taken apart, not 'net'"),
        (lambda net: difference(net, [1, 2], [[1, 2]]), "different shapes"),
        (lambda net: gradients(net, [1, 2], [1]), "shape"),
        (lambda net: attributions(net, [1, 2], 2), "2 outputs, from 0, so there is no 2"),
        (lambda net: attributions(net, [1, 2], -1), "there is no -1"),
        (lambda net: attributions(net, [1, 2], 0.5), "integer"),
        (lambda net: sweep(net, [1, 2], [1, 2]), "the same input"),
        (lambda net: sweep(net, [1, 2], [1, 3], 1), "at least 2 steps"),
        (lambda net: sweep(net, [1, 2], [1, 3], 0), "positive integer"),
        (lambda net: sweep(net, [1, 2], [1, 3, 4]), "both have shape"),
        (lambda net: sweep(net, [[1, 2]], [[1, 3]]), "both have shape"),
    ],
)
def test_what_makes_no_sense_is_said(call: Callable[[Network], Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError), match=words):
        call(smooth())
