"""The panels of the knobs: each one axes, whose artists are changed in place.

A panel has `artists`, which are drawn at every frame over what stays, and `update(knobs)`,
which says whether what stays has changed too: limits, ticks, names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import bench.anatomy_plots as anatomy
from bench.knobs import Knobs
from bench.looks import curve, fact_at_hand, region, weights
from minnet.checks import Array

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

INK, PALE, ALARM = "#22303c", "#8a97a3", "#c0392b"


class CurvePanel:
    """The loss of every step on a log scale."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        ax.set_yscale("log")
        ax.set(xlabel="fact", ylabel="loss before the step")
        ax.grid(True, alpha=0.25)
        ax.margins(0)
        (self._line,) = ax.plot([], [], color="#1f77b4", linewidth=1.3)
        (self._end,) = ax.plot([], [], "o", color="#1f77b4", markersize=5)
        middle = _middle(ax)
        self._words = ax.text(0.5, 0.5, "", color=ALARM, fontsize=17, weight="bold", **middle)
        self._title = ax.text(0.5, 1.04, "", color=INK, fontsize=12, weight="bold", **middle)
        self.artists = [self._line, self._end, self._words, self._title]

    def update(self, knobs: Knobs) -> bool:
        """Show the losses so far."""
        losses = np.clip(curve(knobs), 1e-100, 1e100)
        losses[curve(knobs) <= 0] = np.nan
        steps = np.arange(len(losses), dtype=float)
        gap = np.full((1, losses.shape[1]), np.nan)
        y = np.concatenate([losses, gap]).T.ravel()
        self._line.set_data(np.tile([*steps, np.nan], losses.shape[1]), y)
        marker = "." if len(losses) < 60 else ""
        self._line.set_marker(marker)
        self._end.set_data(steps[-1:], losses[-1:, 0])
        self._title.set_text(knobs.summary)
        diverged = knobs.bench.net.nets is None and knobs.bench.net.diverged is not None
        self._title.set_color(ALARM if diverged else INK)
        shown = y[np.isfinite(y)]
        words = ""
        if diverged:
            words = knobs.summary
        elif not len(shown):
            words = "loss 0: learned exactly" if len(losses) else "nothing learned yet"
        self._words.set_text(words)
        return self._fit(shown, knobs.settings.facts)

    def _fit(self, shown: Array, facts: int) -> bool:
        """Limits that seldom change: whole decades, round numbers of facts."""
        limits = self.ax.get_xlim(), self.ax.get_ylim()
        low, high = limits[1]
        if len(shown):
            ends = np.log10([shown.min(), shown.max()])
            bottom, top = np.floor(ends[0] - 0.1), np.ceil(ends[1] + 0.1)
            now = np.log10([low, high])
            fits = now[0] <= ends[0] and ends[1] <= now[1]
            if not fits or top - bottom < (now[1] - now[0]) / 2:
                low, high = 10.0 ** (bottom - 1), 10.0 ** (top + 1)
                if not fits and len(shown):
                    low, high = min(low, 10.0**bottom), max(high, 10.0**top)
        right = next(r for r in _round_numbers() if r >= facts)
        if ((0, right), (low, high)) == limits:
            return False
        self.ax.set(xlim=(0, right), ylim=(low, high))
        return True


def _round_numbers() -> Any:
    decade = 5
    while True:
        yield from (decade, 2 * decade, 4 * decade)
        decade *= 10


class RegionPanel:
    """The decision region, with the facts, or what the chosen unit adds up to."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        ax.set(xlabel="x[0]", ylabel="x[1]")
        self._image = ax.imshow(
            np.zeros((2, 2)), cmap="RdBu_r", vmin=-1.6, vmax=1.6, origin="lower",
            interpolation="bilinear", aspect="auto",
        )  # fmt: skip
        (self._line,) = ax.plot([], [], color="black", linewidth=2)
        self._facts = ax.scatter(
            [], [], c=[], cmap="RdBu_r", vmin=-1.1, vmax=1.1, edgecolors="black", linewidths=0.8
        )
        middle = _middle(ax)
        self._words = ax.text(0.5, 0.5, "", color=INK, fontsize=10, wrap=True, **middle)
        self._title = ax.text(0.5, 1.04, "", color=INK, fontsize=11, **middle)
        self.artists = [self._image, self._line, self._facts]
        self._extent: Any = ()

    def update(self, knobs: Knobs) -> bool:
        """Show the region as it is, or why there is none."""
        try:
            shown = region(knobs)
            words = ""
        except Exception as error:  # a layer of the user's own can raise anything
            shown, words = None, str(error)
        for artist in (self._image, self._line, self._facts):
            artist.set_visible(shown is not None)
        changed = say(self._words, "\n".join(_wrapped(words)))
        changed |= say(self._title, "" if shown is None else shown.title)
        if shown is None:
            return changed
        self._image.set_data(np.clip((shown.values - shown.threshold) / shown.reach, -1, 1))
        self._line.set_data(*shown.line.T)
        self._facts.set_offsets(shown.X)
        self._facts.set_array(shown.expected)
        self._facts.set_sizes([140 if len(np.unique(shown.X, axis=0)) <= 16 else 22])
        left, right, low, high = np.ravel([axis[[0, -1]] for axis in shown.axes]).tolist()
        extent = left, right, low, high
        if extent == self._extent:
            return changed
        self._extent = extent
        self._image.set_extent(extent)
        self.ax.set(xlim=(left, right), ylim=(low, high))
        return True


class WeightsPanel:
    """All weights and biases, a matrix of each, side by side."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        ax.set_axis_off()
        self._image = ax.imshow(np.zeros((1, 1)), cmap="RdBu_r", vmin=-1.3, vmax=1.3)
        middle = _middle(ax)
        self._title = ax.text(0.46, 1.1, "", color=INK, fontsize=11, **middle)
        self._scale = ax.text(0.8, 1.1, "", color=INK, fontsize=9, **middle)
        self._shapes: list[Any] = []
        self._names: list[Any] = []
        self.artists = [self._image, self._scale]

    def update(self, knobs: Knobs) -> bool:
        """Show the parameters as they are."""
        shown = weights(knobs)
        shapes = [(name, array.shape) for name, array in shown]
        changed = shapes != self._shapes
        if changed:
            self._shapes = shapes
            self._lay_out(shown)
        picture = np.full(self._size, np.nan)
        for (_, array), left in zip(shown, self._lefts, strict=True):
            picture[: array.shape[0], left : left + array.shape[1]] = array
        largest = float(np.nanmax(abs(picture), initial=0)) or 1.0
        self._image.set_data(picture / largest)
        crowd = " of net 0" if knobs.bench.net.nets is not None else ""
        self._scale.set_text(f"±{largest:.3g}")
        return say(self._title, f"weights and biases{crowd}") or changed

    def _lay_out(self, shown: list[tuple[str, Array]]) -> None:
        """New places and names for parameters of other shapes."""
        for text in self._names:
            text.remove()
        self._lefts, right = [], 0
        for name, array in shown:
            self._lefts.append(right)
            right += array.shape[1] + (1 if name.endswith(".b") else 0)
        height = max((array.shape[0] for _, array in shown), default=1)
        self._size = (height, max(right, 1))
        self._image.set_extent((-0.5, self._size[1] - 0.5, height - 0.5, -0.5))
        self.ax.set(xlim=(-0.6, self._size[1] - 0.4), ylim=(height - 0.4, -0.6))
        self._names = [
            self.ax.text(
                left + (array.shape[1] - 1) / 2,
                array.shape[0] - 0.3,
                name,
                ha="center",
                va="top",
                fontsize=8,
                color=PALE,
                rotation=30 if len(shown) > 6 else 0,
            )
            for (name, array), left in zip(shown, self._lefts, strict=True)
        ]


class NetworkPanel:
    """The network, with the numbers of one fact on its way forward or back."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        self._box = ax.get_position()
        self._drawing: anatomy.Drawing | None = None
        self._units: list[tuple[str, int] | None] = []
        self.artists: list[Artist] = []
        self.numbers: list[Artist] = []
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.ax.clear()
        self.ax.set_axis_off()
        middle = _middle(self.ax)
        self._words = self.ax.text(0.5, 0.5, "", color=INK, fontsize=10, **middle)
        self._title = self.ax.text(0.5, 1.09, "", color=INK, fontsize=11, **middle)
        (self._ring,) = self.ax.plot([], [], "o", color="none", zorder=5)
        self._ring.set(markeredgecolor="#f39c12", markeredgewidth=3.5, markersize=34)
        self.artists, self.numbers = [self._ring], [self._title]

    def update(self, knobs: Knobs) -> bool:
        """Show the fact at hand as it goes through the network, or why that cannot be drawn."""
        net, facts, number = knobs.bench.net, knobs.facts, fact_at_hand(knobs)
        x, expected = facts.X[number], facts.T[number]
        try:
            with np.errstate(all="ignore"):
                if knobs.settings.way == "back":
                    view = anatomy.back(net, x, expected)
                else:
                    view = anatomy.forward(net, x)
        except Exception as error:  # a layer of the user's own can raise anything
            changed, self._drawing = self._drawing is not None, None
            if changed:
                self._start_afresh()
            changed |= say(self._words, "\n".join(_wrapped(str(error))))
            self._title.set_text("")
            return changed
        try:
            if self._drawing is None:
                raise ValueError("there is no drawing yet")
            self._drawing.update(view)
            changed = False
        except ValueError:  # it was of another network
            self._draw(view)
            changed = True
        self.ax.set_title("")
        learned = "learned" if len(knobs.losses) > number else "before it is learned"
        self._title.set_text(f"fact {number}, {learned}; expected {_short(expected)}")
        place = self._place_of(knobs.settings.unit)
        self._ring.set_data(*(place.T if place is not None else ([], [])))
        return changed

    def unit_at(self, x: float, y: float) -> tuple[str, int] | None:
        """The unit of an affine layer that is drawn there, in pixels."""
        if self._drawing is None:
            return None
        places = self.ax.transData.transform(self._drawing.nodes.get_offsets())
        distances = np.hypot(*(places - (x, y)).T)
        nearest = int(distances.argmin())
        return self._units[nearest] if distances[nearest] < 22 else None

    def _draw(self, view: anatomy.View) -> None:
        self._start_afresh()
        there = list(self.ax.figure.axes)
        self._drawing = drawing = anatomy.network(view, self.ax)
        for bar in self.ax.figure.axes[len(there) :]:  # its scales change with every fact
            bar.remove()
        self.ax.set_position(self._box)
        self.numbers = [*drawing.line_numbers, *drawing.node_numbers, self._title]
        self.artists = [drawing.wires, drawing.lines, drawing.nodes, *self.artists]
        self._units = []
        affine = ""
        for name, nodes, lines in zip(view.names, view.nodes, [None, *view.lines], strict=True):
            affine = name if lines is not None else affine
            self._units += [(affine, i) if affine else None for i in range(len(nodes))]

    def _place_of(self, unit: tuple[str, int] | None) -> Array | None:
        if unit is None or self._drawing is None or unit not in self._units:
            return None
        return np.asarray(self._drawing.nodes.get_offsets())[[self._units.index(unit)]]


def _middle(ax: Axes) -> dict[str, Any]:
    """How a text is placed by its middle, in parts of the axes."""
    return {"transform": ax.transAxes, "ha": "center", "va": "center"}


def say(text: Text, words: str) -> bool:
    """Write the words; whether they are others than before."""
    changed = bool(text.get_text() != words)
    text.set_text(words)
    return changed


def _short(values: Array) -> str:
    shown = ", ".join(f"{value:.3g}" for value in np.atleast_1d(values)[:3])
    return shown + (", …" if np.size(values) > 3 else "")


def _wrapped(words: str) -> list[str]:
    import textwrap

    return textwrap.wrap(words, 38)
