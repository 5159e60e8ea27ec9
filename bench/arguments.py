"""What the command line accepts: its parser, kinds of values, and the refusal in one line."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from minnet.checks import brief, number


class Refusal(Exception):
    """What the user gave cannot be used; the message says so, and the exit status is 2."""


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line and takes no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        if message.endswith("expected one argument"):
            option = message.split()[1].rstrip(":")
            message += f" (a value that begins with - is written {option}=-1)"
        raise Refusal(message)


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """A kind of value: an integer from `least` to `most`.

    >>> integer(1)("3")
    3
    """
    asked = f"from {least}" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"must be an integer {asked}, not {brief(text)}")
        return value

    return parse


def positive(text: str) -> float:
    """A kind of value: a finite number above 0.

    >>> positive("0.5")
    0.5
    """
    try:
        return number(float(text), "it", above=0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {brief(text)}") from None


def vector(text: str) -> list[float]:
    """A kind of value: finite numbers with commas between them.

    >>> vector("1,0.5")
    [1.0, 0.5]
    """
    try:
        return [number(float(part), "it") for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them, as in 1,0; not {brief(text)}"
        ) from None


def folder(text: str) -> Path:
    """A folder to write to, made where it is missing.

    Raises
    ------
    Refusal
        If it cannot be made or written to.
    """
    if not text:
        raise Refusal("the folder to write to has an empty name")
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refusal(f"{brief(text)} is no folder to write to: {reason}") from None
