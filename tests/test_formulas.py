"""Formulas are read back and computed: they say what the network does."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minnet import Affinity, Identity, Layer, LeakyReLU, Map, Network, ReLU, Sigmoid, Tanh
from minnet.checks import Array
from minnet.study.formulas import formulas

FUNCTIONS = {
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "square": lambda z: z * z,
}
MAPS = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "square": lambda: Map(lambda x: x * x, lambda x: 2 * x, "square"),
}


def computed(text: str, x: Array) -> list[float]:
    """The last layer's units, computed from the lines alone."""
    names: dict[str, Any] = {**FUNCTIONS, "x": x.tolist()}
    name = ""
    for line in text.splitlines():
        unit, _, formula = line.partition(" = ")
        name, index = re.fullmatch(r"(\w+)\[(\d+)\]", unit).groups()  # type: ignore[union-attr]
        units = names.setdefault(name, [])
        assert int(index) == len(units)
        units.append(eval(re.sub(r"(\d) ([a-z])", r"\1*\2", formula), {}, names))
    return list(names[name])


@given(
    widths=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    maps=st.lists(st.sampled_from(sorted(MAPS)), min_size=3, max_size=3),
    seed=st.integers(0, 99),
    mapped_first=st.booleans(),
)
def test_the_lines_compute_what_the_network_computes(
    widths: list[int], maps: list[str], seed: int, mapped_first: bool
) -> None:
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [Tanh("before")] if mapped_first else []
    for n, m, name in zip(widths, widths[1:], maps, strict=False):
        layers += [Affinity(n, m, rng=rng), Identity(), MAPS[name]()]
    assume(maps.count("square") < 2)  # a name is given once
    net = Network(layers)
    x = rng.standard_normal(widths[0])
    np.testing.assert_allclose(computed(formulas(net, digits=17), x), net(x), rtol=1e-12)


def test_signs_zeros_and_digits() -> None:
    net = Network([Affinity(3, 2, "fc1")])
    net.layers[0].M, net.layers[0].b = [[-1, 0, 0.123456], [2, -3, -0.0]], [0, -1e-7]
    assert formulas(net, digits=3).splitlines() == [
        "fc1[0] = -1 x[0] + 0 x[1] + 0.123 x[2] + 0",
        "fc1[1] = 2 x[0] - 3 x[1] + 0 x[2] - 1e-07",
    ]


def test_a_layer_of_another_kind_is_named_with_its_inputs() -> None:
    class Swap(Layer):
        def forward(self, x: Array) -> tuple[Array, None]:
            return x[..., ::-1], None

    net = Network([Affinity(2, 2, "fc1"), Swap(name="swap"), ReLU()])
    assert formulas(net).splitlines()[2:] == [
        "swap[0] = relu(swap(fc1[0], fc1[1])[0])",
        "swap[1] = relu(swap(fc1[0], fc1[1])[1])",
    ]


@pytest.mark.parametrize(
    "net, words",
    [
        (Network([Affinity(2, 1)]).replicate(3, 0), "a crowd of 3 nets"),
        (Network([ReLU()]), "any number of inputs"),
        (Network(), "any number of inputs"),
    ],
)
def test_what_has_no_formula_is_refused(net: Network, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        formulas(net)
