"""Linear regions against a construction in rationals that shares nothing with them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rational
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

import bench.region_plots as plots
import bench.regions
from bench.arguments import Parser, Refusal
from bench.plots import figure
from minnet import (
    SGD,
    Affinity,
    Facts,
    Identity,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    uniform,
)
from minnet.facts import parity
from minnet.study import certificate, piecewise, subdivision
from minnet.study.exact import ExactRows, crossing, integers
from minnet.study.piecewise import piecewise_linear
from minnet.study.regions import (
    LinearRegions,
    NotCertified,
    TooManyCells,
    compare,
    count_regions,
    linear_regions,
    local_map,
    regions_along,
    train_until,
)
from minnet.study.subdivision import pack, unpack

SQUARE = ((-1, 1), (-1, 1))


def network(*matrices: tuple[Any, Any], bend: Any = ReLU) -> Network:
    """Affine layers of these (M, b), with bends between them."""
    layers: list[Layer] = []
    for M, b in matrices:
        layer = Affinity(len(M[0]), len(M))
        layer.M, layer.b = M, b
        layers += [layer, bend()]
    return Network(layers[:-1])


def random_network(
    *widths: int, seed: int, integers: int = 0, bias: bool = True, bend: Any = ReLU
) -> Network:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.integers(-integers, integers + 1, shape) if integers else rng.normal(size=shape)

    pairs = list(pairwise(widths))
    return network(*((draw(m, n), draw(m) * bias) for n, m in pairs), bend=bend)


def by_hand() -> Network:
    """Notebook B's."""
    return network(([[1, 1], [1, 1]], [1, 0]), ([[2, -4]], [-1]))


def agree(regions: LinearRegions, cells: list[rational.Cell]) -> None:
    """Every cell is there once, with its area and its map."""
    place = {tuple(pattern.tolist()): i for i, pattern in enumerate(regions.patterns)}
    assert len(place) == len(regions) == len(cells)
    for cell in cells:
        i = place[cell.pattern]
        assert regions.areas[i] == pytest.approx(float(cell.area), rel=1e-9, abs=1e-13)
        rows = np.array(cell.rows, float)
        found = np.column_stack([regions.slopes[i], regions.offsets[i]])
        np.testing.assert_allclose(found, rows, rtol=1e-12, atol=1e-12 * (1 + abs(rows).max()))


def agree_in_area(regions: LinearRegions, cells: list[rational.Cell]) -> None:
    """Every cell is there once, with its area; for maps of which float64 keeps little."""
    areas = dict(zip(map(tuple, regions.patterns.tolist()), regions.areas, strict=True))
    assert areas == pytest.approx({cell.pattern: float(cell.area) for cell in cells}, abs=1e-13)


# against the rational construction


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Small integer weights: many ties, dead and duplicate units, parallel lines."""
    widths = [2, *draw(st.lists(st.integers(1, 5), max_size=3)), draw(st.integers(1, 2))]
    numbers = st.integers(-2, 2)
    layers: list[Layer] = []
    for n, m in pairwise(widths):
        affine = Affinity(n, m)
        affine.M = draw(st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=m, max_size=m))
        affine.b = draw(st.lists(numbers, min_size=m, max_size=m))
        bend = draw(st.sampled_from([ReLU(), ReLU(), LeakyReLU(0.5), LeakyReLU(-1), Identity()]))
        layers += [affine, bend.copy()]
    return Network(layers if draw(st.booleans()) else layers[:-1])


windows = st.sampled_from([SQUARE, ((-2, 2), (-2, 2)), ((0, 1), (0, 2)), ((-0.3, 0.1), (1, 7))])


@given(networks(), windows)
def test_equals_the_rational_construction(net: Network, window: Any) -> None:
    regions = linear_regions(net, window)
    cells = rational.cells(rational.described(net), window)
    agree(regions, cells)
    assert regions.counts == rational.counts(cells)


@pytest.mark.parametrize("widths", [(2, 8, 8, 1), (2, 5, 7, 6, 1)])
@pytest.mark.parametrize(
    "settings", [{}, {"integers": 1}, {"integers": 3}, {"integers": 2, "bias": False}]
)
@pytest.mark.parametrize("seed", range(3))
def test_deep_networks(widths: tuple[int, ...], settings: Any, seed: int) -> None:
    net = random_network(*widths, seed=seed, **settings)
    regions = linear_regions(net)
    cells = rational.cells(rational.described(net), SQUARE)
    agree(regions, cells)
    assert regions.counts == rational.counts(cells)


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_wildly_different_sizes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(2, 8, 6, 1, seed=seed)
    for array in net.parameters.values():
        array *= 10.0 ** rng.integers(-75, 75, array.shape)
    regions = linear_regions(net)
    patterns = {cell.pattern for cell in rational.cells(rational.described(net), SQUARE)}
    assert {tuple(p.tolist()) for p in regions.patterns} == patterns


def test_a_line_of_which_float64_keeps_no_digit() -> None:
    # 1 + 2^-54 - 1 - 2^-55 is 2^-55, but added up in this order -2^-55
    tiny = 2.0**-55
    net = network(
        ([[1, 0]] * 4 + [[0, 1]], [1.5] * 5),
        ([[1, 2 * tiny, -1, -tiny, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]], [-1.75 * tiny, -1.7, -1]),
        ([[1 / tiny, 1, 1]], [0]),
    )
    regions = linear_regions(net)
    agree_in_area(regions, rational.cells(rational.described(net), SQUARE))
    assert set(regions.vertices[:, 0]) == {-1, 0.25, 1}


def test_products_that_underflow_are_not_trusted() -> None:
    # 2.6 - 2.3 - 2.3 in units of which float64 has only whole fives: 5 - 0 - 0
    net = network(
        ([[2.6e-162, 0], [2.3e-162, 0], [2.3e-162, 0]], [0, 0, 0]),
        ([[1e-162, -1e-162, -1e-162]], [0]),
        ([[1]], [0]),
    )
    assert linear_regions(net, ((0.99, 1.01), (0, 1))).patterns.tolist() == [[True] * 3 + [False]]


def test_maps_beyond_float64_are_refused() -> None:
    net = random_network(2, 3, 3, 1, seed=0)
    for layer in net.layers[::2]:
        layer.M = layer.M * 1e150
    with pytest.raises(OverflowError, match="beyond the range of float64"):
        linear_regions(net)


# one hidden layer: 1 + lines + what each inner point adds


def formula(M: Any, b: Any, window: Any = SQUARE) -> int:
    """1 + L + sum over inner points of (lines through it - 1), in rationals."""
    (left, right), (low, high) = [[Fraction(v) for v in side] for side in window]
    corners = [(x, y) for x in (left, right) for y in (low, high)]
    lines = set()
    for (p, q), r in zip(np.asarray(M, float).tolist(), np.asarray(b, float).tolist(), strict=True):
        line = [Fraction(v) for v in (p, q, r)]
        at_corners = [line[0] * x + line[1] * y + line[2] for x, y in corners]
        if min(at_corners) < 0 < max(at_corners):
            first = line[0] or line[1]
            lines.add(tuple(v / first for v in line))
    through: dict[tuple[Fraction, Fraction], set[Any]] = {}
    for one, two in combinations(sorted(lines), 2):
        det = one[0] * two[1] - two[0] * one[1]
        if det:
            x = (one[1] * two[2] - two[1] * one[2]) / det
            y = (one[2] * two[0] - two[2] * one[0]) / det
            if left < x < right and low < y < high:
                through.setdefault((x, y), set()).update([one, two])
    return 1 + len(lines) + sum(len(found) - 1 for found in through.values())


def hidden_layers() -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    small = rng.integers(-3, 4, (120, 2)), rng.integers(-3, 4, 120)
    turns = 2 * np.pi * np.arange(60) / 60
    round_the_origin = np.column_stack([np.cos(turns), np.sin(turns)])
    steps = np.arange(-5, 6) / 5  # from border to border
    upright = np.column_stack([np.ones(11), np.zeros(11)]), -steps
    level = np.column_stack([np.zeros(11), np.ones(11)]), -steps
    both = np.concatenate([upright[0], level[0]]), np.concatenate([upright[1], level[1]])
    diagonals = [[1, 1], [1, -1], [2, 2], [-1, -1], [1, 2]], [0, 0, 0, 0, 3]
    return {
        **{f"random {w}": (rng.normal(size=(w, 2)), rng.normal(size=w)) for w in (1, 2, 20, 200)},
        "through the origin": (rng.normal(size=(100, 2)), np.zeros(100)),
        "small integers": small,
        "upright, the border's among them": upright,
        "chequered": both,
        "chequered, and diagonals": (
            np.concatenate([both[0], diagonals[0]]),
            np.concatenate([both[1], diagonals[1]]),
        ),
        "tangents of a circle": (round_the_origin, np.full(60, -0.5)),
        "through corners": diagonals,
        "twice": (np.repeat(small[0], 2, axis=0), np.repeat(small[1], 2)),
        "opposite": (np.concatenate([small[0], -small[0]]), np.append(small[1], -small[1])),
        "zero weights": (np.zeros((3, 2)), [-1, 0, 1]),
        "almost the same": ([[1, 0], [1, 0], [1, 1]], [-0.3, -(0.1 + 0.2), 0]),
        "almost through one point": (
            [[1, 1], [1, -1], [0.1, 0.3], [1, 3]],
            [-0.2, 0, -0.04, -0.4],
        ),
        "hardly crossing": ([[1, 1], [1, 1 + 2**-52], [1, 1 - 2**-53]], [0, 2**-54, 0]),
    }


@pytest.mark.parametrize("name", hidden_layers())
@pytest.mark.parametrize("window", [SQUARE, ((-0.5, 1), (0, 0.6))])
def test_one_hidden_layer_counts_as_the_formula(name: str, window: Any) -> None:
    M, b = hidden_layers()[name]
    net = network((M, b), (np.arange(1, len(M) + 1)[None], [0]))
    expected = formula(M, b, window)
    regions = linear_regions(net, window)
    assert len(regions) == regions.counts["patterns"] == expected
    count = count_regions(net, window)
    assert count.counts == regions.counts
    assert np.array_equal(count.slopes, regions.slopes)
    assert np.array_equal(count.offsets, regions.offsets)


# what a result holds


def test_by_hand() -> None:
    regions = linear_regions(by_hand(), ((-2, 2), (-2, 2)))
    assert regions.counts == {"patterns": 3, "regions": 3, "functions": 3}
    maps = np.column_stack([regions.slopes[:, 0], regions.offsets[:, 0]])
    order = np.argsort(regions.interior.sum(axis=1))
    assert maps[order].tolist() == [[0, 0, -1], [2, 2, 1], [-2, -2, 1]]
    assert regions.areas[order].tolist() == [4.5, 3.5, 8]
    inner = (regions.neighbours >= 0).all(axis=1)
    kinks = {tuple(kink): ends for kink, ends in zip(
        regions.kinks[inner].tolist(), regions.edges[inner], strict=True
    )}  # fmt: skip
    assert regions.vertices[kinks[0, 0]].sum(axis=1).tolist() == [-1, -1]
    assert regions.vertices[kinks[0, 1]].sum(axis=1).tolist() == [0, 0]
    boundary = regions.boundary()
    assert sorted(boundary.sum(axis=2).tolist()) == [[-0.5, -0.5], [0.5, 0.5]]
    assert set(abs(boundary).max(axis=(1, 2))) == {2}


MESHES = {
    "deep": random_network(2, 12, 9, 7, 2, seed=1),
    "ties": random_network(2, 9, 9, 1, seed=2, integers=2),
    "leaky": random_network(2, 10, 10, 1, seed=3, bend=lambda: LeakyReLU(0.1)),
}


@pytest.mark.parametrize("name", MESHES)
def test_the_mesh_is_watertight(name: str) -> None:
    regions = linear_regions(MESHES[name])
    sides: dict[tuple[Any, Any], int] = {}
    for cell, polygon in enumerate(regions.polygons):
        corners = [tuple(corner) for corner in polygon.tolist()]
        assert len(set(corners)) == len(corners) >= 3
        for side in zip(corners, corners[1:] + corners[:1], strict=True):
            assert side not in sides
            sides[side] = cell
    for (p, q), cell in sides.items():
        on_border = any(abs(p[i]) == 1 and p[i] == q[i] for i in (0, 1))
        assert on_border != ((q, p) in sides), (p, q, cell)
    points = regions.vertices
    assert len({tuple(point) for point in points.tolist()}) == len(points)
    for (i, j), (left, right) in zip(regions.edges, regions.neighbours, strict=True):
        p, q = tuple(points[i].tolist()), tuple(points[j].tolist())
        assert sides.get((p, q), -1) == left and sides.get((q, p), -1) == right
    assert regions.areas.min() > 0 and regions.areas.sum() == pytest.approx(4, rel=1e-12)


@pytest.mark.parametrize("name", MESHES)
def test_neighbours_differ_by_the_unit_that_bends_between_them(name: str) -> None:
    net = MESHES[name]
    regions = linear_regions(net)
    first = np.cumsum([0, *(layer.m for layer in net.layers if isinstance(layer, Affinity))])
    for (left, right), (layer, unit), ends in zip(
        regions.neighbours, regions.kinks, regions.edges, strict=True
    ):
        if min(left, right) < 0:
            assert layer == unit == -1
            continue
        assert (regions.patterns[left] != regions.patterns[right])[first[layer] + unit]
        middle = regions.vertices[ends].mean(axis=0)
        values = [regions.slopes[c] @ middle + regions.offsets[c] for c in (left, right)]
        np.testing.assert_allclose(*values, atol=1e-11)


@pytest.mark.parametrize("name", MESHES)
def test_the_boundary_is_where_the_output_is_zero(name: str) -> None:
    net = MESHES[name]
    regions = linear_regions(net)
    boundary = regions.boundary()
    along = boundary[:, :1] + np.linspace(0, 1, 7)[:, None] * (boundary[:, 1:] - boundary[:, :1])
    assert abs(net(along.reshape(-1, 2))[:, 0]).max() < 1e-11
    # without gaps: where it is cut at an edge, it goes on from the very same point
    ends = Counter(map(tuple, boundary.reshape(-1, 2).tolist()))
    assert all(times > 1 for (x, y), times in ends.items() if max(abs(x), abs(y)) < 1)
    # and nowhere else: along random segments the sign changes where these cross it
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-0.99, 0.99, 60)]), axis=-1).reshape(-1, 2)
    positive = (net(grid)[:, 0] > 0).reshape(60, 60)
    for row in range(60):
        y = grid[row * 60, 1]
        (x1, y1), (x2, y2) = boundary[:, 0].T, boundary[:, 1].T
        meets = (y1 > y) != (y2 > y)
        at = (x1 + (y - y1) * (x2 - x1) / np.where(meets, y2 - y1, 1))[meets]
        for i in range(59):
            inside = ((at > grid[i, 0]) & (at < grid[i + 1, 0])).sum()
            assert inside % 2 == (positive[row, i] != positive[row, i + 1])


def test_a_boundary_along_edges_and_at_a_threshold() -> None:
    ramp = network(([[1, 0], [-1, 0]], [0, 0]), ([[1, 0]], [0]))  # max(0, x)
    assert linear_regions(ramp).boundary(threshold=0.5)[:, :, 0].tolist() == [[0.5, 0.5]]
    [edge] = linear_regions(ramp).boundary()
    assert edge[:, 0].tolist() == [0, 0] and sorted(edge[:, 1]) == [-1, 1]
    assert linear_regions(ramp).boundary(threshold=-1).shape == (0, 2, 2)


def test_the_same_bits_every_time() -> None:
    net = random_network(2, 20, 20, 1, seed=5)
    one, two = linear_regions(net), linear_regions(net.copy())
    for name in ("vertices", "edges", "neighbours", "kinks", "slopes", "offsets", "areas"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert [p.tobytes() for p in one.polygons] == [p.tobytes() for p in two.polygons]


def test_the_same_cells_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    net = random_network(2, 9, 8, 2, seed=6)
    whole = linear_regions(net)
    for module in (certificate, piecewise, subdivision):
        monkeypatch.setattr(module, "ENTRIES", 40)
    parts = linear_regions(net)
    assert np.array_equal(whole.patterns, parts.patterns)
    np.testing.assert_allclose(whole.slopes, parts.slopes, atol=1e-13)
    x = np.random.default_rng(0).normal(size=(50, 2))
    one_by_one = np.stack([local_map(net, v)[0] for v in x])
    np.testing.assert_allclose(local_map(net, x)[0], one_by_one, atol=1e-13)


def test_the_result_does_not_change_with_the_network() -> None:
    net = random_network(2, 5, 4, 1, seed=1)
    threshold = net([0, 0])[0]
    expected, regions = linear_regions(net), linear_regions(net)
    expected_boundary = expected.boundary(threshold=threshold)
    net.randomize(0)
    assert regions.counts == expected.counts
    assert len(expected_boundary)
    assert np.array_equal(regions.boundary(threshold=threshold), expected_boundary)


# counting


def test_dead_and_useless_units() -> None:
    # the second layer is dead where x < 0; unit 2 is not used at all
    net = network(([[1, 0], [0, 1], [1, 1]], [0, 0, 0]), ([[1, 0, 0]], [0]), ([[1]], [0]))
    assert linear_regions(net).counts == {"patterns": 6, "regions": 2, "functions": 2}
    # the same map on both sides of a strip, which keeps the two apart
    strip = network(([[1, 0], [1, 0]], [0.5, -0.5]), ([[1, -1]], [0]), ([[1]], [0]))
    hat = network(
        ([[1, 0], [1, 0], [1, 0]], [0.5, 0, -0.5]), ([[1, -2, 1]], [0])
    )  # 0 on both sides of a hat
    assert linear_regions(strip).counts == {"patterns": 3, "regions": 3, "functions": 3}
    assert linear_regions(hat).counts == {"patterns": 4, "regions": 4, "functions": 3}


def test_maps_that_float64_cannot_tell_apart() -> None:
    tiny = 2.0**-80  # a slope of 1 on one side, and of 1 + 2^-80 on the other
    net = network(([[1, 0], [0, 1], [1, 0]], [0, 0, 5]), ([[tiny, 1, 1]], [0]))
    assert linear_regions(net).counts == {"patterns": 4, "regions": 4, "functions": 4}
    net = network(([[1, 0], [0, 1], [1, 0]], [0, 0, 0]), ([[3, 1, -3]], [0]))
    assert linear_regions(net).counts == {"patterns": 4, "regions": 2, "functions": 2}


# networks of other make


def test_nests_identities_and_activations_in_a_row() -> None:
    plain = random_network(2, 4, 3, 1, seed=3)
    a, _, b, _, c = (layer.copy() for layer in plain.layers)
    nested = Network([Identity(), Network([a, ReLU(), Network([b])]), ReLU(), Identity(), c])
    one, two = linear_regions(plain), linear_regions(nested)
    assert np.array_equal(one.patterns, two.patterns) and np.array_equal(one.slopes, two.slopes)
    first = Network([ReLU(), ReLU(), Affinity(2, 1, rng=0), LeakyReLU(0.5)])
    regions = linear_regions(first)
    cells = rational.cells([("bend", 0), ("bend", 0), *rational.described(first)[2:]], SQUARE)
    agree(regions, cells)
    assert linear_regions(Network([ReLU()])).counts["functions"] == 4
    assert len(linear_regions(Affinity(2, 3))) == len(linear_regions(Network([Identity()]))) == 1


def test_float32_weights_are_rationals_too() -> None:
    net = Network([Affinity(2, 9, rng=0), ReLU(), Affinity(9, 2, rng=1)], dtype=np.float32)
    agree(linear_regions(net), rational.cells(rational.described(net), SQUARE))


@pytest.mark.parametrize("n", [1, 3, 7])
def test_planes_through_more_inputs(n: int) -> None:
    net = random_network(n, 6, 5, 2, seed=n)
    rng = np.random.default_rng(n)
    origin, directions = rng.normal(size=n), rng.normal(size=(2, n))
    regions = linear_regions(net, origin=origin, directions=directions)
    through = Affinity(2, n)
    through.M, through.b = directions.T, origin
    cells = rational.cells(
        [*rational.described(Network([through])), *rational.described(net)], SQUARE
    )
    agree(regions, cells)
    A, c = local_map(net, origin + regions.interior @ directions)
    np.testing.assert_allclose(regions.slopes, A @ directions.T, atol=1e-12)
    np.testing.assert_allclose(regions.offsets, A @ origin + c, atol=1e-12)


# local maps


@pytest.mark.parametrize("widths", [(2, 5, 3), (7, 4, 6, 1), (1, 3, 2, 2)])
@pytest.mark.parametrize("bend", [ReLU, lambda: LeakyReLU(0.25)])
def test_local_maps_are_what_backprop_finds(widths: tuple[int, ...], bend: Any) -> None:
    net = random_network(*widths, seed=0, integers=2, bend=bend)
    x = np.random.default_rng(0).integers(-2, 3, (60, widths[0])).astype(float)  # kinks too
    A, c = local_map(net, x)
    y, caches = net.forward(x)
    for k in range(widths[-1]):
        dy = np.zeros_like(y)
        dy[:, k] = 1
        np.testing.assert_allclose(A[:, k], net.backprop(dy, caches)[0], atol=1e-12)
    np.testing.assert_allclose((A @ x[..., None])[..., 0] + c, y, atol=1e-12)
    one, offset = local_map(net, x[0])
    assert np.array_equal(one, A[0]) and np.array_equal(offset, c[0])


def test_a_local_map_where_float64_is_on_the_wrong_side() -> None:
    # 1 + 2^-54 - 1 - 2^-55 is above 0, but in most orders not so when it is added up in float64
    net = network(([[1.0, 2, 1, 1]], [0]), ([[1]], [0]))
    x = np.array([*permutations([1, 2.0**-54, -1, -(2.0**-55)])]) / net.layers[0].M
    assert local_map(net, x)[0][:, 0].tolist() == [[1, 2, 1, 1]] * 24
    assert not local_map(net, -x)[0].any()


def test_a_leak_above_one_magnifies_rounding() -> None:
    # 0.3 - 3 0.1 is -2.8e-17, which rounds to -5.6e-17: -32 or -64 behind the leak
    leak = 2.0**60
    net = network(([[-3, 1]], [0]), ([[1]], [48]), ([[1]], [0]), bend=lambda: LeakyReLU(leak))
    assert local_map(net, [0.1, 0.3])[0].tolist() == [[-3 * leak, leak]]


# segments


def pieces(net: Network, start: Any, stop: Any) -> list[tuple[Fraction, tuple[bool, ...]]]:
    """Where each piece begins and its pattern: the rational construction on a strip."""
    M = [[Fraction(b) - Fraction(a), Fraction(0)] for a, b in zip(start, stop, strict=True)]
    path = ("affine", np.array(M, object), np.array([Fraction(a) for a in start], object))
    cells = rational.cells([path, *rational.described(net)], ((0, 1), (0, 1)))
    return sorted((min(x for x, _ in cell.corners), cell.pattern) for cell in cells)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("integers", [0, 2])
def test_the_cells_along_a_segment(n: int, integers: int) -> None:
    net = random_network(n, 7, 6, 2, seed=n, integers=integers)
    rng = np.random.default_rng(n)
    start, stop = rng.normal(size=(2, n)) * 3
    if integers:
        start, stop = start.round(), stop.round()
    passage = regions_along(net, start, stop)
    expected = pieces(net, start, stop)
    assert [tuple(p.tolist()) for p in passage.patterns] == [pattern for _, pattern in expected]
    np.testing.assert_allclose(passage.at[:-1], [float(t) for t, _ in expected], atol=1e-14)
    assert passage.at[-1] == 1 and len(passage) == len(expected)
    t = (passage.at[1:] + passage.at[:-1]) / 2
    x = start + t[:, None] * (stop - start)
    y = (passage.slopes @ x[..., None])[..., 0] + passage.offsets
    np.testing.assert_allclose(y, net(x), atol=1e-11)


def test_a_segment_ends_where_it_is_said_to() -> None:
    net = network(([[1.0]], [-(2.0**-61)]), ([[1]], [0]))
    assert len(regions_along(net, [1], [2.0**-60])) == 1  # though 1 + (2^-60 - 1) rounds to 0
    assert len(regions_along(net, [1], [2.0**-62])) == 2


# notebook B


@pytest.mark.parametrize("width", [20, 100])
def test_the_grid_sees_a_part_of_what_is_there(width: int) -> None:
    facts = parity(2, low=-1, high=1)
    net = Network(
        [Affinity(2, width, initializer=uniform), ReLU(), Affinity(width, 1, initializer=uniform)],
        loss=MeanSquaredError(), optimizer=SGD(0.1),
    )  # fmt: skip
    assert train_until(net, facts, accuracy=0.99, epochs=100, threshold=0, rng=0).reached
    regions = linear_regions(net)
    axis = np.linspace(-1, 1, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    seen = {tuple(p) for p in (net.layers[0](grid) > 0).tolist()}
    there = {tuple(p) for p in regions.patterns.tolist()}
    assert seen < there
    assert len(there) == formula(net.layers[0].M, net.layers[0].b)


# two networks


def test_a_network_and_one_with_its_units_in_another_order() -> None:
    net = random_network(2, 8, 1, seed=0)
    order = np.random.default_rng(0).permutation(8)
    twin = network(
        (net.layers[0].M[order], net.layers[0].b[order]),
        (net.layers[2].M[:, order], net.layers[2].b),
    )
    same = compare(net, twin)
    zeros = linear_regions(
        network((net.layers[0].M, net.layers[0].b), (net.layers[2].M, net.layers[2].b))
    )
    assert len(same.areas) == len(zeros) + len(zeros.boundary())
    assert same.agreement == 1 and same.distance < 1e-12
    for there, back in same.regressions.values():
        assert there.r2 == pytest.approx(1) and back.r2 == pytest.approx(1)


def test_a_linear_image_is_found_both_ways() -> None:
    net = random_network(2, 8, 1, seed=0)
    image = network(
        (net.layers[0].M, net.layers[0].b), (-2 * net.layers[2].M, -2 * net.layers[2].b + 1)
    )
    both = compare(net, image)
    for how in ("by grid", "by area"):
        there, back = both.regressions[how]
        np.testing.assert_allclose(there.M, -2 * np.eye(3), atol=1e-9)
        np.testing.assert_allclose(there.b, [0, 0, 1], atol=1e-9)
        np.testing.assert_allclose(back.M, -np.eye(3) / 2, atol=1e-9)
        np.testing.assert_allclose(back(both.maps2), both.maps1, atol=1e-9)
        assert there.r2 == pytest.approx(1)
    assert (both.maps2 == pytest.approx(-2 * both.maps1 + [0, 0, 1])) and both.agreement < 1


def test_an_overlay_is_that_of_both_networks_side_by_side() -> None:
    one, two = random_network(2, 6, 5, 1, seed=1), random_network(2, 7, 1, seed=2)
    overlay = compare(one, two)
    cells1, cells2 = linear_regions(one), linear_regions(two)
    assert overlay.areas.sum() == pytest.approx(4)
    assert len(overlay.areas) > len(cells1) + len(cells2)
    middles = np.array([polygon.mean(axis=0) for polygon in overlay.polygons])
    for net, maps, positive in (
        (one, overlay.maps1, overlay.positive1), (two, overlay.maps2, overlay.positive2)
    ):  # fmt: skip
        A, c = local_map(net, middles)
        np.testing.assert_allclose(maps, np.column_stack([A[:, 0], c]), atol=1e-12)
        assert np.array_equal(net(middles)[:, 0] > 0, positive)
    points = np.random.default_rng(0).uniform(-1, 1, (20000, 2))
    shares = ((one(points) > 0) == (two(points) > 0)).mean(), abs(one(points) - two(points)).max()
    assert overlay.agreement == pytest.approx(shares[0], abs=0.015)
    assert shares[1] <= overlay.distance < 1.2 * shares[1]


def test_r2_is_that_of_plain_least_squares() -> None:
    one, two = random_network(2, 5, 1, seed=1), random_network(2, 5, 1, seed=2)
    there, _ = compare(one, two).regressions["by grid"]
    axis = np.linspace(-1, 1, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    grid = np.concatenate([grid, [[-1, -1], [1, -1], [1, 1], [-1, 1]]])
    v, w = (np.column_stack([A[:, 0], c]) for A, c in (local_map(n, grid) for n in (one, two)))
    design = np.column_stack([v, np.ones(len(v))])
    residual = w - design @ np.linalg.lstsq(design, w, rcond=None)[0]
    expected = 1 - (residual**2).sum(axis=0) / ((w - w.mean(axis=0)) ** 2).sum(axis=0)
    assert there.r2 == pytest.approx(expected.mean()) and 0.01 < there.r2 < 0.99


# exact arithmetic


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
@example([0.0, -0.0, 5e-324, -1e308])
def test_integers_are_the_floats(values: list[float]) -> None:
    found, exponent = integers(np.array(values))
    assert [Fraction(k) * Fraction(2) ** exponent for k in found] == [Fraction(v) for v in values]


def test_exact_rows_and_forward_agree_with_fractions() -> None:
    net = random_network(2, 5, 4, 2, seed=0, bend=lambda: LeakyReLU(0.3))
    function = piecewise_linear(net)
    exact = ExactRows(function.stages)
    for cell in rational.cells(rational.described(net), SQUARE):
        middle = [sum(p[i] for p in cell.corners) / len(cell.corners) for i in (0, 1)]
        sides = exact.sides_at(middle)
        assert np.concatenate([sides[0], sides[1]]).tolist() == list(cell.pattern)
        for k in (0, 1):
            row = exact.row(2, k, [sides[0], sides[1]])
            assert row.fractions == cell.rows[k]
            assert row.at(middle) == rational.value(cell.rows[k], (middle[0], middle[1]))
            assert sides[2][k] == (row.at(middle) > 0)


def test_crossing() -> None:
    point = crossing((2, 1, -3), (-1, 3, 1))
    assert point.fractions == (Fraction(10, 7), Fraction(1, 7)) and point.w > 0
    assert point.side((1, 1, -1)) == 1 and point.side((7, 0, -10)) == 0
    assert point.side((0, -7, 0)) == -1


@given(st.integers(1, 5), st.integers(0, 200), st.integers(0, 99))
def test_packing_is_undone(rows: int, width: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((rows, width)) < 0.5
    assert np.array_equal(unpack(pack(bits), width), bits)


# the certificate


class Lies(ReLU):
    """Says that it is a ReLU."""

    def f(self, x: Any) -> Any:
        return np.maximum(x, 0) + 0.001


class Shifted(ReLU):
    """Bends at 0.001."""

    def f(self, x: Any) -> Any:
        return np.maximum(x - 0.001, 0)


@pytest.mark.parametrize("bend", [Lies, Shifted])
def test_what_the_layers_do_not_do_is_not_certified(bend: type[ReLU]) -> None:
    with pytest.raises(NotCertified):
        linear_regions(random_network(2, 9, 1, seed=0, bend=bend))


def tampered(name: str, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from minnet.study import regions

    original = getattr(regions, name)
    monkeypatch.setattr(regions, name, lambda *a: change(original(*a), *a))


def moved(result: None, mesh: Any, *_: Any) -> None:
    mesh.points[-1] += 1e-6


def swapped(result: None, mesh: Any, *_: Any) -> None:
    mesh.sides[0] = mesh.sides[0][::-1].copy()


def torn(result: None, mesh: Any, *_: Any) -> None:
    mesh.border, mesh.starts = mesh.border[: mesh.starts[-2]], mesh.starts[:-1]


def duplicated(result: None, mesh: Any, *_: Any) -> None:
    mesh.points = np.append(mesh.points, mesh.points[:1], axis=0)


@pytest.mark.parametrize(
    "name, change",
    [
        ("cut_all", moved),
        ("cut_all", swapped),
        ("cut_all", torn),
        ("cut_all", duplicated),
        ("maps_on", lambda maps, *_: maps * (1 + 1e-9)),
        ("maps_on", lambda maps, *_: maps + np.array([0, 0, 1e-9])),
        ("measure", lambda result, *_: (result[0] * 1.001, result[1])),
        ("measure", lambda result, *_: (result[0], result[1][::-1])),
    ],
)
def test_a_wrong_construction_is_not_certified(
    name: str, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = random_network(2, 9, 6, 1, seed=0)
    linear_regions(net)
    tampered(name, change, monkeypatch)
    with pytest.raises(NotCertified):
        linear_regions(net)


def test_a_wrong_pattern_that_changes_no_map_is_not_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = random_network(2, 9, 1, seed=0)
    net.layers[2].M[0, 4] = 0
    linear_regions(net)

    def flipped(result: None, mesh: Any, *_: Any) -> None:
        mesh.sides[0][7] ^= 1 << 4

    tampered("cut_all", flipped, monkeypatch)
    with pytest.raises(NotCertified, match="cell 7 has another pattern"):
        linear_regions(net)


def test_slivers_are_certified_in_rationals() -> None:
    M, b = hidden_layers()["almost the same"]
    thin = linear_regions(network((M, b), ([[1, 1, 1]], [0]))).certificate
    assert thin.exact_patterns >= 2 and thin.cells == 6
    ordinary = linear_regions(random_network(2, 50, 1, seed=0)).certificate
    assert ordinary.exact_patterns == 0
    assert ordinary.vertices - ordinary.edges + ordinary.cells == 1
    assert 0 < ordinary.value_error < 1e-12 and 0 < ordinary.slope_error < 1e-12


# bad input


@pytest.mark.parametrize(
    "net, message",
    [
        (Network([Affinity(2, 2), Sigmoid(), Affinity(2, 1)]), "Sigmoid #1 .* not piecewise"),
        (Network([Network([Affinity(2, 2), Sigmoid("s")]), ReLU()]), "Sigmoid #1 's' is not"),
        (Network([Affinity(3, 1)]), "takes 3 inputs, a window has two"),
        (Network([Affinity(2, 1)]).replicate(3, rng=0), "crowd of 3"),
    ],
)
@pytest.mark.parametrize("function", [linear_regions, count_regions])
def test_networks_without_such_regions_are_refused(function: Any, net: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(net)


def test_nan_weights_are_refused() -> None:
    net = random_network(2, 3, 1, seed=0)
    net.layers[0].M[1, 0] = np.nan
    for refused in (
        lambda: linear_regions(net),
        lambda: count_regions(net),
        lambda: local_map(net, [0, 0]),
        lambda: regions_along(net, [0, 0], [1, 1]),
        lambda: compare(net, by_hand()),
    ):
        with pytest.raises(ValueError, match=r"affinity0.M holds nan"):
            refused()


@pytest.mark.parametrize(
    "window, error, message",
    [
        (((0, 0), (0, 1)), ValueError, "is empty"),
        (((1, 0), (0, 1)), ValueError, "is empty"),
        (((0, np.inf), (0, 1)), ValueError, "finite"),
        (((0, np.nan), (0, 1)), ValueError, "finite"),
        (((-1.7e308, 1.7e308), (0, 1)), ValueError, "too large"),
        ((0, 1), ValueError, "shape"),
        (((0, 1), (0, 1), (0, 1)), ValueError, "shape"),
        ("square", TypeError, "real numbers"),
    ],
)
@pytest.mark.parametrize("function", [linear_regions, count_regions])
def test_bad_windows_are_refused(function: Any, window: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        function(by_hand(), window)


@pytest.mark.parametrize("function", [linear_regions, count_regions])
def test_more_cells_than_wanted_are_refused_with_the_number(function: Any) -> None:
    net = random_network(2, 30, 1, seed=0)
    number = len(linear_regions(net))
    assert function(net, most=number) is not None
    with pytest.raises(TooManyCells, match=rf"more than {number - 1} cells, {number} so far"):
        function(net, most=number - 1)
    with pytest.raises(TooManyCells, match="more than 20 cells"):
        function(net, most=20)
    with pytest.raises(ValueError, match="the most cells"):
        function(net, most=0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: linear_regions(by_hand(), origin=[0, 0]), r"directions \(2, 2\)"),
        (lambda: linear_regions(by_hand(), directions=np.eye(2)), r"\(0,\) and \(2, 2\) came"),
        (lambda: linear_regions(by_hand(), origin=[0, np.nan], directions=np.eye(2)), "finite"),
        (lambda: linear_regions(by_hand()).boundary(1), "no output 1"),
        (lambda: linear_regions(by_hand()).boundary(threshold=np.inf), "finite"),
        (lambda: count_regions(random_network(2, 3, 3, 1, seed=0)), "has 2"),
        (lambda: local_map(by_hand(), [[1, 2, 3]]), "takes 2 inputs, but 3 came"),
        (lambda: local_map(by_hand(), []), "shape"),
        (lambda: local_map(by_hand(), [[[1, 2]]]), "shape"),
        (lambda: local_map(by_hand(), [np.nan, 0]), "finite"),
        (lambda: local_map(Network([Sigmoid()]), [1]), "not piecewise linear"),
        (lambda: regions_along(by_hand(), [0, 1], [0, 1]), "same input"),
        (lambda: regions_along(by_hand(), [0, 1], [0, 1, 2]), "shape"),
        (lambda: regions_along(by_hand(), [0], [1]), "takes 2 inputs"),
        (lambda: compare(by_hand(), random_network(2, 3, 2, seed=0)), "has 2"),
    ],
)
def test_other_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_network_is_asked_for() -> None:
    for refused in (linear_regions, count_regions):
        with pytest.raises(TypeError, match="expected a network"):
            refused("xor")


def test_facts_and_networks_stay_as_they_are() -> None:
    net = random_network(2, 6, 1, seed=0)
    before = {key: array.copy() for key, array in net.parameters.items()}
    linear_regions(net).boundary(), count_regions(net), compare(net, net.copy())
    assert all(np.array_equal(before[key], array) for key, array in net.parameters.items())
    assert isinstance(parity(2), Facts)


# pictures and the command


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of networks, to be in."""
    (tmp_path / "mine.py").write_text(
        "from minnet import *\n"
        "net = Network([Affinity(2, 2), ReLU(), Affinity(2, 1)])\n"
        "net.layers[0].M, net.layers[0].b = [[1, 1], [1, 1]], [1, 0]\n"
        "net.layers[2].M, net.layers[2].b = [[2, -4]], [-1]\n"
        "two = Network([Affinity(2, 2)])\n"
        "curved = Network([Affinity(2, 1), Sigmoid()])\n"
        "class Lies(ReLU):\n"
        "    def f(self, x): return x + 5\n"
        "lies = Network([Affinity(2, 3, rng=0), Lies(), Affinity(3, 1)])\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*argv: str) -> int:
    parser = Parser(prog="regions")
    bench.regions.add_arguments(parser)
    return bench.regions.run(parser.parse_args(argv))


def pictures(folder: Path) -> dict[str, int]:
    """The files in a folder, and how many pictures are in each; none is blank."""
    found = {}
    for path in folder.iterdir():
        with Image.open(path) as image:
            found[path.name] = getattr(image, "n_frames", 1)
            assert len(image.convert("L").getcolors()) > 10
    return found


def test_the_command_on_a_network_of_ones_own(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("mine.py:net", "--window=-2,2,-2,2", "--versus", "mine.py:net") == 0
    out = capsys.readouterr().out
    for line in (
        "       3  activation patterns",
        "       3  of these seen by notebook B's grid of 101 x 101 points",
        "  f = 2x + 2y + 1, on an area of 3.5",
        "  outputs of one sign on 100.00 per cent of the window",
        "    by area      1.0000   1.0000",
    ):
        assert line in out.splitlines()
    expected = ["agreement.png", "facets.png", "mapped.png", "maps.png", "partition.png"]
    assert pictures(own / "out") == dict.fromkeys(expected, 1)


def test_the_command_trains_and_shows_how(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.regions, "FRAMES", 3)
    assert command("--hidden", "3,2", "--gif", "--seed", "1", "--versus", "2", "--out", "a") == 0
    first = capsys.readouterr().out
    assert first.startswith("Trained 2-3-2-1 on XOR of -1 and 1, seed 1: start ")
    assert pictures(own / "a")["partition.gif"] == 3
    assert command("--hidden", "3,2", "--gif", "--seed", "1", "--versus", "2", "--out", "b") == 0
    assert capsys.readouterr().out.replace("b/", "a/") == first
    for path in (own / "a").iterdir():
        assert path.read_bytes() == (own / "b" / path.name).read_bytes()


def test_the_status_tells_where_no_start_got_there(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.regions, "STARTS", 3)
    assert command("--hidden", "1") == 1
    assert "None of 3 starts answered all four facts rightly" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, message",
    [
        (["mine.py:curved"], "not piecewise linear"),
        (["mine.py:two"], "one output, the network has 2"),
        (["mine.py:lies"], "the map of a cell is"),
        (["mine.py:net", "--versus", "mine.py:two"], "one output, but"),
        (["mine.py:net", "--gif"], "no training to show"),
        (["mine.py:none"], "has no 'none'"),
        (["--window", "1,2,3"], "four numbers"),
        (["--window", "1,0,0,1"], "empty"),
        (["--hidden", "3,0"], "from 1 to 1000"),
        (["--hidden", "3,x"], "from 1 to 1000"),
        (["--versus", "x"], "must be FILE:OBJECT"),
        (["--out", "mine.py"], "no folder to write to"),
    ],
)
def test_the_command_refuses_in_one_line(argv: list[str], message: str, own: Path) -> None:
    with pytest.raises(Refusal, match=message) as refusal:
        command(*argv)
    assert "\n" not in str(refusal.value)


def test_pictures_show_what_is_there() -> None:
    regions = linear_regions(by_hand(), ((-2, 2), (-2, 2)))
    ax = figure().add_subplot()
    plots.partition(regions, ax, parity(2, low=-1, high=1))
    assert {text.get_text() for text in ax.texts} == {"-1", "2x + 2y + 1", "-2x - 2y + 1"}
    cells, boundary = ax.collections[:2]
    assert len(np.unique(cells.get_facecolors(), axis=0)) == len(cells.get_paths()) == 3
    assert len(boundary.get_segments()) == 2
    hat = network(([[1, 0], [1, 0], [1, 0]], [0.5, 0, -0.5]), ([[1, -2, 1]], [0]))
    ax = figure().add_subplot()
    plots.partition(linear_regions(hat), ax)
    assert len(np.unique(ax.collections[0].get_facecolors(), axis=0)) == 3  # of 4 cells
    ax = figure().add_subplot(projection="3d")
    plots.facets(linear_regions(hat), ax)
    assert ax.get_zlim()[1] >= 0.5 - 1e-9
    with pytest.raises(ValueError, match="one output, not 2"):
        plots.partition(linear_regions(random_network(2, 2, seed=0)), ax)
    with pytest.raises(ValueError, match="at least one frame"):
        plots.animation([], parity(2), Path("never.gif"))
