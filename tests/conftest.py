"""How the tests run: reproducibly, never vacuously, and on a layer of yours if you name one."""

from __future__ import annotations

import importlib
import operator
import os
import sys
from collections.abc import Generator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings

from minnet import Layer

pytest.register_assert_rewrite("properties")

# The same examples at every run: a fault that a run finds is found by the next one too.
settings.register_profile(
    "reproducible",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,
    report_multiple_bugs=False,
    # a property is a method, which pytest calls on a new object for each case
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
# Other examples at every run, and many: to look for what the others missed.
settings.register_profile(
    "explore", settings.get_profile("reproducible"), derandomize=False, max_examples=1000
)
# Fewer, and without making a failing example small: for planted faults.
settings.register_profile(
    "mutants",
    settings.get_profile("reproducible"),
    phases=[Phase.explicit, Phase.generate],
    max_examples=10,
)
settings.load_profile("reproducible")

OWN = pytest.StashKey[dict[str, Any]]()

# `properties` is imported inside the hooks: a property has the settings of its import,
# and those of --hypothesis-profile are known only when pytest has been configured.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--layer",
        metavar="MODULE:OBJECT",
        help="run every property of a layer, and nothing else, on a layer of your own: "
        "an instance, or a class or function that makes one without arguments",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    named = config.getoption("--layer")
    config.stash[OWN] = {named: own_case(named)} if named else {}


def own_case(named: str) -> Any:
    """The case of a user's layer, of which nothing is known but what it says itself."""
    import properties

    module, _, path = named.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = operator.attrgetter(path)(importlib.import_module(module))
        layer = found if isinstance(found, Layer) else found()
    except Exception as error:
        raise pytest.UsageError(f"--layer {named}: {type(error).__name__}: {error}") from error
    if not isinstance(layer, Layer):
        raise pytest.UsageError(f"--layer {named} must be or make a Layer, not {layer!r}")
    return properties.Case(st.builds(layer.copy), forward=None, analytic=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each property runs on each case of its suite."""
    if "case" in metafunc.fixturenames and hasattr(metafunc.cls, "cases"):
        cases = metafunc.config.stash[OWN] or metafunc.cls.cases
        metafunc.parametrize("case", cases.values(), ids=cases)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a layer of your own, each property of a layer once, and nothing else."""
    import properties

    if config.stash[OWN]:
        kind = properties.LayerProperties
        found = [item for item in items if isinstance(getattr(item, "instance", None), kind)]
        items[:] = {item.name: item for item in found}.values()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test that passed without telling its numbers from zero has not passed."""
    import properties

    with properties.evidence() as evidence:
        result = yield
    if complaint := evidence.verdict():
        pytest.fail(complaint, pytrace=False)
    return result
