"""The knobs on a screen: sliders, buttons and panels, in any home of Matplotlib.

Widgets do nothing themselves: they store what is wanted, and a timer takes the latest of it.
What stays is drawn once; a frame is what changes, drawn over it.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.knobs import ALPHAS, MOST_HIDDEN, Knobs
from bench.looks import equation
from bench.panels import ALARM, INK, PALE, CurvePanel, NetworkPanel, RegionPanel, WeightsPanel, say
from minnet.facts import GATES

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.widgets import Slider

SIZE = (13.2, 7.6)  # inches
DPI = 100
MOST_FACTS = 1000  # on the slider, if not more were asked for
TICK = 15  # milliseconds between two looks at what is wanted
SLICE = 0.03  # seconds of learning between two frames
SLOW = 0.15  # seconds of learning, from which on a drag waits for the release
PATIENT = ("save", "checkpoint", "back", "forward")  # they wait for the end of learning
GATE = "a gate:"
LABELS = {
    "ideal": "IDEAL", "activation": "ACTIVATION", "loss": "LOSS", "optimizer": "OPTIMIZER",
    "curve": "CURVE", "way": "ONE FACT, ON ITS WAY",
}  # fmt: skip


class KnobsView:
    """Knobs drawn on a figure, on which the view hangs: it lives as long as the figure.

    Parameters
    ----------
    knobs : Knobs
    figure : matplotlib.figure.Figure
        An empty one.
    folder : Path
        Where "save" writes.

    Attributes
    ----------
    knobs, figure
        As given.
    message : str
        What was refused, or done; empty if there is nothing to say.
    sliders, radios, buttons : dict
        The widgets by name.
    """

    def __init__(self, knobs: Knobs, figure: Figure, folder: Path = Path()) -> None:
        self.knobs, self.figure, self.folder = knobs, figure, folder
        self.message = ""
        self.sliders: dict[str, Slider] = {}
        self.radios: dict[str, Any] = {}
        self.buttons: dict[str, Any] = {}
        self._wanted: list[tuple[str, Callable[[], None]]] = []
        self._dragging = False
        self._pace = 0.0  # seconds a fact
        self._background: Any = None
        figure._knobs = self  # type: ignore[attr-defined]  # else the widgets would be collected
        figure.set_facecolor("#fbfbfa")
        self._lay_out()
        canvas = figure.canvas
        canvas.mpl_connect("draw_event", self._after_drawing)
        canvas.mpl_connect("button_press_event", self._pressed)
        canvas.mpl_connect("button_release_event", self._released)
        canvas.mpl_connect("close_event", self._closed)
        canvas.mpl_connect("resize_event", self._resized)
        self._timer = canvas.new_timer(TICK)
        self._timer.add_callback(self.tick)
        self._show()

    # what is wanted, and when it is done

    def want(self, control: str, value: Any = None) -> None:
        """Make this move at the next tick; of several values of one knob, the last one."""

        def move() -> None:
            self.knobs.begin(control, value)

        self._want(control, move)

    def _want(self, what: str, action: Callable[[], None]) -> None:
        if self._wanted and self._wanted[-1][0] == what and what in self.sliders:
            self._wanted.pop()
        self._wanted.append((what, action))
        self._timer.start()

    def tick(self) -> None:
        """Do what is wanted, learn for a while, and draw a frame."""
        slow = self._pace * self.knobs.settings.facts > SLOW
        while self._wanted and not (self._dragging and slow):
            what, action = self._wanted[0]
            if what in PATIENT and self.knobs.busy:
                break
            del self._wanted[0]
            self.message = ""
            self._attempt(what, action)
        if self.knobs.busy:
            self._attempt("learning", self._learn)
        if not self.knobs.busy and (self._dragging or not self._wanted):
            self._timer.stop()
        self._show()

    def finish(self) -> None:
        """Do all that is wanted, and learn to the end."""
        self._dragging = False
        while self._wanted or self.knobs.busy:
            self.tick()

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # a layer of the user's own can raise anything
            self.message = f"{what}: {error}"

    def _learn(self) -> None:
        before, start = len(self.knobs.losses), time.perf_counter()
        self.knobs.advance(SLICE)
        learned = len(self.knobs.losses) - before
        if learned > 0:
            self._pace = (time.perf_counter() - start) / learned

    def _pressed(self, event: Any) -> None:
        self._dragging = event.inaxes in [slider.ax for slider in self.sliders.values()]
        unit = self.network.unit_at(event.x, event.y) if event.inaxes is self.network.ax else None
        if unit is not None:
            self.want("unit", None if unit == self.knobs.settings.unit else unit)

    def _released(self, event: Any) -> None:
        if self._dragging:
            self._dragging = False
            self._timer.start()

    def _resized(self, event: Any) -> None:
        self._background = None

    def _closed(self, event: Any) -> None:
        self._timer.stop()
        self.knobs.stop()

    # buttons

    def _next(self, control: str) -> Callable[[], None]:
        def move() -> None:
            now = getattr(self.knobs.settings, control)
            self.knobs.begin(control, now + 1 if isinstance(now, int) else 0)

        return move

    def _step(self, by: int) -> Callable[[], None]:
        def move() -> None:
            self.knobs.stop()
            fact = len(self.knobs.losses) - (self.knobs.bench.net.diverged is not None) + by
            self.knobs.begin("fact", min(max(fact, 0), self.knobs.settings.facts))

        return move

    def _suggest(self) -> None:
        alpha = self.knobs.suggest()
        self.knobs.begin("alpha", alpha)
        self.message = f"suggested: alpha {alpha:.3g}"

    def _stop(self) -> None:
        self._wanted.clear()
        self.knobs.stop()

    def save(self) -> None:
        """Write the picture and the network, as knobs.png and knobs.minnet, to the folder."""
        import io

        from bench.plots import write

        content = io.BytesIO()
        animated = [artist for artist in self._artists() if artist.get_animated()]
        for artist in animated:
            artist.set_animated(False)
        try:
            self.figure.savefig(content, format="png")
        finally:
            for artist in animated:
                artist.set_animated(True)
        write(content.getvalue(), self.folder / "knobs.png")
        self.knobs.bench.net.save(self.folder / "knobs.minnet")
        self.message = f"saved: knobs.png and knobs.minnet in {self.folder.absolute()}"

    # layout

    def _lay_out(self) -> None:
        figure = self.figure
        self.curve = CurvePanel(figure.add_axes((0.235, 0.6, 0.37, 0.34)))
        self.region = RegionPanel(figure.add_axes((0.672, 0.53, 0.3, 0.41)))
        self.network = NetworkPanel(figure.add_axes((0.205, 0.2, 0.42, 0.285)))
        self.weights = WeightsPanel(figure.add_axes((0.645, 0.225, 0.34, 0.2)))
        self._panels = (self.curve, self.region, self.network, self.weights)
        self._equation = figure.text(0.41, 0.185, "", ha="center", va="top", color=INK, fontsize=10)
        self._status = figure.text(0.985, 0.012, "", ha="right", color=ALARM, fontsize=10)
        self._lay_out_radios()
        self._lay_out_sliders()
        self._lay_out_buttons()

    def _lay_out_radios(self) -> None:
        from matplotlib.widgets import RadioButtons

        names = {control: list(choices) for control, choices in self.knobs.choices.items()}
        names["ideal"] = [name for name in names["ideal"] if name not in GATES] + [GATE]
        top = 0.985
        for control, choices in names.items():
            height = 0.0238 * len(choices) + 0.01
            top -= height + 0.027
            self.figure.text(0.012, top + height, LABELS[control], color=PALE, fontsize=9)
            ax = self.figure.add_axes((0.005, top, 0.15, height))
            self.radios[control] = RadioButtons(ax, choices, activecolor="#2c7fb8")
            if control == "ideal":
                top -= 0.032
        for control, radio in self.radios.items():
            radio.drawon = False
            radio.ax.set_axis_off()
            for label in radio.labels:
                label.set_fontsize(9)
            for dots in radio.ax.collections:
                dots.set_sizes([38])
            radio.on_clicked(functools.partial(self._chosen, control))

    def _chosen(self, control: str, label: str) -> None:
        if label == GATE:
            label = GATES[int(self.sliders["gate"].val)]
        self.want(control, label)

    def _lay_out_sliders(self) -> None:
        from matplotlib.widgets import Slider

        low, high = (math.log10(end) for end in ALPHAS)
        facts = max(MOST_FACTS, self.knobs.settings.facts)
        ideal = self.radios["ideal"].ax.get_position().y0
        settings: dict[str, tuple[Any, ...]] = {
            "alpha": ((0.235, 0.118, 0.3, 0.03), low, high, None),
            "facts": ((0.235, 0.078, 0.3, 0.03), 1, facts, 1),
            "width": ((0.235, 0.038, 0.3, 0.03), 0, MOST_HIDDEN, 1),
            "gate": ((0.022, ideal - 0.027, 0.085, 0.025), 0, len(GATES) - 1, 1),
        }
        for name, (place, start, end, step) in settings.items():
            slider = Slider(
                self.figure.add_axes(place), "" if name == "gate" else name, start, end,
                valinit=start, valstep=step, color="#2c7fb8", initcolor="none",
            )  # fmt: skip
            slider.drawon = False
            slider.valtext.set_fontsize(9)
            self.sliders[name] = slider
        self.sliders["gate"].set_val(GATES.index("xor"))
        for name, slider in self.sliders.items():
            slider.on_changed(functools.partial(self._slid, name))

    def _slid(self, name: str, value: float) -> None:
        if name == "alpha":
            self.want("alpha", 10.0**value)
        elif name == "gate":
            self._want("gate", lambda: self.knobs.begin("ideal", GATES[int(value)]))
        else:
            self.want(name, int(value))

    def _lay_out_buttons(self) -> None:
        from matplotlib.widgets import Button

        actions: dict[str, tuple[str, Callable[[], None]]] = {
            "suggest": ("suggest alpha", self._suggest),
            "seed": ("next facts", self._next("seed")),
            "start": ("next start", self._next("start")),
            "stop": ("stop", self._stop),
            "back": ("◀ fact", self._step(-1)),
            "forward": ("fact ▶", self._step(1)),
            "all": ("all facts", lambda: self.knobs.begin("fact", None)),
            "save": ("save", self.save),
            "checkpoint": ("checkpoint", lambda: self.knobs.begin("checkpoint")),
            "rollback": ("roll back", lambda: self.knobs.begin("rollback")),
            "reset": ("reset", lambda: self.knobs.begin("reset")),
        }
        for i, (name, (label, action)) in enumerate(actions.items()):
            row, column = divmod(i, 4)
            ax = self.figure.add_axes((0.63 + 0.089 * column, 0.128 - 0.042 * row, 0.083, 0.036))
            button = Button(ax, label, color="#e9eef2", hovercolor="#e9eef2")
            button.label.set_fontsize(9)
            for spine in ax.spines.values():
                spine.set_color("#b8c4ce")
            button.on_clicked(functools.partial(self._clicked, name, action))
            self.buttons[name] = button

    def _clicked(self, name: str, action: Callable[[], None], event: Any) -> None:
        self._want(name, action)

    # drawing

    def _artists(self) -> list[Any]:
        """What a frame consists of."""
        sliders = self.sliders.values()
        widgets = [a for s in sliders for a in (s.poly, *s.ax.lines, s.valtext)]
        widgets += [dots for radio in self.radios.values() for dots in radio.ax.collections]
        panels = [artist for panel in self._panels for artist in panel.artists]
        chosen = [self._equation] if self.knobs.settings.unit else []
        # numbers take half of a frame's time, and nobody reads them while they run
        numbers = [] if self._dragging else self.network.numbers
        return [*panels, *numbers, *widgets, *chosen]

    def _show(self) -> None:
        changed = [panel.update(self.knobs) for panel in self._panels]
        changed.append(self._write())
        self._sync()
        canvas: Any = self.figure.canvas
        self._equation.set_animated(False)
        for artist in (*self._artists(), *self.network.numbers):
            artist.set_animated(canvas.supports_blit)
        if any(changed) or self._background is None:
            canvas.draw()
        else:
            canvas.restore_region(self._background)
            self._draw_frame()
            canvas.blit(self.figure.bbox)

    def _after_drawing(self, event: Any) -> None:
        if event.canvas.supports_blit:
            self._background = event.canvas.copy_from_bbox(self.figure.bbox)
            self._draw_frame()

    def _draw_frame(self) -> None:
        for artist in self._artists():
            if artist.get_animated():
                self.figure.draw_artist(artist)

    def _write(self) -> bool:
        try:
            words = equation(self.knobs)
        except Exception as error:  # a layer of the user's own can raise anything
            words = str(error)
        changed = say(self._equation, words) and not self.knobs.settings.unit
        self._status.set_color(INK if self.message.startswith(("saved", "suggested")) else ALARM)
        return say(self._status, self.message) or changed

    def _sync(self) -> None:
        """Move the knobs to where the settings are, except those that are being moved."""
        settings, wanted = self.knobs.settings, {what for what, _ in self._wanted}
        alpha = settings.alpha
        values: dict[str, Any] = {
            "alpha": None if alpha is None else math.log10(alpha), "facts": settings.facts,
            "width": settings.width,
            "gate": GATES.index(settings.ideal) if settings.ideal in GATES else None,
        }  # fmt: skip
        for name, slider in self.sliders.items():
            if values[name] is not None and name not in wanted and slider.val != values[name]:
                slider.eventson = False
                slider.set_val(np.clip(values[name], slider.valmin, slider.valmax))
                slider.eventson = True
        shown = 10 ** self.sliders["alpha"].val if "alpha" in wanted or not alpha else alpha
        self.sliders["alpha"].valtext.set_text(
            f"{shown:.3g}" if alpha or "alpha" in wanted else "own"
        )
        self.sliders["gate"].valtext.set_text(GATES[int(self.sliders["gate"].val)])
        for control, radio in self.radios.items():
            name = getattr(settings, control)
            labels = [label.get_text() for label in radio.labels]
            index = labels.index(GATE if control == "ideal" and name in GATES else name)
            if radio.index_selected != index:
                radio.eventson = False
                radio.set_active(index)
                radio.eventson = True


def on_screen(knobs: Knobs, folder: Path = Path()) -> KnobsView:
    """The knobs on a new figure of pyplot, not shown yet."""
    import matplotlib.pyplot as plt

    return KnobsView(knobs, plt.figure("knobs", SIZE, dpi=DPI, clear=True), folder)


def show(knobs: Knobs, block: bool | None = None, folder: Path = Path()) -> KnobsView:
    """Open the knobs in a window or a notebook: wherever pyplot draws.

    Parameters
    ----------
    knobs : Knobs
    block : bool, optional
        Whether to wait until it is closed; by default as ``matplotlib.pyplot.show``.
    folder : Path
        Where "save" writes.
    """
    import matplotlib.pyplot as plt

    view = on_screen(knobs, folder)
    plt.show(block=block)
    return view
