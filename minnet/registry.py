"""The names that files may use: layers, losses, optimizers and functions that were registered.

A file holds names, never code. What a name means is settled here, by the program that
loads; nothing else that a file says is imported, looked up or called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from minnet.checks import brief
from minnet.combinators import Parallel, Select, Skip
from minnet.durable import FileError
from minnet.initializers import INITIALIZERS
from minnet.layers import Affinity, Identity, Layer, LeakyReLU, Map, ReLU, Sigmoid, Tanh
from minnet.losses import (
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    SquaredError,
)
from minnet.optimizers import SGD, Adam, Optimizer
from minnet.structure import Container

Thing = TypeVar("Thing", bound=Callable[..., Any])
Arguments = Callable[[Any], Mapping[str, Any]]

BASES = (Layer, Loss, Optimizer)
CONTAINERS: dict[str, type[Container]] = {"Parallel": Parallel, "Skip": Skip}  # beside Network


@dataclass(frozen=True)
class Registered:
    """A class, its name in files, and what its constructor was given."""

    name: str
    cls: type[Any]
    arguments: Arguments


_CLASSES: dict[str, Registered] = {}
_FUNCTIONS: dict[str, Callable[..., Any]] = {}


def register(name: str, arguments: Iterable[str] | Arguments = ()) -> Callable[[Thing], Thing]:
    """Let files hold a class or function of yours, under a name: a decorator, or a call.

    It must be registered under the same name in the program that loads the file.
    Registering it again, as a notebook does when a cell is run again, replaces it.

    Parameters
    ----------
    name : str
        What files call it.
    arguments : sequence of str, or callable
        For a subclass of Layer, Loss or Optimizer: the names of its constructor's
        arguments, each also an attribute that holds what was given; or a function from
        an object to a dictionary of them. They may be numbers, strings, None, lists,
        arrays and registered functions; files come from others, so the constructor must
        bear whatever they say. Names and parameters are kept without being listed.

    Returns
    -------
    callable
        Registers the class or function that it is called with, and returns it.

    Raises
    ------
    TypeError
        If it is neither such a class (a Network or other container is not) nor a function.
    ValueError
        If something else has the name.

    Examples
    --------
    >>> import numpy as np
    >>> from minnet import Layer, Map
    >>> @register("docs.Shift", ["n", "by"])
    ... class Shift(Layer):
    ...     def __init__(self, n, by):
    ...         super().__init__(n, n)
    ...         self.by = by
    ...     def forward(self, x):
    ...         return x + self.by, None
    ...     def backprop(self, dy, cache, inputs=True):
    ...         return +dy, {}
    >>> half_square = register("docs.half_square")(lambda x: x * x / 2)
    >>> layer = Map(half_square, register("docs.itself")(lambda x: x))
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ValueError(f"a registered name must be a printable string, not {brief(name)}")

    def registering(thing: Thing) -> Thing:
        if isinstance(thing, type):
            if not issubclass(thing, BASES) or issubclass(thing, Container):
                raise TypeError(f"{thing.__name__} is no Layer, Loss or Optimizer of its own")
            _check_free(name, thing)
            _CLASSES[name] = Registered(name, thing, _arguments(arguments))
        elif callable(thing):
            _check_free(name, thing)
            _FUNCTIONS[name] = thing
        else:
            raise TypeError(f"only classes and functions are registered, not {brief(thing)}")
        return thing

    return registering


def _arguments(arguments: Iterable[str] | Arguments) -> Arguments:
    if callable(arguments):
        return arguments
    if isinstance(arguments, str):
        raise TypeError(f"arguments must be a sequence of names, not the string {arguments!r}")
    names = tuple(arguments)
    return lambda thing: {name: getattr(thing, name) for name in names}


def _check_free(name: str, thing: Any) -> None:
    there = _CLASSES[name].cls if name in _CLASSES else _FUNCTIONS.get(name, thing)
    if _origin(there) != _origin(thing):
        raise ValueError(f"{name!r} is the registered name of {there!r}; choose another one")


def _origin(thing: Any) -> object:
    """Where it was written: the same for what a cell of a notebook makes when run again."""
    if hasattr(thing, "__qualname__"):
        return thing.__module__, thing.__qualname__
    return id(thing)


def class_of(thing: object) -> Registered:
    """How the class of this object is registered.

    Raises
    ------
    FileError
        If it is not; the message says what to do.
    """
    for registered in _CLASSES.values():
        if registered.cls is type(thing):
            return registered
    kind = type(thing).__name__
    raise FileError(
        f"the class {kind} is not registered (or has been registered anew since), so no file "
        f'can hold one: put @register("{kind}", [names of its constructor\'s arguments]) of '
        "minnet.registry above it"
    )


def class_named(name: object, base: type) -> Registered:
    """The registered subclass of `base` that a file means by the name."""
    if isinstance(name, str) and name in _CLASSES and issubclass(_CLASSES[name].cls, base):
        return _CLASSES[name]
    known = [key for key, registered in _CLASSES.items() if issubclass(registered.cls, base)]
    raise FileError(_unknown(name, base.__name__.lower(), known))


def name_of(function: object) -> str | None:
    """The registered name of this very function, if it has one."""
    return next((name for name, known in _FUNCTIONS.items() if known is function), None)


def function_named(name: object) -> Callable[..., Any]:
    """The registered function that a file means by the name."""
    if isinstance(name, str) and name in _FUNCTIONS:
        return _FUNCTIONS[name]
    raise FileError(_unknown(name, "function", _FUNCTIONS))


def _unknown(name: object, kind: str, known: Iterable[str]) -> str:
    return (
        f"no {kind} is registered as {brief(name)}; registered are {', '.join(known)}. "
        "Import what registers yours before loading"
    )


def _map_arguments(layer: Map) -> dict[str, Any]:
    return {"f": layer._f, "dfdx": layer._dfdx}


def _select_arguments(layer: Select) -> dict[str, Any]:
    return {"indices": layer.indices.tolist(), "n": layer.n}


for _cls, _names in (
    (Identity, ()),
    (Affinity, ("n", "m", "initializer")),
    (Map, _map_arguments),
    (ReLU, ()),
    (LeakyReLU, ("leak",)),
    (Sigmoid, ()),
    (Tanh, ()),
    (Select, _select_arguments),
    (SquaredError, ("reduction",)),
    (MeanSquaredError, ("reduction",)),
    (BinaryCrossEntropy, ("from_logits", "reduction")),
    (SoftmaxCrossEntropy, ("reduction",)),
    (SGD, ("alpha", "momentum", "weight_decay")),
    (Adam, ("alpha", "betas", "eps")),
):
    register(_cls.__name__, _names)(_cls)
for _name, _function in INITIALIZERS.items():
    register(_name)(_function)
