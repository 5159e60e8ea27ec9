"""Which way a network's step is run: by its layers, or by the program they write out to.

The choice depends on the network, its loss and optimizer, and the shape of a fact; never
on how many facts come or what ran before, so that a replay gives the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array, positive_int
from minnet.facts import Facts, checked_arrays, checked_facts
from minnet.snapshots import unchanged_by_errors
from minnet.unroll.buffers import Buffers
from minnet.unroll.crowds import CompiledCrowd, Crowd
from minnet.unroll.floats import Floats, Work
from minnet.unroll.stamps import stamp
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape

if TYPE_CHECKING:
    from minnet.network import Network

ENGINES = ("auto", "layers", "floats", "arrays", "numba")


class Engine(str):
    """The name of an engine, and in `why` the reason that it runs."""

    why: str

    def __new__(cls, name: str, why: str) -> Engine:
        self = super().__new__(cls, name)
        self.why = why
        return self

    def __repr__(self) -> str:
        return f"{str(self)!r} ({self.why})"


@dataclass(frozen=True)
class Choice:
    """What runs facts of one shape: a runner, or None for the layers; and why.

    The program holds for the network as it was then; `stamp` tells whether code that is
    not minnet's own has had its settings changed since.
    """

    runner: Floats | Buffers | Crowd | None
    engine: Engine
    stamp: Any


def engine_of(net: Network) -> Engine:
    """What runs a step on one fact (n,)."""
    n = net.n or 1
    batch = () if net.nets is None else (1,)
    return choice(net, (*batch, n), (*batch, net.m or n)).engine


def choice(net: Network, x_shape: Shape, t_shape: Shape) -> Choice:
    """What runs facts of these shapes; found out once."""
    key = x_shape, t_shape
    chosen: Choice | None = net._runners.get(key)
    if chosen is None or (chosen.stamp and chosen.stamp != stamp(net)):
        chosen = net._runners[key] = Choice(*_choose(net, x_shape, t_shape), stamp(net))
    return chosen


def _choose(
    net: Network, x_shape: Shape, t_shape: Shape
) -> tuple[Floats | Buffers | Crowd | None, Engine]:
    asked = net._engine
    if asked == "layers":
        return None, Engine("layers", "as asked for")
    try:
        return (_for_one if net.nets is None else _for_many)(net, x_shape, t_shape)
    except Untraceable as error:
        return None, Engine("layers", str(error))


def _for_one(net: Network, x_shape: Shape, t_shape: Shape) -> tuple[Floats | Buffers, Engine]:
    asked = net._engine
    why = "as asked for"
    if asked != "arrays":
        try:
            floats = Floats(net, x_shape, t_shape, compiled=asked == "numba")
        except Untraceable as error:
            if asked != "auto":
                raise
            why = str(error)
        else:
            name = "numba" if asked == "numba" else "floats"
            return floats, Engine(name, f"{floats.program.operations} operations a step")
    buffers = Buffers(net, x_shape, t_shape)
    return buffers, Engine("arrays", f"{buffers.calls} calls a step; {why}")


def _for_many(net: Network, x_shape: Shape, t_shape: Shape) -> tuple[Crowd, Engine]:
    if net._engine == "floats":
        raise Untraceable("'floats' does not run a crowd")
    if net._engine == "numba":
        compiled = CompiledCrowd(net, x_shape, t_shape)
        return compiled, Engine("numba", f"compiled, for {compiled.chunk} nets")
    crowd = Crowd(net, x_shape, t_shape)
    return crowd, Engine("arrays", f"{crowd.calls} calls a step for {crowd.chunk} nets")


def written_out(net: Network, x: Array, t: Array) -> Callable[[int, Array, Array], Any] | None:
    """What takes one step on facts of these shapes, other than the layers."""
    runner = choice(net, x.shape, t.shape).runner
    return None if runner is None else functools.partial(runner.step_once, net)


def written_out_where_it_pays(learn: Callable[..., Any]) -> Callable[..., Any]:
    """`Network.learn` with the same steps run by a program, where there is a faster one."""

    @functools.wraps(learn)
    def learn_fast(net: Network, facts: Any, epochs: int = 1) -> Any:
        if type(facts) is list and len(facts) == 1 and type(epochs) is int and epochs == 1:
            loss = _learn_one(net, facts[0])
            if loss is not None:
                return loss
        if not isinstance(facts, Iterator):
            losses = _learn_all(net, facts, positive_int(epochs, "epochs"))
            if losses is not None:
                return losses
        return learn(net, facts, epochs)

    return learn_fast


def _learn_one(net: Network, fact: Any) -> float | None:
    """The loss of a step on one fact of two float vectors; None: check it properly first."""
    if type(fact) is not tuple or len(fact) != 2:
        return None
    x, t = fact
    if type(x) is not np.ndarray or type(t) is not np.ndarray or x.ndim != 1:
        return None
    known = net._runners.get((x.shape, t.shape))
    if known is None or type(known.runner) is not Floats or net._memory is None:
        return None
    if known.stamp and known.stamp != stamp(net):
        return None
    if x.dtype.char != "d" or t.dtype.char != "d":
        return None
    loss: float | None = known.runner.learn_one(net, x.tolist(), t.tolist())
    if loss is not None:
        net._diverged = None
    return loss


def _learn_all(net: Network, facts: Any, epochs: int) -> Any:
    """The last loss of steps that a program took; None if the layers must take them."""
    if isinstance(facts, Facts):
        x, t = checked_arrays(net, facts)
        shapes = {(x.shape[1:], t.shape[1:])}
    else:
        each = checked_facts(net, facts)
        shapes = {(x.shape, t.shape) for x, t in each}
    runner = choice(net, *shapes.pop()).runner if len(shapes) == 1 else None
    if runner is None:
        return None
    with unchanged_by_errors(net):
        net._start_learning()
        if not isinstance(runner, Floats):
            each = list(zip(x, t, strict=True)) if isinstance(facts, Facts) else each
            return runner.learn(net, each, epochs)
        if not isinstance(facts, Facts):
            x, t = (np.stack(arrays) for arrays in zip(*each, strict=True))
        return runner.learn(net, Work(x, t, epochs * len(x)))
