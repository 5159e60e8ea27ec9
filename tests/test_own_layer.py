"""A user's own layers get everything that the built-in ones have, for twenty lines."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import dill
import numpy as np
import pytest

from bench import NNBench
from minnet import (
    Adam,
    Affinity,
    Identity,
    Layer,
    Map,
    Network,
    Parameter,
    SquaredError,
    along_batch,
    batch_sum,
)
from minnet.snapshots import Snapshot


class Warp(Layer):
    """y_i = s_i tanh(x_i + t_i)."""

    s = Parameter()
    t = Parameter()

    def __init__(self, n: int, name: str | None = None) -> None:
        super().__init__(n, n, name)
        self.s, self.t = np.ones(n), np.zeros(n)

    def forward(self, x: Any) -> Any:
        h = np.tanh(x + along_batch(self.t))
        return along_batch(self.s) * h, h

    def backprop(self, dy: Any, h: Any, inputs: bool = True) -> Any:
        dh = dy * along_batch(self.s) * (1 - h * h)
        return dh, {"s": batch_sum(dy * h), "t": batch_sum(dh)}


class Softplus(Layer):
    """y_i = log(1 + exp(x_i))."""

    def forward(self, x: Any) -> Any:
        return np.logaddexp(0, x), x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy / (1 + np.exp(-x)), {}


MAKERS: dict[str, Callable[..., Network]] = {
    "warp": lambda **k: Network([Warp(2, name="warp")], **k),
    "softplus": lambda **k: Network([Affinity(2, 2), Softplus()], **k),
    "both": lambda **k: Network([Affinity(2, 3), Softplus(), Warp(3), Affinity(3, 2)], **k),
    "nested": lambda **k: Network(
        [Network([Affinity(2, 3), Warp(3)], name="block"), Softplus(), Affinity(3, 2)], **k
    ),
}
RNG = np.random.default_rng(0)
FACTS = list(zip(RNG.standard_normal((6, 2)), RNG.uniform(0.2, 0.8, (6, 2)), strict=True))
BATCH = (np.array([x for x, _ in FACTS]), np.array([t for _, t in FACTS]))

makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def started(make: Callable[..., Network], **settings: Any) -> Network:
    net = make(**settings)
    net.randomize(1)
    return net


def bits(net: Layer) -> list[tuple[str, bytes]]:
    return [(key, array.tobytes()) for key, array in net.parameters.items()]


def losses(net: Network) -> bytes:
    return np.array(list(net.steps(FACTS, epochs=3))).tobytes()


@makers
def test_gradients_are_those_of_finite_differences(make: Callable[..., Network]) -> None:
    net = started(make)
    x = BATCH[0]
    y, caches = net.forward(x)
    upstream = np.random.default_rng(2).standard_normal(y.shape)
    dx, gradients = net.backprop(upstream, caches)
    h = 1e-3

    def slopes(array: np.ndarray) -> np.ndarray:
        """By the five-point formula, whose error is of the order of h^4."""
        result = np.zeros(array.shape)
        for i in np.ndindex(array.shape):
            value = array[i]
            for steps, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                array[i] = value + steps * h
                result[i] += weight * (net(x) * upstream).sum() / (12 * h)
            array[i] = value
        return result

    assert dx.shape == x.shape
    for by_hand, array in ((dx, x), *((gradients[k], p) for k, p in net.parameters.items())):
        expected = slopes(array)
        np.testing.assert_allclose(by_hand, expected, rtol=0, atol=1e-8 * abs(expected).max())


@makers
def test_it_learns(make: Callable[..., Network]) -> None:
    net = started(make, optimizer=Adam(0.01))
    first = net.learn([BATCH])
    assert net.learn([BATCH], epochs=400) < first / 4


@makers
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_float_types_are_kept(make: Callable[..., Network], dtype: type) -> None:
    net = started(make, dtype=dtype)
    net.learn(FACTS)
    y, caches = net.forward(BATCH[0].astype(dtype))
    dx, gradients = net.backprop(y, caches)
    arrays = [y, dx, net(BATCH[0]), *gradients.values(), *net.parameters.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@makers
@pytest.mark.parametrize("facts", [FACTS[:1], [BATCH]], ids=["one", "batch"])
@pytest.mark.parametrize("dtype, closeness", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_crowds(make: Callable[..., Network], facts: list, dtype: type, closeness: float) -> None:
    net = make(dtype=dtype)
    crowd = net.replicate(4, rng=3)
    assert bits(net.replicate(2, rng=3).member(1)) == bits(crowd.member(1))
    net.randomize(3)
    assert bits(net) == bits(crowd.member(0))
    members = [crowd.member(i) for i in range(4)]
    together = crowd.learn(facts)
    for i, member in enumerate(members):
        assert member.learn(facts) == pytest.approx(together[i], rel=closeness)
        for key, p in member.parameters.items():
            largest = abs(crowd.parameters[key]).max()
            np.testing.assert_allclose(
                crowd.parameters[key][i], p, rtol=0, atol=closeness * largest
            )


@makers
def test_snapshots_and_the_bench_bring_it_back(make: Callable[..., Network]) -> None:
    net = started(make, optimizer=Adam(0.1))
    snapshot, before, layers = Snapshot(net), bits(net), net.layers
    first = losses(net)
    net.layers = net.layers[:-1]
    snapshot.restore()
    assert (bits(net), net.layers) == (before, layers)
    assert losses(net) == first
    bench = NNBench(net)
    learned = bench.learn(10)
    bench.rollback_net()
    assert bench.learn(10) == learned


@makers
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda net: net.copy(),
        lambda net: pickle.loads(pickle.dumps(net)),
        lambda net: dill.loads(dill.dumps(net)),
    ],
)
def test_copies_are_the_same_and_apart(make: Callable[..., Network], duplicate: Callable) -> None:
    net = started(make, optimizer=Adam(0.1))
    net.learn(FACTS)
    twin, before = duplicate(net), bits(net)
    assert bits(twin) == before
    learned = losses(twin)
    assert bits(net) == before
    assert losses(net) == learned
    assert bits(twin) == bits(net)


def test_it_is_checked_named_and_shown_like_the_others() -> None:
    net = Network([Affinity(2, 3), Warp(3)])
    assert net.names == ("affinity0", "warp1")
    assert "s (3,), t (3,)" in repr(net)
    assert r"\operatorname{Warp}" in net.latex()
    with pytest.raises(ValueError, match="Warp #1 'warp1' takes 3 inputs"):
        net["warp1"]([1, 2])
    with pytest.raises(ValueError, match="Warp #1 'warp1' takes 4 inputs, but layer #0"):
        Network([Affinity(2, 3), Warp(4)])
    with pytest.raises(ValueError, match=r"Warp #1 'warp1': s takes shape \(3,\), but \(2,\) came"):
        net["warp1"].s = [1, 2]
    with pytest.raises(ValueError, match="already has its place"):
        Network([net["warp1"]])


def test_the_first_assignment_copies_too() -> None:
    given = np.ones(2)

    class Scale(Warp):
        def __init__(self) -> None:
            Layer.__init__(self, 2, 2)
            self.s, self.t = given, [0, 0]

    layer = Scale()
    given[:] = 7
    assert layer.s.tolist() == [1, 1]
    layer.s[:] = 3
    assert given.tolist() == [7, 7]


class Stretch(Layer):
    """y_i = k x_i, where k is no parameter but a setting that the user may change."""

    k = 1.0

    def forward(self, x: Any) -> Any:
        return self.k * x, None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return self.k * dy, {}


class Weighted(SquaredError):
    """k e.e/2, where k may be changed."""

    k = 1.0

    def per_fact(self, y: Any, expected: Any) -> Any:
        return self.k * super().per_fact(y, expected)

    def slope(self, y: Any, expected: Any) -> Any:
        return self.k * super().slope(y, expected)


def test_a_setting_that_is_changed_is_obeyed_at_the_next_call() -> None:
    """In a layer, in a loss, and in what the functions of a Map close over."""
    k = [1.0]
    layer, loss = Stretch(), Weighted()

    def set_k(value: float) -> None:
        layer.k = loss.k = k[0] = value

    for last in (layer, Map(lambda x: k[0] * x, lambda x: k[0]), Identity()):
        set_k(1.0)
        net = Network([Affinity(2, 2, rng=0), last], loss=loss)
        net.learn(FACTS)
        set_k(0.5)
        y, caches = net.forward(FACTS[0][0])
        _, gradients = net.backprop(loss.gradient(y, FACTS[0][1]), caches)
        expected = loss(y, FACTS[0][1]), net.layers[0].M - 0.1 * gradients["affinity0.M"]
        assert net.learn(FACTS[:1]) == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(net.layers[0].M, expected[1], rtol=1e-11)


class Wrong(Warp):
    """Gradients as a beginner might give them."""

    def __init__(self, gradients: dict[str, Any]) -> None:
        super().__init__(2)
        self.gradients = gradients

    def backprop(self, dy: Any, h: Any, inputs: bool = True) -> Any:
        return dy, self.gradients


@pytest.mark.parametrize(
    "gradients, words",
    [
        ({"s": np.ones(2)}, "wrong0.t a gradient of shape (2,), but gave none"),
        ({"s": np.ones(2), "t": np.ones((1, 2))}, "wrong0.t a gradient of shape (2,), but gave"),
        (
            {"s": np.ones(()), "t": np.ones(2)},
            "wrong0.s a gradient of shape (2,), but gave shape ()",
        ),
    ],
)
def test_missing_and_misshapen_gradients_are_named(gradients: dict, words: str) -> None:
    net = Network([Wrong(gradients)])
    before = bits(net)
    with pytest.raises(ValueError) as error:
        net.learn(FACTS)
    assert words in str(error.value)
    assert bits(net) == before


def test_what_is_not_written_yet_says_so() -> None:
    class Unfinished(Layer):
        s = Parameter()

    with pytest.raises(NotImplementedError, match=r"Unfinished has no forward\(x\)"):
        Unfinished()([1.0])
    with pytest.raises(NotImplementedError, match="Unfinished has no backprop"):
        Unfinished().backprop(np.ones(1), None)
    with pytest.raises(AttributeError, match="Unfinished has not been given its s yet"):
        _ = Unfinished().s
