"""A small network's step on plain floats: where NumPy's calls would cost more than the work."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array
from minnet.facts import Fact
from minnet.unroll.compiled import compiled_run
from minnet.unroll.program import Program
from minnet.unroll.scalars import MATH_FUNCTIONS
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape

if TYPE_CHECKING:
    from minnet.network import Network

# What a step takes on plain floats and in calls of NumPy on small arrays, nearly enough.
OPERATION, CALL = 22e-9, 1.2e-6  # seconds
MOST_NUMBERS = 4000  # parameters times facts: more is not even tried
BLOCK = 256  # steps between two looks at whether all is finite


class Work:
    """Steps to take, in blocks: facts of one shape, again and again.

    Parameters
    ----------
    x, t : ndarray, shapes (facts, ...)
    steps : int
    """

    def __init__(self, x: Array, t: Array, steps: int) -> None:
        self.x, self.t, self.steps = x, t, steps
        self._values: list[Any] = []

    def blocks(self) -> Iterator[range]:
        """The numbers of the steps, a few hundred at a time."""
        for start in range(0, self.steps, BLOCK):
            yield range(start, min(start + BLOCK, self.steps))

    def arrays(self, step: int) -> Fact:
        """The fact of a step."""
        return self.x[step % len(self.x)], self.t[step % len(self.x)]

    def values(self, block: range) -> list[Any]:
        """The facts of a block as nested lists of floats."""
        if not self._values:  # enough of them to cut any block from
            once = list(zip(self.x.tolist(), self.t.tolist(), strict=True))
            self._values = once * min(-(-self.steps // len(once)), 1 + -(-BLOCK // len(once)))
        start = block.start % len(self.x)
        return self._values[start : start + len(block)]


State = Sequence[float]
Run = Callable[[State, Any, Any, list[float]], State]


class Floats:
    """A network's step for facts of one shape, compiled from its written-out program.

    It is optimistic. Overflow, nan and functions that fail are noticed after a block of
    steps, which is then repeated one by one; a step that is not finite is left to the
    layers, whose errors and divergences are the ones that count.
    """

    def __init__(
        self, net: Network, x_shape: Shape, t_shape: Shape, compiled: bool = False
    ) -> None:
        if net.dtype != np.float64:
            raise Untraceable("Python's floats are float64")
        if net.size * max(1, math.prod(x_shape[:-1])) > MOST_NUMBERS:
            raise Untraceable("the network is too large to write out")
        program = Program(net, x_shape, t_shape)
        if program.operations * OPERATION > program.calls * CALL:
            raise Untraceable(
                f"{program.operations} operations a step take longer than {program.calls} calls"
            )
        self.program = program
        self.low, self.high = net.loss.expected_range
        self.bounded = math.isfinite(self.low) or math.isfinite(self.high)
        self.run = interpreted(source(program, net.loss.output_range))
        self.run_compiled = compiled_run(program, net.loss.output_range) if compiled else None

    def learn(self, net: Network, work: Work) -> Any:
        """Take these steps; the last loss, inf if learning diverged."""
        state: State = _state(net)
        losses: list[Any] = []
        for block in work.blocks():
            after, losses = self._attempt(state, net.alpha, work, block)
            if after is None or not _finite(losses) or not _finite(after):
                after, losses = self._one_by_one(net, state, work, block)
            state = after
            if net._all_diverged():
                return losses[-1]
        _store(net, state)
        return losses[-1]

    def _one_by_one(
        self, net: Network, state: State, work: Work, block: range
    ) -> tuple[State, list[float]]:
        losses: list[float] = []
        for step in block:
            after, losses = self._attempt(state, net.alpha, work, range(step, step + 1))
            if after is None or not all(map(math.isfinite, [*after, *losses])):
                _store(net, state)
                losses = [net._step(step, *work.arrays(step))]
                after = _state(net)
            state = after
            if net._all_diverged():
                break
        return state, losses

    def _attempt(
        self, state: State, alpha: float, work: Work, block: range
    ) -> tuple[State | None, list[float]]:
        losses: list[float] = []
        try:
            if self.run_compiled is not None:
                return self.run_compiled(state, alpha, work.x, work.t, block, losses), losses
            return self.run(state, alpha, work.values(block), losses), losses
        except (ArithmeticError, ValueError):
            return None, losses

    def learn_one(self, net: Network, x: list[Any], t: list[Any]) -> float | None:
        """Take one step on a vector fact of unchecked floats; None if anything looks odd."""
        if self.bounded and not (self.low <= min(t) and max(t) <= self.high):
            return None
        losses: list[float] = []
        try:
            after = self.run(_state(net), net._optimizer._alpha, ((x, t),), losses)
        except (ArithmeticError, ValueError):
            return None
        loss = losses[0]
        total = sum(after, sum(x, loss))
        if total - total != 0:
            return None
        _store(net, after)
        return loss

    def step_once(self, net: Network, number: int, x: Array, t: Array) -> Any:
        """One step, after which the parameters' arrays are up to date."""
        losses: list[float] = []
        try:
            after = self.run(_state(net), net.alpha, ((x.tolist(), t.tolist()),), losses)
        except (ArithmeticError, ValueError):
            return net._step(number, x, t)
        if not _finite([*after, *losses]):
            return net._step(number, x, t)
        _store(net, after)
        return losses[0]


def source(program: Program, output_range: tuple[float, float]) -> str:
    """A function that takes a step for each fact, appends its loss, and returns the state."""
    state = _tuple(program.state)
    body = "\n".join(f"        {line}" for line in program.checked_lines(output_range))
    return (
        "def run(state, alpha, facts, losses):\n"
        f"    {state} = state\n"
        f"    for {_nested(program.x)}, {_nested(program.t)} in facts:\n"
        f"{body}\n"
        "        losses.append(loss)\n"
        f"    return {state}\n"
    )


def interpreted(text: str) -> Run:
    """The function of that source, in a namespace that holds the math module's functions."""
    namespace: dict[str, Any] = {name: getattr(math, name, abs) for name in MATH_FUNCTIONS.values()}
    namespace |= {"nan": math.nan, "pow": math.pow}
    exec(compile(text, "<a learning step, written out>", "exec"), namespace)
    run: Run = namespace["run"]
    return run


def _nested(names: Array) -> str:
    if names.ndim == 0:
        return str(names)
    return _tuple([_nested(part) if part.ndim else str(part) for part in map(np.asarray, names)])


def _tuple(parts: Sequence[str]) -> str:
    return f"({', '.join(parts)},)" if parts else "()"


def _finite(values: Sequence[float]) -> bool:
    total = sum(values)
    return total - total == 0


def _state(net: Network) -> list[float]:
    state: list[float] = net._flat.tolist()
    if net._memory:
        for array in net._memory.values():
            state += array.tolist()
    return state


def _store(net: Network, state: State) -> None:
    if not net._memory and net._flat.flags.c_contiguous:
        struct.pack_into(f"{len(state)}d", net._flat, 0, *state)  # faster than an assignment
        return
    stop = net._flat.size
    net._flat[:] = state[:stop]
    for array in net._memory.values():
        start, stop = stop, stop + array.size
        array[:] = state[start:stop]
