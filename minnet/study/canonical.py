"""canonical: of all networks that differ by a symmetry alone, the one that stands for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from minnet.checks import Array, brief
from minnet.layers import Affinity, Identity, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from minnet.network import Network
from minnet.structure import leaves

TIE = 1e-9  # of the largest number compared: what differs by less is equal

SCALABLE = (ReLU, LeakyReLU)  # f(c z) = c f(z) for c > 0
REFLECTED: dict[type[Layer], float] = {Tanh: 0.0, Sigmoid: 1.0}  # f(-z) = s - f(z)


def canonical(net: Network) -> Network:
    r"""The same function, its hidden units in the one form that all of their symmetries share.

    Hidden units can be permuted. A unit v f(w x + b), with incoming weights w, bias b and
    outgoing weights v, can also be written otherwise, by its activation f:

        ReLU, LeakyReLU   (v / c) f(c w x + c b), for any c > 0
        Tanh              -v f(-w x - b)
        Sigmoid           v - v f(-w x - b), of which v goes into the next bias

    Of these forms one is chosen, layer by layer:

    - a unit of which all incoming weights are 0 is constant: v f(b) goes into the next bias;
    - a unit of which all outgoing weights are 0 does nothing; both kinds get 0 for all
      their weights and stand last;
    - ReLU units have outgoing weights of Euclidean norm 1, which for one output is +1 or -1;
    - of tanh and sigmoid units the first incoming weight that is not 0 is positive (the
      bias counts as the last one);
    - units stand in falling order of their incoming weights, the first ones first, then of
      the bias, then of the outgoing weights. For this order, ReLU units are scaled so
      that incoming weights and bias have norm 1 together.

    Numbers that differ by less than TIE of the largest ones in the layer count as equal, or
    as 0, in the choice of order and of signs; so rounding does not decide. In
    a layer that another hidden one follows, units of equal incoming weights and biases are
    told apart by the sizes of their outgoing weights alone: where these agree too, the
    order of such twins is that of the network given.

    Parameters
    ----------
    net : Network
        Affinities with one ReLU, LeakyReLU, Tanh or Sigmoid between any two; after the
        last one, layers without parameters. A crowd too, then net by net.

    Returns
    -------
    Network
        A new one of the same layers, loss and optimizer.

    Raises
    ------
    TypeError
        If it is no Network.
    ValueError
        If a layer (it says which) has no canonical form; if a number is not finite, or
        does not stay so when rescaled.

    Examples
    --------
    Notebook A's network: each unit fires for one of the two mixed inputs.

    >>> from minnet.study.gates import trained_xor
    >>> net = canonical(trained_xor())
    >>> net["fc1"].M.round(2).tolist(), net["fc2"].M.tolist()
    ([[6.95, -6.95], [-7.09, 7.09]], [[1.0, 1.0]])

    References
    ----------
    Sussmann (1992), Uniqueness of the weights for minimal feedforward nets with a given
    input-output map; Phuong and Lampert (2020), Functional vs. parametric equivalence of
    ReLU networks: these symmetries are all there are, but for networks of measure zero
    (tanh) or of special geometry (ReLU).
    """
    if not isinstance(net, Network):
        raise TypeError(f"canonical takes a Network, not {brief(net)}")
    units = list(hidden_layers(net))
    for name, array in net.parameters.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds nan or inf: such a network has no canonical form")
    twin = net.copy()
    twin.optimizer = net.optimizer  # what it remembered belongs to other numbers
    if units:
        with np.errstate(all="ignore"):
            _bring(twin, [kind for _, kind in units])
        for name, array in twin.parameters.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} does not stay finite when the units are rescaled")
    return twin


def hidden_layers(net: Network) -> Iterator[tuple[Affinity, Layer]]:
    """Each hidden Affinity with the activation that follows it.

    Raises
    ------
    ValueError
        If what lies between two Affinities is not one activation that has a canonical form.
    """
    chain = [(name, layer) for name, layer in leaves(net) if type(layer) is not Identity]
    places = [i for i, (_, layer) in enumerate(chain) if type(layer) is Affinity]
    for i, (name, layer) in enumerate(chain):
        if layer.size and i not in places:
            raise ValueError(_refusal(name, layer, "its parameters have symmetries unknown here"))
    for first, second in pairwise(places):
        between = chain[first + 1 : second]
        name, layer = between[0] if between else chain[second]
        if not between:
            raise ValueError(_refusal(name, layer, "it follows an Affinity without an activation"))
        if len(between) > 1:
            raise ValueError(_refusal(*between[1], "it is a second activation of the same units"))
        if type(layer) not in (*SCALABLE, *REFLECTED):
            raise ValueError(
                _refusal(name, layer, "only ReLU, LeakyReLU, Tanh and Sigmoid units have one")
            )
        affinity = chain[first][1]
        assert isinstance(affinity, Affinity)
        yield affinity, layer


def _refusal(name: str, layer: Layer, why: str) -> str:
    return f"{type(layer).__name__} {name!r} has no canonical form: {why}"


def _bring(net: Network, kinds: list[Layer]) -> None:
    """Bring the network into its canonical form, in place; of each hidden layer, its kind."""
    views = [layer for _, layer in leaves(net) if type(layer) is Affinity]
    crowd = net.nets is not None
    # copies, so that rows can be permuted; each (nets, m, n) and (nets, m)
    M = [layer.M.copy() if crowd else layer.M[None].copy() for layer in views]
    b = [layer.b.copy() if crowd else layer.b[None].copy() for layer in views]
    for k, kind in enumerate(kinds):
        _fold_constants(kind, M[k], b[k], M[k + 1], b[k + 1])
    for k in reversed(range(len(kinds))):
        idle = (M[k + 1] == 0).all(axis=1)
        M[k][idle], b[k][idle] = 0, 0
    for k, kind in enumerate(kinds):
        if type(kind) in SCALABLE:
            _rescale(M[k], b[k], M[k + 1], _norm(np.dstack([M[k], b[k]]), 2))
        else:
            _reflect(REFLECTED[type(kind)], M[k], b[k], M[k + 1], b[k + 1])
        last = k + 1 == len(kinds)
        order = _order(M[k], b[k], M[k + 1] if last else _sizes(M[k + 1], b[k + 1]))
        M[k] = np.take_along_axis(M[k], order[:, :, None], axis=1)
        b[k] = np.take_along_axis(b[k], order, axis=1)
        M[k + 1] = np.take_along_axis(M[k + 1], order[:, None, :], axis=2)
    for k in reversed(range(len(kinds))):
        if type(kinds[k]) in SCALABLE:
            _rescale(M[k], b[k], M[k + 1], 1 / _norm(M[k + 1], 1))
    for layer, weights, biases in zip(views, M, b, strict=True):
        layer.M[...] = weights if crowd else weights[0]
        layer.b[...] = biases if crowd else biases[0]
        layer.M[...] += 0.0  # -0.0 becomes 0.0
        layer.b[...] += 0.0


def _fold_constants(kind: Any, M: Array, b: Array, M_next: Array, b_next: Array) -> None:
    """Let the next bias take over what units without incoming weights contribute."""
    constant = (M == 0).all(axis=2)
    value: Callable[[Array], Array] = kind.f
    b_next += (M_next * np.where(constant, value(b), 0)[:, None, :]).sum(axis=2)
    M_next[np.broadcast_to(constant[:, None, :], M_next.shape)] = 0


def _norm(rows: Array, axis: int) -> Array:
    """Euclidean norms, 1 where all is 0, without overflow and underflow on the way."""
    largest = abs(rows).max(axis=axis, keepdims=True)
    scale = np.where(largest == 0, 1, largest)
    norms = np.sqrt(((rows / scale) ** 2).sum(axis=axis, keepdims=True)) * scale
    return np.where(norms == 0, 1, norms).squeeze(axis)


def _rescale(M: Array, b: Array, M_next: Array, c: Array) -> None:
    """Divide what comes into the units by c (nets, units), and multiply what goes out by it."""
    M /= c[:, :, None]
    b /= c
    M_next *= c[:, None, :]


def _reflect(s: float, M: Array, b: Array, M_next: Array, b_next: Array) -> None:
    """Turn round the units whose first incoming weight is negative: f(z) = s - f(-z)."""
    rows = np.dstack([M, b])
    counts = abs(rows) > TIE * abs(rows).max(axis=(1, 2), keepdims=True)
    first = np.take_along_axis(rows, counts.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    turned = first < 0
    b_next += s * np.where(turned[:, None, :], M_next, 0).sum(axis=2)
    sign = np.where(turned, -1.0, 1.0)
    _rescale(M, b, M_next, sign)


def _sizes(M_next: Array, b_next: Array) -> Array:
    """Per unit (..., unit), its outgoing weights' sizes in falling order: whatever comes of
    the next layer's own symmetries, they stay."""
    shares = abs(M_next) / _norm(np.dstack([M_next, b_next]), 2)[:, :, None]
    return -np.sort(-shares, axis=1)


def _order(M: Array, b: Array, outgoing: Array) -> Array:
    """The order (nets, units) of units, by incoming weights, bias and outgoing weights."""
    zero = ((M == 0).all(axis=2) & (outgoing == 0).all(axis=1)).astype(float)
    columns = [zero, *np.moveaxis(-M, 2, 0), -b, *np.moveaxis(-outgoing, 1, 0)]
    spans = [0.0, *[abs(np.dstack([M, b])).max(axis=(1, 2))[:, None]] * (M.shape[2] + 1)]
    spans += [abs(outgoing).max(axis=(1, 2))[:, None]] * outgoing.shape[1]
    keys = [_ranks(column, TIE * span) for column, span in zip(columns, spans, strict=True)]
    return np.lexsort(keys[::-1], axis=1)


def _ranks(values: Array, tolerance: Array | float) -> Array:
    """Ranks (nets, units) in which values less than the tolerance from the next are equal."""
    order = values.argsort(axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(values, order, axis=1), axis=1) > tolerance
    ranks = np.zeros(values.shape, int)
    np.put_along_axis(ranks[:, :], order[:, 1:], steps.cumsum(axis=1), axis=1)
    return ranks
