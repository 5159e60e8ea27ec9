"""From arrays of symbols to a straight-line program of single numbers.

Every element of every Symbol becomes an expression of its own; equal expressions become
one. Those that a reader wants to see, and those that are needed twice, get a line.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.unroll.symbols import Symbol, Tape, Untraceable


class Expression:
    """One number: an input's name, a constant, or an operation on other expressions."""

    __slots__ = ("args", "name", "op", "scope", "uses", "value")

    def __init__(self, op: str, args: tuple[Expression, ...], value: Any, scope: str) -> None:
        self.op, self.args, self.value, self.scope = op, args, value, scope
        self.name: str | None = value if op == "input" else None
        self.uses = 0


class Scalars:
    """The expressions of a tape."""

    def __init__(self, tape: Tape, names: dict[str, Array]) -> None:
        """`names` gives each input an object array of the names of its elements, or numbers."""
        self._known: dict[Any, Expression] = {}
        self._scope = ""
        self._elements: dict[Symbol, Array] = {}
        for symbol in tape.symbols:
            self._scope = symbol.scope
            if symbol.op == "input":
                elements = _each(self._input, names[symbol.setting])
            elif symbol.op == "number":
                elements = _one(self.constant(symbol.setting))
            elif symbol.op == "constant":
                elements = _each(self.constant, symbol.setting.astype(object))
            else:
                elements = self._computed(symbol, [self._elements[arg] for arg in symbol.args])
            self._elements[symbol] = elements

    def __getitem__(self, symbol: Symbol) -> Any:
        """The expressions of its elements: an object array of its shape."""
        return self._elements[symbol]

    def _input(self, name: str | float) -> Expression:
        return self._make("input", (), name) if isinstance(name, str) else self.constant(name)

    def constant(self, value: Any) -> Expression:
        return self._make("constant", (), value if isinstance(value, bool) else float(value))

    def _make(self, op: str, args: tuple[Expression, ...], value: Any = None) -> Expression:
        key = (op, repr(value), *map(id, args))
        expression = self._known.get(key)
        if expression is None:
            expression = self._known[key] = Expression(op, args, value, self._scope)
        return expression

    def operation(self, op: str, *args: Expression) -> Expression:
        """An operation in its simplest form; nothing is dropped that could be nan or inf."""
        values = [arg.value if arg.op == "constant" else None for arg in args]
        if op == "multiply" and 1 in values:
            return args[1 - values.index(1)]
        if op == "divide" and values[1] == 1:
            return args[0]
        if op == "negative" and args[0].op == "negative":
            return args[0].args[0]
        if op in ("maximum", "minimum") and values[0] is not None:
            args = args[::-1]
        if None not in values and op in ("add", "subtract", "multiply", "divide", "negative"):
            with np.errstate(all="ignore"):
                return self.constant(getattr(np, op)(*values))
        return self._make(op, args)

    def _computed(self, symbol: Symbol, args: list[Array]) -> Array:
        op, setting = symbol.op, symbol.setting
        if op == "index":
            result = args[0][setting]
            return result if isinstance(result, np.ndarray) else _one(result)
        if op == "reshape":
            return args[0].reshape(symbol.shape)
        if op == "transpose":
            return args[0].transpose(setting)
        if op == "cast":
            if symbol.dtype != np.float64:
                raise Untraceable(f"Python's floats cannot be cast to {symbol.dtype}")
            return args[0]
        if op == "concatenate":
            return np.concatenate(args, axis=setting)
        if op == "matmul":
            return self._matmul(*args)
        if op == "reduce":
            return self._reduce(args[0], *setting)
        elements: list[Any] = [np.broadcast_to(arg, symbol.shape) for arg in args]
        result = np.empty(symbol.shape, object)
        for index in np.ndindex(symbol.shape):
            result[index] = self.operation(op, *(arg[index] for arg in elements))
        return result

    def _matmul(self, a: Array, b: Array) -> Array:
        result = np.empty((a.shape[0], b.shape[1]), object)
        for i, j in np.ndindex(result.shape):
            products = (
                self.operation("multiply", u, v) for u, v in zip(a[i], b[:, j], strict=True)
            )
            result[i, j] = self._fold("add", products)
        return result

    def _reduce(self, a: Array, op: str, axes: tuple[int, ...]) -> Array:
        kept = [i for i in range(a.ndim) if i not in axes]
        rows = a.transpose(*kept, *axes).reshape(*(a.shape[i] for i in kept), -1)
        result = np.empty(rows.shape[:-1], object)
        for index in np.ndindex(result.shape):
            result[index] = self._fold(op, rows[index])
        return result

    def _fold(self, op: str, expressions: Iterable[Expression]) -> Expression:
        return functools.reduce(lambda a, b: self.operation(op, a, b), expressions)


def _each(function: Any, array: Array) -> Array:
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = function(array[index])
    return result


def _one(element: Any) -> Array:
    result = np.empty((), object)
    result[()] = element
    return result


def element_names(base: str, shape: tuple[int, ...]) -> Array:
    """Names of the elements of an array: "x_0", "x_1"; of one number, "loss"."""
    result = np.empty(shape, object)
    for index in np.ndindex(shape):
        result[index] = "_".join([base, *map(str, index)])
    return result


# In these an argument appears twice, so it must have a name of its own.
_TWICE = {"maximum", "minimum", "sign"}


class Writer:
    """Orders expressions into lines `name = text`, each after what it needs."""

    def __init__(self, notation: Notation) -> None:
        self.lines: list[tuple[str, str]] = []
        self._reads: list[set[str]] = []  # the inputs that each line reads
        self._reading: set[str] = set()
        self._notation = notation
        self._written: set[Expression] = set()
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)

    def write(self, goals: Iterable[tuple[str, Expression]]) -> None:
        """Lines for these named expressions and, before each, for what it needs."""
        goals = list(goals)
        for name, goal in goals:
            if goal.name is None and goal.op != "constant":
                goal.name = name
        self._count(goal for _, goal in goals)
        for name, goal in goals:
            self._line(goal)
            if goal.name != name:  # a second name for one number, or a constant's
                self._add(name, goal)

    def reads_what_it_overwrote(self) -> bool:
        """Whether a line reads an input after a line of that input's name."""
        overwritten: set[str] = set()
        for (name, _), reads in zip(self.lines, self._reads, strict=True):
            if overwritten & reads:
                return True
            overwritten.add(name)
        return False

    def _add(self, name: str, expression: Expression) -> None:
        self._reading = set()
        self.lines.append((name, self._render(expression)[0]))
        self._reads.append(self._reading)

    def _count(self, goals: Iterable[Expression]) -> None:
        seen: set[Expression] = set()
        stack = list(goals)
        while stack:
            expression = stack.pop()
            if expression in seen:
                continue
            seen.add(expression)
            for arg in expression.args:
                arg.uses += 2 if expression.op in _TWICE else 1
                stack.append(arg)

    def _line(self, expression: Expression) -> None:
        if expression in self._written or expression.op in ("input", "constant"):
            return
        self._written.add(expression)
        for arg in expression.args:
            self._line(arg)
        if expression.name is None and expression.uses > 1:
            scope = expression.scope or "step"
            expression.name = f"{scope}_t{next(self._numbers[scope])}"
        if expression.name is not None:
            name, expression.name = expression.name, None
            self._add(name, expression)
            expression.name = name

    def _render(self, e: Expression) -> tuple[str, int]:
        """The text and how tightly it binds: `_CONDITION` to `_ATOM`."""
        if e.op == "input":
            self._reading.add(e.value)
        if e.name is not None:
            return self._notation.name(e.name), _ATOM
        if e.op == "constant":
            return self._notation.number(e.value), _ATOM if e.value >= 0 else _SUM
        op = e.op
        if op in ("maximum", "minimum") and e.args[1].op != "constant":
            op = f"{op} of two"
        try:
            template, level, *operands = self._notation.operators[op]
        except KeyError:
            raise Untraceable(f"np.{e.op} has no scalar counterpart here") from None
        args = [self._operand(arg, at) for arg, at in zip(e.args, operands, strict=True)]
        return template.format(*args), level

    def operand(self, expression: Expression) -> str:
        """The text of an expression that has a name or is a constant."""
        return self._render(expression)[0]

    def _operand(self, expression: Expression, level: int) -> str:
        text, binding = self._render(expression)
        return text if binding >= level else f"({text})"


# How tightly a text binds.
_CONDITION, _LOGIC, _COMPARISON, _SUM, _PRODUCT, _ATOM = range(6)

# Template, how tightly the whole binds, how tightly each operand must.
_OPERATORS: dict[str, tuple[Any, ...]] = {
    "add": ("{} + {}", _SUM, _SUM, _PRODUCT),
    "subtract": ("{} - {}", _SUM, _SUM, _PRODUCT),
    "multiply": ("{} * {}", _PRODUCT, _PRODUCT, _ATOM),
    "divide": ("{} / {}", _PRODUCT, _PRODUCT, _ATOM),
    "negative": ("-{}", _SUM, _PRODUCT),
    "power": ("pow({}, {})", _ATOM, _CONDITION, _CONDITION),
    "reciprocal": ("1.0 / {}", _PRODUCT, _ATOM),
    "where": ("{1} if {0} else {2}", _CONDITION, _LOGIC, _LOGIC, _LOGIC),
    "greater": ("{} > {}", _COMPARISON, _SUM, _SUM),
    "greater_equal": ("{} >= {}", _COMPARISON, _SUM, _SUM),
    "less": ("{} < {}", _COMPARISON, _SUM, _SUM),
    "less_equal": ("{} <= {}", _COMPARISON, _SUM, _SUM),
    "equal": ("{} == {}", _COMPARISON, _SUM, _SUM),
    "not_equal": ("{} != {}", _COMPARISON, _SUM, _SUM),
    "logical_and": ("{} and {}", _LOGIC, _COMPARISON, _COMPARISON),
    "logical_or": ("{} or {}", _LOGIC, _COMPARISON, _COMPARISON),
    "logical_not": ("not {}", _LOGIC, _COMPARISON),
    "bitwise_and": ("{} and {}", _LOGIC, _COMPARISON, _COMPARISON),
    "bitwise_or": ("{} or {}", _LOGIC, _COMPARISON, _COMPARISON),
    "invert": ("not {}", _LOGIC, _COMPARISON),
    # of a number and a constant; nan stays nan
    "maximum": ("{1} if {0} <= {1} else {0}", _CONDITION, _SUM, _SUM),
    "minimum": ("{1} if {0} >= {1} else {0}", _CONDITION, _SUM, _SUM),
    "maximum of two": ("{0} if {1} <= {0} or {0} != {0} else {1}", _CONDITION, _SUM, _SUM),
    "minimum of two": ("{0} if {1} >= {0} or {0} != {0} else {1}", _CONDITION, _SUM, _SUM),
    "sign": ("({0} > 0.0) - ({0} < 0.0)", _SUM, _SUM),
}

# NumPy's names and those of the math module (or of a builtin).
MATH_FUNCTIONS = {
    **{name: name for name in ("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "tanh")},
    **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh")},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "absolute": "abs",
    "fabs": "abs",
}


@dataclass(frozen=True)
class Notation:
    """How names, numbers and operations are written."""

    operators: dict[str, tuple[Any, ...]]
    name: Callable[[str], str] = str
    number: Callable[[float], str] = repr


PYTHON = Notation(
    _OPERATORS | {op: (f"{name}({{}})", _ATOM, _CONDITION) for op, name in MATH_FUNCTIONS.items()}
)

_FRACTION = (r"\frac{{{}}}{{{}}}", _ATOM, _CONDITION, _CONDITION)


def _latex_name(name: str) -> str:
    """d_fc1_M_0_1 as the derivative by an entry of M of fc1."""
    words = name.split("_")
    indices = list(itertools.takewhile(str.isdigit, reversed(words)))[::-1]
    words = words[: len(words) - len(indices)]
    derivative = r"\partial " if words[0] == "d" and len(words) > 1 else ""
    base = r"\alpha" if words == ["alpha"] else rf"\mathrm{{{'.'.join(words[bool(derivative) :])}}}"
    return f"{derivative}{base}" + (f"_{{{','.join(indices)}}}" if indices else "")


LATEX = Notation(
    _OPERATORS
    | {op: (rf"\operatorname{{{{{op}}}}}({{}})", _ATOM, _CONDITION) for op in MATH_FUNCTIONS}
    | {op: (rf"\{op}\left({{}}\right)", _ATOM, _CONDITION) for op in ("exp", "log", "tanh")}
    | {
        "multiply": (r"{}\,{}", _PRODUCT, _PRODUCT, _PRODUCT),
        "divide": _FRACTION,
        "reciprocal": (r"\frac{{1}}{{{}}}", _ATOM, _CONDITION),
        "power": ("{}^{{{}}}", _PRODUCT, _ATOM, _CONDITION),
        "sqrt": (r"\sqrt{{{}}}", _ATOM, _CONDITION),
        "absolute": (r"\left|{}\right|", _ATOM, _CONDITION),
        "where": (
            r"\begin{{cases}} {1} & {0} \\ {2} & \text{{else}} \end{{cases}}",
            *(_ATOM, _CONDITION, _CONDITION, _CONDITION),
        ),
        **{
            f"{op}{kind}": (rf"\{op[:3]}({{}}, {{}})", _ATOM, _CONDITION, _CONDITION)
            for op in ("maximum", "minimum")
            for kind in ("", " of two")
        },
    },
    _latex_name,
    lambda value: f"{value:.5g}",
)
