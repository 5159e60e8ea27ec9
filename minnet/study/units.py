"""What each hidden unit of a small network does on the four facts (0, 0) to (1, 1).

A unit's pattern says at which facts it is on (z > 0), its sign whether it then raises the
output or lowers it. Patterns are numbered as gates are: the highest bit is (0, 0), and so
pattern i is on where gate i of `minnet.facts.GATES` is true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np

from minnet.checks import Array, brief
from minnet.layers import ReLU
from minnet.network import Network
from minnet.study.parts import Parts, parts

Unit = tuple[str, int]  # the pattern, such as "0110", and the sign: 1, -1, or 0 for neither
SILENT: Unit = ("0000", 0)
# a line separates 14 of the 16 patterns; a ReLU unit that is never on is silent
PATTERNS = tuple(f"{i:04b}" for i in range(16) if i not in (0b0110, 0b1001))


@dataclass(frozen=True, eq=False)
class Units:
    r"""The patterns and signs of hidden units; all have (nets,) in front for a crowd.

    Attributes
    ----------
    patterns : ndarray of int, shape (width,)
        From 0 to 15.
    signs : ndarray of int, shape (width,)
        Those of the output weights; 0 where the weight is 0 (or nan).
    margin : ndarray of float, shape ()
        The smallest \|z\| / (\|w0\| + \|w1\| + \|b\|) of the units that have a sign: how
        clear the patterns are. At 0 a unit is at its kink at some fact, where it counts as
        off; nan where a number is none, inf where no unit has a sign.
    """

    patterns: Array
    signs: Array
    margin: Array


def units_of(net: Network) -> Units:
    """The pattern and sign of each hidden unit of a network, or of each net of a crowd.

    Parameters
    ----------
    net : Network
        Of two inputs, one hidden layer of ReLU, Sigmoid or Tanh, and one output.

    Raises
    ------
    TypeError, ValueError
        If it is another network.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> units = units_of(trained_xor())
    >>> [f"{pattern:04b}" for pattern in units.patterns], units.signs.tolist()
    (['0010', '0100'], [1, 1])
    """
    return units_in(parts(net))


def units_in(p: Parts) -> Units:
    """What `units_of` gives, from a network's weights."""
    z = p.inputs()
    on = (z > 0).astype(np.int8)
    patterns = on[..., 0] * 8 + on[..., 1] * 4 + on[..., 2] * 2 + on[..., 3]
    signs = (p.v > 0).astype(np.int8) - (p.v < 0)
    with np.errstate(all="ignore"):
        scale = np.abs(p.M).sum(axis=-1) + np.abs(p.b)
        clear = np.abs(z).min(axis=-1) / np.where(scale == 0, 1, scale)
        margin = np.where(p.v == 0, np.inf, clear + 0 * p.v).min(axis=-1)
    return Units(patterns, signs, margin)


def ordered(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """Units in the order of a circuit's name: raising ones, lowering ones, silent ones."""
    return tuple(sorted(units, key=lambda unit: ((1, -1, 0).index(unit[1]), -int(unit[0], 2))))


def name_of(units: Iterable[Unit]) -> str:
    """A circuit's name, as "+0100 +0010"; a silent unit is "0".

    >>> name_of([("0001", -1), ("0111", 1)])
    '+0111 -0001'
    """
    return " ".join(_unit_name(unit) for unit in ordered(units))


def _unit_name(unit: Unit) -> str:
    pattern, sign = unit
    return {1: f"+{pattern}", -1: f"-{pattern}", 0: "0"}[sign]


KINDS = ordered([*product(PATTERNS[1:], (1, -1)), SILENT])
NAMED = {name_of([unit]): unit for unit in KINDS}


def units_named(name: str) -> tuple[Unit, ...]:
    """The units of a circuit's name, in the order of circuits.

    >>> units_named("-0001 +0111")
    (('0111', 1), ('0001', -1))

    Raises
    ------
    ValueError
        If it is no such name.
    """
    units = [NAMED.get(part) for part in name.split()] if isinstance(name, str) else []
    if not units or None in units:
        raise ValueError(
            f"a circuit's name is one such as '+0111 -0001 0', of patterns that a line can "
            f"separate, not {brief(name)}"
        )
    return ordered(unit for unit in units if unit)


def circuit_names(net: Network) -> Array:
    """Names of the circuits that the units make, (nets,) or (), of str.

    A unit without a sign is silent; so is a ReLU unit that is off at all four facts. (A
    Sigmoid or Tanh that is below its threshold still answers differently to each fact.)
    Where a number is nan or infinite, the name is empty.

    Raises
    ------
    TypeError, ValueError
        As by `units_of`.
    """
    return names_in(parts(net))


def names_in(p: Parts) -> Array:
    """What `circuit_names` gives, from a network's weights."""
    units = units_in(p)
    silent = units.signs == 0
    if type(p.hidden) is ReLU:
        silent |= units.patterns == 0
    # the order of `ordered`: + from 1111 down, then - from 1111 down, then silent
    codes = np.where(units.signs > 0, 15, 31) - units.patterns
    codes = np.sort(np.where(silent, 32, codes), axis=-1).reshape(-1, codes.shape[-1])
    kinds, which = np.unique(_keys(codes), return_index=True, return_inverse=True)[1:]
    names = np.array([" ".join(_unit_name(_unit(code)) for code in codes[i]) for i in kinds])
    finite = np.isfinite(p.c) & np.isfinite(p.M).all(axis=(-2, -1))
    finite &= np.isfinite(p.b).all(axis=-1) & np.isfinite(p.v).all(axis=-1)
    return np.where(finite, names[which].reshape(finite.shape), "")


def _unit(code: int) -> Unit:
    return SILENT if code == 32 else (f"{15 - code % 16:04b}", 1 if code < 16 else -1)


def _keys(rows: Array) -> Array:
    """A number for each row of codes (rows, width), equal for equal ones."""
    keys = np.zeros(len(rows), np.int64)
    for column in rows.T:
        keys = np.unique(keys * 33 + column, return_inverse=True)[1]
    return keys
