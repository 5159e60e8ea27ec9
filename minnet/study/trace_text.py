"""The text of a trace: each number with the products and sums it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array
from minnet.layers import Affinity, Identity, Layer, Map
from minnet.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SquaredError
from minnet.network import Network
from minnet.optimizers import SGD
from minnet.study.tables import number
from minnet.study.watching import Passage

if TYPE_CHECKING:
    from minnet.study.tracing import Trace


def lines(trace: Trace) -> Iterator[str]:
    """The text of a trace, line by line."""
    yield f"FORWARD  x = {_vector(trace.x)}"
    for i, passage in enumerate(trace.passages):
        yield f"\n#{i} {passage.name}: {_rule(passage.layer)}"
        yield from _forward_lines(passage)
    if trace.expected is None or trace.dy is None or trace.updates is None:
        return
    yield f"\nLOSS  {trace.net.loss!r}, expected t = {_vector(trace.expected)}"
    yield f"  L = {number(trace.loss)}, at y = {_vector(trace.y)}"
    yield from _slope_lines(trace.net.loss, trace.y, trace.expected, trace.dy)
    yield "\nBACK  dy is dL/dy, the gradient at a layer's output; dx the one at its input"
    for i, passage in reversed(list(enumerate(trace.passages))):
        yield f"\n#{i} {passage.name}: {_back_rule(passage.layer)}"
        yield from _back_lines(passage)
    yield f"\nUPDATE  {trace.net.optimizer!r}"
    for name, (before, gradient, after) in trace.updates.items():
        yield from _update_lines(trace.net, name, before, gradient, after)


def _vector(values: Array) -> str:
    return f"({', '.join(map(number, values))})"


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
            how = f"{_function(layer)}({number(x[i])}) = "
        else:
            how = ""
        yield f"  y[{i}] = {how}{number(y)}"


def _sum_of_products(weights: Array, values: Array) -> str:
    terms = (f"{_term(w)}*{_factor(v)}" for w, v in zip(weights, values, strict=True))
    text = "".join(terms)
    return text[3:] if text.startswith(" + ") else f"-{text[3:]}"


def _term(value: Any) -> str:
    return f" - {number(-value)}" if value < 0 else f" + {number(value)}"


def _factor(value: Any) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _slope_lines(loss: Loss, y: Array, t: Array, dy: Array) -> Iterator[str]:
    for i, slope in enumerate(dy):
        p, e = number(y[i]), number(t[i])
        if isinstance(loss, SquaredError):
            how = f"y - t = {p}{_term(-t[i])} = "
        elif isinstance(loss, MeanSquaredError):
            how = f"2 (y - t) / m = 2*({p} - {e})/{len(y)} = "
        elif isinstance(loss, BinaryCrossEntropy) and not loss.from_logits:
            how = f"(y - t) / (y (1 - y)) = ({p} - {e}) / ({p}*{number(1 - y[i])}) = "
        else:
            how = ""
        yield f"  dL/dy[{i}] = {how}{number(slope)}"


def _back_lines(passage: Passage) -> Iterator[str]:
    layer, x, dy, dx = passage.layer, passage.x, passage.dy, passage.dx
    gradients = passage.gradients or {}
    if dy is None or dx is None:
        return
    if isinstance(layer, Affinity):
        for i, d in enumerate(dy):
            for j, value in enumerate(x):
                product = f"dy[{i}] x[{j}] = {number(d)}*{_factor(value)}"
                yield f"  dM[{i},{j}] = {product} = {number(gradients['M'][i, j])}"
            yield f"  db[{i}] = dy[{i}] = {number(gradients['b'][i])}"
    else:
        for key, gradient in gradients.items():
            yield f"  d{key} = {np.array2string(gradient, precision=5)}"
    for j, value in enumerate(dx):
        if isinstance(layer, Affinity):
            how = f"{_sum_of_products(layer.M[:, j], dy)} = "
        elif isinstance(layer, Map):
            slope = layer.dfdx(x)[j]
            how = f"{number(dy[j])} * {_function(layer)}'({number(x[j])}) = "
            how += f"{number(dy[j])}*{_factor(slope)} = "
        else:
            how = ""
        yield f"  dx[{j}] = {how}{number(value)}"


def _update_lines(
    net: Network, name: str, before: Array, gradient: Array, after: Array
) -> Iterator[str]:
    optimizer = net.optimizer
    plain = isinstance(optimizer, SGD) and not (optimizer.momentum or optimizer.weight_decay)
    for index in np.ndindex(before.shape):
        old, g, new = number(before[index]), number(gradient[index]), number(after[index])
        where = f"{name}[{','.join(map(str, index))}]"
        if plain:
            yield f"  {where} = {old} - {number(net.alpha)}*{_factor(gradient[index])} = {new}"
        else:
            yield f"  {where}: {old}, gradient {g}, becomes {new}"
