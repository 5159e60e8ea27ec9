"""The inequalities that put a network into a circuit, and the linear programme that solves them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.study.parts import FACTS
from minnet.study.units import Unit

NONE = 1e-6  # of a margin: none is that small but 0, they are simple fractions


@dataclass(frozen=True)
class Inequality:
    """What the weights of a circuit must fulfil at one fact: of one unit, or of the output.

    Attributes
    ----------
    fact : (int, int)
    unit : int or None
        None for the output.
    coefficients : tuple of int
        Of w00, w01, b0, w10, w11, b1, ..., c: w10 is unit 1's weight of input 0.
    relation : str
        ">", "<" or, for a unit that is off, "<=".
    """

    fact: tuple[int, int]
    unit: int | None
    coefficients: tuple[int, ...]
    relation: str

    @property
    def bound(self) -> Fraction:
        """The right side: 0 for a unit, 1/2 for the output."""
        return Fraction(self.unit is None, 2)

    @property
    def what(self) -> str:
        """What it says, in words."""
        if self.unit is None:
            return f"{self.fact} is answered {'true' if self.relation == '>' else 'false'}"
        return f"unit {self.unit} is {'on' if self.relation == '>' else 'off'} at {self.fact}"

    @property
    def latex(self) -> str:
        """The inequality as LaTeX."""
        names = [rf"{name[0]}_{{{name[1:]}}}" if name[1:] else name for name in self._names()]
        relation = self.relation.replace("<=", r"\leq")
        return f"{self._sum(names)} {relation} {self.bound}"

    def __str__(self) -> str:
        return f"{self._sum(self._names())} {self.relation} {self.bound}"

    def _names(self) -> list[str]:
        units = range(len(self.coefficients) // 3)
        return [name for i in units for name in (f"w{i}0", f"w{i}1", f"b{i}")] + ["c"]

    def _sum(self, names: list[str]) -> str:
        terms = [(a, name) for a, name in zip(self.coefficients, names, strict=True) if a]
        terms = terms[-1:] + terms[:-1] if self.unit is None else terms  # c comes first
        text = "".join(f" {'-' if a < 0 else '+'} {name}" for a, name in terms)
        return text.removeprefix(" + ")


def inequalities(table: int, units: tuple[Unit, ...]) -> Iterator[Inequality]:
    """Those of each unit that has a sign, fact by fact, and then those of the output."""
    sides = [(*fact, 1) for fact in FACTS]
    for i, (pattern, sign) in enumerate(units):
        for fact, side, on in zip(FACTS, sides, pattern, strict=True):
            row = (0,) * (3 * i) + side + (0,) * (3 * (len(units) - i - 1) + 1)
            if sign:
                yield Inequality(fact, i, row, ">" if on == "1" else "<=")
    for f, (fact, side) in enumerate(zip(FACTS, sides, strict=True)):
        terms = [sign * (pattern[f] == "1") * a for pattern, sign in units for a in side]
        yield Inequality(fact, None, (*terms, 1), ">" if table >> (3 - f) & 1 else "<")


@cache
def solve(
    table: int, units: tuple[Unit, ...]
) -> tuple[Fraction, list[list[Fraction]], Fraction] | None:
    """The margin, z of each unit at each fact, and c - 1/2, of the best weights.

    In z and c - 1/2 the inequalities are homogeneous. Of the weights whose largest distance
    from a kink or the threshold is at most 1, those are best whose smallest one is largest.
    """
    _, inside, result = _programme(table, units)
    if result.x[-1] < NONE:
        return None
    best = [Fraction(w / (2 * result.x[-1])).limit_denominator(1000) for w in result.x[:-1]]
    distances = [_product(row, best) for row in inside.tolist()]
    values = [
        [_product((*fact, 1), best[i : i + 3]) for fact in FACTS]
        for i in range(0, len(best) - 1, 3)
    ]
    return min(distances) / max(distances), values, best[-1]


def contradiction(table: int, units: tuple[Unit, ...]) -> list[tuple[int, Inequality]]:
    """How often to take which inequalities, so that they add up to 0 > 0; none where solvable."""
    rows, _, result = _programme(table, units)
    if result.x[-1] >= NONE:
        return []
    shares = [Fraction(-y).limit_denominator(1000) for y in result.ineqlin.marginals[: len(rows)]]
    times = math.lcm(*(share.denominator for share in shares))
    return [(int(y * times), row) for y, row in zip(shares, rows, strict=True) if y]


def _programme(table: int, units: tuple[Unit, ...]) -> tuple[list[Inequality], Array, Any]:
    """The inequalities, their rows as "> 0" in w, b and c - 1/2, and what the solver says."""
    from scipy.optimize import linprog

    rows = list(inequalities(table, units))
    A = np.array([row.coefficients for row in rows])
    inside = np.array([1 if row.relation == ">" else -1 for row in rows])[:, None] * A
    free, none = (None, None), (0, 0)
    result = linprog(
        [0] * A.shape[1] + [-1],
        A_ub=np.block([[-inside, np.ones((len(rows), 1))], [inside, np.zeros((len(rows), 1))]]),
        b_ub=np.repeat([0, 1], len(rows)),
        bounds=[free if sign else none for _, sign in units for _ in range(3)] + [free, (0, 1)],
    )
    return rows, inside, result


def _product(row: Iterable[int], values: Iterable[Fraction]) -> Fraction:
    return sum((a * value for a, value in zip(row, values, strict=True)), Fraction(0))
