"""From a wrong gradient to plain words: transposed, a factor off, another array's, ...

A gradient is compared with dy J at several points and for several dy. Errors are relative
to the largest entry expected, so that 0 does not pass as the derivative of 1e-6 x^2. What
explains every wrong comparison is what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.derivatives import ESTIMATED, EXACT, LEAST, Jacobian, close, largest


class Comparison:
    """One array's gradient at one place and for one dy, beside dy J along each direction.

    `computed` is what came and `expected` what should have, `first` what the first fact
    alone should give; of an array too large for all its entries to be tried, these are
    steps along the directions tried. The worst entry has that `index`, `error` and `pair`
    of numbers, computed and expected; `clear` says whether rounding and kinks are far below
    it. In the `alive` directions tried something other than zero is expected.
    """

    def __init__(self, place: str, dy: Array, gradient: Any, truth: Jacobian) -> None:
        self.place, self.dy, self.gradient, self.shape = place, dy, gradient, truth.shape
        self.index: tuple[int, ...] | None = None
        self.pair = np.nan, np.nan
        g = np.ravel(dy)
        expected = truth.slopes @ g
        doubt = LEAST + np.where(g != 0, truth.uncertainty, 0) @ np.abs(g)
        scale = float((np.abs(truth.slopes) @ np.abs(g)).max())
        tolerance = EXACT if truth.exact else ESTIMATED
        kinks = (truth.kinks & (g != 0)).any(axis=1)
        self.alive = (np.abs(expected) > np.maximum(100 * doubt, tolerance * scale)) & ~kinks
        along = np.full(len(expected), np.nan)
        excess = error = np.full(len(expected), np.inf)
        if gradient is not None and np.shape(gradient) == self.shape:
            along = truth.directions.reshape(len(expected), -1) @ np.ravel(gradient)
            difference = np.abs(along - expected)
            beyond = np.maximum(difference - doubt, 0)
            excess = beyond / scale if scale > 0 else np.where(beyond > 0, np.inf, 0.0)
            small = np.where(self.alive, np.minimum(difference / (scale or 1), tolerance), 0)
            error = np.where(beyond > 0, excess, small)
            i = int(error.argmax())
            self.pair = float(along[i]), float(expected[i])
            if np.count_nonzero(truth.directions[i]) == 1:
                self.index = tuple(np.argwhere(truth.directions[i])[0].tolist())
        self.error = float(error.max())
        self.wrong = int((excess > tolerance).sum())
        self.clear = bool(doubt.max() <= ESTIMATED * np.nanmax([scale, *np.abs(along)]))
        first = truth.slopes @ np.where(np.arange(g.size) < dy[0].size, g, 0)
        shape = self.shape if truth.whole else len(along)
        self.computed, self.expected, self.first = (
            v.reshape(shape) for v in (along, expected, first)
        )


@dataclass
class Tally:
    """What is known so far of one array's gradient."""

    name: str
    comparisons: list[Comparison] = field(default_factory=list)
    kinks: int = 0
    alive: int = 0
    tried: int = 0
    exact: bool = True
    linear: bool = True
    transposed: bool = False  # whether the input's Jacobian is the transpose of what it should be

    def add(self, truth: Jacobian, comparisons: Sequence[Comparison]) -> None:
        """Count what was found at one point, for several dy."""
        self.comparisons += comparisons
        self.exact &= truth.exact
        self.kinks += int(truth.kinks.any(axis=1).sum())
        self.alive += int(np.any([c.alive for c in comparisons], axis=0).sum())
        self.tried += len(truth.directions)


def explanation(tally: Tally, tallies: Sequence[Tally]) -> str | None:
    """What is wrong with one array's gradient, as far as that can be told from its numbers.

    `tallies` are those of all arrays, the input's first. None if nothing is wrong, or if
    there is no gradient, or one that is not linear in dy, which is found elsewhere.
    """
    wrong = [c for c in tally.comparisons if c.wrong and c.gradient is not None]
    if not wrong or not tally.linear:
        return None
    misshapen = [c for c in wrong if np.shape(c.gradient) != c.shape]
    if misshapen:
        return f"d{tally.name} {_shape_trouble(misshapen[-1])}"
    known = [c for c in wrong if c.clear]
    if known:
        for words, holds in _suspicions(tally, tallies).items():
            if all(map(holds, known)):
                return f"d{tally.name} {words}"
        if factor := _factor(known):
            return f"d{tally.name} {factor}"
    worst = max(wrong, key=lambda c: c.error)
    computed, expected = worst.pair
    entry = "a step along all entries" if worst.index is None else f"d{tally.name}{[*worst.index]}"
    only = {1: "; a batch is right", 2: "; one fact alone is right, a batch is not", 3: ""}
    return (
        f"d{tally.name} is wrong in {worst.wrong} of {len(worst.alive)} entries for {worst.place}: "
        f"{entry} is {computed:.6g}, but should be {expected:.6g}"
        + only[sum({c.dy.ndim for c in wrong})]
    )


def _suspicions(tally: Tally, tallies: Sequence[Tally]) -> dict[str, Callable[[Comparison], bool]]:
    """What a wrong gradient of the right shape may be, and how to tell."""
    is_parameter = tally is not tallies[0]
    unused = not any(np.any(c.expected) for c in tally.comparisons)
    hint = f"does forward read self.{tally.name}?" if is_parameter else ""
    return {
        f"is not zero, but y does not change with {tally.name}; {hint}": lambda c: unused,
        "is always zero": lambda c: not np.any(c.computed),
        "has the wrong sign": lambda c: alike(c.computed, -c.expected),
        "is transposed": lambda c: (
            is_parameter and len(c.shape) == 2 and alike(c.gradient.T, c.expected)
        ),
        "is dy times J transposed instead of J (M where it should be M^T?)": lambda c: (
            tally.transposed
        ),
        "is the mean over the batch instead of the sum": lambda c: (
            c.dy.ndim == 2 and alike(c.computed * len(c.dy), c.expected)
        ),
        "is that of the first fact only: the sum over the batch is missing": lambda c: (
            c.dy.ndim == 2 and close(c.computed, c.first, ESTIMATED * largest(c.expected))
        ),
        "is dy itself: the layer's own derivative is missing": lambda c: alike(c.gradient, c.dy),
        **{
            f"is the gradient of {other.name}": partial(_belongs_to, other)
            for other in tallies
            if other is not tally
        },
    }


def _belongs_to(other: Tally, c: Comparison) -> bool:
    return any(o.dy is c.dy and alike(c.computed, o.expected) for o in other.comparisons)


def _factor(wrong: Sequence[Comparison]) -> str | None:
    """The words for a constant factor, if there is one."""
    first = wrong[0]
    k = float(np.vdot(first.expected, first.computed) / np.vdot(first.expected, first.expected))
    proportional = all(alike(c.computed, k * c.expected) for c in wrong)
    if not proportional or (len(wrong) < 2 and first.computed.size == 1):
        return None
    how = f"{abs(k):.9g} times too large" if abs(k) > 1 else f"{1 / abs(k):.9g} times too small"
    return f"is {how}" if k > 0 else f"is {how}, and has the wrong sign"


def _shape_trouble(wrong: Comparison) -> str:
    came = np.asarray(wrong.gradient)
    text = f"has shape {came.shape} where {wrong.shape} is wanted"
    if came.shape[1:] == wrong.shape and len(came) == len(wrong.dy):
        return f"{text}: the sum over the batch is missing"
    if came.ndim == 2 and alike(came.T, wrong.expected):
        return f"{text}: it is transposed"
    return text


def alike(a: Any, b: Any) -> bool:
    """Whether two arrays are alike, nearly enough to name one as the other."""
    return close(a, b, tolerance=ESTIMATED)
