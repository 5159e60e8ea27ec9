"""The learning step of a network, written down by running its own code on symbols."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minnet.checks import Array
from minnet.layers import Layer
from minnet.parameters import split
from minnet.structure import Container
from minnet.unroll.symbols import Symbol, Tape, Untraceable

if TYPE_CHECKING:
    from minnet.network import Network

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """What one step computes, as symbols of one net.

    Attributes
    ----------
    y, loss : Symbol
        The output and, of shape (), the loss before the step.
    p, memory : Symbol, dict of Symbol
        The flat parameters (size,) and the optimizer's memory after it. Before it they
        are inputs of the tape, "p" and "memory_v" for a v, beside "x", "t" and "alpha".
    labels : dict
        Names of symbols that a reader wants to see, in the order of computation.
    slope : Symbol
        The loss's gradient at y, where backprop begins.
    """

    tape: Tape
    y: Symbol
    loss: Symbol
    p: Symbol
    memory: dict[str, Symbol]
    labels: dict[Symbol, str]
    slope: Symbol


class _Watched:
    """Stands in a container for one of its layers, and labels what goes through it."""

    def __init__(self, layer: Layer, name: str, tape: Tape, labels: dict[Symbol, str]) -> None:
        self.layer, self.name, self.tape, self.labels = layer, identifier(name), tape, labels
        self.label = f"{type(layer).__name__} {name!r}"

    def forward(self, x: Symbol) -> Any:
        with self.tape.within(self.name):
            y, cache = self._traced(self.layer.forward, x)
        self.labels.setdefault(y, self.name)
        return y, cache

    def backprop(self, dy: Symbol, cache: Any, inputs: bool = True) -> Any:
        self.labels.setdefault(dy, f"d_{self.name}")
        with self.tape.within(f"d_{self.name}"):
            dx, gradients = self._traced(self.layer.backprop, dy, cache, inputs)
        for key, gradient in gradients.items():
            if not isinstance(gradient, Symbol):
                raise Untraceable(f"{self.label}: the gradient of {key} is no symbol")
            self.labels.setdefault(gradient, f"d_{self.name}_{key}")
        return dx, gradients

    def _traced(self, function: Any, *args: Any) -> Any:
        try:
            result = function(*args)
        except Exception as error:
            raise Untraceable(f"{self.label} cannot be written out: {error}") from error
        if not isinstance(result[0], Symbol) and (function.__name__ == "forward" or args[2]):
            raise Untraceable(f"{self.label} cannot be written out: it gave plain numbers")
        return result


def _watch(container: Container, tape: Tape, labels: dict[Symbol, str], prefix: str = "") -> None:
    layers: list[Any] = []
    for name, layer in zip(container.names, container.layers, strict=True):
        if isinstance(layer, Container):
            _watch(layer, tape, labels, f"{prefix}{name}.")
            layers.append(layer)
        else:
            layers.append(_Watched(layer, f"{prefix}{name}", tape, labels))
    container._layers = tuple(layers)


def trace_step(net: Network, x_shape: Shape, t_shape: Shape) -> Step:
    """One step, of a plain network or one net of a crowd, on a fact or batch of these shapes.

    Raises
    ------
    Untraceable
        If the code of a layer, the loss or the optimizer needs numbers; it says which.
    """
    tape = Tape(net.dtype)
    labels: dict[Symbol, str] = {}
    p: Any = tape.input("p", (net.size,))  # symbols go where arrays are expected
    alpha = tape.input("alpha", ())
    twin = net.with_parameters(split(p, net.shapes))
    _watch(twin, tape, labels)
    x: Any = tape.input("x", x_shape)
    y, caches = twin.forward(x)
    t = tape.input("t", t_shape)
    with tape.within("loss"):
        loss = _named("the loss", net.loss.forward, y, t)
        dy = _named("the loss", net.loss.backprop, y, t)
    labels.setdefault(loss, "loss")
    gradients: dict[str, Any]
    _, gradients = twin.backprop(dy, caches, inputs=False)
    for key, shape in net.shapes.items():
        if key not in gradients or gradients[key].shape != shape:
            raise Untraceable(f"backprop gives no gradient of shape {shape} for {key}")
    with tape.within("update"):
        rows: list[Any] = [gradients[key].reshape(-1) for key in net.shapes]
        g = tape.concatenated(rows)
        memory = {
            key: tape.input(f"memory_{key}", array.shape, array.dtype)
            for key, array in memory_of_one(net).items()
        }
        optimizer = copy.copy(net.optimizer)
        optimizer._alpha = alpha  # type: ignore[assignment]  # the rate stays free
        new, remembered = _named("the optimizer", optimizer.update, p, g, memory)
    output: Any = y
    return Step(tape, output, loss, new, remembered, labels, dy)


def identifier(name: str) -> str:
    """A layer's name, or "layer.parameter", as a name of Python's."""
    letters = re.sub(r"\W", "_", name)
    return letters if letters[0].isalpha() else f"layer_{letters}"


def memory_of_one(net: Network) -> dict[str, Array]:
    """What the optimizer remembers of one net before the first step."""
    memory: dict[str, Array] = net.optimizer.start(net._flat if net.nets is None else net._flat[0])
    for key, array in memory.items():
        if array.dtype.kind != "f":
            raise Untraceable(f"the optimizer's memory {key!r} is not floating point")
    return memory


def _named(what: str, function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except Exception as error:
        raise Untraceable(f"{what} cannot be written out: {error}") from error
