r"""The derivative of a function that only can be evaluated, found in two independent ways.

- A complex step, where the function takes complex numbers: f(a + i h v) = f(a) + i h J v
  for h = 1e-20, exact to rounding [1]_.
- Central differences, extrapolated to h = 0 (Richardson) [2]_, which also say how far
  they can be trusted, and whether there is a kink. The complex step is only believed
  where they agree with it: abs or conj would make it wrong without a word.

.. [1] W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real
   functions", SIAM Review 40 (1998).
.. [2] L. F. Richardson, "The approximate arithmetical solution by finite differences",
   Phil. Trans. A 210 (1911); the odd powers of h in f(h) - 2 f(0) + f(-h) vanish likewise
   unless there is a kink.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minnet.checks import Array

EXACT = 1e-9  # the relative error allowed beside the complex step
ESTIMATED = 1e-6  # and beside finite differences, on top of their own uncertainty
ROUNDING = 1e-12  # of |y| for a step of size 1: what cancellation may leave of a gradient
STEP = 1e-20
LEAST = 1e-290  # numbers near the end of the float range have lost their digits
EPSILON = float(np.finfo(np.float64).eps)

Function: TypeAlias = Callable[[Any], Array]


@dataclass(frozen=True)
class Jacobian:
    """The derivatives of a function along some directions, and what is known of their errors."""

    directions: Array  # (directions, *shape of the argument)
    slopes: Array  # (directions, outputs), as the next two
    uncertainty: Array
    kinks: Array  # where the slope jumps, so that anything between those of both sides may do
    exact: bool  # by complex steps

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the argument."""
        return self.directions.shape[1:]

    @property
    def whole(self) -> bool:
        """Whether there is one direction for each entry of the argument."""
        return len(self.directions) == self.directions[0].size


def jacobian(f: Function, a: Array, directions: Array, y: Array) -> Jacobian:
    """The derivative of f at a along each direction.

    Parameters
    ----------
    f : function from an array like a, real or complex, to a new array (outputs,)
        nan where it is not defined.
    a : ndarray of float64
    directions : ndarray, shape (directions, *a.shape)
    y : ndarray, shape (outputs,)
        f(a).

    Examples
    --------
    >>> a = np.array([3.0, 0.0])
    >>> found = jacobian(lambda x: np.where(x > 0, 2 * x, x), a, np.eye(2), 2 * a)
    >>> found.slopes.round(9).tolist(), found.kinks[1].tolist(), found.exact
    ([[2.0, 0.0], [0.0, 1.5]], [False, True], True)
    """
    size = max(1.0, largest(a))
    smallest = float(np.abs(a[a != 0]).min(initial=size))
    least = min(1e-7 * size, max(1e-3 * smallest, 1e-15))
    estimates = [
        _differences(lambda t, v=v: f(a + t * v), y, size, least)  # type: ignore[misc]
        for v in directions
    ]
    slopes, uncertainty, kinks = map(np.stack, zip(*estimates, strict=True))
    scale = largest(slopes)
    kinks &= uncertainty > 0.1 * ESTIMATED * scale  # a smaller jump is hardly more than noise
    steps = _complex_steps(f, a, directions, y)
    settled = ~kinks & (uncertainty <= 1e-3 * scale + ROUNDING * largest(y) / size)
    apart = np.abs(steps - slopes)
    agreed = apart <= uncertainty + ESTIMATED * scale
    exact = bool(agreed[settled].all()) and not np.isnan(steps).any()
    if exact:  # what differences cannot settle is lost in rounding or at a kink: trust neither
        sure = np.maximum(0.01 * uncertainty, STEP * scale)  # which the step's square is far below
        uncertainty = np.where(settled, sure, np.maximum(uncertainty, apart))
        slopes = np.where(settled, steps, slopes)
    return Jacobian(directions, slopes, uncertainty, kinks, exact)


def _complex_steps(f: Function, a: Array, directions: Array, y: Array) -> Array:
    """The imaginary parts, a tiny step into the complex plane; nan where f won't go there."""
    steps = np.full((len(directions), y.size), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        for step, v in zip(steps, directions, strict=True):
            z = f(a + 1j * STEP * v)
            if z.dtype.kind != "c" or not close(z.real, y):
                break
            step[...] = z.imag / STEP
    return steps


def _differences(f: Function, y: Array, size: float, least: float) -> tuple[Array, Array, Array]:
    """f'(0) of a function of one number, its uncertainty, and whether there is a kink at 0.

    The one-sided differences at steps h, h/2, h/4, h/8 are D+ and D-. Their mean tends to
    the derivative, with an error in even powers of h; D+ - D- tends to zero, in odd powers,
    unless the slope jumps. Both are extrapolated to h = 0. Where they do not settle, h is
    too large for f, or a kink is near: then a smaller h is tried, down to `least`.
    """
    slope = np.zeros_like(y)
    uncertainty = np.full_like(y, np.inf)
    kinks = np.zeros(y.shape, bool)
    h = 0.02 * size
    while h >= least and not (uncertainty <= 1e-8 * largest(slope) + ROUNDING * largest(y)).all():
        t = h / 2.0 ** np.arange(4)[:, None]
        up, down = (np.stack([f(sign * step) for step in t[:, 0]]) for sign in (1, -1))
        mean, spread = _extrapolated((up - down) / (2 * t), 4)
        jump, change = _extrapolated(((up - y) - (y - down)) / t, 2)
        spread = np.maximum(spread, change)
        noise = 64 * EPSILON * np.maximum(np.abs(up), np.abs(down)).max(axis=0) / h
        sudden = np.abs(jump) > 100 * spread + 4 * noise
        # at a kink the slope may be anything between those of its sides
        doubt = np.where(sudden, 0.5, 5) * np.abs(jump) + 10 * (spread + noise)
        better = doubt < uncertainty
        slope = np.where(better, mean, slope)
        uncertainty = np.where(better, doubt, uncertainty)
        kinks = np.where(better, sudden, kinks)
        h /= 16
    return slope, uncertainty, kinks


def _extrapolated(table: Array, ratio: int) -> tuple[Array, Array]:
    """The limit of a table at h, h/2, h/4, h/8, and how much the last step changed it.

    `ratio` is what halving h divides the first error term by, and 4 times as much each next.
    """
    while len(table) > 1:
        finer = table[1:] + (table[1:] - table[:-1]) / (ratio - 1)
        change = np.abs(finer[-1] - table[-1])
        table, ratio = finer, ratio * 4
    return table[0], change


def largest(*arrays: Any) -> float:
    """The largest absolute value in these arrays, 0 of empty ones."""
    return max(float(np.abs(a).max(initial=0)) for a in arrays)


def close(a: Any, b: Any, slack: float = 0.0, tolerance: float = EXACT) -> bool:
    """Whether two results are the same but for rounding, of the same shape, or both missing."""
    if a is None or b is None:
        return a is b
    if np.shape(a) != np.shape(b):
        return False
    return bool((np.abs(a - b) <= tolerance * largest(a, b) + slack + LEAST).all())
