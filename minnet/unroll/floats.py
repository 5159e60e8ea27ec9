"""A small network's step on plain floats: where NumPy's calls would cost more than the work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array
from minnet.facts import Fact
from minnet.unroll.program import Program
from minnet.unroll.scalars import MATH_FUNCTIONS
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape

if TYPE_CHECKING:
    from minnet.network import Network

# Above so many operations a step NumPy's calls on whole arrays are the faster way.
MOST_OPERATIONS = 1200
BLOCK = 256  # steps between two looks at whether all is finite

State = Sequence[float]
Run = Callable[[State, float, Any, list[float]], State]


class Floats:
    """A network's step for facts of one shape, compiled from its written-out program.

    It is optimistic. Overflow, nan and functions that fail are noticed after a block of
    steps, which is then repeated one by one; a step that is not finite is left to the
    layers, whose errors and divergences are the ones that count.
    """

    def __init__(self, net: Network, x_shape: Shape, t_shape: Shape) -> None:
        if net.dtype != np.float64:
            raise Untraceable("Python's floats are float64")
        if net.size * max(1, math.prod(x_shape[:-1])) > MOST_OPERATIONS:
            raise Untraceable("the network is too large to write out")
        program = Program(net, x_shape, t_shape)
        if program.operations > MOST_OPERATIONS:
            raise Untraceable(f"{program.operations} operations a step are too many to write out")
        self.program = program
        self.low, self.high = net.loss.expected_range
        self.size = net.size
        self.run = compiled(source(program, net.loss.output_range))

    def learn(
        self, net: Network, values: Sequence[Any], fact: Callable[[int], Fact], number: int
    ) -> list[Any]:
        """Take a step for each fact; their losses, fewer where learning diverged.

        `values` are the facts as nested sequences, `fact(i)` is the same as arrays.
        """
        losses: list[Any] = []
        state: State = _state(net)
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK]
            after, new = self._attempt(state, net.alpha, block)
            if after is not None and _finite(new) and _finite(after):
                state = after
                losses += new
                continue
            for i, value in enumerate(block, start):
                after, new = self._attempt(state, net.alpha, [value])
                if after is None or not self._may_stay(after, new):
                    _store(net, state)
                    new = [net._step(number + i, *fact(i))]
                    after = _state(net)
                losses += new
                state = after
                if net._all_diverged():
                    return losses
        _store(net, state)
        return losses

    def learn_one(self, net: Network, x: list[Any], t: list[Any]) -> float | None:
        """Take one step on a vector fact of unchecked numbers; None if anything looks odd."""
        if not (self.low <= min(t) and max(t) <= self.high):
            return None
        after, losses = self._attempt(_state(net), net.alpha, [(x, t)])
        if after is None or not _finite([*losses, *x, *after]):
            return None
        _store(net, after)
        return losses[0]

    def step(self, net: Network, number: int, x: Array, t: Array) -> Any:
        """One step, after which the parameters' arrays are up to date."""
        after, losses = self._attempt(_state(net), net.alpha, [(x.tolist(), t.tolist())])
        if after is None or not self._may_stay(after, losses):
            return net._step(number, x, t)
        _store(net, after)
        return losses[0]

    def _attempt(
        self, state: State, alpha: float, facts: Sequence[Any]
    ) -> tuple[State | None, list[float]]:
        losses: list[float] = []
        try:
            return self.run(state, alpha, facts, losses), losses
        except (ArithmeticError, ValueError):
            return None, losses

    def _may_stay(self, state: State, losses: list[float]) -> bool:
        return math.isfinite(losses[0]) and all(map(math.isfinite, state[: self.size]))


def source(program: Program, output_range: tuple[float, float]) -> str:
    """A function that takes a step for each fact, appends its loss, and returns the state."""
    state = _tuple(program.state)
    lines = [f"{name} = {text}" for name, text in program.lines]
    low, high = output_range
    if math.isfinite(low) or math.isfinite(high):
        lines += [f"if {name} < {low} or {name} > {high}: loss = nan" for name in program.y]
    body = "\n".join(f"        {line}" for line in lines)
    return (
        "def run(state, alpha, facts, losses):\n"
        f"    {state} = state\n"
        f"    for {_nested(program.x)}, {_nested(program.t)} in facts:\n"
        f"{body}\n"
        "        losses.append(loss)\n"
        f"    return {state}\n"
    )


def compiled(text: str) -> Run:
    """The function of that source, in a namespace that holds the math module's functions."""
    namespace: dict[str, Any] = {name: getattr(math, name, abs) for name in MATH_FUNCTIONS.values()}
    namespace["nan"] = math.nan
    exec(compile(text, "<a learning step, written out>", "exec"), namespace)
    run: Run = namespace["run"]
    return run


def _nested(names: Array) -> str:
    if names.ndim == 0:
        return str(names)
    return _tuple([_nested(part) if part.ndim else str(part) for part in map(np.asarray, names)])


def _tuple(parts: Sequence[str]) -> str:
    return f"({', '.join(parts)},)"


def _finite(values: Sequence[float]) -> bool:
    total = sum(values)
    return total - total == 0


def _state(net: Network) -> list[float]:
    state: list[float] = net._flat.tolist()
    for array in net._memory.values():
        state += array.tolist()
    return state


def _store(net: Network, state: State) -> None:
    stop = net.size
    net._flat[:] = state[:stop]
    for array in net._memory.values():
        start, stop = stop, stop + array.size
        array[:] = state[start:stop]
