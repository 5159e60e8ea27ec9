"""Two networks compared: the exact overlay of their cells, and a linear map between them.

Two trained networks may hold the same function in other pieces. On each piece of the overlay
both are one affine map; its gradient and offset are a point of three numbers, and a linear
regression tells how well the one network's points give the other's (notebook B asks this at
the points of a grid; here each piece counts by its area too).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minnet.checks import Array, positive_int
from minnet.layers import Layer
from minnet.study.cells import maps_on, measure, polygons
from minnet.study.certificate import Certificate, Claim, certify
from minnet.study.cutting import MOST, cut, cut_all
from minnet.study.piecewise import PiecewiseLinear, local_map
from minnet.study.planes import on_plane, window_of
from minnet.study.subdivision import Subdivision, Window

GRID = 101  # points along each side, as in notebook B


@dataclass(frozen=True, eq=False)
class Regression:
    """A linear map from one network's (slope x, slope y, offset) to the other's.

    Attributes
    ----------
    M : ndarray, shape (3, 3)
    b : ndarray, shape (3,)
        The map is M v + b.
    r2 : float
        The share of the variance explained: the mean of the three coordinates' R^2.
    """

    M: Array = field(repr=False)
    b: Array = field(repr=False)
    r2: float

    def __call__(self, v: Array) -> Array:
        """The images (points, 3) of points (points, 3)."""
        return v @ self.M.T + self.b


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two networks of one output on the overlay of their cells; made by `compare`.

    The overlay is cut along the zeros of both outputs too, so that on each piece both are
    one affine map of one sign.

    Attributes
    ----------
    polygons : list of ndarray, shape (corners, 2)
    areas : ndarray, shape (pieces,)
    maps1, maps2 : ndarray, shape (pieces, 3)
        Slope x, slope y and offset of either network on each piece.
    positive1, positive2 : ndarray of bool, shape (pieces,)
        Whether the output is above 0 there.
    agreement : float
        The share of the window where both outputs are above 0, or neither.
    distance : float
        The largest distance of the two outputs in the window.
    regressions : dict of str to pair of Regression
        From network 1 to 2, and from 2 to 1, fitted "by grid" (the points of a 101 x 101
        grid and the four corners), "by corners" (these alone) and "by area" (every piece
        of the overlay, by its area).
    certificate : Certificate
        Of the overlay, for both networks.
    """

    polygons: list[Array] = field(repr=False)
    areas: Array = field(repr=False)
    maps1: Array = field(repr=False)
    maps2: Array = field(repr=False)
    positive1: Array = field(repr=False)
    positive2: Array = field(repr=False)
    agreement: float
    distance: float
    regressions: dict[str, tuple[Regression, Regression]]
    certificate: Certificate = field(repr=False)


def compare(
    net1: Layer, net2: Layer, window: Any = ((-1, 1), (-1, 1)), *, most: int = MOST
) -> Comparison:
    """Compare two networks of two inputs and one output in a window, exactly.

    Parameters
    ----------
    net1, net2 : Network
        As `linear_regions` takes.
    window : ((left, right), (low, high))
    most : int
        The most pieces to make.

    Raises
    ------
    TypeError, ValueError
        As `linear_regions`, and where there is more than one output.

    Examples
    --------
    >>> from minnet import Affinity, Network, ReLU
    >>> net = Network([Affinity(2, 3, rng=1), ReLU(), Affinity(3, 1, rng=2)])
    >>> twin = net.copy()
    >>> twin.layers[0].M, twin.layers[0].b = net.layers[0].M[::-1], net.layers[0].b[::-1]
    >>> twin.layers[2].M = net.layers[2].M[:, ::-1]
    >>> same = compare(net, twin)
    >>> same.agreement, round(same.distance, 12), same.regressions["by area"][0].r2
    (1.0, 0.0, 1.0)
    """
    window, most = window_of(window), positive_int(most, "the most pieces")
    mesh = Subdivision(window)
    function1, function2 = _of_one_output(net1), _of_one_output(net2)
    zeros = []
    for function in (function1, function2):
        cut_all(mesh, function, most)
        zeros.append(len(mesh.levels))
        cut(mesh, mesh.level_of(function, len(function.stages) - 1, np.array([0])), most)
    maps1, maps2 = maps_on(mesh, function1), maps_on(mesh, function2)
    areas, interior = measure(mesh)
    claims = [Claim(net1, function1, None, maps1), Claim(net2, function2, None, maps2)]
    certificate = certify(mesh, claims, areas, interior)
    one, two = maps1[:, 0], maps2[:, 0]
    positive1, positive2 = (mesh.sides_on(level)[:, 0] for level in zeros)
    corners = mesh.points[mesh.tails(mesh.border)]
    apart = (one - two)[mesh.corner_cell]
    grid1, grid2 = at_grid(net1, window), at_grid(net2, window)
    return Comparison(
        polygons=polygons(mesh),
        areas=areas,
        maps1=one,
        maps2=two,
        positive1=positive1,
        positive2=positive2,
        agreement=float(areas[positive1 == positive2].sum() / areas.sum()),
        # the difference of the two is linear on each piece, so it is largest at a corner
        distance=float(np.abs((apart[:, :2] * corners).sum(axis=1) + apart[:, 2]).max()),
        regressions={
            "by grid": _both_ways(grid1, grid2),
            "by corners": _both_ways(grid1[-4:], grid2[-4:]),
            "by area": _both_ways(one, two, areas),
        },
        certificate=certificate,
    )


def _of_one_output(net: Layer) -> PiecewiseLinear:
    function, _ = on_plane(net, None, None)
    if function.m != 1:
        raise ValueError(f"compare takes networks of one output, but {net.label} has {function.m}")
    return function


def at_grid(net: Layer, window: Window) -> Array:
    """Slope x, slope y and offset where notebook B looks: (points, 3), the corners at the end."""
    (left, right), (low, high) = window
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(low, high, GRID))
    corners = [(left, low), (right, low), (right, high), (left, high)]
    A, c = local_map(net, np.concatenate([np.column_stack([x.ravel(), y.ravel()]), corners]))
    return np.column_stack([A[:, 0], c])


def _both_ways(
    one: Array, two: Array, weights: Array | None = None
) -> tuple[Regression, Regression]:
    if weights is None:
        weights = np.ones(len(one))
    return _regression(one, two, weights), _regression(two, one, weights)


def _regression(v: Array, w: Array, weights: Array) -> Regression:
    """The least squares fit of w (points, 3) by M v + b, each point by its weight."""
    weights = weights / weights.sum()
    v_mean, w_mean = weights @ v, weights @ w
    root = np.sqrt(np.maximum(weights, 0))[:, None]  # a sliver's area may round below 0
    M = np.linalg.lstsq(root * (v - v_mean), root * (w - w_mean), rcond=1e-12)[0].T
    residual = weights @ (w - w_mean - (v - v_mean) @ M.T) ** 2
    total = weights @ (w - w_mean) ** 2
    # a coordinate that does not vary is explained by b alone
    varies = total > 1e-24 * (weights @ w**2)
    r2 = np.where(varies, 1 - residual / np.where(varies, total, 1), 1.0)
    return Regression(M, w_mean - M @ v_mean, float(r2.mean()))
