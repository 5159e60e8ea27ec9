"""The knobs of a bench without a screen: what every move does, and its history.

Every move rolls back to the checkpoint and learns again. Learning is done in slices, so
that whoever shows it can show how far it is, and stop it; the slices change no bit.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.ideals import IDEALS, LOGICAL, Ideal, of_table
from bench.nnbench import NNBench
from bench.potential import suggest_alpha
from bench.rebuilding import ACTIVATIONS, activation_of, hidden_widths, rebuild
from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Loss,
    MeanSquaredError,
    Network,
    Optimizer,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
)
from minnet.checks import brief, integer, number, one_of, positive_int
from minnet.facts import Distribution, standard_normal
from minnet.snapshots import Snapshot
from minnet.structure import leaves

OWN = "own"  # what the bench came with, where it is none of the choices
CURVES = ("raw", "low-pass")
WAYS = ("forward", "back")
LOSSES = ("squared error", "mean squared", "cross-entropy", "softmax")
OPTIMIZERS: dict[str, Optimizer] = {
    "SGD": SGD(1), "momentum 0.9": SGD(1, momentum=0.9), "Adam": Adam(1),
}  # fmt: skip
ALPHAS = (1e-4, 10.0)  # where the useful rates are; a network's own may lie beyond
MOST_HIDDEN = 20
SIGMA = 3  # of the low pass, in steps, as in notebook D
SLICE = 32  # steps between two looks at the clock

Move = tuple[str, Any]
_NONE_YET = Facts([[0]], [[0]])


@dataclass(frozen=True)
class Settings:
    """Where the knobs stand.

    Attributes
    ----------
    alpha : float or None
        The learning rate; None for a crowd's own ones.
    facts : int
        How many to learn.
    fact : int or None
        After how many of them to stop and look; None for all.
    seed : int or numpy.random.Generator
        What the facts are drawn with.
    start : int
        What the network is drawn with; -1 for the numbers it came with.
    ideal, activation, loss, optimizer, curve : str
        One of the choices.
    way : {"forward", "back"}
        Which numbers of the fact at hand are looked at.
    width : int
        Of the hidden layers; 0 without any.
    unit : (str, int) or None
        The affine layer and the place in it of the unit that is looked at.
    """

    alpha: float | None
    facts: int
    fact: int | None
    seed: Any
    start: int
    ideal: str
    activation: str
    width: int
    loss: str
    optimizer: str
    curve: str = "raw"
    way: str = "forward"
    unit: tuple[str, int] | None = None


@dataclass(frozen=True)
class Place:
    """Where learning starts from, and where the knobs stood then."""

    start: Snapshot
    settings: Settings


class Knobs:
    """A bench with knobs: every move rolls back and learns again, and is remembered.

    The network stays the user's own object. What is refused changes nothing.

    Parameters
    ----------
    bench : NNBench
        Its network as it is now is the first checkpoint.
    facts : int
        How many to learn at first.
    table : Facts, optional
        The user's own data, as one more ideal, "table".
    ideal : str
        What to learn at first: "own" for the bench's own ideal, which is no choice
        otherwise.

    Attributes
    ----------
    bench : NNBench
    settings : Settings
    history : list of (control, value)
        Every move since the beginning.
    choices : dict of str to tuple of str
        What there is to choose from, by control.
    losses : list
        Of the steps taken so far; the last is inf after a divergence.
    facts : Facts
        Those that are learned.

    Raises
    ------
    TypeError, ValueError
        As `NNBench.learn`.

    Examples
    --------
    >>> from minnet import Affinity
    >>> knobs = Knobs(NNBench(Network([Affinity(2, 2, rng=0)])))
    >>> knobs.move("ideal", "swap")
    >>> knobs.move("alpha", 50.0)
    >>> knobs.summary
    'diverged at fact 95'
    >>> knobs.history
    [('ideal', 'swap'), ('alpha', 50.0)]
    """

    def __init__(
        self, bench: NNBench, facts: int = 100, table: Facts | None = None, ideal: str = OWN
    ) -> None:
        self.bench = bench
        net = bench.net
        ideals = [Ideal(OWN, None, self._own_facts)] if ideal == OWN else []
        ideals += [*IDEALS, *([] if table is None else [of_table(table)]), *LOGICAL]
        self._ideals = {ideal.name: ideal for ideal in ideals}
        loss, optimizer = _named_loss(net), _named_optimizer(net)
        activation = activation_of(net)
        self.choices: dict[str, tuple[str, ...]] = {
            "ideal": tuple(self._ideals),
            "activation": _with_own(tuple(ACTIVATIONS), activation),
            "loss": _with_own(LOSSES, loss),
            "optimizer": _with_own(tuple(OPTIMIZERS), optimizer),
            "curve": CURVES,
            "way": WAYS,
        }
        settings = Settings(
            alpha=net.alpha if np.ndim(net.alpha) == 0 else None,
            facts=positive_int(facts, "the number of facts"),
            fact=None,
            seed=bench.seed,
            start=-1,
            ideal=one_of(ideal, tuple(self._ideals), "the ideal"),
            activation=activation,
            width=max(hidden_widths(net), default=0),
            loss=loss,
            optimizer=optimizer,
        )
        self._own_ends, self._own_loss, self._own_optimizer = (
            (net.n, net.m),
            net.loss,
            net.optimizer,
        )
        self._opening = self._place = Place(Snapshot(net), settings)
        self._checkpoints: tuple[Place, ...] = (self._place,)
        self.history: list[Move] = []
        self.losses: list[Any] = []
        self.facts = _NONE_YET
        self._kept: dict[Any, Facts] = {}
        self._kept_seed: Any = None
        self._job: Iterator[None] | None = None
        self._undo: tuple[Any, ...] = ()
        self._roll_back()
        self._finish()

    # moves

    @property
    def settings(self) -> Settings:
        """Where the knobs stand."""
        return self._place.settings

    def move(self, control: str, value: Any = None) -> None:
        """Make a move, and learn all that it asks for.

        Parameters
        ----------
        control : str
            An attribute of `Settings`; or "checkpoint", "rollback" and "reset", which take
            no value. A checkpoint makes what has been learned the start of learning; going
            back undoes everything since the last checkpoint, and once more, since the one
            before; a reset goes back to the beginning.
        value
            Of the attribute's kind. "fact": how many of the facts to learn, None for all.

        Raises
        ------
        TypeError, ValueError
            If the network cannot learn like that, and why; nothing has changed then.
        """
        self.begin(control, value)
        self._finish()

    def begin(self, control: str, value: Any = None) -> None:
        """Make a move whose learning `advance` does; parameters and errors are those of `move`."""
        if control == "checkpoint" and self.busy:
            self.stop()
        before = self._everything()
        try:
            relearn = self._moved(control, value)
            if relearn:
                self._roll_back()
        except BaseException:
            self._restore(before)
            raise
        self.history.append((control, value))
        if relearn:
            self._undo = before

    def advance(self, seconds: float = 0.01) -> bool:
        """Learn on for about so long; whether there is more to learn.

        Raises
        ------
        Exception
            What a layer of the user's own raises; the move is undone then.
        """
        until = time.perf_counter() + seconds
        while self._job is not None:
            self._next()
            if time.perf_counter() >= until:
                break
        return self._job is not None

    def stop(self) -> None:
        """Stop learning where it is: a move of "fact" to as many as have been learned."""
        if self._job is not None:
            self._job = None
            learned = len(self.losses)
            self._set(fact=learned)
            self.history.append(("fact", learned))

    def replay(self, history: Iterable[Sequence[Any]]) -> None:
        """Make all of these moves again, from where the knobs stand."""
        for control, value in history:
            self.move(control, tuple(value) if isinstance(value, list) else value)

    @property
    def busy(self) -> bool:
        """Whether there is more to learn."""
        return self._job is not None

    @property
    def ideal(self) -> Ideal:
        """What is to be learned."""
        return self._ideals[self.settings.ideal]

    @property
    def facts_asked(self) -> int:
        """How many facts the present move learns, if nothing diverges."""
        fact = self.settings.fact
        return self.settings.facts if fact is None else min(fact, self.settings.facts)

    def _moved(self, control: str, value: Any) -> bool:
        """Change the settings, and where learning starts; whether to learn again."""
        match control:
            case "alpha":
                self._set(alpha=number(value, "alpha", above=0))
            case "facts":
                self._set(facts=positive_int(value, "the number of facts"))
            case "fact":
                if value is not None and integer(value, "the fact") < 0:
                    raise ValueError(f"the fact must be a number from 0, not {value}")
                self._set(fact=value)
                return True
            case "seed":
                if integer(value, "the seed") < 0:
                    raise ValueError(f"the seed must be a number from 0, not {value}")
                self._set(seed=value)
            case "start":
                if integer(value, "the start") < 0:
                    raise ValueError(f"the start must be a number from 0, not {value}")
                self._place.start.restore()
                self.bench.net.randomize(value)
                self._place = Place(Snapshot(self.bench.net), self.settings)
                self._set(start=value)
            case "ideal":
                self._set(ideal=one_of(value, self.choices["ideal"], "the ideal"))
            case "width":
                if not 0 <= integer(value, "the width") <= 1000:
                    raise ValueError(f"the width must be from 0 to 1000, not {value}")
                self._set(width=value)
                self._change_structure()
            case "activation":
                self._set(activation=one_of(value, self.choices[control], "the activation"))
                self._change_structure()
            case "loss" | "optimizer":
                one_of(value, self.choices[control], f"the {control}")
                self._set(**{control: value})
            case "curve" | "way":
                self._set(**{control: one_of(value, self.choices[control], f"the {control}")})
                return False
            case "unit":
                self._set(unit=self._checked_unit(value))
                return False
            case "checkpoint":
                self._place = Place(Snapshot(self.bench.net), self.settings)
                self._checkpoints += (self._place,)
            case "rollback":
                self._go_back()
            case "reset":
                self._place, self._checkpoints = self._opening, (self._opening,)
            case _:
                raise ValueError(f"there is no control {brief(control)}")
        self._set(fact=None)
        return True

    def _set(self, **settings: Any) -> None:
        self._place = replace(self._place, settings=replace(self.settings, **settings))

    def _go_back(self) -> None:
        last = self._checkpoints[-1]
        looks = {key: getattr(self.settings, key) for key in ("curve", "way", "unit", "fact")}
        is_there = self._place == replace(last, settings=replace(last.settings, **looks))
        if is_there and len(self._checkpoints) > 1:
            self._checkpoints = self._checkpoints[:-1]
        self._place = self._checkpoints[-1]
        self._set(curve=looks["curve"], way=looks["way"])

    def _checked_unit(self, unit: Any) -> tuple[str, int] | None:
        if unit is None:
            return None
        if not isinstance(unit, tuple) or len(unit) != 2 or not self._has_unit(unit):
            raise ValueError(f"there is no unit {brief(unit)}: give an affine layer and a place")
        return unit

    def _has_unit(self, unit: tuple[str, int]) -> bool:
        name, place = unit
        layer = dict(leaves(self.bench.net)).get(name)
        return isinstance(layer, Affinity) and 0 <= integer(place, "the place") < (layer.m or 0)

    # learning

    def _roll_back(self) -> None:
        """Everything as the settings say, and nothing learned yet."""
        net, settings = self.bench.net, self.settings
        self._place.start.restore()
        self.bench.seed = settings.seed
        if settings.ideal == OWN:
            self._give_ends(self._own_ends)
            facts = self._facts_of(self.ideal)
        else:
            facts = self._facts_of(self.ideal)
            self._give_ends((facts.X.shape[1], facts.T.shape[-1]))
        loss, optimizer = settings.loss, settings.optimizer
        if (loss, optimizer) != (_named_loss(net), _named_optimizer(net)):
            alpha = net.alpha
            net.loss = self._own_loss if loss == OWN else _loss(loss, net)
            net.optimizer = self._own_optimizer if optimizer == OWN else OPTIMIZERS[optimizer]
            net.alpha = alpha
            self._place = Place(Snapshot(net), self.settings)
        if settings.alpha is not None:
            net.alpha = settings.alpha
        if settings.unit is not None and not self._has_unit(settings.unit):
            self._set(unit=None)
        self.losses, self.facts = [], facts
        self._job = self._learning(net.steps(facts))

    def _change_structure(self) -> None:
        """The hidden layers of the settings, from the start on."""
        net, width = self.bench.net, self.settings.width
        self._place.start.restore()
        hidden = hidden_widths(net)
        if width != max(hidden, default=0):
            hidden = [width] * max(len(hidden), 1) if width else []
        self._rebuild(net.n or 0, hidden, net.m or 0)

    def _give_ends(self, ends: tuple[int | None, int | None]) -> None:
        """A network of so many inputs and outputs, from the start on."""
        net = self.bench.net
        if ends != (net.n, net.m):
            self._rebuild(ends[0] or 0, hidden_widths(net), ends[1] or 0)

    def _rebuild(self, n: int, hidden: list[int], m: int) -> None:
        settings, net = self.settings, self.bench.net
        rebuild(net, n, hidden, m, settings.activation, max(settings.start, 0))
        self._place = Place(Snapshot(net), settings)

    def _own_facts(self, count: int, width: int, seed: Any) -> Facts:
        return self.bench.training_data_gen(count)

    def _facts_of(self, ideal: Ideal) -> Facts:
        """As many facts as the settings say; kept, since fewer are the first of more."""
        seed, count = self.settings.seed, self.settings.facts
        key = ideal.name, self.bench.ideal
        facts = self._kept.get(key) if self._kept_seed is seed else None
        if facts is None or len(facts) < count:
            width = ideal.n or self._own_ends[0] or 0
            facts = ideal.facts(count, width, copy.deepcopy(seed))
            if not isinstance(seed, int):  # a generator may be moved on by whoever holds it
                return facts
            if self._kept_seed is not seed:
                self._kept, self._kept_seed = {}, seed
            self._kept[key] = facts
        return facts if len(facts) == count else Facts(facts.X[:count], facts.T[:count])

    def _learning(self, steps: Iterator[Any]) -> Iterator[None]:
        count = self.facts_asked
        if count == 0:
            return
        for loss in steps:
            self.losses.append(loss)
            if len(self.losses) >= count:
                return
            if len(self.losses) % SLICE == 0:
                yield

    def _next(self) -> None:
        assert self._job is not None
        try:
            next(self._job)
        except StopIteration:
            self._job, self._undo = None, ()
        except BaseException:
            if self._undo:
                self._restore(self._undo)
            raise

    def _finish(self) -> None:
        while self._job is not None:
            self._next()

    def _everything(self) -> tuple[Any, ...]:
        return (
            Snapshot(self.bench.net), self._place, self._checkpoints, self.losses[:],
            self.facts, len(self.history), self.bench.seed, self._job,
        )  # fmt: skip

    def _restore(self, before: tuple[Any, ...]) -> None:
        (
            snapshot, self._place, self._checkpoints, self.losses,
            self.facts, moves, self.bench.seed, self._job,
        ) = before  # fmt: skip
        snapshot.restore()
        del self.history[moves:]
        self._undo = ()

    # how well it is learned

    @property
    def potential(self) -> float:
        """The learning potential, -log of the last loss; of a crowd's best net."""
        last = np.min(self.losses[-1]) if self.losses else np.nan
        with np.errstate(divide="ignore"):
            return float(-np.log(last))

    @property
    def summary(self) -> str:
        """How learning ended, in a line; or how far it is."""
        net = self.bench.net
        if self.busy:
            return f"learning: {len(self.losses)} of {self.facts_asked} facts"
        if not self.losses:
            return "nothing learned yet"
        if net.nets is not None:
            stopped = int((net.diverged >= 0).sum())
            best = f"learning potential of the best {self.potential:.2f}"
            return f"{stopped} of {net.nets} nets diverged · {best}"
        if net.diverged is not None:
            return f"diverged at fact {net.diverged}"
        return f"learning potential {self.potential:.2f} · last loss {self.losses[-1]:.3g}"

    def suggest(self) -> float:
        """A good alpha for these facts, at a safe distance from divergence; nothing changes.

        Raises
        ------
        ValueError
            As `NNBench.suggest_alpha`.
        """
        before = self._everything()
        try:
            self._roll_back()
            return suggest_alpha(_OnFacts(self.bench.net, self.facts), len(self.facts))
        finally:
            self._restore(before)


class _OnFacts(NNBench):
    """A bench whose data are given."""

    def __init__(self, net: Network, facts: Facts) -> None:
        super().__init__(net)
        self._facts = facts

    def training_data_gen(self, n: int, distribution: Distribution = standard_normal) -> Facts:
        return Facts(self._facts.X[:n], self._facts.T[:n])


def _with_own(names: tuple[str, ...], present: str) -> tuple[str, ...]:
    return names if present in names else (OWN, *names)


def _loss(name: str, net: Network) -> Loss:
    match name:
        case "squared error":
            return SquaredError()
        case "mean squared":
            return MeanSquaredError()
        case "cross-entropy":
            return BinaryCrossEntropy(from_logits=not isinstance(net.layers[-1], Sigmoid))
        case _:
            return SoftmaxCrossEntropy()


def _named_loss(net: Network) -> str:
    return next((name for name in LOSSES if repr(_loss(name, net)) == repr(net.loss)), OWN)


def _named_optimizer(net: Network) -> str:
    wanted = repr(net.optimizer.with_alpha(1))
    return next((name for name, one in OPTIMIZERS.items() if repr(one) == wanted), OWN)
