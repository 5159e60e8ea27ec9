"""Layers made of layers: side by side, beside their own input, and which inputs go where.

With Network, which puts layers one after the other, these wire any circuit without loops.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minnet.checks import Array, brief, integer, positive_int, read_only
from minnet.layers import Back, Layer
from minnet.structure import Container, Widths, widths_of


class Parallel(Container):
    r"""Layers side by side on the same input, their outputs joined: y = (f_1(x), f_2(x), ...).

    x goes into every branch, so dL/dx is the sum of what comes back from all of them. With
    dy_k the part of dy that belongs to branch k, and J_k the Jacobian of f_k there,

        dL/dx = sum_k J_k^T dy_k

    and each branch finds the gradients of its own parameters from its own dy_k.

    Parameters
    ----------
    branches : sequence of Layer
        Networks too. Those with a fixed number of inputs must agree on it, and one must
        have it. They are `layers` afterwards, which can be assigned.
    name : str, optional

    Raises
    ------
    TypeError, ValueError
        If there is no branch, or branches do not fit.

    Examples
    --------
    >>> from minnet import Affinity, Network
    >>> both = Parallel([Select([1], 2), Affinity(2, 3, name="fc")], name="both")
    >>> both([3, 5]).shape, list(Network([both]).parameters)
    ((4,), ['both.fc.M', 'both.fc.b'])
    """

    def __init__(self, branches: Iterable[Layer], name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers = branches

    def forward(self, x: Array) -> tuple[Array, list[Any]]:
        ys, caches = zip(*(layer.forward(x) for layer in self.layers), strict=True)
        return _joined(ys), [(y.shape[-1], cache) for y, cache in zip(ys, caches, strict=True)]

    def backprop(self, dy: Array, caches: list[Any], inputs: bool = True) -> Back:
        dxs, stop = [], 0
        gradients: dict[str, Array] = {}
        for name, layer, (m, cache) in zip(self.names, self.layers, caches, strict=True):
            start, stop = stop, stop + m
            dx, own = layer.backprop(dy[..., start:stop], cache, inputs)
            dxs.append(dx)
            gradients |= {f"{name}.{key}": gradient for key, gradient in own.items()}
        return functools.reduce(np.add, dxs) if inputs else None, gradients

    def _check_widths(self) -> None:
        known = {i: n for i, (n, _) in enumerate(map(widths_of, self._layers)) if n is not None}
        if not self._layers:
            raise ValueError(f"{self.label} must have a branch")
        _check_known(self, known)
        first = next(iter(known))
        for i, n in known.items():
            if n != known[first]:
                raise ValueError(
                    f"{self.label}: its branches take the same input, but #{first} "
                    f"{self._names[first]!r} takes {known[first]} inputs, and #{i} "
                    f"{self._names[i]!r} takes {n}"
                )

    @property
    def _widths(self) -> Widths:
        widths = [widths_of(layer) for layer in self._layers]
        n = next((n for n, _ in widths if n is not None), None)
        return n, None if n is None else sum(m or n for _, m in widths)


class Skip(Container):
    r"""The input beside a layer's output, y = (x, f(x)): a skip connection by concatenation.

    x is passed on as it is and also goes into f. With dy = (dy_x, dy_f) and J the Jacobian
    of f,

        dL/dx = dy_x + J^T dy_f

    so the gradient reaches what comes before even where f lets nothing through
    (G. Huang et al., "Densely connected convolutional networks", CVPR 2017).

    Parameters
    ----------
    layer : Layer
        A network too; it must have a fixed number of inputs.
    name : str, optional

    Raises
    ------
    TypeError, ValueError
        If it is no layer, or takes any number of inputs.

    Examples
    --------
    >>> from minnet import Affinity
    >>> f = Affinity(2, 1)
    >>> f.M, f.b = [[1, 1]], [0]
    >>> Skip(f)([3, 5])
    array([3., 5., 8.])
    """

    def __init__(self, layer: Layer, name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers = (layer,)

    def forward(self, x: Array) -> tuple[Array, Any]:
        y, cache = self.layers[0].forward(x)
        return _joined((x, y)), (x.shape[-1], cache)

    def backprop(self, dy: Array, cache: Any, inputs: bool = True) -> Back:
        n, inner = cache
        dx, own = self.layers[0].backprop(dy[..., n:], inner, inputs)
        gradients = {f"{self.names[0]}.{key}": gradient for key, gradient in own.items()}
        return dy[..., :n] + dx if inputs else None, gradients

    def _check_widths(self) -> None:
        if len(self._layers) != 1:
            raise ValueError(
                f"{self.label} takes one layer, not {len(self._layers)}: put them into a "
                "Network or a Parallel"
            )
        _check_known(self, widths_of(self._layers[0])[0])

    @property
    def _widths(self) -> Widths:
        n, m = next(map(widths_of, self._layers), (None, None))
        return n, None if n is None else n + (m or n)


class Select(Layer):
    r"""y_i = x_{s(i)}: the inputs with these indices, in this order, any of them repeatedly.

    Each y_i passes its gradient to the input that it comes from, where they add up:

        dL/dx_j = sum over the i with s(i) = j of dL/dy_i

    which is 0 for an input that is not selected.

    Parameters
    ----------
    indices : sequence of int
        From 0; s(0), s(1), ...
    n : int
        The number of inputs.
    name : str, optional

    Raises
    ------
    TypeError, ValueError
        If there is no index, or one is no integer from 0 to n - 1.

    Examples
    --------
    >>> Select([2, 0, 0], 3)([3, 5, 7])
    array([7., 3., 3.])
    """

    def __init__(self, indices: Sequence[int], n: int, name: str | None = None) -> None:
        n = positive_int(n, "Select: the number of inputs")
        self._indices = np.array(_checked_indices(indices, n))
        super().__init__(n, len(self._indices), name)
        self._users = _users(self._indices, n)

    indices = read_only("_indices", "The index of the input that each output is.")

    def forward(self, x: Array) -> tuple[Array, None]:
        return x[..., self._indices], None

    def backprop(self, dy: Array, cache: None, inputs: bool = True) -> Back:
        if not inputs:
            return None, {}
        with_zero = np.concatenate([dy, np.zeros_like(dy[..., :1])], axis=-1)
        return with_zero[..., self._users].sum(axis=-1), {}

    def _settings(self) -> list[str]:
        return [str(self._indices.tolist()), str(self._n)]


def _joined(parts: Sequence[Array]) -> Array:
    """Side by side; what a crowd of nets shares is repeated for each beside what it does not."""
    lead = max((part.shape[:-1] for part in parts), key=len)
    return np.concatenate(
        [
            part if part.ndim > len(lead) else np.broadcast_to(part, lead + part.shape[-1:])
            for part in parts
        ],
        axis=-1,
    )


def _check_known(container: Container, inputs: object) -> None:
    if not inputs:
        inside = ", ".join(map(repr, container._names))
        raise ValueError(
            f"{container.label} must know its number of inputs, but what is in it ({inside}) "
            "takes any; put an Affinity or a Select in front there"
        )


def _checked_indices(indices: Sequence[int], n: int) -> list[int]:
    try:
        checked = [integer(index, "Select: an index") for index in indices]
    except TypeError as error:
        if str(error).startswith("Select"):
            raise
        raise TypeError(f"Select: indices must be a sequence, not {brief(indices)}") from None
    if not checked:
        raise ValueError("Select: there must be at least one index")
    for index in checked:
        if not 0 <= index < n:
            raise ValueError(f"Select: an index must be from 0 to {n - 1}, not {brief(index)}")
    return checked


def _users(indices: Array, n: int) -> Array:
    """For each input the outputs that it became, (n, most), filled up with len(indices)."""
    users = [np.flatnonzero(indices == j).tolist() for j in range(n)]
    most = max(map(len, users))
    return np.array([user + [len(indices)] * (most - len(user)) for user in users])
