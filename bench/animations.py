"""Learning as an animated GIF: decision region, numbers and losses side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import plots
from minnet import Facts, Network
from minnet.checks import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

FRAMES = 40
DPI = 65
SIGMA = 3  # of the losses' trend, in steps
WRITTEN = 60  # numbers, up to which they are written into their picture
HELD = 2000  # milliseconds that the last frame stays
TIME = 80  # and every other one


def moments(n: int) -> list[int]:
    """After how many of n steps there is a frame: more of the first, where more happens.

    >>> moments(5)
    [0, 1, 2, 3, 4, 5]
    """
    return sorted({round(n * part**2) for part in np.linspace(0, 1, FRAMES)} | {0, n})


def learning(
    frames: Sequence[tuple[int, Network]], losses: Sequence[float], facts: Facts, path: Path
) -> None:
    """Networks as they were after some of the steps, and the losses up to there.

    The decision region is shown for networks with two inputs and one output; its line is
    half way between the smallest and the largest expected output.

    Parameters
    ----------
    frames : sequence of (steps taken, Network)
        Of one plain network at several times, at least one of them.
    losses : sequence of float
        Of every step.
    facts : Facts
        What was learned.
    path : Path
        Written whole, or not at all.

    Raises
    ------
    ValueError
        If there are no frames, or they are of a crowd.
    OSError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    if not frames:
        raise ValueError("an animation needs at least one frame")
    nets = [net for _, net in frames]
    if nets[0].nets is not None:
        raise ValueError("an animation is of one network, not of a crowd; take a member of it")
    with_region = (nets[0].n, nets[0].m) == (2, 1) and facts.T.ndim == 2
    picture = plots.figure(15 if with_region else 10, 4.4)
    *region, numbers, curve = picture.subplots(1, 2 + with_region)
    threshold = float((facts.T.min() + facts.T.max()) / 2)
    if with_region:
        plots.boundary(nets[0], facts, region[0], threshold)
    grid = _Numbers(nets, numbers)
    plots.learning(losses, curve)
    curve.lines[0].set_alpha(0.3)
    trend = plots.smoothed(losses, SIGMA)
    trend[~np.isfinite(trend) | (trend <= 0)] = np.nan
    (past,) = curve.plot([], [], color="C0", linewidth=2)
    (now,) = curve.plot([], [], "o", color="black", markersize=8, zorder=5, clip_on=False)
    now.set_in_layout(False)  # it is nowhere yet
    heading = picture.suptitle(" ")
    picture.set_dpi(DPI)
    canvas: Any = FigureCanvasAgg(picture)
    picture.draw_without_rendering()
    picture.set_layout_engine("none")  # it is laid out: from here on only numbers change
    images = []
    for step, net in frames:
        if with_region:
            plots.redraw_boundary(net, facts, region[0], threshold)
        grid.show(net)
        shown = trend[: step + 1]
        past.set_data(np.arange(len(shown)), shown)
        now.set_data([len(shown) - 1], shown[-1:])
        heading.set_text(f"after {step} fact{'s' * (step != 1)}")
        canvas.draw()
        images.append(Image.fromarray(np.array(canvas.buffer_rgba())[..., :3]))
    # one palette for all, or what stands still would flicker
    sheet = Image.new("RGB", (images[0].width, 2 * images[0].height))
    sheet.paste(images[len(images) // 2])
    sheet.paste(images[-1], (0, images[0].height))
    palette = sheet.quantize(256)
    plain = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    content = io.BytesIO()
    durations = [TIME] * (len(plain) - 1) + [HELD]
    plain[0].save(
        content, "GIF", save_all=True, append_images=plain[1:], duration=durations, loop=0
    )
    plots.write(content.getvalue(), path)


class _Numbers:
    """All parameters of a network as colours, in one picture."""

    def __init__(self, nets: Sequence[Network], ax: Axes) -> None:
        grids = [numbers(net) for net in nets]
        self._reach = max(float(np.nanmax(abs(grid), initial=0)) for grid in grids) or 1.0
        self._image: AxesImage = ax.imshow(
            grids[0], cmap="RdBu_r", vmin=-self._reach, vmax=self._reach, aspect="auto"
        )
        self._texts: list[tuple[Any, tuple[int, int]]] = []
        if nets[0].size <= WRITTEN:
            self._texts = [
                (ax.text(j, i, "", ha="center", va="center", fontsize=8), (i, j))
                for i, j in np.argwhere(~np.isnan(grids[0])).tolist()
            ]
        column = 0
        ticks, labels = [], []
        for name, array in nets[0].parameters.items():
            width = _matrix(array).shape[1]
            ticks.append(column + (width - 1) / 2)
            labels.append(name)
            column += width + 1
        narrow = column > 12 or len(labels) > 4
        ax.set_xticks(
            ticks, labels, rotation=30 if narrow else 0, ha="right" if narrow else "center"
        )
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
        ax.tick_params(length=0)
        ax.set_title("Weights and biases")
        ax.figure.colorbar(self._image, ax=ax, shrink=0.85)

    def show(self, net: Network) -> None:
        grid = numbers(net)
        self._image.set_data(grid)
        for text, place in self._texts:
            value = grid[place]
            text.set_text(f"{value:.2f}")
            text.set_color("white" if abs(value) > 0.7 * self._reach else "black")


def numbers(net: Network) -> Array:
    """All parameters side by side in one matrix, with a column of nan between two of them.

    Each is a matrix of as many rows as its first axis is long; nan fills up.

    >>> from minnet import Affinity
    >>> net = Network([Affinity(2, 1)])
    >>> net.layers[0].M, net.layers[0].b = [[1, 2]], [3]
    >>> numbers(net)
    array([[ 1.,  2., nan,  3.]])
    """
    parts = [_matrix(array) for array in net.parameters.values()]
    height = max((len(part) for part in parts), default=1)
    columns = [
        np.pad(part.astype(float), ((0, height - len(part)), (0, 1)), constant_values=np.nan)
        for part in parts
    ]
    return np.concatenate([*columns, np.full((height, 1), np.nan)], axis=1)[:, : -2 if parts else 1]


def _matrix(array: Array) -> Array:
    return array.reshape(len(array) if array.ndim else 1, -1)
