"""Plants the faults one by one and runs the tests on each: `python tests/mutants`.

Every fault must die. With --matrix all tests run on every fault, and a table of which
test kills which fault is written to docs/mutants.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# imported once, here, and not again by the process that each fault gets
import autograd  # noqa: F401
import hypothesis.extra.numpy
import hypothesis.stateful  # noqa: F401
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
TESTS = [
    *("layers", "losses", "optimizers", "networks", "learning", "structure", "nnbench"),
    *("unroll", "maps", "own_layer", "facts", "initializers", "notebooks", "bad_input"),
]
# where to look first
FIRST = {
    "minnet/layers.py": "layers",
    "minnet/losses.py": "losses",
    "minnet/optimizers.py": "optimizers",
    "minnet/network.py": "networks",
    "minnet/learning.py": "learning",
    "minnet/structure.py": "structure",
    "minnet/parameters.py": "structure",
    "minnet/snapshots.py": "nnbench",
    "minnet/elementwise.py": "maps",
    "minnet/facts.py": "facts",
    "minnet/initializers.py": "initializers",
    "bench/nnbench.py": "nnbench",
}
TIMEOUT = 200  # seconds: a fault that makes the tests run on without end has been noticed


class Failures:
    """A pytest plugin that notes the functions of the tests that failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid.partition("[")[0].removeprefix("tests/"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.names.append(report.nodeid.removeprefix("tests/"))


@contextmanager
def planted(fault: Fault | None) -> Iterator[Path]:
    """A copy of the project with the fault in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("minnet", "bench", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "setup.cfg", copy)
        if fault is not None:
            file = copy / fault.file
            text = file.read_text()
            if text.count(fault.old) != 1:
                raise SystemExit(f"{fault.name}: {fault.file} must hold {fault.old!r} once")
            file.write_text(text.replace(fault.old, fault.new))
        yield copy


def killers(job: tuple[Fault | None, bool]) -> list[str]:
    """The tests that fail with this fault, in a process of its own; the first, or all."""
    fault, all_of_them = job
    failures = Failures()
    options = ["-q", "-p", "no:cacheprovider", "--tb=no", "--hypothesis-profile=mutants",
               "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
    first = FIRST.get(fault.file, "unroll") if fault else TESTS[0]
    rounds = [[first], [name for name in TESTS if name != first]]
    if all_of_them:
        rounds, options = [TESTS], [*options]
    else:
        options.append("-x")
    with planted(fault) as copy, open(os.devnull, "w") as silence:
        os.chdir(copy)
        os.dup2(silence.fileno(), 1)
        os.dup2(silence.fileno(), 2)
        sys.path[:0] = [str(copy), str(copy / "tests")]
        sys.dont_write_bytecode = True
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(TIMEOUT)
        try:
            for names in rounds:
                files = [f"tests/test_{name}.py" for name in names]
                status = pytest.main([*options, *files], plugins=[failures])
                if status not in (0, 1) and not failures.names:
                    failures.names.append(f"(pytest ended with {int(status)})")
                if failures.names:
                    break
        except TimeoutError:
            failures.names.append("(the tests ran on without end)")
        signal.alarm(0)
        os.chdir(ROOT)
    return failures.names


def _too_long(*_: Any) -> None:
    raise TimeoutError


def main() -> int:
    """Plant, run, report; the exit status is 0 where all faults died."""
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only the faults whose names hold one of these")
    parser.add_argument("--matrix", action="store_true", help="find all tests that kill each fault")
    arguments = parser.parse_args()
    start = time.monotonic()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    chosen = [f for f in FAULTS if not arguments.names or any(n in f.name for n in arguments.names)]
    jobs: list[tuple[Fault | None, bool]] = [(None, False)] if not arguments.names else []
    jobs += [(fault, arguments.matrix) for fault in chosen]
    results: dict[Fault, list[str]] = {}
    context = multiprocessing.get_context("fork")
    with context.Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for (fault, _), failed in zip(jobs, pool.imap(killers, jobs, chunksize=1), strict=True):
            if fault is None:
                if failed:
                    print(f"Without any fault there fails: {', '.join(failed)}")
                    return 1
                continue
            results[fault] = failed
            print(f"{fault.name:45} {failed[0] if failed else 'LIVES'}", flush=True)
    alive = sum(not failed for failed in results.values())
    if arguments.matrix:
        write_matrix(results)
    took = time.monotonic() - start
    print(f"{len(results) - alive} of {len(results)} faults died, in {took:.0f} s")
    return 1 if alive else 0


def write_matrix(results: dict[Fault, list[str]]) -> None:
    """docs/mutants.md: by test, how many faults it kills, and those that only it does."""
    by_test: dict[str, set[str]] = {}
    for fault, failed in results.items():
        for name in failed:
            by_test.setdefault(name, set()).add(fault.name)
    lines = [
        "# Which test kills which fault?",
        "",
        f"{len(results)} faults are planted by hand in minnet and bench, one at a time, and all",
        "tests of the core run on each. Made by `python tests/mutants --matrix`.",
        "",
        "| test | kills | alone |",
        "| --- | --- | --- |",
    ]
    for name, killed in sorted(by_test.items(), key=lambda item: -len(item[1])):
        alone = [f for f in killed if sum(f in other for other in by_test.values()) == 1]
        lines.append(f"| {name} | {len(killed)} | {', '.join(sorted(alone))} |")
    lines += ["", "| fault | tests that kill it | of these |", "| --- | --- | --- |"]
    for fault, failed in results.items():
        names = sorted(set(failed))
        lines.append(f"| {fault.name} | {len(names)} | {', '.join(names[:3])} |")
    (ROOT / "docs" / "mutants.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
