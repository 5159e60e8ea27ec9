"""The rules of the house: which way imports run, how long the textbook is, no hidden randomness.

Each rule is a function from a module's source to what offends against it, and is shown to
find what it forbids before it is applied to the project.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bench
import minnet

ROOT = Path(minnet.__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("minnet", "bench")
    for path in (ROOT / package).rglob("*.py")
)

SLOW = {"matplotlib", "rich", "scipy", "dill", "numba"}  # import times: shared out by use
COMPILES = "minnet/unroll/"  # the one place where numba may be used
TEXTBOOK = ("layers.py", "network.py")
SEEDED = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64", "Philox"}


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """(module imported, whether that happens when the importing module itself is imported)."""

    def walk(node: ast.AST, at_import: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from ((f"{node.module}.{alias.name}", at_import) for alias in node.names)
        elif isinstance(node, ast.Call):
            match ast.unparse(node.func), node.args:
                case (("importlib.import_module" | "__import__"), [ast.Constant(value), *_]):
                    yield str(value), at_import
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return  # for the type checker, nothing is imported
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_import and not inside)

    return walk(ast.parse(source), True)


def wrong_arrows(source: str, path: str) -> list[str]:
    """The imports that a module at `path` must not have."""
    package, study = path.split("/")[0], path.startswith("minnet/study/")

    def wrong(name: str, at_import: bool) -> bool:
        root = name.split(".")[0]
        if root in ("tests", "docs", "autograd", "hypothesis"):
            return True
        if at_import and root in SLOW:
            return True
        if root == "numba":
            return not path.startswith(COMPILES)
        if package != "minnet":
            return False
        if root == "minnet":
            return name.startswith("minnet.study") and not study
        return root not in {"numpy", *sys.stdlib_module_names, *(["scipy"] if study else [])}

    return [name for name, at_import in imports(source) if wrong(name, at_import)]


def global_randomness(source: str, path: str) -> list[str]:
    """Names through which a module would reach random numbers that nobody handed in."""
    used = [name for name, _ in imports(source)]
    used += [ast.unparse(n) for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute)]
    hidden = [name for name in used if name.split(".")[0] == "random"]
    for name in used:
        _, found, rest = name.partition("np.random." if "np.random." in name else "numpy.random.")
        if found and re.split(r"[.(]", rest)[0] not in SEEDED:
            hidden.append(name)
    return hidden


@pytest.mark.parametrize("path", FILES)
def test_imports_run_one_way(path: str) -> None:
    assert wrong_arrows((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize("path", FILES)
def test_no_global_random_state(path: str) -> None:
    assert global_randomness((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize(
    "rule, path, source",
    [
        (wrong_arrows, "minnet/facts.py", "import scipy"),
        (wrong_arrows, "minnet/facts.py", "from bench import NNBench"),
        (wrong_arrows, "minnet/facts.py", "import minnet.study.anatomy"),
        (wrong_arrows, "minnet/facts.py", "def f():\n    from minnet import study"),
        (wrong_arrows, "minnet/facts.py", "def f():\n    import numba"),
        (wrong_arrows, "minnet/facts.py", "import importlib\nimportlib.import_module('scipy')"),
        (wrong_arrows, "minnet/unroll/blocks.py", "import numba"),
        (wrong_arrows, "minnet/study/regions.py", "from scipy import optimize"),
        (wrong_arrows, "minnet/study/regions.py", "def f():\n    import bench"),
        (wrong_arrows, "bench/plots.py", "from matplotlib import pyplot"),
        (wrong_arrows, "bench/plots.py", "try:\n    import dill\nexcept ImportError: pass"),
        (wrong_arrows, "bench/plots.py", "class A:\n    import rich.console"),
        (wrong_arrows, "bench/plots.py", "def f():\n    import tests.oracle"),
        (wrong_arrows, "bench/plots.py", "def f():\n    from autograd import grad"),
        (global_randomness, "minnet/facts.py", "np.random.seed(0)"),
        (global_randomness, "minnet/facts.py", "x = numpy.random.randn(2)"),
        (global_randomness, "minnet/facts.py", "rng = np.random.RandomState(0)"),
        (global_randomness, "minnet/facts.py", "from numpy.random import rand"),
        (global_randomness, "bench/plots.py", "import random"),
    ],
)
def test_the_rules_find_what_they_forbid(
    rule: Callable[[str, str], list[str]], path: str, source: str
) -> None:
    assert rule(source, path)


@pytest.mark.parametrize(
    "path, source",
    [
        ("minnet/unroll/blocks.py", "def f():\n    import numba"),
        ("minnet/study/regions.py", "def f():\n    from scipy import optimize"),
        ("bench/plots.py", "def f():\n    import matplotlib.pyplot as plt"),
        ("bench/plots.py", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        ("minnet/facts.py", "import numpy as np\nrng = np.random.default_rng(0)"),
    ],
)
def test_the_rules_allow_what_the_house_does(path: str, source: str) -> None:
    assert wrong_arrows(source, path) == global_randomness(source, path) == []


def test_importing_takes_nothing_slow_along() -> None:
    code = f"import minnet, bench, sys; print({SLOW | {'autograd', 'torch'}!r} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_the_textbook_is_short() -> None:
    lines = [len((ROOT / "minnet" / f).read_text().splitlines()) for f in TEXTBOOK]
    assert sum(lines) < 400


@pytest.mark.parametrize("name", minnet.__all__)
def test_public_names_have_a_docstring_with_an_example(name: str) -> None:
    assert ">>>" in (getattr(minnet, name).__doc__ or "")


@pytest.mark.parametrize("name", bench.__all__)
def test_the_benchs_public_names_have_a_docstring_with_an_example(name: str) -> None:
    assert ">>>" in (getattr(bench, name).__doc__ or "")


def test_all_lists_every_public_name() -> None:
    for package in (minnet, bench):
        public = {
            name
            for name, value in vars(package).items()
            if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
        }
        assert public <= set(package.__all__)
        assert all(hasattr(package, name) for name in package.__all__)  # some load late
