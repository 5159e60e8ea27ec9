"""minnet: a neural network small enough to understand completely."""

from __future__ import annotations

import typing

from minnet.combinators import Parallel, Select, Skip
from minnet.facts import Facts
from minnet.initializers import glorot, he, normal, uniform
from minnet.layers import (
    Affinity,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    ReLU,
    Sigmoid,
    Tanh,
)
from minnet.losses import (
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    SquaredError,
)
from minnet.network import Network
from minnet.optimizers import SGD, Adam, Optimizer
from minnet.parameters import Parameter, along_batch, batch_sum

if typing.TYPE_CHECKING:
    from minnet.files import load
    from minnet.registry import register

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Affinity",
    "BinaryCrossEntropy",
    "Facts",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Loss",
    "Map",
    "MeanSquaredError",
    "Network",
    "Optimizer",
    "Parallel",
    "Parameter",
    "ReLU",
    "Select",
    "Sigmoid",
    "Skip",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "Tanh",
    "along_batch",
    "batch_sum",
    "glorot",
    "he",
    "load",
    "normal",
    "register",
    "uniform",
]


def __getattr__(name: str) -> typing.Any:
    """`load` and `register`, whose modules take as long to import as all others together."""
    if name == "load":
        from minnet.files import load

        return load
    if name == "register":
        from minnet.registry import register

        return register
    raise AttributeError(f"module 'minnet' has no attribute {name!r}")
