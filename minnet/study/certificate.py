"""A certificate for linear regions, by means that do not use how they were constructed.

If the cells tile the window, and the network does on each of them what is said of it, then
they are its linear regions. Neither needs to know a line, a chord or an order: the tiling is
checked by Euler's formula and by areas, the rest by the layers' own forward.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from minnet.checks import Array
from minnet.combinators import Parallel, Skip
from minnet.layers import Layer, LeakyReLU, ReLU
from minnet.structure import Chain
from minnet.study.piecewise import ENTRIES, PiecewiseLinear
from minnet.study.subdivision import Subdivision, pack

AREA = 1e-9  # how far the areas may add up to something else, as a share of the window


class NotCertified(RuntimeError):
    """What was constructed is not what it should be: a fault in minnet, please report it."""


@dataclass(frozen=True)
class Certificate:
    """What was checked, and how closely it held.

    Attributes
    ----------
    cells, vertices, edges : int
        For which vertices - edges + cells = 1, each inner edge between two cells.
    area_error : float
        Of the sum of all areas, as a share of the window's.
    exact_patterns : int
        At how many interior points float64 could not tell the pattern, so that it was
        computed in rationals.
    value_error : float
        The largest distance of a cell's map from the network's output at an interior point.
    slope_error : float
        The same of the differences of the output between there and the cell's corners.
    """

    cells: int
    vertices: int
    edges: int
    area_error: float
    exact_patterns: int
    value_error: float
    slope_error: float


class Claim(NamedTuple):
    """What is said of one network on the cells."""

    net: Layer
    function: PiecewiseLinear
    embed: tuple[Array, Array] | None  # directions (2, n) and origin (n,) of a slice
    maps: Array  # (cells, m, 3)


def certify(
    mesh: Subdivision, claims: Sequence[Claim], areas: Array, interior: Array
) -> Certificate:
    """Check cells, with areas (cells,) and interior points (cells, 2), and claims about them.

    Raises
    ------
    NotCertified
        If anything does not hold beyond what rounding can explain.
    """
    counts = mesh.cells, len(mesh.points), len(mesh.ends)
    _check_tiling(mesh, *counts)
    window = np.ptp(mesh.points, axis=0).prod()
    area_error = abs(areas.sum() - window) / window
    if not area_error < AREA or not (areas > -AREA * window).all():
        raise NotCertified(f"the areas of the cells add up to {areas.sum()}, not to {window}")
    results = [_check(mesh, claim, interior) for claim in claims]
    exact, values, slopes = zip(*results, strict=True)
    return Certificate(*counts, float(area_error), sum(exact), max(values), max(slopes))


def _check(mesh: Subdivision, claim: Claim, interior: Array) -> tuple[int, float, float]:
    """Patterns and maps of one network: exact patterns, value error, slope error."""
    net, function, embed, maps = claim
    last = len(function.stages) - 1
    own, widest = _OwnForward(net, embed), max(len(stage.b) for stage in function.stages)
    exact = 0
    outputs = np.empty((len(interior), function.m))
    for part in _parts(len(interior), widest):
        outputs[part], bent = own(interior[part])
        inputs = {**dict(zip(function.bends, bent, strict=True)), last: outputs[part]}
        exact += _check_patterns(function, mesh, interior, part, inputs)
    at_corners = np.empty((len(mesh.points), function.m))
    for part in _parts(len(mesh.points), widest):
        at_corners[part] = own(mesh.points[part])[0]

    A, c = maps[..., :2], maps[..., 2]
    size = np.append(np.abs(mesh.points).max(axis=0), 1)
    tolerance = 4 * function.row_bounds(last, np.arange(function.m)) @ size
    tolerance = tolerance + 4 * function.value_bounds(last, interior)
    apart = np.abs(np.einsum("cmi,ci->cm", A, interior) + c - outputs)
    if not (apart <= tolerance).all():
        raise NotCertified(f"the map of a cell is {apart.max()} off the output")
    cell, vertex = mesh.corner_cell, mesh.tails(mesh.border)
    step = mesh.points[vertex] - interior[cell]
    differences = at_corners[vertex] - outputs[cell]
    uneven = np.abs(np.einsum("cmi,ci->cm", A[cell], step) - differences)
    bounds = function.value_bounds(last, mesh.points, mesh.errors)[vertex]
    if not (uneven <= tolerance[cell] + 4 * bounds).all():
        raise NotCertified(f"the output is not flat on a cell, but {uneven.max()} off")
    return exact, float(apart.max()), float(uneven.max())


def _check_tiling(mesh: Subdivision, cells: int, vertices: int, edges: int) -> None:
    if vertices - edges + cells != 1:
        raise NotCertified(f"{vertices} vertices - {edges} edges + {cells} cells is not 1")
    used = np.bincount(mesh.border, minlength=2 * edges)
    if not (used <= 1).all() or not used.reshape(-1, 2).any(axis=1).all():
        raise NotCertified("an edge does not lie between two cells, or a cell and the outside")
    following = np.arange(1, len(mesh.border) + 1)
    following[mesh.starts[1:] - 1] = mesh.starts[:-1]
    if (mesh.tails(mesh.border ^ 1) != mesh.tails(mesh.border[following])).any():
        raise NotCertified("the border of a cell is not closed")
    if (np.diff(mesh.starts) < 3).any():
        raise NotCertified("a cell has fewer than three corners")


def _check_patterns(
    function: PiecewiseLinear,
    mesh: Subdivision,
    interior: Array,
    part: slice,
    inputs: Mapping[int, Array],
) -> int:
    """Compare patterns with the signs of what went into each stage's bends at interior points.

    Returns for how many points that took exact arithmetic.
    """
    wrong = np.zeros(part.stop - part.start, bool)
    doubtful = np.zeros(part.stop - part.start, bool)
    levels = [i for i, level in enumerate(mesh.levels) if level.function is function]
    for i in levels:
        _, stage, units, _ = mesh.levels[i]
        z = inputs[stage]
        wrong |= (pack(z > 0) != mesh.sides[i][part]).any(axis=1)
        suspects = ~(np.abs(z).min(axis=1) > function.largest_bounds(stage, interior[part]))
        near = np.flatnonzero(suspects)
        bound = function.value_bounds(stage, interior[part][near])[:, units]
        doubtful[near] |= ~(np.abs(z[near]) > bound).all(axis=1)
    for row in np.flatnonzero(doubtful):
        cell = part.start + int(row)
        corners = mesh.tails(mesh.border[mesh.starts[cell] : mesh.starts[cell + 1]])
        points = [mesh.exact_point(int(v)).fractions for v in corners]
        middle = [sum((p[axis] for p in points), Fraction(0)) / len(points) for axis in (0, 1)]
        exact = function.exact.sides_at(middle)
        wrong[row] = any(
            (exact[mesh.levels[i].stage] != mesh.sides_on(i, slice(cell, cell + 1))[0]).any()
            for i in levels
        )
    if wrong.any():
        cell = part.start + int(np.flatnonzero(wrong)[0])
        raise NotCertified(f"cell {cell} has another pattern at {interior[cell]}, inside it")
    return int(doubtful.sum())


@singledispatch
def through(layer: Layer, x: Array, bent: list[Array]) -> Array:
    """The layer's own forward; what went into bending layers is appended to `bent`."""
    if isinstance(layer, (ReLU, LeakyReLU)):
        bent.append(x)
    return layer.forward(x)[0]


@through.register
def _(layer: Chain, x: Array, bent: list[Array]) -> Array:
    for inner in layer.layers:
        x = through(inner, x, bent)
    return x


@through.register
def _(layer: Parallel, x: Array, bent: list[Array]) -> Array:
    """The k-th bends of all branches are one bend of the whole."""
    each: list[list[Array]] = [[] for _ in layer.layers]
    outputs = [through(*branch) for branch in zip(layer.layers, itertools.repeat(x), each)]
    for level in itertools.zip_longest(*each, fillvalue=np.zeros((len(x), 0))):
        bent.append(np.concatenate(level, axis=-1))
    return np.concatenate(outputs, axis=-1)


@through.register
def _(layer: Skip, x: Array, bent: list[Array]) -> Array:
    return np.concatenate([x, through(layer.layers[0], x, bent)], axis=-1)


class _OwnForward:
    """The network's own layers, one after the other, in float64."""

    def __init__(self, net: Layer, embed: tuple[Array, Array] | None) -> None:
        arrays = {key: array.astype(np.float64) for key, array in net.parameters.items()}
        self._net, self._embed = net.with_parameters(arrays), embed

    def __call__(self, x: Array) -> tuple[Array, list[Array]]:
        """The outputs (points, m), and the inputs (points, units) of every bending layer."""
        if self._embed is not None:
            x = x @ self._embed[0] + self._embed[1]
        bent: list[Array] = []
        with np.errstate(all="ignore"):  # what overflows is decided exactly
            return through(self._net, x, bent), bent


def _parts(number: int, width: int) -> Iterator[slice]:
    most = max(1, ENTRIES // width)
    return (slice(i, min(number, i + most)) for i in range(0, number, most))
