"""What bad input gets: the checks at the doors, and the words of their errors.

forward and backprop check nothing. Whatever enters through `layer(x)`,
`learn`, `Facts` or a setting passes one of these functions first.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from minnet.layers import Layer

Array: TypeAlias = NDArray[Any]

# what numpy.random.default_rng can turn into a generator here
Randomness: TypeAlias = "np.random.Generator | int | None"  # text: numpy.random loads late


class UnknownName(KeyError):
    """A name that nothing here has; unlike KeyError's, its message reads as written."""

    __str__ = Exception.__str__


def numeric_array(value: object, what: str) -> Array:
    """`value` as an array of numbers, of whatever dtype it has, complex too.

    Raises
    ------
    TypeError
        If it holds strings, objects, None or masked entries.
    ValueError
        If it is ragged.
    """
    if np.ma.is_masked(value):
        raise TypeError(f"{what} must not have masked entries")
    try:
        array = np.asarray(value)
    except Exception as error:
        raise ValueError(f"{what} is no rectangular array of numbers: {error}") from None
    if array.dtype.kind not in "buifc":
        raise TypeError(f"{what} must hold real numbers, not {brief(value)} (dtype {array.dtype})")
    return array


def real_array(value: object, what: str) -> Array:
    """`value` as an array of finite real numbers, of whatever real dtype it has.

    Raises
    ------
    TypeError
        If it holds strings, objects, None, masked entries or complex numbers.
    ValueError
        If it is ragged, or holds nan or inf.
    """
    array = numeric_array(value, what)
    if array.dtype.kind == "c":
        raise TypeError(f"{what} must hold real numbers, not {brief(value)} (dtype {array.dtype})")
    if not is_finite(array.ravel()):
        bad = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{what} must be finite, but entry {bad} is {array[tuple(bad)]}")
    return array


def floating(value: object, what: str, dtype: np.typing.DTypeLike) -> Array:
    """`value` as a finite array of `dtype`; what its range cannot hold is refused."""
    array = real_array(value, what)
    with np.errstate(over="ignore"):
        converted = array.astype(dtype, copy=False)
    if converted is not array and not np.isfinite(converted).all():
        raise ValueError(f"{what} holds numbers beyond the range of {np.dtype(dtype)}")
    return converted


def number(
    value: object,
    what: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
) -> float:
    """`value` as a finite float within the bounds given (`above` and `below` are excluded)."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.isMaskedArray(value):
        value = value[()]
    if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.timedelta64)):
        raise TypeError(f"{what} must be a number, not {brief(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = np.inf
    bounds = [
        (f"above {above}", above is None or result > above),
        (f"at least {least}", least is None or result >= least),
        (f"below {below}", below is None or result < below),
    ]
    asked = " and ".join(words for words, _ in bounds if not words.endswith("None"))
    if not np.isfinite(result) or not all(holds for _, holds in bounds):
        raise ValueError(f"{what} must be {asked or 'finite'}, not {brief(value)}")
    return result


def integer(value: object, what: str) -> int:
    """`value` as an integer; a bool or a fraction is refused."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} must be an integer, not {brief(value)}") from None


def positive_int(value: object, what: str) -> int:
    """`value` as an integer from 1 to what an array can count."""
    try:
        result = integer(value, what)
    except TypeError:
        raise TypeError(f"{what} must be a positive integer, not {brief(value)}") from None
    if not 1 <= result < 2**31:
        asked = "a positive integer" if result < 1 else "below 2^31"
        raise ValueError(f"{what} must be {asked}, not {brief(result)}")
    return result


def float_type(dtype: object) -> np.dtype[Any]:
    """`dtype` as NumPy's float32 or float64."""
    try:
        result = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, not {brief(dtype)}") from None
    if result not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, not {result}")
    return result


def generator(rng: object) -> np.random.Generator:
    """The generator itself, one seeded with the integer, or a fresh one for None."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise TypeError(
        f"rng must be a numpy.random.Generator, an integer seed from 0 or None, not {brief(rng)}"
    )


def widths(n: object, m: object) -> tuple[int, int]:
    """The numbers of inputs and outputs of an Affinity."""
    return (
        positive_int(n, "Affinity: the number of inputs"),
        positive_int(m, "Affinity: the number of outputs"),
    )


@contextmanager
def undrawn_by_errors(rng: np.random.Generator) -> Iterator[np.random.Generator]:
    """Whatever is raised inside leaves the generator where it was."""
    before = rng.bit_generator.state
    try:
        yield rng
    except BaseException:
        rng.bit_generator.state = before
        raise


def function(value: Any, what: str) -> Any:
    """`value`, if it can be called."""
    if not callable(value):
        raise TypeError(f"{what} must be a function, not {brief(value)}")
    return value


def one_of(value: object, names: tuple[str, ...], what: str) -> str:
    """`value`, if it is one of the names."""
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}; not {brief(value)}")
    return value


def brief(value: object) -> str:
    """The repr of a value, cut to fit into a message."""
    try:
        text = repr(value).replace("\n", " ")
    except Exception:  # an integer too long to print, say, or a class of somebody's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def read_only(attribute: str, doc: str) -> property:
    """A property that shows a private attribute."""
    return property(lambda self: getattr(self, attribute), doc=doc)


def layer_name(name: object) -> str:
    """`name`, if a layer can bear it: parameters are called "layer.parameter"."""
    if not isinstance(name, str):
        raise TypeError(f"a layer's name must be a string, not {brief(name)}")
    if not name or "." in name:
        raise ValueError(f"a layer's name must not be empty or hold a dot, but {name!r} came")
    return name


def inputs_for(layer: Layer, x: object) -> Array:
    """`x` as a floating input that `layer` takes."""
    what = f"{layer.label}: the input"
    array = real_array(x, what)
    array = floating(array, what, layer.dtype or np.result_type(array.dtype, np.float32))
    most = 3 if layer.nets is not None or layer.size == 0 else 2
    n = "n" if layer.n is None else layer.n
    fits = 1 <= array.ndim <= most and layer.n in (None, array.shape[-1])
    if array.ndim == 3 and layer.nets not in (None, array.shape[0]):
        fits = False
    if not fits:
        crowd = "" if layer.nets is None else f" or ({layer.nets}, batch, {n})"
        raise ValueError(
            f"{layer.label} takes {n} inputs, as a vector ({n},) or a batch (batch, {n}){crowd}; "
            f"shape {array.shape} came"
        )
    return array


def is_finite(rows: Array) -> Any:
    """Whether all of a row (..., size) is finite."""
    with np.errstate(all="ignore"):
        # one pass and no array of bools; where the sum of squares overflows, look closer
        if rows.ndim == 1 and rows.dtype.kind == "f" and np.isfinite(np.dot(rows, rows)):
            return np.True_
    return np.isfinite(rows).all(axis=-1)
