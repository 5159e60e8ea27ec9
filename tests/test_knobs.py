"""The knobs, headless: moves are what their labels say, and replay to the same bits."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import NNBench
from bench.__main__ import main
from bench.arguments import Refusal
from bench.csv_facts import read_table
from bench.ideals import of_table
from bench.knobs import ALPHAS, MOST_HIDDEN, Knobs
from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Layer,
    LeakyReLU,
    Map,
    Network,
    ReLU,
    Sigmoid,
    Tanh,
)

TABLE = Facts([[0.5, 1, 2], [1, 0, 1], [3, 2, 1]], [[1], [0], [1]])


def swap(x: Any) -> Any:
    return x[::-1]


def small() -> Network:
    net = Network([Affinity(2, 3, "fc1"), Tanh(), Affinity(3, 2, "fc2")])
    net.randomize(0)
    return net


def knobs(net: Network | None = None, facts: int = 40, **settings: Any) -> Knobs:
    return Knobs(NNBench(net or small(), swap), facts, **settings)


def bits(one: Knobs) -> tuple[Any, ...]:
    """All that a move can change."""
    net, settings = one.bench.net, one.settings
    arrays = [(key, array.shape, array.tobytes()) for key, array in net.parameters.items()]
    memory = {key: array.tobytes() for key, array in (net._memory or {}).items()}
    return arrays, memory, net.diverged, repr(net), settings, np.array(one.losses).tobytes()


def random_moves(one: Knobs, count: int, seed: int) -> int:
    """Make so many moves, of every control; how many of them were refused."""
    rng = np.random.default_rng(seed)
    refused = 0
    units = [("fc1", 0), ("fc1", 2), ("fc2", 1), ("affinity0", 1), ("nowhere", 0), None]
    values: dict[str, Callable[[], Any]] = {
        "alpha": lambda: float(np.geomspace(*ALPHAS, 200)[rng.integers(200)]),
        "facts": lambda: int(rng.integers(1, 80)),
        "fact": lambda: int(rng.integers(0, 80)),
        "seed": lambda: int(rng.integers(5)),
        "start": lambda: int(rng.integers(5)),
        "width": lambda: int(rng.integers(0, 6)),
        "unit": lambda: units[rng.integers(len(units))],
        "checkpoint": lambda: None,
        "rollback": lambda: None,
        "reset": lambda: None,
    }
    for control, names in one.choices.items():
        values[control] = lambda names=names: names[rng.integers(len(names))]
    controls = sorted(values)
    while len(one.history) < count:
        control = controls[rng.integers(len(controls))]
        before = bits(one), list(one.history)
        try:
            one.move(control, values[control]())
        except ValueError:
            refused += 1
            assert (bits(one), one.history) == before
    return refused


def test_500_random_moves_end_as_the_replay_of_their_history() -> None:
    one, other = knobs(table=TABLE), knobs(table=TABLE)
    net, layers = one.bench.net, one.bench.net.layers
    refused = random_moves(one, 500, seed=0)
    assert {control for control, _ in one.history} == set(vars(one.settings)) | {
        "checkpoint", "rollback", "reset",
    }  # fmt: skip
    assert 0 < refused < 400
    other.replay(one.history)
    assert bits(other) == bits(one)
    assert other.history == one.history
    assert one.bench.net is net
    one.move("reset")
    assert one.bench.net.layers == layers  # the very objects
    assert bits(one) == bits(knobs(table=TABLE))


def test_slices_and_stops_change_no_bit() -> None:
    rng = np.random.default_rng(0)
    one = knobs(facts=300)
    for alpha in np.geomspace(*ALPHAS, 40):
        one.begin("alpha", float(alpha))
        for _ in range(rng.integers(0, 4)):
            one.advance(0)  # a slice each time
        if rng.integers(3) == 0:
            one.stop()
        if rng.integers(4) == 0:
            one.begin("checkpoint")
        if rng.integers(4) == 0:
            one.begin("width", int(rng.integers(0, 4)))
    one.stop()
    other = knobs(facts=300)
    other.replay(one.history)
    assert bits(other) == bits(one)
    assert any(control == "fact" for control, _ in one.history)


# each control does what its label says


def test_opening_is_learning() -> None:
    net = small()
    one, bench = knobs(net), NNBench(small(), swap)
    assert one.losses == bench.learn(40)
    assert one.bench.net is net
    assert one.settings.alpha == 0.1
    assert one.settings.width == 3
    assert (one.settings.activation, one.settings.loss) == ("tanh", "squared error")
    assert (one.settings.optimizer, one.settings.ideal) == ("SGD", "own")


def test_alpha_and_facts() -> None:
    one, bench = knobs(), NNBench(small(), swap)
    one.move("alpha", 0.02)
    bench.net.alpha = 0.02
    first = bench.learn(40)
    assert one.losses == first
    one.move("facts", 17)
    assert one.losses == first[:17]
    one.move("facts", 60)
    bench.rollback_net()
    bench.net.alpha = 0.02
    assert one.losses == bench.learn(60)


def test_seed_draws_other_facts_and_start_other_numbers() -> None:
    one = knobs()
    facts, numbers = one.facts.X.tobytes(), one.bench.net.parameters["fc1.M"].copy()
    one.move("seed", 4)
    assert one.facts.X.tobytes() == NNBench(small(), swap, 4).training_data_gen(40).X.tobytes()
    assert one.facts.X.tobytes() != facts
    one.move("seed", 3)
    assert (one.bench.net.parameters["fc1.M"] == numbers).all()
    one.move("start", 5)
    fresh = small()
    fresh.randomize(5)
    assert one.losses == NNBench(fresh, swap).learn(40)


def test_fact_steps_forward_and_back() -> None:
    one = knobs()
    all_losses = one.losses
    for fact in (0, 1, 2, 1, 39, 40, 0):
        one.move("fact", fact)
        assert one.losses == all_losses[:fact]
    one.move("fact", None)
    assert one.losses == all_losses
    one.move("fact", 7)
    one.move("alpha", 0.05)
    assert len(one.losses) == 40


def test_checkpoint_and_rollback() -> None:
    one = knobs()
    opened = bits(one)
    learned = one.bench.net.parameters["fc1.M"].copy()
    one.move("checkpoint")
    again = bits(one)
    one.move("fact", 0)
    assert (one.bench.net.parameters["fc1.M"] == learned).all()
    one.move("activation", "ReLU")
    one.move("alpha", 0.03)
    one.move("rollback")
    assert bits(one) == again
    one.move("rollback")
    assert bits(one) == opened
    one.move("rollback")
    assert bits(one) == opened


@pytest.mark.parametrize("name, kind", [("ReLU", ReLU), ("leaky ReLU", LeakyReLU)])
def test_activation_replaces_the_hidden_ones_and_keeps_the_weights(name: str, kind: Any) -> None:
    one = knobs()
    first, _, last = one.bench.net.layers
    one.move("activation", name)
    assert one.bench.net.layers[0] is first
    assert one.bench.net.layers[2] is last
    assert type(one.bench.net.layers[1]) is kind
    other = small()
    other.layers = (other.layers[0], kind(), other.layers[2])
    assert one.losses == NNBench(other, swap).learn(40)[: len(one.losses)]


def test_width_is_that_of_every_hidden_layer() -> None:
    one = knobs()
    for width in (5, 1, MOST_HIDDEN, 0, 2):
        one.move("width", width)
        shapes = [array.shape for array in one.bench.net.parameters.values()]
        hidden = [(width, 2), (width,), (2, width), (2,)]
        assert shapes == (hidden if width else [(2, 2), (2,)])
    deep = Network([Affinity(2, 3), Tanh(), Affinity(3, 4), Sigmoid(), Affinity(4, 2), Sigmoid()])
    one = knobs(deep)
    assert one.settings.activation == "own"
    kinds = [type(layer) for layer in deep.layers]
    one.move("width", 2)
    assert [layer.shapes.get("M") for layer in deep.layers[::2]] == [(2, 2)] * 3
    assert [type(layer) for layer in deep.layers] == kinds


@pytest.mark.parametrize("name", knobs().choices["ideal"])
def test_every_ideal_is_learned_by_a_network_that_fits(name: str) -> None:
    one = knobs()
    one.move("ideal", name)
    assert one.bench.net.n == 2
    assert one.bench.net.m == one.facts.T.shape[1]
    assert len(one.losses) == 40
    x, t = one.facts.X[0], one.facts.T[0]
    expected = {
        "identity": x, "swap": x[::-1], "own": x[::-1], "constant (1, 1)": [1, 1],
        "((x0 - x1)², 0)": [(x[0] - x[1]) ** 2, 0],
        "signs of x0, x0 - x1": np.sign([x[0], x[0] - x[1]]),
        "xor": [x[0] != x[1]], "nand": [not (x[0] and x[1])],
    }  # fmt: skip
    if name in expected:
        assert t.tolist() == np.asarray(expected[name], float).tolist()


def test_own_data() -> None:
    one = knobs(table=TABLE)
    one.move("ideal", "table")
    assert (one.bench.net.n, one.bench.net.m) == (3, 1)
    assert {tuple(x) for x in one.facts.X[:3]} == {tuple(x) for x in TABLE.X}
    again = of_table(TABLE).facts(5, 3, 3)
    assert one.facts.X[:5].tobytes() == again.X.tobytes()


@pytest.mark.parametrize("name", knobs().choices["loss"])
@pytest.mark.parametrize("optimizer", knobs().choices["optimizer"])
def test_losses_and_optimizers(name: str, optimizer: str) -> None:
    one = knobs()
    one.move("ideal", "xor")
    one.move("loss", name)
    one.move("optimizer", optimizer)
    assert one.bench.net.alpha == 0.1
    assert one.settings.loss == name
    loss, rule = repr(one.bench.net.loss), repr(one.bench.net.optimizer)
    assert ("Cross" in loss) == (name in ("cross-entropy", "softmax"))
    assert ("Adam" in rule, "momentum=0.9" in rule) == (
        optimizer == "Adam",
        optimizer.startswith("mom"),
    )
    if name != "softmax":
        assert one.losses[-1] != one.losses[0]


def test_what_a_bench_came_with_is_a_choice() -> None:
    net = small()
    net.extend(Sigmoid())
    net.loss, net.optimizer = BinaryCrossEntropy(reduction="mean"), SGD(0.1, weight_decay=0.5)
    one = Knobs(NNBench(net, lambda x: (x > 0).astype(float)), 10)
    with pytest.raises(ValueError, match=r"\[0.0, 1.0\]|in \[0"):
        one.move("ideal", "swap")
    before = bits(one)
    assert (one.settings.loss, one.settings.optimizer) == ("own", "own")
    one.move("loss", "squared error")
    one.move("optimizer", "Adam")
    one.move("checkpoint")
    assert isinstance(net.optimizer, Adam)
    one.move("loss", "own")
    one.move("optimizer", "own")
    assert repr(net.loss) == "BinaryCrossEntropy(from_logits=False, reduction='mean')"
    one.move("rollback")
    one.move("rollback")
    one.move("loss", "own")
    one.move("optimizer", "own")
    assert bits(one) == before


# own data from a file


@pytest.mark.parametrize(
    "text, words",
    [
        ("1,2,3\n4,5\n", "line 2: 2 numbers, where the first has 3"),
        ("a,b,y\n1,2,3\n\n4,oops,6\n", "line 4: 'oops' is no number"),
        ("1,2\n3,nan\n", "line 2: a cell must be finite"),
        ("1,2\n3,\n", "line 2: '' is no number"),
        ("x,y\n", "has no line of numbers"),
        ("", "has no line of numbers"),
        ("1\n2\n", "has 1 columns; it needs inputs, and then 1 of outputs"),
        ("1,2,y\n3,4,5\n", "line 1: 'y' is no number"),
    ],
)
def test_a_bad_table_says_which_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(Refusal, match=re.escape(words)):
        read_table(tmp_path / "own.csv")


def test_a_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_bytes(b"\xef\xbb\xbfa, b ,y\r\n1,2,3\r\n\r\n4,5e0,-6\r\n")
    table = read_table(file, outputs=2)
    assert (table.X.tolist(), table.T.tolist()) == ([[1], [4]], [[2, 3], [5, -6]])
    file.write_bytes(b"1,\xff2\n")
    with pytest.raises(Refusal, match="byte 2"):
        read_table(file)
    with pytest.raises(Refusal, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_the_command_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    (tmp_path / "bad.csv").write_text("1,2\n3\n")
    (tmp_path / "moves.json").write_text('{"moves": [["alpha", -1]]}')
    (tmp_path / "net.py").write_text(
        "from minnet import Affinity, Network\nnet = Network([Affinity(3, 1)])\n"
    )
    for arguments, words in (
        (["--data", str(tmp_path / "bad.csv")], "line 2"),
        (["--replay", str(tmp_path / "moves.json")], "alpha must be above 0"),
        (["--replay", str(tmp_path / "none.json")], "cannot be read"),
        ([f"{tmp_path / 'net.py'}:net"], "3 inputs and 1 outputs"),
        (["--facts", "0"], "integer from 1"),
        ([], "--browser"),
    ):
        assert main(["knobs", "--out", str(tmp_path / "out"), *arguments]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1


# extremes and refusals


def test_a_divergence_is_named() -> None:
    one = knobs(facts=200)
    one.move("width", 0)
    one.move("alpha", 50.0)
    fact = one.bench.net.diverged
    assert fact > 0
    assert one.summary == f"diverged at fact {fact}"
    assert len(one.losses) == fact + 1
    assert np.isfinite(one.losses[:-1]).all()
    one.move("alpha", 0.1)
    assert one.summary.startswith("learning potential")


@pytest.mark.parametrize(
    "control, value",
    [
        ("alpha", 0), ("alpha", float("nan")), ("alpha", "x"), ("facts", 0), ("facts", 1.5),
        ("fact", -1), ("seed", -1), ("start", None), ("ideal", "peace"), ("width", -1),
        ("width", 10**6), ("activation", "swish"), ("loss", "none"), ("curve", "both"),
        ("unit", ("fc1", 3)), ("unit", ("fc9", 0)), ("unit", 5), ("loss", "cross-entropy"),
        ("loss", "softmax"), ("colour", 1),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(control: str, value: Any) -> None:
    one = knobs()
    before = bits(one)
    with pytest.raises((TypeError, ValueError)):
        one.move(control, value)
    assert bits(one) == before
    assert one.history == []


class Tired(Layer):
    """Identity, until it raises."""

    calls = 0

    def forward(self, x: Any) -> Any:
        Tired.calls += 1
        if Tired.calls > 100:
            raise RuntimeError("tired")
        return +x, None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return +dy, {}


def test_a_layer_that_raises_in_the_middle_undoes_the_move() -> None:
    Tired.calls = 0
    net = Network([Affinity(2, 2, rng=0), Tired()])
    net.engine = "layers"
    one = knobs(net, facts=60)
    before = bits(one)
    with pytest.raises(RuntimeError, match="tired"):
        one.move("alpha", 0.2)
    assert bits(one) == before
    assert one.history == []
    assert not one.busy
    with pytest.raises(ValueError, match="Tired"):
        one.move("width", 3)


def test_other_networks_learn_too() -> None:
    crowd = knobs(small().replicate(4, rng=0))
    crowd.move("alpha", 1.0)
    crowd.move("start", 2)
    assert np.shape(crowd.losses) == (40, 4)
    assert "nets" in crowd.summary
    with pytest.raises(ValueError, match="crowd"):
        crowd.move("width", 3)
    with pytest.raises(ValueError, match="crowd"):
        crowd.move("ideal", "xor")
    single = Knobs(NNBench(Network([Affinity(1, 1)])), 10)
    single.move("width", 4)
    assert len(single.losses) == 10
    block = Network([Network([Affinity(2, 3)]), Map(np.tanh, lambda x: 1 / np.cosh(x) ** 2)])
    nested = Knobs(NNBench(block, lambda x: [1, 2, 3]), 10)
    nested.move("alpha", 0.3)
    with pytest.raises(ValueError, match="Network"):
        nested.move("activation", "ReLU")
    with pytest.raises(ValueError, match="any number of inputs"):
        Knobs(NNBench(Network([Tanh()])))


def test_a_generator_as_seed() -> None:
    rng = np.random.default_rng(7)
    one = Knobs(NNBench(small(), swap, seed=rng), 20)
    first = one.losses
    one.move("alpha", 0.2)
    one.move("seed", 1)
    assert one.bench.seed == 1
    one.move("reset")
    assert one.losses == first
    assert one.bench.seed is rng


def test_the_best_alpha_for_the_swap() -> None:
    net = Network([Affinity(2, 2, rng=0)])
    one = knobs(net, facts=100)
    before = bits(one)
    alpha = one.suggest()
    assert bits(one) == before
    assert one.history == []
    potentials = {}
    for other in (alpha, *np.geomspace(*ALPHAS, 30).tolist()):
        one.move("alpha", other)
        potentials[other] = one.potential
    assert 0.15 < alpha < 0.35
    assert potentials[alpha] > 40
    assert potentials[alpha] > max(potentials.values()) - 3
