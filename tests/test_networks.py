"""Networks of any make-up: the chain rule, nesting, crowds, and a step of learning."""

from __future__ import annotations

from typing import Any, ClassVar

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from oracle import INPUT
from properties import (
    BATCH,
    FACT_OR_BATCH,
    Case,
    LayerProperties,
    Problem,
    close,
    close_values,
    moderate,
    probabilities,
    same,
)
from test_layers import Scale

from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Identity,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
)

widths = st.integers(1, 4)
smooth = st.sampled_from([Identity, Sigmoid, Tanh])
activations = smooth | st.sampled_from([ReLU, LeakyReLU])
names = st.sampled_from([None, None, "fc", "out"])


@st.composite
def networks(
    draw: Any, kinds: Any = activations, depth: int = 2, n: int | None = None, **settings: Any
) -> Network:
    """Affinities that fit, activations and networks of these, named or not."""
    layers: list[Layer] = []
    n = n or draw(widths)
    for _ in range(draw(st.integers(1, 3))):
        what = draw(st.integers(0, 3 if depth else 2))
        if what == 0:
            layers.append(draw(kinds)())
        elif what == 3:
            layers.append(draw(networks(kinds, depth - 1, n)))
            n = layers[-1].m or n
        else:
            m, name = draw(widths), draw(names)
            taken = [layer.name for layer in layers]
            layers.append(Affinity(n, m, None if name in taken else name, rng=0))
            n = m
    if depth == 2:
        layers.append(Affinity(n, draw(widths), "last", rng=0))
    return Network(layers, **settings)


@st.composite
def filled(draw: Any, net: Network) -> Network:
    """The network with parameters drawn, in place."""
    for array in net.parameters.values():
        array[...] = draw(moderate(array.shape, (-4, -5)))
    return net


class TestRandomNetworks(LayerProperties):
    cases: ClassVar = {"Network": Case(networks())}


@given(st.data())
def test_composition(data: st.DataObject) -> None:
    """A network's forward and backprop are those of its layers, one after the other."""
    problem = data.draw(Case(networks()).problems(FACT_OR_BATCH), "problem")
    net, y, caches, gradients = problem.layer, problem.x, [], {}
    for layer in net.layers:
        y, cache = layer.forward(y)
        caches.append(cache)
    dx = problem.dy
    for name, layer, cache in zip(net.names[::-1], net.layers[::-1], caches[::-1], strict=True):
        dx, own = layer.backprop(dx, cache)
        gradients |= {f"{name}.{key}": gradient for key, gradient in own.items()}
    claimed_y, claims = problem.claims()
    same(claimed_y, y, "output")
    assert set(claims) == {INPUT, *gradients} == {INPUT, *net.shapes}
    for key, expected in {INPUT: dx, **gradients}.items():
        same(claims[key], expected, f"gradient of {key}")


@given(st.data())
def test_nesting(data: st.DataObject) -> None:
    """How layers are nested is a matter of names: the numbers stay."""
    problem = data.draw(Case(networks(depth=0)).problems(FACT_OR_BATCH), "problem")
    flat = problem.layer
    cut = data.draw(st.integers(0, len(flat.layers)), "cut")
    layers = [layer.copy() for layer in flat.layers]
    nested = Network([Network(layers[:cut], name="a"), Network([Network(layers[cut:])], name="b")])
    for array, value in zip(nested.parameters.values(), flat.parameters.values(), strict=True):
        array[...] = value
    y, claims = problem.claims()
    nested_y, nested_claims = Problem(nested, problem.x, problem.dy).claims()
    same(nested_y, y, "output")
    same(nested_claims.pop(INPUT), claims.pop(INPUT), "dx")
    for key, (flat_key, expected) in zip(nested.shapes, claims_in_order(flat, claims), strict=True):
        same(nested_claims[key], expected, f"gradient of {key}, once {flat_key}")


def claims_in_order(net: Network, claims: oracle.Values) -> list[tuple[str, Any]]:
    return [(key, claims[key]) for key in net.shapes]


@given(st.data(), activations)
def test_permuted_units(data: st.DataObject, kind: type[Layer]) -> None:
    """Hidden units in another order: the same output, and their gradients in that order."""
    n, h, m = (data.draw(widths, name) for name in "nhm")
    net = Network([Affinity(n, h, "in", rng=0), kind(name="act"), Affinity(h, m, "out", rng=0)])
    problem = data.draw(Case(st.just(net)).problems(FACT_OR_BATCH, elements=moderate), "problem")
    order = np.array(data.draw(st.permutations(range(h)), "order"))

    def permuted(p: oracle.Values) -> oracle.Values:
        own = {"in.M": p["in.M"][order], "in.b": p["in.b"][order], "out.M": p["out.M"][:, order]}
        return p | own

    y, claims = problem.claims()
    other = net.with_parameters(permuted(problem.layer.parameters))
    other_y, other_claims = Problem(other, problem.x, problem.dy).claims()
    close(other_y, y, "output", 1e-12, 1e-14 * abs(problem.layer.parameters["out.M"]).max() * 32)
    close_values(other_claims, permuted(claims), 1e-11)


@given(st.data())
def test_members(data: st.DataObject) -> None:
    """A net of a crowd is the member taken out of it, on shared facts and on its own."""
    net, nets = data.draw(networks(), "network"), data.draw(st.integers(1, 3), "nets")
    crowd = net.replicate(nets, rng=data.draw(st.integers(0, 9), "seed"))
    shape = (nets, *data.draw(BATCH)) if data.draw(st.booleans(), "own facts") else (3,)
    x = data.draw(moderate((*shape, net.n or 3)), "x")
    y, _caches = crowd.forward(x)
    dy = data.draw(moderate(y.shape), "dy")
    claims = Problem(crowd, x, dy).claims()[1]
    for i in range(nets):
        member, own_x = crowd.member(i), x[i] if x.ndim == 3 else x
        assert member.nets is None and not np.shares_memory(member._flat, crowd._flat)
        alone_y, alone = Problem(member, own_x, dy[i]).claims()
        close(y[i], alone_y, f"output of net {i}", 1e-12)
        same(member._flat, crowd._flat[i], f"parameters of net {i}")
        close_values({key: claim[i] for key, claim in claims.items()}, alone)
    if x.ndim == 2:
        close(crowd(x[0]), crowd(x)[:, 0], "output for one fact", 1e-12)


@given(st.data())
def test_net_i_is_the_same_in_any_crowd(data: st.DataObject) -> None:
    """However many nets there are; net 0 is what `randomize` draws for one."""
    net, seed = data.draw(networks(), "network"), data.draw(st.integers(0, 9), "seed")
    net.extend(Scale(net.m))
    few, many = net.replicate(2, rng=seed), net.replicate(5, rng=seed)
    same(few._flat, many._flat[:2], "parameters")
    assert len(np.unique(many._flat)) == many._flat.size
    net.randomize(seed)
    same(net._flat, many._flat[0], "parameters of net 0")


# Learning


def losses_for(m: int) -> st.SearchStrategy[Any]:
    every = [SquaredError, MeanSquaredError, lambda r: BinaryCrossEntropy(True, r)]
    every += [SoftmaxCrossEntropy] if m > 1 else []
    reductions = st.sampled_from(["sum", "mean"])
    return st.builds(lambda make, r: make(r), st.sampled_from(every), reductions)


optimizers = st.sampled_from([SGD(0.5), SGD(0.1, 0.9, 0.01), Adam(0.01)])
engines = st.sampled_from(["auto", "layers", "floats", "arrays"])


@given(st.data())
def test_a_step(data: st.DataObject) -> None:
    """A step of `learn` is the optimizer's, along the gradient of the loss by autograd."""
    net = data.draw(networks(optimizer=data.draw(optimizers, "optimizer")).flatmap(filled), "net")
    net.loss = data.draw(losses_for(net.m), "loss")
    net.engine = data.draw(engines, "engine")
    memory = None
    for _ in range(data.draw(st.integers(1, 3), "steps")):
        shape = data.draw(FACT_OR_BATCH)
        x = data.draw(moderate((*shape, net.n or 2), (-3, -4)), "x")
        t = data.draw(probabilities((*shape, net.m)), "expected")
        assume(oracle.off_kinks(net, x))
        loss, g = oracle.loss_and_gradient(net, net.loss, x, t)
        before = net._flat.copy()
        after, memory = oracle.step(net.optimizer, before, g, memory)
        close(net.learn([(x, t)]), loss, "loss", 1e-11)
        close(net._flat - before, after - before, "the step", 1e-9, 1e-15 * abs(before).max())


@pytest.mark.parametrize("own_facts", [False, True])
@given(data=st.data())
def test_a_crowd_learns_as_its_members(data: st.DataObject, own_facts: bool) -> None:
    """Each net takes the steps that it would take alone, and remembers what it would."""
    net = data.draw(networks(optimizer=data.draw(optimizers, "optimizer")), "net")
    net.loss = data.draw(losses_for(net.m), "loss")
    net.engine = data.draw(engines, "engine")
    nets = data.draw(st.integers(1, 3), "nets")
    crowd = net.replicate(nets, rng=data.draw(st.integers(0, 9), "seed"))
    for _ in range(2):
        members = [crowd.member(i) for i in range(nets)]
        lead = (nets, *data.draw(BATCH)) if own_facts else data.draw(BATCH)
        x = data.draw(moderate((*lead, net.n or 2), (-3, -4)), "x")
        t = data.draw(probabilities((*lead, net.m)), "expected")
        before, losses = crowd._flat.copy(), crowd.learn([(x, t)])
        for i, member in enumerate(members):
            fact = (x[i], t[i]) if own_facts else (x, t)
            close(losses[i], member.learn([fact]), f"loss of net {i}", 1e-12)
            step, alone = crowd._flat[i] - before[i], member._flat - before[i]
            close(step, alone, f"the step of net {i}", 1e-10, 1e-15 * abs(before[i]).max())


@given(st.data())
def test_learning_keeps_float32(data: st.DataObject) -> None:
    """A float32 network learns in float32, and takes the step of a float64 one."""
    wide = data.draw(networks(smooth).flatmap(filled), "net")
    wide.engine = data.draw(engines, "engine")
    narrow = Network([layer.copy() for layer in wide.layers], dtype=np.float32)
    x = data.draw(moderate((3, wide.n or 2), (-4,)), "x")
    t = data.draw(hnp.arrays(float, (3, wide.m), elements=st.sampled_from([0.0, 0.5, 1.0])), "t")
    close(narrow.learn([(x, t)]), wide.learn([(x, t)]), "loss", 1e-5)
    for key, array in narrow.parameters.items():
        assert array.dtype == np.float32 and np.shares_memory(array, narrow._flat)
        close(array, wide.parameters[key], key, 1e-5, 1e-5 * abs(wide._flat).max())
