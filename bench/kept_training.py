"""The training of `xor` in a file, from which it goes on to the same bits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from bench.arguments import Refusal
from minnet import Network

EVERY = 1000  # steps between two saves
OPTIONS = ("gate", "hidden", "activation", "init", "alpha", "steps", "seed", "restarts")


class Kept:
    """A file with a network in training, its start, its losses and the generator."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._path = Path(arguments.resume)
        self._options = {name: getattr(arguments, name) for name in OPTIONS}
        self._start = 0
        self._losses: list[float] = []

    def begun(self, net: Network, rng: np.random.Generator) -> tuple[int, list[float]] | None:
        """Bring the network and the generator to where the file is; None if there is none.

        Raises
        ------
        Refusal
            If the file is damaged, or of a training with other options.
        """
        from minnet.files import load_with_notes

        if not self._path.exists():
            return None
        saved, notes = load_with_notes(self._path)
        if not isinstance(notes, dict) or notes.get("options") != self._options:
            raise Refusal(f"{self._path} is no training with these options")
        for name, array in saved.parameters.items():
            net.parameters[name][...] = array
        rng.bit_generator.state = _with_integers(notes["generator"])
        self._start, self._losses = notes["start"], [float(loss) for loss in notes["losses"]]
        return self._start, list(self._losses)

    def watch(
        self, net: Network, rng: np.random.Generator, start: int, step: int, loss: float
    ) -> None:
        """Note a step, and save now and then."""
        if start != self._start:
            self._start, self._losses = start, []
        self._losses.append(loss)
        if len(self._losses) % EVERY == 0:
            self.save(net, rng)

    def save(self, net: Network, rng: np.random.Generator) -> None:
        """Put all of it into the file, durably."""
        from minnet.files import save

        notes = {
            "options": self._options,
            "start": self._start,
            "losses": np.array(self._losses),
            "generator": _with_strings(rng.bit_generator.state),
        }
        save(net, self._path, notes)


def _with_strings(state: Any) -> Any:
    """A generator's state with its integers, which are long, as strings."""
    if isinstance(state, dict):
        return {key: _with_strings(value) for key, value in state.items()}
    return f"int {state}" if isinstance(state, int) else state


def _with_integers(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _with_integers(value) for key, value in state.items()}
    is_integer = isinstance(state, str) and state.startswith("int ")
    return int(state.removeprefix("int ")) if is_integer else state
