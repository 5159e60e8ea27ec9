"""Pictures: each a function from data and an Axes; and what writes them to files.

Colour stands for an output: blue below the threshold, white at it, red above (a map that
colour-blind eyes tell apart too). The scale ends at the expected values.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet import Facts, Network
from minnet.checks import Array, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

    from bench.potential import PotentialMap

DPI = 120
GRID = 121  # points along each side of a picture of outputs


def learning(
    losses: Iterable[Any], ax: Axes, low_pass: float | None = None, label: str | None = None
) -> None:
    """The losses of each step on a log scale, with the step of a divergence marked.

    Parameters
    ----------
    losses : sequence of float, or of arrays (nets,) for a crowd
        inf from a divergence on. Losses of exactly 0, for which a log scale has no place,
        are marked at the bottom.
    ax : Axes
    low_pass : float, optional
        Sigma for `smoothed`, which is then drawn over the losses themselves, in pale.
    label : str, optional
        For a legend.

    Raises
    ------
    ValueError
        If there are no losses, or sigma is not above 0.
    """
    curves = _curves(losses)
    shown = _drawable(curves if low_pass is None else smoothed(curves, low_pass))
    many = curves.shape[1] > 1
    colour = "C0" if many and label is None else _next_colour(ax)
    if low_pass is not None and not many:
        ax.plot(_drawable(curves), color=colour, linewidth=0.6, alpha=0.4)
    lines = ax.plot(
        shown, color=colour, linewidth=0.6 if many else 1.6, alpha=0.5 if many else 1,
        marker="." if len(curves) < 50 else None,
    )  # fmt: skip
    if label is not None:
        lines[0].set_label(label)
    _finish(curves, ax, label, colour)


def runs(
    curves: Iterable[Iterable[float]],
    ax: Axes,
    low_pass: float | None = None,
    label: str | None = None,
) -> None:
    """The losses of several runs: their median at each step, and a band from quartile to quartile.

    Parameters
    ----------
    curves : sequence of sequences of float
        All of one length; a divergence in one of them is marked as in `learning`.
    ax, low_pass, label
        As in `learning`; each run is smoothed, then the quartiles are taken.

    Raises
    ------
    ValueError
        As `learning`; also if the runs differ in length.
    """
    each = [_curves(curve) for curve in curves]
    if len({curve.shape for curve in each}) != 1 or each[0].shape[1] != 1:
        raise ValueError("runs must be sequences of losses, all of one length")
    together = np.concatenate(each, axis=1)
    trends = together if low_pass is None else smoothed(together, low_pass)
    # "nearest": between a number and inf nothing can be interpolated
    low, middle, high = np.quantile(trends, [0.25, 0.5, 0.75], axis=1, method="nearest")
    colour = _next_colour(ax)
    ax.plot(_drawable(middle), color=colour, linewidth=1.6, label=label or "median")
    top = np.where(np.isfinite(high), high, np.maximum(_largest(trends), low))
    steps = np.arange(len(middle))
    ax.fill_between(
        steps, _drawable(low), _drawable(top), color=colour, alpha=0.2, linewidth=0,
        label=f"quartiles of {len(each)} runs" if label is None else None,
    )  # fmt: skip
    _finish(together, ax, label, colour)
    ax.legend()


def comparison(
    losses: Mapping[str, Iterable[Any]], ax: Axes, low_pass: float | None = None
) -> None:
    """Several runs, or several nets, in one plot: a curve for each label.

    Parameters
    ----------
    losses : mapping from label to sequence of float
        As `learning` takes; they may differ in length.
    ax, low_pass
        As in `learning`.

    Raises
    ------
    ValueError
        As `learning`.

    Examples
    --------
    >>> ax = figure().add_subplot()
    >>> comparison({"slow": [1.0, 0.9, 0.8], "fast": [1.0, 0.1, 0.01]}, ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['slow', 'fast']
    """
    if not losses:
        raise ValueError("there are no losses to draw")
    for label, curve in losses.items():
        learning(curve, ax, low_pass, label)
    ax.legend()


def smoothed(losses: Any, sigma: float) -> Array:
    """Losses through a low pass: a Gaussian of sigma steps, over their logarithms.

    Losses are seen on a log scale and run over many decades there. The mean of logarithms
    is the trend that an eye would draw; the mean of the losses would be that of its few
    largest ones. A loss that has no logarithm, inf or 0, stays as it is, and counts for
    nothing in its neighbours' means.

    Parameters
    ----------
    losses : array_like, shape (n, ...)
    sigma : float
        In steps, above 0.

    Examples
    --------
    >>> smoothed([1.0, 100.0, 1.0, 100.0, np.inf], 50).round(1)
    array([10., 10., 10., 10., inf])
    """
    from scipy.ndimage import gaussian_filter1d

    sigma = checked_sigma(sigma)
    curves = np.asarray(losses, float)
    counts = np.isfinite(curves) & (curves > 0)
    logs = np.log(np.where(counts, curves, 1))
    trend, weight = (
        gaussian_filter1d(values, sigma, axis=0, mode="constant")
        for values in (logs, counts.astype(float))
    )
    return np.where(counts, np.exp(trend / np.where(counts, weight, 1)), curves)


def checked_sigma(sigma: object) -> float:
    """`sigma`, if it can be that of a low pass."""
    return number(sigma, "sigma of the low pass", above=0, below=1e6)


def _curves(losses: Iterable[Any]) -> Array:
    """Losses (n, nets), with 1 net for a plain one."""
    curves = np.asarray(list(losses), float)
    if not len(curves):
        raise ValueError("there are no losses to draw")
    return curves.reshape(len(curves), -1)


def _drawable(curves: Array) -> Array:
    return np.where(np.isfinite(curves) & (curves > 0), curves, np.nan)


def _largest(curves: Array) -> Array:
    """Of each step, the largest loss that is finite; 0 if there is none."""
    return np.where(np.isfinite(curves), curves, 0).max(axis=1)


def _next_colour(ax: Axes) -> str:
    taken = {line.get_color() for line in ax.lines}
    return next((f"C{i}" for i in (0, 1, 2, 4, 5, 6, 8, 9) if f"C{i}" not in taken), "C0")


def _finish(curves: Array, ax: Axes, label: str | None, colour: str) -> None:
    """The scales, the marks of divergence and of losses of 0, and the writing."""
    data = ax.dataLim  # of the curves that were here before, too
    if (np.isfinite(curves) & (curves > 0)).any():
        low, high = np.clip([data.minposy, data.y1], 1e-100, 1e100)
        ax.set_ylim(low / 1.5, high * 1.5)  # beyond these Matplotlib's ticks overflow
        ax.set_yscale("log")
    whose = "" if label is None else f"{label}: "
    edges = [(~np.isfinite(curves), "^", "C3", 1, "diverged"), (curves == 0, "v", "C2", 0, "0")]
    for there, marker, usual, height, what in edges:
        first = there.argmax(axis=0)[there.any(axis=0)]
        if first.size:
            ax.plot(
                first, np.full(len(first), height), marker, clip_on=False,
                color=usual if label is None else colour, markersize=8,
                transform=ax.get_xaxis_transform(), label=f"{whose}{what} at step {_span(first)}",
            )  # fmt: skip
            ax.legend()
    ax.update_datalim([(len(curves) - 1, 0)], updatey=False)  # what is not drawn has its time too
    ax.set_xlim(0, data.x1 + 1)
    ax.set(xlabel="step", ylabel="loss, before the step", title="The loss of every step")
    ax.grid(True, which="major", alpha=0.3)


def learning_potential(tried: PotentialMap, ax: Axes) -> None:
    """A map of learning potentials, with the best alpha and the edge of divergence.

    Drawn are the potentials for further facts: those of the last fact alone go up and down
    with its luck. Blue is better than not to learn, red is worse, hatched diverged.

    Parameters
    ----------
    tried : PotentialMap
        Of two alphas or more.
    ax : Axes

    Raises
    ------
    ValueError
        If there is one alpha only.
    """
    if len(tried.alphas) < 2:
        raise ValueError("a map takes two alphas or more")
    gain = tried.further - tried.untouched
    columns, rows = np.arange(len(tried.ns) + 1) - 0.5, _between(tried.alphas)
    reach = gain.max() if gain.max() > 0 else 1.0
    image = ax.pcolormesh(
        columns, rows, np.clip(gain, -reach, reach), cmap=_colours(0.1).reversed(),
        vmin=-reach, vmax=reach,
    )  # fmt: skip
    gone = np.where(tried.potential == -np.inf, 1.0, np.nan)
    if (gone == 1).any():
        ax.pcolor(
            columns, rows, gone, hatch="////", cmap=_plain("0.85"), edgecolor="0.5", linewidth=0
        )
        ax.fill([], [], color="0.85", hatch="////", edgecolor="0.5", label="diverged")
    numbers = tried.ns.tolist()
    best, edges = np.array([[tried.best(n), tried.edge(n)] for n in numbers]).T
    best[best >= edges] = np.nan  # nothing is better there than not to learn
    ax.plot(best, "o-", color="black", markerfacecolor="white", markersize=6, label="best alpha")
    if np.isfinite(best[-1]):
        ax.plot(
            len(best) - 1, best[-1], "*", color="gold", markersize=18, markeredgecolor="black",
            label=f"best for {numbers[-1]} facts: {best[-1]:.3g}",
        )  # fmt: skip
    at = np.searchsorted(tried.alphas, edges)
    steps = np.where(np.isfinite(edges), rows[np.minimum(at, len(rows) - 1)], np.nan)
    if np.isfinite(steps).any():
        ax.stairs(
            steps,
            columns,
            baseline=None,
            color="C3",
            linewidth=2.5,
            label="beyond: worse than not to learn",
        )
    ax.set_yscale("log")
    ax.set_xticks(np.arange(len(numbers)), [str(n) for n in numbers])
    ax.set(xlim=columns[[0, -1]], ylim=rows[[0, -1]])
    ax.set(xlabel="facts learned", ylabel="alpha", title="What learning would do, by alpha")
    ax.legend(loc="lower left", fontsize="small", framealpha=0.9)
    ax.figure.colorbar(
        image, ax=ax, label="-log of the loss of further facts, above that of not learning",
        extend="min",
    )  # fmt: skip


def _between(values: Array) -> Array:
    """The ends of cells around positive values, on a log scale."""
    middles = np.sqrt(values[1:] * values[:-1])
    return np.array([values[0] ** 2 / middles[0], *middles, values[-1] ** 2 / middles[-1]])


def _plain(colour: str) -> Colormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


def axes(ax: Axes | None) -> Axes:
    """The axes, or new ones in a window of their own."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(layout="constrained").add_subplot()
    return ax


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
        facts.X[:, 0], facts.X[:, 1], c=facts.T[:, 0], cmap=_colours(), norm=scale,
        s=min(220, 4000 / len(facts)), edgecolors="black", linewidths=2 if len(facts) < 20 else 0.6,
        zorder=3,
    )  # fmt: skip
    ax.set(xlabel="x[0]", ylabel="x[1]", title="Decision region, and what the facts expect")
    reach = _reach(facts, threshold)
    bar = ax.figure.colorbar(
        image, ax=ax, label="output", ticks=threshold + np.linspace(-reach, reach, 5), shrink=0.85,
        extend="both" if (abs(y - threshold) > reach).any() else "neither",
    )  # fmt: skip
    bar.ax.axhline(threshold, color="black", linewidth=2)


def redraw_boundary(net: Network, facts: Facts, ax: Axes, threshold: float = 0.5) -> None:
    """Make what `boundary` drew the decision region of this network; the facts stay."""
    from matplotlib.contour import ContourSet

    for line in [artist for artist in ax.collections if isinstance(artist, ContourSet)]:
        line.remove()
    axes, y = _outputs(net, facts)
    ax.images[0].set_data(y)
    _contour(axes, y, threshold, ax)


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
        redraw_boundary(net, facts, ax, threshold)
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
