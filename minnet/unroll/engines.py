"""Which way a network's step is run: by its layers, or by the program they write out to.

The choice depends on the network, its loss and optimizer, and the shape of a fact; never
on how many facts come or what ran before, so that a replay gives the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array, positive_int
from minnet.facts import Facts, checked_arrays, checked_facts
from minnet.snapshots import unchanged_by_errors
from minnet.unroll.floats import Floats
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape

if TYPE_CHECKING:
    from minnet.network import Network

ENGINES = ("auto", "layers", "floats")
STRETCH = 1 << 14  # steps between two stores of the parameters: memory, not results


class Engine(str):
    """The name of an engine, and in `why` the reason that it runs."""

    why: str

    def __new__(cls, name: str, why: str) -> Engine:
        self = super().__new__(cls, name)
        self.why = why
        return self

    def __repr__(self) -> str:
        return f"{str(self)!r} ({self.why})"


def engine_of(net: Network) -> Engine:
    """What runs a step on one fact (n,)."""
    n = net.n or 1
    return _choice(net, (n,), (net.m or n,))[1]


def _choice(net: Network, x_shape: Shape, t_shape: Shape) -> tuple[Floats | None, Engine]:
    key = x_shape, t_shape
    if key not in net._runners:
        net._runners[key] = _choose(net, x_shape, t_shape)
    choice: tuple[Floats | None, Engine] = net._runners[key]
    return choice


def _choose(net: Network, x_shape: Shape, t_shape: Shape) -> tuple[Floats | None, Engine]:
    if net._engine == "layers":
        return None, Engine("layers", "as asked for")
    try:
        runner = Floats(net, x_shape, t_shape)
    except Untraceable as error:
        return None, Engine("layers", str(error))
    why = "as asked for" if net._engine == "floats" else "a step has few operations"
    return runner, Engine("floats", f"{why}: {runner.program.operations}")


def written_out(net: Network, x: Array, t: Array) -> Callable[[int, Array, Array], Any] | None:
    """What takes one step on facts of these shapes, other than the layers."""
    runner, _ = _choice(net, x.shape, t.shape)
    return None if runner is None else functools.partial(runner.step, net)


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
            if losses:
                return losses[-1]
        return learn(net, facts, epochs)

    return learn_fast


def _learn_one(net: Network, fact: Any) -> float | None:
    """The loss of a step on one fact of two float vectors; None: check it properly first."""
    if type(fact) is not tuple or len(fact) != 2:
        return None
    x, t = fact
    if type(x) is not np.ndarray or type(t) is not np.ndarray or x.ndim != 1:
        return None
    if x.dtype != np.float64 or t.dtype != np.float64:
        return None
    choice = net._runners.get((x.shape, t.shape))
    if choice is None or choice[0] is None or net._memory is None:
        return None
    loss = choice[0].learn_one(net, x.tolist(), t.tolist())
    if loss is not None:
        net._diverged = None
    return loss


def _learn_all(net: Network, facts: Any, epochs: int) -> list[Any]:
    """The losses of the last stretch of steps; none if the layers must take them."""
    values: list[Any]
    if isinstance(facts, Facts):
        x, t = checked_arrays(net, facts)
        shapes = {(x.shape[1:], t.shape[1:])}
        values = list(zip(x.tolist(), t.tolist(), strict=True))
        arrays: Any = lambda i: (x[i], t[i])  # noqa: E731
    else:
        checked = checked_facts(net, facts)
        shapes = {(x.shape, t.shape) for x, t in checked}
        values = [(x.tolist(), t.tolist()) for x, t in checked]
        arrays = checked.__getitem__
    runner = _choice(net, *shapes.pop())[0] if len(shapes) == 1 else None
    if runner is None:
        return []
    count = len(values)
    at_once = max(1, STRETCH // count)
    losses: list[Any] = []
    with unchanged_by_errors(net):
        net._start_learning()
        for done in range(0, epochs, at_once):
            losses = runner.learn(
                net,
                values * min(at_once, epochs - done),
                lambda i: arrays(i % count),
                done * count,
            )
            if net._all_diverged():
                break
    return losses
