"""Networks that compute logical gates."""

from __future__ import annotations

from minnet.layers import Affinity, ReLU, Sigmoid
from minnet.losses import BinaryCrossEntropy
from minnet.network import Network


def trained_xor() -> Network:
    """XOR as training left it: a 2-2-1 network with weights to four decimals.

    Each row of fc1 cancels (w1 + w2 is about 0), so that (0, 0) and (1, 1) look alike
    after the ReLU; the negative bias of fc2 makes both false, and each hidden unit fires
    for one of the two mixed inputs.

    >>> trained_xor()([[0, 0], [0, 1], [1, 0], [1, 1]]).round(2).ravel()
    array([0.05, 0.99, 0.98, 0.05])
    """
    net = Network(
        [Affinity(2, 2, "fc1"), ReLU("relu"), Affinity(2, 1, "fc2"), Sigmoid("sigmoid")],
        loss=BinaryCrossEntropy(),
    )
    parameters = net.parameters
    parameters["fc1.M"][...] = [[2.2371, -2.2374], [-2.2849, 2.2847]]
    parameters["fc1.b"][...] = [-3.6790e-05, -2.3193e-04]
    parameters["fc2.M"][...] = [[3.1062, 3.1020]]
    parameters["fc2.b"][...] = [-2.8915]
    return net
