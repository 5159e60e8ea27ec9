"""`unroll`: a network's learning step written out, a line for each sum of products."""

from __future__ import annotations

import argparse

from bench.arguments import Parser, Refusal, vector
from bench.objects import load_object
from minnet import Network
from minnet.study.gates import trained_xor

SUMMARY = "write out a network's learning step, a line for each sum of products"


def add_arguments(parser: Parser) -> None:
    """The options of `unroll`."""
    add = parser.add_argument
    add("--net", default="xor", metavar="NETWORK",
        help="xor, a trained 2-2-1 network; or your own, path/to/file.py:name or "
             "package.module:name, a Network or a function that gives one "
             "(default: xor)")  # fmt: skip
    add("--forward", action="store_true", help="stop at the outputs")
    add("--numbers", action="store_true", help="write the weights' numbers, not their names")
    add("--input", type=vector, metavar="X",
        help="write this fact's numbers in too, as 1,0 (with --expected)")  # fmt: skip
    add("--expected", type=vector, metavar="T", help="what is expected of that fact, as 1")
    add("--latex", action="store_true", help="write LaTeX, not Python")


def run(arguments: argparse.Namespace) -> int:
    """Print the program; the exit status."""
    if (arguments.input is None) != (arguments.expected is None):
        raise Refusal("--input and --expected go together")
    fact = None if arguments.input is None else (arguments.input, arguments.expected)
    net = trained_xor() if arguments.net == "xor" else load_object(arguments.net, Network)
    try:
        text = net.unrolled(
            fact,
            forward_only=arguments.forward,
            numbers=arguments.numbers,
            latex=arguments.latex,
        )
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from None
    print(text.rstrip())
    return 0
