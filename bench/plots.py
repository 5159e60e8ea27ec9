"""Pictures: each a function from data and an Axes; and what writes them to files.

Colour stands for an output: blue below the threshold, white at it, red above (a map that
colour-blind eyes tell apart too). The scale ends at the expected values.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet import Facts, Network
from minnet.checks import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

DPI = 120
GRID = 121  # points along each side of a picture of outputs


def learning(losses: Iterable[Any], ax: Axes) -> None:
    """The losses of each step on a log scale, with the step of a divergence marked.

    Parameters
    ----------
    losses : sequence of float, or of arrays (nets,) for a crowd
        inf from a divergence on. Losses of exactly 0, for which a log scale has no place,
        are marked at the bottom.
    ax : Axes

    Raises
    ------
    ValueError
        If there are none.
    """
    curves = np.asarray(list(losses), float)
    if not len(curves):
        raise ValueError("there are no losses to draw")
    curves = curves.reshape(len(curves), -1)
    steps = np.arange(len(curves))
    shown = np.where(np.isfinite(curves) & (curves > 0), curves, np.nan)
    many = curves.shape[1] > 1
    ax.plot(
        steps, shown, color="C0" if many else None, linewidth=0.6 if many else 1.6,
        alpha=0.5 if many else 1, marker="." if len(curves) < 50 else None,
    )  # fmt: skip
    data = ax.dataLim  # of the curves that were here before, too
    if not np.isnan(shown).all():
        low, high = np.clip([data.minposy, data.y1], 1e-100, 1e100)
        ax.set_ylim(low / 1.5, high * 1.5)  # beyond these Matplotlib's ticks overflow
        ax.set_yscale("log")
    edges = [(~np.isfinite(curves), "^", "C3", 1, "diverged"), (curves == 0, "v", "C2", 0, "0")]
    for there, marker, colour, height, what in edges:
        first = there.argmax(axis=0)[there.any(axis=0)]
        if first.size:
            ax.plot(
                first, np.full(len(first), height), marker, color=colour, clip_on=False,
                transform=ax.get_xaxis_transform(), label=f"{what} at step {_span(first)}",
            )  # fmt: skip
            ax.legend()
    ax.set_xlim(0, data.x1 + 1)
    ax.set(xlabel="step", ylabel="loss, before the step", title="The loss of every step")
    ax.grid(True, which="major", alpha=0.3)


def boundary(net: Network, facts: Facts, ax: Axes, threshold: float = 0.5) -> None:
    """The decision region: the output over the plane of the two inputs, and the facts.

    The line is where the output is the threshold. The window goes a tenth beyond the facts.

    Parameters
    ----------
    net : Network
        A plain one with two inputs and one output.
    facts : Facts
        Drawn as dots in the colour of what they expect.
    ax : Axes
    threshold : float
        What divides true outputs from false ones.

    Raises
    ------
    ValueError
        If the network has other widths.
    """
    axes, y = _outputs(net, facts)
    scale = _scale(facts, threshold)
    image = ax.imshow(
        y, extent=(*axes[0][[0, -1]], *axes[1][[0, -1]]), origin="lower", interpolation="bilinear",
        cmap=_colours(0.2), norm=scale,
    )  # fmt: skip
    _contour(axes, y, threshold, ax)
    ax.scatter(
        facts.X[:, 0], facts.X[:, 1], c=facts.T[:, 0], cmap=_colours(), norm=scale, s=220,
        edgecolors="black", linewidths=2, zorder=3,
    )  # fmt: skip
    ax.set(xlabel="x[0]", ylabel="x[1]", title="Decision region, and what the facts expect")
    reach = _reach(facts, threshold)
    bar = ax.figure.colorbar(
        image, ax=ax, label="output", ticks=threshold + np.linspace(-reach, reach, 5), shrink=0.85,
        extend="both" if (abs(y - threshold) > reach).any() else "neither",
    )  # fmt: skip
    bar.ax.axhline(threshold, color="black", linewidth=2)


def surface(net: Network, facts: Facts, ax: Axes3D, threshold: float = 0.5) -> None:
    """The output as a surface over the two inputs, cut at the threshold, and the facts.

    Parameters and errors are those of `boundary`, but the Axes has ``projection="3d"``.
    A line leads from each fact to the surface: its length is the error.
    """
    axes, y = _outputs(net, facts)
    colours, scale = _colours(), _scale(facts, threshold)
    ax.computed_zorder = False  # else the facts behind a part of the surface are hidden
    ax.plot_surface(
        *np.meshgrid(*axes), y, cmap=_colours(0.2), norm=scale, rcount=40, ccount=40, alpha=0.8,
        linewidth=0.2, edgecolor="0.3",
    )  # fmt: skip
    _contour(axes, y, threshold, ax)
    with np.errstate(all="ignore"):
        answers = net(facts.X)
    for x, expected, answer in zip(facts.X, facts.T, answers, strict=True):
        ax.plot(*[[v, v] for v in x], [expected[0], answer[0]], color="black", zorder=4)
    ax.scatter(
        *facts.X.T, facts.T[:, 0], c=facts.T[:, 0], cmap=colours, norm=scale, s=110,
        edgecolors="black", linewidths=1.5, depthshade=False, zorder=5,
    )  # fmt: skip
    ax.set(zlabel="output", title=f"Output over the inputs; lines at {threshold:g}")
    ax.set_xlabel("x[0]", labelpad=10)
    ax.set_ylabel("x[1]", labelpad=10)
    ax.view_init(elev=28, azim=-55)
    ax.set_box_aspect((4, 4, 3), zoom=0.95)


def figure(width: float = 6.4, height: float = 4.8) -> Figure:
    """An empty figure that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained", dpi=DPI)


def save(picture: Figure, path: Path) -> None:
    """Write a figure as PNG: all of the file, or nothing where that fails.

    Raises
    ------
    OSError
        If the file cannot be written; what was there before is there still.
    """
    content = io.BytesIO()
    picture.savefig(content, format="png", dpi=DPI)
    write(content.getvalue(), path)


def animation(
    frames: Iterable[tuple[Network, str]], facts: Facts, path: Path, threshold: float = 0.5
) -> None:
    """The decision regions of networks, one after the other, as an animated GIF.

    Parameters
    ----------
    frames : iterable of (Network, title)
    facts, threshold
        As in `boundary`.
    path : Path
        Written as by `save`.

    Raises
    ------
    ValueError
        If there are no frames, or a network has other widths.
    OSError
        As by `save`.
    """
    from matplotlib.contour import ContourSet
    from PIL import Image

    picture = figure(5, 4.2)
    ax = picture.add_subplot()
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    images: list[Image.Image] = []
    for net, title in frames:
        if not images:
            boundary(net, facts, ax, threshold)
            picture.draw_without_rendering()
            picture.set_layout_engine("none")  # it is laid out: from here on only numbers change
        for line in [artist for artist in ax.collections if isinstance(artist, ContourSet)]:
            line.remove()
        axes, y = _outputs(net, facts)
        ax.images[0].set_data(y)
        _contour(axes, y, threshold, ax)
        ax.set_title(title)
        content = io.BytesIO()
        picture.savefig(content, format="png", dpi=80)
        image = Image.open(content).convert("RGB")
        images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    if not images:
        raise ValueError("an animation needs at least one frame")
    content = io.BytesIO()
    durations = [80] * (len(images) - 1) + [2000]  # milliseconds; the end stays
    images[0].save(
        content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
    )
    write(content.getvalue(), path)


def write(content: bytes, path: Path) -> None:
    """All of the content into the file, or nothing."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def _outputs(net: Network, facts: Facts) -> tuple[list[Array], Array]:
    """The two axes of the window, and the outputs (x[1], x[0]) over it."""
    if net.nets is not None or net.n != 2 or net.m != 1:
        raise ValueError(
            f"a picture of outputs takes a plain network of 2 inputs and 1 output, not "
            f"{net.n} and {net.m}{'' if net.nets is None else ' in a crowd'}"
        )
    low, high = facts.X.min(axis=0), facts.X.max(axis=0)
    beyond = np.where(high > low, (high - low) / 10, 0.5)
    axes = [np.linspace(*ends, GRID) for ends in zip(low - beyond, high + beyond, strict=True)]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    with np.errstate(all="ignore"):  # numbers left by a divergence may overflow
        return axes, net(points).reshape(GRID, GRID)


def _colours(paler: float = 0.05) -> Colormap:
    """Blue over white to red; `paler` is how much of each end is left out."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["RdBu_r"](np.linspace(paler, 1 - paler, 256)))


def _palette() -> list[int]:
    """256 colours for a GIF: those of a region and its facts, and greys for the writing."""
    shades = [_colours(0.2)(np.linspace(0, 1, 200)), _colours()(np.linspace(0, 1, 24))]
    greys = np.repeat(np.linspace(0, 1, 32)[:, None], 3, axis=1)
    colours = np.concatenate([*(shade[:, :3] for shade in shades), greys])
    return [int(value) for value in (255 * colours).round().ravel()]


def _scale(facts: Facts, threshold: float) -> Normalize:
    from matplotlib.colors import Normalize

    reach = _reach(facts, threshold)
    return Normalize(threshold - reach, threshold + reach)


def _reach(facts: Facts, threshold: float) -> float:
    return float(abs(facts.T - threshold).max()) or 1.0


def _contour(axes: list[Array], y: Array, threshold: float, ax: Axes) -> None:
    if y.min() < threshold < y.max():  # else, or with a nan, there is nothing to draw
        ax.contour(*axes, y, levels=[threshold], colors="black", linewidths=1.8)


def _span(steps: Array) -> str:
    low, high = int(steps.min()), int(steps.max())
    return str(low) if low == high else f"{low} to {high}"
