"""Measure minnet and its peers: `python -m bench.peers [--quick] [FAMILY ...]`.

Each family of jobs runs in a process of its own, on so many cores of the machine. A run of
all of them, without --quick, is written to bench/peers/results.json and docs/peers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.peers.harness import Row
from bench.peers.report import DOCUMENT, RESULTS, report

# modules, and how many cores and threads each has
FAMILIES = {
    "small_nets": (1, 1),
    "crowds": (1, 1),
    "threads": (2, 1),
    "larger_nets": (1, 1),
    "larger_nets_two": (2, 2),
    "checkpoints": (1, 1),
    "imports": (1, 1),
}
PACKAGES = ["numpy", "numba", "torch", "jax", "scikit-learn", "thinc", "micrograd", "dill"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("families", metavar="FAMILY", nargs="*", help=", ".join(FAMILIES))
    parser.add_argument("--quick", action="store_true", help="few rounds of little work")
    arguments = parser.parse_args()
    for unknown in set(arguments.families) - set(FAMILIES):
        parser.error(f"there is no family {unknown!r}; there are {', '.join(FAMILIES)}")
    results: dict[str, Any] = {
        "command": " ".join(["python -m bench.peers", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": machine(),
        "rows": [],
    }
    for family in arguments.families or FAMILIES:
        print(family, file=sys.stderr)
        rows = measured_apart(family, arguments.quick)
        if rows is None:
            return 1
        results["rows"] += rows
    text = report(results)
    if arguments.families or arguments.quick:
        print(text)
        return 0
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    DOCUMENT.write_text(text)
    print(f"written: {RESULTS}, {DOCUMENT}")
    return 0


def measured_apart(family: str, quick: bool) -> list[Row] | None:
    """The rows of a family, from a process on its cores; None if that failed, and said why."""
    cores, threads = FAMILIES[family]
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < cores:
        print(f"{family} needs {cores} cores, but there are {len(allowed)}", file=sys.stderr)
        return None
    command = [sys.executable, "-m", "bench.peers.family", family, *["--quick"] * quick]
    os.sched_setaffinity(0, allowed[-cores:])  # the process that is started inherits it
    try:
        done = subprocess.run(command, env=environment(threads), stdout=subprocess.PIPE, text=True)
    finally:
        os.sched_setaffinity(0, allowed)
    rows: list[Row] | None = None if done.returncode else json.loads(done.stdout)
    return rows


def environment(threads: int) -> dict[str, str]:
    """So many threads for every library, and float64 for JAX where it is asked for."""
    libraries = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA")
    return {
        **os.environ,
        **{f"{library}_NUM_THREADS": str(threads) for library in libraries},
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
    }


def machine() -> dict[str, Any]:
    """What it is measured on, and with."""
    cpu = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (cpu.read_text().splitlines() if cpu.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load at the start": f"{os.getloadavg()[0]:.1f} processes",
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    sys.exit(main())
