"""Learning potential over many alphas at once: the bench's own, and the bench as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from bench import NNBench, potential
from bench.potential import FINE, FURTHER, NS, PotentialMap
from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    LeakyReLU,
    Map,
    MeanSquaredError,
    Network,
    Optimizer,
    ReLU,
    Sigmoid,
    Tanh,
)

OPTIMIZERS = [SGD(0.1), SGD(0.05, 0.9, 0.01), Adam(0.02)]


def swap(x: Any) -> Any:
    return x[::-1]


def xor(x: Any) -> Any:
    return [float((x[0] > 0) != (x[1] > 0))]


def half_square() -> Map:
    return Map(lambda x: x * x / 2, lambda x: x)


def swapping(seed: int = 0) -> NNBench:
    return NNBench(Network([Affinity(2, 2, rng=seed)]), swap, seed)


def deep(optimizer: Optimizer = OPTIMIZERS[1], ideal: Any = swap, seed: Any = 3) -> NNBench:
    block = Network([Affinity(3, 3, rng=1), Tanh()], name="block")
    net = Network([Affinity(2, 3, rng=0), block, Affinity(3, 2, rng=2)], optimizer=optimizer)
    return NNBench(net, ideal, seed)


BENCHES: dict[str, Callable[[], NNBench]] = {
    **{repr(optimizer): lambda o=optimizer: deep(o) for optimizer in OPTIMIZERS},
    "the swap": swapping,
    "one that diverges": lambda: NNBench(Network([Affinity(2, 2, rng=0), half_square()]), swap),
    "a gate": lambda: NNBench(
        Network([Affinity(2, 4, rng=0), LeakyReLU(0.1), Affinity(4, 1, rng=0), Sigmoid()],
                loss=BinaryCrossEntropy()), xor),
    "a mean": lambda: NNBench(Network([Affinity(2, 2, rng=0)], loss=MeanSquaredError()), swap),
}  # fmt: skip


def everything(bench: NNBench) -> Any:
    """All of a bench, its arrays by their bits, its objects by their identity."""
    net = bench.net
    chains = [net, *(layer for layer in net.layers if isinstance(layer, Network))]
    return [
        [
            (
                id(chain), [id(layer) for layer in chain.layers], id(chain.loss),
                id(chain.optimizer), chain._engine, chain.names,
                None if chain._memory is None else
                {key: (id(a), a.tobytes()) for key, a in chain._memory.items()},
                None if chain._diverged is None else chain._diverged.tobytes(),
            )
            for chain in chains
        ],
        {key: (id(array), array.tobytes()) for key, array in net.parameters.items()},
        id(bench.seed), str(getattr(bench.seed, "bit_generator", bench.seed)),
        str(bench.seed.bit_generator.state) if isinstance(bench.seed, np.random.Generator) else 0,
        id(bench.ideal), str(bench.history), bench.history.present, bench.checkpoints,
    ]  # fmt: skip


@pytest.mark.parametrize("name", BENCHES)
@pytest.mark.parametrize("learned", [0, 7])
def test_each_entry_is_the_benchs_own_potential(name: str, learned: int) -> None:
    """To 1e-12 for a few facts; for many, rounding is multiplied by learning itself."""
    bench = BENCHES[name]()
    if learned:
        bench.learn(learned)  # what the optimizer remembers goes into it
    alphas, ns = [0.001, 0.03, 0.1, 0.5, 3.0], [1, 2, 5, 12]
    tried = bench.learning_potential_map(alphas, ns)
    assert tried.potential.shape == (5, 4)
    for i, alpha in enumerate(alphas):
        for j, n in enumerate(ns):
            own = bench.learning_potential(n, alpha)
            close = own == tried.potential[i, j] or math.isclose(
                own, tried.potential[i, j], rel_tol=1e-12, abs_tol=1e-12
            )
            assert close, (alpha, n)


def test_where_it_diverged_is_where_it_diverges() -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0), half_square()]), swap)
    tried = bench.learning_potential_map([0.5, 1e-4, 3, 0.1, 0.5], [40, 3, 3])
    np.testing.assert_array_equal(tried.alphas, [1e-4, 0.1, 0.5, 3])
    np.testing.assert_array_equal(tried.ns, [3, 40])
    for i, alpha in enumerate(tried.alphas.tolist()):
        bench.rollback_net()
        bench.net.alpha = alpha
        bench.learn(40)
        assert tried.diverged_at[i] == (-1 if bench.net.diverged is None else bench.net.diverged)
    assert tried.diverged_at[0] == -1 and (tried.diverged_at[2:] >= 0).all()
    assert ((tried.further == -np.inf) >= (tried.potential == -np.inf)).all()
    assert (tried.potential[2:, 1] == -np.inf).all() and not np.isnan(tried.potential).any()
    assert "diverged at fact" in str(tried) and "it does harm" in str(tried)


def test_what_diverged_is_not_good_for_further_facts_whatever_it_was() -> None:
    net = Network([Affinity(2, 2)])
    net.layers[0].M, net.layers[0].b = np.eye(2), [0, 0]
    bench = NNBench(net)
    stumbling = bench.training_data_gen(4).X[3, 0]
    bench.ideal = lambda x: x if x[0] != stumbling else [1e150, 1e150]
    tried = bench.learning_potential_map([1e-200, 1e200], [3, 5])
    assert tried.diverged_at.tolist() == [-1, 3]
    assert tried.further[1, 0] > 70 and tried.further[1, 1] == -np.inf
    assert np.isfinite(tried.further[0]).all()


def test_a_map_of_nothing_but_divergence() -> None:
    net = Network([Affinity(2, 2, rng=0), half_square(), half_square()])
    net.layers[0].M = [[1e9, 0], [0, 1e9]]
    bench = NNBench(net, swap)
    tried = bench.learning_potential_map()
    assert (tried.potential[:, 1:] == -np.inf).all() and not np.isnan(tried.further).any()
    assert (tried.diverged_at >= 0).all()
    with pytest.raises(ValueError, match="learning 10 facts diverges at every alpha from 1e-06"):
        bench.suggest_alpha(10)


def test_perfection_is_no_nan() -> None:
    net = Network([Affinity(2, 2)])
    net.layers[0].M, net.layers[0].b = np.eye(2), [0, 0]
    bench = NNBench(net)
    tried = bench.learning_potential_map([0.1, 1], [1, 10])
    assert (tried.potential == np.inf).all()
    assert (tried.further == tried.untouched).all() and np.isfinite(tried.further).all()
    assert bench.suggest_alpha(10) > 0
    assert str(tried)


def test_what_further_facts_are() -> None:
    bench = deep(OPTIMIZERS[0])
    tried = bench.learning_potential_map([0.02, 0.1], [4, 9])
    facts = bench.training_data_gen(9 + FURTHER)

    def expected() -> float:
        errors = bench.net(facts.X[9:]) - facts.T[9:]
        return -math.log(np.sum(errors**2) / 2 / FURTHER)

    assert tried.untouched == pytest.approx(expected(), rel=1e-12)
    for i, j in [(0, 0), (1, 1)]:
        bench.rollback_net()
        bench.net.alpha = tried.alphas[i]
        bench.learn(int(tried.ns[j]))
        assert tried.further[i, j] == pytest.approx(expected(), rel=1e-12)


class OnThree(NNBench):
    """A bench with no more than three facts."""

    def training_data_gen(self, n: int, *_: Any) -> Facts:
        facts = super().training_data_gen(3)
        return Facts(facts.X[:n], facts.T[:n])


def test_a_bench_with_few_facts_judges_by_those_learned() -> None:
    bench = OnThree(Network([Affinity(2, 2, rng=0)]), swap)
    tried = bench.learning_potential_map([0.1], [2, 3])
    bench.net.alpha = 0.1
    bench.learn(3)
    facts = bench.training_data_gen(3)
    loss = np.sum((bench.net(facts.X) - facts.T) ** 2) / 6
    assert tried.further[0, 1] == pytest.approx(-math.log(loss), rel=1e-12)
    assert 0.01 < bench.suggest_alpha(3) < 1
    with pytest.raises(ValueError, match="4 facts are asked for, but the bench has 3"):
        bench.suggest_alpha(4)


def test_by_default_the_map_goes_from_too_slow_to_beyond_the_edge() -> None:
    for bench in (swapping(), BENCHES["a gate"]()):
        tried = bench.learning_potential_map()
        assert tried.potential.shape == tried.further.shape == (FINE, len(NS))
        assert (np.diff(tried.alphas) > 0).all()
        best, edge = tried.best(), tried.edge()
        assert tried.alphas[0] < best / 10 and best < edge <= tried.alphas[-1]
        column = tried.further[:, -1]
        assert column[tried.alphas == best] > max(column[0], tried.untouched)
        assert column[tried.alphas == edge] < tried.untouched
    tried = swapping().learning_potential_map()
    assert tried.best(10) in tried.alphas and tried.edge(10) > tried.best(10)
    with pytest.raises(ValueError, match="the map has no n = 7; it has"):
        tried.best(7)


def test_the_best_is_the_middle_of_what_is_nearly_as_good_and_no_lucky_one() -> None:
    def map_of(further: list[float]) -> PotentialMap:
        column = np.array(further)[:, None]
        alphas = np.geomspace(0.001, 1000, len(further))
        return PotentialMap(alphas, np.array([5]), column, np.full(len(further), -1), column, 0.0)

    assert map_of([0, 1, 5, 20, 19.9, 19.5, 3]).best() == pytest.approx(10)
    assert map_of([0, 1, 2, 1, 30, 1, 1]).best() < 10, "30 is luck"
    assert map_of([0, 0.1, 0.2, 0.5, 0.5, 0.4, -1]).edge() == pytest.approx(1000)
    assert map_of([-1, -1, 0.2, 0.5, 0.5, 0.4, 0]).edge() == math.inf


def test_a_suggestion_keeps_away_from_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    def cliff(bench: Any, alphas: Any, ns: Any) -> PotentialMap:
        further = np.where(alphas > 0.3, -5.0, 10 * alphas)[:, None]
        return PotentialMap(alphas, ns, further, np.full(len(alphas), -1), further, 0.0)

    monkeypatch.setattr(potential, "_map", cliff)
    assert 0.15 <= swapping().suggest_alpha() <= 0.19


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [30, 100])
def test_the_swap_is_learned_better_at_the_suggestion_than_at_ten_times_more_or_less(
    seed: int, n: int
) -> None:
    bench = swapping(seed)
    alpha = bench.suggest_alpha(n)
    assert type(alpha) is float
    here, slower, faster = (bench.learning_potential(n, alpha * f) for f in (1, 0.1, 10))
    assert here > slower + 2 and here > faster + 2
    assert here > 5 and bench.learning_potential(n, 2 * alpha) > -math.log(1e3), "far from the edge"


@pytest.mark.parametrize("name", BENCHES)
def test_learning_at_the_suggestion_beats_not_learning(name: str) -> None:
    bench = BENCHES[name]()
    alpha = bench.suggest_alpha(200)
    facts = bench.training_data_gen(600)
    others = Facts(facts.X[300:], facts.T[300:])

    def loss() -> float:
        return float(bench.net.loss(bench.net(others.X), others.T))

    before = loss()
    bench.net.alpha = alpha
    bench.learn(200)
    assert bench.net.diverged is None and loss() < before


# the bench as it was


def interrupting(after: int) -> Callable[[Any], Any]:
    left = [after]

    def ideal(x: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return x

    return ideal


def raising_at_large(x: Any) -> Any:
    if np.max(np.abs(x)) > 2.5:
        raise RuntimeError("planned")
    return x


def with_gate(optimizer: Optimizer) -> NNBench:
    bench = deep(optimizer)
    bench.net.layers = [Map(raising_at_large, lambda x: 1), *bench.net.layers]
    return bench


CALLS: dict[str, tuple[Callable[[NNBench], Any], type[BaseException] | None]] = {
    "a map": (lambda b: b.learning_potential_map([0.01, 1], [1, 9]), None),
    "a default map": (lambda b: b.learning_potential_map(ns=[20]), None),
    "a suggestion": (lambda b: b.suggest_alpha(20), None),
    "n = 0": (lambda b: b.suggest_alpha(0), ValueError),
    "n a fraction": (lambda b: b.suggest_alpha(1.5), TypeError),
    "n = 0 in a map": (lambda b: b.learning_potential_map([0.1], [0, 1]), ValueError),
    "no ns": (lambda b: b.learning_potential_map([0.1], []), ValueError),
    "no alphas": (lambda b: b.learning_potential_map([], [1]), ValueError),
    "alphas below 0": (lambda b: b.learning_potential_map([-1, 0.1], [1]), ValueError),
    "alpha 0": (lambda b: b.learning_potential_map([0.0], [1]), ValueError),
    "alpha nan": (lambda b: b.learning_potential_map([0.1, np.nan], [1]), ValueError),
    "alphas in rows": (lambda b: b.learning_potential_map([[0.1]], [1]), TypeError),
    "alphas in words": (lambda b: b.learning_potential_map("0.1", [1]), TypeError),
    "an alpha in words": (lambda b: b.learning_potential_map(["0.1"], [1]), TypeError),
    "an alpha alone": (lambda b: b.learning_potential_map(0.1, [1]), TypeError),
    "n alone": (lambda b: b.learning_potential_map([0.1], 5), TypeError),
}


@pytest.mark.parametrize("call, error", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_the_bench_is_left_as_it_was(
    optimizer: Optimizer, call: Any, error: type[BaseException] | None
) -> None:
    bench = deep(optimizer, seed=np.random.default_rng(5))
    bench.checkpoint_net("a")
    bench.learn(5)
    before = everything(bench)
    if error is None:
        call(bench)
    else:
        with pytest.raises(error, match=r"alpha|facts|ns"):
            call(bench)
    assert everything(bench) == before


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("call", [CALLS["a map"][0], CALLS["a suggestion"][0]])
@pytest.mark.parametrize("fault", ["Ctrl-C in the ideal", "an error in a layer", "no width"])
def test_whatever_happens_the_bench_is_left_as_it_was(
    optimizer: Optimizer, call: Any, fault: str
) -> None:
    bench = with_gate(optimizer) if "layer" in fault else deep(optimizer)
    bench.net.learn(Facts([[0, 1]], [[1, 0]]))
    if fault.startswith("Ctrl"):
        bench.ideal = interrupting(15)
    elif fault == "no width":
        bench.net.layers = [ReLU()]
    before = everything(bench)
    with pytest.raises((KeyboardInterrupt, ValueError)):
        call(bench)
    assert everything(bench) == before


def test_a_crowd_has_no_map() -> None:
    bench = NNBench(Network([Affinity(2, 2)]).replicate(3, 0), swap)
    before = everything(bench)
    for call in (bench.learning_potential_map, bench.suggest_alpha):
        with pytest.raises(ValueError, match="of one network that learns, not a crowd"):
            call()
    assert everything(bench) == before


@given(
    alphas=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=6),
    ns=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    name=st.sampled_from(sorted(BENCHES)),
)
@settings(max_examples=20)
def test_maps_of_any_grid(alphas: list[float], ns: list[int], name: str) -> None:
    bench = BENCHES[name]()
    before = everything(bench)
    tried = bench.learning_potential_map(alphas, ns)
    assert everything(bench) == before
    assert tried.alphas.tolist() == sorted(set(alphas)) and tried.ns.tolist() == sorted(set(ns))
    assert not np.isnan(tried.potential).any() and not np.isnan(tried.further).any()
    assert (tried.potential[:, -1] == -np.inf).tolist() == (
        (tried.diverged_at >= 0) & (tried.diverged_at < tried.ns[-1])
    ).tolist()
    one = bench.learning_potential_map(alphas[:1], ns)
    np.testing.assert_allclose(
        one.potential[0], tried.potential[tried.alphas == alphas[0]][0], rtol=1e-9
    )
    assert tried.best() in tried.alphas and str(tried).count("\n") >= 2
