"""Networks whose time goes into matrix products: float32, batches of 128."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from bench.peers.harness import Contest, Contestant, Row, measured
from minnet import SGD, Affinity, Facts, Layer, Network, ReLU, SoftmaxCrossEntropy
from minnet.checks import Array
from minnet.snapshots import Snapshot

BATCH = 128
ALPHA = 0.05


@dataclass(frozen=True)
class Job:
    """Widths, and how many steps, each on a batch of its own."""

    widths: tuple[int, ...]
    steps: int

    def start(self) -> list[Array]:
        """M (m, n) and b (m,) of each layer, one after the other."""
        rng = np.random.default_rng(1)
        return [
            (rng.uniform(-1, 1, shape) / np.sqrt(n)).astype(np.float32)
            for n, m in pairwise(self.widths)
            for shape in ((m, n), (m,))
        ]

    def facts(self) -> Facts:
        """Random inputs, and random classes."""
        rng = np.random.default_rng(2)
        X = rng.random((self.steps * BATCH, self.widths[0]), np.float32)
        return Facts(X, rng.integers(self.widths[-1], size=len(X)))


def ours(job: Job) -> Contestant:
    layers: list[Layer] = []
    parameters = job.start()
    for M, b in zip(parameters[::2], parameters[1::2], strict=True):
        affinity = Affinity(M.shape[1], M.shape[0])
        affinity.M, affinity.b = M, b
        layers += [affinity, ReLU()]
    loss = SoftmaxCrossEntropy("mean")
    net = Network(layers[:-1], loss=loss, optimizer=SGD(ALPHA), dtype="float32")
    batches = job.facts().batches(BATCH)
    return Contestant(
        Snapshot(net).restore,
        lambda: net.learn(batches),
        lambda: [array.copy() for array in net.parameters.values()],
    )


def torch_eager(job: Job) -> Contestant:
    """nn.Module and optim.SGD, eager."""
    import torch
    from torch import nn

    modules: list[Any] = []
    for n, m in pairwise(job.widths):
        modules += [nn.Linear(n, m, dtype=torch.float32), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=ALPHA)
    batches = [(torch.tensor(x), torch.tensor(t)) for x, t in job.facts().batches(BATCH)]

    def start() -> None:
        for parameter, array in zip(model.parameters(), job.start(), strict=True):
            parameter.data.copy_(torch.tensor(array))

    def work() -> None:
        for x, t in batches:
            optimizer.zero_grad()
            loss = loss_of(model(x), t)
            loss.backward()
            optimizer.step()

    return Contestant(start, work, lambda: [p.detach().numpy().copy() for p in model.parameters()])


def jax_step(job: Job) -> Contestant:
    """A jitted step that gives its parameters' memory away."""
    import jax
    import jax.numpy as jnp

    def loss_of(p: Any, x: Any, t: Any) -> Any:
        for M, b in zip(p[:-2:2], p[1:-2:2], strict=True):
            x = jax.nn.relu(x @ M + b)
        log_p = jax.nn.log_softmax(x @ p[-2] + p[-1])
        return -jnp.take_along_axis(log_p, t[:, None], axis=1).mean()

    def stepped(p: Any, x: Any, t: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p, x, t)
        return jax.tree.map(lambda p, g: p - np.float32(ALPHA) * g, p, g), loss

    step = jax.jit(stepped, donate_argnums=0)
    batches = [(jnp.array(x), jnp.array(t)) for x, t in job.facts().batches(BATCH)]
    p: list[Any] = []

    def start() -> None:
        p[:] = [jnp.array(array.T) for array in job.start()]  # the inputs first, as JAX's users do

    def work() -> None:
        for x, t in batches:
            p[:], _ = step(p, x, t)
        jax.block_until_ready(p)

    return Contestant(start, work, lambda: [np.asarray(array).T for array in p])


def bare_products(job: Job) -> Contestant:
    """The matrix products of forward and backprop alone, in NumPy; they learn nothing.

    Each weight matrix lies as suits its products best, the inputs first; results go into
    memory that is there; the gradient of the network's inputs, which nobody uses, is left out.
    """
    rng = np.random.default_rng(3)
    Ms = [rng.random(widths, np.float32) for widths in pairwise(job.widths)]
    xs, dxs = ([rng.random((BATCH, n), np.float32) for n in job.widths] for _ in range(2))
    dMs = [np.empty_like(M) for M in Ms]
    batches = job.facts().batches(BATCH)

    def work() -> None:
        for xs[0], _ in batches:
            for k, M in enumerate(Ms):
                np.dot(xs[k], M, xs[k + 1])
            for k in reversed(range(len(Ms))):
                np.dot(xs[k].T, dxs[k + 1], dMs[k])
                if k:
                    np.dot(dxs[k + 1], Ms[k].T, dxs[k])

    return Contestant(lambda: None, work, None)


MAKERS = {
    "minnet": ours,
    "PyTorch eager": torch_eager,
    "JAX jitted step": jax_step,
    "bare matrix products": bare_products,
}


def contests(quick: bool, threads: str = "one thread") -> Iterator[Contest[Job]]:
    """Two networks."""
    for widths, steps in (((784, 128, 10), 200), ((784, 512, 512, 10), 50)):
        job = Job(widths, steps // 10 if quick else steps)
        name = f"{'-'.join(map(str, widths))} float32, batches of {BATCH}, {threads}"
        yield Contest(name, job, replace(job, steps=3), job.steps, "step", MAKERS, {}, 1e-5)


def rows(quick: bool, threads: str = "one thread") -> list[Row]:
    return [
        row for contest in contests(quick, threads) for row in measured(contest, 3 if quick else 11)
    ]
