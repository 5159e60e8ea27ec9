"""What there is to see of knobs, as data: curve, decision region, unit, weights.

What cannot be seen raises ValueError, in words that can stand in the place of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.knobs import SIGMA, Knobs
from bench.plots import smoothed
from minnet import Affinity, Network
from minnet.checks import Array
from minnet.structure import leaves
from minnet.study.formulas import formulas

POINTS = 61  # along each side of a region
SHOWN_FACTS = 200
SHOWN_NETS = 50


def curve(knobs: Knobs) -> Array:
    """The losses, (steps, nets), raw or through the low pass; nan from a divergence on.

    Examples
    --------
    >>> from bench import NNBench
    >>> knobs = Knobs(NNBench(Network([Affinity(2, 2, rng=0)])), facts=50)
    >>> knobs.move("curve", "low-pass")
    >>> curve(knobs).shape
    (50, 1)
    """
    losses = np.asarray(knobs.losses, float)
    losses = losses.reshape(len(losses), -1)[:, :SHOWN_NETS]
    if knobs.settings.curve == "low-pass":
        losses = smoothed(losses, SIGMA)
    return np.where(np.isfinite(losses), losses, np.nan)


@dataclass(frozen=True)
class Region:
    """A number over the plane of the two inputs.

    Attributes
    ----------
    axes : pair of ndarray (POINTS,)
    values : ndarray (POINTS, POINTS)
        At (x[1], x[0]); nan where it is not finite.
    threshold : float
        Where the line is.
    line : ndarray (points, 2)
        Its points, with a row of nan between one piece and the next.
    reach : float
        How far from the threshold the colours go.
    X : ndarray (facts, 2)
        Facts to draw into it.
    expected : ndarray (facts,)
        What they expect, from -1 to 1, where 0 is between false and true.
    title : str
    """

    axes: tuple[Array, Array]
    values: Array
    threshold: float
    line: Array
    reach: float
    X: Array
    expected: Array
    title: str


def region(knobs: Knobs) -> Region:
    """The output over the inputs, or what the chosen unit adds up to.

    Raises
    ------
    ValueError
        If the network has other than two inputs, or is a crowd.
    """
    net, unit = knobs.bench.net, knobs.settings.unit
    if net.nets is not None:
        raise ValueError(f"a crowd of {net.nets} nets has no one decision region")
    if net.n != 2:
        raise ValueError(f"a decision region takes 2 inputs; this network has {net.n}")
    facts = knobs.facts
    axes = _window(facts.X)
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    threshold, output, title = _threshold(knobs), 0, "output 0"
    last = [name for name, layer in leaves(net) if isinstance(layer, Affinity)][-1:]
    with np.errstate(all="ignore"):
        if unit is not None and unit[0] not in last:
            threshold, title = 0.0, f"{unit[0]}[{unit[1]}] before its activation"
            values = _up_to(net, unit[0], points)[:, unit[1]]
        else:
            output = 0 if unit is None else unit[1]
            title = f"output {output}"
            values = net(points)[:, output]
    values = np.where(np.isfinite(values), values, np.nan).reshape(POINTS, POINTS)
    T = facts.T if facts.T.ndim == 1 else facts.T[:, min(output, facts.T.shape[1] - 1)]
    T = T - knobs.ideal.threshold
    spread = float(abs(T).max()) or 1.0
    reach = 4.0 if _is_logit(knobs) else spread
    if unit is not None and unit[0] not in last:
        reach = float(np.nanmax(abs(values), initial=0)) or 1.0
    return Region(
        axes, values, threshold, _line(axes, values, threshold), reach,
        facts.X[:SHOWN_FACTS], T[:SHOWN_FACTS] / spread, title,
    )  # fmt: skip


def weights(knobs: Knobs) -> list[tuple[str, Array]]:
    """Every parameter, with its name, as a matrix: all weights and biases of any shape.

    A vector is a column; of more than two axes the last ones are side by side; of a crowd
    net 0 is shown.
    """
    net = knobs.bench.net
    shown = []
    for name, array in net.parameters.items():
        one = array if net.nets is None else array[0]
        rows = one.shape[0] if one.ndim else 1
        shown.append((name, one.reshape(rows, -1).astype(float)))
    return shown


def fact_at_hand(knobs: Knobs) -> int:
    """The number of the fact that a step would learn; at the end, of the last one."""
    learned = len(knobs.losses) - (knobs.bench.net.diverged is not None)
    return min(max(learned, 0), len(knobs.facts) - 1)


def equation(knobs: Knobs) -> str:
    """What the chosen unit computes, and its line in the plane of the inputs.

    Raises
    ------
    ValueError
        For a crowd, and where no unit is chosen.
    """
    unit, net = knobs.settings.unit, knobs.bench.net
    if unit is None:
        raise ValueError("click a unit of the network: here is its equation")
    name, place = unit
    start = f"{name}[{place}] = "
    text = next(line for line in formulas(net, 3).splitlines() if line.startswith(start))
    first, layer = next(leaves(net))
    if name == first and isinstance(layer, Affinity) and layer.n == 2:
        (v, w), b = layer.M[place], layer.b[place]
        text += f"\nits line: {v:.3g} x[0] {w:+.3g} x[1] {b:+.3g} = 0"
    return text


def _threshold(knobs: Knobs) -> float:
    return 0.0 if _is_logit(knobs) else knobs.ideal.threshold


def _is_logit(knobs: Knobs) -> bool:
    return bool(getattr(knobs.bench.net.loss, "from_logits", False))


def _up_to(net: Network, name: str, x: Array) -> Array:
    """What the layer of that name gives."""
    for other, layer in leaves(net):
        x = layer(x)
        if other == name:
            break
    return x


def _window(X: Array) -> tuple[Array, Array]:
    """The two axes, a sixth beyond the facts, with round ends that seldom change."""
    axes = []
    for low, high in zip(X.min(axis=0), X.max(axis=0), strict=True):
        reach = (high - low) / 6 or 1.0
        unit = 10.0 ** np.floor(np.log10(reach)) if np.isfinite(reach) else reach
        ends = np.floor((low - reach) / unit) * unit, np.ceil((high + reach) / unit) * unit
        axes.append(np.linspace(*ends, POINTS))
    return axes[0], axes[1]


def _line(axes: tuple[Array, Array], values: Array, threshold: float) -> Array:
    from contourpy import LineType, contour_generator

    generator = contour_generator(
        *axes, np.ma.masked_invalid(values), name="serial", line_type=LineType.ChunkCombinedNan
    )
    points: Any = generator.lines(threshold)[0][0]
    return np.zeros((0, 2)) if points is None else points
