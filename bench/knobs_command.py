"""`knobs`: a network with knobs, in a window or in the browser."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.arguments import Parser, Refusal, folder, integer
from bench.browser import serve
from bench.csv_facts import read_table
from bench.knobs import MOST_HIDDEN, Knobs
from bench.knobs_view import on_screen, show
from bench.nnbench import NNBench
from bench.objects import load_object
from minnet import SGD, Affinity, Facts, Layer, Network, Tanh, glorot
from minnet.checks import brief

SUMMARY = "turn the knobs of a network and watch it learn, in a window or in the browser"

PORT = 8988


def add_arguments(parser: Parser) -> None:
    """The options of `knobs`."""
    parser.epilog = (
        "Without NETWORK it is one of two inputs with a hidden layer of tanh that learns XOR. "
        "At the end the moves are in DIR/knobs.json, which --replay makes again, to the same bits."
    )
    add = parser.add_argument
    add("network", nargs="?", metavar="NETWORK",
        help="your own: path/to/file.py:name or package.module:name, a Network, an NNBench, "
             "or a function that gives one")  # fmt: skip
    add("--data", metavar="FILE",
        help="learn the rows of this CSV file: inputs, then what is expected")  # fmt: skip
    add("--outputs", type=integer(1), default=1, metavar="M",
        help="how many of its columns, from the right, are expected (default: 1)")  # fmt: skip
    add("--hidden", type=integer(0, MOST_HIDDEN), default=3, metavar="W",
        help="the width of the hidden layer, 0 for none (default: 3)")  # fmt: skip
    add("--facts", type=integer(1), default=500, metavar="N",
        help="how many facts to learn (default: 500)")  # fmt: skip
    add("--seed", type=integer(0), default=0, metavar="N",
        help="what facts and network are drawn with (default: 0)")  # fmt: skip
    add("--browser", action="store_true",
        help="serve the knobs to a browser on this machine, until Ctrl-C")  # fmt: skip
    add("--port", type=integer(1, 65535), default=PORT, metavar="N",
        help=f"for --browser; a free one near it where it is taken (default: {PORT})")  # fmt: skip
    add("--replay", metavar="FILE", help="begin with the moves of such a knobs.json")
    add("--out", default="out", metavar="DIR",
        help="the folder for what is saved, made where it is missing (default: out)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Open the knobs, and at the end write the moves; the exit status."""
    out = folder(arguments.out)
    knobs = _knobs(arguments)
    if arguments.replay is not None:
        _replay(knobs, Path(arguments.replay))
    try:
        if arguments.browser:
            serve(lambda: on_screen(knobs, out), arguments.port)
        else:
            _check_display()
            show(knobs, True, out)
    finally:
        (out / "knobs.json").write_text(json.dumps({"moves": knobs.history}))
    print(f"{len(knobs.history)} moves: {out / 'knobs.json'}")
    return 0


def _knobs(arguments: argparse.Namespace) -> Knobs:
    table: Facts | None = None
    if arguments.data is not None:
        table = read_table(Path(arguments.data), arguments.outputs)
    if arguments.network is None:
        ends = (2, 1) if table is None else (table.X.shape[1], table.T.shape[1])
        found: Network | NNBench = _network(ends, arguments.hidden, arguments.seed)
    else:
        found = load_object(arguments.network, (Network, NNBench))
    try:
        if isinstance(found, NNBench):
            return Knobs(found, arguments.facts, table)
        ideal = "table" if table is not None else _ideal_for(found)
        return Knobs(NNBench(found, seed=arguments.seed), arguments.facts, table, ideal)
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from None


def _network(ends: tuple[int, int], hidden: int, seed: int) -> Network:
    n, m = ends
    layers: list[Layer] = [Affinity(n, hidden or m, initializer=glorot)]
    if hidden:
        layers += [Tanh(), Affinity(hidden, m, initializer=glorot)]
    net = Network(layers, optimizer=SGD(0.1))
    net.randomize(np.random.default_rng([seed, n, m]))  # other numbers than next starts have
    return net


def _ideal_for(net: Network) -> str:
    if net.n == (net.m or net.n):
        return "identity"
    if (net.n, net.m) == (2, 1):
        return "xor"
    raise Refusal(
        f"nothing is known that a network of {net.n} inputs and {net.m} outputs could learn: "
        "give an NNBench with an ideal, or --data"
    )


def _replay(knobs: Knobs, path: Path) -> None:
    try:
        moves = json.loads(path.read_text(encoding="utf-8"))["moves"]
        knobs.replay(moves)
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{path} is no record of moves of these knobs: {error}") from None


def _check_display() -> None:
    """That pyplot has windows here."""
    import matplotlib.pyplot as plt

    backend: Any = plt._get_backend_mod()
    if backend.FigureCanvas.required_interactive_framework is None:
        raise Refusal(
            f"Matplotlib has no windows here (its backend is {brief(plt.get_backend())}); "
            "--browser serves the knobs to a browser"
        )
