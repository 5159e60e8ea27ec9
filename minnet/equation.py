"""A network as an equation with its numbers."""

from __future__ import annotations

import numpy as np

from minnet.checks import Array
from minnet.combinators import Parallel, Select, Skip
from minnet.layers import Affinity, Identity, Layer, Sigmoid, Tanh
from minnet.structure import Chain

Text = tuple[str, bool]  # and whether it is a sum, to be put in parentheses


def latex(net: Chain, digits: int = 4) -> str:
    r"""y as LaTeX: the layers applied to x from the inside out, with `digits` digits.

    Outputs of layers side by side stand one above the other, and their common input gets a
    name and an equation of its own; a selection is an index.

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
    equations = _Equations(digits)
    equations.name("y", equations.applied(net, ("x", False)))
    if len(equations.all) == 1:
        return " = ".join(equations.all[0])
    lines = r" \\ ".join(f"{name} &= {text}" for name, text in equations.all)
    return rf"\begin{{aligned}} {lines} \end{{aligned}}"


class _Equations:
    """Equations, each a name and a text, in the order of computation."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.all: list[tuple[str, str]] = []

    def name(self, name: str, text: Text) -> Text:
        self.all.append((name, text[0]))
        return name, False

    def applied(self, layer: Layer, x: Text) -> Text:
        """The layer applied to x."""
        if isinstance(layer, Chain):
            for inner in layer.layers:
                x = self.applied(inner, x)
            return x
        if isinstance(layer, (Parallel, Skip)):
            if " " in x[0]:
                x = self.name(f"h_{{{len(self.all)}}}", x)
            parts = [x] if isinstance(layer, Skip) else []
            return _stacked([*parts, *(self.applied(branch, x) for branch in layer.layers)])
        inside = rf"\left({x[0]}\right)"
        factor = inside if x[1] else x[0]
        if isinstance(layer, Select):
            return rf"{{{factor}}}_{{({', '.join(map(str, layer.indices))})}}", False
        if isinstance(layer, Affinity):
            M, b = _matrix(layer.M, self.digits), _matrix(layer.b[:, None], self.digits)
            return f"{M} {factor} + {b}", True
        return x if isinstance(layer, Identity) else (f"{_function(layer)}{inside}", False)


def _stacked(parts: list[Text]) -> Text:
    rows = r" \\ ".join(text for text, _ in parts)
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}", False


def _function(layer: Layer) -> str:
    known: dict[type[Layer], str] = {Sigmoid: r"\sigma", Tanh: r"\tanh"}
    name = layer._name or type(layer).__name__
    escaped = name.replace("_", r"\_")
    return known.get(type(layer), rf"\operatorname{{{escaped}}}")


def _matrix(array: Array, digits: int) -> str:
    rows = [" & ".join(f"{value:.{digits}g}" for value in row) for row in np.asarray(array)]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
