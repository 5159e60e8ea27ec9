"""NNBench: one network on the bench, with an ideal to learn and a way back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minnet import Facts, Network
from minnet.checks import brief, generator, positive_int
from minnet.facts import Distribution, sample, standard_normal
from minnet.snapshots import Snapshot, unchanged_by_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ideal = Callable[[Any], Any]
FilePath = str | PathLike[str]


def identity(x: Any) -> Any:
    """The ideal that gives back its input.

    >>> identity([3, 5])
    [3, 5]
    """
    return x


class NNBench:
    """A network, what it should learn, and the checkpoint to go back to.

    The network stays the user's own object, and so do its layers: learning and rolling
    back change their numbers and structure in place. A checkpoint is taken when the
    bench is made.

    Parameters
    ----------
    net : Network
    ideal : callable
        From an input (n,) to the expected output, a sequence of numbers.
    seed : int or numpy.random.Generator
        What the training data are drawn with; a generator is copied at each use, so
        that the same one gives the same data.

    Attributes
    ----------
    ideal, seed
        As given; assign others at any time.

    Raises
    ------
    TypeError
        If the net is no Network, or the ideal cannot be called.

    Examples
    --------
    >>> from minnet import Affinity
    >>> bench = NNBench(Network([Affinity(2, 2)]), ideal=lambda x: x[::-1])
    >>> first = bench.learn(100)
    >>> bench.rollback_net()
    >>> bench.learn(100) == first
    True
    """

    def __init__(
        self, net: Network, ideal: Ideal = identity, seed: int | np.random.Generator = 3
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net must be a Network, not {brief(net)}")
        if not callable(ideal):
            raise TypeError(f"ideal must be a function, not {brief(ideal)}")
        self._net = net
        self._autosave: tuple[Any, int] | None = None  # the path, and after how many facts
        self.ideal = ideal
        self.seed = seed
        self.checkpoint_net()

    @property
    def net(self) -> Network:
        """The network on the bench: the object that was put there."""
        return self._net

    @property
    def seed(self) -> int | np.random.Generator:
        """What the training data are drawn with."""
        return self._seed

    @seed.setter
    def seed(self, seed: int | np.random.Generator) -> None:
        if seed is None:
            raise TypeError("seed must be an integer or a Generator: None never repeats its data")
        generator(seed)
        self._seed = seed

    def checkpoint_net(self) -> None:
        """Remember the network as it is: structure, numbers, loss, optimizer; and the seed."""
        self._checkpoint = Snapshot(self._net), self._seed, copy.deepcopy(self._seed)

    def rollback_net(self) -> None:
        """Bring all of that back, in place, as often as you like."""
        snapshot, seed, as_it_was = self._checkpoint
        snapshot.restore()
        if isinstance(seed, np.random.Generator):
            seed.bit_generator.state = as_it_was.bit_generator.state  # type: ignore[union-attr]
        self._seed = seed

    def training_data_gen(self, n: int, distribution: Distribution = standard_normal) -> Facts:
        """n facts of the ideal, the same for one seed at each call.

        Parameters
        ----------
        n : int
            How many; fewer facts are the first of more.
        distribution : callable
            ``distribution(rng, (n, width))`` gives the inputs; standard normal by default.

        Raises
        ------
        TypeError, ValueError
            If n is no positive integer, the network takes any number of inputs, or the
            ideal returns no expected output.
        """
        width = self._net.n
        if width is None:
            raise ValueError("the network takes any number of inputs; begin it with an Affinity")
        return sample(self.ideal, n, width, copy.deepcopy(self._seed), distribution)

    def learn(self, n: int = 100) -> list[Any]:
        """Learn n facts of the ideal, one step each.

        Returns
        -------
        list of n float
            The loss of each step, before it; inf from a divergence on. For a crowd, a
            list of arrays (nets,).

        Raises
        ------
        TypeError, ValueError
            As `training_data_gen`; the network is then as it was.
        """
        facts = self.training_data_gen(n)
        steps = self._net.steps(facts)
        if self._autosave is not None:
            from bench.bench_files import autosaved

            steps = autosaved(self, steps, len(facts))
        return self._losses(steps, len(facts))

    def _losses(self, steps: Iterator[Any], n: int) -> list[Any]:
        with unchanged_by_errors(self._net):
            losses = list(steps)
        return losses + [losses[-1]] * (n - len(losses))

    def learning_potential(self, n: int = 100, alpha: float | None = None) -> Any:
        """-log of the last loss that learning n facts would reach; the bench stays as it is.

        Parameters
        ----------
        n : int
            How many facts.
        alpha : float, optional
            The learning rate to try; the network's own by default.

        Returns
        -------
        float, or ndarray of shape (nets,) for a crowd
            inf if the last loss is 0; -inf if learning diverges.
        """
        before = Snapshot(self._net)
        try:
            if alpha is not None:
                self._net.alpha = alpha
            facts = self.training_data_gen(n)
            last = np.asarray(self._losses(self._net.steps(facts), len(facts))[-1])
        finally:
            before.restore()
        with np.errstate(divide="ignore"):
            potential = -np.log(last)
        return potential if potential.ndim else potential.item()

    def plot_learning(self, n: int = 100, ax: Axes | None = None) -> Axes:
        """Learn n facts and plot their losses on a log scale; returns the axes."""
        import bench.plots as plots

        positive_int(n, "the number of facts")
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure().add_subplot()
        plots.learning(self.learn(n), ax)
        return ax

    def save(self, path: FilePath) -> None:
        """Save the bench, durably: network, checkpoint, seed and the ideal's registered name.

        Raises
        ------
        FileError
            As `Network.save`.
        """
        from bench.bench_files import save

        save(self, path)

    @classmethod
    def load(cls, path: FilePath, ideal: Ideal | None = None) -> Self:
        """The bench of a file; `ideal` where its own was not registered.

        Raises
        ------
        FileError
            And nothing else, if the file is damaged, hostile, or names what is not registered.
        """
        from bench.bench_files import load

        return load(cls, path, ideal)

    def autosave(self, path: FilePath | None, every: int = 10_000) -> None:
        """From now on save the bench while it learns, every so many facts; with None no longer.

        Raises
        ------
        TypeError, ValueError
            If `every` is no positive integer, or the bench cannot be saved.
        """
        from bench.bench_files import autosave

        autosave(self, path, every)

    @classmethod
    def resume(cls, path: FilePath, ideal: Ideal | None = None) -> tuple[Self, list[Any]]:
        """The bench of a file saved while it learned, having learned the rest; all losses.

        Raises
        ------
        FileError
            As `load`; also if nothing was going on.
        """
        from bench.bench_files import resume

        return resume(cls, path, ideal)

    def __repr__(self) -> str:
        ideal = getattr(self.ideal, "__name__", repr(self.ideal))
        return f"NNBench(ideal={ideal}, seed={self._seed})\n{self._net!r}"
