"""Pictures of a census: what became of the nets, and the circuits that they found.

In the picture of a circuit colour stands for the answer: red above 1/2, blue below, with a
black line between. A unit's line is where it switches, and its arrow leads to the side where
it is on; red units raise the output, blue ones lower it. The dots are the four facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from bench.catalogue_plots import COLOURS, HIGH, LOW, POINTS
from bench.plots import figure
from minnet import Facts, Network
from minnet.study.census import Census, Found, percent
from minnet.study.failures import FAILURES
from minnet.study.parts import parts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# what became of nets, and its colour: solved green, doomed dark, undecided pale
OUTCOMES = {
    "solved": "#4d9221",
    "still descending": "#fee08b",
    "plateau": "#fdae61",
    "saddle": "#abd9e9",
    "local minimum": "#4575b4",
    "dead unit": "#555555",
    "diverged": "#d73027",
}
COLUMNS = 6
ROWS = 3  # of circuits, and at most as many of motifs
BEST = 4  # motifs of each gate in the table of all


def motif(net: Network, facts: Facts, ax: Axes, title: str = "") -> None:
    """A network of two inputs and one output over the square of its facts.

    Parameters
    ----------
    net : Network
        A plain one of one hidden layer.
    facts : Facts
        Of a gate.
    ax : Axes
    title : str
    """
    ticks = np.linspace(LOW, HIGH, POINTS)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    y = net(points.reshape(-1, 2)).reshape(POINTS, POINTS)
    ax.imshow(
        y, extent=(LOW, HIGH, LOW, HIGH), origin="lower", vmin=-0.5, vmax=1.5,
        interpolation="bilinear", cmap="RdBu_r", alpha=0.6,
    )  # fmt: skip
    if y.min() < 0.5 < y.max():
        ax.contour(ticks, ticks, y, levels=[0.5], colors="black", linewidths=1.4)
    p = parts(net)
    for w, b, v in zip(p.M, p.b, p.v, strict=True):
        z = points @ w + b
        if v == 0 or not z.min() < 0 < z.max():
            continue
        colour = COLOURS[1 if v > 0 else -1]
        ax.contour(ticks, ticks, z, levels=[0], colors=colour, linewidths=1.4, linestyles="dashed")
        ends = points[abs(z) <= 1.5 * abs(w).max() * (ticks[1] - ticks[0])]
        middle = (ends.min(axis=0) + ends.max(axis=0)) / 2
        foot = middle - (middle @ w + b) / (w @ w) * w
        ax.annotate(
            "", foot + 0.3 * w / np.hypot(*w), foot,
            arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
    colours = [COLOURS[1 if true else -1] for true in facts.T[:, 0] > 0.5]
    x0, x1 = facts.X.T
    ax.scatter(x0, x1, c=colours, s=26, edgecolors="white", linewidths=1, zorder=3)
    ax.set(xticks=[], yticks=[], xlim=(LOW, HIGH), ylim=(LOW, HIGH))
    ax.set_title(title, fontsize=8)


def outcomes(censuses: Mapping[str, Census], ax: Axes) -> None:
    """What became of the nets, a bar for each census, from the top down.

    Parameters
    ----------
    censuses : mapping of label to Census
    ax : Axes
    """
    places, left = range(len(censuses)), np.zeros(len(censuses))
    for name, colour in OUTCOMES.items():
        shares = np.array([_share(census, name) for census in censuses.values()])
        ax.barh(places, shares, left=left, color=colour, label=name, edgecolor="white")
        for place, start, share in zip(places, left, shares, strict=True):
            if share >= 5:
                dark = name in ("solved", "local minimum", "dead unit", "diverged")
                ax.text(
                    start + share / 2, place, f"{share:.0f}", ha="center", va="center",
                    fontsize=8, color="white" if dark else "black",
                )  # fmt: skip
        left += shares
    ax.set_yticks(places, list(censuses))
    ax.invert_yaxis()
    ax.set(xlim=(0, 100), xlabel="per cent of the nets")
    ax.legend(ncols=len(OUTCOMES), fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1),
              frameon=False, columnspacing=1, handlelength=1)  # fmt: skip
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _share(census: Census, outcome: str) -> float:
    count = census.count if outcome == "solved" else census.failures[outcome]
    return 100 * count / census.nets


def moves(censuses: Mapping[str, Census], names: Sequence[str], ax: Axes) -> None:
    """How the shares of some motifs move from census to census, with their intervals.

    Parameters
    ----------
    censuses : mapping of label to Census
    names : sequence of str
        Of motifs.
    ax : Axes
    """
    for i, name in enumerate(names):
        found = [next((m for m in c.motifs if m.name == name), None) for c in censuses.values()]
        shares = np.array([100 * m.share if m else 0 for m in found])
        ends = np.array([[100 * end for end in m.interval] if m else [0, 0] for m in found])
        reach = abs(ends.T - shares)
        places = np.arange(len(found)) + 0.03 * (i - len(names) / 2)
        ax.errorbar(places, shares, reach, marker="o", markersize=4, capsize=2, label=name)
    ax.set_xticks(range(len(censuses)), list(censuses))
    ax.set_ylim(bottom=0)
    ax.set(ylabel="per cent of the nets", title="The most frequent motifs")
    ax.legend(fontsize=8, frameon=False)
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def census_of_one_gate(census: Census) -> Figure:
    """What became of the nets; below it the most frequent motifs, and then circuits."""
    groups = {"Motifs": _often(census.motifs), "Circuits": _found(census)}
    if groups["Motifs"] and groups["Motifs"][0].name == groups["Circuits"][0].name:
        del groups["Motifs"]  # as of Sigmoid and Tanh units: they are the same
    groups = {name: found[: ROWS * COLUMNS] for name, found in groups.items() if found}
    rows = {name: -(-len(found) // COLUMNS) for name, found in groups.items()}
    heights = [1.4, *(0.3 + 2.05 * count for count in rows.values())]
    picture = figure(10.5, sum(heights))
    strip, *blocks = np.atleast_1d(
        np.array(picture.subfigures(len(heights), 1, height_ratios=heights))
    )
    outcomes({census.gate: census}, strip.subplots())
    for block, (name, found) in zip(blocks, groups.items(), strict=True):
        words = "~: a fact on a unit's kink" if name == "Motifs" else "1: on, 0: off"
        block.suptitle(f"{name}  ({words}; share of all nets)", fontsize=10)
        for ax, one in zip_longest(np.ravel(block.subplots(rows[name], COLUMNS)), found):
            if one is None:
                ax.axis("off")
            else:
                motif(one.network, census.facts, ax, _caption(one))
    return picture


def table_of_motifs(censuses: Iterable[Census]) -> Figure:
    """A row for each gate: what became of its nets, and its most frequent motifs."""
    censuses = list(censuses)
    rows = -(-len(censuses) // 2)
    picture = figure(15, 0.5 + 1.62 * rows)
    widths = [1.9, *[1] * BEST]
    grid = picture.add_gridspec(rows, 2 * len(widths) + 1, width_ratios=[*widths, 0.2, *widths])
    for i, census in enumerate(censuses):
        row, column = i % rows, i // rows * (len(widths) + 1)
        ax = picture.add_subplot(grid[row, column])
        outcomes({census.gate: census}, ax)
        legend = ax.get_legend()
        assert legend is not None
        legend.remove()
        ax.set(xlabel="", ylim=(1.1, -1.1), xticks=[], yticks=[])
        ax.spines["bottom"].set_visible(False)
        ax.set_title(
            f"{census.gate}: {100 * census.share:.1f} % solved\nby {len(census.motifs)} motifs",
            fontsize=10, loc="left", y=0.8,
        )  # fmt: skip
        for j, one in enumerate(_often(census.motifs)[:BEST]):
            ax = picture.add_subplot(grid[row, column + 1 + j])
            motif(one.network, census.facts, ax, _caption(one))
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in OUTCOMES.items()]
    picture.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return picture


def varied(censuses: Mapping[str, Census], what: str) -> Figure:
    """Censuses that differ in one setting: what became of the nets, and their motifs."""
    totals: dict[str, float] = {}
    for census in censuses.values():
        for one in census.motifs[:BEST]:
            totals[one.name] = totals.get(one.name, 0) + one.share
    names = sorted(totals, key=lambda name: -totals[name])[: BEST + 1]
    picture = figure(9, 4.2 + 0.45 * len(censuses))
    above, below = picture.subplots(2, 1, height_ratios=[0.5 + 0.45 * len(censuses), 3.2])
    outcomes(censuses, above)
    above.set_ylabel(what)
    moves(censuses, names, below)
    below.set_xlabel(what)
    return picture


def _found(census: Census) -> list[Found]:
    return [one for one in census.circuits if one.count]


def _often(found: list[Found]) -> list[Found]:
    """Those that more than one net has, or all: what one alone has is on its way to another."""
    return [one for one in found if one.count > 1] or found


def _caption(one: Found) -> str:
    name = one.name if len(one.name) < 20 else f"{one.name[:17]}..."
    return f"{name}\n{percent(one.share, one.interval)}"


assert set(OUTCOMES) == {"solved", *FAILURES}
