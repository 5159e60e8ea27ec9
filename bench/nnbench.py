"""NNBench: one network on the bench, with an ideal to learn and a way back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bench.history import History
from minnet import Facts, Network
from minnet.checks import brief, generator, positive_int
from minnet.facts import Distribution, sample, standard_normal
from minnet.snapshots import Snapshot, unchanged_by_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.knobs_view import KnobsView
    from bench.potential import PotentialMap

Ideal = Callable[[Any], Any]
FilePath = str | PathLike[str]


def checkpoint_name(name: object) -> str:
    """`name`, if a checkpoint can bear it."""
    if not isinstance(name, str):
        raise TypeError(f"a checkpoint's name must be a string, not {brief(name)}")
    if not name.strip() or not name.isprintable():
        raise ValueError(f"a checkpoint's name must be printable and not empty, not {brief(name)}")
    return name


def identity(x: Any) -> Any:
    """The ideal that gives back its input.

    >>> identity([3, 5])
    [3, 5]
    """
    return x


class NNBench:
    """A network, what it should learn, the checkpoints to go back to, and what was done.

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
        self._history = History()
        self._history.notice(self)

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

    def checkpoint_net(self, name: str | None = None) -> None:
        """Remember the network as it is: structure, numbers, loss, optimizer; and the seed.

        Parameters
        ----------
        name : str, optional
            A name that was used before moves to the network as it is now, as does the
            checkpoint without a name.

        Raises
        ------
        TypeError, ValueError
            If the name is no printable string, or empty.

        Examples
        --------
        >>> from minnet import Affinity, ReLU
        >>> bench = NNBench(Network([Affinity(2, 2)]))
        >>> bench.checkpoint_net("before ReLU")
        >>> bench.net.extend(ReLU())
        >>> bench.rollback_net("before ReLU")
        >>> bench.net.names
        ('affinity0',)
        """
        self._history.checkpoint(self, name if name is None else checkpoint_name(name))

    def rollback_net(self, name: str | None = None) -> None:
        """Bring all of that back, in place, as often as you like.

        Parameters
        ----------
        name : str, optional
            Of the checkpoint; the latest one without a name by default. Later checkpoints
            stay: from any one every other can be reached.

        Raises
        ------
        UnknownName
            A KeyError, if there is no such checkpoint; it lists those there are.
        """
        self._history.rollback(self, name)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The names of the checkpoints, in the order in which they were taken."""
        return self._history.names()

    @property
    def history(self) -> History:
        """What was done, as a tree that prints: checkpoints, learning, and changes.

        What was changed on network or bench is noticed when it is next learned from,
        checkpointed, replayed or saved. A rollback starts a branch.
        """
        return self._history

    def replay(self, node: int | None = None, since: int | None = None) -> list[Any]:
        """Go to any node of the history, doing again, bit by bit, what led there.

        It begins at the last place before, as a checkpoint, where the network is kept.

        Parameters
        ----------
        node : int, optional
            Its number; the present one by default.
        since : int, optional
            An earlier node on the way there, from which on to return the losses, such as
            0; where it begins by default.

        Returns
        -------
        list of float, or of arrays (nets,) for a crowd
            The losses of all that was learned, as `learn` returned them.

        Raises
        ------
        TypeError, ValueError, IndexError
            If there is no such node, a change on the way is not held any more, or something
            does not come out as it did; the bench is then as it was.

        Examples
        --------
        >>> from minnet import Affinity
        >>> bench = NNBench(Network([Affinity(2, 2)]))
        >>> losses = bench.learn(5) + bench.learn(3)
        >>> bench.replay(since=0) == losses
        True
        """
        if node is not None:
            self._history.path(node)  # what is noticed now is no answer to a wrong number
        self._history.notice(self)
        return self._history.replay(self, self._history.present if node is None else node, since)

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
        self._history.notice(self)
        steps = self._net.steps(facts)
        if self._autosave is None:
            losses = self._losses(steps, len(facts))
            self._history.learned(self, losses)
            return losses
        from bench.bench_files import autosaved

        return autosaved(self, steps, len(facts))

    def _learn(self, n: int) -> list[Any]:
        """Learn, and record nothing."""
        facts = self.training_data_gen(n)
        return self._losses(self._net.steps(facts), len(facts))

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
            last = np.asarray(self._learn(n)[-1])
        finally:
            before.restore()
        with np.errstate(divide="ignore"):
            potential = -np.log(last)
        return potential if potential.ndim else potential.item()

    def learning_potential_map(self, alphas: Any = None, ns: Any = None) -> PotentialMap:
        """The learning potential for many alphas and numbers of facts; the bench stays as it is.

        All alphas are tried at once, by a crowd of copies of the network. Each entry is
        what `learning_potential` gives, to 1e-12 for a few facts; over many, learning that
        is near divergence multiplies the rounding in which a crowd can differ from a net.

        Parameters
        ----------
        alphas : sequence of float, optional
            By default 49 of them, evenly spaced on a log scale, from far below the best
            one to a little beyond where learning does harm.
        ns : sequence of int, optional
            By default 1, 2, 5, 10, ... 1000.

        Returns
        -------
        PotentialMap
            With alphas and ns in rising order, the potentials (alphas, ns), and the fact
            at which each alpha diverged.

        Raises
        ------
        TypeError, ValueError
            If an alpha or n is not positive, or the network is a crowd itself or has no
            parameters.
        """
        from bench.potential import learning_potential_map

        return learning_potential_map(self, alphas, ns)

    def suggest_alpha(self, n: int = 100) -> float:
        """The alpha with the best learning potential after n facts, at a safe distance
        from divergence; the bench stays as it is.

        Alphas from 1e-6 to 1000 are tried, then closer ones where that was best. As the
        last loss is small by luck now and then, they are judged by the mean loss over 100
        further facts. Of the alphas that are nearly as good as the best the middle one is
        taken, or, if that is less, half of the lowest one that does harm: that leaves the
        network worse than it is.

        Raises
        ------
        TypeError, ValueError
            As `learning_potential_map`; also if learning diverges at every alpha.

        Examples
        --------
        >>> from minnet import Affinity
        >>> bench = NNBench(Network([Affinity(2, 2, rng=0)]), lambda x: x[::-1])
        >>> bench.net.alpha = bench.suggest_alpha(200)
        >>> bench.learn(200)[-1] < 1e-20
        True
        """
        from bench.potential import suggest_alpha

        return suggest_alpha(self, n)

    def plot_learning_potential(
        self, ax: Axes | None = None, alphas: Any = None, ns: Any = None
    ) -> Axes:
        """Draw `learning_potential_map` with its best alpha; returns the axes."""
        import bench.plots as plots

        drawn = self.learning_potential_map(alphas, ns)
        ax = plots.axes(ax)
        plots.learning_potential(drawn, ax)
        return ax

    def plot_learning(
        self, n: int = 100, ax: Axes | None = None, low_pass: float | None = None, runs: int = 1
    ) -> Axes:
        """Learn n facts and plot their losses on a log scale; returns the axes.

        Parameters
        ----------
        n : int
            How many facts.
        ax : Axes, optional
        low_pass : float, optional
            Sigma in steps of a Gaussian filter; 3 shows the trend of single facts well.
        runs : int
            With more than one, a band of that many runs: from the network as it is, with
            the bench's seed and the ones after it. The bench learns the first of them.

        Raises
        ------
        TypeError, ValueError
            As `learn`; if `low_pass` is not positive, or runs are wanted of a generator.
        """
        import bench.plots as plots

        positive_int(n, "the number of facts")
        if low_pass is not None:
            plots.checked_sigma(low_pass)
        curves = self._runs(n, positive_int(runs, "the number of runs"))
        ax = plots.axes(ax)
        if runs == 1:
            plots.learning(curves[0], ax, low_pass)
        else:
            plots.runs(curves, ax, low_pass)
        return ax

    def animate_learning(self, n: int, path: FilePath) -> list[Any]:
        """Learn n facts, and draw it as an animated GIF: region, numbers and losses.

        Parameters
        ----------
        n : int
            How many facts; more of the first are shown.
        path : str or Path
            Of the GIF.

        Returns
        -------
        list of n float
            As `learn`.

        Raises
        ------
        TypeError, ValueError, OSError
            As `learn`; for a crowd; or if the file cannot be written. The bench is then as
            it was.
        """
        import bench.animations as animations

        if self._net.nets is not None:
            raise ValueError("an animation is of one network, but a crowd is on the bench")
        facts = self.training_data_gen(n)
        wanted = set(animations.moments(len(facts)))
        self._history.notice(self)
        with unchanged_by_errors(self._net), self._history.unchanged_by_errors():
            frames, losses = [(0, self._net.copy())], []
            for step, loss in enumerate(self._net.steps(facts), 1):
                losses.append(loss)
                if step in wanted:
                    frames.append((step, self._net.copy()))
            losses += [losses[-1]] * (len(facts) - len(losses))
            self._history.learned(self, losses)
            animations.learning(frames, losses, facts, Path(path))
        return losses

    def _runs(self, n: int, runs: int) -> list[list[Any]]:
        """Losses of learning n facts with this seed, which stays learned, and the next ones."""
        seed = self._seed
        others: list[list[Any]] = []
        if runs > 1:
            if self._net.nets is not None:
                raise ValueError("bands are of runs of one network, but a crowd is on the bench")
            if isinstance(seed, np.random.Generator):
                raise TypeError("several runs need an integer seed: a Generator has no next one")
            before = Snapshot(self._net)
            for i in range(1, runs):
                try:
                    self._seed = seed + i
                    others.append(self._learn(n))
                finally:
                    self._seed = seed
                    before.restore()
        return [self.learn(n), *others]

    def save(self, path: FilePath) -> None:
        """Save the bench, durably: network, checkpoints, history, seed, the ideal's name.

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

    def knobs_plot_learning(self, n: int = 100, block: bool | None = None) -> KnobsView:
        """Open the network with knobs, in a window or notebook; every move learns n facts again.

        `block` says whether to wait until it is closed; by default as pyplot's ``show``.
        """
        from bench.knobs import Knobs
        from bench.knobs_view import show

        return show(Knobs(self, n), block)

    def __repr__(self) -> str:
        ideal = getattr(self.ideal, "__name__", repr(self.ideal))
        return f"NNBench(ideal={ideal}, seed={self._seed})\n{self._net!r}"
