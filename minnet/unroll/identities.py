"""The same step with fewer operations: identities that hold but for rounding.

Each is plain mathematics that the layers' own code need not know of. They are for the
crowd's arrays, where every operation is a pass over memory.

The logistic function. Sigmoid computes, with e = exp(-|x|) and r = 1 / (1 + e), the value
(e where x < 0, else 1) r and the slope e r r. With v = exp(-x) they are y = 1 / (1 + v) and
v y y, which takes one exp and no choice, and gives the same bits where x >= 0. x is bounded
below so that v is finite; beyond the bound y and the slope stay as small as they are there,
which a logarithm or a quotient of y could show: there it is left as it is.

The rate. Backprop is linear: alpha times the gradient is the gradient of alpha times dy,
and dy is smaller.

Signs and factors. -(x M + b) is (-x) M - b, and a number times a number times an array is
one number times the array.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

import numpy as np

from minnet.unroll.symbols import Symbol, Tape, apply
from minnet.unroll.tracing import Step

_SUMS = {"add", "subtract", "negative", "concatenate", "reshape", "transpose", "index", "cast"}


def simplified(step: Step) -> Step:
    """The step written down anew, with every symbol in its simplest form."""
    tape = Tape(step.tape.dtype)
    new: dict[Symbol, Symbol] = {}
    for symbol in step.tape.symbols:
        new[symbol] = _written(tape, symbol, new, step)
    p = _step_by_scaled_slope(tape, step, new)
    memory = {key: new[symbol] for key, symbol in step.memory.items()}
    labels = {new[symbol]: label for symbol, label in step.labels.items()}
    return Step(tape, new[step.y], new[step.loss], p, memory, labels, new[step.slope])


def _written(tape: Tape, symbol: Symbol, new: Mapping[Symbol, Symbol], step: Step) -> Symbol:
    """One symbol on the new tape, where `new` has its operands."""
    found = _logistic(symbol)
    if found is not None and not _is_magnified(found[0], step):
        x, is_slope = found
        most = tape.constant(80.0 if tape.dtype == np.float32 else 700.0)
        v = apply(tape, np.exp, (apply(tape, np.minimum, (_negative(new[x]), most)),))
        y = 1 / (1 + v)
        return v * y * y if is_slope else y
    if _is_one_or_exponential(symbol):
        x = new[symbol.args[0].args[0]]
        return apply(tape, np.exp, (apply(tape, np.minimum, (x, tape.constant(0.0))),))
    args = [new[arg] for arg in symbol.args]
    if symbol.op == "multiply":
        return _product(*args)
    return tape.record(symbol.op, tuple(args), symbol.shape, symbol.dtype, symbol.setting)


def _product(a: Symbol, b: Symbol) -> Symbol:
    """a * b, with single numbers multiplied first."""
    if a.shape == () and b.op == "multiply":
        for factor, rest in (b.args, b.args[::-1]):
            if factor.shape == ():
                return apply(a.tape, np.multiply, (_product(a, factor), rest))
    return (
        _product(b, a)
        if b.shape == () != a.shape and a.op == "multiply"
        else apply(a.tape, np.multiply, (a, b))
    )


def _negative(symbol: Symbol) -> Symbol:
    """-symbol, the same bits, with the sign taken by the smallest factor of a product."""
    if symbol.op == "add" and symbol.args[0].op == "matmul":
        product, rest = symbol.args
        return apply(symbol.tape, np.subtract, (_negative(product), rest))
    if symbol.op == "matmul":
        a, b = symbol.args
        signed = (-a, b) if a.op == "input" or a.size <= b.size else (a, -b)
        return symbol.tape.record("matmul", signed, symbol.shape, symbol.dtype)
    return -symbol


def _logistic(symbol: Symbol) -> tuple[Symbol, bool] | None:
    """(x, False) for the logistic function of x, (x, True) for its slope."""
    if symbol.op == "divide" and _is_one_or_exponential(symbol.args[0]):
        e = symbol.args[0].args[1]
        return (e.args[0].args[0].args[0], False) if _is_one_plus(symbol.args[1], e) else None
    if symbol.op != "multiply":
        return None
    for a, r in (symbol.args, symbol.args[::-1]):
        if r.op != "divide" or r.args[0].setting != 1.0:
            continue
        is_slope = a.op == "multiply" and r in set(a.args)
        if _is_one_or_exponential(a):
            e = a.args[1]
        elif is_slope:
            e = a.args[1] if a.args[0] is r else a.args[0]
        else:
            continue
        x = _of_decay(e)
        if x is not None and _is_one_plus(r.args[1], e):
            return x, is_slope
    return None


def _is_magnified(x: Symbol, step: Step) -> bool:
    """Whether something that depends on x may be taken the logarithm of, or divided by."""
    dependent = {x}
    for symbol in step.tape.symbols:
        if dependent.isdisjoint(symbol.args):
            continue
        dependent.add(symbol)
        divisor = symbol.args[1] if symbol.op == "divide" else None
        if symbol.op.startswith("log") or symbol.op in ("power", "float_power", "reciprocal"):
            return True
        if divisor in dependent and not _is_bounded(divisor):
            return True
    return False


def _is_bounded(divisor: Symbol) -> bool:
    """Whether it is 1 + exp(-|x|)."""
    return divisor.op == "add" and any(_of_decay(arg) is not None for arg in divisor.args)


def _of_decay(e: Symbol) -> Symbol | None:
    """x where this is exp(-|x|)."""
    if e.op == "exp" and e.args[0].op == "negative" and e.args[0].args[0].op == "absolute":
        return e.args[0].args[0].args[0]
    return None


def _is_one_plus(total: Symbol, e: Symbol) -> bool:
    return total.op == "add" and any(
        one.setting == 1.0 and other is e for one, other in (total.args, total.args[::-1])
    )


def _is_one_or_exponential(symbol: Symbol) -> bool:
    """Whether this is exp(-|x|) where x < 0, and 1 elsewhere: the bits of exp(min(x, 0))."""
    if symbol.op != "where":
        return False
    condition, yes, no = symbol.args
    return (
        condition.op == "less"
        and _of_decay(yes) is condition.args[0]
        and condition.args[1].setting == 0.0
        and no.op in ("number", "constant")
        and bool(np.all(no.setting == 1))
    )


def _step_by_scaled_slope(tape: Tape, step: Step, new: dict[Symbol, Symbol]) -> Symbol:
    """p - g, with g from alpha times the slope of the loss, where that is the step.

    It is where the step is p - alpha g, and each operation from the slope to g is linear.
    """
    p = step.p
    if step.memory or p.op != "subtract" or p.args[0].op != "input":
        return new[p]
    update = p.args[1]
    if update.op != "multiply" or update.args[0].setting != "alpha":
        return new[p]
    scaled = {step.slope: _product(tape.input("alpha", ()), new[step.slope])}
    for symbol in step.tape.symbols:
        depends = [arg in scaled for arg in symbol.args]
        if any(depends) and _is_linear(symbol, depends):
            scaled[symbol] = _written(tape, symbol, ChainMap(scaled, new), step)
    g = scaled.get(update.args[1])
    return new[p] if g is None else new[p.args[0]] - g


def _is_linear(symbol: Symbol, depends: list[bool]) -> bool:
    """Whether it is linear in those of its operands, the others being fixed."""
    if symbol.op in ("multiply", "matmul"):
        return not all(depends)
    if symbol.op == "divide":
        return depends == [True, False]
    if symbol.op == "reduce":
        return bool(symbol.setting[0] == "add")
    return symbol.op in _SUMS and all(depends)
