"""Which cells have the same map, exactly: three ways to count them.

Two float64 maps that differ by more than their error bounds are different. The rest is
compared in rationals, but for cells that no path of open units joins to the input: there
both slopes are exactly 0.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from minnet.checks import Array
from minnet.study.piecewise import PiecewiseLinear, Stage
from minnet.study.subdivision import Subdivision


def counts(
    mesh: Subdivision, function: PiecewiseLinear, maps: Array, regions: Array
) -> dict[str, int]:
    """Patterns, linear regions and distinct functions of cells with maps (cells, m, 3).

    regions : (cells,)
        As `merged` gives them.
    """
    first = np.flatnonzero(regions == np.arange(mesh.cells))
    return {
        "patterns": mesh.cells,
        "regions": len(first),
        "functions": _distinct(mesh, function, maps, first),
    }


def merged(mesh: Subdivision, function: PiecewiseLinear, maps: Array) -> Array:
    """The linear region of each cell, (cells,): the number of the first of its cells."""
    left, right = mesh.neighbours().T
    inside = (left >= 0) & (right >= 0)
    left, right = left[inside], right[inside]
    bounds = 2 * function.row_bounds(len(function.stages) - 1, np.arange(function.m))
    apart = np.abs(maps[left] - maps[right])[..., :2] > bounds[:, :2]
    doubtful = np.flatnonzero(~apart.any(axis=(1, 2)))
    equal = np.zeros(len(left), bool)
    if len(doubtful):
        exact = ExactMaps(mesh, function)
        dead = exact.dead(np.unique([left[doubtful], right[doubtful]]))
        for i in doubtful:
            one, two = int(left[i]), int(right[i])
            # neighbours agree on their edge: with equal slopes they are equal
            equal[i] = (dead[one] and dead[two]) or exact.slopes(one) == exact.slopes(two)
    return _components(mesh.cells, left[equal], right[equal])


def _components(number: int, one: Array, two: Array) -> Array:
    """The lowest member of the component of each of `number` nodes, joined by pairs."""
    lowest = np.arange(number)
    while len(one):
        lower = lowest.copy()
        np.minimum.at(lower, one, lowest[two])
        np.minimum.at(lower, two, lowest[one])
        lower = lower[lower]
        if np.array_equal(lower, lowest):
            break
        lowest = lower
    return lowest


def _distinct(mesh: Subdivision, function: PiecewiseLinear, maps: Array, cells: Array) -> int:
    """How many different maps these cells have."""
    bounds = 2 * function.row_bounds(len(function.stages) - 1, np.arange(function.m)).reshape(-1)
    values = maps[cells].reshape(len(cells), -1)
    group = np.zeros(len(cells), np.int64)
    for column, bound in zip(values.T, bounds, strict=True):
        if group.max() == len(cells) - 1:
            break
        order = np.lexsort((column, group))
        new = (np.diff(group[order]) > 0) | (np.diff(column[order]) > bound)
        group[order[1:]] = np.cumsum(new)
        group[order[0]] = 0
    sizes = np.bincount(group)
    number = int((sizes == 1).sum())
    exact = ExactMaps(mesh, function)
    for shared in np.flatnonzero(sizes > 1):
        number += len({exact(int(cell)) for cell in cells[group == shared]})
    return number


class ExactMaps:
    """The maps of cells in fractions, kept once computed."""

    def __init__(self, mesh: Subdivision, function: PiecewiseLinear) -> None:
        self._mesh, self._function = mesh, function
        self._output = mesh.level_of(function, len(function.stages) - 1, np.arange(function.m))
        self._maps: dict[int, tuple[tuple[Fraction, ...], ...]] = {}

    def __call__(self, cell: int) -> tuple[tuple[Fraction, ...], ...]:
        if cell not in self._maps:
            sides = [self._mesh.sides_on(b, slice(cell, cell + 1))[0] for b in self._output.before]
            self._maps[cell] = tuple(
                self._function.exact.row(self._output.stage, k, sides).fractions
                for k in range(self._function.m)
            )
        return self._maps[cell]

    def slopes(self, cell: int) -> tuple[tuple[Fraction, ...], ...]:
        return tuple(row[:-1] for row in self(cell))

    def dead(self, cells: Array) -> dict[int, bool]:
        """For each cell, whether no path of open units joins the outputs to the input."""
        paths = PiecewiseLinear(
            [
                Stage((M != 0) * 1.0, b, np.where(np.isnan(leak), leak, leak != 0))
                for M, b, leak in self._function.stages
            ]
        )
        count = np.zeros(len(cells))
        for k in range(self._function.m):
            rows = self._mesh.rows(
                self._output._replace(function=paths), cells, np.full(len(cells), k)
            )
            count += rows[:, :2].sum(axis=1)
        return dict(zip(cells.tolist(), (count == 0).tolist(), strict=True))
