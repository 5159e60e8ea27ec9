"""A scalar function, applied to every element of an array, whatever way it was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array, brief

if TYPE_CHECKING:
    from minnet.layers import Layer

ScalarFunction = Callable[[Any], Any]


def elementwise(f: ScalarFunction, x: Array, layer: Layer, role: str) -> Array:
    """f at every element of x: a new array of the shape and dtype of x.

    f is called once on the whole array. Where that fails or gives another shape
    (a scalar-only function, a constant) it is called on one element after the
    other; the results are collected before they get a type, so that
    ``lambda x: 1 if x > 0 else 0.01`` does not turn 0.01 into 0.

    Raises
    ------
    TypeError
        If f returns what is not a real number (for real x).
    ValueError
        If f raises, or returns nan, at a finite x. Both name `layer` and `role`.
    """
    if not isinstance(x, np.ndarray):  # a symbol, for which f is written down, not computed
        y = f(x)
        y = y if isinstance(y, type(x)) else np.full_like(x, y)
        if y.shape != x.shape:
            raise ValueError(f"{role} returned shape {y.shape} for shape {x.shape}")
        return y
    frozen = x.view()
    frozen.flags.writeable = False  # an f that works in place then fails here, and works below
    try:
        y = np.asarray(f(frozen))
        whole = y.shape == x.shape and y.dtype.kind in "buifc"
    except Exception:
        whole = False
    if not whole:
        y = _one_by_one(f, x, layer, role)
    if y.dtype.kind == "c" and x.dtype.kind == "f":
        raise TypeError(f"{layer.label}: {role} returned complex numbers for real ones")
    with np.errstate(over="ignore"):
        y = y.astype(x.dtype)
    if y.dtype.kind in "fc":
        lost = np.isnan(y) & np.isfinite(x)
        if lost.any():
            raise ValueError(f"{layer.label}: {role} returned nan at x = {x[lost][0]}")
    return y


def _one_by_one(f: ScalarFunction, x: Array, layer: Layer, role: str) -> Array:
    results = []
    for value in x.flat:
        try:
            result = f(value)
        except Exception as error:
            if not np.isfinite(value):  # a divergence is no fault of f
                results.append(np.nan)
                continue
            raise ValueError(
                f"{layer.label}: {role} raised {type(error).__name__} at x = {value}: {error}"
            ) from error
        if not _is_number(result):
            raise TypeError(
                f"{layer.label}: {role} must return a number, not {brief(result)} (at x = {value})"
            )
        results.append(result)
    return np.array(results or np.zeros(0)).reshape(x.shape)


def _is_number(value: Any) -> bool:
    try:
        array = np.asarray(value)
    except Exception:
        return False
    return array.ndim == 0 and array.dtype.kind in "buifc"
