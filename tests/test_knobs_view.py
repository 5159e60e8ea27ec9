"""The knobs drawn, on a canvas without a screen, driven by the pointer's events."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench import NNBench
from bench.knobs import Knobs
from bench.knobs_view import DPI, SIZE, KnobsView
from minnet import Affinity, Layer, Network, Tanh, load
from minnet.facts import GATES


def small() -> Network:
    net = Network([Affinity(2, 3, "fc1"), Tanh("tanh"), Affinity(3, 2, "fc2")])
    net.randomize(0)
    return net


def drawn(net: Network | None = None, facts: int = 40, ideal: Any = None, **more: Any) -> KnobsView:
    figure = Figure(SIZE, dpi=0.7 * DPI)  # faster to draw
    FigureCanvasAgg(figure)
    bench = NNBench(net or small(), ideal or (lambda x: x[::-1]))
    return KnobsView(Knobs(bench, facts, **more), figure)


@pytest.fixture(scope="module")
def shared() -> KnobsView:
    return drawn()


@pytest.fixture
def view(shared: KnobsView) -> KnobsView:
    shared.knobs.move("reset")
    shared.knobs.move("curve", "raw")
    shared.knobs.move("way", "forward")
    shared.knobs.history.clear()
    shared.tick()
    return shared


def pixels(view: KnobsView) -> Any:
    return np.asarray(view.figure.canvas.buffer_rgba())[..., :3].astype(int)


def point(view: KnobsView, name: str, x: float, y: float) -> None:
    canvas = view.figure.canvas
    button = None if name == "motion_notify_event" else 1
    canvas.callbacks.process(name, MouseEvent(name, canvas, x, y, button))


def click(view: KnobsView, x: float, y: float) -> None:
    for name in ("button_press_event", "button_release_event"):
        point(view, name, x, y)
    view.finish()


def middle(ax: Any) -> tuple[float, float]:
    return (ax.bbox.x0 + ax.bbox.x1) / 2, (ax.bbox.y0 + ax.bbox.y1) / 2


def dot(view: KnobsView, control: str, label: str) -> Any:
    radio = view.radios[control]
    [dots] = radio.ax.collections
    index = [text.get_text() for text in radio.labels].index(label)
    return radio.ax.transAxes.transform(dots.get_offsets()[index])


def unit(view: KnobsView, number: int) -> Any:
    panel = view.network
    return panel.ax.transData.transform(panel._drawing.nodes.get_offsets()[number])


# frames


def test_a_frame_is_what_a_full_drawing_shows(view: KnobsView) -> None:
    for control, value in (("alpha", 0.03), ("unit", ("fc1", 1)), ("fact", 5)):
        view.want(control, value)
        view.finish()
        view.tick()
        frame = pixels(view)
        view.figure.canvas.draw()
        np.testing.assert_array_equal(frame, pixels(view))


def test_a_drag_draws_frames_and_nothing_else(view: KnobsView) -> None:
    view.sliders["alpha"].set_val(-1.0)
    view.finish()
    full: list[Any] = []
    connection = view.figure.canvas.mpl_connect("draw_event", full.append)
    before = pixels(view)
    for value in np.linspace(-1.05, -1.3, 4):
        view.sliders["alpha"].set_val(value)
        view.tick()
        assert (pixels(view) != before).any()
        before = pixels(view)
    view.figure.canvas.mpl_disconnect(connection)
    assert full == []


def test_of_many_values_the_last_one_is_taken(view: KnobsView) -> None:
    for value in np.linspace(-3, 0, 50):
        view.sliders["alpha"].set_val(value)
    view.finish()
    assert view.knobs.history == [("alpha", 1.0)]


# every widget


def test_sliders(view: KnobsView) -> None:
    for name, control, least, most in (
        ("alpha", "alpha", 1e-4, 10.0), ("facts", "facts", 1, 1000), ("width", "width", 0, 20),
        ("gate", "ideal", "false", "true"),
    ):  # fmt: skip
        box = view.sliders[name].ax.bbox
        for x, value in ((box.x0 + 1, least), (box.x1 - 1, most)):
            click(view, x, (box.y0 + box.y1) / 2)
            done = view.knobs.history[-1]
            assert done[0] == control
            assert done[1] == (value if name == "gate" else pytest.approx(value, rel=0.05, abs=4))
            assert name != "width" or done[1] == value
    view.knobs.move("reset")
    assert view.knobs.history[-1] == ("reset", None)


def test_radios(view: KnobsView) -> None:
    for control, label in (
        ("ideal", "constant (1, 1)"), ("ideal", "a gate:"), ("activation", "ReLU"),
        ("loss", "mean squared"), ("optimizer", "Adam"), ("curve", "low-pass"), ("way", "back"),
    ):  # fmt: skip
        click(view, *dot(view, control, label))
        chosen = GATES[int(view.sliders["gate"].val)] if label == "a gate:" else label
        assert getattr(view.knobs.settings, control) == chosen
        assert view.knobs.history[-1] == (control, chosen)
        assert view.message == ""
    view.knobs.move("ideal", "swap")
    click(view, *dot(view, "loss", "cross-entropy"))  # but a swap expects no probabilities
    assert "[0.0, 1.0]" in view.message
    radio = view.radios["loss"]
    assert radio.labels[radio.index_selected].get_text() == "mean squared"


def test_buttons(view: KnobsView, tmp_path: Path) -> None:
    view.folder = tmp_path
    for name, move in {
        "seed": ("seed", 4), "start": ("start", 0), "back": ("fact", 39), "forward": ("fact", 40),
        "all": ("fact", None), "checkpoint": ("checkpoint", None), "rollback": ("rollback", None),
        "reset": ("reset", None),
    }.items():  # fmt: skip
        click(view, *middle(view.buttons[name].ax))
        assert view.knobs.history[-1] == move
    click(view, *middle(view.buttons["suggest"].ax))
    assert view.message.startswith("suggested: alpha")
    assert view.knobs.history[-1][0] == "alpha"
    click(view, *middle(view.buttons["save"].ax))
    assert view.message.startswith("saved")
    assert (tmp_path / "knobs.png").stat().st_size > 20_000
    saved = load(tmp_path / "knobs.minnet").parameters["fc1.M"]
    assert (saved == view.knobs.bench.net.parameters["fc1.M"]).all()


def test_the_saved_picture_is_the_one_on_the_screen(view: KnobsView, tmp_path: Path) -> None:
    from PIL import Image

    view.folder = tmp_path
    view.tick()
    shown = pixels(view)
    view.save()
    saved = np.asarray(Image.open(tmp_path / "knobs.png").convert("RGB")).astype(int)
    # a frame lies over the spines, which saving draws last; without the frame it is a tenth
    assert (abs(saved - shown).max(axis=2) > 40).mean() < 0.005


def test_clicking_a_unit_shows_its_equation_and_its_line(view: KnobsView) -> None:
    click(view, *unit(view, 3))  # after the two inputs
    assert view.knobs.settings.unit == ("fc1", 1)
    M, b = view.knobs.bench.net.parameters["fc1.M"][1], view.knobs.bench.net.parameters["fc1.b"][1]
    text = view._equation.get_text()
    assert text.startswith("fc1[1] = tanh(")
    assert f"{M[0]:.3g} x[0] {M[1]:+.3g} x[1] {b:+.3g} = 0" in text
    line = np.column_stack(view.region._line.get_data())
    np.testing.assert_allclose(line @ M + b, 0, atol=1e-9)
    click(view, *unit(view, 3))
    assert view.knobs.settings.unit is None
    click(view, *unit(view, 0))  # an input has no equation
    assert view.knobs.settings.unit is None


def test_stepping_shows_the_fact_and_its_numbers(view: KnobsView) -> None:
    view.want("fact", 2)
    view.finish()
    for name, fact in (("forward", 3), ("back", 2), ("back", 1)):
        click(view, *middle(view.buttons[name].ax))
        assert f"fact {fact}, before it is learned" in view.network._title.get_text()
        shown = [text.get_text() for text in view.network._drawing.node_numbers[:2]]
        for text, x in zip(shown, view.knobs.facts.X[fact], strict=True):
            assert float(text) == pytest.approx(x, rel=0.02, abs=0.01)


# extremes


def test_a_divergence_is_labelled_and_the_picture_is_not_empty(view: KnobsView) -> None:
    view.knobs.move("facts", 400)
    view.want("alpha", 10.0)
    view.finish()
    fact = view.knobs.bench.net.diverged
    assert view.curve._words.get_text() == f"diverged at fact {fact}"
    assert (pixels(view) < 250).any(axis=2).mean() > 0.1


def test_what_learns_exactly_says_so() -> None:
    view = drawn(Network([Affinity(2, 2)]), ideal=lambda x: [0, 0])
    view.knobs.bench.net.layers[0].M = [[0, 0], [0, 0]]
    view.knobs.bench.net.layers[0].b = [0, 0]
    again = drawn(view.knobs.bench.net, ideal=lambda x: [0, 0])
    assert "exactly" in again.curve._words.get_text()
    assert np.isinf(again.knobs.potential)


class Odd(Layer):
    def forward(self, x: Any) -> Any:
        return +x, None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return +dy, {}


@pytest.mark.parametrize(
    "net, what",
    [
        (Network([Affinity(1, 1, rng=0)]), "takes 2 inputs"),
        (small().replicate(3, rng=0), "crowd of 3"),
        (Network([Affinity(2, 2, rng=0), Odd()]), "structure stays"),
    ],
)
def test_what_cannot_be_drawn_says_so_and_learns(net: Network, what: str) -> None:
    view = drawn(net)
    before = view.knobs.losses
    view.want("alpha", 0.03)
    view.finish()
    assert not np.array_equal(view.knobs.losses, before)
    said = [view.region._words.get_text(), view.network._words.get_text()]
    view.want("width", 3)
    view.finish()
    assert what in " ".join(" ".join([*said, view.message]).split())


def test_a_large_network_is_not_drawn_but_its_weights_are() -> None:
    view = drawn(Network([Affinity(2, 100, rng=0), Tanh(), Affinity(100, 2, rng=0)]))
    assert "60 are the most" in view.network._words.get_text().replace("\n", " ")
    assert view.weights._size == (100, 106)
    view.want("width", 4)
    view.finish()
    assert view.network._words.get_text() == ""


def test_a_slow_job_waits_for_the_release_shows_progress_and_stops() -> None:
    view = drawn(facts=1000)
    view._pace = 1.0  # seconds a fact: as slow as can be
    x, y = middle(view.sliders["alpha"].ax)
    point(view, "button_press_event", x, y)
    point(view, "motion_notify_event", x + 30, y)
    for _ in range(3):
        view.tick()
    assert view.knobs.history == []
    point(view, "button_release_event", x + 30, y)
    assert view._wanted
    view.knobs.advance = lambda seconds: type(view.knobs).advance(view.knobs, 0)  # type: ignore[method-assign]
    view.tick()
    assert view.knobs.busy
    learned = len(view.knobs.losses)
    assert view.curve._title.get_text() == f"learning: {learned} of 1000 facts"
    view._clicked("stop", view._stop, None)
    view.tick()
    assert not view.knobs.busy
    assert [control for control, _ in view.knobs.history] == ["alpha", "fact"]


def test_a_layer_that_raises_is_told_in_words() -> None:
    view = drawn()

    def tired(x: Any) -> Any:
        raise RuntimeError("tired")

    view.knobs.bench.ideal = tired
    view.want("seed", 9)
    view.finish()
    assert view.message.startswith("seed: ")
    assert "tired" in view.message
    assert view.knobs.settings.seed == 3


# life and death


def test_it_lives_as_long_as_its_figure() -> None:
    view = drawn()
    figure, alive = view.figure, weakref.ref(view)
    del view
    gc.collect()
    assert alive() is not None
    alive().sliders["alpha"].set_val(-2)
    alive().finish()
    assert alive().knobs.settings.alpha == pytest.approx(0.01)
    assert figure.canvas is alive().figure.canvas


def test_closing_keeps_what_was_learned() -> None:
    view = drawn()
    view.want("alpha", 0.05)
    view.finish()
    view.want("seed", 9)
    view._closed(None)
    assert view.knobs.history == [("alpha", 0.05)]
    assert len(view.knobs.losses) == 40
