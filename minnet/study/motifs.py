"""Motifs: circuits in which the facts that lie on a unit's kink are left open.

Training drives facts onto the kinks of ReLU units and holds them there: on the one side a
fact pushes the unit back, on the other it does not. On which side it stood when training
ended is an accident, which a circuit records and a motif does not.
"""

from __future__ import annotations

import numpy as np

from minnet.checks import Array
from minnet.layers import ReLU
from minnet.network import Network
from minnet.study.parts import parts
from minnet.study.units import circuit_names

ON_THE_KINK = 0.01  # of |w0| + |w1| + |b|: how small |z| then is


def motif_names(net: Network) -> Array:
    """Names of motifs, (nets,) or (), of str: those of circuits, with ~ for a fact on the kink.

    Parameters
    ----------
    net : Network
        As for `minnet.study.units.units_of`. Sigmoid and Tanh units have no kink: their
        motifs are their circuits.

    Raises
    ------
    TypeError, ValueError
        If it is another network.

    Examples
    --------
    >>> from minnet.study.gates import trained_xor
    >>> str(motif_names(trained_xor()))
    '+~10~ +~01~'
    """
    names, p = circuit_names(net), parts(net)
    if type(p.hidden) is not ReLU:
        return names
    z = p.inputs()
    with np.errstate(all="ignore"):
        scale = abs(p.M).sum(axis=-1) + abs(p.b)
        digits = np.where(abs(z) <= ON_THE_KINK * scale[..., None], 1, np.where(z > 0, 2, 0))
    # in falling order: + before -, and 1 before ~ before 0; silent units last
    codes = digits @ [27, 9, 3, 1] + np.where(p.v > 0, 81, 0)
    codes = np.where((digits == 0).all(axis=-1) | (p.v == 0), -1, codes)
    rows, which = np.unique(
        -np.sort(-codes, axis=-1).reshape(-1, codes.shape[-1]), axis=0, return_inverse=True
    )
    found = np.array([" ".join(map(_unit_name, row.tolist())) for row in rows])
    return np.where(names == "", "", found[which.ravel()].reshape(names.shape))


def _unit_name(code: int) -> str:
    if code < 0:
        return "0"
    digits = ["0~1"[code // place % 3] for place in (27, 9, 3, 1)]
    return ("+" if code >= 81 else "-") + "".join(digits)
