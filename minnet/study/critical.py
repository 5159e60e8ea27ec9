"""Critical points of the loss: where the gradient is 0, close to where networks have come.

Of ReLU networks the loss is smooth as long as the same hidden units fire on the same facts:
in a region. Its borders, the kinks, are planes in the space of the parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minnet.checks import Array
from minnet.facts import Facts
from minnet.layers import ReLU
from minnet.network import Network
from minnet.parameters import split
from minnet.study.parts import parts

NEAR = 0.5  # of the parameters' norm: how far a critical point may be
CLEAR = 0.2  # of that way: how far the net must be from the nearest kink
CRITICAL = 1e-9  # the gradient's norm at a critical point
FLAT = 1e-4  # of the largest eigenvalue's size: below it, an eigenvalue counts as 0
PROBES, REACH = 32, 0.03  # points tried around a critical point; of its norm, how far away
LOWER = 1e-10  # of the loss: a fall that is more than rounding
TRIES = 40  # steps towards the critical point
STUCK = 1e6  # damping at which a step is too small to try
COMPLEX_STEP = 1e-30  # so small that the derivative is exact to rounding


@dataclass(frozen=True, eq=False)
class CriticalPoints:
    """Where the gradient is 0, close to where nets have come.

    Attributes
    ----------
    rows : ndarray, shape (nets, size)
        The parameters there.
    found : ndarray of bool, shape (nets,)
        Whether there is such a point; else the row is how far the search came.
    eigenvalues : ndarray, shape (nets, size)
        Of the Hessian, in rising order.
    directions : ndarray, shape (nets, size, size)
        Of which column k belongs to eigenvalue k.
    """

    rows: Array
    found: Array
    eigenvalues: Array
    directions: Array


def critical_points(net: Network, facts: Facts, rows: Array) -> CriticalPoints:
    """The critical points near some parameters (nets, size), in their region.

    At most TRIES Levenberg-Marquardt steps on gradient = 0, which go to saddles and maxima as
    well as to minima: s = -(H^2 + mu)^-1 H g. mu falls where a step makes the gradient
    smaller and stays in the region, and rises where it does not, and nothing is done.

    A point counts as found where the norm of the gradient is at most CRITICAL and its distance
    at most NEAR times the norm of the parameters; and where no kink is nearer to the
    parameters than CLEAR times that distance, since gradient descent, which goes another
    way, might cross it.
    """
    start, rows = rows, rows.astype(float)
    gradients, hessians = gradient(net, facts, rows), hessian(net, facts, rows)
    damping = np.full(len(rows), 1e-3)
    for _ in range(TRIES):
        sizes = np.linalg.norm(gradients, axis=1)
        going = np.flatnonzero((sizes > CRITICAL) & (damping < STUCK))
        if not len(going):
            break
        tried = rows[going] + _steps(gradients[going], hessians[going], damping[going])
        there = gradient(net, facts, tried)
        smaller = np.linalg.norm(there, axis=1) < sizes[going]
        better = smaller & _same_region(net, facts, tried, rows[going])
        damping[going] *= np.where(better, 0.1, 10)
        moved = going[better]
        rows[moved], gradients[moved] = tried[better], there[better]
        hessians[moved] = hessian(net, facts, tried[better])
    way = np.linalg.norm(rows - start, axis=1)
    near = (way <= NEAR * np.linalg.norm(start, axis=1)) & (_room(net, facts, start) >= CLEAR * way)
    found = near & (np.linalg.norm(gradients, axis=1) <= CRITICAL)
    return CriticalPoints(rows, found, *np.linalg.eigh(hessians))


def _steps(gradients: Array, hessians: Array, damping: Array) -> Array:
    values, vectors = np.linalg.eigh(hessians)
    mu = (damping * abs(values).max(axis=1)) ** 2 + np.finfo(float).tiny
    along = (vectors.mT @ gradients[:, :, None])[:, :, 0] * values / (values**2 + mu[:, None])
    return -(vectors @ along[:, :, None])[:, :, 0]


def falls(net: Network, facts: Facts, points: CriticalPoints) -> Array:
    """Whether the loss is lower close to critical points, where the Hessian is flat, (nets,).

    By more than LOWER of itself, at one of PROBES points of the same region, in random
    directions in which the Hessian is 0 but for FLAT, at REACH times the parameters' norm.
    """
    values, nets = abs(points.eigenvalues), len(points.rows)
    flat = values <= FLAT * values.max(axis=1, keepdims=True)
    coefficients = np.random.default_rng(0).standard_normal((PROBES, nets, values.shape[1]))
    moves = (points.directions @ (coefficients * flat)[..., None])[..., 0]
    lengths = np.linalg.norm(moves, axis=2, keepdims=True)
    reach = REACH * np.linalg.norm(points.rows, axis=1)[:, None]
    lowest = losses(net, facts, points.rows) * (1 - LOWER)
    lower = np.zeros(nets, bool)
    for move in moves / np.where(lengths == 0, 1, lengths):
        there = points.rows + reach * move
        stays = _same_region(net, facts, there, points.rows)
        lower |= stays & (losses(net, facts, there) < lowest)
    return lower


def losses(net: Network, facts: Facts, rows: Array) -> Array:
    """The losses (nets,) at parameters (nets, size)."""
    some = net.with_parameters(split(rows, net.shapes))
    return net.loss.forward(some.forward(facts.X)[0], facts.T)


def gradient(net: Network, facts: Facts, rows: Array) -> Array:
    """The gradients (nets, size) of the loss at parameters (nets, size), complex ones too."""
    some = net.with_parameters(split(rows, net.shapes))
    y, caches = some.forward(facts.X)
    _, parameters = some.backprop(net.loss.backprop(y, facts.T), caches, inputs=False)
    flat = [parameters[key].reshape(len(rows), math.prod(net.shapes[key])) for key in net.shapes]
    return np.concatenate(flat, axis=1)


def hessian(net: Network, facts: Facts, rows: Array) -> Array:
    """The Hessians (nets, size, size), by a complex step through backprop, exact to rounding.

    Of the piece of the loss that the parameters are in: at a kink, on the side where
    a unit of z = 0 is off. Entries beyond the range are 0.
    """
    nets, size = rows.shape
    # downwards: at a real part of 0, complex numbers compare by their imaginary parts
    moved = rows[:, None, :] - 1j * COMPLEX_STEP * np.eye(size)
    slopes = gradient(net, facts, moved.reshape(-1, size)).imag / -COMPLEX_STEP
    H = np.nan_to_num(slopes.reshape(nets, size, size), posinf=0, neginf=0)
    return (H + H.mT) / 2


def inputs(net: Network, facts: Facts, rows: Array) -> Array:
    """z of the hidden units, (nets, facts, units), at parameters (nets, size)."""
    p = parts(net.with_parameters(split(rows, net.shapes)))
    return facts.X @ p.M.mT + p.b[:, None, :]


def _same_region(net: Network, facts: Facts, rows: Array, others: Array) -> Array:
    """Whether no kink lies between two sets of parameters, (nets,)."""
    if type(parts(net).hidden) is not ReLU:
        return np.ones(len(rows), bool)
    fires, others_fire = (inputs(net, facts, some) > 0 for some in (rows, others))
    return (fires == others_fire).all(axis=(1, 2))


def _room(net: Network, facts: Facts, rows: Array) -> Array:
    """How far the parameters are from the nearest kink, (nets,): z is linear in them."""
    if type(parts(net).hidden) is not ReLU:
        return np.full(len(rows), np.inf)
    norms = np.sqrt(1 + (facts.X**2).sum(axis=1))
    return (abs(inputs(net, facts, rows)) / norms[:, None]).min(axis=(1, 2))
