"""check_gradients: is a layer's backprop the derivative of its forward? If not, what is wrong?

For a layer y = f(x) with parameters p, backprop must turn dy = dL/dy into dy J, where J
holds the derivatives of y by x and by each p, which `minnet.derivatives` finds from
forward alone. The rest of a layer's contract is checked beside it: that backprop is
linear in dy, that nothing is changed in place or remembered between calls, that the float
type is kept, and that a fact, a batch and a crowd of nets agree.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from minnet.checks import Array, Randomness, brief, generator, inputs_for, real_array
from minnet.derivatives import EXACT, ROUNDING, Function, close, jacobian, largest
from minnet.diagnosis import Comparison, Tally, alike, explanation
from minnet.layers import Back, Layer
from minnet.losses import Loss
from minnet.structure import Chain, leaves

MOST, FEW = 100, 4  # of more entries than MOST, FEW are tried, and FEW random steps through all
OUTPUTS = 20  # so many outputs get an upstream gradient of their own

Gradients: TypeAlias = list[Any]  # of the input and of each parameter in order


class GradientError(AssertionError):
    """What `GradientReport.raise_if_wrong` raises; its message is the report."""


@dataclass(frozen=True)
class GradientCheck:
    """How the gradient of one array, the input or a parameter, compares with the derivative.

    Attributes
    ----------
    name : str
        "x" for the input.
    shape : tuple of int
        Of the array, at the worst entry's point: a vector or a batch of inputs.
    index : tuple of int, or None
        Where the worst entry is; None if there is none (no gradient, or of another shape),
        or if only a step along all entries at once showed it.
    computed, expected : float
        The worst entry: what backprop gave, and dy J.
    relative_error : float
        Their difference, but for the uncertainty of what is expected, over the largest
        entry expected; the largest over all points. inf where there is no gradient to compare.
    oracle : str
        "complex step", or "finite differences" where that was not to be had at every point.
    kinks : int
        How many entries met a kink, where anything between the slopes of both sides passes.
    alive, tried : int
        How many entries were compared, at all points, and in how many of them the expected
        gradient was not zero.
    ok : bool
        Whether every entry agreed.
    """

    name: str
    shape: tuple[int, ...]
    index: tuple[int, ...] | None
    computed: float
    expected: float
    relative_error: float
    oracle: str
    kinks: int
    alive: int
    tried: int
    ok: bool

    @property
    def vacuous(self) -> bool:
        """Whether nine in ten of the expected entries were zero or at a kink: little was tested."""
        return 10 * self.alive < self.tried


@dataclass(frozen=True, repr=False)
class GradientReport:
    """What `check_gradients` found. Printed, it is a table and the findings in plain words.

    Attributes
    ----------
    layer : str
        What was checked.
    checks : tuple of GradientCheck
        The input's first, then each parameter's.
    findings : tuple of str
        What is wrong; empty if nothing is.
    warnings : tuple of str
        What the check could not tell: gradients that were zero wherever it looked.
    points : int
        At how many inputs and parameters it looked.
    """

    layer: str
    checks: tuple[GradientCheck, ...]
    findings: tuple[str, ...]
    warnings: tuple[str, ...]
    points: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong and every gradient was really tested."""
        right = all(check.ok for check in self.checks)
        return right and not self.findings and not self.warnings

    @property
    def vacuous(self) -> bool:
        """Whether some gradient was zero nearly everywhere, so that the check proves little."""
        return bool(self.warnings)

    def raise_if_wrong(self) -> None:
        """Raise a GradientError with this report, unless it is `ok`."""
        if not self.ok:
            raise GradientError(f"\n{self!r}")

    def __repr__(self) -> str:
        verdict = "WRONG" if self.findings else "not proven" if self.warnings else "right"
        head = ("", "shape", "worst", "computed", "expected", "error", "oracle", "kinks", "tested")
        rows = [head]
        for check in self.checks:
            index = "-" if check.index is None else str([*check.index])
            numbers = (
                f"{check.computed:.6g}",
                f"{check.expected:.6g}",
                f"{check.relative_error:.1e}",
            )
            counts = str(check.kinks), f"{check.alive} of {check.tried}"
            name = f"d{check.name}" + ("" if check.ok else " !")
            rows.append((name, str(check.shape), index, *numbers, check.oracle, *counts))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.layer}: {verdict} at {self.points} points"]
        if self.checks:
            lines += [
                "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
                for row in rows
            ]
        return "\n".join([*lines, *(f"- {text}" for text in self.findings + self.warnings)])


def check_gradients(
    layer: Layer | Loss, x: Any = None, *, expected: Any = None, rng: Randomness = 0
) -> GradientReport:
    """Compare a layer's backprop with the derivative of its forward, and test its contract.

    It looks at one fact and at a batch, with the parameters as they are and nudged at
    random, at random upstream gradients of even and of mixed scale. The layer itself is
    left as it is; of a crowd, the first net is checked.

    Parameters
    ----------
    layer : Layer or Loss
        Networks too, nested ones as well. Of a loss, `slope` is checked against `per_fact`.
    x : array_like, shape (n,) or (batch, n), optional
        Where to look. By default at normal random inputs of scale 1, 0.001 and 10, three of
        them where the layer takes any number.
    expected : array_like, shape (m,), optional
        For a loss: what is expected; random probabilities by default.
    rng : numpy.random.Generator, int or None
        Where all random numbers come from.

    Returns
    -------
    GradientReport
        Print it; see its ``ok``, or call its ``raise_if_wrong()``.

    Raises
    ------
    TypeError, ValueError
        If it is no layer, or x no input for it. What a wrong layer raises is reported.

    Examples
    --------
    >>> from minnet import Parameter, along_batch, batch_sum
    >>> class Scale(Layer):
    ...     s = Parameter()
    ...     def __init__(self, n):
    ...         super().__init__(n, n)
    ...         self.s = np.ones(n)
    ...     def forward(self, x):
    ...         return along_batch(self.s) * x, x
    ...     def backprop(self, dy, x, inputs=True):
    ...         return -dy * along_batch(self.s), {"s": batch_sum(dy * x)}
    >>> report = check_gradients(Scale(2))
    >>> report.ok
    False
    >>> print(*report.findings)
    dx has the wrong sign
    """
    rng = generator(rng)
    what = repr(layer) if isinstance(layer, Loss) else getattr(layer, "label", "")
    if isinstance(layer, Loss):
        layer, x = _loss_as_layer(layer, x, expected, rng)
    elif not isinstance(layer, Layer):
        instance = ": give an instance of it" if isinstance(layer, type) else ""
        raise TypeError(f"check_gradients takes a Layer, Network or Loss, not {layer!r}{instance}")
    elif expected is not None:
        raise TypeError(f"{what} is no loss, so there is nothing to expect")
    if isinstance(layer, Chain) and not layer.layers:
        raise ValueError(f"{what} has no layers to check")
    layer = layer.copy().with_parameters(
        {
            name: np.array(array if layer.nets is None else array[0], np.float64)
            for name, array in layer.parameters.items()
        }
    )
    if x is not None:
        x = inputs_for(layer, x).astype(np.float64)
        if x.ndim == 3 or 0 in x.shape:
            raise ValueError(f"x must be a vector (n,) or a batch (batch, n), not {x.shape}")
    with np.errstate(all="ignore"):  # nan and inf are findings, not warnings
        examination = _Examination(layer, x, rng)
        inside = _inside(layer, examination.points[1].x, rng) if isinstance(layer, Chain) else ()
        return examination.report(what, *inside)


def _inside(net: Chain, x: Array, rng: np.random.Generator) -> Iterator[str]:
    """What is wrong with a network's layers when each is looked at by itself, at its own inputs."""
    for name, layer in leaves(net):
        examination = _Examination(layer, x, rng)
        yield from (f"in {name}: {text}" for text in examination.report("").findings)
        try:
            y, _ = examination.forward(layer, x.copy())
        except _Wrong:  # reported by now
            return
        if y.dtype.kind == "c" or not np.isfinite(y).all():
            return
        x = y.astype(np.float64)


class _PerFact(Layer):
    """A loss against one expected output, as a layer from outputs to the loss of each fact."""

    def __init__(self, loss: Loss, expected: Array) -> None:
        super().__init__(len(expected), 1)
        self.loss, self.expected = loss, expected

    def forward(self, x: Array) -> tuple[Array, Array]:
        return np.asarray(self.loss.per_fact(x, self._targets(x)))[..., None], x

    def backprop(self, dy: Array, x: Array, inputs: bool = True) -> Back:
        return dy * self.loss.slope(x, self._targets(x)), {}

    def _targets(self, x: Array) -> Array:
        return np.broadcast_to(self.expected, x.shape).astype(x.real.dtype)


def _loss_as_layer(
    loss: Loss, x: Any, expected: Any, rng: np.random.Generator
) -> tuple[Layer, Any]:
    if x is not None:
        x = real_array(x, "the output x")
        if x.ndim not in (1, 2) or 0 in x.shape:
            raise ValueError(f"the output x must be a vector or a batch, not of shape {x.shape}")
    m = 3 if x is None else x.shape[-1]
    if expected is None:
        expected = rng.dirichlet(np.ones(m))
    targets = loss.targets(expected, np.shape(expected)[:1] if x is None else (m,), np.dtype(float))
    if x is None:
        x = rng.uniform(0.05, 0.95, (5, len(targets)))  # probabilities, which all losses take
    loss.check_outputs(x)
    return _PerFact(loss, targets), x


@dataclass(frozen=True)
class _Point:
    """Where to look: an input, parameters, and the words for it."""

    x: Array
    parameters: dict[str, Array]
    words: str

    @property
    def arguments(self) -> list[Array]:
        return [self.x, *self.parameters.values()]


def _points(layer: Layer, x: Array | None, rng: np.random.Generator) -> Iterator[_Point]:
    """Vectors and batches, with the layer's own parameters and with others near them."""
    own = {name: array.copy() for name, array in layer.parameters.items()}
    n = layer.n or (3 if x is None else x.shape[-1])
    facts = _other_than(n, layer.m, least=3)
    nudged = {name: _nudged(array, rng) for name, array in own.items()}
    if x is None:
        batches = {
            f", inputs of scale {scale:g}": scale * rng.standard_normal((facts, n))
            for scale in (1, 1e-3, 10)
        }
    elif x.ndim == 2 and len(x) > 1:
        batches = {"": x}
    else:  # other facts beside it, no farther from zero and of the same signs: in its domain
        batches = {"": x * rng.uniform(0.5, 1, (facts, n))}
        batches[""][0] = x
    places = [(words, batch, own) for words, batch in batches.items()]
    if own:
        changed = [(f"{words}, parameters nudged", batch, nudged) for words, batch, _ in places]
        places = places[:1] + changed[-2:]
    for words, batch, parameters in places:
        yield _Point(batch[0], parameters, f"one fact{words}")
        yield _Point(batch, parameters, f"a batch of {len(batch)}{words}")


def _other_than(*sizes: int | None, least: int) -> int:
    """A size that none of these is, so that no mistaken broadcast can fit by chance."""
    return next(k for k in range(least, least + 9) if k not in sizes)


def _nudged(array: Array, rng: np.random.Generator) -> Array:
    """Other numbers of the same signs and about the same size; zeros become numbers, too."""
    u = rng.uniform(-1, 1, array.shape)
    scale = largest(array) or 1.0
    return np.where(array == 0, 0.3 * scale * u, array * np.exp(0.3 * u))


def _directions(size: int, rng: np.random.Generator) -> Array:
    """Each entry by itself; of a large array a few, and as many ways through all at once."""
    if size <= MOST:
        return np.eye(size)
    units = np.zeros((FEW, size))
    units[np.arange(FEW), rng.choice(size, FEW, replace=False)] = 1
    return np.concatenate([units, rng.standard_normal((FEW, size)) / np.sqrt(size)])


class _Wrong(Exception):
    """Something that makes looking further at this point useless."""


class _Examination:
    """What was found at some points about a layer: findings by kind, a tally for each array."""

    def __init__(self, layer: Layer, x: Array | None, rng: np.random.Generator) -> None:
        self.layer, self.rng = layer, rng
        self.names = list(layer.shapes)
        self.d = ["dx", *(f"d{name}" for name in self.names)]
        self.m = layer.m or layer.n
        self.findings: dict[str, str] = {}
        self.tallies = [Tally(name) for name in ("x", *self.names)]
        self.points = list(_points(layer, x, rng))
        for i, point in enumerate(self.points):
            try:
                y = self.contract(point)
                if i < 2:  # one vector and one batch show what is no matter of numbers
                    dy = self.upstream(y)
                    self.purity(point, dy)
                    self.calls(point, dy)
                    self.float_type(point, y)
                self.linearity(point, y)
                self.derivatives(point, y)
                if point.x.ndim == 2:
                    self.facts_apart(point, y)
                    self.crowd(point)
            except _Wrong as wrong:
                self.find(*wrong.args)

    def find(self, kind: str, text: str) -> None:
        self.findings.setdefault(kind, text)

    def report(self, what: str, *inside: str) -> GradientReport:
        checks = tuple(_check(tally) for tally in self.tallies if tally.comparisons)
        words = [explanation(tally, self.tallies) for tally in self.tallies]
        unproven = [
            f"d{c.name} was tested by only {c.alive} of {c.tried} entries: the others are zero, "
            "at a kink or lost in rounding, where a wrong backprop could pass; give another x"
            for c in checks
            if c.ok and c.vacuous
        ]
        findings = (*inside, *self.findings.values(), *filter(None, words))
        return GradientReport(what, checks, findings, tuple(unproven), len(self.points))

    # ---- forward and backprop, on fresh copies, with what the contract says of their results

    def at(self, point: _Point) -> Layer:
        return self.layer.with_parameters({k: a.copy() for k, a in point.parameters.items()})

    def forward(
        self, layer: Layer, x: Array, lead: tuple[int, ...] | None = None
    ) -> tuple[Array, Any]:
        """What forward returns, y being of shape (*lead, m); that of x but for the last axis."""
        hint = "" if layer.n else "; if it takes a certain number of inputs, pass an x"
        with _raising("forward", x, hint):
            result = layer.forward(x)
        if not isinstance(result, tuple) or len(result) != 2:
            raise _Wrong("forward", f"forward must return the pair (y, cache), not {brief(result)}")
        y = result[0]
        if not isinstance(y, (np.ndarray, np.generic)) or y.dtype.kind not in "fc":
            raise _Wrong("forward", f"forward must give y as an array of floats, not {brief(y)}")
        m = self.m or (y.shape[-1] if y.ndim else 1)
        wanted = (*(x.shape[:-1] if lead is None else lead), m)
        if y.shape != wanted:
            text = f"forward gives y of shape {y.shape} for x of shape {x.shape}"
            raise _Wrong("forward", f"{text}; it should be {wanted}")
        return np.asarray(y), result[1]

    def backprop(self, layer: Layer, dy: Array, cache: Any, inputs: bool = True) -> Gradients:
        with _raising("backprop", dy, "" if inputs else " with inputs=False"):
            result = layer.backprop(dy, cache, inputs)
        pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
        if not pair or (inputs and result[0] is None):
            text = f"backprop must return dx and a dictionary of gradients, not {brief(result)}"
            raise _Wrong("backprop", text)
        dx, gradients = result
        missing = [name for name in self.names if name not in gradients]
        if set(gradients) - set(self.names):
            text = f"backprop gives gradients named {list(gradients)}, but the parameters are "
            hint = (
                "" if self.names else "; a parameter is declared in the class, as s = Parameter()"
            )
            self.find("names", f"{text}{self.names}{hint}")
        elif missing:
            self.find("names", f"backprop gives no gradient of {', '.join(missing)}")
        results = [dx, *map(gradients.get, self.names)]
        for d, g in zip(self.d, results, strict=True):
            if g is not None and getattr(g, "dtype", np.dtype(object)).kind not in "buif":
                raise _Wrong("backprop", f"{d} must be an array of numbers, not {brief(g)}")
        return results

    def contract(self, point: _Point) -> Array:
        """y, once a forward and a backprop have given finite numbers, and the same y twice."""
        x = brief(point.x.tolist())
        layer = self.at(point)
        y, cache = self.forward(layer, point.x.copy())
        if y.dtype.kind == "c":
            raise _Wrong("forward", f"forward gives complex numbers for real ones, at x = {x}")
        if not np.isfinite(y).all():
            hint = "if the layer is not meant for such inputs, pass an x that it is meant for"
            raise _Wrong("range", f"forward gives nan or inf at x = {x}; {hint}")
        y = y.copy()
        for d, g in zip(self.d, self.backprop(layer, self.upstream(y), cache), strict=True):
            if g is not None and not np.isfinite(g).all():
                raise _Wrong("range", f"{d} is nan or inf at x = {x}, where y is finite")
        if not np.array_equal(self.forward(self.at(point), point.x.copy())[0], y):
            raise _Wrong("random", "forward gives two different outputs for the same input")
        return y

    def upstream(self, y: Array, mixed: bool = False) -> Array:
        dy = self.rng.standard_normal(y.shape)
        if mixed:
            dy *= 10.0 ** self.rng.uniform(-3, 3, y.shape)
            dy[self.rng.random(y.shape) < 0.25] = 0
        return dy

    def gradients(self, point: _Point, dy: Array, inputs: bool = True) -> Gradients:
        layer = self.at(point)
        _, cache = self.forward(layer, point.x.copy())
        return self.backprop(layer, dy.copy(), cache, inputs)

    # ---- the derivative

    def derivatives(self, point: _Point, y: Array) -> None:
        upstreams = [self.upstream(y)]
        if y.ndim == 1:  # each output by itself, too, where a small one is not lost beside others
            upstreams += list(np.eye(len(y))[:OUTPUTS])
        gradients = [self.gradients(point, dy) for dy in upstreams]
        for i, (tally, argument) in enumerate(zip(self.tallies, point.arguments, strict=True)):
            if not argument.size:
                continue
            directions = _directions(argument.size, self.rng).reshape(-1, *argument.shape)
            truth = jacobian(self.output(point, i, y.size), argument, directions, y.ravel())
            pairs = zip(upstreams, gradients, strict=True)
            comparisons = [Comparison(point.words, dy, g[i], truth) for dy, g in pairs]
            tally.add(truth, comparisons)
            if i == 0 and y.shape == point.x.shape == (len(comparisons) - 1,):
                rows = np.array([c.computed for c in comparisons[1:]])
                tally.transposed |= alike(rows, truth.slopes) and not alike(rows, truth.slopes.T)

    def output(self, point: _Point, i: int, size: int) -> Function:
        """The flat output (size,) for another value of argument i; nan where forward fails."""

        @cache
        def twin(dtype: np.dtype[Any]) -> tuple[list[Array], Layer]:  # one to write into
            arrays = [a.copy() for a in point.arguments]
            arrays[i] = arrays[i].astype(dtype)
            return arrays, self.layer.with_parameters(
                dict(zip(self.names, arrays[1:], strict=True))
            )

        def f(value: Array) -> Array:
            arrays, layer = twin(value.dtype)
            arrays[i][...] = value
            try:
                return self.forward(layer, arrays[0].copy())[0].reshape(size)
            except (_Wrong, ValueError):
                return np.full(size, np.nan)

        return f

    # ---- what is no matter of the derivative's value

    def rounding(self, point: _Point, y: Array, dy: Array) -> list[float]:
        """For each argument, what cancellation may leave in any entry of its gradient."""
        spread = ROUNDING * largest(y) * float(np.abs(dy).sum())
        return [spread / max(1.0, largest(a)) for a in point.arguments]

    def linearity(self, point: _Point, y: Array) -> None:
        """Whether B(a g + b h) = a B(g) + b B(h)."""
        g, h = self.upstream(y), self.upstream(y, mixed=True)
        of_g, of_h = self.gradients(point, g), self.gradients(point, h)
        for i, (p, q) in enumerate(zip(of_g, of_h, strict=True)):
            if np.shape(p) != np.shape(q):
                text = f"its shape is {np.shape(p)} for one dy, {np.shape(q)} for another"
                self.nonlinear(i, f"is not linear in dy: {text}")
            elif p is not None and np.any(p) and np.array_equal(p, q):
                self.nonlinear(i, "does not depend on dy: dy J is wanted, not J")
        for a, b in ((0, 0), (-1, 0), (1e-6, 0), (1e6, 0), (1, 1)):
            text = f"{a:g} times dy does not give {a:g} times the gradient"
            if b:
                text = "for g + h it is not the sum of that for g and that for h"
            results = self.gradients(point, a * g + b * h)
            slack = self.rounding(point, y, np.abs(a * g) + np.abs(b * h))
            for i, (result, p, q) in enumerate(zip(results, of_g, of_h, strict=True)):
                if p is not None and self.tallies[i].linear:
                    allowed = slack[i] + EXACT * largest(b * q)
                    if not close(result, a * p + b * q, allowed):
                        self.nonlinear(i, f"is not linear in dy: {text}")

    def nonlinear(self, i: int, text: str) -> None:
        self.tallies[i].linear = False
        self.find(f"linear {self.d[i]}", f"{self.d[i]} {text}")

    def purity(self, point: _Point, dy: Array) -> None:
        """Whether both functions leave everything as it is, and their results are their own."""
        layer, held = self.at(point), {"dy": dy.copy(), "the input x": point.x.copy()}
        held |= {f"the parameter {name}": array for name, array in layer.parameters.items()}
        pure = True
        for stage in ("forward", "backprop"):
            before = {words: array.copy() for words, array in held.items()}
            if stage == "forward":
                held["y"], cache = self.forward(layer, held["the input x"])
            else:
                results = self.backprop(layer, held["dy"], cache)
            for words, array in before.items():
                if not np.array_equal(array, held[words]):
                    cached = stage == "backprop" and words in ("the input x", "y")
                    hint = ", which is probably its cache" if cached else ""
                    self.find(words, f"{stage} changes {words} in place{hint}")
                    pure = False
        if pure:
            for name, result in zip(["y", *self.d], [held.pop("y"), *results], strict=True):
                if isinstance(result, np.ndarray):
                    for words, array in held.items():
                        if np.shares_memory(result, array):
                            text = f"{name} shares its memory with {words}"
                            self.find("alias", f"{text}; return an array of its own")
                    held[name] = result
            first = [None if g is None else np.array(g) for g in results]
            if not all(map(close, self.backprop(layer, dy.copy(), cache), first)):
                self.find("cache", "backprop changes its cache: called again, it differs")

    def calls(self, point: _Point, dy: Array) -> None:
        """Two forwards, then their backprops, show what the layer itself remembers."""
        wanted = self.gradients(point, dy)
        layer = self.at(point)
        out, cache = self.forward(layer, point.x.copy())
        before = out.copy()
        _, other_cache = self.forward(layer, point.x[::-1].copy())
        if not np.array_equal(out, before):
            self.find("reused", "a second forward changes the output of the first one")
        self.backprop(layer, self.upstream(dy), other_cache)
        if not all(map(close, self.backprop(layer, dy.copy(), cache), wanted)):
            hint = "what backprop needs belongs in the cache, not in self"
            self.find("stale", f"a second forward spoils the backprop of the first one: {hint}")
        without = self.gradients(point, dy, inputs=False)
        for d, a, b in list(zip(self.d, without, wanted, strict=True))[1:]:
            if not close(a, b):
                self.find("inputs", f"inputs=False changes {d}; it may only leave out dx")

    def float_type(self, point: _Point, y: Array) -> None:
        for dtype in (np.float32, np.float64):
            parameters = {name: a.astype(dtype) for name, a in point.parameters.items()}
            layer = self.layer.with_parameters(parameters)
            out, cache = self.forward(layer, point.x.astype(dtype))
            results = self.backprop(layer, self.upstream(y).astype(dtype), cache)
            for name, a in zip(["y", *self.d], [out, *results], strict=True):
                if a is not None and a.dtype != dtype:
                    text = f"{name} is {a.dtype} where everything given is {np.dtype(dtype)}"
                    self.find("dtype", f"the float type is not kept: {text}")

    def facts_apart(self, point: _Point, y: Array) -> None:
        alone = [self.forward(self.at(point), x.copy())[0] for x in point.x]
        if not close(y, np.stack(alone)):
            self.find("batch", "vectors and batches disagree: a fact gives another y in a batch")

    def crowd(self, point: _Point) -> None:
        """Parameters (nets, ...) must be as many nets, each as if it were alone."""
        nets = _other_than(*point.x.shape, self.layer.m, least=2)
        members = [
            {name: _nudged(a, self.rng) for name, a in point.parameters.items()}
            for _ in range(nets)
        ]
        rows = {name: np.stack([p[name] for p in members]) for name in point.parameters}
        each = np.stack([point.x * factor for factor in self.rng.uniform(0.5, 1, nets)])
        what = "in a crowd, parameters (nets, ...)" if rows else "for x of shape (nets, batch, n)"
        hint = "; are along_batch and batch_sum used?" if rows else ""
        for x in [each, point.x] if rows else [each]:
            try:
                layer = self.layer.with_parameters(rows)
                y, cache = self.forward(layer, x.copy(), (nets, len(point.x)))
                dy = self.upstream(y)
                gradients = self.backprop(layer, dy.copy(), cache)
            except _Wrong as wrong:
                raise _Wrong("crowd", f"{what}: {wrong.args[1]}{hint}") from None
            for i, parameters in enumerate(members):
                alone = _Point(x[i] if x is each else x, parameters, "")
                single = self.forward(self.at(alone), alone.x.copy())[0]
                slack = [0.0, *self.rounding(alone, single, dy[i])]
                ours = [a[i] if np.ndim(a) and len(a) == nets else a for a in (y, *gradients)]
                theirs = [single, *self.gradients(alone, dy[i])]
                for j, name in enumerate(["y", *self.d]):
                    if not close(ours[j], theirs[j], slack[j]):
                        text = f"{what}: {name} differs from that of each net alone{hint}"
                        raise _Wrong("crowd", text)


@contextmanager
def _raising(stage: str, array: Array, hint: str) -> Iterator[None]:
    """What a stage raises is a finding, with the last line of the layer's own it came through."""
    try:
        yield
    except Exception as error:
        numpy = str(Path(np.__file__).parent)
        frames = traceback.extract_tb(error.__traceback__)
        last = [frame for frame in frames if not frame.filename.startswith(numpy)][-1]
        where = f"{Path(last.filename).name}, line {last.lineno}, when given shape {array.shape}"
        text = f"{stage} raised {type(error).__name__} ({error}) in {where}{hint}"
        raise _Wrong(stage, text) from error


def _check(tally: Tally) -> GradientCheck:
    # at a kink any slope between the two is right; of equal errors show one that agrees
    worst = max(tally.comparisons, key=lambda c: (c.error, -abs(c.pair[0] - c.pair[1])))
    oracle = "complex step" if tally.exact else "finite differences"
    ok = not any(comparison.wrong for comparison in tally.comparisons)
    return GradientCheck(
        tally.name, worst.shape, worst.index, *worst.pair, worst.error,
        oracle, tally.kinks, tally.alive, tally.tried, ok,
    )  # fmt: skip
