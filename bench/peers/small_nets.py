"""One small network, learning step by step: a call per fact, all facts, full batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from bench.peers import small_net_peers as peers
from bench.peers.harness import Contest, Contestant, Makers, Row, measured
from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Layer,
    MeanSquaredError,
    Network,
    Sigmoid,
    Tanh,
)
from minnet.checks import Array
from minnet.facts import gate
from minnet.snapshots import Snapshot
from minnet.unroll.engines import choice

XOR = gate("xor")
_BITS = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
# of three bits the sum and the carry, on the levels -1 and 1
FULL_ADDER = Facts(_BITS, np.stack([_BITS.prod(axis=1), np.sign(_BITS.sum(axis=1))], axis=1))

WAYS = {
    "calls": "a call per fact",
    "facts": "facts one at a time",
    "batch": "full batches",
}


@dataclass(frozen=True)
class Job:
    """A network, what it learns, and how many steps it takes.

    Attributes
    ----------
    widths : tuple of int
    activation, optimizer, loss : str
        "sigmoid" or "tanh"; "sgd", "momentum" or "adam"; "squares", or "logits" for a
        cross-entropy that takes them, so that the last layer has no activation.
    facts : Facts
        The truth table.
    way : str
        One of WAYS.
    steps : int
    """

    widths: tuple[int, ...]
    activation: str
    optimizer: str
    loss: str
    facts: Facts
    way: str
    steps: int

    @property
    def alpha(self) -> float:
        """The learning rate."""
        return {"sgd": 0.5, "momentum": 0.1, "adam": 0.01}[self.optimizer]

    def start(self) -> list[tuple[Array, Array]]:
        """M (m, n) and b (m,) of each layer at the start, uniform in +-1/sqrt(n)."""
        rng = np.random.default_rng(1)
        return [
            (rng.uniform(-1, 1, (m, n)) / np.sqrt(n), rng.uniform(-1, 1, m) / np.sqrt(n))
            for n, m in pairwise(self.widths)
        ]

    def steps_on(self) -> list[tuple[Array, Array]]:
        """The fact, or the batch, of each step."""
        if self.way == "batch":
            return [(self.facts.X, self.facts.T)] * self.steps
        rows = np.random.default_rng(2).integers(len(self.facts), size=self.steps)
        return list(zip(self.facts.X[rows], self.facts.T[rows], strict=True))


def ours(job: Job, engine: str = "auto") -> Contestant:
    layers: list[Layer] = []
    for M, b in job.start():
        affinity = Affinity(M.shape[1], M.shape[0])
        affinity.M, affinity.b = M, b
        layers += [affinity, Sigmoid() if job.activation == "sigmoid" else Tanh()]
    net = Network(
        layers if job.loss == "squares" else layers[:-1],
        loss=MeanSquaredError()
        if job.loss == "squares"
        else BinaryCrossEntropy(from_logits=True, reduction="mean"),
        optimizer={
            "sgd": SGD(job.alpha),
            "momentum": SGD(job.alpha, momentum=0.9),
            "adam": Adam(job.alpha),
        }[job.optimizer],
    )
    net.engine = engine
    if engine != "auto" and net.engine != engine:
        raise RuntimeError(f"the engine {engine} does not run: {net.engine.why}")
    steps = job.steps_on()
    facts = Facts(*(np.stack(arrays) for arrays in zip(*steps, strict=True))) if (
        job.way == "facts"
    ) else job.facts  # fmt: skip

    def a_call_per_fact() -> None:
        for fact in steps:
            net.learn([fact])

    work = {
        "calls": a_call_per_fact,
        "facts": lambda: net.learn(facts),
        "batch": lambda: net.learn(steps[:1], epochs=job.steps),
    }
    return Contestant(
        Snapshot(net).restore,
        work[job.way],
        lambda: [array.copy() for array in net.parameters.values()],
        note=choice(net, *(array.shape for array in steps[0])).engine,
    )


OURS: Makers[Job] = {"minnet": ours, "minnet, numba": partial(ours, engine="numba")}
TORCH: Makers[Job] = {"PyTorch nn": peers.torch_nn}
JAX_STEP: Makers[Job] = {"JAX jitted step": peers.jax_step}
JAX_LOOP: Makers[Job] = {"JAX compiled loop": peers.jax_loop}
OTHERS: Makers[Job] = {"thinc (float32)": peers.thinc_nn, "micrograd": peers.micrograd_nn}

# by name: the network without its way and steps, and its peers beside PyTorch nn and JAX
NETS: dict[str, tuple[Job, Makers[Job]]] = {
    "2-2-1 sigmoid": (
        Job((2, 2, 1), "sigmoid", "sgd", "squares", XOR, "", 0),
        {"PyTorch by hand": peers.torch_by_hand, **OTHERS},
    ),
    "2-2-1 sigmoid, cross-entropy": (
        Job((2, 2, 1), "sigmoid", "sgd", "logits", XOR, "", 0),
        {"scikit-learn": peers.scikit_learn},
    ),
    "2-2-1 sigmoid, momentum": (Job((2, 2, 1), "sigmoid", "momentum", "squares", XOR, "", 0), {}),
    "3-5-4-2 tanh, Adam": (Job((3, 5, 4, 2), "tanh", "adam", "squares", FULL_ADDER, "", 0), {}),
}


def contests(quick: bool) -> Iterator[Contest[Job]]:
    """Each network in each way."""
    for name, (net, others) in NETS.items():
        for way, title in WAYS.items():
            steps = 2000 if way == "calls" else 10_000
            job = replace(net, way=way, steps=steps // 20 if quick else steps)
            yield Contest(
                name=f"{name}: {title}",
                job=job,
                short=replace(job, steps=5),
                units=job.steps,
                unit="step",
                makers={
                    **OURS,
                    **TORCH,
                    **JAX_STEP,
                    **({} if way == "calls" else JAX_LOOP),
                    **others,
                },
                tolerances={"thinc (float32)": 1e-5},
                tolerance=1e-12,
            )


def rows(quick: bool) -> list[Row]:
    return [row for contest in contests(quick) for row in measured(contest, 3 if quick else 7)]
