"""Networks that compute logical gates, made by hand, and wired into larger circuits.

False is 0 and true is 1, where nothing else is said, and what is made by hand is exact.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from minnet.checks import UnknownName, brief, one_of, positive_int
from minnet.combinators import Parallel, Select
from minnet.facts import GATES as NAMES
from minnet.layers import Affinity, Identity, Layer, ReLU, Sigmoid
from minnet.losses import BinaryCrossEntropy
from minnet.network import Network

Numbers: TypeAlias = Sequence[float]
Wires: TypeAlias = str | Iterable[str]
Gate: TypeAlias = tuple[Layer | str, Wires, Wires]


class Circuits(Mapping[str, Network]):
    """Networks by name, each made afresh when it is asked for; printed, a line about each.

    >>> GATES["and"] is GATES["and"]
    False
    """

    def __init__(self, kind: str, made_by: Mapping[str, tuple[Callable[[], Network], str]]) -> None:
        self._kind, self._made_by = kind, made_by

    def __getitem__(self, name: str) -> Network:
        return self._entry(name)[0]()

    def reason(self, name: str) -> str:
        """Why the network answers as it does, in a line: its formula first.

        >>> GATES.reason("and")
        'relu(a + b - 1): only two together exceed 1'
        """
        return self._entry(name)[1]

    def _entry(self, name: str) -> tuple[Callable[[], Network], str]:
        if not isinstance(name, str) or name not in self._made_by:
            known = ", ".join(self._made_by)
            raise UnknownName(f"there is no {self._kind} {brief(name)}; there are {known}")
        return self._made_by[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made_by)

    def __len__(self) -> int:
        return len(self._made_by)

    def __repr__(self) -> str:
        width = max(map(len, self._made_by))
        return "\n".join(f"{name:{width}}  {self.reason(name)}" for name in self)


def network_of_units(
    hidden: Sequence[Numbers],
    biases: Numbers,
    output: Numbers,
    bias: float = 0.0,
    name: str | None = None,
) -> Network:
    """A network of one layer of ReLU units and one output, with these numbers.

    Parameters
    ----------
    hidden : (units, n)
        What each unit gives the inputs as weights.
    biases : (units,)
    output : (units,)
        What the output gives the units as weights.
    bias : float
    name : str, optional

    Examples
    --------
    >>> network_of_units([[1, 1]], [-1], [1])([1, 1])
    array([1.])
    """
    units = len(hidden)
    net = Network(
        [Affinity(len(hidden[0]), units, "hidden"), ReLU("relu"), Affinity(units, 1, "output")],
        name=name,
    )
    numbers = {"hidden.M": hidden, "hidden.b": biases, "output.M": [output], "output.b": [bias]}
    for key, array in net.parameters.items():
        array[...] = numbers[key]
    return net


class _Made(NamedTuple):
    """The numbers of a gate, and why it answers right."""

    hidden: Sequence[Numbers]
    biases: Numbers
    output: Numbers
    bias: float
    reason: str


_GATES = {
    "false": _Made([[0, 0]], [1], [0], 0, "0 relu(1): a unit that always fires, unheard"),
    "and": _Made([[1, 1]], [-1], [1], 0, "relu(a + b - 1): only two together exceed 1"),
    "a_not_b": _Made([[1, -1]], [0], [1], 0, "relu(a - b): b takes away what a gives"),
    "a": _Made([[1, 0]], [0], [1], 0, "relu(a): b has no weight"),
    "b_not_a": _Made([[-1, 1]], [0], [1], 0, "relu(b - a): a takes away what b gives"),
    "b": _Made([[0, 1]], [0], [1], 0, "relu(b): a has no weight"),
    "xor": _Made(
        [[1, 1], [1, 1]], [0, -1], [1, -2], 0,
        "relu(a + b) - 2 relu(a + b - 1): the sum, and two less from where it exceeds 1",
    ),
    "or": _Made(
        [[-1, -1]], [1], [-1], 1, "1 - relu(1 - a - b): true but where nothing holds the unit down"
    ),
    "nor": _Made([[-1, -1]], [1], [1], 0, "relu(1 - a - b): either one holds the unit down"),
    "xnor": _Made(
        [[1, 1], [1, 1]], [0, -1], [-1, 2], 1,
        "1 - relu(a + b) + 2 relu(a + b - 1): what xor leaves of 1",
    ),
    "not_b": _Made([[0, -1]], [1], [1], 0, "relu(1 - b): what b leaves of 1"),
    "a_or_not_b": _Made([[-1, 1]], [0], [-1], 1, "1 - relu(b - a): what b_not_a leaves of 1"),
    "not_a": _Made([[-1, 0]], [1], [1], 0, "relu(1 - a): what a leaves of 1"),
    "b_or_not_a": _Made([[1, -1]], [0], [-1], 1, "1 - relu(a - b): what a_not_b leaves of 1"),
    "nand": _Made([[1, 1]], [-1], [-1], 1, "1 - relu(a + b - 1): what and leaves of 1"),
    "true": _Made([[0, 0]], [1], [1], 0, "relu(1): a unit that always fires"),
}  # fmt: skip


def _gate(name: str) -> Network:
    made = _GATES[name]
    return network_of_units(made.hidden, made.biases, made.output, made.bias, name)


def inverter() -> Network:
    """NOT, of one input: relu(1 - a).

    >>> inverter()([[0], [1]]).ravel()
    array([1., 0.])
    """
    return network_of_units([[-1]], [1], [1], name="not")


def trained_xor() -> Network:
    """XOR as training left it: a 2-2-1 network with weights to four decimals.

    Each row of fc1 cancels (w1 + w2 is about 0), so that (0, 0) and (1, 1) look alike
    after the ReLU; the negative bias of fc2 makes both false, and each hidden unit fires
    for one of the two mixed inputs.

    >>> trained_xor()([[0, 0], [0, 1], [1, 0], [1, 1]]).round(2).ravel()
    array([0.05, 0.99, 0.98, 0.05])
    """
    net = Network(
        [Affinity(2, 2, "fc1"), ReLU("relu"), Affinity(2, 1, "fc2"), Sigmoid("sigmoid")],
        loss=BinaryCrossEntropy(),
    )
    parameters = net.parameters
    parameters["fc1.M"][...] = [[2.2371, -2.2374], [-2.2849, 2.2847]]
    parameters["fc1.b"][...] = [-3.6790e-05, -2.3193e-04]
    parameters["fc2.M"][...] = [[3.1062, 3.1020]]
    parameters["fc2.b"][...] = [-2.8915]
    return net


def _xor_of_signs() -> Network:
    return network_of_units([[1, 1], [1, 1]], [1, 0], [2, -4], -1, name="xor")


def _xor_with_relu() -> Network:
    net = _gate("xor")
    net.extend(ReLU("answer"))
    return net


def _xor_of_differences() -> Network:
    return network_of_units([[1, -1], [-1, 1]], [0, 0], [1, 1], name="xor")


def compose(
    inputs: Wires, gates: Iterable[Gate], outputs: Wires, name: str | None = None
) -> Network:
    """Wire networks into a circuit: one Network, which learns like any other.

    A wire carries one number and has a name, of letters, digits and _. Several wires are
    given as a sequence of names, or as one text with blanks between them.

    Parameters
    ----------
    inputs : wires
        Those that the circuit's input goes to, in its order.
    gates : iterable of (gate, inputs, outputs)
        A network or other layer, or the name of one of GATES or "not", with the wires that
        it reads and those that it makes; in any order. A network is put into the circuit
        itself, not a copy of it; one that has its place already is for you to copy.
    outputs : wires
        Those that are the circuit's output.
    name : str, optional
        Of the circuit, for a place in a larger one.

    Returns
    -------
    Network
        Layer "depth0" holds the gates that need inputs alone, side by side; "depth1" those
        that need these too, and so on. Each of these layers passes all earlier wires on,
        in front. A gate is called after the first wire that it makes, so the one that makes
        "carry" is found as ``net["depth1.carry"].layers[1]``.

    Raises
    ------
    TypeError, ValueError
        If a gate is none, a wire is unknown, made twice or its own cause, or none of a
        gate's wires is used; if numbers of wires do not fit, or a network has its place.

    Examples
    --------
    >>> adder = compose(
    ...     "a b c",
    ...     [("xor", "a b", "either"), ("and", "a b", "both"),
    ...      ("xor", "either c", "sum"), ("and", "either c", "more"),
    ...      ("or", "both more", "carry")],
    ...     "sum carry",
    ... )
    >>> adder([[0, 1, 1], [1, 1, 1]])
    array([[0., 1.],
           [1., 1.]])
    >>> adder.names
    ('depth0', 'depth1', 'depth2', 'outputs')
    """
    sources = _wires(inputs, "the circuit's inputs")
    components = [_component(gate, f"gate #{i}") for i, gate in enumerate(gates)]
    goals = _wires(outputs, "the circuit's outputs", repeated=True)
    _check_wires(sources, components, goals)
    _check_layers([each.layer for each in components])
    depths = _depths(sources, components)
    places = {wire: i for i, wire in enumerate(sources)}
    layers: list[Layer] = []
    for depth, together in enumerate(depths):
        branches = [each.placed(places) for each in together]
        layers.append(Parallel([Identity(name="earlier wires"), *branches], f"depth{depth}"))
        for wire in [wire for each in together for wire in each.makes]:
            places[wire] = len(places)
    outputs_last = Select([places[wire] for wire in goals], len(places), "outputs")
    return Network([*layers, outputs_last], name=name)


class _Component(NamedTuple):
    """A gate with its wires."""

    layer: Layer
    reads: list[str]
    makes: list[str]

    def __str__(self) -> str:
        return f"the gate that makes {self.makes[0]!r}"

    def placed(self, places: Mapping[str, int]) -> Network:
        """The gate behind a selection of the wires that it reads."""
        chosen = Select([places[wire] for wire in self.reads], len(places), "inputs")
        return Network([chosen, self.layer], name=self.makes[0])


def _component(gate: Gate, what: str) -> _Component:
    """The gate, checked by itself."""
    try:
        layer, reads, makes = gate
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be (gate, inputs, outputs), not {brief(gate)}") from None
    if isinstance(layer, str):
        layer = inverter() if layer == "not" else GATES[one_of(layer, (*GATES, "not"), what)]
    if not isinstance(layer, Layer):
        raise TypeError(f"{what} must be a network, a layer or the name of one, not {brief(layer)}")
    component = _Component(layer, _wires(reads, what, repeated=True), _wires(makes, what))
    n = layer.n or len(component.reads)
    for verb, number, wires in (
        ("takes", n, component.reads),
        ("gives", layer.m or n, component.makes),
    ):
        if number != len(wires):
            raise ValueError(
                f"{component}, {layer.label}, {verb} {number}, but its wires are {', '.join(wires)}"
            )
    return component


def _wires(wires: Wires, what: str, repeated: bool = False) -> list[str]:
    """The names of wires."""
    try:
        names = wires.split() if isinstance(wires, str) else list(wires)
    except TypeError:
        raise TypeError(f"{what}: wires must be names, not {brief(wires)}") from None
    if not names:
        raise ValueError(f"{what}: there must be a wire")
    for i, name in enumerate(names):
        if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
            raise ValueError(
                f"{what}: a wire's name must be of letters, digits and _, not {brief(name)}"
            )
        if name in names[:i] and not repeated:
            raise ValueError(f"{what}: the wire {name!r} is there twice")
    return names


def _check_wires(sources: list[str], components: list[_Component], goals: list[str]) -> None:
    """That every wire has one maker, and every gate a use."""
    makers = dict.fromkeys(sources, "the circuit's input")
    for component in components:
        for wire in component.makes:
            if wire in makers:
                raise ValueError(f"the wire {wire!r} is made twice; the first is {makers[wire]}")
            makers[wire] = str(component)
    used = set(goals)
    for user, wires in [*((str(each), each.reads) for each in components), ("the output", goals)]:
        for wire in wires:
            if wire not in makers:
                raise ValueError(
                    f"{user} needs the wire {wire!r}, which nothing makes; there are "
                    f"{', '.join(makers)}"
                )
        used.update(wires)
    for component in components:
        if not used & set(component.makes):
            raise ValueError(f"nothing uses what {component} makes")


def _check_layers(layers: list[Layer]) -> None:
    """That each is free to get a place, and all are plain or crowds of as many nets."""
    for i, layer in enumerate(layers):
        if layer._home is not None or any(layer is other for other in layers[:i]):
            raise ValueError(f"{layer.label} already has its place; wire in a .copy() of it")
    if len({layer.nets for layer in layers if layer.size}) > 1:
        raise ValueError("all gates must be plain, or crowds of as many nets")


def _depths(sources: list[str], components: list[_Component]) -> list[list[_Component]]:
    """The gates in the order of computation, those together that need not wait for each other."""
    there, waiting, depths = set(sources), components, []
    while waiting:
        ready = [each for each in waiting if there.issuperset(each.reads)]
        if not ready:
            raise ValueError(f"a circuit cannot have a loop: {_loop(waiting, there)}")
        depths.append(ready)
        there.update(wire for each in ready for wire in each.makes)
        waiting = [each for each in waiting if not there.issuperset(each.makes)]
    return depths


def _loop(waiting: list[_Component], there: set[str]) -> str:
    """Wires that wait for each other, in words."""
    makers = {wire: each for each in waiting for wire in each.makes}
    path = [waiting[0].makes[0]]
    while path[-1] not in path[:-1]:
        path.append(next(wire for wire in makers[path[-1]].reads if wire not in there))
    return " needs ".join(map(repr, path[path.index(path[-1]) :]))


def xor_from_and_or_not() -> Network:
    """(a or b) and not (a and b).

    (G. Marcus, The Algebraic Mind, MIT Press 2001, chapter 2.)

    >>> xor_from_and_or_not()([[0, 0], [0, 1], [1, 0], [1, 1]]).ravel()
    array([0., 1., 1., 0.])
    """
    return compose(
        "a b",
        [
            ("or", "a b", "one"),
            ("and", "a b", "both"),
            ("not", "both", "not_both"),
            ("and", "one not_both", "xor"),
        ],
        "xor",
        name="xor",
    )


def half_adder() -> Network:
    """a + b as two bits: (a, b) to (sum, carry).

    >>> half_adder()([1, 1])
    array([0., 1.])
    """
    return compose(
        "a b", [("xor", "a b", "sum"), ("and", "a b", "carry")], "sum carry", name="half_adder"
    )


def full_adder() -> Network:
    """a + b + c as two bits: (a, b, c) to (sum, carry), of two half adders.

    >>> full_adder()([1, 1, 1])
    array([1., 1.])
    """
    return compose(
        "a b c",
        [
            (half_adder(), "a b", "ab carry_ab"),
            (half_adder(), "ab c", "sum carry_abc"),
            ("or", "carry_ab carry_abc", "carry"),
        ],
        "sum carry",
        name="full_adder",
    )


def ripple_adder(bits: int) -> Network:
    """a + b + c of numbers of some bits, the ones first: (a, b, c) to (sum, carry).

    The inputs are the bits of a, those of b and the carry c; the outputs the bits of the
    sum and the carry. One full adder per bit, each waiting for the carry of the one before.

    Parameters
    ----------
    bits : int

    Examples
    --------
    3 + 1 = 4:

    >>> ripple_adder(2)([1, 1, 1, 0, 0])
    array([0., 0., 1.])
    """
    bits = positive_int(bits, "the number of bits")
    a, b, s = ([f"{letter}{i}" for i in range(bits)] for letter in "abs")
    c = [f"c{i}" for i in range(bits + 1)]
    adders = [(full_adder(), [a[i], b[i], c[i]], [s[i], c[i + 1]]) for i in range(bits)]
    return compose([*a, *b, c[0]], adders, [*s, c[-1]], name="ripple_adder")


def parity(bits: int, shape: str = "tree") -> Network:
    """Whether an odd number of bits is true, of bits - 1 XOR gates.

    Parameters
    ----------
    bits : int
    shape : "tree" or "chain"
        How deep: as deep as log2(bits), rounded up, or one gate after the other.

    Examples
    --------
    >>> parity(3)([[1, 0, 1], [1, 1, 1]]).ravel()
    array([0., 1.])
    >>> len(parity(8, "chain").layers), len(parity(8, "tree").layers)
    (8, 4)
    """
    bits = positive_int(bits, "the number of bits")
    is_chain = one_of(shape, ("tree", "chain"), "the shape") == "chain"
    inputs = wires = [f"x{i}" for i in range(bits)]
    gates: list[Gate] = []
    while len(wires) > 1:
        first, second, *others = wires
        made = f"p{len(gates)}"
        gates.append(("xor", [first, second], [made]))
        wires = [made, *others] if is_chain else [*others, made]
    return compose(inputs, gates, wires, name="parity")


GATES = Circuits(
    "gate", {name: (functools.partial(_gate, name), _GATES[name].reason) for name in NAMES}
)

XORS = Circuits(
    "XOR circuit",
    {
        "trained": (
            trained_xor,
            "each unit for one of the mixed inputs, true above 1/2: as training left it",
        ),
        "signs": (
            _xor_of_signs,
            "2 relu(a + b + 1) - 4 relu(a + b) - 1: a ridge; inputs are -1 and 1, true is above 0",
        ),
        "by hand": (
            _xor_with_relu,
            "relu(relu(a + b) - 2 relu(a + b - 1)): the sum, and two less from where it exceeds 1",
        ),
        "differences": (
            _xor_of_differences,
            "relu(a - b) + relu(b - a): each unit for one of the mixed inputs",
        ),
        "or and not and": (
            xor_from_and_or_not,
            "(a or b) and not (a and b): of an OR, two ANDs and a NOT",
        ),
    },
)
