"""A network as a record: names from the registry, plain data and arrays, and back.

A network is a record of all that learning and structure can change: its layers in order,
each with the registered name of its class, its constructor's arguments, its own name and its
parameters; loss and optimizer, likewise; what the optimizer remembers, and where learning
stopped. A network inside it is such a record in the place of a layer; another container is
the record of its kind, name and layers. Of a network with a history, the same layer can
come again: {"same": i} is the i-th one that came in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minnet import registry
from minnet.checks import Array, brief, floating, layer_name, one_of, real_array
from minnet.container import DTYPES, Tree, fields
from minnet.durable import FileError
from minnet.layers import Layer
from minnet.losses import Loss
from minnet.network import Network
from minnet.optimizers import Optimizer
from minnet.parameters import split
from minnet.snapshots import Snapshot
from minnet.structure import Container

Later = list[Callable[[], None]]  # what waits until all layers are in place

# What a file may ask for; saving keeps to it too.
LAYERS = 1000
NESTING = 25  # networks, and other containers, inside networks
ROOM = 2**24  # how many numbers a constructor may make beyond those that the file holds

STATE = ("layers", "loss", "optimizer", "memory", "diverged")
KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}  # of JSON's numbers, for each of an array's

OPTIONAL = ("engine",)  # files without it are of networks that leave it to minnet


class Writer:
    """Makes the records of one file."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []

    def network(self, net: Network) -> Tree:
        """The record of a network as it is."""
        return {**_identity(net), "dtype": net.dtype.name, **self.state(Snapshot(net))}

    def state(self, snapshot: Snapshot) -> Tree:
        """The record of what its network was when the snapshot was taken."""
        record, _ = self._state(snapshot._net, snapshot._structure, snapshot._flat, snapshot)
        return record

    def _state(
        self, net: Any, items: Any, rows: Array, snapshot: Snapshot, depth: int = 0
    ) -> tuple[Tree, Array]:
        """The record of a container whose numbers come first in `rows`, and the rest of them."""
        _check_depth(depth)
        layers = []
        for item in items:
            record, rows = self._layer(item, rows, snapshot, depth)
            layers.append(record)
        learning = snapshot._learning[net]
        if not learning:
            return {"layers": layers}, rows
        record = {
            "layers": layers,
            "loss": _made(learning["_loss"], "the loss"),
            "optimizer": _made(learning["_optimizer"], "the optimizer"),
            "memory": learning["_memory"],
            "diverged": learning["_diverged"],
            "engine": learning["_engine"],
        }
        return record, rows

    def _layer(self, item: Any, rows: Array, snapshot: Snapshot, depth: int) -> tuple[Tree, Array]:
        layer, inside = item if isinstance(item, tuple) else (item, None)
        came = [i for i, other in enumerate(self._layers) if other is layer]
        what: Tree = {"same": came[0]} if came else None
        if not came:
            _append(self._layers, layer)
        if inside is not None:
            state, rows = self._state(layer, inside, rows, snapshot, depth + 1)
            return {**(what or _identity(layer)), **state}, rows
        own, rest = rows[..., : layer.size], rows[..., layer.size :]
        if what is None:
            what = {**_made(layer, layer.label), "name": layer._name}
            _check_room(what["arguments"], own.size, layer.label)
        return {**what, "parameters": split(own, layer.shapes)}, rest


class Reader:
    """Makes networks of the records of one file; what does not fit raises FileError."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []

    def network(self, record: Tree) -> Network:
        """A new network."""
        identity, state = _parted(record, "the network", STATE + OPTIONAL)
        identity = fields(identity, "the network", ("name", "dtype"))
        with refusing("the network"):
            dtype = np.dtype(one_of(identity.pop("dtype"), ("float64", "float32"), "dtype"))
        net = _empty_network(identity, dtype, "the network")
        self.restore(net, state)
        return net

    def restore(self, net: Network, state: Tree) -> None:
        """Make a network that came from this reader what the record says."""
        for layer in (net, *self._layers):
            if isinstance(layer, Container):
                layer._place(())
        later: Later = []
        self._put(net, state, net.dtype, later)
        for finish in later:
            finish()

    def _put(
        self, container: Container, state: Tree, dtype: np.dtype[Any], later: Later, depth: int = 0
    ) -> None:
        """Put the layers of the record into the empty container."""
        _check_depth(depth)
        if isinstance(container, Network):
            state = fields(state, "a network", STATE, OPTIONAL)
        else:
            state = fields(state, container.label, ("layers",))
        if not isinstance(state["layers"], list):
            raise FileError(f"layers must be a list, not {brief(state['layers'])}")
        layers = []
        for i, record in enumerate(state["layers"]):
            layers.append(self._layer(record, f"layer #{i}", dtype, later, depth))
        with refusing("its layers"):
            container.layers = layers
        if isinstance(container, Network):
            later.append(partial(_restore_learning, container, state))

    def _layer(
        self, record: Tree, what: str, dtype: np.dtype[Any], later: Later, depth: int
    ) -> Layer:
        has_layers = isinstance(record, dict) and "layers" in record
        identity, own = _parted(record, what, STATE + OPTIONAL if has_layers else ("parameters",))
        if has_layers:
            container = self._known(identity, what, Container)
            if container is None:
                container = _empty_container(identity, dtype, what)
                _append(self._layers, container)
            self._put(container, own, dtype, later, depth + 1)
            return container
        parameters = fields(own, what, ("parameters",))["parameters"]
        if not isinstance(parameters, dict):
            raise FileError(f"{what}: parameters must be a record, not {brief(parameters)}")
        arrays = {key: _array(value, f"{what}: {key}", dtype) for key, value in parameters.items()}
        layer = self._known(identity, what, Layer)
        if layer is None:
            layer = _new_layer(identity, arrays, what)
            _append(self._layers, layer)
        else:
            _check_shapes(layer, arrays, (layer.nets,) if layer.nets else (), what)
        # numbers that were written in place can be nan, which layers refuse at the door
        _copy_numbers(layer, dict.fromkeys(arrays, 0.0))
        later.append(partial(_copy_numbers, layer, arrays))
        return layer

    def _known(self, identity: dict[str, Tree], what: str, kind: type[Any]) -> Any:
        """The layer that has come before; None if this is not one."""
        if "same" not in identity:
            return None
        number = fields(identity, what, ("same",))["same"]
        if type(number) is not int or not 0 <= number < len(self._layers):
            raise FileError(f"{what} cannot be the same as #{brief(number)}")
        layer = self._layers[number]
        if isinstance(layer, Container) != (kind is Container):
            raise FileError(f"{what} is no longer of its kind")
        return layer


def _identity(net: Any) -> dict[str, Tree]:
    kind = type(net).__name__
    if type(net) is registry.CONTAINERS.get(kind):
        return {"container": kind, "name": net._name}
    if type(net) is not Network:
        raise FileError(
            f"a {kind} is no plain Network, and no file can hold it; put its layers into a Network"
        )
    return {"name": net._name}


def _made(thing: object, what: str) -> dict[str, Tree]:
    """Class and arguments of what a constructor made."""
    registered = registry.class_of(thing)
    with refusing(f"{what}: the arguments registered for {registered.name}"):
        arguments = dict(registered.arguments(thing))
    return {
        "class": registered.name,
        "arguments": {
            key: _argument(value, f"{what}: its {key}") for key, value in arguments.items()
        },
    }


def _argument(value: Any, what: str) -> Tree:
    """What a constructor was given, as plain data."""
    if isinstance(value, np.ndarray):
        return {"array": value, "dtype": value.dtype.name}
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        return value
    if isinstance(value, (list, tuple)):
        return [_argument(item, what) for item in value]
    if not callable(value):
        raise FileError(f"{what} is {brief(value)}, which is no plain data")
    name = registry.name_of(value)
    if name is None:
        described = getattr(value, "__qualname__", None) or brief(value)
        raise FileError(
            f"{what} is {described}, which is not registered, so no file can hold it; give "
            "it a name, here and where the file is loaded: minnet.registry.register('name')(f)"
        )
    return {"function": name}


def _given(value: Tree, what: str) -> Any:
    """What `_argument` made plain data of."""
    if isinstance(value, list):
        return [_given(item, what) for item in value]
    if not isinstance(value, dict):
        return value
    if "function" in value:
        return registry.function_named(fields(value, what, ("function",))["function"])
    value = fields(value, what, ("array", "dtype"))
    with refusing(what):
        dtype = DTYPES[one_of(value["dtype"], tuple(DTYPES), "dtype")]
    return _array(value["array"], what, dtype)


def _thing(record: Tree, base: type[Any], what: str) -> Any:
    """The loss, optimizer or layer that the constructor makes of its arguments."""
    record = fields(record, what, ("class", "arguments"))
    registered = registry.class_named(record["class"], base)
    if not isinstance(record["arguments"], dict):
        raise FileError(f"{what}: arguments must be a record, not {brief(record['arguments'])}")
    arguments = {
        key: _given(value, f"{what}: its {key}") for key, value in record["arguments"].items()
    }
    with refusing(f"{what} is no {registered.name}, as it is now"):
        return registered.cls(**arguments)


def _new_layer(identity: dict[str, Tree], arrays: dict[str, Array], what: str) -> Layer:
    identity = fields(identity, what, ("class", "arguments", "name"))
    name = identity.pop("name")
    _check_room(identity["arguments"], sum(array.size for array in arrays.values()), what)
    layer: Layer = _thing(identity, Layer, what)
    with refusing(what):
        layer._name = None if name is None else layer_name(name)
    lead: tuple[int, ...] = ()
    for key in set(arrays) & set(layer.shapes):
        lead = arrays[key].shape[: max(0, arrays[key].ndim - len(layer.shapes[key]))]
    if len(lead) > 1 or 0 in lead:
        raise FileError(f"{what}: a crowd cannot have the shape {lead}")
    _check_shapes(layer, arrays, lead, what)
    return layer.with_parameters({key: array.copy() for key, array in arrays.items()})


def _empty_container(identity: dict[str, Tree], dtype: np.dtype[Any], what: str) -> Container:
    """A network, or a container of another kind, as no constructor makes it."""
    if "container" not in identity:
        return _empty_network(identity, dtype, what)
    identity = fields(identity, what, ("container", "name"))
    with refusing(what):
        kind = one_of(identity["container"], tuple(registry.CONTAINERS), "container")
        cls = registry.CONTAINERS[kind]
        container = cls.__new__(cls)
        Container.__init__(container, dtype, identity["name"])
    return container


def _empty_network(identity: dict[str, Tree], dtype: np.dtype[Any], what: str) -> Network:
    name = fields(identity, what, ("name",))["name"]
    with refusing(what):
        return Network(dtype=dtype, name=name)


def _check_shapes(layer: Layer, arrays: dict[str, Array], lead: tuple[int, ...], what: str) -> None:
    asked = {key: lead + tuple(shape) for key, shape in layer.shapes.items()}
    came = {key: array.shape for key, array in arrays.items()}
    if asked != came:
        raise FileError(
            f"{what}: {type(layer).__name__} has the parameters {asked}, but the file holds "
            f"{brief(came)}"
        )


def _copy_numbers(layer: Layer, numbers: dict[str, Any]) -> None:
    for key, array in layer.parameters.items():
        array[...] = numbers[key]


def _restore_learning(net: Network, state: dict[str, Tree]) -> None:
    net.loss = _thing(state["loss"], Loss, "the loss")
    _restore_optimizer(net, state["optimizer"])
    if state["memory"] is not None:
        with refusing("the optimizer"):
            start = net.optimizer.start(net._flat)
        memory = fields(state["memory"], "the optimizer's memory", tuple(start))
        net._memory = {
            key: _array(memory[key], f"the optimizer's {key}", array.dtype, array.shape)
            for key, array in start.items()
        }
    if state["diverged"] is not None:
        lead = net._flat.shape[:-1]
        net._diverged = _array(state["diverged"], "diverged", np.dtype(np.int64), lead)
        if (net._diverged < -1).any():
            raise FileError(f"diverged cannot be {brief(net._diverged)}")
    with refusing("engine"):
        net.engine = state.get("engine", "auto")


def _restore_optimizer(net: Network, record: Tree) -> None:
    record = fields(record, "the optimizer", ("class", "arguments"))
    arguments = record["arguments"]
    if not isinstance(arguments, dict) or not isinstance(arguments.get("alpha"), dict):
        net.optimizer = _thing(record, Optimizer, "the optimizer")
        return
    # a crowd's column of rates, which no constructor takes: they are assigned afterwards
    rates = _given(arguments["alpha"], "alpha")
    if np.shape(rates) != (net.nets, 1):
        raise FileError(f"alpha must be a number or of shape {(net.nets, 1)}, not {brief(rates)}")
    record = {**record, "arguments": {**arguments, "alpha": 1.0}}
    net.optimizer = _thing(record, Optimizer, "the optimizer")
    with refusing("the optimizer"):
        net.alpha = rates[:, 0]


def _array(
    value: Tree, what: str, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None
) -> Array:
    """An array of the binary format, or nested lists of JSON as one, of this dtype."""
    array = value
    if not isinstance(value, np.ndarray):
        with refusing(what):
            array = real_array(value, what)
            if array.dtype.kind in KINDS[dtype.kind] or not array.size:
                array = floating(array, what, dtype)
    if array.dtype != dtype or shape not in (None, array.shape):
        raise FileError(
            f"{what} must be {dtype}{'' if shape is None else f' of shape {shape}'}, not "
            f"{array.dtype} of shape {array.shape}"
        )
    return array


def _append(layers: list[Layer], layer: Layer) -> None:
    if len(layers) == LAYERS:
        raise FileError(f"{LAYERS} layers are the most that a file can hold")
    layers.append(layer)


def _check_depth(depth: int) -> None:
    if depth > NESTING:
        raise FileError(f"its networks are nested deeper than {NESTING}")


def _check_room(arguments: Tree, stored: int, what: str) -> None:
    """Refuse whole numbers that could make a constructor take any amount of memory."""
    room = max(ROOM, stored)
    wanted = 1
    for value in arguments.values() if isinstance(arguments, dict) else ():
        numbers = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
        wanted = min(wanted * max(1, *map(abs, numbers), 1), room + 1)
    if wanted > room:
        raise FileError(
            f"{what}: the product of its whole arguments is above {room}, which could make it "
            "take any amount of memory; what is no size can be given as a float or a string"
        )


def _parted(
    record: Tree, what: str, own: tuple[str, ...]
) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """What tells which one it is, and the fields `own`."""
    if not isinstance(record, dict):
        raise FileError(f"{what} must be a record, not {brief(record)}")
    identity = {key: value for key, value in record.items() if key not in own}
    return identity, {key: value for key, value in record.items() if key in own}


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Whatever a constructor or a check raises becomes a FileError."""
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        raise FileError(f"{what}: {error}") from error
