"""Another structure for a network of affine layers and activations; what fits stays.

Layers that still fit remain the same objects with the same numbers; the others are new.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minnet import Affinity, Identity, Layer, LeakyReLU, Map, Network, ReLU, Sigmoid, Tanh

ACTIVATIONS: dict[str, type[Layer]] = {
    "tanh": Tanh,
    "ReLU": ReLU,
    "leaky ReLU": LeakyReLU,
    "sigmoid": Sigmoid,
    "none": Identity,
}


def hidden_widths(net: Network) -> list[int]:
    """The widths between the affine layers of a network.

    >>> hidden_widths(Network([Affinity(2, 3), Tanh(), Affinity(3, 1)]))
    [3]
    """
    affine = [layer for layer in net.layers if isinstance(layer, Affinity)]
    return [int(layer.m or 0) for layer in affine[:-1]]


def activation_of(net: Network) -> str:
    """The name of the one kind of activation between the affine layers, or "own"."""
    try:
        between = _parts(net).between
    except ValueError:
        return "own"
    kinds = {tuple(type(layer) for layer in layers) for layers in between}
    if not kinds:
        return "tanh"  # what a first hidden layer will get
    return next((name for name, make in ACTIVATIONS.items() if kinds == {(make,)}), "own")


def rebuild(net: Network, n: int, hidden: list[int], m: int, activation: str, seed: int) -> None:
    """Give a network these widths and this activation, in place.

    Parameters
    ----------
    net : Network
        A plain one of affine layers with elementwise ones between them.
    n, m : int
        The numbers of inputs and outputs.
    hidden : list of int
        The widths between them.
    activation : str
        One of ACTIVATIONS; any other leaves what is there.
    seed : int
        What new layers are drawn with.

    Raises
    ------
    ValueError
        If the network is of another kind, which it then stays.

    Examples
    --------
    >>> net = Network([Affinity(2, 3), Tanh(), Affinity(3, 1)])
    >>> rebuild(net, 2, [5], 1, "ReLU", 0)
    >>> net.names, net.layers[2].M.shape
    (('affinity0', 'relu1', 'affinity2'), (1, 5))
    """
    parts = _parts(net)
    wanted = ACTIVATIONS.get(activation)
    between = [kept for kept in parts.between if wanted in (None, *map(type, kept))]
    same_depth = len(hidden) == len(parts.affine) - 1
    layers = list(parts.head)
    for k, (inputs, outputs) in enumerate(pairwise([n, *hidden, m])):
        old = parts.affine[k if same_depth else min(k, 1) * -1]
        if (old.n, old.m) == (inputs, outputs) and not any(old is layer for layer in layers):
            layers.append(old)
        else:
            layers.append(
                Affinity(
                    inputs, outputs, old._name if same_depth else None,
                    initializer=old.initializer, rng=np.random.default_rng([seed, k]),
                )
            )  # fmt: skip
        if k < len(hidden):
            if k < len(between):
                layers += between[k]
            elif between:
                layers += [layer.copy() for layer in between[0]]
            else:
                layers.append((wanted or Tanh)())
    net.layers = (*layers, *parts.tail)


class _Parts(NamedTuple):
    """The layers before, of, between and after the affine ones."""

    head: tuple[Layer, ...]
    affine: tuple[Affinity, ...]
    between: tuple[tuple[Layer, ...], ...]
    tail: tuple[Layer, ...]


def _parts(net: Network) -> _Parts:
    if net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets keeps its structure; take a .member(i)")
    for i, layer in enumerate(net.layers):
        if not isinstance(layer, (Affinity, Map, Identity)):
            raise ValueError(
                f"the structure stays as it is: layer #{i} {net.names[i]!r} is a "
                f"{type(layer).__name__}, and only Affinity and Map layers can be rebuilt"
            )
    places = [i for i, layer in enumerate(net.layers) if isinstance(layer, Affinity)]
    if not places:
        raise ValueError("the structure stays as it is: the network has no Affinity")
    affine = tuple(layer for layer in net.layers if isinstance(layer, Affinity))
    between = tuple(net.layers[i + 1 : j] for i, j in pairwise(places))
    return _Parts(net.layers[: places[0]], affine, between, net.layers[places[-1] + 1 :])
