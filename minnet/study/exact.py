"""Exact arithmetic on float64 numbers: what decides a sign that rounding leaves open.

A float64 is an integer times a power of two. So are the coefficients of every line along
which a network bends: they are kept here as Python integers over a common power of two,
which need no greatest common divisor. Where two lines cross, the coordinates are fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minnet.checks import Array

if TYPE_CHECKING:
    from minnet.study.piecewise import Stage


class ExactRow(NamedTuple):
    """An affine function of n inputs, (coefficients . (x, 1)) 2^exponent, without rounding."""

    coefficients: tuple[int, ...]  # n + 1, the offset last
    exponent: int

    def at(self, x: Sequence[Any]) -> Fraction:
        """The value at x (n,), of floats or fractions."""
        return self.scale * sum(
            (c * Fraction(v) for c, v in zip(self.coefficients, (*x, 1), strict=True)), Fraction(0)
        )

    @property
    def scale(self) -> Fraction:
        return Fraction(2) ** self.exponent

    @property
    def fractions(self) -> tuple[Fraction, ...]:
        """The coefficients as numbers."""
        return tuple(c * self.scale for c in self.coefficients)


class ExactPoint(NamedTuple):
    """The point (x / w, y / w) of the plane; w > 0."""

    x: int
    y: int
    w: int

    def side(self, line: tuple[int, ...]) -> int:
        """The sign, -1, 0 or 1, of a line's function here."""
        value = line[0] * self.x + line[1] * self.y + line[2] * self.w
        return (value > 0) - (value < 0)

    @property
    def fractions(self) -> tuple[Fraction, Fraction]:
        return Fraction(self.x, self.w), Fraction(self.y, self.w)


def crossing(first: tuple[int, ...], second: tuple[int, ...]) -> ExactPoint:
    """Where two lines a x + b y + c = 0, which are not parallel, cross."""
    (a1, b1, c1), (a2, b2, c2) = first, second
    w = a1 * b2 - a2 * b1
    sign = 1 if w > 0 else -1
    return ExactPoint(sign * (b1 * c2 - b2 * c1), sign * (c1 * a2 - c2 * a1), sign * w)


def integers(array: Array) -> tuple[Array, int]:
    """Python integers k, of the array's shape, and an exponent e <= 0: array = k 2^e."""
    mantissas, exponents = np.frexp(array)
    odd = (mantissas * 2.0**53).astype(np.int64)
    shifts = exponents.astype(np.int64) - 53
    lowest = int(min(0, shifts[odd != 0].min(initial=0)))
    shifts = np.where(odd != 0, shifts - lowest, 0)
    return odd.astype(object) << shifts.astype(object), lowest


class ExactRows:
    """The rows of a chain of stages, pulled back to its inputs without rounding."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._integers: dict[int, tuple[Array, Array, int]] = {}

    def row(self, stage: int, unit: int, sides: Sequence[Array]) -> ExactRow:
        """z of a unit as an affine function of the input.

        sides : (bending,) for each bend before the stage, which units are on.
        """
        M, b, exponent = self._stage(stage)
        R, c = M[unit], b[unit]
        bent = len(sides)
        for s in reversed(range(stage)):
            bending = self._stages[s].bending
            if len(bending):
                bent -= 1
                leak, power = integers(self._stages[s].leak[bending])
                one = 1 << -power
                slopes = np.full(len(R), one, object)
                slopes[bending] = np.where(sides[bent], one, leak)
                R, c, exponent = R * slopes, c * one, exponent + power
            M, b, power = self._stage(s)
            used = np.flatnonzero(R != 0)
            c = (c << -power) + R[used].dot(b[used])
            R, exponent = R[used].dot(M[used]), exponent + power
            if not len(used):
                R = np.zeros(M.shape[1], object)
        return ExactRow((*(int(r) for r in R), int(c)), exponent)

    def sides_at(self, point: Sequence[Fraction]) -> dict[int, Array]:
        """Which units are positive at a point (n,), going forward stage by stage.

        By stage: (bending,) of those that bend, or (w,) of all units of the last one.
        """
        w = math.lcm(*(v.denominator for v in point))
        x = np.array([v.numerator * (w // v.denominator) for v in point], object)
        sides: dict[int, Array] = {}
        for s, stage in enumerate(self._stages):
            M, b, power = self._stage(s)
            x, w = M.dot(x) + b * w, w << -power  # the value is x / w
            bending = stage.bending
            if len(bending):
                on = (x[bending] > 0).astype(bool)
                leak, power = integers(stage.leak[bending])
                slopes = np.full(len(x), 1 << -power, object)
                slopes[bending[~on]] = leak[~on]
                x, w, sides[s] = x * slopes, w << -power, on
        return {**sides, len(self._stages) - 1: (x > 0).astype(bool)}

    def _stage(self, s: int) -> tuple[Array, Array, int]:
        """M and b of a stage over one power of two."""
        if s not in self._integers:
            M, b, _ = self._stages[s]
            augmented, exponent = integers(np.column_stack([M, b]))
            self._integers[s] = augmented[:, :-1], augmented[:, -1], exponent
        return self._integers[s]
