"""A network taken apart: one fact on its way forward and back, with every number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.facts import facts_for
from minnet.layers import Affinity, Identity, Layer, Map
from minnet.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SquaredError
from minnet.network import Network
from minnet.optimizers import SGD
from minnet.structure import leaves


@dataclass(frozen=True)
class Passage:
    """One layer as the fact went through it: x to y, and dy back to dx and gradients."""

    name: str
    layer: Layer
    x: Array
    y: Array
    dy: Array | None = None
    dx: Array | None = None
    gradients: dict[str, Array] | None = None


@dataclass(frozen=True, repr=False)
class Trace:
    """A fact's way through a network. Its text shows each number with where it came from.

    Attributes
    ----------
    passages : list of Passage
        The layers in the order of computation, nested ones by names such as "block.fc1".
    expected, loss, dy : ndarray (m,), float, ndarray (m,), or None
        What was expected, the loss, and its derivative by the output.
    updates : dict
        Of each parameter's name to (before, gradient, after) one step of the optimizer.
    """

    net: Network
    passages: list[Passage]
    expected: Array | None = None
    loss: float | None = None
    dy: Array | None = None
    updates: dict[str, tuple[Array, Array, Array]] | None = None

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        first, last = self.passages[0].x, self.passages[-1].y
        yield f"FORWARD  x = {_vector(first)}"
        for i, passage in enumerate(self.passages):
            yield f"\n#{i} {passage.name}: {_rule(passage.layer)}"
            yield from _forward_lines(passage)
        if self.expected is None or self.dy is None or self.updates is None:
            return
        yield f"\nLOSS  {self.net.loss!r}, expected t = {_vector(self.expected)}"
        yield f"  L = {_number(self.loss)}, at y = {_vector(last)}"
        yield from _slope_lines(self.net.loss, last, self.expected, self.dy)
        yield "\nBACK  dy is dL/dy, the gradient at a layer's output; dx the one at its input"
        for i, passage in reversed(list(enumerate(self.passages))):
            yield f"\n#{i} {passage.name}: {_back_rule(passage.layer)}"
            yield from _back_lines(passage)
        yield f"\nUPDATE  {self.net.optimizer!r}"
        for name, (before, gradient, after) in self.updates.items():
            yield from _update_lines(self.net, name, before, gradient, after)


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
    y = np.asarray(x, net.dtype)
    passages, caches = [], []
    for name, layer in leaves(net):
        before = y
        y, cache = layer.forward(before)
        passages.append(Passage(name, layer, before, y))
        caches.append(cache)
    if expected is None:
        return Trace(net, passages)
    [(_, t)] = facts_for(net, [(x, expected)], 1)
    dy = upstream = net.loss.gradient(y, t)
    for i, cache in reversed(list(enumerate(caches))):
        passage = passages[i]
        dx, gradients = passage.layer.backprop(upstream, cache)
        passages[i] = Passage(
            passage.name, passage.layer, passage.x, passage.y, upstream, dx, gradients
        )
        upstream = dx
    return Trace(net, passages, t, float(net.loss(y, t)), dy, _updates(net, passages))


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


def _number(value: Any) -> str:
    return f"{float(value) + 0.0:.5g}"  # + 0.0 makes -0 a plain 0


def _vector(values: Array) -> str:
    return f"({', '.join(map(_number, values))})"


def _function(layer: Layer) -> str:
    return type(layer).__name__.lower() if type(layer) is not Map else "f"


def _rule(layer: Layer) -> str:
    kind = type(layer).__name__
    if isinstance(layer, Affinity):
        return f"{kind}, y = M x + b"
    if isinstance(layer, Map):
        return f"{kind}, y = {_function(layer)}(x)"
    return f"{kind}, y = x" if isinstance(layer, Identity) else kind


def _back_rule(layer: Layer) -> str:
    if isinstance(layer, Affinity):
        return "dM = dy x^T, db = dy, dx = M^T dy"
    if isinstance(layer, Map):
        return f"dx = dy {_function(layer)}'(x)"
    return "dx = dy" if isinstance(layer, Identity) else type(layer).__name__


def _forward_lines(passage: Passage) -> Iterator[str]:
    layer, x = passage.layer, passage.x
    for i, y in enumerate(passage.y):
        if isinstance(layer, Affinity):
            how = f"{_sum_of_products(layer.M[i], x)}{_term(layer.b[i])} = "
        elif isinstance(layer, Map):
            how = f"{_function(layer)}({_number(x[i])}) = "
        else:
            how = ""
        yield f"  y[{i}] = {how}{_number(y)}"


def _sum_of_products(weights: Array, values: Array) -> str:
    terms = (f"{_term(w)}*{_factor(v)}" for w, v in zip(weights, values, strict=True))
    text = "".join(terms)
    return text[3:] if text.startswith(" + ") else f"-{text[3:]}"


def _term(value: Any) -> str:
    return f" - {_number(-value)}" if value < 0 else f" + {_number(value)}"


def _factor(value: Any) -> str:
    return f"({_number(value)})" if value < 0 else _number(value)


def _slope_lines(loss: Loss, y: Array, t: Array, dy: Array) -> Iterator[str]:
    for i, slope in enumerate(dy):
        p, e = _number(y[i]), _number(t[i])
        if isinstance(loss, SquaredError):
            how = f"y - t = {p}{_term(-t[i])} = "
        elif isinstance(loss, MeanSquaredError):
            how = f"2 (y - t) / m = 2*({p} - {e})/{len(y)} = "
        elif isinstance(loss, BinaryCrossEntropy) and not loss.from_logits:
            how = f"(y - t) / (y (1 - y)) = ({p} - {e}) / ({p}*{_number(1 - y[i])}) = "
        else:
            how = ""
        yield f"  dL/dy[{i}] = {how}{_number(slope)}"


def _back_lines(passage: Passage) -> Iterator[str]:
    layer, x, dy, dx = passage.layer, passage.x, passage.dy, passage.dx
    gradients = passage.gradients or {}
    if dy is None or dx is None:
        return
    if isinstance(layer, Affinity):
        for i, d in enumerate(dy):
            for j, value in enumerate(x):
                product = f"dy[{i}] x[{j}] = {_number(d)}*{_factor(value)}"
                yield f"  dM[{i},{j}] = {product} = {_number(gradients['M'][i, j])}"
            yield f"  db[{i}] = dy[{i}] = {_number(gradients['b'][i])}"
    else:
        for key, gradient in gradients.items():
            yield f"  d{key} = {np.array2string(gradient, precision=5)}"
    for j, value in enumerate(dx):
        if isinstance(layer, Affinity):
            how = f"{_sum_of_products(layer.M[:, j], dy)} = "
        elif isinstance(layer, Map):
            slope = layer.dfdx(x)[j]
            how = f"{_number(dy[j])} * {_function(layer)}'({_number(x[j])}) = "
            how += f"{_number(dy[j])}*{_factor(slope)} = "
        else:
            how = ""
        yield f"  dx[{j}] = {how}{_number(value)}"


def _update_lines(
    net: Network, name: str, before: Array, gradient: Array, after: Array
) -> Iterator[str]:
    optimizer = net.optimizer
    plain = isinstance(optimizer, SGD) and not (optimizer.momentum or optimizer.weight_decay)
    for index in np.ndindex(before.shape):
        old, g, new = _number(before[index]), _number(gradient[index]), _number(after[index])
        where = f"{name}[{','.join(map(str, index))}]"
        if plain:
            yield f"  {where} = {old} - {_number(net.alpha)}*{_factor(gradient[index])} = {new}"
        else:
            yield f"  {where}: {old}, gradient {g}, becomes {new}"
