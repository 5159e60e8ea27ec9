"""How weights start: their spread and bounds, and the same rows in any number of them."""

from __future__ import annotations

import numpy as np
import pytest

from minnet.initializers import INITIALIZERS, glorot, he, normal, uniform

N, M, ROWS = 5, 3, 20_000


def drawn(initializer, seed=0):
    rows = initializer(np.random.default_rng(seed), N, M, (ROWS,))
    assert rows.shape == (ROWS, M * N + M)
    return rows[:, : M * N], rows[:, M * N :]


@pytest.mark.parametrize(
    "initializer, variance",
    [(normal, 1), (uniform, 1 / N / 3), (glorot, 2 / (N + M)), (he, 2 / N)],
)
def test_weights_have_their_variance_and_no_mean(initializer, variance):
    weights, _ = drawn(initializer)
    assert weights.var() == pytest.approx(variance, rel=0.02)
    assert abs(weights.mean()) < 0.01 * np.sqrt(variance)


def test_uniform_weights_and_biases_fill_their_bounds():
    for initializer, bound in ((uniform, 1 / np.sqrt(N)), (glorot, np.sqrt(6 / (N + M)))):
        weights, biases = drawn(initializer)
        assert 0.99 * bound < weights.max() <= bound
        assert -bound <= weights.min() < -0.99 * bound
        if initializer is uniform:
            assert 0.99 * bound < biases.max() <= bound


def test_biases_are_zero_or_drawn():
    assert not drawn(he)[1].any() and not drawn(glorot)[1].any()
    assert drawn(normal)[1].std() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("initializer", INITIALIZERS.values())
def test_a_row_is_the_same_among_any_number(initializer):
    few = initializer(np.random.default_rng(1), N, M, (4,))
    many = initializer(np.random.default_rng(1), N, M, (9,))
    one = initializer(np.random.default_rng(1), N, M)
    assert (few == many[:4]).all() and (one == few[0]).all()
