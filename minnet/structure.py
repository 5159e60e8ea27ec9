"""How layers are put together: places, names, one flat array, crowds and members.

The outermost container owns one flat array (size,), or (nets, size) for a crowd; the
parameters of its layers are consecutive views of it, those of nested containers too. A
Chain is a container whose layers come one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from minnet.checks import (
    Array,
    Randomness,
    UnknownName,
    float_type,
    floating,
    generator,
    integer,
    positive_int,
    undrawn_by_errors,
)
from minnet.layers import Layer
from minnet.parameters import Parametric, Shapes

Structure = tuple[Any, ...]
Widths = tuple[int | None, int | None]


class Container(Layer):
    """A layer made of layers, their parameters in one flat array.

    It starts without any; what its layers must have in common is for a subclass to say,
    in `_check_widths` and `_widths`.
    """

    _layers: tuple[Layer, ...] = ()
    _flat: Any  # None for a network on other arrays, which does not learn
    _names: tuple[str, ...] = ()

    def __init__(self, dtype: Any = np.float64, name: str | None = None) -> None:
        super().__init__(name=name)
        self._float_type = float_type(dtype)
        self._flat = np.zeros(0, self._float_type)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order. Assign another sequence to change the structure.

        Layers that stay remain the same objects with the same numbers; those that go
        keep their numbers in arrays of their own. The optimizer's state starts afresh.

        Raises
        ------
        TypeError
            If something is not a layer.
        ValueError
            If a layer is in two places, two have one name, or widths do not fit.
        """
        return self._layers

    @layers.setter
    def layers(self, layers: Iterable[Layer]) -> None:
        new = _sequence(layers)
        _check_places(new, self)
        before, names_before = self._layers, self._names
        self._layers, self._names = new, _names(new)
        try:
            self._check_fit()
            self._check_range()
        finally:
            self._layers, self._names = before, names_before
        self._place(new)

    def _check_fit(self) -> None:
        """That names differ and widths fit, here and wherever this container is in."""
        for container in self._and_above():
            _check_names(container._names)
            container._check_widths()
            _check_nets(container._layers, container._names)

    def _check_widths(self) -> None:
        """That the layers fit together."""
        raise NotImplementedError

    def _check_range(self) -> None:
        """That the numbers of the layers exist in the float type of the whole."""
        *_, outermost = self._and_above()
        for layer in self._layers:
            for key, array in layer.parameters.items():
                if array.dtype != outermost._float_type:
                    floating(array, f"{layer.label}: {key}", outermost._float_type)

    def _place(self, layers: tuple[Layer, ...]) -> None:
        """These layers from now on, unchecked."""
        before, self._layers, self._names = self._layers, layers, _names(layers)
        for layer in layers:
            layer._home = self
        for layer in before:
            if not any(layer is other for other in layers):
                layer._release()
        *_, outermost = self._and_above()
        outermost._settle()

    def extend(self, layers: Layer | Iterable[Layer]) -> None:
        """Append a layer, or several; what is refused changes nothing."""
        self.layers = (*self._layers, *_sequence(layers))

    def _and_above(self) -> Iterator[Container]:
        container: Container | None = self
        while container is not None:
            yield container
            container = container._home

    def _settle(self) -> None:
        """Lay the parameters into a new flat array; what the optimizers knew is void."""
        self._bind(self._new_rows())
        self._forget()

    def _new_rows(self) -> Array:
        """Memory for the parameters: (size,), or (nets, size) with the nets last in memory."""
        if self.nets is None:
            return np.empty(self.size, self._float_type)
        return np.empty((self.size, self.nets), self._float_type).T

    def _bind(self, rows: Array) -> None:
        start = 0
        for layer in self._layers:
            layer._bind(rows[..., start : start + layer.size])
            start += layer.size
        self._flat, self._float_type = rows, rows.dtype

    def _rows(self) -> Array:
        if self._flat is None:
            raise ValueError("a network on other arrays cannot learn; take a .copy() of it")
        return self._flat

    def _forget(self) -> None:
        """What an optimizer remembers of other numbers is void; so too in nested networks."""
        for layer in self._layers:
            if isinstance(layer, Container):
                layer._forget()

    def _release(self) -> None:
        self._home = None
        self._settle()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_flat": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for layer in self._layers:
            layer._home = self
        self._bind(self._new_rows())

    @property
    def names(self) -> tuple[str, ...]:
        """The layers' names: given, or made from kind and place ("relu1")."""
        return self._names

    def position(self, layer: Parametric) -> int:
        """The place of this very layer object."""
        return next(i for i, other in enumerate(self._layers) if other is layer)

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name; "block.fc1" looks into a nested network."""
        first, _, rest = str(name).partition(".")
        if first not in self._names or not isinstance(name, str):
            raise UnknownName(f"{self.label} has no layer {name!r}; it has {_listed(self._names)}")
        layer = self._layers[self._names.index(first)]
        if not rest:
            return layer
        if not isinstance(layer, Container):
            raise UnknownName(f"{layer.label} is no network, so it has no layer {rest!r}")
        return layer[rest]

    @property
    def n(self) -> int | None:
        """The number of inputs; None where any will do."""
        return self._widths[0]

    @property
    def m(self) -> int | None:
        """The number of outputs; None where there are as many as inputs."""
        return self._widths[1]

    @property
    def _widths(self) -> Widths:
        """n and m together."""
        raise NotImplementedError

    @property
    def nets(self) -> int | None:
        return next((layer.nets for layer in self._layers if layer.size), None)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 or float32, for all parameters and results."""
        return self._float_type if self._flat is None else self._flat.dtype

    @property
    def shapes(self) -> Shapes:
        return {
            f"{name}.{key}": shape
            for name, layer in zip(self._names, self._layers, strict=True)
            for key, shape in layer.shapes.items()
        }

    @property
    def parameters(self) -> dict[str, Array]:
        """The live arrays, by names such as "fc1.M"."""
        return {
            f"{name}.{key}": array
            for name, layer in zip(self._names, self._layers, strict=True)
            for key, array in layer.parameters.items()
        }

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        self._check_parameter_names(parameters)
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _home=None, _flat=None)
        twin._layers = tuple(
            layer.with_parameters({key: parameters[f"{name}.{key}"] for key in layer.shapes})
            for name, layer in zip(self._names, self._layers, strict=True)
        )
        return twin

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> Array:
        # a stream for each layer, so that a net's numbers do not depend on how many there are
        seeds = rng.integers(2**63, size=len(self._layers))
        rows = [
            layer._drawn(np.random.default_rng(seed), lead)
            for layer, seed in zip(self._layers, seeds, strict=True)
        ]
        return np.concatenate([np.empty((*lead, 0)), *rows], axis=-1)

    def replicate(self, nets: int, rng: Randomness = None) -> Self:
        """A crowd: `nets` networks like this one, freshly drawn, trained side by side.

        Each parameter gets a leading axis of `nets`. Net i is the same for one seed
        however many nets there are, and is what ``randomize`` draws for one net if i = 0.

        Parameters
        ----------
        nets : int
            How many.
        rng : numpy.random.Generator, int or None
            Where the numbers come from.

        Raises
        ------
        TypeError, ValueError
            If `nets` is no positive integer, or there is nothing to draw.

        Examples
        --------
        >>> from minnet import Affinity, Network
        >>> crowd = Network([Affinity(2, 3)]).replicate(1000, rng=0)
        >>> crowd.layers[0].M.shape, crowd([0, 1]).shape
        ((1000, 3, 2), (1000, 3))
        """
        nets = positive_int(nets, "the number of nets")
        if not self.size:
            raise ValueError(f"{self.label} has no parameters, so a crowd of it would be one net")
        with undrawn_by_errors(generator(rng)) as rng:
            twin = self._crowd(rng, nets)
        twin._forget()
        return twin

    def member(self, i: int) -> Self:
        """Net i of a crowd, as a plain network of its own (a copy, optimizer state too)."""
        if self.nets is None:
            raise ValueError(f"{self.label} is a plain network; only a crowd has members")
        if not -self.nets <= integer(i, "the number of a net") < self.nets:
            raise IndexError(f"there is no net {i} in a crowd of {self.nets}")
        return copy.copy(self.with_parameters({k: a[i] for k, a in self.parameters.items()}))

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [("#", "name", "layer", "inputs", "outputs", "parameters")]
        for i, (name, layer) in enumerate(zip(self._names, self._layers, strict=True)):
            widths = ["any" if w is None else str(w) for w in (layer.n, layer.m or layer.n)]
            shapes = ", ".join(f"{k} {a.shape}" for k, a in layer.parameters.items())
            rows.append((str(i), name, type(layer).__name__, *widths, shapes or "none"))
        columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, columns, strict=True)).rstrip()
            for row in rows
        ]
        count = f"{self.size} parameter{'s' * (self.size != 1)}, {self.dtype}"
        if self.nets is not None:
            count += f", each of {self.nets} nets"
        return "\n".join([type(self).__name__, *lines, count])


class Chain(Container):
    """Layers one after the other."""

    def __init__(self, layers: Iterable[Layer], dtype: Any, name: str | None) -> None:
        super().__init__(dtype, name)
        self.layers = layers

    def _check_widths(self) -> None:
        names, width = self._names, None
        for i, layer in enumerate(self._layers):
            n, m = widths_of(layer)
            if None not in (width, n) and n != width:
                raise ValueError(
                    f"{type(layer).__name__} #{i} {names[i]!r} takes {n} inputs, "
                    f"but layer #{i - 1} {names[i - 1]!r} gives {width}"
                )
            width = m or n or width

    @property
    def _widths(self) -> Widths:
        n = m = None
        for layer in self._layers:
            first, last = widths_of(layer)
            n = first if m is None and n is None else n
            m = last if last is not None else m
        return n, m


def widths_of(layer: Layer) -> Widths:
    """A layer's n and m; of a container at the cost of one."""
    return layer._widths if isinstance(layer, Container) else (layer.n, layer.m)


def structure(container: Container) -> Structure:
    """The layer objects, nested as they are: equal where nothing but numbers changed."""
    return tuple(
        (layer, structure(layer)) if isinstance(layer, Container) else layer
        for layer in container.layers
    )


def containers(container: Container) -> Iterator[Container]:
    """The container and all those inside, an outer one before its inner ones."""
    yield container
    for layer in container.layers:
        if isinstance(layer, Container):
            yield from containers(layer)


def leaves(chain: Chain, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Names and layers in the order of computation, those of nested chains in their place.

    A container with branches has no such order: it is one layer here.
    """
    for name, layer in zip(chain.names, chain.layers, strict=True):
        if isinstance(layer, Chain):
            yield from leaves(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def _sequence(layers: Layer | Iterable[Layer]) -> tuple[Layer, ...]:
    if isinstance(layers, Layer):
        return (layers,)
    try:
        return tuple(layers)
    except TypeError:
        raise TypeError(f"expected a layer or a sequence of layers, not {layers!r}") from None


def _names(layers: Sequence[Layer]) -> tuple[str, ...]:
    return tuple(
        getattr(layer, "_name", None) or f"{type(layer).__name__.lower()}{i}"
        for i, layer in enumerate(layers)
    )


def _check_places(layers: tuple[Layer, ...], container: Container) -> None:
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layer #{i} must be a Layer, not {layer!r}")
        if any(layer is above for above in container._and_above()):
            raise ValueError(f"{layer.label} cannot be put into itself")
        if layer._home not in (None, container) or any(layer is other for other in layers[:i]):
            raise ValueError(
                f"{layer.label} already has its place in a network; put a .copy() of it at #{i}"
            )


def _check_names(names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"layers #{names.index(name)} and #{i} are both named {name!r}")


def _check_nets(layers: tuple[Layer, ...], names: tuple[str, ...]) -> None:
    crowds = {name: layer.nets for name, layer in zip(names, layers, strict=True) if layer.size}
    if len(set(crowds.values())) > 1:
        kinds = (
            f"{name!r} is {'plain' if nets is None else f'a crowd of {nets}'}"
            for name, nets in crowds.items()
        )
        raise ValueError(f"all layers with parameters must have as many nets: {', '.join(kinds)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
