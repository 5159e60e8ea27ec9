"""`regions`: the linear regions of a network, exactly, counted and pictured."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import bench.region_plots as plots
from bench.arguments import Parser, Refusal, folder, integer, vector
from bench.objects import load_object
from bench.plots import figure, save
from bench.progress import progress
from minnet import SGD, Affinity, Facts, Layer, MeanSquaredError, Network, ReLU, uniform
from minnet.checks import brief
from minnet.facts import parity
from minnet.study.comparison import at_grid
from minnet.study.planes import window_of
from minnet.study.regions import (
    Comparison,
    LinearRegions,
    NotCertified,
    compare,
    linear_regions,
    train_until,
)
from minnet.study.subdivision import Window

SUMMARY = "find the linear regions of a network, exactly: counts, maps and pictures"

EPOCHS = 100  # of each start, as in notebook B
STARTS = 1000
FRAMES = 40  # of the animation


def add_arguments(parser: Parser) -> None:
    """The options of `regions`."""
    parser.epilog = (
        "Without NETWORK one is trained as in notebook B: on XOR of -1 and 1, by gradient "
        f"descent at 0.1 on the mean squared error, {EPOCHS} epochs, started afresh until all "
        "four answers have the right sign. The exit status is 0, 1 if no start got there, and 2 "
        "where something cannot be used."
    )
    add = parser.add_argument
    add("network", nargs="?", metavar="NETWORK",
        help="your own, of two inputs and one output: path/to/file.py:name or "
             "package.module:name, a Network or a function that gives one")  # fmt: skip
    add("--hidden", type=_widths, default=[20], metavar="W,...",
        help="the hidden layers of the network to train (default: 20)")  # fmt: skip
    add("--seed", type=integer(0), default=0, metavar="N",
        help="which random start; the same seed gives the same bits (default: 0)")  # fmt: skip
    add("--versus", metavar="OTHER",
        help="compare with another network, named as NETWORK is, or with one trained from "
             "another seed, as --versus 1")  # fmt: skip
    add("--window", type=vector, default=[-1.0, 1.0, -1.0, 1.0], metavar="L,R,B,T",
        help="left, right, bottom and top of the window, as --window=-2,2,-2,2 "
             "(default: -1,1,-1,1)")  # fmt: skip
    add("--out", default="out", metavar="DIR",
        help="the folder for the pictures, made where it is missing (default: out)")  # fmt: skip
    add("--gif", action="store_true",
        help="write partition.gif too, the cells as they change while it is trained")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train or load, find the regions, report and draw; the exit status."""
    if arguments.gif and arguments.network:
        raise Refusal("argument --gif: there is no training to show of a network that is given")
    window = _window(arguments.window)
    out = folder(arguments.out)
    figure()  # if Matplotlib is missing, that is said before the training
    other, seed = arguments.versus, None
    if other is not None and other.isdecimal():
        seed = int(other)
    versus = load_object(other, Network) if other is not None and seed is None else None
    reached, facts = True, None
    frames: list[tuple[Network, str]] = []
    if arguments.network:
        net = load_object(arguments.network, Network)
    else:
        net, reached, frames = _trained(arguments, arguments.seed)
        facts = parity(2, low=-1, high=1)
    if seed is not None:
        versus, reached_too, _ = _trained(arguments, seed)
        reached = reached and reached_too
    try:
        regions = linear_regions(net, window)
        if regions.slopes.shape[1] != 1:
            raise ValueError(f"pictures show one output, the network has {regions.slopes.shape[1]}")
        print(*_report(net, regions), sep="\n", flush=True)
        files = _draw(regions, facts, out)
        if versus is not None:
            both = compare(net, versus, window)
            print("", *_comparison(both, other), sep="\n", flush=True)
            files += _draw_both(both, out)
        if frames and facts is not None:
            files.append(out / "partition.gif")
            shown = ((linear_regions(frame, window), title) for frame, title in frames)
            plots.animation(shown, facts, files[-1])
    except (TypeError, ValueError, OverflowError, NotCertified) as error:
        raise Refusal(str(error)) from None
    print(f"\nWritten: {', '.join(map(str, files))}")
    if not reached:
        print(f"None of {STARTS} starts answered all four facts rightly: try a larger --hidden.")
    return 0 if reached else 1


def _window(numbers: list[float]) -> Window:
    if len(numbers) != 4:
        raise Refusal(f"argument --window: must be four numbers L,R,B,T, not {len(numbers)}")
    try:
        return window_of(np.reshape(numbers, (2, -1)))
    except ValueError as error:
        raise Refusal(f"argument --window: {error}") from None


def _widths(text: str) -> list[int]:
    """A kind of value: numbers of units, as in 20,20."""
    try:
        widths = [int(part) for part in text.split(",")]
    except ValueError:
        widths = [0]
    if not all(1 <= width <= 1000 for width in widths):
        raise argparse.ArgumentTypeError(
            f"must be numbers of units from 1 to 1000, as in 20 or 20,20; not {brief(text)}"
        )
    return widths


def _trained(
    arguments: argparse.Namespace, seed: int
) -> tuple[Network, bool, list[tuple[Network, str]]]:
    """A network, whether it learned XOR, and what it was on the way, with a title for each."""
    facts = parity(2, low=-1, high=1)
    layers: list[Layer] = []
    widths = [2, *arguments.hidden, 1]
    for n, m in pairwise(widths):
        layers += [Affinity(n, m, initializer=uniform), ReLU()]
    net = Network(layers[:-1], loss=MeanSquaredError(), optimizer=SGD(0.1))
    kept = set(np.linspace(0, EPOCHS - 1, FRAMES).round().astype(int).tolist())
    frames: list[tuple[Network, str]] = []
    with progress("training", STARTS) as done:

        def watch(start: int, step: int, loss: float) -> None:
            done(start)
            if step == 0:
                frames.clear()
            if arguments.gif and step in kept:
                frames.append((net.copy(), f"step {step}: loss {loss:.3f}"))

        training = train_until(
            net, facts, 0.99, epochs=EPOCHS, starts=STARTS, threshold=0.0, rng=seed, watch=watch
        )
    print(
        f"Trained {'-'.join(map(str, widths))} on XOR of -1 and 1, seed {seed}: start "
        f"{training.starts}, loss {training.losses[-1]:.3g}, accuracy {training.accuracy:.0%}."
    )
    return net, training.reached, frames


def _report(net: Network, regions: LinearRegions) -> Iterator[str]:
    count, certificate = regions.counts, regions.certificate
    (left, right), (low, high) = regions.window
    yield f"In the window from {left:g} to {right:g} and {low:g} to {high:g}:"
    yield f"{count['patterns']:8}  activation patterns"
    yield f"{count['regions']:8}  linear regions (neighbours of equal map are one)"
    yield f"{count['functions']:8}  distinct affine functions"
    seen = len(np.unique(at_grid(net, regions.window).round(5), axis=0))
    yield f"{seen:8}  of these seen by notebook B's grid of 101 x 101 points"
    yield f"{len(regions.boundary()):8}  segments of the decision boundary"
    yield (
        f"Certified: {certificate.vertices} vertices - {certificate.edges} edges + "
        f"{certificate.cells} cells = 1; areas within {certificate.area_error:.0e} of the window; "
        f"maps within {max(certificate.value_error, certificate.slope_error):.0e} of the output."
    )
    if count["functions"] <= plots.FEW:
        rows = np.column_stack([regions.slopes[:, 0], regions.offsets])
        for first in np.unique(regions.merged):
            area = regions.areas[regions.merged == first].sum()
            yield f"  f = {plots.equation(rows[first])}, on an area of {area:.4g}"


def _comparison(both: Comparison, other: str) -> Iterator[str]:
    yield f"Compared with {other}, on {len(both.areas)} pieces of the overlay:"
    yield f"  outputs of one sign on {100 * both.agreement:.2f} per cent of the window"
    yield f"  the largest distance of the outputs is {both.distance:.4g}"
    yield "  R^2 of a linear map between (slope x, slope y, offset): there, and back"
    for how, (there, back) in both.regressions.items():
        yield f"    {how:10}  {there.r2:7.4f}  {back.r2:7.4f}"


def _draw(regions: LinearRegions, facts: Facts | None, out: Path) -> list[Path]:
    pictures: dict[str, tuple[str | None, Callable[[Any], None]]] = {
        "partition.png": (None, lambda ax: plots.partition(regions, ax, facts)),
        "facets.png": ("3d", lambda ax: plots.facets(regions, ax, facts)),
        "maps.png": ("3d", lambda ax: plots.maps(regions, ax)),
    }
    files = []
    for name, (projection, draw) in pictures.items():
        picture = figure(6.4, 6)
        draw(picture.add_subplot(projection=projection))
        files.append(out / name)
        save(picture, files[-1])
    return files


def _draw_both(both: Comparison, out: Path) -> list[Path]:
    picture = figure(6, 6)
    plots.agreement(both, picture.add_subplot())
    save(picture, out / "agreement.png")
    picture = figure(11, 5.5)
    there, back = both.regressions["by area"]
    for place, one, two, regression, names in (
        (121, both.maps1, both.maps2, there, ("this", "other")),
        (122, both.maps2, both.maps1, back, ("other", "this")),
    ):
        ax = picture.add_subplot(place, projection="3d")
        plots.mapped(one, two, both.areas, regression, ax, names)
    save(picture, out / "mapped.png")
    return [out / "agreement.png", out / "mapped.png"]
