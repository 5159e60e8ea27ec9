"""`xor`: train a small network on a logical gate, report what it learned, and picture it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import bench.plots as plots
from bench.arguments import Parser, Refusal, folder, integer, positive
from bench.kept_training import Kept
from bench.progress import progress
from minnet import SGD, Affinity, BinaryCrossEntropy, Facts, LeakyReLU, Network, ReLU, Sigmoid, Tanh
from minnet.facts import GATES, gate
from minnet.initializers import INITIALIZERS
from minnet.layers import Activation
from minnet.study.formulas import formulas
from minnet.study.restarts import Training, margins, right, train_until

SUMMARY = "train a small network on a logical gate: losses, answers, weights and pictures"

ACTIVATIONS: dict[str, type[Activation]] = {
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
}
# Of 1,000 starts with 2 sigmoid units, 866 learn xor in 1,000 steps at 1, and 70 at 0.1, which is
# slow for them; with 2 ReLU units it is 250 at 0.1, and 17 at 1, where most units soon die.
ALPHAS = {"sigmoid": 1.0, "tanh": 0.1, "relu": 0.1, "leaky_relu": 0.1}
MOST_HIDDEN, MOST_STEPS, MOST_RESTARTS = 1000, 1_000_000, 1000
MARGIN = 0.1  # the least distance from 1/2 of an answer that counts as right
FRAMES = 60  # of the animation
STARTS = 200  # that the success rate is measured on


def add_arguments(parser: Parser) -> None:
    """The options of `xor`."""
    parser.epilog = (
        f"Learned means that every answer is on the right side of 1/2, at least {MARGIN:g} away "
        "from it. The exit status is 0 where the network has learned the gate, 1 where it has not, "
        "and 2 where an option cannot be used."
    )
    add = parser.add_argument
    add("--gate", choices=GATES, default="xor", metavar="NAME",
        help=f"what to learn: {', '.join(GATES)} (default: xor)")  # fmt: skip
    add("--hidden", type=integer(1, MOST_HIDDEN), default=2, metavar="N",
        help="how many hidden units (default: 2)")  # fmt: skip
    add("--activation", choices=ACTIVATIONS, default="sigmoid", metavar="NAME",
        help=f"what the hidden units are: {', '.join(ACTIVATIONS)} (default: sigmoid)")  # fmt: skip
    add("--init", choices=INITIALIZERS, default="uniform", metavar="NAME",
        help=f"how the weights start: {', '.join(INITIALIZERS)} "
             "(default: uniform, as torch.nn.Linear)")  # fmt: skip
    add("--alpha", type=positive, metavar="RATE",
        help="the learning rate (default: 1 for sigmoid units, 0.1 for the others)")  # fmt: skip
    add("--steps", type=integer(1, MOST_STEPS), default=1000, metavar="N",
        help="how many steps, each on all four facts at once (default: 1000)")  # fmt: skip
    add("--seed", type=integer(0), default=0, metavar="N",
        help="which random start; the same seed gives the same bits (default: 0)")  # fmt: skip
    add("--restarts", type=integer(0, MOST_RESTARTS), default=0, metavar="N",
        help="start afresh up to N times until the gate is learned (default: 0)")  # fmt: skip
    add("--out", default="out", metavar="DIR",
        help="the folder for the pictures, made where it is missing (default: out)")  # fmt: skip
    add("--resume", metavar="FILE",
        help="keep the training in this file, and go on from it if it is there: broken off "
             "and resumed it comes to the same bits; not with --gif (default: none)")  # fmt: skip
    add("--gif", action="store_true",
        help="write boundary.gif too, the decision region as it changes")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train, report, draw, and say how often such a start succeeds; the exit status."""
    if arguments.resume is not None and arguments.gif:
        raise Refusal("--resume and --gif do not go together: the first frames would be lost")
    out = folder(arguments.out)
    plots.figure()  # if Matplotlib is missing, that is said before the training
    if arguments.alpha is None:
        arguments.alpha = ALPHAS[arguments.activation]
    facts, net = gate(arguments.gate), network(arguments)
    rng = np.random.default_rng(arguments.seed)
    print(
        f"A 2-{arguments.hidden}-1 network of {arguments.activation} units learns "
        f"{arguments.gate}: gradient descent on\nbinary cross-entropy, all four facts at each "
        f"step, alpha {arguments.alpha:g}, {arguments.init} start, seed {arguments.seed}."
    )
    training, frames = _train(net, facts, arguments, rng)
    if arguments.restarts:
        print(f"Shown is start {training.starts} of at most {arguments.restarts + 1}.")
    for lines in (_losses(training.losses), _answers(net, facts), _numbers(net)):
        print("", *lines, sep="\n")
    files = _draw(net, facts, training.losses, out)
    if arguments.gif:
        files.append(out / "boundary.gif")
        plots.animation(frames, facts, files[-1])
    print(f"\nWritten: {', '.join(map(str, files))}", flush=True)
    print(_success_rate(net, facts, arguments, rng))
    if not training.reached:
        print(_advice(arguments))
    return 0 if training.reached else 1


def network(arguments: argparse.Namespace) -> Network:
    """The network that the options describe."""
    initializer, activation = INITIALIZERS[arguments.init], ACTIVATIONS[arguments.activation]
    layers = [
        Affinity(2, arguments.hidden, "fc1", initializer=initializer),
        activation(name=arguments.activation),
        Affinity(arguments.hidden, 1, "fc2", initializer=initializer),
        Sigmoid("output"),
    ]
    return Network(layers, loss=BinaryCrossEntropy(), optimizer=SGD(arguments.alpha))


def _train(
    net: Network, facts: Facts, arguments: argparse.Namespace, rng: np.random.Generator
) -> tuple[Training, list[tuple[Network, str]]]:
    """Train it; with --gif, keep the network as it was on the way, with a title for each."""
    steps, starts = arguments.steps, arguments.restarts + 1
    more_of_the_first = np.linspace(0, 1, FRAMES) ** 2 * (steps - 1)
    kept = set(more_of_the_first.round().astype(int).tolist()) if arguments.gif else set()
    frames: list[tuple[Network, str]] = []
    kept_training = Kept(arguments) if arguments.resume is not None else None
    begun = kept_training.begun(net, rng) if kept_training else None
    with progress("training", steps) as done:

        def watch(start: int, step: int, loss: float) -> None:
            done(step)
            if kept_training:
                kept_training.watch(net, rng, start, step, loss)
            if step == 0:
                frames.clear()
            if step in kept:
                frames.append((net.copy(), f"{arguments.gate}, step {step}: loss {loss:.3f}"))

        training = train_until(
            net, facts, epochs=steps, starts=starts, margin=MARGIN, rng=rng, watch=watch,
            begun=begun,
        )  # fmt: skip
        if kept_training:
            kept_training.save(net, rng)
    return training, frames


def _losses(losses: list[float]) -> Iterator[str]:
    """About ten of them, the first and the last included."""
    yield "  step  loss before it"
    last = len(losses) - 1
    for step in (*range(0, last, last // 10 + 1), last):
        yield f"{step:6}  {losses[step]:.6g}"
    if not np.isfinite(losses[-1]):
        yield "Diverged: the last step led to numbers that are not finite, and was not taken."


def _answers(net: Network, facts: Facts) -> Iterator[str]:
    """The truth table, and whether that is learned."""
    with np.errstate(all="ignore"):  # numbers left by a divergence may overflow
        answers = net(facts.X)
    distances = margins(answers, facts.T)
    yield "x[0]  x[1]  expected  answer"
    for x, t, y, distance in zip(facts.X, facts.T, answers, distances, strict=True):
        verdict = "right" if distance > MARGIN else "too near 1/2" if distance > 0 else "wrong"
        yield f"{x[0]:4g}  {x[1]:4g}  {t[0]:8g}  {y[0]:6.4f}  {verdict}"
    wrong, least = int((~(distances > 0)).sum()), distances.min()
    if wrong:
        yield f"Not learned: {wrong} of 4 answers not on the right side of 1/2."
    elif least > MARGIN:
        yield f"Learned: every answer is right, and at least {least:.4f} away from 1/2."
    else:
        yield (
            f"Not learned yet: every answer is on the right side of 1/2, but one only {least:.4f} "
            f"away from it, where {MARGIN:g} is asked."
        )


def _numbers(net: Network) -> Iterator[str]:
    for name, array in net.parameters.items():
        yield f"{name} = {np.array2string(array, precision=4, prefix=f'{name} = ')}"
    yield f"\nUnit by unit:\n{formulas(net)}"
    yield f"\nIn LaTeX, by net.latex():\n{net.latex()}"


def _draw(net: Network, facts: Facts, losses: list[float], out: Path) -> list[Path]:
    curve, region, relief = plots.figure(), plots.figure(), plots.figure()
    plots.learning(losses, curve.add_subplot())
    plots.boundary(net, facts, region.add_subplot())
    plots.surface(net, facts, relief.add_subplot(projection="3d"))
    pictures = {"learning.png": curve, "boundary.png": region, "surface.png": relief}
    for name, picture in pictures.items():
        plots.save(picture, out / name)
    return [out / name for name in pictures]


def _success_rate(
    net: Network, facts: Facts, arguments: argparse.Namespace, rng: np.random.Generator
) -> str:
    starts = max(20, min(STARTS, 4000 // arguments.hidden))  # fewer where each takes longer
    crowd = net.replicate(starts, rng)
    with progress(f"{starts} other starts", arguments.steps) as done:
        for step, _ in enumerate(crowd.steps(facts.batches(len(facts)), arguments.steps)):
            done(step)
    learned = int(right(crowd, facts, margin=MARGIN).all(axis=-1).sum())
    return f"Of {starts} other random starts with these settings, {learned} learn {arguments.gate}."


def _advice(arguments: argparse.Namespace) -> str:
    restarts = min(2 * arguments.restarts + 10, MOST_RESTARTS)
    return (
        "What to try:\n"
        f"  another start      --seed {arguments.seed + 1}, or "
        f"--restarts {restarts} to start afresh until it is learned\n"
        f"  more hidden units  --hidden {min(2 * arguments.hidden, MOST_HIDDEN)}\n"
        f"  more steps         --steps {min(4 * arguments.steps, MOST_STEPS)}\n"
        f"  another alpha      --alpha {arguments.alpha / 3:.2g}, or {arguments.alpha * 3:.2g}"
    )
