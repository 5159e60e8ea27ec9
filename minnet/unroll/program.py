"""The learning step as a program of single numbers: text to read, and to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minnet.checks import Array
from minnet.unroll.scalars import MATH_FUNCTIONS, Expression, Scalars, Writer, element_names
from minnet.unroll.tracing import Shape, Step, memory_of_one, trace_step

if TYPE_CHECKING:
    from minnet.network import Network

Line = tuple[str, str]


class Program:
    """One learning step for facts of one shape, a line for each sum of products.

    Attributes
    ----------
    state : list of str
        The names of the parameters and, after them, of what the optimizer remembers.
    x, t : ndarray of str
        The names of the entries of the input and of the expected output.
    y : list of str
        The names of the outputs.
    operations : int
        How many of them there are.
    lines : list of (name, text)
        The step, in order; it gives the loss, and the names of the state anew.

    Raises
    ------
    Untraceable
        If the network cannot be written out.
    """

    def __init__(self, net: Network, x_shape: Shape, t_shape: Shape) -> None:
        step = trace_step(net, x_shape, t_shape)
        keys = (element_names(k.replace(".", "_"), s).ravel() for k, s in net.shapes.items())
        p = np.concatenate([np.empty(0, object), *keys])
        memory = {k: _memory_names(k, a.shape, p) for k, a in memory_of_one(net).items()}
        self.x, self.t = element_names("x", x_shape), element_names("t", t_shape)
        self.state = [*p, *(name for names in memory.values() for name in names.ravel())]
        names = {"p": p, "alpha": element_names("alpha", ()), "x": self.x, "t": self.t}
        names |= {f"memory_{key}": array for key, array in memory.items()}
        self.lines, self.y, self.operations, in_order = _written(step, names, self.state)
        if not in_order:  # some old value is still read after its own line
            new = [f"{name}_new" for name in self.state]
            self.lines, self.y, self.operations, _ = _written(step, names, new)
            self.lines += zip(self.state, new, strict=True)


def _written(
    step: Step, names: dict[str, Array], after: list[str]
) -> tuple[list[Line], list[str], int, bool]:
    """Lines with the new state called `after`; outputs, operations, if all lines come in time."""
    scalars = Scalars(step.tape, names)
    new = [e for symbol in (step.p, *step.memory.values()) for e in scalars[symbol].ravel()]
    loss = scalars[step.loss][()]
    outputs = list(scalars[step.y].ravel())
    needed = _needed([*new, loss, *outputs])
    labelled: dict[Expression, str] = {}
    for symbol, label in step.labels.items():
        labels = element_names(label, symbol.shape)
        for name, element in zip(labels.ravel(), scalars[symbol].ravel(), strict=True):
            if element in needed:
                labelled.setdefault(element, name)
    writer = Writer(MATH_FUNCTIONS)
    writer.write((name, element) for element, name in labelled.items())
    if loss.name != "loss":
        writer.write([("loss", loss)])
    writer.write(zip(after, new, strict=True))
    y = [writer.operand(element) for element in outputs]
    operations = sum(bool(expression.args) for expression in needed)
    return writer.lines, y, operations, not writer.reads_what_it_overwrote()


def _memory_names(key: str, shape: Shape, p: Array) -> Array:
    if shape != p.shape:
        return element_names(f"memory_{key}", shape)
    return np.array([f"{name}_{key}" for name in p], object)


def _needed(goals: list[Expression]) -> set[Expression]:
    needed: set[Expression] = set()
    stack = list(goals)
    while stack:
        expression = stack.pop()
        if expression not in needed:
            needed.add(expression)
            stack.extend(expression.args)
    return needed
