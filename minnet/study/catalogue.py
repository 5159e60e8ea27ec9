r"""Every circuit of hidden ReLU units for every gate, each by one linear programme.

As relu(s z) = s relu(z) for s > 0, each hidden unit can be scaled until its output weight
is +1 or -1. Which facts switch it on (14 of the 16 sets are separable by a line) and that
sign make a unit; an unordered choice of units makes a circuit. Inside a circuit the network
is linear in its weights, so that "it computes the gate" is a set of linear inequalities in
w, b and c: whether weights exist is one linear programme, and what it finds is a witness.

A unit of output weight 0, or one that is off at all four facts, adds nothing to any answer.
Such units are silent: of no sign, and one and the same.

The inequalities are for a plain output and the threshold 1/2. With a sigmoid output the
threshold is 0 where it was 1/2, and c moves by as much: the circuits are the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product

import numpy as np

from minnet.checks import brief, integer, one_of
from minnet.facts import GATES
from minnet.layers import Affinity, ReLU
from minnet.network import Network
from minnet.study.inequalities import Inequality, contradiction, inequalities, solve
from minnet.study.parts import FACTS, parts
from minnet.study.units import KINDS, Unit, name_of, names_in, ordered, units_named

MOST = 3  # units; four would be 27,000 linear programmes

NICKNAMES = {
    "+0100 +0010": "each unit fires for one mixed input (notebook A)",
    "-1000 -0001": "each unit fires for one pair of equal inputs (A's mirror)",
    "+0111 -0001": "OR minus AND (notebooks B and C)",
    "+1110 -1000": "NAND minus NOR (the mirror of OR minus AND)",
}


@dataclass(frozen=True, repr=False)
class Circuit:
    """A way to compute a gate: what each hidden unit does on the four facts.

    Attributes
    ----------
    gate : str
    units : tuple of (pattern, sign)
        The pattern is a string of four bits, for the facts (0, 0), (0, 1), (1, 0), (1, 1).
        Those that raise the output come first; silent ones are last, ("0000", 0).
    symmetric : int
        The number of its class. Circuits of a gate are in one class if swapping the inputs
        or flipping them (x to 1 - x), so that the gate stays the same, leads from one to the
        other. Class 0 has the widest margin.
    margin : float
        How much room the inequalities leave: the smallest distance from a kink (of z at any
        fact) or the threshold (of an answer), as a share of the largest, at its best weights.
    weights : tuple of Fraction
        Such weights, in the order of the inequalities, scaled to a smallest distance of 1/2.
    """

    gate: str
    units: tuple[Unit, ...]
    symmetric: int
    margin: float
    weights: tuple[Fraction, ...] = field(compare=False)

    @property
    def name(self) -> str:
        """Sign and pattern of each unit, as "+0100 +0010"; silent units are "0"."""
        return name_of(self.units)

    @property
    def nickname(self) -> str:
        """What the well-known circuits are called; else empty."""
        return NICKNAMES.get(self.name, "") if self.gate == "xor" else ""

    @property
    def words(self) -> str:
        """The units by the gates that their patterns are, as "or - and"."""
        text = "".join(
            f" {'+' if sign > 0 else '-'} {GATES[int(pattern, 2)]}"
            for pattern, sign in self.units
            if sign
        )
        return text.removeprefix(" + ").removeprefix(" ") or "a constant"

    @property
    def inequalities(self) -> list[Inequality]:
        """What weights must fulfil, each unit scaled to an output weight of +1 or -1.

        Where all of them hold, the network computes the gate, and in this circuit.
        """
        return list(inequalities(GATES.index(self.gate), self.units))

    @property
    def network(self) -> Network:
        """A new 2-k-1 ReLU network of this circuit: at most 0 where false, at least 1 where true.

        Silent units have weights 0.
        """
        k = len(self.units)
        hidden, output = Affinity(2, k, "fc1", rng=0), Affinity(k, 1, "fc2", rng=0)
        rows = np.array(self.weights[:-1], float).reshape(k, 3)
        hidden.M, hidden.b = rows[:, :2], rows[:, 2]
        output.M, output.b = [[sign for _, sign in self.units]], [float(self.weights[-1])]
        return Network([hidden, ReLU("relu"), output])

    def __str__(self) -> str:
        note = f": {self.nickname}" if self.nickname else ""
        return f"{self.name}  {self.gate} = {self.words}{note}"

    def __repr__(self) -> str:
        return f"Circuit({self.gate!r}, {self.name!r})"


def catalogue(gate: str = "xor", units: int = 2) -> list[Circuit]:
    """All circuits of `units` hidden ReLU units for a gate, class by class.

    Parameters
    ----------
    gate : str
        One of `minnet.facts.GATES`.
    units : int
        From 1 to 3.

    Returns
    -------
    list of Circuit
        Empty where there is none: one unit is not enough for XOR.

    Raises
    ------
    TypeError, ValueError
        If there is no such gate, or the number of units is another.

    Examples
    --------
    >>> circuits = catalogue("xor")
    >>> len(circuits), len({circuit.symmetric for circuit in circuits})
    (80, 32)
    >>> catalogue("xor", units=1)
    []
    """
    table = GATES.index(one_of(gate, GATES, "the gate"))
    _check_number(integer(units, "the number of units"))
    return list(_catalogue(table, int(units)))


def _check_number(units: int) -> None:
    if not 1 <= units <= MOST:
        raise ValueError(f"the number of units must be from 1 to {MOST}, not {brief(units)}")


def circuit_of(net: Network) -> Circuit | None:
    """The circuit that a plain network is in, for whichever gate it computes.

    Sigmoid and Tanh units are read by their thresholds (z > 0), each with the sign that its
    output weight has.

    Parameters
    ----------
    net : Network
        Of two inputs, one hidden layer of 1 to 3 units, and one output. Of a crowd,
        `circuit_names` gives the names of all circuits at once.

    Returns
    -------
    Circuit or None
        None where the catalogue of ReLU circuits has none of these units for this gate: for
        Sigmoid and Tanh units, at a tie, and where a number is nan.

    Raises
    ------
    TypeError, ValueError
        If it is another network.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> print(circuit_of(trained_xor()))
    +0100 +0010  xor = b_not_a + a_not_b: each unit fires for one mixed input (notebook A)
    """
    if isinstance(net, Network) and net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets is in many circuits: see circuit_names")
    p = parts(net)
    if len(p.v) > MOST:
        raise ValueError(f"the catalogue has circuits of 1 to {MOST} units, not of {len(p.v)}")
    answers = p.answers()
    if not (answers.true | answers.false).all():
        return None
    table = int("".join("1" if true else "0" for true in answers.true), 2)
    return circuit_named(GATES[table], str(names_in(p)), len(p.v))


def circuit_named(gate: str, name: str, units: int) -> Circuit | None:
    """The circuit of that name in the catalogue of a gate; None where there is none."""
    return _by_name(GATES.index(gate), units).get(name)


@cache
def _by_name(table: int, units: int) -> dict[str, Circuit]:
    return {circuit.name: circuit for circuit in _catalogue(table, units)}


def refutation(gate: str, circuit: str) -> list[tuple[int, Inequality]]:
    """Why no weights exist: inequalities that contradict each other, and how often each counts.

    Taken so often, with "<" turned round, their left sides add up to 0 and so do their right
    sides: that is 0 > 0. (Farkas' lemma: there is such a sum wherever there are no weights.)

    Parameters
    ----------
    gate : str
        One of `minnet.facts.GATES`.
    circuit : str
        Sign and pattern of 1 to 3 units, as "+0111 -0001"; a silent unit is "0".

    Raises
    ------
    ValueError
        If there is no such gate or circuit, or if weights do exist.

    Examples
    --------
    >>> for times, inequality in refutation("xor", "+0111"):
    ...     print(times, "times", inequality)
    1 times b0 <= 0
    1 times w00 + b0 > 0
    1 times c + w01 + b0 > 1/2
    1 times c + w00 + w01 + b0 < 1/2
    """
    table = GATES.index(one_of(gate, GATES, "the gate"))
    units = units_named(circuit)
    _check_number(len(units))
    found = contradiction(table, units)
    if not found:
        raise ValueError(f"{circuit} computes {gate}: it is in the catalogue")
    return found


# Symmetries: where each of the four facts goes, and whether answers are negated


def _symmetries() -> Iterator[tuple[tuple[int, ...], bool]]:
    for swap, flip0, flip1, negated in product([False, True], repeat=4):
        goes = []
        for x0, x1 in FACTS:
            y0, y1 = x0 ^ flip0, x1 ^ flip1
            goes.append(2 * y1 + y0 if swap else 2 * y0 + y1)
        yield tuple(goes), negated


SYMMETRIES = tuple(_symmetries())


def _moved(values: str, goes: tuple[int, ...]) -> str:
    """A string of four, each character moved with its fact."""
    return "".join(values[goes.index(i)] for i in range(4))


def _image(
    table: int, units: tuple[Unit, ...], goes: tuple[int, ...], negated: bool
) -> tuple[int, tuple[Unit, ...]]:
    """The gate and circuit that a symmetry makes of these, its units in the same order."""
    moved = int(_moved(f"{table:04b}", goes), 2)
    sign = -1 if negated else 1
    return moved ^ (15 * negated), tuple((_moved(p, goes), sign * s) for p, s in units)


@cache
def _catalogue(table: int, units: int) -> tuple[Circuit, ...]:
    found = {}
    for choice in combinations_with_replacement(KINDS, units):
        solution = _solution(table, choice)
        if solution is not None:
            found[choice] = solution
    classes: dict[tuple[Unit, ...], int] = {}
    # the roomiest first; of those, each class in the order of KINDS
    for choice in sorted(found, key=lambda choice: -found[choice][0]):
        if choice not in classes:
            number = len(set(classes.values()))
            classes |= dict.fromkeys(_same(table, choice), number)
    circuits = [
        Circuit(GATES[table], choice, classes[choice], float(margin), weights)
        for choice, (margin, weights) in found.items()
    ]
    return tuple(sorted(circuits, key=lambda circuit: circuit.symmetric))


def _same(table: int, units: tuple[Unit, ...]) -> Iterator[tuple[Unit, ...]]:
    """The circuits that swaps and flips of the inputs make of one, for the same gate."""
    for goes, negated in SYMMETRIES:
        moved, image = _image(table, units, goes, negated)
        if moved == table and not negated:
            yield ordered(image)


Solution = tuple[Fraction, tuple[Fraction, ...]] | None  # margin and weights, if there are any


def _solution(table: int, units: tuple[Unit, ...]) -> Solution:
    """Solved once for all circuits that a symmetry makes of one another."""

    def image(symmetry: tuple[tuple[int, ...], bool]) -> tuple[int, tuple[Unit, ...]]:
        moved, image = _image(table, units, *symmetry)
        return moved, ordered(image)

    best = min(SYMMETRIES, key=image)
    solved = solve(*image(best))
    if solved is None:
        return None
    margin, values, offset = solved
    goes, negated = best
    weights: list[Fraction] = []
    left = list(zip(image(best)[1], values, strict=True))
    for unit in _image(table, units, *best)[1]:
        place = next(i for i, (other, _) in enumerate(left) if other == unit)
        _, z = left.pop(place)
        z00, z01, z10 = (z[goes[fact]] for fact in range(3))
        weights += [z10 - z00, z01 - z00, z00]
    return margin, (*weights, Fraction(1, 2) + (-offset if negated else offset))
