"""The command line: `python -m bench`, or `nnbench` where minnet is installed.

A command is a module with a SUMMARY, its options and what it does; to add one, list it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench import anatomy, catalogue, census, check, knobs_command, regions, trace, unroll, xor
from bench.arguments import Parser, Refusal


class Command(Protocol):
    """What the module of a command has."""

    SUMMARY: str

    def add_arguments(self, parser: Parser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


COMMANDS: dict[str, Command] = {
    "xor": xor,
    "trace": trace,
    "check": check,
    "unroll": unroll,
    "regions": regions,
    "anatomy": anatomy,
    "catalogue": catalogue,
    "census": census,
    "knobs": knobs_command,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 2 for what cannot be used, 130 after Ctrl-C."""
    program = "nnbench" if Path(sys.argv[0]).stem == "nnbench" else "python -m bench"
    problem = ""
    try:
        status = _run(_parser(program), argv)
        _flush()
    except SystemExit as shown:  # the help was asked for
        status = int(shown.code or 0)
    except KeyboardInterrupt:
        problem, status = "interrupted", 130
    except BrokenPipeError:  # as when `head` has seen enough
        status = 141
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        problem, status = f"{name} is missing; pip install 'minnet[bench]' brings it", 2
    except (Refusal, OSError, UnicodeEncodeError) as error:
        problem, status = str(error), 2
    if problem:
        print(f"{program}: {' '.join(problem.split())}", file=sys.stderr)
    try:
        _flush()
    except OSError:  # what cannot be written must not be tried again, aloud, at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _parser(program: str) -> Parser:
    parser = Parser(prog=program, description="The workbench for minnet's small networks.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        command.add_arguments(options)
        options.set_defaults(run=command.run)
    return parser


def _run(parser: Parser, argv: Sequence[str] | None) -> int:
    arguments = parser.parse_args(argv)
    if "run" not in arguments:
        parser.print_help(sys.stderr)
        return 2
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
