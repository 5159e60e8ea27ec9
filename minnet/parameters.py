"""Where a layer's numbers live: its own arrays, or views of a network's flat array.

A layer declares its parameters as class attributes, ``M = Parameter()``, and
assigns each of them once in its constructor. From then on reading gives the
live array and assigning copies into it, whoever owns the memory.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from minnet.checks import (
    Array,
    Randomness,
    floating,
    generator,
    layer_name,
    positive_int,
    read_only,
    real_array,
    undrawn_by_errors,
)

if TYPE_CHECKING:
    from minnet.structure import Container

Shapes = Mapping[str, tuple[int, ...]]


def split(rows: Array, shapes: Shapes) -> dict[str, Array]:
    """Views of `rows` (..., size) as arrays (..., *shape), one after the other."""
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        views[name] = rows[..., start:stop].reshape(rows.shape[:-1] + shape)
        start = stop
    return views


def along_batch(v: Array) -> Array:
    """A parameter (m,) as it is; a crowd's (nets, m) as (nets, 1, m), to meet each fact.

    >>> along_batch(np.zeros(3)).shape, along_batch(np.zeros((10, 3))).shape
    ((3,), (10, 1, 3))
    """
    return v if v.ndim == 1 else v[:, None, :]


def batch_sum(g: Array) -> Array:
    """What each fact adds to a gradient, summed: (m,) or (batch, m) to (m,), crowds per net.

    >>> batch_sum(np.ones(3)), batch_sum(np.ones((4, 3)))
    (array([1., 1., 1.]), array([4., 4., 4.]))
    """
    return np.atleast_2d(g).sum(axis=-2)


class Parameter:
    """A learned array of a layer. Assigning copies: the layer keeps its memory.

    The first assignment, in the layer's constructor, settles the shape; integers
    become float64. Later ones of another shape, or of nan or inf, are refused.

    >>> from minnet import Layer
    >>> class Shift(Layer):
    ...     s = Parameter()
    ...     def __init__(self):
    ...         self.s = [0, 0]
    >>> layer = Shift()
    >>> layer.s = [1, 2]
    >>> layer.parameters
    {'s': array([1., 2.])}
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, layer: Parametric, owner: type) -> Array: ...
    def __get__(self, layer: Parametric | None, owner: type) -> Self | Array:
        if layer is None:
            return self
        try:
            return layer._arrays[self.name]
        except KeyError:
            raise AttributeError(f"{layer.label} has not been given its {self.name} yet") from None

    def __set__(self, layer: Parametric, value: Any) -> None:
        what = f"{layer.label}: {self.name}"
        current = layer._arrays.get(self.name)
        if current is None:
            array = floating(value, what, np.float64).copy()
            layer._shapes[self.name] = array.shape
            layer._arrays[self.name] = array
            return
        array = floating(value, what, current.dtype)
        if array.shape != current.shape:
            raise ValueError(f"{what} takes shape {current.shape}, but {array.shape} came")
        current[...] = array


class Parametric:
    """What every layer has in common: a name, a place, its widths and its named arrays."""

    _arrays: dict[str, Array]
    _shapes: dict[str, tuple[int, ...]]  # of one net, without a crowd's leading axis
    _home: Container | None  # the network, or other container, that the layer is in
    _name: str | None
    _n: int | None
    _m: int | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # here rather than in __init__, so that a layer without a constructor needs none
        self = super().__new__(cls)
        self._arrays, self._shapes, self._home = {}, {}, None
        self._name = self._n = self._m = None
        return self

    def __init__(self, n: int | None = None, m: int | None = None, name: str | None = None) -> None:
        kind = type(self).__name__
        self._n = None if n is None else positive_int(n, f"{kind}: the number of inputs")
        self._m = None if m is None else positive_int(m, f"{kind}: the number of outputs")
        self._name = None if name is None else layer_name(name)

    n = read_only("_n", "The number of inputs; None where any will do.")
    m = read_only("_m", "The number of outputs; None where there are as many as inputs.")

    @property
    def name(self) -> str | None:
        """The name given to the constructor, or else the one its network gave: "relu1"."""
        if self._name is None and self._home is not None:
            return self._home.names[self._home.position(self)]
        return self._name

    @property
    def label(self) -> str:
        """How errors speak of this layer: "Affinity #2 'out'"."""
        words = [type(self).__name__]
        if self._home is not None:
            words.append(f"#{self._home.position(self)}")
        if self.name is not None:
            words.append(repr(self.name))
        return " ".join(words)

    @property
    def parameters(self) -> dict[str, Array]:
        """The live arrays by name."""
        return dict(self._arrays)

    @property
    def shapes(self) -> Shapes:
        """The shapes of one net's parameters by name, without a crowd's leading axis."""
        return self._shapes

    @property
    def size(self) -> int:
        """How many numbers one net learns here."""
        return sum(map(math.prod, self.shapes.values()))

    @property
    def nets(self) -> int | None:
        """How many nets the leading axis of the parameters holds; None for a plain layer."""
        for name, array in self._arrays.items():
            if array.ndim > len(self._shapes[name]):
                return int(array.shape[0])
        return None

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The floating type of the parameters; None where there are none."""
        return next((array.dtype for array in self._arrays.values()), None)

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """The same layer on other arrays, which are neither converted nor copied.

        Raises
        ------
        ValueError
            If the names are not those of `parameters`.
        """
        self._check_parameter_names(parameters)
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _home=None)
        twin._arrays = {name: parameters[name] for name in self._shapes}
        return twin

    def _check_parameter_names(self, given: Mapping[str, Any]) -> None:
        if set(given) != set(self.shapes):
            raise ValueError(
                f"{self.label} has the parameters {list(self.shapes)}, but {list(given)} came"
            )

    def __repr__(self) -> str:
        name = [] if self._name is None else [f"name={self._name!r}"]
        return f"{type(self).__name__}({', '.join(self._settings() + name)})"

    def _settings(self) -> list[str]:
        return [str(width) for width in (self._n, self._m) if width is not None]

    def copy(self) -> Self:
        """A layer like this one that shares nothing with it and is in no network."""
        return copy.deepcopy(self)

    def __copy__(self) -> Self:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_home": None}

    def randomize(self, rng: Randomness = None) -> None:
        """Draw the parameters afresh, in place.

        Parameters
        ----------
        rng : numpy.random.Generator, int or None
            Where the numbers come from; None draws fresh entropy.
        """
        lead = () if self.nets is None else (self.nets,)
        with undrawn_by_errors(generator(rng)) as rng:
            self._fill(self._drawn(rng, lead))

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> Array:
        """Initial values, one row per net: shape (*lead, size). Standard normal."""
        return rng.standard_normal((*lead, self.size))

    def _drawn(self, rng: np.random.Generator, lead: tuple[int, ...]) -> Array:
        rows = real_array(self.draw(rng, lead), f"{self.label}: what was drawn")
        if rows.shape != (*lead, self.size):
            raise ValueError(
                f"{self.label}: shape {rows.shape} was drawn where {(*lead, self.size)} is needed"
            )
        return rows

    def _fill(self, rows: Array) -> None:
        parameters = self.parameters
        for name, view in split(rows, self.shapes).items():
            parameters[name][...] = view

    def _bind(self, rows: Array) -> None:
        """Move the numbers into `rows` (..., size), of which the parameters become views."""
        views = split(rows, self._shapes)
        for name, view in views.items():
            view[...] = self._arrays[name]
        self._arrays = views

    def _release(self) -> None:
        """Leave the network, with the numbers as they are, in arrays of its own."""
        self._home = None
        self._arrays = {name: array.copy() for name, array in self._arrays.items()}

    def _crowd(self, rng: np.random.Generator, nets: int) -> Self:
        """A copy whose parameters have a leading axis of `nets`, freshly drawn."""
        return copy.copy(self.with_parameters(split(self._drawn(rng, (nets,)), self.shapes)))
