"""Training from afresh until a network has learned its facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minnet.checks import Array, Randomness, brief, generator, number, positive_int
from minnet.facts import Facts
from minnet.network import Network
from minnet.snapshots import unchanged_by_errors

Watch = Callable[[int, int, float], Any]


@dataclass(frozen=True)
class Training:
    """How `train_until` went.

    Attributes
    ----------
    losses : list of float
        The loss of each step of the last start; inf at the end where it diverged.
    starts : int
        How many starts were made, the last one included.
    accuracy : float
        The share of the facts that the network now answers rightly.
    reached : bool
        Whether that is the accuracy asked for.
    """

    losses: list[float]
    starts: int
    accuracy: float
    reached: bool


def margins(y: Array, expected: Array, threshold: float = 0.5) -> Array:
    """How far each output is on its right side of the threshold; negative on the wrong one.

    The right side is above where `expected` is above the threshold, else below.

    >>> margins(np.array([0.75, 0.75]), np.array([1, 0])).tolist()
    [0.25, -0.25]
    """
    return np.where(expected > threshold, y - threshold, threshold - y)


def right(net: Network, facts: Facts, threshold: float = 0.5, margin: float = 0.0) -> Array:
    """Which facts the network answers rightly: every output beyond the threshold by the margin.

    Returns
    -------
    ndarray of bool, shape (facts,), or (nets, facts) for a crowd

    Raises
    ------
    ValueError
        If the facts expect class indices, or do not fit the network.
    """
    if facts.T.ndim != 2 or facts.T.shape[1] != (net.m or facts.X.shape[1]):
        raise ValueError(
            f"the facts expect shape {facts.T.shape}, where the network gives {net.m} outputs"
        )
    with np.errstate(all="ignore"):  # numbers left by a divergence may overflow; nan is not right
        return margins(net(facts.X), facts.T, threshold).min(axis=-1) > margin


def train_until(
    net: Network,
    facts: Facts,
    accuracy: float = 1.0,
    *,
    epochs: int = 1000,
    starts: int = 100,
    threshold: float = 0.5,
    margin: float = 0.0,
    rng: Randomness = None,
    watch: Watch | None = None,
    begun: tuple[int, list[float]] | None = None,
) -> Training:
    """Draw the network afresh and train it, again and again until it is accurate enough.

    Each start takes `epochs` steps, each on all facts at once, from newly drawn
    parameters and with an optimizer that remembers nothing.

    Parameters
    ----------
    net : Network
        A plain one, trained in place: it keeps the numbers of the last start.
    facts : Facts
    accuracy : float
        From 0 to 1: the share of facts to be answered rightly.
    epochs : int
        Steps of each start.
    starts : int
        The most starts to make.
    threshold : float
        What divides true outputs from false ones.
    margin : float
        How far beyond the threshold an output must be in order to be right.
    rng : numpy.random.Generator, int or None
        Where the starts come from.
    watch : callable, optional
        Called as ``watch(start, step, loss)`` after each step, both counted from 0.
    begun : (int, list of float), optional
        To go on where another call was broken off: the number of its last start and the
        losses of that; the network and the generator must be as they were then.

    Raises
    ------
    TypeError, ValueError
        If an argument is bad. The network is then as it was, and so is the generator.

    Examples
    --------
    >>> from minnet import SGD, Affinity, Sigmoid
    >>> from minnet.facts import gate
    >>> net = Network([Affinity(2, 2), Sigmoid(), Affinity(2, 1), Sigmoid()], optimizer=SGD(3))
    >>> training = train_until(net, gate("xor"), rng=0)
    >>> training.reached, net(gate("xor").X).round().ravel()
    (True, array([0., 1., 1., 0.]))
    """
    if not isinstance(net, Network) or net.nets is not None:
        raise TypeError("train_until trains one plain Network; a crowd has `learn`")
    if not isinstance(facts, Facts):
        raise TypeError(f"facts must be Facts, not {brief(facts)}")
    accuracy = number(accuracy, "accuracy", least=0)
    if accuracy > 1:
        raise ValueError(f"accuracy must be a share from 0 to 1, not {accuracy}")
    threshold, margin = number(threshold, "threshold"), number(margin, "margin", least=0)
    epochs, starts = positive_int(epochs, "epochs"), positive_int(starts, "starts")
    rng = generator(rng)
    state = rng.bit_generator.state
    try:
        with unchanged_by_errors(net):
            first, losses = begun or (0, [])
            for start in range(first, starts):
                if begun is None or start > first:
                    net.randomize(rng)
                    net.optimizer = net.optimizer  # forget what it remembers of the last start
                    losses = []
                whole = facts.batches(len(facts))
                ended = len(losses) == epochs or not np.isfinite(losses[-1:]).all()
                rest = () if ended else net.steps(whole, epochs - len(losses))
                for step, loss in enumerate(rest, len(losses)):
                    losses.append(loss)
                    if watch is not None:
                        watch(start, step, loss)
                reached = float(right(net, facts, threshold, margin).mean())
                if reached >= accuracy:
                    break
    except BaseException:
        rng.bit_generator.state = state
        raise
    return Training(losses, start + 1, reached, reached >= accuracy)
