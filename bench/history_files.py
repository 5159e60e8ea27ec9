"""A history as a record, columns rather than a record for each node, and back.

So a long history stays a few arrays. What a setting of the past was that no file can hold,
such as a loss that is not registered, becomes -1; the nodes stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.history import KINDS, History, Node, Settings
from minnet import registry
from minnet.checks import brief, one_of
from minnet.container import Tree, fields, pack
from minnet.durable import FileError
from minnet.losses import Loss
from minnet.optimizers import Optimizer
from minnet.records import LAYERS, Reader, Writer, _made, _thing, refusing
from minnet.snapshots import Snapshot, _layers_of
from minnet.unroll.engines import ENGINES

if TYPE_CHECKING:
    from bench.nnbench import NNBench

START, CHECKPOINT, LEARN, CHANGE = range(len(KINDS))
WHOLE = ("did", "parent", "n", "nets", "diverged", "optimizer", "loss", "engine", "seed", "ideal")
REAL = ("first", "last", "alpha")
TRUTHS = ("afresh", "by_hand")
TEXTS = ("name", "what", "digest")
TABLES = ("optimizers", "losses", "engines", "seeds", "ideals")
UNKNOWN, THE_BENCHS = -1, -2  # an ideal without a name can still be the bench's own
DIGEST = re.compile("[0-9a-f]{32}|")


class _Table:
    """What occurs in a history, each once."""

    def __init__(self, record: Callable[[Any], Tree]) -> None:
        self.records: list[Tree] = []
        self._record = record
        self._found: dict[Any, int] = {}
        self._held: list[Any] = []  # so that no id is used again

    def index(self, thing: Any) -> int:
        """The index of its record; UNKNOWN where it has none."""
        if id(thing) in self._found:
            return self._found[id(thing)]
        self._held.append(thing)
        try:
            record = self._record(thing)
            key = pack(record)
        except FileError:
            record = None
        if record is None:
            number = UNKNOWN
        else:
            number = self._found.setdefault(key, len(self.records))
            self.records += [record] * (number == len(self.records))
        self._found[id(thing)] = number
        return number


def write(
    bench: NNBench, writer: Writer, seed_record: Callable[[Any, Any], Tree]
) -> dict[str, Tree]:
    """The record of a bench's history; the checkpoints have been written before."""
    history = bench.history
    for node in history._checkpoints.values():
        seed_record(node.settings.seed, node.settings.seed_was)  # one that no file holds is refused
    optimizers = _Table(lambda thing: thing and _made(_at_alpha_1(thing), "the optimizer"))
    losses = _Table(lambda thing: thing and _made(thing, "the loss"))
    engines = _Table(lambda thing: thing)
    seeds = _Table(lambda pair: seed_record(*pair))
    ideals = _Table(registry.name_of)
    columns: dict[str, list[Any]] = {key: [] for key in (*WHOLE, *REAL, *TRUTHS, *TEXTS)}
    pairs: dict[int, tuple[Any, Any]] = {}
    for node in history:
        settings = node.settings
        rate: Any = getattr(settings.optimizer, "_alpha", None)
        optimizer = optimizers.index(settings.optimizer)
        ideal = ideals.index(settings.ideal)
        if ideal == UNKNOWN and settings.ideal is bench.ideal:
            ideal = THE_BENCHS
        pair = pairs.setdefault(id(settings), (settings.seed, settings.seed_was))
        row = {
            "did": KINDS.index(node.did),
            "parent": -1 if node.parent is None else node.parent,
            "n": node.n,
            "nets": node.nets or 0,
            "diverged": -1 if node.diverged is None else node.diverged,
            "optimizer": optimizer,
            "loss": losses.index(settings.loss),
            "engine": engines.index(settings.engine),
            "seed": UNKNOWN if settings.seed is None else seeds.index(pair),
            "ideal": ideal,
            "first": _number(node.first),
            "last": _number(node.last),
            "alpha": _number(rate if np.ndim(rate) == 0 and optimizer != UNKNOWN else None),
            **{key: getattr(node, key) for key in (*TRUTHS, *TEXTS)},
        }
        for key, value in row.items():
            columns[key].append(value)
    curves = [np.zeros(0) if node.losses is None else node.losses.ravel() for node in history]
    return {
        "present": history.present,
        "nodes": {
            **{key: np.array(columns[key], np.int64) for key in WHOLE},
            **{key: np.array(columns[key], np.float64) for key in REAL},
            **{key: np.array(columns[key], np.bool_) for key in TRUTHS},
            **{key: columns[key] for key in TEXTS},
            "kept": np.array([curve.size for curve in curves], np.int64),
        },
        "curves": np.concatenate(curves).astype(np.float64),
        "tables": {
            "optimizers": optimizers.records,
            "losses": losses.records,
            "engines": engines.records,
            "seeds": seeds.records,
            "ideals": ideals.records,
        },
        "states": list(_states(history, writer)),
    }


def _states(history: History, writer: Writer) -> Iterator[Tree]:
    """The networks kept beside the checkpoints, the latest first, as long as there is room."""
    kept = [node for node in history._kept if node.state is not None]
    for node in sorted(kept, key=lambda node: -node.number):
        assert node.state is not None
        if len(writer._layers) + len(list(_layers_of(node.state._structure))) > LAYERS:
            return
        yield {"node": node.number, "net": writer.state(node.state)}


def _at_alpha_1(optimizer: Any) -> Any:
    return optimizer if np.ndim(optimizer._alpha) else optimizer.with_alpha(1)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def read(
    record: Tree,
    checkpoints: list[Tree],
    bench: NNBench,
    reader: Reader,
    seed_of: Callable[[Tree], tuple[Any, Any]],
) -> History:
    """The history of a record, with its checkpoints; it leaves the network in any state."""
    record = fields(record, "the history", ("present", "nodes", "curves", "tables", "states"))
    history, net = History(), bench.net
    taken = [_checkpoint(checkpoint) for checkpoint in checkpoints]
    states = [_snapshot(reader, net, checkpoint["net"]) for checkpoint in checkpoints]
    tables = fields(record["tables"], "the history's tables", TABLES)
    history._nodes = _nodes(record, _things(tables, seed_of), bench)
    history._present = _within(record["present"], history, "the present node")
    for (name, number), state in zip(taken, states, strict=True):
        node = history[_within(number, history, f"checkpoint {brief(name)}")]
        if node.name != name or node.did not in ("start", "checkpoint") or node.state is not None:
            raise FileError(f"{brief(str(node))} is not the checkpoint {brief(name)}")
        if node.settings.seed is None:
            raise FileError(f"the checkpoint {brief(name)} has no seed")
        if name in history._checkpoints:
            raise FileError(f"there are two checkpoints {brief(name)}")
        node.state, history._checkpoints[name] = state, node
    if None not in history._checkpoints:
        raise FileError("a bench has a checkpoint without a name")
    if not isinstance(record["states"], list):
        raise FileError(f"the history's states must be a list, not {brief(record['states'])}")
    for kept in record["states"]:
        kept = fields(kept, "a state", ("node", "net"))
        node = history[_within(kept["node"], history, "a state")]
        if node.did == "learn" or node.state is not None:
            raise FileError(f"{brief(str(node))} has no state of its own")
        node.state = _snapshot(reader, net, kept["net"])
    held = list(history._checkpoints.values())
    for node in history:
        if node not in held:
            history._keep(node)
    return history


def _checkpoint(record: Tree) -> tuple[str | None, Tree]:
    record = fields(record, "a checkpoint", ("name", "node", "net"))
    if not isinstance(record["name"], str | None):
        raise FileError(f"a checkpoint's name must be a string, not {brief(record['name'])}")
    return record["name"], record["node"]


def _snapshot(reader: Reader, net: Any, record: Tree) -> Snapshot:
    reader.restore(net, record)
    return Snapshot(net)


def _within(number: Tree, things: Any, what: str) -> int:
    if type(number) is not int or not 0 <= number < len(things):
        raise FileError(f"{what} cannot be #{brief(number)} of {len(things)}")
    return number


def _things(tables: dict[str, Tree], seed_of: Callable[[Tree], Any]) -> dict[str, list[Any]]:
    """What the records of the tables stand for."""
    makers: dict[str, Callable[[Tree], Any]] = {
        "optimizers": _optimizer,
        "losses": lambda record: _thing(record, Loss, "a loss of its history"),
        "engines": lambda name: one_of(name, ENGINES, "an engine of its history"),
        "seeds": seed_of,
        "ideals": registry.function_named,
    }
    made = {}
    for key, maker in makers.items():
        if not isinstance(tables[key], list):
            raise FileError(f"the history's {key} must be a list, not {brief(tables[key])}")
        with refusing("the history"):
            made[key] = [maker(record) for record in tables[key]]
    return made


def _optimizer(record: Tree) -> Optimizer:
    what = "an optimizer of its history"
    arguments = fields(record, what, ("class", "arguments"))["arguments"]
    rates = arguments.get("alpha") if isinstance(arguments, dict) else None
    if not isinstance(rates, dict):
        return _thing(record, Optimizer, what)
    column = fields(rates, what, ("array", "dtype"))["array"]
    if not isinstance(column, np.ndarray) or column.dtype.kind != "f" or column.shape[1:] != (1,):
        raise FileError(f"{what} cannot have the rates {brief(column)}")
    made = _thing({**record, "arguments": {**arguments, "alpha": 1.0}}, Optimizer, what)
    return made.with_alpha(column)


def _nodes(record: dict[str, Tree], things: dict[str, list[Any]], bench: NNBench) -> list[Node]:
    columns = _columns(record["nodes"])
    count = len(columns["did"])
    curves, curve_ends = record["curves"], np.cumsum(columns["kept"])
    fits = isinstance(curves, np.ndarray) and curves.dtype == np.float64 and curves.ndim == 1
    if not fits or curve_ends[-1] != len(curves):
        raise FileError(f"{brief(curves)} cannot be the losses of its history")
    curves = np.split(curves, curve_ends[:-1])
    settings: dict[tuple[Any, ...], Settings] = {}
    optimizers: dict[Any, Any] = {}
    nodes = []
    for i in range(count):
        row = {key: column[i] for key, column in columns.items()}
        what = f"#{i} of the history"
        _check(row, i, what)
        rate = None if np.isnan(row["alpha"]) else row["alpha"]
        if (row["optimizer"], rate) not in optimizers:
            optimizer = _at(things["optimizers"], row["optimizer"], what)
            if (optimizer is None or np.ndim(optimizer._alpha) > 0) != (rate is None):
                raise FileError(f"{what} cannot have the alpha {row['alpha']}")
            with refusing(what):
                made = optimizer if rate is None else optimizer.with_alpha(rate)
            optimizers[row["optimizer"], rate] = made
        key = tuple(row[name] for name in ("optimizer", "loss", "engine", "seed", "ideal"))
        if (*key, rate) not in settings:
            seed, seed_was = _at(things["seeds"], row["seed"], what) or (None, None)
            own = row["ideal"] == THE_BENCHS
            settings[*key, rate] = Settings(
                _at(things["losses"], row["loss"], what),
                optimizers[row["optimizer"], rate],
                things["engines"][_within(row["engine"], things["engines"], what)],
                seed, seed_was,
                bench.ideal if own else _at(things["ideals"], row["ideal"], what),
            )  # fmt: skip
        learned = row["did"] == LEARN
        nets = row["nets"] or None
        curve = curves[i].reshape(row["n"], -1) if nets and len(curves[i]) else curves[i]
        nodes.append(
            Node(
                i, row["parent"] if i else None, KINDS[row["did"]], settings[*key, rate],
                row["name"], row["what"], row["n"], nets,
                curve if len(curve) else None,
                row["first"] if learned else None, row["last"] if learned else None,
                None if row["diverged"] < 0 else row["diverged"],
                row["afresh"], row["by_hand"], row["digest"],
            )
        )  # fmt: skip
    return nodes


def _at(things: list[Any], index: int, what: str) -> Any:
    """The thing, or None for one that no file could hold."""
    return None if index == UNKNOWN else things[_within(index, things, what)]


def _columns(record: Tree) -> dict[str, list[Any]]:
    """The columns as lists of Python's own numbers and strings, all of one length."""
    record = fields(record, "its nodes", (*WHOLE, *REAL, *TRUTHS, *TEXTS, "kept"))
    kinds: dict[str, Any] = dict.fromkeys((*WHOLE, "kept"), np.int64)
    kinds |= dict.fromkeys(REAL, np.float64) | dict.fromkeys(TRUTHS, np.bool_)
    columns = {}
    for key, column in record.items():
        if key in TEXTS:
            fits = isinstance(column, list)
        else:
            fits = isinstance(column, np.ndarray) and column.dtype == kinds[key]
            fits = fits and column.ndim == 1
        if not fits or len(column) != len(record["did"]) or not len(column):
            raise FileError(f"the history's {key} cannot be {brief(column)}")
        columns[key] = column if key in TEXTS else column.tolist()
    return columns


def _check(row: dict[str, Any], i: int, what: str) -> None:
    """Refuse a node that no bench has."""
    did, name, text = row["did"], row["name"], row["what"]
    fits = did == START if i == 0 else did in (CHECKPOINT, LEARN, CHANGE)
    fits = fits and (row["parent"] == -1 if i == 0 else 0 <= row["parent"] < i)
    fits = fits and (name is None or (isinstance(name, str) and did == CHECKPOINT))
    fits = fits and (name is None or bool(name.strip() and name.isprintable()))
    fits = fits and isinstance(text, str) and text.isprintable()
    fits = fits and isinstance(row["digest"], str) and bool(DIGEST.fullmatch(row["digest"]))
    fits = fits and bool(row["digest"]) == (did == LEARN)
    fits = fits and (1 <= row["n"] < 2**31 if did == LEARN else row["n"] == row["nets"] == 0)
    fits = fits and 0 <= row["nets"] < 2**31 and -1 <= row["diverged"] < 2**31
    fits = fits and row["kept"] in (0, row["n"] * max(1, row["nets"]))
    if not fits:
        raise FileError(f"{what} is no step of a bench: {brief(row)}")
