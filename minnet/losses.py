"""The losses: how far an output is from what was expected, and the slope of that.

A loss is two formulas over the last axis, the units: `per_fact`, the loss of each
fact, and `slope`, its derivative by the output. The base class adds the facts up, or
takes their mean, and checks what comes from outside; a crowd has one loss per net.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minnet.checks import Array, brief, floating, numeric_array, one_of


class Loss:
    """The base of the losses. Subclass it with `per_fact` and `slope`.

    >>> class AbsoluteError(Loss):
    ...     def per_fact(self, y, expected):
    ...         return abs(y - expected).sum(axis=-1)
    ...     def slope(self, y, expected):
    ...         return np.sign(y - expected)
    >>> AbsoluteError()([3, 5], [4, 7]).item()
    3.0

    Parameters
    ----------
    reduction : {"sum", "mean"}
        Whether the facts of a batch are added up or averaged.

    Raises
    ------
    ValueError
        If the reduction is another one.
    """

    def __init__(self, reduction: str = "sum") -> None:
        self._reduction = one_of(reduction, ("sum", "mean"), f"{type(self).__name__}: reduction")

    @property
    def reduction(self) -> str:
        """Whether the facts of a batch are added up ("sum") or averaged ("mean")."""
        return self._reduction

    def per_fact(self, y: Array, expected: Array) -> Array:
        """Loss (..., batch) of the outputs y (..., batch, m); for one fact (m,), a number."""
        raise NotImplementedError(f"{type(self).__name__} has no per_fact(y, expected)")

    def slope(self, y: Array, expected: Array) -> Array:
        """d per_fact / dy, of the shape of y."""
        raise NotImplementedError(f"{type(self).__name__} has no slope(y, expected)")

    @property
    def output_range(self) -> tuple[float, float]:
        """Where outputs must be for the loss to have a meaning."""
        return -np.inf, np.inf

    @property
    def expected_range(self) -> tuple[float, float]:
        """Where expected values must be."""
        return -np.inf, np.inf

    def check_outputs(self, y: Array) -> None:
        """Refuse outputs outside their range; nan passes, as divergence."""
        low, high = self.output_range
        if low > -np.inf or high < np.inf:
            outside = (y.real < low) | (y.real > high)
            if outside.any():
                raise ValueError(
                    f"{type(self).__name__} takes outputs in [{low}, {high}], but one is "
                    f"{y[outside][0]}{self._remedy}"
                )

    _remedy = ""

    def forward(self, y: Array, expected: Array) -> Array:
        """The loss, unchecked: a number, or (nets,) for outputs (nets, batch, m)."""
        losses = np.atleast_1d(self.per_fact(y, expected))
        total: Array = losses.sum(axis=-1)
        return total / losses.shape[-1] if self._reduction == "mean" else total

    def backprop(self, y: Array, expected: Array) -> Array:
        """dL/dy, unchecked."""
        slope = self.slope(y, expected)
        return slope / y.shape[-2] if self._reduction == "mean" and y.ndim > 1 else slope

    def __call__(self, y: Any, expected: Any) -> Any:
        """The loss of outputs against what was expected.

        Parameters
        ----------
        y : array_like, shape (m,), (batch, m) or (nets, batch, m)
        expected : array_like
            Of the shape of y, without the nets axis if it is shared.

        Returns
        -------
        float, or ndarray of shape (nets,)

        Raises
        ------
        ValueError
            If the shapes differ; nothing is broadcast.
        """
        return self.forward(*self._checked(y, expected))

    def gradient(self, y: Any, expected: Any) -> Array:
        """dL/dy, of the shape of y; takes and refuses what calling the loss does."""
        return self.backprop(*self._checked(y, expected))

    def _checked(self, y: Any, expected: Any) -> tuple[Array, Array]:
        y = numeric_array(y, "output")
        if y.ndim == 0:
            raise TypeError(f"an output must be an array (..., m) of numbers, not {brief(y)}")
        y = y if y.dtype.kind in "fc" else y.astype(np.float64)
        self.check_outputs(y)
        return y, self.targets(expected, y.shape, y.real.dtype)

    def targets(
        self, expected: Any, shape: tuple[int, ...], dtype: np.dtype[Any], what: str = "expected"
    ) -> Array:
        """`expected` as an array that the formulas take for outputs of `shape`, or an error."""
        array = floating(expected, what, dtype)
        if array.shape not in (shape, shape[1:] if len(shape) == 3 else shape):
            raise ValueError(f"{what} has shape {array.shape}, but the output has shape {shape}")
        low, high = self.expected_range
        outside = (array < low) | (array > high)
        if outside.any():
            raise ValueError(f"{what} must be in [{low}, {high}], not {array[outside][0]}")
        return array

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reduction={self._reduction!r})"


class SquaredError(Loss):
    """Half the squared distance, e.e/2 with e = y - expected; its slope is e.

    >>> SquaredError()([3, 5], [4, 7]).item()
    2.5
    """

    def per_fact(self, y: Array, expected: Array) -> Array:
        e = y - expected
        return (e * e).sum(axis=-1) / 2

    def slope(self, y: Array, expected: Array) -> Array:
        return y - expected


class MeanSquaredError(Loss):
    """The mean of e^2 over all entries, e = y - expected, as torch.nn.MSELoss.

    Unlike the other losses it averages over the facts unless told to add up their
    means; its slope is 2 e / m before that, for m outputs.

    >>> MeanSquaredError()([[3, 5], [1, 1]], [[4, 7], [1, 1]]).item()
    1.25
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def per_fact(self, y: Array, expected: Array) -> Array:
        e = y - expected
        return (e * e).sum(axis=-1) / y.shape[-1]

    def slope(self, y: Array, expected: Array) -> Array:
        return 2 * (y - expected) / y.shape[-1]


class BinaryCrossEntropy(Loss):
    r"""-(t log p + (1 - t) log(1 - p)), added up over the outputs, t expected in [0, 1].

    From probabilities p = y, the slope is (p - t) / (p (1 - p)). p is clipped to the
    smallest and largest floats whose logarithms are finite; for the slope, to those
    where it is finite. From logits z = y, p = sigmoid(z), the loss is
    max(z, 0) - z t + log(1 + exp(-\|z|)), whose slope is simply p - t.

    Parameters
    ----------
    from_logits : bool
        Whether y holds logits; otherwise it must hold probabilities.
    reduction : {"sum", "mean"}

    Raises
    ------
    ValueError
        When used, if a probability or an expected value is outside [0, 1].

    Examples
    --------
    >>> BinaryCrossEntropy()([0.5], [1]).round(6).item()
    0.693147
    >>> BinaryCrossEntropy(from_logits=True)([0], [1]).round(6).item()
    0.693147
    """

    def __init__(self, from_logits: bool = False, reduction: str = "sum") -> None:
        super().__init__(reduction)
        if not isinstance(from_logits, (bool, np.bool_)):
            raise TypeError(f"from_logits must be True or False, not {brief(from_logits)}")
        self._from_logits = bool(from_logits)

    @property
    def from_logits(self) -> bool:
        """Whether the outputs are logits rather than probabilities."""
        return self._from_logits

    _remedy = "; end the network with a Sigmoid, or use from_logits=True"

    @property
    def output_range(self) -> tuple[float, float]:
        return super().output_range if self._from_logits else (0.0, 1.0)

    @property
    def expected_range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def per_fact(self, y: Array, expected: Array) -> Array:
        if self._from_logits:
            losses = np.maximum(y, 0) - y * expected + np.log1p(np.exp(np.minimum(y, -y)))
        else:
            limits = np.finfo(y.dtype)
            p = np.clip(y, limits.smallest_subnormal, 1 - limits.epsneg)
            losses = -(expected * np.log(p) + (1 - expected) * np.log1p(-p))
        return losses.sum(axis=-1)

    def slope(self, y: Array, expected: Array) -> Array:
        if self._from_logits:
            e = np.exp(np.minimum(y, -y))
            return np.where(y < 0, e, np.ones_like(e)) / (1 + e) - expected
        limits = np.finfo(y.dtype)
        p = np.clip(y, limits.tiny, 1 - limits.epsneg)
        return (p - expected) / (p * (1 - p))

    def __repr__(self) -> str:
        return f"BinaryCrossEntropy(from_logits={self._from_logits}, reduction={self.reduction!r})"


class SoftmaxCrossEntropy(Loss):
    """-sum_i t_i log p_i, where p = softmax(z) of the outputs z, which are logits.

    log p_i = z_i - max z - log sum_j exp(z_j - max z), so that no exponential overflows.
    The slope is p sum_i t_i - t, which is p - t for probabilities t that add up to 1.

    What is expected is either class probabilities of the shape of z or class indices,
    integers of its shape without the last axis.

    Raises
    ------
    ValueError
        When used, if a probability is outside [0, 1] or an index is no class.

    Examples
    --------
    >>> loss = SoftmaxCrossEntropy()
    >>> loss([[0, 0]], [1]).round(6).item(), loss([[0, 0]], [[0, 1]]).round(6).item()
    (0.693147, 0.693147)
    """

    @property
    def expected_range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def targets(
        self, expected: Any, shape: tuple[int, ...], dtype: np.dtype[Any], what: str = "expected"
    ) -> Array:
        indices = numeric_array(expected, what)
        shapes = (shape, shape[1:]) if len(shape) == 3 else (shape,)
        is_index = indices.dtype.kind in "ui" and indices.shape not in shapes
        if not is_index or indices.shape not in [s[:-1] for s in shapes]:
            return super().targets(expected, shape, dtype, what)
        if indices.size and (indices.min() < 0 or indices.max() >= shape[-1]):
            raise ValueError(
                f"{what} holds a class index outside 0 to {shape[-1] - 1}: {brief(expected)}"
            )
        return np.eye(shape[-1], dtype=dtype)[indices]

    def per_fact(self, y: Array, expected: Array) -> Array:
        z = y - y.max(axis=-1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        return -(expected * log_p).sum(axis=-1)

    def slope(self, y: Array, expected: Array) -> Array:
        e = np.exp(y - y.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        return p * expected.sum(axis=-1, keepdims=True) - expected
