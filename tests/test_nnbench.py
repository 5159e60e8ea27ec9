"""NNBench: the way back is exact, in place, and as often as wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import dill
import numpy as np
import pytest

from bench import NNBench
from minnet import (
    SGD,
    Adam,
    Affinity,
    Facts,
    Identity,
    LeakyReLU,
    Map,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    SquaredError,
    Tanh,
)

OPTIMIZERS = [SGD(0.1), SGD(0.05, momentum=0.9), SGD(0.05, 0.5, weight_decay=0.1), Adam(0.01)]


def swap(x: Any) -> Any:
    return x[::-1]


def bits(net: Network) -> list[tuple[str, bytes]]:
    return [(key, array.tobytes()) for key, array in net.parameters.items()]


def small(optimizer: Any = OPTIMIZERS[1]) -> Network:
    """A net with a block and a Map of lambdas."""
    block = Network([Affinity(3, 3), Map(lambda x: x * x / 8, lambda x: x / 4)], name="block")
    net = Network([Affinity(2, 3), Tanh(), block, Affinity(3, 2)], optimizer=optimizer)
    net.randomize(0)
    return net


def same(a: list[Any], b: list[Any]) -> bool:
    return np.array(a).tobytes() == np.array(b).tobytes()


# training data


def test_the_training_data_are_the_seeds() -> None:
    bench = NNBench(small(), swap)
    facts = bench.training_data_gen(50)
    assert isinstance(facts, Facts)
    assert facts.X.shape == (50, 2)
    np.testing.assert_array_equal(facts.T, facts.X[:, ::-1])
    assert facts.X.tobytes() == bench.training_data_gen(50).X.tobytes()
    assert facts.X[:20].tobytes() == bench.training_data_gen(20).X.tobytes()
    assert facts.X.tobytes() == NNBench(small(), seed=3).training_data_gen(50).X.tobytes()
    assert facts.X.tobytes() != NNBench(small(), seed=4).training_data_gen(50).X.tobytes()
    bench.learn(10)
    assert facts.X.tobytes() == bench.training_data_gen(50).X.tobytes()
    normal = bench.training_data_gen(20_000).X
    np.testing.assert_allclose([normal.mean(), normal.std()], [0, 1], atol=0.03)


def test_a_generator_as_seed_gives_the_same_data_at_each_call_too() -> None:
    rng = np.random.default_rng(5)
    state = rng.bit_generator.state
    bench = NNBench(small(), seed=rng)
    first = bench.training_data_gen(5).X
    bench.learn(5)
    assert bench.training_data_gen(5).X.tobytes() == first.tobytes()
    assert rng.bit_generator.state == state
    rng.standard_normal(3)  # whoever holds it moves it on, and the data with it
    assert bench.training_data_gen(5).X.tobytes() != first.tobytes()
    bench.rollback_net()
    assert rng.bit_generator.state == state
    assert bench.seed is rng
    assert bench.training_data_gen(5).X.tobytes() == first.tobytes()


def test_another_distribution_on_request() -> None:
    facts = NNBench(small()).training_data_gen(50, lambda rng, size: rng.integers(0, 2, size))
    assert set(facts.X.ravel()) == {0, 1}


# learning


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_learning_is_the_networks(optimizer: Any) -> None:
    bench, net = NNBench(small(optimizer), swap), small(optimizer)
    losses = bench.learn(30)
    assert same(losses, list(net.steps(bench.training_data_gen(30))))
    assert bits(bench.net) == bits(net)
    assert len(losses) == 30
    assert all(type(loss) is float for loss in losses)
    assert len(bench.learn()) == 100


def diverging() -> NNBench:
    net = Network([Affinity(1, 1), Map(lambda x: x * x, lambda x: 2 * x)], optimizer=SGD(1))
    net.layers[0].M, net.layers[0].b = [[5]], [3]
    return NNBench(net)


def test_from_a_divergence_on_losses_are_infinite() -> None:
    bench = diverging()
    losses = bench.learn(50)
    assert len(losses) == 50
    at = bench.net.diverged
    assert 0 < at < 20
    assert [math.isinf(loss) for loss in losses] == [i >= at for i in range(50)]
    assert np.isfinite(bench.net.layers[0].M).all()


def test_a_crowd_on_the_bench() -> None:
    crowd = Network([Affinity(2, 2), Map(lambda x: x * x / 2, lambda x: x)]).replicate(20, rng=0)
    bench, before = NNBench(crowd, swap), bits(crowd)
    losses = np.array(bench.learn(40))
    assert losses.shape == (40, 20)
    gone = crowd.diverged >= 0
    assert gone.any()
    assert not gone.all()
    np.testing.assert_array_equal(np.isinf(losses[-1]), gone)
    bench.rollback_net()
    assert bits(crowd) == before
    potentials = bench.learning_potential(40)
    np.testing.assert_allclose(potentials, -np.log(losses[-1]), rtol=1e-12)
    assert (potentials[gone] == -np.inf).all()
    assert same(bench.learn(40), list(losses))


# the way back

CHANGES: dict[str, Callable[[NNBench], object]] = {
    "nothing": lambda bench: None,
    "learning": lambda bench: bench.learn(20),
    "randomizing": lambda bench: bench.net.randomize(1),
    "alpha": lambda bench: setattr(bench.net, "alpha", 0.5),
    "loss": lambda bench: setattr(bench.net, "loss", MeanSquaredError()),
    "optimizer": lambda bench: setattr(bench.net, "optimizer", Adam(0.5)),
    "seed": lambda bench: setattr(bench, "seed", 8),
    "an assigned weight": lambda bench: setattr(bench.net.layers[0], "b", [7, 7, 7]),
    "a written weight": lambda bench: bench.net.layers[0].M.fill(7),
    "extending": lambda bench: bench.net.extend([ReLU(), Affinity(2, 2)]),
    "emptying": lambda bench: setattr(bench.net, "layers", ()),
    "replacing": lambda bench: setattr(bench.net, "layers", [Affinity(2, 2), Sigmoid()]),
    "dropping the Map": lambda bench: setattr(
        bench.net["block"], "layers", bench.net["block"].layers[:1]
    ),
    "another Map": lambda bench: setattr(
        bench.net, "layers", [Map(lambda x: -x, lambda x: -1), *bench.net.layers]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_rollback_brings_everything_back_in_place(change: Callable, optimizer: Any) -> None:
    net = small(optimizer)
    bench = NNBench(net, swap)
    bench.learn(20)  # so that there is something to remember
    bench.checkpoint_net()
    before, layers, inside = bits(net), net.layers, net["block"].layers
    loss = net.loss
    learned, after = bench.learn(20), bits(net)
    for _ in range(3):
        change(bench)
        bench.rollback_net()
        assert bench.net is net
        assert all(a is b for a, b in zip(net.layers, layers, strict=True))
        assert all(a is b for a, b in zip(net["block"].layers, inside, strict=True))
        assert bits(net) == before
        assert (net.loss, net.optimizer) == (loss, optimizer)
        assert bench.seed == 3
        assert same(bench.learn(20), learned)
        assert bits(net) == after


def test_a_bench_starts_with_a_checkpoint() -> None:
    net = small()
    before, bench = bits(net), NNBench(net)
    bench.learn(5)
    bench.rollback_net()
    assert bits(net) == before


def test_nothing_is_shared_with_the_checkpoint() -> None:
    bench = NNBench(small(SGD(0.05, momentum=0.9)), swap)
    bench.learn(5)
    bench.checkpoint_net()
    before = bits(bench.net)
    learned = bench.learn(5)
    for _ in range(2):
        bench.rollback_net()
        for array in bench.net.parameters.values():
            array[...] = 9
        for array in bench.net._memory.values():
            array[...] = 9
        bench.rollback_net()
        assert bits(bench.net) == before
        assert same(bench.learn(5), learned)


def test_a_new_checkpoint_takes_the_place_of_the_old_one() -> None:
    bench = NNBench(small(), swap)
    bench.learn(5)
    bench.net.extend(Identity())
    bench.seed = 11
    bench.checkpoint_net()
    learned = bench.learn(5)
    bench.net.layers = bench.net.layers[:2]
    bench.seed = 12
    bench.rollback_net()
    assert len(bench.net.layers) == 5
    assert bench.seed == 11
    assert same(bench.learn(5), learned)


def test_two_benches_of_one_network() -> None:
    net = small()
    first = NNBench(net, swap)
    start = bits(net)
    first.learn(5)
    second, then = NNBench(net), bits(net)
    second.learn(5)
    first.rollback_net()
    assert bits(net) == start
    second.rollback_net()
    assert bits(net) == then


def test_an_array_held_by_the_user_sees_the_rollback() -> None:
    net = small()
    bench, M = NNBench(net), net.layers[0].M
    before = M.copy()
    bench.learn(5)
    assert not np.array_equal(M, before)
    bench.rollback_net()
    np.testing.assert_array_equal(M, before)
    assert net.layers[0].M is M


def test_dill_carries_a_bench() -> None:
    bench = NNBench(small(), lambda x: x[::-1])
    twin = dill.loads(dill.dumps(bench))
    assert twin.net is not bench.net
    learned = bench.learn(10)
    assert same(twin.learn(10), learned)
    twin.net.layers = twin.net.layers[:1]
    twin.rollback_net()
    assert same(twin.learn(10), learned)


# learning potential


def test_the_potential_is_minus_the_logarithm_of_the_last_loss() -> None:
    bench = NNBench(small(), swap)
    for alpha in (None, 0.01, 0.2):
        potential = bench.learning_potential(30, alpha)
        assert type(potential) is float
        bench.net.alpha = 0.05 if alpha is None else alpha
        assert potential == -math.log(bench.learn(30)[-1])
        bench.rollback_net()


def test_the_potential_of_perfection_and_of_divergence() -> None:
    net = Network([Affinity(2, 2)])
    net.layers[0].M, net.layers[0].b = np.eye(2), [0, 0]
    assert NNBench(net).learning_potential() == math.inf
    assert diverging().learning_potential() == -math.inf


def refusing(after: int) -> Callable:
    """An ideal that raises at its nth fact."""
    left = [after]

    def ideal(x: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("planned")
        return x

    return ideal


def raising_at_large(x: Any) -> Any:
    if np.max(x) > 1.5:
        raise RuntimeError("planned")
    return x


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize(
    "fault, arguments",
    [
        (None, {"n": 20}),
        (None, {"n": 20, "alpha": 0.2}),
        ("ideal", {"n": 20, "alpha": 0.2}),
        ("map", {"n": 200, "alpha": 0.001}),
        (None, {"n": 0}),
        (None, {"n": 20, "alpha": -1}),
        (None, {"n": 20, "alpha": "0.1"}),
    ],
)
def test_the_potential_leaves_the_bench_as_it_found_it(
    optimizer: Any, fault: str | None, arguments: dict[str, Any]
) -> None:
    def bench_() -> NNBench:
        net = small(optimizer)
        net.layers = [Map(raising_at_large if fault == "map" else swapless, ones), *net.layers]
        bench = NNBench(net, swap)
        bench.net.learn(Facts([[0, 1]], [[1, 0]]))
        return bench

    bench, twin = bench_(), bench_()
    net, layers, loss = bench.net, bench.net.layers, bench.net.loss
    if fault == "ideal":
        bench.ideal = refusing(10)
    ok = fault is None and arguments["n"] and arguments.get("alpha", 0.2) == 0.2
    if ok:
        bench.learning_potential(**arguments)
    else:
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            bench.learning_potential(**arguments)
    bench.ideal = swap
    assert bench.net is net
    assert all(a is b for a, b in zip(net.layers, layers, strict=True))
    assert (net.loss, net.optimizer, net.alpha) == (loss, optimizer, optimizer.alpha)
    assert net.diverged is None
    assert bench.seed == 3
    facts = Facts([[0, 1], [0.5, 0.5]], [[1, 0], [0.5, 0.25]])
    assert bits(net) == bits(twin.net)
    assert same(list(net.steps(facts)), list(twin.net.steps(facts)))
    bench.rollback_net()
    twin.rollback_net()
    assert bits(net) == bits(twin.net)


def swapless(x: Any) -> Any:
    return x


def ones(x: Any) -> Any:
    return np.ones_like(x)


def test_learning_that_raises_leaves_the_bench_as_it_found_it() -> None:
    bench = NNBench(small(), refusing(10))
    before = bits(bench.net)
    with pytest.raises(RuntimeError, match="planned"):
        bench.learn(20)
    assert bits(bench.net) == before
    bench = NNBench(Network([Affinity(2, 2, rng=0), Map(raising_at_large, ones)]))
    before = bits(bench.net)
    with pytest.raises(ValueError, match=r"Map #1 'map1': f raised RuntimeError at x = .*planned"):
        bench.learn(500)
    assert bits(bench.net) == before
    assert bench.net.diverged is None


def test_net_and_repr() -> None:
    net = Network([Affinity(2, 2), LeakyReLU(0.1)], loss=SquaredError())
    bench = NNBench(net, swap)
    with pytest.raises(AttributeError):
        bench.net = Network()
    assert bench.net is net
    assert "swap" in repr(bench)
    assert "seed=3" in repr(bench)
    assert "leakyrelu1" in repr(bench)
