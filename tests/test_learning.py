"""What `learn` and `steps` promise: steps, divergence, nothing lost, crowds and members."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Layer,
    LeakyReLU,
    Loss,
    Map,
    MeanSquaredError,
    Network,
    Optimizer,
    Parameter,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
    along_batch,
    batch_sum,
    glorot,
    he,
    normal,
    uniform,
)
from minnet.facts import gate
from minnet.snapshots import Snapshot

XOR = gate("xor")
OPTIMIZERS = [SGD(0.1), SGD(0.1, momentum=0.9), SGD(0.1, 0.5, weight_decay=0.1), Adam(0.01)]
LOSSES = [
    SquaredError(),
    SquaredError("mean"),
    MeanSquaredError(),
    BinaryCrossEntropy(),
    BinaryCrossEntropy(from_logits=True, reduction="mean"),
    SoftmaxCrossEntropy(),
    SoftmaxCrossEntropy("mean"),
]


@pytest.fixture(autouse=True, params=["auto", "layers"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every promise holds whatever runs the steps."""
    monkeypatch.setattr(Network, "_engine", request.param)


def small(optimizer: Optimizer = OPTIMIZERS[1], **settings: Any) -> Network:
    net = Network([Affinity(2, 3), Tanh(), Affinity(3, 1)], optimizer=optimizer, **settings)
    net.randomize(0)
    return net


def bits(net: Layer) -> list[tuple[str, str, bytes]]:
    return [(key, str(a.dtype), a.tobytes()) for key, a in net.parameters.items()]


def loss_bits(losses: Any) -> bytes:
    return np.array(list(losses)).tobytes()


# learn, steps, epochs


def test_a_step_is_the_optimizers_with_the_losss_gradient() -> None:
    net = small(SGD(0.3))
    x, expected = np.array([0.5, -1.0]), np.array([2.0])
    y, caches = net.forward(x)
    _, gradients = net.backprop(net.loss.gradient(y, expected), caches)
    after = {key: p - 0.3 * gradients[key] for key, p in net.parameters.items()}
    loss = net.learn([(x, expected)])
    assert type(loss) is float
    assert loss == pytest.approx(net.loss(y, expected), rel=1e-12)  # measured before its step
    for key, p in net.parameters.items():
        np.testing.assert_allclose(p, after[key], rtol=0, atol=1e-12 * abs(after[key]).max())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_all_ways_through_the_same_facts_are_the_same(optimizer: Optimizer) -> None:
    ways: list[Callable[[Network], list[float]]] = [
        lambda net: list(net.steps(XOR, epochs=3)),
        lambda net: list(net.steps(list(XOR), epochs=3)),
        lambda net: list(net.steps(list(XOR) * 3)),
        lambda net: list(net.steps(iter(list(XOR) * 3))),
        lambda net: list(net.steps((x, t) for _ in range(3) for x, t in XOR)),
        lambda net: list(net.steps([(x.tolist(), t.tolist()) for x, t in XOR], epochs=3)),
        lambda net: [net.learn([fact]) for _ in range(3) for fact in XOR],
        lambda net: [net.learn(iter([fact])) for _ in range(3) for fact in XOR],
    ]
    nets = [small(optimizer) for _ in ways]
    losses = [way(net) for way, net in zip(ways, nets, strict=True)]
    assert len(losses[0]) == 12
    assert all(type(loss) is float for loss in losses[0])
    assert all(other == losses[0] for other in losses)
    assert all(bits(net) == bits(nets[0]) for net in nets)
    assert small(optimizer).learn(XOR, epochs=3) == losses[0][-1]


def test_steps_is_lazy_but_checks_lists_at_once() -> None:
    net, before = small(), bits(small())
    with pytest.raises(ValueError, match="fact #1"):
        net.steps([([0, 1], [1]), ([0, 1, 2], [1])])
    running = net.steps(XOR)
    assert bits(net) == before
    next(running)
    assert bits(net) != before


def test_endless_iterators_can_be_taken_from() -> None:
    net = small(SGD(0.1))
    losses = list(itertools.islice(net.steps(itertools.cycle(list(XOR))), 10))
    assert len(losses) == 10


def test_the_last_loss_of_batches() -> None:
    one, four = small(SGD(0.1)), small(SGD(0.1))
    assert one.learn(XOR.batches(4)) == pytest.approx(sum(four.loss(four(x), t) for x, t in XOR))
    assert small(SGD(0.1)).learn(XOR.batches(3)) == list(small(SGD(0.1)).steps(XOR.batches(3)))[1]


def test_between_the_steps_everything_may_change() -> None:
    """A loop over steps may set alpha, loss and optimizer, and rewind; each step obeys them."""
    net, alone = small(), small()
    for i, loss in enumerate(net.steps(XOR, epochs=2)):
        if i == 1:
            net.alpha = 0.01
        if i == 3:
            net.loss = MeanSquaredError()
        if i == 5:
            net.optimizer = Adam(0.02)
        last = loss
    facts = list(XOR) * 2
    alone.learn(facts[:2])
    alone.alpha = 0.01
    alone.learn(facts[2:4])
    alone.loss = MeanSquaredError()
    alone.learn(facts[4:6])
    alone.optimizer = Adam(0.02)
    assert alone.learn(facts[6:]) == last
    assert bits(alone) == bits(net)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_between_the_steps_a_snapshot_may_be_restored(optimizer: Optimizer) -> None:
    net = small(optimizer)
    start = Snapshot(net)
    facts = list(XOR)
    losses = []
    for i, loss in enumerate(net.steps([*facts[:2], *facts])):
        losses.append(loss)
        if i == 1:
            start.restore()
    assert losses[2:] == list(small(optimizer).steps(facts))


def test_a_snapshot_between_the_steps_knows_who_had_diverged() -> None:
    crowd = Network([Affinity(1, 1)]).replicate(2, 0)
    crowd.layers[0].M = [[[0]], [[1e200]]]
    steps = crowd.steps([([0], [0]), ([1e200], [0]), ([0], [0])])
    next(steps)
    before = Snapshot(crowd)
    next(steps)
    assert crowd.diverged.tolist() == [-1, 1]
    before.restore()
    assert crowd.diverged.tolist() == [-1, -1]


# what optimizers remember


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1)], ids=repr)
def test_memory_is_kept_through_alpha_and_loss(optimizer: Optimizer) -> None:
    def after(change: Callable[[Network], object]) -> list[float]:
        net = small(optimizer)
        net.learn(XOR)
        change(net)
        return list(net.steps(XOR))

    def alpha(net: Network) -> None:
        net.alpha = 0.5
        net.alpha = 0.1

    def loss(net: Network) -> None:
        net.loss = SquaredError()

    def same_optimizer(net: Network) -> None:
        net.optimizer = net.optimizer

    def extended(net: Network) -> None:
        net.extend(LeakyReLU(1))

    untouched = after(lambda net: None)
    assert after(alpha) == untouched
    assert after(loss) == untouched
    for fresh in (same_optimizer, extended):  # the memory is void
        assert after(fresh)[0] == untouched[0]
        assert after(fresh)[1:] != untouched[1:]

    def starting_anew() -> list[float]:
        net = small(optimizer)
        net.learn(XOR)
        anew = small(optimizer)
        for key, p in net.parameters.items():
            anew.parameters[key][...] = p
        return list(anew.steps(XOR))

    assert after(same_optimizer) == after(extended) == starting_anew()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize(
    "duplicate",
    [
        lambda net: net.copy(),
        copy.copy,
        copy.deepcopy,
        lambda net: pickle.loads(pickle.dumps(net)),
    ],
)
def test_copies_learn_alike_and_apart(optimizer: Optimizer, duplicate: Callable) -> None:
    net = small(optimizer)
    net.learn(XOR)
    twin = duplicate(net)
    before = bits(net)
    losses = list(twin.steps(XOR))
    assert bits(net) == before
    assert list(net.steps(XOR)) == losses
    assert bits(net) == bits(twin)


# divergence


def diverging() -> tuple[Network, list]:
    """A net behind a square, and facts of which the fifth (#4) blows it up."""
    net = Network([Affinity(1, 1), Map(lambda x: x * x, lambda x: 2 * x)], optimizer=SGD(0.01, 0.5))
    net.layers[0].M, net.layers[0].b = [[1]], [0]
    return net, [([0.5], [1.0])] * 4 + [([1e200], [1.0])] + [([0.25], [1.0])] * 3


def test_divergence_is_a_result() -> None:
    net, facts = diverging()
    twin, _ = diverging()
    assert net.diverged is None
    assert net.learn(facts[:4]) == twin.learn(facts[:4]) < math.inf
    assert net.diverged is None
    before = bits(net)
    assert net.learn(facts[4:]) == math.inf
    assert net.diverged == 0
    assert bits(net) == before
    # neither the parameters nor what the optimizer remembers took anything
    one = [(np.array([0.25]), np.array([1.0]))]
    for following in (one, facts[5:]):
        assert net.learn(following) == twin.learn(following)
        assert net.diverged is None
    assert bits(net) == bits(twin)


def test_divergence_says_where_and_stops_there() -> None:
    for form in (list, iter, lambda facts: Facts(*zip(*facts, strict=True))):
        net, facts = diverging()
        losses = list(net.steps(form(facts)))
        assert len(losses) == 5
        assert losses[4] == math.inf > max(losses[:4])
        assert net.diverged == 4
        assert type(net.diverged) is int


def test_a_gradient_whose_square_overflows_does_not_end_learning() -> None:
    """Adam would remember an infinite g^2, and divide every later step of M by it."""
    net = Network([Affinity(1, 1)], optimizer=Adam(0.1))
    net.layers[0].M, net.layers[0].b = [[1e-200]], [0]
    net.learn([([1e160], [1.0])])
    before = net.layers[0].M.copy()
    net.learn([([1.0], [3.0])] * 3)
    assert not np.array_equal(net.layers[0].M, before)


def test_outer_infinities_are_divergence_for_scalar_functions_too() -> None:
    """math.sin raises at inf, but the fault is that learning diverged, not sin's."""
    net = Network(
        [
            Affinity(1, 1),
            Map(lambda x: x * 1e300 * x, lambda x: 2e300 * x),
            Map(math.sin, math.cos),
        ]
    )
    net.layers[0].M, net.layers[0].b = [[1]], [0]
    before = bits(net)
    assert net.learn([([1e10], [1.0])]) == math.inf
    assert net.diverged == 0
    assert bits(net) == before


def test_parameters_that_would_overflow_are_not_taken() -> None:
    net = Network([Affinity(1, 1)], optimizer=SGD(1e200))
    net.layers[0].M, net.layers[0].b = [[1e153]], [0]
    before = bits(net)
    assert net.loss(net([1.0]), [0.0]) < math.inf
    assert net.learn([([1.0], [0.0])]) == math.inf
    assert net.diverged == 0
    assert bits(net) == before


# nothing lost


class Fragile(Layer):
    """y = s x, but forward or backprop raises at x = 7."""

    s = Parameter()

    def __init__(self, where: str) -> None:
        super().__init__(2, 2)
        self.s = np.ones(2)
        self.where = where

    def break_at_seven(self, where: str, x: Any) -> None:
        if where == self.where and (x == 7).any():
            raise RuntimeError("planned")

    def forward(self, x: Any) -> Any:
        self.break_at_seven("forward", x)
        return along_batch(self.s) * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        self.break_at_seven("backprop", x)
        return dy * along_batch(self.s), {"s": batch_sum(dy * x)}


BREAKING = [*list(XOR)[:3], ([7.0, 1.0], [1.0]), *XOR]
fragile = pytest.mark.parametrize("where", ["forward", "backprop"])


def with_fragile(where: str, optimizer: Optimizer) -> Network:
    net = small(optimizer)
    net.layers = [Fragile(where), *net.layers]
    net.learn(XOR)  # so that there is something to remember
    return net


@fragile
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_an_error_in_the_middle_of_a_list_leaves_all_as_it_was(
    where: str, optimizer: Optimizer
) -> None:
    net = with_fragile(where, optimizer)
    twin, loss = net.copy(), net.loss
    for epochs in (1, 2):
        with pytest.raises(RuntimeError, match="planned"):
            net.learn(BREAKING, epochs)
        assert bits(net) == bits(twin)
        assert net.diverged is None
        assert net.loss is loss
        assert net.optimizer is optimizer
    assert list(net.steps(XOR)) == list(twin.steps(XOR))
    assert bits(net) == bits(twin)


@fragile
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_an_error_between_steps_undoes_only_its_own(where: str, optimizer: Optimizer) -> None:
    net, twin = with_fragile(where, optimizer), with_fragile(where, optimizer)
    with pytest.raises(RuntimeError, match="planned"):
        list(net.steps(BREAKING))
    twin.learn(BREAKING[:3])
    assert bits(net) == bits(twin)
    assert list(net.steps(XOR)) == list(twin.steps(XOR))


def test_from_an_iterator_what_was_learned_stays() -> None:
    net, twin = small(), small()
    with pytest.raises(ValueError, match="fact #2"):
        net.learn(iter([*list(XOR)[:2], ([0, 1], [1, 2]), ([0, 1], [1])]))
    twin.learn(list(XOR)[:2])
    assert bits(net) == bits(twin)
    assert net.learn(XOR) == twin.learn(XOR)


def test_an_iterator_that_raises_loses_nothing() -> None:
    def facts() -> Iterator[Any]:
        yield from list(XOR)[:2]
        raise OSError("the disk is gone")

    net, twin = small(), small()
    with pytest.raises(OSError, match="the disk is gone"):
        net.learn(facts())
    twin.learn(list(XOR)[:2])
    assert bits(net) == bits(twin)


def test_keyboard_interrupts_lose_nothing_either() -> None:
    def interrupted(x: Any) -> Any:
        if np.ndim(x) and x[0] == 0.5:
            raise KeyboardInterrupt
        return x

    net = Network([Map(interrupted, lambda x: 1), Affinity(2, 1)])
    before = bits(net)
    with pytest.raises(KeyboardInterrupt):
        net.learn([([1, 2], [1]), ([0.5, 2], [1])])
    assert bits(net) == before


def test_refused_facts_change_not_even_diverged() -> None:
    net, facts = diverging()
    net.learn(facts)
    with pytest.raises(ValueError, match="fact #0"):
        net.learn([([1, 2, 3], [1])])
    assert net.diverged == 4


def test_a_network_on_other_arrays_does_not_learn_into_the_first_one() -> None:
    """Whether with_parameters gives a network that can learn or one that refuses to."""
    net = small()
    net.learn(XOR)
    twin = net.copy()
    other = net.with_parameters({key: 2 * p for key, p in net.parameters.items()})
    with contextlib.suppress(TypeError, ValueError):
        other.learn(XOR)
    assert bits(net) == bits(twin)
    assert list(net.steps(XOR)) == list(twin.steps(XOR))


# float types


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_float_type_is_kept_throughout(dtype: Any, optimizer: Optimizer, loss: Loss) -> None:
    layers = [Affinity(2, 3), ReLU(), LeakyReLU(0.1), Map(np.sin, np.cos), Affinity(3, 2)]
    net = Network([*layers, Sigmoid()], dtype=dtype, loss=loss, optimizer=optimizer)
    facts = Facts(XOR.X, np.hstack([XOR.T, 1 - XOR.T]))
    for one in (net, net.replicate(2, rng=0)):
        one.learn(facts)
        one.learn(facts.batches(4))
        assert one.dtype == dtype
        assert one(XOR.X.astype(np.float64)).dtype == dtype
        assert {array.dtype for array in one.parameters.values()} == {np.dtype(dtype)}
        y, caches = one.forward(np.atleast_2d(XOR.X).astype(dtype))
        dx, gradients = one.backprop(loss.backprop(y, y), caches)
        assert {array.dtype for array in (y, dx, *gradients.values())} == {np.dtype(dtype)}
        assert all(a.dtype == dtype for k, a in one._memory.items() if k != "t")


# crowds

ARCHITECTURES: list[Callable[..., Network]] = [
    lambda **k: Network([Affinity(2, 3), Tanh(), Affinity(3, 2), Sigmoid()], **k),
    lambda **k: Network([Affinity(2, 2, initializer=uniform), ReLU(), Sigmoid()], **k),
    lambda **k: Network([Affinity(2, 2, initializer=glorot), Map(np.sin, np.cos), Sigmoid()], **k),
    lambda **k: Network(
        [Network([Affinity(2, 4, initializer=he), LeakyReLU(0.1)]), Affinity(4, 2), Sigmoid()], **k
    ),
]
TWO = Facts(XOR.X, np.hstack([XOR.T, 1 - XOR.T]))
INDICES = Facts(XOR.X, XOR.T[:, 0].astype(int))


@pytest.mark.parametrize("make", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_net_i_is_the_same_in_any_larger_crowd(make: Callable[..., Network], dtype: Any) -> None:
    net = make(dtype=dtype)
    largest = net.replicate(50, rng=7)
    for nets in (1, 2, 49):
        smaller = net.replicate(nets, rng=np.random.default_rng(7))
        for key, array in smaller.parameters.items():
            assert array.tobytes() == largest.parameters[key][:nets].tobytes()
    net.randomize(7)
    assert bits(net.replicate(1, rng=7).member(0)) == bits(net)
    assert bits(largest.member(0)) != bits(largest.member(1))


@pytest.mark.parametrize("initializer", [normal, uniform, glorot, he])
def test_a_crowd_is_not_its_template(initializer: Callable) -> None:
    net = Network([Affinity(2, 2, initializer=initializer)])
    before = bits(net)
    crowd = net.replicate(3, rng=0)
    crowd.learn(TWO)
    assert bits(net) == before
    assert net.nets is None
    assert crowd.nets == 3
    assert crowd.layers[0] is not net.layers[0]


def facts_for(loss: Loss) -> list[Any]:
    forms = [list(TWO)[:1], TWO.batches(4)[:1]]
    if isinstance(loss, SoftmaxCrossEntropy):
        forms += [list(INDICES)[:1], INDICES.batches(4)[:1]]
    return forms


@pytest.mark.parametrize("make", ARCHITECTURES)
@pytest.mark.parametrize(
    "loss, optimizer",
    [
        *((loss, OPTIMIZERS[1]) for loss in LOSSES),
        *((LOSSES[0], optimizer) for optimizer in OPTIMIZERS),
    ],
    ids=repr,
)
def test_a_member_does_in_one_step_what_it_would_do_alone(
    make: Callable[..., Network], loss: Loss, optimizer: Optimizer
) -> None:
    for dtype, closeness in ((np.float64, 1e-12), (np.float32, 1e-5)):
        for facts in facts_for(loss):
            crowd = make(loss=loss, optimizer=optimizer, dtype=dtype).replicate(3, rng=1)
            crowd.learn(facts)  # so that there is something to remember
            members = [crowd.member(i) for i in range(3)]
            losses = crowd.learn(facts)
            assert losses.shape == (3,)
            assert losses.dtype == dtype
            for i, member in enumerate(members):
                assert member.nets is None
                assert member.learn(facts) == pytest.approx(losses[i].item(), rel=closeness)
                for key, p in member.parameters.items():
                    np.testing.assert_allclose(
                        p,
                        crowd.parameters[key][i],
                        rtol=0,
                        atol=closeness * abs(crowd.parameters[key]).max(),
                    )


def test_facts_of_its_own_for_each_net() -> None:
    crowd = Network([Affinity(2, 1)]).replicate(3, rng=0)
    members = [crowd.member(i) for i in range(3)]
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((3, 5, 2)), rng.standard_normal((3, 5, 1))
    losses = crowd.learn([(x, t)])
    alone = [
        member.learn([fact]) for member, fact in zip(members, zip(x, t, strict=True), strict=True)
    ]
    np.testing.assert_allclose(losses, alone, rtol=1e-12)
    shared = crowd.learn([(x, t[0])])  # one expected batch for all
    assert shared.shape == (3,)


def test_one_hot_integers_mean_to_a_crowd_what_they_mean_to_a_net() -> None:
    """As many nets as facts as classes: the shapes alone do not tell one-hot rows from indices."""
    crowd = Network([Affinity(2, 2)], loss=SoftmaxCrossEntropy()).replicate(2, rng=0)
    members = [crowd.member(i) for i in range(2)]
    facts = [(np.eye(2), [[0, 1], [1, 0]])]
    alone = [member.learn(facts) for member in members]
    np.testing.assert_allclose(crowd.learn(facts), alone, rtol=1e-12)


def test_members_carry_what_the_optimizer_remembers() -> None:
    for optimizer in OPTIMIZERS[1:]:
        crowd = small(optimizer).replicate(3, rng=0)
        crowd.learn(XOR)
        member, fresh = crowd.member(-1), crowd.member(2)
        fresh.optimizer = optimizer
        crowd.learn(XOR)
        assert bits(member) == bits(fresh)
        member.learn(XOR)
        fresh.learn(XOR)
        for key, p in member.parameters.items():
            np.testing.assert_allclose(p, crowd.parameters[key][2], rtol=1e-9)
        assert not np.allclose(crowd.layers[0].M[2], fresh.layers[0].M, rtol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_learning_rate_for_each_net(optimizer: Optimizer) -> None:
    crowd = small(optimizer).replicate(3, rng=0)
    crowd.learn(XOR)
    rates = np.array([0.01, 0.2, 0.05])
    crowd.alpha = rates
    rates[:] = 7  # what was assigned was copied
    assert crowd.alpha.tolist() == [0.01, 0.2, 0.05]
    members = [crowd.member(i) for i in range(3)]
    assert [member.alpha for member in members] == [0.01, 0.2, 0.05]
    losses = crowd.learn(list(XOR)[:1])
    for i, member in enumerate(members):
        assert member.learn(list(XOR)[:1]) == pytest.approx(losses[i], rel=1e-12)
        for key, p in member.parameters.items():
            np.testing.assert_allclose(crowd.parameters[key][i], p, rtol=1e-10)


def test_members_share_nothing() -> None:
    crowd = small().replicate(3, rng=0)
    crowd.learn(XOR)
    before = bits(crowd)
    member = crowd.member(1)
    member.learn(XOR)
    member.layers[0].M = np.zeros((3, 2))
    assert bits(crowd) == before


def test_members_of_nested_networks_are_plain_all_through() -> None:
    inner = Network([Affinity(2, 2)], optimizer=SGD(0.1, momentum=0.9), name="inner")
    crowd = Network([inner, Affinity(2, 1)]).replicate(3, rng=0)
    crowd["inner"].learn(TWO)  # a part may learn by itself
    member = crowd.member(1)
    assert member["inner"].nets is None
    assert member["inner"].diverged is None
    losses = crowd["inner"].learn(TWO)
    assert member["inner"].learn(TWO) == pytest.approx(losses[1], rel=1e-9)


def test_fresh_nets_have_not_diverged() -> None:
    net, facts = diverging()
    net.learn(facts)
    assert net.diverged == 4
    assert net.replicate(3, rng=0).diverged is None
    crowd = net.replicate(3, rng=0)
    crowd.learn(facts)
    assert crowd.member(0).diverged is None


def blowing_up(nets: int) -> Network:
    """Nets behind a square, of which #1 and #3 start far out."""
    crowd = Network(
        [Affinity(2, 2), Map(lambda x: x * x / 2, lambda x: x)], optimizer=SGD(0.01, momentum=0.5)
    ).replicate(nets, rng=0)
    crowd.layers[0].M[1] = 30
    if nets > 3:
        crowd.layers[0].M[3] = 1e180
    return crowd


@pytest.mark.parametrize("batch", [1, 4])
def test_a_diverging_net_stops_and_the_others_go_on(batch: int) -> None:
    rng = np.random.default_rng(0)
    facts = Facts(rng.standard_normal((60, 2)), rng.standard_normal((60, 2)))
    crowd = blowing_up(5)
    started = crowd.layers[0].M.copy()
    losses = np.array(list(crowd.steps(facts.batches(batch))))
    assert losses.shape == (60 // batch, 5)
    assert crowd.diverged.shape == (5,)
    assert crowd.diverged[[0, 2, 4]].tolist() == [-1, -1, -1]
    assert crowd.diverged[3] == 0 < crowd.diverged[1]
    for net, at in enumerate(crowd.diverged):
        assert np.isinf(losses[:, net]).tolist() == [0 <= at <= step for step in range(len(losses))]
    assert np.isfinite(crowd.layers[0].M).all()
    assert (crowd.layers[0].M[3] == started[3]).all()  # nothing taken
    # bit for bit as in a crowd where nobody diverges
    calm = blowing_up(5)
    for array in calm.parameters.values():
        array[[1, 3]] = array[[0, 0]]
    others = np.array(list(calm.steps(facts.batches(batch))))
    assert (calm.diverged == -1).all()
    kept = [0, 2, 4]
    assert losses[:, kept].tobytes() == others[:, kept].tobytes()
    for key, p in crowd.parameters.items():
        assert p[kept].tobytes() == calm.parameters[key][kept].tobytes()
    again = list(crowd.steps(facts.batches(batch)))
    others = list(calm.steps(facts.batches(batch)))
    assert loss_bits(loss[kept] for loss in again) == loss_bits(loss[kept] for loss in others)


def test_a_net_that_diverged_takes_no_step_that_would_be_finite_either() -> None:
    crowd = Network([Affinity(1, 1), Map(lambda x: x * x, lambda x: 2 * x)], optimizer=SGD(0.01))
    crowd = crowd.replicate(2, rng=0)
    x = np.full((4, 2, 1, 1), 0.5)
    x[1, 0] = 1e200  # net 0 gets a fact that blows it up
    before = []
    losses = []
    for loss in crowd.steps([(each, np.ones((2, 1, 1))) for each in x]):
        losses.append(loss)
        before.append(crowd.layers[0].M.copy())
    assert np.isinf(losses).tolist() == [
        [False, False],
        [True, False],
        [True, False],
        [True, False],
    ]
    assert crowd.diverged.tolist() == [1, -1]
    assert (before[0][0] == before[3][0]).all()
    assert (before[0][1] != before[3][1]).all()


def test_a_crowd_stops_where_all_have_diverged() -> None:
    crowd = Network([Affinity(1, 1), Map(lambda x: x * x, lambda x: 2 * x)]).replicate(2, rng=0)
    for array in crowd.parameters.values():
        array[...] = 1e120
    losses = list(crowd.steps([([1.0], [0.0])] * 5))
    assert len(losses) == 1
    assert np.isinf(losses[0]).all()
    assert crowd.diverged.tolist() == [0, 0]
    crowd.diverged[0] = 7  # what is shown is a copy
    assert crowd.diverged.tolist() == [0, 0]


def test_learning_in_a_larger_crowd_is_the_same_to_the_bit() -> None:
    for make in ARCHITECTURES:
        net = make(loss=BinaryCrossEntropy(), optimizer=Adam(0.01))
        smaller, larger = net.replicate(3, rng=0), net.replicate(40, rng=0)
        for facts in (TWO, TWO.batches(4)):
            a, b = list(smaller.steps(facts, 5)), list(larger.steps(facts, 5))
            assert loss_bits(a) == loss_bits([loss[:3] for loss in b])
        for key, p in smaller.parameters.items():
            assert p.tobytes() == larger.parameters[key][:3].tobytes()
