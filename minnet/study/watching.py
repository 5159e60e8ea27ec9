"""What goes through each layer of a network, noted while the network runs.

The layers of a copy are made to tell what they are given and what they give. So a network
is followed whatever runs its layers, in whatever order, without knowing how it is wired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minnet.checks import Array, UnknownName, brief, inputs_for
from minnet.layers import Back, Layer
from minnet.network import Network
from minnet.structure import Chain, Container


@dataclass(frozen=True)
class Passage:
    """One layer as a fact went through it: x to y, and dy back to dx and gradients."""

    name: str
    layer: Layer
    x: Array
    y: Array = field(default_factory=lambda: np.zeros(0))
    cache: Any = None
    dy: Array | None = None
    dx: Array | None = None
    gradients: dict[str, Array] | None = None


class Watched:
    """A copy of a network that notes what goes through its layers.

    Parameters
    ----------
    net : Network
    seen : function of an array, optional
        What a layer gave becomes, before it is noted and goes on.

    Attributes
    ----------
    net : Network
        The copy.
    x : ndarray
        The input of the last forward.
    passages : dict
        Of names such as "block.fc1", in the order of computation.

    Raises
    ------
    TypeError
        If it is no Network.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> watched = Watched(trained_xor())
    >>> y = watched.forward([1, 0])
    >>> watched.passages["relu"].y
    array([2.23706321, 0.        ])
    """

    def __init__(self, net: Network, seen: Callable[[Array], Array] = lambda y: y) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"only a Network can be taken apart, not {brief(net)}")
        self.net = net.copy()
        self.passages: dict[str, Passage] = {}
        self._seen = seen
        self.x = np.zeros(0)
        self._lone = False
        self._cache: Any = None
        self._instead: dict[str, Array] = {}
        for name, layer in _inside(self.net):
            self._watch(name, layer)

    def _watch(self, name: str, layer: Layer) -> None:
        """Put functions that take notes before those of the layer's class."""
        forward, backprop = layer.forward, layer.backprop

        def noted_forward(x: Array) -> tuple[Array, Any]:
            self.passages[name] = Passage(name, layer, x)  # all there is of a layer that raises
            y, cache = forward(x)
            y = self._seen(y)
            del self.passages[name]  # a container comes behind what is in it
            self.passages[name] = Passage(name, layer, x, y, cache)
            return y, cache

        def noted_backprop(dy: Array, cache: Any, inputs: bool = True) -> Back:
            dy = self._instead.get(name, dy)
            dx, gradients = backprop(dy, cache)
            own = {} if isinstance(layer, Container) else gradients
            self.passages[name] = replace(self.passages[name], dy=dy, dx=dx, gradients=own)
            return dx, gradients

        vars(layer).update(forward=noted_forward, backprop=noted_backprop)

    def forward(self, x: Any) -> Array:
        """The output for an input, which is checked as where a network is called."""
        x = inputs_for(self.net, x)
        self._lone = self.net.nets is not None and x.ndim == 1
        self.x = x[None] if self._lone else x
        y, self._cache = self.net.forward(self.x)
        return y

    def back(self, dy: Array) -> Array:
        """Send a gradient back from the output of the last forward to its input."""
        dx, _ = self.net.backprop(dy, self._cache)
        return dx

    def back_from(self, name: str, dy: Array, y: Array) -> Array:
        """Send one back from a layer inside; y is the network's output."""
        self._instead = {name: dy}
        try:
            return self.back(np.zeros_like(y))
        finally:
            self._instead = {}

    def shown(self, array: Array, axes: int = 1) -> Array:
        """A copy as the user's input asks for it: a crowd's with nets, without a batch of one.

        axes : how many there are behind those of nets and batch.
        """
        nets = self.net.nets
        if nets is not None and array.ndim < 2 + axes:  # before the first layer with parameters
            array = np.broadcast_to(array, (nets, *array.shape))
        return np.array(array[:, 0] if self._lone else array)

    def passage(self, name: str) -> Passage:
        """The passage of that name.

        Raises
        ------
        UnknownName
            With the names there are.
        """
        try:
            return self.passages[name]
        except (KeyError, TypeError):
            there = ", ".join(map(repr, self.passages)) or "none"
            raise UnknownName(
                f"{self.net.label} has no layer {brief(name)} to look at; it has {there}"
            ) from None


def _inside(container: Container, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """All layers by name but for chains, which are what is in them."""
    for name, layer in zip(container.names, container.layers, strict=True):
        if isinstance(layer, Container):
            yield from _inside(layer, f"{prefix}{name}.")
        if not isinstance(layer, Chain):
            yield f"{prefix}{name}", layer
