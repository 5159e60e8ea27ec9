"""Arrays of symbols: a layer's own code, run on them, is written down instead of computed.

A Symbol stands for an array of one net: it has a shape and a dtype, but no numbers.
NumPy hands every function that meets one to `__array_ufunc__` or `__array_function__`,
where it becomes a new Symbol that knows its operation and operands. Equal operations on
equal operands become one Symbol, so what forward and backprop both need is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minnet.checks import brief


class Untraceable(TypeError):
    """The code of a layer asks for something that only numbers have."""


class Tape:
    """What is written down: every Symbol once, in the order of computation."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.scope = ""
        self.symbols: list[Symbol] = []
        self._known: dict[Any, Symbol] = {}

    def record(
        self,
        op: str,
        args: tuple[Symbol, ...],
        shape: tuple[int, ...],
        dtype: Any = None,
        setting: Any = None,
    ) -> Symbol:
        dtype = np.dtype(self.dtype if dtype is None else dtype)
        shape = tuple(int(size) for size in shape)
        key = (op, shape, _hashable(setting), *map(id, args))
        symbol = self._known.get(key)
        if symbol is None:
            symbol = Symbol(self, op, args, shape, dtype, setting)
            self._known[key] = symbol
            self.symbols.append(symbol)
        return symbol

    def input(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Symbol:
        return self.record("input", (), shape, dtype, name)

    def constant(self, value: Any) -> Symbol:
        """An array of numbers; a plain number takes the dtype of what it meets."""
        array = np.asarray(value)
        if array.dtype.kind not in "buif":
            raise Untraceable(f"{brief(value)} is no array of real numbers")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self.record("number", (), (), np.float64, float(value))
        if array.dtype.kind != "b":
            array = array.astype(self.dtype)
        return self.record("constant", (), array.shape, array.dtype, array)

    def symbol(self, value: Any) -> Symbol:
        return value if isinstance(value, Symbol) else self.constant(value)

    def concatenated(self, parts: Sequence[Symbol]) -> Symbol:
        return _concatenate(self, parts) if parts else self.constant(np.zeros(0))

    @contextmanager
    def within(self, scope: str) -> Iterator[None]:
        """Symbols recorded inside belong to the layer called `scope`."""
        before, self.scope = self.scope, scope
        yield
        self.scope = before


def _hashable(setting: Any) -> Any:
    if isinstance(setting, np.ndarray):
        return setting.dtype.str, setting.shape, setting.tobytes()
    return repr(setting)


class Symbol(NDArrayOperatorsMixin):
    """An array of one net without its numbers."""

    __slots__ = ("args", "dtype", "op", "scope", "setting", "shape", "tape")
    __hash__ = object.__hash__  # symbols are found by identity; == is an operation

    def __init__(
        self,
        tape: Tape,
        op: str,
        args: tuple[Symbol, ...],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        setting: Any,
    ) -> None:
        self.tape, self.op, self.args = tape, op, args
        self.shape, self.dtype, self.setting, self.scope = shape, dtype, setting, tape.scope

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        options = {key: value for key, value in options.items() if value is not None}
        if ufunc.nout != 1 or options.keys() - {"axis", "keepdims"}:
            raise Untraceable(f"np.{ufunc.__name__} with {list(options) or 'two results'}")
        if method == "reduce":
            return _reduce(self.tape, ufunc, self.tape.symbol(inputs[0]), **options)
        if method != "__call__":
            raise Untraceable(f"np.{ufunc.__name__}.{method}")
        args = tuple(self.tape.symbol(value) for value in inputs)
        return _matmul(self.tape, *args) if ufunc is np.matmul else apply(self.tape, ufunc, args)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, options: Any
    ) -> Any:
        name = function.__name__
        if name not in FUNCTIONS:
            raise Untraceable(f"np.{name}")
        try:
            return FUNCTIONS[name](self.tape, *args, **options)
        except TypeError as error:
            if isinstance(error, Untraceable):
                raise
            raise Untraceable(f"np.{name} called this way") from None

    def __bool__(self) -> bool:
        raise Untraceable("the truth of a symbol: the code branches on a value")

    def __float__(self) -> float:
        raise Untraceable("the number behind a symbol: a function of plain numbers is called")

    __int__ = __index__ = __float__

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def real(self) -> Symbol:
        return self

    @property
    def T(self) -> Symbol:
        return _transpose(self.tape, self)

    @property
    def mT(self) -> Symbol:
        return _swapaxes(self.tape, self, -1, -2)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Symbol]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Symbol:
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) == 2 and parts[0] is Ellipsis and isinstance(parts[1], np.ndarray):
            return _take(self.tape, self, parts[1])
        if any(
            not (part is None or part is Ellipsis or isinstance(part, (int, slice)))
            for part in parts
        ):
            raise Untraceable("indexing by an array")
        shape = np.empty(self.shape, np.bool_)[key].shape
        return self.tape.record("index", (self,), shape, self.dtype, key)

    def astype(self, dtype: Any, copy: bool = True) -> Symbol:
        if self.dtype == dtype:
            return self
        return self.tape.record("cast", (self,), self.shape, dtype)

    def copy(self) -> Symbol:
        return self

    def reshape(self, *shape: Any) -> Symbol:
        return _reshape(self.tape, self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> Symbol:
        return self.reshape(-1)

    def transpose(self, *axes: int) -> Symbol:
        return _transpose(self.tape, self, axes or None)

    def swapaxes(self, first: int, second: int) -> Symbol:
        return _swapaxes(self.tape, self, first, second)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _reduce(self.tape, np.add, self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _reduce(self.tape, np.multiply, self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _reduce(self.tape, np.maximum, self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _reduce(self.tape, np.minimum, self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        total = self.sum(axis, keepdims)
        return total * (total.size / self.size)

    def dot(self, other: Any) -> Symbol:
        return _matmul(self.tape, self, self.tape.symbol(other))


def apply(tape: Tape, ufunc: np.ufunc, args: tuple[Symbol, ...]) -> Symbol:
    """One element-by-element operation, in its simplest form."""
    if ufunc is np.positive:
        return args[0]
    if ufunc in (np.divide, np.multiply) and args[1].op == "number":
        factor = args[1].setting
        if factor == 1:
            return args[0]
        if ufunc is np.divide and math.frexp(factor)[0] == 0.5:  # by a power of 2: the same bits
            return args[0] * (1 / factor)
    if ufunc is np.square or (ufunc is np.power and args[1].setting == 2.0):
        return args[0] * args[0]
    if ufunc is np.logaddexp:
        larger, apart = apply(tape, np.maximum, args), abs(args[0] - args[1])
        return larger + apply(tape, np.log1p, (apply(tape, np.exp, (-apart,)),))
    if ufunc is np.minimum and args[1].op == "negative" and args[1].args[0] is args[0]:
        return -abs(args[0])  # the same numbers, nan too
    if ufunc.signature is not None or getattr(np, ufunc.__name__, None) is not ufunc:
        raise Untraceable(f"np.{ufunc.__name__}")
    if all(arg.op == "number" for arg in args):
        return tape.constant(float(ufunc(*(arg.setting for arg in args))))
    kinds = tuple(float if arg.op == "number" else arg.dtype for arg in args)
    try:
        dtype = ufunc.resolve_dtypes((*kinds, None))[-1]
    except TypeError:
        raise Untraceable(f"np.{ufunc.__name__} of {kinds}") from None
    shape = np.broadcast_shapes(*(arg.shape for arg in args))
    return tape.record(ufunc.__name__, args, shape, dtype)


def _matmul(tape: Tape, a: Symbol, b: Symbol) -> Symbol:
    if a.ndim == 1 and b.ndim == 1:
        return (a * b).sum()
    if a.ndim == 1:
        return _matmul(tape, a[None, :], b)[0]
    if b.ndim == 1:
        return _matmul(tape, a, b[:, None])[:, 0]
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise Untraceable(f"a matrix product of shapes {a.shape} and {b.shape}")
    dtype = np.result_type(a.dtype, b.dtype)
    return tape.record("matmul", (a, b), (a.shape[0], b.shape[1]), dtype)


def _reduce(
    tape: Tape, ufunc: np.ufunc, a: Symbol, axis: Any = 0, keepdims: bool = False
) -> Symbol:
    if ufunc not in (np.add, np.multiply, np.maximum, np.minimum):
        raise Untraceable(f"np.{ufunc.__name__}.reduce")
    given = range(a.ndim) if axis is None else np.atleast_1d(axis)
    axes = tuple(sorted(int(i) % a.ndim for i in given))
    shape = tuple(size for i, size in enumerate(a.shape) if i not in axes)
    kept = tuple(1 if i in axes else size for i, size in enumerate(a.shape))
    if all(a.shape[i] == 1 for i in axes):
        return _reshape(tape, a, kept if keepdims else shape)
    total = tape.record("reduce", (a,), shape, a.dtype, (ufunc.__name__, axes))
    return _reshape(tape, total, kept) if keepdims else total


def _reshape(tape: Tape, a: Symbol, shape: Any) -> Symbol:
    settled = np.empty(a.shape, np.bool_).reshape(shape).shape
    return a if settled == a.shape else tape.record("reshape", (a,), settled, a.dtype)


def _transpose(tape: Tape, a: Symbol, axes: Sequence[int] | None = None) -> Symbol:
    order = tuple(range(a.ndim))[::-1] if axes is None else tuple(i % a.ndim for i in axes)
    if order == tuple(range(a.ndim)):
        return a
    shape = tuple(a.shape[i] for i in order)
    return tape.record("transpose", (a,), shape, a.dtype, order)


def _swapaxes(tape: Tape, a: Symbol, first: int, second: int) -> Symbol:
    order = list(range(a.ndim))
    order[first], order[second] = order[second], order[first]
    return _transpose(tape, a, order)


def _where(tape: Tape, condition: Any, yes: Any, no: Any) -> Symbol:
    args = tuple(tape.symbol(value) for value in (condition, yes, no))
    if args[1].op == args[2].op == "number":
        args = (args[0], args[1], tape.constant(np.asarray(args[2].setting)))
    strong = [arg.dtype for arg in args[1:] if arg.op != "number"]
    shape = np.broadcast_shapes(*(arg.shape for arg in args))
    return tape.record("where", args, shape, np.result_type(*strong))


def _clip(tape: Tape, a: Any, low: Any = None, high: Any = None) -> Symbol:
    if low is not None:
        a = np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


def _filled(tape: Tape, a: Symbol, value: float) -> Symbol:
    return tape.constant(np.full(a.shape, value))


def _atleast(tape: Tape, a: Symbol, ndim: int) -> Symbol:
    return _reshape(tape, a, (1,) * (ndim - a.ndim) + a.shape)


def _concatenate(tape: Tape, parts: Sequence[Any], axis: int = 0) -> Symbol:
    symbols = [tape.symbol(part) for part in parts]
    symbols = [part for part in symbols if part.shape[axis]]
    if len(symbols) == 1:
        return symbols[0]
    axis = axis % symbols[0].ndim
    shape = list(symbols[0].shape)
    shape[axis] = sum(part.shape[axis] for part in symbols)
    return tape.record("concatenate", tuple(symbols), tuple(shape), symbols[0].dtype, axis)


def _take(tape: Tape, a: Symbol, indices: Any) -> Symbol:
    """a[..., indices]: what stands side by side stays together."""
    flat = np.arange(a.shape[-1])[indices].ravel()
    runs = np.split(flat, np.flatnonzero(np.diff(flat) != 1) + 1)
    taken = _concatenate(tape, [a[..., int(run[0]) : int(run[-1]) + 1] for run in runs], -1)
    return _reshape(tape, taken, (*a.shape[:-1], *indices.shape))


def _stack(tape: Tape, parts: Sequence[Any], axis: int = 0) -> Symbol:
    return _concatenate(tape, [_expand_dims(tape, tape.symbol(p), axis) for p in parts], axis)


def _expand_dims(tape: Tape, a: Symbol, axis: int) -> Symbol:
    axis = axis % (a.ndim + 1)
    return _reshape(tape, a, (*a.shape[:axis], 1, *a.shape[axis:]))


def _outer(tape: Tape, a: Any, b: Any) -> Symbol:
    return tape.symbol(a).reshape(-1, 1) * tape.symbol(b).reshape(1, -1)


# What NumPy's functions become on symbols. Each takes the tape first.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": _where,
    "clip": _clip,
    "ones_like": lambda tape, a: _filled(tape, a, 1.0),
    "zeros_like": lambda tape, a: _filled(tape, a, 0.0),
    "full_like": lambda tape, a, value: _filled(tape, a, value),
    "atleast_1d": lambda tape, a: _atleast(tape, a, 1),
    "atleast_2d": lambda tape, a: _atleast(tape, a, 2),
    "concatenate": _concatenate,
    "stack": _stack,
    "expand_dims": _expand_dims,
    "reshape": _reshape,
    "ravel": lambda tape, a: _reshape(tape, a, -1),
    "transpose": _transpose,
    "swapaxes": _swapaxes,
    "broadcast_to": lambda tape, a, shape: a if a.shape == shape else a + np.zeros(shape),
    "outer": _outer,
    "dot": lambda tape, a, b: _matmul(tape, tape.symbol(a), tape.symbol(b)),
    "sum": lambda tape, a, axis=None, keepdims=False: a.sum(axis, keepdims),
    "prod": lambda tape, a, axis=None, keepdims=False: a.prod(axis, keepdims),
    "mean": lambda tape, a, axis=None, keepdims=False: a.mean(axis, keepdims),
    "max": lambda tape, a, axis=None, keepdims=False: a.max(axis, keepdims),
    "min": lambda tape, a, axis=None, keepdims=False: a.min(axis, keepdims),
    "copy": lambda tape, a: a,
    "shape": lambda tape, a: a.shape,
    "ndim": lambda tape, a: a.ndim,
}
