"""What every layer and every loss must do: each property is one test, judged by hypothesis.

A suite is a subclass of LayerProperties or LossProperties with `cases`; a layer or loss
is one line in them. `pytest --layer MODULE:OBJECT` puts your own layer in their place.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from autograd import make_vjp
from hypothesis import assume, given
from numpy.typing import NDArray
from oracle import INPUT, Values

from minnet import Layer, Loss

Array = NDArray[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Elements = st.SearchStrategy[Array]


# Comparing, and the guard against comparing nothing


class Evidence:
    """How many of the numbers that a test expected it could have told from zero.

    A zero beside others that are none is a claim of its own and not counted.
    """

    def __init__(self) -> None:
        self.seen = self.all = 0

    def add(self, expected: Array, tolerance: Array) -> None:
        size = np.abs(expected)
        counted = (size > 0) | (size.max(initial=0) == 0)
        self.seen += int((counted & (size > tolerance)).sum())
        self.all += int(counted.sum())

    def verdict(self) -> str | None:
        """What is wrong with the test, if it saw too little."""
        if 2 * self.seen >= self.all:
            return None
        return f"vacuous: of {self.all} numbers expected, only {self.seen} were above tolerance"


_open: list[Evidence] = []


@contextmanager
def evidence() -> Iterator[Evidence]:
    """Collects what the comparisons inside could see."""
    _open.append(Evidence())
    try:
        yield _open[-1]
    finally:
        _open.pop()


def close(actual: Any, expected: Any, what: str, rtol: float = 1e-9, floor: Any = 0.0) -> None:
    """Equal to `rtol` of the largest entry expected, plus what rounding may do: `floor`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    tolerance = rtol * np.abs(expected).max(initial=0) + np.broadcast_to(floor, expected.shape)
    for collected in _open[-1:]:
        collected.add(expected, tolerance)
    wrong = ~(np.abs(actual - expected) <= tolerance)
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0].tolist())
        raise AssertionError(
            f"{what}{list(at)} is {actual[at]!r}, not {expected[at]!r} "
            f"({wrong.sum()} of {wrong.size} are off by more than {tolerance[at]:.1e})"
        )


def same(actual: Any, expected: Any, what: str) -> None:
    """Equal to the last bit, in dtype too; 0.0 and -0.0 are equal."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, not {expected.dtype}"
    close(actual, expected, what, rtol=0)


def close_values(
    actual: Values, expected: Values, rtol: float = 1e-12, errors: Values | None = None
) -> None:
    """Named gradients, with a floor of rounding: 1e-14 of the largest of them all."""
    assert set(actual) == set(expected), f"gradients of {list(actual)}, not {list(expected)}"
    floor = 1e-14 * max(np.abs(e).max(initial=0) for e in expected.values())
    for key, e in expected.items():
        more = 0.0 if errors is None else errors[key]
        close(actual[key], e, f"gradient of {key}", rtol, floor + more)


# Problems: what hypothesis draws


# A strategy is made once for each shape: making one takes longer than drawing from it.


def _wholes(shape: tuple[int, ...]) -> Elements:
    """Arrays of integers up to 32: a few one by one, many from a seed, which is much faster."""
    if math.prod(shape) <= 64:
        return hnp.arrays(np.int64, shape, elements=st.integers(-32, 32), fill=st.nothing())
    return st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).integers(-32, 33, shape)
    )


@functools.cache
def moderate(shape: tuple[int, ...], scales: tuple[int, ...] = (-3, 0)) -> Elements:
    """Arrays of small integers times a power of two: their sums and products are exact."""
    return st.builds(np.ldexp, _wholes(shape).map(np.float64), st.sampled_from(scales))


def numbers(shape: tuple[int, ...]) -> Elements:
    """The same, or all of them small: a gradient is not zero for being small."""
    return moderate(shape, (-3, 0, -30))


@functools.cache
def nonzero(shape: tuple[int, ...]) -> Elements:
    """The same without zeros, which put a unit on its kink."""
    wholes = _wholes(shape).map(lambda k: np.where(k == 0, 33.0, k))
    return st.builds(np.ldexp, wholes, st.sampled_from((-3, 0, -30)))


def sized(x: Any) -> str:
    return f"{np.shape(x)} {np.asarray(x).dtype} = {np.asarray(x).tolist()}"


@dataclass
class Problem:
    """A layer on its parameters, an input and an upstream gradient."""

    layer: Layer
    x: Array
    dy: Array

    def __repr__(self) -> str:
        arrays = {"x": self.x, "dy": self.dy, **self.layer.parameters}
        lines = [repr(self.layer), *(f"{key} {sized(array)}" for key, array in arrays.items())]
        return "\n    ".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # how hypothesis prints an example

    def claims(self, inputs: bool = True) -> tuple[Array, Values]:
        """The layer's output, and the gradients of everything that it depends on."""
        y, cache = self.layer.forward(self.x)
        dx, gradients = self.layer.backprop(self.dy, cache, inputs)
        return y, {**({INPUT: dx} if inputs else {}), **gradients}

    def on(self, x: Array, dy: Array, part: Any = ...) -> Problem:
        """The same layer, or a part of its crowd, on other arrays."""
        parameters = {key: array[part] for key, array in self.layer.parameters.items()}
        return Problem(self.layer.with_parameters(parameters), x, dy)

    def map(self, function: Callable[[Array], Array]) -> Problem:
        """The same with every array replaced."""
        p = {key: function(array) for key, array in self.layer.parameters.items()}
        return Problem(self.layer.with_parameters(p), function(self.x), function(self.dy))


@dataclass
class Case:
    """A layer to be proven.

    Parameters
    ----------
    layers : strategy of layers
    forward : its mathematics for one fact, if known: see oracle.forward
    analytic : whether its own forward takes complex numbers
    slopes : its derivative just below, at and just above 0, where that is stated
    """

    layers: st.SearchStrategy[Layer]
    forward: oracle.Forward | None = oracle.forward
    analytic: bool = True
    slopes: Callable[[Any], tuple[float, float, float]] | None = None

    def problems(
        self,
        shapes: st.SearchStrategy[tuple[int, ...]],
        nets: int | None = None,
        elements: Callable[[tuple[int, ...]], Elements] = numbers,
    ) -> st.SearchStrategy[Problem]:
        """Problems whose input has a drawn shape of leading axes; of a crowd, if `nets`."""
        return _problems(self.layers, shapes, nets, elements)


@functools.cache
@st.composite
def _problems(
    draw: Draw,
    layers: st.SearchStrategy[Layer],
    shapes: st.SearchStrategy[tuple[int, ...]],
    nets: int | None,
    elements: Callable[[tuple[int, ...]], Elements],
) -> Problem:
    layer = draw(layers)
    crowd = () if nets is None else (nets,)
    layer = layer.with_parameters(
        {key: draw(elements(crowd + shape)) for key, shape in layer.shapes.items()}
    )
    shape = draw(shapes)
    if crowd and (not layer.size or draw(BOOLEANS)):
        shape = crowd + shape
    x = draw(elements((*shape, layer.n or draw(WIDTHS))))
    return Problem(layer, x, draw(elements(layer.forward(x)[0].shape)))


BOOLEANS, WIDTHS = st.booleans(), st.integers(1, 4)
just = functools.cache(st.just)
BATCH = st.integers(1, 4).map(lambda batch: (batch,))
LARGE_BATCH = st.sampled_from([(9,), (33,), (130,)])
FACT_OR_BATCH = st.just(()) | BATCH
FORMS = st.tuples(FACT_OR_BATCH, st.none()) | st.tuples(BATCH, st.integers(1, 3))


def any_form(data: st.DataObject, case: Case, **kwargs: Any) -> Problem:
    """One fact, a batch, or a batch for a crowd."""
    shape, nets = data.draw(FORMS, "batch and nets")
    return data.draw(case.problems(just(shape), nets, **kwargs), "problem")


# Purity


def arranged(array: Array, arrangement: str) -> Array:
    """The same numbers in the same shape, in another arrangement in memory."""
    if arrangement == "columns first":
        return np.asfortranarray(array)
    if arrangement == "every other":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if arrangement == "backwards":
        return np.flip(np.flip(array).copy())
    array = array.copy()
    array.flags.writeable = arrangement != "read-only"
    return array


def attributes_of(layer: Layer) -> Iterator[tuple[str, int]]:
    """What a layer holds, and which object each is."""
    for part in (layer, *(getattr(layer, "layers", ()))):
        yield from ((key, id(value)) for key, value in vars(part).items())


ARRANGEMENTS = st.sampled_from(["plain", "read-only", "columns first", "every other", "backwards"])


def unaliased(results: dict[str, Any], sources: dict[str, Array]) -> None:
    """No result shares memory with a source or with another result."""
    for (a, first), (b, second) in itertools.chain(
        itertools.product(results.items(), sources.items()),
        itertools.combinations(results.items(), 2),
    ):
        assert not np.shares_memory(first, second), f"{a} shares memory with {b}"


EDGES = (0.0, 1.0, 1e4, 2.0**-126, 2.0**-1022, 2.0**-149, 5e-324, 1e-160, 710.0, 89.0, 0.3)


@functools.cache
def extremes(shape: tuple[int, ...]) -> Elements:
    """Arrays of both signs and of every size from the subnormals to 1e4."""
    elements = st.sampled_from([sign * edge for edge in EDGES for sign in (1, -1)])
    return hnp.arrays(np.float64, shape, elements=elements, fill=st.nothing())


def finite(results: dict[str, Array]) -> None:
    for key, array in results.items():
        assert np.isfinite(array).all(), f"{key} is not finite: {array.tolist()}"


class LayerProperties:
    """The properties of a layer: B(dy) stands for its backprop, J for its Jacobian."""

    cases: dict[str, Case] = {}  # noqa: RUF012

    @given(st.data())
    def test_oracles(self, case: Case, data: st.DataObject) -> None:
        """The output is the mathematics', and B(dy) = J^T dy for J by each oracle there is."""
        problem = data.draw(case.problems(FACT_OR_BATCH), "problem")
        layer, x, dy = problem.layer, problem.x, problem.dy
        y, claims = problem.claims()
        values, f = oracle.values_of(layer, x), oracle.output(layer)
        if case.forward is not None:
            assume(oracle.off_kinks(layer, x))
            expected, gradients = oracle.by_autograd(case.forward, layer, x, dy)
            close(y, expected, "output")
            close_values(claims, gradients, 1e-9)
        if case.analytic:
            gradients, _ = oracle.by_columns(oracle.complex_step, f, values, dy)
            close_values(claims, gradients, 1e-9)
        else:
            gradients, errors = oracle.by_columns(oracle.finite_difference, f, values, dy)
            close_values(claims, gradients, 1e-8, errors)

    @given(st.data())
    def test_linear_in_upstream(self, case: Case, data: st.DataObject) -> None:
        """B(a g + b h) = a B(g) + b B(h), for all units at once: B(dy) = sum dy_i B(e_i).

        The dy_i are of any size, some 0; each sum is held to the rounding of its own terms.
        """
        problem = any_form(data, case)
        shape = problem.dy.shape
        exponents = hnp.arrays(np.int64, shape, elements=st.integers(-100, 100), fill=st.nothing())
        problem.dy = np.ldexp(problem.dy, data.draw(exponents, "exponents of dy"))
        _, claims = problem.claims()
        sums = {key: np.zeros(array.shape) for key, array in claims.items()}
        sizes = {key: np.zeros(array.shape) for key, array in claims.items()}
        for index in np.ndindex(shape):
            unit = np.zeros(shape)
            unit[index] = 1
            for key, array in problem.on(problem.x, unit).claims()[1].items():
                sums[key] += problem.dy[index] * array
                sizes[key] += abs(problem.dy[index] * array)
        for key, expected in sums.items():
            close(claims[key], expected, f"gradient of {key}", 0, 1e-13 * sizes[key])

    @given(st.data())
    def test_adjoint(self, case: Case, data: st.DataObject) -> None:
        """<J v, dy> = <v, B(dy)> along a random direction v of everything at once."""
        problem = data.draw(case.problems(LARGE_BATCH, elements=nonzero), "problem")
        assume(case.forward is None or oracle.off_kinks(problem.layer, problem.x))
        _, claims = problem.claims()
        values = oracle.values_of(problem.layer, problem.x)
        rng = np.random.default_rng(data.draw(st.integers(0, 99), "seed of v"))
        v = {key: rng.uniform(0.5, 1, a.shape) * rng.choice([-1, 1], a.shape)
             for key, a in values.items()}  # fmt: skip
        derivative = oracle.complex_step if case.analytic else oracle.finite_difference
        Jv, error = derivative(oracle.output(problem.layer), values, v)
        terms = np.concatenate([(v[key] * claims[key]).ravel() for key in v])
        floor = 1e-13 * abs(terms).sum() + (abs(problem.dy) * error).sum()
        close(terms.sum(), (Jv * problem.dy).sum(), "<v, B(dy)>", 1e-9, floor)

    @given(st.data())
    def test_batch(self, case: Case, data: st.DataObject) -> None:
        """A batch is the stack of its facts' outputs and dx, and the sum of their gradients."""
        problem = data.draw(case.problems(BATCH | LARGE_BATCH), "problem")
        y, claims = problem.claims()
        facts = [problem.on(x, dy).claims() for x, dy in zip(problem.x, problem.dy, strict=True)]
        close(y, [y for y, _ in facts], "output", 1e-12)
        for key, claim in claims.items():
            each = np.array([claims[key] for _, claims in facts])
            expected = each if key == INPUT else each.sum(axis=0)
            floor = 1e-13 * abs(each).sum(axis=0).max(initial=0)
            close(claim, expected, f"gradient of {key}", 1e-12, floor)

    @given(st.data())
    def test_crowd(self, case: Case, data: st.DataObject) -> None:
        """A crowd is each net alone, on facts of its own or on shared ones."""
        nets = data.draw(st.integers(1, 3), "nets")
        problem = data.draw(case.problems(BATCH, nets), "problem")
        y, claims = problem.claims()
        assert problem.layer.nets == (nets if problem.layer.size else None)
        for i in range(nets):
            x = problem.x[i] if problem.x.ndim == 3 else problem.x
            alone_y, alone = problem.on(x, problem.dy[i], i).claims()
            close(y[i], alone_y, f"output of net {i}", 1e-12)
            close_values({key: claim[i] for key, claim in claims.items()}, alone)

    @given(st.data())
    def test_at_zero(self, case: Case, data: st.DataObject) -> None:
        """At +0, -0 and the floats beside them the derivative is the stated one, exactly.

        Of a layer that states none, +0 and -0 are the same number.
        """
        dtype = data.draw(st.sampled_from([np.float64, np.float32]), "dtype")
        problem = any_form(data, case).map(dtype)
        if case.slopes is None:
            zeros = data.draw(hnp.arrays(np.bool_, problem.x.shape), "where x is 0")
            plus, minus = (
                problem.on(np.where(zeros, zero, problem.x), problem.dy).claims()[1]
                for zero in (dtype(0.0), dtype(-0.0))
            )
            for key, expected in plus.items():
                same(minus[key], expected, f"gradient of {key} at -0")
            return
        tiny = np.nextafter(dtype(0), dtype(1))
        points = [-tiny, dtype(-0.0), dtype(0.0), tiny]
        dy = data.draw(numbers((*problem.x.shape[:-1], len(points))), "dy").astype(dtype)
        x = data.draw(st.permutations(points * (dy.size // len(points))), "x")
        problem = problem.on(np.reshape(x, dy.shape), dy)
        below, at, above = map(dtype, case.slopes(problem.layer))
        slopes = np.where(problem.x < 0, below, np.where(problem.x > 0, above, at))
        same(problem.claims()[1][INPUT], dy * slopes, "dx")

    @given(st.data())
    def test_nothing_changed(self, case: Case, data: st.DataObject) -> None:
        """Parameters, input, upstream and layer stay as they are, however they lie in memory."""
        problem = any_form(data, case)
        expected_y, expected = problem.claims()
        arrangement = data.draw(ARRANGEMENTS, "arrangement")
        problem = problem.map(lambda array: arranged(array, arrangement))
        given = {**oracle.values_of(problem.layer, problem.x), "dy": problem.dy}
        before = {key: array.tobytes() for key, array in given.items()}
        attributes = list(attributes_of(problem.layer))
        y, claims = problem.claims()
        for key, array in given.items():
            assert array.tobytes() == before[key], f"{key} was changed"
        assert list(attributes_of(problem.layer)) == attributes, "the layer keeps something"
        close(y, expected_y, "output", 1e-12)
        close_values(claims, expected)

    @given(st.data())
    def test_nothing_aliased(self, case: Case, data: st.DataObject) -> None:
        """Output and gradients share memory with nothing given and not with each other."""
        problem = any_form(data, case)
        y, claims = problem.claims()
        unaliased(
            {"output": y, **{f"gradient of {key}": array for key, array in claims.items()}},
            {"dy": problem.dy, **oracle.values_of(problem.layer, problem.x)},
        )

    @given(st.data())
    def test_interleaved(self, case: Case, data: st.DataObject) -> None:
        """Forwards spoil no backprop, and backprops spoil no cache, in whatever order."""
        first = any_form(data, case)
        second = first.on(data.draw(numbers(first.x.shape), "second x"), first.dy)
        expected = [copy.deepcopy(problem).claims()[1] for problem in (first, second)]
        runs = [(p, first.layer.forward(p.x)[1]) for p in (first, second)]
        for i in data.draw(st.permutations([0, 0, 1, 1]), "order"):
            problem, cache = runs[i]
            dx, gradients = first.layer.backprop(problem.dy, cache)
            for key, array in {INPUT: dx, **gradients}.items():
                same(array, expected[i][key], f"gradient of {key}")

    @given(st.data())
    def test_dtype(self, case: Case, data: st.DataObject) -> None:
        """float32 in, float32 out, and the numbers are those of float64."""
        problem = any_form(data, case, elements=moderate)
        single = problem.map(np.float32)
        sides = (oracle.sides(p.layer, p.x) for p in (problem, single))
        assume(all(map(np.array_equal, *sides)))
        y, claims = problem.claims()
        narrow_y, narrow = single.claims()
        for key, array in {"output": narrow_y, **narrow}.items():
            assert array.dtype == np.float32, f"{key} is {array.dtype}"
        steps = 4 * np.finfo(np.float32).smallest_subnormal  # below them are no digits to keep
        close(narrow_y, y, "output", 1e-5, steps)
        largest = max(abs(array).max(initial=0) for array in claims.values())
        for key, array in claims.items():
            close(narrow[key], array, f"gradient of {key}", 1e-5, 1e-6 * largest + steps)

    @given(st.data())
    def test_without_inputs(self, case: Case, data: st.DataObject) -> None:
        """inputs=False saves dx and changes nothing else."""
        problem = any_form(data, case)
        y, claims = problem.claims()
        del claims[INPUT]
        less_y, less = problem.claims(inputs=False)
        same(less_y, y, "output")
        assert set(less) == set(claims)
        for key, array in claims.items():
            same(less[key], array, f"gradient of {key}")

    @given(st.data())
    def test_range(self, case: Case, data: st.DataObject) -> None:
        """All is finite, and nothing warns, from the subnormals to +-1e4."""
        dtype = data.draw(st.sampled_from([np.float64, np.float32]), "dtype")
        with np.errstate(all="ignore"):
            problem = any_form(data, case, elements=extremes).map(dtype)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            y, claims = problem.claims()
        finite({"output": y, **{f"gradient of {key}": array for key, array in claims.items()}})


# Losses


@dataclass
class LossProblem:
    """A loss, outputs and what was expected."""

    loss: Loss
    y: Array
    t: Array

    def __repr__(self) -> str:
        return f"{self.loss!r}\n    y {sized(self.y)}\n    expected {sized(self.t)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def claims(self) -> tuple[Any, Array]:
        """The loss and its gradient."""
        return self.loss(self.y, self.t), self.loss.gradient(self.y, self.t)


@functools.cache
def probabilities(shape: tuple[int, ...]) -> Elements:
    """Arrays of numbers strictly between 0 and 1."""
    elements = st.integers(1, 63).map(lambda k: k / 64)
    return hnp.arrays(np.float64, shape, elements=elements, fill=st.nothing())


@functools.cache
def extreme_probabilities(shape: tuple[int, ...]) -> Elements:
    """Arrays of probabilities at and next to 0 and 1."""
    edges = [0.0, 5e-324, 2.0**-1022, 2.0**-149, 2.0**-126, 0.5, 1 - 2.0**-24, 1 - 2.0**-53, 1.0]
    return hnp.arrays(np.float64, shape, elements=st.sampled_from(edges), fill=st.nothing())


@dataclass(frozen=True)
class LossCase:
    """A loss to be proven.

    Parameters
    ----------
    losses : strategy of losses
    outputs, expected : whether they are any "numbers" or "probabilities"
    least : how many outputs it takes for the gradient not to be 0
    """

    losses: st.SearchStrategy[Loss]
    outputs: str = "numbers"
    expected: str = "numbers"
    least: int = 1

    def problems(
        self, leads: st.SearchStrategy[tuple[int, ...]], extreme: bool = False
    ) -> st.SearchStrategy[LossProblem]:
        """Problems of drawn leading axes; a crowd's expected may be shared."""
        return _loss_problems(self, leads, extreme)


@functools.cache
@st.composite
def _loss_problems(
    draw: Draw, case: LossCase, leads: st.SearchStrategy[tuple[int, ...]], extreme: bool
) -> LossProblem:
    kinds = {"numbers": extremes, "probabilities": extreme_probabilities} if extreme else \
            {"numbers": numbers, "probabilities": probabilities}  # fmt: skip
    shape = (*draw(leads), draw(st.integers(case.least, 4)))
    shared = len(shape) == 3 and draw(BOOLEANS)
    return LossProblem(
        draw(case.losses),
        draw(kinds[case.outputs](shape)),
        draw(kinds[case.expected](shape[1:] if shared else shape)),
    )


CROWD = st.tuples(st.integers(1, 3), st.integers(1, 4))
ALL_FORMS = FACT_OR_BATCH | CROWD


class LossProperties:
    """The properties of a loss and its gradient by the outputs."""

    cases: dict[str, LossCase] = {}  # noqa: RUF012

    @given(st.data())
    def test_oracles(self, case: LossCase, data: st.DataObject) -> None:
        """One fact's loss is the mathematics', and so is its gradient by each oracle."""
        problem = data.draw(case.problems(st.just(())), "problem")
        loss, t = problem.loss, problem.t
        value, gradient = problem.claims()
        back, expected = make_vjp(lambda y: oracle.loss(loss, y, t))(problem.y)
        close(value, expected, "loss", 1e-12, 1e-13 * abs(problem.y).max())
        rounding = 1e-15 * abs(t).max()
        close(gradient, back(1.0), "gradient by autograd", 1e-9, rounding)
        columns, _ = oracle.by_columns(
            oracle.complex_step, lambda v: loss.forward(v["y"], t), {"y": problem.y}, np.array(1.0)
        )
        close(gradient, columns["y"], "gradient by complex step", 1e-9, rounding)

    @given(st.data())
    def test_batch(self, case: LossCase, data: st.DataObject) -> None:
        """A batch's loss is the sum or mean of its facts', its gradient their stack."""
        problem = data.draw(case.problems(BATCH), "problem")
        value, gradient = problem.claims()
        facts = [LossProblem(problem.loss, y, t).claims()
                 for y, t in zip(problem.y, problem.t, strict=True)]  # fmt: skip
        facts_in_one = 1 if problem.loss.reduction == "sum" else len(facts)
        close(value, sum(v for v, _ in facts) / facts_in_one, "loss", 1e-13)
        close(gradient, np.array([g for _, g in facts]) / facts_in_one, "gradient", 1e-13)

    @given(st.data())
    def test_crowd(self, case: LossCase, data: st.DataObject) -> None:
        """Each net of a crowd has the loss and gradient that it has alone."""
        problem = data.draw(case.problems(CROWD), "problem")
        value, gradient = problem.claims()
        nets = [LossProblem(problem.loss, y, problem.t[i] if problem.t.ndim == 3 else problem.t)
                for i, y in enumerate(problem.y)]  # fmt: skip
        close(value, [net.claims()[0] for net in nets], "losses", 1e-13)
        close(gradient, [net.claims()[1] for net in nets], "gradient", 1e-13)

    @given(st.data())
    def test_shapes(self, case: LossCase, data: st.DataObject) -> None:
        """Expected values of another shape than the output's are refused, never broadcast."""
        problem = data.draw(case.problems(ALL_FORMS), "problem")
        shape = problem.y.shape
        fitting = {shape, shape[1:]} if len(shape) == 3 else {shape}
        shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
        problem.t = np.zeros(data.draw(shapes.filter(lambda s: s not in fitting), "shape"))
        for function in (problem.loss, problem.loss.gradient):
            with pytest.raises(ValueError, match="shape"):
                function(problem.y, problem.t)

    @given(st.data())
    def test_nothing_changed(self, case: LossCase, data: st.DataObject) -> None:
        """Outputs and expected stay as they are, however they lie in memory."""
        problem = data.draw(case.problems(ALL_FORMS), "problem")
        expected = problem.claims()
        arrangement = data.draw(ARRANGEMENTS, "arrangement")
        y, t = arranged(problem.y, arrangement), arranged(problem.t, arrangement)
        value, gradient = LossProblem(problem.loss, y, t).claims()
        same(y, problem.y, "y")
        same(t, problem.t, "expected")
        close(value, expected[0], "loss", 1e-13)
        close(gradient, expected[1], "gradient", 1e-13)

    @given(st.data())
    def test_nothing_aliased(self, case: LossCase, data: st.DataObject) -> None:
        """The gradient shares memory with neither outputs nor expected."""
        problem = data.draw(case.problems(ALL_FORMS), "problem")
        value, gradient = problem.claims()
        unaliased({"loss": value, "gradient": gradient}, {"y": problem.y, "expected": problem.t})

    @given(st.data())
    def test_dtype(self, case: LossCase, data: st.DataObject) -> None:
        """float32 in, float32 out, and the numbers are those of float64."""
        problem = data.draw(case.problems(ALL_FORMS), "problem")
        value, gradient = problem.claims()
        narrow = LossProblem(problem.loss, problem.y.astype(np.float32), problem.t).claims()
        assert narrow[0].dtype == narrow[1].dtype == np.float32
        close(narrow[0], value, "loss", 1e-5, 1e-6 * abs(problem.y).max())
        close(narrow[1], gradient, "gradient", 1e-5)

    @given(st.data())
    def test_range(self, case: LossCase, data: st.DataObject) -> None:
        """All is finite, and nothing warns, at +-1e4, at subnormals, at probabilities 0 and 1."""
        dtype = data.draw(st.sampled_from([np.float64, np.float32]), "dtype")
        problem = data.draw(case.problems(ALL_FORMS, extreme=True), "problem")
        problem.y = problem.y.astype(dtype)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            value, gradient = problem.claims()
        finite({"loss": value, "gradient": gradient})
