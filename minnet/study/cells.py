"""What is on the cells of a subdivision: maps, areas, points inside, corners, zeros."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from minnet.checks import Array
from minnet.study.piecewise import PiecewiseLinear, straight
from minnet.study.subdivision import Subdivision


def maps_on(mesh: Subdivision, function: PiecewiseLinear) -> Array:
    """The affine map of a network on each cell, (cells, m, 3), the offset last.

    Raises
    ------
    OverflowError
        If float64 cannot hold them.
    """
    output = mesh.level_of(function, len(function.stages) - 1, np.arange(function.m))
    cells = np.arange(mesh.cells)
    maps = np.empty((mesh.cells, function.m, 3))
    for k in range(function.m):
        maps[:, k] = mesh.rows(output, cells, np.full(mesh.cells, k))
    if not np.isfinite(maps).all():
        raise OverflowError("the maps of the network go beyond the range of float64")
    return maps


def measure(mesh: Subdivision) -> tuple[Array, Array]:
    """The area of each cell, (cells,), and a point inside it, (cells, 2)."""
    corners, starts = mesh.points[mesh.tails(mesh.border)], mesh.starts[:-1]
    counts = np.diff(mesh.starts)
    middle = np.add.reduceat(corners, starts, axis=0) / counts[:, None]
    from_middle = corners - np.repeat(middle, counts, axis=0)
    following = np.arange(1, len(corners) + 1)
    following[mesh.starts[1:] - 1] = starts
    (x, y), (u, v) = from_middle.T, from_middle[following].T
    return np.add.reduceat(x * v - u * y, starts) / 2, middle


def polygons(mesh: Subdivision) -> list[Array]:
    """The corners of each cell, (corners, 2), anticlockwise."""
    corners = mesh.points[mesh.tails(mesh.border)]
    starts = mesh.starts.tolist()
    return [corners[i:j] for i, j in pairwise(starts)]


def zeros(mesh: Subdivision, function: PiecewiseLinear, output: int, threshold: float) -> Array:
    """Where an output is the threshold: segments (segments, 2, 2), inside cells and on edges."""
    last = len(function.stages) - 1
    before = mesh.level_of(function, last, np.array([output])).before
    shifted = PiecewiseLinear(
        [*function.stages, straight(np.eye(function.m), np.full(function.m, -threshold))]
    )
    mesh = mesh.copy()
    level = mesh.level_of(shifted, len(shifted.stages) - 1, np.array([output]))
    level = level._replace(before=before)
    signs = mesh.signs(level)
    hits = mesh.hits(signs)
    lines = mesh.lines_of(level, mesh.corner_cell[hits.corner[:, 0]], hits)
    ends = mesh.points[mesh.tails(mesh.border[hits.corner])]
    chord, end = np.nonzero(~hits.at_vertex)
    edge = mesh.border[hits.corner[chord, end]] >> 1
    # the cells on both sides of an edge must meet it in the same point: of two lines, one
    first, which = np.unique(edge, return_index=True)
    one_line = lines[chord[which]][np.searchsorted(first, edge)]
    ends[chord, end], _ = mesh.lines.cross(mesh.edge_line[edge], one_line)
    flat = np.append(~(signs[mesh.tails(mesh.border)] != 0).any(axis=1), True)
    cells_flat = np.logical_and.reduceat(flat[:-1], mesh.starts[:-1])
    level_edges = (signs[mesh.ends, 0] == 0).all(axis=1)
    all_flat = np.append(cells_flat, True)[mesh.neighbours()].all(axis=1)
    return np.concatenate([ends, mesh.points[mesh.ends[level_edges & ~all_flat]]])
