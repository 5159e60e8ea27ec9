"""How well a network would learn: for many learning rates and numbers of facts at once.

A crowd of copies of the one network learns the same facts, each copy at its own alpha; its
losses on the way are those of all numbers of facts. The network itself is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet import Facts
from minnet.checks import Array, brief, number, positive_int
from minnet.facts import checked_facts

if TYPE_CHECKING:
    from bench.nnbench import NNBench
    from minnet import Network

NS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
COARSE = np.geomspace(1e-6, 1e3, 37)  # four to a decade: where to look closer
FINE = 49  # alphas by default
FURTHER = 100  # other facts
SMALLEST = float(np.finfo(float).eps ** 2)  # a loss that rounding alone can make
MARGIN = 2.0  # how far from the edge a suggestion keeps
ROWS = 12  # alphas of a map that are printed


@dataclass(frozen=True, eq=False)
class PotentialMap:
    """Learning potentials, for rising alphas and rising numbers of facts.

    Attributes
    ----------
    alphas : ndarray of shape (alphas,)
    ns : ndarray of shape (ns,)
    potential : ndarray of shape (alphas, ns)
        -log of the last loss; -inf where learning diverged, inf where that loss was 0.
    diverged_at : ndarray of shape (alphas,)
        The number of the fact at which learning stopped; -1 where it did not.
    further : ndarray of shape (alphas, ns)
        -log of the mean loss over FURTHER other facts, or where there are no others over
        those learned: the last loss is that of one fact, and small by luck now and then.
    untouched : float
        What `further` is for the network as it is.
    """

    alphas: Array
    ns: Array
    potential: Array
    diverged_at: Array
    further: Array
    untouched: float

    def best(self, n: int | None = None) -> float:
        """The alpha that is best for further facts, n of ns learned; by default all of them.

        It is the middle of those that are nearly as good as the best, which is it by luck:
        nine tenths as good, or within a factor e of its loss.
        """
        return float(self.alphas[self._best(self._column(n))])

    def edge(self, n: int | None = None) -> float:
        """The lowest alpha above the best one that is worse than not to learn; inf if none is."""
        column = self._column(n)
        best = self._best(column)
        harmed = self.further[best:, column] < self.untouched
        return float(self.alphas[best:][harmed.argmax()]) if harmed.any() else np.inf

    def _column(self, n: int | None) -> int:
        if n is None:
            return len(self.ns) - 1
        found = np.flatnonzero(self.ns == n)
        if not found.size:
            raise ValueError(f"the map has no n = {brief(n)}; it has {self.ns.tolist()}")
        return int(found[0])

    def _best(self, column: int) -> int:
        further = self.further[:, column]
        padded = np.pad(further, 1, mode="edge")
        smooth = np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)
        best = int(smooth.argmax())
        near = min(1.0, max(0.0, smooth[best] - self.untouched) / 10)
        far = np.flatnonzero(smooth < smooth[best] - near)
        low = max(far[far < best], default=-1) + 1
        high = min(far[far > best], default=len(smooth)) - 1
        return int(low + high) // 2

    def __str__(self) -> str:
        rows = np.unique(np.linspace(0, len(self.alphas) - 1, ROWS).round().astype(int))
        lines = ["alpha \\ n" + "".join(f"{n:>8}" for n in self.ns)]
        for i in rows:
            values = "".join(f"{value:8.3g}" for value in self.potential[i])
            stopped = self.diverged_at[i]
            gone = f"  diverged at fact {stopped}" if stopped >= 0 else ""
            lines.append(f"{self.alphas[i]:<9.4g}{values}{gone}")
        edge = self.edge()
        harm = "none of them does harm" if np.isinf(edge) else f"from {edge:.4g} on it does harm"
        lines.append(f"best after {self.ns[-1]} facts: alpha {self.best():.4g}; {harm}")
        return "\n".join(lines)


def learning_potential_map(bench: NNBench, alphas: Any = None, ns: Any = None) -> PotentialMap:
    """The potentials of a bench; see `NNBench.learning_potential_map`."""
    counts = _counts(NS if ns is None else ns)
    if alphas is not None:
        return _map(bench, _rates(alphas), counts)
    coarse = _map(bench, COARSE, counts)
    return coarse if _all_diverged(coarse) else _map(bench, _closer(coarse), counts)


def suggest_alpha(bench: NNBench, n: int = 100) -> float:
    """A good alpha for n facts; see `NNBench.suggest_alpha`."""
    counts = _counts([n])
    coarse = _map(bench, COARSE, counts)
    if _all_diverged(coarse):
        raise ValueError(
            f"learning {n} facts diverges at every alpha from {COARSE[0]:g} on; roll back to "
            "where the numbers were smaller"
        )
    tried = _map(bench, _closer(coarse), counts)
    return min(tried.best(), tried.edge() / MARGIN)


def _map(bench: NNBench, alphas: Array, ns: Array) -> PotentialMap:
    net = bench.net
    if net.nets is not None or not net.size:
        kind = "a crowd" if net.size else "a network without parameters"
        raise ValueError(f"a map of learning potentials is of one network that learns, not {kind}")
    crowd = _copies(net, alphas)
    most = int(ns[-1])
    facts = bench.training_data_gen(most + FURTHER)
    if len(facts) < most:
        raise ValueError(f"{most} facts are asked for, but the bench has {len(facts)}")
    learned = Facts(facts.X[:most], facts.T[:most])
    others = Facts(facts.X[most:], facts.T[most:]) if len(facts) > most else learned
    untouched = _further(net, others)
    asked = set(ns.tolist())
    potential, further = [], []
    for i, loss in enumerate(crowd.steps(learned), 1):
        if i in asked:
            with np.errstate(divide="ignore"):
                potential.append(-np.log(loss))
            further.append(np.where(crowd._diverged < 0, _further(crowd, others), -np.inf))
    nothing = [np.full(len(alphas), -np.inf)] * (len(ns) - len(potential))  # all have diverged
    return PotentialMap(
        alphas, ns, np.stack(potential + nothing, axis=1), crowd.diverged,
        np.stack(further + nothing, axis=1), float(untouched),
    )  # fmt: skip


def _further(net: Network, facts: Facts) -> Array:
    """-log of the mean loss over the facts, by net; finite but for losses that are not."""
    with np.errstate(all="ignore"):
        x, t = checked_facts(net, facts.batches(len(facts)))[0]
        loss = net.loss.forward(net.forward(x)[0], t)
        loss = loss / (len(facts) if net.loss.reduction == "sum" else 1)
        # what rounding alone makes of a loss is as good as 0
        return -np.log(np.maximum(np.where(np.isnan(loss), np.inf, loss), SMALLEST))


def _all_diverged(tried: PotentialMap) -> bool:
    return bool((tried.further[:, -1] == -np.inf).all())


def _copies(net: Network, alphas: Array) -> Network:
    """A crowd of copies of the network, each with its alpha, the optimizer's memory too."""

    def repeated(array: Array) -> Array:
        return np.broadcast_to(array, (len(alphas), *array.shape))

    crowd = net.with_parameters({k: repeated(a) for k, a in net.parameters.items()}).copy()
    crowd._forget()
    crowd.alpha = alphas
    if net._memory is not None:
        crowd._memory = {key: repeated(array).copy() for key, array in net._memory.items()}
    return crowd


def _closer(coarse: PotentialMap) -> Array:
    """Alphas around the best one, and a little beyond the edge."""
    high = min(4 * coarse.edge(), coarse.alphas[-1])
    return np.geomspace(min(coarse.best() / 30, high / 3000), high, FINE)


def _rates(alphas: Any) -> Array:
    """The alphas, sorted, each once."""
    rates = sorted({number(alpha, "alpha", above=0) for alpha in _several(alphas, "alphas")})
    return np.array(rates)


def _counts(ns: Any) -> Array:
    counts = {positive_int(n, "the number of facts") for n in _several(ns, "ns")}
    return np.array(sorted(counts))


def _several(values: Any, what: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a sequence of numbers, not {brief(values)}")
    several = list(values)
    if not several:
        raise ValueError(f"{what} must not be empty")
    return several
