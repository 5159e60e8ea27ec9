"""How networks are put together: places, names, widths, one flat array, and the way back."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import dill
import numpy as np
import pytest

from minnet import (
    SGD,
    Adam,
    Affinity,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    MeanSquaredError,
    Network,
    Parameter,
    ReLU,
    Sigmoid,
    SquaredError,
    Tanh,
)
from minnet.facts import gate
from minnet.snapshots import Snapshot

XOR = gate("xor")
DUPLICATES = [
    lambda thing: thing.copy(),
    copy.copy,
    copy.deepcopy,
    lambda thing: pickle.loads(pickle.dumps(thing)),
    lambda thing: dill.loads(dill.dumps(thing)),
]


def nested() -> Network:
    """2-3-3-1, of which the middle is a network of its own."""
    block = Network([Affinity(3, 3, name="fc"), ReLU()], name="block")
    net = Network([Affinity(2, 3, name="in"), block, Affinity(3, 1, name="out")])
    net.randomize(0)
    return net


def bits(net: Network) -> list[tuple[str, bytes]]:
    return [(key, array.tobytes()) for key, array in net.parameters.items()]


def assert_one_flat_array(net: Network) -> None:
    """The parameters, here and in nested networks, lie side by side in one array of net's."""
    flat, place = net._flat, 0
    lead = () if net.nets is None else (net.nets,)
    assert flat.shape == (*lead, net.size)
    for key, array in net.parameters.items():
        size = math.prod(net.shapes[key])
        assert array.shape == lead + net.shapes[key]
        array[...] = np.arange(place, place + size).reshape(net.shapes[key])
        place += size
    assert place == net.size
    assert (flat == np.arange(place)).all()
    for layer in net.layers:
        if isinstance(layer, Network):
            assert np.shares_memory(layer._flat, flat) or not layer.size


# names and labels


def test_names_are_given_or_made_from_kind_and_number() -> None:
    net = Network([Affinity(2, 2, name="fc1"), ReLU(), Affinity(2, 1), Network([Tanh()])])
    assert net.names == ("fc1", "relu1", "affinity2", "network3")
    assert [layer.name for layer in net.layers] == list(net.names)
    assert net["fc1"] is net.layers[0]
    assert net["relu1"] is net.layers[1]
    assert net["network3.tanh0"] is net.layers[3].layers[0]
    assert list(net.parameters) == ["fc1.M", "fc1.b", "affinity2.M", "affinity2.b"]
    relu = net.layers[1]
    net.layers = net.layers[1:]
    assert relu.name == "relu0"
    net.layers = ()
    assert relu.name is None
    assert net.names == ()


def test_labels_say_kind_number_and_name() -> None:
    layer, plain = Affinity(2, 2, name="fc1"), ReLU()
    assert (layer.label, plain.label) == ("Affinity 'fc1'", "ReLU")
    net = Network([plain, layer])
    assert (layer.label, plain.label) == ("Affinity #1 'fc1'", "ReLU #0 'relu0'")
    assert net.label == "Network"
    Network([net])
    assert net.label == "Network #0 'network0'"


def test_parameters_of_nested_networks_have_paths() -> None:
    net = nested()
    paths = ["in.M", "in.b", "block.fc.M", "block.fc.b", "out.M", "out.b"]
    assert list(net.parameters) == list(net.shapes) == paths
    assert net["block.fc"] is net["block"]["fc"] is net.layers[1].layers[0]
    assert net.parameters["block.fc.M"] is net["block.fc"].M
    assert net.size == sum(array.size for array in net.parameters.values()) == 9 + 12 + 4


def test_the_same_name_twice_is_refused_only_in_one_network() -> None:
    with pytest.raises(ValueError, match="layers #0 and #1 are both named 'a'"):
        Network([ReLU(name="a"), Tanh(name="a")])
    Network([ReLU(name="a"), Network([ReLU(name="a")], name="b")])


# places


def test_a_layer_has_one_place() -> None:
    layer = Affinity(2, 2, name="fc1")
    net, other = Network([layer]), Network([ReLU()])
    for put in (
        lambda: Network([layer]),
        lambda: net.extend(layer),
        lambda: other.extend([Tanh(), layer]),
        lambda: Network([ReLU(), Network([layer])]),
    ):
        with pytest.raises(
            ValueError, match=r"Affinity #0 'fc1' already has its place.*\.copy\(\)"
        ):
            put()
    new = Affinity(2, 2)
    with pytest.raises(ValueError, match=r"already has its place.*\.copy\(\).*#1"):
        Network([new, new])
    Network([new])  # what was refused has taken no place
    assert net.layers == (layer,)
    assert len(other.layers) == 1
    other.extend(layer.copy())
    assert other["fc1"] is not layer


def test_a_network_cannot_be_in_itself() -> None:
    inner = Network([Affinity(2, 2)])
    outer = Network([inner])
    for chain, layer in ((inner, inner), (inner, outer), (outer, outer)):
        with pytest.raises(ValueError, match="cannot be put into itself"):
            chain.extend(layer)
    assert len(inner.layers) == len(outer.layers) == 1


def test_a_removed_layer_is_free_and_keeps_its_numbers() -> None:
    net = nested()
    first, block, out = net.layers
    numbers = bits(net)
    net.layers = [first, Affinity(3, 1, name="other")]
    assert first.label == "Affinity #0 'in'"
    assert out.label == "Affinity 'out'"
    assert numbers == [
        *((f"in.{key}", a.tobytes()) for key, a in first.parameters.items()),
        *((f"block.{key}", a.tobytes()) for key, a in block.parameters.items()),
        *((f"out.{key}", a.tobytes()) for key, a in out.parameters.items()),
    ]
    before = bits(net)
    out.M, block["fc"].b = np.zeros((1, 3)), np.zeros(3)
    assert bits(net) == before
    assert_one_flat_array(block)
    again = Network([out])
    assert again["out"] is out


@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float64, np.float32)])
def test_numbers_survive_nets_of_another_float_type(dtypes: tuple[type, type]) -> None:
    """What leaves a network, or is copied in it, has the numbers that it had there."""
    inner = Network([Affinity(2, 2)], dtype=dtypes[0])
    outer = Network([inner], dtype=dtypes[1])
    outer.randomize(0)
    assert inner.dtype == inner.layers[0].M.dtype == dtypes[1]
    there = inner.layers[0].M.copy()
    np.testing.assert_array_equal(inner.copy().layers[0].M, there)
    np.testing.assert_array_equal(outer.copy().layers[0].layers[0].M, there)
    outer.layers = ()
    np.testing.assert_array_equal(inner.layers[0].M, there)
    assert_one_flat_array(inner)


# widths


@pytest.mark.parametrize(
    "layers, words",
    [
        (
            [Affinity(4, 3), ReLU(name="relu"), Affinity(2, 1, name="out")],
            "Affinity #2 'out' takes 2 inputs, but layer #1 'relu' gives 3",
        ),
        (
            [Affinity(4, 3), Affinity(2, 1)],
            "Affinity #1 'affinity1' takes 2 inputs, but layer #0 'affinity0' gives 3",
        ),
        (
            [Network([Affinity(4, 3), ReLU()], name="block"), Affinity(2, 1)],
            "Affinity #1 'affinity1' takes 2 inputs, but layer #0 'block' gives 3",
        ),
        (
            [Affinity(4, 3), Network([Tanh(), Affinity(2, 1)], name="block")],
            "Network #1 'block' takes 2 inputs, but layer #0 'affinity0' gives 3",
        ),
    ],
)
def test_widths_are_checked_when_put_together(layers: list, words: str) -> None:
    with pytest.raises(ValueError) as error:
        Network(layers)
    assert str(error.value) == words
    assert all(layer.label.find("#") < 0 for layer in layers)  # none has found a place
    net = Network(layers[:-1])
    with pytest.raises(ValueError) as error:
        net.extend(layers[-1])
    assert str(error.value) == words
    assert net.layers == tuple(layers[:-1])


def test_widths_are_checked_through_the_networks_above() -> None:
    net = nested()
    before, structure = bits(net), net.layers
    with pytest.raises(ValueError, match="'out' takes 3 inputs, but layer #1 'block' gives 5"):
        net["block"].extend(Affinity(3, 5))
    with pytest.raises(ValueError, match="'block' takes 4 inputs, but layer #0 'in' gives 3"):
        net["block"].layers = [Affinity(4, 3)]
    assert bits(net) == before
    assert net.layers == structure
    assert len(net["block"].layers) == 2
    net["block"].extend(Affinity(3, 3, name="more"))
    assert net.size == 25 + 12
    assert [pair for pair in bits(net) if "more" not in pair[0]] == before
    assert_one_flat_array(net)


def test_widths_of_networks() -> None:
    any_width, net = Network([ReLU(), Tanh()]), Network([ReLU(), Affinity(2, 3), Tanh()])
    assert (Network().n, Network().m) == (any_width.n, any_width.m) == (None, None)
    assert (net.n, net.m) == (2, 3)
    assert nested()["block"].n == 3
    np.testing.assert_array_equal(Network()([3, 5]), [3, 5])


# failures change nothing


def test_a_refused_structure_changes_nothing() -> None:
    net = nested()
    net.optimizer = SGD(0.1, momentum=0.9)
    net.learn(XOR)
    twin, layers = net.copy(), net.layers
    taken = Network([Affinity(1, 1, name="taken")]).layers[0]

    def raising():
        yield net.layers[0]
        raise RuntimeError("planned")

    for new in (
        [*layers, taken],
        [*layers, 3],
        [*layers, Affinity],
        layers[::-1],
        [*layers, ReLU(name="in")],
        [*layers, layers[0]],
        [*layers, [ReLU()]],
        3,
        None,
        "in",
        raising(),
        [*layers, Network([Affinity(1, 1)]).replicate(2, rng=0)],
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            net.layers = new
        assert net.layers == layers
    assert bits(net) == bits(twin)
    assert list(net.steps(XOR)) == list(twin.steps(XOR))  # what is remembered too


# one flat array


@pytest.mark.parametrize("nets", [None, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_parameters_stay_views_of_one_array(nets: int | None, dtype: type) -> None:
    net = Network([*(layer.copy() for layer in nested().layers)], dtype=dtype)
    if nets is not None:
        net = net.replicate(nets, rng=0)
    new = Network([Affinity(1, 1)], dtype=dtype)
    new = new.layers[0] if nets is None else new.replicate(nets, rng=0).layers[0]
    for operation in (
        lambda: net.learn(XOR),
        lambda: net.randomize(1),
        lambda: setattr(net["in"], "M", 0 * net["in"].M),
        lambda: setattr(net, "optimizer", Adam(0.1)),
        lambda: net.extend([new.copy(), Tanh()]),
        lambda: net["block"].extend(Identity()),
        lambda: setattr(net, "layers", net.layers[:2]),
        lambda: net["block"].randomize(2),
        lambda: Snapshot(net).restore(),
    ):
        operation()
        assert_one_flat_array(net)
        for duplicate in DUPLICATES:
            twin = duplicate(net)
            assert twin.dtype == dtype
            assert twin.nets == nets
            assert bits(twin) == bits(net)
            assert not np.shares_memory(twin._flat, net._flat)
            assert_one_flat_array(twin)
    if nets is not None:
        assert_one_flat_array(net.member(0))


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_duplicates_share_nothing(duplicate: Callable) -> None:
    net = nested()
    net.loss, net.optimizer = MeanSquaredError(), Adam(0.02)
    net.learn(XOR)
    twin, before = duplicate(net), bits(net)
    assert type(twin.loss) is MeanSquaredError
    assert twin.alpha == 0.02
    assert twin.names == net.names
    assert not any(layer is other for layer in twin.layers for other in net.layers)
    twin.randomize(1)
    twin.learn(XOR)
    twin.extend(ReLU())
    assert bits(net) == before
    layer = duplicate(net["block.fc"])
    assert layer.label == "Affinity 'fc'"
    layer.M = np.zeros((3, 3))
    assert bits(net) == before


def test_dill_carries_lambdas() -> None:
    net = Network([Affinity(2, 2, rng=0), Map(lambda x: x * x / 2, lambda x: x)])
    twin = dill.loads(dill.dumps(net))
    assert list(twin.steps(list(zip(XOR.X, XOR.X, strict=True)))) == list(
        net.steps(list(zip(XOR.X, XOR.X, strict=True)))
    )
    assert_one_flat_array(twin)


def test_assignment_copies_into_the_view() -> None:
    net = nested()
    layer, M = net["in"], net["in"].M
    values = np.arange(6.0).reshape(3, 2)
    layer.M = values
    values[:] = 7
    assert layer.M is M
    np.testing.assert_array_equal(net._flat[:6], range(6))
    layer.M = [[1, 2], [3, 4], [5, 6]]  # integers
    assert layer.M.dtype == np.float64
    layer.M = layer.M[::-1]  # of itself
    np.testing.assert_array_equal(M, [[5, 6], [3, 4], [1, 2]])
    square = net["block.fc"]
    before = square.M.copy()
    square.M = square.M.T
    np.testing.assert_array_equal(square.M, before.T)
    layer.b += 1
    layer.M *= 2
    assert layer.M is M
    np.testing.assert_array_equal(net._flat[:6], [10, 12, 6, 8, 2, 4])


def test_settings_are_read_only() -> None:
    net = nested()
    for thing, names in (
        (net["in"], ("n", "m", "name", "nets", "size", "shapes", "parameters")),
        (net, ("n", "m", "name", "names", "dtype", "diverged")),
        (LeakyReLU(0.1), ("leak",)),
        (SGD(0.1), ("alpha", "momentum", "weight_decay")),
        (Adam(0.1), ("alpha", "betas", "eps")),
        (SquaredError(), ("reduction",)),
        (XOR, ("X", "T")),
    ):
        for name in names:
            with pytest.raises(AttributeError):
                setattr(thing, name, 1)


def test_parameters_is_a_dictionary_of_live_arrays() -> None:
    net = nested()
    net.parameters["out.b"][...] = 5
    assert net["out"].b.tolist() == [5]
    net.parameters.clear()
    assert len(net.parameters) == 6


# snapshots


def remembering() -> tuple[Network, Snapshot, Callable[[], None]]:
    """A nested net that has learned, its snapshot, and a check that all is as it was then."""
    net = nested()
    net.optimizer = SGD(0.05, momentum=0.9)
    net.learn(XOR)
    twin, layers, inside = net.copy(), net.layers, net["block"].layers

    def check() -> None:
        assert bits(net) == bits(twin)
        assert net.names == twin.names
        assert len(net.layers) == len(layers)
        assert all(a is b for a, b in zip(net.layers, layers, strict=True))
        assert all(a is b for a, b in zip(net["block"].layers, inside, strict=True))
        assert (net.alpha, type(net.optimizer), type(net.loss)) == (0.05, SGD, SquaredError)
        again = twin.copy()
        assert list(net.steps(XOR)) == list(again.steps(XOR))
        assert bits(net) == bits(again)

    return net, Snapshot(net), check


def replace(net: Network) -> None:
    net.layers = [net.layers[0], Affinity(3, 2), Tanh()]


def take_the_block_apart(net: Network) -> None:
    net["block"].layers = [Tanh(), Affinity(3, 3), Sigmoid()]


def move_up(net: Network) -> None:
    relu = net["block"].layers[1]
    net["block"].layers = net["block"].layers[:1]
    net.layers = [net.layers[0], relu, *net.layers[1:]]


def wrap(net: Network) -> None:
    layers = net.layers
    net.layers = ()
    net.layers = [Network(layers)]


def move_in(net: Network) -> None:
    *layers, out = net.layers
    net.layers = layers
    net["block"].extend(out)


CHANGES = {
    "numbers": lambda net: net.randomize(3),
    "learning": lambda net: net.learn(XOR),
    "alpha": lambda net: setattr(net, "alpha", 0.5),
    "loss": lambda net: setattr(net, "loss", MeanSquaredError()),
    "optimizer": lambda net: setattr(net, "optimizer", Adam(0.1)),
    "extended": lambda net: net.extend(Sigmoid()),
    "emptied": lambda net: setattr(net, "layers", ()),
    "inner emptied": lambda net: setattr(net["block"], "layers", ()),
    "replaced": replace,
    "taken apart": take_the_block_apart,
    "moved up": move_up,
    "moved in": move_in,
    "wrapped": wrap,
    "reversed inside": lambda net: setattr(net["block"], "layers", net["block"].layers[::-1]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_snapshot_restores_everything_in_place_as_often_as_wanted(change: Callable) -> None:
    net, snapshot, check = remembering()
    for _ in range(3):
        change(net)
        snapshot.restore()
        check()
        snapshot.restore()
        assert_one_flat_array(net)
        snapshot.restore()
        check()


def test_several_snapshots_of_one_net() -> None:
    net, first, check = remembering()
    replace(net)
    net.optimizer = Adam(0.1)
    net.learn([([1, 2], [3, 4])])
    second, then = Snapshot(net), net.copy()
    for _ in range(2):
        first.restore()
        check()
        second.restore()
        assert bits(net) == bits(then)
        assert list(net.steps([([1, 2], [3, 4])] * 3)) == list(
            then.copy().steps([([1, 2], [3, 4])] * 3)
        )
        second.restore()
        assert bits(net) == bits(then)


def test_a_layer_that_meanwhile_lives_elsewhere_stays_there() -> None:
    net, snapshot, _ = remembering()
    before, (_, block, out) = bits(net), net.layers
    net.layers = net.layers[:1]
    elsewhere = Network([block, out])
    elsewhere.randomize(9)
    there = bits(elsewhere)
    for _ in range(2):
        snapshot.restore()
        assert bits(net) == before
        assert bits(elsewhere) == there
        assert elsewhere.layers == (block, out)
        assert net["block"] is not block
        assert_one_flat_array(net)
        snapshot.restore()
        net.learn(XOR)
        assert bits(elsewhere) == there
    assert_one_flat_array(elsewhere)


def test_a_layer_that_went_away_and_is_back_is_the_same_object() -> None:
    net, snapshot, check = remembering()
    out = net["out"]
    net.layers = net.layers[:2]
    out.M = np.zeros((1, 3))  # while it was free
    snapshot.restore()
    assert net["out"] is out
    check()


def test_a_snapshot_of_a_part_leaves_the_whole_alone() -> None:
    net = nested()
    block = net["block"]
    snapshot, before = Snapshot(block), bits(net)
    block.extend(Sigmoid())
    block.randomize(1)
    snapshot.restore()
    assert bits(net) == before
    assert len(block.layers) == 2
    assert net.layers[1] is block
    assert_one_flat_array(net)


def test_a_snapshot_of_a_part_that_alone_fits() -> None:
    """While it is put back the whole must not be checked against half of it."""
    block = Network([Affinity(3, 4)], name="block")
    net = Network([Affinity(2, 3), block, Affinity(4, 1)])
    snapshot, before = Snapshot(block), bits(net)
    block.extend(Sigmoid())
    snapshot.restore()
    assert bits(net) == before
    assert len(block.layers) == 1


def test_a_snapshot_of_a_crowd() -> None:
    net = nested().replicate(4, rng=0)
    net.optimizer = Adam(0.1)
    net.learn(XOR)
    snapshot, before = Snapshot(net), bits(net)
    losses = np.array(list(net.steps(XOR)))
    net.layers = net.layers[:1]
    snapshot.restore()
    assert bits(net) == before
    assert np.array(list(net.steps(XOR))).tobytes() == losses.tobytes()
    assert_one_flat_array(net)


# what is shown


class Shift(Layer):
    """y = x + s, for one input."""

    s = Parameter()

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.s = [0]


def test_repr_shows_layers_shapes_and_the_count() -> None:
    header, *rows, count, learns = repr(nested()).splitlines()[1:]
    assert header.split() == ["#", "name", "layer", "inputs", "outputs", "parameters"]
    assert [row.split()[:5] for row in rows] == [
        ["0", "in", "Affinity", "2", "3"],
        ["1", "block", "Network", "3", "3"],
        ["2", "out", "Affinity", "3", "1"],
    ]
    assert rows[0].endswith("M (3, 2), b (3,)")
    assert rows[1].endswith("fc.M (3, 3), fc.b (3,)")
    assert count == "25 parameters, float64"
    assert "SquaredError" in learns
    assert "SGD(alpha=0.1" in learns
    assert repr(Network([ReLU()])).splitlines()[2].split()[2:] == ["ReLU", "any", "any", "none"]
    assert "\n1 parameter, float32" in repr(Network([Shift()], dtype=np.float32))
    assert "25 parameters, float64, each of 7 nets" in repr(nested().replicate(7, rng=0))
    assert repr(Affinity(2, 3, name="fc1")) == "Affinity(2, 3, name='fc1')"
    assert repr(LeakyReLU(0.1)) == "LeakyReLU(0.1)"
    assert repr(ReLU()) == "ReLU()"


def test_latex_is_the_equation_from_the_inside_out() -> None:
    net = Network([Affinity(2, 2), ReLU(), Affinity(2, 1), Sigmoid()])
    net.layers[0].M, net.layers[0].b = [[1, 2], [3, 4]], [0.5, -0.25]
    net.layers[2].M, net.layers[2].b = [[1.23456789, -2]], [1e-9]
    assert net.latex() == (
        r"y = \sigma\left(\begin{bmatrix} 1.235 & -2 \end{bmatrix} "
        r"\operatorname{ReLU}\left(\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix} x + "
        r"\begin{bmatrix} 0.5 \\ -0.25 \end{bmatrix}\right) + "
        r"\begin{bmatrix} 1e-09 \end{bmatrix}\right)"
    )
    assert r"1.23457 & -2" in net.latex(digits=6)
    assert net._repr_latex_() == f"$\\displaystyle {net.latex()}$"
    assert Network().latex() == "y = x"


def test_latex_multiplies_sums_in_parentheses_and_looks_into_networks() -> None:
    net = Network([Affinity(1, 1), Network([Identity(), Affinity(1, 1)])])
    for layer in (net.layers[0], net.layers[1].layers[1]):
        layer.M, layer.b = [[2]], [3]
    two, three = (rf"\begin{{bmatrix}} {value} \end{{bmatrix}}" for value in (2, 3))
    assert net.latex() == rf"y = {two} \left({two} x + {three}\right) + {three}"


def test_a_crowd_has_no_single_equation() -> None:
    crowd = nested().replicate(3, rng=0)
    with pytest.raises(ValueError, match="crowd of 3 nets"):
        crowd.latex()
    assert crowd.member(0).latex().startswith("y = ")
