r"""check_gradients: is a layer's backprop the derivative of its forward? If not, what is wrong?

For a layer y = f(x) with parameters p, backprop must turn dy = dL/dy into dy J, where J
holds the derivatives of y by x and by each p. The checker finds J from forward alone:

- by a complex step where forward takes complex numbers: f(x + i h v) = f(x) + i h J v
  for h = 1e-20, exact to rounding [1]_;
- by central differences, extrapolated to h = 0 (Richardson) [2]_, which also say how far
  they can be trusted, and whether there is a kink. The complex step is only believed
  where they agree with it: abs or conj would make it wrong without a word.

Errors are relative to the largest entry of the expected gradient, so that 0 does not
pass as the derivative of 1e-6 x^2. The rest of a layer's contract is checked beside it.

.. [1] W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real
   functions", SIAM Review 40 (1998).
.. [2] L. F. Richardson, "The approximate arithmetical solution by finite differences",
   Phil. Trans. A 210 (1911); the odd powers of h in f(h) - 2 f(0) + f(-h) vanish likewise
   unless there is a kink.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from minnet.checks import Array, Randomness, brief, generator, inputs_for, real_array
from minnet.layers import Back, Layer
from minnet.losses import Loss
from minnet.structure import Chain, leaves

EXACT = 1e-9  # the relative error allowed beside the complex step
ESTIMATED = 1e-6  # and beside finite differences, on top of their own uncertainty
ROUNDING = 1e-12  # of |y| for a step of size 1: what cancellation may leave of a gradient
MOST, FEW = 200, 20  # an array of more entries than MOST is tried at FEW, and along random steps
STEP = 1e-20
LEAST = 1e-290  # numbers near the end of the float range have lost their digits
EPSILON = float(np.finfo(np.float64).eps)

Gradients: TypeAlias = list[Any]  # of the input and of each parameter in order
Function: TypeAlias = Callable[[Any], Array]  # the flat output, a step along a direction away


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
        rows = [head, *map(_row, self.checks)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.layer}: {verdict} at {self.points} points"]
        if self.checks:
            lines += [
                "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
                for row in rows
            ]
        return "\n".join([*lines, *(f"- {text}" for text in self.findings + self.warnings)])


def _row(check: GradientCheck) -> tuple[str, ...]:
    index = "-" if check.index is None else str(list(check.index))
    return (
        f"d{check.name}" + ("" if check.ok else " !"),
        str(check.shape),
        index,
        f"{check.computed:.6g}",
        f"{check.expected:.6g}",
        f"{check.relative_error:.1e}",
        check.oracle,
        str(check.kinks),
        f"{check.alive} of {check.tried}",
    )


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
    layer = layer.copy()
    layer = layer.with_parameters(
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
        examination, batch = _examined(layer, x, rng)
        if isinstance(layer, Chain):
            examination.findings = {**_inside(layer, batch, rng), **examination.findings}
        return examination.report(what)


def _examined(
    layer: Layer, x: Array | None, rng: np.random.Generator
) -> tuple[_Examination, Array]:
    """The examination of a layer, and the first batch that it looked at."""
    examination = _Examination(layer, rng)
    points = list(_points(layer, x, rng))
    for point in points:
        examination.look_at(point)
    return examination, points[1].x


def _inside(net: Chain, x: Array, rng: np.random.Generator) -> dict[str, str]:
    """What is wrong with a network's layers when each is looked at by itself, at its own inputs."""
    findings: dict[str, str] = {}
    for name, layer in leaves(net):
        examination, _ = _examined(layer, x, rng)
        found = examination.report("").findings
        findings |= {f"{name} {i}": f"in {name}: {text}" for i, text in enumerate(found)}
        try:
            x = np.array(layer.forward(x.copy())[0], np.float64)
        except Exception:  # reported by now
            break
        if x.ndim != 2 or not np.isfinite(x).all():
            break
    return findings


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
    scale = np.abs(array).max(initial=0) or 1.0
    return np.where(array == 0, 0.3 * scale * u, array * np.exp(0.3 * u))


class _Wrong(Exception):
    """Something that makes looking further at this point useless."""


@dataclass(frozen=True)
class _Sample:
    """One array's gradient at one point and one dy: what came, and what should have."""

    point: _Point
    dy: Array
    computed: Any
    expected: Any  # None of an array too large for all its entries to be tried
    first: Any  # what the first fact alone should give
    shape: tuple[int, ...]
    index: tuple[int, ...] | None  # of the worst entry
    pair: tuple[float, float]  # computed and expected there
    error: float
    clear: bool  # whether rounding and kinks are far below it
    wrong: int  # in how many entries, of how many tried
    tried: int
    alive: Array  # which of them expect what is not zero


@dataclass
class _Tally:
    """What is known so far of one array's gradient."""

    name: str
    samples: list[_Sample] = field(default_factory=list)
    kinks: int = 0
    alive: int = 0
    tried: int = 0
    exact: bool = True
    linear: bool = True
    transposed: bool = False  # whether the input's Jacobian is the transpose of what it should be


class _Examination:
    """A layer under examination: the findings by kind, and a tally for each array."""

    def __init__(self, layer: Layer, rng: np.random.Generator) -> None:
        self.layer, self.rng = layer, rng
        self.names = ["x", *layer.shapes]
        self.m = layer.m or layer.n
        self.findings: dict[str, str] = {}
        self.tallies = [_Tally(name) for name in self.names]
        self.points = 0

    def find(self, kind: str, text: str) -> None:
        self.findings.setdefault(kind, text)

    def report(self, what: str) -> GradientReport:
        checks = tuple(_check(tally) for tally in self.tallies if tally.samples)
        words = [_explanation(tally, self.tallies) for tally in self.tallies]
        unproven = [
            f"d{c.name} was tested by only {c.alive} of {c.tried} entries: the others are zero, "
            "at a kink or lost in rounding, where a wrong backprop could pass; give another x"
            for c in checks
            if c.ok and c.vacuous
        ]
        findings = (*self.findings.values(), *filter(None, words))
        return GradientReport(what, checks, findings, tuple(unproven), self.points)

    def look_at(self, point: _Point) -> None:
        self.points += 1
        try:
            y = self.contract(point)
            if self.points <= 2:  # one vector and one batch show what is no matter of numbers
                self.purity(point, y)
                self.float_type(point, y)
            self.linearity(point, y)
            self.derivatives(point, y)
            if point.x.ndim == 2:
                self.facts_apart(point, y)
                self.crowd(point)
        except _Wrong as wrong:
            self.find(*wrong.args)

    # ---- forward and backprop, on fresh copies, with what the contract says of their results

    def at(self, point: _Point) -> Layer:
        return self.layer.with_parameters({k: a.copy() for k, a in point.parameters.items()})

    def forward(
        self, layer: Layer, x: Array, lead: tuple[int, ...] | None = None
    ) -> tuple[Array, Any]:
        """What forward returns, y being of shape (*lead, m); that of x but for the last axis."""
        lead = x.shape[:-1] if lead is None else lead
        try:
            result = layer.forward(x)
        except Exception as error:
            hint = "" if layer.n else "; if it takes a certain number of inputs, pass an x"
            raise _Wrong("forward", f"forward raised {_trouble(error, x)}{hint}") from error
        if not isinstance(result, tuple) or len(result) != 2:
            raise _Wrong("forward", f"forward must return the pair (y, cache), not {brief(result)}")
        y = result[0]
        if not isinstance(y, (np.ndarray, np.generic)) or y.dtype.kind not in "fc":
            raise _Wrong("forward", f"forward must give y as an array of floats, not {brief(y)}")
        m = self.m or (y.shape[-1] if y.ndim else 1)
        if y.shape != (*lead, m):
            text = f"forward gives y of shape {y.shape} for x of shape {x.shape}"
            raise _Wrong("forward", f"{text}; it should be {(*lead, m)}")
        return np.asarray(y), result[1]

    def backprop(self, layer: Layer, dy: Array, cache: Any, inputs: bool = True) -> Gradients:
        try:
            result = layer.backprop(dy, cache, inputs)
        except Exception as error:
            called = "" if inputs else " with inputs=False"
            raise _Wrong("backprop", f"backprop raised {_trouble(error, dy)}{called}") from error
        if (
            not isinstance(result, tuple)
            or len(result) != 2
            or not isinstance(result[1], dict)
            or (inputs and result[0] is None)
        ):
            text = f"backprop must return dx and a dictionary of gradients, not {brief(result)}"
            raise _Wrong("backprop", text)
        dx, gradients = result
        names = self.names[1:]
        if set(gradients) - set(names):
            text = f"backprop gives gradients named {list(gradients)}, but the parameters are "
            hint = "" if names else "; a parameter is declared in the class, as s = Parameter()"
            self.find("names", f"{text}{names}{hint}")
        elif set(names) - set(gradients):
            missing = [name for name in names if name not in gradients]
            self.find("names", f"backprop gives no gradient of {', '.join(missing)}")
        results = [dx, *(gradients.get(name) for name in names)]
        for name, g in self.named(results):
            if g is not None and getattr(g, "dtype", np.dtype(object)).kind not in "buif":
                raise _Wrong("backprop", f"d{name} must be an array of numbers, not {brief(g)}")
        return results

    def contract(self, point: _Point) -> Array:
        """y, once a forward and a backprop have given finite numbers, and the same y twice."""
        x = brief(point.x.tolist())
        layer = self.at(point)
        y, cache = self.forward(layer, point.x.copy())
        if not np.isfinite(y).all():
            hint = "if the layer is not meant for such inputs, pass an x that it is meant for"
            raise _Wrong("range", f"forward gives nan or inf at x = {x}; {hint}")
        y = y.copy()
        for name, g in self.named(self.backprop(layer, self.upstream(y), cache)):
            if g is not None and not np.isfinite(g).all():
                raise _Wrong("range", f"d{name} is nan or inf at x = {x}, where y is finite")
        if not np.array_equal(self.forward(self.at(point), point.x.copy())[0], y):
            raise _Wrong("random", "forward gives two different outputs for the same input")
        return y

    def named(self, gradients: Gradients) -> Iterator[tuple[str, Any]]:
        return zip(self.names, gradients, strict=True)

    def upstream(self, y: Array, mixed: bool = False) -> Array:
        dy = self.rng.standard_normal(y.shape)
        if mixed:
            dy *= 10.0 ** self.rng.uniform(-3, 3, y.shape)
            dy[self.rng.random(y.shape) < 0.25] = 0
        return dy

    def gradients(self, point: _Point, dy: Array) -> Gradients:
        layer = self.at(point)
        _, cache = self.forward(layer, point.x.copy())
        return self.backprop(layer, dy.copy(), cache)

    # ---- the derivative

    def derivatives(self, point: _Point, y: Array) -> None:
        upstreams = [self.upstream(y)]
        if y.ndim == 1:  # each output by itself, too, where a small one is not lost beside others
            upstreams += list(np.eye(len(y))[:FEW])
        gradients = [self.gradients(point, dy) for dy in upstreams]
        for i, (tally, argument) in enumerate(zip(self.tallies, point.arguments, strict=True)):
            if not argument.size:
                continue
            directions, indices = self.directions(argument)
            truth = _jacobian(self.output(point, i, y.size), argument, directions, y.ravel())
            samples = [
                _compare(point, dy, g[i], truth, directions, indices)
                for dy, g in zip(upstreams, gradients, strict=True)
            ]
            tally.samples += samples
            tally.exact &= truth.exact
            tally.kinks += int(truth.kinks.any(axis=1).sum())
            tally.alive += int(np.any([sample.alive for sample in samples], axis=0).sum())
            tally.tried += len(directions)
            if i == 0 and y.shape == point.x.shape == (len(gradients) - 1,):
                rows = [g[i] for g in gradients[1:]]
                right, swapped = (_like(rows, j) for j in (truth.jacobian.T, truth.jacobian))
                tally.transposed |= swapped and not right

    def directions(self, argument: Array) -> tuple[Array, list[tuple[int, ...] | None]]:
        """Each entry by itself; of a large array some entries, and four ways through them all."""
        size = argument.size
        some = np.arange(size)
        if size > MOST:
            some = np.sort(self.rng.choice(size, FEW, replace=False))
        units = np.zeros((len(some), size))
        units[np.arange(len(some)), some] = 1
        indices: list[tuple[int, ...] | None] = [
            tuple(map(int, np.unravel_index(k, argument.shape))) for k in some
        ]
        if size > MOST:
            units = np.concatenate([units, self.rng.standard_normal((4, size)) / np.sqrt(size)])
            indices += [None] * 4
        return units.reshape(-1, *argument.shape), indices

    def output(self, point: _Point, i: int, size: int) -> Function:
        """The flat output (size,) for another value of argument i; nan where forward fails."""
        twins: dict[Any, tuple[list[Array], Layer]] = {}

        def f(value: Array) -> Array:
            if value.dtype not in twins:  # real or complex: one twin each, to write into
                arrays = [a.copy() for a in point.arguments]
                arrays[i] = np.array(value)
                named = dict(zip(self.names[1:], arrays[1:], strict=True))
                twins[value.dtype] = arrays, self.layer.with_parameters(named)
            arrays, layer = twins[value.dtype]
            arrays[i][...] = value
            try:
                return self.forward(layer, arrays[0].copy())[0].reshape(size)
            except (_Wrong, ValueError):
                return np.full(size, np.nan)

        return f

    # ---- what is no matter of the derivative's value

    def rounding(self, point: _Point, y: Array, dy: Array) -> list[float]:
        """For each argument, what cancellation may leave in any entry of its gradient."""
        spread = ROUNDING * _largest(y) * float(np.abs(dy).sum())
        return [spread / max(1.0, _largest(a)) for a in point.arguments]

    def linearity(self, point: _Point, y: Array) -> None:
        g, h = self.upstream(y), self.upstream(y, mixed=True)
        of_g, of_h = self.gradients(point, g), self.gradients(point, h)
        for i, name in enumerate(self.names):
            if of_g[i] is not None and np.any(of_g[i]) and np.array_equal(of_g[i], of_h[i]):
                self.nonlinear(name, "does not depend on dy: dy J is wanted, not J")
        for factor in (0.0, -1.0, 1e-6, 1e6):
            scaled, slack = self.gradients(point, factor * g), self.rounding(point, y, factor * g)
            for i, name in enumerate(self.names):
                if of_g[i] is not None and not _close(scaled[i], factor * of_g[i], slack[i]):
                    text = f"{factor:g} times dy does not give {factor:g} times the gradient"
                    self.nonlinear(name, f"is not linear in dy: {text}")
        of_sum, slack = self.gradients(point, g + h), self.rounding(point, y, np.abs(g) + np.abs(h))
        for i, name in enumerate(self.names):
            if of_g[i] is not None and of_h[i] is not None:
                allowed = slack[i] + EXACT * _largest(of_g[i], of_h[i])
                if not _close(of_sum[i], of_g[i] + of_h[i], allowed):
                    text = "for g + h it is not the sum of that for g and that for h"
                    self.nonlinear(name, f"is not linear in dy: {text}")

    def nonlinear(self, name: str, text: str) -> None:
        self.tallies[self.names.index(name)].linear = False
        self.find(f"linear {name}", f"d{name} {text}")

    def purity(self, point: _Point, y: Array) -> None:
        """Whether a layer's two functions leave everything as it is, and results are their own."""
        dy = self.upstream(y)
        wanted = self.gradients(point, dy)
        layer, x, upstream = self.at(point), point.x.copy(), dy.copy()
        out, cache = self.forward(layer, x)
        spoilt = self.unchanged("forward", point, x, layer)
        kept = x.copy()
        results = self.backprop(layer, upstream, cache)
        for words, array, before in (("dy", upstream, dy), ("the input x", x, kept), ("y", out, y)):
            if not np.array_equal(array, before):
                hint = "" if words == "dy" else ", which is probably its cache"
                self.find(words, f"backprop changes {words} in place{hint}")
                spoilt = True
        spoilt |= self.unchanged("backprop", point, point.x, layer)
        if not spoilt:
            self.aliases(x, out, upstream, results, layer)
            first = [None if g is None else np.array(g) for g in results]
            if not _all_close(self.backprop(layer, dy.copy(), cache), first):
                self.find("cache", "backprop changes its cache: called again, it differs")
        self.interleaved(point, dy, wanted)
        layer = self.at(point)
        _, cache = self.forward(layer, point.x.copy())
        without = self.backprop(layer, dy.copy(), cache, inputs=False)
        for name, a, b in list(zip(self.names, without, wanted, strict=True))[1:]:
            if not _close(a, b):
                self.find("inputs", f"inputs=False changes d{name}; it may only leave out dx")

    def interleaved(self, point: _Point, dy: Array, wanted: Gradients) -> None:
        """Two forwards, then their backprops; what the layer itself remembers shows here."""
        layer = self.at(point)
        y, cache = self.forward(layer, point.x.copy())
        before = y.copy()
        other_y, other_cache = self.forward(layer, point.x[::-1].copy())
        if not np.array_equal(y, before):
            self.find("reused", "a second forward changes the output of the first one")
        self.backprop(layer, self.upstream(other_y), other_cache)
        if not _all_close(self.backprop(layer, dy.copy(), cache), wanted):
            hint = "what backprop needs belongs in the cache, not in self"
            self.find("stale", f"a second forward spoils the backprop of the first one: {hint}")

    def unchanged(self, stage: str, point: _Point, x: Array, layer: Layer) -> bool:
        """Report what a stage has changed in place; whether it has."""
        arrays = {"the input x": (x, point.x)}
        for name, array in layer.parameters.items():
            arrays[f"the parameter {name}"] = array, point.parameters[name]
        changed = [words for words, pair in arrays.items() if not np.array_equal(*pair)]
        for words in changed:
            self.find(words, f"{stage} changes {words} in place")
        return bool(changed)

    def aliases(self, x: Array, y: Array, dy: Array, results: Gradients, layer: Layer) -> None:
        """Report results that are other arrays' memory: who changes one changes both."""
        arrays = {"the input x": x, "dy": dy}
        arrays |= {f"the parameter {name}": array for name, array in layer.parameters.items()}
        for name, result in [("y", y), *((f"d{name}", g) for name, g in self.named(results))]:
            if isinstance(result, np.ndarray):
                for words, array in arrays.items():
                    if np.shares_memory(result, array):
                        text = f"{name} shares its memory with {words}; return an array of its own"
                        self.find("alias", text)
                arrays[name] = result

    def float_type(self, point: _Point, y: Array) -> None:
        for dtype in (np.float32, np.float64):
            parameters = {name: a.astype(dtype) for name, a in point.parameters.items()}
            layer = self.layer.with_parameters(parameters)
            out, cache = self.forward(layer, point.x.astype(dtype))
            gradients = self.backprop(layer, self.upstream(y).astype(dtype), cache)
            for name, a in [("y", out), *((f"d{name}", g) for name, g in self.named(gradients))]:
                if a is not None and a.dtype != dtype:
                    text = f"{name} is {a.dtype} where everything given is {np.dtype(dtype)}"
                    self.find("dtype", f"the float type is not kept: {text}")

    def facts_apart(self, point: _Point, y: Array) -> None:
        alone = [self.forward(self.at(point), x.copy())[0] for x in point.x]
        if not _close(y, np.stack(alone)):
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
                for j, name in enumerate(["y", *(f"d{name}" for name in self.names)]):
                    if not _close(ours[j], theirs[j], slack[j]):
                        text = f"{what}: {name} differs from that of each net alone{hint}"
                        raise _Wrong("crowd", text)


def _trouble(error: Exception, array: Array) -> str:
    """An error, and the last line of the layer's own that it came through."""
    numpy = str(Path(np.__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if not frame.filename.startswith(numpy)][-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__} ({error}) in {where}, when given shape {array.shape}"


def _largest(*arrays: Any) -> float:
    return max(float(np.abs(a).max(initial=0)) for a in arrays)


def _close(a: Any, b: Any, slack: float = 0.0) -> bool:
    """Whether two results are the same but for rounding, of the same shape, or both missing."""
    if a is None or b is None:
        return a is b
    if np.shape(a) != np.shape(b):
        return False
    return bool((np.abs(a - b) <= EXACT * _largest(a, b) + slack + LEAST).all())


def _all_close(a: Gradients, b: Gradients) -> bool:
    return all(_close(*pair) for pair in zip(a, b, strict=True))


# ---- the derivative of forward, without backprop


@dataclass(frozen=True)
class _Jacobian:
    """The derivatives (directions, outputs) of a function, and what is known of their errors."""

    jacobian: Array
    uncertainty: Array
    kinks: Array
    exact: bool  # by complex steps
    whole: bool  # one direction for each entry


def _jacobian(output: Function, a: Array, directions: Array, y: Array) -> _Jacobian:
    """The derivative of `output` at a along each direction, by two independent ways."""
    size = max(1.0, _largest(a))
    smallest = float(np.abs(a[a != 0]).min(initial=size))
    least = min(1e-7 * size, max(1e-3 * smallest, 1e-15))
    estimates = [
        _differentiate(lambda t, v=v: output(a + t * v), y, size, least)  # type: ignore[misc]
        for v in directions
    ]
    jacobian, uncertainty, kinks = map(np.stack, zip(*estimates, strict=True))
    scale = _largest(jacobian)
    kinks &= uncertainty > 0.1 * ESTIMATED * scale  # a smaller jump is hardly more than noise
    steps = _complex_step(output, a, directions, y)
    if steps is None:
        return _Jacobian(jacobian, uncertainty, kinks, False, len(directions) == a.size)
    settled = ~kinks & (uncertainty <= 1e-3 * scale + ROUNDING * _largest(y) / size)
    apart = np.abs(steps - jacobian)
    exact = bool((apart <= uncertainty + ESTIMATED * scale)[settled].all())
    if exact:  # what differences cannot settle is lost in rounding or at a kink: trust neither
        sure = np.maximum(0.01 * uncertainty, STEP * scale)  # which the step's square is far below
        uncertainty = np.where(settled, sure, np.maximum(uncertainty, apart))
        jacobian = np.where(settled, steps, jacobian)
    return _Jacobian(jacobian, uncertainty, kinks, exact, len(directions) == a.size)


def _complex_step(output: Function, a: Array, directions: Array, y: Array) -> Array | None:
    """The imaginary parts, a tiny step into the complex plane; None where forward won't go."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        for v in directions:
            z = output(a + 1j * STEP * v)
            if z.dtype.kind != "c" or not _close(z.real, y):
                return None
            rows.append(z.imag / STEP)
    return np.array(rows)


def _differentiate(f: Function, y: Array, size: float, least: float) -> tuple[Array, Array, Array]:
    """f'(0) of a function of one number, its uncertainty, and whether there is a kink at 0.

    The one-sided differences at steps h, h/2, h/4, h/8 are D+ and D-. Their mean tends to
    the derivative, with an error in even powers of h; D+ - D- tends to zero, in odd powers,
    unless the slope jumps. Both are extrapolated to h = 0. Where they do not settle, h is
    too large for f, or a kink is near: then a smaller h is tried, down to `least`.
    """
    slope = np.zeros_like(y)
    uncertainty = np.full_like(y, np.inf)
    kinks = np.zeros(y.shape, bool)
    h = 0.02 * size
    while h >= least and not (uncertainty <= 1e-8 * _largest(slope) + ROUNDING * _largest(y)).all():
        t = h / 2.0 ** np.arange(4)[:, None]
        up, down = (np.stack([f(sign * step) for step in t[:, 0]]) for sign in (1, -1))
        mean, spread = _extrapolated((up - down) / (2 * t), 4)
        jump, change = _extrapolated(((up - y) - (y - down)) / t, 2)
        spread = np.maximum(spread, change)
        noise = 64 * EPSILON * np.maximum(np.abs(up), np.abs(down)).max(axis=0) / h
        sudden = np.abs(jump) > 100 * spread + 4 * noise
        # at a kink the slope may be anything between those of its sides
        doubt = np.where(sudden, 0.5, 5) * np.abs(jump) + 10 * (spread + noise)
        better = doubt < uncertainty
        slope = np.where(better, mean, slope)
        uncertainty = np.where(better, doubt, uncertainty)
        kinks = np.where(better, sudden, kinks)
        h /= 16
    return slope, uncertainty, kinks


def _extrapolated(table: Array, ratio: int) -> tuple[Array, Array]:
    """The limit of a table at h, h/2, h/4, h/8, and how much the last step changed it.

    `ratio` is what halving h divides the first error term by, and 4 times as much each next.
    """
    while len(table) > 1:
        finer = table[1:] + (table[1:] - table[:-1]) / (ratio - 1)
        change = np.abs(finer[-1] - table[-1])
        table, ratio = finer, ratio * 4
    return table[0], change


def _compare(
    point: _Point,
    dy: Array,
    computed: Any,
    truth: _Jacobian,
    directions: Array,
    indices: Sequence[tuple[int, ...] | None],
) -> _Sample:
    """One gradient against dy J, along each direction."""
    shape = directions.shape[1:]
    g = np.ravel(dy)
    expected = truth.jacobian @ g
    doubt = LEAST + np.where(g != 0, truth.uncertainty, 0) @ np.abs(g)
    scale = float((np.abs(truth.jacobian) @ np.abs(g)).max(initial=0))
    tolerance = EXACT if truth.exact else ESTIMATED
    kinks = (truth.kinks & (g != 0)).any(axis=1)
    alive = (np.abs(expected) > np.maximum(100 * doubt, tolerance * scale)) & ~kinks
    g_first = np.zeros_like(dy)
    g_first[:1] = dy[:1]
    full = expected.reshape(shape) if truth.whole else None
    first = (truth.jacobian @ np.ravel(g_first)).reshape(shape) if truth.whole else None
    worst: int | None = None
    along = np.full(len(directions), np.nan)
    excess = error = np.full(len(directions), np.inf)
    if computed is not None and np.shape(computed) == shape:
        along = directions.reshape(len(directions), -1) @ np.ravel(computed)
        difference = np.abs(along - expected)
        beyond = np.maximum(difference - doubt, 0)
        excess = np.divide(beyond, scale, out=np.where(beyond > 0, np.inf, 0.0), where=scale > 0)
        small = np.where(alive, np.minimum(difference / (scale or 1), tolerance), 0)
        error = np.where(beyond > 0, excess, small)
        worst = int(error.argmax())
    return _Sample(
        point, dy, computed, full, first, shape,
        index=None if worst is None else indices[worst],
        pair=(np.nan, np.nan) if worst is None else (float(along[worst]), float(expected[worst])),
        error=float(error.max(initial=0)),
        clear=bool(doubt.max() <= ESTIMATED * np.nanmax([scale, *np.abs(along)])),
        wrong=int((excess > tolerance).sum()),
        tried=len(directions),
        alive=alive,
    )  # fmt: skip


def _check(tally: _Tally) -> GradientCheck:
    worst = max(tally.samples, key=lambda sample: sample.error)
    return GradientCheck(
        tally.name,
        worst.shape,
        worst.index,
        *worst.pair,
        worst.error,
        "complex step" if tally.exact else "finite differences",
        tally.kinks,
        tally.alive,
        tally.tried,
        ok=not any(sample.wrong for sample in tally.samples),
    )


# ---- what looks wrong, in words


def _explanation(tally: _Tally, tallies: Sequence[_Tally]) -> str | None:
    """What is wrong with one array's gradient, as far as that can be told from its numbers."""
    name = f"d{tally.name}"
    wrong = [sample for sample in tally.samples if sample.wrong and sample.computed is not None]
    if not wrong or not tally.linear:
        return None
    misshapen = [sample for sample in wrong if np.shape(sample.computed) != sample.shape]
    if misshapen:
        return f"{name} {_shape_trouble(misshapen[-1])}"
    known = [sample for sample in wrong if sample.expected is not None and sample.clear]
    if known:
        for words, holds in _suspicions(tally, tallies):
            if all(holds(sample) for sample in known):
                return f"{name} {words}"
        factor = _factor(known)
        if factor is not None:
            return f"{name} {factor}"
    worst = max(wrong, key=lambda sample: sample.error)
    computed, expected = worst.pair
    entry = f"{name}{list(worst.index)}" if worst.index is not None else "a step along all entries"
    return (
        f"{name} is wrong in {worst.wrong} of {worst.tried} entries for {worst.point.words}: "
        f"{entry} is {computed:.6g}, but should be {expected:.6g}" + _only(tally.samples)
    )


def _only(samples: Sequence[_Sample]) -> str:
    """Whether only vectors or only batches are wrong."""
    wrong = {sample.point.x.ndim for sample in samples if sample.wrong}
    if len(wrong) == 2:
        return ""
    return "; one fact alone is right, a batch is not" if wrong == {2} else "; a batch is right"


def _suspicions(
    tally: _Tally, tallies: Sequence[_Tally]
) -> Iterator[tuple[str, Callable[[_Sample], bool]]]:
    """What a wrong gradient of the right shape may be, and how to tell."""
    if not any(np.any(sample.expected) for sample in tally.samples):
        hint = f"does forward read self.{tally.name}?" if tally is not tallies[0] else ""
        yield f"is not zero, but y does not change with {tally.name}; {hint}", lambda s: True
    yield "is always zero", lambda s: not np.any(s.computed)
    yield "has the wrong sign", lambda s: _like(s.computed, -s.expected)
    yield (
        "is transposed",
        lambda s: len(s.shape) == 2 and tally is not tallies[0] and _like(s.computed.T, s.expected),
    )
    if tally.transposed:
        yield "is dy times J transposed instead of J (M where it should be M^T?)", lambda s: True
    yield (
        "is the mean over the batch instead of the sum",
        lambda s: s.point.x.ndim == 2 and _like(s.computed * len(s.point.x), s.expected),
    )
    yield (
        "is that of the first fact only: the sum over the batch is missing",
        lambda s: s.point.x.ndim == 2 and _like(s.computed, s.first, _largest(s.expected)),
    )
    yield "is dy itself: the layer's own derivative is missing", lambda s: _like(s.computed, s.dy)
    for other in tallies:
        if other is not tally:
            partners = {(id(s.point), id(s.dy)): s.expected for s in other.samples}
            yield (
                f"is the gradient of {other.name}",
                lambda s, partners=partners: _like(  # type: ignore[misc]
                    s.computed, partners[id(s.point), id(s.dy)]
                ),
            )


def _factor(samples: Sequence[_Sample]) -> str | None:
    """The words for a constant factor, if there is one."""
    factors = [np.vdot(s.expected, s.computed) / np.vdot(s.expected, s.expected) for s in samples]
    k = float(factors[0])
    proportional = all(_like(s.computed, k * s.expected) for s in samples)
    if not proportional or (len(factors) < 2 and samples[0].computed.size == 1):
        return None
    big = abs(k) > 1
    how = f"is {abs(k) if big else 1 / abs(k):.9g} times too {'large' if big else 'small'}"
    return how if k > 0 else f"{how}, and has the wrong sign"


def _shape_trouble(sample: _Sample) -> str:
    computed = np.asarray(sample.computed)
    text = f"has shape {computed.shape} where {sample.shape} is wanted"
    if computed.shape[1:] == sample.shape and len(computed) == len(sample.dy):
        return f"{text}: the sum over the batch is missing"
    if computed.ndim == 2 and sample.expected is not None and _like(computed.T, sample.expected):
        return f"{text}: it is transposed"
    return text


def _like(a: Any, b: Any, scale: float | None = None) -> bool:
    """Whether two arrays are alike, nearly enough to name one as the other."""
    if np.shape(a) != np.shape(b):
        return False
    scale = _largest(b) if scale is None else scale
    return bool((np.abs(np.asarray(a) - b) <= ESTIMATED * scale).all())
