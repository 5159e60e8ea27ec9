"""The weights of a 2-width-1 network, and what they say of the four facts (0, 0) to (1, 1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minnet.checks import Array
from minnet.layers import Affinity, Identity, Layer, Map, ReLU, Sigmoid, Tanh
from minnet.network import Network
from minnet.structure import leaves

FACTS = ((0, 0), (0, 1), (1, 0), (1, 1))
HIDDEN = (ReLU, Sigmoid, Tanh)
OUTPUTS = (Identity, ReLU, Sigmoid)


@dataclass(frozen=True, eq=False)
class Parts:
    """The arrays of a network of one hidden layer; all have (nets,) in front for a crowd.

    Attributes
    ----------
    M, b, v, c : ndarray, shapes (width, 2), (width,), (width,), ()
        The output is ``output(c + v . hidden(M x + b))``.
    hidden, output : Layer
    """

    M: Array
    b: Array
    v: Array
    c: Array
    hidden: Layer
    output: Layer

    @property
    def nets(self) -> int | None:
        """How many nets a crowd has; None for one network."""
        return len(self.c) if self.c.ndim else None

    def copy(self) -> Parts:
        """The same on arrays of its own."""
        M, b, v, c = (array.copy() for array in (self.M, self.b, self.v, self.c))
        return Parts(M, b, v, c, self.hidden, self.output)

    def member(self, i: int) -> Parts:
        """Those of net i of a crowd."""
        M, b, v, c = (np.asarray(array[i]) for array in (self.M, self.b, self.v, self.c))
        return Parts(M, b, v, c, self.hidden, self.output)

    def inputs(self) -> Array:
        """z of each unit at each fact, (width, 4): one sum of weights for each."""
        w0, w1, b = self.M[..., 0], self.M[..., 1], self.b
        with np.errstate(all="ignore"):
            return np.stack([b, w1 + b, w0 + b, w0 + w1 + b], axis=-1)

    def answers(self) -> Answers:
        """What the weights say of the output at each fact, without asking the network."""
        assert isinstance(self.hidden, Map)
        with np.errstate(all="ignore"):
            terms = self.v[..., None] * self.hidden.f(self.inputs())
        return Answers(terms, self.c, type(self.output) is Sigmoid)


@dataclass(frozen=True, eq=False)
class Answers:
    """The output before its activation at each of the four facts, against its threshold.

    Attributes
    ----------
    terms, c : ndarray, shapes (width, 4) and ()
        The part of each hidden unit at each fact, and the bias.
    sigmoid : bool
        Whether a sigmoid follows: it is 1/2 at 0, so there the threshold is 0.
    """

    terms: Array
    c: Array
    sigmoid: bool

    @property
    def threshold(self) -> float:
        """What stands for an answer of 1/2."""
        return 0.0 if self.sigmoid else 0.5

    @cached_property
    def left(self) -> Array:
        """c and the parts of all units, (4,)."""
        with np.errstate(all="ignore"):
            return self.terms.sum(axis=-2) + self.c[..., None]

    @property
    def epsilon(self) -> float:
        """That of the float type."""
        return float(np.finfo(self.c.dtype).eps)

    @property
    def true(self) -> Array:
        """Which facts are answered by more than 1/2, bool (4,)."""
        return self.left > self.threshold + self._rounding

    @property
    def false(self) -> Array:
        """Which are answered by less; neither are those answered by 1/2, or by nan."""
        return self.left < self.threshold - self._rounding

    @property
    def _rounding(self) -> float:
        """How far from 0 a sigmoid is still 1/2, to the last bit."""
        return 2 * self.epsilon if self.sigmoid else 0.0

    @property
    def margin(self) -> Array:
        r"""How clear each answer is, (4,): its distance from the threshold as a share.

        Of \|c\| and the sizes of all parts together, or of 1 where that is more. Rounding is
        below 8 epsilons. 0 where numbers go beyond the range of their type.
        """
        with np.errstate(all="ignore"):
            scale = np.abs(self.terms).sum(axis=-2) + np.abs(self.c)[..., None]
            margin = np.abs(self.left - self.threshold) / np.maximum(scale, 1)
        return np.where(np.isfinite(margin), margin, 0)


def parts(net: Network, width: int | None = None) -> Parts:
    """The weights of a 2-width-1 network, of any width where none is given.

    Raises
    ------
    TypeError
        If it is no Network.
    ValueError
        If its layers are of other kinds or widths; the error says which.
    """
    if not isinstance(net, Network):
        raise TypeError(f"a circuit is one of a Network, not of {net!r}")
    layers = [(name, layer) for name, layer in leaves(net) if type(layer) is not Identity]
    kinds = [type(layer) for _, layer in layers]
    asked = f"Affinity(2, {width or 'width'}), {_either(HIDDEN)}, Affinity({width or 'width'}, 1)"
    asked += ", and as output nothing, Sigmoid or ReLU"
    for i, allowed in enumerate([(Affinity,), HIDDEN, (Affinity,), OUTPUTS]):
        if i < 3 and i >= len(layers):
            raise ValueError(
                f"a circuit needs the layers {asked}; here {_either(allowed)} is missing"
            )
        if i < len(layers) and kinds[i] not in allowed:
            raise ValueError(
                f"a circuit has the layers {asked}; {layers[i][0]!r} is {kinds[i].__name__}"
            )
    if len(layers) > 4:
        raise ValueError(f"a circuit has the layers {asked}; {layers[4][0]!r} is one too many")
    first, second = layers[0][1], layers[2][1]
    assert isinstance(first, Affinity) and isinstance(second, Affinity)
    if first.n != 2 or second.m != 1 or width not in (None, first.m):
        raise ValueError(
            f"a circuit has the layers {asked}; the widths here are "
            f"{first.n}, {first.m} and {second.m}"
        )
    output = layers[3][1] if len(layers) == 4 else Identity()
    return Parts(first.M, first.b, second.M[..., 0, :], second.b[..., 0], layers[1][1], output)


def _either(kinds: tuple[type[Layer], ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)
