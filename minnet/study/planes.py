"""Windows, and the planes of inputs that they look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from minnet.checks import Array, floating
from minnet.layers import Layer
from minnet.study.piecewise import PiecewiseLinear, piecewise_linear, straight
from minnet.study.subdivision import Window


def window_of(window: Any) -> Window:
    """((left, right), (low, high)) as floats."""
    array = floating(window, "the window", np.float64)
    if array.shape != (2, 2):
        raise ValueError(
            f"the window must be ((left, right), (low, high)), not of shape {array.shape}"
        )
    (left, right), (low, high) = array.tolist()
    if not (left < right and low < high):
        raise ValueError(f"the window {((left, right), (low, high))} is empty")
    if not np.isfinite(right - left) or not np.isfinite(high - low):
        raise ValueError("the window is too large for float64")
    return (left, right), (low, high)


def on_plane(
    net: Layer, origin: Any, directions: Any
) -> tuple[PiecewiseLinear, tuple[Array, Array] | None]:
    """The network on the window's two coordinates, and how they become its inputs."""
    if origin is None and directions is None:
        function = piecewise_linear(net, 2)
        if function.n != 2:
            raise ValueError(
                f"{net.label} takes {function.n} inputs, a window has two: give the plane through "
                "them by an origin and two directions"
            )
        return function, None
    start = floating([] if origin is None else origin, "the origin", np.float64)
    steps = floating([] if directions is None else directions, "the directions", np.float64)
    function = piecewise_linear(net, start.size)
    if start.shape != (function.n,) or steps.shape != (2, function.n):
        raise ValueError(
            f"for {function.n} inputs the origin must have shape ({function.n},) and the "
            f"directions (2, {function.n}); {start.shape} and {steps.shape} came"
        )
    return PiecewiseLinear([straight(steps.T, start), *function.stages]), (steps, start)
