"""The cells that a straight segment of inputs goes through, of any number of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minnet.checks import Array, floating, positive_int
from minnet.layers import Layer
from minnet.study.cells import maps_on, measure
from minnet.study.certificate import Claim, certify
from minnet.study.cutting import MOST, cut_all
from minnet.study.piecewise import PiecewiseLinear, piecewise_linear, straight
from minnet.study.subdivision import Subdivision


@dataclass(frozen=True, eq=False)
class Passage:
    """The cells that a segment of inputs goes through, in order.

    Attributes
    ----------
    at : ndarray, shape (cells + 1,)
        Where on the segment cells begin and end, from 0 at its start to 1 at its end.
    patterns : ndarray of bool, shape (cells, units)
    slopes : ndarray, shape (cells, outputs, n)
    offsets : ndarray, shape (cells, outputs)
        The network is slopes @ x + offsets there.
    """

    at: Array
    patterns: Array
    slopes: Array
    offsets: Array

    def __len__(self) -> int:
        return len(self.patterns)


def regions_along(net: Layer, start: Any, stop: Any, *, most: int = MOST) -> Passage:
    """The cells that the segment from one input to another goes through, exactly.

    Parameters
    ----------
    net : Network or Layer
        As `linear_regions` takes, of any number of inputs.
    start, stop : array_like, shape (n,)
        Two different inputs.
    most : int
        The most cells to make.

    Raises
    ------
    TypeError, ValueError
        If a layer is not piecewise linear, or the inputs do not fit or are equal.

    Examples
    --------
    >>> from minnet import Affinity, Network, ReLU
    >>> net = Network([Affinity(1, 2), ReLU(), Affinity(2, 1)])
    >>> net.layers[0].M, net.layers[0].b = [[1], [1]], [0, -1]
    >>> regions_along(net, [-2], [2]).at
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    start, stop = floating(start, "the start", np.float64), floating(stop, "the stop", np.float64)
    if start.ndim != 1 or start.shape != stop.shape or start.size == 0:
        raise ValueError(
            f"start and stop must both have shape (n,), but {start.shape} and {stop.shape} came"
        )
    function = piecewise_linear(net, len(start))
    if function.n != len(start):
        raise ValueError(f"{net.label} takes {function.n} inputs, but {len(start)} came")
    if (start == stop).all():
        raise ValueError("start and stop are the same input")
    # A plane on which nothing depends on y: every line is upright, every cell a strip.
    step = stop - start
    back = step - stop
    rest = (stop - (step - back)) + (-start - back)  # step + rest is stop - start exactly (Knuth)
    twice = straight(np.array([[1.0, 0.0], [1.0, 0.0]]), np.zeros(2))
    path = straight(np.column_stack([step, rest]), start)
    upright = PiecewiseLinear([twice, path, *function.stages])
    mesh = Subdivision(((0.0, 1.0), (0.0, 1.0)))
    cut_all(mesh, upright, positive_int(most, "the most cells"))
    areas, interior = measure(mesh)
    embed = np.stack([step, np.zeros(len(start))]), start
    certify(mesh, [Claim(net, upright, embed, maps_on(mesh, upright))], areas, interior)
    order = np.argsort(interior[:, 0])
    lefts = np.minimum.reduceat(mesh.points[mesh.tails(mesh.border), 0], mesh.starts[:-1])[order]
    sides = [mesh.sides_on(level, order) for level in range(len(mesh.levels))]
    last = len(function.stages) - 1
    maps = [function.rows(last, np.full(len(order), k), sides) for k in range(function.m)]
    slopes = np.stack(maps, axis=1)
    none = np.zeros((len(order), 0), bool)
    return Passage(
        np.append(lefts, 1.0),
        np.concatenate([none, *sides], axis=1),
        slopes[..., :-1],
        slopes[..., -1],
    )
