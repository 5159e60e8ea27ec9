"""What the layers, losses, optimizers and the network say, to the letter, and their defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Identity,
    Layer,
    LeakyReLU,
    Loss,
    Map,
    MeanSquaredError,
    Network,
    Optimizer,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
)

ONE, TWO = np.ones(1), np.ones(2)
CROWD = Network([Affinity(2, 3)]).replicate(2, 0)

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no forward": (lambda: Layer(name="own").forward(ONE), "Layer 'own' has no forward(x)"),
    "no backprop": (
        lambda: Layer(name="own").backprop(ONE, None),
        "Layer 'own' has no backprop(dy, cache, inputs=True)",
    ),
    "Affinity of 0 inputs": (
        lambda: Affinity(0, 1),
        "Affinity: the number of inputs must be a positive integer, not 0",
    ),
    "Affinity of 0 outputs": (
        lambda: Affinity(1, 0),
        "Affinity: the number of outputs must be a positive integer, not 0",
    ),
    "initializer": (
        lambda: Affinity(1, 1, initializer=3),
        "Affinity: the initializer must be a function, not 3",
    ),
    "f": (lambda: Map(3, np.cos), "Map: f must be a function, not 3"),
    "dfdx": (lambda: Map(np.sin, 3), "Map: dfdx must be a function, not 3"),
    "f of strings": (
        lambda: Map(lambda x: "a", np.cos)(TWO),
        "Map: f must return a number, not 'a' (at x = 1.0)",
    ),
    "dfdx of strings": (
        lambda: Map(np.sin, lambda x: "a").backprop(TWO, TWO),
        "Map: dfdx must return a number, not 'a' (at x = 1.0)",
    ),
    "leak": (lambda: LeakyReLU("a"), "LeakyReLU: the leak must be a number, not 'a'"),
    "no per_fact": (lambda: Loss().forward(ONE, ONE), "Loss has no per_fact(y, expected)"),
    "no slope": (lambda: Loss().backprop(ONE, ONE), "Loss has no slope(y, expected)"),
    "reduction": (
        lambda: SquaredError("max"),
        "SquaredError: reduction must be one of sum, mean; not 'max'",
    ),
    "a lone output": (
        lambda: SquaredError()(3.0, 3.0),
        "an output must be an array (..., m) of numbers, not array(3.)",
    ),
    "outputs as words": (
        lambda: SquaredError()(["a"], [1]),
        "output must hold real numbers, not ['a'] (dtype <U1)",
    ),
    "an output outside": (
        lambda: BinaryCrossEntropy()([0.5, 1.5, -1], [0, 0, 0]),
        "BinaryCrossEntropy takes outputs in [0.0, 1.0], but one is 1.5; "
        "end the network with a Sigmoid, or use from_logits=True",
    ),
    "expected outside": (
        lambda: SoftmaxCrossEntropy()([0.5, 1], [0, 1.5]),
        "expected must be in [0.0, 1.0], not 1.5",
    ),
    "expected of another shape": (
        lambda: SquaredError()([[1, 2]], [1, 2]),
        "expected has shape (2,), but the output has shape (1, 2)",
    ),
    "expected as words": (
        lambda: SoftmaxCrossEntropy()(TWO, ["a"]),
        "expected must hold real numbers, not ['a'] (dtype <U1)",
    ),
    "a class too high": (
        lambda: SoftmaxCrossEntropy()([[1, 2]], [2]),
        "expected holds a class index outside 0 to 1: [2]",
    ),
    "from_logits": (
        lambda: BinaryCrossEntropy(from_logits="no"),
        "from_logits must be True or False, not 'no'",
    ),
    "alpha": (lambda: SGD(0), "SGD: alpha must be above 0, not 0"),
    "another alpha": (lambda: SGD().with_alpha(0), "alpha must be above 0, not 0"),
    "one of the alphas": (
        lambda: SGD().with_alpha(np.array([[1.0], [0.0]])),
        f"alpha must be above 0, not {np.float64(0)!r}",
    ),
    "momentum": (lambda: SGD(1, 1), "SGD: momentum must be at least 0 and below 1, not 1"),
    "momentum below": (lambda: SGD(1, -1), "SGD: momentum must be at least 0 and below 1, not -1"),
    "weight decay": (lambda: SGD(1, 0, -1), "SGD: weight_decay must be at least 0, not -1"),
    "betas": (lambda: Adam(1, 0.9), "Adam: betas must be a pair of numbers, not 0.9"),
    "beta1": (lambda: Adam(1, (1, 0)), "Adam: beta1 must be at least 0 and below 1, not 1"),
    "beta2": (lambda: Adam(1, (0, 1)), "Adam: beta2 must be at least 0 and below 1, not 1"),
    "beta1 below": (lambda: Adam(1, (-1, 0)), "Adam: beta1 must be at least 0 and below 1, not -1"),
    "beta2 below": (lambda: Adam(1, (0, -1)), "Adam: beta2 must be at least 0 and below 1, not -1"),
    "eps": (lambda: Adam(eps=0), "Adam: eps must be above 0, not 0"),
    "no update": (
        lambda: Optimizer(1).update(ONE, ONE, {}),
        "Optimizer has no update(p, g, state)",
    ),
    "nothing to learn": (
        lambda: Network([Affinity(1, 1)]).learn(iter(())),
        "there are no facts to learn",
    ),
    "an input too many": (
        lambda: CROWD([1, 2, 3]),
        "Network takes 2 inputs, as a vector (2,) or a batch (batch, 2) "
        "or (2, batch, 2); shape (3,) came",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_told_in_these_words(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((TypeError, ValueError, NotImplementedError)) as told:
        call()
    assert str(told.value) == words


def test_the_defaults_and_how_things_show_themselves() -> None:
    shown = {
        "Identity()": Identity(),
        "Affinity(2, 3)": Affinity(2, 3),
        "Affinity(2, 3, name='fc')": Affinity(2, 3, "fc"),
        "ReLU()": ReLU(),
        "ReLU(name='r')": ReLU("r"),
        "LeakyReLU(0.01)": LeakyReLU(),
        "LeakyReLU(0.2, name='l')": LeakyReLU(0.2, "l"),
        "Sigmoid(name='s')": Sigmoid("s"),
        "Tanh(name='t')": Tanh("t"),
        "Map(name='m')": Map(np.sin, np.cos, "m"),
        "SquaredError(reduction='sum')": SquaredError(),
        "MeanSquaredError(reduction='mean')": MeanSquaredError(),
        "BinaryCrossEntropy(from_logits=False, reduction='sum')": BinaryCrossEntropy(),
        "SoftmaxCrossEntropy(reduction='sum')": SoftmaxCrossEntropy(),
        "SGD(alpha=0.1, momentum=0, weight_decay=0)": SGD(),
        "SGD(alpha per net, momentum=0, weight_decay=0)": SGD().with_alpha(np.ones((2, 1))),
        "Adam(alpha=0.001, beta1=0.9, beta2=0.999, eps=1e-08)": Adam(),
    }
    assert {repr(thing): thing for thing in shown.values()} == shown
    net = Network()
    assert (repr(net.loss), repr(net.optimizer)) == (repr(SquaredError()), repr(SGD(0.1)))
    assert (net.dtype, net.name, net.layers) == (np.float64, None, ())
    assert Network(name="inner", dtype=np.float32).name == "inner"
    adam, sgd = Adam(1, (0.25, 0.5), 2), SGD(1, 0.25, 0.5)
    assert (adam.alpha, adam.betas, adam.eps) == (1, (0.25, 0.5), 2)
    assert (sgd.alpha, sgd.momentum, sgd.weight_decay) == (1, 0.25, 0.5)
    assert (LeakyReLU(0.25).leak, BinaryCrossEntropy(True).from_logits) == (0.25, True)
    assert SquaredError("mean").reduction == "mean"


def test_weights_start_standard_normal() -> None:
    layer, rng = Affinity(3, 2, rng=5), np.random.default_rng(5)
    np.testing.assert_array_equal(np.append(layer.M, layer.b), rng.standard_normal(8))
    rows = Optimizer(1).start(ONE), SGD().start(ONE), SGD(1, 0.5).start(ONE).keys()
    assert rows == ({}, {}, {"v"})


def test_calls_take_vectors_batches_and_crowds() -> None:
    x = np.array([[1.0, 2], [3, 4], [5, 6]])
    each = np.stack([CROWD.member(i)(x) for i in (0, 1)])
    np.testing.assert_allclose(CROWD(x), each)
    np.testing.assert_allclose(CROWD(x[1]), each[:, 1])
    np.testing.assert_allclose(CROWD(np.stack([x, x])), each)


def test_a_lone_loss_is_a_number() -> None:
    loss = SquaredError()([1, 2], [0, 0])
    assert isinstance(loss, float) and loss == 2.5 and np.ndim(loss) == 0
    assert SquaredError()(np.ones((2, 1, 1)), np.zeros((2, 1, 1))).tolist() == [0.5, 0.5]


def test_steps_are_numbered_through_and_epochs_counted() -> None:
    facts = Facts([[1], [2]], [[0], [1]])
    once, twice = (Network([Affinity(1, 1, rng=0)]) for _ in range(2))
    assert len(list(once.steps(facts, 2))) == 4 and len(list(twice.steps(facts))) == 2


def test_only_the_first_layer_is_spared_its_dx() -> None:
    asked: list[tuple[str | None, bool]] = []

    class Listens(Identity):
        def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
            asked.append((self.name, inputs))
            return super().backprop(dy, cache)

    net = Network([Listens(name="a"), Affinity(1, 1), Listens(name="b")])
    net.engine = "layers"
    net.learn([([1], [1])])
    assert asked == [("b", True), ("a", False)]


def test_no_dx_where_none_is_asked_for() -> None:
    for layer in (Affinity(2, 2), Map(np.sin, np.cos), ReLU()):
        y, cache = layer.forward(TWO)
        assert layer.backprop(y, cache, inputs=False)[0] is None


def test_a_crowd_is_drawn_for_the_widths_of_its_nets() -> None:
    asked = []

    def initializer(rng: Any, n: int, m: int, lead: Any = ()) -> Any:
        asked.append((n, m, lead))
        return np.zeros((*lead, m * n + m))

    crowd = Network([Affinity(2, 5, initializer=initializer)]).replicate(3, 0)
    crowd.randomize(0)
    assert asked == [(2, 5, ()), (2, 5, (3,)), (2, 5, (3,))]


@pytest.mark.parametrize("ends", [(0.0, np.inf), (-np.inf, 0.0)])
def test_outputs_may_be_bounded_on_one_side(ends: tuple[float, float]) -> None:
    class OneSided(SquaredError):
        output_range = ends

    good = 3.0 if ends[0] == 0 else -3.0
    assert OneSided()([good], [0]) == 4.5
    with pytest.raises(ValueError, match="takes outputs in"):
        OneSided()([-good], [0])


def test_an_optimizer_of_ones_own_shows_all_its_settings() -> None:
    class Own(Optimizer):
        def __init__(self) -> None:
            super().__init__(1)
            self._X = 0.5

    assert repr(Own()) == "Own(alpha=1, X=0.5)"
