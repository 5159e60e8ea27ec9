"""The peers of one small network, each as its own users would write it."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.peers.harness import Contestant

if TYPE_CHECKING:
    from bench.peers.small_nets import Job


def torch_nn(job: Job) -> Contestant:
    """nn.Module and torch.optim."""
    import torch
    from torch import nn

    torch.set_default_dtype(torch.float64)
    activation = nn.Sigmoid if job.activation == "sigmoid" else nn.Tanh
    modules: list[Any] = []
    for M, _ in job.start():
        modules += [nn.Linear(M.shape[1], M.shape[0]), activation()]
    model = nn.Sequential(*(modules if job.loss == "squares" else modules[:-1]))
    loss_of = nn.MSELoss() if job.loss == "squares" else nn.BCEWithLogitsLoss()
    facts = [(torch.tensor(x), torch.tensor(t)) for x, t in job.steps_on()]
    optimizer: Any = None

    def start() -> None:
        nonlocal optimizer
        with torch.no_grad():
            for parameter, array in zip(model.parameters(), chain(*job.start()), strict=True):
                parameter.copy_(torch.tensor(array))
        if job.optimizer == "adam":
            optimizer = torch.optim.Adam(model.parameters(), lr=job.alpha)
        else:
            momentum = 0.9 if job.optimizer == "momentum" else 0
            optimizer = torch.optim.SGD(model.parameters(), lr=job.alpha, momentum=momentum)

    def work() -> None:
        for x, t in facts:
            optimizer.zero_grad()
            loss = loss_of(model(x), t)
            loss.backward()
            optimizer.step()

    return Contestant(start, work, lambda: [p.detach().numpy().copy() for p in model.parameters()])


def torch_by_hand(job: Job) -> Contestant:
    """Forward and backprop of sigmoid layers and squared errors, written out in tensors."""
    import torch

    facts = [
        (torch.tensor(np.atleast_2d(x)), torch.tensor(np.atleast_2d(t))) for x, t in job.steps_on()
    ]
    layers: list[Any] = []

    def work() -> None:
        with torch.no_grad():
            for x, t in facts:
                step(x, t)

    def step(x: Any, t: Any) -> None:
        ys = [x]
        for M, b in layers:
            ys.append(torch.addmm(b, ys[-1], M.T).sigmoid_())
        e = ys[-1] - t
        (e * e).mean()
        dy = e * (2 / t.numel())
        for k in reversed(range(len(layers))):
            M, b = layers[k]
            dz = dy * ys[k + 1] * (1 - ys[k + 1])
            if k:
                dy = dz @ M
            M.addmm_(dz.T, ys[k], alpha=-job.alpha)
            b.sub_(dz.sum(0), alpha=job.alpha)

    def start() -> None:
        layers[:] = [(torch.tensor(M), torch.tensor(b)) for M, b in job.start()]

    return Contestant(start, work, lambda: [p.numpy().copy() for p in chain(*layers)])


def _jax(job: Job) -> tuple[Any, Any]:
    """A step (state, x, t) -> (state, loss), and the state at the start: parameters and memory."""
    import jax
    import jax.numpy as jnp

    f = jax.nn.sigmoid if job.activation == "sigmoid" else jnp.tanh

    def loss_of(layers: Any, x: Any, t: Any) -> Any:
        for M, b in layers[:-1]:
            x = f(x @ M.T + b)
        M, b = layers[-1]
        z = x @ M.T + b
        if job.loss == "squares":
            return ((f(z) - t) ** 2).mean()
        return (jax.nn.softplus(z) - t * z).mean()

    def updated(p: Any, g: Any, memory: Any) -> tuple[Any, Any]:
        tree = jax.tree.map
        if job.optimizer == "sgd":
            return tree(lambda p, g: p - job.alpha * g, p, g), memory
        if job.optimizer == "momentum":
            v = tree(lambda v, g: 0.9 * v + g, memory, g)
            return tree(lambda p, v: p - job.alpha * v, p, v), v
        m, v, k = memory
        k = k + 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, scale = job.alpha / (1 - 0.9**k), jnp.sqrt(1 - 0.999**k)
        p = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / scale + 1e-8), p, m, v)
        return p, (m, v, k)

    def step(state: Any, x: Any, t: Any) -> tuple[Any, Any]:
        loss, g = jax.value_and_grad(loss_of)(state[0], x, t)
        return updated(state[0], g, state[1]), loss

    p = jax.tree.map(jnp.array, job.start())
    zero = jax.tree.map(jnp.zeros_like, p)
    return step, (p, {"sgd": None, "momentum": zero, "adam": (zero, zero, 0.0)}[job.optimizer])


def jax_step(job: Job) -> Contestant:
    """A jitted step, called for each fact or batch."""
    import jax
    import jax.numpy as jnp

    step, begin = _jax(job)
    jitted = jax.jit(step)
    facts = [(jnp.array(x), jnp.array(t)) for x, t in job.steps_on()]
    state = begin

    def start() -> None:
        nonlocal state
        state = begin

    def work() -> None:
        nonlocal state
        for x, t in facts:
            state, _ = jitted(state, x, t)
        jax.block_until_ready(state)

    return Contestant(start, work, lambda: list(map(np.asarray, jax.tree.leaves(state[0]))))


def jax_loop(job: Job) -> Contestant:
    """One compiled loop over all: lax.scan over facts, lax.fori_loop over full batches."""
    import jax
    import jax.numpy as jnp

    step, begin = _jax(job)
    steps = job.steps_on()
    X, T = (jnp.array(np.stack(arrays)) for arrays in zip(*steps, strict=True))
    state = begin

    def facts_in_turn(state: Any) -> Any:
        state, losses = jax.lax.scan(lambda s, fact: step(s, *fact), state, (X, T))
        return state, losses[-1]

    def one_batch(state: Any) -> Any:
        both = state, jnp.zeros(())
        return jax.lax.fori_loop(0, len(steps), lambda _, s: step(s[0], X[0], T[0]), both)

    run = jax.jit(facts_in_turn if job.way == "facts" else one_batch)

    def start() -> None:
        nonlocal state
        state = begin

    def work() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(run(state))

    return Contestant(start, work, lambda: list(map(np.asarray, jax.tree.leaves(state[0]))))


def thinc_nn(job: Job) -> Contestant:
    """thinc's Sigmoid layers, which are affine layers too; thinc computes in float32."""
    from thinc.api import SGD, Sigmoid
    from thinc.api import chain as chained

    model = chained(*(Sigmoid(m, n) for n, m in zip(job.widths, job.widths[1:], strict=False)))
    model.initialize()
    facts = [
        (np.atleast_2d(x).astype(np.float32), np.atleast_2d(t).astype(np.float32))
        for x, t in job.steps_on()
    ]
    optimizer = SGD(job.alpha, L2=0, grad_clip=0, use_averages=False)

    def start() -> None:
        for layer, (M, b) in zip(model.layers, job.start(), strict=True):
            layer.set_param("W", M.astype(np.float32))
            layer.set_param("b", b.astype(np.float32))

    def work() -> None:
        for x, t in facts:
            y, backprop = model.begin_update(x)
            e = y - t
            (e * e).mean()
            backprop(e * (2 / e.size))
            model.finish_update(optimizer)

    def result() -> list[Any]:
        return [layer.get_param(name).copy() for layer in model.layers for name in "Wb"]

    return Contestant(start, work, result)


def micrograd_nn(job: Job) -> Contestant:
    """Neurons of scalar Values, with the sigmoid that micrograd lacks added as its users do."""
    from micrograd.engine import Value

    def sigmoid(v: Any) -> Any:
        s = 1 / (1 + math.exp(-v.data))
        out = Value(s, (v,), "sigmoid")

        def backward() -> None:
            v.grad += s * (1 - s) * out.grad

        out._backward = backward
        return out

    layers: list[Any] = []
    facts = [(np.atleast_2d(x).tolist(), np.atleast_2d(t).tolist()) for x, t in job.steps_on()]

    def start() -> None:
        layers[:] = [
            [
                ([Value(w) for w in row], Value(c))
                for row, c in zip(M.tolist(), b.tolist(), strict=True)
            ]
            for M, b in job.start()
        ]

    def work() -> None:
        parameters = [v for layer in layers for weights, b in layer for v in (*weights, b)]
        for X, T in facts:
            loss = Value(0)
            for x, t in zip(X, T, strict=True):
                for layer in layers:
                    x = [
                        sigmoid(sum((w * xi for w, xi in zip(weights, x, strict=True)), b))
                        for weights, b in layer
                    ]
                loss = loss + sum((y - ti) ** 2 for y, ti in zip(x, t, strict=True))
            loss = loss * (1 / (len(T) * len(T[0])))
            for p in parameters:
                p.grad = 0
            loss.backward()
            for p in parameters:
                p.data -= job.alpha * p.grad

    def result() -> list[Any]:
        arrays = [
            ([[w.data for w in weights] for weights, _ in layer], [b.data for _, b in layer])
            for layer in layers
        ]
        return [np.array(array) for array in chain(*arrays)]

    return Contestant(start, work, result)


def scikit_learn(job: Job) -> Contestant:
    """MLPClassifier: partial_fit for each fact or all of them, fit for epochs of full batches."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are all that is asked for
    X, T = (
        np.stack([np.atleast_2d(array) for array in arrays])
        for arrays in zip(*job.steps_on(), strict=True)
    )
    labels = T[..., 0].astype(int)
    net = MLPClassifier(
        job.widths[1:-1],
        activation="logistic",
        solver="sgd",
        learning_rate_init=job.alpha,
        momentum=0,
        nesterovs_momentum=False,
        alpha=0,
        batch_size=X.shape[1],
        shuffle=False,
        warm_start=job.way == "batch",
        max_iter=job.steps,
        n_iter_no_change=job.steps + 1,
        tol=0,
    )
    net.partial_fit(job.facts.X, job.facts.T[:, 0].astype(int), classes=[0, 1])

    def start() -> None:
        net.coefs_ = [M.T.copy() for M, _ in job.start()]
        net.intercepts_ = [b.copy() for _, b in job.start()]
        vars(net).pop("_optimizer", None)  # it holds the old arrays

    def a_call_per_fact() -> None:
        for x, t in zip(X, labels, strict=True):
            net.partial_fit(x, t)

    work = {
        "calls": a_call_per_fact,
        "facts": lambda: net.partial_fit(X[:, 0], labels[:, 0]),
        "batch": lambda: net.fit(X[0], labels[0]),
    }

    def result() -> list[Any]:
        pairs = zip(net.coefs_, net.intercepts_, strict=True)
        return [array for M, b in pairs for array in (M.T.copy(), b.copy())]

    return Contestant(start, work[job.way], result)
