"""A crowd's step on arrays with the nets last: every number of a net is a row of nets.

The symbols of one net's step become buffers (*shape, nets), and each operation one call of
NumPy into its buffer, for a chunk of nets that fits the cache. No operation mixes nets,
and the chunks depend on the network's shape alone, so a net's bits depend on its own
numbers only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from minnet.checks import Array
from minnet.unroll.symbols import Symbol
from minnet.unroll.tracing import Step

Call = partial[Any]

LANES = 64  # nets come in multiples of it

_VIEWS = {"index", "reshape", "transpose"}


class Plan:
    """One step of a chunk of nets: buffers, and the calls that fill them in order.

    Parameters
    ----------
    step : Step
    per_net : set of str
        The inputs that each net has its own of; the others are shared.
    chunk : int
        How many nets.
    given : dict, optional
        Inputs that lie elsewhere, by name.

    Attributes
    ----------
    inputs : dict
        By name: arrays (*shape, chunk), or (*shape, 1) where shared, to fill before a step.
    outputs : dict
        "loss" and "y", and the new values of those inputs that a step changes.
    calls : list of callable
        To be made in order.
    bytes : int
        What the buffers take.
    """

    def __init__(
        self, step: Step, per_net: set[str], chunk: int, given: Mapping[str, Array] | None = None
    ) -> None:
        self.chunk, self._per_net = chunk, per_net
        self.calls: list[Call] = []
        self.inputs: dict[str, Array] = dict(given or {})
        self.bytes = 0
        self._arrays: dict[Symbol, Array] = {}
        self._buffers: dict[Symbol, Array] = {}  # by symbol: the memory that its array is in
        self._free: defaultdict[int, list[Array]] = defaultdict(list)
        ends = {"loss": step.loss, "y": step.y, "p": step.p}
        ends |= {f"memory_{key}": symbol for key, symbol in step.memory.items()}
        symbols = _in_use(step.tape.symbols, ends.values())
        self._place = _places(symbols)
        self._last_use = _last_uses(symbols, ends.values(), self._place)
        self._replaces = {} if given and step.memory else _replacements(symbols, ends)
        for number, symbol in enumerate(symbols):
            in_place = isinstance(getattr(np, symbol.op, None), np.ufunc) and symbol.op != "matmul"
            if in_place:  # entry by entry, so the result may lie where an operand lay
                self._release(number)
            self._add(symbol)
            if not in_place:
                self._release(number)
        self.outputs = {name: self._arrays[symbol] for name, symbol in ends.items()}

    def take(self) -> None:
        """One step on the fact in `inputs`."""
        for call in self.calls:
            call()

    def _add(self, symbol: Symbol) -> None:
        op, setting = symbol.op, symbol.setting
        args = [self._arrays[arg] for arg in symbol.args]
        if op == "input":
            nets = self.chunk if setting in self._per_net else 1
            if setting not in self.inputs:
                self.inputs[setting] = np.zeros((*symbol.shape, nets), symbol.dtype)
            self._arrays[symbol] = self.inputs[setting]
        elif op == "number":
            self._arrays[symbol] = np.array(setting)
        elif op == "constant":
            self._arrays[symbol] = np.ascontiguousarray(setting)[..., None]
        elif op in _VIEWS:
            self._view(symbol, args[0])
        elif op == "concatenate":
            self._join(symbol, args)
        elif op == "matmul":
            self._multiply(symbol, *args)
        elif op == "reduce":
            self._fold(symbol, args[0], *setting)
        elif op == "where":
            self._choose(symbol, args)
        elif op == "cast":
            self._call(np.copyto, self._output(symbol, args), args[0])
        else:
            self._apply(symbol, getattr(np, op), args)

    def _call(self, function: Any, *args: Any, **options: Any) -> None:
        self.calls.append(partial(function, *args, **options))

    def _output(self, symbol: Symbol, args: list[Array]) -> Array:
        """A buffer for a symbol: its place in a concatenation, or one that is free again."""
        nets = max((arg.shape[-1] for arg in args if arg.ndim), default=1)
        shape = (*symbol.shape, nets)
        if symbol in self._replaces and nets == self.chunk:
            self._arrays[symbol] = self.inputs[self._replaces[symbol]]
            return self._arrays[symbol]
        if symbol in self._place and nets == self.chunk:
            whole, part = self._place[symbol]
            if whole not in self._arrays:
                self._take(whole, (*whole.shape, nets))
            array = self._arrays[whole][part].reshape(shape, copy=False)
            self._buffers[symbol] = self._buffers[whole]
            self._arrays[symbol] = array
            return array
        return self._take(symbol, shape)

    def _take(self, symbol: Symbol, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape) * symbol.dtype.itemsize
        if self._free[size]:
            buffer = self._free[size].pop()
        else:
            buffer = _memory(size, len(self._buffers))
            self.bytes += size
        self._buffers[symbol] = buffer
        self._arrays[symbol] = buffer.view(symbol.dtype).reshape(shape)
        return self._arrays[symbol]

    def _release(self, number: int) -> None:
        """Free the buffers that nothing after the symbol of this number uses."""
        for other in self._last_use.get(number, ()):
            buffer = self._buffers.get(other)
            if buffer is not None and other not in self._place:
                self._free[buffer.size].append(buffer)

    def _view(self, symbol: Symbol, array: Array) -> None:
        setting = symbol.setting
        if symbol.op == "transpose":
            view = array.transpose(*setting, array.ndim - 1)
        elif symbol.op == "index":
            key = setting if isinstance(setting, tuple) else (setting,)
            view = array[(*key, slice(None))] if Ellipsis in key else array[(*key, ...)]
        else:
            shape = (*symbol.shape, array.shape[-1])
            try:
                view = array.reshape(shape, copy=False)
            except ValueError:
                out = self._take(symbol, shape)
                self._call(np.copyto, out.reshape(array.shape), array)
                return
        self._arrays[symbol] = view

    def _join(self, symbol: Symbol, args: list[Array]) -> None:
        whole = self._arrays.get(symbol)
        if whole is None:
            whole = self._output(symbol, args)
        start = 0
        for part, array in zip(symbol.args, args, strict=True):
            stop = start + part.shape[symbol.setting]
            target = whole[(slice(None),) * symbol.setting + (slice(start, stop),)]
            if not np.shares_memory(target, array):
                self._call(np.copyto, target, array)
            start = stop

    def _multiply(self, symbol: Symbol, a: Array, b: Array) -> None:
        """A matrix product of each net's own arrays, or one for many nets where one is shared."""
        if a.shape[-1] == b.shape[-1]:
            out = self._output(symbol, [a, b])
            if a.shape[-1] == 1:
                self._call(np.matmul, a[..., 0], b[..., 0], out=out[..., 0])
            elif a.shape[1] == 1:
                self._call(np.multiply, a, b, out)
            else:
                self._call(np.einsum, "fkn,kjn->fjn", a, b, out=out)
        elif a.shape[-1] == 1:
            self._call(
                np.matmul, a[..., 0], _blocks(b, 1), out=_blocks(self._output(symbol, [b]), 1)
            )
        else:
            self._call(
                np.matmul, b[..., 0].T, _blocks(a, 0), out=_blocks(self._output(symbol, [a]), 0)
            )

    def _fold(self, symbol: Symbol, array: Array, op: str, axes: tuple[int, ...]) -> None:
        """A sum or extremum over axes of one net."""
        self._call(getattr(np, op).reduce, array, axis=axes, out=self._output(symbol, [array]))

    def _choose(self, symbol: Symbol, args: list[Array]) -> None:
        self._call(_where, self._output(symbol, args), *args)

    def _apply(self, symbol: Symbol, ufunc: np.ufunc, args: list[Array]) -> None:
        kinds = [arg.dtype for arg in symbol.args if arg.op != "number"]
        common = np.result_type(*kinds) if kinds else symbol.dtype
        if common.kind == "b":
            common = symbol.dtype
        numbers = (arg.astype(common) if arg.ndim == 0 else arg for arg in args)
        if ufunc in (np.minimum, np.maximum):
            self._call(ufunc, *numbers, out=self._output(symbol, args))
        else:  # a call without keywords is a tenth of a microsecond faster
            self._call(ufunc, *numbers, self._output(symbol, args))


def _memory(size: int, number: int) -> Array:
    """So many bytes; buffers of other numbers begin elsewhere in their pages.

    A load of an address seems to depend on a store to the same place in another page, and
    waits for it: with all buffers at the start of a page a step takes a tenth longer.
    """
    page, line = 4096, 64
    place = line * (7 * number % (page // line))
    memory = np.zeros(size + 2 * page, np.uint8)
    start = place - memory.ctypes.data % page + page
    return memory[start : start + size]


def _where(out: Array, condition: Array, yes: Array, no: Array) -> None:
    out[...] = np.where(condition, yes, no)


def _blocks(array: Array, axis: int) -> Array:
    """Columns (k, *, nets) or (*, k, nets) as matrices (*, nets / LANES, k, LANES), a view.

    One product of many matrices is many products of one size, so that the bits of a net
    do not depend on how many there are.
    """
    blocks = array.reshape(*array.shape[:2], -1, LANES)
    return blocks.transpose(axis, 2, 1 - axis, 3)


def _in_use(symbols: Iterable[Symbol], ends: Iterable[Symbol]) -> list[Symbol]:
    needed: set[Symbol] = set()
    stack = list(ends)
    while stack:
        symbol = stack.pop()
        if symbol not in needed:
            needed.add(symbol)
            stack.extend(symbol.args)
    return [symbol for symbol in symbols if symbol in needed]


def _root(symbol: Symbol) -> Symbol:
    """The symbol whose memory a view looks at."""
    *_, root = _looked_at(symbol)
    return root


def _looked_at(symbol: Symbol) -> Iterator[Symbol]:
    """The symbol, what it is a view of, what that is a view of, and so on."""
    yield symbol
    while symbol.op in _VIEWS:
        symbol = symbol.args[0]
        yield symbol


def _last_uses(
    symbols: list[Symbol], ends: Iterable[Symbol], places: Mapping[Symbol, tuple[Symbol, Any]]
) -> dict[int, list[Symbol]]:
    """By number of a symbol: those whose memory is free when it has been computed."""
    last: dict[Symbol, int] = {}
    for number, symbol in enumerate(symbols):
        for arg in symbol.args:
            last[arg] = number
    # a view keeps what it looks at, be it the copy that another reshape had to make
    for symbol in reversed(symbols):
        if symbol.op in _VIEWS and symbol in last:
            looked_at = symbol.args[0]
            last[looked_at] = max(last.get(looked_at, 0), last[symbol])
    # what was computed into its place in a concatenation is read there
    for part, (whole, _) in places.items():
        last[whole] = max(last.get(whole, 0), last[part])
    kept = {symbol for end in ends for symbol in _looked_at(end)}
    kept |= {places[end][0] for end in kept if end in places}
    freed: defaultdict[int, list[Symbol]] = defaultdict(list)
    for symbol, number in last.items():
        if symbol not in kept and symbol.op not in ("input", "number", "constant"):
            freed[number].append(symbol)
    return freed


def _places(symbols: list[Symbol]) -> dict[Symbol, tuple[Symbol, tuple[slice, ...]]]:
    """Symbols that can be computed right into their place in a concatenation."""
    places: dict[Symbol, tuple[Symbol, tuple[slice, ...]]] = {}
    for whole in symbols:
        if whole.op != "concatenate":
            continue
        start = 0
        for part in whole.args:
            stop = start + part.shape[whole.setting]
            source = part
            while source.op == "reshape":
                source = source.args[0]
            computed = source.op not in ("input", "number", "constant", "concatenate", *_VIEWS)
            if computed and source not in places:
                places[source] = whole, (slice(None),) * whole.setting + (slice(start, stop),)
            start = stop
    return places


def _replacements(symbols: list[Symbol], ends: dict[str, Symbol]) -> dict[Symbol, str]:
    """New values that can be computed right into the input that they replace.

    That is so if the input is read for the last time then, entry by entry.
    """
    inputs = {symbol.setting: symbol for symbol in symbols if symbol.op == "input"}
    numbers = {symbol: number for number, symbol in enumerate(symbols)}
    replaces: dict[Symbol, str] = {}
    for name, symbol in ends.items():
        old = inputs.get(name)
        if old is None or symbol.shape != old.shape or symbol.dtype != old.dtype:
            continue
        views = {other for other in symbols if _root(other) is old}
        uses = [n for other, n in numbers.items() if views & set(other.args) and other not in views]
        entry_by_entry = old in set(symbol.args) and symbol.op in ("add", "subtract", "multiply")
        only_once = not views & (set(symbol.args) - {old})
        if uses and max(uses) == numbers[symbol] and entry_by_entry and only_once:
            replaces[symbol] = name
    return replaces
