"""Facts from a CSV file, or the number of the line that is wrong."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.arguments import Refusal
from minnet import Facts
from minnet.checks import brief, number


def read_table(path: Path, outputs: int = 1) -> Facts:
    """The rows of a CSV file as facts: numbers, of which the last columns are expected.

    The first line may name the columns; empty lines count for nothing.

    Parameters
    ----------
    path : Path
    outputs : int
        How many of the columns, from the right, are expected outputs.

    Raises
    ------
    Refusal
        If there is no such file, or a line is not one of numbers like the others; it says
        which line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Refusal(f"{path} is no text in UTF-8: see its byte {error.start}") from None
    rows: list[list[float]] = []
    lines = csv.reader(text.splitlines())
    try:
        for cells in lines:
            if not "".join(cells).strip() or (lines.line_num == 1 and _is_heading(cells)):
                continue
            rows.append([_number(cell) for cell in cells])
            if len(rows[-1]) != len(rows[0]):
                raise ValueError(f"{len(rows[-1])} numbers, where the first has {len(rows[0])}")
    except (ValueError, csv.Error) as error:
        raise Refusal(f"{path}, line {lines.line_num}: {error}") from None
    if not rows:
        raise Refusal(f"{path} has no line of numbers")
    if len(rows[0]) <= outputs:
        raise Refusal(
            f"{path} has {len(rows[0])} columns; it needs inputs, and then {outputs} of outputs"
        )
    return Facts([row[:-outputs] for row in rows], [row[-outputs:] for row in rows])


def _is_heading(cells: list[str]) -> bool:
    return not any(map(_is_number, cells))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float:
    if not _is_number(cell):
        raise ValueError(f"{brief(cell)} is no number")
    return number(float(cell), "a cell")
