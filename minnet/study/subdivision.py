"""The plane cut into convex cells by the bends of networks, one layer after the other.

All cells are cut by all units of a layer at once. Only two kinds of question touch numbers,
and both are answered without error: on which side of a unit's line is a vertex, and in
which order do points follow each other along a line. The rest is counting, for in a convex
cell chords are ruled by the order of their ends around the border:

- two chords cross inside if and only if their ends alternate;
- around a vertex, chords are ordered as the ends that they run to;
- a chord lies right of another one if both its ends do.

(Edge subdivision, Berzins 2023, "Polyhedral complex extraction from ReLU networks using edge
subdivision", cuts by one unit at a time.)
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from minnet.checks import Array
from minnet.study.exact import ExactPoint, integers
from minnet.study.lines import Coefficients, Lines
from minnet.study.piecewise import ENTRIES, PiecewiseLinear

Window = tuple[tuple[float, float], tuple[float, float]]


class Level(NamedTuple):
    """Units of one stage that cut the cells, and which levels say what bends before it."""

    function: PiecewiseLinear
    stage: int
    units: Array
    before: tuple[int, ...]


class Hits(NamedTuple):
    """Where units cross the border of cells: a hit is a unit and a cell, and has two ends."""

    above: Array  # (cells, units), whether the unit is positive somewhere on the cell
    corner: Array  # (hits, 2), the corner whose side is hit, in the order of the border
    unit: Array  # (hits,)
    at_vertex: Array  # (hits, 2), whether that is at the corner itself
    leaves: Array  # (hits,), whether the border goes from positive to negative at the first hit


def starts_of(counts: Array) -> Array:
    """Where each of consecutive runs starts, and where the last one ends."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def runs(counts: Array) -> tuple[Array, Array]:
    """For runs of these lengths, each item's run and its place in it."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - starts_of(counts)[owner]


def pack(bits: Array) -> Array:
    """Rows of bools as rows of 64-bit words, the first bit lowest."""
    words = np.zeros((len(bits), -(-bits.shape[1] // 64) * 8), np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    words[:, : packed.shape[1]] = packed
    return words.view("<u8")


def unpack(words: Array, width: int) -> Array:
    """What `pack` packed."""
    octets = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=width, bitorder="little").view(bool)


def toggle(words: Array, rows: Array, bits: Array) -> None:
    """Flip a bit of each of the given rows; a bit is given once for a row."""
    places = rows * words.shape[1] + (bits >> 6)
    np.bitwise_xor.at(words.reshape(-1), places, np.uint64(1) << (bits & 63).astype(np.uint64))


class Subdivision:
    """Vertices, edges and convex cells of a window, one shared table of each.

    Half-edge 2e runs along edge e from its tail to its head, 2e + 1 back. A cell is the
    cycle of half-edges that have it on their left, anticlockwise. A vertex in the middle of
    a straight side, where a neighbour has a corner, is part of the cycle too.

    Attributes
    ----------
    points : (vertices, 2)
    errors : (vertices,)
        How far a coordinate may be from the exact one.
    ends : (edges, 2)
        The vertices of each edge.
    edge_line : (edges,)
        The line it lies on and runs along.
    border : (half-edges of cells,)
        The half-edges of each cell, cell after cell.
    starts : (cells + 1,)
        Where each cell's begin in `border`.
    levels : list of Level
        By what it has been cut.
    sides : list of arrays (cells, words)
        For each level, which units are positive on a cell, packed.
    lines : Lines
    line_level, line_unit : (lines,)
        Which level and unit bends there; -1 on the window's border.
    """

    def __init__(self, window: Window) -> None:
        (left, right), (low, high) = window
        corners = np.array([(left, low), (right, low), (right, high), (left, high)])
        self.lines = Lines(corners)
        sides = [(0, 1, -low), (-1, 0, right), (0, -1, high), (1, 0, -left)]
        coefficients = np.array(sides, float)
        self.lines.add(coefficients, np.zeros((4, 3)), lambda i: _integer_line(coefficients[i]))
        self.points, self.errors = corners, np.zeros(4)
        self.through = np.array([[3, 0], [0, 1], [1, 2], [2, 3]])  # two lines of each vertex
        self.ends = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
        self.edge_line = np.arange(4)
        self.border, self.starts = 2 * np.arange(4), np.array([0, 4])
        self.levels: list[Level] = []
        self.sides: list[Array] = []
        self.line_level, self.line_unit = np.full(4, -1), np.full(4, -1)
        self._exact_points: dict[int, ExactPoint] = {}

    def copy(self) -> Subdivision:
        """Another one to cut further, or to draw more lines into."""
        twin = copy.copy(self)
        twin.lines, twin.levels, twin.sides = copy.copy(self.lines), [*self.levels], [*self.sides]
        return twin

    @property
    def cells(self) -> int:
        return len(self.starts) - 1

    @property
    def corner_cell(self) -> Array:
        """The cell of each half-edge in `border`."""
        return np.repeat(np.arange(self.cells), np.diff(self.starts))

    def tails(self, half_edges: Array) -> Array:
        """The vertex where each half-edge begins."""
        return self.ends[half_edges >> 1, half_edges & 1]

    def neighbours(self) -> Array:
        """The cells left and right of each edge, (edges, 2); -1 outside the window."""
        cells = np.full(2 * len(self.ends), -1)
        cells[self.border] = self.corner_cell
        return cells.reshape(-1, 2)

    def exact_point(self, vertex: int) -> ExactPoint:
        """A vertex without rounding."""
        if vertex not in self._exact_points:
            first, second = self.through[vertex]
            self._exact_points[vertex] = self.lines.exact_crossing(int(first), int(second))
        return self._exact_points[vertex]

    def sides_on(self, level: int, cells: Array | slice = slice(None)) -> Array:
        """Which units of a level are positive on cells, (cells, units)."""
        return unpack(self.sides[level][cells], len(self.levels[level].units))

    def rows(self, level: Level, cells: Array, units: Array) -> Array:
        """Units of a level as affine functions on cells, one of each: (cells, 3)."""
        if not len(cells):
            return np.zeros((0, 3))
        widest = max(len(stage.b) for stage in level.function.stages)
        most = max(1, ENTRIES // widest)
        return np.concatenate(
            [
                level.function.rows(
                    level.stage,
                    units[i : i + most],
                    [self.sides_on(b, cells[i : i + most]) for b in level.before],
                )
                for i in range(0, len(cells), most)
            ]
        )

    def level_of(self, function: PiecewiseLinear, stage: int, units: Array) -> Level:
        """The next level: units of a stage, behind what this function has cut so far."""
        before = [i for i, level in enumerate(self.levels) if level.function is function]
        return Level(
            function, stage, units, tuple(i for i in before if self.levels[i].stage < stage)
        )

    def _exact_rows(self, level: Level) -> _ExactRowsOfCells:
        sides = [self.sides[b] for b in level.before]
        return _ExactRowsOfCells(level, sides, [len(self.levels[b].units) for b in level.before])

    def signs(self, level: Level) -> Array:
        """The sign of each unit at each vertex, (vertices, units), -1, 0 or 1, exactly."""
        signs = np.empty((len(self.points), len(level.units)), np.int8)
        widest = max(len(stage.b) for stage in level.function.stages)
        most = max(1, ENTRIES // widest)
        some_cell = np.empty(len(self.points), np.int64)
        some_cell[self.tails(self.border)] = self.corner_cell
        exact = self._exact_rows(level)
        for i in range(0, len(self.points), most):
            part = slice(i, i + most)
            points = self.points[part]
            with np.errstate(all="ignore"):  # what overflows is decided exactly
                z = level.function.values(level.stage, points)[:, level.units]
            bounds = level.function.value_bounds(level.stage, points, self.errors[part])
            bound = bounds[:, level.units]
            np.sign(z, out=signs[part], casting="unsafe")
            for v, k in np.argwhere(~(np.abs(z) > bound)):
                line = exact(int(some_cell[i + v]), int(k))
                signs[i + v, k] = self.exact_point(int(i + v)).side(line)
        return signs

    def hits(self, signs: Array) -> Hits:
        """Which units cross which cells, and where on their borders."""
        corner_vertex = self.tails(self.border)
        parts = []
        at_most = max(1, 16 * ENTRIES // max(1, signs.shape[1]))
        cell, stop = 0, 0
        while cell < self.cells:
            stop = max(
                cell + 1, np.searchsorted(self.starts, self.starts[cell] + at_most, "right") - 1
            )
            stop = int(min(stop, self.cells))
            corners = slice(self.starts[cell], self.starts[stop])
            parts.append(_hits(signs[corner_vertex[corners]], self.starts[cell : stop + 1]))
            cell = stop
        return Hits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def lines_of(self, level: Level, cells: Array, hits: Hits) -> Array:
        """Add the lines of chords, each running from its first end to its second; their numbers."""
        units = level.units[hits.unit]
        sign = np.where(hits.leaves, 1, -1)
        exact = self._exact_rows(level)
        self.line_level = np.append(self.line_level, np.full(len(cells), len(self.levels)))
        self.line_unit = np.append(self.line_unit, hits.unit)

        def exact_line(i: int) -> Coefficients:
            return tuple(int(sign[i]) * c for c in exact(int(cells[i]), int(hits.unit[i])))

        coefficients = sign[:, None] * self.rows(level, cells, units)
        return self.lines.add(
            coefficients, level.function.row_bounds(level.stage, units), exact_line
        )


class _ExactRowsOfCells:
    """Exact rows of a level's units on cells, as the cells are now; kept once computed."""

    def __init__(self, level: Level, sides: list[Array], widths: list[int]) -> None:
        self._level, self._sides, self._widths = level, sides, widths
        self._rows: dict[tuple[int, int], Coefficients] = {}

    def __call__(self, cell: int, unit: int) -> Coefficients:
        if (cell, unit) not in self._rows:
            level = self._level
            sides = [
                unpack(words[cell : cell + 1], width)[0]
                for words, width in zip(self._sides, self._widths, strict=True)
            ]
            row = level.function.exact.row(level.stage, int(level.units[unit]), sides)
            self._rows[cell, unit] = row.coefficients
        return self._rows[cell, unit]


def _hits(signs: Array, starts: Array) -> Hits:
    """The hits on consecutive cells, from the signs (corners, units) of their corners."""
    first = starts[:-1] - starts[0]
    counts = np.diff(starts)
    following = np.arange(1, len(signs) + 1)
    following[np.cumsum(counts) - 1] = first
    after = signs[following]
    above = np.maximum.reduceat(signs, first, axis=0) > 0
    crossed = above & (np.minimum.reduceat(signs, first, axis=0) < 0)
    hit = ((signs == 0) | (signs * after < 0)) & np.repeat(crossed, counts, axis=0)
    corner, unit = np.nonzero(hit)
    cell = np.repeat(np.arange(len(counts)), counts)[corner]
    order = np.argsort(cell * signs.shape[1] + unit, kind="stable").reshape(-1, 2)
    corner, unit = corner[order], unit[order]
    return Hits(
        above,
        corner + starts[0],
        unit[:, 0],
        signs[corner, unit] == 0,
        after[corner[:, 0], unit[:, 0]] < 0,
    )


def _integer_line(coefficients: Array) -> Coefficients:
    numbers, _ = integers(coefficients)
    return tuple(int(v) for v in numbers)
