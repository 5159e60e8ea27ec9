"""The same program through Numba, where the extra `fast` is installed.

One net: the text of its steps, compiled as it is; its bits are those of plain floats.
A crowd: the program once per net in a loop that the compiler vectorises over the nets.
For that it gets an exp without branches or calls, of the same accuracy to rounding.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from minnet.checks import Array
from minnet.unroll.arrays import LANES
from minnet.unroll.program import Program
from minnet.unroll.scalars import MATH_FUNCTIONS, PYTHON, Notation
from minnet.unroll.symbols import Untraceable
from minnet.unroll.tracing import Shape

if TYPE_CHECKING:
    from minnet.network import Network


def numba_or_reason() -> Any:
    """The numba module, imported when it is first needed.

    Raises
    ------
    Untraceable
        If it is not there.
    """
    try:
        import numba
    except ImportError as error:
        raise Untraceable(f"Numba is missing ({error}); the extra `fast` brings it") from None
    return numba


def compiled_run(program: Program, output_range: tuple[float, float]) -> Callable[..., Any]:
    """A function that takes a block of steps on facts X and T, and returns the state."""
    lines = ["for k in range(len(losses)):", "    fact = (first + k) % len(X)"]
    for array, names in (("X", program.x), ("T", program.t)):
        for index, name in np.ndenumerate(names):
            lines.append(f"    {name} = {array}[{', '.join(map(str, ('fact', *index)))}]")
    lines += [f"    {line}" for line in program.checked_lines(output_range)]
    lines.append("    losses[k] = loss")
    load = [f"{name} = state[{i}]" for i, name in enumerate(program.state)]
    store = [f"state[{i}] = {name}" for i, name in enumerate(program.state)]
    text = "".join(f"    {line}\n" for line in (*load, *lines, *store))
    run = _compiled_one(f"def run(state, alpha, X, T, first, losses):\n{text}")

    def run_block(
        state: Sequence[float], alpha: float, x: Array, t: Array, block: range, losses: list[float]
    ) -> list[float]:
        after, each = np.array(state), np.empty(len(block))
        run(after, alpha, x, t, block.start, each)
        losses += each.tolist()
        return after.tolist()

    return run_block


@functools.lru_cache(maxsize=256)
def _compiled_one(text: str) -> Callable[..., None]:
    numba = numba_or_reason()
    names: dict[str, Any] = {name: getattr(math, name, abs) for name in MATH_FUNCTIONS.values()}
    names |= {"nan": math.nan, "pow": math.pow}
    exec(compile(text, "<steps of one net>", "exec"), names)
    compiled: Callable[..., None] = numba.njit(error_model="numpy")(names["run"])
    return compiled


class CompiledPlan:
    """Steps of a chunk of nets as one compiled call, for LANES nets at a time.

    Their numbers stay in one small buffer from the first step to the last. Its rows lie a
    fixed distance apart, so that the compiler sees that they do not overlap.

    Attributes
    ----------
    inputs, outputs, bytes
        As those of `Plan`.
    """

    calls = ()

    def __init__(
        self, net: Network, x_shape: Shape, t_shape: Shape, per_net: set[str], chunk: int
    ) -> None:
        one = np.zeros(net.size, net.dtype)
        state = {"p": one}
        state |= {f"memory_{key}": array for key, array in net.optimizer.start(one).items()}
        arrays = {**state, "alpha": np.zeros((), net.dtype)}
        arrays |= {"x": np.zeros(x_shape, net.dtype), "t": np.zeros(t_shape, net.dtype)}
        self.inputs = {
            name: np.zeros((*array.shape, chunk if name in per_net else 1), array.dtype)
            for name, array in arrays.items()
        }
        program = Program(net, x_shape, t_shape, _notation(net.dtype))
        self._total, loss = np.zeros(chunk, net.dtype), np.zeros(chunk, net.dtype)
        y = np.zeros((len(program.y), chunk), net.dtype)
        self.outputs = {**{name: self.inputs[name] for name in state}, "loss": loss, "y": y}
        source = _source(program, state, per_net, net.loss.output_range)
        run = _compiled_many(source, net.dtype.char)
        numbers = [array for name, array in self.inputs.items() if name not in ("x", "t")]
        self._run = functools.partial(run, *numbers, self._total, loss, y)
        self.bytes = sum(array.nbytes for array in (*self.inputs.values(), loss, y))

    def take(self) -> None:
        """One step on the fact in `inputs`."""
        self.run(self.inputs["x"][None], self.inputs["t"][None], range(1))

    def run(self, x: Array, t: Array, steps: range) -> Array:
        """These steps on facts x (facts, ..., 1), t again and again.

        Returns the sums of the losses (nets,), nan where an output was out of range.
        """
        self._run(x, t, steps.start, len(steps))
        return self._total


def _source(
    program: Program,
    state: dict[str, Array],
    per_net: set[str],
    output_range: tuple[float, float],
) -> str:
    """A function that takes steps of all nets, the state in place."""
    kept = [f"{key}_[{k}, n + i]" for key, array in state.items() for k in range(array.size)]
    kind = next(iter(state.values())).dtype
    places, rows = [], []
    for place, array in zip(kept, (a for a in state.values() for _ in range(a.size)), strict=True):
        if array.dtype == kind:
            rows.append(place)
            place = f"buffer[{len(rows) - 1} * {LANES} + i]"
        places.append(place)
    size = len(rows)
    total, loss, *y = (f"buffer[{k} * {LANES} + i]" for k in range(size, size + 2 + len(program.y)))
    shared: list[str] = []
    own: list[str] = []
    for key, names in (("x", program.x), ("t", program.t), ("alpha", np.array("alpha"))):
        for index, name in np.ndenumerate(names):
            which = () if key == "alpha" else ("fact",)
            place = ", ".join(map(str, (*which, *index, "n + i" if key in per_net else 0)))
            (own if key in per_net else shared).append(f"{name} = {key}_[{place}]")
    low, high = output_range
    lines = [
        *own,
        *(f"{name} = {place}" for name, place in zip(program.state, places, strict=True)),
        *(f"{name} = {text}" for name, text in program.lines),
        *(f"{place} = {name}" for name, place in zip(program.state, places, strict=True)),
        *(f"{place} = {name}" for name, place in zip(program.y, y, strict=True)),
        f"{loss} = loss",
    ]
    outside = [f"{name} < number({low}) or {name} > number({high})" for name in program.y]
    if not math.isinf(low) or not math.isinf(high):
        lines += [f"loss = number(nan) if {test} else loss" for test in outside]
    lines.append(f"{total} += loss")
    each = f"for i in range({LANES}):"
    parameters = ", ".join(f"{name}_" for name in (*state, "alpha", "total", "loss", "y", "x", "t"))
    text = [
        f"def run({parameters}, first, count):",
        f"    buffer = empty({size + 2 + len(y)} * {LANES}, kind)",
        f"    for n in range(0, len(loss_), {LANES}):",
        f"        {each}",
        *(f"            buffer[{k} * {LANES} + i] = {row}" for k, row in enumerate(rows)),
        f"            {total} = zero",
        "        for step in range(first, first + count):",
        "            fact = step % len(x_)",
        *(f"            {line}" for line in shared),
        f"            {each}",
        *(f"                {line}" for line in lines),
        f"        {each}",
        *(f"            {row} = buffer[{k} * {LANES} + i]" for k, row in enumerate(rows)),
        f"            total_[n + i] = {total}",
        f"            loss_[n + i] = {loss}",
        *(f"            y_[{k}, n + i] = {place}" for k, place in enumerate(y)),
    ]
    return "\n".join(text)


def _notation(dtype: np.dtype[Any]) -> Notation:
    """Python's, with every number of the dtype, and comparisons as numbers to multiply with."""
    operators = dict(PYTHON.operators)
    for op in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
        template, _, *operands = operators[op]
        operators[op] = (f"one if {template} else zero", 0, *operands)
    return replace(PYTHON, operators=operators, number=lambda value: f"number({value!r})")


@functools.lru_cache(maxsize=256)
def _compiled_many(text: str, kind: str) -> Callable[..., None]:
    numba = numba_or_reason()
    number = np.dtype(kind).type
    exp = _exp(kind)

    def tanh(x: Any) -> Any:
        return number(1) - number(2) / (exp(x + x) + number(1))

    names: dict[str, Any] = {name: getattr(math, name, abs) for name in MATH_FUNCTIONS.values()}
    names |= {"exp": exp, "tanh": numba.njit(**_FAST)(tanh)}
    names |= {"number": number, "one": number(1), "zero": number(0), "pow": math.pow}
    names |= {"nan": math.nan, "empty": np.empty, "kind": number}
    exec(compile(text, "<a step of many nets>", "exec"), names)
    compiled: Callable[..., None] = numba.njit(**_FAST, nogil=True)(names["run"])
    return compiled


# Divisions without a check, products and sums fused, signs of zero free: else nothing is
# vectorised. Sums keep their order, and nan and inf their meaning.
_FAST: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "arcp", "nsz"}}


@functools.lru_cache(maxsize=2)
def _exp(kind: str) -> Callable[[Any], Any]:
    """exp of float64 ("d") or float32 ("f"), to 2 units in the last place.

    exp(x) = 2^n exp(r) with n = round(x / log 2) and |r| <= log(2)/2, where r is found
    with log 2 in two parts (Cody and Waite 1980) and exp(r) is Taylor's polynomial. 2^n is
    made of its bits. Below the least normal number the result is that number's size.
    """
    numba = numba_or_reason()
    number, integer = (np.float64, np.int64) if kind == "d" else (np.float32, np.int32)
    terms, mantissa, exponent = (13, 52, 1023) if kind == "d" else (7, 23, 127)
    coarse = number(0.693145751953125 if kind == "d" else 0.693359375)  # n times it is exact
    fine = number(math.log(2) - 0.693359375 if kind == "f" else 1.42860682030941723212e-6)
    low, high = (number(v) for v in ((-708.0, 709.8) if kind == "d" else (-87.0, 88.8)))
    per_log2 = number(1 / math.log(2))
    # a sum with it rounds to an integer, which is then in the last bits of the sum
    rounder = number(1.5 * 2**mantissa)
    bias, digits = integer(exponent), integer(mantissa)
    to_bits, to_float = _reinterpreted(kind)
    names = {f"c{k}": number(1 / math.factorial(k)) for k in range(terms + 1)}
    body = f"c{terms}"
    for k in reversed(range(terms)):
        body = f"({body}) * r + c{k}"
    exec(f"def polynomial(r):\n    return {body}\n", names)
    polynomial = numba.njit(**_FAST)(names["polynomial"])

    def exp(x: Any) -> Any:
        bounded = min(max(x, low), high)
        rounded = bounded * per_log2 + rounder
        n = rounded - rounder
        r = (bounded - n * coarse) - n * fine
        power = to_float((to_bits(rounded) + bias) << digits)
        return polynomial(r) * power if x == x else x

    compiled: Callable[[Any], Any] = numba.njit(**_FAST)(exp)
    return compiled


def _reinterpreted(kind: str) -> tuple[Any, Any]:
    """From a float to the integer of the same bits, and back."""
    from numba.core import types
    from numba.extending import intrinsic

    whole, real = (types.int64, types.float64) if kind == "d" else (types.int32, types.float32)

    def reinterpretation(source: Any, target: Any) -> Any:
        @intrinsic  # type: ignore[untyped-decorator, unused-ignore]  # with Numba or without
        def reinterpret(typing_context: Any, value: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                return builder.bitcast(args[0], context.get_value_type(target))

            return target(source), generate

        return reinterpret

    return reinterpretation(real, whole), reinterpretation(whole, real)
