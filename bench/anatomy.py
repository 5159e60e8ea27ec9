"""`anatomy`: a network taken apart at an input, in tables and drawings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import bench.anatomy_plots as plots
from bench.arguments import Parser, Refusal, folder, integer, vector
from bench.objects import load_object
from bench.plots import figure, save
from minnet import Affinity, Network, Sigmoid, Tanh, load
from minnet.checks import UnknownName
from minnet.facts import gate
from minnet.study.anatomy import (
    activations,
    attributions,
    contributions,
    difference,
    gradients,
    sweep,
)
from minnet.study.gates import trained_xor
from minnet.study.tables import matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "take a network apart at an input: every layer, what carries it, and drawings"


OUTPUTS = 4  # that are followed back


def add_arguments(parser: Parser) -> None:
    """The options of `anatomy`."""
    add = parser.add_argument
    add("network", nargs="?", default="xor", metavar="NETWORK",
        help="xor, a trained 2-2-1 network; a file saved by minnet; or your own, "
             "path/to/file.py:name or package.module:name, a Network or a function that gives "
             "one (default: xor)")  # fmt: skip
    add("--input", type=vector, required=True, metavar="X",
        help="the input, as 1,0 (--input=-1,0 where it begins with a minus)")  # fmt: skip
    add(
        "--versus",
        type=vector,
        metavar="X",
        help="another input: what changes from it to the first, and along the line between",
    )
    add("--expected", type=vector, metavar="T",
        help="what is expected, as 1, for the gradients (default for the network xor: what xor "
             "answers to 0s and 1s)")  # fmt: skip
    add(
        "--layer",
        metavar="NAME",
        help="the contributions of this layer alone, and its units followed back to the inputs",
    )
    add("--member", type=integer(0), metavar="I", help="which network of a crowd, from 0")
    add("--out", metavar="DIR",
        help="draw too, into this folder, made where it is missing: forward, contributions, "
             "back where something is expected, difference with --versus, and a sweep from there "
             "or else from 0 to the input")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the tables, draw; the exit status."""
    out = None if arguments.out is None else folder(arguments.out)
    net, expected = _network(arguments)
    x, versus = arguments.input, arguments.versus
    try:
        with np.errstate(all="ignore"):
            print(*_report(net, x, versus, expected, arguments.layer), sep="\n\n", flush=True)
            written = [] if out is None else list(_drawn(net, x, versus, expected, out))
    except (TypeError, ValueError, UnknownName) as error:
        raise Refusal(str(error)) from None
    except OSError:
        raise
    except Exception as error:  # a layer of the user's own can raise anything
        raise Refusal(f"{arguments.network} raised {type(error).__name__}: {error}") from None
    if written:
        print(f"\nWritten: {', '.join(map(str, written))}")
    return 0


def _network(arguments: argparse.Namespace) -> tuple[Network, list[float] | None]:
    """The network, and what is expected of it."""
    expected = arguments.expected
    if arguments.network == "xor":
        table = gate("xor")
        if expected is None and arguments.input in table.X.tolist():
            expected = table.T[table.X.tolist().index(arguments.input)].tolist()
        net = trained_xor()
    elif ":" in arguments.network and not Path(arguments.network).is_file():
        net = load_object(arguments.network, Network)
    else:
        net = load(arguments.network)
    if net.nets is None:
        if arguments.member is not None:
            raise Refusal("argument --member: the network is a plain one, no crowd")
        return net, expected
    if arguments.member is None or arguments.member >= net.nets:
        raise Refusal(
            f"the network is a crowd of {net.nets}: --member says which, from 0 to {net.nets - 1}"
        )
    return net.member(arguments.member), expected


def _report(
    net: Network,
    x: list[float],
    versus: list[float] | None,
    expected: list[float] | None,
    only: str | None,
) -> Iterator[str]:
    found = activations(net, x)
    if not found:
        raise ValueError("the network has no layers to take apart")
    if only is not None:
        contributions(net, x, only)  # an unknown name is refused before anything is printed
    yield f"ACTIVATIONS\n{found}"
    for name in found if only is None else [only]:
        layer = net[name]
        if isinstance(layer, Affinity):
            products = matrix(name, contributions(net, x, name), layer.b)
            yield f"CONTRIBUTIONS  M[i,j] x[j], and b, to each unit\n{products}"
    start = _followed(net, list(found)) if only is None else only
    for output in range(min(OUTPUTS, len(found[start]))):
        yield f"FOLLOWED BACK  slope times unit\n{attributions(net, x, output, start)}"
    if expected is not None:
        yield f"GRADIENTS\n{gradients(net, x, expected)}"
    if versus is not None:
        changed = difference(net, x, versus)
        yield f"DIFFERENCE  from --versus, and what weights carry of it\n{changed}"
        if versus != x:
            yield f"SWEEP  from --versus to --input\n{sweep(net, versus, x)}"


def _followed(net: Network, names: list[str]) -> str:
    """The layer whose units say most: in front of a Sigmoid or Tanh, whose slope says little."""
    bent = isinstance(net.layers[-1], (Sigmoid, Tanh)) and len(names) > 1
    return names[-2 if bent else -1]


def _drawn(
    net: Network,
    x: list[float],
    versus: list[float] | None,
    expected: list[float] | None,
    out: Path,
) -> Iterator[Path]:
    views = {
        "forward": plots.forward(net, x),
        "contributions": plots.forward(net, x, "contributions"),
    }
    if expected is not None:
        views["back"] = plots.back(net, x, expected)
    if versus is not None:
        views["difference"] = plots.change(net, x, versus)
    for name, view in views.items():
        picture = figure(*plots.size(view))
        plots.network(view, picture.add_subplot())
        yield _saved(picture, out / f"{name}.png")
    start = versus or [0.0] * len(x)
    if start != x:
        found = sweep(net, start, x)
        picture = figure(7, 1 + 1.4 * len(found))
        panels = picture.subplots(len(found), 1, sharex=True, squeeze=False)
        plots.sweep(found, list(panels[:, 0]))
        yield _saved(picture, out / "sweep.png")


def _saved(picture: Figure, path: Path) -> Path:
    save(picture, path)
    return path
