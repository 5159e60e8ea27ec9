"""Every loss has every property, and what only some of them promise."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, ClassVar

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from hypothesis import given
from properties import LossCase, LossProperties, close, moderate, probabilities, same

from minnet import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy, SquaredError

reductions = st.sampled_from(["sum", "mean"])
from_logits = st.just(True)


class TestLosses(LossProperties):
    cases: ClassVar = {
        "SquaredError": LossCase(st.builds(SquaredError, reductions)),
        "MeanSquaredError": LossCase(st.builds(MeanSquaredError, reductions)),
        "BinaryCrossEntropy": LossCase(
            st.builds(BinaryCrossEntropy, reduction=reductions), "probabilities", "probabilities"
        ),
        "BinaryCrossEntropy from logits": LossCase(
            st.builds(BinaryCrossEntropy, from_logits, reductions), "numbers", "probabilities"
        ),
        "SoftmaxCrossEntropy": LossCase(
            st.builds(SoftmaxCrossEntropy, reductions), "numbers", "probabilities", least=2
        ),
    }


def test_default_reductions() -> None:
    """MeanSquaredError averages as PyTorch's does, the others add up."""
    assert MeanSquaredError().reduction == "mean"
    for loss in (SquaredError(), BinaryCrossEntropy(), SoftmaxCrossEntropy()):
        assert loss.reduction == "sum"


@given(st.data(), hnp.array_shapes(max_dims=3, max_side=4))
def test_mean_squared_error_is_the_mean_over_all_entries(
    data: st.DataObject, shape: tuple[int, ...]
) -> None:
    y, t = data.draw(moderate(shape), "y"), data.draw(moderate(shape), "expected")
    axes = tuple(range(max(0, len(shape) - 2), len(shape)))
    close(MeanSquaredError()(y, t), np.mean((y - t) ** 2, axis=axes), "loss", 1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_probabilities_are_clipped_where_their_logarithm_ends(dtype: Any) -> None:
    """The largest finite loss is that of the smallest float, or of the largest below 1."""
    limits = np.finfo(dtype)
    loss = BinaryCrossEntropy()
    wrong = np.array([0, 1], dtype)
    close(loss(wrong[:1], [1]), -math.log(limits.smallest_subnormal), "loss of 0 for 1", 1e-6)
    close(loss(wrong[1:], [0]), -math.log(limits.epsneg), "loss of 1 for 0", 1e-6)
    steepest = [-1 / float(limits.tiny), 1 / float(limits.epsneg)]
    for i in (0, 1):
        close(loss.gradient(wrong[i : i + 1], [1 - i]), [steepest[i]], "gradient", 1e-6)
    assert loss(wrong, [0, 1]) < 1e-6
    close(loss.gradient(wrong, [0, 1]), [1, -1], "gradient where right", 1e-6)


@given(st.data(), hnp.array_shapes(max_dims=2, max_side=4), probabilities((3,)))
def test_probabilities_outside_are_refused(
    data: st.DataObject, shape: tuple[int, ...], good: Any
) -> None:
    """Outputs and expected values outside [0, 1] are refused, also just outside."""
    outside = data.draw(st.sampled_from([-5e-324, -1e-9, 1 + 2.0**-52, 2.0, -1e4]), "outside")
    bad = good.copy()
    bad[data.draw(st.integers(0, 2), "where")] = outside
    for y, t, loss in (
        (bad, good, BinaryCrossEntropy()),
        (good, bad, BinaryCrossEntropy()),
        (good, bad, BinaryCrossEntropy(from_logits=True)),
        (good, bad, SoftmaxCrossEntropy()),
    ):
        for function in (loss, loss.gradient):
            with pytest.raises(ValueError, match=r"in \[0"):
                function(y, t)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), reductions)
def test_class_indices_are_one_hot(
    data: st.DataObject, shape: tuple[int, ...], reduction: str
) -> None:
    """A class index says what the unit vector of that class says; what is no class is refused."""
    loss, y = SoftmaxCrossEntropy(reduction), data.draw(moderate(shape), "y")
    shared = len(shape) == 3 and data.draw(st.booleans(), "shared")
    kind = data.draw(st.sampled_from([np.int64, np.uint8, np.int32]), "kind")
    lead = shape[1:-1] if shared else shape[:-1]
    indices = data.draw(hnp.arrays(kind, lead, elements=st.integers(0, shape[-1] - 1)), "classes")
    one_hot = np.zeros((*lead, shape[-1]))
    np.put_along_axis(one_hot, np.asarray(indices, np.int64)[..., None], 1, -1)
    same(loss(y, indices), loss(y, one_hot), "loss")
    same(loss.gradient(y, indices), loss.gradient(y, one_hot), "gradient")
    for wrong in (shape[-1], -1):
        bad = np.array(indices, np.int64)
        bad[(0,) * bad.ndim] = wrong
        with pytest.raises(ValueError, match="class index"):
            loss(y, bad)


def test_binary_cross_entropy_keeps_its_digits_in_both_tails() -> None:
    """The loss and slope of a confident right answer are small, and accurate."""
    p = np.geomspace(1e-300, 0.5, 200)
    assert_accurate([BinaryCrossEntropy()([q], [0]) for q in p], -np.log1p(-p))
    z, loss = np.geomspace(1e-3, 70, 200), BinaryCrossEntropy(from_logits=True)
    exact = oracle.exactly(lambda x: (1 + (-x).exp()).ln(), z)
    assert_accurate([loss([far], [1]) for far in z], exact)
    assert_accurate([loss([-far], [0]) for far in z], exact)
    z = np.geomspace(1e-3, 700, 200)
    exact = oracle.exactly(lambda x: 1 / (1 + x.exp()), z)
    assert_accurate(loss.gradient(-z, np.zeros_like(z)), exact)


def assert_accurate(actual: Any, exact: Any) -> None:
    assert np.all(np.abs(np.asarray(actual) / exact - 1) < 1e-14)


@pytest.mark.parametrize("far", [1e4, 1e3, 89.0])
def test_cross_entropies_at_the_ends_of_the_range(far: float) -> None:
    """Far out a loss is the distance by which the logit is wrong, and its slope is 1."""
    z, t = np.array([far, -far]), np.array([0.0, 1.0])
    for loss, expected in (
        (BinaryCrossEntropy(from_logits=True), 2 * far),
        (SoftmaxCrossEntropy(), 2 * far),
    ):
        close(loss(z, t), expected, "loss", 1e-15)
        close(loss.gradient(z, t), [1, -1], "gradient", 1e-15)
        close(loss(z, t[::-1]), 0.0, "loss where right", 0, 1e-30)
        close(loss.gradient(z, t[::-1]), [0, 0], "gradient where right", 0, 1e-30)


def test_the_references_are_exact() -> None:
    """Fifty digits of a logarithm are not taken on trust."""
    assert float(Decimal(2).ln()) == math.log(2)
    assert oracle.exactly(lambda x: x.exp(), np.array([1.0]))[0] == math.e
