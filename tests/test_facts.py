"""Training data: checked and copied once, then read-only; gates, parity and samples."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minnet import Facts
from minnet.facts import GATES, gate, parity, sample


def test_facts_are_copied_and_read_only() -> None:
    X, T = np.eye(2), np.ones((2, 1))
    facts = Facts(X, T)
    X[:], T[:] = 7, 7
    assert facts.X.tolist() == [[1, 0], [0, 1]]
    assert facts.T.tolist() == [[1], [1]]
    batch = facts.batches(2)[0]
    for array in (facts.X, facts.T, *next(iter(facts)), *batch):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 3


@pytest.mark.parametrize(
    "given_type, kept",
    [
        (bool, np.float32),
        (np.int8, np.float32),
        (np.int64, np.float64),
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
    ],
)
def test_facts_are_floating_in_a_type_that_holds_them(given_type: type, kept: type) -> None:
    facts = Facts(np.eye(2, dtype=given_type), np.eye(2, dtype=given_type))
    assert facts.X.dtype == facts.T.dtype == kept
    assert facts.X.tolist() == [[1, 0], [0, 1]]


def test_class_indices_stay_integers() -> None:
    facts = Facts(np.eye(3), [2, 0, 1])
    assert facts.T.dtype.kind == "i"
    assert [int(t) for _, t in facts] == [2, 0, 1]


def test_iterating_gives_the_facts_in_order() -> None:
    facts = gate("xor")
    assert len(facts) == 4
    assert [(x.tolist(), t.tolist()) for x, t in facts] == [
        ([0, 0], [0]),
        ([0, 1], [1]),
        ([1, 0], [1]),
        ([1, 1], [0]),
    ]
    assert list(map(str, facts)) == list(map(str, facts))  # as often as wanted
    assert repr(facts) == "Facts(X (4, 2), T (4, 1))"


@given(n=st.integers(1, 30), size=st.integers(1, 40))
def test_batches_are_the_facts_in_order(n: int, size: int) -> None:
    facts = Facts(np.arange(2 * n).reshape(n, 2), np.arange(n)[:, None])
    batches = facts.batches(size)
    assert [len(x) for x, _ in batches[:-1]] == [size] * (len(batches) - 1)
    assert 1 <= len(batches[-1][0]) <= size
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), facts.X)
    np.testing.assert_array_equal(np.concatenate([t for _, t in batches]), facts.T)


@given(n=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_shuffled_facts_are_the_same_facts(n: int, seed: int) -> None:
    facts = Facts(np.arange(n)[:, None], -np.arange(n)[:, None])
    shuffled = facts.shuffled(seed)
    assert sorted(shuffled.X.ravel()) == list(range(n))
    np.testing.assert_array_equal(shuffled.T, -shuffled.X)
    np.testing.assert_array_equal(shuffled.X, facts.shuffled(np.random.default_rng(seed)).X)
    np.testing.assert_array_equal(facts.X.ravel(), range(n))


def test_shuffling_shuffles_and_keeps_types() -> None:
    facts = Facts(np.eye(50, dtype=np.float32), np.arange(50))
    shuffled = facts.shuffled(0)
    assert shuffled.T.tolist() != facts.T.tolist()
    assert (shuffled.X.dtype, shuffled.T.dtype) == (facts.X.dtype, facts.T.dtype)
    assert facts.shuffled(1).T.tolist() != shuffled.T.tolist()


TRUTH = {
    "false": lambda a, b: False,
    "and": lambda a, b: a and b,
    "a_not_b": lambda a, b: a and not b,
    "a": lambda a, b: a,
    "b_not_a": lambda a, b: b and not a,
    "b": lambda a, b: b,
    "xor": lambda a, b: a != b,
    "or": lambda a, b: a or b,
    "nor": lambda a, b: not (a or b),
    "xnor": lambda a, b: a == b,
    "not_b": lambda a, b: not b,
    "a_or_not_b": lambda a, b: a or not b,
    "not_a": lambda a, b: not a,
    "b_or_not_a": lambda a, b: b or not a,
    "nand": lambda a, b: not (a and b),
    "true": lambda a, b: True,
}


@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1), (1, 0), (0.25, 0.75)])
@pytest.mark.parametrize("name", TRUTH)
def test_gates_are_their_truth_tables(name: str, low: float, high: float) -> None:
    facts = gate(name, low=low, high=high)
    rows = list(itertools.product([False, True], repeat=2))
    level = {False: low, True: high}
    assert facts.X.shape == (4, 2)
    assert facts.T.shape == (4, 1)
    assert facts.X.tolist() == [[level[a], level[b]] for a, b in rows]
    assert facts.T.ravel().tolist() == [level[bool(TRUTH[name](a, b))] for a, b in rows]


def test_the_sixteen_gates_are_all_and_distinct() -> None:
    assert set(GATES) == set(TRUTH)
    assert len({tuple(gate(name).T.ravel()) for name in GATES}) == len(GATES) == 16


@pytest.mark.parametrize("bits", range(1, 7))
def test_parity_counts(bits: int) -> None:
    facts = parity(bits, low=-1, high=1)
    inputs = list(itertools.product([-1, 1], repeat=bits))
    assert facts.X.tolist() == [list(x) for x in inputs]
    assert facts.T.ravel().tolist() == [1 if x.count(1) % 2 else -1 for x in inputs]


def test_parity_of_two_is_xor() -> None:
    np.testing.assert_array_equal(parity(2).X, gate("xor").X)
    np.testing.assert_array_equal(parity(2).T, gate("xor").T)


@given(n=st.integers(1, 20), width=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_samples_are_the_ideals(n: int, width: int, seed: int) -> None:
    facts = sample(lambda x: [x.sum(), 1], n, width, seed)
    assert facts.X.shape == (n, width)
    np.testing.assert_allclose(facts.T[:, 0], facts.X.sum(axis=1))
    more = sample(lambda x: [x.sum(), 1], n + 7, width, seed)
    assert more.X[:n].tobytes() == facts.X.tobytes()  # fewer facts are the first of more
    assert more.T[:n].tobytes() == facts.T.tobytes()


def test_samples_are_standard_normal_or_what_is_asked_for() -> None:
    X = sample(lambda x: x, 20_000, 2, rng=0).X
    np.testing.assert_allclose([X.mean(), X.std()], [0, 1], atol=0.02)
    uniform = sample(lambda x: x, 1000, 2, 0, lambda rng, size: rng.uniform(2, 3, size)).X
    assert uniform.min() >= 2
    assert uniform.max() <= 3
    assert sample(lambda x: x, 3, 1, rng=None).X.tolist() != sample(lambda x: x, 3, 1).X.tolist()


def test_a_generator_goes_on_where_it_was() -> None:
    rng = np.random.default_rng(0)
    first, second = sample(lambda x: x, 5, 2, rng), sample(lambda x: x, 5, 2, rng)
    assert first.X.tolist() != second.X.tolist()
    assert first.X.tolist() == sample(lambda x: x, 5, 2, 0).X.tolist()


def test_no_expected_value_takes_the_type_of_the_first_one() -> None:
    X = iter([[1.0], [-1.0]])
    facts = sample(
        lambda x: [1] if x[0] > 0 else [0.5], 2, 1, 0, lambda rng, size: np.array(list(X))
    )
    assert facts.T.tolist() == [[1], [0.5]]


def test_an_ideal_that_writes_into_its_input_harms_nothing() -> None:
    def ideal(x: Any) -> Any:
        x *= 0
        return x

    facts = sample(ideal, 3, 2, rng=0)
    assert (facts.X != 0).all()
    assert (facts.T == 0).all()


def test_an_ideal_may_give_class_indices() -> None:
    facts = sample(lambda x: int(x[0] > 0), 50, 2, rng=0)
    assert facts.T.shape == (50,)
    assert facts.T.tolist() == [int(x > 0) for x in facts.X[:, 0]]


@pytest.mark.parametrize("ideal", [lambda x: None, lambda x: 0.5, lambda x: 1 / 0, lambda x: "a"])
def test_a_failing_ideal_leaves_the_generator_where_it_was(ideal: Any) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises((TypeError, ValueError, ZeroDivisionError)):
        sample(ideal, 5, 2, rng)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
