"""A crowd learns: chunks of nets, one after the other or on threads, each to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array
from minnet.facts import Fact
from minnet.parameters import split
from minnet.unroll.arrays import LANES, Plan
from minnet.unroll.compiled import CompiledPlan
from minnet.unroll.identities import simplified
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape, trace_step

if TYPE_CHECKING:
    from minnet.network import Network

CACHE = 1 << 20  # bytes that the buffers of a chunk may take: half of the fast cache of a core
MOST_CALLS = 1000  # a step of more calls than that is left to the layers
BLOCK = 64  # steps between two looks at whether all is finite


class Crowd:
    """The step of a crowd for facts of one shape, planned once and run chunk by chunk.

    Parameters
    ----------
    net : Network
    x_shape, t_shape : tuple of int
        (batch, n) and (batch, m), with an axis of nets in front where each has its own.

    Raises
    ------
    Untraceable
        If the network cannot be written out.
    """

    def __init__(self, net: Network, x_shape: Shape, t_shape: Shape) -> None:
        self.net, self.shapes = net, (x_shape[-2:], t_shape[-2:])
        self.per_net = {"p", *(f"memory_{key}" for key in net.optimizer.start(net._flat))}
        own = {"x": len(x_shape) == 3, "t": len(t_shape) == 3, "alpha": np.ndim(net.alpha) > 0}
        self.per_net |= {name for name, is_own in own.items() if is_own}
        trial = self.planned(LANES)
        self.calls = len(trial.calls)
        if self.calls > MOST_CALLS:
            raise Untraceable(f"a step would take {self.calls} calls on arrays of nets")
        self.chunk = int(np.clip(CACHE // trial.bytes, 1, 256)) * LANES
        self._plans: dict[tuple[int, int], Plan | CompiledPlan] = {}

    def planned(self, width: int) -> Plan | CompiledPlan:
        """A new plan for so many nets."""
        return Plan(simplified(trace_step(self.net, *self.shapes)), self.per_net, width)

    def plan(self, nets: int, lane: int) -> Plan | CompiledPlan:
        """The plan for so many nets, of which each thread has its own."""
        width = -(-nets // LANES) * LANES
        if (width, lane) not in self._plans:
            self._plans[width, lane] = self.planned(width)
        return self._plans[width, lane]

    def learn(self, net: Network, facts: Sequence[Fact], epochs: int, number: int = 0) -> Array:
        """Take epochs * len(facts) steps, of which the first has that number.

        Returns the last losses (nets,), inf where a net has diverged.
        """
        losses = np.empty(len(net._flat), net.dtype)
        chunks = [
            slice(start, min(start + self.chunk, len(losses)))
            for start in range(0, len(losses), self.chunk)
        ]
        lanes = min(net.threads, len(chunks))

        def run(lane: int) -> None:
            for nets in chunks[lane::lanes]:
                with np.errstate(all="ignore"):
                    losses[nets] = _Chunk(self, net, nets, lane).learn(facts, epochs, number)

        if lanes == 1:
            run(0)
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(lanes) as pool:
                list(pool.map(run, range(lanes)))
        return losses

    def step_once(self, net: Network, number: int, x: Array, t: Array) -> Array:
        """One step, after which the parameters' arrays are up to date."""
        return self.learn(net, [(x, t)], 1, number)


class CompiledCrowd(Crowd):
    """The same with the step compiled by Numba."""

    def planned(self, width: int) -> CompiledPlan:
        return CompiledPlan(self.net, *self.shapes, self.per_net, width)


class _Chunk:
    """Some nets of a crowd while they learn.

    Optimistic: whether all is finite is seen after a block of steps. If not, the block is
    repeated with a look at each step, and the nets that diverge there stop; the others
    come out the same, bit by bit, since no operation mixes nets.
    """

    def __init__(self, crowd: Crowd, net: Network, nets: slice, lane: int) -> None:
        self.net, self.nets, self.count = net, nets, nets.stop - nets.start
        self.plan = crowd.plan(self.count, lane)
        self.per_net = crowd.per_net
        self.diverged = net._diverged[nets]  # a view: what is noted here is noted there
        self.stopped = self.diverged >= 0
        self.fact: Fact | None = None
        self.low, self.high = net.loss.output_range
        self.bounded = self.low > -np.inf or self.high < np.inf
        self.state = {"p": net._flat, **{f"memory_{k}": a for k, a in net._memory.items()}}
        for name, array in self.state.items():
            self._fill(name, array[nets].T)
        self._fill("alpha", np.asarray(net.alpha)[nets] if np.ndim(net.alpha) else net.alpha)

    def _fill(self, name: str, values: Any) -> None:
        """Put values (..., nets) into an input; the nets that pad it are copies of the last."""
        target = self.plan.inputs.get(name)
        if target is None:
            return
        if name in self.per_net:
            target[..., : self.count] = values
            target[..., self.count :] = target[..., self.count - 1 : self.count]
        else:
            target[...] = np.asarray(values)[..., None]

    def learn(self, facts: Sequence[Fact], epochs: int, number: int) -> Array:
        steps = epochs * len(facts)
        for start in range(0, steps, BLOCK):
            if self.stopped.all():
                break
            block = range(start, min(start + BLOCK, steps))
            before = self._saved()
            if not self._try(facts, block):
                self._restore(before, slice(None))
                for step in block:
                    self._step_carefully(facts[step % len(facts)], number + step)
            elif self.stopped.any():
                self._restore(before, np.flatnonzero(self.stopped))
        for name, array in self.state.items():
            if name in self.plan.inputs:
                array[self.nets] = self.plan.inputs[name][..., : self.count].T
        return np.where(self.stopped, np.inf, self.plan.outputs["loss"][..., : self.count])

    def _try(self, facts: Sequence[Fact], block: range) -> bool:
        """Take these steps; whether every net that is running stayed finite, and in range."""
        inside = True
        if isinstance(self.plan, CompiledPlan) and not {"x", "t"} & self.per_net:
            x, t = (np.stack(arrays)[..., None] for arrays in zip(*facts, strict=True))
            total = self.plan.run(x, t, block)
            return bool((self._is_finite(total) | self.stopped).all())
        total = np.zeros_like(self.plan.outputs["loss"])
        for step in block:
            self._take(facts[step % len(facts)])
            total += self.plan.outputs["loss"]
            inside = inside and self._is_inside()
        return inside and bool((self._is_finite(total) | self.stopped).all())

    def _take(self, fact: Fact) -> None:
        if fact is not self.fact:  # a whole batch again and again need not be copied again
            self.fact = fact
            for name, values in zip("xt", fact, strict=True):
                own = name in self.per_net
                self._fill(name, np.moveaxis(values[self.nets], 0, -1) if own else values)
        self.plan.take()
        for name in self.state:
            before, after = self.plan.inputs.get(name), self.plan.outputs[name]
            if before is not None and before is not after:
                np.copyto(before, after)

    def _step_carefully(self, fact: Fact, number: int) -> None:
        before = self._saved()
        self._take(fact)
        lost = ~self._is_finite(self.plan.outputs["loss"]) & ~self.stopped
        if lost.any() or not self._is_inside():
            self._explain(before["p"], lost, fact)
            self.diverged[lost] = number
            self.stopped |= lost
        self._restore(before, np.flatnonzero(self.stopped))

    def _explain(self, p: Array, lost: Array, fact: Fact) -> None:
        """Let the layers take the step too: where it is an error they raise it."""
        which = lost if lost.any() else ~self.stopped
        rows = p[:, : self.count][:, which].T
        some = self.net.with_parameters(split(rows, self.net.shapes))
        x, t = (
            values[self.nets][which] if name in self.per_net else values
            for name, values in zip("xt", fact, strict=True)
        )
        y, caches = some.forward(x)
        self.net.loss.check_outputs(y)
        some.backprop(self.net.loss.backprop(y, t), caches, inputs=False)

    def _is_finite(self, losses: Array) -> Array:
        finite = np.isfinite(losses)
        for name in self.state:
            if name in self.plan.inputs:
                finite &= np.isfinite(self.plan.inputs[name]).all(axis=0)
        return finite[: self.count]

    def _is_inside(self) -> bool:
        if not self.bounded:
            return True
        y = self.plan.outputs["y"][..., : self.count]
        return not ((y < self.low) | (y > self.high)).any()

    def _saved(self) -> dict[str, Array]:
        return {n: self.plan.inputs[n].copy() for n in self.state if n in self.plan.inputs}

    def _restore(self, saved: dict[str, Array], columns: slice | Array) -> None:
        for name, array in saved.items():
            self.plan.inputs[name][..., columns] = array[..., columns]
