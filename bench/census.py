"""`census`: many networks trained at once; which circuits they found, and why others failed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import bench.census_plots as plots
from bench.arguments import Parser, Refusal, folder, integer, positive
from bench.plots import figure, save
from bench.progress import progress
from minnet import (
    SGD,
    Affinity,
    BinaryCrossEntropy,
    Layer,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    Tanh,
)
from minnet.checks import brief
from minnet.facts import GATES, gate
from minnet.initializers import INITIALIZERS
from minnet.study.census import Census, census, load

SUMMARY = "train thousands of networks on a gate: the circuits they find, and why others fail"

ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}
LOSSES = ("cross-entropy", "squared-error")
OUTPUTS = ("sigmoid", "plain")
NETS, FEWER = 10_000, 2_000  # trained at once; of each of several censuses
VARIED: dict[str, list[Any]] = {
    "alpha": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    "steps": [300, 1_000, 3_000, 10_000, 30_000],
    "initializer": list(INITIALIZERS),
    "loss": list(LOSSES),
    "activation": list(ACTIVATIONS),
    "hidden": [2, 3, 4, 6, 8],
}


def add_arguments(parser: Parser) -> None:
    """The options of `census`."""
    parser.epilog = (
        "Without options the settings are those of notebook A: a 2-2-1 ReLU network with a "
        "sigmoid output, started uniformly in +-1/sqrt(inputs), mean cross-entropy, gradient "
        "descent at 0.01, 10000 steps on all four facts. A circuit says at which facts each "
        "hidden unit is on, in the order 00, 01, 10, 11, and whether it then raises the output "
        "(+) or lowers it (-)."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--gate", choices=GATES, default="xor", metavar="NAME",
                       help=f"one of {', '.join(GATES)} (default: xor)")  # fmt: skip
    which.add_argument("--all", action="store_true", help="all sixteen gates, and their table")
    which.add_argument("--vary", choices=VARIED, metavar="SETTING",
                       help=f"several censuses of xor that differ in one of "
                            f"{', '.join(VARIED)}")  # fmt: skip
    which.add_argument("--open", metavar="FILE", help="show a census that was saved")
    add = parser.add_argument
    add("--net", type=integer(0), metavar="I", help="with --open: take out this net, from 0")
    add("--nets", type=integer(1, 10_000_000), metavar="N",
        help=f"how many nets (default: {NETS}, or {FEWER} with --all and --vary)")  # fmt: skip
    add("--hidden", type=integer(1, 100), default=2, metavar="W",
        help="how many hidden units (default: 2)")  # fmt: skip
    add("--activation", choices=ACTIVATIONS, default="relu", help="of these (default: relu)")
    add("--output", choices=OUTPUTS, default="sigmoid", help="(default: sigmoid)")
    add("--loss", choices=LOSSES, default="cross-entropy",
        help="each the mean over the facts (default: cross-entropy)")  # fmt: skip
    add("--initializer", choices=INITIALIZERS, default="uniform", help="(default: uniform)")
    add("--steps", type=integer(1, 100_000_000), default=10_000, metavar="S",
        help="how many steps (default: 10000)")  # fmt: skip
    add("--alpha", type=positive, default=0.01, metavar="A",
        help="the learning rate (default: 0.01)")  # fmt: skip
    add("--seed", type=integer(0), default=0, metavar="N",
        help="which random starts; the same seed gives the same bits (default: 0)")  # fmt: skip
    add("--out", default="out", metavar="DIR",
        help="the folder for pictures and files, made where it is missing "
             "(default: out)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train or load, report and draw; the exit status."""
    if arguments.net is not None and not arguments.open:
        raise Refusal("argument --net: it takes a net out of a census, which --open names")
    if arguments.output == "plain" and arguments.loss == "cross-entropy" != arguments.vary:
        raise Refusal("argument --output: plain outputs are no probabilities, which the "
                      "cross-entropy takes; add --loss squared-error")  # fmt: skip
    out = folder(arguments.out)
    figure()  # if Matplotlib is missing, that is said before the training
    if arguments.open:
        return _open(arguments, out)
    if arguments.all:
        return _all(arguments, out)
    if arguments.vary:
        return _vary(arguments, out)
    result = _census(arguments, arguments.gate, NETS)
    print(result, flush=True)
    file, picture = out / f"{arguments.gate}.census", out / f"{arguments.gate}-census.png"
    result.save(file)
    save(plots.census_of_one_gate(result), picture)
    print(f"\nWritten: {picture}, {file} (--open {file} --net 0 takes out net 0)")
    return 0


def _census(arguments: argparse.Namespace, name: str, nets: int, **varied: Any) -> Census:
    settings = {**vars(arguments), **varied}
    initializer = INITIALIZERS[settings["initializer"]]
    layers: list[Layer] = [
        Affinity(2, settings["hidden"], "fc1", initializer=initializer),
        ACTIVATIONS[settings["activation"]](settings["activation"]),
        Affinity(settings["hidden"], 1, "fc2", initializer=initializer),
    ]
    if settings["output"] == "sigmoid":
        layers.append(Sigmoid("output"))
    cross = settings["loss"] == "cross-entropy"
    net = Network(
        layers, loss=BinaryCrossEntropy(reduction="mean") if cross else MeanSquaredError(),
        optimizer=SGD(settings["alpha"]),
    )  # fmt: skip
    steps = settings["steps"]
    what = name + "".join(f", {key} {value}" for key, value in varied.items())
    with progress(what, steps) as done:
        return census(
            net, gate(name), arguments.nets or nets, steps, rng=arguments.seed,
            watch=lambda taken: done(taken),
        )  # fmt: skip


def _all(arguments: argparse.Namespace, out: Path) -> int:
    results = []
    for name in GATES:
        results.append(_census(arguments, name, FEWER))
        print(_line(name, results[-1]), flush=True)
        results[-1].save(out / f"{name}.census")
    save(plots.table_of_motifs(results), out / "motifs.png")
    print(f"\nWritten: {out / 'motifs.png'}, {out}/GATE.census for each gate")
    return 0


def _vary(arguments: argparse.Namespace, out: Path) -> int:
    what, results = arguments.vary, {}
    for value in VARIED[what]:
        result = _census(arguments, "xor", FEWER, **{what: value})
        results[str(value)] = result
        print(_line(f"{what} {value}", result), flush=True)
    path = out / f"vary-{what}.png"
    save(plots.varied(results, what), path)
    print(f"\nWritten: {path}")
    return 0


def _line(label: str, result: Census) -> str:
    found = result.motifs
    best = f", most often {found[0].name} ({100 * found[0].share:.1f} %)" if found else ""
    failed = ", ".join(f"{count} {name}" for name, count in result.failures.items() if count)
    return (
        f"{label:20} {100 * result.share:5.1f} % solved by {len(found)} motifs{best}; "
        f"failed: {failed or 'none'}"
    )


def _open(arguments: argparse.Namespace, out: Path) -> int:
    result = load(arguments.open)
    if arguments.net is None:
        print(result)
        return 0
    number = arguments.net
    if number >= result.nets:
        raise Refusal(f"argument --net: the nets are numbered from 0 to {result.nets - 1}")
    net = result.member(number)
    why = result.failure_of[number]
    print(f"net {number} of {arguments.open}: {result.gate}, {result.steps} steps")
    if result.solved[number]:
        print(f"solved by the circuit {result.circuit_of[number]}")
    else:
        print(f"failed: {why}; its units are {result.circuit_of[number] or 'not finite'}")
    print(f"loss {result.losses[number]:.6g}")
    with np.errstate(all="ignore"):
        for x, expected, y in zip(result.facts.X, result.facts.T, net(result.facts.X), strict=True):
            print(f"  {tuple(x.astype(int).tolist())}: {y[0]:.4f}, expected {expected[0]:g}")
    start = result.start(number).parameters
    for key, array in net.parameters.items():
        print(f"{key} = {brief(array.round(4).tolist())}, at the start "
              f"{brief(start[key].round(4).tolist())}")  # fmt: skip
    path = out / f"{Path(arguments.open).stem}-{number}.minnet"
    net.save(path)
    print(f"\nWritten: {path}; python -m bench anatomy {path} --input 1,0 takes it apart,")
    print(f"and NNBench(minnet.load({str(path)!r}), ideal) goes on with it.")
    return 0
