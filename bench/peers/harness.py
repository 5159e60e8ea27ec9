"""What a contest is: contestants do the same work to the same numbers, and take turns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Generic, TypeVar

import numpy as np

from minnet.checks import Array

Job = TypeVar("Job")
Row = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A library at work on a job.

    Attributes
    ----------
    start : function
        Goes back to the common start. Not timed.
    work : function
        Does the whole job. Timed; it returns when the results are there.
    result : function, or None
        The arrays in which all contestants must agree; None where there are none.
    note : str
        What is worth knowing about how it works.
    """

    start: Callable[[], Any]
    work: Callable[[], Any]
    result: Callable[[], list[Array]] | None
    note: str = ""


Makers = Mapping[str, Callable[[Job], Contestant]]


@dataclass(frozen=True)
class Contest(Generic[Job]):
    """A job and those who do it.

    Attributes
    ----------
    name : str
    job, short : Job
        The work to be timed, and a few steps of it, after which all must agree.
    units, unit : int, str
        How many units of work the job is, such as 10,000 steps; times are given for one.
    makers : dict of function
        By name: makes a contestant for a job. The others must agree with the first.
    tolerances : dict of float
        By name: how far the results may differ, of the largest number.
    tolerance : float
        The same for all others.
    """

    name: str
    job: Job
    short: Job
    units: int
    unit: str
    makers: Makers[Job]
    tolerances: Mapping[str, float]
    tolerance: float


class Disagreement(Exception):
    """A contestant has come to other numbers."""


def measured(contest: Contest[Any], rounds: int) -> list[Row]:
    """A row for each contestant: seconds for a unit in every round, and how they agree.

    Raises
    ------
    Disagreement
        If a contestant comes to other numbers than the first.
    """
    print(f"  {contest.name}", file=sys.stderr, flush=True)
    rows = agreeing(contest)
    contestants = {name: make(contest.job) for name, make in contest.makers.items()}
    for contestant in contestants.values():  # compile, and warm up
        seconds(contestant)
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            taken[name].append(seconds(contestant) / contest.units)
    for row in rows:
        row["seconds"] = taken[row["contestant"]]
    return rows


def seconds(contestant: Contestant) -> float:
    """What the job takes from its start."""
    contestant.start()
    begin = perf_counter()
    contestant.work()
    return perf_counter() - begin


def agreeing(contest: Contest[Any]) -> list[Row]:
    """A row for each contestant after a few steps: how far from the first, how long at first."""
    rows: list[Row] = []
    expected: Array | None = None
    for name, make in contest.makers.items():
        contestant = make(contest.short)
        row = {"contest": contest.name, "contestant": name, "unit": contest.unit}
        rows.append(row | {"first": seconds(contestant), "note": contestant.note})
        if contestant.result is None:
            continue
        result = np.concatenate([np.ravel(array) for array in contestant.result()])
        expected = result if expected is None else expected
        difference = float(abs(result - expected).max() / abs(expected).max())
        tolerance = contest.tolerances.get(name, contest.tolerance)
        if not difference <= tolerance:
            raise Disagreement(
                f"{contest.name}: {name} differs from {next(iter(contest.makers))} by "
                f"{difference:.1e} of the largest number, where {tolerance:g} is the most"
            )
        rows[-1] |= {"difference": difference, "tolerance": tolerance}
    return rows


def ratio(slower: Row, faster: Row) -> float:
    """How many times faster, as the median over the rounds."""
    return median(a / b for a, b in zip(slower["seconds"], faster["seconds"], strict=True))
