"""What a network on the bench can be asked to learn: the notebook's ideals, gates, a table.

Whatever it is, the same seed gives the same facts, and fewer facts are the first of more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.nnbench import identity
from minnet import Facts
from minnet.checks import Array
from minnet.facts import GATES, gate, sample

Source = Callable[[int, int, Any], Facts]  # from how many facts, of what width, and a seed


@dataclass(frozen=True)
class Ideal:
    """What to learn, by name.

    Attributes
    ----------
    name : str
    n : int or None
        How many inputs it takes; None for any number.
    facts : callable
        ``facts(count, width, seed)`` gives that many facts of `width` inputs.
    threshold : float
        What divides outputs that mean true from those that mean false.
    """

    name: str
    n: int | None
    facts: Source
    threshold: float = 0.0


def of_function(name: str, n: int | None, function: Callable[[Array], Any]) -> Ideal:
    """An ideal that is a function, at standard normal inputs.

    >>> of_function("sum", 2, lambda x: [x.sum()]).facts(5, 2, 0).T.shape
    (5, 1)
    """
    return Ideal(name, n, lambda count, width, seed: sample(function, count, width, seed))


def of_gate(name: str) -> Ideal:
    """A logical gate of two inputs, at random bits.

    >>> facts = of_gate("xor").facts(100, 2, 0)
    >>> bool((facts.T[:, 0] == facts.X.sum(axis=1) % 2).all())
    True
    """
    answers = gate(name).T.reshape(2, 2, 1)

    def bits(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
        return rng.integers(0, 2, size)

    def facts(count: int, width: int, seed: Any) -> Facts:
        return sample(lambda x: answers[tuple(x)], count, width, seed, bits)

    return Ideal(name, 2, facts, 0.5)


def of_table(table: Facts, name: str = "table") -> Ideal:
    """The rows of a table: all in a random order, then all again in another one, and so on.

    >>> own = of_table(Facts([[0.5], [2], [7]], [[1], [4], [14]]))
    >>> sorted(own.facts(6, 1, 0).X.ravel().tolist())
    [0.5, 0.5, 2.0, 2.0, 7.0, 7.0]
    """

    def facts(count: int, width: int, seed: Any) -> Facts:
        rng = np.random.default_rng(seed)
        orders = (rng.permutation(len(table)) for _ in itertools.repeat(None))
        rows = list(itertools.islice(itertools.chain.from_iterable(orders), count))
        return Facts(table.X[rows], table.T[rows])

    is_logical = table.T.ndim == 2 and set(np.unique(table.T)) <= {0, 1}
    return Ideal(name, table.X.shape[1], facts, 0.5 if is_logical else 0.0)


IDEALS = (
    of_function("identity", None, identity),
    of_function("swap", None, lambda x: x[::-1]),
    of_function("((x0 - x1)², 0)", 2, lambda x: [(x[0] - x[1]) ** 2, 0]),
    of_function("signs of x0, x0 - x1", 2, lambda x: np.sign([x[0], x[0] - x[1]])),
    of_function("constant (1, 1)", None, lambda x: [1, 1]),
)
LOGICAL = tuple(map(of_gate, GATES))
