"""Does a network of two hidden units model XOR? Decided from its weights alone.

XOR asks four inequalities of the weights, one for each fact: c and the parts of the hidden
units lie above the threshold where XOR is true, and below it where it is false. ReLU units
take part where their pattern has them on, and then their parts are sums of weights: these are
the inequalities of a circuit. In a circuit of the catalogue all four can hold; for any other
patterns the linear programme has proven that one always fails.

A sigmoid or tanh unit takes part everywhere, by v s(z). The four inequalities are as exact,
but no longer linear, and so no linear programme says for which patterns they can hold: the
two sigmoids of far negative z are nearly exponentials, and model XOR with no unit above its
threshold anywhere. The patterns then only describe a network, they prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minnet.checks import Array, integer
from minnet.layers import ReLU
from minnet.network import Network
from minnet.study.catalogue import Circuit, circuit_named
from minnet.study.parts import FACTS, Answers, Parts, parts
from minnet.study.units import names_in

XOR = np.array([False, True, True, False])  # the answers at the four facts
EPSILONS = 8  # of the float type


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """Whether a network models XOR; of a crowd, whether each net does. Made by `models_xor`.

    It is true or false itself; that of a crowd has one for each net, ``verdict[i]``.
    Printed, it names the circuit and shows the four inequalities with their numbers.
    """

    parts: Parts

    @cached_property
    def _answers(self) -> Answers:
        return self.parts.answers()

    @cached_property
    def right(self) -> Array:
        """Which inequalities hold, bool (4,) or (nets, 4).

        None does where the answer is 1/2 (of a sigmoid: 1/2 to the last bit) or nan.
        """
        return np.asarray(np.where(XOR, self._answers.true, self._answers.false))

    @property
    def holds(self) -> Array:
        """Whether all four hold, bool () or (nets,)."""
        return np.asarray(self.right.all(axis=-1))

    @property
    def margin(self) -> Array:
        """How clear the closest of the four answers is, () or (nets,).

        Its distance from the threshold as a share of the sizes of what it is added up from,
        or of 1 where these are less; 0 where numbers go beyond the range of their type.
        """
        return self._answers.margin.min(axis=-1)

    @property
    def tie(self) -> Array:
        """Where the margin is below 8 epsilons of the float type, bool () or (nets,).

        There rounding may decide; everywhere else the network answers as `holds` says.
        """
        return self.margin < EPSILONS * self._answers.epsilon

    @cached_property
    def name(self) -> Array:
        """The name of each circuit, str () or (nets,): see `circuit_names`."""
        return names_in(self.parts)

    @property
    def circuit(self) -> Circuit | None:
        """The circuit of the catalogue of XOR, or None where these patterns are none."""
        return circuit_named("xor", str(self._one().name), 2)

    @property
    def inequalities(self) -> list[str]:
        """The four inequalities with their numbers, in the order of the facts."""
        self._one()
        return [self._inequality(i) for i in range(4)]

    @property
    def fails(self) -> list[str]:
        """Those of them that do not hold."""
        pairs = zip(self.inequalities, self.right, strict=True)
        return [inequality for inequality, holds in pairs if not holds]

    def __bool__(self) -> bool:
        return bool(self._one().holds)

    def __len__(self) -> int:
        if self.parts.nets is None:
            raise TypeError("the verdict on one network has no length")
        return self.parts.nets

    def __getitem__(self, i: int) -> Verdict:
        if not -len(self) <= integer(i, "the number of a net") < len(self):
            raise IndexError(f"there is no net {i} in a crowd of {len(self)}")
        return Verdict(self.parts.member(i))

    def __repr__(self) -> str:
        if self.parts.nets is not None:
            return f"{int(self.holds.sum())} of {self.parts.nets} nets model XOR"
        circuit = self.circuit
        lines = [f"XOR: {'yes' if self else 'no'}, circuit {self.name or 'unknown'}"]
        if circuit is not None:
            lines[0] += f", {circuit.words}"
            lines += [circuit.nickname] if circuit.nickname else []
        elif self._relu:
            lines.append("no weights of these patterns and signs make XOR")
        for inequality, holds in zip(self.inequalities, self.right, strict=True):
            lines.append(f"  {inequality}{'' if holds else '  FAILS'}")
        return "\n".join(lines)

    def _one(self) -> Verdict:
        if self.parts.nets is not None:
            raise ValueError(
                f"{self.parts.nets} nets have no single verdict: see .holds, or verdict[i] of one"
            )
        return self

    @property
    def _relu(self) -> bool:
        return type(self.parts.hidden) is ReLU

    def _inequality(self, fact: int) -> str:
        """Of the fact of this number, as "(0, 1) true: c + v1 (w11 + b1) = -1 + 3 = 2 > 1/2"."""
        answers, x = self._answers, FACTS[fact]
        kind = type(self.parts.hidden).__name__.lower()
        symbols, numbers = ["c"], [_number(answers.c)]
        for unit, part in enumerate(answers.terms[:, fact]):
            if self._relu and part == 0:
                continue
            weights = [f"w{unit}{j}" for j in (0, 1) if x[j]] + [f"b{unit}"]
            symbols.append(f"v{unit} {'' if self._relu else kind}({' + '.join(weights)})")
            numbers.append(_number(part))
        left = " + ".join(symbols)
        if len(symbols) > 1:
            left += f" = {' + '.join(numbers)}".replace("+ -", "- ")
        relation, bound = ">" if XOR[fact] else "<", "0" if answers.sigmoid else "1/2"
        truth = "true" if XOR[fact] else "false"
        return f"{x} {truth}: {left} = {_number(answers.left[fact])} {relation} {bound}"


def models_xor(net: Network) -> Verdict:
    """Whether a 2-2-1 network answers XOR, by the inequalities of its circuit.

    Inputs are 0 and 1; an answer is true above 1/2 and false below. The network is not asked.

    Parameters
    ----------
    net : Network
        Two inputs, two hidden units (ReLU, Sigmoid or Tanh), one output (plain, Sigmoid or
        ReLU); or a crowd of such networks.

    Returns
    -------
    Verdict
        True where the network answers XOR. It agrees with the network's own answers but for
        ties, where their `margin` is below 8 epsilons (1.8e-15, or 9.5e-7 for float32).

    Raises
    ------
    TypeError, ValueError
        If it is another network; the error says what is missing or too much.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> net = trained_xor()
    >>> models_xor(net)
    XOR: yes, circuit +0100 +0010, b_not_a + a_not_b
    each unit fires for one mixed input (notebook A)
      (0, 0) false: c = -2.8915 < 0
      (0, 1) true: c + v1 (w11 + b1) = -2.8915 + 7.0864 = 4.1949 > 0
      (1, 0) true: c + v0 (w00 + b0) = -2.8915 + 6.9488 = 4.0573 > 0
      (1, 1) false: c = -2.8915 < 0
    >>> net["fc2"].b = [0.5]
    >>> bool(models_xor(net)), models_xor(net).fails
    (False, ['(0, 0) false: c = 0.5 < 0', '(1, 1) false: c = 0.5 < 0'])
    """
    return Verdict(parts(net, width=2).copy())


def _number(value: Any) -> str:
    return f"{float(value) + 0.0:.5g}"
