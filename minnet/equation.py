"""A network as an equation with its numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minnet.checks import Array
from minnet.layers import Affinity, Identity, Layer, Sigmoid, Tanh
from minnet.structure import Chain, leaves


def latex(net: Chain, digits: int = 4) -> str:
    r"""y as LaTeX: the layers applied to x from the inside out, with `digits` digits.

    Raises
    ------
    ValueError
        For a crowd: take one ``.member(i)``.

    Examples
    --------
    >>> from minnet import Affinity, Network, Tanh
    >>> net = Network([Affinity(1, 1), Tanh()])
    >>> net.layers[0].M, net.layers[0].b = [[2]], [-0.5]
    >>> print(latex(net))
    y = \tanh\left(\begin{bmatrix} 2 \end{bmatrix} x + \begin{bmatrix} -0.5 \end{bmatrix}\right)
    """
    if net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets has no single equation; take a .member(i)")
    return f"y = {_applied(leaves(net), 'x', digits)}"


def _applied(layers: Iterable[tuple[str, Layer]], x: str, digits: int) -> str:
    is_sum = False
    for _, layer in layers:
        inside = rf"\left({x}\right)"
        if isinstance(layer, Affinity):
            M, b = _matrix(layer.M, digits), _matrix(layer.b[:, None], digits)
            x, is_sum = f"{M} {inside if is_sum else x} + {b}", True
        elif not isinstance(layer, Identity):
            x, is_sum = f"{_function(layer)}{inside}", False
    return x


def _function(layer: Layer) -> str:
    known: dict[type[Layer], str] = {Sigmoid: r"\sigma", Tanh: r"\tanh"}
    name = layer._name or type(layer).__name__
    escaped = name.replace("_", r"\_")
    return known.get(type(layer), rf"\operatorname{{{escaped}}}")


def _matrix(array: Array, digits: int) -> str:
    rows = [" & ".join(f"{value:.{digits}g}" for value in row) for row in np.asarray(array)]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
