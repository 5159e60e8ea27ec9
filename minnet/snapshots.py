"""A network as it was, kept in memory: one copy of the flat array and a few references.

Restoring works in place, on the same network and layer objects, as often as wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minnet.layers import Layer
from minnet.structure import Chain, Container, Structure, containers, structure

if TYPE_CHECKING:
    from minnet.learning import Learner


class Snapshot:
    """Everything that learning or a change of structure can change in a network."""

    def __init__(self, net: Learner) -> None:
        self._net = net
        self._structure = structure(net)
        self._flat = net._rows().copy()
        self._learning = {container: _learning(container) for container in containers(net)}

    def restore(self) -> None:
        """Bring the network back to this, as often as you like."""
        if structure(self._net) != self._structure:
            present = Snapshot(self._net)
            self._rebuild()
            try:
                self._net._check_fit()
            except ValueError:  # what it is a part of has changed meanwhile
                present._rebuild()
                present.restore()
                raise
        self._net._flat[...] = self._flat
        for container, learning in self._learning.items():
            if learning:
                _restore_learning(container, learning)  # type: ignore[arg-type]  # as below

    def _rebuild(self) -> None:
        wanted = set(_layers_of(self._structure))
        for each in dict.fromkeys([*containers(self._net), *self._learning]):
            if each is self._net or each._home is None or self._net in each._and_above():
                mine = each is self._net or each in wanted
                stay = () if mine else (layer for layer in each.layers if layer not in wanted)
                each._place(tuple(stay))
        self._put_back(self._net, self._structure)
        self._structure = structure(self._net)

    def _put_back(self, container: Container, items: Structure) -> None:
        layers = []
        for item in items:
            layer, inside = item if isinstance(item, tuple) else (item, None)
            if layer._home is not None:  # meanwhile it has found another place
                original, layer = layer, layer.copy()
                if inside is not None:
                    self._learning[layer] = self._learning.pop(original)
            if inside is not None:
                layer._place(())
                self._put_back(layer, inside)
            layers.append(layer)
        container._place(tuple(layers))


def _layers_of(structure: Structure) -> Iterator[Layer]:
    for item in structure:
        layer, inside = item if isinstance(item, tuple) else (item, ())
        yield layer
        yield from _layers_of(inside)


def _learning(container: Container) -> dict[str, Any]:
    """What learning needs and writes; losses and optimizers are read-only, so shared.

    Every Chain learns; other containers do not, and have nothing.
    """
    if not isinstance(container, Chain):
        return {}
    settings = {key: getattr(container, key) for key in ("_loss", "_optimizer", "_engine")}
    return settings | _written(container.__dict__)


def _restore_learning(net: Learner, learning: dict[str, Any]) -> None:
    before = net._program_key()
    net.__dict__.update(learning, **_written(learning))
    if net._program_key() != before:
        net._runners = {}


def _written(learning: dict[str, Any]) -> dict[str, Any]:
    """Copies of the arrays that learning writes."""
    memory, diverged = learning.get("_memory"), learning.get("_diverged")
    return {
        "_memory": None if memory is None else {k: a.copy() for k, a in memory.items()},
        "_diverged": None if diverged is None else diverged.copy(),
    }


@contextmanager
def unchanged_by_errors(net: Learner) -> Iterator[None]:
    """Whatever is raised inside leaves the network as it was."""
    before = Snapshot(net)
    try:
        yield
    except BaseException:
        before.restore()
        raise
