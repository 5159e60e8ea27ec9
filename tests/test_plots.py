"""Pictures, judged by what their artists hold, not by pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from matplotlib.contour import ContourSet
from numpy.typing import NDArray
from PIL import Image

from bench import NNBench, animations, plots
from minnet import SGD, Affinity, Facts, Map, Network, ReLU, Sigmoid, Tanh
from minnet.facts import gate
from minnet.study.gates import trained_xor

XOR = gate("xor")
ROOT = Path(plots.__file__).parents[1]


def lopsided() -> Network:
    """A network whose two inputs matter differently, so that no axis can be mistaken."""
    net = Network([Affinity(2, 3), Tanh(), Affinity(3, 1), Sigmoid()])
    net.randomize(3)
    net["affinity0"].M[:, 1] *= 4
    return net


def overflowing(*output: Any) -> Network:
    net = Network([Affinity(2, 2), ReLU(), Affinity(2, 1), *output])
    net.layers[0].M, net.layers[2].M = np.full((2, 2), 1e300), [[1e300, -1e300]]
    return net


# ---------------------------------------------------------------- learning


def losses_drawn(losses: Any) -> Any:
    ax = plots.figure().add_subplot()
    plots.learning(losses, ax)
    rendered(ax)
    return ax


def rendered(ax: Any) -> None:
    ax.figure.draw_without_rendering()


def marked(ax: Any) -> dict[str, list[float]]:
    """The steps under each label of the legend."""
    return {
        line.get_label(): line.get_xdata().tolist()
        for line in ax.lines
        if not line.get_label().startswith("_")
    }


def test_learning_shows_every_loss_on_a_log_scale() -> None:
    losses = np.geomspace(3, 1e-5, 200).tolist()
    ax = losses_drawn(losses)
    assert ax.get_yscale() == "log"
    assert ax.lines[0].get_ydata().tolist() == losses
    assert ax.lines[0].get_xdata().tolist() == list(range(200))
    low, high = ax.get_ylim()
    assert low < 1e-5 and high > 3
    assert not marked(ax)


def test_a_divergence_is_marked_at_its_first_step() -> None:
    ax = losses_drawn([1.0, 5.0, np.inf, np.inf])
    assert marked(ax) == {"diverged at step 2": [2]}
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, 5, np.nan, np.nan])
    [text] = ax.get_legend().get_texts()
    assert text.get_text() == "diverged at step 2"


def test_losses_of_0_have_no_place_on_a_log_scale_and_are_marked() -> None:
    assert marked(losses_drawn([1.0, 0.5, 0.0, 0.0])) == {"0 at step 2": [2]}


@pytest.mark.parametrize(
    "losses", [[1.0], [0.0], [np.inf], [np.inf] * 5, [5e-324, 1e308, 1.0], [1e308, np.inf]]
)
def test_strange_losses_are_drawn_without_a_warning(losses: list[float]) -> None:
    ax = losses_drawn(losses)
    assert all(np.isfinite(ax.get_ylim()))


def test_a_crowd_has_a_curve_for_each_net() -> None:
    layers = [Affinity(2, 2), Map(lambda x: x * x / 2, lambda x: x), Affinity(2, 2)]
    crowd = Network(layers, optimizer=SGD(0.1)).replicate(20, rng=3)
    losses = NNBench(crowd).learn(50)
    ax = losses_drawn(losses)
    drawn = np.stack([line.get_ydata() for line in ax.lines[:20]], axis=1)
    finite = np.isfinite(losses)
    assert (drawn[finite] == np.asarray(losses)[finite]).all() and np.isnan(drawn[~finite]).all()
    [steps] = marked(ax).values()
    assert steps == crowd.diverged[crowd.diverged >= 0].tolist() and len(set(steps)) > 1


def test_the_bench_plots_what_it_learns() -> None:
    ax = plots.figure().add_subplot()
    bench = NNBench(Network([Affinity(2, 2, rng=0)]))
    assert bench.plot_learning(30, ax=ax) is ax
    bench.rollback_net()
    assert ax.lines[0].get_ydata().tolist() == bench.learn(30)


def test_a_second_curve_finds_room_beside_the_first() -> None:
    ax = plots.figure().add_subplot()
    for losses in ([1.0, 1e-3, 1e-6], [50.0, 40.0], [2.0] * 10, [3.0, np.inf]):
        plots.learning(losses, ax)
    rendered(ax)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left == 0 and right >= 9
    assert 1e-7 < low < 1e-6 and 50 < high < 500
    assert len({line.get_color() for line in ax.lines}) == 5


def test_no_losses_are_refused() -> None:
    ax = plots.figure().add_subplot()
    for call in (plots.learning, plots.comparison):
        with pytest.raises(ValueError, match="no losses"):
            call([], ax)  # type: ignore[operator]
    with pytest.raises(ValueError, match="all of one length"):
        plots.runs([], ax)
    with pytest.raises(ValueError, match="all of one length"):
        plots.runs([[1.0], [1.0, 2.0]], ax)


# ---------------------------------------------------------------- low pass

positive = st.floats(1e-300, 1e300)
any_loss = positive | st.sampled_from([0.0, np.inf])
sigmas = st.floats(0.1, 30)


@given(st.lists(any_loss, min_size=1, max_size=40), sigmas)
def test_a_low_pass_keeps_to_the_range_and_to_what_has_no_logarithm(
    losses: list[float], sigma: float
) -> None:
    smooth, losses = plots.smoothed(losses, sigma), np.array(losses)  # type: ignore[assignment]
    usual = np.isfinite(losses) & (np.array(losses) > 0)
    np.testing.assert_array_equal(smooth[~usual], np.array(losses)[~usual])
    if usual.any():
        low, high = np.array(losses)[usual].min(), np.array(losses)[usual].max()
        assert (smooth[usual] >= low * (1 - 1e-11)).all() and (
            smooth[usual] / high < 1 + 1e-11
        ).all()


@given(st.lists(st.floats(1e-100, 1e100), min_size=1, max_size=40), sigmas, st.floats(1e-50, 1e50))
def test_a_low_pass_sees_ratios(losses: list[float], sigma: float, factor: float) -> None:
    """Scaled losses have the scaled trend, upside down ones the one upside down, and time
    runs either way: means of logarithms do that, means of losses do not."""
    smooth = plots.smoothed(losses, sigma)
    np.testing.assert_allclose(
        plots.smoothed(factor * np.array(losses), sigma), factor * smooth, 1e-9
    )
    np.testing.assert_allclose(plots.smoothed(1 / np.array(losses), sigma), 1 / smooth, 1e-9)
    np.testing.assert_allclose(plots.smoothed(losses[::-1], sigma), smooth[::-1], 1e-9)


def test_a_low_pass_takes_what_is_not_near_for_nothing() -> None:
    losses = np.full(100, 5.0)
    losses[50] = 5e4
    smooth = plots.smoothed(losses, 3)
    np.testing.assert_allclose(smooth[:30], 5)
    peak = 5 * 1e4 ** (1 / (3 * np.sqrt(2 * np.pi)))  # the middle of the Gaussian
    assert smooth[50] == pytest.approx(peak, rel=1e-3) and smooth.argmax() == 50
    losses[50] = np.inf
    np.testing.assert_allclose(np.delete(plots.smoothed(losses, 3), 50), 5)
    crowd = np.stack([losses, losses[::-1] + 1], axis=1)
    np.testing.assert_array_equal(plots.smoothed(crowd, 3)[:, 0], plots.smoothed(losses, 3))


@pytest.mark.parametrize("sigma", [0, -1, np.nan, np.inf, "3", True, 1e9])
def test_a_low_pass_of_no_width_is_refused(sigma: Any) -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0)]))
    before = bench.net.layers[0].M.copy()  # type: ignore[attr-defined]
    with pytest.raises((TypeError, ValueError), match="sigma of the low pass"):
        bench.plot_learning(10, plots.figure().add_subplot(), low_pass=sigma)
    np.testing.assert_array_equal(bench.net.layers[0].M, before)  # type: ignore[attr-defined]
    assert len(bench.history) == 1


def test_the_trend_is_drawn_over_the_losses_themselves() -> None:
    losses = [10.0, 1.0, 0.0, 1.0, 10.0, np.inf]
    ax = plots.figure().add_subplot()
    plots.learning(losses, ax, low_pass=1)
    pale, trend, *_ = ax.lines
    np.testing.assert_array_equal(pale.get_ydata(), [10, 1, np.nan, 1, 10, np.nan])
    expected = plots.smoothed(losses, 1)
    expected[[2, 5]] = np.nan
    np.testing.assert_array_equal(trend.get_ydata(), expected)
    assert pale.get_alpha() < 0.5 and pale.get_color() == trend.get_color()
    assert marked(ax) == {"diverged at step 5": [5], "0 at step 2": [2]}
    rendered(ax)


# ---------------------------------------------------------------- several runs


def test_a_band_goes_from_quartile_to_quartile() -> None:
    curves = np.exp(np.random.default_rng(0).normal(size=(9, 30)))
    ax = plots.figure().add_subplot()
    plots.runs(curves, ax)
    rendered(ax)
    [median] = ax.lines
    np.testing.assert_array_equal(median.get_ydata(), np.median(curves, axis=0))
    [band] = ax.collections
    low, _, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
    [outline] = band.get_paths()
    inside = outline.vertices[:, 1]
    for ends in (low, high):
        assert set(ends) <= set(inside)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["median", "quartiles of 9 runs"]


def test_runs_that_diverge_are_marked_and_the_band_stays() -> None:
    curves = np.ones((5, 6))
    curves[0, 2:] = curves[1, 4:] = np.inf
    curves[2, 5] = 0
    ax = plots.figure().add_subplot()
    plots.runs(curves, ax, low_pass=2)
    rendered(ax)
    assert marked(ax) == {
        "median": list(range(6)), "diverged at step 2 to 4": [2, 4], "0 at step 5": [5],
    }  # fmt: skip
    np.testing.assert_allclose(ax.lines[0].get_ydata()[:5], 1)


def test_the_benchs_runs_are_those_of_the_next_seeds_and_it_learns_the_first() -> None:
    def bench() -> NNBench:
        return NNBench(Network([Affinity(2, 2, rng=0), Tanh()], optimizer=SGD(0.1, 0.5)), seed=4)

    drawn, one = bench(), bench()
    ax = plots.figure().add_subplot()
    drawn.plot_learning(20, ax, runs=5)
    curves = []
    for seed in range(4, 9):
        one.rollback_net()
        one.seed = seed
        curves.append(one.learn(20))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.median(curves, axis=0))
    one.rollback_net()
    assert one.learn(20) == curves[0]
    assert drawn.net._flat.tobytes() == one.net._flat.tobytes() and drawn.seed == 4
    assert [node.did for node in drawn.history] == ["start", "learn"]


@pytest.mark.parametrize("runs", [0, -1, 1.5, "3"])
def test_runs_that_are_none_are_refused(runs: Any) -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0)]))
    with pytest.raises((TypeError, ValueError), match="the number of runs"):
        bench.plot_learning(10, plots.figure().add_subplot(), runs=runs)
    assert len(bench.history) == 1


def test_bands_need_seeds_that_go_on_and_one_network() -> None:
    ax = plots.figure().add_subplot()
    drawn = NNBench(Network([Affinity(2, 2, rng=0)]), seed=np.random.default_rng(0))
    with pytest.raises(TypeError, match="several runs need an integer seed"):
        drawn.plot_learning(5, ax, runs=2)
    crowd = NNBench(Network([Affinity(2, 2)]).replicate(3, 0))
    with pytest.raises(ValueError, match="a crowd is on the bench"):
        crowd.plot_learning(5, ax, runs=2)
    assert len(drawn.history) == len(crowd.history) == 1 and not ax.lines


def test_two_runs_are_compared_in_one_plot() -> None:
    ax = plots.figure().add_subplot()
    plots.comparison(
        {"slow": [1.0, 0.9, 0.8], "fast": [1.0, 0.1, 0.0, 0.0], "wild": [1.0, np.inf]}, ax
    )
    rendered(ax)
    assert marked(ax) == {
        "slow": [0, 1, 2], "fast": [0, 1, 2, 3], "fast: 0 at step 2": [2],
        "wild": [0, 1], "wild: diverged at step 1": [1],
    }  # fmt: skip
    colours = {line.get_label(): line.get_color() for line in ax.lines}
    assert len({colours[name] for name in ("slow", "fast", "wild")}) == 3
    assert colours["wild: diverged at step 1"] == colours["wild"]
    assert ax.get_xlim() == (0, 4)


# ---------------------------------------------------------------- learning potential


def potentials(bench: NNBench, *grid: Any) -> Any:
    ax = plots.figure().add_subplot()
    assert bench.plot_learning_potential(ax, *grid) is ax
    rendered(ax)
    return ax


def test_the_map_shows_every_cell_the_best_alpha_and_the_edge() -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0)]), lambda x: x[::-1])
    alphas, ns = np.geomspace(1e-3, 10, 30), [5, 50, 600]
    tried = bench.learning_potential_map(alphas, ns)
    ax = potentials(bench, alphas, ns)
    cells, gone = ax.collections[0], ax.collections[1]
    gain = tried.further - tried.untouched
    drawn = np.ma.filled(cells.get_array(), np.nan).reshape(30, 3)
    np.testing.assert_array_equal(drawn, np.clip(gain, -gain.max(), gain.max()))
    assert (np.ma.count(gone.get_array()) == (tried.potential == -np.inf).sum()) > 0
    line, star = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), [tried.best(n) for n in ns])
    assert star.get_ydata() == [tried.best()]
    assert ax.get_yscale() == "log" and ax.get_ylim()[0] < 1e-3 and ax.get_ylim()[1] > 10
    [edge] = (patch for patch in ax.patches if "worse" in patch.get_label())
    steps = edge.get_data().values
    for n, step in zip(ns, steps, strict=True):
        below = alphas[alphas < tried.edge(n)]
        assert below[-1] < step < tried.edge(n)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"best for 600 facts: {tried.best():.3g}" in texts and "diverged" in texts
    low, middle, high = (cells.cmap(cells.norm(v)) for v in (-gain.max(), 0, gain.max()))
    assert low[0] > low[2] and min(middle[:3]) > 0.9 and high[2] > high[0]


def test_a_map_without_an_edge_and_one_of_nothing_good_are_drawn() -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0)]), lambda x: x[::-1])
    assert not potentials(bench, [0.001, 0.01], [10]).patches
    assert potentials(bench, [100, 1000], [1, 300, 1000]).collections
    with pytest.raises(ValueError, match="two alphas or more"):
        potentials(bench, [0.1], [10])


# ---------------------------------------------------------------- learning as an animation


def frames_of(path: Path) -> list[NDArray[Any]]:
    with Image.open(path) as film:
        found = []
        for i in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(i)
            found.append(np.asarray(film.convert("RGB")).astype(int))
    return found


@pytest.fixture
def few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animations, "FRAMES", 3)


@pytest.mark.usefixtures("few_frames")
def test_learning_is_animated_and_is_what_learning_is(tmp_path: Path) -> None:
    def bench() -> NNBench:
        net = Network([Affinity(2, 3, rng=0), Tanh(), Affinity(3, 1, rng=1), Sigmoid()])
        net.alpha = 2.0
        return NNBench(net, lambda x: [float(x[0] > x[1])])

    one, other = bench(), bench()
    assert one.animate_learning(40, tmp_path / "a.gif") == other.learn(40)
    assert one.net._flat.tobytes() == other.net._flat.tobytes()
    assert str(one.history) == str(other.history)
    first, middle, last = frames_of(tmp_path / "a.gif")
    width = first.shape[1]
    for third in range(3):
        part = slice(third * width // 3, (third + 1) * width // 3)
        assert (first[:, part] != last[:, part]).any() and (first[:, part] != middle[:, part]).any()
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.usefixtures("few_frames")
def test_a_network_of_other_widths_is_animated_without_a_region(tmp_path: Path) -> None:
    wide = NNBench(Network([Affinity(3, 30, rng=0), Affinity(30, 2, rng=0)]), lambda x: x[:2])
    wide.animate_learning(5, tmp_path / "wide.gif")
    small = NNBench(Network([Affinity(2, 1, rng=0)]), lambda x: x[:1])
    small.animate_learning(5, str(tmp_path / "small.gif"))
    diverging = NNBench(Network([Affinity(1, 1), Map(lambda x: x * x, lambda x: 2 * x)]))
    diverging.net.layers[0].M, diverging.net.alpha = [[50]], 1.0  # type: ignore[attr-defined]
    assert diverging.animate_learning(30, tmp_path / "d.gif")[-1] == np.inf
    shapes = [frames_of(tmp_path / f"{name}.gif")[0].shape[1] for name in ("wide", "small", "d")]
    assert shapes[0] < shapes[1] and shapes[2] == shapes[0]


def test_frames_are_of_the_first_steps_mostly_and_of_the_last() -> None:
    for n in (1, 2, 39, 1000, 10**6):
        steps = animations.moments(n)
        assert steps[0] == 0 and steps[-1] == n and steps == sorted(set(steps))
        assert len(steps) <= animations.FRAMES + 1
    assert np.median(steps) < 10**6 / 3


def test_numbers_of_any_shape_stand_side_by_side() -> None:
    net = Network([Affinity(3, 2, rng=0), Affinity(2, 4, rng=1)])
    grid = animations.numbers(net)
    assert grid.shape == (4, 3 + 1 + 1 + 1 + 2 + 1 + 1)
    np.testing.assert_array_equal(grid[:2, :3], net.layers[0].M)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(grid[:, 9], net.layers[1].b)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(grid[:, 6:8], net.layers[1].M)  # type: ignore[attr-defined]
    assert np.isnan(grid).sum() == grid.size - net.size
    assert animations.numbers(Network([ReLU()])).shape == (1, 1)


@pytest.mark.parametrize("fault", ["no folder", "a folder", "a crowd", "n = 0"])
@pytest.mark.usefixtures("few_frames")
def test_an_animation_that_fails_leaves_the_bench_as_it_was(tmp_path: Path, fault: str) -> None:
    net = Network([Affinity(2, 2, rng=0)], optimizer=SGD(0.1, 0.9))
    bench = NNBench(net.replicate(3, 0) if fault == "a crowd" else net)
    bench.learn(3)
    before, memory = bench.net._flat.copy(), bench.net._memory["v"].copy()
    path = {"no folder": tmp_path / "no" / "a.gif", "a folder": tmp_path}.get(fault, tmp_path / "a")
    with pytest.raises((OSError, ValueError)):
        bench.animate_learning(0 if fault == "n = 0" else 5, path)
    assert bench.net._flat.tobytes() == before.tobytes()
    assert bench.net._memory["v"].tobytes() == memory.tobytes()
    assert len(bench.history) == 2 and not list(tmp_path.iterdir())


# ---------------------------------------------------------------- boundary


def region(net: Network, facts: Facts, threshold: float = 0.5) -> Any:
    ax = plots.figure().add_subplot()
    plots.boundary(net, facts, ax, threshold)
    rendered(ax)
    return ax


def test_every_point_of_the_region_is_the_output_there() -> None:
    net = lopsided()
    ax = region(net, XOR)
    [image] = ax.images
    y, (left, right, bottom, top) = image.get_array(), image.get_extent()
    assert image.origin == "lower"
    np.testing.assert_allclose([left, right, bottom, top], [-0.1, 1.1, -0.1, 1.1])
    rows, columns = y.shape
    for i, j in [(0, 0), (0, columns - 1), (rows - 1, 0), (37, 90)]:
        x = [left + (right - left) * j / (columns - 1), bottom + (top - bottom) * i / (rows - 1)]
        np.testing.assert_allclose(y[i, j], net(x).item(), rtol=1e-9)


def test_the_line_is_where_the_output_is_the_threshold() -> None:
    net = trained_xor()
    for threshold in (0.5, 0.25):
        [line] = (c for c in region(net, XOR, threshold).collections if isinstance(c, ContourSet))
        points = np.concatenate([path.vertices for path in line.get_paths()])
        assert len(points) > 100
        np.testing.assert_allclose(net(points), threshold, atol=2e-3)


def test_the_facts_are_dots_coloured_by_what_they_expect() -> None:
    facts = gate("a_not_b")
    ax = region(trained_xor(), facts)
    [dots] = (c for c in ax.collections if not isinstance(c, ContourSet))
    np.testing.assert_array_equal(dots.get_offsets(), facts.X)
    np.testing.assert_array_equal(dots.get_array(), facts.T[:, 0])
    assert (dots.get_edgecolor() == [0, 0, 0, 1]).all()
    low, high = dots.cmap(dots.norm([0.0, 1.0]))
    assert low[2] > low[0] and high[0] > high[2]  # blue for 0, red for 1


@pytest.mark.parametrize(
    "facts, threshold, ends",
    [(XOR, 0.5, (0, 1)), (gate("xor", low=-1), 0.0, (-1, 1)), (gate("true"), 0.5, (0, 1))],
)
def test_white_is_the_threshold_and_the_scale_ends_at_the_expected(
    facts: Facts, threshold: float, ends: tuple[float, float]
) -> None:
    ax = region(lopsided(), facts, threshold)
    [image] = ax.images
    assert image.norm(threshold) == 0.5
    assert (image.norm.vmin, image.norm.vmax) == ends
    assert min(image.cmap(0.5)[:3]) > 0.9


def test_labels_say_what_is_seen() -> None:
    ax = region(lopsided(), XOR)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x[0]", "x[1]")
    assert "region" in ax.get_title()
    assert ax.figure.axes[1].get_ylabel() == "output"


def test_outputs_beyond_the_scale_are_announced() -> None:
    net = Network([Affinity(2, 1)])
    net.layers[0].M, net.layers[0].b = [[9, 0]], [0]
    bars = [region(n, XOR).images[0].colorbar.extend for n in (net, lopsided())]
    assert bars == ["both", "neither"]


# ---------------------------------------------------------------- surface


def relief(net: Network, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The Axes of the surface, with the arrays that it was drawn from as `ax.drawn`."""
    ax: Any = plots.figure().add_subplot(projection="3d")
    draw = ax.plot_surface

    def spy(x: Any, y: Any, z: Any, **settings: Any) -> Any:
        ax.drawn = x, y, z
        return draw(x, y, z, **settings)

    monkeypatch.setattr(ax, "plot_surface", spy)
    plots.surface(net, facts, ax)
    rendered(ax)
    return ax


def test_the_surface_is_the_output_over_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    net = lopsided()
    x0, x1, y = relief(net, XOR, monkeypatch).drawn
    np.testing.assert_allclose(net(np.stack([x0, x1], axis=-1).reshape(-1, 2)).ravel(), y.ravel())
    assert x0.min() == x1.min() == -0.1
    np.testing.assert_allclose([x0.max(), x1.max()], 1.1)


def test_each_facts_line_is_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    net = lopsided()
    ax = relief(net, XOR, monkeypatch)
    ends = np.array([line.get_data_3d() for line in ax.lines])
    np.testing.assert_array_equal(ends[:, :2, 0], XOR.X)
    np.testing.assert_array_equal(ends[:, :2, 1], XOR.X)
    np.testing.assert_array_equal(ends[:, 2], np.hstack([XOR.T, net(XOR.X)]))
    assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()] == ["x[0]", "x[1]", "output"]


@pytest.mark.parametrize("output", [[], [Sigmoid()]], ids=["inf", "nan"])
def test_what_a_divergence_left_is_drawn_without_a_warning(
    output: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = overflowing(*output)
    region(net, XOR)
    relief(net, XOR, monkeypatch)


def test_a_constant_output_and_a_single_fact_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network([Affinity(2, 1)])
    net.layers[0].M, net.layers[0].b = [[0, 0]], [0.5]
    for facts in (gate("true"), Facts([[2, 3]], [[0.5]])):
        assert region(net, facts).images
        assert relief(net, facts, monkeypatch).drawn


@pytest.mark.parametrize(
    "net",
    [
        Network([Affinity(3, 1)]),
        Network([Affinity(2, 2)]),
        Network([Sigmoid()]),
        Network([Affinity(2, 1)]).replicate(3, 0),
    ],
    ids=["3 inputs", "2 outputs", "any", "crowd"],
)
def test_pictures_of_outputs_take_two_inputs_and_one_output(net: Network) -> None:
    with pytest.raises(ValueError, match="2 inputs and 1 output"):
        plots.boundary(net, XOR, plots.figure().add_subplot())
    ax: Any = plots.figure().add_subplot(projection="3d")
    with pytest.raises(ValueError, match="2 inputs and 1 output"):
        plots.surface(net, XOR, ax)


# ---------------------------------------------------------------- files


def test_an_animation_has_a_frame_for_each_network(tmp_path: Path) -> None:
    """And each frame is that network's: the colour at the first fact follows its output."""
    frames, path = [], tmp_path / "region.gif"
    for b in (-9, 9, -9, 0):
        net = Network([Affinity(2, 1), Sigmoid()])
        net.layers[0].M, net.layers[0].b = [[0, 0]], [b]
        frames.append((net, f"b = {b}"))
    plots.animation(frames, XOR, path)
    with Image.open(path) as film:
        assert (film.n_frames, film.info["loop"]) == (4, 0)  # type: ignore[attr-defined]
        colours: list[NDArray[Any]] = []
        for i in range(4):
            film.seek(i)
            pixels = np.asarray(film.convert("RGB"))
            colours.append(pixels[pixels.shape[0] // 2, pixels.shape[1] // 3].astype(int))
            assert film.info["duration"] == (2000 if i == 3 else 80)
    redder = [colour[0] - colour[2] for colour in colours]
    assert redder[0] == redder[2] < -50 and redder[1] > 50 and abs(redder[3]) < 10


def test_an_animation_needs_a_frame(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        plots.animation([], XOR, tmp_path / "none.gif")
    assert not list(tmp_path.iterdir())


def test_a_picture_is_written_whole(tmp_path: Path) -> None:
    ax = region(lopsided(), XOR)
    plots.save(ax.figure, tmp_path / "a.png")
    plots.save(ax.figure, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
        assert picture.size == (768, 576)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """In a process of its own, where no file may grow beyond 100 bytes."""
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    code = (
        "import resource, pathlib; from bench import plots\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: plots.write(bytes(101), pathlib.Path('a.png'))\n"
        "except OSError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "File too large: 'a.png'" in result.stdout
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_touch_no_window_system() -> None:
    code = (
        "import io, sys; from bench import plots; from minnet.facts import gate\n"
        "from minnet.study.gates import trained_xor\n"
        "picture = plots.figure()\n"
        "plots.boundary(trained_xor(), gate('xor'), picture.add_subplot(121))\n"
        "plots.surface(trained_xor(), gate('xor'), picture.add_subplot(122, projection='3d'))\n"
        "picture.savefig(io.BytesIO())\n"
        "print('matplotlib.pyplot' in sys.modules, 'tkinter' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.split() == ["False", "False"]
