"""Makes the golden files of the format's present version: `python tests/golden/make.py`.

Run once for each version of the format, by hand; what is there is never made again, so that
the files show what older versions of minnet wrote.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import NNBench
from minnet import SGD, Adam, Affinity, BinaryCrossEntropy, LeakyReLU, Network, Sigmoid, Tanh
from minnet.files import save
from minnet.initializers import he

GOLDEN = Path(__file__).parent


def numbers(net: Network) -> Network:
    """The network with numbers that no library's arithmetic can change."""
    net._flat[...] = (np.arange(net._flat.size).reshape(net._flat.shape) - 7) / 16
    net._flat[..., 0], net._flat[..., 1] = -0.0, 0.1
    return net


def networks() -> dict[str, Network]:
    """What is in the golden files of networks, by their names."""
    xor = Network(
        [Affinity(2, 2, "fc1"), Sigmoid(), Affinity(2, 1, initializer=he), Sigmoid("out")],
        loss=BinaryCrossEntropy(reduction="mean"),
        optimizer=SGD(0.25, momentum=0.5, weight_decay=0.125),
    )
    inner = Network([Tanh("tänh"), Affinity(3, 3)], optimizer=Adam(), name="inner")
    crowd = Network(
        [Affinity(2, 3), inner, LeakyReLU(0.1)], dtype="float32", optimizer=Adam(0.5), name="all"
    ).replicate(2, rng=0)
    for net in (numbers(xor), numbers(crowd)):
        net._start_learning()
        for key, array in net._memory.items():
            array[...] = len(key) + np.arange(array.size).reshape(array.shape) / 4
    crowd._diverged[...] = [-1, 5]
    crowd.engine = "layers"
    return {"xor": xor, "crowd": crowd, "empty": Network()}


def bench() -> NNBench:
    """What is in the golden file of a bench: it has lost its first layer since its checkpoint."""
    made = NNBench(
        numbers(Network([Affinity(2, 2), Affinity(2, 2)])),
        ideal=np.negative,
        seed=np.random.default_rng(3),
    )
    made.net.layers = made.net.layers[1:]
    numbers(made.net)
    return made


if __name__ == "__main__":
    for name, net in networks().items():
        save(net, GOLDEN / f"{name}.minnet")
        save(net, GOLDEN / f"{name}.json")
    bench().save(GOLDEN / "bench.minnet")
