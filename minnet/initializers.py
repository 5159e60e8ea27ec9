"""How the weights of an Affinity start: one function each.

Each takes a generator, the inputs n and outputs m, and the leading axes of a
crowd, and returns rows of m*n weights followed by m biases: shape
(*lead, m*n + m), float64. Row i is the same however many rows there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minnet.checks import Array

Initializer: TypeAlias = "Callable[[np.random.Generator, int, int, tuple[int, ...]], Array]"


def normal(rng: np.random.Generator, n: int, m: int, lead: tuple[int, ...] = ()) -> Array:
    """Standard normal weights and biases.

    >>> normal(np.random.default_rng(0), 2, 3).shape
    (9,)
    """
    return rng.standard_normal((*lead, m * n + m))


def uniform(rng: np.random.Generator, n: int, m: int, lead: tuple[int, ...] = ()) -> Array:
    """Uniform in +-1/sqrt(n), biases too: how torch.nn.Linear starts.

    >>> bool(abs(uniform(np.random.default_rng(0), 4, 3)).max() <= 0.5)
    True
    """
    bound = 1 / math.sqrt(n)
    return rng.uniform(-bound, bound, (*lead, m * n + m))


def glorot(rng: np.random.Generator, n: int, m: int, lead: tuple[int, ...] = ()) -> Array:
    """Weights uniform in +-sqrt(6/(n+m)), biases 0 (Glorot and Bengio 2010, equation 16).

    >>> bool(abs(glorot(np.random.default_rng(0), 3, 3)).max() <= 1)
    True
    """
    bound = math.sqrt(6 / (n + m))
    return _with_zero_biases(rng.uniform(-bound, bound, (*lead, m * n)), m)


def he(rng: np.random.Generator, n: int, m: int, lead: tuple[int, ...] = ()) -> Array:
    """Weights normal with variance 2/n, biases 0 (He and others 2015, equation 10).

    >>> he(np.random.default_rng(0), 3, 2)[6:].tolist()
    [0.0, 0.0]
    """
    return _with_zero_biases(rng.standard_normal((*lead, m * n)) * math.sqrt(2 / n), m)


def _with_zero_biases(weights: Array, m: int) -> Array:
    return np.concatenate([weights, np.zeros((*weights.shape[:-1], m))], axis=-1)


INITIALIZERS: dict[str, Initializer] = {
    "normal": normal,
    "uniform": uniform,
    "glorot": glorot,
    "he": he,
}
