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
_VALUE = "return np.where(x {} 0, e, np.ones_like(e)) * (1 / (1 + e))"
_RANGE = "if low {} -np.inf or high {} np.inf:"
_LEAKY = "return np.where(x {} 0, x, self._leak * x)"
_INDEX = 'is_index = indices.dtype.kind in "{}" and indices.shape not in shapes'
_FIRST = "_, gradients = self.backprop(dy, caches, inputs={})"

EQUIVALENT: dict[str, list[Change]] = {
    "the default of an argument that the method does not look at": [
        Change(f"minnet.layers.{name}.backprop", *(_BACKPROP.format(k, d) for d in (True, False)))
        for name, k in (("Layer", "Any"), ("Identity", "None"))
    ],
    "at the boundary both sides are the same: exp(-0) is 1, and leak times 0 is 0": [
        Change("minnet.losses.BinaryCrossEntropy.slope", *map(_SIGMOID.format, ("<", "<="))),
        Change("minnet.layers.Sigmoid.f", *map(_VALUE.format, ("<", "<="))),
        Change("minnet.layers.LeakyReLU.f", *map(_LEAKY.format, (">", ">="))),
    ],
    "another name of float64, and letters that no kind of array has": [
        Change("minnet.losses.Loss._checked", _FLOATS.format("fc", "np.float64"), new)
        for new in (_FLOATS.format("fc", None), _FLOATS.format("XXfcXX", "np.float64"))
    ]
    + [
        Change("minnet.losses.SoftmaxCrossEntropy.targets", *map(_INDEX.format, ("ui", "XXuiXX"))),
    ],
    "a look for outputs beyond infinity, where there are none": [
        Change("minnet.losses.Loss.check_outputs", _RANGE.format(">", "<"), new)
        for new in (_RANGE.format(">", "<="), _RANGE.format(">=", "<"))
    ],
    "None for False, of which only the truth is asked": [
        Change("minnet.network.Network._step", *map(_FIRST.format, (False, None))),
    ],
}
