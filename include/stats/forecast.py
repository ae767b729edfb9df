"""A forecast of a positive series with its uncertainty: a line through the logarithms, which is a
steady growth, and the interval that the next values lie in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 4
"""Values that a line and its scatter need."""
LEVEL = 0.9


@dataclass(frozen=True)
class Forecast:
    """A value to come, and the bounds between which it lies with the forecast's level."""

    value: float
    low: float
    high: float


def forecast(values: Sequence[float], ahead: int, level: float = LEVEL) -> list[Forecast]:
    """The next `ahead` values of evenly spaced positive ones, the newest last; none from fewer than
    `FEWEST`.

    The bounds are least squares' prediction interval (Student's t with n - 2 degrees of freedom) in
    logarithms: they hold where the scatter about the growth is independent and normal there.
    """
    from scipy.stats import t as student

    count = len(values)
    if count < FEWEST or min(values) <= 0.0:
        return []
    logs, place = np.log(np.asarray(values, dtype=np.float64)), np.arange(count, dtype=np.float64)
    centre = place.mean()
    spread = float(((place - centre) ** 2).sum())
    slope = float(((place - centre) * (logs - logs.mean())).sum()) / spread
    scatter = logs - logs.mean() - slope * (place - centre)
    error = math.sqrt(float((scatter**2).sum()) / (count - 2))
    width = float(student.ppf(0.5 + level / 2.0, count - 2)) * error
    result = []
    for step in range(count, count + ahead):
        middle = float(logs.mean()) + slope * (step - centre)
        half = width * math.sqrt(1.0 + 1.0 / count + (step - centre) ** 2 / spread)
        result.append(Forecast(*(math.exp(middle + side) for side in (0.0, -half, half))))
    return result
