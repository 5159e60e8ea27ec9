"""Plants the faults one by one and runs the tests on each: `python tests/mutants`.

Every fault must die. The test that docs/mutants.md names for a fault runs first, then the
tests of what it is in, then all. With --matrix every property of a layer or loss runs on every
fault of theirs, and docs/mutants.md is written: which kills which, and which alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

# imported once, here, and not again by the process that each fault gets
import autograd  # noqa: F401
import hypothesis.extra.numpy
import hypothesis.stateful  # noqa: F401
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import report
from faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
TESTS = [
    *("layers", "losses", "optimizers", "networks", "learning", "structure", "nnbench"),
    *("unroll", "maps", "own_layer", "facts", "initializers", "notebooks", "bad_input", "words"),
    *("check_gradients", "state_machine"),
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
    "minnet/gradients.py": "check_gradients",
    "minnet/derivatives.py": "check_gradients",
    "minnet/diagnosis.py": "check_gradients",
    "bench/nnbench.py": "nnbench",
    "bench/history.py": "nnbench",
}
# the suite of properties of what a fault is in, and its cases where no class names them
SUITES = {
    "minnet/layers.py": ("test_layers.py::TestLayers", ""),
    "minnet/parameters.py": ("test_layers.py::TestLayers", "Affinity or Scale"),
    "minnet/elementwise.py": ("test_layers.py::TestLayers", "Map"),
    "minnet/network.py": ("test_networks.py::TestRandomNetworks", ""),
    "minnet/losses.py": ("test_losses.py::TestLosses", ""),
}
OPTIONS = [
    *("-q", "-p", "no:cacheprovider", "--tb=no", "--hypothesis-profile=mutants"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-k", "not of_your_own"),  # processes of their own, which only test the suite
]
WORK, WAIT = 30, 600  # seconds that a test may work, or wait; the longest works for two


class Endless(BaseException):
    """A test ran on. No Exception, which a property would take for a failing example."""


def _limit(work: int = WORK, wait: int = WAIT) -> None:
    signal.setitimer(signal.ITIMER_PROF, work)
    signal.alarm(wait)


def _too_long(*_: Any) -> None:
    raise Endless


class Watch:
    """A pytest plugin that notes the functions of the tests that fail, or run on."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        _limit()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid.partition("[")[0].removeprefix("tests/"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid.removeprefix("tests/"))

    def run(self, tests: list[str], *options: str) -> None:
        """Run these tests of the folder that we are in."""
        _limit()
        try:
            status = pytest.main([*OPTIONS, *options, *(f"tests/{t}" for t in tests)], [self])
        except Endless:
            self.failed.append("(the tests ran on without end)")
        else:
            gone = "::" in tests[0] and status in (
                pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED
            )  # fmt: skip
            if status not in (0, 1) and not gone and not self.failed:
                self.failed.append(f"(pytest ended with {int(status)})")
        _limit(0, 0)


@contextmanager
def planted(fault: Fault | None) -> Iterator[Path]:
    """A copy of the project with the fault in it; all else in it is links."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        changed = ROOT / (fault.file if fault else "nothing")
        for part in ("minnet", "bench", "tests", "docs", "setup.cfg"):
            _link(ROOT / part, copy / part, changed)
        if fault is not None:
            file = copy / fault.file
            file.write_text(changed.read_text().replace(fault.old, fault.new))
            os.utime(file, (0, 0))  # no byte code belongs to it
        yield copy


def _link(source: Path, copy: Path, changed: Path) -> None:
    if source in changed.parents:
        copy.mkdir()
        for entry in source.iterdir():
            _link(entry, copy / entry.name, changed)
    elif source != changed:
        copy.symlink_to(source)


def killers(job: tuple[Fault | None, str | None, bool]) -> list[str]:
    """The tests that fail with this fault, in a process of its own; the first, or all."""
    fault, known, all_of_them = job
    watch = Watch()
    files = [f"test_{name}.py" for name in TESTS]
    first = f"test_{FIRST.get(fault.file, 'unroll')}.py" if fault else files[0]
    with planted(fault) as copy, open(os.devnull, "w") as silence:
        os.chdir(copy)
        os.dup2(silence.fileno(), 1)
        os.dup2(silence.fileno(), 2)
        sys.path[:0] = [str(copy), str(copy / "tests")]
        sys.dont_write_bytecode = True
        signal.signal(signal.SIGALRM, _too_long)
        signal.signal(signal.SIGPROF, _too_long)
        if fault and all_of_them and fault.file in SUITES:
            suite, cases = SUITES[fault.file]
            watch.run([suite], "-k", _class_of(fault) or cases)
        rounds = [[known] if known else [], [first], [file for file in files if file != first]]
        for tests in rounds:
            if tests and not watch.failed:
                watch.run(tests, "-x")
        os.chdir(ROOT)
    return watch.failed


def _class_of(fault: Fault) -> str | None:
    """The name of the class that it is planted in."""
    before, _, _ = (ROOT / fault.file).read_text().partition(fault.old)
    return next(iter(re.findall(r"^class (\w+)", before, re.M)[::-1]), None)


def misplaced(faults: list[Fault]) -> list[str]:
    """The faults whose old text is gone, or there more than once."""
    counts = {fault: (ROOT / fault.file).read_text().count(fault.old) for fault in faults}
    return [
        f"{fault.name}: {fault.file} must hold this once, not {count} times:\n{fault.old}"
        for fault, count in counts.items()
        if count != 1
    ]


def main() -> int:
    """Plant, run, report; the exit status is 0 where all faults died."""
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only the faults whose names hold one of these")
    parser.add_argument("--matrix", action="store_true", help="all properties on their faults")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    arguments = parser.parse_args()
    start = time.monotonic()
    chosen = [f for f in FAULTS if not arguments.names or any(n in f.name for n in arguments.names)]
    if complaints := misplaced(chosen):
        print("\n".join(complaints))
        return 1
    known = report.known_killers()
    jobs: list[tuple[Fault | None, str | None, bool]]
    jobs = [(fault, known.get(fault.name), arguments.matrix) for fault in chosen]
    if not arguments.names:
        jobs.insert(0, (None, None, False))
    results: dict[Fault, list[str]] = {}
    context = multiprocessing.get_context("fork")
    with context.Pool(arguments.jobs, maxtasksperchild=1) as pool:
        for (fault, *_), failed in zip(jobs, pool.imap(killers, jobs, chunksize=1), strict=True):
            if fault is not None:
                results[fault] = failed
                print(f"{fault.name:52} {failed[0] if failed else 'LIVES'}", flush=True)
            elif failed:
                print(f"Without any fault there fails: {', '.join(failed)}")
                return 1
    dead = sum(map(bool, results.values()))
    if arguments.matrix and not arguments.names:
        report.write_faults(results)
    print(f"{dead} of {len(results)} faults died, in {time.monotonic() - start:.0f} s")
    return 0 if dead == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
