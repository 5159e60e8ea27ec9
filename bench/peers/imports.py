"""What an import takes beyond `import numpy`, in fresh processes, in turns."""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from bench.peers.harness import Row

NAMES = {
    "minnet": "minnet",
    "JAX": "jax",
    "scikit-learn": "sklearn.neural_network",
    "PyTorch": "torch",
    "thinc": "thinc.api",
}
PROGRAM = """
import numpy
from time import perf_counter
begin = perf_counter()
import {}
print(perf_counter() - begin)
"""


def rows(quick: bool) -> list[Row]:
    print("  import", file=sys.stderr, flush=True)
    taken: dict[str, list[float]] = {name: [] for name in NAMES}
    with TemporaryDirectory() as cache:
        for _ in range(1 + (3 if quick else 11)):
            for name, module in NAMES.items():
                taken[name].append(_seconds(module, cache))
    # the first round compiles all modules to byte code, which the others find
    return [
        {
            "contest": "import, beyond NumPy's",
            "contestant": name,
            "unit": "import",
            "first": first,
            "seconds": seconds,
        }
        for name, (first, *seconds) in taken.items()
    ]


def _seconds(module: str, cache: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(module)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)
