"""The command line: what it says, what it writes, its exit status, and what bad input gets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bench.xor
from bench import plots
from bench.__main__ import COMMANDS, main
from bench.arguments import Refusal
from bench.objects import load_object
from minnet import SGD, Affinity, BinaryCrossEntropy, Network, ReLU, Sigmoid, load, uniform
from minnet.facts import GATES, gate
from minnet.study.anatomy import trace
from minnet.study.formulas import formulas
from minnet.study.gates import trained_xor
from minnet.study.restarts import margins, train_until

ROOT = Path(bench.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

OWN = """
from __future__ import annotations
from dataclasses import dataclass
from minnet import Affinity, Layer, Network
from beside import NUMBER

@dataclass
class Needs:
    its_module: int = NUMBER

net = Network([Affinity(2, 3, "own")])
def make(): return net
def fails(): raise KeyError("hm")
class Odd(Layer):
    def forward(self, x): raise RuntimeError("odd")
odd = Network([Odd()])
five = 5
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rendering, and with few other starts: for what is only said."""
    monkeypatch.setattr(plots, "save", lambda picture, path: None)
    monkeypatch.setattr(bench.xor, "STARTS", 20)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("NUMBER = 5")
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path


def shell(*argv: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *argv]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, **settings)


def answers(out: str) -> np.ndarray[Any, Any]:
    """The rows of the printed truth table: x[0], x[1], expected, answer."""
    return np.array(re.findall(r"^ +([01]) +([01]) +([01])  ([\d.]+)  ", out, re.M), float)


# ---------------------------------------------------------------- xor


def test_xor_as_it_stands_learns_and_shows_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["xor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    net = Network(
        [
            Affinity(2, 2, "fc1", initializer=uniform),
            Sigmoid(),
            Affinity(2, 1, "fc2", initializer=uniform),
            Sigmoid(),
        ],
        loss=BinaryCrossEntropy(),
        optimizer=SGD(1),
    )
    training = train_until(net, gate("xor"), starts=1, rng=0)
    shown = re.findall(r"^ +(\d+)  (\d.*)$", out, re.M)
    assert 9 <= len(shown) <= 12
    assert [step for step, _ in shown[:2]] == ["0", "100"] and shown[-1][0] == "999"
    assert all(float(loss) == float(f"{training.losses[int(i)]:.6g}") for i, loss in shown)
    np.testing.assert_allclose(answers(out)[:, :3], np.hstack([gate("xor").X, gate("xor").T]))
    np.testing.assert_allclose(answers(out)[:, 3:], net(gate("xor").X), atol=5.1e-5)
    assert formulas(net) in out
    assert net.latex() in out
    for key in ("fc1.M", "fc1.b", "fc2.M", "fc2.b"):
        assert f"\n{key} = [" in out
    least = margins(net(gate("xor").X), gate("xor").T).min()
    assert f"Learned: every answer is right, and at least {least:.4f} away from 1/2" in out
    names = ["boundary.png", "learning.png", "surface.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for name in names:
        assert f"out/{name}" in out
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()
            assert picture.format == "PNG"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("seed", range(8))
def test_the_exit_status_is_honest(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Judged again from the printed answers. Seed 6 ends in a local minimum."""
    status = main(["xor", "--seed", str(seed)])
    out = capsys.readouterr().out
    table = answers(out)
    learned = bool((np.abs(table[:, 3] - table[:, 2]) < 0.4).all())
    assert status == (0 if learned else 1)
    assert learned == (seed != 6)
    assert ("Learned: " in out) == learned
    assert ("Not learned" in out) == ("What to try" in out) == (not learned)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", GATES)
def test_every_gate_can_be_learned(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xor", "--gate", name]) == 0
    np.testing.assert_array_equal(answers(capsys.readouterr().out)[:, 2:3], gate(name).T)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("init", ["normal", "uniform", "glorot", "he"])
def test_every_activation_and_start_learns_with_some_restarts(
    activation: str, init: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--activation", activation, "--init", init, "--hidden", "3", "--restarts", "30"]
    assert main(["xor", *options]) == 0
    out = capsys.readouterr().out
    assert f"\nfc1[2] = {activation}(" in out and "fc2[0] = sigmoid(" in out


@pytest.mark.usefixtures("quick")
def test_right_but_hardly_so_is_not_learned_yet(capsys: pytest.CaptureFixture[str]) -> None:
    """On its way from 0 steps to 1000, seed 0 passes through answers of the right side."""
    said = set()
    for steps in range(90, 130, 8):
        status = main(["xor", "--steps", str(steps)])
        out = capsys.readouterr().out
        distances = np.where(answers(out)[:, 2] == 1, 1, -1) * (answers(out)[:, 3] - 0.5)
        kind = re.search(r"Learned|Not learned yet|Not learned", out).group()  # type: ignore[union-attr]
        assert kind == (
            "Learned"
            if distances.min() > 0.1
            else "Not learned yet"
            if distances.min() > 0
            else "Not learned"
        )
        assert status == (0 if kind == "Learned" else 1)
        said.add(kind)
    assert len(said) == 3


@pytest.mark.usefixtures("quick")
def test_the_success_rate_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Counted again, each of the other starts trained alone."""
    main(["xor", "--steps", "300", "--seed", "4"])
    out = capsys.readouterr().out
    learned, starts = np.array(re.search(r"Of (\d+) .* (\d+) learn", out).groups()[::-1], int)  # type: ignore[union-attr]
    net = bench.xor.network(Namespace(alpha=1.0, hidden=2, activation="sigmoid", init="uniform"))
    rng, xor = np.random.default_rng(4), gate("xor")
    net.randomize(rng)
    crowd, counted = net.replicate(20, rng), 0
    for i in range(20):
        member = crowd.member(i)
        member.learn(xor.batches(4), epochs=300)
        counted += bool((margins(member(xor.X), xor.T) > 0.1).all())
    assert (learned, starts) == (counted, 20)
    assert 5 < counted < 20


@pytest.mark.usefixtures("quick")
def test_restarts_go_on_until_it_is_learned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xor", "--seed", "6"]) == 1
    assert "--seed 7, or --restarts 10" in capsys.readouterr().out
    assert main(["xor", "--seed", "6", "--restarts", "10"]) == 0
    start = int(re.search(r"start (\d+) of at most 11", capsys.readouterr().out)[1])  # type: ignore[index]
    assert start > 1
    assert main(["xor", "--seed", "6", "--restarts", str(start - 2)]) == 1
    assert main(["xor", "--seed", "6", "--restarts", str(start - 1)]) == 0


@pytest.mark.usefixtures("quick")
def test_one_hidden_unit_cannot_and_the_status_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xor", "--hidden", "1", "--restarts", "3", "--steps", "300"]) == 1
    out = capsys.readouterr().out
    assert "start 4 of at most 4" in out
    assert "0 learn xor" in out and "--hidden 2" in out


@pytest.mark.usefixtures("quick")
def test_divergence_is_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    for gate_name in GATES:
        status = main(["xor", "--alpha", "1e308", "--activation", "relu", "--gate", gate_name])
        out, err = capsys.readouterr()
        assert err == ""
        if "Diverged" in out:
            assert status == 1 and re.search(r"^ +\d+  inf$", out, re.M)
            break
    else:
        pytest.fail("no gate made it diverge")


def test_the_animation_has_its_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.xor, "FRAMES", 3)
    monkeypatch.setattr(bench.xor, "STARTS", 20)
    assert main(["xor", "--gif", "--out", "deep/er"]) == 0
    assert "deep/er/boundary.gif" in capsys.readouterr().out
    with Image.open(tmp_path / "deep/er/boundary.gif") as film:
        assert film.n_frames == 3  # type: ignore[attr-defined]
    assert len(list((tmp_path / "deep/er").iterdir())) == 4


@pytest.mark.usefixtures("quick")
def test_the_frames_are_the_network_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last start only, the first and the last step included, early ones closer."""
    kept: list[Any] = []
    monkeypatch.setattr(plots, "animation", lambda frames, *rest: kept.extend(frames))
    main(["xor", "--gif", "--seed", "6", "--restarts", "10"])
    steps = [int(re.search(r"step (\d+)", title)[1]) for _, title in kept]  # type: ignore[index]
    assert steps[0] == 0 and steps[-1] == 999 and steps == sorted(set(steps))
    assert np.diff(steps)[-1] > np.diff(steps)[0]
    outputs = [net(gate("xor").X) for net, _ in kept]
    errors = [np.abs(y - gate("xor").T).max() for y in outputs]
    assert errors[0] > 0.4 and errors[-1] < 0.1
    assert len({y.tobytes() for y in outputs}) == len(kept)


def test_the_same_seed_gives_the_same_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, here again with an animation beside it, and in another process."""
    monkeypatch.setattr(bench.xor, "FRAMES", 3)
    options = ["xor", "--steps", "200", "--hidden", "3", "--seed"]
    texts, pictures = [], []
    for more in ([], ["--gif"]):
        main([*options, "3", *more])
        texts.append(capsys.readouterr().out.replace(", out/boundary.gif", ""))
        pictures.append((tmp_path / "out/boundary.png").read_bytes())
    result = shell(*options, "3", cwd=tmp_path)
    assert result.stderr == ""
    texts.append(result.stdout)
    pictures.append((tmp_path / "out/boundary.png").read_bytes())
    assert len(set(texts)) == len(set(pictures)) == 1
    monkeypatch.setattr(plots, "save", lambda picture, path: None)
    main([*options, "4"])
    assert capsys.readouterr().out not in texts


# ---------------------------------------------------------------- trace


@pytest.mark.parametrize(
    "options, expected",
    [
        (["--input", "1,0"], [1]),
        (["--input", "0,0"], [0]),
        (["--input", "1,1", "--expected", "1"], [1]),
        (["--input", "0.1,0"], None),
        (["--input=-1,0"], None),
        (["--input", "0.1,0", "--expected", "0.5"], [0.5]),
    ],
)
def test_trace_prints_the_trace(
    options: list[str], expected: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", *options]) == 0
    x = [float(part) for part in re.split("[ =]", " ".join(options))[1].split(",")]
    assert capsys.readouterr() == (f"{trace(trained_xor(), x, expected)}\n", "")


@pytest.mark.parametrize("name", ["mine.py:net", "mine.py:make", "./mine.py:net", "mine:net"])
def test_trace_goes_through_a_network_of_ones_own(
    name: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = list(sys.path)
    assert main(["trace", "--input", "1,0", "--net", name]) == 0
    out = capsys.readouterr().out
    assert "#0 own" in out and "BACK" not in out
    assert main(["trace", "--input", "1,0", "--net", name, "--expected", "1,2,3"]) == 0
    assert "BACK" in capsys.readouterr().out
    assert sys.path == path


def test_huge_numbers_are_traced_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--input", "1e308,-1e308", "--expected", "1"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind, type_", [(Network, "Network"), (Affinity, "Affinity")])
def test_objects_come_by_their_kind(kind: type[Any], type_: str, own: Path) -> None:
    if kind is Network:
        assert load_object("minnet.study.gates:trained_xor", kind).names[0] == "fc1"
    else:
        assert isinstance(load_object("minnet:ReLU", ReLU), ReLU)
    with pytest.raises(Refusal, match=f"must be a.* {type_}, but it is 5"):
        load_object("mine.py:five", kind)


# ---------------------------------------------------------------- what bad input gets


REFUSED = [
    (["--bogus"], "--bogus"),
    (["frob"], "frob"),
    (["xor", "--bogus"], "--bogus"),
    (["xor", "--gat", "or"], "--gat"),
    (["xor", "extra"], "extra"),
    (["xor", "--gate", "maybe"], "maybe"),
    (["xor", "--activation", "step"], "step"),
    (["xor", "--init", "zeros"], "zeros"),
    (["xor", "--alpha", "0"], "above 0, not '0'"),
    (["xor", "--alpha=-1"], "above 0, not '-1'"),
    (["xor", "--alpha", "-1e3"], "--alpha=-1"),
    (["xor", "--alpha", "nan"], "above 0, not 'nan'"),
    (["xor", "--alpha", "inf"], "above 0, not 'inf'"),
    (["xor", "--alpha", "fast"], "above 0, not 'fast'"),
    (["xor", "--alpha"], "--alpha"),
    (["xor", "--hidden", "0"], "--hidden: must be an integer from 1"),
    (["xor", "--hidden", "1.5"], "--hidden: must be an integer from 1"),
    (["xor", "--hidden", "1000000000000"], "to 1000"),
    (["xor", "--hidden", "9" * 5000], "to 1000"),
    (["xor", "--steps", "0"], "--steps: must be an integer from 1"),
    (["xor", "--steps", "1e3"], "--steps: must be an integer from 1"),
    (["xor", "--seed", "-1"], "--seed: must be an integer from 0, not '-1'"),
    (["xor", "--restarts", "-1"], "--restarts: must be an integer from 0"),
    (["xor", "--out", "file"], "'file' is no folder"),
    (["xor", "--out", "file/under"], "'file/under' is no folder"),
    (["xor", "--out", "/proc/x"], "'/proc/x' is no folder"),
    (["xor", "--out", "/dev/null"], "'/dev/null' is no folder"),
    (["xor", "--out", "n" * 300], "is no folder"),
    (["xor", "--out", "zero\0byte"], "is no folder"),
    (["xor", "--out", ""], "empty name"),
    (["trace"], "--input"),
    (["trace", "--input", ""], "as in 1,0; not ''"),
    (["trace", "--input", "1,"], "not '1,'"),
    (["trace", "--input", "1;0"], "not '1;0'"),
    (["trace", "--input", "1,nan"], "not '1,nan'"),
    (["trace", "--input", "-1,0"], "--input=-1"),
    (["trace", "--input", "1"], "2 inputs"),
    (["trace", "--input", "1,0,1"], "2 inputs"),
    (["trace", "--input", "1,0", "--expected", "1,0"], "shape (2,)"),
    (["trace", "--input", "1,0", "--expected", "2"], "not 2.0"),
    (["trace", "--input", "1,0", "--net", "mine"], "FILE:OBJECT or MODULE:OBJECT"),
    (["trace", "--input", "1,0", "--net", ":net"], "FILE:OBJECT or MODULE:OBJECT"),
    (["trace", "--input", "1,0", "--net", "mine.py:"], "FILE:OBJECT or MODULE:OBJECT"),
    (["trace", "--input", "1,0", "--net", "none.py:net"], "no file 'none.py'"),
    (["trace", "--input", "1,0", "--net", "./:net"], "no file"),
    (["trace", "--input", "1,0", "--net", "./data:net"], "must end in .py"),
    (["trace", "--input", "1,0", "--net", "no.such:net"], "importing no.such raised"),
    (["trace", "--input", "1,0", "--net", "..:net"], "importing .. raised"),
    (["trace", "--input", "1,0", "--net", "a\nb:net"], "importing a b raised"),
    (["trace", "--input", "1,0", "--net", "mine.py:nat"], "no 'nat'; of kind Network it has net"),
    (["trace", "--input", "1,0", "--net", "mine.py:five"], "must be a Network, but it is 5"),
    (["trace", "--input", "1,0", "--net", "mine.py:fails"], "raised KeyError: 'hm'"),
    (["trace", "--input", "1,0", "--net", "mine.py:odd"], "raised RuntimeError: odd"),
    (["trace", "--input", "1,0", "--net", "divides.py:net"], "raised ZeroDivisionError"),
    (["trace", "--input", "1,0", "--net", "exits.py:net"], "raised SystemExit: 3"),
    (["trace", "--input", "1,0", "--net", "syntax.py:net"], "raised SyntaxError"),
]


@pytest.mark.parametrize("argv, words", REFUSED, ids=[" ".join(a)[:40] for a, _ in REFUSED])
def test_what_cannot_be_used_gets_one_line_before_any_work(
    argv: list[str],
    words: str,
    own: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench.xor, "train_until", lambda *a, **k: pytest.fail("it trained"))
    for name, text in {
        "file": "as it was",
        "data": "",
        "divides.py": "1 / 0",
        "exits.py": "raise SystemExit(3)",
        "syntax.py": "def f(:",
    }.items():
        (own / name).write_text(text)
    before = sorted(path.name for path in own.iterdir())
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.endswith("\n")
    assert words in err and "Traceback" not in err
    left = sorted(path.name for path in own.iterdir() if path.name != "__pycache__")
    assert left == before and (own / "file").read_text() == "as it was"


def test_an_unknown_gate_is_told_the_gates(capsys: pytest.CaptureFixture[str]) -> None:
    main(["xor", "--gate", "xorr"])
    err = capsys.readouterr().err
    assert all(re.search(rf"\b{name}\b", err) for name in GATES)


def test_a_picture_that_cannot_be_written_leaves_no_half_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out/surface.png").mkdir(parents=True)
    assert main(["xor", "--steps", "2"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "'out/surface.png'" in err
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["boundary.png", "learning.png", "surface.png"]


@pytest.mark.parametrize("argv", [["xor"], ["xor", "--gif"]])
def test_without_matplotlib_that_is_said_before_the_training(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.xor, "train_until", lambda *a, **k: pytest.fail("it trained"))
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(argv) == 2
    assert "matplotlib is missing; pip install 'minnet[bench]'" in capsys.readouterr().err


def test_ctrl_c_gets_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.xor, "train_until", interrupt)
    assert main(["xor"]) == 130
    assert re.fullmatch(r".+: interrupted\n", capsys.readouterr().err)


# ---------------------------------------------------------------- as a process


def test_ctrl_c_during_real_training(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "bench", "xor", "--steps", "1000000"],
        cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("A 2-2-1 network")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "python -m bench: interrupted\n")
    assert not list((tmp_path / "out").iterdir())


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "trace", "--input", "1,0"],
        cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (141, "")
    process.stderr.close()


def test_importing_the_command_line_takes_nothing_slow_along(tmp_path: Path) -> None:
    code = (
        "import bench.__main__, sys\n"
        "print({'matplotlib', 'rich', 'scipy', 'dill', 'PIL'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == ("set()\n", "")


# ---------------------------------------------------------------- help


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    err = capsys.readouterr().err
    assert "usage" in err and all(re.search(rf"\n    {name}\s", err) for name in COMMANDS)


@pytest.mark.parametrize("name", ["xor", "trace"])
def test_help_tells_every_option_with_its_default(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    options = re.split(r"\n  (?=--)", out.partition("\noptions:")[2])[1:]
    assert len(options) >= 3
    for option in options:
        unset = option.startswith(("--gif", "--input"))  # a switch; and one that must be given
        assert unset or "(default" in option, option


@pytest.mark.usefixtures("quick")
def test_a_training_that_is_broken_off_resumes_to_the_same_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["xor", "--steps", "300", "--seed", "9", "--restarts", "3", "--activation", "relu"]
    monkeypatch.setattr("bench.kept_training.EVERY", 70)

    def run(name: str) -> tuple[int, str]:
        file = tmp_path / name
        status = main([*options, "--resume", str(file), "--out", str(tmp_path)])
        return status, capsys.readouterr().out

    unbroken = run("a.minnet")
    from bench.kept_training import Kept

    watch = Kept.watch
    for left in (150, 250, 400):

        def interrupt(self: Kept, *args: Any, left: list[int] = [left]) -> None:  # noqa: B006
            watch(self, *args)
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        monkeypatch.setattr(Kept, "watch", interrupt)
        assert run("b.minnet")[0] == 130
        assert (tmp_path / "b.minnet").exists()
    monkeypatch.setattr(Kept, "watch", watch)
    assert run("b.minnet") == unbroken
    assert run("b.minnet") == unbroken  # and when it was finished
    one, two = (load(tmp_path / name) for name in ("a.minnet", "b.minnet"))
    assert one._flat.tobytes() == two._flat.tobytes()
    assert main([*options, "--resume", str(tmp_path / "b.minnet"), "--gif"]) == 2
    assert main(["xor", "--seed", "1", "--resume", str(tmp_path / "b.minnet")]) == 2
    (tmp_path / "b.minnet").write_bytes(b"nothing")
    assert main([*options, "--resume", str(tmp_path / "b.minnet")]) == 2
    assert capsys.readouterr().err.count("\n") == 3
