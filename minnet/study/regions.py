"""The linear regions of a piecewise linear network: exact, certified, of any depth.

A cell is where no unit changes side: there the network is one affine map. Neighbouring cells
of equal map make one linear region. `linear_regions` finds all of them in a window of two
inputs, or of a plane through more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from minnet.checks import Array, brief, number, positive_int
from minnet.layers import Layer
from minnet.study.along import Passage, regions_along
from minnet.study.cells import maps_on, measure, polygons, zeros
from minnet.study.certificate import Certificate, Claim, NotCertified, certify
from minnet.study.comparison import Comparison, Regression, compare
from minnet.study.cutting import MOST, TooManyCells, cut_all
from minnet.study.equality import counts, merged
from minnet.study.piecewise import PiecewiseLinear, local_map
from minnet.study.planes import on_plane, window_of
from minnet.study.restarts import train_until
from minnet.study.subdivision import Subdivision, Window

__all__ = [
    "Certificate",
    "Comparison",
    "LinearRegions",
    "NotCertified",
    "Passage",
    "RegionCount",
    "Regression",
    "TooManyCells",
    "compare",
    "count_regions",
    "linear_regions",
    "local_map",
    "regions_along",
    "train_until",
]


@dataclass(frozen=True, eq=False, repr=False)
class LinearRegions:
    """Every cell of a network in a window, with its map; made by `linear_regions`.

    Cells share one table of vertices and one of edges. Coordinates are the window's: in a
    slice, the multiples of its two directions.

    Attributes
    ----------
    window : ((left, right), (low, high))
    areas : ndarray, shape (cells,)
    interior : ndarray, shape (cells, 2)
        A point inside each cell.
    certificate : Certificate
    """

    window: Window
    areas: Array
    interior: Array
    certificate: Certificate
    _mesh: Subdivision
    _function: PiecewiseLinear
    _maps: Array

    def __len__(self) -> int:
        return self._mesh.cells

    @property
    def slopes(self) -> Array:
        """Of the map of each cell, (cells, outputs, 2): it is slopes @ (x, y) + offsets."""
        return self._maps[..., :2]

    @property
    def offsets(self) -> Array:
        """Of the map of each cell, (cells, outputs)."""
        return self._maps[..., 2]

    @property
    def vertices(self) -> Array:
        """The corners of all cells, (vertices, 2)."""
        return self._mesh.points

    @property
    def edges(self) -> Array:
        """The two vertices of each edge, (edges, 2)."""
        return self._mesh.ends

    @cached_property
    def neighbours(self) -> Array:
        """The cells left and right of each edge, seen along it, (edges, 2); -1 is outside."""
        return self._mesh.neighbours()

    @property
    def kinks(self) -> Array:
        """The bending layer (from 0) and unit whose line each edge is on, (edges, 2).

        -1 on the window's border. Of several units with one line it is one: the patterns
        of the two neighbours tell them all.
        """
        lines = self._mesh.edge_line
        return np.column_stack([self._mesh.line_level[lines], self._mesh.line_unit[lines]])

    @cached_property
    def patterns(self) -> Array:
        """Which units are on in each cell: bool, (cells, units), layer after layer.

        True where a unit's input is above 0; a unit whose input is 0 all over is off.
        """
        sides = [self._mesh.sides_on(level) for level in range(len(self._mesh.levels))]
        return np.concatenate([np.zeros((len(self), 0), bool), *sides], axis=1)

    @cached_property
    def polygons(self) -> list[Array]:
        """The corners of each cell, (corners, 2), anticlockwise.

        Where a neighbour has a corner in the middle of a side, that point is among them.
        """
        return polygons(self._mesh)

    @cached_property
    def merged(self) -> Array:
        """The linear region of each cell, (cells,): the number of the first of its cells."""
        return merged(self._mesh, self._function, self._maps)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Three ways to count, all exact.

        - patterns: the cells; each has an activation pattern of its own;
        - regions: linear regions, for which neighbouring cells of equal map are one;
        - functions: the distinct affine maps, wherever they hold.
        """
        return counts(self._mesh, self._function, self._maps, self.merged)

    def boundary(self, output: int = 0, threshold: float = 0.0) -> Array:
        """Where an output crosses a threshold: segments, (segments, 2, 2), first and last point.

        Their ends are on edges of cells and shared with the next segment. A part of the
        boundary that runs along an edge is there too; a cell on which the output is the
        threshold all over is not, but for its edges.

        Raises
        ------
        TypeError, ValueError
            If there is no such output, or the threshold is no finite number.
        """
        threshold = number(threshold, "the threshold")
        if not isinstance(output, (int, np.integer)) or not 0 <= output < self._function.m:
            raise ValueError(f"there is no output {brief(output)}, but {self._function.m} from 0")
        return zeros(self._mesh, self._function, int(output), threshold)

    def __repr__(self) -> str:
        words = ", ".join(f"{number} {what}" for what, number in self.counts.items())
        return f"LinearRegions({words}; window {self.window})"


def linear_regions(
    net: Layer,
    window: Any = ((-1, 1), (-1, 1)),
    *,
    origin: Any = None,
    directions: Any = None,
    most: int = MOST,
) -> LinearRegions:
    """Every linear region of a network in a window, exactly, with a certificate.

    Weights are taken as the rational numbers they are; on which side of a unit's line a
    point lies, and in which order lines cross, is decided without error, in float64 where
    that is certain and in rationals where it is not. Lines that are parallel, coincide, meet
    in one point or run along the window's border are handled as what they are.

    Parameters
    ----------
    net : Network or Layer
        Of Affinity, ReLU, LeakyReLU and Identity, and networks of these; any depth.
    window : ((left, right), (low, high))
    origin : array_like, shape (n,), optional
    directions : array_like, shape (2, n), optional
        For a network of other than two inputs: the plane origin + x directions[0] +
        y directions[1], of which the window is a part.
    most : int
        The most cells to make.

    Returns
    -------
    LinearRegions

    Raises
    ------
    TypeError, ValueError
        If a layer is not piecewise linear (the error names it), the network has other than
        two inputs and no plane is given, a number is not finite, or the window is empty.
    TooManyCells
        A ValueError, if there are more than `most`.
    NotCertified
        If the result fails its check, which would be a fault here; never a wrong number.

    Examples
    --------
    Notebook B's network made by hand: three regions, along x + y = -1 and x + y = 0.

    >>> from minnet import Affinity, Network, ReLU
    >>> net = Network([Affinity(2, 2), ReLU(), Affinity(2, 1)])
    >>> net.layers[0].M, net.layers[0].b = [[1, 1], [1, 1]], [1, 0]
    >>> net.layers[2].M, net.layers[2].b = [[2, -4]], [-1]
    >>> regions = linear_regions(net, ((-2, 2), (-2, 2)))
    >>> regions
    LinearRegions(3 patterns, 3 regions, 3 functions; window ((-2.0, 2.0), (-2.0, 2.0)))
    >>> for (a, b), c in zip(regions.slopes[:, 0], regions.offsets[:, 0]):
    ...     print(f"{a:g} x + {b:g} y + {c:g}")
    0 x + 0 y + -1
    2 x + 2 y + 1
    -2 x + -2 y + 1
    """
    window, most = window_of(window), positive_int(most, "the most cells")
    function, embed = on_plane(net, origin, directions)
    mesh = Subdivision(window)
    cut_all(mesh, function, most)
    maps = maps_on(mesh, function)
    areas, interior = measure(mesh)
    certificate = certify(mesh, [Claim(net, function, embed, maps)], areas, interior)
    return LinearRegions(window, areas, interior, certificate, mesh, function, maps)


@dataclass(frozen=True, eq=False)
class RegionCount:
    """How many regions there are, and the map of each cell, as `count_regions` found.

    Attributes
    ----------
    counts : dict
        patterns, regions and functions, as in `LinearRegions.counts`.
    slopes : ndarray, shape (cells, outputs, 2)
    offsets : ndarray, shape (cells, outputs)
    """

    counts: Mapping[str, int]
    slopes: Array = field(repr=False)
    offsets: Array = field(repr=False)


def count_regions(net: Layer, window: Any = ((-1, 1), (-1, 1)), *, most: int = MOST) -> RegionCount:
    """The regions of a network with one hidden layer, counted: exact, but not certified.

    Parameters
    ----------
    net : Network
        Of two inputs, with one layer of bends.
    window : ((left, right), (low, high))
    most : int
        The most cells to make.

    Raises
    ------
    TypeError, ValueError
        As `linear_regions`, and where there is more than one hidden layer.

    Examples
    --------
    >>> from minnet import Affinity, Network, ReLU
    >>> net = Network([Affinity(2, 3, rng=1), ReLU(), Affinity(3, 1, rng=2)])
    >>> count_regions(net)
    RegionCount(counts={'patterns': 6, 'regions': 6, 'functions': 6})
    """
    window, most = window_of(window), positive_int(most, "the most cells")
    function, _ = on_plane(net, None, None)
    if len(function.bends) != 1:
        raise ValueError(
            f"count_regions counts one hidden layer, but {net.label} has {len(function.bends)}; "
            "linear_regions takes any number"
        )
    mesh = Subdivision(window)
    cut_all(mesh, function, most)
    maps = maps_on(mesh, function)
    found = counts(mesh, function, maps, merged(mesh, function, maps))
    return RegionCount(found, maps[..., :2], maps[..., 2])
