"""Every layer has every property; a layer of your own needs one line more in `cases`."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
from autograd import numpy as anp
from conftest import own_case
from hypothesis import given
from properties import Case, LayerProperties, close, evidence

from minnet import (
    Affinity,
    Identity,
    Layer,
    LeakyReLU,
    Map,
    Parameter,
    ReLU,
    Sigmoid,
    Tanh,
    along_batch,
    batch_sum,
)

widths = st.integers(1, 4)
leaks = st.sampled_from([0.01, 0.5, 2.0, -0.25, 0.0])


class Scale(Layer):
    """A user's layer: y = s x."""

    s = Parameter()

    def __init__(self, n: int) -> None:
        super().__init__(n, n)
        self.s = np.ones(n)

    def forward(self, x: Any) -> Any:
        return along_batch(self.s) * x, x

    def backprop(self, dy: Any, x: Any, inputs: bool = True) -> Any:
        return dy * along_batch(self.s), {"s": batch_sum(dy * x)}


def arc(x: float) -> float:
    """For scalars only, and sometimes an integer."""
    return math.atan(x) if x > 0 else 0


def slope_of_arc(x: float) -> float:
    return 1 / (1 + x * x) if x > 0 else 0


def ones(x: Any) -> Any:
    """In place, where it is allowed to."""
    x *= 0
    x += 1
    return x


class TestLayers(LayerProperties):
    cases: ClassVar = {
        "Identity": Case(st.builds(Identity), slopes=lambda layer: (1, 1, 1)),
        "Affinity": Case(st.builds(Affinity, widths, widths, rng=st.just(0))),
        "ReLU": Case(st.builds(ReLU), slopes=lambda layer: (0, 0, 1)),
        "LeakyReLU": Case(
            st.builds(LeakyReLU, leaks), slopes=lambda layer: (layer.leak, layer.leak, 1)
        ),
        "Sigmoid": Case(st.builds(Sigmoid), slopes=lambda layer: (0.25, 0.25, 0.25)),
        "Tanh": Case(st.builds(Tanh), slopes=lambda layer: (1, 1, 1)),
        "Map of arrays": Case(
            st.builds(Map, st.just(np.sin), st.just(np.cos)), lambda layer, p, x: anp.sin(x)
        ),
        "Map of scalars": Case(
            st.builds(Map, st.just(arc), st.just(slope_of_arc)),
            lambda layer, p, x: anp.where(x > 0, anp.arctan(x), 0 * x),
            analytic=False,
            slopes=lambda layer: (0, 0, 1),
        ),
        "Map in place": Case(
            st.builds(Map, st.just(lambda x: x), st.just(ones)),
            lambda layer, p, x: 1 * x,
            slopes=lambda layer: (1, 1, 1),
        ),
        "Scale": Case(st.builds(Scale, widths), lambda layer, p, x: p["s"] * x, analytic=False),
    }


@pytest.mark.parametrize("kind", [Sigmoid, Tanh])
@given(st.integers(1, 95), st.integers(-40, 3), st.sampled_from([1, -1]))
def test_tails(kind: type[Sigmoid | Tanh], whole: int, exponent: int, sign: int) -> None:
    """Values and slopes are accurate to rounding, however far out, as long as a float can say."""
    layer, x, dy = kind(), sign * math.ldexp(whole, exponent), -3e-5
    y, cache = layer.forward(np.array([x]))
    slope = layer.backprop(np.array([dy]), cache)[0] / dy
    for actual, exact in zip((y, slope), oracle.EXACT[kind], strict=True):
        close(actual, oracle.exactly(exact, np.array([x])), f"at {x}", 1e-14, 1e-318)


# The suite itself, on layers of one's own


LAYERS = """
import numpy as np
from minnet import Layer, Map, Parameter, along_batch, batch_sum

class Right(Layer):
    s = Parameter()
    def __init__(self):
        super().__init__(2, 2)
        self.s = [1, 2]
    def forward(self, x):
        return along_batch(self.s) * np.cos(x), x
    def backprop(self, dy, x, inputs=True):
        return -along_batch(self.s) * np.sin(x) * dy, {"s": batch_sum(dy * np.cos(x))}

class Wrong(Right):
    def backprop(self, dy, x, inputs=True):
        return along_batch(self.s) * np.sin(x) * dy, {"s": batch_sum(dy * np.cos(x))}

flat = Map(lambda x: 0 * x, lambda x: 0 * x)
nothing = 3
"""


def run_on(named: str, folder: Path, *options: str) -> tuple[int, str]:
    (folder / "own.py").write_text(LAYERS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--layer", named]
    command += ["--hypothesis-profile", "mutants", *options, __file__]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


def test_a_right_layer_of_your_own_has_every_property(tmp_path: Path) -> None:
    properties_there_are = [name for name in vars(LayerProperties) if name.startswith("test_")]
    status, printed = run_on("own:Right", tmp_path)
    assert status == 0 and f"{len(properties_there_are)} passed" in printed, printed


@pytest.mark.parametrize(
    ("named", "words"), [("Wrong", "gradient of the input"), ("flat", "vacuous")]
)
def test_other_layers_of_your_own_are_refused(named: str, words: str, tmp_path: Path) -> None:
    status, printed = run_on(f"own:{named}", tmp_path, "-k", "test_oracles")
    assert status == 1 and words in printed, printed


@pytest.mark.parametrize(
    ("named", "words"),
    [("nothing", "object is not callable"), ("missing", "has no attribute 'missing'")],
)
def test_what_is_no_layer_is_a_usage_error(
    named: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "not_own.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(pytest.UsageError, match=f"--layer not_own:{named}.*{words}"):
        own_case(f"not_own:{named}")


def test_what_cannot_be_told_from_zero_is_no_evidence() -> None:
    with evidence() as found:
        close([1e-12, 3.0], [2e-12, 3.0], "one seen of two", rtol=1e-9)
        assert found.verdict() is None
        close(np.zeros(3), np.zeros(3), "three zeros")
        assert found.verdict() == "vacuous: of 5 numbers expected, only 1 were above tolerance"
        close([0.0, 4.0, 5.0, 6.0], [0.0, 4.0, 5.0, 6.0], "three seen, and a zero among them")
        assert found.verdict() is None
