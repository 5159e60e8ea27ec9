"""A network as text: one readable line for each of its units."""

from __future__ import annotations

from collections.abc import Iterable

from minnet.checks import Array
from minnet.layers import Affinity, Identity, Layer, LeakyReLU, Map, ReLU, Sigmoid, Tanh
from minnet.structure import Chain, leaves


def formulas(net: Chain, digits: int = 4) -> str:
    """What each unit computes, a line per unit, in the order of computation.

    A unit is called after its layer and its place there, and what a Map does to it is
    written around it. A layer that is neither affine nor a Map is named with its inputs.

    Parameters
    ----------
    net : Network
        A plain one.
    digits : int
        How many significant digits the numbers get.

    Raises
    ------
    ValueError
        For a crowd, and for a network that takes any number of inputs.

    Examples
    --------
    >>> from minnet import Network
    >>> net = Network([Affinity(2, 1, name="fc1"), ReLU(), Affinity(1, 1, name="fc2")])
    >>> net["fc1"].M, net["fc1"].b = [[1, -2.5]], [0.5]
    >>> net["fc2"].M, net["fc2"].b = [[-3]], [-1]
    >>> print(formulas(net))
    fc1[0] = relu(1 x[0] - 2.5 x[1] + 0.5)
    fc2[0] = -3 fc1[0] - 1
    """
    if net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets has no single formula; take a .member(i)")
    if net.n is None:
        raise ValueError("a network that takes any number of inputs has no formula per unit")
    inputs = [f"x[{j}]" for j in range(net.n)]
    blocks: dict[str, list[str]] = {}
    for name, layer in leaves(net):
        if isinstance(layer, Identity):
            continue
        if isinstance(layer, Map) and blocks:
            last, units = blocks.popitem()
            blocks[last] = [f"{_function(layer)}({unit})" for unit in units]
            continue
        blocks[name] = _units(layer, inputs, digits)
        inputs = [f"{name}[{i}]" for i in range(len(blocks[name]))]
    return "\n".join(
        f"{name}[{i}] = {unit}" for name, units in blocks.items() for i, unit in enumerate(units)
    )


def _units(layer: Layer, inputs: list[str], digits: int) -> list[str]:
    if isinstance(layer, Affinity):
        rows = zip(layer.M, layer.b, strict=True)
        return [_sum([*zip(row, inputs, strict=True), (b, "")], digits) for row, b in rows]
    function = _function(layer)
    if isinstance(layer, Map):
        return [f"{function}({x})" for x in inputs]
    return [f"{function}({', '.join(inputs)})[{i}]" for i in range(layer.m or len(inputs))]


def _sum(terms: Iterable[tuple[Array, str]], digits: int) -> str:
    text = "".join(
        f" {'-' if value < 0 else '+'} {abs(value):.{digits}g} {x}".rstrip() for value, x in terms
    )
    return text.removeprefix(" + ") if text.startswith(" +") else "-" + text.removeprefix(" - ")


def _function(layer: Layer) -> str:
    known: dict[type[Layer], str] = {
        ReLU: "relu",
        LeakyReLU: "leaky_relu",
        Sigmoid: "sigmoid",
        Tanh: "tanh",
    }
    return known.get(type(layer)) or layer.name or type(layer).__name__
