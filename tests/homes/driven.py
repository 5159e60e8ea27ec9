"""The knobs in their three homes, driven as a person does: with the pointer.

Where a widget is on the screen is asked of a twin on a figure without a screen.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench import knobs_command
from bench.__main__ import _parser
from bench.knobs import Knobs
from bench.knobs_view import DPI, SIZE, KnobsView
from minnet import load

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"


def opened(*arguments: str) -> Knobs:
    """The knobs that the command opens with these arguments."""
    return knobs_command._knobs(_parser("knobs").parse_args(["knobs", *arguments]))


class Layout:
    """Where things are, in pixels from the top left of the picture."""

    def __init__(self, *arguments: str) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(SIZE, dpi=DPI)
        FigureCanvasAgg(figure)
        self.view = KnobsView(opened(*arguments), figure)
        self.width, self.height = (int(DPI * side) for side in SIZE)

    def _pixels(self, x: float, y: float) -> tuple[int, int]:
        return round(x), round(self.height - y)

    def slider(self, name: str, part: float) -> tuple[int, int]:
        """The place of a slider at that part of its length."""
        box = self.view.sliders[name].ax.bbox
        return self._pixels(box.x0 + part * box.width, (box.y0 + box.y1) / 2)

    def button(self, name: str) -> tuple[int, int]:
        box = self.view.buttons[name].ax.bbox
        return self._pixels((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)

    def radio(self, control: str, label: str) -> tuple[int, int]:
        radio = self.view.radios[control]
        index = [text.get_text() for text in radio.labels].index(label)
        [dots] = radio.ax.collections
        return self._pixels(*radio.ax.transAxes.transform(dots.get_offsets()[index]))

    def unit(self, number: int) -> tuple[int, int]:
        """The place of a unit of the network, in the order of the drawing."""
        panel = self.view.network
        return self._pixels(
            *panel.ax.transData.transform(panel._drawing.nodes.get_offsets()[number])
        )


def replayed(folder: Path, *arguments: str) -> None:
    """Check that what was saved is, bit by bit, what the headless knobs make of its moves."""
    moves = json.loads((folder / "knobs.json").read_text())["moves"]
    knobs = opened(*arguments)
    knobs.replay(moves)
    saved = load(folder / "knobs.minnet").parameters
    for name, array in knobs.bench.net.parameters.items():
        assert saved[name].tobytes() == array.tobytes(), name
    assert set(saved) == set(knobs.bench.net.parameters)
