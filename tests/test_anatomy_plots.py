"""Drawings of networks, judged by what their artists hold, and the command that makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.testing import assert_allclose, assert_array_equal

from bench import anatomy_plots as plots
from bench.__main__ import main
from bench.plots import figure
from minnet import Affinity, Network, ReLU, Tanh
from minnet.combinators import Parallel, Select
from minnet.study.anatomy import activations, contributions, difference, gradients, sweep
from minnet.study.gates import trained_xor


def lopsided() -> Network:
    """A network in which no two numbers are the same."""
    block = Network([Affinity(2, 3, "fc"), Tanh("t")], name="block")
    net = Network([block, Affinity(3, 2, "out"), Select([1, 1, 0], 2, "select")])
    net.randomize(5)
    return net


def wide(units: int) -> Network:
    net = Network([Affinity(2, units), ReLU(), Affinity(units, 1)])
    net.randomize(0)
    return net


def drawn(view: plots.View) -> tuple[plots.Drawing, Axes]:
    ax = figure(*plots.size(view)).add_subplot()
    drawing = plots.network(view, ax)
    coloured(drawing)
    return drawing, ax


def coloured(drawing: plots.Drawing) -> None:
    """Have colours made of the numbers, which drawing would do."""
    drawing.nodes.update_scalarmappable()
    drawing.lines.update_scalarmappable()


def rendered(ax: Axes) -> None:
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]


def lines_of(drawing: plots.Drawing) -> dict[tuple[float, ...], tuple[float, float]]:
    """Of the ends of each line (x, y, x, y) to its number and width."""
    segments = drawing.lines.get_segments()
    values = drawing.lines.get_array()
    widths = drawing.lines.get_linewidth()
    assert values is not None and len(segments) == len(values) == len(widths)
    return {
        tuple(np.round(segment, 6).ravel().tolist()): (float(value), float(width))
        for segment, value, width in zip(segments, values, widths, strict=True)
    }


def places(drawing: plots.Drawing) -> dict[tuple[int, int], tuple[float, float]]:
    """Of (column, unit) to where it is; units are counted from the top."""
    columns: dict[float, list[float]] = {}
    for x, y in np.asarray(drawing.nodes.get_offsets()).round(6).tolist():
        columns.setdefault(x, []).append(y)
    assert list(columns) == sorted(columns)
    found = {}
    for column, (x, ys) in enumerate(columns.items()):
        assert ys == sorted(ys, reverse=True)
        found |= {(column, unit): (x, y) for unit, y in enumerate(ys)}
    return found


def check(drawing: plots.Drawing, nodes: list[Any], lines: dict[int, tuple[Any, Any]]) -> None:
    """That a drawing shows these units, and between columns these weights and biases."""
    assert_allclose(drawing.nodes.get_array(), np.concatenate(nodes), rtol=1e-12)
    at, there = places(drawing), lines_of(drawing)
    assert len(at) == sum(map(len, nodes))
    assert len(there) == sum(M.size + b.size for M, b in lines.values())
    largest = max(abs(value) for value, _ in there.values())
    widest = max(width for _, width in there.values())
    for column, (M, b) in lines.items():
        for (i, j), weight in np.ndenumerate(M):
            value, width = there.pop((*at[column - 1, j], *at[column, i]))
            assert value == pytest.approx(weight)
            assert width == pytest.approx(0.5 + (widest - 0.5) * abs(weight) / largest)
        for i, bias in enumerate(b):
            (ends,) = [e for e in there if e[2:] == at[column, i]]
            assert there.pop(ends)[0] == pytest.approx(bias)
    assert not there


def test_forward_shows_activations_and_weights_or_contributions() -> None:
    net, x = lopsided(), [0.5, -1.5]
    found = activations(net, x)
    nodes = [np.array(x), *found.values()]
    fc, out = net["block.fc"], net["out"]
    assert isinstance(fc, Affinity) and isinstance(out, Affinity)
    check(drawn(plots.forward(net, x))[0], nodes, {1: (fc.M, fc.b), 3: (out.M, out.b)})
    carried = {name: contributions(net, x, name) for name in ("block.fc", "out")}
    drawing, ax = drawn(plots.forward(net, x, "contributions"))
    check(drawing, nodes, {1: (carried["block.fc"], fc.b), 3: (carried["out"], out.b)})
    assert "contributions" in ax.get_title()
    names = [text.get_text() for text in ax.texts]
    assert {"x", "block.fc", "block.t", "out", "select"} <= set(names)


def test_back_shows_gradients() -> None:
    net, x, t = lopsided(), [0.5, -1.5], [1, 0, 0]
    found = gradients(net, x, t)
    nodes = [
        found.inputs["block.fc"],
        *(found[n] for n in ("block.fc", "block.t", "out", "select")),
    ]
    lines = {
        column: (found[f"{name}.M"], found[f"{name}.b"])
        for column, name in ((1, "block.fc"), (3, "out"))
    }
    check(drawn(plots.back(net, x, t))[0], nodes, lines)


def test_change_shows_differences() -> None:
    net, x1, x2 = lopsided(), [0.5, -1.5], [1, 1]
    found = difference(net, x1, x2)
    nodes = [found.x, *found.values()]
    lines = {
        1: (found.contributions["block.fc"], np.zeros(3)),
        3: (found.contributions["out"], np.zeros(2)),
    }
    check(drawn(plots.change(net, x1, x2))[0], nodes, lines)


def test_wires_connect_what_is_made_of_what() -> None:
    drawing, _ = drawn(plots.forward(lopsided(), [1, 2]))
    at = places(drawing)
    wires = {tuple(np.round(s, 6).ravel().tolist()) for s in drawing.wires.get_segments()}
    through = {(*at[1, i], *at[2, i]) for i in range(3)}
    selected = {(*at[3, j], *at[4, i]) for i, j in enumerate([1, 1, 0])}
    assert wires == through | selected


def test_a_layer_of_branches_is_drawn_as_one() -> None:
    net = Network([Parallel([Affinity(2, 1), Select([0], 2)], name="both"), Affinity(2, 1)])
    view = plots.forward(net, [1, 2])
    assert view.names == ["x", "both", "affinity1"]
    drawing, _ = drawn(view)
    assert len(drawing.wires.get_segments()) == 4
    assert len(lines_of(drawing)) == 3


def test_an_update_shows_the_same_as_a_new_drawing_and_keeps_the_artists() -> None:
    net = lopsided()
    drawing, ax = drawn(plots.forward(net, [1, 2]))
    artists = list(ax.get_children())
    net["out"].M[...] *= -3  # type: ignore[attr-defined]
    for view in (
        plots.forward(net, [0, 1], "contributions"),
        plots.back(net, [0, 1], [0, 0, 1]),
        plots.change(net, [0, 1], [2, 2]),
    ):
        drawing.update(view)
        coloured(drawing)
        fresh, other = drawn(view)
        assert ax.get_children() == artists
        assert lines_of(drawing) == lines_of(fresh)
        assert_array_equal(drawing.nodes.get_facecolor(), fresh.nodes.get_facecolor())
        assert_array_equal(drawing.lines.get_color(), fresh.lines.get_color())
        assert [t.get_text() for t in ax.texts] == [t.get_text() for t in other.texts]
        assert ax.get_title() == other.get_title()


def test_an_update_with_another_network_is_refused_and_changes_nothing() -> None:
    drawing, _ = drawn(plots.forward(lopsided(), [1, 2]))
    before = lines_of(drawing)
    with pytest.raises(ValueError, match="another network"):
        drawing.update(plots.forward(trained_xor(), [1, 0]))
    assert lines_of(drawing) == before


def test_colour_tells_sign_and_size() -> None:
    net = Network([Affinity(1, 3)])
    net["affinity0"].M, net["affinity0"].b = [[1], [0], [-0.5]], [0, 0, 0]
    drawing, _ = drawn(plots.forward(net, [4]))
    assert drawing.nodes.get_clim() == (-4, 4) and drawing.lines.get_clim() == (-1, 1)
    _, positive, zero, negative = np.asarray(drawing.nodes.get_facecolor())
    assert positive[0] > 0.3 > positive[2] and negative[2] > 0.3 > negative[0]
    assert zero[:3].min() > 0.9
    line_colours = np.asarray(drawing.lines.get_color())
    assert line_colours[-1][0] != line_colours[-1][2]


def test_numbers_are_written_where_there_is_room() -> None:
    for units, numbers in ((20, True), (21, False), (60, False)):
        drawing, _ = drawn(plots.forward(wide(units), [1, 2]))
        assert bool(drawing.node_numbers) == numbers
    drawing, _ = drawn(plots.forward(trained_xor(), [1, 0]))
    shown = [text.get_text() for text in drawing.node_numbers]
    assert shown == ["1", "0", "2.24", "-2.29", "2.24", "0", "4.06", "0.983"]
    shown = [text.get_text() for text in drawing.line_numbers]
    weights, biases = ["2.24", "-2.24", "-2.28", "2.28", "3.11", "3.1"], ["-4e-5", "-2e-4", "-2.89"]
    assert shown == weights + biases
    quiet = plots.network(plots.forward(trained_xor(), [1, 0]), figure().add_subplot(), False)
    assert quiet.node_numbers == quiet.line_numbers == []


@pytest.mark.parametrize(
    "net, x, words",
    [
        (wide(61), [1, 2], "affinity0 has 61 units; 60 are the most to draw"),
        (Network(), [1, 2], "no layers to draw"),
        (trained_xor().replicate(3, rng=0), [1, 2], "crowd of 3"),
        (trained_xor(), [[1, 2]], "one input"),
        (trained_xor(), [1, 2, 3], "takes 2 inputs"),
    ],
)
def test_what_cannot_be_drawn_is_said(net: Network, x: Any, words: str) -> None:
    for view in (plots.forward, plots.change):
        with pytest.raises(ValueError, match=words):
            view(net, x, x) if view is plots.change else view(net, x)
    with pytest.raises(ValueError, match="lines must be one of weights, contributions"):
        plots.forward(trained_xor(), [1, 0], "gradients")


@pytest.mark.parametrize("size", [1e308, 1e-310, np.nan])
def test_numbers_of_any_size_are_drawn(size: float) -> None:
    net = trained_xor()
    net["fc1"].M[...] = size  # type: ignore[attr-defined]
    with np.errstate(all="ignore"):
        for view in (plots.forward(net, [1, 0]), plots.change(net, [1, 0], [0, 1])):
            rendered(drawn(view)[1])


def test_a_sweep_has_a_panel_a_layer_a_curve_a_unit_and_marks_where_units_switch() -> None:
    net = trained_xor()
    found = sweep(net, [1, 0], [0, 1], 11)
    axes = list(figure(6, 8).subplots(4, 1, sharex=True))
    plots.sweep(found, axes)
    rendered(axes[0])
    for ax, (name, outputs) in zip(axes, found.items(), strict=True):
        assert ax.get_ylabel() == name
        curves = [line for line in ax.lines if len(line.get_xdata()) == 11]
        assert_array_equal(np.stack([line.get_ydata() for line in curves], axis=1), outputs)
        marks = [(line.get_xdata()[0], line.get_color()) for line in ax.lines if dotted(line)]
        expected = [
            (float(s.at), curves[s.unit].get_color()) for s in found.switches if s.layer == name
        ]
        assert marks == expected
    assert sum(map(dotted, axes[1].lines)) == 2
    assert axes[-1].get_xlabel() == "from (1, 0) to (0, 1)"


def dotted(line: Any) -> bool:
    return bool(line.get_linestyle() == ":")


def test_a_sweep_that_does_not_fit_its_axes_is_refused() -> None:
    found = sweep(trained_xor(), [1, 0], [0, 1], 11)
    with pytest.raises(ValueError, match="4 layers needs as many Axes, not 1"):
        plots.sweep(found, [figure().add_subplot()])
    crowd = sweep(trained_xor().replicate(2, rng=0), [1, 0], [0, 1], 3)
    with pytest.raises(ValueError, match="one network, not of 2"):
        plots.sweep(crowd, list(figure().subplots(4, 1)))


# ---------------------------------------------------------------- the command

OWN = """
from minnet import Affinity, Layer, Network, ReLU
net = Network([Affinity(2, 3, "own"), ReLU("r")])
crowd = Network([Affinity(2, 3, "own")]).replicate(4, rng=0)
class Odd(Layer):
    def forward(self, x): raise RuntimeError("odd")
odd = Network([Odd()])
wide = Network([Affinity(2, 61)])
empty = Network()
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)


def test_the_command_prints_and_draws_everything(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--input", "1,0", "--versus", "0,0", "--out", "pictures"]
    assert main(["anatomy", *options]) == 0
    out, err = capsys.readouterr()
    net = trained_xor()
    for part in (
        activations(net, [1, 0]),
        gradients(net, [1, 0], [1]),
        difference(net, [1, 0], [0, 0]),
        sweep(net, [0, 0], [1, 0]),
    ):
        assert f"\n{part}\n" in out
    assert "fc2[0] = 4.0573" in out and not err
    names = ["forward", "contributions", "back", "difference", "sweep"]
    assert {path.stem for path in Path("pictures").iterdir()} == set(names)
    assert out.splitlines()[-1].count(".png") == 5


def test_the_command_takes_files_saved_networks_and_members(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained_xor().save("net.minnet")
    trained_xor().save("net.json")
    for network in ("net.minnet", "net.json", "mine.py:net", "minnet.study.gates:trained_xor"):
        assert main(["anatomy", network, "--input", "1,0"]) == 0
    assert main(["anatomy", "mine.py:crowd", "--input", "1,0", "--member", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.count("ACTIVATIONS") == 5 and "GRADIENTS" not in out and not err
    assert main(["anatomy", "--input", "1,0", "--layer", "fc1"]) == 0
    out, _ = capsys.readouterr()
    assert (
        "fc1[0] =" in out
        and "fc1[1] =" in out
        and "fc2  " not in out.split("CONTRIB")[1].split("GRAD")[0]
    )


@pytest.mark.parametrize(
    "options, words",
    [
        (["--input", "1,0", "--layer", "fc9"], "it has 'fc1', 'relu', 'fc2', 'sigmoid'"),
        (["--input", "1"], "takes 2 inputs"),
        (["--input", "1,nan"], "not '1,nan'"),
        ([], "--input"),
        (["--input", "1,0", "--versus", "1"], "different shapes"),
        (["--input", "1,0", "--expected", "1,1"], "shape (2,)"),
        (["--input", "1,0", "--member", "1"], "no crowd"),
        (["mine.py:crowd", "--input", "1,0"], "a crowd of 4: --member says which, from 0 to 3"),
        (["mine.py:crowd", "--input", "1,0", "--member", "4"], "from 0 to 3"),
        (["mine.py:odd", "--input", "1,0"], "raised RuntimeError: odd"),
        (["mine.py:wide", "--input", "1,0", "--out", "p"], "60 are the most to draw"),
        (["mine.py:empty", "--input", "1,0"], "no layers to take apart"),
        (["mine.py", "--input", "1,0"], "mine.py"),
        (["none", "--input", "1,0"], "none"),
        (["--input", "1,0", "--out", "mine.py"], "no folder to write to"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["anatomy", *options]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_huge_inputs_are_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anatomy", "--input", "1e308,-1e308", "--versus", "0,0"]) == 0
    assert not capsys.readouterr().err
