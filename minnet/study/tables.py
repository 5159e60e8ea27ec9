"""Numbers by layer as a table: a row for each fact at each layer, a column for each unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from minnet.checks import Array

UNITS = 8  # columns, beyond which they are only counted
FACTS = 8  # rows of one layer


def number(value: Any) -> str:
    """Five digits.

    >>> number(2 / 3), number(-0.0)
    ('0.66667', '0')
    """
    return f"{float(value) + 0.0:.5g}"  # + 0.0 makes -0 a plain 0


def table(rows: Iterable[Sequence[str]]) -> str:
    """Cells in columns, the first to the left and the others to the right.

    >>> print(table([["unit", "sum"], ["fc1", "-1"]]))
    unit  sum
    fc1    -1
    """
    kept = [tuple(row) for row in rows]
    columns = range(max(map(len, kept), default=0))
    wide = [max((len(row[i]) for row in kept if i < len(row)), default=0) for i in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, wide, strict=False))
        ).rstrip()
        for row in kept
    )


def by_unit(arrays: Mapping[str, Array], what: str = "layer") -> str:
    """Arrays (..., units) by name.

    >>> print(by_unit({"fc1": np.array([2.5, -1]), "fc2": np.zeros((2, 1))}))
    layer   [0]  [1]
    fc1     2.5   -1
    fc2[0]    0
    fc2[1]    0
    """
    most = max((np.shape(a)[-1] for a in arrays.values()), default=0)
    head = [what, *(f"[{i}]" for i in range(min(most, UNITS)))]
    return table([head, *(row for name, array in arrays.items() for row in _rows(name, array))])


def _rows(name: str, array: Array) -> Iterator[list[str]]:
    facts = array.shape[:-1]
    for index in islice(np.ndindex(*facts), FACTS):
        where = f"{name}[{','.join(map(str, index))}]" if index else name
        yield [where, *cells(array[index])]
    if (more := int(np.prod(facts)) - FACTS) > 0:
        yield [f"... {more} more"]


def cells(values: Array) -> list[str]:
    """The numbers of one row; of more than UNITS the first ones."""
    more = len(values) - UNITS
    return [*map(number, values[:UNITS]), *([f"... {more} more"] if more > 0 else [])]


def matrix(name: str, products: Array, b: Array | None = None) -> str:
    """Products (m, n), what is added to each row (m,), and the sums.

    >>> print(matrix("fc", np.array([[1, 2.5]]), np.array([0.5])))
    fc   x[0]  x[1]    b  sum
    [0]     1   2.5  0.5    4
    """
    n = products.shape[1]
    head = [name, *(f"x[{j}]" for j in range(min(n, UNITS))), *(["..."] if n > UNITS else [])]
    sums = products.sum(axis=1) + (0 if b is None else b)
    rows = [
        [f"[{i}]", *cells(row), *([] if b is None else [number(b[i])]), number(sums[i])]
        for i, row in enumerate(products[:FACTS])
    ]
    if (more := len(products) - FACTS) > 0:
        rows.append([f"... {more} more"])
    return table([[*head, *([] if b is None else ["b"]), "sum"], *rows])
