"""Benches are saved whole, and a learning that was killed goes on to the same bits."""

from __future__ import annotations

import copy
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.make import GOLDEN
from golden.make import bench as golden_bench
from sealed import changed, opened
from test_files import alike, double, square

import bench
import minnet
from bench import NNBench, bench_files, history_files
from bench.bench_files import GENERATORS
from minnet import SGD, Adam, Affinity, Map, MeanSquaredError, Network, ReLU, Tanh
from minnet.container import pack, unpack
from minnet.files import FileError, load

ROOT = Path(minnet.__file__).parents[1]


def made(seed: Any = 3, ideal: Callable[[Any], Any] = square) -> NNBench:
    """A bench that has learned and lost layers since its checkpoint."""
    inner = Network([Affinity(2, 3, rng=0), Tanh()])
    net = Network([inner, Affinity(3, 2, rng=1), ReLU()], optimizer=Adam(0.01))
    result = NNBench(net, ideal, seed)
    result.learn(5)
    result.checkpoint_net()
    result.learn(5)
    net.layers = net.layers[:2]
    inner.layers = (*inner.layers, Affinity(3, 3, "new", rng=2))
    net.learn([([1, 2], [3, 4])])
    return result


def again(one: NNBench, path: Path) -> NNBench:
    one.save(path)
    return NNBench.load(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bench.minnet"


@pytest.mark.parametrize("name", [None, *GENERATORS])
def test_a_loaded_bench_learns_and_rolls_back_as_the_saved_one(
    path: Path, name: str | None
) -> None:
    seed: Any = 3
    if name:
        seed = np.random.Generator(GENERATORS[name](7))
        seed.random(3, np.float32)  # in the middle of a number of 64 bits
    one = made(seed)
    if name:
        seed.random(5)
    two = again(one, path)
    assert two.ideal is square and (two.seed == 3 or name)
    net, inner, kept = two.net, two.net.layers[0], two.net.layers[1]
    for _ in range(2):
        alike(one.net, two.net)
        assert one.learn(20) == two.learn(20)
        alike(one.net, two.net)
        one.rollback_net()
        two.rollback_net()
    alike(one.net, two.net)
    assert two.net is net and net.layers[:2] == (inner, kept), "the same objects"
    assert one.learn(20) == two.learn(20)
    if name:
        assert one.seed.random() == two.seed.random()  # type: ignore[union-attr]


def test_the_seed_object_stays_the_same_through_rollback_where_it_did(path: Path) -> None:
    one = made(np.random.default_rng(0))
    two = again(one, path)
    seed = two.seed
    two.rollback_net()
    assert two.seed is seed
    one.seed = np.random.default_rng(1)
    two = again(one, path)
    seed = two.seed
    two.rollback_net()
    assert two.seed is not seed
    one.rollback_net()
    assert one.learn(3) == two.learn(3)


def test_a_file_made_again_is_the_same_file(path: Path) -> None:
    two = again(made(), path)
    first = path.read_bytes()
    two.save(path)
    assert path.read_bytes() == first


def test_crowds_are_kept(path: Path) -> None:
    one = NNBench(Network([Affinity(2, 2, rng=0)], dtype="float32").replicate(3, 0), square)
    one.learn(4)
    one.net.alpha = [0.1, 0.2, 0.3]
    one.checkpoint_net("rates")
    one.net.alpha = 0.5
    two = again(one, path)
    alike(one.net, two.net)
    assert str(two.history) == str(one.history)
    for bench_ in (one, two):
        bench_.rollback_net("rates")
    assert np.array_equal(one.learn(4), two.learn(4))
    assert np.array_equal(two.replay(since=0), one.replay(since=0))


def test_an_ideal_without_a_name_has_to_be_given_again(path: Path) -> None:
    one = made(ideal=lambda x: x + 1)
    one.save(path)
    with pytest.raises(FileError, match=r"ideal .* was not registered.*NNBench.load\(path, ideal="):
        NNBench.load(path)
    two = NNBench.load(path, ideal=one.ideal)
    assert one.learn(9) == two.learn(9)
    made().save(path)
    assert NNBench.load(path, ideal=double).ideal is double
    NNBench(Network([Affinity(1, 1)])).save(path)
    assert NNBench.load(path).ideal is bench.identity


def test_a_map_without_a_name_is_refused_and_the_old_file_stays(path: Path) -> None:
    made().save(path)
    before = path.read_bytes()
    with pytest.raises(FileError, match="registered"):
        NNBench(Network([Affinity(1, 1), Map(lambda x: x, lambda x: 1)])).save(path)
    assert path.read_bytes() == before


def test_a_bench_is_no_network_and_a_network_no_bench(path: Path) -> None:
    one = made()
    one.save(path)
    with pytest.raises(FileError, match="holds no network, but 'bench'"):
        load(path)
    one.net.save(path)
    with pytest.raises(FileError, match="holds no bench, but 'network'"):
        NNBench.load(path)
    with pytest.raises(FileError, match="No such file"):
        NNBench.load(path.with_name("missing"))


def set_in(*places: Any) -> Callable[[Any], None]:
    """Set what is at the path of the first arguments to the last one; ... deletes it."""
    *parts, last, value = places

    def change(tree: Any) -> None:
        for part in parts:
            tree = tree[part]
        if value is ...:
            del tree[last]
        else:
            tree[last] = value

    return change


def state(*places: Any) -> Callable[[Any], None]:
    return set_in("seed", "state", *places)


def swap_parameters(tree: Any) -> None:
    layer = tree["checkpoints"][0]["net"]["layers"][1]
    assert "same" in layer
    layer["parameters"] = {"b": layer["parameters"]["M"], "M": layer["parameters"]["b"]}


HOSTILE = {
    "a position that reads foreign memory": ("MT19937", state("state", "pos", 10**6)),
    "a negative position": ("MT19937", state("state", "pos", -1)),
    "a key of another shape": ("MT19937", state("state", "key", [1.0])),
    "a buffer beyond its end": ("Philox", state("buffer_pos", 5)),
    "a buffer before its start": ("Philox", state("buffer_pos", -(2**31))),
    "a flag of 2": ("PCG64", state("has_uint32", 2)),
    "half a number too large": ("PCG64", state("uinteger", 2**32)),
    "129 bits": ("PCG64", state("state", "state", 2**128)),
    "a truth value": ("PCG64", state("has_uint32", True)),
    "a float": ("PCG64DXSM", state("state", "inc", 1.0)),
    "no state": ("SFC64", state("state", ...)),
    "more state": ("SFC64", state("more", 1)),
    "another generator's state": ("PCG64", state("bit_generator", "SFC64")),
    "no generator": ("PCG64", state("bit_generator", "os.system")),
    "a list of generators": ("PCG64", state("bit_generator", ["PCG64"])),
    "a state that is a list": ("PCG64", set_in("seed", "state", [])),
    "a generator out of order": ("PCG64", set_in("seed", "generator", 1)),
    "a generator of number -1": ("PCG64", set_in("seed", "generator", -1)),
    "a generator of number 0.0": ("PCG64", set_in("seed", "generator", 0.0)),
    "a seed below 0": (None, set_in("seed", -1)),
    "a seed that is true": (None, set_in("seed", True)),
    "a seed that is text": (None, set_in("seed", "3")),
    "an ideal of code": (None, set_in("ideal", "os.system")),
    "an ideal that is a class": (None, set_in("ideal", "SGD")),
    "checkpoints in a record": (None, set_in("checkpoints", {})),
    "a checkpoint that is null": (None, set_in("checkpoints", 0, None)),
    "a checkpoint without network": (None, set_in("checkpoints", 0, "net", ...)),
    "a checkpoint of a number's name": (None, set_in("checkpoints", 0, "name", 5)),
    "a layer that is no longer a network": (
        None, set_in("checkpoints", 0, "net", "layers", 0, "same", 1)),
    "a network in itself": (
        None, lambda tree: tree["checkpoints"][0]["net"]["layers"][0]["layers"].append(
            {**copy.deepcopy(tree["checkpoints"][0]["net"]["layers"][0]), "layers": []})),
    "a layer of another shape than it was": (
        None, set_in("checkpoints", 0, "net", "layers", 1, "same", 2)),
    "parameters of another shape than they were": (None, swap_parameters),
    "learning nothing": (None, set_in("learning", {})),
    "learning 2^60 facts": (
        None, set_in("learning", {"n": 2**60, "every": 1, "losses": [1.0]})),
    "losses that are no numbers": (
        None, set_in("learning", {"n": 5, "every": 1, "losses": ["a"]})),
    "no kind of bench": (None, set_in("kind", "workbench")),
    "an unknown field": (None, set_in("code", "print()")),
    "no net": (None, set_in("net", ...)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_benches_are_refused(path: Path, name: str) -> None:
    kind, change = HOSTILE[name]
    one = made(np.random.Generator(GENERATORS[kind](1)) if kind else 3)
    one.save(path)
    changed(path, change)
    with pytest.raises(FileError) as told:
        NNBench.load(path)
    assert str(told.value).startswith(f"{path}: ")


def test_optional_fields_may_be_missing_and_the_file_unchanged_loads(path: Path) -> None:
    one = made()
    one.save(path)
    changed(path, lambda tree: None)
    two = NNBench.load(path)
    assert str(two.history) == str(one.history)


def repacked(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the tree of the file, arrays included, in place."""
    tree = unpack(path.read_bytes())
    change(tree)
    path.write_bytes(pack(tree))


def past(*places: Any) -> Callable[[Any], None]:
    return set_in("history", *places)


def entry(column: str, number: int, value: Any) -> Callable[[Any], None]:
    return past("nodes", column, number, value)


def doubled(tree: Any) -> None:
    tree["checkpoints"].append(copy.deepcopy(tree["checkpoints"][0]))


def one_state_twice(tree: Any) -> None:
    tree["history"]["states"].append(copy.deepcopy(tree["history"]["states"][0]))


# nodes of the bench: 0 start, 1 learn, 2 checkpoint, 3 learn, 4 "named", 5 learn, 6 change
HOSTILE_HISTORY = {
    "no checkpoint": (set_in("checkpoints", []), "checkpoint without a name"),
    "no nameless checkpoint": (lambda tree: tree["checkpoints"].pop(0), "without a name"),
    "a checkpoint twice": (doubled, "is not the checkpoint"),
    "a checkpoint of another name": (set_in("checkpoints", 1, "name", "x"), "not the checkpoint"),
    "a checkpoint at no node": (set_in("checkpoints", 0, "node", 99), "cannot be #99 of 7"),
    "a checkpoint before time": (set_in("checkpoints", 0, "node", -1), "cannot be #-1"),
    "a checkpoint at a truth": (set_in("checkpoints", 0, "node", True), "cannot be #True"),
    "a checkpoint where it learned": (set_in("checkpoints", 0, "node", 1), "not the checkpoint"),
    "a checkpoint without seed": (entry("seed", 2, -1), "has no seed"),
    "no node of a checkpoint": (set_in("checkpoints", 0, "node", ...), "lacks 'node'"),
    "no present": (past("present", 7), "the present node cannot be #7"),
    "a history that is a list": (set_in("history", []), "the history must be a record"),
    "a history that is null": (set_in("history", None), "the history must be a record"),
    "a history without nodes": (past("nodes", {}), "its nodes lacks 'did'"),
    "a history with more": (past("future", 1), "does not know"),
    "a history without losses": (past("curves", None), "cannot be the losses"),
    "a loss too few": (past("curves", np.zeros(14)), "cannot be the losses"),
    "losses of another type": (past("curves", np.zeros(15, np.int64)), "cannot be the losses"),
    "losses that nobody had": (entry("kept", 1, 4), "cannot be the losses"),
    "losses of others": (
        lambda tree: (entry("kept", 1, 4)(tree), entry("kept", 3, 6)(tree)), "#1 .* is no step"),
    "states in a record": (past("states", {}), "states must be a list"),
    "a state where it learned": (past("states", 0, "node", 1), "no state of its own"),
    "a state of a checkpoint": (past("states", 0, "node", 2), "no state of its own"),
    "a state twice": (one_state_twice, "no state of its own"),
    "a table that is a record": (past("tables", "seeds", {}), "seeds must be a list"),
    "a table too many": (past("tables", "more", []), "does not know"),
    "an ideal of code": (past("tables", "ideals", 0, "os.system"), "no function is registered"),
    "a loss of code": (past("tables", "losses", 0, "class", "os.system"), "no loss is registered"),
    "an optimizer that is a loss": (
        past("tables", "optimizers", 0, "class", "SquaredError"), "no optimizer is registered"),
    "rates of no crowd": (
        past("tables", "optimizers", 0, "arguments", "alpha", {"array": np.ones(3), "dtype": "f"}),
        "cannot have the rates"),
    "an engine of steam": (past("tables", "engines", 0, "steam"), "engine of its history"),
    "a seed below 0": (past("tables", "seeds", 0, -1), "the seed must be a record"),
    "a name of control characters": (entry("name", 4, "\x1b[2J"), "#4 .* is no step"),
    "an empty name": (entry("name", 4, " "), "#4 .* is no step"),
    "a name of a number": (entry("name", 4, 7), "#4 .* is no step"),
    "a name for learning": (entry("name", 1, "x"), "#1 .* is no step"),
    "words of control characters": (entry("what", 0, "\x1b[2J"), "#0 .* is no step"),
    "words that are none": (entry("what", 0, None), "#0 .* is no step"),
    "no digest": (entry("digest", 1, ""), "#1 .* is no step"),
    "a digest of other letters": (entry("digest", 1, "g" * 32), "#1 .* is no step"),
    "a digest of nothing learned": (entry("digest", 2, "0" * 32), "#2 .* is no step"),
    "a parent in the future": (entry("parent", 2, 2), "#2 .* is no step"),
    "a parent of the start": (entry("parent", 0, 0), "#0 .* is no step"),
    "no parent": (entry("parent", 3, -1), "#3 .* is no step"),
    "two starts": (entry("did", 1, 0), "#1 .* is no step"),
    "no start": (entry("did", 0, 3), "#0 .* is no step"),
    "another kind": (entry("did", 1, 4), "#1 .* is no step"),
    "no facts": (entry("n", 1, 0), "#1 .* is no step"),
    "facts of a checkpoint": (entry("n", 2, 5), "#2 .* is no step"),
    "2^60 facts": (entry("n", 1, 2**60), "#1 .* is no step"),
    "nets below 0": (entry("nets", 1, -1), "#1 .* is no step"),
    "diverged before it began": (entry("diverged", 1, -2), "#1 .* is no step"),
    "a loss that is not in the table": (entry("loss", 1, 7), "cannot be #7 of 1"),
    "an optimizer below -1": (entry("optimizer", 1, -2), "cannot be #-2"),
    "an engine unknown": (entry("engine", 1, -1), "cannot be #-1"),
    "an alpha of an unknown optimizer": (entry("optimizer", 1, -1), "cannot have the alpha"),
    "no alpha": (entry("alpha", 1, np.nan), "cannot have the alpha"),
    "an alpha of 0": (entry("alpha", 1, 0.0), "alpha must be above 0"),
    "an alpha of inf": (entry("alpha", 1, np.inf), "alpha must be above 0"),
    "a column too short": (lambda tree: tree["history"]["nodes"]["what"].pop(), "what cannot be"),
    "a column of floats": (past("nodes", "parent", np.zeros(7)), "parent cannot be"),
    "a column of columns": (past("nodes", "parent", np.zeros((7, 1), int)), "parent cannot be"),
    "a column that is a number": (past("nodes", "parent", 5), "parent cannot be"),
    "no columns": (
        past("nodes", "did", np.zeros(0, int)), "(did|parent) cannot be"),
}  # fmt: skip


def with_a_name(path: Path) -> NNBench:
    one = made()
    one.rollback_net()
    one.checkpoint_net("named")
    one.learn(5)
    one.net.layers[0].layers[0].b[...] = 1
    one.save(path)
    return one


@pytest.mark.parametrize("name", HOSTILE_HISTORY)
def test_hostile_histories_are_refused(path: Path, name: str) -> None:
    change, words = HOSTILE_HISTORY[name]
    with_a_name(path)
    repacked(path, change)
    with pytest.raises(FileError, match=f"(?s){words}") as told:
        NNBench.load(path)
    assert str(told.value).startswith(f"{path}: ")


def test_what_the_hostile_histories_are_made_of_loads(path: Path) -> None:
    one = with_a_name(path)
    assert [node.did for node in one.history] == [
        "start", "learn", "checkpoint", "learn", "checkpoint", "learn", "change"]  # fmt: skip
    repacked(path, lambda tree: None)
    assert str(NNBench.load(path).history) == str(one.history)


# ---------------------------------------------------------------- checkpoints and history


def test_names_branches_and_losses_are_kept(path: Path) -> None:
    one = with_a_name(path)
    one.net.loss, one.seed, one.ideal = MeanSquaredError(), 4, double
    one.learn(3)
    one.rollback_net()
    one.net.alpha = 0.5
    one.learn(4)
    two = again(one, path)
    first = path.read_bytes()
    two.save(path)
    assert path.read_bytes() == first
    assert str(two.history) == str(one.history)
    assert (two.checkpoints, two.history.present) == (("named",), one.history.present)
    for a, b in zip(one.history, two.history, strict=True):
        assert np.array_equal(a.losses, b.losses) if a.losses is not None else b.losses is None
    for number in range(len(one.history)):
        assert one.replay(number) == two.replay(number)
        alike(one.net, two.net)
        assert (one.seed, one.ideal) == (two.seed, two.ideal)
    for name in (None, "named"):
        for bench_ in (one, two):
            bench_.rollback_net(name)
        alike(one.net, two.net)
        assert one.learn(5) == two.learn(5)


def test_what_no_file_can_hold_of_the_past_does_not_hinder_saving(path: Path) -> None:
    one = made(ideal=lambda x: x + 1)
    one.learn(3)
    here = one.history.present
    one.ideal = lambda x: x - 1
    one.learn(3)
    one.save(path)
    two = NNBench.load(path, ideal=one.ideal)
    assert str(two.history) == str(one.history)
    count = len(two.history)
    for number in (here, two.history.present):
        with pytest.raises(ValueError, match=f"could not hold the ideal of #{here - 1}"):
            two.replay(number)
    two.checkpoint_net()
    assert two.learn(5) == two.replay() == one.learn(5)
    assert [node.did for node in two.history[count:]] == ["checkpoint", "learn"]
    two.save(path)


def test_a_checkpoint_whose_seed_no_file_holds_is_refused(path: Path) -> None:
    class Mine(np.random.PCG64):
        pass

    one = made()
    one.seed = np.random.Generator(Mine(0))
    one.checkpoint_net("mine")
    one.seed = 3
    with pytest.raises(FileError, match="the seed is a Mine"):
        one.save(path)
    assert not path.exists()


def test_a_long_history_is_saved_in_a_few_lists(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_files, "LAYERS", 20)
    one = NNBench(Network([Affinity(1, 1, rng=0)]), square)
    for i in range(30):
        one.rollback_net()
        one.net.alpha, one.seed = 0.1 / (i + 1), i
        one.learn(2)
        one.net.layers = [*one.net.layers, Affinity(1, 1, rng=0)]
        one.learn(2)
    two = again(one, path)
    assert str(two.history) == str(one.history)
    kept = [node.number for node in two.history if node.did == "change" and node.state]
    there = [node.number for node in one.history if node.did == "change" and node.state]
    assert len(there) == 30 and kept == there[-18:], "the latest, as there is room"
    assert two.replay() == one.replay()
    with pytest.raises(ValueError, match=f"#{there[0]} changed structure .* no longer holds"):
        two.replay(there[0] + 1)
    history = opened(path.read_bytes())[0]["tree"]["history"]
    assert len(history["tables"]["optimizers"]) == 1, "but for alpha, which is a column"
    del history["states"]
    assert str(history).count("{") + str(history).count("[") < 60


def test_files_of_before_there_was_a_history_load(path: Path) -> None:
    one = made()
    one.save(path)

    def older(tree: Any) -> None:
        del tree["history"], tree["checkpoints"][0]["node"]
        tree["checkpoints"][0]["seed"] = 3

    repacked(path, older)
    two = NNBench.load(path)
    alike(two.net, one.net)
    assert len(two.history) == 1
    assert two.learn(5) == one.learn(5)
    assert [node.did for node in two.history] == ["start", "change", "learn"]
    for bench_ in (one, two):
        bench_.rollback_net()
    alike(two.net, one.net)
    assert two.seed == 3
    one.save(path)
    repacked(path, lambda tree: tree.pop("history"))
    with pytest.raises(FileError, match="lacks 'seed'"):
        NNBench.load(path)
    for checkpoints in ([], [{}, {}], [{"name": "x", "seed": 3, "net": {}}]):
        one.save(path)
        repacked(path, lambda tree: (tree.pop("history"), tree.update(checkpoints=checkpoints)))  # noqa: B023
        with pytest.raises(FileError, match=r"has one checkpoint|needs a history"):
            NNBench.load(path)


def test_a_resumed_learning_is_in_the_history(path: Path) -> None:
    expected, one = made(), made()
    losses = expected.learn(20)
    assert stopped(one, path, 20, 1, every=5)
    two, _ = NNBench.resume(path)
    assert str(two.history) == str(expected.history)
    assert two.replay() == losses
    assert str(NNBench.load(path).history) == str(expected.history)


def test_a_file_in_the_midst_of_learning_goes_on_from_there(path: Path) -> None:
    one = made()
    assert stopped(one, path, 20, 1, every=5)
    two = NNBench.load(path)
    count, numbers = len(two.history), two.net._flat.copy()
    two.checkpoint_net("midst")
    assert [node.did for node in two.history[count:]] == ["change", "checkpoint"]
    two.learn(3)
    two.replay(count)
    assert two.net._flat.tobytes() == numbers.tobytes()


def test_an_interrupted_last_save_leaves_bench_and_history(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made()
    one.autosave(path)
    count, numbers, replayed = len(one.history), one.net._flat.copy(), one.replay()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_files, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.learn(5)
    assert one.net._flat.tobytes() == numbers.tobytes()
    assert len(one.history) == count and one.replay() == replayed


# ---------------------------------------------------------------- while it learns


def test_autosave_saves_at_once_and_as_it_learns(path: Path) -> None:
    one = made()
    one.autosave(path, every=4)
    alike(NNBench.load(path).net, one.net)
    unbroken = again(one, path)
    losses = one.learn(10)
    assert unbroken.learn(10) == losses
    alike(NNBench.load(path).net, one.net)
    with pytest.raises(FileError, match="was not learning"):
        NNBench.resume(path)
    before = path.read_bytes()
    one.learning_potential(10)
    assert path.read_bytes() == before, "a trial is not saved"
    one.autosave(None)
    one.learn(10)
    assert path.read_bytes() == before


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize(
    "nets, alpha, seed, diverged",
    [
        (None, 0.0003, 5, [-1]),
        (None, 0.06, 5, [11]),
        (None, 0.07, 4, [4]),  # in the very step that is saved; the next one could be taken
        (8, 0.0003, 5, [17, -1, -1, -1, -1, 6, 4, -1]),
    ],
)
def test_a_learning_that_was_stopped_goes_on_as_if_it_had_not_been(
    path: Path, nets: int | None, alpha: float, seed: int, diverged: list[int], after: int
) -> None:
    def fresh() -> NNBench:
        layers = [Affinity(2, 2, rng=0), Map(square, double), Map(square, double)]
        net = Network(layers, optimizer=SGD(alpha, momentum=0.5))
        return NNBench(net if nets is None else net.replicate(nets, 1), square, seed)

    expected, one = fresh(), fresh()
    losses = expected.learn(20)
    assert np.ravel(expected.net._diverged).tolist() == diverged
    if not stopped(one, path, 20, after, every=5):
        assert after > (max(diverged) + 1) // 5  # it was done before
        return
    two, came = NNBench.resume(path)
    assert np.array_equal(losses, came) and len(came) == 20
    alike(two.net, expected.net)
    alike(NNBench.load(path).net, expected.net)


class Killed(BaseException):
    """Stops a learning as a signal would, between two steps."""


def stopped(one: NNBench, path: Path, n: int, after: int, every: int) -> bool:
    """Whether learning n facts was stopped in the save number `after`."""
    with killed_after(after + 1):
        one.autosave(path, every)
        one.learn(n)
    return "learning" in tree_of(path)


@contextmanager
def killed_after(saves: int) -> Iterator[None]:
    done, save = itertools.count(1), bench_files.save

    def counted(*arguments: Any) -> None:
        save(*arguments)
        if next(done) == saves:
            raise Killed

    with pytest.MonkeyPatch.context() as patched, suppress(Killed):
        patched.setattr(bench_files, "save", counted)
        yield


def tree_of(path: Path) -> Any:
    return opened(path.read_bytes())[0]["tree"]


def test_a_learning_that_is_stopped_twice_goes_on_too(path: Path) -> None:
    expected, one = made(), made()
    losses = expected.learn(30)
    assert stopped(one, path, 30, 1, every=7)
    assert (tree_of(path)["learning"]["n"], tree_of(path)["learning"]["every"]) == (30, 7)
    with killed_after(2):
        NNBench.resume(path)
    two, came = NNBench.resume(path)
    assert came == losses
    alike(two.net, expected.net)


def test_a_save_that_fails_while_learning_is_warned_of_and_learning_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    one, other = made(), made()
    one.autosave(folder / "bench", every=5)
    (folder / "bench").unlink()
    folder.rmdir()
    with pytest.warns(RuntimeWarning, match="not saved, but learning goes on: .*No such file"):
        assert one.learn(10) == other.learn(10)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "5"])
def test_autosave_refuses_what_it_cannot_do_and_changes_nothing(path: Path, every: Any) -> None:
    one = made()
    with pytest.raises((TypeError, ValueError), match="every must be a positive integer"):
        one.autosave(path, every)
    with pytest.raises(FileError, match="No such file"):
        one.autosave(path / "missing" / "file")
    assert one._autosave is None and not path.exists()


KILLED = """
import sys
import numpy as np
from bench import NNBench
from minnet import Adam, Affinity, Network, Tanh
from minnet.registry import register
ideal = register("swap")(lambda x: x[::-1])

def bench():
    net = Network([Affinity(2, 3, rng=0), Tanh(), Affinity(3, 2, rng=1)], optimizer=Adam(0.01))
    return NNBench(net, ideal, 3)

if __name__ == "__main__":
    path, n = sys.argv[1], int(sys.argv[2])
    if sys.argv[3] == "start":
        one = bench()
        one.autosave(path, every=50)
        print("ready", flush=True)
        losses = one.learn(n)
    else:
        one, losses = NNBench.resume(path)
    print(np.array(losses).tobytes().hex(), one.net._flat.tobytes().hex())
"""


def test_a_learning_process_that_is_killed_is_resumed_by_another(path: Path) -> None:
    def process(task: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", KILLED, str(path), "1500", task]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    with process("start") as unbroken:
        expected = unbroken.stdout.read().split("\n", 1)[1]  # type: ignore[union-attr]
    path.unlink()
    with process("start") as killed:
        assert killed.stdout.readline() == "ready\n"  # type: ignore[union-attr]
        while "learning" not in tree_of(path):
            time.sleep(0.001)
        os.kill(killed.pid, signal.SIGKILL)
    learning = tree_of(path)["learning"]
    assert learning["n"] == 1500
    with process("resume") as resumed:
        assert resumed.stdout.read() == expected  # type: ignore[union-attr]
    assert resumed.returncode == 0 and "learning" not in tree_of(path)


def test_the_golden_bench_loads_as_it_was() -> None:
    expected = golden_bench()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        came = NNBench.load(GOLDEN / "bench.minnet", ideal=np.negative)
    alike(came.net, expected.net)
    for one in (came, expected):
        one.rollback_net()
    alike(came.net, expected.net)
    assert came.seed.bit_generator.state == expected.seed.bit_generator.state  # type: ignore[union-attr]
