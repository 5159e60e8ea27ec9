"""Do nets of a census end in the same circuits when PyTorch trains them, one by one?

    python -m bench.peers.census --nets 200 --steps 10000

The starts are the census's own, in float64 on both sides. What rounding decides is counted:
nets that end in another circuit of the same motif, which differ in facts on a kink alone.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

from minnet import SGD, Affinity, BinaryCrossEntropy, Network, ReLU, Sigmoid, uniform
from minnet.facts import gate
from minnet.study.census import census
from minnet.study.motifs import motif_names


def trained(start: Network, facts: Any, alpha: float, steps: int) -> list[Any]:
    """The parameters of one net, in order, as PyTorch's layers, loss and SGD leave them."""
    import torch

    layers = [
        torch.nn.Linear(2, start["fc1"].m or 0), torch.nn.ReLU(),
        torch.nn.Linear(start["fc1"].m or 0, 1), torch.nn.Sigmoid(),
    ]  # fmt: skip
    net = torch.nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter, array in zip(net.parameters(), start.parameters.values(), strict=True):
            parameter.copy_(torch.from_numpy(array))
    x, t = torch.tensor(facts.X), torch.tensor(facts.T)
    optimizer, loss = torch.optim.SGD(net.parameters(), lr=alpha), torch.nn.BCELoss()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(net(x), t).backward()
        optimizer.step()
    return [parameter.detach().numpy().copy() for parameter in net.parameters()]


def main() -> None:
    """Train both ways, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    net = Network(
        [Affinity(2, 2, "fc1", initializer=uniform), ReLU(),
         Affinity(2, 1, "fc2", initializer=uniform), Sigmoid()],
        loss=BinaryCrossEntropy(reduction="mean"), optimizer=SGD(arguments.alpha),
    )  # fmt: skip
    facts = gate("xor")
    ours = census(net, facts, arguments.nets, arguments.steps, rng=arguments.seed)
    crowd = ours.crowd.copy()
    for i in range(arguments.nets):
        theirs = trained(ours.start(i), facts, arguments.alpha, arguments.steps)
        for array, value in zip(crowd.parameters.values(), theirs, strict=True):
            array[i] = value
    other = dataclasses.replace(ours, crowd=crowd)
    difference = max(
        float(abs(a - crowd.parameters[key]).max()) for key, a in ours.crowd.parameters.items()
    )
    both = ours.solved & other.solved
    same = both & (ours.circuit_of == other.circuit_of)
    motif = both & ~same & (motif_names(ours.crowd) == motif_names(crowd))
    print(f"{arguments.nets} nets, {arguments.steps} steps at {arguments.alpha:g}")
    print(f"solved: here {ours.count}, PyTorch {other.count}, both {both.sum()}")
    print(f"in the same circuit: {same.sum()}; in another one of the same motif: {motif.sum()}; "
          f"in another motif: {(both & ~same & ~motif).sum()}")  # fmt: skip
    failed = ~ours.solved & ~other.solved
    equal = failed & (ours.failure_of == other.failure_of)
    print(f"failed on both sides: {failed.sum()}, of these by the same name {equal.sum()}")
    print(f"the largest difference of a parameter: {difference:.2g}")
    if len(unlike := np.flatnonzero(~same & ~equal)):
        for i in unlike[:10]:
            names = [str(c.circuit_of[i]) + " " + str(c.failure_of[i]) for c in (ours, other)]
            print(f"  net {i}: {names[0]} / {names[1]}")


if __name__ == "__main__":
    main()
