"""docs/mutants.md: the scores, and which test kills which fault."""

from __future__ import annotations

import datetime
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path

from faults import Fault

FILE = Path(__file__).parents[2] / "docs" / "mutants.md"
BY_HAND, BY_TOOL = "Faults planted by hand", "Faults planted by a tool"
SUITES = {"LayerProperties": "layer", "LossProperties": "loss"}
_LAYER_FILES = [f"minnet/{name}.py" for name in ("layers", "parameters", "elementwise", "network")]
PLACES = {  # the files of their faults, and the classes of tests that have their properties
    "layer": (_LAYER_FILES, ["TestLayers", "TestRandomNetworks"]),
    "loss": (["minnet/losses.py"], ["TestLosses"]),
}


def known_killers() -> dict[str, str]:
    """The test that the document names for each fault."""
    rows = [line.split(" | ") for line in FILE.read_text().splitlines()] if FILE.exists() else []
    return {
        row[0].removeprefix("| ").replace("\\|", "|"): row[-1].strip("`| ")
        for row in rows
        if "::" in row[-1]
    }


def write_faults(killers: dict[Fault, list[str]]) -> None:
    """The section of the faults planted by hand, from the tests that kill each."""
    sys.path[:0] = [str(FILE.parents[1]), str(FILE.parents[1] / "tests")]
    import properties  # only now: a process forked before must not have imported minnet

    dead = sum(map(bool, killers.values()))
    text = [
        f"**{dead} of {len(killers)} die** (`make faults`, {datetime.date.today():%d %B %Y}).",
        "Each is in [tests/mutants/faults.py](../tests/mutants/faults.py): its name, the file, the",
        "right text and the wrong one.",
    ]
    for suite, what in SUITES.items():
        text += ["", *_properties(getattr(properties, suite), what, killers)]
    text += ["", "### Every fault, and a test that it fails", "", *_row("fault", "file", "test")]
    text += ["| --- | --- | --- |"]
    for fault, failed in killers.items():
        text += _row(
            fault.name.replace("|", "\\|"), fault.file, f"`{failed[0]}`" if failed else "**lives**"
        )
    write_section(BY_HAND, text)


def _properties(suite: type, what: str, killers: dict[Fault, list[str]]) -> list[str]:
    """Two tables: what each property kills and kills alone, and fault by fault."""
    says = {
        name.removeprefix("test_"): (inspect.getdoc(value) or "").splitlines()[0]
        for name, value in vars(suite).items()
        if name.startswith("test_")
    }
    files, classes = PLACES[what]
    killed = {
        fault.name: {test.rpartition("::test_")[2] for test in failed
                     if any(f"::{name}::" in test for name in classes)}
        for fault, failed in killers.items() if fault.file in files
    }  # fmt: skip
    killed = {fault: names for fault, names in killed.items() if names}
    lines = [f"### The properties of a {what}", ""]
    lines += _row("property", "what it says", "kills", "of them alone")
    lines += ["| --- | --- | --- | --- |"]
    for name, sentence in says.items():
        alone = [fault for fault, names in killed.items() if names == {name}]
        count = sum(name in names for names in killed.values())
        lines += _row(name, sentence.replace("|", "\\|"), count, "; ".join(alone))
    lines += ["", *_row(f"fault of a {what}", *says)]
    lines += ["| --- |" + " :-: |" * len(says)]
    for fault, names in killed.items():
        lines += _row(fault.replace("|", "\\|"), *("x" if name in names else "" for name in says))
    return lines


def _row(*cells: object) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |"]


def write_section(title: str, lines: Iterable[str]) -> None:
    """Put these lines under that heading, in place of what stands there."""
    before, heading, rest = FILE.read_text().partition(f"## {title}\n")
    if not heading:
        raise SystemExit(f"{FILE.name} has no section '{title}'")
    _, following, after = rest.partition("\n## ")
    FILE.write_text(before + heading + "\n" + "\n".join(lines) + "\n" + following + after)
