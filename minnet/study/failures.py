"""Why a network failed to learn a gate: exactly one name for each."""

from __future__ import annotations

import numpy as np

from minnet.checks import Array
from minnet.facts import Facts
from minnet.layers import ReLU
from minnet.network import Network
from minnet.study.critical import FLAT, CriticalPoints, critical_points, falls, inputs, losses
from minnet.study.parts import parts

FAILURES = (
    "diverged",
    "dead unit",
    "still descending",
    "saddle",
    "local minimum",
    "plateau",
)

DESCENT = 1e-4  # of the loss: what must have been gained in the last tenth of the steps
NO_CURVATURE = 1e-6  # the size of eigenvalues that say nothing


def failures(net: Network, facts: Facts, earlier: Array, diverged: Array, solved: Array) -> Array:
    """The name of what happened to each net of a crowd that failed; "" where it was solved.

    The first of these that is true:

    diverged
        A step would have led to numbers that are not finite; or a parameter or the loss is
        such a number.
    dead unit
        A hidden ReLU unit fires on no fact, and fewer than the gate needs do fire: it needs
        2 for xor and xnor, none for false and true, 1 for the others. The gradient of a
        unit that fires on no fact is exactly 0, so that gradient descent cannot revive it.
    still descending
        In the last tenth of the steps the loss fell by more than DESCENT (1e-4) of itself.
    saddle, local minimum
        There is a critical point close by (`minnet.study.critical.critical_points`). Its
        Hessian is indefinite (the least eigenvalue is below minus FLAT times the largest
        size of one): a saddle. So is a point whose Hessian is semidefinite, if in
        directions in which that is flat the loss falls (`minnet.study.critical.falls`).
        Else, if the Hessian is positive in some direction, it is a local minimum.
    plateau
        None of these: the loss does not fall, but no such point is near, or all is flat there.

    Parameters
    ----------
    net : Network
        A crowd of 2-width-1 networks, after its training.
    facts : Facts
        Of a gate.
    earlier : ndarray, shape (nets,)
        The losses when nine tenths of the steps had been taken.
    diverged, solved : ndarray of bool, shape (nets,)

    Returns
    -------
    ndarray of str, shape (nets,)
    """
    with np.errstate(all="ignore"):
        rows = _rows(net)
        names = np.full(len(rows), "", dtype=f"<U{max(map(len, FAILURES))}")
        last = losses(net, facts, rows)
        verdicts = {
            "diverged": diverged | ~np.isfinite(rows).all(axis=1) | ~np.isfinite(last),
            "dead unit": living(net, facts) < min(needed(facts), parts(net).b.shape[1]),
            "still descending": earlier - last > DESCENT * earlier,
        }
        for name, is_so in verdicts.items():
            names[~solved & (names == "") & is_so] = name
        rest = np.flatnonzero(~solved & (names == ""))
        if len(rest):
            names[rest] = _named(net, facts, critical_points(net, facts, rows[rest]))
    return names


def needed(facts: Facts) -> int:
    """The least number of hidden units of any network of one hidden ReLU layer for the gate."""
    true = facts.T[:, 0] > 0.5
    if true.all() or not true.any():
        return 0
    return 1 + int(true[0] == true[3] != true[1] == true[2])


def living(net: Network, facts: Facts) -> Array:
    """How many hidden units of each net can learn: of ReLU units, those that fire on a fact."""
    p = parts(net)
    if type(p.hidden) is not ReLU:
        return np.full(*p.b.shape)
    return (inputs(net, facts, _rows(net)) > 0).any(axis=1).sum(axis=1)


def _rows(net: Network) -> Array:
    """All parameters of a crowd, (nets, size)."""
    return np.concatenate([a.reshape(len(a), -1) for a in net.parameters.values()], axis=1)


def _named(net: Network, facts: Facts, points: CriticalPoints) -> Array:
    least, largest = points.eigenvalues[:, 0], points.eigenvalues[:, -1]
    scale = np.maximum(largest, -least)
    curved = points.found & (scale > NO_CURVATURE)
    saddle = (least < -FLAT * scale) | falls(net, facts, points)
    return np.select(
        [curved & saddle, curved & (largest > NO_CURVATURE)], ["saddle", "local minimum"], "plateau"
    )
