"""What was done on a bench, as a tree: a number for every step, a branch for every way back.

A node says what was done and with which settings, so that it can be done again, to the same
bits. The network itself is kept at checkpoints, and beyond them, within a budget, where it
was changed in a way that no setting tells. Losses are kept within the same budget: what is
oldest goes first, and its record stays.
"""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from minnet.checks import Array, UnknownName, brief, integer
from minnet.learning import Learner
from minnet.snapshots import Snapshot
from minnet.structure import structure

if TYPE_CHECKING:
    from bench.nnbench import NNBench

KEPT = 2**20  # numbers: of losses, and of networks at other places than checkpoints
OVERHEAD = 2**9  # numbers that a network takes beside its own
LETTERS = 300  # of what was changed
FEW = 5  # of many branches, how many are printed at the beginning and at the end

KINDS = ("start", "checkpoint", "learn", "change")


@dataclass(frozen=True, slots=True)
class Settings:
    """What learning depends on beside the numbers; None for what a file could not hold."""

    loss: Any
    optimizer: Any
    engine: str
    seed: Any
    seed_was: Any  # a generator as it was then; else the seed
    ideal: Any

    @classmethod
    def of(cls, bench: NNBench) -> Settings:
        """Those of a bench as it is."""
        net, seed = bench.net, bench.seed
        return cls(
            net.loss, net.optimizer, net._engine, seed, copy.deepcopy(seed), bench.ideal
        )  # fmt: skip

    @property
    def alpha(self) -> Any:
        """The learning rate; for a crowd perhaps an array (nets,); None if it is not known."""
        alpha: Any = getattr(self.optimizer, "_alpha", None)
        return alpha[:, 0].copy() if np.ndim(alpha) else alpha

    def changes(self, after: Settings) -> Iterator[str]:
        """What is different there, in words."""
        if not _alike(self.optimizer, after.optimizer):
            if not _alike(self.optimizer, after.optimizer, beside="_alpha"):
                yield f"optimizer {self.optimizer} -> {after.optimizer}"
            elif np.ndim(self.alpha) or np.ndim(after.alpha):
                yield "alpha of each net"
            else:
                yield f"alpha {self.alpha:.6g} -> {after.alpha:.6g}"
        if not _alike(self.loss, after.loss):
            yield f"loss {self.loss} -> {after.loss}"
        if self.engine != after.engine:
            yield f"engine {self.engine} -> {after.engine}"
        if self.seed is not after.seed and not _equal(self.seed, after.seed):
            yield f"seed {_name(self.seed)} -> {_name(after.seed)}"
        elif not _equal(_state(self.seed_was), _state(after.seed_was)):
            yield "the state of the seed's generator"
        if self.ideal is not after.ideal:
            yield f"ideal {_name(self.ideal)} -> {_name(after.ideal)}"

    def put_into(self, bench: NNBench, afresh: bool) -> None:
        """Make them the bench's; with `afresh` the optimizer forgets."""
        net = bench.net
        net.loss, net.engine = self.loss, self.engine
        if afresh:
            net.optimizer = self.optimizer
        elif not _alike(net.optimizer, self.optimizer):
            net.alpha = self.alpha
        self.put_data_into(bench)

    def put_data_into(self, bench: NNBench) -> None:
        """Make ideal and seed the bench's."""
        bench.ideal = self.ideal
        self.put_seed_into(bench)

    def put_seed_into(self, bench: NNBench) -> None:
        """Make the seed the bench's; a generator is put back to where it was."""
        if isinstance(self.seed, np.random.Generator):
            self.seed.bit_generator.state = self.seed_was.bit_generator.state
        bench.seed = self.seed


@dataclass(slots=True, eq=False)
class Node:
    """Something that was done, and what is known of where it led.

    Attributes
    ----------
    number : int
        From 0, in the order of time.
    parent : int or None
        What it was done after.
    did : str
        "start", "checkpoint", "learn" or "change".
    name : str or None
        Of a named checkpoint.
    what : str
        The structure at the start, or what was changed, in words.
    n : int
        How many facts were learned.
    losses : ndarray of shape (n,) or (n, nets), or None
        Before each step of learning. None if they were let go: `NNBench.replay` gives
        them again.
    first, last : float or None
        The first and the last loss; for a crowd their medians.
    diverged : int or None
        The number of the fact at which learning stopped; for a crowd, of the nets that did.
    """

    number: int
    parent: int | None
    did: str
    settings: Settings
    name: str | None = None
    what: str = ""
    n: int = 0
    nets: int | None = None
    losses: Any = None
    first: float | None = None
    last: float | None = None
    diverged: int | None = None
    afresh: bool = False  # at a change: whether the optimizer had forgotten
    by_hand: bool = False  # whether no setting tells what was changed
    digest: str = ""  # after learning
    state: Snapshot | None = None

    @property
    def alpha(self) -> Any:
        """The learning rate then."""
        return self.settings.alpha

    @property
    def size(self) -> int:
        """How many numbers are kept here."""
        size = 0 if self.losses is None else self.losses.size
        if self.state is not None:
            size += OVERHEAD + (1 + len(_memory(self.state) or ())) * self.state._flat.size
        return size

    def __str__(self) -> str:
        if self.did == "learn":
            text = f"learned {self.n} fact{'s' * (self.n != 1)}{self._how()}"
        elif self.did == "checkpoint":
            text = "checkpoint" if self.name is None else f"checkpoint {self.name!r}"
        else:
            text = {"start": "start", "change": "changed"}[self.did] + f" {self.what}"
        return f"#{self.number} {text}"

    def _how(self) -> str:
        alpha = self.alpha
        rate = "" if np.ndim(alpha) or alpha is None else f" at alpha {alpha:.4g}"
        if self.nets is not None:
            gone = f", {self.diverged} diverged" if self.diverged else ""
            return f"{rate}: median loss {self.first:.4g} -> {self.last:.4g}{gone}"
        gone = "" if self.diverged is None else f", diverged at fact {self.diverged}"
        return f"{rate}: loss {self.first:.4g} -> {self.last:.4g}{gone}"


class History(Sequence[Node]):
    """The nodes by number; printed, it is a tree.

    >>> from bench import NNBench
    >>> from minnet import Affinity, Network
    >>> bench = NNBench(Network([Affinity(2, 2)]))
    >>> bench.net.alpha = 0.2
    >>> bench.checkpoint_net("faster")
    >>> bench.rollback_net()
    >>> bench.net.alpha = 0.05
    >>> bench.checkpoint_net("slower")
    >>> print(bench.history)
    #0 start Affinity 2->2
    ├── #1 changed alpha 0.1 -> 0.2
    │   #2 checkpoint 'faster'
    └── #3 changed alpha 0.1 -> 0.05
        #4 checkpoint 'slower' <- here
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._checkpoints: dict[str | None, Node] = {}
        self._present = -1
        self._mark: Snapshot | None = None  # the network at the present node; None: not known
        self._kept: deque[Node] = deque()  # what can be let go, the oldest first
        self._size = 0  # of that

    @property
    def present(self) -> int:
        """The number of the node where the bench is."""
        return self._present

    @overload
    def __getitem__(self, number: int) -> Node: ...
    @overload
    def __getitem__(self, number: slice) -> list[Node]: ...
    def __getitem__(self, number: Any) -> Any:
        return self._nodes[number]

    def __len__(self) -> int:
        return len(self._nodes)

    def names(self) -> tuple[str, ...]:
        """The names of the checkpoints, in the order in which they were taken."""
        return tuple(name for name in self._checkpoints if name is not None)

    def path(self, number: int) -> list[Node]:
        """The nodes from the start to that one.

        Raises
        ------
        TypeError, IndexError
            If there is no such node.
        """
        number = integer(number, "the number of a node")
        if not 0 <= number < len(self):
            raise IndexError(f"the history has no #{number}; its last is #{len(self) - 1}")
        path, at = [], self._nodes[number]
        while at.parent is not None:
            path.append(at)
            at = self._nodes[at.parent]
        return [at, *reversed(path)]

    # what is recorded

    def notice(self, bench: NNBench) -> None:
        """Record what was changed on the bench since the last thing that was recorded."""
        net, settings = bench.net, Settings.of(bench)
        if not self._nodes:
            self._mark = Snapshot(net)
            self._add("start", settings, what=_plain(_described(net)), state=self._mark)
            self._checkpoints[None] = self._nodes[0]
            return
        by_setting = list(self[self._present].settings.changes(settings))
        by_hand = list(_changes(self._mark, net))
        afresh = net._memory is None
        if not (by_setting or by_hand) and afresh and _memory(self._mark) is not None:
            by_setting.append("the optimizer, which starts afresh")
        if by_setting or by_hand:
            self._mark = Snapshot(net)
            what, state = _plain(", ".join(by_setting + by_hand)), self._mark if by_hand else None
            node = self._add(
                "change", settings, what=what, afresh=afresh, by_hand=bool(by_hand), state=state
            )
            self._keep(node)

    def checkpoint(self, bench: NNBench, name: str | None) -> None:
        """Keep the bench as it is, under the name."""
        self.notice(bench)
        self._mark = Snapshot(bench.net)
        before = self._checkpoints.pop(name, None)
        self._checkpoints[name] = self._add(
            "checkpoint", self[self._present].settings, name=name, state=self._mark
        )
        if before is not None:
            self._keep(before)

    def rollback(self, bench: NNBench, name: str | None) -> None:
        """Bring back all but the ideal.

        Raises
        ------
        UnknownName
            If there is no checkpoint of that name.
        """
        if name not in self._checkpoints:
            names = ", ".join(map(repr, self.names())) or "none with a name"
            raise UnknownName(f"there is no checkpoint {brief(name)}; there are {names}")
        node = self._checkpoints[name]
        assert node.state is not None
        node.state.restore()
        node.settings.put_seed_into(bench)
        self._present, self._mark = node.number, node.state

    def learned(self, bench: NNBench, losses: Sequence[Any]) -> None:
        """Record that these were the losses of learning."""
        net, curve = bench.net, np.array(losses)
        stopped = net._diverged
        gone = int((stopped >= 0).sum()) if stopped.ndim else net.diverged
        node = self._add(
            "learn", self[self._present].settings, n=len(curve), nets=net.nets, losses=curve,
            first=float(np.median(curve[0])), last=float(np.median(curve[-1])), diverged=gone,
            digest=digest(net, curve),
        )  # fmt: skip
        self._mark = Snapshot(net)
        self._keep(node)

    def _add(self, did: str, settings: Settings, **details: Any) -> Node:
        parent = self._present if self._nodes else None
        node = Node(len(self), parent, did, settings, **details)
        self._nodes.append(node)
        self._present = node.number
        return node

    def _keep(self, node: Node) -> None:
        """Let the oldest go where this is too much."""
        if node.size:
            self._kept.append(node)
            self._size += node.size
        while self._size > KEPT:
            oldest = self._kept.popleft()
            self._size -= oldest.size
            oldest.losses = oldest.state = None

    @contextmanager
    def unchanged_by_errors(self) -> Iterator[None]:
        """Whatever is raised inside leaves no record."""
        count, present, mark = len(self), self._present, self._mark
        try:
            yield
        except BaseException:
            del self._nodes[count:]
            self._present, self._mark = present, mark
            self._kept = deque(node for node in self._kept if node.number < count)
            self._size = sum(node.size for node in self._kept)
            raise

    # what is done again

    def replay(self, bench: NNBench, number: int, since: int | None) -> list[Any]:
        """Do again what led to a node; the losses since another one."""
        path = self.path(number)
        at = max((i for i, node in enumerate(path) if node.state is not None), default=None)
        if since is not None:
            steps = [node.number for node in path]
            if integer(since, "since") not in steps:
                raise ValueError(f"#{since} is not on the way to #{number}, which is {steps}")
            upto = steps.index(since) + 1
            at = max((i for i in range(upto) if path[i].state is not None), default=None)
        if at is None:
            raise ValueError(
                f"nothing is kept of the way to #{number if since is None else since} from which "
                "to begin"
            )
        stretch = path[at:]
        _check_replayable(stretch)
        net, settings, before = bench.net, Settings.of(bench), Snapshot(bench.net)
        try:
            losses = [
                loss
                for node in stretch
                for loss in _done_again(bench, node)
                if since is None or node.number > since
            ]
        except BaseException:
            before.restore()
            settings.put_data_into(bench)
            raise
        self._present, self._mark = number, Snapshot(net)
        return losses

    def __str__(self) -> str:
        return "\n".join(self._lines()) or "nothing yet"

    def _lines(self) -> Iterator[str]:
        children: dict[int, list[int]] = {}
        for node in self:
            if node.parent is not None:
                children.setdefault(node.parent, []).append(node.number)
        ends = [self._present, *(node.number for node in self._checkpoints.values())]
        shown = {node.number for end in ends for node in self.path(end)} if self._nodes else set()
        held = {node.number for node in self._checkpoints.values()}
        todo: list[tuple[int | str, str, str]] = [(0, "", "")] if self._nodes else []
        while todo:
            number, first, rest = todo.pop()
            if isinstance(number, str):
                yield first + number
                continue
            node = self[number]
            moved = (
                " (taken again since)" if node.did == "checkpoint" and number not in held else ""
            )
            yield f"{first}{node}{moved}{' <- here' * (number == self._present)}"
            branches = _few(children.get(number, []), shown)
            if len(branches) < 2:
                todo += [(branch, rest, rest) for branch in branches]
                continue
            *others, last = branches
            todo.append((last, rest + "└── ", rest + "    "))
            todo += [(branch, rest + "├── ", rest + "│   ") for branch in reversed(others)]


def _few(branches: list[int], shown: set[int]) -> list[int | str]:
    """The first and last of many branches, and in between those to be shown."""
    if len(branches) <= 2 * FEW:
        return list(branches)
    found: list[int | str] = []
    left_out = 0
    for i, branch in enumerate(branches):
        if FEW <= i < len(branches) - FEW and branch not in shown:
            left_out += 1
            continue
        if left_out:
            found.append(f"... {left_out} more")
            left_out = 0
        found.append(branch)
    return found


def digest(net: Learner, losses: Array) -> str:
    """A checksum of losses, numbers, the optimizer's memory and where learning stopped."""
    checksum = hashlib.blake2b(digest_size=16)
    memory = net._memory or {}
    for array in (losses, net._flat, *(memory[key] for key in sorted(memory)), net._diverged):
        checksum.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return checksum.hexdigest()


def _check_replayable(stretch: list[Node]) -> None:
    for node in stretch:
        if node.by_hand and node.state is None:
            raise ValueError(
                f"#{node.number} changed {node.what} in a way that the history no longer holds; "
                "a checkpoint after such a change is kept"
            )
        missing = [key for key in Settings.__slots__ if getattr(node.settings, key) is None]
        if missing:
            raise ValueError(
                f"the file of this bench could not hold the {missing[0]} of #{node.number}"
            )


def _done_again(bench: NNBench, node: Node) -> list[Any]:
    """Do what the node did; its losses."""
    if node.state is not None:
        node.state.restore()
        node.settings.put_data_into(bench)
    elif node.did == "change":
        node.settings.put_into(bench, node.afresh)
    elif node.did == "learn":
        losses = bench._learn(node.n)
        if digest(bench.net, np.array(losses)) != node.digest:
            raise ValueError(
                f"#{node.number} came out otherwise when it was done again: its ideal or a layer "
                "does not answer the same at each call, or it is done on another machine"
            )
        return losses
    return []


def _changes(mark: Snapshot | None, net: Learner) -> Iterator[str]:
    """What changed in a network, in words, beside its loss, optimizer and engine."""
    if mark is None:
        yield "everything"
        return
    inside = [
        (getattr(layer, key), value)
        for layer, learning in mark._learning.items()
        for key, value in learning.items()
        if layer is not net and key in ("_loss", "_optimizer", "_engine")
    ]
    if mark._structure != structure(net) or any(now is not then for now, then in inside):
        yield f"structure to {_described(net)}"
        return
    if not _equal(mark._flat, net._flat):
        yield f"numbers of {_listed(_renumbered(mark, net))}"
    learning = mark._learning[net]
    if net._memory is not None and not _equal(learning["_memory"], net._memory):
        yield "what the optimizer remembers"
    if not _equal(learning["_diverged"], net._diverged):
        yield "where learning stopped"


def _renumbered(mark: Snapshot, net: Learner) -> Iterator[str]:
    start = 0
    for name, array in net.parameters.items():
        size = array[0].size if net.nets is not None else array.size
        part = slice(start, start + size)
        if not _equal(mark._flat[..., part], net._flat[..., part]):
            yield name
        start += size


def _listed(names: Iterator[str]) -> str:
    found = list(names)
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def _described(net: Learner) -> str:
    """The layers in a line."""
    layers = [
        type(layer).__name__ + ("" if layer.n is None else f" {layer.n}->{layer.m or layer.n}")
        for layer in net.layers
    ]
    text = ", ".join(layers if len(layers) <= 7 else [*layers[:5], "...", layers[-1]])
    return (text or "no layers") + ("" if net.nets is None else f", {net.nets} nets")


def _plain(text: str) -> str:
    """A line that can be printed and kept, whatever a class of the user's own is called."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= LETTERS else text[: LETTERS - 3] + "..."


def _memory(snapshot: Snapshot | None) -> Any:
    return None if snapshot is None else snapshot._learning[snapshot._net]["_memory"]


def _state(seed: Any) -> Any:
    return seed.bit_generator.state if isinstance(seed, np.random.Generator) else seed


def _name(thing: Any) -> str:
    return brief(thing) if isinstance(thing, int) else getattr(thing, "__name__", brief(thing))


def _alike(a: Any, b: Any, beside: str = "") -> bool:
    """Whether two losses or optimizers are of one class, with equal settings."""
    if a is b or type(a) is not type(b):
        return a is b
    return _equal(*({k: v for k, v in vars(thing).items() if k != beside} for thing in (a, b)))


def _equal(a: Any, b: Any) -> bool:
    """Whether plain data and arrays are the same, arrays bit by bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        bits = f"u{a.dtype.itemsize}"
        return bool((a.view(bits) == b.view(bits)).all())
    return a is b or (type(a) is type(b) and isinstance(a, int | float | str) and a == b)
