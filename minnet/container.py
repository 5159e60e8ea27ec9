r"""A tree of plain data and arrays as bytes, and back: nothing is trusted before it is checked.

The bytes, all numbers little-endian:

    0    8   magic: \x89minnet\n
    8    4   version of the format
    12   4   J, the length of the JSON
    16   8   D, the length of the data
    24   J   JSON: {"arrays": [[dtype, shape], ...], "tree": ...}, in UTF-8
    24+J D   the arrays, row by row, in the order of their list, with nothing between them
    end  32  SHA-256 of everything before

Arrays have no offsets and no names, so none can overlap, repeat or point elsewhere. In the
tree {"$array": i} stands for array i, in rising order; {"$floats": i} for array i as a list;
{"$float": "inf"} for a number that JSON has not.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from minnet.checks import Array, brief
from minnet.durable import LARGEST, FileError

# dict with string keys, list, str, int, float, bool, None or ndarray
Tree: TypeAlias = Any

MAGIC = b"\x89minnet\n"
VERSION = 1
PREFIX = struct.Struct("<8sIIQ")
DIGEST = hashlib.sha256().digest_size

# What a file may ask for; saving keeps to it too.
JSON_BYTES = 2**24
BRACKETS = 2**18  # lists and dicts, which take 30 times the room of their brackets
DEPTH = 64
DIGITS = 40  # of an integer: 128 bits

DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}
WITHOUT_JSON = "a file whose name does not end in .json can hold it"
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def pack(tree: Tree) -> bytes:
    """The tree as bytes.

    Raises
    ------
    FileError
        If it holds something else than plain data and arrays, or too much.
    """
    arrays: list[Array] = []
    plain = _without_arrays(tree, arrays)
    table = [[array.dtype.name, list(array.shape)] for array in arrays]
    text = _dumped({"arrays": table, "tree": plain})
    data = [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays]
    parts = [PREFIX.pack(MAGIC, VERSION, len(text), sum(map(len, data))), text, *data]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"".join([*parts, digest.digest()])


def unpack(data: bytes) -> Tree:
    """The tree that `pack` made the bytes of; arrays are new, native and writable.

    Raises
    ------
    FileError
        If they are not bytes that `pack` makes. Memory and time stay in proportion to
        their number, plus what JSON_BYTES and BRACKETS allow.
    """
    if not is_packed(data):
        raise FileError("it is empty" if not data else "it is no minnet file")
    if len(data) < PREFIX.size + DIGEST:
        raise FileError("it is cut off")
    _, version, text_length, data_length = PREFIX.unpack_from(data)
    _check_version(version)
    length = PREFIX.size + text_length + data_length + DIGEST
    if len(data) != length:
        raise FileError(f"it has {len(data)} bytes where it says {length}: cut off or damaged")
    view = memoryview(data)
    if hashlib.sha256(view[:-DIGEST]).digest() != view[-DIGEST:]:
        raise FileError("it is damaged: its checksum is wrong")
    start = PREFIX.size + text_length
    header = fields(_parsed(bytes(view[PREFIX.size : start])), "the file", ("arrays", "tree"))
    arrays = enumerate(_arrays(header["arrays"], view[start:-DIGEST]))
    tree = _with_arrays(header["tree"], arrays)
    if next(arrays, None) is not None:
        raise FileError("it holds arrays that nothing in it uses")
    return tree


def is_packed(data: bytes) -> bool:
    """Whether this begins as packed bytes do."""
    return data[: len(MAGIC)] == MAGIC


def to_text(tree: Tree) -> str:
    """The tree as JSON for people: arrays are nested lists, short things stand in one line.

    Raises
    ------
    FileError
        As `pack`, and for nan and inf, which JSON has not.
    """
    listed = _listed({"minnet": VERSION, **tree})
    _dumped(listed)
    return _laid_out(listed)


def from_text(data: bytes) -> Tree:
    """The tree of such a text, where arrays are nested lists.

    Raises
    ------
    FileError
        If it is no such text; for wrong JSON with line and column.
    """
    tree = _parsed(data.removeprefix(b"\xef\xbb\xbf"))  # some editors begin files with this
    if not isinstance(tree, dict) or "minnet" not in tree:
        raise FileError('it is no minnet file: it does not begin with {"minnet": 1')
    _check_version(tree.pop("minnet"))
    return _with_arrays(tree, iter(()))


def fields(
    record: Tree, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Tree]:
    """The record, if it has the required fields and no others than the optional ones."""
    if not isinstance(record, dict):
        raise FileError(f"{what} must be a record, not {brief(record)}")
    if missing := [name for name in required if name not in record]:
        raise FileError(f"{what} lacks {', '.join(map(repr, missing))}")
    if unknown := [name for name in record if name not in required + optional]:
        raise FileError(f"{what} has {brief(unknown[0])}, which this minnet does not know")
    return record


def _check_version(version: object) -> None:
    if type(version) is not int or version != VERSION:
        raise FileError(
            f"it has format {brief(version)}, but this minnet reads format {VERSION}; "
            "a newer minnet may read it, or it is damaged"
        )


def _without_arrays(tree: Tree, arrays: list[Array], depth: int = 0) -> Tree:
    """The tree as JSON can hold it; its arrays are appended to `arrays`."""
    _check_depth(depth)
    if isinstance(tree, np.ndarray):
        return {"$array": _appended(arrays, tree)}
    if isinstance(tree, (list, tuple)):
        if tree and all(type(item) is float for item in tree):
            return {"$floats": _appended(arrays, np.array(tree))}
        return [_without_arrays(item, arrays, depth + 1) for item in tree]
    if isinstance(tree, dict):
        return {_key(key): _without_arrays(tree[key], arrays, depth + 1) for key in tree}
    value = _scalar(tree)
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    return value


def _appended(arrays: list[Array], array: Array) -> int:
    if array.dtype.name not in DTYPES:
        raise FileError(f"an array of {array.dtype} cannot be kept; one of {', '.join(DTYPES)} can")
    arrays.append(array)
    return len(arrays) - 1


def _listed(tree: Tree, depth: int = 0) -> Tree:
    """The tree with arrays as nested lists."""
    _check_depth(depth)
    if isinstance(tree, np.ndarray):
        if 0 in tree.shape[:-1]:
            raise FileError(f"in JSON an empty array loses its shape {tree.shape}; {WITHOUT_JSON}")
        tree = tree.tolist()
    if isinstance(tree, (list, tuple)):
        return [_listed(item, depth + 1) for item in tree]
    if isinstance(tree, dict):
        return {_key(key): _listed(tree[key], depth + 1) for key in tree}
    value = _scalar(tree)
    if isinstance(value, float) and not math.isfinite(value):
        raise FileError(f"it holds {value}, which JSON cannot; {WITHOUT_JSON}")
    return value


def _check_depth(depth: int) -> None:
    if depth > DEPTH:
        raise FileError(f"it is nested deeper than {DEPTH}")


def _key(key: object) -> str:
    if not isinstance(key, str) or key.startswith("$"):
        raise FileError(f"a key must be a string that does not begin with $, not {brief(key)}")
    return key


def _scalar(value: Tree) -> Tree:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) >= 2**128:
        raise FileError(f"{brief(value)} has more than 128 bits")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise FileError(f"{brief(value)} cannot be kept: it is no plain data")
    return value


def _dumped(tree: Tree) -> bytes:
    try:
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise FileError(f"{brief(error.object[error.start])} is no text") from None
    _check_size(text)
    return text


def _check_size(text: bytes) -> None:
    if len(text) > JSON_BYTES or text.count(b"[") + text.count(b"{") > BRACKETS:
        raise FileError(
            f"its JSON is too large: {JSON_BYTES} bytes and {BRACKETS} lists are the most"
        )


def _parsed(text: bytes) -> Tree:
    _check_size(text)
    try:
        return json.loads(
            text.decode(),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except UnicodeDecodeError:
        raise FileError("its JSON is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise FileError(f"its JSON is wrong: {error}") from None
    except RecursionError:
        raise FileError(f"it is nested deeper than {DEPTH}") from None


def _unique(pairs: list[tuple[str, Tree]]) -> dict[str, Tree]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in record if names.count(name) > 1)
        raise FileError(f"its JSON has {brief(twice)} twice in one record")
    return record


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise FileError(f"it holds an integer of {len(digits)} digits; {DIGITS} are the most")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise FileError(f"it holds {brief(digits)}, which is no number")
    return value


def _arrays(table: Tree, data: memoryview) -> Iterator[Array]:
    """The arrays of the table, which must use up the data."""
    if not isinstance(table, list):
        raise FileError(f"its list of arrays is {brief(table)}")
    start = 0
    for row in table:
        dtype, shape = _dtype_and_shape(row)
        stop = start + math.prod(shape) * dtype.itemsize
        if stop > len(data):
            raise FileError(f"an array of shape {brief(tuple(shape))} is larger than its data")
        flat = np.frombuffer(data[start:stop], dtype.newbyteorder("<"))
        if dtype == np.bool_ and (flat.view(np.uint8) > 1).any():
            raise FileError("it holds a truth value that is neither 0 nor 1")
        try:
            yield flat.reshape(shape).astype(dtype)
        except ValueError:  # empty, and yet too large
            raise FileError(f"no array has shape {brief(tuple(shape))}") from None
        start = stop
    if start != len(data):
        raise FileError(f"it holds {len(data) - start} bytes that belong to no array")


def _dtype_and_shape(row: Tree) -> tuple[np.dtype[Any], list[int]]:
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[1], list):
        raise FileError(f"an array is described by [dtype, shape], not {brief(row)}")
    name, shape = row
    if not isinstance(name, str) or name not in DTYPES:
        raise FileError(f"an array's dtype must be one of {', '.join(DTYPES)}; not {brief(name)}")
    if len(shape) > 32 or not all(type(n) is int and 0 <= n <= LARGEST for n in shape):
        raise FileError(f"no array has shape {brief(shape)}")
    return DTYPES[name], shape


def _with_arrays(tree: Tree, arrays: Iterator[tuple[int, Array]], depth: int = 0) -> Tree:
    """The tree that JSON holds, with the arrays in their places."""
    _check_depth(depth)
    if isinstance(tree, list):
        return [_with_arrays(item, arrays, depth + 1) for item in tree]
    if isinstance(tree, dict):
        if any(key.startswith("$") for key in tree):
            return _marked(tree, arrays)
        return {_text(key): _with_arrays(tree[key], arrays, depth + 1) for key in tree}
    return _text(tree) if isinstance(tree, str) else tree


def _marked(record: dict[str, Tree], arrays: Iterator[tuple[int, Array]]) -> Tree:
    """What {"$float": ...}, {"$array": ...} or {"$floats": ...} stands for."""
    ((mark, value), *others) = record.items()
    if mark == "$float" and not others and isinstance(value, str) and value in NOT_FINITE:
        return NOT_FINITE[value]
    if mark in ("$array", "$floats") and not others and type(value) is int:
        number, array = next(arrays, (None, np.zeros(0)))
        if number == value and mark == "$array":
            return array
        if number == value and array.ndim == 1 and array.dtype == np.float64:
            return array.tolist()
    raise FileError(f"{brief(record)} stands for nothing in it")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FileError(f"{brief(value)} is no text") from None
    return value


def _laid_out(value: Tree, indent: int = 0) -> str:
    """JSON in which a row of numbers, and whatever is short, stands in one line."""
    line = json.dumps(value, ensure_ascii=False)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if indent + len(line) <= 80 or not any(isinstance(item, (dict, list)) for item in inside):
        return line
    items = [_laid_out(item, indent + 2) for item in inside]
    brackets = "[]"
    if isinstance(value, dict):
        brackets = "{}"
        keys = [json.dumps(key, ensure_ascii=False) for key in value]
        items = [f"{key}: {item}" for key, item in zip(keys, items, strict=True)]
    lines = ",\n".join(" " * (indent + 2) + item for item in items)
    return f"{brackets[0]}\n{lines}\n{' ' * indent}{brackets[1]}"
