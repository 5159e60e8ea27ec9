"""The learning step as a program of single numbers: text to read, and to run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from minnet.checks import Array
from minnet.unroll.scalars import PYTHON, Expression, Notation, Scalars, Writer, element_names
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape, Step, identifier, memory_of_one, trace_step

if TYPE_CHECKING:
    from minnet.network import Network

Line = tuple[str, str]


class Program:
    """One learning step for facts of one shape, a line for each sum of products.

    Parameters
    ----------
    net : Network
    x_shape, t_shape : tuple of int
        Of an input and what is expected for it: a fact or a batch.
    notation : Notation
    numbers : dict, optional
        Arrays of numbers to write in place of names, for "x", "t" or "p", the parameters.

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
    calls : int
        How many calls the same takes on arrays.
    forward, lines : list of (name, text)
        The way forward alone, and the whole step, which gives the loss and the names of
        the state anew.

    Raises
    ------
    Untraceable
        If the network cannot be written out.
    """

    def __init__(
        self,
        net: Network,
        x_shape: Shape,
        t_shape: Shape,
        notation: Notation = PYTHON,
        numbers: Mapping[str, Array] | None = None,
    ) -> None:
        step = trace_step(net, x_shape, t_shape)
        keys = (element_names(identifier(k), s).ravel() for k, s in net.shapes.items())
        p = np.concatenate([np.empty(0, object), *keys])
        memory = {k: _memory_names(k, a.shape, p) for k, a in memory_of_one(net).items()}
        self.x, self.t = element_names("x", x_shape), element_names("t", t_shape)
        self.state = [*p, *(name for names in memory.values() for name in names.ravel())]
        names = {"p": p, "alpha": element_names("alpha", ()), "x": self.x, "t": self.t}
        names |= {f"memory_{key}": array for key, array in memory.items()}
        names |= {key: array.astype(object) for key, array in (numbers or {}).items()}
        views = ("input", "number", "constant", "index", "reshape", "transpose", "cast")
        self.calls = sum(symbol.op not in views for symbol in step.tape.symbols)
        self.forward = _forward(step, names, notation)
        self.lines, self.y, self.operations, in_order = _step(step, names, self.state, notation)
        if not in_order:  # some old value is still read after its own line
            new = [f"{name}_new" for name in self.state]
            self.lines, self.y, self.operations, _ = _step(step, names, new, notation)
            self.lines += zip(self.state, map(notation.name, new), strict=True)
        self._check_names()

    def checked_lines(self, output_range: tuple[float, float]) -> list[str]:
        """Statements of the step; its loss becomes nan where an output is out of range."""
        low, high = output_range
        lines = [f"{name} = {text}" for name, text in self.lines]
        if math.isfinite(low) or math.isfinite(high):
            lines += [f"if {name} < {low} or {name} > {high}: loss = nan" for name in self.y]
        return lines

    def _check_names(self) -> None:
        """Refuse to mix up two numbers whose layers' names look alike when written out."""
        given = ["alpha", *self.state, *self.x.ravel(), *self.t.ravel()]
        found = [name for name, _ in self.lines if name not in self.state]
        names = given + found
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise Untraceable(f"two numbers would be called {twice!r}; rename a layer")


def _forward(step: Step, names: dict[str, Array], notation: Notation) -> list[Line]:
    scalars = Scalars(step.tape, names)
    writer = Writer(notation)
    writer.write(_labelled(step, scalars, list(scalars[step.y].ravel())))
    return writer.lines


def _step(
    step: Step, names: dict[str, Array], after: list[str], notation: Notation
) -> tuple[list[Line], list[str], int, bool]:
    """Lines with the new state called `after`; outputs, operations, if all lines come in time."""
    scalars = Scalars(step.tape, names)
    new = [e for symbol in (step.p, *step.memory.values()) for e in scalars[symbol].ravel()]
    loss = scalars[step.loss][()]
    outputs = list(scalars[step.y].ravel())
    writer = Writer(notation)
    writer.write(_labelled(step, scalars, [*new, loss, *outputs]))
    if loss.name != "loss":
        writer.write([("loss", loss)])
    writer.write(zip(after, new, strict=True))
    y = [writer.operand(element) for element in outputs]
    operations = sum(bool(expression.args) for expression in _needed([*new, loss, *outputs]))
    return writer.lines, y, operations, not writer.reads_what_it_overwrote()


def _labelled(
    step: Step, scalars: Scalars, goals: list[Expression]
) -> list[tuple[str, Expression]]:
    """What a reader wants to see of all that the goals need, once each."""
    needed = _needed(goals)
    labelled: dict[Expression, str] = {}
    for symbol, label in step.labels.items():
        labels = element_names(label, symbol.shape)
        for name, element in zip(labels.ravel(), scalars[symbol].ravel(), strict=True):
            if element in needed and element.op not in ("input", "constant"):
                labelled.setdefault(element, name)
    return [(name, element) for element, name in labelled.items()]


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
