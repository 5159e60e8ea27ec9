"""What mutmut changes without consequence: by reason, where it is, the old text and the new."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A change of the code, as mutmut's name and diff tell it."""

    where: str
    old: str
    new: str


_BACKPROP = "def backprop(self, dy: Array, cache: {}, inputs: bool = {}) -> Back:"

_FLOATS = 'y = y if y.dtype.kind in "{}" else y.astype({})'
_SIGMOID = "return np.where(y {} 0, e, np.ones_like(e)) / (1 + e) - expected"

EQUIVALENT: dict[str, list[Change]] = {
    "the default of an argument that the method does not look at": [
        Change(f"minnet.layers.{name}.backprop", *(_BACKPROP.format(k, d) for d in (True, False)))
        for name, k in (("Layer", "Any"), ("Identity", "None"))
    ],
    "at the boundary both sides are the same, exp(-0) being 1": [
        Change("minnet.losses.BinaryCrossEntropy.slope", *map(_SIGMOID.format, ("<", "<="))),
    ],
    "another name of float64, and letters that are no kind of array": [
        Change("minnet.losses.Loss._checked", _FLOATS.format("fc", "np.float64"), new)
        for new in (_FLOATS.format("fc", None), _FLOATS.format("XXfcXX", "np.float64"))
    ],
}
