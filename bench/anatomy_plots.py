"""A network as a drawing, layers from left to right, and its layers along a line of inputs.

Colour stands for a number: blue below 0, red above, paler the smaller it is. A line is as
wide as its number is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet import Affinity, Identity, Layer, Map, Network
from minnet.checks import Array, one_of
from minnet.combinators import Select
from minnet.structure import leaves
from minnet.study.anatomy import Sweep, activations, contributions, difference, gradients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

LINES = ("weights", "contributions")
FEW = 20  # units of a layer that have room for numbers
MOST = 60  # and that have room at all
HUGE = 1e100  # is as far as scales go
STRETCH = 2.2  # from layer to layer, where 1 is from unit to unit


@dataclass(frozen=True, eq=False)
class View:
    """The numbers that a drawing of a network shows.

    Attributes
    ----------
    title : str
    names : list of str
        Of the columns: the input, and each layer.
    nodes : list of ndarray (units,)
        A number for every unit of each column.
    lines : list of ndarray (m, n), or None
        For each layer, in front of its column: a number for every weight of an Affinity.
    biases : list of ndarray (m,), or None
    wires : list of ndarray (wires, 2)
        For each layer that has no such lines, which unit (i, j) is made of which before it.
    """

    title: str
    names: list[str]
    nodes: list[Array]
    lines: list[Array | None]
    biases: list[Array | None]
    wires: list[Array]


def forward(net: Network, x: Any, lines: str = "weights") -> View:
    """An input on its way through the network: nodes are activations.

    Parameters
    ----------
    net : Network
        A plain one. What is not a chain of layers inside it is drawn as one layer.
    x : array_like, shape (n,)
    lines : {"weights", "contributions"}
        M[i, j], or M[i, j] times what comes along.

    Raises
    ------
    TypeError, ValueError
        If the input does not fit, or the network cannot be drawn.
    """
    one_of(lines, LINES, "lines")
    _check(net, x)
    found = activations(net, x)
    drawn = dict(leaves(net))
    numbers = {
        name: layer.M.copy() if lines == "weights" else contributions(net, x, name)
        for name, layer in drawn.items()
        if isinstance(layer, Affinity)
    }
    nodes = [found.x, *(found[name] for name in drawn)]
    return _view(f"→ forward: activations and {lines}", drawn, nodes, numbers, _biases(drawn))


def back(net: Network, x: Any, expected: Any) -> View:
    """The way back: nodes are dL/dy, lines dL/dM, biases dL/db; of the input dL/dx.

    Parameters and errors are those of `forward` and of ``gradients``.
    """
    _check(net, x)
    found = gradients(net, x, expected)
    drawn = dict(leaves(net))
    nodes = [next(found.inputs[name] for name in drawn), *(found[name] for name in drawn)]
    kinds = [name for name, layer in drawn.items() if isinstance(layer, Affinity)]
    numbers = {name: found[f"{name}.M"] for name in kinds}
    biases = {name: found[f"{name}.b"] for name in kinds}
    title = f"← back: gradients of the loss, {float(found.loss):.4g}"
    return _view(title, drawn, nodes, numbers, biases)


def change(net: Network, x1: Any, x2: Any) -> View:
    """What x1 gives minus what x2 gives, and which weights carry it; biases fall out.

    Parameters and errors are those of `forward` and of ``difference``.
    """
    _check(net, x1)
    found = difference(net, x1, x2)
    drawn = dict(leaves(net))
    nodes = [found.x, *(found[name] for name in drawn)]
    numbers = {name: found.contributions[name] for name in drawn if name in found.contributions}
    biases = {name: 0 * b for name, b in _biases(drawn).items()}
    return _view("→ differences, and what weights carry of them", drawn, nodes, numbers, biases)


def _check(net: Network, x: Any) -> None:
    if net.nets is not None:
        raise ValueError(f"a drawing shows one network, not a crowd of {net.nets}: .member(i)")
    if not net.layers:
        raise ValueError("the network has no layers to draw")
    if np.ndim(x) != 1:
        raise ValueError(f"a drawing shows one input (n,), not shape {np.shape(x)}")


def _biases(drawn: dict[str, Layer]) -> dict[str, Array]:
    return {name: a.b.copy() for name, a in drawn.items() if isinstance(a, Affinity)}


def _view(
    title: str,
    drawn: dict[str, Layer],
    nodes: list[Array],
    lines: dict[str, Array],
    biases: dict[str, Array],
) -> View:
    for name, units in zip(("x", *drawn), nodes, strict=True):
        if len(units) > MOST:
            raise ValueError(f"{name} has {len(units)} units; {MOST} are the most to draw")
    widths = [len(units) for units in nodes]
    wires = [
        _wires(layer, n, m)
        for layer, n, m in zip(drawn.values(), widths[:-1], widths[1:], strict=True)
    ]
    return View(
        title, ["x", *drawn], nodes, [lines.get(name) for name in drawn],
        [biases.get(name) for name in drawn], wires,
    )  # fmt: skip


def _wires(layer: Layer, n: int, m: int) -> Array:
    """Pairs (i, j) of a unit and one that it is made of."""
    if isinstance(layer, Affinity):
        return np.zeros((0, 2), int)
    if isinstance(layer, (Map, Identity)):
        return np.repeat(np.arange(m)[:, None], 2, axis=1)
    if isinstance(layer, Select):
        return np.column_stack([np.arange(m), layer.indices])
    return np.argwhere(np.ones((m, n)))  # nobody knows, from the outside


def network(view: View, ax: Axes, numbers: bool | None = None) -> Drawing:
    """Draw a view of a network.

    Parameters
    ----------
    view : View
        Of `forward`, `back` or `change`.
    ax : Axes
    numbers : bool, optional
        Whether numbers are written; by default where they have room.

    Returns
    -------
    Drawing
        Holds the artists; its ``update(view)`` shows other numbers.

    Examples
    --------
    >>> from bench.plots import figure
    >>> from minnet.study.gates import trained_xor
    >>> net = trained_xor()
    >>> drawing = network(forward(net, [1, 0]), figure().add_subplot())
    >>> drawing.update(forward(net, [0, 1], "contributions"))
    """
    return Drawing(view, ax, numbers)


def size(view: View) -> tuple[float, float]:
    """The width and height, in inches, of a figure in which a view has room."""
    units = max(map(len, view.nodes))
    return 1.7 * len(view.names) + 2, min(12.0, max(3.2, 0.6 * units + 1))


class Drawing:
    """A network drawn on an Axes, whose numbers can be changed in place.

    Attributes
    ----------
    nodes : PathCollection
        All units, column by column.
    lines : LineCollection
        All weights and biases, the largest last and so on top.
    wires : LineCollection
        What connects units without a weight.
    node_numbers, line_numbers : list of Text
        Of the units; of the weights, layer by layer and row by row, and then of the biases.
        Empty where there is no room.
    """

    def __init__(self, view: View, ax: Axes, numbers: bool | None = None) -> None:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.collections import LineCollection

        widths = [len(units) for units in view.nodes]
        self._outline = _outline(view)
        places = [_column(i, width) for i, width in enumerate(widths)]
        self._segments, along = _segments(view, places)
        height = ax.figure.bbox.height / ax.figure.dpi
        inches = 0.8 * height / (max(widths) + 0.5)  # from unit to unit
        across = min(34.0, 0.8 * 72 * inches)  # a node, in points
        size = min(8.0, 0.25 * across)
        self._widest = across / 6
        self.wires = LineCollection(_wire_segments(view, places), colors="0.8", linewidths=0.8)
        self.lines = LineCollection([], cmap=colormaps["coolwarm"], norm=_scale(), zorder=2)
        ax.add_collection(self.wires)
        ax.add_collection(self.lines)
        points = np.concatenate(places)
        self.nodes = ax.scatter(
            points[:, 0], points[:, 1], s=across**2, c=np.zeros(len(points)),
            cmap="RdBu_r", norm=_scale(), edgecolors="black", linewidths=1, zorder=3,
        )  # fmt: skip
        if numbers is None:
            numbers = max(widths) <= FEW
        self.node_numbers = [
            ax.text(x, y, "", ha="center", va="center", fontsize=size, zorder=4)
            for x, y in (points if numbers else [])
        ]
        box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.4}
        few = numbers and len(along) <= 80
        self.line_numbers = [
            ax.text(x, y, "", ha="center", va="center", fontsize=size - 1, bbox=box, zorder=2.5)
            for x, y in (along if few else [])
        ]
        top = (max(widths) - 1) / 2
        for i, name in enumerate(view.names):
            ax.annotate(
                name, (i * STRETCH, 1), (0, 2), xycoords=ax.get_xaxis_transform(), ha="center",
                textcoords="offset points", fontsize=9,
            )  # fmt: skip
        ax.set_xlim(-0.6, (len(widths) - 1) * STRETCH + 0.6)
        ax.set_ylim(-top - 0.6, top + 0.5)
        ax.set_axis_off()
        for artist, what in ((self.nodes, "units"), (self.lines, "lines")):
            scale = ScalarMappable(artist.norm, artist.cmap)
            bar = ax.figure.colorbar(
                scale, ax=ax, shrink=min(0.8, 2.5 / height), pad=0.02, aspect=15
            )
            bar.ax.set_title(what, fontsize=9)
            bar.ax.tick_params(labelsize=8)
        self._ax = ax
        self.update(view)

    def update(self, view: View) -> None:
        """Show the numbers of another view of the same network.

        Raises
        ------
        ValueError
            If it has other units; the drawing is then as it was.
        """
        if _outline(view) != self._outline:
            raise ValueError("the view is of another network than the drawing")
        units, lines = np.concatenate(view.nodes), _numbers(view)
        share = np.nan_to_num(np.minimum(np.abs(lines) / _reach(lines), 1))
        order = share.argsort(kind="stable")
        self.lines.set_segments([self._segments[i] for i in order])
        self.lines.set_linewidth((0.5 + (self._widest - 0.5) * share[order]).tolist())
        for artist, values in ((self.nodes, units), (self.lines, lines[order])):
            reach = _reach(values)
            artist.set_array(np.clip(values, -reach, reach))
            artist.set_clim(-reach, reach)
        for text, value in zip(self.node_numbers, units, strict=bool(self.node_numbers)):
            text.set_text(_short(value))
            text.set_color("white" if abs(value) > 0.45 * _reach(units) else "black")
        for text, value in zip(self.line_numbers, lines, strict=bool(self.line_numbers)):
            text.set_text(_short(value))
        self._ax.set_title(view.title, pad=18)


def sweep(found: Sweep, axes: Sequence[Axes]) -> None:
    """Every layer along a line of inputs: a panel for each, a curve for each unit.

    A dotted upright marks where a unit of the panel's layer switches, in its colour.

    Parameters
    ----------
    found : Sweep
        Of a plain network.
    axes : sequence of Axes
        As many as there are layers.

    Raises
    ------
    ValueError
        If it is of a crowd, or the Axes are not as many.
    """
    if len(axes) != len(found):
        raise ValueError(f"a sweep of {len(found)} layers needs as many Axes, not {len(axes)}")
    for ax, (name, outputs) in zip(axes, found.items(), strict=True):
        if outputs.ndim != 2:
            raise ValueError(f"a picture shows the sweep of one network, not of {len(outputs)}")
        few = outputs.shape[1] <= FEW // 2
        shown = np.clip(outputs, -HUGE, HUGE)
        lines = ax.plot(found.at, shown, linewidth=1.8 if few else 0.8)
        for unit, line in enumerate(lines):
            line.set_label(f"[{unit}]")
        for switch in found.switches:
            if switch.layer == name:
                ax.axvline(
                    float(switch.at), color=lines[switch.unit].get_color(), linestyle=":",
                    linewidth=1.4 if few else 0.7,
                )  # fmt: skip
        ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.margins(x=0)
        ax.label_outer()
        if few:
            ax.legend(
                loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False,
                ncols=1 + (len(lines) > 4), handlelength=1, columnspacing=1,
            )  # fmt: skip
    axes[0].set_title("Each layer along the line; dotted: a unit switches")
    axes[-1].set_xlabel(f"from {_vector(found.x[0])} to {_vector(found.x[-1])}")


def _column(i: int, units: int) -> Array:
    """The places (units, 2) of the nodes of column i, from the top."""
    return np.column_stack([np.full(units, i * STRETCH), (units - 1) / 2 - np.arange(units)])


def _segments(view: View, places: list[Array]) -> tuple[list[Array], list[Array]]:
    """The ends (2, 2) of each line and, last, of each bias; and where their numbers stand."""
    weights, stubs = [], []
    for before, after, lines, biases in zip(
        places[:-1], places[1:], view.lines, view.biases, strict=True
    ):
        if lines is not None:
            weights += [np.stack([p, q]) for q in after for p in before]
        if biases is not None:
            stubs += [np.stack([p - (0.34, 0.42), p]) for p in after]
    along = [0.7 * p + 0.3 * q for p, q in weights] + [1.15 * p - 0.15 * q for p, q in stubs]
    return weights + stubs, along


def _wire_segments(view: View, places: list[Array]) -> list[Array]:
    return [
        np.stack([before[j], after[i]])
        for before, after, wires in zip(places[:-1], places[1:], view.wires, strict=True)
        for i, j in wires
    ]


def _outline(view: View) -> list[object]:
    """What a drawing cannot change: names, and how many there are of what."""
    arrays = [*view.nodes, *view.lines, *view.biases]
    return [view.names, *(None if a is None else a.shape for a in arrays)]


def _numbers(view: View) -> Array:
    """Of all lines and biases, in the order of their segments."""
    given = [*view.lines, *view.biases]
    return np.concatenate([np.zeros(0), *(np.ravel(a) for a in given if a is not None)])


def _scale() -> Normalize:
    """Colours by the square root, so that small numbers have one too."""
    from matplotlib.colors import FuncNorm

    return FuncNorm((lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: v * np.abs(v)), -1, 1)


def _reach(values: Array) -> float:
    """The largest of them, nan and inf aside, within what Matplotlib's ticks bear."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    return min(largest, HUGE) if largest > 1 / HUGE else 1.0


def _short(value: float) -> str:
    """A number for a small place.

    >>> _short(-2.2371), _short(-0.0528), _short(-0.000036), _short(-0.0)
    ('-2.24', '-0.053', '-4e-5', '0')
    """
    if value and abs(value) < 1e-3:
        digits, exponent = f"{value:.0e}".split("e")
        return f"{digits}e{int(exponent)}"
    return f"{value + 0.0:.{2 if abs(value) < 0.1 else 3}g}"


def _vector(values: Array) -> str:
    shown = [f"{v:.4g}" for v in values[:6]]
    return f"({', '.join(shown + ['...'] * (len(values) > 6))})"
