"""Pictures of circuits: the unit square, with what the units and the output do on it.

Colour stands for an answer: red above 1/2, blue below, with a black line between. A unit's
line is where it switches; arrows lead to the side where it is on, red if it then raises the
output and blue if it lowers it. The dots are the four facts, in the colour of the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minnet import Affinity
from minnet.checks import Array
from minnet.facts import gate
from minnet.study.circuits import Circuit
from minnet.study.units import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOW, HIGH = -0.5, 1.5  # the window: the square and what is around it
SIDE = HIGH - LOW
ACROSS, DOWN = SIDE + 0.25, SIDE + 0.5  # from a picture of a sheet to the next
POINTS = 61  # along each side of a window
COLOURS = {1: "#b2182b", -1: "#2166ac"}  # of what raises an output, and what lowers it


def square(circuit: Circuit, ax: Axes, at: tuple[float, float] = (0, 0)) -> None:
    """A circuit at the weights of its witness.

    Parameters
    ----------
    circuit : Circuit
    ax : Axes
    at : (float, float)
        Where the fact (0, 0) comes to stand; the window is from -1/2 to 3/2 around it.
    """
    net, facts, shift = circuit.network, gate(circuit.gate), np.array(at)
    ticks = np.linspace(LOW, HIGH, POINTS)
    y = net(np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)).reshape(POINTS, POINTS)
    left, bottom = shift + LOW
    ax.imshow(
        y, extent=(left, left + SIDE, bottom, bottom + SIDE), origin="lower", vmin=-0.5, vmax=1.5,
        interpolation="bilinear", cmap="RdBu_r", alpha=0.6,
    )  # fmt: skip
    if y.min() < 0.5 < y.max():
        ax.contour(*(ticks + shift[:, None]), y, levels=[0.5], colors="black", linewidths=1.6)
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]) + shift
    ax.plot(*corners.T, color="0.4", linewidth=0.5)
    hidden = net["fc1"]
    assert isinstance(hidden, Affinity)
    for w, b, (_, sign) in zip(hidden.M, hidden.b, circuit.units, strict=True):
        ends = _across(w, b)
        if sign and len(ends):
            ends = ends + shift
            ax.plot(*ends.T, color=COLOURS[sign], linewidth=1.6, linestyle=(0, (4, 1.5)))
            step = 0.16 * w / np.hypot(*w)
            for start in ends[0] + np.array([[0.3], [0.7]]) * (ends[1] - ends[0]):
                ax.annotate(
                    "", start + step, start,
                    arrowprops={"arrowstyle": "-|>", "color": COLOURS[sign], "shrinkA": 0,
                                "shrinkB": 0, "mutation_scale": 7},
                )  # fmt: skip
    colours = [COLOURS[1 if true else -1] for true in facts.T[:, 0]]
    x, y = (facts.X + shift).T
    ax.scatter(x, y, c=colours, s=26, edgecolors="white", linewidths=1, zorder=3)


def sheet(circuits: Sequence[Circuit], ax: Axes, columns: int = 8) -> None:
    """Circuits side by side, each under its name, in the order given.

    Parameters
    ----------
    circuits : sequence of Circuit
        At least one.
    ax : Axes
    columns : int
        How many stand in a row.
    """
    for i, circuit in enumerate(circuits):
        x, y = (i % columns) * ACROSS, -(i // columns) * DOWN
        square(circuit, ax, (x, y))
        ax.text(
            x + 0.5, y + HIGH + 0.07, f"{circuit.symmetric}:  {circuit.name}",
            ha="center", va="bottom", fontsize=7,
        )  # fmt: skip
    ax.set_xlim(LOW - 0.1, (min(columns, len(circuits)) - 1) * ACROSS + HIGH + 0.1)
    ax.set_ylim(-((len(circuits) - 1) // columns) * DOWN + LOW - 0.1, HIGH + 0.4)
    ax.set_aspect("equal")
    ax.axis("off")


def details(circuit: Circuit, ax: Axes, beside: Axes) -> None:
    """A circuit with its name, and beside it its inequalities."""
    square(circuit, ax)
    ax.set(
        xlim=(LOW, HIGH), ylim=(LOW, HIGH), xticks=[0, 1], yticks=[0, 1], aspect="equal",
        xlabel="x[0]", ylabel="x[1]", title=f"{circuit.gate}: {circuit.name}\n{circuit.words}",
    )  # fmt: skip
    lines: list[str] = []
    for i, unit in enumerate([*circuit.units, None]):
        lines += ["", "output" if unit is None else f"unit {i}: {name_of([unit])}"]
        lines += [
            f"    {inequality.fact}:  ${inequality.latex}$"
            for inequality in circuit.inequalities
            if inequality.unit == (i if unit else None)
        ]
    text = beside.text(0, 1, "\n".join(lines[1:]), va="top", fontsize=9, linespacing=1.3)
    text.set_in_layout(False)  # else a long line would shrink the square
    beside.axis("off")


def _across(w: Array, b: float) -> Array:
    """The two points (2, 2) where w x + b = 0 leaves the window; none if it is not in it."""
    w0, w1 = w
    found = [(x, -(w0 * x + b) / w1) for x in (LOW, HIGH) if w1]
    found += [(-(w1 * y + b) / w0, y) for y in (LOW, HIGH) if w0]
    inside = [p for p in found if min(p) >= LOW and max(p) <= HIGH]
    ends = np.unique(np.reshape(inside, (-1, 2)), axis=0)
    return ends[[0, -1]] if len(ends) > 1 else ends[:0]
