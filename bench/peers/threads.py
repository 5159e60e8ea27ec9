"""A large crowd on one thread and on two, in a process that has two cores."""

from __future__ import annotations

from functools import partial

from bench.peers.crowds import STEPS, Job, contest, ours
from bench.peers.harness import Row, measured


def rows(quick: bool) -> list[Row]:
    job = Job(100_000, 2, "sigmoid", "float64", STEPS[100_000])
    makers = {
        f"minnet, {engine}, {threads} thread{'s'[: threads - 1]}": partial(
            ours, engine=engine, threads=threads
        )
        for engine in ("arrays", "numba")
        for threads in (1, 2)
    }
    name = "2-2-1 sigmoid float64, 100,000 nets, two cores"
    return measured(contest(name, job, makers, quick), 3 if quick else 11)
