"""Every layer along a line of inputs, and exactly where its units switch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from minnet.checks import Array, floating, positive_int
from minnet.layers import Activation
from minnet.network import Network
from minnet.study.germs import walk
from minnet.study.tables import by_unit, cells, number, table
from minnet.study.watching import Watched

MOST = 10_000  # parameters of a network that is followed exactly, in Python's integers
SHOWN = 20  # switches in the text


@dataclass(frozen=True, eq=False, repr=False)
class Switch:
    """Where a unit of an activation changes side: what it is given turns positive, or stops.

    A ReLU changes its slope there, a Sigmoid passes 1/2, a Tanh 0.

    Attributes
    ----------
    layer, unit : str, int
    at : Fraction or float
        Where on the line, from 0 at its start to 1 at its stop. A Fraction is exact. A float
        is the first at which what is computed is on the other side than at the float before.
    on : bool
        Whether it is positive from there on.
    x : ndarray, shape (n,)
        The input there.
    net : int or None
        Of a crowd, which one.
    """

    layer: str
    unit: int
    at: Fraction | float
    on: bool
    x: Array
    net: int | None = None

    def __repr__(self) -> str:
        return "{} {} at {}, x = {}".format(*self.cells())

    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        net = "" if self.net is None else f"net {self.net} "
        where = f"{net}{self.layer}[{self.unit}]"
        x = ", ".join(cells(self.x))
        return where, "on" if self.on else "off", number(self.at), f"({x})"


class Sweep(dict[str, Array]):
    """Every layer's output along a line, (steps, m) or (nets, steps, m), by name.

    Attributes
    ----------
    at : ndarray, shape (steps,)
        Where on the line, from 0 to 1.
    x : ndarray, shape (steps, n)
        The inputs there.
    switches : list of Switch
        In the order of the line.
    """

    def __init__(
        self, at: Array, x: Array, outputs: dict[str, Array], switches: list[Switch]
    ) -> None:
        super().__init__(outputs)
        self.at, self.x, self.switches = at, x, switches

    def __repr__(self) -> str:
        parts = [
            by_unit({"x": self.x[i], **{name: a[..., i, :] for name, a in self.items()}}, where)
            for where, i in (("start", 0), ("stop", -1))
        ]
        rows = [list(switch.cells()) for switch in self.switches[:SHOWN]]
        if (more := len(self.switches) - SHOWN) > 0:
            rows.append([f"... {more} more"])
        parts.append(table([["switch", "", "at", "x"], *rows]) if rows else "no unit switches")
        return "\n\n".join([f"{len(self.at)} inputs", *parts])


def sweep(net: Network, start: Any, stop: Any, steps: int = 101) -> Sweep:
    """Every layer along the line from one input to another, and where units switch.

    A unit of a ReLU, LeakyReLU, Sigmoid or Tanh switches where what it is given changes
    between positive and not. Where only layers that add, multiply by numbers and compare
    come before it (Affinity, ReLU, LeakyReLU, Identity), all switches on the line are found,
    however close to each other, and exactly, by running these layers on exact numbers; in
    networks of at most 10,000 parameters. Elsewhere those are found that show between two
    of the steps, and halved down to two neighbouring floats.

    Parameters
    ----------
    net : Network
        A crowd too; its nets are then searched one after the other.
    start, stop : array_like, shape (n,)
        Integers too.
    steps : int
        How many inputs to look at, both ends among them.

    Raises
    ------
    TypeError, ValueError
        If it is no Network, or the inputs do not fit or are the same.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> found = sweep(trained_xor(), [0, 0], [1, 0], steps=11)
    >>> found["sigmoid"][[0, 5, 10], 0].round(3)
    array([0.053, 0.642, 0.983])
    >>> for switch in found.switches:
    ...     print(switch)
    relu[0] on at 1.6445e-05, x = (1.6445e-05, 0)
    sigmoid[0] on at 0.41613, x = (0.41613, 0)
    """
    watched = Watched(net)
    dtype = watched.net.dtype
    first, last = floating(start, "the start", dtype), floating(stop, "the stop", dtype)
    if first.ndim != 1 or first.shape != last.shape:
        raise ValueError(
            f"start and stop must both have shape (n,), but {first.shape} and {last.shape} came"
        )
    if (first == last).all():
        raise ValueError("start and stop are the same input")
    if positive_int(steps, "the number of steps") < 2:
        raise ValueError("a sweep takes at least 2 steps: its start and its stop")
    at = np.linspace(0, 1, steps)
    x = _between(first, last, at[:, None])
    watched.forward(x)
    outputs = {name: watched.shown(p.y) for name, p in watched.passages.items()}
    given = {
        name: watched.shown(p.x) > 0
        for name, p in watched.passages.items()
        if isinstance(p.layer, Activation)
    }
    members = [(None, net)] if net.nets is None else [(i, net.member(i)) for i in range(net.nets)]
    switches = []
    for i, member in members:
        sides = given if i is None else {name: side[i] for name, side in given.items()}
        for name, unit, where, on in _switches(member, first, last, at, sides):
            switches.append(Switch(name, unit, where, on, _between(first, last, where), i))
    return Sweep(at, x, outputs, sorted(switches, key=lambda switch: switch.at))


Found = tuple[str, int, "Fraction | float", bool]


def _switches(
    net: Network, start: Array, stop: Array, at: Array, sides: dict[str, Array]
) -> Iterator[Found]:
    """All switches: exactly where that can be done, and else by halving."""
    exact: list[str] = []
    if net.size <= MOST:
        pieces = list(walk(net, start, stop))
        exact = [name for name in sides if all(name in reached for _, reached in pieces)]
        for (_, before), (t, after) in pairwise(pieces):
            for name in exact:
                for unit, (was, on) in enumerate(zip(before[name], after[name], strict=True)):
                    if was != on:
                        yield name, unit, t, on
    watched = Watched(net)

    def is_on(t: float, name: str, unit: int) -> bool:
        watched.forward(_between(start, stop, t))
        return bool(watched.passages[name].x[unit] > 0)

    for name, side in sides.items():
        if name in exact:
            continue
        for step, unit in np.argwhere(side[1:] != side[:-1]).tolist():
            low, high = float(at[step]), float(at[step + 1])
            on = bool(side[step + 1, unit])
            while low < (middle := (low + high) / 2) < high:
                if is_on(middle, name, unit) == on:
                    high = middle
                else:
                    low = middle
            yield name, unit, high, on


def _between(start: Array, stop: Array, t: Any) -> Array:
    """The input at t, or at each of t (steps, 1): at 0 and 1 the ends themselves."""
    if isinstance(t, Fraction):  # rounded once
        ends = zip(start.tolist(), stop.tolist(), strict=True)
        return np.array([float((1 - t) * Fraction(a) + t * Fraction(b)) for a, b in ends])
    return ((1 - t) * start + t * stop).astype(start.dtype)
