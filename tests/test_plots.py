"""Pictures, judged by what their artists hold, not by pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.contour import ContourSet
from numpy.typing import NDArray
from PIL import Image

from bench import NNBench, plots
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
    with pytest.raises(ValueError, match="no losses"):
        plots.learning([], plots.figure().add_subplot())


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
