"""What a chain of layers needs in order to learn, beside the mathematics.

Its loss and optimizer, what the optimizer remembers, and which step was the last one
that could be taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Self

import numpy as np

from minnet.checks import Array, floating, is_finite, one_of, positive_int
from minnet.equation import latex
from minnet.layers import Layer
from minnet.losses import Loss
from minnet.optimizers import Optimizer, State
from minnet.structure import Chain, containers
from minnet.unroll.engines import ENGINES, Engine, engine_of
from minnet.unroll.text import unrolled


class Learner(Chain):
    """A chain with a loss and an optimizer; Network adds how it learns."""

    _engine: str = "auto"
    _threads: int = 1
    _runners: dict[Any, Any]  # by the shapes of a fact: what runs it
    _memory: Any = None  # the optimizer's State, None before its first step
    _diverged: Any = (
        None  # () or (nets,): the number of the step, -1 for none; None before learning
    )

    def __init__(
        self,
        layers: Iterable[Layer],
        loss: Loss,
        optimizer: Optimizer,
        dtype: Any,
        name: str | None,
    ) -> None:
        self._runners = {}
        self.loss, self.optimizer = loss, optimizer
        super().__init__(layers, dtype, name)

    @property
    def loss(self) -> Loss:
        """How far an output is from what was expected; assign another at any time."""
        return self._loss

    @loss.setter
    def loss(self, loss: Loss) -> None:
        if not isinstance(loss, Loss):
            raise TypeError(f"loss must be a Loss such as SquaredError(), not {loss!r}")
        self._loss, self._runners = loss, {}

    @property
    def optimizer(self) -> Optimizer:
        """How a gradient becomes a step; assigning another one makes it start afresh."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer such as SGD(0.1), not {optimizer!r}")
        self._optimizer, self._memory, self._runners = optimizer, None, {}

    @property
    def alpha(self) -> Any:
        """The optimizer's learning rate, or for a crowd an array (nets,) of them.

        Assigning it keeps what the optimizer remembers.
        """
        alpha = self._optimizer._alpha
        return alpha[:, 0].copy() if isinstance(alpha, np.ndarray) else alpha

    @alpha.setter
    def alpha(self, alpha: Any) -> None:
        if self.nets is not None and np.shape(alpha) == (self.nets,):
            alpha = floating(alpha, "alpha", self.dtype)[:, None].copy()
        optimizer = self._optimizer.with_alpha(alpha)
        if np.ndim(optimizer._alpha) != np.ndim(self._optimizer._alpha):
            self._runners = {}
        self._optimizer = optimizer

    @property
    def diverged(self) -> Any:
        """The step (from 0) at which learning last stopped, for want of a finite number.

        That is the number of the fact, in the first epoch. None if it did not stop;
        for a crowd (nets,), -1 for nets that did not.
        """
        if self._diverged is None:
            return None
        if self._diverged.ndim:
            return self._diverged.copy()
        return None if self._diverged < 0 else int(self._diverged)

    def _start_learning(self) -> None:
        self._diverged = None
        self._get_ready()

    def _get_ready(self) -> None:
        """Have what a step writes, whatever was changed since the last one."""
        if self._diverged is None:
            self._diverged = np.full(self._rows().shape[:-1], -1)
        if self._memory is None:
            self._memory = self.optimizer.start(self._flat)

    def _flatten(self, gradients: Mapping[str, Array]) -> Array:
        """The gradients in the order of the flat array."""
        lead = self._flat.shape[:-1]
        rows = [np.empty((*lead, 0), self.dtype)]  # for a network without parameters
        for key, shape in self.shapes.items():
            gradient = gradients.get(key)
            if gradient is None or gradient.shape != lead + shape:
                came = "none" if gradient is None else f"shape {gradient.shape}"
                raise ValueError(
                    f"backprop must give {key} a gradient of shape {lead + shape}, but gave {came}"
                )
            rows.append(gradient.reshape(*lead, -1))
        return np.concatenate(rows, axis=-1)

    def _take_step(self, number: int, loss: Array, p: Array, memory: State) -> Any:
        """Make the step where it is finite; the loss, inf where it was not made."""
        taken = (self._diverged < 0) & np.isfinite(loss)
        for array in (p, *memory.values()):
            taken = taken & is_finite(array)
        where = True if taken.all() else taken[..., None]  # without a mask it is faster
        np.copyto(self._flat, p, where=where)
        for key, array in memory.items():
            np.copyto(self._memory[key], array, where=where)
        self._diverged[(self._diverged < 0) & ~taken] = number
        losses = np.where(taken, loss, np.inf)
        return losses if losses.ndim else losses.item()

    def _all_diverged(self) -> bool:
        return self._diverged is not None and bool((self._diverged >= 0).all())

    def _program_key(self) -> tuple[Any, ...]:
        """What its written-out programs depend on beside the layers: all but the rate."""
        settings = {k: v for k, v in vars(self._optimizer).items() if k != "_alpha"}
        rate = np.ndim(self._optimizer._alpha)
        return self._engine, id(self._loss), type(self._optimizer), settings, rate

    def _forget(self) -> None:
        self._memory, self._diverged, self._runners = None, None, {}
        super()._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_runners": {}}

    def member(self, i: int) -> Self:
        twin = super().member(i)
        twin._forget()
        twin._remember_as(self, i)
        if np.ndim(self.alpha):
            twin.alpha = float(self.alpha[i])
        return twin

    def _remember_as(self, crowd: Learner, i: int) -> None:
        for mine, theirs in zip(containers(self), containers(crowd), strict=True):
            memory = getattr(theirs, "_memory", None)
            if isinstance(mine, Learner) and memory is not None:
                mine._memory = {key: array[i].copy() for key, array in memory.items()}

    @property
    def engine(self) -> Engine:
        """What runs a step on one fact, and why: "floats", "arrays", "numba" or "layers".

        Assign one of them, or "auto" to let the network's size decide. Where the one
        asked for cannot run the network, the layers do, and ``.why`` says so.
        """
        return engine_of(self)  # type: ignore[arg-type]  # every Learner is a Network

    @engine.setter
    def engine(self, engine: str) -> None:
        self._engine = one_of(engine, ENGINES, "engine")
        self._runners = {}

    @property
    def threads(self) -> int:
        """How many threads may run the chunks of a crowd; the results are the same."""
        return self._threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._threads = positive_int(threads, "threads")

    def save(self, path: str | PathLike[str]) -> None:
        """Save the network, durably, in a file that cannot run code; `minnet.load` reads it.

        Learning on after loading is bit-identical to never having stopped. A path that ends
        in ".json" gives JSON to read and edit.

        Raises
        ------
        FileError
            If it cannot be written, or something in the network is not registered; a file
            that was there is then as it was.
        """
        from minnet.files import save

        save(self, path)  # type: ignore[arg-type]  # every Learner is a Network

    def unrolled(
        self,
        fact: Any = None,
        *,
        forward_only: bool = False,
        numbers: bool = False,
        latex: bool = False,
    ) -> str:
        """The learning step written out: Python's own arithmetic, a line per sum of products.

        It is found by running the layers' own code on symbols, so it is what they compute.

        Parameters
        ----------
        fact : pair (x, expected), optional
            A fact or batch whose numbers are written in; without it, names for one fact.
        forward_only : bool
            Whether to stop at the outputs.
        numbers : bool
            Whether to write the parameters' numbers in place of their names.
        latex : bool
            Whether to write LaTeX in place of Python.

        Raises
        ------
        ValueError
            If a layer cannot be written out (it says which and why), or there is too much.

        Examples
        --------
        >>> from minnet import Affinity, Network
        >>> print(Network([Affinity(2, 1, name="fc1")]).unrolled(forward_only=True))
        # forward
        fc1_0 = x_0 * fc1_M_0_0 + x_1 * fc1_M_0_1 + fc1_b_0
        <BLANKLINE>
        """
        return unrolled(self, fact, forward_only, numbers, latex)  # type: ignore[arg-type]

    def latex(self, digits: int = 4) -> str:
        """The equation of the network with its numbers, as LaTeX."""
        return latex(self, digits)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __repr__(self) -> str:
        return f"{super().__repr__()}\nlearns by {self.loss!r} and {self.optimizer!r}"
