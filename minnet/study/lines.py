"""Lines in the plane, each known twice: in float64 with an error bound, and exactly on demand.

What is asked of them, where two of them cross and in which order points follow each other
along one, is answered in float64 for all lines at once wherever the bounds leave no doubt,
and exactly for the rest.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np

from minnet.checks import Array
from minnet.study.exact import ExactPoint, crossing
from minnet.study.piecewise import UNIT_ROUNDOFF

Coefficients = tuple[int, ...]

DOUBTFUL = 2.0**-32  # of the window's size
TINY = 1e-300  # what underflow may lose, of lines that are scaled to about 1


class Lines:
    """A growing table of lines a x + b y + c = 0, numbered in the order they are added.

    A line runs along (b, -a): what its function is positive on lies to the left.

    Attributes
    ----------
    coefficients : (lines, 3)
        a, b, c, scaled by a power of two so that the larger of |a| and |b| is about 1.
    errors : (lines, 3)
        How far they may be from the exact ones.
    doubtful : float
        Points that may be farther off are computed exactly.
    rounding : float
        How far those are off then.
    """

    def __init__(self, corners: Array) -> None:
        self.rounding = UNIT_ROUNDOFF * float(np.abs(corners).max())
        self.doubtful = max(DOUBTFUL * float(np.ptp(corners, axis=0).max()), 8 * self.rounding)
        self.coefficients, self.errors = np.zeros((0, 3)), np.zeros((0, 3))
        self._starts: list[int] = []
        self._blocks: list[Callable[[int], Coefficients]] = []
        self._exact: dict[int, Coefficients] = {}
        self._crossings: dict[tuple[int, int], ExactPoint] = {}

    def __len__(self) -> int:
        return len(self.coefficients)

    def __copy__(self) -> Lines:
        twin = object.__new__(type(self))
        twin.__dict__ = {
            key: copy.copy(value) if isinstance(value, (list, dict)) else value
            for key, value in vars(self).items()
        }
        return twin

    def add(
        self, coefficients: Array, errors: Array, exact: Callable[[int], Coefficients]
    ) -> Array:
        """Append lines, float64 and bounds both (new, 3); exact(i) gives the i-th one's integers.

        Returns their numbers.
        """
        numbers = len(self) + np.arange(len(coefficients))
        self._starts.append(len(self))
        self._blocks.append(exact)
        slope = np.abs(coefficients[:, :2]).max(axis=1, initial=0)
        certain = np.isfinite(coefficients).all(axis=1)
        certain &= slope > 2 * errors[:, :2].max(axis=1, initial=0)
        if not certain.all():
            coefficients, errors = coefficients.copy(), errors.copy()
            for i in np.flatnonzero(~certain):
                a, b, c = exact(int(i))
                largest = max(abs(a), abs(b))
                coefficients[i] = [float(Fraction(v, largest)) for v in (a, b, c)]
                errors[i] = UNIT_ROUNDOFF * np.abs(coefficients[i]) + TINY
            slope = np.abs(coefficients[:, :2]).max(axis=1, initial=0)
        shift = -np.frexp(slope)[1][:, None]
        self.coefficients = np.concatenate([self.coefficients, np.ldexp(coefficients, shift)])
        self.errors = np.concatenate([self.errors, np.ldexp(errors, shift)])
        return numbers

    def exact(self, line: int) -> Coefficients:
        """a, b and c of one line, times any positive number, as integers."""
        if line not in self._exact:
            block = bisect_right(self._starts, line) - 1
            self._exact[line] = self._blocks[block](line - self._starts[block])
        return self._exact[line]

    def exact_crossing(self, first: int, second: int) -> ExactPoint:
        """Where two lines cross, without rounding."""
        if (first, second) not in self._crossings:
            self._crossings[first, second] = crossing(self.exact(first), self.exact(second))
        return self._crossings[first, second]

    def cross(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Where pairs of lines cross, (pairs, 2), and how far that may be off, (pairs,).

        With l1 and l2 the exact functions, p the point computed and q the exact one, both
        vanish at q, so l_i(p) = l_i . (p - q) are two equations for p - q; l_i(p) is bounded
        by its residual, its rounding and the error of the coefficients.
        """
        a1, b1, c1 = self.coefficients[first].T
        a2, b2, c2 = self.coefficients[second].T
        da1, db1, dc1 = self.errors[first].T
        da2, db2, dc2 = self.errors[second].T
        with np.errstate(all="ignore"):  # what is not finite is computed exactly
            w = a1 * b2 - a2 * b1
            x, y = (b1 * c2 - b2 * c1) / w, (c1 * a2 - c2 * a1) / w
            ax, ay, u = np.abs(x), np.abs(y), 4 * UNIT_ROUNDOFF
            r1 = np.abs(a1 * x + b1 * y + c1)
            r2 = np.abs(a2 * x + b2 * y + c2)
            r1 += (u * np.abs(a1) + da1) * ax + (u * np.abs(b1) + db1) * ay
            r2 += (u * np.abs(a2) + da2) * ax + (u * np.abs(b2) + db2) * ay
            r1 += u * np.abs(c1) + dc1 + TINY
            r2 += u * np.abs(c2) + dc2 + TINY
            a1, b1, a2, b2 = np.abs(a1), np.abs(b1), np.abs(a2), np.abs(b2)
            doubt = u * (a1 * b2 + a2 * b1) + TINY
            doubt += da1 * (b2 + db2) + db2 * a1 + da2 * (b1 + db1) + db1 * a2
            reach = (np.maximum(a1, b1) + da1 + db1) * r2 + (np.maximum(a2, b2) + da2 + db2) * r1
            least = np.abs(w) - doubt
            error = np.where(least > 0, 1.01 * reach / least, np.inf)
        points = np.column_stack([x, y])
        for i in np.flatnonzero(~(error <= self.doubtful)):
            points[i] = [
                float(v) for v in self.exact_crossing(int(first[i]), int(second[i])).fractions
            ]
            error[i] = self.rounding
        return points, error

    def _axis(self, lines: Array) -> tuple[Array, Array]:
        """Along each line, which of x (0) and y (1) changes faster, and its sign."""
        a, b = self.coefficients[lines, 0], self.coefficients[lines, 1]
        steep = np.abs(a) > np.abs(b)
        return steep.astype(int), np.where(steep, -np.sign(a), np.sign(b))

    def sort_along(
        self, group: Array, along: Array, across: Array, points: Array, errors: Array
    ) -> tuple[Array, Array]:
        """Sort crossing points by group and, within a group, along the line it lies on.

        Parameters
        ----------
        group : (items,)
            Points of a group are on one line.
        along, across : (items,)
            The line that a point is on, and the one that crosses it there.
        points, errors : (items, 2), (items,)
            As `cross` gave them.

        Returns
        -------
        order : (items,)
            Indices of the items; equal points by the number of `across`.
        new : (items,), bool
            In that order, whether a point differs from the one before it.
        """
        axis, sign = self._axis(along)
        key = sign * np.where(axis == 1, points[:, 1], points[:, 0])
        order = np.lexsort((key, group))
        line = group[order]
        new = np.ones(len(order), bool)
        same = line[1:] == line[:-1]
        first = np.flatnonzero(np.concatenate([new[:1], ~same]))
        spread = np.maximum.reduceat(errors[order], first) if len(first) else errors
        spread = np.repeat(spread, np.diff(np.append(first, len(order))))
        doubtful = same & ~(np.diff(key[order]) > 2.01 * spread[1:])
        if doubtful.any():
            pairs = np.column_stack([along, across])
            edges = np.flatnonzero(np.diff(np.concatenate([[False], doubtful, [False]])))
            for start, stop in zip(edges[::2], edges[1::2] + 1, strict=True):
                items = order[start:stop]
                exact = [
                    int(sign[i]) * self.exact_crossing(*lines).fractions[axis[i]]
                    for i, lines in zip(items, np.sort(pairs[items]).tolist(), strict=True)
                ]
                ranked = sorted(zip(exact, across[items].tolist(), items.tolist(), strict=True))
                order[start:stop] = [item for _, _, item in ranked]
                new[start + 1 : stop] = [p[0] != q[0] for p, q in pairwise(ranked)]
        return order, new
