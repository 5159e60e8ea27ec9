"""The same in a process whose libraries may use two threads."""

from __future__ import annotations

from bench.peers import larger_nets
from bench.peers.harness import Row


def rows(quick: bool) -> list[Row]:
    return larger_nets.rows(quick, "two threads")
