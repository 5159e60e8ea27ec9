"""minnet: a neural network small enough to understand completely."""

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
    "Parameter",
    "ReLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "Tanh",
    "along_batch",
    "batch_sum",
    "glorot",
    "he",
    "normal",
    "uniform",
]
