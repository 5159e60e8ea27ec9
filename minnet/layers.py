r"""The layers: what each computes, and its derivative written by hand.

A layer is two pure functions. With x the input, y the output and L the loss,

    y, cache = layer.forward(x)
    dx, gradients = layer.backprop(dy, cache)     dy is dL/dy, dx is dL/dx

where `gradients` holds dL/dp for every parameter p by name. `cache` is what backprop needs
to know; nothing is kept in the layer, so a second forward cannot spoil an earlier backprop.

The same lines serve one fact (n,), a batch (batch, n), and a crowd of nets: parameters
with one more axis in front, inputs (batch, n) or (nets, batch, n), outputs
(nets, batch, m). `along_batch` and `batch_sum` bridge the three.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from minnet.checks import Array, Randomness, function, inputs_for, number, read_only, widths
from minnet.elementwise import ScalarFunction, elementwise
from minnet.initializers import Initializer, normal
from minnet.parameters import Parameter, Parametric, along_batch, batch_sum

Back: TypeAlias = tuple[Any, dict[str, Array]]  # dL/dx (or None) and {name: dL/dparameter}


class Layer(Parametric):
    """A differentiable function with named parameters. Subclass it to write your own.

    Parameters
    ----------
    n, m : int, optional
        The numbers of inputs and outputs; None: any n, and as many outputs as inputs.
    name : str, optional
        How its network and errors call it; made from its kind and place by default.

    Raises
    ------
    TypeError, ValueError
        If a width is no positive integer, or the name is empty or holds a dot.

    Examples
    --------
    >>> class Scale(Layer):
    ...     s = Parameter()
    ...     def __init__(self, n, name=None):
    ...         super().__init__(n, n, name)
    ...         self.s = np.ones(n)
    ...     def forward(self, x):
    ...         return along_batch(self.s) * x, x
    ...     def backprop(self, dy, x, inputs=True):
    ...         return dy * along_batch(self.s), {"s": batch_sum(dy * x)}
    >>> Scale(2)([3, 5])
    array([3., 5.])
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The output y for the input x, and a cache for `backprop`."""
        raise NotImplementedError(f"{self.label} has no forward(x)")

    def backprop(self, dy: Array, cache: Any, inputs: bool = True) -> Back:
        """From dL/dy to dL/dx and {name: dL/dparameter}; dx may be None if not `inputs`."""
        raise NotImplementedError(f"{self.label} has no backprop(dy, cache, inputs=True)")

    def __call__(self, x: Any) -> Array:
        """The output for x: (n,), (batch, n) or, in a crowd, (nets, batch, n), after a check."""
        x = inputs_for(self, x)
        if self.nets is not None and x.ndim == 1:
            return self.forward(x[None])[0][:, 0]
        return self.forward(x)[0]


class Identity(Layer):
    """y = x, so dL/dx = dL/dy.

    >>> Identity()([3, 5])
    array([3., 5.])
    """

    def forward(self, x: Array) -> tuple[Array, None]:
        return +x, None

    def backprop(self, dy: Array, cache: None, inputs: bool = True) -> Back:
        return +dy, {}


class Affinity(Layer):
    r"""y = M x + b, with M of shape (m, n) and b of shape (m,).

    From y_i = sum_j M_ij x_j + b_i, with dy_i = dL/dy_i:

        dL/dM_ij = dy_i x_j             dM = dy x^T
        dL/db_i  = dy_i                 db = dy
        dL/dx_j  = sum_i M_ij dy_i      dx = M^T dy

    A batch holds its facts as rows, so M x becomes x M^T and M^T dy becomes dy M;
    dM and db are sums over the facts.

    Parameters
    ----------
    n, m : int
        The numbers of inputs and outputs.
    name : str, optional
    initializer : function of minnet.initializers
        How M and b start; standard normal by default.
    rng : numpy.random.Generator, int or None
        Where the start is drawn from.

    Examples
    --------
    >>> swap = Affinity(2, 2)
    >>> swap.M, swap.b = [[0, 1], [1, 0]], [0, 0]
    >>> swap([3, 5])
    array([5., 3.])
    """

    M, b = Parameter(), Parameter()

    def __init__(
        self, n: int, m: int, name: str | None = None, *,
        initializer: Initializer = normal, rng: Randomness = None,
    ) -> None:  # fmt: skip
        super().__init__(*widths(n, m), name)
        self.initializer = function(initializer, "Affinity: the initializer")
        self.M, self.b = np.zeros((m, n)), np.zeros(m)
        self.randomize(rng)

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> Array:
        return self.initializer(rng, self.M.shape[-1], self.M.shape[-2], lead)

    def forward(self, x: Array) -> tuple[Array, Array]:
        return x @ self.M.mT + along_batch(self.b), x

    def backprop(self, dy: Array, x: Array, inputs: bool = True) -> Back:
        gradients = {"M": np.atleast_2d(dy).mT @ np.atleast_2d(x), "b": batch_sum(dy)}
        return dy @ self.M if inputs else None, gradients


class Map(Layer):
    """y_i = f(x_i), so dL/dx_i = dL/dy_i f'(x_i).

    Parameters
    ----------
    f, dfdx : callable
        A scalar function and its derivative, whether for whole arrays (``np.tanh``), for
        scalars only (``lambda x: 1 if x > 0 else 0``) or constant (``lambda x: 1``).
    name : str, optional

    Raises
    ------
    TypeError
        If f or dfdx cannot be called.

    Examples
    --------
    >>> Map(lambda x: x * x, lambda x: 2 * x)([3, 5])
    array([ 9., 25.])
    """

    def __init__(self, f: ScalarFunction, dfdx: ScalarFunction, name: str | None = None) -> None:
        super().__init__(name=name)
        self._f, self._dfdx = function(f, "Map: f"), function(dfdx, "Map: dfdx")

    def f(self, x: Array) -> Array:
        return elementwise(self._f, x, self, "f")

    def dfdx(self, x: Array) -> Array:
        return elementwise(self._dfdx, x, self, "dfdx")

    def forward(self, x: Array) -> tuple[Array, Array]:
        return self.f(x), x

    def backprop(self, dy: Array, x: Array, inputs: bool = True) -> Back:
        return dy * self.dfdx(x) if inputs else None, {}


class Activation(Map):
    """A Map whose f and dfdx are formulas of its own."""

    def __init__(self, name: str | None = None) -> None:
        Layer.__init__(self, name=name)


class ReLU(Activation):
    """f(x) = max(0, x); f'(x) = 1 where x > 0, else 0.

    At the kink the derivative is a choice: f'(0) = 0, and so at -0.0.

    >>> ReLU()([-2, 0, 3])
    array([0., 0., 3.])
    """

    def f(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def dfdx(self, x: Array) -> Array:
        return x > 0


class LeakyReLU(Activation):
    """f(x) = x where x > 0, else leak x; f'(x) = 1 where x > 0, else leak.

    At the kink the derivative is a choice: f'(0) = leak, and so at -0.0.

    >>> LeakyReLU(0.1)([-2, 0, 3])
    array([-0.2,  0. ,  3. ])
    """

    def __init__(self, leak: float = 0.01, name: str | None = None) -> None:
        super().__init__(name)
        self._leak = number(leak, "LeakyReLU: the leak")

    leak = read_only("_leak", "The slope below zero.")

    def f(self, x: Array) -> Array:
        return np.where(x > 0, x, self._leak * x)

    def dfdx(self, x: Array) -> Array:
        return np.where(x > 0, np.ones_like(x), self._leak)

    def _settings(self) -> list[str]:
        return [f"{self._leak:g}"]


class Sigmoid(Activation):
    r"""f(x) = 1 / (1 + exp(-x)); f'(x) = f(x) f(-x).

    With e = exp(-\|x\|), which cannot overflow, and r = 1 / (1 + e), f(x) = r for x >= 0 and
    e r below, accurate far into both tails; f'(x) = e r^2. (min(x, -x) is -\|x\|, written so
    that complex steps go through it.)

    >>> Sigmoid()([-38, 0])
    array([3.13913279e-17, 5.00000000e-01])
    """

    def f(self, x: Array) -> Array:
        e = np.exp(np.minimum(x, -x))
        return np.where(x < 0, e, np.ones_like(e)) * (1 / (1 + e))

    def dfdx(self, x: Array) -> Array:
        e = np.exp(np.minimum(x, -x))
        r = 1 / (1 + e)
        return e * r * r


class Tanh(Activation):
    """f(x) = tanh(x); f'(x) = 1 / cosh(x)^2.

    With e = exp(-2|x|) that is 4 e / (1 + e)^2, accurate where 1 - tanh(x)^2 has cancelled.

    >>> Tanh()([0, 1])
    array([0.        , 0.76159416])
    """

    def f(self, x: Array) -> Array:
        return np.tanh(x)

    def dfdx(self, x: Array) -> Array:
        e = np.exp(2 * np.minimum(x, -x))
        return 4 * e / (1 + e) ** 2
