"""A census: many networks trained at once, and what has become of each."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minnet.checks import Array, Randomness, brief, generator, positive_int, undrawn_by_errors
from minnet.container import Tree, pack, unpack
from minnet.durable import FileError, FilePath, naming, read, write
from minnet.facts import GATES, Facts, gate
from minnet.files import NOT_THE_SAME, of_kind
from minnet.layers import ReLU
from minnet.losses import BinaryCrossEntropy
from minnet.network import Network
from minnet.records import Reader, Writer, refusing
from minnet.study.canonical import canonical
from minnet.study.catalogue import Circuit, catalogue
from minnet.study.failures import FAILURES, failures
from minnet.study.motifs import motif_names
from minnet.study.parts import parts
from minnet.study.restarts import right
from minnet.study.tables import table
from minnet.study.units import circuit_names

Watch = Callable[[int], Any]
Interval = tuple[float, float]

LISTED = 2  # hidden units of circuits that are all in the catalogue
SHOWN = 20  # lines of the table of circuits
PIECES = 50  # of the steps, between which `watch` is called


def census(
    net: Network,
    facts: Facts,
    nets: int = 10_000,
    steps: int = 5_000,
    alpha: float | None = None,
    rng: Randomness = None,
    watch: Watch | None = None,
) -> Census:
    """Train many networks like this one, each on all four facts at every step.

    Parameters
    ----------
    net : Network
        A plain one, of two inputs, one hidden layer of ReLU, Sigmoid or Tanh, and one
        output, plain or Sigmoid. Each net starts as its layers' initializers say; it stays
        as it is.
    facts : Facts
        As `minnet.facts.gate` gives them.
    nets, steps : int
        How many nets, and how many steps each of them takes.
    alpha : float, optional
        Another learning rate than that of the network's optimizer.
    rng : numpy.random.Generator, int or None
        Where the starts come from. The same seed gives the same census, and net i is the
        same however many there are.
    watch : callable, optional
        Called as ``watch(steps_taken)`` about every fiftieth of the steps.

    Raises
    ------
    TypeError, ValueError
        If an argument is bad; a generator is then as it was.

    Examples
    --------
    >>> from minnet import Affinity, ReLU, Sigmoid, SGD, uniform
    >>> net = Network(
    ...     [Affinity(2, 2, initializer=uniform), ReLU(),
    ...      Affinity(2, 1, initializer=uniform), Sigmoid()],
    ...     loss=BinaryCrossEntropy(reduction="mean"), optimizer=SGD(0.5),
    ... )
    >>> result = census(net, gate("xor"), nets=100, steps=1000, rng=0)
    >>> int(result.solved.sum()) + sum(result.failures.values())
    100
    >>> result.motifs[0].name
    '-1~~0 -0~~1'
    """
    if not isinstance(net, Network) or net.nets is not None:
        raise TypeError(f"a census trains copies of one plain Network, not of {brief(net)}")
    p = parts(net)
    if type(p.output) is ReLU:
        raise ValueError("a census takes networks with a plain or a Sigmoid output, not a ReLU")
    if isinstance(net.loss, BinaryCrossEntropy) and net.loss.from_logits:
        raise ValueError(
            "a census takes an output above 1/2 for true, which a logit is not: end the "
            "network with a Sigmoid, and leave out from_logits"
        )
    gate_of(facts)
    steps = positive_int(steps, "steps")
    with undrawn_by_errors(generator(rng)) as drawn:
        is_seed = isinstance(rng, (int, np.integer))
        seed = int(rng) if is_seed else int(drawn.integers(2**63))  # type: ignore[arg-type]
        crowd = net.replicate(nets, seed)
        crowd.threads = os.cpu_count() or 1
        if alpha is not None:
            crowd.alpha = alpha
        return _trained(crowd, facts, steps, seed, watch or (lambda taken: None))


def _trained(crowd: Network, facts: Facts, steps: int, seed: int, watch: Watch) -> Census:
    early = steps - -(-steps // 10)
    pauses = np.linspace(0, steps, min(steps, PIECES) + 1).astype(int)
    diverged = np.full(crowd.nets or 0, -1)
    earlier = _losses(crowd, facts)
    taken = 0
    for pause in sorted({*pauses[1:].tolist(), *([early] if early else [])}):
        crowd.learn(facts.batches(len(facts)), epochs=pause - taken)
        # a net that cannot take a step cannot take it when asked again
        stopped = (crowd.diverged >= 0) & (diverged < 0)
        diverged[stopped] = crowd.diverged[stopped] + taken
        taken = pause
        if taken == early:
            earlier = _losses(crowd, facts)
        watch(taken)
    return Census(crowd, facts, steps, seed, earlier, diverged)


def _losses(crowd: Network, facts: Facts) -> Array:
    with np.errstate(all="ignore"):
        return crowd.loss.forward(crowd.forward(facts.X)[0], facts.T)


def gate_of(facts: Facts) -> str:
    """The name of the gate whose four facts these are.

    >>> gate_of(gate("nand"))
    'nand'

    Raises
    ------
    TypeError, ValueError
        If they are no gate's.
    """
    if not isinstance(facts, Facts):
        raise TypeError(f"facts must be Facts, not {brief(facts)}")
    if not np.array_equal(facts.X, gate("xor").X) or facts.T.shape != (4, 1):
        raise ValueError(
            "a census takes the facts of a gate: inputs (0, 0), (0, 1), (1, 0), (1, 1) in this "
            f"order, with one expected output each; these have X {facts.X.shape} and "
            f"T {facts.T.shape}, with x = {brief(facts.X[0].tolist())} first"
        )
    return GATES[int("".join("1" if true else "0" for true in facts.T[:, 0] > 0.5), 2)]


def wilson(count: int, total: int) -> Interval:
    """Wilson's 95 per cent interval of a share: of the rates that would explain the count.

    >>> [round(end, 3) for end in wilson(0, 100)]
    [0.0, 0.037]

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    z = 1.959963984540054
    share, room = count / total, z * z / total
    middle = (share + room / 2) / (1 + room)
    reach = z / (1 + room) * math.sqrt(share * (1 - share) / total + room / total / 4)
    # at none and at all the ends are 0 and 1 but for rounding
    return (middle - reach if count else 0.0), (middle + reach if count < total else 1.0)


@dataclass(frozen=True, eq=False)
class Census:
    """What has become of many networks.

    Attributes
    ----------
    crowd : Network
        All of them, as training left them.
    facts : Facts
    steps, seed : int
        How many steps each took; the starts are those of ``replicate(nets, seed)``.
    earlier : ndarray, shape (nets,)
        The losses after nine tenths of the steps.
    diverged : ndarray of int, shape (nets,)
        The step at which a net stopped, for want of a finite number; else -1.
    """

    crowd: Network
    facts: Facts
    steps: int
    seed: int
    earlier: Array
    diverged: Array

    @property
    def nets(self) -> int:
        """How many there are."""
        return len(self.diverged)

    @property
    def gate(self) -> str:
        """What they were to learn."""
        return gate_of(self.facts)

    @cached_property
    def losses(self) -> Array:
        """The loss of each net (nets,) at the end; of one that diverged, where it stopped."""
        return _losses(self.crowd, self.facts)

    @cached_property
    def solved(self) -> Array:
        """Which nets (nets,) answer all four facts rightly: beyond 1/2, and did not diverge."""
        with np.errstate(all="ignore"):
            return (
                right(self.crowd, self.facts).all(axis=-1)
                & (self.diverged < 0)
                & (self.circuit_of != "")
            )

    @property
    def count(self) -> int:
        """How many are solved."""
        return int(self.solved.sum())

    @property
    def share(self) -> float:
        """The share of the nets that are solved."""
        return self.count / self.nets

    @property
    def interval(self) -> Interval:
        """Wilson's 95 per cent interval of that share."""
        return wilson(self.count, self.nets)

    @cached_property
    def circuit_of(self) -> Array:
        """The name of each net's circuit (nets,), solved or not; "" where a number is not finite.

        For Sigmoid and Tanh units, of their canonical form: each can be turned round.
        """
        crowd = self.crowd
        if self._is_relu:
            return circuit_names(crowd)
        finite = np.all(
            [np.isfinite(a).reshape(self.nets, -1).all(axis=1) for a in crowd.parameters.values()],
            axis=0,
        )
        twin = crowd.copy()
        for array in twin.parameters.values():
            array[~finite] = 0
        return np.where(finite, circuit_names(canonical(twin)), "")

    @cached_property
    def circuits(self) -> list[Found]:
        """The circuits that were found, by falling count; then those that no net has found.

        Every solved net is in one. The others are known for ReLU units, up to two of them,
        where there is a catalogue.
        """
        known = {circuit.name: circuit for circuit in self._catalogue}
        found = [
            Found(self, name, members, known.get(name)) for name, members in self._groups(False)
        ]
        names = {one.name for one in found}
        nobody = np.zeros(0, int)
        return found + [Found(self, n, nobody, c) for n, c in known.items() if n not in names]

    @cached_property
    def motifs(self) -> list[Found]:
        """The motifs that were found, by falling count; every solved net is in one.

        A motif is a circuit in which facts on a unit's kink are left open: `minnet.study.motifs`.
        """
        return [Found(self, name, members) for name, members in self._groups(True)]

    def _groups(self, motifs: bool) -> list[tuple[str, Array]]:
        """Names, and the numbers of the solved nets that have them."""
        solved = np.flatnonzero(self.solved)
        of = motif_names(self.crowd) if motifs and self._is_relu else self.circuit_of
        names, which = np.unique(of[solved], return_inverse=True)
        groups = [(str(name), solved[which == i]) for i, name in enumerate(names)]
        return sorted(groups, key=lambda group: (-len(group[1]), group[0]))

    @property
    def _is_relu(self) -> bool:
        return type(parts(self.crowd).hidden) is ReLU

    @property
    def _catalogue(self) -> list[Circuit]:
        units = parts(self.crowd).b.shape[-1]
        listed = self._is_relu and units <= LISTED
        return catalogue(self.gate, units) if listed else []

    @cached_property
    def failure_of(self) -> Array:
        """Why each net (nets,) failed, of `minnet.study.failures.FAILURES`; "" where solved."""
        stopped = self.diverged >= 0
        return failures(self.crowd, self.facts, self.earlier, stopped, self.solved)

    @property
    def failures(self) -> dict[str, int]:
        """How many nets failed for each reason."""
        return {name: int((self.failure_of == name).sum()) for name in FAILURES}

    def member(self, i: int) -> Network:
        """Net i as training left it: a plain network of its own."""
        return self.crowd.member(i)

    def start(self, i: int) -> Network:
        """Net i as it started."""
        self.crowd.member(i)  # refuses a number that there is not
        return self._starts.member(i)

    @cached_property
    def _starts(self) -> Network:
        return self.crowd.member(0).replicate(self.nets, self.seed)

    def save(self, path: FilePath) -> None:
        """Save all of it, durably; `load` reads it.

        Raises
        ------
        FileError
            If it cannot be written, or something in the network is not registered; a file
            that was there is then as it was.
        """
        with naming(path):
            data = pack(_tree(self))
            if pack(_tree(_census(unpack(data)))) != data:
                raise FileError(NOT_THE_SAME)
            write(path, data)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return f"Census({self.nets} nets, {self.gate}, {self.steps} steps, seed {self.seed})"


@dataclass(frozen=True, eq=False, repr=False)
class Found:
    """A circuit or a motif in a census.

    Attributes
    ----------
    census : Census
    name : str
        Sign and pattern of each unit, as "+0100 +0010", or "+~10~ +~01~" for a motif.
    members : ndarray of int, shape (count,)
        The numbers of the nets that have it and are solved.
    circuit : Circuit or None
        That of the catalogue, where there is one.
    """

    census: Census
    name: str
    members: Array
    circuit: Circuit | None = None

    @property
    def count(self) -> int:
        """How many nets have it."""
        return len(self.members)

    @property
    def share(self) -> float:
        """Their share of all nets, solved or not."""
        return self.count / self.census.nets

    @property
    def interval(self) -> Interval:
        """Wilson's 95 per cent interval of that share."""
        return wilson(self.count, self.census.nets)

    @cached_property
    def network(self) -> Network:
        """A representative, in canonical form: the member nearest to the median of them all.

        Of a circuit that no net has found, the catalogue's own.
        """
        if not self.count:
            assert self.circuit is not None
            return canonical(self.circuit.network)
        forms = [canonical(self.census.member(int(i))) for i in self.members[:MEDIAN_OF]]
        rows = np.array([np.concatenate([*map(np.ravel, f.parameters.values())]) for f in forms])
        return forms[int(abs(rows - np.median(rows, axis=0)).sum(axis=1).argmin())]

    @property
    def equation(self) -> str:
        """That of the representative, as LaTeX."""
        return self.network.latex()

    @property
    def words(self) -> str:
        """What it is, by the catalogue; else nothing."""
        if self.circuit is None:
            return ""
        return self.circuit.nickname or f"{self.circuit.gate} = {self.circuit.words}"

    def __repr__(self) -> str:
        return f"Found({self.name!r}, {self.count} of {self.census.nets})"


MEDIAN_OF = 200  # members, for the representative


def load(path: FilePath) -> Census:
    """The census of a file.

    Raises
    ------
    FileError
        And nothing else, as `minnet.load`.
    """
    with naming(path):
        return _census(unpack(read(path)))


def _tree(census: Census) -> Tree:
    return {
        "kind": "census",
        "network": Writer().network(census.crowd),
        "gate": census.gate,
        "expected": census.facts.T,
        "steps": census.steps,
        "seed": census.seed,
        "earlier": census.earlier,
        "diverged": census.diverged,
    }


def _census(tree: Tree) -> Census:
    names = ("network", "gate", "expected", "steps", "seed", "earlier", "diverged")
    record = of_kind(tree, "census", names)
    crowd = Reader().network(record["network"])
    with refusing("the census"):
        if crowd.nets is None:
            raise ValueError("its network is no crowd")
        parts(crowd)
        facts = Facts(gate(record["gate"]).X, record["expected"])
        if gate_of(facts) != record["gate"]:
            raise ValueError("what it expects is not what its gate answers")
        generator(record["seed"])
        for key, kind in (("earlier", "f"), ("diverged", "i")):
            array = record[key]
            if not isinstance(array, np.ndarray) or array.dtype.kind != kind:
                raise ValueError(f"{key} must be an array, not {brief(array)}")
            if array.shape != (crowd.nets,):
                raise ValueError(f"{key} has shape {array.shape}, but there are {crowd.nets} nets")
        steps = positive_int(record["steps"], "steps")
        return Census(crowd, facts, steps, record["seed"], record["earlier"], record["diverged"])


def percent(share: float, interval: Interval) -> str:
    """A share with its interval.

    >>> percent(0.25, (0.2416, 0.2586))
    '25.0 % (24.2 to 25.9)'
    """
    low, high = (100 * end for end in interval)
    return f"{100 * share:.1f} % ({low:.1f} to {high:.1f})"


def _lines(census: Census) -> list[str]:
    p, n = parts(census.crowd), census.nets
    shape = f"2-{p.b.shape[-1]}-1 {type(p.hidden).__name__}"
    output = type(p.output).__name__.lower()
    lines = [
        f"{n} nets {shape} (output: {output}), {census.gate}, {census.steps} steps, "
        f"seed {census.seed}",
        f"{census.crowd.loss!r}, {census.crowd.optimizer!r}",
        "",
        f"solved: {census.count}, {percent(census.share, census.interval)}",
    ]
    found = [one for one in census.circuits if one.count]
    if census._is_relu and found:
        lines += ["", *_table("motif (~: a fact on the kink)", census.motifs)]
    if found:
        lines += ["", *_table("circuit", found)]
    if zeros := len(census.circuits) - len(found):
        lines.append(f"{zeros} of the catalogue's {len(census._catalogue)} circuits in no net")
    rows = [["failed", "nets", "share of all, 95 % interval"]]
    rows += [
        [name, str(count), percent(count / n, wilson(count, n))]
        for name, count in census.failures.items()
    ]
    return [*lines, "", *table(rows).splitlines()]


def _table(what: str, found: list[Found]) -> list[str]:
    rows = [[what, "nets", "share of all, 95 % interval"]]
    rows += [
        [f"{one.name}  {one.words}", str(one.count), percent(one.share, one.interval)]
        for one in found[:SHOWN]
    ]
    lines = table(rows).splitlines()
    if rest := found[SHOWN:]:
        lines.append(f"and {len(rest)} others, {sum(one.count for one in rest)} nets")
    return lines
