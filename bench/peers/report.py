"""From results to the page docs/peers.md: `python -m bench.peers.report` writes it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers.harness import Row, ratio

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
LIMITS = HERE / "limits.md"  # why figures are not reached, in words
DOCUMENT = HERE.parents[1] / "docs" / "peers.md"

HEAD = """# How fast is minnet, beside other libraries?

Written by `{command}` on {date}.

{machine}

All contestants of a job do the same work, from the same start, in one process, and take turns:
first each one once to warm up, then round after round. Before that each takes a few steps, after
which all must have come to the same numbers: to 1e-12 of the largest in float64, 1e-5 in float32.
All run on one core unless two threads are named. Times are medians over the rounds, with the
least and the most; ratios are medians of the ratios within a round. "At first" is what those first
few steps took, with everything that is compiled or planned for them. In brackets is the engine
that ran ours.
"""


@dataclass(frozen=True)
class Figure:
    """How many times as fast as a peer one of ours should be at a job."""

    contest: str
    ours: str
    peer: str
    least: float


def _figures() -> Iterator[Figure]:
    calls, facts, batch = ": a call per fact", ": facts one at a time", ": full batches"
    net = "2-2-1 sigmoid"
    yield Figure(net + calls, "minnet", "PyTorch nn", 25)
    yield Figure(net + calls, "minnet", "JAX jitted step", 3)
    yield Figure(net + facts, "minnet", "PyTorch nn", 200)
    yield Figure(net + facts, "minnet, numba", "JAX compiled loop", 1 / 1.5)
    yield Figure(net + batch, "minnet", "PyTorch nn", 50)
    yield Figure(net + batch, "minnet, numba", "JAX compiled loop", 1 / 1.2)
    for net in ("3-5-4-2 tanh, Adam", "2-2-1 sigmoid, momentum"):
        for way in (calls, facts, batch):
            yield Figure(net + way, "minnet", "PyTorch nn", 8)
    jax, arrays, numba = "JAX vmap and scan", "minnet, arrays", "minnet, numba"
    for nets, least in ((1000, 1.5), (10_000, 2), (100_000, 2)):
        crowd = f"2-2-1 sigmoid float64, {nets:,} nets"
        yield Figure(crowd, arrays, jax, least)
        yield Figure(crowd, arrays, "torch.func.vmap", 8)
    crowd = "2-2-1 sigmoid float64, 100,000 nets, two cores"
    yield Figure(crowd, "minnet, arrays, 2 threads", "minnet, arrays, 1 thread", 1.5)
    wide = [
        f"2-{width}-1 {activation} float32, 10,000 nets"
        for activation in ("relu", "sigmoid")
        for width in (2, 4, 20)
    ]
    for crowd in wide:
        yield Figure(crowd, arrays, jax, 2)
    for crowd in (
        *(f"2-2-1 sigmoid float64, {n} nets" for n in ("1,000", "10,000", "100,000")),
        *wide,
    ):
        yield Figure(crowd, numba, arrays, 1.8)
    yield Figure("2-2-1 sigmoid float64, 100 nets", numba, jax, 1)
    for threads, least in (("one thread", 0.85), ("two threads", 0.72)):
        for widths in ("784-128-10", "784-512-512-10"):
            mlp = f"{widths} float32, batches of 128, {threads}"
            yield Figure(mlp, "minnet", "PyTorch eager", 1.15)
            yield Figure(mlp, "minnet", "JAX jitted step", 0.92)
            yield Figure(mlp, "minnet", "bare matrix products", least)
    for way in ("checkpoint", "rollback"):
        yield Figure(f"784-512-512-10 float32: {way}", "minnet NNBench", "dill", 50)


FIGURES = tuple(_figures())
IMPORT, IMPORT_MOST = "import, beyond NumPy's", 0.015  # seconds


def report(results: dict[str, Any]) -> str:
    """The page: the figures asked for and reached, then all times."""
    machine = "\n".join(f"- {key}: {value}" for key, value in results["machine"].items())
    parts = [HEAD.format(**{**results, "machine": machine})]
    rows = {(row["contest"], row["contestant"]): row for row in results["rows"]}
    parts += ["## Figures asked for, and reached\n", figures(rows)]
    if LIMITS.exists():
        parts.append(LIMITS.read_text())
    parts.append("## All times\n")
    for name, group in groupby(results["rows"], key=lambda row: row["contest"]):
        parts.append(times(name, list(group)))
    return "\n".join(parts)


def figures(rows: dict[tuple[str, str], Row]) -> str:
    """A line for each figure whose contest was held: how many times as fast."""
    lines = [
        "| job | who | as fast as | times, at least | reached | |",
        "|---|---|---|---|---|---|",
    ]
    for figure in FIGURES:
        ours, peer = (rows.get((figure.contest, name)) for name in (figure.ours, figure.peer))
        if ours and peer:
            reached = ratio(peer, ours)
            cells = [
                figure.contest,
                figure.ours,
                figure.peer,
                _short(figure.least),
                _short(reached),
            ]
            lines.append(_line(*cells, "yes" if reached >= figure.least else "no"))
    if own := rows.get((IMPORT, "minnet")):
        took = median(own["seconds"])
        verdict = "yes" if took < IMPORT_MOST else "no"
        lines.append(
            _line(IMPORT, "minnet", "", f"under {_time(IMPORT_MOST)}", _time(took), verdict)
        )
    return "\n".join(lines) + "\n"


def times(name: str, rows: list[Row]) -> str:
    """All contestants of a job; the first is the one that the ratios are to."""
    first = rows[0]
    unit = first["unit"]
    lines = [
        f"### {name}\n",
        f"| | per {unit} | least | most | times {first['contestant']}'s | at first |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        taken = row["seconds"]
        spread = [_time(median(taken)), _time(min(taken)), _time(max(taken))]
        name = f"{row['contestant']} ({row['note']})" if row.get("note") else row["contestant"]
        lines.append(_line(name, *spread, _short(ratio(row, first)), _time(row["first"])))
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    """To three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds / 1e-9)} ns"


if __name__ == "__main__":
    DOCUMENT.write_text(report(json.loads(RESULTS.read_text())))
