"""Many nets at once, each learning the four XOR facts as a full batch, on one core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bench.peers.harness import Contest, Contestant, Makers, Row, measured
from minnet import SGD, Affinity, MeanSquaredError, Network, ReLU, Sigmoid
from minnet.checks import Array
from minnet.facts import gate
from minnet.snapshots import Snapshot

XOR = gate("xor")
ALPHA = 0.5


@dataclass(frozen=True)
class Job:
    """So many nets 2-width-1, their hidden activation ("sigmoid" or "relu"), dtype and steps."""

    nets: int
    width: int
    activation: str
    dtype: str
    steps: int

    def crowd(self) -> Network:
        """All start with standard normal numbers."""
        hidden = Sigmoid() if self.activation == "sigmoid" else ReLU()
        layers = [Affinity(2, self.width), hidden, Affinity(self.width, 1), Sigmoid()]
        net = Network(layers, loss=MeanSquaredError(), optimizer=SGD(ALPHA), dtype=self.dtype)
        return net.replicate(self.nets, rng=0)

    def start(self) -> list[Array]:
        """M (nets, m, n), b (nets, m), M and b at the start."""
        return [np.ascontiguousarray(array) for array in self.crowd().parameters.values()]

    def facts(self) -> tuple[Array, Array]:
        """X (4, 2) and T (4, 1)."""
        return XOR.X.astype(self.dtype), XOR.T.astype(self.dtype)


def ours(job: Job, engine: str = "arrays", threads: int = 1) -> Contestant:
    crowd = job.crowd()
    crowd.engine, crowd.threads = engine, threads
    if crowd.engine != engine:
        raise RuntimeError(f"the engine {engine} does not run: {crowd.engine.why}")

    def work() -> None:
        crowd.learn([(XOR.X, XOR.T)], epochs=job.steps)

    return Contestant(Snapshot(crowd).restore, work, lambda: list(crowd.parameters.values()))


def jax_vmap(job: Job) -> Contestant:
    """jax.vmap of a step of one net, in a jitted lax.scan."""
    import jax
    import jax.numpy as jnp

    hidden = jax.nn.sigmoid if job.activation == "sigmoid" else jax.nn.relu
    begin = [jnp.array(array) for array in job.start()]
    X, T = map(jnp.array, job.facts())
    p = begin

    def loss_of(p: Any, X: Any, T: Any) -> Any:
        M1, b1, M2, b2 = p
        return ((jax.nn.sigmoid(hidden(X @ M1.T + b1) @ M2.T + b2) - T) ** 2).mean()

    def step(p: Any, X: Any, T: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p, X, T)
        return jax.tree.map(lambda p, g: p - ALPHA * g, p, g), loss

    def steps(p: Any, X: Any, T: Any) -> Any:
        every_net = jax.vmap(step, (0, None, None))
        p, losses = jax.lax.scan(lambda p, _: every_net(p, X, T), p, length=job.steps)
        return p, losses[-1]

    run = jax.jit(steps)

    def start() -> None:
        nonlocal p
        p = begin

    def work() -> None:
        nonlocal p
        p, _ = jax.block_until_ready(run(p, X, T))

    return Contestant(start, work, lambda: list(map(np.asarray, p)))


def torch_vmap(job: Job) -> Contestant:
    """torch.func: vmap of grad of functional_call, on stacked parameters."""
    import torch
    from torch import nn
    from torch.func import functional_call, grad_and_value, vmap

    hidden = nn.Sigmoid() if job.activation == "sigmoid" else nn.ReLU()
    model = nn.Sequential(nn.Linear(2, job.width), hidden, nn.Linear(job.width, 1), nn.Sigmoid())
    names = [name for name, _ in model.named_parameters()]
    begin = [torch.tensor(array) for array in job.start()]
    X, T = map(torch.tensor, job.facts())
    p: dict[str, Any] = {}

    def loss_of(p: Any, X: Any, T: Any) -> Any:
        return nn.functional.mse_loss(functional_call(model, p, (X,)), T)

    gradients_of = vmap(grad_and_value(loss_of), (0, None, None))

    def start() -> None:
        p.update((name, array.clone()) for name, array in zip(names, begin, strict=True))

    def work() -> None:
        for _ in range(job.steps):
            gradients, _ = gradients_of(p, X, T)
            for name, gradient in gradients.items():
                p[name].sub_(gradient, alpha=ALPHA)

    return Contestant(start, work, lambda: [p[name].numpy() for name in names])


OURS: Makers[Job] = {"minnet, arrays": ours, "minnet, numba": partial(ours, engine="numba")}
PEERS: Makers[Job] = {"JAX vmap and scan": jax_vmap, "torch.func.vmap": torch_vmap}
STEPS = {100: 1000, 1000: 1000, 10_000: 200, 100_000: 50}


def contest(name: str, job: Job, makers: Makers[Job], quick: bool) -> Contest[Job]:
    """A job for these makers."""
    job = replace(job, steps=job.steps // 10 if quick else job.steps)
    short = replace(job, nets=min(job.nets, 1000), steps=3)
    tolerance = 1e-12 if job.dtype == "float64" else 1e-5
    return Contest(name, job, short, job.nets * job.steps, "net-step", makers, {}, tolerance)


def contests(quick: bool) -> Iterator[Contest[Job]]:
    """Float64 by the number of nets, and float32 by width and activation."""
    for nets, steps in STEPS.items():
        job = Job(nets, 2, "sigmoid", "float64", steps)
        yield contest(f"2-2-1 sigmoid float64, {nets:,} nets", job, {**OURS, **PEERS}, quick)
    for activation in ("relu", "sigmoid"):
        for width in (2, 4, 20):
            job = Job(10_000, width, activation, "float32", 400 // width)
            name = f"2-{width}-1 {activation} float32, 10,000 nets"
            yield contest(name, job, {**OURS, "JAX vmap and scan": jax_vmap}, quick)


def rows(quick: bool) -> list[Row]:
    return [row for contest in contests(quick) for row in measured(contest, 3 if quick else 7)]
