"""One fact on its way through a network, forward and back to the updated weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.facts import facts_for
from minnet.network import Network
from minnet.study.trace_text import lines
from minnet.study.watching import Passage, Watched


@dataclass(frozen=True, repr=False)
class Trace:
    """A fact's way through a network. Its text shows each number with where it came from.

    Attributes
    ----------
    passages : list of Passage
        The layers in the order of computation, nested ones by names such as "block.fc1".
    x, y : ndarray (n,), (m,)
        What the network was given, and what it answered.
    expected, loss, dy : ndarray (m,), float, ndarray (m,), or None
        What was expected, the loss, and its derivative by the output.
    updates : dict
        Of each parameter's name to (before, gradient, after) one step of the optimizer.
    """

    net: Network
    passages: list[Passage]
    x: Array
    y: Array
    expected: Array | None = None
    loss: float | None = None
    dy: Array | None = None
    updates: dict[str, tuple[Array, Array, Array]] | None = None

    def __repr__(self) -> str:
        return "\n".join(lines(self))


def trace(net: Network, x: Any, expected: Any = None) -> Trace:
    """Follow one fact forward and, where something is expected, back to the updated weights.

    The network is left as it is: the update is shown, not made.

    Parameters
    ----------
    net : Network
        A plain one; of a crowd take a ``.member(i)``.
    x : array_like, shape (n,)
    expected : array_like, shape (m,), optional
        Without it only the way forward is followed.

    Returns
    -------
    Trace
        Printed, it shows each number with the products and sums it came from.

    Raises
    ------
    TypeError, ValueError
        If the fact is not one for this network, or there is no layer to go through.

    Examples
    --------
    >>> from minnet import Affinity
    >>> net = Network([Affinity(2, 1)])
    >>> net.layers[0].M, net.layers[0].b = [[2, -1]], [0.5]
    >>> trace(net, [3, 4])
    FORWARD  x = (3, 4)
    <BLANKLINE>
    #0 affinity0: Affinity, y = M x + b
      y[0] = 2*3 - 1*4 + 0.5 = 2.5
    """
    if not isinstance(net, Network):
        raise TypeError(f"a trace goes through a Network, not {net!r}")
    if net.nets is not None:
        raise ValueError(f"a trace follows one network, not a crowd of {net.nets}: .member(i)")
    if not net.layers:
        raise ValueError("the network has no layers to follow a fact through")
    net = net.copy()  # what is shown stays as it was when the network learns on
    if net(x).ndim != 1:
        raise ValueError(f"a trace follows one fact: x must be a vector, not shape {np.shape(x)}")
    watched = Watched(net)
    y = watched.forward(x)
    x = np.asarray(x, net.dtype)
    if expected is None:
        return Trace(net, list(watched.passages.values()), x, y)
    [(_, t)] = facts_for(net, [(x, expected)], 1)
    dy = net.loss.gradient(y, t)
    watched.back(dy)
    passages = list(watched.passages.values())
    return Trace(net, passages, x, y, t, float(net.loss(y, t)), dy, _updates(net, passages))


def _updates(net: Network, passages: list[Passage]) -> dict[str, tuple[Array, Array, Array]]:
    gradients = {
        f"{p.name}.{key}": gradient
        for p in passages
        for key, gradient in (p.gradients or {}).items()
    }
    flat = np.concatenate([np.ravel(a) for a in net.parameters.values()] or [np.zeros(0)])
    g = np.concatenate([np.ravel(gradients[key]) for key in net.parameters] or [np.zeros(0)])
    memory = net.optimizer.start(flat) if net._memory is None else net._memory
    new, _ = net.optimizer.update(flat, g, memory)
    twin = net.copy()
    twin._fill(new)
    return {
        key: (before.copy(), gradients[key], twin.parameters[key])
        for key, before in net.parameters.items()
    }
