"""`check`: is the backprop of a layer of your own the derivative of its forward?"""

from __future__ import annotations

import argparse

from bench.arguments import Parser, Refusal, integer, vector
from bench.objects import load_object
from minnet import Layer, Loss
from minnet.gradients import check_gradients

SUMMARY = "test a layer, network or loss of yours: is its backprop the derivative of its forward?"


def add_arguments(parser: Parser) -> None:
    """The options of `check`."""
    parser.epilog = (
        "The exit status is 0 where everything was tested and is right, 1 where something is "
        "wrong or could not be tested, and 2 where an option cannot be used."
    )
    add = parser.add_argument
    add("object", metavar="FILE-OR-MODULE:OBJECT",
        help="what to check, as in layers.py:layer")  # fmt: skip
    add("--input", type=vector, metavar="X",
        help="where to look, as in 1,0 (default: at random inputs of three scales)")  # fmt: skip
    add("--seed", type=integer(0), default=0, metavar="N",
        help="which random inputs and upstream gradients (default: 0)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Check, and print the report; the exit status."""
    found: Layer | Loss = load_object(arguments.object, (Layer, Loss))
    try:
        report = check_gradients(found, arguments.input, rng=arguments.seed)
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from None
    print(report)
    return 0 if report.ok else 1
