"""What bad input gets: an error that says what was expected and what came, and nothing changed.

One row is (what, call, exception, words of the message). After each call the network's bits,
structure, settings, what its optimizer remembers, the generator handed in and NumPy's global
random state are as before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bench import NNBench
from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Identity,
    LeakyReLU,
    Map,
    MeanSquaredError,
    Network,
    ReLU,
    SoftmaxCrossEntropy,
    SquaredError,
)
from minnet.facts import GATES, gate, parity, sample

XOR = gate("xor")
Row = tuple[str, Callable[[Network, np.random.Generator], object], Any, list[str]]
WRONG = (TypeError, ValueError)


def learned() -> Network:
    """A network with names, a nested block and a memory."""
    net = Network(
        [
            Affinity(2, 3, name="fc1"),
            Network([ReLU(name="relu")], name="block"),
            Affinity(3, 1, name="out"),
        ],
        optimizer=SGD(0.1, momentum=0.9),
    )
    net.randomize(0)
    net.learn(XOR)
    return net


LEARNED = learned()


def state(net: Network) -> list[Any]:
    """All that a network holds, nested ones too, as values to compare."""
    numbers = [(key, a.dtype, a.tobytes()) for key, a in net.parameters.items()]
    memory = [(key, a.dtype, a.tobytes()) for key, a in (net._memory or {}).items()]
    inside = [state(layer) for layer in net.layers if isinstance(layer, Network)]
    identities = [*map(id, net.layers), id(net.loss), id(net.optimizer)]
    return [repr(net), net.names, numbers, memory, net.diverged, identities, inside]


def check(call: Callable, error: Any, words: list[str]) -> None:
    net, rng = LEARNED.copy(), np.random.default_rng(0)
    before, here = state(net), rng.bit_generator.state
    everywhere = str(np.random.get_state())  # noqa: NPY002
    with pytest.raises(error) as caught:
        call(net, rng)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert state(net) == before
    assert rng.bit_generator.state == here
    assert str(np.random.get_state()) == everywhere  # noqa: NPY002


def rows(*groups: list[Row]) -> Any:
    everything = [row for group in groups for row in group]
    return pytest.mark.parametrize(
        "call, error, words", [pytest.param(*rest, id=what) for what, *rest in everything]
    )


def classes(net: Network, T: Any, loss: Any = None) -> object:
    """Three classes learned from T."""
    three = Network([Affinity(2, 3)], loss=loss or SoftmaxCrossEntropy())
    before = [a.tobytes() for a in three.parameters.values()]
    try:
        return three.learn([([0, 1], T)])
    finally:
        assert [a.tobytes() for a in three.parameters.values()] == before


STRUCTURE: list[Row] = [
    (
        "widths when put together",
        lambda net, rng: Network([Affinity(2, 3), ReLU(name="r"), Affinity(2, 1, name="last")]),
        ValueError,
        ["Affinity #2 'last' takes 2 inputs", "layer #1 'r' gives 3"],
    ),
    (
        "widths when extended",
        lambda net, rng: net.extend(Affinity(2, 1, name="late")),
        ValueError,
        ["Affinity #3 'late' takes 2 inputs", "layer #2 'out' gives 1"],
    ),
    (
        "widths when the second of two does not fit",
        lambda net, rng: net.extend([Affinity(1, 4), Affinity(2, 1)]),
        ValueError,
        ["Affinity #4", "takes 2 inputs", "layer #3", "gives 4"],
    ),
    (
        "widths when assigned",
        lambda net, rng: setattr(net, "layers", net.layers[::-1]),
        ValueError,
        ["Affinity #2 'fc1' takes 2 inputs", "layer #1 'block' gives 1"],
    ),
    (
        "widths when a nested network is extended",
        lambda net, rng: net["block"].extend(Affinity(3, 7)),
        ValueError,
        ["Affinity #2 'out' takes 3 inputs", "layer #1 'block' gives 7"],
    ),
    (
        "a layer of this network again",
        lambda net, rng: net.extend(net["fc1"]),
        ValueError,
        ["Affinity #0 'fc1' already has its place", ".copy()", "#3"],
    ),
    (
        "a layer of this network in another one",
        lambda net, rng: Network([net["fc1"]]),
        ValueError,
        ["Affinity #0 'fc1' already has its place", ".copy()"],
    ),
    (
        "a layer twice in one list",
        lambda net, rng: net.extend([relu := ReLU(), relu]),
        ValueError,
        ["already has its place", ".copy()", "#4"],
    ),
    (
        "a network in itself",
        lambda net, rng: net.extend(net),
        ValueError,
        ["Network cannot be put into itself"],
    ),
    (
        "a network in a part of itself",
        lambda net, rng: net["block"].extend(net),
        ValueError,
        ["Network cannot be put into itself"],
    ),
    (
        "a name twice",
        lambda net, rng: net.extend(ReLU(name="out")),
        ValueError,
        ["#2 and #3", "both named 'out'"],
    ),
    (
        "a crowd in a plain network",
        lambda net, rng: net.extend(Network([Affinity(1, 1)]).replicate(2, rng=0)),
        ValueError,
        ["as many nets", "'fc1' is plain", "crowd of 2"],
    ),
    (
        "an unknown layer",
        lambda net, rng: net["nope"],
        KeyError,
        ["Network has no layer 'nope'", "'fc1', 'block', 'out'"],
    ),
    (
        "an unknown nested layer",
        lambda net, rng: net["block.nope"],
        KeyError,
        ["Network #1 'block' has no layer 'nope'", "'relu'"],
    ),
    (
        "a layer of a layer",
        lambda net, rng: net["fc1.M"],
        KeyError,
        ["Affinity #0 'fc1' is no network"],
    ),
    ("a number for a name", lambda net, rng: net[0], KeyError, ["no layer 0", "'fc1'"]),
    (
        "parameters of other names",
        lambda net, rng: net["fc1"].with_parameters({"M": np.ones((3, 2))}),
        ValueError,
        ["Affinity #0 'fc1' has the parameters ['M', 'b']", "['M']"],
    ),
    (
        "a network's parameters of other names",
        lambda net, rng: net.with_parameters({}),
        ValueError,
        ["Network has the parameters", "fc1.M", "[]"],
    ),
    ("loss of another kind", lambda net, rng: setattr(net, "loss", "mse"), TypeError, ["loss"]),
    (
        "a loss's class",
        lambda net, rng: setattr(net, "loss", SquaredError),
        TypeError,
        ["loss must be a Loss such as SquaredError()"],
    ),
    (
        "optimizer of another kind",
        lambda net, rng: setattr(net, "optimizer", 0.1),
        TypeError,
        ["optimizer must be an Optimizer such as SGD(0.1)", "0.1"],
    ),
    ("an optimizer's class", lambda net, rng: Network([], optimizer=Adam), TypeError, ["Adam"]),
    ("nets of 0", lambda net, rng: net.replicate(0, rng), ValueError, ["number of nets", "0"]),
    ("nets of True", lambda net, rng: net.replicate(True, rng), TypeError, ["nets", "True"]),
    ("nets of 2.0", lambda net, rng: net.replicate(2.0, rng), TypeError, ["nets", "2.0"]),
    ("nets of '2'", lambda net, rng: net.replicate("2", rng), TypeError, ["nets", "'2'"]),
    ("too many nets", lambda net, rng: net.replicate(10**30, rng), ValueError, ["nets"]),
    (
        "a crowd of nothing",
        lambda net, rng: Network([ReLU()]).replicate(3, rng),
        ValueError,
        ["Network has no parameters"],
    ),
    ("a member of a plain net", lambda net, rng: net.member(0), ValueError, ["Network", "plain"]),
    (
        "a member out of range",
        lambda net, rng: net.replicate(3, 0).member(3),
        IndexError,
        ["net 3", "crowd of 3"],
    ),
    (
        "a member out of range below",
        lambda net, rng: net.replicate(3, 0).member(-4),
        IndexError,
        ["net -4", "crowd of 3"],
    ),
    ("member 1.5", lambda net, rng: net.replicate(3, 0).member(1.5), TypeError, ["net", "1.5"]),
    ("member 'a'", lambda net, rng: net.replicate(3, 0).member("a"), TypeError, ["net", "'a'"]),
    ("member True", lambda net, rng: net.replicate(3, 0).member(True), TypeError, ["net", "True"]),
    *(
        (
            f"a crowd's alphas of {alphas!r}",
            lambda net, rng, alphas=alphas: setattr(net.replicate(3, 0), "alpha", alphas),
            WRONG,
            ["alpha"],
        )
        for alphas in ([0.1, 0.2], [0.1, 0, 0.1], [0.1, -1, 0.1], [0.1, np.nan, 0.1], "abc")
    ),
    ("latex of a crowd", lambda net, rng: net.replicate(3, 0).latex(), ValueError, [".member(i)"]),
]
STRUCTURE += [
    (f"{what} for a layer", call, TypeError, ["layer"])
    for what, call in {
        "a number": lambda net, rng: net.extend([3]),
        "a lone number": lambda net, rng: net.extend(3),
        "None": lambda net, rng: net.extend(None),
        "None in a list": lambda net, rng: Network([None]),
        "a class": lambda net, rng: Network([ReLU]),
        "a function": lambda net, rng: Network([np.tanh]),
        "a list": lambda net, rng: net.extend([[ReLU()]]),
        "a string": lambda net, rng: setattr(net, "layers", "fc1"),
        "an array": lambda net, rng: setattr(net, "layers", np.eye(2)),
        "names": lambda net, rng: setattr(net, "layers", {"fc1": 1}),
        "a loss": lambda net, rng: Network([SquaredError()]),
    }.items()
]
STRUCTURE += [
    (f"dtype {dtype!r}", lambda net, rng, dtype=dtype: Network([], dtype=dtype), WRONG, ["dtype"])
    for dtype in (
        np.float16,
        np.complex128,
        int,
        bool,
        "no type",
        ">f8",
        object,
        3,
        {},
        [("a", float)],
    )
]


NO_NUMBERS = {
    "a string": "0.1",
    "a NumPy string": np.str_("0.1"),
    "an array of a string": np.array("0.1"),
    "bytes": b"1",
    "None": None,
    "True": True,
    "NumPy's True": np.True_,
    "an array of a bool": np.array(True),
    "a complex number": 1j,
    "a NumPy complex number": np.complex64(1),
    "a list": [0.1],
    "a ragged list": [1, [2]],
    "an array": np.array([0.1]),
    "an empty array": np.array([]),
    "an object": object(),
    "a date": np.datetime64("2020"),
    "a time": np.timedelta64(1, "s"),
    "nan": np.nan,
    "inf": np.inf,
    "a huge int": 10**400,
    "an int too long to print": 10**5000,
    "a masked number": np.ma.masked,
}
NUMBERS: list[tuple[str, Callable[[Network, Any], object], dict[str, Any], list[str]]] = [
    (
        "net.alpha",
        lambda net, value: setattr(net, "alpha", value),
        {"0": 0, "-1": -1, "-0.0": -0.0},
        ["alpha"],
    ),
    ("SGD's alpha", lambda net, value: SGD(value), {"0": 0, "-1e-9": -1e-9}, ["SGD: alpha"]),
    ("Adam's alpha", lambda net, value: Adam(value), {"0": 0, "-1": -1}, ["Adam: alpha"]),
    ("momentum", lambda net, value: SGD(0.1, value), {"1": 1, "-0.1": -0.1}, ["SGD: momentum"]),
    (
        "weight decay",
        lambda net, value: SGD(0.1, weight_decay=value),
        {"-1": -1},
        ["SGD: weight_decay"],
    ),
    ("beta1", lambda net, value: Adam(0.1, (value, 0.9)), {"1": 1, "-1": -1}, ["Adam: beta1"]),
    ("beta2", lambda net, value: Adam(0.1, (0.9, value)), {"1": 1, "-1": -1}, ["Adam: beta2"]),
    ("eps", lambda net, value: Adam(0.1, eps=value), {"0": 0, "-1": -1}, ["Adam: eps"]),
    ("leak", lambda net, value: LeakyReLU(value), {}, ["LeakyReLU: the leak"]),
    ("low", lambda net, value: gate("xor", low=value), {"high": 1}, ["low"]),
    ("high", lambda net, value: parity(2, high=value), {"low": 0}, ["high"]),
]
SETTINGS: list[Row] = [
    (f"{what} of {kind}", lambda net, rng, call=call, value=value: call(net, value), WRONG, words)
    for what, call, out_of_range, words in NUMBERS
    for kind, value in {**NO_NUMBERS, **out_of_range}.items()
]
SETTINGS += [
    (
        f"betas of {betas!r}",
        lambda net, rng, betas=betas: Adam(0.1, betas),
        TypeError,
        ["Adam: betas must be a pair"],
    )
    for betas in (0.9, None, (0.9,), (0.9, 0.9, 0.9), "", "abc")
]
SETTINGS += [
    (
        f"reduction {reduction!r} of {kind.__name__}",
        lambda net, rng, kind=kind, reduction=reduction: kind(reduction=reduction),
        ValueError,
        [f"{kind.__name__}: reduction", "sum, mean", repr(reduction)],
    )
    for kind in (SquaredError, MeanSquaredError, BinaryCrossEntropy, SoftmaxCrossEntropy)
    for reduction in ("avg", "", "SUM", None, 1, ["sum"])
]
SETTINGS += [
    ("from_logits of 1", lambda net, rng: BinaryCrossEntropy(1), TypeError, ["from_logits", "1"]),
    (
        "from_logits of 'sum'",
        lambda net, rng: BinaryCrossEntropy("sum"),
        TypeError,
        ["from_logits", "'sum'"],
    ),
]

NO_COUNTS = {
    "0": 0,
    "-1": -1,
    "1.0": 1.0,
    "1.5": 1.5,
    "True": True,
    "NumPy's True": np.True_,
    "'2'": "2",
    "nan": np.nan,
    "inf": np.inf,
    "a NumPy float": np.float64(2),
    "a list": [2],
    "an array": np.array([2, 3]),
    "complex": 2j,
    "an object": object(),
}
COUNTS: list[tuple[str, Callable[[Network, np.random.Generator, Any], object], list[str]]] = [
    ("inputs", lambda net, rng, n: Affinity(n, 2, rng=rng), ["Affinity: the number of inputs"]),
    ("outputs", lambda net, rng, n: Affinity(2, n, rng=rng), ["Affinity: the number of outputs"]),
    ("epochs", lambda net, rng, n: net.learn(XOR, n), ["epochs", "positive integer"]),
    ("epochs of steps", lambda net, rng, n: net.steps(iter(XOR), n), ["epochs"]),
    ("nets", lambda net, rng, n: net.replicate(n, rng), ["the number of nets"]),
    ("batches", lambda net, rng, n: XOR.batches(n), ["the size of a batch"]),
    ("parity", lambda net, rng, n: parity(n), ["the number of bits"]),
    ("sample", lambda net, rng, n: sample(np.copy, n, 2, rng), ["the number of facts"]),
    ("sample's width", lambda net, rng, n: sample(np.copy, 2, n, rng), ["the width"]),
    ("the bench's facts", lambda net, rng, n: NNBench(net).training_data_gen(n), ["facts"]),
    ("the bench's learning", lambda net, rng, n: NNBench(net).learn(n), ["the number of facts"]),
    (
        "the bench's potential",
        lambda net, rng, n: NNBench(net).learning_potential(n),
        ["the number of facts"],
    ),
]
SETTINGS += [
    (
        f"{what}: {kind} for a count",
        lambda net, rng, call=call, value=value: call(net, rng, value),
        WRONG,
        words,
    )
    for what, call, words in COUNTS
    for kind, value in NO_COUNTS.items()
]
SETTINGS += [
    (
        "no inputs",
        lambda net, rng: Affinity(None, 2),
        TypeError,
        ["Affinity: the number of inputs"],
    ),
    ("no outputs", lambda net, rng: Affinity(2, None), TypeError, ["the number of outputs"]),
    ("10^30 inputs", lambda net, rng: Affinity(10**30, 2), ValueError, ["the number of inputs"]),
    ("10^5000 outputs", lambda net, rng: Affinity(2, 10**5000), ValueError, ["number of outputs"]),
    ("21 bits", lambda net, rng: parity(21), ValueError, ["21 bits", "20"]),
    ("low is high", lambda net, rng: gate("xor", low=1), ValueError, ["low and high"]),
    ("an unknown gate", lambda net, rng: gate("nandy"), ValueError, ["'nandy'", *GATES]),
    ("a gate's number", lambda net, rng: gate(6), ValueError, ["6", *GATES]),
    ("no gate", lambda net, rng: gate(None), ValueError, ["None", "xor"]),
    ("a list of gates", lambda net, rng: gate(["xor"]), ValueError, ["['xor']"]),
    ("a dot in a name", lambda net, rng: ReLU(name="a.b"), ValueError, ["name", "dot", "'a.b'"]),
    ("an empty name", lambda net, rng: Network(name=""), ValueError, ["name", "empty"]),
    ("a number as a name", lambda net, rng: Affinity(2, 2, 3), TypeError, ["name", "string", "3"]),
    ("no function", lambda net, rng: Map(3, np.cos), TypeError, ["Map: f", "3"]),
    ("no derivative", lambda net, rng: Map(np.sin, None), TypeError, ["Map: dfdx", "None"]),
    (
        "a name for an initializer",
        lambda net, rng: Affinity(2, 2, initializer="he", rng=rng),
        TypeError,
        ["initializer", "'he'"],
    ),
    (
        "an initializer that draws too few",
        lambda net, rng: Affinity(2, 2, initializer=drawing(5), rng=rng),
        ValueError,
        ["Affinity", "6", "5"],
    ),
    (
        "an initializer that draws too many",
        lambda net, rng: Affinity(2, 2, initializer=drawing(7), rng=rng),
        ValueError,
        ["Affinity", "6", "7"],
    ),
    (
        "an initializer that draws nan",
        lambda net, rng: Affinity(2, 2, initializer=drawing(6, np.nan), rng=rng),
        ValueError,
        ["Affinity", "nan"],
    ),
    (
        "an initializer that raises in a crowd",
        lambda net, rng: raising_later().replicate(2, rng),
        RuntimeError,
        ["planned"],
    ),
    (
        "an initializer that raises",
        lambda net, rng: raising_later().randomize(rng),
        RuntimeError,
        ["planned"],
    ),
    ("no network on the bench", lambda net, rng: NNBench([net]), TypeError, ["net", "Network"]),
    ("no ideal on the bench", lambda net, rng: NNBench(net, 3), TypeError, ["ideal", "3"]),
    ("a bench without seed", lambda net, rng: NNBench(net, seed=None), TypeError, ["seed"]),
    ("a bench's seed", lambda net, rng: NNBench(net, seed=0.5), TypeError, ["0.5"]),
    (
        "a bench for any width",
        lambda net, rng: NNBench(Network([ReLU()])).learn(),
        ValueError,
        ["any number of inputs"],
    ),
    (
        "a bench's ideal of another width",
        lambda net, rng: NNBench(net).learn(),
        ValueError,
        ["(100, 2)", "(100, 1)"],
    ),
    (
        "a bench's alpha",
        lambda net, rng: NNBench(net, np.sum).learning_potential(alpha=-1),
        ValueError,
        ["alpha", "-1"],
    ),
    (
        "another type as an alpha on the bench",
        lambda net, rng: NNBench(net, lambda x: x[:1]).learning_potential(alpha="1"),
        TypeError,
        ["alpha", "'1'"],
    ),
]
SETTINGS += [
    (
        f"rng of {re.sub(r' at 0x.*|from .*', '', repr(rng))} for {what}",
        lambda net, _, rng=rng, call=call: call(net, rng),
        TypeError,
        ["rng"],
    )
    for rng in (0.5, -1, True, "0", [1, 2], np.random.RandomState(0), np.random)
    for what, call in {
        "randomize": lambda net, rng: net.randomize(rng),
        "replicate": lambda net, rng: net.replicate(2, rng),
        "a layer": lambda net, rng: Affinity(2, 2, rng=rng),
        "shuffled": lambda net, rng: XOR.shuffled(rng),
        "sample": lambda net, rng: sample(np.copy, 2, 2, rng),
    }.items()
]


def drawing(size: int, value: float = 0.0) -> Callable:
    return lambda rng, n, m, lead: np.full((*lead, size), value)


def raising_later() -> Network:
    """A network whose initializer draws once, and then draws and raises."""
    calls = iter([None])

    def initializer(rng: np.random.Generator, n: int, m: int, lead: tuple[int, ...]) -> Any:
        rows = rng.standard_normal((*lead, m * n + m))
        if next(calls, "over") == "over":
            raise RuntimeError("planned")
        return rows

    return Network([Affinity(2, 2, initializer=initializer)])


def pairs() -> Iterator[Any]:
    yield from XOR


FACTS: list[Row] = [
    ("no facts", lambda net, rng: net.learn([]), ValueError, ["no facts"]),
    ("an empty tuple of facts", lambda net, rng: net.steps(()), ValueError, ["no facts"]),
    ("an empty iterator", lambda net, rng: net.learn(iter(())), ValueError, ["no facts"]),
    ("an empty dict", lambda net, rng: net.learn({}), ValueError, ["no facts"]),
    ("empty Facts", lambda net, rng: Facts([], []), ValueError, ["X", "(0,)"]),
    (
        "Facts of no rows",
        lambda net, rng: Facts(np.zeros((0, 2)), np.zeros((0, 1))),
        ValueError,
        ["X"],
    ),
    (
        "Facts of no inputs",
        lambda net, rng: Facts(np.zeros((3, 0)), np.zeros((3, 1))),
        ValueError,
        ["X"],
    ),
    (
        "Facts of no outputs",
        lambda net, rng: Facts(np.zeros((3, 2)), np.zeros((3, 0))),
        ValueError,
        ["T"],
    ),
    ("Facts of vectors", lambda net, rng: Facts([1, 2], [1, 2]), ValueError, ["X", "(2,)"]),
    ("Facts in 3-D", lambda net, rng: Facts(np.zeros((2, 2, 2)), [[1], [2]]), ValueError, ["X"]),
    (
        "Facts with T in 3-D",
        lambda net, rng: Facts(np.eye(2), np.zeros((2, 1, 1))),
        ValueError,
        ["T"],
    ),
    ("Facts with numbers for T", lambda net, rng: Facts(np.eye(2), [0.5, 1.5]), ValueError, ["T"]),
    ("Facts with bools for T", lambda net, rng: Facts(np.eye(2), [True, False]), ValueError, ["T"]),
    ("Facts with a number for T", lambda net, rng: Facts(np.eye(2), 1), ValueError, ["T"]),
    (
        "Facts of two lengths",
        lambda net, rng: Facts(np.eye(2), np.ones((3, 1))),
        ValueError,
        ["X has 2 facts", "(3, 1)"],
    ),
    ("Facts from an iterator", lambda net, rng: Facts(iter([[1, 2]]), [[1]]), WRONG, ["X"]),
    (
        "Facts of another width",
        lambda net, rng: net.learn(parity(3)),
        ValueError,
        ["(2,)", "(8, 3)"],
    ),
    (
        "Facts of other outputs",
        lambda net, rng: net.learn(Facts(XOR.X, XOR.X)),
        ValueError,
        ["T has shape (4, 2)", "(4, 1)"],
    ),
    (
        "Facts with indices for outputs",
        lambda net, rng: net.learn(Facts(XOR.X, [0, 1, 1, 0])),
        ValueError,
        ["T has shape (4,)", "(4, 1)"],
    ),
    ("a number for facts", lambda net, rng: net.learn(3), TypeError, ["facts", "3"]),
    ("None for facts", lambda net, rng: net.learn(None), TypeError, ["facts", "None"]),
    ("a string for facts", lambda net, rng: net.learn("facts"), WRONG, ["fact #0", "'f'"]),
    ("a string of pairs", lambda net, rng: net.learn(["ab"]), WRONG, ["fact #0"]),
    ("a dict for facts", lambda net, rng: net.learn({(0, 1): (1,)}), WRONG, ["fact #0"]),
    ("a dict as a fact", lambda net, rng: net.learn([{"x": [0, 1], "t": [1]}]), WRONG, ["fact #0"]),
    ("a lone fact", lambda net, rng: net.learn(([0, 1], [1])), WRONG, ["fact #0"]),
    ("a number as a fact", lambda net, rng: net.learn([1]), WRONG, ["fact #0", "pair", "1"]),
    ("None as a fact", lambda net, rng: net.learn([None]), WRONG, ["fact #0", "pair", "None"]),
    (
        "three parts",
        lambda net, rng: net.learn([([0, 1], [1], 1)]),
        ValueError,
        ["fact #0", "pair"],
    ),
    ("one part", lambda net, rng: net.learn([([0, 1],)]), ValueError, ["fact #0", "pair"]),
    (
        "the third is none",
        lambda net, rng: net.learn([*list(XOR)[:2], ([0, 1],)]),
        ValueError,
        ["fact #2", "pair"],
    ),
    (
        "epochs from a generator",
        lambda net, rng: net.learn(pairs(), 2),
        ValueError,
        ["iterator", "list"],
    ),
    (
        "epochs from a zip",
        lambda net, rng: net.steps(zip(XOR.X, XOR.T, strict=True), 2),
        ValueError,
        ["iterator"],
    ),
    (
        "wrong width",
        lambda net, rng: net.learn([([0, 1, 2], [1])]),
        ValueError,
        ["fact #0", "(2,)", "(3,)"],
    ),
    (
        "a number as x",
        lambda net, rng: net.learn([(1, [1])]),
        ValueError,
        ["fact #0", "(2,)", "()"],
    ),
    (
        "x in 3-D",
        lambda net, rng: net.learn([([[[0, 1]]], [[[1]]])]),
        ValueError,
        ["fact #0", "(1, 1, 2)"],
    ),
    (
        "an empty x",
        lambda net, rng: net.learn([([], [1])]),
        ValueError,
        ["fact #0", "(2,)", "(0,)"],
    ),
    (
        "an empty batch",
        lambda net, rng: net.learn([(np.zeros((0, 2)), np.zeros((0, 1)))]),
        ValueError,
        ["fact #0", "(0, 2)"],
    ),
    (
        "no input at all",
        lambda net, rng: Network().learn([([], [])]),
        ValueError,
        ["fact #0", "(0,)"],
    ),
    (
        "(4,) against (4, 1)",
        lambda net, rng: net.learn([(XOR.X, XOR.T.ravel())]),
        ValueError,
        ["fact #0: expected has shape (4,)", "the output has shape (4, 1)"],
    ),
    (
        "(1, 4) against (4, 1)",
        lambda net, rng: net.learn([(XOR.X, XOR.T.T)]),
        ValueError,
        ["(1, 4)", "(4, 1)"],
    ),
    (
        "(1, 1) against (4, 1)",
        lambda net, rng: net.learn([(XOR.X, [[1]])]),
        ValueError,
        ["(1, 1)", "(4, 1)"],
    ),
    (
        "(1,) against (4, 1)",
        lambda net, rng: net.learn([(XOR.X, [1])]),
        ValueError,
        ["(1,)", "(4, 1)"],
    ),
    (
        "a bare number",
        lambda net, rng: net.learn([([0, 1], 1)]),
        ValueError,
        ["has shape ()", "(1,)"],
    ),
    (
        "a batch of one",
        lambda net, rng: net.learn([([0, 1], [[1]])]),
        ValueError,
        ["(1, 1)", "(1,)"],
    ),
    ("two outputs", lambda net, rng: net.learn([([0, 1], [1, 0])]), ValueError, ["(2,)", "(1,)"]),
    (
        "an outer identity's width",
        lambda net, rng: Network([Identity()]).learn([([0, 1], [1])]),
        ValueError,
        ["(1,)", "(2,)"],
    ),
    (
        "a crowd's x",
        lambda net, rng: net.replicate(3, 0).learn([(np.zeros((2, 4, 2)), np.zeros((2, 4, 1)))]),
        ValueError,
        ["(3, batch, 2)", "(2, 4, 2)"],
    ),
    (
        "a crowd's expected",
        lambda net, rng: net.replicate(3, 0).learn([(XOR.X, np.zeros((2, 4, 1)))]),
        ValueError,
        ["(2, 4, 1)", "(3, 4, 1)"],
    ),
    (
        "a crowd's number",
        lambda net, rng: net.replicate(3, 0).learn([([0, 1], 1)]),
        ValueError,
        ["()", "(1,)"],
    ),
    ("input: a number", lambda net, rng: net(1.0), ValueError, ["Network takes 2 inputs", "()"]),
    (
        "input: too wide",
        lambda net, rng: net([1, 2, 3]),
        ValueError,
        ["Network takes 2 inputs", "(3,)"],
    ),
    (
        "input: a batch too wide",
        lambda net, rng: net(np.eye(3)),
        ValueError,
        ["takes 2 inputs", "(3, 3)"],
    ),
    (
        "input: 3-D",
        lambda net, rng: net(np.zeros((1, 4, 2))),
        ValueError,
        ["takes 2 inputs", "(1, 4, 2)"],
    ),
    (
        "input: a layer's",
        lambda net, rng: net["out"]([1, 2]),
        ValueError,
        ["Affinity #2 'out' takes 3 inputs", "(2,)"],
    ),
    (
        "input: a free layer's",
        lambda net, rng: Affinity(2, 2)([1]),
        ValueError,
        ["Affinity takes 2 inputs", "(1,)"],
    ),
    ("input: empty", lambda net, rng: net([]), ValueError, ["takes 2 inputs", "(0,)"]),
    (
        "input: another crowd's",
        lambda net, rng: net.replicate(3, 0)(np.zeros((2, 4, 2))),
        ValueError,
        ["(3, batch, 2)", "(2, 4, 2)"],
    ),
    ("index above", lambda net, rng: classes(net, 3), ValueError, ["class index", "0 to 2", "3"]),
    ("index below", lambda net, rng: classes(net, -1), ValueError, ["class index", "0 to 2", "-1"]),
    ("fractional index", lambda net, rng: classes(net, 1.5), ValueError, ["()", "(3,)"]),
    ("two indices", lambda net, rng: classes(net, [0, 1]), ValueError, ["(2,)", "(3,)"]),
    ("an index of True", lambda net, rng: classes(net, True), WRONG, ["expected"]),
    (
        "probability above 1",
        lambda net, rng: classes(net, [0, 1.5, 0]),
        ValueError,
        ["fact #0: expected", "1.5"],
    ),
    (
        "probability below 0",
        lambda net, rng: classes(net, [-0.1, 1, 0]),
        ValueError,
        ["fact #0: expected", "-0.1"],
    ),
    (
        "binary above 1",
        lambda net, rng: classes(net, [0, 2, 0], BinaryCrossEntropy(True)),
        ValueError,
        ["expected", "2"],
    ),
    (
        "output that is no probability",
        lambda net, rng: probable(net),
        ValueError,
        ["BinaryCrossEntropy", "7", "Sigmoid", "from_logits"],
    ),
    ("sample: no ideal", lambda net, rng: sample(3, 2, 2, rng), TypeError, ["ideal", "3"]),
    ("sample: None", lambda net, rng: sample(lambda x: None, 2, 2, rng), TypeError, ["None"]),
    (
        "sample: a number",
        lambda net, rng: sample(lambda x: x[0], 2, 2, rng),
        ValueError,
        ["ideal must return a sequence"],
    ),
    ("sample: strings", lambda net, rng: sample(lambda x: "a", 2, 2, rng), TypeError, ["'a'"]),
    ("sample: nan", lambda net, rng: sample(lambda x: x * np.nan, 2, 2, rng), ValueError, ["nan"]),
    ("sample: ragged", lambda net, rng: sample(ragged(), 2, 2, rng), ValueError, ["T"]),
    ("sample: raising", lambda net, rng: sample(lambda x: 1 / 0, 2, 2, rng), ZeroDivisionError, []),
    (
        "sample: another shape",
        lambda net, rng: sample(np.copy, 2, 2, rng, lambda rng, size: rng.normal(size=3)),
        ValueError,
        ["(3,)", "(2, 2)"],
    ),
    (
        "sample: no distribution",
        lambda net, rng: sample(np.copy, 2, 2, rng, "normal"),
        TypeError,
        ["distribution", "'normal'"],
    ),
    (
        "sample: infinite inputs",
        lambda net, rng: sample(np.copy, 2, 2, rng, lambda rng, size: np.full(size, np.inf)),
        ValueError,
        ["inputs", "inf"],
    ),
    (
        "1e300 in float32",
        lambda net, rng: Network([Affinity(1, 1)], dtype="float32").learn([([1e300], [1])]),
        ValueError,
        ["fact #0: x", "range of float32"],
    ),
    (
        "1e300 in float32 Facts",
        lambda net, rng: Network([Affinity(1, 1)], dtype="float32").learn(Facts([[1e300]], [[1]])),
        ValueError,
        ["X", "range of float32"],
    ),
    (
        "1e300 expected in float32",
        lambda net, rng: Network([Affinity(1, 1)], dtype="float32").learn([([1], [1e300])]),
        ValueError,
        ["expected", "range of float32"],
    ),
    (
        "1e300 given to float32",
        lambda net, rng: Network([Affinity(1, 1)], dtype="float32")([1e300]),
        ValueError,
        ["Network: the input", "range of float32"],
    ),
    (
        "1e300 assigned in float32",
        lambda net, rng: setattr(
            Network([Affinity(1, 1)], dtype="float32").layers[0], "M", [[1e300]]
        ),
        ValueError,
        ["Affinity #0 'affinity0': M", "range of float32"],
    ),
    (
        "1e300 brought into float32",
        lambda net, rng: Network([huge()], dtype="float32"),
        ValueError,
        ["Affinity", "M", "range of float32"],
    ),
]


def ragged() -> Callable:
    sizes = iter([1, 2])
    return lambda x: np.ones(next(sizes))


def huge() -> Affinity:
    layer = Affinity(1, 1)
    layer.M = [[1e300]]
    return layer


def probable(net: Network) -> object:
    """Learn without a Sigmoid at the end; the second fact is the bad one."""
    net = Network([Affinity(1, 1)], loss=BinaryCrossEntropy(), optimizer=SGD(0.1, 0.9))
    net.layers[0].M, net.layers[0].b = [[1]], [0]
    try:
        return net.learn([([0.5], [1]), ([7], [1])])
    finally:
        assert net.layers[0].M.item() == 1
        assert net.layers[0].b.item() == 0


NO_ARRAYS: dict[str, Any] = {
    "nan": [[np.nan, 1.0]],
    "inf": [[1.0, np.inf]],
    "minus inf": [[-np.inf, 1.0]],
    "1e400": [[float("1e400"), 1]],
    "strings": [["a", "b"]],
    "strings of numbers": [["1", "2"]],
    "1e400 as a string": [["1e400", 1]],
    "NumPy strings": np.array([["1", "2"]]),
    "bytes": [[b"1", b"2"]],
    "a bare string": "12",
    "None": [[None, 1]],
    "a bare None": None,
    "ragged": [[1, [2, 3]]],
    "ragged rows": [[1, 2], [3]],
    "complex": [[1j, 1]],
    "complex with no imaginary part": np.ones((1, 2), complex),
    "objects": [[object(), 1]],
    "an array of objects": np.array([[1, 2]], object),
    "a huge int": [[10**400, 1]],
    "an int too long to print": [[10**5000, 1]],
    "dates": np.array([["2020", "2021"]], "datetime64[Y]"),
    "times": np.array([[1, 2]], "timedelta64[s]"),
    "a structured array": np.zeros((1, 2), [("a", float)]),
    "a record": np.rec.array([(1.0, 2.0)]),
    "a set": {1, 2},
    "a dict": {0: 1, 1: 2},
    "a function": np.tanh,
    "a generator": (x for x in (1, 2)),
    "a network": Network(),
    "masked": np.ma.array([[1.0, 2.0]], mask=[[True, False]]),
}
DOORS: dict[str, tuple[Callable[[Network, Any], object], str]] = {
    "x": (lambda net, bad: net.learn([*XOR, (bad, [[1]])]), "fact #4: x"),
    "x from an iterator": (lambda net, bad: net.learn(iter([(bad, [[1]])])), "fact #0: x"),
    "expected": (
        lambda net, bad: Network([Affinity(2, 2)]).learn([([[0, 1]], bad)]),
        "fact #0: expected",
    ),
    "expected classes": (
        lambda net, bad: Network([Affinity(2, 2)], loss=SoftmaxCrossEntropy()).learn(
            [([[0, 1]], bad)]
        ),
        "fact #0: expected",
    ),
    "X": (lambda net, bad: Facts(bad, [[1]]), "X"),
    "T": (lambda net, bad: Facts([[1]], bad), "T"),
    "the input": (lambda net, bad: net(bad), "Network: the input"),
    "a layer's input": (lambda net, bad: net["fc1"](bad), "Affinity #0 'fc1': the input"),
    "a Map's input": (lambda net, bad: ReLU()(bad), "ReLU: the input"),
    "M": (lambda net, bad: setattr(Affinity(2, 1), "M", bad), "Affinity: M"),
    "M in a network": (lambda net, bad: setattr(net["fc1"], "M", bad), "Affinity #0 'fc1': M"),
    "b in a network": (lambda net, bad: setattr(net["fc1"], "b", bad), "Affinity #0 'fc1': b"),
    "a loss's expected": (lambda net, bad: SquaredError()([[1, 2]], bad), "expected"),
    "a gradient's expected": (
        lambda net, bad: BinaryCrossEntropy().gradient([[1, 0]], bad),
        "expected",
    ),
    "expected by classes": (lambda net, bad: SoftmaxCrossEntropy()([[1, 2]], bad), "expected"),
}
ARRAYS: list[Row] = [
    (f"{what} as {door}", lambda net, rng, call=call, bad=bad: call(net, bad), WRONG, [words])
    for door, (call, words) in DOORS.items()
    for what, bad in NO_ARRAYS.items()
]
ARRAYS += [
    (
        f"{what} as a loss's output",
        lambda net, rng, loss=loss, bad=bad: loss(bad, [[1, 0]]),
        WRONG,
        ["output"],
    )
    for loss in (SquaredError(), SoftmaxCrossEntropy())
    for what, bad in NO_ARRAYS.items()
    if what not in ("nan", "inf", "minus inf", "1e400", "complex", "complex with no imaginary part")
]
ARRAYS += [
    (
        f"{name} of shape {np.shape(bad)}",
        lambda net, rng, name=name, bad=bad: setattr(net["fc1"], name, bad),
        ValueError,
        [f"Affinity #0 'fc1': {name} takes shape {shape}", f"{np.shape(bad)} came"],
    )
    for name, shape in (("M", (3, 2)), ("b", (3,)))
    for bad in (1, [1], [[1]], np.ones((2, 3)), np.ones((1, 3, 2)), np.ones((3, 1)), [], np.ones(6))
]
ARRAYS += [
    (
        f"a crowd's M of shape {shape}",
        lambda net, rng, shape=shape: setattr(net.replicate(4, 0)["fc1"], "M", np.ones(shape)),
        ValueError,
        ["takes shape (4, 3, 2)", f"{shape} came"],
    )
    for shape in ((3, 2), (1, 3, 2), (5, 3, 2))
]
ARRAYS += [
    (
        f"{kind.__name__}{'.gradient' if gradient else ''} of {y} and {t}",
        lambda net, rng, kind=kind, gradient=gradient, y=y, t=t: (
            kind().gradient if gradient else kind()
        )(np.full(y, 0.5), np.full(t, 0.5)),
        ValueError,
        [f"expected has shape {t}", f"output has shape {y}"],
    )
    for kind in (SquaredError, MeanSquaredError, BinaryCrossEntropy, SoftmaxCrossEntropy)
    for gradient in (False, True)
    for y, t in (((4, 1), (4,)), ((4,), (4, 1)), ((4, 1), ()), ((4,), (1,)), ((4, 1), (1, 4)),
                 ((2, 3), (3,)), ((5, 2, 3), (5, 1, 3)), ((5, 2, 3), (3,)), ((5, 2, 3), (1, 2, 3)))
]  # fmt: skip


@rows(STRUCTURE, SETTINGS, FACTS, ARRAYS)
def test_bad_input_is_refused_and_changes_nothing(
    call: Callable, error: Any, words: list[str]
) -> None:
    check(call, error, words)


def test_a_losss_bare_output_is_refused() -> None:
    with pytest.raises(TypeError, match="output"):
        SquaredError()(1.0, 1.0)


@pytest.mark.parametrize("bad", NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_bad_parameters_of_own_layers_are_refused_at_the_first_assignment_too(bad: Any) -> None:
    layer = object.__new__(Affinity)
    layer.__dict__.update(ReLU().__dict__)
    with pytest.raises(WRONG, match="Affinity: M"):
        layer.M = bad


def test_an_error_of_a_long_value_is_short() -> None:
    with pytest.raises(TypeError) as error:
        gate("xor", low=list(range(1000)))
    assert len(str(error.value)) < 120


# what works

INPUTS: dict[str, Any] = {
    "a list": [[0, 0], [0, 1], [1, 0], [1, 1]],
    "tuples": ((0, 0), (0, 1), (1, 0), (1, 1)),
    "arrays in a list": [np.array(x) for x in ([0, 0], [0, 1], [1, 0], [1, 1])],
    "bools": XOR.X.astype(bool),
    "bools in a list": [[False, False], [False, True], [True, False], [True, True]],
    "bytes as small integers": XOR.X.astype(np.uint8),
    "integers": XOR.X.astype(np.int64),
    "float16": XOR.X.astype(np.float16),
    "float32": XOR.X.astype(np.float32),
    "float64": XOR.X.astype(np.float64),
    "the other byte order": XOR.X.astype(">f8"),
    "Fortran's order": np.asfortranarray(XOR.X),
    "every other column": np.repeat(XOR.X, 2, axis=1)[:, ::2],
    "backwards": XOR.X[::-1].copy()[::-1],
    "a transposed view": XOR.X.T.copy().T,
    "read-only": XOR.X,
    "np.matrix": XOR.X.view(np.matrix),
    "nothing masked": np.ma.array(XOR.X, mask=False),
}


@pytest.mark.parametrize("X", INPUTS.values(), ids=INPUTS)
def test_all_kinds_of_numbers_work(X: Any) -> None:
    before = np.array(X).tolist()
    net, twin = learned(), learned()
    np.testing.assert_allclose(net(X), twin(XOR.X), rtol=1e-14)
    assert net(X[1]).shape == (1, 1) if isinstance(X, np.matrix) else (1,)
    facts = Facts(X, [[0], [1], [1], [0]])
    assert list(net.steps(facts)) == list(twin.steps(XOR))
    net.learn([(X, [[0], [1], [1], [0]])])
    twin.learn([(XOR.X, XOR.T)])
    for key, p in net.parameters.items():
        np.testing.assert_allclose(p, twin.parameters[key], rtol=1e-13)
        assert p.dtype == np.float64
    layer = Affinity(2, 4)
    layer.M = X
    assert layer.M.tolist() == XOR.X.tolist()
    assert layer.M.dtype == np.float64
    assert SquaredError()(X, X) == 0
    np.testing.assert_array_equal(ReLU()(X), XOR.X)
    assert np.array(X).tolist() == before


@pytest.mark.parametrize(
    "alpha", [1, 0.5, np.float32(0.5), np.float16(0.5), np.int64(1), np.array(0.5)]
)
def test_all_kinds_of_numbers_are_settings(alpha: Any) -> None:
    net = learned()
    net.alpha = alpha
    assert net.alpha == float(alpha)
    assert type(net.alpha) is float


@pytest.mark.parametrize("count", [2, np.int8(2), np.uint64(2), np.array(2)])
def test_all_kinds_of_integers_are_counts(count: Any) -> None:
    assert Affinity(count, count).M.shape == (2, 2)
    assert learned().replicate(count, rng=0).nets == 2
    assert len(list(learned().steps(XOR, count))) == 8
