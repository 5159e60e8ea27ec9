"""`trace`: one fact forward and back through a network, with every number."""

from __future__ import annotations

import argparse

import numpy as np

from bench.arguments import Parser, Refusal, vector
from bench.objects import load_object
from minnet import Network
from minnet.facts import gate
from minnet.study.anatomy import trace
from minnet.study.gates import trained_xor

SUMMARY = "follow one fact forward and back through a network, with every number"


def add_arguments(parser: Parser) -> None:
    """The options of `trace`."""
    add = parser.add_argument
    add("--input", type=vector, required=True, metavar="X",
        help="the fact's input, as 1,0 (--input=-1,0 where it begins with a minus)")  # fmt: skip
    add("--expected", type=vector, metavar="T",
        help="what is expected, as 1; without it only the way forward is followed "
             "(default for the network xor: what xor answers to 0s and 1s)")  # fmt: skip
    add("--net", default="xor", metavar="NETWORK",
        help="xor, a trained 2-2-1 network; or your own, path/to/file.py:name or "
             "package.module:name, a Network or a function that gives one "
             "(default: xor)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the trace; the exit status."""
    x, expected = arguments.input, arguments.expected
    if arguments.net == "xor":
        net, table = trained_xor(), gate("xor")
        if expected is None and x in table.X.tolist():
            expected = table.T[table.X.tolist().index(x)]
    else:
        net = load_object(arguments.net, Network)
    try:
        with np.errstate(all="ignore"):
            text = str(trace(net, x, expected))
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from None
    except Exception as error:  # a layer of the user's own can raise anything
        raise Refusal(f"{arguments.net} raised {type(error).__name__}: {error}") from None
    print(text)
    return 0
