"""`catalogue`: every circuit of hidden ReLU units for a gate, and why there are no others."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations_with_replacement, groupby
from pathlib import Path

import bench.catalogue_plots as plots
from bench.arguments import Parser, folder, integer
from bench.plots import figure, save
from bench.progress import progress
from minnet.facts import GATES
from minnet.study.catalogue import MOST
from minnet.study.circuits import Circuit, catalogue, refutation
from minnet.study.units import KINDS, name_of

SUMMARY = "list all circuits of hidden ReLU units for a gate, with inequalities and pictures"

COLUMNS = 8  # of a sheet


def add_arguments(parser: Parser) -> None:
    """The options of `catalogue`."""
    parser.epilog = (
        "A circuit says at which facts each hidden unit is on, in the order 00, 01, 10, 11, and "
        "whether it then raises the output (+) or lowers it (-); a silent unit is 0. Drawn are a "
        "sheet of all circuits and a picture of each, with --all the sheets alone. Where there "
        "is no circuit, the contradiction is shown for every choice of units. The exit status is "
        "0, and 2 where something cannot be used."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--gate", choices=GATES, default="xor", metavar="NAME",
                       help=f"one of {', '.join(GATES)} (default: xor)")  # fmt: skip
    which.add_argument("--all", action="store_true", help="count and draw those of all gates")
    parser.add_argument("--units", type=integer(1, MOST), default=2, metavar="N",
                        help=f"how many hidden units, from 1 to {MOST} (default: 2)")  # fmt: skip
    parser.add_argument("--out", default="out", metavar="DIR",
                        help="the folder for the pictures, made where it is missing "
                             "(default: out)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """List the circuits and draw them; the exit status."""
    out = folder(arguments.out)
    figure()  # if Matplotlib is missing, that is said before the programmes are solved
    gates = GATES if arguments.all else (arguments.gate,)
    found: dict[str, list[Circuit]] = {}
    with progress("solving", len(gates)) as done:
        for i, gate in enumerate(gates):
            found[gate] = catalogue(gate, arguments.units)
            done(i + 1)
    if arguments.all:
        lines = _counts(found, arguments.units)
    elif found[arguments.gate]:
        lines = _listing(found[arguments.gate])
    else:
        lines = _contradictions(arguments.gate, arguments.units)
    print(*lines, sep="\n", flush=True)
    each = not arguments.all
    with progress("drawing", sum(1 + len(circuits) * each for circuits in found.values())) as done:
        for i, written in enumerate(_drawn(found, out, each)):
            done(i + 1)
            if written:
                print(f"Written: {written}", flush=True)
    return 0


def _counts(found: Mapping[str, Sequence[Circuit]], units: int) -> Iterator[str]:
    yield f"Circuits of {_units(units)}, and classes of them up to swapping and flipping the inputs"
    yield f"{'gate':12}{'circuits':>8}{'classes':>9}  widest margin"
    for gate, circuits in found.items():
        widest = f"  {_fraction(circuits[0].margin)}, {circuits[0].name}" if circuits else ""
        yield f"{gate:12}{len(circuits):8}{_classes(circuits):9}{widest}"
    yield ""


def _listing(circuits: Sequence[Circuit]) -> Iterator[str]:
    units = len(circuits[0].units)
    yield (
        f"{len(circuits)} circuits of {_units(units)} compute {circuits[0].gate}, in "
        f"{_classes(circuits)} classes up to swapping and flipping the inputs."
    )
    yield "Units are scaled to an output weight of +1 or -1; w10 is unit 1's weight of input 0."
    for number, group in groupby(circuits, key=lambda circuit: circuit.symmetric):
        first, *others = group
        yield f"\nclass {number}, margin {_fraction(first.margin)}"
        yield f"  {first}"
        for i in [*range(units), None]:
            rows = [str(row) for row in first.inequalities if row.unit == i]
            if rows:
                yield f"    {'output' if i is None else f'unit {i}'}:  {',  '.join(rows)}"
        names = [name for i in range(units) for name in (f"w{i}0", f"w{i}1", f"b{i}")]
        pairs = zip([*names, "c"], first.weights, strict=True)
        yield f"    such as  {', '.join(f'{name} = {weight}' for name, weight in pairs)}"
        yield from (f"  {other}" for other in others)
    yield ""


def _contradictions(gate: str, units: int) -> Iterator[str]:
    yield f"No circuit of {_units(units)} computes {gate}. Whatever units are chosen, inequalities"
    yield 'contradict each other: with every "<" turned round, they add up to 0 > 0.'
    for choice in combinations_with_replacement(KINDS, units):
        name = name_of(choice)
        parts = [(f"{n} times " if n > 1 else "") + str(row) for n, row in refutation(gate, name)]
        yield f"  {name:{6 * units}}  {',  '.join(parts)}"


def _drawn(found: Mapping[str, Sequence[Circuit]], out: Path, each: bool) -> Iterator[str]:
    """Draws picture by picture; after the last of a gate it says what was written, in words."""
    for gate, circuits in found.items():
        if not circuits:
            continue
        picture = figure(1.25 * min(COLUMNS, len(circuits)), 1.4 * -(-len(circuits) // COLUMNS))
        plots.sheet(circuits, picture.add_subplot(), COLUMNS)
        path = out / f"{gate}.png"
        save(picture, path)
        yield str(path)
        for circuit in circuits if each else ():
            picture = figure(7.6, 3.8)
            plots.details(circuit, *picture.subplots(1, 2))
            save(picture, folder(str(out / gate)) / f"{circuit.name.replace(' ', '')}.png")
            yield f"{out / gate}, a picture of each circuit" if circuit is circuits[-1] else ""


def _units(count: int) -> str:
    return "one hidden ReLU unit" if count == 1 else f"{count} hidden ReLU units"


def _classes(circuits: Sequence[Circuit]) -> int:
    return len({circuit.symmetric for circuit in circuits})


def _fraction(margin: float) -> str:
    return str(Fraction(margin).limit_denominator(1000))
