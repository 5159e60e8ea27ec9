"""SGD and Adam against PyTorch's rules, written again in tests/oracle.py."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from hypothesis import given
from properties import arranged, close, moderate, numbers, same, unaliased

from minnet import SGD, Adam, Affinity, Network, Optimizer

alphas = st.sampled_from([0.001, 0.1, 1.0, 3.0])
fractions = st.sampled_from([0.0, 0.5, 0.9, 0.999])
sgds = st.builds(SGD, alphas, fractions, st.sampled_from([0.0, 0.01, 0.5]))
adams = st.builds(Adam, alphas, st.tuples(fractions, fractions), st.sampled_from([1e-8, 1e-3]))

KINDS = pytest.mark.parametrize("optimizers", [sgds, adams], ids=["SGD", "Adam"])


def walk(optimizer: Optimizer, p: Any, gradients: Any) -> list[Any]:
    """The parameters after each step."""
    state, path = optimizer.start(p), []
    for g in gradients:
        p, state = optimizer.update(p, g, state)
        path.append(p)
    return path


def reference(optimizer: Optimizer, p: Any, gradients: Any) -> list[Any]:
    memory, path = None, []
    for g in gradients:
        p, memory = oracle.step(optimizer, p, g, memory)
        path.append(p)
    return path


def draw_steps(data: st.DataObject, lead: tuple[int, ...] = ()) -> tuple[Any, Any]:
    """Parameters (*lead, size), and gradients (steps, *lead, size) of one scale."""
    shape = (*lead, data.draw(st.integers(1, 4), "size"))
    p = data.draw(moderate(shape), "parameters")
    steps = data.draw(st.integers(1, 5), "steps")
    return p, data.draw(numbers((steps, *shape)), "gradients")


@KINDS
@given(data=st.data())
def test_reference(optimizers: Any, data: st.DataObject) -> None:
    """Each of several steps is PyTorch's."""
    optimizer = data.draw(optimizers, "optimizer")
    p, gradients = draw_steps(data)
    expected = reference(optimizer, p, gradients)
    for i, actual in enumerate(walk(optimizer, p, gradients)):
        close(actual, expected[i], f"parameters after step {i}", 1e-12)
        close(
            actual - p, expected[i] - p, f"what {i + 1} steps changed", 1e-9, 1e-15 * abs(p).max()
        )


@KINDS
@given(data=st.data())
def test_float32(optimizers: Any, data: st.DataObject) -> None:
    """float32 stays float32, and goes where float64 goes."""
    optimizer = data.draw(optimizers, "optimizer")
    p, gradients = draw_steps(data)
    expected = reference(optimizer, p, gradients)
    single, state = p.astype(np.float32), optimizer.start(p.astype(np.float32))
    for g, e in zip(gradients.astype(np.float32), expected, strict=True):
        single, state = optimizer.update(single, g, state)
        assert single.dtype == np.float32
        assert all(array.dtype == np.float32 for key, array in state.items() if key != "t")
        close(single, e, "parameters", 1e-5, 1e-5 * optimizer.alpha)


def test_adam_corrects_as_well_in_float32() -> None:
    """1 - 0.999^t would lose half its digits there; the first steps go by alpha all the same."""
    adam, p = Adam(0.25), np.zeros(2, np.float32)
    g, state = np.array([1, -3], np.float32), adam.start(p)
    for t in range(1, 4):
        p, state = adam.update(p, g, state)
        close(p, [-0.25 * t, 0.25 * t], f"parameters after step {t}", 1e-6)


@KINDS
@given(data=st.data())
def test_crowd(optimizers: Any, data: st.DataObject) -> None:
    """Each net of a crowd goes its own way."""
    optimizer = data.draw(optimizers, "optimizer")
    p, gradients = draw_steps(data, (data.draw(st.integers(1, 3), "nets"),))
    crowd = walk(optimizer, p, gradients)
    for net in range(len(p)):
        for i, alone in enumerate(walk(optimizer, p[net], gradients[:, net])):
            same(crowd[i][net], alone, f"parameters of net {net} after step {i}")


@KINDS
@given(data=st.data())
def test_nothing_changed_or_aliased(optimizers: Any, data: st.DataObject) -> None:
    """Parameters, gradient and state stay as they are, and the results are new arrays."""
    optimizer = data.draw(optimizers, "optimizer")
    p, gradients = draw_steps(data)
    state = optimizer.start(p)
    for g in gradients:
        given = {"p": arranged(p, "read-only"), "g": arranged(g, "read-only")}
        given |= {key: arranged(array, "read-only") for key, array in state.items()}
        before = {key: array.copy() for key, array in given.items()}
        known = {key: given[key] for key in state}
        p, state = optimizer.update(given["p"], given["g"], known)
        unaliased({"new p": p}, given | state)
        for key, array in given.items():
            same(array, before[key], key)


@given(moderate((3,)), moderate((3,)), alphas)
def test_settings_are_kept(p: Any, g: Any, alpha: float) -> None:
    """Another alpha changes alpha and nothing else, and not the optimizer asked."""
    for optimizer in (SGD(0.7, 0.5, 0.25), Adam(0.7, (0.5, 0.25), 1e-4)):
        other = optimizer.with_alpha(alpha)
        assert (optimizer.alpha, other.alpha) == (0.7, alpha)
        assert {**vars(other), "_alpha": 0.7} == vars(optimizer)
        close(walk(other, p, [g])[0], reference(other, p, [g])[0], "parameters", 1e-12)


@KINDS
@given(data=st.data())
def test_network_remembers(optimizers: Any, data: st.DataObject) -> None:
    """What a network learns in several calls of `learn` is the optimizer's way, unbroken."""
    optimizer = data.draw(optimizers, "optimizer")
    net = Network([Affinity(2, 1, rng=0)], optimizer=optimizer)
    x = data.draw(hnp.arrays(float, (4, 2), elements=st.sampled_from([-1.0, 0.5, 2.0])), "x")
    p, memory = np.array([0.5, -1.0, 0.25]), None
    net.layers[0].M, net.layers[0].b = p[None, :2], p[2:]
    for fact in x:
        slope = p[:2] @ fact + p[2] - 3
        p, memory = oracle.step(optimizer, p, slope * np.append(fact, 1), memory)
        net.learn([(fact, [3])])
        close(net._flat, p, "parameters", 1e-9)
