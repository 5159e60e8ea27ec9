"""Linear regions the slow way: one cell at a time, one unit at a time, in fractions throughout.

It shares nothing with minnet.study: no tables, no float64, no ordering of ends. A cell is a
list of its corners; a unit cuts it in two where it has both signs at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

Point = tuple[Fraction, Fraction]
Row = tuple[Fraction, Fraction, Fraction]  # a x + b y + c


@dataclass
class Cell:
    corners: list[Point]
    pattern: tuple[bool, ...]
    rows: list[Row]  # of the layer reached so far

    @property
    def area(self) -> Fraction:
        pairs = zip(self.corners, self.corners[1:] + self.corners[:1], strict=True)
        return sum((x * v - u * y for (x, y), (u, v) in pairs), Fraction(0)) / 2


def cells(layers: Sequence[Any], window: Any) -> list[Cell]:
    """The cells of (M, b) and activation layers, given as ("affine", M, b) or ("bend", leak)."""
    (left, right), (low, high) = [[Fraction(v) for v in side] for side in window]
    square = [(left, low), (right, low), (right, high), (left, high)]
    zero, one = Fraction(0), Fraction(1)
    found = [Cell(square, (), [(one, zero, zero), (zero, one, zero)])]
    for kind, *numbers in layers:
        if kind == "affine":
            for cell in found:
                cell.rows = affine(*numbers, cell.rows)
            continue
        leak = Fraction(numbers[0])
        for unit in range(len(found[0].rows)):
            found = [part for cell in found for part in split(cell, unit)]
        for cell in found:
            sides = cell.pattern[-len(cell.rows) :]
            cell.rows = [
                row if on else tuple(leak * v for v in row)
                for row, on in zip(cell.rows, sides, strict=True)
            ]
    return found


def affine(M: Any, b: Any, rows: list[Row]) -> list[Row]:
    result = []
    for weights, bias in zip(M.tolist(), b.tolist(), strict=True):
        sums = [
            sum((Fraction(w) * row[i] for w, row in zip(weights, rows, strict=True)), Fraction(0))
            for i in range(3)
        ]
        result.append((sums[0], sums[1], sums[2] + Fraction(bias)))
    return result


def split(cell: Cell, unit: int) -> list[Cell]:
    values = [value(cell.rows[unit], corner) for corner in cell.corners]
    if min(values) >= 0 or max(values) <= 0:
        return [Cell(cell.corners, (*cell.pattern, max(values) > 0), cell.rows)]
    halves = []
    for sign in (1, -1):
        kept = []
        for i, (p, v) in enumerate(zip(cell.corners, values, strict=True)):
            q, w = cell.corners[i - 1], values[i - 1]
            if v * w < 0:
                t = w / (w - v)
                kept.append((q[0] + t * (p[0] - q[0]), q[1] + t * (p[1] - q[1])))
            if sign * v >= 0:
                kept.append(p)
        halves.append(Cell(kept, (*cell.pattern, sign > 0), cell.rows))
    return halves


def value(row: Row, point: Point) -> Fraction:
    return row[0] * point[0] + row[1] * point[1] + row[2]


def counts(found: list[Cell]) -> dict[str, int]:
    """Patterns, linear regions (neighbours of equal map are one) and distinct functions."""
    maps = [tuple(cell.rows) for cell in found]
    region = list(range(len(found)))

    def root(i: int) -> int:
        while region[i] != i:
            i = region[i]
        return i

    for i, j in combinations(range(len(found)), 2):
        if maps[i] == maps[j] and root(i) != root(j) and touch(found[i], found[j]):
            region[root(i)] = root(j)
    return {
        "patterns": len({cell.pattern for cell in found}),
        "regions": len({root(i) for i in range(len(found))}),
        "functions": len(set(maps)),
    }


def touch(one: Cell, two: Cell) -> bool:
    """Whether two cells share more than a point of their borders."""
    return any(overlap(p, q, r, s) for p, q in sides(one) for r, s in sides(two))


def sides(cell: Cell) -> list[tuple[Point, Point]]:
    return list(zip(cell.corners, cell.corners[1:] + cell.corners[:1], strict=True))


def overlap(p: Point, q: Point, r: Point, s: Point) -> bool:
    d = (q[0] - p[0], q[1] - p[1])

    def off(z: Point) -> Fraction:
        return d[0] * (z[1] - p[1]) - d[1] * (z[0] - p[0])

    def along(z: Point) -> Fraction:
        return d[0] * (z[0] - p[0]) + d[1] * (z[1] - p[1])

    if off(r) or off(s):
        return False
    low, high = sorted((along(r), along(s)))
    return max(low, Fraction(0)) < min(high, along(q))


def described(net: Any) -> list[Any]:
    """A network of plain layers in the words of `cells`."""
    layers: list[Any] = []
    for layer in net.layers:
        kind = type(layer).__name__
        if kind == "Affinity":
            layers.append(("affine", layer.M, layer.b))
        elif kind in ("ReLU", "LeakyReLU"):
            layers.append(("bend", getattr(layer, "leak", 0)))
        elif kind == "Network":
            layers += described(layer)
        else:
            assert kind == "Identity", kind
    return layers
