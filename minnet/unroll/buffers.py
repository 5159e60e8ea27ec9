"""A larger network's step as calls of NumPy into memory that is there.

The layers' own code makes a new array for each result. Here the same operations write
into buffers that are made once, and a fact is read where it lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array
from minnet.facts import Fact
from minnet.unroll.arrays import Call, Plan
from minnet.unroll.identities import simplified
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape, trace_step

if TYPE_CHECKING:
    from minnet.network import Network

MOST_CALLS = 1000  # a step of more calls than that is left to the layers


class Buffers:
    """The step of one network for facts of one shape.

    A step that may not be finite, or whose outputs are out of range, is left to the
    layers, whose errors and divergences are the ones that count.

    Parameters
    ----------
    net : Network
    x_shape, t_shape : tuple of int
        (n,) and (m,), or (batch, n) and (batch, m).

    Raises
    ------
    Untraceable
        If the network cannot be written out.
    """

    def __init__(self, net: Network, x_shape: Shape, t_shape: Shape) -> None:
        self.step = simplified(trace_step(net, x_shape, t_shape))
        self.low, self.high = net.loss.output_range
        self.bounded = self.low > -np.inf or self.high < np.inf
        memory = net.optimizer.start(net._rows())
        self._settle({"p": net._rows(), **{f"memory_{k}": a for k, a in memory.items()}})
        self.calls = len(self.plan.calls)
        if self.calls > MOST_CALLS:
            raise Untraceable(f"a step would take {self.calls} calls on arrays")

    def _settle(self, state: dict[str, Array]) -> None:
        """Plan the calls for the arrays that a network has now."""
        self.state = state
        self.fact: tuple[Array | None, Array | None] = None, None
        given = {key: array[:, None] for key, array in state.items()}
        self.plan = Plan(self.step, {"p"}, 1, given)
        self.update: Callable[[], Any] = self._copy_new_state
        self.last: tuple[Array, ...] = tuple(self.plan.outputs[key][:, 0] for key in state)
        if self.plan.outputs["p"] is self.plan.inputs["p"]:  # p - g, in place: not before a look
            self.update = self.plan.calls.pop()
            self.last = tuple(array[:, 0] for array in self.update.args[:2])
        inputs = {name: self.plan.inputs[name] for name in "xt" if name in self.plan.inputs}
        self.readers = [
            (i, _Reader(call, inputs))
            for i, call in enumerate(self.plan.calls)
            if any(_mentions(call, array) for array in inputs.values())
        ]

    def learn(self, net: Network, facts: Sequence[Fact], epochs: int) -> Any:
        """Take epochs * len(facts) steps; the last loss, inf if learning diverged."""
        loss: Any = np.inf
        for number in range(epochs * len(facts)):
            loss = self.step_once(net, number, *facts[number % len(facts)])
            if net._all_diverged():
                break
        return loss

    def step_once(self, net: Network, number: int, x: Array, t: Array) -> Any:
        """One step, after which the parameters' arrays are up to date."""
        plan = self._ready(net, x, t)
        with np.errstate(all="ignore"):
            plan.take()
            loss = plan.outputs["loss"].item()
            if not (math.isfinite(loss) and self._will_be_finite() and self._is_inside()):
                return net._step(number, x, t)
            self.update()
        return loss

    def _copy_new_state(self) -> None:
        for array, new in zip(self.state.values(), self.last, strict=True):
            np.copyto(array, new)

    def _will_be_finite(self) -> bool:
        """Whether no entry of the new state, or of p and g, is so large that p - g overflows."""
        squares = sum(np.dot(array, array) for array in self.last)
        return bool(squares < np.finfo(self.last[0].dtype).max / 4)

    def _ready(self, net: Network, x: Array, t: Array) -> Plan:
        state = {"p": net._flat, **{f"memory_{k}": a for k, a in net._memory.items()}}
        if any(array is not self.state.get(key) for key, array in state.items()):
            self._settle(state)
        if "alpha" in self.plan.inputs:
            self.plan.inputs["alpha"][...] = net._optimizer._alpha
        x, t = np.ascontiguousarray(x, net.dtype), np.ascontiguousarray(t, net.dtype)
        if self.fact[0] is not x or self.fact[1] is not t:  # else they lie where they lay
            self.fact = x, t
            fact = {"x": x, "t": t}
            for i, reader in self.readers:
                self.plan.calls[i] = reader.call_on(fact)
        return self.plan

    def _is_inside(self) -> bool:
        if not self.bounded:
            return True
        y = self.plan.outputs["y"]
        return bool(self.low <= y.min() and y.max() <= self.high)


class _Reader:
    """A call that reads an input, made anew for one that lies elsewhere."""

    def __init__(self, call: Call, inputs: dict[str, Array]) -> None:
        self.function, self.options = call.func, call.keywords
        self.args = [_Place(arg, inputs) for arg in call.args]

    def call_on(self, fact: dict[str, Array]) -> Call:
        """The call for the fact's arrays, contiguous and of the inputs' shapes."""
        return partial(self.function, *(arg.on(fact) for arg in self.args), **self.options)


class _Place:
    """What a call is given: a view of an input, by where it lies in it, or something else."""

    def __init__(self, value: Any, inputs: dict[str, Array]) -> None:
        self.value, self.name = value, ""
        for name, array in inputs.items():
            if isinstance(value, np.ndarray) and np.may_share_memory(value, array):
                self.name, self.offset = name, value.ctypes.data - array.ctypes.data

    def on(self, fact: dict[str, Array]) -> Any:
        if not self.name:
            return self.value
        old = self.value
        return np.ndarray(old.shape, old.dtype, fact[self.name], self.offset, old.strides)


def _mentions(call: Call, array: Array) -> bool:
    return any(isinstance(v, np.ndarray) and np.may_share_memory(v, array) for v in call.args)
