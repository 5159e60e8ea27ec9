"""A network along a line of inputs, exactly: numbers a + b t that know until where they hold.

A germ is what a number is just behind a point t of the line: affine in t, with integers
times a power of two, which float64 numbers are. Whoever compares germs decides by what
holds there, and each comparison is noted by where it would come out otherwise. So a
network's own layers, run on germs, say what they compute up to the nearest such point; from
there they are run anew. Nothing has to be known about a layer but that it adds, multiplies
by numbers, and compares; one that does something else stops with a TypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.layers import Activation
from minnet.network import Network
from minnet.study.watching import Watched

Sides = dict[str, list[bool]]  # of each activation's name to which of its inputs are positive


class Line:
    """The points t from 0 to 1, and how far what was decided just behind t holds."""

    def __init__(self) -> None:
        self.t = self.end = Fraction(0)

    def begin(self, t: Fraction) -> None:
        """Be just behind t; nothing has been compared yet."""
        self.t, self.end = t, Fraction(1)

    def sign(self, germ: Germ) -> int:
        """-1, 0 or 1, as the germ is just behind t."""
        if not germ.b:
            return (germ.a > 0) - (germ.a < 0)
        here = germ.a * self.t.denominator + germ.b * self.t.numerator
        if here * germ.b < 0:  # it runs towards 0
            self.end = min(self.end, Fraction(-germ.a, germ.b))
        here = here or germ.b
        return (here > 0) - (here < 0)

    def between(self, start: float, stop: float) -> Germ:
        """start (1 - t) + stop t."""
        first = self.constant(start)
        rise = self.constant(stop) - first
        e = min(first.e, rise.e)
        return Germ(self, first.a << (first.e - e), rise.a << (rise.e - e), e)

    def constant(self, value: float) -> Germ:
        numerator, denominator = float(value).as_integer_ratio()
        return Germ(self, numerator, 0, 1 - denominator.bit_length())


class Germ:
    """(a + b t) 2^e just behind a point of a line."""

    __slots__ = ("a", "b", "e", "line")

    def __init__(self, line: Line, a: int, b: int, e: int) -> None:
        self.line, self.a, self.b, self.e = line, a, b, e

    def __add__(self, other: Any) -> Germ:
        if not isinstance(other, Germ):
            if other == 0:  # most sums begin so
                return self
            other = self.line.constant(other)
        e = min(self.e, other.e)
        mine, others = self.e - e, other.e - e
        a, b = (self.a << mine) + (other.a << others), (self.b << mine) + (other.b << others)
        return Germ(self.line, a, b, e)

    def __mul__(self, number: float) -> Germ:
        if isinstance(number, Germ):
            return NotImplemented
        factor = self.line.constant(number)
        return Germ(self.line, self.a * factor.a, self.b * factor.a, self.e + factor.e)

    def __neg__(self) -> Germ:
        return Germ(self.line, -self.a, -self.b, self.e)

    def __pos__(self) -> Germ:
        return self

    def __sub__(self, other: Any) -> Germ:
        return self + -other

    def __rsub__(self, other: Any) -> Germ:
        return -self + other

    def __abs__(self) -> Germ:
        return self if self >= 0 else -self

    def __gt__(self, other: Any) -> bool:
        return self.line.sign(self - other) > 0

    def __ge__(self, other: Any) -> bool:
        return self.line.sign(self - other) >= 0

    def __lt__(self, other: Any) -> bool:
        return self.line.sign(self - other) < 0

    def __le__(self, other: Any) -> bool:
        return self.line.sign(self - other) <= 0

    def __eq__(self, other: object) -> bool:
        return self.line.sign(self - other) == 0

    __hash__ = None  # type: ignore[assignment]  # equal now need not be equal later
    __radd__, __rmul__ = __add__, __mul__


def walk(net: Network, start: Array, stop: Array) -> Iterator[tuple[Fraction, Sides]]:
    """The pieces of the line from `start` to `stop`, (n,), on which no unit changes side.

    For each its beginning, and the sides of the units of all activations that can be reached
    exactly: those that have nothing before them but layers that germs can go through.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> for t, sides in walk(trained_xor(), np.array([0.5, 0.0]), np.array([0.0, 0.5])):
    ...     print(f"{float(t):.4f} {sides['relu']} {sides['sigmoid']}")
    0.0000 [True, False] [True]
    0.0839 [True, False] [False]
    0.5000 [False, False] [False]
    0.5001 [False, True] [False]
    0.9081 [False, True] [True]
    """
    line = Line()

    def exact(y: Array) -> Array:
        """Numbers that a layer gave without computing with germs are exact as they are."""
        lifted = [v if isinstance(v, Germ) else line.constant(v) for v in y.flat]
        return np.array(lifted, object).reshape(y.shape)

    watched = Watched(net, exact)
    while line.end < 1:
        line.begin(line.end)
        x = [line.between(a, b) for a, b in zip(start, stop, strict=True)]
        watched.passages.clear()
        with suppress(Exception):  # of a layer that does more than add, multiply and compare
            watched.net.forward(np.array(x, object))
        yield (
            line.t,
            {
                name: [germ > 0 for germ in passage.x]
                for name, passage in watched.passages.items()
                if isinstance(passage.layer, Activation)
            },
        )
