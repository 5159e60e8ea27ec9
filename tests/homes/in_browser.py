"""The knobs in a browser: headless Chromium drags, presses and looks."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driven import PICTURES, ROOT, Layout, replayed

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1500,1050", "--force-device-scale-factor=1",
)  # fmt: skip


class Tab:
    """A page with the knobs."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        driver.get(address)
        self.until(lambda: driver.find_elements("css selector", "canvas"), "there is no canvas")
        self.canvas = driver.find_elements("css selector", "canvas")[-1]  # takes the events
        self.until(lambda: np.ptp(self.picture()) > 100, "the picture stays empty")

    def until(self, holds: Callable[[], Any], otherwise: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, otherwise
            time.sleep(0.05)

    def picture(self) -> Any:
        """The pixels of the figure."""
        import base64

        from PIL import Image

        text = self.driver.execute_script(
            "return document.querySelector('canvas').toDataURL('image/png')"
        )
        content = base64.b64decode(text.partition(",")[2])
        return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(int)

    def settled(self) -> Any:
        """The picture when it has stopped changing."""
        before = self.picture()
        while True:
            time.sleep(1)  # a busy machine takes its time
            after = self.picture()
            if (after == before).all():
                return after
            before = after

    def pointer(self) -> Any:
        from selenium.webdriver.common.action_chains import ActionChains

        return ActionChains(self.driver, duration=0)

    def _offset(self, place: tuple[int, int]) -> tuple[int, int]:
        size = self.canvas.size
        return place[0] - size["width"] // 2, place[1] - size["height"] // 2

    def click(self, *places: tuple[int, int]) -> None:
        chain = self.pointer()
        for place in places:
            chain.move_to_element_with_offset(self.canvas, *self._offset(place)).click()
        chain.perform()

    def drag(self, *places: tuple[int, int]) -> None:
        chain = self.pointer()
        chain.move_to_element_with_offset(self.canvas, *self._offset(places[0])).click_and_hold()
        for place in places[1:]:
            chain.move_to_element_with_offset(self.canvas, *self._offset(place)).pause(0.03)
        chain.release().perform()

    def after(self, what: str, act: Callable[[], None]) -> Any:
        """The picture that an act leads to, which must be another one than before."""
        before = self.picture()
        act()
        self.until(lambda: (self.picture() != before).any(), f"{what} changes nothing")
        return self.settled()

    def problems(self) -> list[str]:
        """What the console complains of, and requests that leave this machine."""
        found = [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            url = message.get("params", {}).get("request", {}).get("url", "")
            if message["method"] == "Network.requestWillBeSent":
                own = ("http://127.0.0.1:", "data:", "blob:", "chrome://", "chrome-untrusted://")
                inside = url.startswith(own)
                found += [] if inside else [url]
        return found


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Any]:
    """`serving(*arguments)` starts the command with --browser; gives the address, and a stop."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[str, Any]:
        command = [sys.executable, "-m", "bench", "knobs", "--browser", "--out", str(tmp_path)]
        server = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(server)
        assert server.stdout is not None
        line = server.stdout.readline()
        assert "http://127.0.0.1:" in line, line + server.communicate()[1]

        def stop() -> tuple[int, str, str]:
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=30)
            return server.returncode, out, err

        return line.split()[-1], stop

    yield start
    for server in running:
        if server.poll() is None:
            server.kill()
        server.communicate()


def changed(before: Any, after: Any) -> bool:
    return not np.array_equal(before, after)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


def test_a_slider_follows_the_pointer_and_every_button_does_something(
    driver: Any, serving: Any, tmp_path: Path
) -> None:
    address, stop = serving()
    layout, tab = Layout(), Tab(driver, address)
    assert tab.picture().shape == (layout.height, layout.width, 3)
    before = tab.settled()
    places = [layout.slider("alpha", part) for part in np.linspace(0.6, 0.8, 15)]
    after = tab.after("alpha", lambda: tab.drag(*places))
    assert (before != after).mean() > 0.005
    for name in ("suggest", "start", "seed", "checkpoint", "back", "back", "forward", "all",
                 "rollback", "start", "reset", "save"):  # fmt: skip
        tab.after(name, lambda name=name: tab.click(layout.button(name)))
    tab.click(layout.button("stop"))  # with nothing to stop
    for control, radio in layout.view.radios.items():
        place = layout.radio(control, radio.labels[1].get_text())
        tab.after(control, lambda place=place: tab.click(place))
    tab.after("reset", lambda: tab.click(layout.button("reset")))
    tab.after("a unit", lambda: tab.click(layout.unit(3)))
    assert tab.problems() == []
    status, out, err = stop()
    assert (status, err) == (0, "")
    moves = json.loads((tmp_path / "knobs.json").read_text())["moves"]
    assert {control for control, _ in moves} >= {
        "alpha", "seed", "start", "fact", "checkpoint", "rollback", "reset", "unit",
        *layout.view.radios,
    }  # fmt: skip
    assert f"{len(moves)} moves" in out


def test_a_double_click_is_two_clicks(driver: Any, serving: Any, tmp_path: Path) -> None:
    address, stop = serving()
    layout, tab = Layout(), Tab(driver, address)
    x, y = layout.slider("alpha", 0.5)
    tab.after("alpha", lambda: tab.click((x, y), (x, y)))
    tab.pointer().move_to_element_with_offset(tab.canvas, 0, -300).perform()  # and nothing follows
    seed = layout.button("seed")
    tab.after("seed", lambda: tab.click(seed, seed))
    assert stop()[0] == 0
    moves = json.loads((tmp_path / "knobs.json").read_text())["moves"]
    assert [control for control, _ in moves if control != "alpha"] == ["seed", "seed"]


def test_500_moves_end_as_their_headless_replay(driver: Any, serving: Any, tmp_path: Path) -> None:
    arguments = ("--facts", "60")
    address, stop = serving(*arguments)
    layout, tab = Layout(*arguments), Tab(driver, address)
    rng = np.random.default_rng(0)
    view = layout.view
    places = [layout.radio(control, label.get_text())
              for control, radio in view.radios.items() for label in radio.labels]  # fmt: skip
    places += [layout.button(name) for name in view.buttons if name not in ("save", "stop")]
    places += [layout.unit(number) for number in range(3)]
    sliders = {"alpha": (0, 1), "facts": (0, 0.1), "width": (0, 0.3), "gate": (0, 1)}
    for _ in range(44):
        draw = [places[i] for i in rng.integers(len(places), size=8)]
        draw += [layout.slider(n, rng.uniform(*ends)) for n, ends in sliders.items()] * 2
        draw += [layout.slider("alpha", rng.uniform()) for _ in range(4)]
        tab.click(*((int(x), int(y)) for x, y in rng.permutation(draw)))
    tab.click(layout.button("save"))
    saved = tmp_path / "knobs.minnet"
    tab.until(saved.exists, "the network is not saved", 400)
    assert tab.problems() == []
    assert stop()[0] == 0
    moves = json.loads((tmp_path / "knobs.json").read_text())["moves"]
    assert len(moves) >= 500
    replayed(tmp_path, *arguments)


def test_a_second_tab_shows_the_same_and_a_closed_one_ends_nothing(
    driver: Any, serving: Any
) -> None:
    address, stop = serving()
    layout, tab = Layout(), Tab(driver, address)
    swap, identity = layout.radio("ideal", "swap"), layout.radio("ideal", "identity")
    shown = tab.after("swap", lambda: tab.click(swap))
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    second = Tab(driver, address)
    assert (second.settled() == shown).all()
    both = second.after("identity", lambda: second.click(identity))
    driver.close()
    driver.switch_to.window(first)
    assert (tab.settled() == both).all()
    driver.get("about:blank")
    assert (Tab(driver, address).settled() == both).all()
    assert stop()[0] == 0


def test_a_taken_port_gives_another_one(serving: Any, tmp_path: Path) -> None:
    (one, stop_one), (other, stop_other) = serving(), serving()
    assert one != other
    for stop in (stop_one, stop_other):
        status, out, err = stop()
        assert (status, err) == (0, "")
        assert "moves" in out


def test_the_best_alpha_for_the_swap_takes_four_presses(
    driver: Any, serving: Any, tmp_path: Path
) -> None:
    begin = time.monotonic()
    address, stop = serving("--facts", "100")
    layout, tab = Layout("--facts", "100"), Tab(driver, address)
    places = layout.radio("ideal", "swap"), layout.slider("width", 0.005)
    tab.after("swap", lambda: tab.click(*places))
    tab.after("suggest", lambda: tab.click(layout.button("suggest")))
    assert time.monotonic() - begin < 60
    from PIL import Image

    Image.fromarray(tab.picture().astype(np.uint8)).quantize(256).save(
        PICTURES / "knobs-swap.png", optimize=True
    )
    assert stop()[0] == 0
    moves = json.loads((tmp_path / "knobs.json").read_text())["moves"]
    assert moves[:-1] == [["ideal", "swap"], ["width", 0]]
    control, alpha = moves[-1]
    assert control == "alpha"
    assert 0.15 < alpha < 0.35
