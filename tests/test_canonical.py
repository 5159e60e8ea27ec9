"""canonical: the same function, and the same network for all that differ by a symmetry."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from minnet import (
    Affinity,
    BinaryCrossEntropy,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    Network,
    Parameter,
    ReLU,
    Sigmoid,
    Tanh,
)
from minnet.study.canonical import canonical

KINDS: dict[str, Any] = {"relu": ReLU, "leaky": LeakyReLU, "tanh": Tanh, "sigmoid": Sigmoid}
WEIGHTS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 2.0, -0.5]),  # which brings ties and zeros about
    st.floats(-4, 4).filter(lambda w: w == 0 or abs(w) > 1e-3),
)
ONE_LAYER = st.tuples(*[st.integers(1, 4)] * 3)
DEEPER = st.tuples(*[st.integers(1, 3)] * 4)


def built(widths: tuple[int, ...], kinds: list[str], numbers: list[float]) -> Network:
    layers: list[Layer] = []
    for n, m, kind in zip(widths[:-1], widths[1:], [*kinds, ""], strict=True):
        layers += [Affinity(n, m, rng=0), *([KINDS[kind]()] if kind else [])]
    net = Network(layers)
    stream = iter(numbers)
    for array in net.parameters.values():
        array[...] = np.reshape([next(stream) for _ in range(array.size)], array.shape)
    return net


@st.composite
def networks(draw: st.DrawFn, shapes: Any = ONE_LAYER, weights: Any = WEIGHTS) -> Network:
    widths = draw(shapes)
    kinds = [draw(st.sampled_from([*KINDS])) for _ in widths[2:]]
    size = sum(m * n + m for n, m in pairwise(widths))
    return built(widths, kinds, draw(st.lists(weights, min_size=size, max_size=size)))


def relative(draw: st.DrawFn, net: Network) -> Network:
    """The same function in other numbers: permuted, rescaled, reflected."""
    twin = net.copy()
    affinities = [layer for layer in twin.layers if isinstance(layer, Affinity)]
    kinds = [layer for layer in twin.layers if not isinstance(layer, Affinity)]
    for one, kind, two in zip(affinities[:-1], kinds, affinities[1:], strict=True):
        order = draw(st.permutations(range(one.m)))
        M, b, v, c = one.M[order], one.b[order], two.M[:, order], two.b.copy()
        for i in range(one.m):
            if isinstance(kind, (ReLU, LeakyReLU)):
                s = draw(st.floats(0.01, 100))
                M[i], b[i], v[:, i] = s * M[i], s * b[i], v[:, i] / s
            elif draw(st.booleans()):
                c += v[:, i] if isinstance(kind, Sigmoid) else 0
                M[i], b[i], v[:, i] = -M[i], -b[i], -v[:, i]
        one.M, one.b, two.M, two.b = M, b, v, c
    return twin


def close(one: Network, other: Network) -> None:
    for key, array in one.parameters.items():
        theirs = other.parameters[key]
        np.testing.assert_allclose(array, theirs, rtol=1e-9, atol=1e-9 * (1 + abs(array).max()))


@given(st.one_of(networks(), networks(DEEPER)), st.data())
def test_the_function_is_unchanged(net: Network, data: st.DataObject) -> None:
    x = np.random.default_rng(0).normal(size=(50, net.n or 1)) * 3
    twin = canonical(net)
    assert twin.shapes == net.shapes
    np.testing.assert_allclose(twin(x), net(x), rtol=1e-9, atol=1e-9)


@given(networks(), st.data())
def test_all_of_a_class_have_one_representative(net: Network, data: st.DataObject) -> None:
    close(canonical(net), canonical(relative(data.draw, net)))


@given(networks(DEEPER, st.floats(-4, 4).filter(lambda w: abs(w) > 1e-3)), st.data())
def test_of_deeper_networks_too(net: Network, data: st.DataObject) -> None:
    # twins, which deeper layers cannot tell apart, are as good as never drawn from floats;
    # those that hypothesis makes on purpose are shifted a little
    rng = np.random.default_rng(1)
    for array in net.parameters.values():
        array += rng.normal(size=array.shape) / 8
    close(canonical(net), canonical(relative(data.draw, net)))


@given(networks())
def test_a_representative_stands_for_itself(net: Network) -> None:
    close(canonical(net), canonical(canonical(net)))


@given(networks(), st.data())
def test_a_crowd_is_brought_net_by_net(net: Network, data: st.DataObject) -> None:
    crowd = net.replicate(3, rng=data.draw(st.integers(0, 99)))
    crowd.parameters["affinity0.M"][1] = net.parameters["affinity0.M"]
    together = canonical(crowd)
    for i in range(3):
        for key, array in canonical(crowd.member(i)).parameters.items():
            assert (together.parameters[key][i] == array).all()


@given(networks())
def test_relu_units_have_outgoing_norm_one_and_idle_ones_are_zero_and_last(net: Network) -> None:
    twin = canonical(net)
    first, kind, second = twin.layers
    assert isinstance(first, Affinity) and isinstance(second, Affinity)
    norms = np.linalg.norm(second.M, axis=0)
    idle = (norms == 0) | (first.M == 0).all(axis=1)
    assert (np.diff(idle.astype(int)) >= 0).all()
    for array in (first.M[idle], first.b[idle], second.M[:, idle]):
        assert (array == 0).all()
    if isinstance(kind, (ReLU, LeakyReLU)):
        np.testing.assert_allclose(norms[~idle], 1, rtol=1e-12)


def relu(M: Any, b: Any, v: Any, c: Any, *after: Layer) -> Network:
    return built((2, 2, 1), ["relu"], np.concatenate([np.ravel(a) for a in (M, b, v, c)]).tolist())


def test_notebook_b_and_c() -> None:
    """Both have equal rows of weights: the biases tell the units apart."""
    b = relu([[1, 1], [1, 1]], [1, 0], [2, -4], -1)
    swapped = relu([[3, 3], [0.5, 0.5]], [0, 0.5], [-4 / 3, 4], -1)
    close(canonical(b), canonical(swapped))
    c = canonical(relu([[1, 1], [1, 1]], [0, -1], [1, -2], 0))
    assert c.parameters["affinity0.M"].tolist() == [[1, 1], [2, 2]]
    assert c.parameters["affinity0.b"].tolist() == [0, -2]
    assert c.parameters["affinity2.M"].tolist() == [[1, -1]]


def test_rounding_does_not_decide_the_order() -> None:
    """Equal but for rounding in the first weights, so the second ones decide, both ways."""
    for tiny in (1e-15, -1e-15):
        twin = canonical(relu([[1, 3], [1 + tiny, 2]], [0, 0], [1, 1], 0))
        M = twin.parameters["affinity0.M"]
        order = (M[:, 0] / np.hypot(*M.T)).argsort()[::-1]
        assert order.tolist() == [0, 1]
        # equal incoming numbers: the outgoing ones decide
        twin = canonical(relu([[1, 2], [1 + tiny, 2]], [0, 0], [-1, 1], 0))
        assert twin.parameters["affinity2.M"].tolist() == [[1, -1]]


def test_twins_of_an_inner_layer_are_told_apart_whatever_the_next_layers_order() -> None:
    """Units of equal incoming weights: the sizes of their outgoing ones decide."""
    twins = [1, 1, 0, 0]
    one = built((1, 2, 2, 1), ["relu", "relu"], [*twins, 1, 2, 3, -8, 1, 1, 1, 2, 0])
    other = built((1, 2, 2, 1), ["relu", "relu"], [*twins, -16, 6, 2, 1, 2, 1, 1, 1, 0])
    close(canonical(one), canonical(other))


def test_constants_go_into_the_next_bias_through_all_layers() -> None:
    net = built((1, 1, 1, 1), ["sigmoid", "tanh"], [0, 2, 3, -1, 5, 7])
    expected = 5 * np.tanh(3 / (1 + np.exp(-2)) - 1) + 7
    parameters = canonical(net).parameters
    assert parameters.pop("affinity4.b") == pytest.approx(expected)
    assert all((array == 0).all() for array in parameters.values())


def test_it_leaves_its_argument_alone_and_keeps_loss_and_type() -> None:
    net = Network(
        [Affinity(2, 3), Identity(), ReLU(), Network([Affinity(3, 1), Sigmoid()])],
        loss=BinaryCrossEntropy(), dtype=np.float32,
    )  # fmt: skip
    before = {key: array.copy() for key, array in net.parameters.items()}
    twin = canonical(net)
    assert (
        twin.dtype == np.float32 and repr(twin.loss) == repr(net.loss) and twin.names == net.names
    )
    assert all((before[key] == array).all() for key, array in net.parameters.items())
    x = np.array([[1, 2], [-1, 0.5]], np.float32)
    np.testing.assert_allclose(twin(x), net(x), rtol=1e-5)


class Scale(Layer):
    s = Parameter()

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.s = np.ones(3)


@pytest.mark.parametrize(
    "layers, words",
    [
        ([Affinity(2, 3), Affinity(3, 1)], "Affinity 'affinity1' .* without an activation"),
        ([Affinity(2, 3), Map(abs, np.sign), Affinity(3, 1)], "Map 'map1' .* only ReLU"),
        ([Affinity(2, 3), ReLU(), Tanh("t"), Affinity(3, 1)], "Tanh 't' .* second activation"),
        ([Affinity(2, 3), ReLU(), Scale()], "Scale 'scale2' .* its parameters"),
    ],
)
def test_layers_without_a_canonical_form(layers: list[Layer], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        canonical(Network([layer.copy() for layer in layers]))


def test_other_bad_input() -> None:
    with pytest.raises(TypeError, match="takes a Network, not 3"):
        canonical(3)  # type: ignore[arg-type]
    net = relu(np.eye(2), [0, 0], [1, 1], 0)
    net.parameters["affinity0.b"][0] = np.nan
    with pytest.raises(ValueError, match=r"affinity0\.b holds nan or inf"):
        canonical(net)
    net = relu(np.eye(2) * 1e300, [0, 0], [1e300, 1], 0)
    with pytest.raises(ValueError, match="stay finite"):
        canonical(net)


@pytest.mark.parametrize(
    "net", [Network([]), Network([Sigmoid()]), Network([Affinity(2, 1, rng=0)])]
)
def test_without_hidden_units_there_is_nothing_to_do(net: Network) -> None:
    close(canonical(net), net)
