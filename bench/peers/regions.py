"""How fast linear regions are found: `python -m bench.peers.regions [FOLDER]`.

Ours, with polygons, maps, neighbours and the certificate, beside edge subdivision (Berzins
2023) in PyTorch where torch can be imported; and, for a FOLDER, a picture of how the time per
cell grows there. Both alternate in one process; shown are medians.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from minnet import Affinity, Layer, Network, ReLU
from minnet.study.regions import LinearRegions, count_regions, linear_regions

ROUNDS = 7
WIDTHS = [(2, 20, 1), (2, 100, 1), (2, 32, 32, 32, 32, 1), (2, 100, 100, 1)]
GROWTH = [18, 30, 60, 120, 250, 500, 1000, 1300]  # hidden units: from 100 cells to half a million


def he_network(*widths: int, seed: int = 0) -> Network:
    """Weights normal with variance 2/n, biases uniform in +-1/sqrt(n)."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for n, m in pairwise(widths):
        affine = Affinity(n, m)
        affine.M = rng.normal(size=(m, n)) * np.sqrt(2 / n)
        affine.b = rng.uniform(-1, 1, m) / np.sqrt(n)
        layers += [affine, ReLU()]
    return Network(layers[:-1])


def everything(net: Network) -> LinearRegions:
    """All that a user can ask for."""
    regions = linear_regions(net)
    _ = regions.polygons, regions.neighbours, regions.kinks
    return regions


def edge_subdivision(net: Network, torch: Any) -> int:
    """The number of cells, by Berzins' algorithm: cut all edges by one unit after another.

    A vertex has the sign of every plane so far, 0 where it is on it. New vertices that see
    the same cell on one of their sides are joined by a new edge. A vertex on a unit's line
    counts as positive, and two lines through one vertex are not expected.
    """
    affine = [layer for layer in net.layers if isinstance(layer, Affinity)]
    weights = [(torch.from_numpy(a.M.T.copy()), torch.from_numpy(a.b.copy())) for a in affine]
    planes = 4 + sum(layer.M.shape[0] for layer in affine[:-1])
    codes = torch.randint(1, 2**40, (planes,), generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64)
    signs = torch.zeros((4, planes), dtype=torch.int64)
    signs[:, :4] = torch.tensor([[0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0]])
    edges = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0]])
    plane = 4
    for depth in range(len(weights) - 1):
        z = _values(x, weights, depth)
        for unit in range(z.shape[1]):
            positive = z[:, unit] >= 0
            signs[:, plane] = 2 * positive - 1
            cut = positive[edges[:, 0]] != positive[edges[:, 1]]
            a, b = edges[cut].T
            new = len(x) + torch.arange(len(a))
            t = (z[a, unit] / (z[a, unit] - z[b, unit]))[:, None]
            x = torch.cat([x, x[a] + t * (x[b] - x[a])])
            z = torch.cat([z, _values(x[len(z) :], weights, depth)])
            on_edge = torch.sign(signs[a] + signs[b])
            on_edge[:, plane] = 0
            signs = torch.cat([signs, on_edge])
            # an edge is on one plane: the cells beside it have 1 or -1 there
            zero = (on_edge[:, :plane] == 0).to(torch.int64) @ codes[:plane]
            own = on_edge @ codes
            keys, order = torch.sort(torch.cat([own + zero, own - zero]))
            pairs = keys[1:] == keys[:-1]
            ends = torch.cat([new, new])[order]
            joined = torch.stack([ends[:-1][pairs], ends[1:][pairs]], dim=1)
            halves = [torch.stack([a, new], dim=1), torch.stack([new, b], dim=1)]
            edges = torch.cat([edges[~cut], *halves, joined])
            plane += 1
    return len(edges) - len(x) + 1


def _values(x: Any, weights: list[Any], depth: int) -> Any:
    for M, b in weights[:depth]:
        x = (x @ M + b).clamp(min=0)
    return x @ weights[depth][0] + weights[depth][1]


def times(contestants: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds, the median of so many rounds, in which all alternate."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = perf_counter()
            run()
            taken[name].append(1e3 * (perf_counter() - start))
    return {name: median(values) for name, values in taken.items()}


def table() -> None:
    """Print the times of all networks."""
    try:
        import torch  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError:
        torch = None
    print("network               cells      ours, all   ours, count   edge subdivision")
    for widths in WIDTHS:
        net = he_network(*widths)
        cells = len(linear_regions(net))
        contestants: dict[str, Callable[[], Any]] = {"all": partial(everything, net)}
        if len(widths) == 3:
            contestants["count"] = partial(count_regions, net)
        if torch is not None:
            found = edge_subdivision(net, torch)
            assert found == cells, (found, cells)
            contestants["torch"] = partial(edge_subdivision, net, torch)
        ms = times(contestants)
        shown = [f"{ms[name]:9.1f} ms" if name in ms else " " * 12 for name in ("all", "count")]
        peer = f"{ms['torch']:15.1f} ms" if "torch" in ms else "(torch is missing)"
        print(f"{'-'.join(map(str, widths)):20} {cells:7}  {'  '.join(shown)} {peer}", flush=True)


def growth(folder: Path) -> None:
    """Draw the time per cell from a hundred cells to half a million."""
    from bench.plots import figure, save

    cells, each = [], []
    for width in GROWTH:
        net = he_network(2, width, 1)
        cells.append(len(linear_regions(net)))
        ms = times({"all": partial(everything, net)}, ROUNDS if width < 300 else 1)["all"]
        each.append(1e3 * ms / cells[-1])
        print(f"2-{width}-1: {cells[-1]} cells, {each[-1]:.1f} microseconds each", flush=True)
    picture = figure()
    ax = picture.add_subplot()
    ax.loglog(cells, each, "o-")
    ax.set(xlabel="cells", ylabel="microseconds per cell", title="Everything, with the certificate")
    ax.set_ylim(1, 100)
    ax.grid(True, which="both", alpha=0.3)
    save(picture, folder / "regions-growth.png")


if __name__ == "__main__":
    table()
    if len(sys.argv) > 1:
        growth(Path(sys.argv[1]))
