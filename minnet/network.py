"""Network: a chain of layers that is itself a layer, and how it learns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.facts import Fact, facts_for
from minnet.layers import Back, Layer
from minnet.learning import Learner
from minnet.losses import Loss, SquaredError
from minnet.optimizers import SGD, Optimizer
from minnet.snapshots import unchanged_by_errors
from minnet.unroll.engines import written_out, written_out_where_it_pays


class Network(Learner):
    r"""Layers one after the other: y = l_k(... l_2(l_1(x))), itself a layer.

    Its backprop is the chain rule: the gradient goes through the layers' backprops in
    reverse order, and each layer adds the gradients of its own parameters on the way.

    Parameters
    ----------
    layers : sequence of Layer
        Networks too. A layer has one place only; put a ``.copy()`` in a second one.
    loss : Loss
    optimizer : Optimizer
    dtype : float64 or float32
        For all parameters and results.
    name : str, optional
        For a network inside another one.

    Raises
    ------
    TypeError, ValueError
        If layers do not fit, or an argument is of another kind.

    Examples
    --------
    >>> from minnet import SGD, Affinity, Tanh
    >>> net = Network([Affinity(2, 3), Tanh(), Affinity(3, 1)], optimizer=SGD(0.05))
    >>> net([0, 1]).shape
    (1,)
    >>> loss = net.learn([([0, 1], [1]), ([1, 1], [0])])
    """

    def __init__(
        self,
        layers: Iterable[Layer] = (),
        *,
        loss: Loss = SquaredError(),  # noqa: B008  # losses and optimizers are read-only
        optimizer: Optimizer = SGD(0.1),  # noqa: B008
        dtype: Any = np.float64,
        name: str | None = None,
    ) -> None:
        super().__init__(layers, loss, optimizer, dtype, name)

    def forward(self, x: Array) -> tuple[Array, list[Any]]:
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x)
            caches.append(cache)
        return x, caches

    def backprop(self, dy: Array, caches: list[Any], inputs: bool = True) -> Back:
        gradients: dict[str, Array] = {}
        for i in reversed(range(len(self.layers))):
            dy, own = self.layers[i].backprop(dy, caches[i], inputs or i > 0)
            gradients |= {f"{self.names[i]}.{key}": gradient for key, gradient in own.items()}
        return dy, gradients

    @written_out_where_it_pays
    def learn(self, facts: Iterable[Any], epochs: int = 1) -> Any:
        """Take one step per fact; return the last loss, measured before its step.

        Parameters
        ----------
        facts : Facts, or iterable of (x, expected)
            Vectors (n,) and (m,), or batches (batch, n) and (batch, m).
        epochs : int
            How many times to go through the facts.

        Returns
        -------
        float, or ndarray of shape (nets,) for a crowd
            inf where learning diverged: see `diverged`.

        Raises
        ------
        TypeError, ValueError
            If a fact is bad. The network is then as it was, but facts that an iterator
            gave before the bad one stay learned.
        """
        with nullcontext() if isinstance(facts, Iterator) else unchanged_by_errors(self):
            last = deque(self.steps(facts, epochs), maxlen=1)
        if not last:
            raise ValueError("there are no facts to learn")
        return last[0]

    def steps(self, facts: Iterable[Any], epochs: int = 1) -> Iterator[Any]:
        """What `learn` does, as a generator that yields the loss of every step."""
        return self._steps(facts_for(self, facts, epochs))

    def _steps(self, facts: Iterable[Fact]) -> Iterator[Any]:
        self._start_learning()
        for number, (x, expected) in enumerate(facts):
            self._get_ready()
            yield (written_out(self, x, expected) or self._step)(number, x, expected)
            if self._all_diverged():
                return

    def _step(self, number: int, x: Array, expected: Array) -> Any:
        """Forward, loss, back, update."""
        with np.errstate(all="ignore"):  # divergence is a result, not a warning
            y, caches = self.forward(x)
            self.loss.check_outputs(y)
            loss = self.loss.forward(y, expected)
            dy = self.loss.backprop(y, expected)
            _, gradients = self.backprop(dy, caches, inputs=False)
            g = self._flatten(gradients)
            p, memory = self.optimizer.update(self._flat, g, self._memory)
        return self._take_step(number, loss, p, memory)
