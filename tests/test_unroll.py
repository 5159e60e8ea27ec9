"""The written-out step: it computes what the layers compute, in every engine."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minnet import (
    SGD,
    Adam,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    MeanSquaredError,
    Network,
    Parameter,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
    along_batch,
    batch_sum,
)
from minnet.facts import gate
from minnet.snapshots import Snapshot
from minnet.unroll.symbols import Tape, Untraceable


class Softplus(Layer):
    """log(1 + exp(s x)) / s, with a slope s per unit: a user's own layer."""

    s = Parameter()

    def __init__(self, n, name=None):
        super().__init__(n, n, name)
        self.s = np.ones(n)

    def forward(self, x):
        s = along_batch(self.s)
        return np.log1p(np.exp(-abs(s * x))) / s + np.maximum(x, 0), x

    def backprop(self, dy, x, inputs=True):
        s = along_batch(self.s)
        e = np.exp(-abs(s * x))
        slope = np.where(s * x < 0, e, np.ones_like(e)) / (1 + e)
        ds = dy * ((slope * x - np.maximum(x, 0)) / s - np.log1p(e) / s**2)
        return dy * slope, {"s": batch_sum(ds)}


ACTIVATIONS = {
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky": lambda: LeakyReLU(0.2),
    "identity": Identity,
    "map": lambda: Map(lambda x: x * x / 9, lambda x: 2 * x / 9),
    "constant slope": lambda: Map(lambda x: 0.5 * x, lambda x: 0.5),
    "softplus": lambda: Softplus(4),
}
OPTIMIZERS = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.02, momentum=0.9, weight_decay=0.01),
    "adam": Adam(0.01),
}
LOSSES = {
    "squared": SquaredError(),
    "squared mean": SquaredError("mean"),
    "mse": MeanSquaredError(),
    "bce": BinaryCrossEntropy(),
    "bce logits": BinaryCrossEntropy(from_logits=True),
    "softmax": SoftmaxCrossEntropy("mean"),
}


def network(
    activation="tanh", optimizer="sgd", loss="squared", dtype=np.float64, engine="auto", rng=0
):
    layers = [Affinity(3, 4, "fc1"), ACTIVATIONS[activation](), Affinity(4, 2, "fc2")]
    if loss == "bce":
        layers.append(Sigmoid())
    net = Network(layers, loss=LOSSES[loss], optimizer=OPTIMIZERS[optimizer], dtype=dtype)
    net.randomize(rng)
    for layer in net.layers:
        if isinstance(layer, Softplus):
            layer.s = np.abs(layer.s) + 0.5
    net.engine = engine
    return net


def data(seed=0, facts=12):
    rng = np.random.default_rng(seed)
    return Facts(rng.standard_normal((facts, 3)), rng.uniform(size=(facts, 2)))


def assert_equal_step(fast, slow, learn):
    """One step from equal parameters agrees to 1e-12 of the largest entry (float32: 1e-5)."""
    tolerance = 1e-12 if fast.dtype == np.float64 else 1e-5
    got, expected = np.asarray(learn(fast)), np.asarray(learn(slow))
    assert abs(fast._flat - slow._flat).max() <= tolerance * abs(slow._flat).max()
    assert abs(got - expected).max() <= tolerance * max(1, abs(expected).max())
    for key, array in slow._memory.items():
        assert abs(fast._memory[key] - array).max() <= tolerance * max(1, abs(array).max())


def combinations(last):
    """All triples of activation, optimizer and loss, and with each two of them all of `last`."""
    for i, activation in enumerate(ACTIVATIONS):
        for j, optimizer in enumerate(OPTIMIZERS):
            for k, loss in enumerate(LOSSES):
                yield activation, optimizer, loss, last[(i + j + k) % len(last)]


@pytest.mark.parametrize("activation, optimizer, loss, size", [*combinations([None, 1, 5])])
def test_floats_take_the_step_of_the_layers(activation, optimizer, loss, size):
    facts = data()
    work = list(facts) if size is None else facts.batches(size)
    fast = network(activation, optimizer, loss)
    slow = network(activation, optimizer, loss, engine="layers")
    assert (fast.engine, slow.engine) == ("floats", "layers")
    for fact in work[:2]:
        assert_equal_step(fast, slow, lambda net, fact=fact: net.learn([fact]))
        slow._flat[...] = fast._flat
        for key in slow._memory:
            slow._memory[key][...] = fast._memory[key]


@pytest.mark.parametrize(
    "activation, optimizer, loss, dtype", [*combinations([np.float64, np.float32])]
)
def test_arrays_take_the_step_of_the_layers(activation, optimizer, loss, dtype):
    fast = network(activation, optimizer, loss, dtype).replicate(11, 3)
    slow = network(activation, optimizer, loss, dtype, "layers").replicate(11, 3)
    for net in (fast, slow):
        if activation == "softplus":
            net.layers[1].s = np.abs(net.layers[1].s) + 0.5
    assert (fast.engine, slow.engine) == ("arrays", "layers")
    rng = np.random.default_rng(1)
    shared = data().batches(4)[0]
    own = (rng.standard_normal((11, 4, 3)), rng.uniform(size=(11, 4, 2)))
    for fact in (shared, own, data().batches(1)[0], next(iter(data()))):
        assert_equal_step(fast, slow, lambda net, fact=fact: net.learn([fact]))
        slow._flat[...] = fast._flat
        for key in slow._memory:
            slow._memory[key][...] = fast._memory[key]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_buffers_take_the_step_of_the_layers(activation, optimizer, loss, dtype):
    fast = network(activation, optimizer, loss, dtype, "arrays")
    slow = network(activation, optimizer, loss, dtype, "layers")
    assert (fast.engine, slow.engine) == ("arrays", "layers")
    backwards = tuple(array[::-1] for array in data().batches(4)[2])
    for fact in (*data().batches(4)[:2], backwards, *list(data())[:2]):
        assert_equal_step(fast, slow, lambda net, fact=fact: net.learn([fact]))
        slow._flat[...] = fast._flat
        for key in slow._memory:
            slow._memory[key][...] = fast._memory[key]


def test_buffers_follow_the_network_wherever_its_numbers_lie():
    net, slow = (network("relu", "momentum", engine=engine) for engine in ("arrays", "layers"))
    start = [Snapshot(net), Snapshot(slow)]
    batches = data().batches(4)

    def learned_alike():
        for each in (net, slow):
            each.learn(batches, epochs=3)
        np.testing.assert_allclose(net._flat, slow._flat, rtol=1e-12, atol=1e-12)

    learned_alike()
    for snapshot in start:
        snapshot.restore()
    learned_alike()
    for each in (net, slow):
        each.extend(Affinity(2, 2, rng=5))
    learned_alike()
    for each in (net, slow):
        each.alpha = 0.001
        each.layers[0].M = np.ones((4, 3))
    learned_alike()
    net, slow = net.copy(), slow.copy()
    learned_alike()


def test_buffers_leave_steps_that_are_not_finite_to_the_layers():
    for momentum in (0, 0.9):
        facts = [([v], [v]) for v in np.random.default_rng(0).standard_normal(300)]
        for seed in range(20):
            fast, slow = quartic(), quartic()
            for net, engine in ((fast, "arrays"), (slow, "layers")):
                net.optimizer = SGD(0.1, momentum=momentum)
                net.randomize(seed)
                net.engine = engine
            assert (fast.learn(facts) == np.inf) == (slow.learn(facts) == np.inf)
            assert fast.diverged == slow.diverged
            assert np.isfinite(fast._flat).all()
    net = network(loss="bce", engine="arrays")
    net.layers = net.layers[:-1]  # outputs that are no probabilities
    before = net._flat.copy()
    with pytest.raises(ValueError, match="takes outputs in"):
        net.learn(data().batches(4))
    assert (net._flat == before).all()


def test_logaddexp_is_written_out():
    softplus = Map(lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x)))
    fast, slow = (Network([Affinity(3, 2, rng=0), layer]) for layer in (softplus, softplus.copy()))
    slow.engine = "layers"
    assert fast.engine == "floats" and "log1p" in fast.unrolled(forward_only=True)
    for fact in data():
        assert_equal_step(fast, slow, lambda net, fact=fact: net.learn([fact]))
        slow._flat[...] = fast._flat


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_identities_hold_but_for_rounding(dtype):
    x = np.concatenate([np.linspace(-60, 60, 4001), [0.0, -0.0, 1e-30, -1e-30]]).astype(dtype)
    crowd = Network([Affinity(1, 1), Sigmoid()], dtype=dtype).replicate(len(x), 0)
    crowd.layers[0].M, crowd.layers[0].b = np.zeros((len(x), 1, 1)), x[:, None]
    steps = {}
    for engine in ("arrays", "layers"):
        net = crowd.copy()
        net.engine = engine
        assert net.engine == engine
        net.learn([(np.ones((1, 1)), np.full((1, 1), 2.0))])
        steps[engine] = net.layers[0].M.ravel()  # it was 0, so that its last digits are seen
    assert (steps["layers"] > 0).all()
    np.testing.assert_allclose(steps["arrays"], steps["layers"], rtol=8 * np.finfo(dtype).eps)


class Turned(Layer):
    """tanh x, turned about, which takes a copy; then a view of it, read after much else."""

    def forward(self, x):
        z = np.tanh(x)
        turned = z.reshape(*z.shape[:-1], 2, 2).mT.reshape(z.shape)
        return turned[..., ::-1] * (np.exp(z) * z) + np.exp(z), None

    def backprop(self, dy, cache, inputs=True):
        return +dy, {}


def test_a_view_of_a_copy_keeps_its_numbers():
    net = Network([Affinity(3, 4, rng=0), Turned(), Affinity(4, 2, rng=1)])
    fast, slow = net.replicate(8, 0), net.replicate(8, 0)
    slow.engine = "layers"
    assert fast.engine == "arrays"
    assert_equal_step(fast, slow, lambda net: net.learn([data().batches(5)[0]]))


@pytest.mark.parametrize("step", [1, 2])
def test_what_a_fact_holds_is_read_at_every_step(step):
    fast, slow = network(engine="arrays"), network(engine="layers")
    x, t = np.ones((4, 3 * step))[:, ::step], np.ones((4, 2 * step))[:, ::step]
    assert fast.engine == "arrays"
    for fact, changed in (((x, t), x), ((x, t), t), ((x, t), x), ((x, t - 1), x), ((x - 1, t), t)):
        for net in (fast, slow):
            net.learn([fact])
        np.testing.assert_allclose(fast._flat, slow._flat, rtol=1e-12)
        changed *= 0.5


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_bits_do_not_depend_on_how_the_steps_are_asked_for(optimizer, crowd):
    def fresh():
        net = network("sigmoid", optimizer)
        return net.replicate(9, 0) if crowd else net

    facts = data(facts=40)
    at_once, one_by_one, in_parts, stepped, iterated = (fresh() for _ in range(5))
    last = at_once.learn(facts, epochs=15)
    for _ in range(15):
        for fact in facts:
            each = one_by_one.learn([fact])
    in_parts.learn(facts, epochs=7)
    in_parts.learn(list(facts), epochs=8)
    losses = list(stepped.steps(facts, epochs=15))
    for _ in range(15):
        iterated.learn(iter(facts))
    for other in (one_by_one, in_parts, stepped, iterated):
        assert other._flat.tobytes() == at_once._flat.tobytes()
    np.testing.assert_array_equal(last, each)
    np.testing.assert_array_equal(last, losses[-1])


def test_a_net_is_the_same_in_any_crowd_and_on_any_threads():
    facts = gate("xor").batches(4)
    few, many, threads = (network_221().replicate(nets, 7) for nets in (3, 9000, 9000))
    threads.threads = 2
    for crowd in (few, many, threads):
        crowd.learn(facts, epochs=70)
    assert few._flat.tobytes() == many._flat[:3].tobytes()
    assert threads._flat.tobytes() == many._flat.tobytes()


def network_221(**settings):
    return Network([Affinity(2, 2), Sigmoid(), Affinity(2, 1), Sigmoid()], **settings)


@pytest.mark.parametrize("engine", ["auto", "layers"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_net_may_have_its_own_alpha(optimizer, engine, dtype):
    crowd = network("sigmoid", optimizer, "squared", dtype, engine).replicate(5, 0)
    rates = np.array([0.05, 0.01, 0.02, 0.03, 1e-4])
    facts = data().batches(3)
    alone = [crowd.member(i) for i in range(5)]
    crowd.alpha = rates
    losses = crowd.learn(facts, epochs=2)
    for i, net in enumerate(alone):
        net.alpha = rates[i]
        tolerance = 1e-10 if dtype == np.float64 else 1e-4
        assert net.learn(facts, epochs=2) == pytest.approx(losses[i], rel=tolerance)
        np.testing.assert_allclose(net._flat, crowd._flat[i], rtol=tolerance, atol=tolerance)
        assert crowd.member(i).alpha == pytest.approx(rates[i])
    np.testing.assert_allclose(crowd.alpha, rates, rtol=1e-6)
    for bad in ([0.1] * 4, [0.1, 0.1, 0.1, 0.1, -1], [0.1, np.nan, 1, 1, 1], [[0.1] * 5], "a"):
        with pytest.raises((TypeError, ValueError), match="alpha"):
            crowd.alpha = bad
    np.testing.assert_allclose(crowd.alpha, rates, rtol=1e-6)
    with pytest.raises(TypeError, match="alpha"):
        crowd.member(0).alpha = [0.1]


def quartic():
    square = [Map(lambda x: x * x / 2, lambda x: x) for _ in range(2)]
    return Network([Affinity(1, 1), square[0], Affinity(1, 1), square[1]], optimizer=SGD(0.1))


def test_divergence_is_that_of_the_layers():
    facts = [([v], [v]) for v in np.random.default_rng(0).standard_normal(300)]
    fast, slow = quartic(), quartic()
    slow.engine = "layers"
    fast, slow = fast.replicate(60, 1), slow.replicate(60, 1)
    assert (fast.engine, slow.engine) == ("arrays", "layers")
    losses, expected = fast.learn(facts), slow.learn(facts)
    assert 0 < (slow.diverged >= 0).sum() < 60
    np.testing.assert_array_equal(fast.diverged, slow.diverged)
    np.testing.assert_array_equal(np.isinf(losses), np.isinf(expected))
    for i in (*np.flatnonzero(slow.diverged >= 0)[:4], *np.flatnonzero(slow.diverged < 0)[:4]):
        alone = network_like(slow, i)
        assert alone.engine == "floats"
        alone.learn(facts)
        assert (-1 if alone.diverged is None else alone.diverged) == slow.diverged[i]
        np.testing.assert_allclose(alone._flat, slow._flat[i], rtol=1e-9)
    survivors = np.flatnonzero(fast.diverged < 0)
    again = quartic().replicate(60, 1)
    again._flat[slow.diverged >= 0] = 0  # without the others they come out the same
    again.learn(facts)
    assert again._flat[survivors].tobytes() == fast._flat[survivors].tobytes()


def network_like(crowd, i):
    net = quartic().replicate(60, 1).member(i)
    return net


def test_a_step_that_overflows_only_for_a_moment_is_left_to_the_layers():
    late = Map(
        lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-abs(x)) / (1 + np.exp(-abs(x))) ** 2
    )
    fast, slow = (Network([Affinity(1, 1), layer, Affinity(1, 1)]) for layer in (late, late.copy()))
    slow.engine = "layers"
    for net in (fast, slow):
        net.layers[0].M, net.layers[0].b = [[1]], [-800]  # exp(800) overflows, 1/inf is 0
        net.layers[2].M, net.layers[2].b = [[1]], [0.5]
    with np.errstate(over="ignore"):
        assert fast.learn([([0], [1])] * 3) == pytest.approx(
            slow.learn([([0], [1])] * 3), rel=1e-12
        )
    assert fast.engine == "floats" and fast.diverged is None
    np.testing.assert_allclose(fast._flat, slow._flat, rtol=1e-12)


@pytest.mark.parametrize("crowd", [False, True])
def test_errors_are_those_of_the_layers_and_change_nothing(crowd):
    def fresh(*layers, **settings):
        net = Network(layers, **settings)
        net.randomize(0)
        return net.replicate(5, 0) if crowd else net

    square_root = fresh(Affinity(1, 1), Map(np.sqrt, lambda x: 0.5 / np.sqrt(x)))
    beyond = fresh(Affinity(1, 1), loss=BinaryCrossEntropy())
    for net, message in ((square_root, "returned nan"), (beyond, "from_logits")):
        assert net.engine != "layers"
        before = net._flat.tobytes()
        with pytest.raises(ValueError, match=message):
            net.learn([([100.0], [1]), ([-100.0], [1]), ([100.0], [0])], epochs=3)
        assert net._flat.tobytes() == before
        assert net._memory is None


def test_nan_and_inf_do_not_slip_through_the_short_way():
    net = Network([Tanh(), Affinity(2, 1)])
    good = (np.array([1.0, 2.0]), np.array([1.0]))
    net.learn([good]), net.learn([good])
    before = net._flat.tobytes()
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="finite"):
            net.learn([(np.array([1.0, bad]), np.array([1.0]))])
        with pytest.raises(ValueError, match="finite"):
            net.learn([(np.array([1.0, 2.0]), np.array([bad]))])
    assert net._flat.tobytes() == before


@pytest.mark.parametrize("kind", [complex, str, object])
@pytest.mark.parametrize("which", ["x", "expected"])
def test_no_other_kind_of_number_slips_through_the_short_way(which, kind):
    net, (x, t) = network(), next(iter(data()))
    net.learn([(x, t)])
    before = net._flat.copy()
    fact = (x.astype(kind), t) if which == "x" else (x, t.astype(kind))
    fact[which == "expected"][:1] = {complex: 1j, str: "a", object: None}[kind]
    with pytest.raises((TypeError, ValueError), match=f"fact #0: {which}"):
        net.learn([fact])
    np.testing.assert_array_equal(net._flat, before)


def test_an_expected_value_out_of_range_does_not_slip_through_the_short_way():
    net = network_221(loss=BinaryCrossEntropy())
    x = np.array([1.0, 0.0])
    net.learn([(x, np.array([1.0]))]), net.learn([(x, np.array([1.0]))])
    with pytest.raises(ValueError, match=r"\[0.0, 1.0\]"):
        net.learn([(x, np.array([1.5]))])


def test_changes_of_every_kind_reach_the_program():
    net = network_221()
    x, t = np.array([1.0, 0.0]), np.array([1.0])
    changes = [
        lambda net: None,
        lambda net: setattr(net, "alpha", 0.7),
        lambda net: setattr(net.layers[0], "M", [[1, 2], [3, 4]]),
        lambda net: setattr(net, "loss", MeanSquaredError()),
        lambda net: setattr(net, "optimizer", SGD(0.2, weight_decay=0.5)),
        lambda net: setattr(net, "optimizer", SGD(0.2, momentum=0.5)),
        lambda net: setattr(net, "optimizer", SGD(0.2, momentum=0.9)),
        lambda net: net.extend(Affinity(1, 1, rng=5)),
        lambda net: setattr(net, "layers", net.layers[:3]),
        lambda net: net.layers[2].b.__setitem__(0, 0.25),
    ]
    slow = net.copy()
    slow.engine = "layers"
    for change in changes:
        for each in (net, slow):
            change(each)
        for _ in range(3):
            assert net.learn([(x, t)]) == pytest.approx(slow.learn([(x, t)]), rel=1e-10)
        np.testing.assert_allclose(net._flat, slow._flat, rtol=1e-10)
        assert net.engine == "floats"


def test_a_restored_network_forgets_the_program_of_another_loss_or_optimizer():
    x, t = np.array([1.0, 0.0]), np.array([1.0])
    for change in (
        lambda net: setattr(net, "loss", MeanSquaredError()),
        lambda net: setattr(net, "optimizer", SGD(0.1, momentum=0.9)),
        lambda net: setattr(net, "alpha", 0.7),
    ):
        net = network_221()
        before, slow = Snapshot(net), net.copy()
        slow.engine = "layers"
        change(net)
        net.learn([(x, t)])
        before.restore()
        for _ in range(3):
            assert net.learn([(x, t)]) == pytest.approx(slow.learn([(x, t)]), rel=1e-12)


def test_the_text_runs_and_is_the_step():
    for optimizer, loss in (("sgd", "bce"), ("momentum", "squared"), ("adam", "softmax")):
        net = network("sigmoid", optimizer, loss)
        x, t = next(iter(data()))
        net.learn([(x, t)])  # so that the optimizer remembers something
        names = {"alpha": net.alpha, **vars(math)}
        for key, array in net.parameters.items():
            for index, value in np.ndenumerate(array):
                names["_".join([key.replace(".", "_"), *map(str, index)])] = float(value)
        flat = [name for name in names if name.startswith("fc")]
        for key, array in (net._memory or {}).items():
            for i, value in enumerate(array.tolist()):
                names[f"{flat[i]}_{key}" if array.size == net.size else f"memory_{key}_{i}"] = value
        names |= {f"x_{j}": v for j, v in enumerate(x)} | {f"t_{i}": v for i, v in enumerate(t)}
        exec(net.unrolled(), names)
        assert net.learn([(x, t)]) == pytest.approx(names["loss"], rel=1e-12)
        for name, value in zip(flat, net._flat, strict=True):
            assert names[name] == pytest.approx(value, rel=1e-12)


def test_the_text_of_a_small_network_fits_a_screen():
    text = network_221().unrolled()
    assert len(text.splitlines()) < 50
    assert max(map(len, text.splitlines())) < 100
    sections = ["# forward", "# loss", "# back", "# update"]
    assert [line for line in text.splitlines() if line.startswith("#")] == sections


def test_the_text_takes_numbers_a_batch_and_latex():
    net = network_221()
    forward = net.unrolled((gate("xor").X, gate("xor").T), forward_only=True, numbers=True)
    names = dict(vars(math))
    exec(forward, names)
    for i, y in enumerate(net(gate("xor").X)):
        assert names[f"sigmoid3_{i}_0"] == pytest.approx(y[0], rel=1e-12)
    assert net.unrolled(latex=True).startswith(r"\begin{aligned}")
    assert r"\frac" in net.unrolled(latex=True, forward_only=True)


def test_what_cannot_be_written_out_runs_on_the_layers_and_says_why():
    branching = Network([Affinity(1, 1), Map(lambda x: 1 if x > 0 else 0, lambda x: 0, "step")])
    plain = Network([Map(math.tanh, lambda x: 1 - math.tanh(x) ** 2), Affinity(1, 1)])
    large = Network([Affinity(100, 100)])
    narrow = Network([Affinity(1, 1)], dtype=np.float32)
    reasons = {branching: "'step'", plain: "map0", large: "too large", narrow: "float64"}
    for net, reason in reasons.items():
        n = net.n or 1
        assert net.learn([(np.ones(n), np.ones(net.m or 1))]) >= 0
        assert net.engine == ("layers" if net in (branching, plain) else "arrays")
        assert reason in net.engine.why
    with pytest.raises(ValueError, match="Map 'step' cannot be written out"):
        branching.unrolled()
    with pytest.raises(ValueError, match="most"):
        large.unrolled()
    with pytest.raises(ValueError, match="member"):
        network_221().replicate(3).unrolled()


def test_the_engine_can_be_set_and_is_kept():
    net = network_221()
    net.engine = "layers"
    assert net.engine == "layers" and "asked" in net.engine.why
    assert net.copy().engine == "layers"
    with pytest.raises(ValueError, match="auto, layers"):
        net.engine = "gpu"
    assert net.engine == "layers"
    net.engine = "arrays"
    assert net.engine == "arrays"
    crowd = net.replicate(3)
    crowd.engine = "floats"
    assert crowd.engine == "layers"
    assert "crowd" in crowd.engine.why


@pytest.mark.parametrize("expression", [
    lambda a: bool(a > 0),
    lambda a: float(a[0]),
    lambda a: np.linalg.norm(a),
    lambda a: np.sort(a),
    lambda a: a[a > 0],
    lambda a: np.add.accumulate(a),
    lambda a: np.add(a, 1, out=np.zeros(3)),
    lambda a: math.exp(a),
    lambda a: a + "text",
    lambda a: [v for v in a if v],
])  # fmt: skip
def test_what_needs_numbers_raises_on_symbols(expression):
    with pytest.raises((Untraceable, TypeError)):
        expression(Tape(np.dtype(np.float64)).input("x", (3,)))


def test_names_that_look_alike_are_not_mixed_up():
    for first, second in (("a", "a_1"), ("x", "t"), ("d", "loss"), ("1st", "é b"), ("in", "for")):
        nets = [Network([Affinity(2, 2, first), Tanh(), Affinity(2, 1, second)]) for _ in "ab"]
        nets[1]._flat[...] = nets[0]._flat
        nets[1].engine = "layers"
        for net in nets:
            net.learn(gate("xor").batches(2), epochs=2)
        np.testing.assert_allclose(nets[0]._flat, nets[1]._flat, rtol=1e-12)


def test_brackets_are_written_where_the_order_matters():
    subtracting = Map(lambda x: x - (x * x - (x - 0.25)), lambda x: 2 - 2 * x)
    dividing = Map(lambda x: x / (1 / (2 + x * x) / 3), lambda x: 6 + 9 * x * x)
    for layer in (subtracting, dividing):
        net = Network([Affinity(1, 1, rng=0), layer])
        slow = net.copy()
        slow.engine = "layers"
        fact = [(np.array([0.7]), np.array([0.1]))]
        assert net.learn(fact) == pytest.approx(slow.learn(fact), rel=1e-14)
        np.testing.assert_allclose(net._flat, slow._flat, rtol=1e-14)


class Lookahead(SGD):
    """Descends along the average of the last direction and this one: reads v after it is new."""

    def start(self, p):
        return {"v": np.zeros_like(p)}

    def update(self, p, g, state):
        return p - self.alpha * (g + state["v"]) / 2, {"v": g - 0.5 * p}


def test_old_values_are_not_mixed_up_with_new_ones():
    net = Network([Affinity(1, 1, rng=0)], optimizer=Lookahead(0.1))
    slow = net.copy()
    slow.engine = "layers"
    facts = [(np.array([0.7]), np.array([0.1]))] * 4
    assert net.learn(facts) == pytest.approx(slow.learn(facts), rel=1e-14)
    np.testing.assert_allclose(net._flat, slow._flat, rtol=1e-14)
    assert net.engine == "floats"
