"""Benches to and from files: the network with its checkpoints, the seed, the ideal's name.

Saved while it learns, a bench is saved with how far it has come, and `resume` goes on to
the very numbers that learning without a break would have reached.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from bench import history_files
from bench.history import Node
from bench.nnbench import Ideal, NNBench, identity
from minnet import Facts, Network, registry
from minnet.checks import brief, positive_int
from minnet.container import Tree, fields, pack, unpack
from minnet.durable import FileError, FilePath, naming, read, write
from minnet.files import NOT_THE_SAME, of_kind
from minnet.records import Reader, Writer, refusing
from minnet.snapshots import Snapshot, unchanged_by_errors

Bench = TypeVar("Bench", bound=NNBench)
Seed = int | np.random.Generator

GENERATORS: dict[str, Any] = {
    name: getattr(np.random, name) for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
}
# Beyond these NumPy's own code would read outside of its arrays, or never returns such a state.
MOST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}
MOST_FACTS = 2**24  # of a learning that goes on

OPTIONAL = ("history", "learning")

registry.register("identity")(identity)


def save(bench: NNBench, path: FilePath, learning: Tree = None) -> None:
    """Save a bench, durably, with its checkpoints, seed and history.

    With `learning` it is saved as in the midst of learning. Else what was changed since the
    last thing in its history is noticed first.

    The ideal is saved by its registered name; without one, it has to be given to `load`.

    Raises
    ------
    FileError
        If the file cannot be written, or something in the network is not registered; the
        file, if there was one, is then as it was.
    """
    with naming(path):
        if learning is None:
            bench.history.notice(bench)
        data = pack(_tree(bench, learning))
        again, learning = _bench(type(bench), unpack(data), bench.ideal)
        if pack(_tree(again, learning)) != data:
            raise FileError(NOT_THE_SAME)
        write(path, data)


def load(cls: type[Bench], path: FilePath, ideal: Ideal | None = None) -> Bench:
    """The bench of a file; `ideal` where its own was not registered, or to give it another.

    Raises
    ------
    FileError
        And nothing else, as `minnet.load`; also for an ideal that has no name.
    """
    with naming(path):
        return _bench(cls, unpack(read(path)), ideal)[0]


def resume(cls: type[Bench], path: FilePath, ideal: Ideal | None = None) -> tuple[Bench, list[Any]]:
    """The bench of a file that was saved while it learned, having learned the rest; all losses.

    Both are what `learn` would have left and returned, bit by bit. It is saved again as
    often as it was, to the same file.

    Raises
    ------
    FileError
        As `load`; also if nothing was going on.
    """
    with naming(path):
        bench, learning = _bench(cls, unpack(read(path)), ideal)
        if learning is None:
            raise FileError("the bench was not learning when it was saved")
        with refusing("what it was learning"):
            facts = bench.training_data_gen(learning["n"])
    losses = list(learning["losses"])
    bench._autosave = path, learning["every"]
    return bench, autosaved(
        bench, _rest_of_steps(bench.net, facts, len(losses)), len(facts), losses
    )


def _rest_of_steps(net: Network, facts: Facts, done: int) -> Iterator[Any]:
    """The steps of the facts from the one with number `done` on."""
    stopped = net._diverged.copy()
    if net._all_diverged():
        return

    def rest() -> Iterator[Any]:
        # asked for the first fact, `steps` has just forgotten which nets had stopped
        net._diverged[...] = stopped
        yield from itertools.islice(facts, done, None)

    for loss in net.steps(rest()):
        now = (net._diverged >= 0) & (stopped < 0)
        net._diverged[now] += done
        stopped[now] = 0
        yield loss


def autosaved(
    bench: NNBench, steps: Iterator[Any], n: int, losses: Sequence[Any] = ()
) -> list[Any]:
    """All losses of learning n facts, those there are and those of the steps to come.

    Every so many facts, and at the end, the bench is saved; a save that fails is warned
    of, and learning goes on.
    """
    assert bench._autosave is not None
    path, every = bench._autosave
    so_far = list(losses)
    with unchanged_by_errors(bench.net), bench.history.unchanged_by_errors():
        for loss in steps:
            so_far.append(loss)
            if len(so_far) % every == 0 and len(so_far) < n:
                learning = {"n": n, "every": every, "losses": np.array(so_far)}
                _try_to_save(bench, path, learning)
        so_far += [so_far[-1]] * (n - len(so_far))
        bench.history.learned(bench, so_far)
        _try_to_save(bench, path)
    return so_far


def _try_to_save(bench: NNBench, path: FilePath, learning: Tree = None) -> None:
    try:
        save(bench, path, learning)
    except FileError as error:
        warnings.warn(f"not saved, but learning goes on: {error}", RuntimeWarning, stacklevel=3)


def autosave(bench: NNBench, path: FilePath | None, every: int = 10_000) -> None:
    """From now on save the bench while it learns, every so many facts; with None no longer.

    It is saved at once, so that what cannot be saved is found out before hours are lost.

    Raises
    ------
    TypeError, ValueError
        If `every` is no positive integer, or (FileError) it cannot be saved; then nothing
        has changed.
    """
    every = positive_int(every, "every")
    if path is not None:
        save(bench, path)
    bench._autosave = None if path is None else (path, every)


def _tree(bench: NNBench, learning: Tree) -> Tree:
    writer, generators = Writer(), list[np.random.Generator]()
    history = bench.history
    tree = {
        "kind": "bench",
        "net": writer.network(bench.net),
        "ideal": registry.name_of(bench.ideal),
        "seed": _seed_record(bench.seed, bench.seed, generators),
        "checkpoints": [
            {"name": name, "node": node.number, "net": writer.state(_state(node))}
            for name, node in history._checkpoints.items()
        ],
        "history": history_files.write(
            bench, writer, lambda seed, as_it_was: _seed_record(seed, as_it_was, generators)
        ),
    }
    return tree if learning is None else {**tree, "learning": learning}


def _state(node: Node) -> Snapshot:
    assert node.state is not None
    return node.state


def _bench(cls: type[Bench], tree: Tree, ideal: Ideal | None) -> tuple[Bench, Tree]:
    """The bench of a file's tree, and how far its learning had come, or None."""
    record = of_kind(tree, "bench", ("net", "ideal", "seed", "checkpoints"), OPTIONAL)
    if ideal is None and record["ideal"] is None:
        raise FileError(
            "the ideal of this bench was not registered, so the file does not hold it; "
            "give it again: NNBench.load(path, ideal=...)"
        )
    reader, generators = Reader(), list[np.random.Generator]()
    net = reader.network(record["net"])
    now = Snapshot(net)
    seed, as_it_was = _seed(record["seed"], generators)
    ideal = ideal or registry.function_named(record["ideal"])
    checkpoints = record["checkpoints"]
    if not isinstance(checkpoints, list):
        raise FileError(f"the checkpoints of a bench must be a list, not {brief(checkpoints)}")
    if "history" not in record:
        bench = _without_history(cls, net, ideal, checkpoints, reader, generators)
        bench.seed = seed
        _put_back(seed, as_it_was)
    else:
        bench = _made(cls, net, ideal, seed)
        bench._history = history_files.read(
            record["history"], checkpoints, bench, reader, lambda seed: _seed(seed, generators)
        )
    now.restore()
    learning = _learning(record.get("learning"), net)
    if "history" in record and learning is None:
        bench.history._mark = now
    return bench, learning


def _without_history(
    cls: type[Bench],
    net: Network,
    ideal: Ideal,
    checkpoints: list[Tree],
    reader: Reader,
    generators: list[np.random.Generator],
) -> Bench:
    """The bench of a file that holds one checkpoint alone, as it was then."""
    if len(checkpoints) != 1:
        raise FileError(f"a bench without history has one checkpoint, not {brief(checkpoints)}")
    record = fields(checkpoints[0], "a checkpoint", ("name", "seed", "net"))
    if record["name"] is not None:
        raise FileError(f"a checkpoint's name needs a history, but {brief(record['name'])} came")
    seed, as_it_was = _seed(record["seed"], generators)
    reader.restore(net, record["net"])
    _put_back(seed, as_it_was)
    return _made(cls, net, ideal, seed)


def _made(cls: type[Bench], net: Network, ideal: Ideal, seed: Seed) -> Bench:
    with refusing("a bench"):
        return cls(net, ideal, seed)


def _put_back(seed: Seed, as_it_was: Seed) -> None:
    """A generator to the state that it had."""
    if isinstance(seed, np.random.Generator) and isinstance(as_it_was, np.random.Generator):
        seed.bit_generator.state = as_it_was.bit_generator.state


def _learning(record: Tree, net: Network) -> Tree:
    """How far the learning of n facts has come."""
    if record is None:
        return None
    record = fields(record, "learning", ("n", "every", "losses"))
    n, every, losses = record["n"], record["every"], record["losses"]
    if type(n) is not int or not 1 <= n <= MOST_FACTS or type(every) is not int or every < 1:
        raise FileError(f"it cannot be learning {brief(n)} facts, saved every {brief(every)}")
    nets = net._flat.shape[:-1]
    fits = isinstance(losses, np.ndarray) and losses.dtype.kind == "f" and losses.ndim > 0
    if not fits or losses.shape[1:] != nets or not 1 <= len(losses) < n:
        raise FileError(f"{brief(losses)} cannot be the losses of learning {n} facts so far")
    if net._memory is None or np.shape(net._diverged) != nets:
        raise FileError("its network has not begun to learn")
    return record


def _seed_record(seed: Seed, as_it_was: Seed, generators: list[np.random.Generator]) -> Tree:
    """An integer, or a generator with its state; the i-th that came, if it comes again."""
    if not isinstance(seed, np.random.Generator) or not isinstance(as_it_was, np.random.Generator):
        return int(as_it_was)  # type: ignore[arg-type]  # it is of the seed's kind
    bits = as_it_was.bit_generator
    if GENERATORS.get(type(bits).__name__) is not type(bits):
        raise FileError(
            f"the seed is a {type(bits).__name__}; one of {', '.join(GENERATORS)} can be saved"
        )
    number = next((i for i, other in enumerate(generators) if other is seed), len(generators))
    if number == len(generators):
        generators.append(seed)
    return {"generator": number, "state": bits.state}


def _seed(record: Tree, generators: list[np.random.Generator]) -> tuple[Seed, Seed]:
    """The seed, and another one in the state of the record."""
    if type(record) is int and record >= 0:
        return record, record
    record = fields(record, "the seed", ("generator", "state"))
    number, state = record["generator"], record["state"]
    name = state.get("bit_generator") if isinstance(state, dict) else state
    if not isinstance(name, str) or name not in GENERATORS:
        raise FileError(f"a generator must be one of {', '.join(GENERATORS)}; not {brief(name)}")
    bits = GENERATORS[name](0)
    _check_like(state, bits.state, name)
    with refusing(name):
        bits.state = state
    as_it_was = np.random.Generator(bits)
    if number == len(generators):
        generators.append(copy.deepcopy(as_it_was))
    if type(number) is not int or not 0 <= number < len(generators):
        raise FileError(f"there is no generator {brief(number)}")
    if type(generators[number].bit_generator) is not type(bits):
        raise FileError(f"generator {number} cannot become a {name}")
    return generators[number], as_it_was


def _check_like(value: Tree, template: Any, what: str) -> None:
    """Refuse a state that is not built as the template is, or out of its range."""
    if isinstance(template, dict):
        record = fields(value, what, tuple(template))
        for key in template:
            _check_like(record[key], template[key], key)
        return
    if isinstance(template, np.ndarray):
        fits = isinstance(value, np.ndarray) and value.dtype == template.dtype
        fits = fits and value.shape == template.shape
    elif isinstance(template, str):
        fits = value == template
    else:
        fits = type(value) is int and 0 <= value <= MOST.get(what, 2**128 - 1)
    if not fits:
        raise FileError(f"a generator's {what} cannot be {brief(value)}")
