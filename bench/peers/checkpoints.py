"""A 784-512-512-10 network, float32 and plain gradient descent, kept in memory and brought back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.nnbench import NNBench
from bench.peers.harness import Contest, Contestant, Row, measured
from minnet import SGD, Affinity, Network, ReLU
from minnet.checks import Array


@dataclass(frozen=True)
class Kept:
    """A way to save a network, to load what was saved last, and its live arrays."""

    save: Callable[[], Any]
    load: Callable[[], Any]
    arrays: Callable[[], list[Array]]

    def spoil(self) -> None:
        for array in self.arrays():
            array += 1


def network() -> Network:
    layers = [Affinity(784, 512, rng=1), ReLU(), Affinity(512, 512, rng=2), ReLU()]
    return Network([*layers, Affinity(512, 10, rng=3)], optimizer=SGD(0.1), dtype="float32")


def ours() -> Kept:
    bench = NNBench(network())
    return Kept(
        bench.checkpoint_net, bench.rollback_net, lambda: list(bench.net.parameters.values())
    )


def dilled() -> Kept:
    import dill

    net, saved = network(), b""

    def save() -> None:
        nonlocal saved
        saved = dill.dumps(net)

    def load() -> None:
        nonlocal net
        net = dill.loads(saved)

    return Kept(save, load, lambda: list(net.parameters.values()))


def deepcopied() -> Kept:
    net = saved = network()

    def save() -> None:
        nonlocal saved
        saved = copy.deepcopy(net)

    def load() -> None:
        nonlocal net
        net = copy.deepcopy(saved)

    return Kept(save, load, lambda: list(net.parameters.values()))


def torch_state() -> Kept:
    """Copies of a state_dict."""
    import torch
    from torch import nn

    layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    model = nn.Sequential(*layers).to(torch.float32)
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), network().parameters.values(), strict=True):
            parameter.copy_(torch.tensor(array))
    saved: dict[str, Any] = {}

    def save() -> None:
        nonlocal saved
        saved = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    return Kept(
        save,
        lambda: model.load_state_dict(saved),
        lambda: [p.detach().numpy() for p in model.parameters()],
    )


def flat_copy() -> Kept:
    """One copy of one array into another that is there: the least that it can take."""
    flat = np.concatenate([array.ravel() for array in network().parameters.values()])
    saved = flat.copy()
    return Kept(lambda: np.copyto(saved, flat), lambda: np.copyto(flat, saved), lambda: [flat])


WAYS = {
    "minnet NNBench": ours,
    "dill": dilled,
    "deepcopy": deepcopied,
    "PyTorch state_dict": torch_state,
    "one flat copy": flat_copy,
}


def checkpoint(way: Callable[[], Kept], times: int) -> Contestant:
    kept = way()

    def work() -> None:
        for _ in range(times):
            kept.save()

    def result() -> list[Array]:
        kept.spoil()
        kept.load()
        return kept.arrays()

    return Contestant(lambda: None, work, result)


def rollback(way: Callable[[], Kept], times: int) -> Contestant:
    kept = way()
    kept.save()

    def work() -> None:
        for _ in range(times):
            kept.load()

    return Contestant(kept.spoil, work, kept.arrays)


def contests(quick: bool) -> Iterator[Contest[int]]:
    times = 5 if quick else 20
    for name, maker in (("checkpoint", checkpoint), ("rollback", rollback)):
        makers = {way: partial(maker, kept) for way, kept in WAYS.items()}
        yield Contest(f"784-512-512-10 float32: {name}", times, 1, times, name, makers, {}, 0.0)


def rows(quick: bool) -> list[Row]:
    return [row for contest in contests(quick) for row in measured(contest, 3 if quick else 11)]
