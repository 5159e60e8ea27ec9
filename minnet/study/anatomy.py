"""A network taken apart: what every layer makes of an input, why, and what it learns from it.

For an input and a network of layers l with inputs u, outputs y and derivatives J = dy/du:

- `activations`: every y.
- `gradients`: dL/dy and dL/du of every layer, dL/dp of every parameter.
- `contributions`: the products J[i, j] u[j] at one layer; for an Affinity M[i, j] u[j], which
  with b add up to the unit's input.
- `attributions`: an output followed back, layer by layer, to the inputs.
- `difference`: what changes between two inputs, and which weights carry the change.
- `sweep`: every layer along a line of inputs, and where units switch.
- `trace`: one fact with every number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minnet.checks import Array, brief, integer
from minnet.facts import facts_for
from minnet.layers import Affinity
from minnet.network import Network
from minnet.parameters import along_batch
from minnet.structure import Container
from minnet.study.sweeping import Sweep, Switch, sweep
from minnet.study.tables import UNITS, by_unit, cells, matrix, number, table
from minnet.study.tracing import Trace, trace
from minnet.study.watching import Passage, Watched

__all__ = [
    "Activations",
    "Attributions",
    "Difference",
    "Gradients",
    "Passage",
    "Sweep",
    "Switch",
    "Trace",
    "activations",
    "attributions",
    "contributions",
    "difference",
    "gradients",
    "sweep",
    "trace",
]


class Activations(dict[str, Array]):
    """Every layer's output by name, in the order of computation; ``.x`` is the input."""

    def __init__(self, x: Array, outputs: dict[str, Array]) -> None:
        super().__init__(outputs)
        self.x = x

    def __repr__(self) -> str:
        return by_unit({"x": self.x, **self})


def activations(net: Network, x: Any) -> Activations:
    """What every layer makes of an input.

    Parameters
    ----------
    net : Network
        A crowd too.
    x : array_like, shape (n,), (batch, n) or (nets, batch, n)

    Returns
    -------
    Activations
        A dict of names such as "fc1", or "block.fc1" inside a nested network, to arrays
        (m,) or (batch, m), in the order of computation; of a crowd (nets, ...).

    Raises
    ------
    TypeError, ValueError
        If it is no Network, or the input does not fit.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> activations(trained_xor(), [1, 0])
    layer       [0]      [1]
    x             1        0
    fc1      2.2371  -2.2851
    relu     2.2371        0
    fc2      4.0573
    sigmoid   0.983
    """
    watched = Watched(net)
    watched.forward(x)
    outputs = {name: watched.shown(p.y) for name, p in watched.passages.items()}
    return Activations(np.array(x, watched.net.dtype), outputs)


class Gradients(dict[str, Array]):
    """Derivatives of a loss by name, in the order of the way back.

    The name of a layer gives dL/dy at its output, that of a parameter dL/dp.

    Attributes
    ----------
    loss : float, or ndarray (nets,)
    inputs : dict
        Of each layer's name to dL/dx at its input.
    """

    def __init__(self, loss: Any, derivatives: dict[str, Array], inputs: dict[str, Array]) -> None:
        super().__init__(derivatives)
        self.loss = loss
        self.inputs = inputs

    def __repr__(self) -> str:
        loss = number(self.loss) if np.ndim(self.loss) == 0 else brief(self.loss)
        return f"loss {loss}\n{by_unit(self, 'dL/d')}"


def gradients(net: Network, x: Any, expected: Any) -> Gradients:
    """The derivative of the loss by every layer's output and input and by every parameter.

    Parameters
    ----------
    net : Network
        A crowd too.
    x : array_like, shape (n,), (batch, n) or (nets, batch, n)
    expected : array_like
        As for ``net.learn``.

    Returns
    -------
    Gradients
        A dict of names to arrays. That of a layer gives dL/dy, of the shape of its output;
        that of a parameter ("fc1.M") its gradient, which is what ``net.backprop`` gives.

    Raises
    ------
    TypeError, ValueError
        If it is no Network, or the fact does not fit.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> gradients(trained_xor(), [1, 0], [1])
    loss 0.017148
    dL/d            [0]        [1]
    sigmoid     -1.0173
    fc2       -0.017002
    fc2.M[0]  -0.038035          0
    fc2.b     -0.017002
    relu      -0.052812  -0.052741
    fc1       -0.052812          0
    fc1.M[0]  -0.052812          0
    fc1.M[1]          0          0
    fc1.b     -0.052812          0
    """
    watched = Watched(net)
    y = watched.forward(x)
    [(_, t)] = facts_for(net, [(x, expected)], 1)
    loss = watched.net.loss(y, t)
    watched.back(watched.net.loss.gradient(y, t))
    derivatives, inputs = {}, {}
    for name, passage in reversed(watched.passages.items()):
        if passage.dy is None or passage.dx is None:
            continue  # nothing that the output depends on
        derivatives[name] = watched.shown(passage.dy)
        inputs[name] = watched.shown(passage.dx)
        for key, gradient in (passage.gradients or {}).items():
            derivatives[f"{name}.{key}"] = gradient
    return Gradients(loss, derivatives, inputs)


def contributions(net: Network, x: Any, layer: str) -> Array:
    """What each input u[j] of a layer adds to each of its units: J[i, j] u[j].

    J is the layer's derivative dy/du at this input. For an Affinity it is M, and the
    products M[i, j] u[j] of a row add up, with b[i], to the unit: exactly. A ReLU, leaky or
    not, passes products on: those of a row add up to its output. Of a layer that bends
    smoothly J is the tangent, and what is missing of the output is the tangent's offset.

    Parameters
    ----------
    net : Network
        A crowd too.
    x : array_like, shape (n,), (batch, n) or (nets, batch, n)
    layer : str
        A name that `activations` gives.

    Returns
    -------
    ndarray, shape (units, inputs of the layer), with the batch and nets axes in front

    Raises
    ------
    UnknownName
        A KeyError with the names there are.
    TypeError, ValueError
        If it is no Network, or the input does not fit.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> contributions(trained_xor(), [0.1, 0], "fc1")
    array([[ 0.22371,  0.     ],
           [-0.22849,  0.     ]])
    """
    watched = Watched(net)
    watched.forward(x)
    passage = watched.passage(layer)
    return watched.shown(_products(passage, passage.x), 2)


def _products(passage: Passage, u: Array) -> Array:
    """J[i, j] u[j], (..., m, n), with J the derivative of the layer where it was passed."""
    rows = []
    for i in range(passage.y.shape[-1]):
        dy = np.zeros_like(passage.y)
        dy[..., i] = 1
        rows.append(passage.layer.backprop(dy, passage.cache)[0] * u)
    return np.stack(rows, axis=-2) + 0.0  # without -0


class Attributions(dict[str, Array]):
    """What every unit of every layer before an output adds to it, by name.

    Attributes
    ----------
    value : ndarray, shape (), (batch,) or (nets, ...)
        The output itself: the sum over `inputs` and all `offsets`.
    inputs : ndarray, shape (n,), (batch, n) or (nets, ...)
        What each input of the network adds.
    offsets : dict
        Of each layer's name to what its offsets (an Affinity's b) add, of the shape of `value`.
    what : str
        Which output.
    """

    def __init__(
        self,
        what: str,
        value: Array,
        inputs: Array,
        shares: dict[str, Array],
        offsets: dict[str, Array],
    ) -> None:
        super().__init__(shares)
        self.what, self.value, self.inputs, self.offsets = what, value, inputs, offsets

    def __repr__(self) -> str:
        if np.ndim(self.value):
            each = {f"{name} offset": a[..., None] for name, a in self.offsets.items()}
            return f"{self.what}\n{by_unit({'x': self.inputs, **self, **each}, 'from')}"
        most = max(map(len, (self.inputs, *self.values())))
        head = ["from", "offset", *(f"[{i}]" for i in range(min(most, UNITS)))]
        offsets = {name: number(offset) for name, offset in self.offsets.items()}
        rows = [[name, offsets.get(name, ""), *cells(shares)] for name, shares in self.items()]
        shown = table([head, ["x", "", *cells(self.inputs)], *rows])
        return f"{self.what} = {number(self.value)}\n{shown}"


def attributions(net: Network, x: Any, output: int = 0, layer: str | None = None) -> Attributions:
    """Follow an output back: what each unit of each layer before it, and each input, adds.

    A unit u adds u dy/du, the slope of the output by it times what it is. Every layer is
    taken as its tangent where the input passes it, y = J u + c; then the output is the sum
    of what the inputs add and of what all offsets c add. Of an Affinity c is b; of a ReLU,
    leaky or not, it is 0, so that for piecewise linear networks nothing is approximated:
    each product is the sum over all paths from that unit of the product of their weights,
    and the offsets are biases [1]_. Of a Sigmoid or Tanh, c is f(u) - f'(u) u: the sum is
    still exact, but the slope is that at this input only. Such an output is better followed
    from the layer before it, which `layer` names.

    Parameters
    ----------
    net : Network
        A crowd too.
    x : array_like, shape (n,), (batch, n) or (nets, batch, n)
    output : int
        Which unit to follow back.
    layer : str, optional
        Of which layer; by default of the network's output.

    Raises
    ------
    UnknownName
        A KeyError with the names there are.
    TypeError, ValueError, IndexError
        If it is no Network, the input does not fit, or there is no such unit.

    References
    ----------
    .. [1] S. Srinivas, F. Fleuret, "Full-gradient representation for neural network
       visualization", NeurIPS 2019, prop. 1.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> attributions(trained_xor(), [1, 0], layer="fc2")
    fc2[0] = 4.0573
    from       offset     [0]  [1]
    x                  6.9489    0
    fc1   -0.00011428  6.9488    0
    relu            0  6.9488    0
    fc2       -2.8915  4.0573
    """
    watched = Watched(net)
    y = watched.forward(x)
    last = y if layer is None else watched.passage(layer).y
    what = watched.net.label if layer is None else layer
    if not 0 <= integer(output, "the number of an output") < last.shape[-1]:
        raise IndexError(f"{what} has {last.shape[-1]} outputs, from 0, so there is no {output}")
    dy = np.zeros_like(last)
    dy[..., output] = 1
    dx = watched.back(dy) if layer is None else watched.back_from(layer, dy, y)
    shares: dict[str, Array] = {}
    offsets: dict[str, Array] = {}
    for name, passage in watched.passages.items():
        if passage.dy is None or passage.dx is None:
            continue  # nothing that the output depends on
        shares[name] = watched.shown(passage.dy * passage.y)
        if not isinstance(passage.layer, Container):  # which has those of the layers in it
            offsets[name] = watched.shown(_offset(passage, passage.dy, passage.dx), 0)
        if name == layer:
            break
    value = watched.shown(last)[..., output]
    return Attributions(f"{what}[{output}]", value, watched.shown(dx * watched.x), shares, offsets)


def _offset(passage: Passage, dy: Array, dx: Array) -> Array:
    """dy . c for the tangent y = J u + c, so that dy . y = dx . u + dy . c."""
    if isinstance(passage.layer, Affinity):
        return (dy * along_batch(passage.layer.b)).sum(axis=-1)
    return (dy * passage.y).sum(axis=-1) - (dx * passage.x).sum(axis=-1)


class Difference(dict[str, Array]):
    """What one input makes of every layer minus what another does, by name.

    Attributes
    ----------
    x : ndarray, shape (n,) or (batch, n)
        The first input minus the second.
    contributions : dict
        Of each Affinity's name to M[i, j] (u1[j] - u2[j]), where u is what it is given:
        the rows add up to its difference, for b falls out.
    """

    def __init__(
        self, x: Array, differences: dict[str, Array], contributions: dict[str, Array]
    ) -> None:
        super().__init__(differences)
        self.x, self.contributions = x, contributions

    def __repr__(self) -> str:
        parts = [by_unit({"x": self.x, **self})]
        parts += [
            matrix(name, products)
            for name, products in self.contributions.items()
            if products.ndim == 2
        ]
        return "\n\n".join(parts)


def difference(net: Network, x1: Any, x2: Any) -> Difference:
    """What changes, layer by layer, between two inputs, and which weights carry it.

    Parameters
    ----------
    net : Network
        A crowd too.
    x1, x2 : array_like, both of shape (n,), (batch, n) or (nets, batch, n)

    Returns
    -------
    Difference
        x1 minus x2: a dict of names to arrays, as `activations` gives.

    Raises
    ------
    TypeError, ValueError
        If it is no Network, or the inputs do not fit or differ in shape.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> difference(trained_xor(), [1, 0], [0, 0])
    layer        [0]      [1]
    x              1        0
    fc1       2.2371  -2.2849
    relu      2.2371        0
    fc2       6.9488
    sigmoid  0.93042
    <BLANKLINE>
    fc1     x[0]  x[1]      sum
    [0]   2.2371     0   2.2371
    [1]  -2.2849     0  -2.2849
    <BLANKLINE>
    fc2    x[0]  x[1]     sum
    [0]  6.9488     0  6.9488
    """
    if np.shape(x1) != np.shape(x2):
        raise ValueError(f"the inputs have different shapes, {np.shape(x1)} and {np.shape(x2)}")
    one, two = Watched(net), Watched(net)
    one.forward(x1)
    two.forward(x2)
    changes, carried = {}, {}
    for name, passage in one.passages.items():
        other = two.passages[name]
        changes[name] = one.shown(passage.y - other.y)
        if isinstance(passage.layer, Affinity):
            carried[name] = one.shown(_products(passage, passage.x - other.x), 2)
    x = np.array(x1, one.net.dtype) - np.array(x2, one.net.dtype)
    return Difference(x, changes, carried)
