"""Time travel: what was done is known, can be done again, and no way back loses another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import bench.history as history_module
from bench import NNBench
from minnet import (
    SGD,
    Adam,
    Affinity,
    MeanSquaredError,
    Network,
    Optimizer,
    ReLU,
    SquaredError,
    Tanh,
)
from minnet.checks import UnknownName
from minnet.registry import register


@register("history.swap")
def swap(x: Any) -> Any:
    return x[::-1]


@register("history.signs")
def signs(x: Any) -> Any:
    return np.sign(x)


def made(seed: Any = 3, optimizer: Optimizer = SGD(0.05, 0.9)) -> NNBench:  # noqa: B008
    block = Network([Affinity(3, 3, rng=1), Tanh()], name="block")
    net = Network([Affinity(2, 3, rng=0), block, Affinity(3, 2, rng=2)], optimizer=optimizer)
    return NNBench(net, swap, seed)


def state(bench: NNBench) -> Any:
    """All of a bench but its history, to the bit; layers by their objects."""
    net = bench.net
    seed = bench.seed
    if isinstance(seed, np.random.Generator):
        seed = str(seed.bit_generator.state)
    memory = net._memory and {key: array.tobytes() for key, array in net._memory.items()}
    return (
        net.layers, net["block"].layers if "block" in net.names else None, net._flat.tobytes(),
        memory, repr(net.diverged), repr(net.loss), repr(net.optimizer), str(net.engine), seed,
        bench.ideal,
    )  # fmt: skip


def other_layers(bench: NNBench) -> None:
    bench.net.layers = [bench.net.layers[0], ReLU(), Affinity(3, 2, rng=7)]


def fewer_inside(bench: NNBench) -> None:
    block = bench.net.layers[1]
    if isinstance(block, Network):
        block.layers = block.layers[:1]


def by_hand(bench: NNBench) -> None:
    bench.net.layers[0].parameters["b"][...] = 0.25


def beside_the_bench(bench: NNBench) -> None:
    bench.net.learn([([1, 0], [0, 1]), ([0, 1], [1, 1])])


def drawn_from_the_seed(bench: NNBench) -> None:
    if isinstance(bench.seed, np.random.Generator):
        bench.seed.random()


CHANGES: dict[str, tuple[Callable[[NNBench], object], str]] = {
    "alpha": (lambda b: setattr(b.net, "alpha", 0.02), "alpha 0.05 -> 0.02"),
    "loss": (lambda b: setattr(b.net, "loss", MeanSquaredError()), "loss SquaredError"),
    "optimizer": (lambda b: setattr(b.net, "optimizer", Adam(0.01)), "optimizer SGD"),
    "optimizer afresh": (
        lambda b: setattr(b.net, "optimizer", b.net.optimizer), "optimizer, which starts afresh"),
    "engine": (lambda b: setattr(b.net, "engine", "layers"), "engine auto -> layers"),
    "seed": (lambda b: setattr(b, "seed", 8), "seed 3 -> 8"),
    "ideal": (lambda b: setattr(b, "ideal", signs), "ideal swap -> signs"),
    "layers": (other_layers, "structure to Affinity 2->3, ReLU, Affinity 3->2"),
    "layers inside": (fewer_inside, "structure to Affinity 2->3, Network 3->3, Affinity 3->2"),
    "numbers": (by_hand, "numbers of affinity0.b"),
    "numbers drawn": (
        lambda b: b.net.randomize(5), "numbers of affinity0.M, affinity0.b, block.affinity0.M, "
        "block.affinity0.b and 2 more"),
    "learning beside it": (beside_the_bench, "what the optimizer remembers"),
    "a loss inside": (
        lambda b: setattr(b.net.layers[1], "loss", MeanSquaredError()), "structure to Affinity"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed_told_and_done_again(name: str) -> None:
    change, words = CHANGES[name]
    bench = made()
    bench.learn(4)
    change(bench)
    before = state(bench)
    losses = bench.learn(3)
    after = state(bench)
    assert [node.did for node in bench.history] == ["start", "learn", "change", "learn"]
    assert words in bench.history[2].what
    for number, expected in ((2, before), (3, after)):
        bench.rollback_net()
        all_losses = bench.replay(number, since=0)
        assert all_losses == bench.history[1].losses.tolist() + losses * (number == 3)
        assert state(bench) == expected


def test_learning_that_stopped_at_once_beside_the_bench_is_noticed() -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0)]), swap)
    bench.learn(2)
    numbers = bench.net._flat.tobytes()
    bench.net.learn([([1e200, 1], [1, 1])])
    assert bench.net._flat.tobytes() == numbers and bench.net.diverged == 0
    bench.checkpoint_net()
    assert bench.history[2].what == "where learning stopped"
    bench.replay(1)
    assert bench.net.diverged is None
    bench.replay(2)
    assert bench.net.diverged == 0


def test_what_was_not_changed_is_not_noticed() -> None:
    bench = made(np.random.default_rng(0))
    bench.learn(3)
    net = bench.net
    net.alpha, net.loss, net.engine = 0.05, SquaredError(), "auto"
    bench.rollback_net()
    net.loss, bench.ideal = SquaredError(), swap
    bench.learning_potential(5, 0.3)
    bench.checkpoint_net()
    assert [node.did for node in bench.history] == ["start", "learn", "checkpoint"]
    assert bench.history[2].parent == 0


def refused(call: Callable[[Any], object], argument: Any) -> None:
    with pytest.raises((ValueError, KeyError)):
        call(argument)


MOVES: dict[str, Callable[[NNBench], object]] = {
    **{f"change {name}": change for name, (change, _) in CHANGES.items()},
    "the seed's generator": drawn_from_the_seed,
    "another generator": lambda b: setattr(b, "seed", np.random.default_rng(4)),
    **{f"learn {n}": lambda b, n=n: b.learn(n) for n in (1, 2, 5)},
    "learn nothing": lambda b: refused(b.learn, 0),
    "roll back nowhere": lambda b: refused(b.rollback_net, "nowhere"),
    "potential": lambda b: b.learning_potential(3, 0.1),
    "map": lambda b: b.learning_potential_map([0.01, 0.1], [1, 3]),
    "checkpoint": lambda b: b.checkpoint_net(),
    "rollback": lambda b: b.rollback_net(),
    **{f"checkpoint {x}": lambda b, x=x: b.checkpoint_net(x) for x in "abc"},
    **{
        f"rollback {x}": lambda b, x=x: b.rollback_net(x if x in b.checkpoints else None)
        for x in "abc"
    },
    "an older node": lambda b: b.replay(len(b.history) // 2),
    "where it is": lambda b: b.replay(),
}


class Traveller:
    """A bench, and what it was at every node of its history."""

    def __init__(self, bench: NNBench) -> None:
        self.bench = bench
        self.states = {0: state(bench)}
        self.checkpoints: dict[str | None, int] = {None: 0}

    def move(self, name: str) -> None:
        bench, before, count = self.bench, state(self.bench), len(self.bench.history)
        MOVES[name](bench)
        history = bench.history
        new = history[count:]
        assert all(node.parent is not None and node.parent < node.number for node in new)
        for node in new:
            self.states[node.number] = before if node.did == "change" else state(bench)
            if node.did == "checkpoint":
                self.checkpoints[node.name] = node.number
        if name.startswith("rollback"):
            wanted = name[9:] if name[9:] in self.checkpoints else None
            assert history.present == self.checkpoints[wanted]
            assert state(bench)[:-1] == self.states[history.present][:-1], "all but the ideal"
        if name == "an older node":
            assert history.present == len(history[:]) // 2 or new
        assert set(bench.checkpoints) == {x for x in self.checkpoints if x is not None}

    def check(self) -> None:
        """Every node is done again, and every checkpoint still there."""
        bench = self.bench
        for number in range(len(bench.history)):
            path = bench.history.path(number)
            expected = [x for node in path if node.did == "learn" for x in node.losses]
            assert bench.replay(number, since=0) == expected
            assert state(bench) == self.states[number], str(bench.history[number])
            assert bench.history.present == number
        for name, number in self.checkpoints.items():
            bench.rollback_net(name)
            assert state(bench)[:-1] == self.states[number][:-1]


@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=25), st.booleans())
@settings(max_examples=50)
def test_whatever_was_done_can_be_done_again_bit_by_bit(moves: list[str], drawn: bool) -> None:
    traveller = Traveller(made(np.random.default_rng(0) if drawn else 3))
    for name in moves:
        traveller.move(name)
    traveller.check()


def test_after_500_moves_the_bench_is_what_its_history_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = sorted(set(MOVES) - {"map", "an older node", "another generator"})
    traveller = Traveller(made())
    for name in rng.choice(names, 500):
        traveller.move(str(name))
    bench = traveller.bench
    bench.checkpoint_net("end")
    end, losses = state(bench), bench.replay(since=0)
    bench.save(tmp_path / "bench")
    assert state(bench) == end
    again = NNBench.load(tmp_path / "bench")
    assert str(again.history) == str(bench.history)
    assert again.net._flat.tobytes() == bench.net._flat.tobytes()
    since = max(n.number for n in bench.history.path(bench.history.present) if n.did == "change")
    assert losses[-20:] == bench.replay(bench.history.present, since=0)[-20:]
    assert again.replay(again.history.present, since) == bench.replay(bench.history.present, since)


# what is kept


def test_a_branch_for_every_way_back_and_a_number_for_every_step() -> None:
    bench = NNBench(Network([Affinity(2, 2, rng=0)]), swap)
    bench.learn(100)
    bench.checkpoint_net("before ReLU")
    bench.net.extend(ReLU())
    bench.learn(1)
    bench.rollback_net("before ReLU")
    bench.net.alpha = 3
    bench.learn(5000)
    bench.rollback_net()
    bench.checkpoint_net("before ReLU")
    lines = str(bench.history).split("\n")
    first = bench.history[1]
    assert lines == [
        "#0 start Affinity 2->2",
        f"├── #1 learned 100 facts at alpha 0.1: loss {first.first:.4g} -> {first.last:.4g}",
        "│   #2 checkpoint 'before ReLU' (taken again since)",
        "│   ├── #3 changed structure to Affinity 2->2, ReLU",
        f"│   │   #4 learned 1 fact at alpha 0.1: loss {bench.history[4].first:.4g} -> "
        f"{bench.history[4].last:.4g}",
        "│   └── #5 changed alpha 0.1 -> 3",
        f"│       #6 learned 5000 facts at alpha 3: loss {bench.history[6].first:.4g} -> inf, "
        f"diverged at fact {bench.history[6].diverged}",
        "└── #7 checkpoint 'before ReLU' <- here",
    ]
    assert (first.n, first.alpha, first.last) == (100, 0.1, first.losses[-1])


def test_of_many_branches_the_first_and_last_are_printed_and_those_that_matter() -> None:
    bench = made()
    for i in range(30):
        bench.rollback_net()
        bench.learn(1)
        if i == 13:
            bench.checkpoint_net("lucky")
    text = str(bench.history)
    assert "... 8 more" in text and "... 11 more" in text and "'lucky'" in text
    assert len(text.splitlines()) == 1 + 5 + 1 + 2 + 1 + 5
    bench.replay(20)
    assert "<- here" in str(bench.history)
    assert str(history_module.History()) == "nothing yet"


def test_names_come_in_the_order_of_taking_and_move_when_taken_again() -> None:
    bench = made()
    for name in ("a", "before ReLU", "ä b"):
        bench.checkpoint_net(name)
        bench.learn(1)
    assert bench.checkpoints == ("a", "before ReLU", "ä b")
    then = state(bench)
    bench.checkpoint_net("a")
    assert bench.checkpoints == ("before ReLU", "ä b", "a")
    bench.rollback_net("ä b")
    bench.learn(4)
    bench.rollback_net("a")
    assert state(bench) == then
    bench.replay(1)
    assert state(bench) != then, "where the name was before can still be reached"
    with pytest.raises(AttributeError):
        bench.checkpoints = ()  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[2J", "\ud800", 3, b"a", ["a"], True])
def test_names_that_are_none_are_refused_and_nothing_is_changed(name: Any) -> None:
    bench = made()
    bench.learn(1)
    before, text = state(bench), str(bench.history)
    with pytest.raises((TypeError, ValueError), match="a checkpoint's name must be"):
        bench.checkpoint_net(name)
    assert (state(bench), str(bench.history)) == (before, text)


@pytest.mark.parametrize("name", ["b", "", 3, b"a"])
def test_an_unknown_checkpoint_lists_those_there_are(name: Any) -> None:
    bench = made()
    with pytest.raises(UnknownName, match="there are none with a name"):
        bench.rollback_net(name)
    bench.checkpoint_net("a")
    bench.checkpoint_net("before ReLU")
    bench.learn(1)
    before = state(bench)
    with pytest.raises(KeyError, match=r"there is no checkpoint .*; there are 'a', 'before ReLU'"):
        bench.rollback_net(name)
    assert state(bench) == before and bench.history.present == 3


@pytest.mark.parametrize(
    "node, since, error, words",
    [
        (9, None, IndexError, "the history has no #9; its last is #5"),
        (-1, None, IndexError, "no #-1"),
        (1.0, None, TypeError, "an integer"),
        ("a", None, TypeError, "an integer"),
        (True, None, TypeError, "an integer"),
        (5, 2, ValueError, r"#2 is not on the way to #5, which is \[0, 1, 4, 5\]"),
        (1, 5, ValueError, "not on the way"),
        (5, "a", TypeError, "since must be an integer"),
    ],
)
def test_what_is_not_on_the_way_is_refused(
    node: Any, since: Any, error: type[Exception], words: str
) -> None:
    bench = made()
    bench.learn(2)
    bench.checkpoint_net()
    bench.learn(2)
    bench.replay(1)
    bench.net.alpha = 0.02
    bench.learn(2)
    before = state(bench)
    with pytest.raises(error, match=words):
        bench.replay(node, since)
    assert state(bench) == before and bench.history.present == 5


def moody(calls: list[int]) -> Callable[[Any], Any]:
    """An ideal that answers otherwise each time."""

    def ideal(x: Any) -> Any:
        calls.append(1)
        return x * len(calls)

    return ideal


def raising(left: list[int]) -> Callable[[Any], Any]:
    def ideal(x: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return x

    return ideal


@pytest.mark.parametrize(
    "ideal, error", [(moody([]), ValueError), (raising([12]), KeyboardInterrupt)]
)
def test_what_comes_out_otherwise_is_told_and_the_bench_is_as_it_was(
    ideal: Any, error: type[BaseException]
) -> None:
    bench = made(np.random.default_rng(0))
    bench.ideal = ideal
    bench.learn(5)
    bench.learn(5)
    bench.ideal = swap
    bench.learn(2)
    bench.seed.random()  # type: ignore[union-attr]
    before, present = state(bench), bench.history.present
    with pytest.raises(error, match="came out otherwise" if error is ValueError else None):
        bench.replay(2)
    assert state(bench) == before
    assert bench.history.present == present + 1, "the seed's generator had moved"


def test_learning_that_raises_leaves_no_record() -> None:
    bench = made()
    bench.ideal = raising([3])
    with pytest.raises(KeyboardInterrupt):
        bench.learn(5)
    assert len(bench.history) == 1


def test_memory_is_bounded_and_what_was_let_go_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "KEPT", 2000)
    bench = made()
    bench.learn(10)
    bench.checkpoint_net("named")
    by_hand(bench)
    bench.learn(10)
    losses = []
    for i in range(300):
        bench.net.layers[0].parameters["b"][...] = i
        losses = bench.learn(10)
    history = bench.history
    assert sum(node.size for node in history if node.name != "named") <= 2000 + history[0].size
    assert history[1].losses is None and history[1].last is not None
    with pytest.raises(ValueError, match=r"#3 changed numbers of affinity0.b .* no longer holds"):
        bench.replay(4)
    assert bench.replay() == losses, "but the latest are there"
    bench.rollback_net("named")
    assert bench.replay(1) == bench.replay(2, since=0)
    assert history[1].losses is None


def test_a_state_beyond_all_bounds_is_let_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "KEPT", 100)
    bench = made()
    by_hand(bench)
    bench.checkpoint_net()
    bench.checkpoint_net("b")
    bench.learn(101)
    assert [node.state is None for node in bench.history] == [True, True, False, False, True]
    assert bench.history[4].losses is None
    with pytest.raises(ValueError, match="nothing is kept of the way to #0"):
        bench.replay(0)
    with pytest.raises(ValueError, match="nothing is kept of the way to #1"):
        bench.replay(4, since=1)
    assert len(bench.replay(4)) == 101


def test_a_crowd_is_replayed_too() -> None:
    net = Network([Affinity(2, 2)], optimizer=Adam(0.1)).replicate(5, rng=0)
    bench = NNBench(net, swap)
    bench.learn(20)
    bench.net.alpha = np.array([0.01, 0.1, 0.2, 0.3, 0.4])
    losses = np.array(bench.learn(20))
    end = net._flat.copy()
    bench.net.optimizer = SGD(0.1)
    bench.net.alpha = np.array([0.1, 0.1, 0.1, 1e3, 1e3])
    bench.learn(200)
    assert "median loss" in str(bench.history) and "2 diverged" in str(bench.history)
    assert "alpha of each net" in bench.history[2].what
    bench.rollback_net()
    assert np.array_equal(bench.replay(3, since=1), losses)
    assert net._flat.tobytes() == end.tobytes()
    np.testing.assert_array_equal(bench.history[3].alpha, [0.01, 0.1, 0.2, 0.3, 0.4])
    assert bench.history[3].last == np.median(losses[-1])


def test_dill_carries_the_history() -> None:
    bench = made()
    bench.checkpoint_net("a")
    bench.learn(3)
    bench.net.extend(ReLU())
    bench.learn(2)
    twin = dill.loads(dill.dumps(bench))
    assert str(twin.history) == str(bench.history)
    for number in (4, 2, 1):
        assert twin.replay(number) == bench.replay(number)
        assert twin.net._flat.tobytes() == bench.net._flat.tobytes()


def test_a_users_class_of_an_unprintable_name_is_printable_in_a_history() -> None:
    class Odd(SquaredError):
        def __repr__(self) -> str:
            return "odd\n\x1b" * 300

    bench = made()
    bench.net.loss = Odd()
    bench.learn(1)
    assert bench.history[1].what.isprintable() and len(bench.history[1].what) == 300
