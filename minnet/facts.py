"""Training data: where facts come from, and where bad ones are refused.

A fact is a pair (x, expected): one input (n,) with its expected output (m,), or a
batch of them, (batch, n) with (batch, m).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from minnet.checks import (
    Array,
    Randomness,
    brief,
    floating,
    function,
    generator,
    number,
    one_of,
    positive_int,
    real_array,
    undrawn_by_errors,
)

if TYPE_CHECKING:
    from minnet.network import Network

Fact = tuple[Array, Array]
Distribution: TypeAlias = "Callable[[np.random.Generator, tuple[int, ...]], Any]"

# In truth-table order: gate i answers the bits of i at 00, 01, 10, 11, the highest first.
GATES = (
    *("false", "and", "a_not_b", "a", "b_not_a", "b", "xor", "or"),
    *("nor", "xnor", "not_b", "a_or_not_b", "not_a", "b_or_not_a", "nand", "true"),
)


class Facts:
    """Inputs and expected outputs, copied and checked once, then read-only.

    Iterating gives one fact after the other: (X[i], T[i]).

    Parameters
    ----------
    X : array_like, shape (facts, n)
    T : array_like, shape (facts, m), or (facts,) of integers for class indices

    Raises
    ------
    TypeError, ValueError
        If there are no facts, not as many of both, or something other than finite
        real numbers.

    Examples
    --------
    >>> facts = Facts([[0, 1], [1, 1]], [[1], [0]])
    >>> len(facts), facts.X.shape, facts.T.shape
    (2, (2, 2), (2, 1))
    """

    def __init__(self, X: Any, T: Any) -> None:
        x, t = real_array(X, "X"), real_array(T, "T")
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"X must have shape (facts, n), both at least 1, not {x.shape}")
        if t.ndim != 2 and not (t.ndim == 1 and t.dtype.kind in "ui"):
            raise ValueError(
                "T must have shape (facts, m), or (facts,) for integers that are class indices; "
                f"{t.dtype} of shape {t.shape} came"
            )
        if len(x) != len(t) or 0 in t.shape:
            raise ValueError(f"X has {len(x)} facts, but T has shape {t.shape}")
        self._X = _frozen(x, np.result_type(x.dtype, np.float32))
        self._T = _frozen(t, t.dtype if t.ndim == 1 else np.result_type(t.dtype, np.float32))

    @property
    def X(self) -> Array:
        """The inputs, (facts, n), read-only."""
        return self._X

    @property
    def T(self) -> Array:
        """The expected outputs, (facts, m) or, for class indices, (facts,), read-only."""
        return self._T

    def __len__(self) -> int:
        return len(self._X)

    def __iter__(self) -> Iterator[Fact]:
        return zip(self._X, self._T, strict=True)

    def batches(self, size: int) -> list[Fact]:
        """The facts in batches of `size`, in order; the last may be smaller.

        >>> [len(x) for x, t in gate("xor").batches(3)]
        [3, 1]
        """
        size = positive_int(size, "the size of a batch")
        starts = range(0, len(self), size)
        return [(self._X[i : i + size], self._T[i : i + size]) for i in starts]

    def shuffled(self, rng: Randomness = None) -> Facts:
        """The same facts in another order."""
        order = generator(rng).permutation(len(self))
        return Facts(self._X[order], self._T[order])

    def __repr__(self) -> str:
        return f"Facts(X {self._X.shape}, T {self._T.shape})"


def _frozen(array: Array, dtype: np.dtype[Any]) -> Array:
    copied = np.array(array, dtype=dtype, order="C")
    copied.flags.writeable = False
    return copied


def gate(name: str, low: float = 0, high: float = 1) -> Facts:
    """The four facts of a logical gate of two inputs, in the order 00, 01, 10, 11.

    Parameters
    ----------
    name : str
        One of GATES.
    low, high : float
        What stands for false and true, in inputs and expected outputs alike.

    Raises
    ------
    ValueError
        If there is no such gate, or low equals high.

    Examples
    --------
    >>> gate("xor", low=-1).T.ravel()
    array([-1.,  1.,  1., -1.])
    """
    table = GATES.index(one_of(name, GATES, "the gate"))
    answers = [[table >> (3 - row) & 1] for row in range(4)]
    return _levels(list(itertools.product([0, 1], repeat=2)), answers, low, high)


def parity(bits: int, low: float = 0, high: float = 1) -> Facts:
    """All 2^bits inputs in counting order; true where the number of true bits is odd.

    Parameters
    ----------
    bits : int
        From 1 to 20.
    low, high : float
        What stands for false and true.

    Raises
    ------
    TypeError, ValueError
        If bits is no such integer, or low equals high.

    Examples
    --------
    >>> parity(3).T.ravel()
    array([0., 1., 1., 0., 1., 0., 0., 1.])
    """
    bits = positive_int(bits, "the number of bits")
    if bits > 20:
        raise ValueError(f"parity of {bits} bits has 2^{bits} facts; 20 bits are the most here")
    inputs = (np.arange(2**bits)[:, None] >> np.arange(bits)[::-1]) & 1
    return _levels(inputs, inputs.sum(axis=1, keepdims=True) % 2, low, high)


def _levels(inputs: Any, answers: Any, low: float, high: float) -> Facts:
    low, high = number(low, "low"), number(high, "high")
    if low == high:
        raise ValueError(f"low and high must differ, but both are {low}")
    levels = np.array([low, high])
    return Facts(levels[np.asarray(inputs)], levels[np.asarray(answers)])


def standard_normal(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """The distribution that `sample` draws from by default."""
    return rng.standard_normal(size)


def sample(
    ideal: Callable[[Array], Any],
    n: int,
    width: int,
    rng: Randomness = None,
    distribution: Distribution = standard_normal,
) -> Facts:
    """n facts (x, ideal(x)) at random inputs; fewer facts are the first of more.

    Parameters
    ----------
    ideal : callable
        From an input (width,) to the expected output, a sequence of m numbers.
    n, width : int
        How many facts, of how many inputs.
    rng : numpy.random.Generator, int or None
    distribution : callable
        ``distribution(rng, (n, width))`` gives the inputs; standard normal by default.

    Raises
    ------
    TypeError, ValueError
        If a count is no positive integer, or what ideal returns is no expected output.

    Examples
    --------
    >>> facts = sample(lambda x: x[::-1], 5, 2, rng=0)
    >>> bool((facts.T == facts.X[:, ::-1]).all())
    True
    """
    n, width = positive_int(n, "the number of facts"), positive_int(width, "the width")
    function(ideal, "ideal"), function(distribution, "the distribution")
    with undrawn_by_errors(generator(rng)) as rng:
        inputs = real_array(distribution(rng, (n, width)), "the inputs drawn")
        if inputs.shape != (n, width):
            raise ValueError(f"the distribution gave shape {inputs.shape}, not {(n, width)}")
        expected = [real_array(ideal(x.copy()), "what ideal returned") for x in inputs]
        if expected[0].ndim == 0 and expected[0].dtype.kind == "f":
            raise ValueError(f"ideal must return a sequence of numbers, not {expected[0]}")
        return Facts(inputs, [e.tolist() for e in expected])


def facts_for(net: Network, facts: Iterable[Any], epochs: int) -> Iterator[Fact]:
    """The facts as arrays that the formulas take, all checked at once unless from an iterator.

    Raises
    ------
    TypeError, ValueError
        If they are not facts for this network, or an iterator is to be used twice.
    """
    epochs = positive_int(epochs, "epochs")
    if not isinstance(facts, Iterator):
        return itertools.chain.from_iterable(itertools.repeat(checked_facts(net, facts), epochs))
    if epochs > 1:
        raise ValueError("an iterator gives its facts once; use a list for more epochs")
    return (_fact(net, fact, f"fact #{i}") for i, fact in enumerate(facts))


def checked_facts(net: Network, facts: Iterable[Any]) -> list[Fact]:
    """All of the facts as arrays that the formulas take."""
    if isinstance(facts, Facts):
        x, t = checked_arrays(net, facts)
        return list(zip(x, t, strict=True))
    if not isinstance(facts, Iterable):
        raise TypeError(f"facts must be an iterable of (x, expected), not {brief(facts)}")
    checked = [_fact(net, fact, f"fact #{i}") for i, fact in enumerate(facts)]
    if not checked:
        raise ValueError("there are no facts to learn")
    return checked


def checked_arrays(net: Network, facts: Facts) -> Fact:
    """X (facts, n) and T (facts, m), or (facts, 1, n) and (facts, 1, m) for a crowd."""
    x = floating(facts.X, "X", net.dtype)
    _check_width(net, x, "the facts'")
    t = net.loss.targets(facts.T, (len(x), net.m or x.shape[-1]), net.dtype, "T")
    return (x, t) if net.nets is None else (x[:, None], t[:, None])


def _fact(net: Network, fact: Any, what: str) -> Fact:
    try:
        x, expected = fact
    except (TypeError, ValueError):
        raise ValueError(f"{what} is not a pair (x, expected): {brief(fact)}") from None
    x = floating(x, f"{what}: x", net.dtype)
    _check_width(net, x, f"{what}: the")
    crowd = () if net.nets is None or x.ndim == 3 else (net.nets,)
    lone = x.ndim == 1 and net.nets is not None
    shape = (*(() if lone else crowd), *x.shape[:-1], net.m or x.shape[-1])
    t = net.loss.targets(expected, shape, net.dtype, f"{what}: expected")
    return (x[None], t[None]) if lone else (x, t)  # one fact for a crowd is a batch of one


def _check_width(net: Network, x: Array, what: str) -> None:
    n = "n" if net.n is None else net.n
    shapes = f"({n},) or (batch, {n})"
    most = 2
    if net.nets is not None:
        shapes, most = f"{shapes} or ({net.nets}, batch, {n})", 3
    fits = 1 <= x.ndim <= most and net.n in (None, x.shape[-1]) and x.size > 0
    if not fits or (x.ndim == 3 and len(x) != net.nets):
        raise ValueError(f"{what} x must have shape {shapes}, not {x.shape}")
