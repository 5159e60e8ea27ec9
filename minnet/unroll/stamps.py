"""Whether a user's own code may compute something else than when it was written out.

minnet's layers, losses and optimizers are read-only but for their parameters. A user's
own have settings that can be assigned, and functions that look at variables outside.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.layers import Layer, Map
from minnet.losses import Loss
from minnet.structure import Container, containers

if TYPE_CHECKING:
    from minnet.network import Network

_NOT_SETTINGS = {"_arrays", "_home", "_shapes", "_alpha"}


def stamp(net: Network) -> tuple[Any, ...]:
    """What the settings of its foreign parts are now; empty where all are minnet's own.

    Seen are attributes, with the contents of arrays, lists and dictionaries, and the
    variables, defaults and globals that functions name. What lies deeper is not.
    """
    layers = (layer for container in containers(net) for layer in container.layers)
    parts: list[Layer | Loss | Any] = [x for x in layers if not isinstance(x, Container)]
    parts += [net.loss, net.optimizer]
    return tuple(
        value
        for part in parts
        if type(part).__module__.partition(".")[0] != "minnet" or type(part) is Map
        for value in _settings(part)
    )


def _settings(part: Any) -> Iterator[Any]:
    yield id(type(part))
    for name, value in vars(part).items():
        if name not in _NOT_SETTINGS:
            yield name
            yield _seen(value)


def _seen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, dict, set, tuple)):
        return repr(value)
    if isinstance(value, types.FunctionType):
        return _function(value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _function(function: types.FunctionType) -> tuple[Any, ...]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names = function.__code__.co_names
    outside = [function.__globals__[name] for name in names if name in function.__globals__]
    values = [*cells, *(function.__defaults__ or ()), *outside]
    return id(function), *(
        id(value) if isinstance(value, types.FunctionType) else _seen(value) for value in values
    )
