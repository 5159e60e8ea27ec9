"""Map: a scalar function over every element, whatever way it was written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minnet import Affinity, Map, Network

X = np.array([[-2.0, 0.5], [0.0, 3.0], [1.0, -0.25]])


def in_place(x: Any) -> Any:
    x *= 2
    return x


def counting(f: Callable) -> tuple[Callable, list[int]]:
    calls = [0]

    def counted(x: Any) -> Any:
        calls[0] += 1
        return f(x)

    return counted, calls


WRITTEN = {
    "whole arrays": (np.tanh, np.tanh),
    "a whole-array lambda": (lambda x: x * x / 2, lambda x: x * x / 2),
    "scalars only": (math.tanh, np.tanh),
    "a condition": (lambda x: x if x > 0 else 0.01 * x, lambda x: np.where(x > 0, x, 0.01 * x)),
    "first an integer": (lambda x: 0 if x < 0 else x / 2, lambda x: np.where(x < 0, 0, x / 2)),
    "bools": (lambda x: x > 0, lambda x: np.where(x > 0, 1.0, 0.0)),
    "a bool of scalars": (lambda x: bool(x > 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "a constant": (lambda x: 7, lambda x: np.full_like(x, 7)),
    "a constant array": (lambda x: np.array(7), lambda x: np.full_like(x, 7)),
    "the argument itself": (lambda x: x, lambda x: x),
    "a view of it": (lambda x: x[...], lambda x: x),
    "in place": (in_place, lambda x: 2 * x),
    "a method": (lambda x: x.clip(0, 1), lambda x: np.clip(x, 0, 1)),
    "of one element of it": (lambda x: max(x, 0), lambda x: np.maximum(x, 0)),
    "np.vectorize": (np.vectorize(lambda x: 2.5 * x), lambda x: 2.5 * x),
    "of objects": (np.frompyfunc(lambda x: x * x, 1, 1), lambda x: x * x),
    "infinite": (lambda x: math.inf, lambda x: np.full_like(x, np.inf)),
}


@pytest.mark.parametrize("f, expected", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(3, 2), (6,), (1,), (1, 6), (1, 1), (3, 1, 2)])
def test_functions_work_however_they_are_written(
    f: Callable, expected: Callable, dtype: type, shape: tuple[int, ...]
) -> None:
    x = np.resize(X, shape).astype(dtype)
    before = x.copy()
    for y in (Map(f, f).f(x), Map(f, f).dfdx(x), Map(f, f)(x), Map(f, f).forward(x)[0]):
        assert y.shape == x.shape
        assert y.dtype == dtype
        assert not np.shares_memory(x, y)
        np.testing.assert_allclose(y, expected(before), rtol=1e-6 if dtype == np.float32 else 1e-15)
    np.testing.assert_array_equal(x, before)


def test_no_result_takes_the_type_of_the_first_one() -> None:
    slope = Map(lambda x: x, lambda x: 1 if x > 0 else 0.01)
    np.testing.assert_array_equal(slope.dfdx(np.array([2.0, -3.0])), [1, 0.01])
    np.testing.assert_array_equal(slope.dfdx(np.array([-3.0, 2.0])), [0.01, 1])
    first_bool = Map(lambda x: True if x > 1 else x, lambda x: 1)
    np.testing.assert_array_equal(first_bool([2, 0.5]), [1, 0.5])


def test_a_whole_array_function_is_called_once() -> None:
    f, calls = counting(np.tanh)
    layer = Map(f, f)
    layer(np.zeros((50, 20)))
    assert calls == [1]
    _, cache = layer.forward(np.zeros((50, 20)))
    layer.backprop(np.ones((50, 20)), cache)
    assert calls == [3]
    assert layer.backprop(np.ones((50, 20)), cache, inputs=False) == (None, {})
    assert calls == [3]


def test_backprop_multiplies_by_the_derivative_at_the_input() -> None:
    layer = Map(lambda x: x * x / 2, lambda x: x)
    dy = np.random.default_rng(0).standard_normal(X.shape)
    _, cache = layer.forward(X)
    layer.forward(2 * X)
    dx, gradients = layer.backprop(dy, cache)
    np.testing.assert_array_equal(dx, dy * X)
    assert gradients == {}


def broken(where: float, error: type[Exception] = RuntimeError) -> Callable:
    def f(x: Any) -> Any:
        if np.any(x == where):
            raise error("planned")
        return 2 * x

    return f


def nan_at(where: float) -> Callable:
    return lambda x: np.where(x == where, np.nan, x)


BAD = {
    "raises": (broken(3), ValueError, ["raised RuntimeError", "x = 3.0", "planned"]),
    "raises a TypeError": (broken(3, TypeError), ValueError, ["raised TypeError", "x = 3.0"]),
    "math domain": (math.sqrt, ValueError, ["raised ValueError", "x = -2.0"]),
    "a root": (lambda x: x**0.5, ValueError, ["returned nan", "x = -2.0"]),
    "division": (lambda x: 1 / float(x), ValueError, ["raised ZeroDivisionError", "x = 0.0"]),
    "overflow": (lambda x: math.exp(1e4 * x), ValueError, ["raised OverflowError", "x = 0.5"]),
    "nan": (nan_at(3), ValueError, ["returned nan", "x = 3.0"]),
    "nan of scalars": (lambda x: math.nan if x == 3 else 1, ValueError, ["nan", "x = 3.0"]),
    "nothing": (lambda x: None, TypeError, ["return a number", "None"]),
    "strings": (lambda x: "1", TypeError, ["return a number", "'1'"]),
    "a list": (lambda x: [1, 2, 3], TypeError, ["return a number", "[1, 2, 3]"]),
    "ragged": (lambda x: [1, [2]], TypeError, ["return a number", "[1, [2]]"]),
    "complex": (lambda x: x * 1j, TypeError, ["complex"]),
    "complex of scalars": (lambda x: complex(x), TypeError, ["complex"]),
    "dates": (lambda x: np.datetime64("2020"), TypeError, ["return a number"]),
    "objects": (np.frompyfunc(lambda x: object(), 1, 1), TypeError, ["return a number"]),
    "strings as objects": (np.frompyfunc(str, 1, 1), TypeError, ["return a number"]),
    "another shape": (lambda x: x[:1], ValueError, ["x = -2.0"]),
    "no argument": (lambda: 1, ValueError, ["raised TypeError"]),
}


@pytest.mark.parametrize("f, error, words", BAD.values(), ids=BAD)
def test_bad_functions_are_named(f: Callable, error: type[Exception], words: list[str]) -> None:
    def good(x: Any) -> Any:
        return x

    for role, layer in (("f", Map(f, good)), ("dfdx", Map(good, f))):
        net = Network([Affinity(2, 2), layer, Affinity(2, 1)])
        net.layers[0].M, net.layers[0].b = np.eye(2), [0, 0]
        before = [array.tobytes() for array in net.parameters.values()]
        with pytest.raises(error) as caught:
            net.learn([(X, np.zeros((3, 1)))])
        for word in (f"Map #1 'map1': {role} ", *words):
            assert word in str(caught.value)
        assert [array.tobytes() for array in net.parameters.values()] == before


def test_nan_is_refused_only_where_the_input_is_finite() -> None:
    layer = Map(lambda x: x - x, lambda x: 1)
    y = layer.f(np.array([1.0, np.nan]))
    assert y[0] == 0
    assert np.isnan(y[1])
    scalar = Map(lambda x: float(x), lambda x: 1)
    np.testing.assert_array_equal(scalar.f(np.array([np.inf, -np.inf])), [np.inf, -np.inf])


def test_a_scalar_function_that_raises_at_infinity_is_given_nan() -> None:
    """An infinite input is divergence already; the function is not to blame."""
    y = Map(math.sin, math.cos).f(np.array([np.inf, 0.0]))
    assert np.isnan(y[0])
    assert y[1] == 0


def test_float32_overflow_is_infinite_without_warning() -> None:
    y = Map(lambda x: float(x) * 1e300, lambda x: 1).f(np.array([2.0, -2.0], np.float32))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [np.inf, -np.inf])


@pytest.mark.parametrize("role", ["f", "dfdx"])
@pytest.mark.parametrize("what", [3, None, "tanh", [np.tanh]])
def test_what_cannot_be_called_is_refused(role: str, what: object) -> None:
    functions = {"f": np.tanh, "dfdx": np.tanh} | {role: what}
    with pytest.raises(TypeError, match=f"Map: {role} must be a function, not"):
        Map(**functions)
