"""The knobs in a window of the desktop: Xvfb is the screen, xdotool the hand."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driven import PICTURES, ROOT, Layout, opened

SCREEN = ":77"


@pytest.fixture(scope="module")
def screen() -> Iterator[dict[str, str]]:
    for program, package in (("Xvfb", "xvfb"), ("xdotool", "xdotool"), ("xwd", "x11-apps")):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing: apt-get install {package}")
    server = subprocess.Popen(
        ["Xvfb", SCREEN, "-screen", "0", "1500x1000x24", "-dpi", "96", "-nolisten", "tcp"],
        stderr=subprocess.DEVNULL,
    )
    environment = {**os.environ, "DISPLAY": SCREEN}
    until(lambda: works(["xdotool", "getdisplaygeometry"], environment), "Xvfb does not start")
    yield environment
    server.terminate()
    server.wait()


def works(command: list[str], environment: dict[str, str]) -> bool:
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0


def until(holds: Callable[[], Any], otherwise: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)
    return found


class Window:
    """The window of the command, driven from outside."""

    def __init__(self, environment: dict[str, str], folder: Path, *arguments: str) -> None:
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench", "knobs", "--out", str(folder), *arguments], cwd=ROOT,
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.id = until(self._found, "no window")[-1]
        until(lambda: np.ptp(self.picture()) > 100 and self.rests(), "the window stays empty")

    def _found(self) -> list[str]:
        if self.process.poll() is not None:
            pytest.fail(f"no window: {self.process.communicate()[1]}", pytrace=False)
        return self._tool("search", "--name", "^knobs$").split()

    def _tool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments], env=self.environment, capture_output=True, text=True
        )
        return done.stdout

    def picture(self) -> Any:
        """The pixels of the whole screen."""
        content = subprocess.run(
            ["xwd", "-root", "-silent"], env=self.environment, capture_output=True, check=True
        ).stdout
        header = np.frombuffer(content[:100], ">u4")
        size, width, height, depth, line, colours = header[[0, 4, 5, 11, 12, 19]]
        pixels = np.frombuffer(content[size + 12 * colours :], np.uint8).reshape(height, line)
        return pixels.reshape(height, -1, depth // 8)[:, :width, 2::-1].astype(int)

    def rests(self) -> bool:
        """Whether the picture stays for a second."""
        before = self.picture()
        time.sleep(1)
        return bool((self.picture() == before).all())

    def corner(self, layout: Layout) -> tuple[int, int]:
        """Where the picture begins on the screen: its paper is of a colour of its own."""
        paper = (self.picture() == (251, 251, 250)).all(axis=2)
        ys, xs = np.nonzero(paper)
        return int(xs.min()), int(ys.min())

    def click(self, place: tuple[int, int]) -> None:
        self._tool("mousemove", *map(str, place), "click", "1")

    def drag(self, *places: tuple[int, int]) -> None:
        self._tool("mousemove", *map(str, places[0]), "mousedown", "1")
        for place in places[1:]:
            self._tool("mousemove", *map(str, place))
            time.sleep(0.05)
        self._tool("mouseup", "1")


@pytest.mark.parametrize("backend", ["QtAgg", "TkAgg"])
def test_a_window_is_driven(screen: dict[str, str], tmp_path: Path, backend: str) -> None:
    module = {"QtAgg": "PySide6", "TkAgg": "tkinter"}[backend]
    if importlib.util.find_spec(module) is None:
        pytest.fail(f"{module} is missing, which {backend} needs")
    layout = Layout()
    window = Window({**screen, "MPLBACKEND": backend}, tmp_path)
    left, top = window.corner(layout)

    def at(place: tuple[int, int]) -> tuple[int, int]:
        return place[0] + left, place[1] + top

    def after(what: str, act: Callable[[], None]) -> None:
        before = window.picture()
        act()
        until(lambda: (window.picture() != before).any(), f"{what} changes nothing")
        until(window.rests, f"the picture does not come to rest after {what}")

    places = [at(layout.slider("alpha", part)) for part in np.linspace(0.6, 0.8, 6)]
    after("alpha", lambda: window.drag(*places))
    after("swap", lambda: window.click(at(layout.radio("ideal", "swap"))))
    after("back", lambda: window.click(at(layout.button("back"))))
    after("alpha", lambda: window.click(at(layout.slider("alpha", 0.5))))
    after("checkpoint", lambda: window.click(at(layout.button("checkpoint"))))
    after("a unit", lambda: window.click(at(layout.unit(3))))
    from PIL import Image

    if backend == "QtAgg":
        shot = Image.fromarray(window.picture()[: layout.height + top + 8].astype(np.uint8))
        shot.crop((0, 0, layout.width + left, shot.height)).quantize(256).save(
            PICTURES / "knobs-window.png", optimize=True
        )
    window._tool("windowfocus", "--sync", window.id, "key", "q")  # Matplotlib's key to close
    _, err = window.process.communicate(timeout=60)
    moves = json.loads((tmp_path / "knobs.json").read_text())["moves"]
    assert {control for control, _ in moves} == {"alpha", "ideal", "fact", "checkpoint", "unit"}
    knobs = opened()
    knobs.replay(moves)
    assert knobs.settings.ideal == "swap"
    assert "Traceback" not in err
