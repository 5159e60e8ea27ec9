"""A piecewise linear network as plain matrices, and a bound on what rounding does to it.

A network of affine maps and ReLUs is a chain of stages z = M x + b, each followed by a
bend at z = 0 in some of its units. On a cell, where no unit changes side, the whole is one
affine map: its rows are the last stage's, pulled back through the stages before it with
each unit's slope there (1 or its leak).

Every float64 result here comes with a bound on its distance from the exact result, so that
a sign is either certain or known to be doubtful. With u the unit roundoff, a sum of n
products in any order errs by at most n u / (1 - n u) times the same sum of absolute values
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1); `growth`
is that sum for a whole chain of stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from minnet.checks import Array, floating
from minnet.combinators import Parallel, Select, Skip
from minnet.layers import Affinity, Identity, Layer, LeakyReLU, ReLU
from minnet.structure import Chain
from minnet.study.exact import ExactRows

UNIT_ROUNDOFF = 2.0**-53
UNDERFLOW = 1e-289  # stands for what products too small for float64 may lose
ENTRIES = 2**16  # of the arrays made at a time: they stay in the cache


class Stage(NamedTuple):
    """y = bend(M x + b): M (w, n), b (w,), and leak (w,), nan where a unit does not bend."""

    M: Array
    b: Array
    leak: Array

    @property
    def bending(self) -> Array:
        """The indices of the units that bend."""
        return np.flatnonzero(~np.isnan(self.leak))

    def slopes(self, sides: Array) -> Array:
        """The slope of each unit, (cells, w), where sides (cells, bending) says which are on."""
        bending = self.bending
        bent = sides.astype(np.float64)
        if self.leak[bending].any():
            bent = np.where(sides, bent, self.leak[bending])
        if len(bending) == len(self.b):
            return bent
        slopes = np.ones((len(sides), len(self.b)))
        slopes[:, bending] = bent
        return slopes


def bend(z: Array, leak: Array) -> Array:
    """z (..., w) behind the bends."""
    return np.where((z > 0) | np.isnan(leak), z, leak * z)


def straight(M: Array, b: Array) -> Stage:
    """A stage of which no unit bends."""
    return Stage(M, b, np.full(len(b), np.nan))


@singledispatch
def stages_of(layer: Layer, width: int) -> list[Stage]:
    """The stages of a layer of `width` inputs. Register a function to teach it a new layer."""
    raise ValueError(
        f"{layer.label} is not piecewise linear; known are Affinity, ReLU, LeakyReLU, Identity, "
        "Select, and networks, Parallel and Skip of these"
    )


@stages_of.register
def _(layer: Chain, width: int) -> list[Stage]:
    stages: list[Stage] = []
    for inner in layer.layers:
        stages += stages_of(inner, width)
        width = inner.m or width
    return stages


@stages_of.register
def _(layer: Affinity, width: int) -> list[Stage]:
    return [straight(layer.M.astype(np.float64), layer.b.astype(np.float64))]


@stages_of.register
def _(layer: Identity, width: int) -> list[Stage]:
    return []


@stages_of.register
def _(layer: Select, width: int) -> list[Stage]:
    return [straight(np.eye(width)[layer.indices], np.zeros(len(layer.indices)))]


@stages_of.register
def _(layer: Parallel, width: int) -> list[Stage]:
    return _side_by_side([stages_of(branch, width) for branch in layer.layers], width)


@stages_of.register
def _(layer: Skip, width: int) -> list[Stage]:
    return _side_by_side([[], *(stages_of(inner, width) for inner in layer.layers)], width)


@stages_of.register
def _(layer: ReLU, width: int) -> list[Stage]:
    return [_activation(width, 0.0)]


@stages_of.register
def _(layer: LeakyReLU, width: int) -> list[Stage]:
    return [_activation(width, layer.leak)]


def _activation(width: int, leak: float) -> Stage:
    return Stage(np.eye(width), np.zeros(width), np.full(width, leak))


def _side_by_side(branches: Sequence[list[Stage]], width: int) -> list[Stage]:
    """One chain for branches on the same inputs: the k-th bends of all are in one stage.

    Where a branch has fewer stages between two bends than another, it waits.
    """
    stages: list[Stage] = []
    segments = [_segments(stages) for stages in branches]
    widths = [width] * len(branches)
    for level in range(max(map(len, segments))):
        parts = [branch[level] if level < len(branch) else [] for branch in segments]
        for back in reversed(range(max(map(len, parts)))):
            row = [
                part[-1 - back] if back < len(part) else straight(np.eye(w), np.zeros(w))
                for part, w in zip(parts, widths, strict=True)
            ]
            stages.append(_stacked(row, shared=not stages))
            widths = [len(stage.b) for stage in row]
    return stages or [straight(np.tile(np.eye(width), (len(branches), 1)), np.zeros(sum(widths)))]


def _segments(stages: Sequence[Stage]) -> list[list[Stage]]:
    """The stages cut behind each bend."""
    segments: list[list[Stage]] = [[]]
    for stage in stages:
        segments[-1].append(stage)
        if len(stage.bending):
            segments.append([])
    return segments


def _stacked(stages: Sequence[Stage], shared: bool) -> Stage:
    """One stage of several, on the same inputs or each on its own."""
    M = np.vstack([stage.M for stage in stages]) if shared else _block_diagonal(stages)
    return Stage(
        M,
        np.concatenate([stage.b for stage in stages]),
        np.concatenate([stage.leak for stage in stages]),
    )


def _block_diagonal(stages: Sequence[Stage]) -> Array:
    M = np.zeros(np.sum([stage.M.shape for stage in stages], axis=0))
    row = column = 0
    for stage in stages:
        rows, columns = stage.M.shape
        M[row : row + rows, column : column + columns] = stage.M
        row, column = row + rows, column + columns
    return M


def _joined(stages: Sequence[Stage]) -> list[Stage]:
    """An activation behind stages that do not bend becomes the bend of the last of them."""
    joined: list[Stage] = []
    for stage in stages:
        alone = np.array_equal(stage.M, np.eye(*stage.M.shape)) and not stage.b.any()
        if joined and alone and not len(joined[-1].bending):
            stage = joined.pop()._replace(leak=stage.leak)
        joined.append(stage)
    return joined


class PiecewiseLinear:
    """A chain of stages, evaluated in float64 with error bounds, and exactly on demand.

    Attributes
    ----------
    stages : list of Stage
        The last one does not bend: its z is the output.
    bends : list of int
        The stages that bend, in order.
    exact : ExactRows
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = _joined(stages)
        if len(self.stages[-1].bending):
            width = len(self.stages[-1].b)
            self.stages.append(straight(np.eye(width), np.zeros(width)))
        self.bends = [s for s, stage in enumerate(self.stages) if len(stage.bending)]
        self.n, self.m = self.stages[0].M.shape[1], len(self.stages[-1].b)
        self.exact = ExactRows(self.stages)
        self._growth: list[Array] = []
        self._row_rounding: list[float] = []
        self._value_rounding: list[float] = []
        growth, roundings = np.eye(self.n + 1), 0
        for M, b, leak in self.stages:
            augmented = np.zeros((len(b) + 1, M.shape[1] + 1))
            augmented[:-1, :-1], augmented[:-1, -1] = np.abs(M), np.abs(b)
            augmented[:-1] += UNDERFLOW
            augmented[-1, -1] = 1
            with np.errstate(all="ignore"):  # a bound of inf or nan leaves everything in doubt
                growth = augmented @ growth
                self._growth.append(growth[:-1])
                growth = growth * np.append(np.fmax(1, np.abs(leak)), 1)[:, None]
            # twice the number of roundings, for the bound is rounded too
            self._row_rounding.append(2 * UNIT_ROUNDOFF * roundings)
            roundings += max(M.shape) + 4
            self._value_rounding.append(2 * UNIT_ROUNDOFF * roundings)

    def values(self, stage: int, x: Array) -> Array:
        """z of a stage, (points, w), at points (points, n)."""
        for M, b, leak in self.stages[:stage]:
            x = bend(x @ M.T + b, leak)
        return x @ self.stages[stage].M.T + self.stages[stage].b

    def value_bounds(self, stage: int, x: Array, errors: Array | float = 0.0) -> Array:
        """How far `values`, in whatever order they are added up, may be from the exact ones.

        errors : (points,), how far the coordinates of each point are from those meant.
        """
        with np.errstate(all="ignore"):
            return self._reach(stage, x, errors) @ self._growth[stage].T

    def largest_bounds(self, stage: int, x: Array) -> Array:
        """No unit's bound at a point is larger than this, (points,)."""
        with np.errstate(all="ignore"):
            return self._reach(stage, x, 0.0) @ self._growth[stage].max(axis=0)

    def _reach(self, stage: int, x: Array, errors: Array | float) -> Array:
        rounding = self._value_rounding[stage]
        reach = np.full((len(x), self.n + 1), rounding)
        reach[:, :-1] = rounding * np.abs(x) + np.reshape(errors, (-1, 1))
        return reach

    def rows(self, stage: int, units: Array, sides: Sequence[Array]) -> Array:
        """z of units of a stage as affine functions of the input: (cells, n + 1), the offset last.

        Parameters
        ----------
        stage : int
        units : (cells,)
            The unit asked for on each cell.
        sides : arrays (cells, bending)
            For every bend before the stage, which units are on there.
        """
        R, c = self.stages[stage].M[units], self.stages[stage].b[units]
        before = len([bend for bend in self.bends if bend < stage])
        with np.errstate(all="ignore"):  # what overflows is inf or nan
            for s in reversed(range(stage)):
                if s in self.bends:
                    before -= 1
                    R = R * self.stages[s].slopes(sides[before])
                c = c + R @ self.stages[s].b
                R = R @ self.stages[s].M
        return np.column_stack([R, c])

    def row_bounds(self, stage: int, units: Array) -> Array:
        """How far the entries of `rows` may be from the exact ones."""
        return self._row_rounding[stage] * self._growth[stage][units]


def piecewise_linear(net: Layer, n: int | None = None) -> PiecewiseLinear:
    """The network as a chain of stages, for n inputs where it takes any number.

    Raises
    ------
    TypeError, ValueError
        If a layer is not piecewise linear, a parameter is not finite, or it is a crowd.
    """
    if not isinstance(net, Layer):
        raise TypeError(f"expected a network, not {net!r}")
    if net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets has no single map; take a .member(i)")
    for name, array in net.parameters.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{net.label}: {name} holds nan or inf, so it has no linear regions")
    width = net.n or n
    if width is None:
        raise ValueError(f"{net.label} takes any number of inputs; begin it with an Affinity")
    return PiecewiseLinear(stages_of(net, width) or [straight(np.eye(width), np.zeros(width))])


def local_map(net: Layer, x: Any) -> tuple[Array, Array]:
    """The affine map A x + c that the network is at each input.

    Which side of its bend a unit is on is decided exactly; on the bend itself it counts as
    off, as the derivative of ReLU does. Works for inputs of any dimension.

    Parameters
    ----------
    net : Network or Layer
        Of Affinity, ReLU, LeakyReLU, Identity and Select, and networks, Parallel and Skip of these.
    x : array_like, shape (batch, n) or (n,)

    Returns
    -------
    A : ndarray, shape (batch, m, n) or (m, n)
    c : ndarray, shape (batch, m) or (m,)
        float64.

    Raises
    ------
    TypeError, ValueError
        If a layer is not piecewise linear (the error names it), or x does not fit.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> A, c = local_map(trained_xor()["fc1"], [1, 0])
    >>> A.tolist()
    [[2.2371, -2.2374], [-2.2849, 2.2847]]
    """
    points = floating(x, "the input", np.float64)
    if points.ndim not in (1, 2) or points.size == 0:
        raise ValueError(f"the input must have shape (n,) or (batch, n), not {points.shape}")
    batch = np.atleast_2d(points)
    function = piecewise_linear(net, batch.shape[1])
    if batch.shape[1] != function.n:
        raise ValueError(f"{net.label} takes {function.n} inputs, but {batch.shape[1]} came")
    most = max(1, ENTRIES // (function.m * max(len(stage.b) for stage in function.stages)))
    chunks = [_maps(function, batch[i : i + most]) for i in range(0, len(batch), most)]
    maps = np.concatenate(chunks)
    A, c = maps[..., :-1], maps[..., -1]
    return (A, c) if points.ndim == 2 else (A[0], c[0])


def _maps(function: PiecewiseLinear, x: Array) -> Array:
    """(batch, m, n + 1), the offset last."""
    sides = sides_at(function, x)
    outputs = np.tile(np.arange(function.m), len(x))
    repeated = [np.repeat(side, function.m, axis=0) for side in sides]
    rows = function.rows(len(function.stages) - 1, outputs, repeated)
    return rows.reshape(len(x), function.m, -1)


def sides_at(function: PiecewiseLinear, x: Array) -> list[Array]:
    """Which units are on at float64 inputs (batch, n): for each bend (batch, bending), exactly."""
    sides: list[Array] = []
    values = x
    for s, (M, b, leak) in enumerate(function.stages):
        with np.errstate(all="ignore"):  # what overflows is decided exactly
            values = values @ M.T + b
            z, bound = values, function.value_bounds(s, x)
            values = bend(values, leak)
        bending = function.stages[s].bending
        if not len(bending):
            continue
        z, bound = z[:, bending], bound[:, bending]
        on = z > 0
        for i, k in np.argwhere(~(np.abs(z) > bound)):
            row = function.exact.row(s, bending[k], [side[i] for side in sides])
            on[i, k] = row.at(x[i]) > 0
        sides.append(on)
    return sides
