"""The values that cross rooms: arrays by name, and the estimate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]
Array = NDArray[Any]


@dataclass(frozen=True)
class Estimate:
    """A measured number with the interval that belongs to it.

    Parameters
    ----------
    value : float
        The point estimate, a fraction in ``[0, 1]`` for rates. NaN when the
        quantity could not be measured; ``how`` then says why.
    low, high : float
        Bounds of the interval at ``confidence``, same unit.
    n : int
        Number of independent images the number rests on.
    what : str
        The quantity, such as ``"accuracy"``.
    how : str
        The method of the number and of its interval, in words.
    confidence : float, default=0.95
        Nominal coverage of the interval, in ``(0, 1)``.

    Examples
    --------
    >>> print(Estimate(0.9, 0.596, 0.982, 10, "accuracy", "test split, Wilson"))
    accuracy 90.0 % (95 % interval 59.6–98.2, n=10; test split, Wilson)
    """

    value: float
    low: float
    high: float
    n: int
    what: str
    how: str
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not np.isnan(self.value) and not self.low <= self.value <= self.high:
            raise ValueError(
                f"The interval of {self.what!r} must hold its value. Got {self.low!r} ≤ {self.value!r} ≤ {self.high!r}."
            )

    @property
    def is_measured(self) -> bool:
        """Whether there is a number at all."""
        return not np.isnan(self.value)

    @property
    def percent(self) -> str:
        """The value and its interval in percent, for a table."""
        if not self.is_measured:
            return "not measurable"
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f}–{100 * self.high:.1f})"

    def __str__(self) -> str:
        if not self.is_measured:
            return f"{self.what} not measurable ({self.how})"
        return (
            f"{self.what} {100 * self.value:.1f} % ({100 * self.confidence:.0f} % interval "
            f"{100 * self.low:.1f}–{100 * self.high:.1f}, n={self.n}; {self.how})"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, NaN as ``None``."""
        return {
            k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Estimate:
        """Return the estimate that `as_dict` wrote."""
        numbers: dict[str, Any] = {k: float("nan") if v is None else v for k, v in fields.items()}
        return cls(**numbers)

    @classmethod
    def not_measurable(cls, what: str, why: str, n: int = 0) -> Estimate:
        """Return the estimate of a quantity that these data cannot show."""
        return cls(float("nan"), float("nan"), float("nan"), n, what, why)
