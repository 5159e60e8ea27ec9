"""Files changed at random, but with a valid checksum: they load, or raise FileError.

    python tests/fuzz_files.py [EXAMPLES]

runs 100,000 of them, within 2 GB of memory and 20 seconds each; the tests run a few.
"""

from __future__ import annotations

import copy
import json
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from sealed import opened, sealed

from bench import NNBench
from minnet import Adam, Affinity, LeakyReLU, Map, Network, ReLU, Sigmoid, load
from minnet.facts import gate
from minnet.files import FileError
from minnet.registry import register


@register("fuzz.f")
def f(x: Any) -> Any:
    return x * x


def seeds() -> dict[str, bytes]:
    """The valid files that the others are made of."""
    net = Network(
        [Affinity(2, 2, "fc1"), LeakyReLU(0.1), Network([Map(f, f), Affinity(2, 2)]), ReLU(),
         Affinity(2, 1), Sigmoid()],
        optimizer=Adam(),
    )  # fmt: skip
    net.learn(gate("xor"))
    crowd = net.replicate(3, 0)
    bench = NNBench(net.copy(), f, np.random.Generator(np.random.Philox(1)))
    bench.net.layers = bench.net.layers[:2]
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        for name, thing in {"net": net, "crowd": crowd, "bench": bench}.items():
            thing.save(path)
            files[name] = path.read_bytes()
    return files


FILES = seeds()
WORDS = st.sampled_from(
    ["Affinity", "ReLU", "Network", "SGD", "Adam", "SquaredError", "normal", "fuzz.f", "float32",
     "float64", "int64", "bool", "$array", "$float", "$floats", "nan", "inf", "same", "layers",
     "class", "arguments", "parameters", "function", "array", "dtype", "name", "memory", "t", "os",
     "fc1", "a.b", "", "\ud800", "numba", "auto", "PCG64", "state", "network", "net", "v"]
)  # fmt: skip
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 3, 5, 2**31, 2**32, 2**60, -(2**63), 2**64, 2**128, 10**60, 0.0, -0.0, 0.5, 1e308,
     5e-324, 1.0, float("nan"), float("inf")]
) | st.integers(-5, 50)  # fmt: skip
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
MARKS = st.builds(
    lambda mark, i: {mark: i}, st.sampled_from(["$array", "$floats"]), st.integers(-1, 40)
)


def places(tree: Any, found: list[Any]) -> list[Any]:
    """Every (container, key) of the tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        found.append((tree, key))
        if isinstance(value, (dict, list)):
            places(value, found)
    return found


def mutate(header: Any, data: bytearray, draw: Callable[..., Any]) -> None:
    """Change one thing in place."""
    container, key = draw(st.sampled_from(places(header, [])))
    kind = draw(st.sampled_from(["set", "set", "mark", "delete", "swap", "add", "wrap", "data"]))
    if kind == "set":
        container[key] = draw(VALUES)
    elif kind == "mark":
        container[key] = draw(MARKS)
    elif kind == "delete":
        del container[key]
    elif kind == "swap":
        other, place = draw(st.sampled_from(places(header, [])))
        container[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(container[key])
    elif kind == "wrap":
        for _ in range(draw(st.sampled_from([1, 2, 30, 200]))):
            container[key] = draw(st.sampled_from([[container[key]], {"layers": [container[key]]}]))
            if len(str(container[key])) > 10_000:
                break
    elif kind == "data" and data:
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    elif isinstance(container, dict):
        container[draw(WORDS)] = draw(VALUES)
    else:
        container.insert(key, draw(VALUES | st.just(copy.deepcopy(container[key]))))


@st.composite
def hostile(draw: Callable[..., Any]) -> tuple[str, bytes]:
    """A file of one of the kinds, changed in one to four places, and sealed."""
    kind = draw(st.sampled_from(list(FILES)))
    header, data = opened(FILES[kind])
    rest = bytearray(data)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        mutate(header, rest, draw)
        if not header:
            break
    if draw(st.integers(0, 9)) == 0:  # as text
        header = {
            "minnet": 1,
            **(header.get("tree") if isinstance(header.get("tree"), dict) else {}),
        }
        return kind, json.dumps(header).encode()
    return kind, sealed(json.dumps(header).encode(), bytes(rest))


FOLDER = tempfile.TemporaryDirectory()
LOADED = {"net": 0, "crowd": 0, "bench": 0, "refused": 0}


SECONDS = 20  # that a file may take


class TooSlow(BaseException):
    """Nothing that loads a file catches this."""


def too_slow(*_: Any) -> None:
    raise TooSlow


def loads_or_is_refused(file: tuple[str, bytes]) -> None:
    kind, contents = file
    path = Path(FOLDER.name, "file")
    path.write_bytes(contents)
    signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(SECONDS)
    try:
        loaded = loaded_from(path, kind)
        loaded.save(path)  # what loads is whole: it can be saved, and is the same again
        first = path.read_bytes()
        loaded_from(path, kind).save(path)
        assert path.read_bytes() == first
        LOADED[kind] += 1
    except FileError as error:
        assert str(error).startswith(f"{path}: ")
        assert path.read_bytes() == contents, "refused by load, not by save"
        LOADED["refused"] += 1
    finally:
        signal.alarm(0)


def loaded_from(path: Path, kind: str) -> Any:
    return NNBench.load(path, ideal=f) if kind == "bench" else load(path)


few = settings(max_examples=150)(given(hostile())(loads_or_is_refused))


def main(examples: int) -> None:
    """Run so many, in bounded memory."""
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    started = time.monotonic()
    settings(
        max_examples=examples, deadline=None, database=None, derandomize=False,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )(given(hostile())(loads_or_is_refused))()  # fmt: skip
    took, peak = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{sum(LOADED.values())} files in {took:.0f} s and {peak // 1024} MB: {LOADED}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
