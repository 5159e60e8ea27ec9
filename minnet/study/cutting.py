"""One layer's cut: every cell of a subdivision cut by every unit of a layer, all at once.

What is known at the start are the chords: where each unit crosses the border of each cell,
in which order along the edges. Then only counting is left, but for the order of crossings
along each chord.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minnet.checks import Array
from minnet.study.piecewise import PiecewiseLinear
from minnet.study.subdivision import Hits, Level, Subdivision, pack, runs, starts_of, toggle

MOST = 1_000_000  # cells, unless the caller wants to see more
PAIRS = 2**27  # of lines in one cell, which take 2 GB


class TooManyCells(ValueError):
    """There are more cells than the caller wants to see."""


class Pieces(NamedTuple):
    """Lines cut into edges at vertices: those of old edges, or those of chords."""

    ends: Array  # (pieces, 2), vertices
    starts: Array  # (lines + 1,), each line's pieces are consecutive


class OnEdges(NamedTuple):
    """New vertices on old edges."""

    points: Array  # (vertices, 2)
    errors: Array  # (vertices,)
    through: Array  # (vertices, 2), lines


class Chords(NamedTuple):
    """The distinct chords of all cells, by cell and first end; units may share one.

    An end is a place in the refined border of all cells, one after the other. Chords with
    the same first end are in the order of their second, the last first: so a chord runs
    right of an earlier one if and only if it begins before that one ends.
    """

    cell: Array  # (chords,)
    ends: Array  # (chords, 2)
    line: Array  # (chords,)
    chord: Array  # (hits,), the chord of each unit's hit
    inside: tuple[Array, Array]  # (outer, inner): inner begins between the ends of outer


class Crossings(NamedTuple):
    """Where chords cross inside cells, chord after chord in the direction of each."""

    points: Array  # (vertices, 2)
    errors: Array  # (vertices,)
    through: Array  # (vertices, 2), lines
    chord: Array  # (items,)
    other: Array  # (items,), the chord that crosses it there
    vertex: Array  # (items,)
    new: Array  # (items,), False where the item before is at the same vertex of the same chord


def cut_all(mesh: Subdivision, function: PiecewiseLinear, most: int) -> None:
    """Cut by every bend of a network, layer after layer; see `cut`."""
    for stage in function.bends:
        cut(mesh, mesh.level_of(function, stage, function.stages[stage].bending), most)


def cut(mesh: Subdivision, level: Level, most: int) -> None:
    """Cut every cell of a subdivision, in place, by every unit of a level.

    Raises
    ------
    TooManyCells
        If there are more than `most` cells then; the subdivision is not usable any more.
    """
    hits = mesh.hits(mesh.signs(level))
    if not len(hits.unit):
        mesh.sides.append(pack(hits.above))
        mesh.levels.append(level)
        return
    old_cell = mesh.corner_cell[hits.corner[:, 0]]
    lines = mesh.lines_of(level, old_cell, hits)
    edges, on_edges, place = _split_edges(mesh, hits, lines)
    border, starts, ends = _refined_border(mesh, hits, edges, place)
    chords = _chords(old_cell, ends, lines)
    _check_number(mesh.cells + len(chords.cell), most)
    crossings = _crossings(mesh, chords)

    first_inside = len(mesh.points) + len(on_edges.points)
    tail = edges.ends[border >> 1, border & 1]
    inner = _split_chords(chords, crossings, tail, first_inside)
    all_ends = np.concatenate([edges.ends, inner.ends])
    following = _following(border, starts, chords, crossings, inner, len(edges.ends))
    owner = np.full(2 * len(all_ends), -1)
    owner[border] = np.repeat(np.arange(mesh.cells), np.diff(starts))
    owner[2 * len(edges.ends) :] = np.repeat(chords.cell, 2 * np.diff(inner.starts))
    cell_of, new_border, new_starts = _cycles(following, owner >= 0)
    _check_number(len(new_starts) - 1, most)
    parent = owner[new_border[new_starts[:-1]]]

    sides = _sides(hits, old_cell, chords, crossings, inner, parent, cell_of[2 * len(edges.ends) :])
    mesh.sides = [words[parent] for words in mesh.sides] + [sides]
    mesh.levels.append(level)
    mesh.edge_line = np.concatenate(
        [
            np.repeat(mesh.edge_line, np.diff(edges.starts)),
            np.repeat(chords.line, np.diff(inner.starts)),
        ]
    )
    mesh.points = np.concatenate([mesh.points, on_edges.points, crossings.points])
    mesh.errors = np.concatenate([mesh.errors, on_edges.errors, crossings.errors])
    mesh.through = np.concatenate([mesh.through, on_edges.through, crossings.through])
    mesh.ends, mesh.border, mesh.starts = all_ends, new_border, new_starts


def _check_number(cells: int, most: int) -> None:
    if cells > most:
        raise TooManyCells(
            f"there are more than {most} cells, {cells} so far: choose a smaller window or "
            "network, or allow more"
        )


def _split_edges(mesh: Subdivision, hits: Hits, lines: Array) -> tuple[Pieces, OnEdges, Array]:
    """Cut the edges where units cross them; (hits, 2), the places of their ends on these."""
    hit, end = np.nonzero(~hits.at_vertex)
    edge = mesh.border[hits.corner[hit, end]] >> 1
    units = int(hits.unit.max(initial=0)) + 1
    key, first, inverse = np.unique(
        edge * units + hits.unit[hit], return_index=True, return_inverse=True
    )
    edge, line = key // units, lines[hit[first]]
    points, errors = mesh.lines.cross(mesh.edge_line[edge], line)
    order, new = mesh.lines.sort_along(edge, mesh.edge_line[edge], line, points, errors)
    vertex = np.empty(len(order), np.int64)
    vertex[order] = np.cumsum(new) - 1
    kept = order[new]
    counts = np.bincount(edge[kept], minlength=len(mesh.ends))
    place = np.zeros(hits.at_vertex.shape, np.int64)
    place[hit, end] = (vertex - starts_of(counts)[edge])[inverse]
    pieces = _split(mesh.ends, counts, len(mesh.points) + np.arange(len(kept)))
    through = np.column_stack([mesh.edge_line[edge[kept]], line[kept]])
    return pieces, OnEdges(points[kept], errors[kept], through), place


def _split(ends: Array, counts: Array, vertices: Array) -> Pieces:
    """Cut lines (lines, 2) at `counts` vertices each, which are listed one line after another."""
    starts = starts_of(counts + 2)
    sequence = np.empty(starts[-1], np.int64)
    inside = np.ones(len(sequence), bool)
    inside[starts[:-1]] = inside[starts[1:] - 1] = False
    sequence[starts[:-1]], sequence[starts[1:] - 1] = ends[:, 0], ends[:, 1]
    sequence[inside] = vertices
    last, first = np.ones(len(sequence), bool), np.ones(len(sequence), bool)
    last[starts[1:] - 1] = first[starts[:-1]] = False
    return Pieces(np.column_stack([sequence[last], sequence[first]]), starts_of(counts + 1))


def _refined_border(
    mesh: Subdivision, hits: Hits, edges: Pieces, place: Array
) -> tuple[Array, Array, Array]:
    """The borders of the old cells with all new vertices, and where in it chords end (hits, 2)."""
    edge, back = mesh.border >> 1, mesh.border & 1
    counts = np.diff(edges.starts)[edge]
    corner, step = runs(counts)
    step = np.where(back[corner] == 1, counts[corner] - 1 - step, step)
    border = 2 * (edges.starts[edge[corner]] + step) + back[corner]
    first = starts_of(counts)
    beyond = np.where(back[hits.corner] == 1, counts[hits.corner] - 1 - place, place + 1)
    ends = first[hits.corner] + np.where(hits.at_vertex, 0, beyond)
    return border, first[mesh.starts], ends


def _chords(cell: Array, ends: Array, lines: Array) -> Chords:
    order = np.lexsort((-ends[:, 1], ends[:, 0]))
    first, second = ends[order].T
    new = np.ones(len(order), bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    chord = np.empty(len(order), np.int64)
    chord[order] = np.cumsum(new) - 1
    kept = order[new]
    first, second = first[new], second[new]
    counts = np.searchsorted(first, second) - np.arange(1, len(kept) + 1)
    if counts.sum() > PAIRS:
        raise TooManyCells(f"{counts.sum()} pairs of lines may cross in one layer: over {PAIRS}")
    outer, step = runs(counts)
    return Chords(cell[kept], ends[kept], lines[kept], chord, (outer, outer + 1 + step))


def _crossings(mesh: Subdivision, chords: Chords) -> Crossings:
    outer, inner = chords.inside
    alternate = (chords.ends[outer, 0] < chords.ends[inner, 0]) & (
        chords.ends[outer, 1] < chords.ends[inner, 1]
    )
    one, two = outer[alternate], inner[alternate]
    points, errors = mesh.lines.cross(chords.line[one], chords.line[two])
    pairs = np.arange(len(one))
    chord, other = np.concatenate([one, two]), np.concatenate([two, one])
    pair = np.concatenate([pairs, pairs])
    order, new = mesh.lines.sort_along(
        chord, chords.line[chord], chords.line[other], points[pair], errors[pair]
    )
    chord, other, pair = chord[order], other[order], pair[order]
    kept, vertex = pairs, pair
    if not new.all():  # more than two through one point: it goes by the first two of them
        starts = np.flatnonzero(new)
        run = np.cumsum(new) - 1
        low = np.minimum.reduceat(other, starts)
        rest = np.where(other == low[run], len(chords.cell), other)
        second = np.minimum.reduceat(rest, starts)
        trio = np.sort(np.column_stack([chord[starts], low, second]), axis=1)
        key, n = one * len(chords.cell) + two, len(chords.cell)
        first_two = np.searchsorted(key, trio[:, 0] * n + trio[:, 1])
        kept, vertex = np.unique(first_two[run], return_inverse=True)
    through = np.column_stack([chords.line[one[kept]], chords.line[two[kept]]])
    return Crossings(points[kept], errors[kept], through, chord, other, vertex, new)


def _split_chords(chords: Chords, crossings: Crossings, tail: Array, first_inside: int) -> Pieces:
    """Cut the chords where others cross them."""
    new = crossings.new
    counts = np.bincount(crossings.chord[new], minlength=len(chords.cell))
    return _split(tail[chords.ends], counts, first_inside + crossings.vertex[new])


def _following(
    border: Array,
    starts: Array,
    chords: Chords,
    crossings: Crossings,
    pieces: Pieces,
    edges: int,
) -> Array:
    """The half-edge that comes next around the cell on the left, for every half-edge.

    Arriving at a vertex, that is the first ray clockwise from where one came. Rays are
    ordered by the ends in the border that they run to.
    """
    counts = np.diff(starts)
    following = np.arange(2 * (edges + len(pieces.ends)))
    after = np.arange(1, len(border) + 1)
    after[starts[1:] - 1] = starts[:-1]
    following[border] = border[after]

    chord, _ = runs(np.diff(pieces.starts))
    first, size = starts[chords.cell[chord]], counts[chords.cell[chord]]
    # where each piece's rays start: a place in the border, or beyond those a crossing
    vertex = len(border) + crossings.vertex[crossings.new]
    nodes = _split(chords.ends, np.diff(pieces.starts) - 1, vertex).ends
    target = chords.ends[chord][:, ::-1]  # of the ray along the piece, and of the one back
    turn = np.where(nodes < len(border), (target - nodes) % size[:, None], target - first[:, None])
    rays: Array = 2 * (edges + np.arange(len(nodes)))[:, None] + [0, 1]
    order = np.argsort((nodes * (counts.max(initial=0) + 1) + turn).reshape(-1))
    node, ray = nodes.reshape(-1)[order], rays.reshape(-1)[order]
    begins = np.ones(len(node), bool)
    begins[1:] = node[1:] != node[:-1]
    begin = np.flatnonzero(begins)
    last = np.append(begin[1:], len(node)) - 1
    clockwise: Array = np.roll(ray, 1)
    on_border = node[begin] < len(border)
    clockwise[begin] = np.where(on_border, border[np.where(on_border, node[begin], 0)], ray[last])
    following[ray ^ 1] = clockwise
    place, before = node[begin[on_border]], np.empty(len(border), np.int64)
    before[after] = np.arange(len(border))
    following[border[before[place]]] = ray[last[on_border]]
    return following


def _cycles(following: Array, inside: Array) -> tuple[Array, Array, Array]:
    """The cell of each half-edge, and the half-edges of each cell in order.

    Each half-edge learns the lowest number in its cycle, looking 1, 2, 4, ... steps ahead.
    """
    lowest, ahead = np.arange(len(following)), following
    while True:
        lower = np.minimum(lowest, lowest[ahead])
        if np.array_equal(lower, lowest):
            break
        lowest, ahead = lower, ahead[ahead]
    first = np.flatnonzero((lowest == np.arange(len(lowest))) & inside)
    cell_of = np.full(len(following), -1)
    cell_of[first] = np.arange(len(first))
    cell_of = np.where(inside, cell_of[lowest], -1)
    starts = starts_of(np.bincount(cell_of[inside], minlength=len(first)))
    border = np.empty(starts[-1], np.int64)
    cell, half_edge, step = np.arange(len(first)), first, 0
    while len(cell):
        border[starts[cell] + step] = half_edge
        half_edge, step = following[half_edge], step + 1
        going = half_edge != first[cell]
        cell, half_edge = cell[going], half_edge[going]
    return cell_of, border, starts


def _sides(
    hits: Hits,
    old_cell: Array,
    chords: Chords,
    crossings: Crossings,
    pieces: Pieces,
    parent: Array,
    cell_of: Array,
) -> Array:
    """Which units are positive on each new cell, packed.

    Along a chord, from end to end, the cell on its left changes by the chords that cross
    it; a cell right of a chord differs from the one on its left by that chord.
    """
    positive = hits.above.copy()
    positive[old_cell, hits.unit] = hits.leaves  # left of its chord, which is where all start
    left = pack(positive)
    members = np.argsort(chords.chord, kind="stable")
    first_member = starts_of(np.bincount(chords.chord, minlength=len(chords.cell)))

    def flip(words: Array, rows: Array, flipped: Array) -> None:
        counts = np.diff(first_member)[flipped]
        item, step = runs(counts)
        toggle(words, rows[item], hits.unit[members[first_member[flipped[item]] + step]])

    own = np.zeros((len(chords.cell), left.shape[1]), left.dtype)
    flip(own, np.arange(len(chords.cell)), np.arange(len(chords.cell)))
    start = left[chords.cell]
    outer, inner = chords.inside
    flip(start, inner, outer)
    along = np.zeros((len(pieces.ends), left.shape[1]), left.dtype)
    reached = np.cumsum(crossings.new) - 1  # the how manieth vertex on all chords
    row = reached + crossings.chord + 1
    flip(along, row, crossings.other)
    np.bitwise_xor.accumulate(along, axis=0, out=along)

    some = np.full(len(parent), -1)
    some[cell_of] = np.arange(len(cell_of))
    cut_up = np.flatnonzero(some >= 0)
    piece, right = some[cut_up] >> 1, some[cut_up] & 1
    chord = np.repeat(np.arange(len(chords.cell)), np.diff(pieces.starts))[piece]
    sides = left[parent]
    sides[cut_up] = along[piece] ^ along[pieces.starts[chord]] ^ start[chord]
    sides[cut_up[right == 1]] ^= own[chord[right == 1]]
    return sides
