"""The harness that compares minnet with its peers, without any peer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.peers import __main__ as command
from bench.peers import checkpoints, crowds, larger_nets, report, small_nets
from bench.peers.harness import (
    Contest,
    Contestant,
    Disagreement,
    Makers,
    Row,
    agreeing,
    measured,
    ratio,
)


def doubling(log: list[str], name: str, error: float = 0.0) -> Any:
    """A maker of contestants that start at 1 and double it so many times, and log what they do."""

    def make(times: int) -> Contestant:
        value = np.zeros(1)

        def start() -> None:
            value[:] = 1
            log.append(f"{name} starts")

        def work() -> None:
            for _ in range(times):
                value[:] *= 2 + error
            log.append(f"{name} works")

        return Contestant(start, work, lambda: [value])

    return make


def contest(log: list[str], error: float = 0.0, tolerance: float = 1e-9) -> Contest[int]:
    makers = {"a": doubling(log, "a"), "b": doubling(log, "b", error)}
    return Contest("doubling", 20, 3, 20, "step", makers, {}, tolerance)


def test_contestants_take_turns_and_each_goes_back_to_the_start() -> None:
    log: list[str] = []
    rows = measured(contest(log), rounds=3)
    turn = ["a starts", "a works", "b starts", "b works"]
    assert log == turn * 5  # agreeing, warming up, three rounds
    assert [row["contestant"] for row in rows] == ["a", "b"]
    assert all(len(row["seconds"]) == 3 and min(row["seconds"]) > 0 for row in rows)


@pytest.mark.parametrize("error, agree", [(1e-10, True), (1e-8, False), (np.nan, False)])
def test_who_comes_to_other_numbers_is_found_out(error: float, agree: bool) -> None:
    if agree:
        assert agreeing(contest([], error))[1]["difference"] == pytest.approx(1.5 * error, rel=1e-3)
    else:
        with pytest.raises(Disagreement, match="doubling: b differs from a"):
            agreeing(contest([], error))


def test_a_contestant_has_its_own_tolerance_or_nothing_to_agree_on() -> None:
    loose = replace(contest([], 1e-8), tolerances={"b": 1e-7})
    assert len(agreeing(loose)) == 2
    silent = Contestant(lambda: None, lambda: None, None)
    with_silent = contest([])
    mute = replace(with_silent, makers={**with_silent.makers, "c": lambda times: silent})
    assert "difference" not in agreeing(mute)[2]


def row(contest: str, contestant: str, *seconds: float) -> Row:
    return {
        "contest": contest,
        "contestant": contestant,
        "unit": "step",
        "first": 2.0,
        "seconds": list(seconds),
    }


def test_the_ratio_is_taken_within_rounds() -> None:
    assert ratio(row("", "", 1, 20, 300), row("", "", 1, 10, 100)) == 2


@pytest.mark.parametrize("factor, verdict", [(0.99, "no"), (1.01, "yes")])
@pytest.mark.parametrize("figure", report.FIGURES)
def test_a_figure_is_reached_or_not(figure: report.Figure, factor: float, verdict: str) -> None:
    ours = row(figure.contest, figure.ours, 1e-3)
    peer = row(figure.contest, figure.peer, 1e-3 * figure.least * factor)
    text = report.figures({(r["contest"], r["contestant"]): r for r in (ours, peer)})
    lines = [line for line in text.splitlines() if line.endswith(f"| {verdict} |")]
    assert any(figure.contest in line and figure.peer in line for line in lines)


@pytest.mark.parametrize("seconds, verdict", [(0.014, "yes"), (0.016, "no")])
def test_the_import_is_in_time_or_not(seconds: float, verdict: str) -> None:
    own = row(report.IMPORT, "minnet", seconds)
    assert f"| {verdict} |" in report.figures({(report.IMPORT, "minnet"): own})


def test_every_figure_names_contestants_of_a_contest() -> None:
    held: list[Contest[Any]] = [
        *small_nets.contests(False),
        *crowds.contests(False),
        *larger_nets.contests(False),
        *larger_nets.contests(False, "two threads"),
        *checkpoints.contests(False),
    ]
    names = {(contest.name, name) for contest in held for name in contest.makers}
    for figure in report.FIGURES:
        if "two cores" not in figure.contest:
            assert {(figure.contest, figure.ours), (figure.contest, figure.peer)} <= names


def test_the_page_shows_peers_that_win() -> None:
    rows = [row("a job", "minnet", 2e-6, 2e-6, 3e-6), row("a job", "another", 1e-6, 1e-6, 3e-6)]
    rows[1]["note"] = "as it is"
    page = report.report({"command": "c", "date": "d", "machine": {"cores": 2}, "rows": rows})
    assert "| minnet | 2 µs | 2 µs | 3 µs | 1 | 2 s |" in page
    assert "| another (as it is) | 1 µs | 1 µs | 3 µs | 0.5 | 2 s |" in page


def test_our_own_contestants_agree_in_every_way() -> None:
    """The same steps, as calls and all at once, by the program and by the layers."""
    job = next(small_nets.contests(True)).short
    makers: Makers[str] = {
        f"{way}, {engine}": lambda _, way=way, engine=engine: small_nets.ours(  # type: ignore[misc]
            replace(job, way=way), engine
        )
        for way in ("calls", "facts")
        for engine in ("auto", "layers")
    }
    assert len(agreeing(Contest("ours", "", "", 5, "step", makers, {}, 1e-12))) == 4


@pytest.mark.parametrize("make", [checkpoints.checkpoint, checkpoints.rollback])
def test_what_is_kept_comes_back(make: Any) -> None:
    ways = [checkpoints.ours, checkpoints.deepcopied, checkpoints.flat_copy]
    kept = {way.__name__: lambda times, way=way: make(way, times) for way in ways}
    assert len(agreeing(Contest("kept", 1, 1, 1, "time", kept, {}, 0.0))) == 3


def test_threads_are_counted_before_anything_is_imported() -> None:
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])"
    for threads in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=command.environment(threads),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [str(threads)] * 2


def test_a_family_that_is_not_there_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", "nothing"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "there is no family 'nothing'" in done.stderr


def test_results_are_plain_json() -> None:
    rows = measured(contest([]), rounds=2)
    assert json.loads(json.dumps(rows)) == rows
    assert json.dumps(command.machine())
