"""A network as it was, kept in memory: one copy of the flat array and a few references.

Restoring works in place, on the same network and layer objects, as often as wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minnet.layers import Layer
from minnet.structure import Chain, Structure, structure

if TYPE_CHECKING:
    from minnet.learning import Learner


class Snapshot:
    """Everything that learning or a change of structure can change in a network."""

    def __init__(self, net: Learner) -> None:
        self._net = net
        self._structure = structure(net)
        self._flat = net._rows().copy()
        self._learning = {chain: _learning(chain) for chain in _chains(net)}

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
        for chain, learning in self._learning.items():
            before = chain._program_key()
            chain.__dict__.update(learning, **_written(learning))
            if chain._program_key() != before:
                chain._runners = {}

    def _rebuild(self) -> None:
        wanted = set(_layers_of(self._structure))
        for chain in dict.fromkeys([*_chains(self._net), *self._learning]):
            if chain is self._net or chain._home is None or self._net in chain._and_above():
                mine = chain is self._net or chain in wanted
                stay = () if mine else (layer for layer in chain.layers if layer not in wanted)
                chain._place(tuple(stay))
        self._put_back(self._net, self._structure)
        self._structure = structure(self._net)

    def _put_back(self, chain: Learner, items: Structure) -> None:
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
        chain._place(tuple(layers))


def _layers_of(structure: Structure) -> Iterator[Layer]:
    for item in structure:
        layer, inside = item if isinstance(item, tuple) else (item, ())
        yield layer
        yield from _layers_of(inside)


def _chains(net: Learner) -> Iterator[Learner]:
    yield net
    for layer in net.layers:
        if isinstance(layer, Chain):
            yield from _chains(layer)  # type: ignore[arg-type]  # every Chain learns


def _learning(chain: Learner) -> dict[str, Any]:
    """What learning needs and writes; losses and optimizers are read-only, so shared."""
    settings = {key: getattr(chain, key) for key in ("_loss", "_optimizer", "_engine")}
    return settings | _written(chain.__dict__)


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
