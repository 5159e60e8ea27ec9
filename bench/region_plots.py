"""Pictures of linear regions: each a function from regions and an Axes.

Every map has a colour of its own, red, green and blue by the ranks of its slope x, slope y
and offset among the maps shown: equal maps are equal in colour, wherever they are.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.plots import figure, write
from minnet import Facts
from minnet.checks import Array
from minnet.study.regions import Comparison, LinearRegions, Regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from mpl_toolkits.mplot3d import Axes3D

FEW = 8  # regions that have room for their equations


def partition(regions: LinearRegions, ax: Axes, facts: Facts | None = None) -> None:
    """The cells, coloured by map, with the equations where they are few, and the boundary.

    Parameters
    ----------
    regions : LinearRegions
        Of a network of one output.
    ax : Axes
    facts : Facts, optional
        Drawn as dots, white where they expect more than 0, else black.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    maps, count = _maps(regions), regions.counts
    many = count["patterns"] > 500
    ax.add_collection(
        PolyCollection(
            regions.polygons, facecolors=_colours(maps), edgecolors="0.25",
            linewidths=0.1 if many else 0.5,
        )
    )  # fmt: skip
    ax.add_collection(LineCollection(list(regions.boundary()), colors="black", linewidths=2.5))
    if count["regions"] <= FEW:
        for first in np.unique(regions.merged):
            cells = np.flatnonzero(regions.merged == first)
            largest = cells[regions.areas[cells].argmax()]
            x, y = regions.interior[largest]
            ax.text(
                x, y, equation(maps[first]), ha="center", va="center",
                fontsize=8, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0},
            )  # fmt: skip
    if facts is not None:
        ax.scatter(
            facts.X[:, 0], facts.X[:, 1], c=_shades(facts), s=90, zorder=3,
            edgecolors="black", linewidths=1.5, clip_on=False,
        )  # fmt: skip
    ax.set_xlim(*regions.window[0])
    ax.set_ylim(*regions.window[1])
    words = f"{count['patterns']} cells, {count['functions']} maps"
    ax.set(xlabel="x", ylabel="y", aspect="equal", title=f"{words}; thick: output 0")


def facets(regions: LinearRegions, ax: Axes3D, facts: Facts | None = None) -> None:
    """The output as the facets it consists of, with its kinks and zeros.

    Parameters are those of `partition`, but the Axes has ``projection="3d"``.
    """
    from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

    maps = _maps(regions)
    corners = [
        np.column_stack([polygon, polygon @ row[:2] + row[2]])
        for polygon, row in zip(regions.polygons, maps, strict=True)
    ]
    many = len(corners) > 500
    ax.computed_zorder = False
    ax.add_collection3d(
        Poly3DCollection(
            corners, facecolors=_colours(maps), edgecolors="0.2", alpha=0.85,
            linewidths=0.1 if many else 0.6,
        )
    )  # fmt: skip
    zeros = [np.column_stack([segment, [0, 0]]) for segment in regions.boundary()]
    if zeros:
        ax.add_collection3d(Line3DCollection(zeros, colors="black", linewidths=2.5))
    heights = np.concatenate([polygon[:, 2] for polygon in corners])
    if facts is not None:
        ax.scatter(
            *facts.X.T, facts.T[:, 0], c=_shades(facts), s=70,
            edgecolors="black", depthshade=False,
        )  # fmt: skip
        heights = np.append(heights, facts.T[:, 0])
    ax.set_xlim(*regions.window[0])
    ax.set_ylim(*regions.window[1])
    low, high = heights.min(), heights.max()
    ax.set_zlim(low, high if high > low else low + 1)
    ax.set(xlabel="x", ylabel="y", zlabel="output", title="The output, facet by facet; thick: 0")
    ax.view_init(elev=28, azim=-55)
    ax.set_box_aspect(None, zoom=0.88)


def maps(regions: LinearRegions, ax: Axes3D) -> None:
    """Each map as a point (slope x, slope y, offset), its dot as large as its area.

    regions : of a network of one output; the Axes has ``projection="3d"``.
    """
    rows = _maps(regions)
    _dots(rows, regions.areas, ax, c=_colours(rows), edgecolors="0.3", linewidths=0.3)
    _name_axes(ax, f"{regions.counts['functions']} maps")


def mapped(
    one: Array, two: Array, areas: Array, regression: Regression, ax: Axes3D, names: tuple[str, str]
) -> None:
    """The maps of one network, taken to the other's by a regression, beside those.

    Parameters
    ----------
    one, two : ndarray, shape (pieces, 3)
        Slope x, slope y and offset of either network on each piece of their overlay.
    areas : ndarray, shape (pieces,)
    regression : Regression
        From `one` to `two`.
    ax : Axes3D
    names : pair of str
    """
    _dots(two, areas, ax, c="C0", alpha=0.5, label=names[1])
    _dots(regression(one), areas, ax, c="C1", alpha=0.5, label=f"{names[0]}, mapped")
    _name_axes(ax, f"{names[0]} to {names[1]}: R² {regression.r2:.3f}")
    ax.legend(loc="upper left", fontsize=8)


def agreement(comparison: Comparison, ax: Axes) -> None:
    """Where two networks have outputs of one sign: pale, and of two: dark.

    The lines are the borders of all pieces of their overlay.
    """
    from matplotlib.collections import PolyCollection

    shades = np.full((len(comparison.areas), 3), 0.45)
    same = comparison.positive1 == comparison.positive2
    shades[same & comparison.positive1] = (0.98, 0.86, 0.8)
    shades[same & ~comparison.positive1] = (0.82, 0.9, 0.97)
    lines = 0.1 if len(shades) > 1000 else 0.4
    ax.add_collection(
        PolyCollection(comparison.polygons, facecolors=shades, edgecolors="0.3", linewidths=lines)
    )
    ax.autoscale_view()
    ax.margins(0)
    share = f"{100 * comparison.agreement:.1f} per cent"
    ax.set(xlabel="x", ylabel="y", aspect="equal", title=f"Of one sign on {share}; dark: not")


def animation(frames: Iterable[tuple[LinearRegions, str]], facts: Facts, path: Path) -> None:
    """Partitions, one after the other, as an animated GIF.

    Parameters
    ----------
    frames : iterable of (LinearRegions, title)
    facts : Facts
    path : Path

    Raises
    ------
    ValueError
        If there are no frames.
    OSError
        If the file cannot be written; what was there before is there still.
    """
    from PIL import Image

    images: list[Image.Image] = []
    for regions, title in frames:
        picture = figure(4.8, 4.8)
        ax = picture.add_subplot()
        partition(regions, ax, facts)
        ax.set_title(title)
        content = io.BytesIO()
        picture.savefig(content, format="png", dpi=80)
        images.append(Image.open(content).convert("RGB").quantize(128))
    if not images:
        raise ValueError("an animation needs at least one frame")
    content = io.BytesIO()
    durations = [120] * (len(images) - 1) + [2000]  # milliseconds; the end stays
    images[0].save(
        content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
    )
    write(content.getvalue(), path)


def equation(row: Array) -> str:
    """A map (slope x, slope y, offset) as text.

    >>> equation(np.array([2, -1.5, 0])), equation(np.array([0, 0, -1]))
    ('2x - 1.5y', '-1')
    """
    terms = [(v, name) for v, name in zip(row, ("x", "y", ""), strict=True) if f"{v:.3g}" != "0"]
    text = "".join(f" {'-' if v < 0 else '+'} {_number(abs(v), name)}{name}" for v, name in terms)
    return ("-" if text.startswith(" -") else "") + text[3:] or "0"


def _number(value: float, name: str) -> str:
    shown = f"{value:.3g}"
    return "" if shown == "1" and name else shown


def _maps(regions: LinearRegions) -> Array:
    """Slope x, slope y and offset of each cell, (cells, 3)."""
    if regions.slopes.shape[1] != 1:
        raise ValueError(f"a picture shows one output, not {regions.slopes.shape[1]}")
    return np.column_stack([regions.slopes[:, 0], regions.offsets])


def _colours(rows: Array) -> Array:
    """A pale colour for each map, (maps, 3), by the ranks of its numbers."""
    colours = np.empty((len(rows), 3))
    for i, column in enumerate(rows.T):
        _, rank = np.unique(column.round(9), return_inverse=True)
        colours[:, i] = 0.45 + 0.5 * rank / max(1, rank.max())
    return colours


def _shades(facts: Facts) -> list[str]:
    return ["white" if expected > 0 else "black" for expected in facts.T[:, 0]]


def _dots(rows: Array, areas: Array, ax: Axes3D, **style: object) -> None:
    ax.scatter(*rows.T, s=6 + 500 * areas / areas.sum(), depthshade=False, **style)


def _name_axes(ax: Axes3D, title: str) -> None:
    ax.set(xlabel="slope x", ylabel="slope y", zlabel="offset", title=title)
    ax.view_init(elev=24, azim=-60)
    ax.set_box_aspect(None, zoom=0.88)
