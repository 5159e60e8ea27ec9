"""Compares what mutmut's faults survived with equivalent.py: `python tests/mutants/survivors.py`.

Every survivor must be explained there, and every explanation must have its survivor. If so,
docs/mutants.md gets the score.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections import Counter

from equivalent import EQUIVALENT, Change
from report import BY_TOOL, write_section

DEAD = ("killed", "timeout", "segfault")


def mutmut(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def change(mutant: str) -> Change:
    """What a mutant changes, from its name such as minnet.layers.xǁReLUǁdfdx__mutmut_1."""
    module, _, function = mutant.partition("__mutmut_")[0].rpartition(".x")
    where = f"{module}.{function.lstrip('ǁ_').replace('ǁ', '.')}"
    lines = [line for line in mutmut("show", mutant) if not line.startswith(("---", "+++"))]
    old, new = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return Change(where, old, new)


def main() -> int:
    """Compare and report; the exit status is 0 where both agree."""
    statuses = dict(line.strip().rsplit(": ", 1) for line in mutmut("results", "--all", "true"))
    counts = Counter(statuses.values())
    if counts["not checked"] or not statuses:
        print("First run it to its end: mutmut run")
        return 1
    alive = {change(name) for name, status in statuses.items() if status not in DEAD}
    explained = {c: why for why, changes in EQUIVALENT.items() for c in changes}
    for where, old, new in sorted(alive - explained.keys()):
        print(f"LIVES, in {where}:\n- {old}\n+ {new}")
    for where, old, new in sorted(explained.keys() - alive):
        print(f"Explained in equivalent.py, but dead or gone, in {where}:\n- {old}\n+ {new}")
    killed = sum(counts[status] for status in DEAD)
    print(f"{killed} of {len(statuses)} die, {len(alive)} live, {len(explained)} are explained")
    if alive != explained.keys():
        return 1
    text = [
        f"**{killed} of {len(statuses)} die, and the other {len(alive)} change nothing**",
        f"(`make mutants`, {datetime.date.today():%d %B %Y}). mutmut 3.8.1 changes every operator,",
        "number, string and argument in the layers, losses, optimizers and the network. Those",
        "that live are listed in [tests/mutants/equivalent.py](../tests/mutants/equivalent.py);",
        "`make mutants` fails when one lives that is not. They are",
        "",
        *(f"- {why} ({len(changes)});" for why, changes in EQUIVALENT.items()),
    ]
    write_section(BY_TOOL, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
