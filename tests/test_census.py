"""census: every net in one circuit or one failure, each verified without the classifier."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import main
from minnet import (
    SGD,
    Affinity,
    BinaryCrossEntropy,
    Facts,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    Tanh,
    uniform,
)
from minnet.container import pack, unpack
from minnet.durable import FileError
from minnet.facts import GATES, gate, parity
from minnet.study.catalogue import catalogue
from minnet.study.census import Census, census, load, wilson
from minnet.study.critical import gradient, hessian, losses
from minnet.study.failures import FAILURES
from minnet.study.motifs import motif_names

XOR = gate("xor")


def network(
    activation: Any = ReLU, hidden: int = 2, alpha: float = 0.1, output: str = "sigmoid"
) -> Network:
    plain = output == "plain"
    return Network(
        [
            Affinity(2, hidden, "fc1", initializer=uniform), activation("hidden"),
            Affinity(hidden, 1, "fc2", initializer=uniform), *([] if plain else [Sigmoid("out")]),
        ],
        loss=MeanSquaredError() if plain else BinaryCrossEntropy(reduction="mean"),
        optimizer=SGD(alpha),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Census:
    return census(network(), XOR, nets=500, steps=3000, rng=0)


@pytest.fixture(scope="module")
def smooth() -> Census:
    return census(network(Sigmoid), XOR, nets=300, steps=3000, rng=0)


def of(result: Census, failure: str) -> Any:
    numbers = np.flatnonzero(result.failure_of == failure)
    assert len(numbers), f"no net of this census has failed as {failure}"
    return numbers


def trained_on(result: Census, numbers: Any, steps: int) -> Network:
    """Some of the nets, after more steps."""
    crowd = result.crowd.replicate(len(numbers), 0)
    for key, array in crowd.parameters.items():
        array[...] = result.crowd.parameters[key][numbers]
    crowd.learn(result.facts.batches(4), epochs=steps)
    return crowd


def answers(net: Network, facts: Facts = XOR) -> Any:
    return net(facts.X)[..., 0] > 0.5


def loss_of(crowd: Network, facts: Facts = XOR) -> Any:
    return crowd.loss(crowd(facts.X), facts.T)


# Every net is in one place


SETTINGS = [
    ("xor", ReLU, 2, "sigmoid"),
    ("and", ReLU, 2, "plain"),
    ("xnor", Tanh, 3, "sigmoid"),
    ("nor", Sigmoid, 2, "plain"),
    ("true", ReLU, 1, "sigmoid"),
    ("xor", ReLU, 1, "plain"),
    ("a_or_not_b", ReLU, 4, "sigmoid"),
]


@pytest.mark.parametrize("name, activation, hidden, output", SETTINGS)
def test_every_net_has_one_circuit_or_one_failure(
    name: str, activation: Any, hidden: int, output: str
) -> None:
    facts = gate(name)
    result = census(network(activation, hidden, 0.3, output), facts, nets=60, steps=300, rng=1)
    right = (answers(result.crowd, facts) == (facts.T[:, 0] > 0.5)).all(axis=1)
    assert (result.solved == right).all()
    for groups in (result.circuits, result.motifs):
        members = np.concatenate([np.zeros(0, int), *(one.members for one in groups)])
        assert sorted(members) == np.flatnonzero(right).tolist()
        assert len({one.name for one in groups}) == len(groups)
    assert list(result.failures) == list(FAILURES)
    assert ((result.failure_of == "") == right).all()
    for failure, count in result.failures.items():
        assert count == (result.failure_of == failure).sum()
    assert sum(result.failures.values()) == (~right).sum()
    for one in result.circuits:
        assert one.share == len(one.members) / 60 == one.count / 60
        assert one.interval[0] <= one.share <= one.interval[1]
        if one.count:
            assert (answers(one.network, facts) == (facts.T[:, 0] > 0.5)).all()
            assert one.equation.startswith("y = ")
    assert result.gate == name


def test_circuits_by_brute_force(found: Census) -> None:
    for one in found.circuits:
        for i in one.members:
            net = found.member(int(i))
            units = []
            for w, b, v in zip(net["fc1"].M, net["fc1"].b, net["fc2"].M[0], strict=True):  # type: ignore[attr-defined]
                pattern = "".join("1" if w[0] * x + w[1] * y + b > 0 else "0" for x, y in XOR.X)
                units.append("0" if pattern == "0000" else ("+" if v > 0 else "-") + pattern)
            assert sorted(units) == sorted(one.name.split())
            assert answers(net).tolist() == [False, True, True, False]


def test_motifs_by_brute_force(found: Census) -> None:
    """Where a motif has ~, z is within a hundredth of the kink; else the circuit's digits."""
    assert 1 < len(found.motifs) < len([one for one in found.circuits if one.count])
    for motif in found.motifs:
        for i in motif.members:
            net = found.member(int(i))
            units = []
            for w, b, v in zip(net["fc1"].M, net["fc1"].b, net["fc2"].M[0], strict=True):  # type: ignore[attr-defined]
                z = XOR.X @ w + b
                near = abs(z) <= 0.01 * (abs(w).sum() + abs(b))
                digits = np.where(near, "~", np.where(z > 0, "1", "0"))
                units.append(("+" if v > 0 else "-") + "".join(digits))
            assert sorted(units) == sorted(motif.name.split())


def test_what_is_on_the_kink() -> None:
    """z within a hundredth of |w0| + |w1| + |b|, on either side."""
    net = network()
    net.parameters["fc1.M"][...] = [[1, -1], [-1, 1]]
    net.parameters["fc2.M"][...] = [[1, 1]]
    for b, name in ((0.019, "+~10~ +~01~"), (-0.019, "+~10~ +~01~"), (0.03, "+1101 +1011")):
        net.parameters["fc1.b"][...] = b
        assert str(motif_names(net)) == name


def test_a_net_that_diverged_is_not_solved_whatever_it_answers(found: Census) -> None:
    diverged = found.diverged.copy()
    hurt = np.flatnonzero(found.solved)[0]
    diverged[hurt] = 5
    spoilt = dataclasses.replace(found, diverged=diverged)
    assert not spoilt.solved[hurt] and spoilt.failure_of[hurt] == "diverged"


def test_circuits_that_nobody_found_are_shown(found: Census) -> None:
    assert sorted(one.name for one in found.circuits) == sorted(c.name for c in catalogue("xor"))
    counts = [one.count for one in found.circuits]
    assert counts == sorted(counts, reverse=True) and counts[-1] == 0
    last = found.circuits[-1]
    assert answers(last.network).tolist() == [False, True, True, False]
    assert last.interval[0] == 0 < last.interval[1]


def test_smooth_units_that_are_turned_round_are_the_same(smooth: Census) -> None:
    crowd = smooth.crowd.copy()
    p = crowd.parameters
    p["fc2.b"][...] += p["fc2.M"][:, :, 0]
    for key in ("fc1.M", "fc1.b"):
        p[key][:, 0] *= -1
    p["fc2.M"][:, :, 0] *= -1
    turned = dataclasses.replace(smooth, crowd=crowd)
    assert (turned.circuit_of == smooth.circuit_of).all()
    assert (turned.circuit_of != "").all()


# Failures


def test_dead_units_never_fire(found: Census) -> None:
    numbers = of(found, "dead unit")
    p = found.crowd.parameters
    z = XOR.X @ p["fc1.M"][numbers].mT + p["fc1.b"][numbers][:, None]
    assert (z <= 0).all(axis=1).any(axis=1).all()
    later = trained_on(found, numbers, 1000)
    assert not (answers(later) == [False, True, True, False]).all(axis=1).any()
    lively = np.flatnonzero(~np.isin(found.failure_of, ["dead unit", ""]))
    z = XOR.X @ p["fc1.M"][lively].mT + p["fc1.b"][lively][:, None]
    assert (z > 0).any(axis=1).all()


def test_where_one_unit_is_enough_a_dead_one_is_no_reason() -> None:
    facts = gate("and")
    result = census(network(alpha=0.05), facts, nets=200, steps=300, rng=0)
    p = result.crowd.parameters
    fires = (facts.X @ p["fc1.M"].mT + p["fc1.b"][:, None] > 0).any(axis=1)
    alive = fires.sum(axis=1)
    assert ((alive == 1) & result.solved).any()
    assert (alive[result.failure_of == "dead unit"] == 0).all()
    assert (alive[(result.failure_of != "dead unit") & ~result.solved] > 0).all()


def test_what_is_still_descending_descends(found: Census) -> None:
    numbers = of(found, "still descending")
    assert (found.losses[numbers] < found.earlier[numbers] * (1 - 1e-4)).all()
    later = loss_of(trained_on(found, numbers, 300))
    assert (later < found.losses[numbers]).all()


@pytest.fixture(scope="module")
def minima(found: Census) -> Network:
    """The local minima, trained ten times longer."""
    return trained_on(found, of(found, "local minimum"), 30_000)


def test_local_minima_stay_however_long_they_are_trained(found: Census, minima: Network) -> None:
    assert not (answers(minima) == [False, True, True, False]).all(axis=1).any()
    before, after = found.losses[of(found, "local minimum")], loss_of(minima)
    assert (abs(after - before) < 1e-3 * before).all()


def test_around_local_minima_no_loss_is_lower(minima: Network) -> None:
    """On both sides together, which takes out what is left of the slope."""
    rows = np.concatenate([a.reshape(len(a), -1) for a in minima.parameters.values()], axis=1)
    rng, here = np.random.default_rng(0), losses(minima, XOR, rows)
    for _ in range(100):
        move = 0.001 * rng.standard_normal(rows.shape)
        both = losses(minima, XOR, rows + move) + losses(minima, XOR, rows - move)
        assert (both / 2 > here - 1e-13).all()


def test_from_saddles_a_direction_leads_down(smooth: Census) -> None:
    """On both sides together, so that it is curvature and not what is left of the slope."""
    down = 0
    numbers = of(smooth, "saddle")
    for i in numbers:
        row = np.concatenate([a.ravel() for a in smooth.member(int(i)).parameters.values()])
        values, vectors = np.linalg.eigh(by_differences(smooth.crowd, row))
        assert values[-1] > 0
        steps = np.outer([1e-2, 3e-2, 1e-1], vectors[:, 0])
        both = losses(smooth.crowd, XOR, row + steps) + losses(smooth.crowd, XOR, row - steps)
        down += (both / 2 < losses(smooth.crowd, XOR, row[None])).any()
    assert down == len(numbers)


def test_sigmoid_networks_have_no_local_minimum_for_xor(smooth: Census) -> None:
    """Sprinkhuizen-Kuyper and Boers (1996) proved it; of higher order, some saddles look flat."""
    assert smooth.failures["local minimum"] == 0 < smooth.failures["saddle"]


def by_differences(crowd: Network, row: Any, h: float = 1e-4) -> Any:
    """The Hessian from losses alone."""
    steps = h * np.eye(len(row))

    def at(*signs: int) -> Any:
        moves = signs[0] * steps[:, None] + signs[1] * steps[None, :]
        moved = losses(crowd, XOR, (row + moves).reshape(-1, len(row)))
        return moved.reshape(len(row), len(row))

    return (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * h * h)


@pytest.mark.parametrize("activation, output", [(ReLU, "sigmoid"), (Tanh, "plain")])
def test_gradient_and_hessian_by_differences(activation: Any, output: str) -> None:
    crowd = network(activation, output=output).replicate(5, 3)
    rows = np.concatenate([a.reshape(5, -1) for a in crowd.parameters.values()], axis=1)
    H, g, h = hessian(crowd, XOR, rows), gradient(crowd, XOR, rows), 1e-5
    for i, row in enumerate(rows):
        moved = np.concatenate([row + h * np.eye(len(row)), row - h * np.eye(len(row))])
        plus, minus = np.split(losses(crowd, XOR, moved), 2)
        np.testing.assert_allclose((plus - minus) / (2 * h), g[i], atol=1e-8)
        np.testing.assert_allclose(by_differences(crowd, row), H[i], atol=1e-6)


@pytest.mark.parametrize("steps", [324, 400])  # where some have diverged, and all
def test_divergence_is_found_whenever_it_comes(steps: int) -> None:
    """The same nets at the same steps as in one go; and none of them in a circuit."""
    net = network(output="plain", alpha=2)
    result = census(net, XOR, nets=100, steps=steps, rng=0)
    whole = net.replicate(100, 0)
    whole.learn(XOR.batches(4), epochs=steps)
    assert (result.diverged == whole.diverged).all() and len({*result.diverged}) > 2
    for key, array in result.crowd.parameters.items():
        assert (array == whole.parameters[key]).all()
    # and where the next step would have diverged
    lost = (whole.diverged >= 0) | ~np.isfinite(result.losses)
    assert ((result.failure_of == "diverged") == lost).all()
    assert not result.solved[whole.diverged >= 0].any()


def test_nets_with_nan_are_in_no_circuit(found: Census, smooth: Census) -> None:
    for result in (found, smooth):
        crowd = result.crowd.copy()
        hurt = np.flatnonzero(result.solved)[:3]
        for i, (name, value) in enumerate(
            [("fc1.M", np.nan), ("fc2.b", np.inf), ("fc1.b", np.nan)]
        ):
            crowd.parameters[name][hurt[i]] = value
        spoilt = dataclasses.replace(result, crowd=crowd)
        assert not spoilt.solved[hurt].any()
        assert (spoilt.failure_of[hurt] == "diverged").all()
        assert (spoilt.circuit_of[hurt] == "").all()
        assert spoilt.count == result.count - 3


# The same seed, the same census


def same(one: Census, other: Census, nets: int) -> None:
    for key, array in one.crowd.parameters.items():
        assert (array[:nets] == other.crowd.parameters[key][:nets]).all()
    assert (one.failure_of[:nets] == other.failure_of[:nets]).all()
    assert (one.circuit_of[:nets] == other.circuit_of[:nets]).all()


def test_nets_do_not_depend_on_how_many_there_are(found: Census) -> None:
    fewer = census(network(), XOR, nets=37, steps=3000, rng=0)
    same(fewer, found, 37)


def test_threads_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for threads in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        results.append(census(network(), XOR, nets=11_000, steps=7, rng=5))
    same(results[0], results[1], 11_000)


def test_generators_and_seeds() -> None:
    net = network()
    rng = np.random.default_rng(3)
    one = census(net, XOR, nets=5, steps=3, rng=rng)
    two = census(net, XOR, nets=5, steps=3, rng=rng)
    again = census(net, XOR, nets=5, steps=3, rng=np.random.default_rng(3))
    assert one.seed == again.seed != two.seed
    same(one, again, 5)
    assert census(net, XOR, nets=5, steps=3).seed != census(net, XOR, nets=5, steps=3).seed


def test_starts_lead_to_members(found: Census) -> None:
    for i in (0, 7, 499):
        crowd = network().replicate(1, 0)
        for key, array in found.start(i).parameters.items():
            crowd.parameters[key][0] = array
        crowd.learn(XOR.batches(4), epochs=3000)
        for key, array in found.member(i).parameters.items():
            assert (crowd.parameters[key][0] == array).all()
    with pytest.raises(IndexError, match="no net 500"):
        found.start(500)


def test_alpha_and_watch() -> None:
    net, taken = network(alpha=0.1), []
    other = census(net, XOR, 20, 130, alpha=0.5, rng=0, watch=taken.append)
    same(other, census(network(alpha=0.5), XOR, 20, 130, rng=0), 20)
    assert net.alpha == 0.1 and taken == sorted({*taken}) and taken[-1] == 130 and len(taken) > 20


# Files


def test_a_file_holds_all_of_it(found: Census, tmp_path: Path) -> None:
    path = tmp_path / "a.census"
    found.save(path)
    again = load(path)
    assert str(again) == str(found) and repr(again) == repr(found)
    same(again, found, 500)
    for i in (3, 499):
        for one, other in ((again.start(i), found.start(i)), (again.member(i), found.member(i))):
            assert all((one.parameters[key] == a).all() for key, a in other.parameters.items())


@pytest.mark.parametrize(
    "change, words",
    [
        ({"kind": "network"}, "it holds no census"),
        ({"gate": "nope"}, "the gate must be one of"),
        ({"gate": "and"}, "not what its gate answers"),
        ({"steps": 0}, "steps must be a positive integer"),
        ({"seed": -1}, "an integer seed"),
        ({"earlier": np.zeros(3)}, r"earlier has shape \(3,\)"),
        ({"diverged": 5}, "diverged must be an array"),
        ({"more": 1}, "does not know"),
    ],
)
def test_bad_files(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.census"
    census(network(), XOR, nets=4, steps=2, rng=0).save(path)
    path.write_bytes(pack({**unpack(path.read_bytes()), **change}))
    with pytest.raises(FileError, match=words):
        load(path)


def test_other_networks_in_files(tmp_path: Path) -> None:
    path = tmp_path / "a.census"
    census(network(), XOR, nets=4, steps=2, rng=0).save(path)
    tree = unpack(path.read_bytes())
    network().save(tmp_path / "plain.minnet")
    plain = unpack((tmp_path / "plain.minnet").read_bytes())["network"]
    path.write_bytes(pack({**tree, "network": plain}))
    with pytest.raises(FileError, match="no crowd"):
        load(path)


# Bad input


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"net": 3}, TypeError, "one plain Network, not of 3"),
        ({"net": network().replicate(3, 0)}, TypeError, "one plain Network"),
        ({"net": Network([Affinity(2, 1)])}, ValueError, "missing"),
        ({"net": Network([Affinity(3, 2), ReLU(), Affinity(2, 1)])}, ValueError, "widths"),
        (
            {"net": Network([Affinity(2, 2), ReLU(), Affinity(2, 1), ReLU()])},
            ValueError,
            "not a ReLU",
        ),
        (
            {
                "net": Network(
                    [Affinity(2, 2), ReLU(), Affinity(2, 1)],
                    loss=BinaryCrossEntropy(from_logits=True),
                )
            },
            ValueError,
            "from_logits",
        ),
        ({"facts": XOR.X}, TypeError, "facts must be Facts"),
        ({"facts": parity(3)}, ValueError, r"facts of a gate.*X \(8, 3\)"),
        ({"facts": gate("xor", low=-1)}, ValueError, "facts of a gate"),
        ({"nets": 0}, ValueError, "the number of nets must be a positive integer"),
        ({"steps": 0}, ValueError, "steps must be a positive integer, not 0"),
        ({"steps": 1.5}, TypeError, "steps must be a positive integer"),
        ({"alpha": 0}, ValueError, "alpha must be above 0"),
        ({"rng": "x"}, TypeError, "rng must be"),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    rng = np.random.default_rng(0)
    good = {"net": network(), "facts": XOR, "nets": 3, "steps": 2, "rng": rng}
    with pytest.raises(error, match=words):
        census(**{**good, **arguments})
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@given(st.integers(1, 10_000), st.data())
def test_wilson(total: int, data: st.DataObject) -> None:
    """Its ends p are the rates of which the count is z standard deviations away."""
    count = data.draw(st.integers(0, total))
    low, high = wilson(count, total)
    assert 0 <= low <= count / total <= high <= 1
    for p in (low, high):
        distance = abs(count / total - p)
        assert distance == pytest.approx(1.959964 * (p * (1 - p) / total) ** 0.5, abs=1e-6)


# The command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["census", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = str(tmp_path)
    few = ("--nets", "40", "--steps", "500", "--alpha", "0.5", "--out", out)
    status, text, _ = run(capsys, "--gate", "or", *few)
    assert status == 0 and "40 nets 2-2-1 ReLU" in text and "local minimum" in text
    assert (tmp_path / "or-census.png").read_bytes()[:4] == b"\x89PNG"
    status, again, _ = run(capsys, "--open", f"{out}/or.census", "--out", out)
    assert status == 0 and again.strip() == text.partition("\n\nWritten")[0].strip()
    status, text, _ = run(capsys, "--open", f"{out}/or.census", "--net", "3", "--out", out)
    assert status == 0 and "net 3 of" in text and "fc1.M = " in text
    status, _, _ = (main(["anatomy", f"{out}/or-3.minnet", "--input", "1,0"]), "", "")
    assert status == 0
    capsys.readouterr()
    status, text, _ = run(
        capsys, "--vary", "loss", "--nets", "15", "--steps", "200", "--alpha", "1", "--out", out
    )
    assert status == 0 and text.count("solved") == 2 and (tmp_path / "vary-loss.png").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--gate", "nope"], "nope"),
        (["--nets", "0"], "--nets: must be an integer from 1"),
        (["--steps", "0"], "--steps: must be an integer from 1"),
        (["--alpha", "0"], "--alpha: must be a number above 0"),
        (["--activation", "step"], "--activation"),
        (["--net", "3"], "--net: it takes a net out of a census"),
        (["--output", "plain"], "--output: plain outputs are no probabilities"),
        (["--open", "nowhere.census"], "nowhere.census: No such file"),
        (["--gate", "or", "--all"], "not allowed with"),
    ],
)
def test_what_the_command_refuses(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, err = run(capsys, *arguments, "--out", str(tmp_path))
    assert status == 2 and words in err and len(err.splitlines()) == 1


def test_all_gates_have_names() -> None:
    from minnet.study.census import gate_of

    assert [gate_of(gate(name)) for name in GATES] == list(GATES)
