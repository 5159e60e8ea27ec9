"""A network on its bench, driven in any order, beside a model of plain arrays and functions.

The model knows what a network should be: layer objects in order, their numbers, and what
the optimizer remembers. After every rule the two are compared: to the last bit where
nothing was learned, to 1e-12 of the largest number a step where something was.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import autograd.numpy as anp
import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from autograd import grad
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from properties import close, moderate, same

from bench import NNBench
from minnet import (
    SGD,
    Adam,
    Affinity,
    Facts,
    Identity,
    Layer,
    Loss,
    Map,
    MeanSquaredError,
    Network,
    Optimizer,
    Sigmoid,
    SquaredError,
    Tanh,
)
from minnet.snapshots import Snapshot

widths = st.integers(1, 3)
seeds = st.integers(0, 5)
counts = st.integers(1, 3)
optimizers = st.sampled_from([SGD(0.1), SGD(0.05, 0.9, 0.01), Adam(0.02)])
losses = st.sampled_from([SquaredError(), MeanSquaredError(), SquaredError("mean")])
names = st.none() | st.sampled_from(["before ReLU", "b"])
engines = st.sampled_from(["auto", "layers", "floats", "arrays"])


# The model


@dataclass
class Piece:
    """A layer: its object, and its numbers (nets, size), or (1, size) for a plain one."""

    layer: Layer
    nets: int | None
    numbers: Any
    inside: list[Piece] = field(default_factory=list)


@dataclass
class Model:
    """What a network should be."""

    pieces: list[Piece]
    loss: Loss
    optimizer: Optimizer
    seed: int  # of the bench
    memory: list[Any] | None = None  # by net
    diverged: Any = None  # the number of the step, by net

    def copy(self) -> Model:
        return replace(self, pieces=copied(self.pieces), memory=copy.deepcopy(self.memory))


def copied(pieces: list[Piece]) -> list[Piece]:
    return [replace(p, numbers=p.numbers.copy(), inside=copied(p.inside)) for p in pieces]


def leaves(pieces: list[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if isinstance(piece.layer, Network):
            yield from leaves(piece.inside)
        else:
            yield piece


def fits(pieces: list[Piece]) -> bool:
    """Whether widths and numbers of nets go together."""
    width, nets = None, set()
    for piece in leaves(pieces):
        if piece.layer.n is not None:
            if width not in (None, piece.layer.n):
                return False
            width = piece.layer.m
            nets.add(piece.nets)
    return len(nets) <= 1


def family(piece: Piece) -> Iterator[Piece]:
    """The piece and all inside it."""
    yield piece
    for inner in piece.inside:
        yield from family(inner)


def flat(pieces: list[Piece]) -> Any:
    """All numbers, (nets, size)."""
    rows = [piece.numbers for piece in leaves(pieces) if piece.numbers.size]
    return np.concatenate(rows, axis=1) if rows else np.zeros((1, 0))


def put(pieces: list[Piece], rows: Any) -> None:
    start = 0
    for piece in leaves(pieces):
        size = piece.numbers.shape[1]
        if size:
            piece.numbers = rows[:, start : start + size].copy()
            start += size


def output(pieces: list[Piece], p: Any, x: Any) -> Any:
    """The output of one net with the numbers p (size,) for one fact x (n,)."""
    start = 0
    for piece in leaves(pieces):
        q = {}
        for key, shape in {"M": (piece.layer.m, piece.layer.n), "b": (piece.layer.m,)}.items():
            if piece.numbers.size:
                size = np.prod(shape)
                q[key], start = p[start : start + size].reshape(shape), start + size
        x = x if type(piece.layer) is Map else oracle.forward(piece.layer, q, x)
    return x


def loss_of(model: Model, p: Any, X: Any, T: Any) -> Any:
    total = sum(
        oracle.loss(model.loss, output(model.pieces, p, x), t) for x, t in zip(X, T, strict=True)
    )
    return total / len(X) if model.loss.reduction == "mean" else total


def learned(model: Model, facts: list[tuple[Any, Any]]) -> list[Any]:
    """Takes the steps in the model; the loss of each, (nets,)."""
    before, every = flat(model.pieces), []
    memory = model.memory or [None] * len(before)
    diverged = np.full(len(before), -1)
    for number, (x, t) in enumerate(facts):
        every.append(np.full(len(before), np.inf))
        for i in np.flatnonzero(diverged < 0):
            X, T = (np.atleast_2d(a[i] if a.ndim == 3 else a) for a in (x, t))
            with np.errstate(all="ignore"):
                loss = loss_of(model, before[i], X, T)
                g = grad(lambda p: loss_of(model, p, X, T))(before[i])  # noqa: B023
                p, remembered = oracle.step(model.optimizer, before[i], g, memory[i])
            if np.isfinite(loss) and np.isfinite(p).all():
                before[i], memory[i], every[-1][i] = p, remembered, loss
            else:
                diverged[i] = number
        if (diverged >= 0).all():
            break
    put(model.pieces, before)
    model.memory, model.diverged = memory, diverged
    return every


# The machine


def gate(x: float) -> float:
    """x, for scalars of common size only."""
    if abs(x) > 100:
        raise ArithmeticError("too large")
    return x


def slope_of_gate(x: float) -> int:
    return 1


class NetworkMachine(RuleBasedStateMachine):
    net: Network
    model: Model
    bench: NNBench

    def __init__(self) -> None:
        super().__init__()
        self.released: list[Piece] = []  # layers that have gone, whose numbers must stay
        self.snapshots: list[tuple[Snapshot, Model]] = []
        self.others: list[tuple[Network, Any]] = []  # networks left behind, and their numbers

    # What the rules use

    def on_the_bench(self, net: Network, model: Model) -> None:
        """This network from now on."""
        self.net, self.model = net, model
        self.released, self.snapshots = [], []
        self.bench = NNBench(net, lambda x: [x.sum() / 4] * net.m, model.seed)
        self.checkpoints: dict[str | None, Model] = {None: model.copy()}

    def twin(self, net: Network) -> list[Piece]:
        """The model's pieces for a network of the same structure."""

        def pieces(layers: Any, old: list[Piece]) -> list[Piece]:
            return [
                Piece(
                    layer, p.nets, p.numbers.copy(), pieces(getattr(layer, "layers", ()), p.inside)
                )
                for layer, p in zip(layers, old, strict=True)
            ]

        return pieces(net.layers, self.model.pieces)

    def chains(self) -> list[tuple[Network, list[Piece]]]:
        """The network and those inside it, with their pieces."""
        found = [(self.net, self.model.pieces)]
        for _, pieces in found:
            found += [(p.layer, p.inside) for p in pieces if isinstance(p.layer, Network)]
        return found

    def state(self) -> Any:
        """All that a refused call must leave as it is."""
        memory = self.net._memory
        remembered = memory and {key: array.tobytes() for key, array in memory.items()}
        chains = [(id(chain), chain.layers, chain.names) for chain, _ in self.chains()]
        diverged = repr(self.net.diverged)
        settings = repr((self.net.loss, self.net.optimizer, self.net.engine, self.bench.seed))
        return chains, self.net._flat.tobytes(), remembered, diverged, settings

    def structure_changes(self, pieces: list[Piece], new: list[Piece], chain: Network) -> None:
        """Tries it; the model says whether it must be refused."""
        old, before = pieces[:], self.state()
        pieces[:] = new
        if fits(self.model.pieces):
            chain.layers = [piece.layer for piece in new]
            kept = [piece.layer for piece in new]
            self.released += [p for p in old if not any(p.layer is layer for layer in kept)]
            self.released = [p for p in self.released if not any(p.layer is x for x in kept)]
            self.model.memory = self.model.diverged = None
        else:
            pieces[:] = old
            with pytest.raises(ValueError, match=r"inputs, but layer|as many nets"):
                chain.layers = [piece.layer for piece in new]
            assert self.state() == before

    def new_piece(self, data: Any, n: int | None, depth: int = 1) -> Piece:
        """A layer that takes n inputs (or, sometimes, does not)."""
        kind = data.draw(st.sampled_from([Affinity, Affinity, Tanh, Sigmoid, Identity, Network]))
        if kind is Affinity or not depth:
            n = n if n and data.draw(st.integers(0, 5)) else data.draw(widths)
            layer = Affinity(n, data.draw(widths), rng=data.draw(seeds))
            return Piece(layer, None, np.concatenate([layer.M.ravel(), layer.b])[None])
        if kind is Network:
            inside: list[Piece] = []
            for _ in range(data.draw(st.integers(0, 2))):
                piece = self.new_piece(data, self.width(inside) or n, depth - 1)
                if fits([*inside, piece]):
                    inside.append(piece)
            return Piece(Network([p.layer for p in inside]), None, np.zeros((1, 0)), inside)
        return Piece(kind(), None, np.zeros((1, 0)))

    def width(self, pieces: list[Piece]) -> int | None:
        """How many outputs."""
        return next((p.layer.m for p in reversed(list(leaves(pieces))) if p.layer.m), None)

    def nets(self) -> int | None:
        return next((p.nets for p in leaves(self.model.pieces) if p.numbers.size), None)

    def tame(self) -> bool:
        """Able to learn, with numbers of which a few steps cannot make anything absurd."""
        return self.net.n is not None and np.abs(flat(self.model.pieces)).max() < 10

    def facts(self, data: Any, steps: int, own: bool = False) -> list[tuple[Any, Any]]:
        """Facts or batches of one shape; for each net its own, if `own`."""
        n, m, nets = self.net.n, self.width(self.model.pieces), self.nets()
        batch = data.draw(st.sampled_from([(), (1,), (2,)]), "batch")
        lead = (nets, *(batch or (1,))) if own and nets else batch
        x = data.draw(moderate((steps, *lead, n), (-5,)), "x")
        t = data.draw(moderate((steps, *lead, m), (-5,)), "expected")
        return list(zip(x, t, strict=True))

    def compare_learned(self, actual: Any, expected: list[Any], steps: int) -> None:
        """Losses and numbers are the model's; from here on it has the network's."""
        for a, e in zip(actual, expected, strict=True):
            finite = np.isfinite(e)
            assert np.array_equal(np.isfinite(np.atleast_1d(a)), finite)
            close(np.atleast_1d(a)[finite], e[finite], "loss", steps * 1e-12, 1e-15)
        rows = np.atleast_2d(self.net._flat)
        close(rows, flat(self.model.pieces), "numbers learned", steps * 1e-12)
        put(self.model.pieces, rows)

    # Rules

    @initialize(data=st.data(), loss=losses, optimizer=optimizers, gated=st.booleans())
    def start(self, data: Any, loss: Loss, optimizer: Optimizer, gated: bool) -> None:
        pieces: list[Piece] = []
        if gated:
            pieces.append(Piece(Map(gate, slope_of_gate), None, np.zeros((1, 0))))
        for _ in range(data.draw(st.integers(0, 4))):
            piece = self.new_piece(data, self.width(pieces))
            if fits([*pieces, piece]):
                pieces.append(piece)
        net = Network([piece.layer for piece in pieces], loss=loss, optimizer=optimizer)
        net.engine = data.draw(engines, "engine")
        self.on_the_bench(net, Model(pieces, loss, optimizer, seed=3))
        nets = data.draw(st.none() | counts, "nets")
        if nets and net.size:
            self.replicate(nets, 0)

    @rule(data=st.data(), own=st.booleans())
    def forward_and_backprop(self, data: Any, own: bool) -> None:
        n, nets = self.net.n or 2, self.nets()
        lead = data.draw(st.sampled_from([(), (1,), (3,)] if nets is None else [(1,), (3,)]))
        x = data.draw(moderate((nets, *lead, n) if own and nets else (*lead, n), (-5,)), "x")
        before = self.state()
        y, caches = self.net.forward(x)
        dy = data.draw(moderate(y.shape, (-5,)), "dy")
        dx, gradients = self.net.backprop(dy, caches)
        assert self.state() == before
        same(self.net(x), y, "output of a call")
        rows = flat(self.model.pieces)
        for i, p in enumerate(rows):
            X = np.atleast_2d(x[i] if x.ndim == 3 else x)
            U = np.atleast_2d(dy if nets is None else dy[i])
            own_y = y if nets is None else y[i]
            expected = np.array([output(self.model.pieces, p, x) for x in X])
            close(np.atleast_2d(own_y), expected, "output", 1e-12, 1e-15)

            def upstream(p: Any, X: Any, U: Any = U) -> Any:
                return sum(anp.dot(output(self.model.pieces, p, X[k]), U[k]) for k in range(len(U)))

            own_dx = np.atleast_2d(dx if nets is None else dx[i])
            floor = 1e-14 * np.abs(U).max()
            close(own_dx, grad(upstream, 1)(p, X), "dx", 1e-12, floor)
            if p.size:
                parts = [
                    gradients[key] if nets is None else gradients[key][i] for key in self.net.shapes
                ]
                g = np.concatenate([part.ravel() for part in parts])
                close(g, grad(upstream)(p, X), "gradients", 1e-12, floor)

    @precondition(lambda self: self.tame())
    @rule(data=st.data(), own=st.booleans(), steps=counts, epochs=st.integers(1, 2))
    def learn(self, data: Any, own: bool, steps: int, epochs: int) -> None:
        facts = self.facts(data, steps, own)
        form = data.draw(st.sampled_from(["list", "tuple", "iterator", "Facts"]), "form")
        given: Any = {"list": list, "tuple": tuple, "iterator": iter}.get(form, list)(facts)
        if form == "Facts" and facts[0][0].ndim == 1:
            given = Facts(*map(np.array, zip(*facts, strict=True)))
        epochs = 1 if form == "iterator" else epochs
        expected = learned(self.model, facts * epochs)
        self.compare_learned([self.net.learn(given, epochs)], expected[-1:], steps * epochs)

    @precondition(lambda self: self.tame())
    @rule(data=st.data(), own=st.booleans(), steps=counts)
    def steps(self, data: Any, own: bool, steps: int) -> None:
        """The generator behind `learn`, left after some of its steps."""
        facts = self.facts(data, steps, own)
        taken = data.draw(st.integers(1, steps), "taken")
        walk = self.net.steps(facts)
        actual = [next(walk) for _ in range(taken)]
        self.compare_learned(actual, learned(self.model, facts[:taken]), taken)

    @precondition(lambda self: self.tame())
    @rule(data=st.data(), steps=counts, own=st.booleans())
    def diverge(self, data: Any, steps: int, own: bool) -> None:
        """A loss beyond the floats is a result: that step is not taken, nor any after it."""
        facts = self.facts(data, steps, own)
        bad = data.draw(st.integers(0, steps - 1), "bad fact")
        which = (data.draw(st.integers(0, len(facts[bad][1]) - 1), "which"), ...)
        facts[bad][1][which] = 1e200
        expected = learned(self.model, facts)
        assert (self.model.diverged == bad).any()
        if data.draw(st.booleans(), "by steps"):
            self.compare_learned(list(self.net.steps(facts)), expected, steps)
        else:
            self.compare_learned([self.net.learn(facts)], expected[-1:], steps)

    @precondition(lambda self: self.tame() and self.gated())
    @rule(data=st.data(), steps=counts)
    def stumble(self, data: Any, steps: int) -> None:
        """A layer that fails on the way: what a list's facts had taught is forgotten."""
        facts = self.facts(data, steps)
        x, t = facts[-1]
        before = self.state()
        with pytest.raises(ValueError, match="too large"):
            self.net.learn([*facts, (x + 1000, t)])
        assert self.state() == before
        expected = learned(self.model, facts)
        walk = self.net.steps(iter([*facts, (x + 1000, t)]))
        actual = [next(walk) for _ in facts]
        with pytest.raises(ValueError, match="too large"):
            next(walk)
        self.compare_learned(actual, expected, steps)

    def gated(self) -> bool:
        """Whether inputs come to the gate as they are."""
        return type(next(leaves(self.model.pieces)).layer) is Map

    @rule()
    def take_snapshot(self) -> None:
        self.snapshots.append((Snapshot(self.net), self.model.copy()))

    @rule(name=names)
    def take_checkpoint(self, name: str | None = None) -> None:
        self.bench.checkpoint_net(name)
        self.checkpoints.pop(name, None)
        self.checkpoints[name] = self.model.copy()

    @rule(seed=seeds)
    def assign_seed(self, seed: int) -> None:
        self.bench.seed = self.model.seed = seed

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def restore_snapshot(self, data: Any) -> None:
        snapshot, model = data.draw(st.sampled_from(self.snapshots), "snapshot")
        self.back_to(replace(model, seed=self.model.seed), snapshot.restore)

    @rule(name=names)
    def rollback(self, name: str | None) -> None:
        if name in self.checkpoints:
            self.back_to(self.checkpoints[name], lambda: self.bench.rollback_net(name))
        else:
            before = self.state()
            with pytest.raises(KeyError, match="there is no checkpoint"):
                self.bench.rollback_net(name)
            assert self.state() == before

    def back_to(self, model: Model, restore: Callable[[], None]) -> None:
        """The model as it was; layers that came since then have gone, with their numbers."""
        before = self.model.pieces
        restore()
        self.model = model.copy()
        here = [p.layer for _, pieces in self.chains() for p in pieces]

        def gone(pieces: list[Piece]) -> Iterator[Piece]:
            for piece in pieces:
                if piece.layer in here:
                    yield from gone(piece.inside)
                elif all(p.layer not in here for p in family(piece)):
                    yield piece

        self.released = list(gone([*self.released, *before]))

    @precondition(lambda self: self.tame())
    @rule(n=counts)
    def learn_on_the_bench(self, n: int) -> None:
        facts = list(self.bench.training_data_gen(n))
        for (x, t), again in zip(facts, self.bench.training_data_gen(n), strict=True):
            same(x, again[0], "x drawn again")
            same(t, [x.sum() / 4] * self.net.m, "what the ideal expects")
        if self.nets() is not None:
            facts = [(x[None], t[None]) for x, t in facts]
        expected = learned(self.model, facts)
        self.compare_learned(self.bench.learn(n), expected, n)

    @precondition(lambda self: self.tame())
    @rule(n=counts, alpha=st.none() | st.sampled_from([0.01, 0.2]))
    def learning_potential(self, n: int, alpha: float | None) -> None:
        """-log of the last loss that learning would reach; all stays as it was."""
        before = self.state()
        potential = self.bench.learning_potential(n, alpha)
        assert self.state() == before
        model = self.model.copy()
        if alpha is not None:
            model.optimizer = model.optimizer.with_alpha(alpha)
        last = learned(model, [(x[None], t[None]) for x, t in self.bench.training_data_gen(n)])[-1]
        close(np.exp(-np.atleast_1d(potential)), last, "last loss", 1e-11, 1e-15)

    @precondition(lambda self: self.tame())
    @rule(n=counts, loss=losses, optimizer=optimizers, engine=engines)
    def replay(self, n: int, loss: Loss, optimizer: Optimizer, engine: str) -> None:
        """From one checkpoint the same losses come again, bit by bit, whatever was tried since."""
        self.take_checkpoint()
        first = self.bench.learn(n)
        self.net.loss, self.net.optimizer, self.net.engine = loss, optimizer, engine
        self.bench.learn(n)
        self.bench.rollback_net()
        assert np.array_equal(first, self.bench.learn(n))
        assert np.array_equal(first, self.bench.replay())
        self.bench.rollback_net()

    @rule(data=st.data())
    def extend(self, data: Any) -> None:
        chain, pieces = data.draw(st.sampled_from(self.chains()), "chain")
        if self.released and data.draw(st.booleans(), "one that has gone"):
            new = data.draw(st.sampled_from(self.released), "layer")
        else:
            new = self.new_piece(data, self.width(pieces))
        if data.draw(st.booleans(), "by extend"):
            before, wanted = self.state(), [*pieces, new]
            old, pieces[:] = pieces[:], wanted
            if fits(self.model.pieces):
                chain.extend(new.layer)
                self.released = [p for p in self.released if p is not new]
                self.model.memory = self.model.diverged = None
            else:
                pieces[:] = old
                with pytest.raises(ValueError, match=r"inputs, but layer|as many nets"):
                    chain.extend(new.layer)
                assert self.state() == before
        else:
            self.structure_changes(pieces, [*pieces, new], chain)

    @rule(data=st.data())
    def assign_layers(self, data: Any) -> None:
        """Some of the layers, in another order."""
        chain, pieces = data.draw(st.sampled_from(self.chains()), "chain")
        order = data.draw(st.permutations(pieces), "order")
        self.structure_changes(pieces, order[: data.draw(st.integers(0, len(order)))], chain)

    @rule(data=st.data(), way=st.sampled_from(["assign", "whole numbers", "write"]))
    def assign_numbers(self, data: Any, way: str) -> None:
        """Through the layer, or straight into the live array."""
        affinities = [p for p in leaves(self.model.pieces) if p.numbers.size]
        if not affinities:
            return
        piece = data.draw(st.sampled_from(affinities), "layer")
        layer, key = piece.layer, data.draw(st.sampled_from("Mb"), "parameter")
        old = layer.parameters[key]
        value = data.draw(moderate(old.shape, (0,) if way == "whole numbers" else (-4,)), "value")
        if way == "write":
            old[...] = value
        else:
            setattr(layer, key, value.astype(int).tolist() if way == "whole numbers" else value)
            value = value.astype(int) if way == "whole numbers" else value
        assert layer.parameters[key] is old
        rows, split = value.reshape(len(piece.numbers), -1), layer.n * layer.m
        piece.numbers[:, slice(split) if key == "M" else slice(split, None)] = rows

    @rule(alpha=st.sampled_from([0.02, 0.1]))
    def assign_alpha(self, alpha: float) -> None:
        """The optimizer remembers what it did."""
        self.net.alpha = alpha
        self.model.optimizer = self.net.optimizer
        assert self.net.alpha == alpha

    @rule(optimizer=optimizers)
    def assign_optimizer(self, optimizer: Optimizer) -> None:
        self.net.optimizer = self.model.optimizer = optimizer
        self.model.memory = None

    @rule(loss=losses)
    def assign_loss(self, loss: Loss) -> None:
        self.net.loss = self.model.loss = loss

    @rule(engine=engines)
    def assign_engine(self, engine: str) -> None:
        self.net.engine = engine

    @rule(seed=seeds)
    def randomize(self, seed: int) -> None:
        self.net.randomize(seed + 1)
        others = self.net._flat.copy()
        self.net.randomize(seed)
        rows = np.atleast_2d(self.net._flat).copy()
        assert np.isfinite(rows).all()
        assert not rows.size or not np.array_equal(np.atleast_2d(others), rows)
        self.net.randomize(seed)
        same(np.atleast_2d(self.net._flat), rows, "numbers drawn again")
        put(self.model.pieces, rows)

    @rule(way=st.sampled_from([copy.copy, copy.deepcopy, Network.copy,
                               lambda net: pickle.loads(pickle.dumps(net))]))  # fmt: skip
    def replace_by_copy(self, way: Callable[[Network], Network]) -> None:
        """A copy is the same, shares nothing, and what it left behind stays as it is."""
        twin = way(self.net)
        self.leave(twin, replace(self.model.copy(), pieces=self.twin(twin)))

    @precondition(lambda self: flat(self.model.pieces).size)
    @rule(nets=counts, seed=seeds)
    def replicate(self, nets: int, seed: int) -> None:
        crowd = self.net.replicate(nets, seed)
        same(self.net.replicate(nets + 1, seed)._flat[:nets], crowd._flat, "nets of a larger crowd")
        pieces = self.twin(crowd)
        for piece in leaves(pieces):
            if piece.numbers.size:
                piece.nets, piece.numbers = nets, np.zeros((nets, piece.numbers.shape[1]))
        put(pieces, crowd._flat)
        self.leave(crowd, replace(self.model, pieces=pieces, memory=None, diverged=None))

    @precondition(lambda self: self.nets() is not None)
    @rule(data=st.data())
    def member(self, data: Any) -> None:
        i = data.draw(st.integers(0, self.nets() - 1), "member")
        net = self.net.member(i)
        pieces = self.twin(net)
        for piece in leaves(pieces):
            if piece.numbers.size:
                piece.nets, piece.numbers = None, piece.numbers[[i]]
        memory = self.model.memory and copy.deepcopy([self.model.memory[i]])
        self.leave(net, replace(self.model, pieces=pieces, memory=memory, diverged=None))

    def leave(self, net: Network, model: Model) -> None:
        self.others.append((self.net, self.net._flat.copy()))
        self.on_the_bench(net, model)

    # What is refused

    @precondition(lambda self: self.tame())
    @rule(data=st.data(), kind=st.sampled_from(["width", "expected", "nan", "words", "no pair"]))
    def bad_fact(self, data: Any, kind: str) -> None:
        """A bad fact after a good one: from a list nothing is learned, else the good one is."""
        good = self.facts(data, 1)[0]
        x, t = good
        bad: Any = {
            "width": (np.zeros((*x.shape[:-1], x.shape[-1] + 1)), t),
            "expected": (x, np.zeros((*t.shape, 99))),  # as many nets or outputs there are not
            "nan": (x * np.nan, t),
            "words": (x, "one"),
            "no pair": (x,),
        }[kind]
        before = self.state()
        for call in (
            lambda: self.net.learn([good, bad]),
            lambda: list(self.net.steps([good, bad])),
        ):
            with pytest.raises((TypeError, ValueError), match=r"fact #1|pair"):
                call()
            assert self.state() == before
        expected = learned(self.model, [good])
        walk = self.net.steps(iter([good, bad]))
        first = next(walk)
        with pytest.raises((TypeError, ValueError), match=r"fact #1|pair"):
            next(walk)
        self.compare_learned([first], expected, 1)

    @rule(data=st.data())
    def bad_call(self, data: Any) -> None:
        """What is refused changes nothing."""
        net, layers = self.net, self.net.layers
        calls: dict[str, Callable[[], Any]] = {
            "no facts": lambda: net.learn([]),
            "no iterable": lambda: net.learn(3),
            "no epochs": lambda: net.learn([], epochs=0),
            "an iterator twice": lambda: net.learn(iter([]), epochs=2),
            "no layer": lambda: net.extend([Tanh(), 3]),
            "itself": lambda: net.extend(net),
            "alpha 0": lambda: setattr(net, "alpha", 0),
            "alpha nan": lambda: setattr(net, "alpha", np.nan),
            "no loss": lambda: setattr(net, "loss", SquaredError),
            "no optimizer": lambda: setattr(net, "optimizer", 0.1),
            "no engine": lambda: setattr(net, "engine", "steam"),
            "no nets": lambda: net.replicate(0),
            "no member": lambda: net.member(99),
            "no input": lambda: net(["x"]),
            "nan": lambda: net([np.nan] * (net.n or 1)),
            "no facts on the bench": lambda: self.bench.learn(0),
            "no alpha on the bench": lambda: self.bench.learning_potential(1, -1),
            "no name": lambda: self.bench.checkpoint_net(""),
            "no node": lambda: self.bench.replay(len(self.bench.history)),
        }
        if layers:
            calls["a place twice"] = lambda: net.extend(layers[0])
            calls["a place elsewhere"] = lambda: Network([layers[0]])
            calls["two of one name"] = lambda: net.extend([Tanh("a name"), Identity(name="a name")])
        for layer in layers:
            for key, array in layer.parameters.items():
                if "." not in key:
                    calls["a shape"] = lambda layer=layer, key=key, array=array: setattr(
                        layer, key, np.zeros((*array.shape, 1))
                    )
                    calls["nan as a number"] = lambda layer=layer, key=key, array=array: setattr(
                        layer, key, array * np.nan
                    )
        name = data.draw(st.sampled_from(sorted(calls)), "call")
        before = self.state()
        with pytest.raises((TypeError, ValueError, IndexError)):
            calls[name]()
        assert self.state() == before

    # What always holds

    @invariant()
    def structure_is_the_models(self) -> None:
        for chain, pieces in self.chains():
            assert len(chain.layers) == len(pieces)
            assert all(a is p.layer for a, p in zip(chain.layers, pieces, strict=True))
            for i, layer in enumerate(chain.layers):
                assert chain.names[i] == f"{type(layer).__name__.lower()}{i}" == layer.name
                assert chain[chain.names[i]] is layer
        assert self.net.nets == self.nets()
        assert self.net.m == self.width(self.model.pieces)
        assert self.net.size == flat(self.model.pieces).shape[1]
        diverged = self.model.diverged
        if self.nets() is None:
            stopped = None if diverged is None or diverged[0] < 0 else int(diverged[0])
            assert self.net.diverged == stopped
        else:
            assert np.array_equal(self.net.diverged, diverged)
        assert self.bench.seed == self.model.seed
        assert self.bench.checkpoints == tuple(name for name in self.checkpoints if name)
        assert repr(self.net.loss) == repr(self.model.loss)
        assert repr(self.net.optimizer) == repr(self.model.optimizer)

    @invariant()
    def numbers_are_the_models(self) -> None:
        rows = flat(self.model.pieces)
        same(np.atleast_2d(self.net._flat), rows, "numbers")
        same(
            self.net._flat.shape, rows.shape if self.nets() is not None else rows.shape[1:], "shape"
        )
        start = 0
        for key, array in self.net.parameters.items():
            size = array.size // len(rows)
            assert np.shares_memory(array, self.net._flat), key
            same(array.reshape(len(rows), -1), rows[:, start : start + size], key)
            start += size
        assert start == rows.shape[1]

    @invariant()
    def what_is_gone_stays(self) -> None:
        for net, numbers in self.others:
            same(net._flat, numbers, "numbers of a network left behind")
            assert not np.shares_memory(net._flat, self.net._flat)
        for piece in (p for gone in self.released for p in family(gone)):
            layer = piece.layer
            if isinstance(layer, Network):
                assert list(layer.layers) == [p.layer for p in piece.inside]
            elif piece.numbers.size:
                rows = [a.reshape(len(piece.numbers), -1) for a in layer.parameters.values()]
                same(np.concatenate(rows, axis=1), piece.numbers, "numbers of a layer gone")
                assert not any(np.shares_memory(a, self.net._flat) for a in rows)


TestNetwork = NetworkMachine.TestCase
TestNetwork.settings = settings(stateful_step_count=30, max_examples=3 * settings().max_examples)
