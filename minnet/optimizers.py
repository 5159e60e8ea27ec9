"""The optimizers: from parameters and gradient to new parameters, and nothing else.

`update` is a pure function of flat arrays (size,) or (nets, size), so that one line
serves every layer and every net of a crowd. What an optimizer remembers from step to
step is a dictionary of arrays that the network keeps; its settings are read-only.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from minnet.checks import Array, brief, number, read_only

State = dict[str, Array]


class Optimizer:
    """The base of the optimizers: a learning rate and an update rule.

    >>> class SignDescent(Optimizer):
    ...     def update(self, p, g, state):
    ...         return p - self.alpha * np.sign(g), {}
    >>> SignDescent(0.5).update(np.array([1.0]), np.array([30.0]), {})[0]
    array([0.5])
    """

    def __init__(self, alpha: float) -> None:
        self._alpha: float | Array = number(alpha, f"{type(self).__name__}: alpha", above=0)

    alpha = read_only("_alpha", "The learning rate. To change it assign `net.alpha`.")

    def start(self, p: Array) -> State:
        """What is remembered before the first step, for parameters like `p`."""
        return {}

    def update(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        """New parameters and state, from parameters, gradient and state, which stay as they are."""
        raise NotImplementedError(f"{type(self).__name__} has no update(p, g, state)")

    def with_alpha(self, alpha: float | Array) -> Self:
        """The same optimizer with another learning rate, or a column (nets, 1) of them."""
        twin = copy.copy(self)
        if isinstance(alpha, np.ndarray) and alpha.ndim == 2:
            for rate in alpha[:, 0]:
                number(rate, "alpha", above=0)
            twin._alpha = alpha
        else:
            twin._alpha = number(alpha, "alpha", above=0)
        return twin

    def __repr__(self) -> str:
        settings = {key.lstrip("_"): value for key, value in vars(self).items()}
        texts = [f"{k}={v:g}" if np.ndim(v) == 0 else f"{k} per net" for k, v in settings.items()]
        return f"{type(self).__name__}({', '.join(texts)})"


class SGD(Optimizer):
    """p - alpha v, where v = momentum v + g + weight_decay p; as torch.optim.SGD.

    Parameters
    ----------
    alpha : float
        The learning rate, above 0.
    momentum : float
        In [0, 1).
    weight_decay : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not such a number.

    Examples
    --------
    >>> p, state = SGD(0.1).update(np.array([1.0]), np.array([2.0]), {})
    >>> p
    array([0.8])
    """

    def __init__(
        self, alpha: float = 0.1, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(alpha)
        self._momentum = number(momentum, "SGD: momentum", least=0, below=1)
        self._weight_decay = number(weight_decay, "SGD: weight_decay", least=0)

    momentum = read_only("_momentum", "How much of the last step's direction is kept.")
    weight_decay = read_only("_weight_decay", "How strongly parameters are drawn to 0.")

    def start(self, p: Array) -> State:
        return {"v": np.zeros_like(p)} if self._momentum else {}

    def update(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        if self._weight_decay:
            g = g + self._weight_decay * p
        if not self._momentum:
            return p - self._alpha * g, {}
        v = self._momentum * state["v"] + g
        return p - self._alpha * v, {"v": v}


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), with the rounding of torch.optim.Adam.

    With t the number of the step, from 1:

        m = beta1 m + (1 - beta1) g         v = beta2 v + (1 - beta2) g^2
        p - alpha / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Parameters
    ----------
    alpha : float
        The learning rate, above 0.
    betas : pair of float
        Each in [0, 1).
    eps : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not such a number.

    Examples
    --------
    The first step goes by alpha, whatever the size of the gradient:

    >>> adam, p = Adam(0.1), np.array([1.0, 1.0])
    >>> adam.update(p, np.array([2.0, -300.0]), adam.start(p))[0].round(6)
    array([0.9, 1.1])
    """

    def __init__(
        self, alpha: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(alpha)
        try:
            beta1, beta2 = betas
        except (TypeError, ValueError):
            raise TypeError(f"Adam: betas must be a pair of numbers, not {brief(betas)}") from None
        self._beta1 = number(beta1, "Adam: beta1", least=0, below=1)
        self._beta2 = number(beta2, "Adam: beta2", least=0, below=1)
        self._eps = number(eps, "Adam: eps", above=0)

    eps = read_only("_eps", "What keeps the division finite.")

    @property
    def betas(self) -> tuple[float, float]:
        """How much of the averages of g and g^2 is kept at each step."""
        return self._beta1, self._beta2

    def start(self, p: Array) -> State:
        # t is float64 whatever p is: 1 - 0.999^t would lose half its digits in float32
        return {"m": np.zeros_like(p), "v": np.zeros_like(p), "t": np.zeros((*p.shape[:-1], 1))}

    def update(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        t = state["t"] + 1
        m = state["m"] + (1 - self._beta1) * (g - state["m"])
        v = self._beta2 * state["v"] + (1 - self._beta2) * (g * g)
        rate = (self._alpha / (1 - self._beta1**t)).astype(p.dtype)
        scale = np.sqrt(1 - self._beta2**t).astype(p.dtype)
        return p - rate * (m / (np.sqrt(v) / scale + self._eps)), {"m": m, "v": v, "t": t}
