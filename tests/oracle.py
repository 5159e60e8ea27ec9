"""The oracles: what layers, losses and optimizers are, written again from the mathematics.

Nothing here follows minnet's code. A forward knows one fact and one net; that a batch is
the sum of its facts and a crowd is each net alone is for the properties to say. Three ways
to a derivative: autograd through these forwards, and complex steps and extrapolated
finite differences through any function at all.

Values are named arrays: the input under INPUT, and the parameters under their names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from numpy.typing import NDArray

from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Identity,
    Layer,
    LeakyReLU,
    Loss,
    MeanSquaredError,
    Network,
    Optimizer,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
)

Array = NDArray[Any]
Values = dict[str, Array]
Forward = Callable[[Layer, Any, Any], Any]  # of layer, parameters of one net, one fact (n,)
Derivative = Callable[[Callable[[Values], Array], Values, Values], tuple[Array, Array]]

INPUT = "the input"


# Forwards, for autograd


def forward(layer: Layer, p: Values, x: Array) -> Any:
    """The output (m,) of one net for one fact x (n,).

    1 / (1 + exp(-x)) is written exp(-log(1 + exp(-x))): no exponential of it overflows.
    """
    match layer:
        case Network():
            for name, inner in zip(layer.names, layer.layers, strict=True):
                x = forward(inner, {key: p[f"{name}.{key}"] for key in inner.shapes}, x)
            return x
        case Affinity():
            return anp.sum(p["M"] * x, axis=1) + p["b"]
        case Identity():
            return 1 * x
        case ReLU():
            return anp.where(x > 0, x, 0 * x)
        case LeakyReLU():
            return anp.where(x > 0, x, layer.leak * x)
        case Sigmoid():
            return anp.exp(-anp.logaddexp(0, -x))
        case Tanh():
            return 1 - 2 * anp.exp(-anp.logaddexp(0, 2 * x))
    raise TypeError(f"no forward of {layer!r} is known here")


def sides(layer: Layer, x: Array, forward: Forward | None = None) -> list[Array]:
    """On which side of its kink each unit with a kink is, by minnet's forward or another."""
    if isinstance(layer, (ReLU, LeakyReLU)):
        return [np.sign(x)]
    found = []
    for inner in layer.layers if isinstance(layer, Network) else ():
        found += sides(inner, x, forward)
        if forward is None:
            x = inner.forward(x)[0]
        else:
            facts = [forward(inner, inner.parameters, fact) for fact in x.reshape(-1, x.shape[-1])]
            x = np.reshape(facts, (*x.shape[:-1], -1))
    return found


def off_kinks(layer: Layer, x: Array) -> bool:
    """Whether no unit is at its kink, and both forwards have each unit on the same side.

    Then the derivative is that of one smooth piece, however near the kink may be.
    """
    ours, theirs = sides(layer, x), sides(layer, x, forward)
    return all(a.all() and np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def loss(which: Loss, y: Array, t: Array) -> Any:
    """The loss of one fact: output y (m,) against expected t (m,)."""
    match which:
        case SquaredError():
            return anp.dot(y - t, y - t) / 2
        case MeanSquaredError():
            return anp.mean((y - t) ** 2)
        case BinaryCrossEntropy(from_logits=True):
            return anp.sum(anp.logaddexp(0, y) - t * y)
        case BinaryCrossEntropy():
            return -anp.sum(t * anp.log(y) + (1 - t) * anp.log(1 - y))
        case SoftmaxCrossEntropy():
            largest = float(np.max(getattr(y, "_value", y)))
            return -anp.sum(t * (y - largest - anp.log(anp.sum(anp.exp(y - largest)))))
    raise TypeError(f"no formula of {which!r} is known here")


# Derivatives


def by_autograd(forward: Forward, layer: Layer, x: Array, dy: Array) -> tuple[Array, Values]:
    """Outputs, and gradients by reverse mode: a stack over the facts of x, a sum for the rest."""
    y = np.empty_like(dy)
    gradients = {INPUT: np.empty_like(x)}
    gradients |= {key: np.zeros_like(array) for key, array in layer.parameters.items()}
    for fact in np.ndindex(x.shape[:-1]):
        values = {"p": layer.parameters, "x": x[fact]}
        back, y[fact] = make_vjp(lambda v: forward(layer, v["p"], v["x"]))(values)
        g = back(dy[fact])
        gradients[INPUT][fact] = g["x"]
        for key, gradient in g["p"].items():
            gradients[key] += gradient
    return y, gradients


def loss_and_gradient(net: Network, which: Loss, x: Array, t: Array) -> tuple[float, Array]:
    """The loss of a fact or batch, and its gradient in the order of the flat array."""
    X, T = np.atleast_2d(x), np.atleast_2d(t)
    share = 1 / len(X) if which.reduction == "mean" else 1

    def total(p: Values) -> Any:
        facts = zip(X, T, strict=True)
        return share * sum(loss(which, forward(net, p, x), t) for x, t in facts)

    back, value = make_vjp(total)(net.parameters)
    gradient = back(1.0)
    return value, np.concatenate([gradient[key].ravel() for key in net.shapes])


def complex_step(
    f: Callable[[Values], Array], values: Values, direction: Values
) -> tuple[Array, Array]:
    """df along `direction`, exact to rounding where f is analytic, and its error.

    f(v + ih d) = f(v) + ih f'(v) d + O(h^2), without a difference that could cancel
    (Squire and Trapp 1998).
    """
    h = 1e-20
    derivative = f({key: v + 1j * h * direction[key] for key, v in values.items()}).imag / h
    return derivative, np.zeros_like(derivative)


def finite_difference(
    f: Callable[[Values], Array], values: Values, direction: Values
) -> tuple[Array, Array]:
    """df along `direction` by central differences, and a bound of its error, entry by entry.

    From steps h, h/8, h/64 ... extrapolating to 0 removes one power of h^2 after the other
    (Richardson). Of the table, the entry is taken that agrees best with its neighbours
    (Ridders 1982), so that large steps over a kink do not count. Right at a kink the slopes
    on both sides differ however small the step: there that difference is the error.
    """

    def at(step: float) -> Array:
        return f({key: v + step * direction[key] for key, v in values.items()})

    with np.errstate(all="ignore"):
        middle = at(0)
        best, error = np.zeros_like(middle), np.full_like(middle, np.inf)
        row: list[Array] = []
        bend = np.full_like(middle, np.inf)
        for h in 2.0 ** np.arange(-2, -50, -3):
            up, down = at(h), at(-h)
            previous, row = row, [(up - down) / (2 * h)]
            wider, bend = bend, (up - 2 * middle + down) / h
            rounding = 4 * np.finfo(float).eps * (abs(up) + abs(down)) / h
            for j, coarse in enumerate(previous):
                row.append(row[j] + (row[j] - coarse) / (64 ** (j + 1) - 1))
                doubt = np.maximum(abs(row[-1] - row[j]), abs(row[-1] - coarse))
                doubt = doubt + rounding + abs(8 * bend - wider) / 7
                best, error = np.where(doubt < error, row[-1], best), np.fmin(doubt, error)
        return best, error


def by_columns(
    derivative: Derivative, f: Callable[[Values], Array], values: Values, dy: Array
) -> tuple[Values, Values]:
    """J^T dy and a bound of its error, from the whole Jacobian J, a column for each number."""
    gradients = {key: np.zeros(v.shape) for key, v in values.items()}
    errors = {key: np.zeros(v.shape) for key, v in values.items()}
    still = {key: np.zeros(v.shape) for key, v in values.items()}
    for key, v in values.items():
        for index in np.ndindex(v.shape):
            unit = np.zeros(v.shape)
            unit[index] = 1
            column, error = derivative(f, values, {**still, key: unit})
            gradients[key][index] = (dy * column).sum()
            errors[key][index] = (abs(dy) * error).sum()
    return gradients, errors


def values_of(layer: Layer, x: Array) -> Values:
    """The numbers that a layer's output depends on."""
    return {INPUT: x, **layer.parameters}


def output(layer: Layer) -> Callable[[Values], Array]:
    """The layer's own forward as a function of those numbers."""

    def f(values: Values) -> Array:
        parameters = {key: v for key, v in values.items() if key != INPUT}
        return layer.with_parameters(parameters).forward(values[INPUT])[0]

    return f


# Formulas to fifty digits, for relative accuracy where a float has sixteen


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def _sigmoid_slope(x: Decimal) -> Decimal:
    return _sigmoid(x) * _sigmoid(-x)


def _tanh(x: Decimal) -> Decimal:
    return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


def _tanh_slope(x: Decimal) -> Decimal:
    return 4 / (x.exp() + (-x).exp()) ** 2


EXACT = {Sigmoid: (_sigmoid, _sigmoid_slope), Tanh: (_tanh, _tanh_slope)}


def exactly(f: Callable[[Decimal], Decimal], x: Array) -> Array:
    """f at every element of x, rounded once."""
    with localcontext() as context:
        context.prec = 50
        return np.array([float(f(Decimal(float(v)))) for v in x.flat]).reshape(x.shape)


# Optimizers, a step as PyTorch's documentation has it; `memory` is None before the first


def step(optimizer: Optimizer, p: Array, g: Array, memory: Any) -> tuple[Array, Any]:
    """Parameters (size,) and memory after one step along the gradient g (size,)."""
    match optimizer:
        case SGD():
            return _sgd(optimizer, p, g, memory)
        case Adam():
            return _adam(optimizer, p, g, memory)
    raise TypeError(f"no rule of {optimizer!r} is known here")


def _sgd(o: SGD, p: Array, g: Array, memory: Any) -> tuple[Array, Any]:
    g = g + o.weight_decay * p
    if o.momentum == 0:
        return p - o.alpha * g, None
    buffer = g if memory is None else o.momentum * memory + g
    return p - o.alpha * buffer, buffer


def _adam(o: Adam, p: Array, g: Array, memory: Any) -> tuple[Array, Any]:
    beta1, beta2 = o.betas
    m, v, t = (np.zeros_like(p), np.zeros_like(p), 0) if memory is None else memory
    t += 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    unbiased_m, unbiased_v = m / (1 - math.pow(beta1, t)), v / (1 - math.pow(beta2, t))
    return p - o.alpha * unbiased_m / (np.sqrt(unbiased_v) + o.eps), (m, v, t)
