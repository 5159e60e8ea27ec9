"""check_gradients finds every kind of fault and names it, and lets right layers pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from bench import check
from bench.arguments import Parser, Refusal
from minnet import (
    Affinity,
    BinaryCrossEntropy,
    Identity,
    Layer,
    LeakyReLU,
    Loss,
    Map,
    MeanSquaredError,
    Network,
    Parameter,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
    along_batch,
    batch_sum,
)
from minnet.derivatives import jacobian
from minnet.gradients import GradientError, check_gradients


class Bent(Layer):
    """y = tanh(M x + b): the right layer, into which the faults are planted."""

    M = Parameter()
    b = Parameter()

    def __init__(self, n: int = 3, m: int = 3) -> None:
        super().__init__(n, m)
        rng = np.random.default_rng(n)
        self.M, self.b = rng.standard_normal((m, n)), rng.standard_normal(m)

    def forward(self, x: Any) -> Any:
        y = np.tanh(x @ self.M.mT + along_batch(self.b))
        return y, (x, y)

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        x, y = cache
        dz = dy * (1 - y * y)
        return dz @ self.M, {"M": np.atleast_2d(dz).mT @ np.atleast_2d(x), "b": batch_sum(dz)}


class Scaled(Layer):
    """y_i = s_i x_i."""

    s = Parameter()

    def __init__(self, n: int = 2) -> None:
        super().__init__(n, n)
        self.s = np.arange(2.0, 2 + n)

    def forward(self, x: Any) -> Any:
        return along_batch(self.s) * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * along_batch(self.s), {"s": batch_sum(dy * x)}


class Gain(Layer):
    """y = s x, one s for all inputs."""

    s = Parameter()

    def __init__(self) -> None:
        super().__init__()
        self.s = np.array([1.5])

    def forward(self, x: Any) -> Any:
        return along_batch(self.s) * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * along_batch(self.s), {"s": batch_sum((dy * x).sum(axis=-1, keepdims=True))}


class Softplus(Layer):
    """y_i = log(1 + exp(x_i))."""

    def forward(self, x: Any) -> Any:
        return np.logaddexp(0, x), x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy / (1 + np.exp(-x)), {}


class Plain(Layer):
    """y_i = 1 / (1 + exp(-x_i)), as everyone writes it first."""

    def forward(self, x: Any) -> Any:
        y = 1 / (1 + np.exp(-x))
        return y, y

    def backprop(self, dy: Any, y: Any, inputs: bool = True) -> Any:
        return dy * y * (1 - y), {}


class Absolute(Layer):
    """y_i = |x_i| + x_i: forward takes complex numbers, but gives them a wrong derivative."""

    def forward(self, x: Any) -> Any:
        return np.abs(x) + x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * (np.sign(x) + 1), {}


class Normal(Layer):
    """y = x / |x|, each fact by its length."""

    def forward(self, x: Any) -> Any:
        length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        return x / length, (x / length, length)

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        y, length = cache
        return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / length, {}


class Softmax(Layer):
    """p_i = exp(x_i) / sum_j exp(x_j)."""

    def forward(self, x: Any) -> Any:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        return p, p

    def backprop(self, dy: Any, p: Any, inputs: bool = True) -> Any:
        return p * (dy - (dy * p).sum(axis=-1, keepdims=True)), {}


class Root(Layer):
    """y = sqrt(x), which refuses what is not positive."""

    def forward(self, x: Any) -> Any:
        if (x.real <= 0).any():
            raise ValueError("x must be positive")
        return np.sqrt(x), x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy / (2 * np.sqrt(x)), {}


def deep(rng: int = 0) -> Network:
    """Networks within networks."""
    inner = Network([Affinity(3, 3, rng=rng + 2), ReLU(), Bent()])
    middle = Network([Scaled(3), Network([inner, Tanh()]), Affinity(3, 2, rng=rng + 1)])
    return Network([Affinity(2, 3, rng=rng), Sigmoid(), middle, LeakyReLU(0.1)])


# ---- right layers pass

RIGHT: dict[str, Callable[[], Layer | Loss]] = {
    "Identity": Identity,
    "Affinity": lambda: Affinity(3, 2, rng=0),
    "square Affinity": lambda: Affinity(3, 3, rng=0),
    "1-1 Affinity": lambda: Affinity(1, 1, rng=0),
    "Map": lambda: Map(lambda x: x**3, lambda x: 3 * x**2),
    "Map of scalars": lambda: Map(lambda x: x if x > 0 else 0.5 * x, lambda x: 1 if x > 0 else 0.5),
    "ReLU": ReLU,
    "LeakyReLU": LeakyReLU,
    "Sigmoid": Sigmoid,
    "Tanh": Tanh,
    "Bent": lambda: Bent(3, 2),
    "Scaled": Scaled,
    "Gain": Gain,
    "Softplus": Softplus,
    "Plain": Plain,
    "Absolute": Absolute,
    "Normal": Normal,
    "Softmax": Softmax,
    "Network": lambda: Network([Affinity(2, 3, rng=0), ReLU(), Affinity(3, 1, rng=1), Sigmoid()]),
    "a crowd": lambda: Network([Affinity(2, 3), Tanh(), Affinity(3, 1)]).replicate(5, rng=0),
    "deep": deep,
    "float32": lambda: Network([Affinity(2, 2, rng=0), ReLU(), Bent(2, 2)], dtype=np.float32),
    "SquaredError": SquaredError,
    "MeanSquaredError": MeanSquaredError,
    "BinaryCrossEntropy": BinaryCrossEntropy,
    "from logits": lambda: BinaryCrossEntropy(from_logits=True),
    "SoftmaxCrossEntropy": SoftmaxCrossEntropy,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_passes_for_every_seed(name: str) -> None:
    for seed in range(settings().max_examples // 10):  # 2; with --hypothesis-profile explore, 100
        report = check_gradients(RIGHT[name](), rng=seed)
        assert report.ok, f"seed {seed}: {report}"


SCALES = (1e-6, 1e-3, 1.0, 30.0, 1e3, 1e6)


@pytest.mark.parametrize("name", [n for n in RIGHT if not issubclass(type(RIGHT[n]()), Loss)])
def test_a_right_layer_passes_at_every_scale(name: str) -> None:
    """Where it is saturated, too: then there may be nothing to test, but nothing is wrong."""
    for seed, scale in enumerate(SCALES[::5] if name == "deep" else SCALES):
        layer = RIGHT[name]()
        assert isinstance(layer, Layer)
        x = scale * np.random.default_rng(seed).standard_normal((3, layer.n or 4))
        report = check_gradients(layer, x, rng=seed)
        assert not report.findings, f"scale {scale}: {report}"


# ---- wrong layers are refused, in words that say what is wrong


class TransposedM(Bent):
    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        dx, g = super().backprop(dy, cache)
        return dx, {**g, "M": g["M"].mT.copy()}


class TransposedInput(Bent):
    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        dz = dy * (1 - cache[1] ** 2)
        return dz @ self.M.mT, super().backprop(dy, cache)[1]


class TransposedLinear(Layer):
    """y = M x, its dx computed with M where M^T is meant: the notebook's fault."""

    M = Parameter()

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.M = np.eye(2)

    def forward(self, x: Any) -> Any:
        return x @ self.M.mT, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy @ self.M.mT, {"M": np.atleast_2d(dy).mT @ np.atleast_2d(x)}


def altered(
    change: Callable[[dict[str, Any], Any, Any], Any], base: type[Layer] = Bent
) -> Callable[[], Layer]:
    """A layer whose gradients {"x": ..., "M": ..., "b": ...} are changed on their way out."""

    class Altered(base):  # type: ignore[valid-type, misc]
        def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
            dx, gradients = super().backprop(dy, cache, inputs)
            g = change({"x": dx, **gradients}, dy, cache)
            return g.pop("x"), g

    return Altered


def scaled_by(name: str, factor: float) -> Callable[[], Layer]:
    return altered(lambda g, dy, cache: {**g, name: factor * g[name]})


def without_batch_sum(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
    return {**g, "b": dy * (1 - cache[1] ** 2)}


def mean_over_batch(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
    facts = len(dy) if dy.ndim > 1 else 1
    return {**g, "M": g["M"] / facts, "b": g["b"] / facts}


def first_fact(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
    return {**g, "b": np.atleast_2d(dy * (1 - cache[1] ** 2))[..., 0, :].copy()}


def in_place(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
    dy *= 2
    return g


def square_in_place(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
    cache[1][...] = cache[1] ** 2
    return g


def spoil_x(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
    cache[0][...] = 0
    return g


def wrong_at(g: dict[str, Any], where: Any) -> dict[str, Any]:
    wrong = g["x"].copy()
    wrong[where] *= 1.001
    return {**g, "x": wrong}


class ChangesInput(Scaled):
    def forward(self, x: Any) -> Any:
        before = x.copy()
        x *= along_batch(self.s)
        return x.copy(), before


class ChangesParameter(Scaled):
    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        results = super().backprop(dy, x)
        self.s[...] += 1
        return results


class Remembers(Scaled):
    def forward(self, x: Any) -> Any:
        self.x = x
        return super().forward(x)[0], None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return super().backprop(dy, self.x)


class SameOutput(Layer):
    """y = x, in one and the same array each time."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers: dict[Any, Any] = {}

    def forward(self, x: Any) -> Any:
        y = self.buffers.setdefault((x.shape, x.dtype), np.empty_like(x))
        y[...] = x
        return y, None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return +dy, {}


class Random(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x: Any) -> Any:
        mask = self.rng.random(x.shape) < 0.5
        return mask * x * along_batch(self.s), mask * x


class Alias(Layer):
    def forward(self, x: Any) -> Any:
        return x, None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return +dy, {}


class AliasUpstream(Identity):
    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return dy, {}


class LiteralFloats(Layer):
    """y = x * 1.5, the 1.5 being float64 whatever x is."""

    def forward(self, x: Any) -> Any:
        return x * np.full(x.shape[-1], 1.5), None

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return dy * np.full(dy.shape[-1], 1.5), {}


class NoCrowd(Scaled):
    def forward(self, x: Any) -> Any:
        return self.s * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * self.s, {"s": batch_sum(dy * x)}


class CrowdSum(Scaled):
    """Right for one net, but axis 0 of a crowd is the nets, not the facts."""

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * along_batch(self.s), {"s": np.atleast_2d(dy * x).sum(axis=0)}


class Centred(Layer):
    """y = x - the mean over the batch."""

    def forward(self, x: Any) -> Any:
        return (x - x.mean(axis=-2, keepdims=True), None) if x.ndim > 1 else (+x, None)

    def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
        return (dy - dy.mean(axis=-2, keepdims=True), {}) if dy.ndim > 1 else (+dy, {})


class OtherWithoutInputs(Scaled):
    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        dx, g = super().backprop(dy, x)
        return (dx, g) if inputs else (None, {"s": 2 * g["s"]})


class NoInputsArgument(Scaled):
    def backprop(self, dy: Any, x: Any) -> Any:  # type: ignore[override]
        return super().backprop(dy, x)


class Copied(Scaled):
    """Forward reads what the constructor made of s, not s."""

    def __init__(self) -> None:
        super().__init__()
        self.copied = self.s.copy()

    def forward(self, x: Any) -> Any:
        return self.copied * x, x


class Tiny(Layer):
    """y = 1e-6 x^2, with a derivative of 0."""

    def forward(self, x: Any) -> Any:
        return 1e-6 * x * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return 0 * dy, {}


class OnlyOutput(Scaled):
    def forward(self, x: Any) -> Any:
        return super().forward(x)[0]


class OnlyInput(Scaled):
    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return super().backprop(dy, x)[0]


class Raises(Scaled):
    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy @ np.ones((7, 7)), {}


class WrongWidth(Scaled):
    def forward(self, x: Any) -> Any:
        return (along_batch(self.s) * x)[..., :1].copy(), x


class Logarithm(Layer):
    def forward(self, x: Any) -> Any:
        return np.log(x), x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy / x, {}


class OwnCache(Scaled):
    """Its cache is its own, but backprop can use it only once."""

    def forward(self, x: Any) -> Any:
        return super().forward(x)[0], x.copy()

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        results = super().backprop(dy, x)
        x *= 2
        return results


class Lists(Scaled):
    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        dx, g = super().backprop(dy, x)
        return dx, {"s": g["s"].tolist()}


class Unlike(Scaled):
    """One output a million times larger than the input, the other as much smaller, and wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.s = np.array([1e6, 1e-6])

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        dx, g = super().backprop(dy, x)
        return dx * np.array([1, 1.01], dx.dtype), g


class TwoShifts(Layer):
    """y = s x + t, the gradients of s and t exchanged."""

    s = Parameter()
    t = Parameter()

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.s, self.t = np.array([1.5, -2]), np.array([0.5, 1])

    def forward(self, x: Any) -> Any:
        return along_batch(self.s) * x + along_batch(self.t), x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * along_batch(self.s), {"t": batch_sum(dy * x), "s": batch_sum(dy)}


WRONG: dict[str, tuple[Callable[[], Layer], str]] = {
    "dM transposed": (TransposedM, "dM is transposed"),
    "dM transposed, not square": (
        lambda: TransposedM(2, 3),
        "dM has shape (2, 3) where (3, 2) is wanted: it is transposed",
    ),
    "dx with M for M^T": (TransposedLinear, "dx is dy times J transposed"),
    "dx with M for M^T, bent": (TransposedInput, "dx is wrong in"),
    "sign of db": (scaled_by("b", -1), "db has the wrong sign"),
    "dM doubled": (scaled_by("M", 2), "dM is 2 times too large"),
    "dx halved": (scaled_by("x", 0.5), "dx is 2 times too small"),
    "db tripled and negative": (scaled_by("b", -3), "db is 3 times too large, and has the wrong"),
    "db zero": (scaled_by("b", 0), "db is always zero"),
    "db off by a millionth": (scaled_by("b", 1 + 1e-6), "db is 1.000001 times too large"),
    "mean over the batch": (altered(mean_over_batch), "dM is the mean over the batch"),
    "first fact only": (altered(first_fact), "db is that of the first fact only"),
    "no sum over the batch": (
        altered(without_batch_sum),
        "db has shape (4, 3) where (3,) is wanted: the sum over the batch is missing",
    ),
    "kept dimension": (
        altered(lambda g, dy, cache: {**g, "b": g["b"][None]}),
        "db has shape (1, 3) where (3,) is wanted",
    ),
    "dy squared": (altered(lambda g, dy, c: {**g, "x": g["x"] * dy}), "dx is not linear in dy"),
    "dy absolute": (
        altered(lambda g, dy, c: {**g, "x": np.abs(dy)}, Identity),
        "dx is not linear in dy: -1 times dy does not give -1 times the gradient",
    ),
    "dy clipped": (
        altered(lambda g, dy, c: {**g, "x": np.clip(dy, -5, 5)}, Identity),
        "dx is not linear in dy",
    ),
    "small dy dropped": (
        altered(lambda g, dy, c: {**g, "x": np.where(np.abs(dy) < 1e-5, 0, dy)}, Identity),
        "dx is not linear in dy: 1e-06 times dy",
    ),
    "dy plus something": (
        altered(lambda g, dy, c: {**g, "x": dy + 1e-3}, Identity),
        "dx is not linear in dy: 0 times dy",
    ),
    "dy by its size": (
        altered(lambda g, dy, c: {**g, "x": dy * abs(dy) / abs(dy).max(initial=1e-9)}, Identity),
        "dx is not linear in dy: for g + h it is not the sum",
    ),
    "no chain rule": (
        altered(lambda g, dy, c: {**g, "x": np.ones_like(dy)}, Identity),
        "dx does not depend on dy",
    ),
    "no derivative": (
        altered(lambda g, dy, c: {**g, "x": +dy}, Scaled),
        "dx is dy itself: the layer's own derivative is missing",
    ),
    "gradients exchanged": (TwoShifts, "ds is the gradient of t"),
    "wrong at one place": (
        altered(lambda g, dy, c: wrong_at(g, (..., -1))),
        "dx is wrong in",
    ),
    "wrong in the last fact": (
        altered(lambda g, dy, c: wrong_at(g, -1) if dy.ndim > 1 else g),
        "one fact alone is right, a batch is not",
    ),
    "wrong where it is small": (Unlike, "dx is 1.01 times too large"),
    "wrong for large inputs": (
        altered(lambda g, dy, c: {**g, "x": np.where(np.abs(c) > 4, 2, 1) * g["x"]}, Scaled),
        "inputs of scale 10",
    ),
    "zero for 1e-6 x^2": (Tiny, "dx is always zero"),
    "x changed": (ChangesInput, "forward changes the input x in place"),
    "x changed by backprop": (altered(spoil_x), "backprop changes the input x in place"),
    "dy changed": (altered(in_place), "backprop changes dy in place"),
    "parameter changed": (ChangesParameter, "backprop changes the parameter s in place"),
    "y changed": (altered(square_in_place), "backprop changes y in place"),
    "cache changed": (OwnCache, "backprop changes its cache"),
    "state in the layer": (Remembers, "a second forward spoils the backprop of the first one"),
    "one output array": (SameOutput, "a second forward changes the output of the first one"),
    "random": (Random, "forward gives two different outputs for the same input"),
    "y is x": (Alias, "y shares its memory with the input x"),
    "dx is dy": (AliasUpstream, "dx shares its memory with dy"),
    "names": (
        altered(lambda g, dy, c: {"x": g["x"], "W": g["M"], "b": g["b"]}),
        "backprop gives gradients named ['W', 'b'], but the parameters are ['M', 'b']",
    ),
    "no gradient of b": (
        altered(lambda g, dy, c: {"x": g["x"], "M": g["M"]}),
        "backprop gives no gradient of b",
    ),
    "float64 literals": (LiteralFloats, "the float type is not kept: y is float64 where"),
    "inputs=False": (OtherWithoutInputs, "inputs=False changes ds"),
    "no argument inputs": (NoInputsArgument, "backprop raised TypeError"),
    "no crowd": (NoCrowd, "in a crowd, parameters (nets, ...): "),
    "crowd summed": (CrowdSum, "are along_batch and batch_sum used?"),
    "facts mixed": (Centred, "vectors and batches disagree"),
    "parameter unused": (Copied, "ds is not zero, but y does not change with s"),
    "only y": (OnlyOutput, "forward must return the pair (y, cache)"),
    "only dx": (OnlyInput, "backprop must return dx and a dictionary of gradients"),
    "a list": (Lists, "ds must be an array of numbers, not ["),
    "raises": (Raises, "backprop raised ValueError (matmul"),
    "width": (WrongWidth, "forward gives y of shape (1,) for x of shape (2,); it should be (2,)"),
    "nan": (Logarithm, "forward gives nan or inf at x = "),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_is_found_and_named(name: str) -> None:
    make, words = WRONG[name]
    for seed in range(3):
        layer = make()
        report = check_gradients(layer, rng=seed)
        assert not report.ok
        assert words in repr(report), report
        with pytest.raises(GradientError, match="WRONG"):
            report.raise_if_wrong()


@pytest.mark.parametrize("name", [name for name in WRONG if name != "x changed"])
def test_a_fault_is_found_inside_a_network(name: str) -> None:
    layer = WRONG[name][0]()
    net = Network([Affinity(2, layer.n or 3, rng=0), layer, Affinity(layer.m or 3, 2, rng=1)])
    assert not check_gradients(net).ok


# ---- kinks, and checks that prove nothing


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.1), Absolute()], ids=repr)
@pytest.mark.parametrize("near", [0.0, -0.0, 1e-300, 1e-12, -1e-9, 1e-7, -1e-5])
def test_entries_at_a_kink_are_reported_and_the_others_tested(layer: Layer, near: float) -> None:
    report = check_gradients(layer, [[near, 1.0, -2.0], [3.0, -0.5, near]])
    assert report.ok, report
    if abs(near) < 1e-100:
        assert report.checks[0].kinks == 3  # one in the vector, two in the batch
    twice = altered(lambda g, dy, cache: {"x": 2 * g["x"]}, type(layer))()
    assert not check_gradients(twice, [near, 1.0, -2.0]).ok


def test_at_a_kink_only_slopes_between_those_of_both_sides_pass() -> None:
    def leaky(at_zero: float) -> Map:
        f = lambda x: np.where(x > 0, x, 0.1 * x)  # noqa: E731
        return Map(f, lambda x: np.where(x > 0, 1, np.where(x < 0, 0.1, at_zero)))

    for right in (0.1, 0.5, 1.0):
        assert check_gradients(leaky(right), [0.0, 1.0]).ok
    for wrong in (0.0, 1.1, -1.0):
        assert not check_gradients(leaky(wrong), [0.0, 1.0]).ok


def test_a_check_that_could_not_fail_is_not_ok() -> None:
    report = check_gradients(ReLU(), [-1.0, -2.0])
    assert not report.findings
    assert report.vacuous
    assert not report.ok
    assert "dx was tested by only 0 of" in repr(report)
    assert "not proven" in repr(report)
    with pytest.raises(GradientError, match="give another x"):
        report.raise_if_wrong()
    assert check_gradients(ReLU(), [-1.0, 2.0]).ok


def test_saturation_is_no_fault_but_no_proof_either() -> None:
    report = check_gradients(Sigmoid(), [800.0, -900.0])
    assert not report.findings
    assert report.vacuous


# ---- what it says, and that it leaves everything as it was


def test_the_oracle_is_the_complex_step_where_that_can_be_believed() -> None:
    def oracle(layer: Layer) -> str:
        return check_gradients(layer).checks[0].oracle

    assert oracle(Tanh()) == oracle(Bent()) == oracle(ReLU()) == "complex step"
    assert oracle(Absolute()) == "finite differences"  # complex numbers go through, but wrong
    scalar_only = Map(lambda x: max(0.0, float(x)), lambda x: 1.0 if x > 0 else 0.0)
    assert oracle(scalar_only) == "finite differences"
    kink = np.zeros(1)
    real_only = lambda x: np.full(1, np.nan) if x.dtype == complex else abs(x)  # noqa: E731
    found = jacobian(real_only, kink, np.eye(1), kink)
    assert not found.exact and found.uncertainty == pytest.approx(1)  # nothing to compare with


def test_the_report_names_the_worst_entry() -> None:
    def one_wrong(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
        wrong = g["M"].copy()
        wrong[1, 2] *= 1.5
        return {**g, "M": wrong}

    report = check_gradients(altered(one_wrong)())
    x, m, b = report.checks
    assert (x.name, m.name, b.name) == ("x", "M", "b")
    assert (x.ok, m.ok, b.ok) == (True, False, True)
    assert m.index == (1, 2)
    assert m.computed == pytest.approx(1.5 * m.expected)
    assert m.shape == (3, 3)
    assert 0 < m.relative_error <= 0.5
    assert x.relative_error < 1e-9


def test_a_network_tells_which_layer_is_wrong() -> None:
    inner = Network([Affinity(3, 3, rng=0), TransposedM(3, 3), Tanh()], name="inner")
    report = check_gradients(Network([Affinity(2, 3, rng=1), inner, Affinity(3, 1, rng=2)]))
    assert report.findings[0] == "in inner.transposedm1: dM is transposed"


def test_a_layer_with_a_domain_is_checked_inside_it() -> None:
    assert "forward raised ValueError (x must be positive)" in repr(check_gradients(Root()))
    assert check_gradients(Root(), [1e-9, 1e-3, 2.0]).ok
    twice = altered(lambda g, dy, cache: {"x": 2 * g["x"]}, Root)
    assert check_gradients(twice(), [0.5, 2.0]).findings == ("dx is 2 times too large",)


def test_a_fault_in_an_array_too_large_to_try_every_entry() -> None:
    def last_doubled(g: dict[str, Any], dy: Any, cache: Any) -> dict[str, Any]:
        wrong = g["M"].copy()
        wrong[-1, -1] *= 2
        return {**g, "M": wrong}

    class Large(Bent):
        def __init__(self) -> None:
            super().__init__(25, 10)
            self.M *= 0.1

    report = check_gradients(Large())
    assert report.ok
    assert [check.tried for check in report.checks] == [300, 8 * report.points, 10 * report.points]
    report = check_gradients(altered(last_doubled, Large)())
    assert [check.ok for check in report.checks] == [True, False, True]
    report = check_gradients(altered(lambda g, dy, c: {**g, "M": -3 * g["M"]}, Large)())
    assert report.findings == ("dM is 3 times too large, and has the wrong sign",)


def test_results_that_are_no_gradients_at_all_are_findings() -> None:
    class Imaginary(Layer):
        def forward(self, x: Any) -> Any:
            return x + 0j, None

        def backprop(self, dy: Any, cache: Any, inputs: bool = True) -> Any:
            return dy.real.copy(), {}

    assert "forward gives complex numbers for real ones" in repr(check_gradients(Imaginary()))
    report = check_gradients(altered(lambda g, dy, c: {"x": dy[dy != 0]}, Identity)())
    assert "dx is not linear in dy: its shape is (3,) for one dy, (1,) for another" in repr(report)


def test_the_same_seed_gives_the_same_report() -> None:
    layer = Bent()
    assert repr(check_gradients(layer, rng=5)) == repr(check_gradients(layer, rng=5))
    assert repr(check_gradients(layer, rng=5)) != repr(check_gradients(layer, rng=6))


@pytest.mark.parametrize("make", [deep, ChangesParameter, ChangesInput, Remembers])
def test_nothing_of_the_layer_or_the_input_is_changed(make: Callable[[], Layer]) -> None:
    layer = make()
    before = {name: array.copy() for name, array in layer.parameters.items()}
    attributes = set(vars(layer))
    x = np.array([0.5, -1.0])
    with np.errstate(all="raise"):
        check_gradients(layer, x)
        assert np.geterr() == dict.fromkeys(np.geterr(), "raise")
    assert x.tolist() == [0.5, -1.0]
    assert set(vars(layer)) == attributes
    for name, array in layer.parameters.items():
        assert np.array_equal(array, before[name])


def test_what_a_layer_holds_is_not_changed_either() -> None:
    layer = SameOutput()
    assert not check_gradients(layer).ok
    assert layer.buffers == {}


def test_beside_the_complex_step_a_few_billionths_are_too_much() -> None:
    for factor in (1 + 4e-9, 1 - 4e-9):
        for name in ("x", "M", "b"):
            report = check_gradients(scaled_by(name, factor)())
            assert [check.name for check in report.checks if not check.ok] == [name]


def test_what_is_not_linear_is_said_to_be_nothing_else() -> None:
    report = check_gradients(WRONG["dy squared"][0]())
    [finding] = report.findings
    assert "not linear in dy" in finding


def test_a_layer_can_be_checked_in_its_place_in_a_network() -> None:
    net = deep()
    assert check_gradients(net["network2.scaled0"]).ok
    assert net["network2.scaled0"]._home is net["network2"]


def test_a_wrong_loss_is_refused() -> None:
    class Doubled(SquaredError):
        def slope(self, y: Any, expected: Any) -> Any:
            return 2 * (y - expected)

    report = check_gradients(Doubled())
    assert report.findings == ("dx is 2 times too large",)
    assert check_gradients(SquaredError(), [1, 2], expected=[0, 5]).ok
    assert check_gradients(SoftmaxCrossEntropy(), [[1, 2], [3, 5]], expected=[0, 1]).ok


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: check_gradients(3), TypeError, "takes a Layer, Network or Loss, not 3"),  # type: ignore[arg-type]
    (lambda: check_gradients(Scaled), TypeError, "give an instance of it"),  # type: ignore[arg-type]
    (lambda: check_gradients(Network()), ValueError, "has no layers to check"),
    (lambda: check_gradients(Scaled(), [1, 2, 3]), ValueError, "takes 2 inputs"),
    (lambda: check_gradients(Scaled(), [np.nan, 2]), ValueError, "must be finite"),
    (lambda: check_gradients(Scaled(), "x"), TypeError, "must hold real numbers"),
    (lambda: check_gradients(Tanh(), np.ones((2, 2, 2))), ValueError, "a vector .n,. or a batch"),
    (lambda: check_gradients(Tanh(), np.ones((0, 2))), ValueError, "a vector .n,. or a batch"),
    (lambda: check_gradients(Tanh(), rng=-1), TypeError, "rng must be"),  # type: ignore[arg-type]
    (lambda: check_gradients(Tanh(), expected=[1]), TypeError, "is no loss"),
    (lambda: check_gradients(BinaryCrossEntropy(), [2.0]), ValueError, "but one is 2.0"),
    (lambda: check_gradients(SquaredError(), [2.0], expected=[1, 2]), ValueError, "has shape"),
    (lambda: check_gradients(SquaredError(), "x"), TypeError, "must hold real numbers"),
    (lambda: check_gradients(SquaredError(), 3.0), ValueError, "a vector or a batch, not of"),
]


@pytest.mark.parametrize("call, kind, words", BAD, ids=[words for _, _, words in BAD])
def test_bad_use_gets_a_clear_error(
    call: Callable[[], Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        call()


# ---- any fault, not only those thought of


def test_random_faults_are_found() -> None:
    """One entry of one gradient, off by a random amount or exchanged: at any place, any size."""
    rng = np.random.default_rng(0)
    for trial in range(settings().max_examples // 2):
        name = str(rng.choice(["x", "M", "b"]))
        kind = int(rng.integers(5))
        seed = int(rng.integers(2**32))
        size = 10.0 ** rng.uniform(-5, 1)

        def fault(
            g: dict[str, Any], dy: Any, cache: Any,
            name: str = name, kind: int = kind, seed: int = seed, size: float = size,
        ) -> dict[str, Any]:  # fmt: skip
            array = g[name].copy()
            last = array[..., int(seed % array.shape[-1])]
            if kind == 0:
                last *= 1 + size
            elif kind == 1:
                last += size * np.abs(g[name]).max()
            elif kind == 2:
                array = np.roll(array, 1, axis=-1)
            elif kind == 3:
                last[...] = 0
            else:
                array = np.sign(array) * np.abs(array) ** (1 + size)
            return {**g, name: array}

        report = check_gradients(altered(fault)(), rng=trial)
        assert not report.ok, (name, kind, size)


# ---- the story: what a usual gradient check lets through


def usual_check(layer: Layer) -> bool:
    """As gradient checks often are: dy of ones, central differences, an absolute tolerance."""
    x = np.random.default_rng(0).standard_normal((4, layer.n or 3))
    y, cache = layer.forward(x)
    dx, gradients = layer.backprop(np.ones_like(y), cache)
    pairs = [(x, dx)] + [(layer.parameters[name], gradients[name]) for name in layer.parameters]
    for array, gradient in pairs:
        numeric = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            value = array[i]
            array[i] = value + 1e-6
            up = layer.forward(x)[0].sum()
            array[i] = value - 1e-6
            down = layer.forward(x)[0].sum()
            array[i] = value
            numeric[i] = (up - down) / 2e-6
        if not np.allclose(gradient, numeric, rtol=1e-3, atol=1e-5):
            return False
    return True


def test_what_a_usual_gradient_check_lets_through() -> None:
    """Which wrong numbers pass there, and why; every one of them is refused here."""
    reasons = {
        "M = I looks the same transposed": {"dx with M for M^T"},
        "ones look the same squared, without their sign, clipped, or left out": {
            *("dy squared", "dy absolute", "dy clipped", "small dy dropped", "no chain rule"),
            "dy by its size",
        },
        "the tolerance is large": {
            *("db off by a millionth", "dy plus something", "wrong at one place"),
            *("wrong in the last fact", "wrong where it is small"),
        },
        "the tolerance is absolute, and the gradient small": {"zero for 1e-6 x^2"},
        "one scale of inputs is no other": {"wrong for large inputs"},
        "a shape is broadcast": {"kept dimension"},
        "one call after another, and nothing looked at twice": {
            *("dy changed", "y changed", "cache changed", "state in the layer", "one output array"),
            *("y is x", "dx is dy"),
        },
        "nobody asked": {
            *("a list", "float64 literals", "inputs=False", "no argument inputs"),
            *("no crowd", "crowd summed", "facts mixed"),
        },
    }
    survivors = set()
    for name, (make, _) in WRONG.items():
        if name != "nan":  # a warning there
            try:
                if usual_check(make()):
                    survivors.add(name)
            except (ValueError, KeyError):  # what stops with an error has not passed
                continue
    assert survivors == set().union(*reasons.values())
    assert not [name for name in survivors if check_gradients(WRONG[name][0]()).ok]


# ---- python -m bench check

LAYERS = """
import numpy as np
from minnet import Layer, Parameter, SquaredError, along_batch, batch_sum

class Scale(Layer):
    s = Parameter()

    def __init__(self, n, sign=1):
        super().__init__(n, n)
        self.s, self.sign = np.ones(n), sign

    def forward(self, x):
        return along_batch(self.s) * x, x

    def backprop(self, dy, x, inputs=True):
        return dy * along_batch(self.s), {"s": self.sign * batch_sum(dy * x)}

right, wrong, loss, number = Scale(2), Scale(2, -1), SquaredError(), 3

def made():
    return Scale(3)
"""


def run_check(arguments: list[str]) -> int:
    parser = Parser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(arguments))


def test_the_command_prints_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "layers.py"
    file.write_text(LAYERS)
    for name in ("right", "made", "loss"):
        assert run_check([f"{file}:{name}"]) == 0
        assert ": right at " in capsys.readouterr().out
    assert run_check([f"{file}:wrong", "--input", "1,0.5", "--seed", "3"]) == 1
    printed = capsys.readouterr().out
    assert "ds !  (2,)" in printed
    assert "- ds has the wrong sign" in printed
    for bad, words in (
        ([f"{file}:number"], "must be a Layer or Loss, but it is 3"),
        ([f"{file}:Scale"], "raised TypeError"),
        ([f"{file}:none"], "has no 'none'"),
        ([f"{file}:right", "--input", "1,2,3"], "takes 2 inputs"),
        ([f"{file}:right", "--seed", "x"], "must be an integer"),
    ):
        with pytest.raises(Refusal, match=words):
            run_check(bad)


def test_the_chapter_prints_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    chapter = Path(__file__).parents[1] / "docs" / "testing-gradients.md"
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", chapter.read_text(), re.DOTALL)
    assert len(blocks) > 15
    namespace: dict[str, Any] = {"__name__": "chapter"}
    for code, shown in blocks:
        exec(code, namespace)
        assert capsys.readouterr().out == shown, code
