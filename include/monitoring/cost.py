"""What answers cost: the endpoint's processor seconds and memory of an interval at the prices of
`FLIGHTDECK_PRICES_FILE`, over what it answered; and what the next intervals will cost.

An endpoint that answers several use cases is counted wholly for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.settings.prices import Prices
from include.stats.forecast import Forecast, forecast

SECONDS_PER_HOUR = 3_600.0
BYTES_PER_GIGABYTE = 1e9
THOUSAND = 1_000.0
LEARNED = 12
"""So many intervals at most tell how the next ones will be."""


@dataclass(frozen=True)
class Cost:
    """An interval's cost in `currency`: the whole, an hour, and of a thousand answered rows (None
    where none was answered).
    """

    moment: datetime
    currency: str
    hours: float
    rows: float
    whole: float

    @property
    def per_hour(self) -> float:
        """Of an hour."""
        return self.whole / self.hours

    @property
    def per_thousand(self) -> float | None:
        """Of a thousand answers."""
        return THOUSAND * self.whole / self.rows if self.rows else None


def cost_of(row: Mapping[str, Any], prices: Prices) -> Cost | None:
    """The cost of a row of `<use_case>/serving_metrics`; None where it does not tell (the first row
    of an endpoint, and one that did not answer).
    """
    if not row["reachable"] or row["since"] is None or row["cpu_seconds"] is None:
        return None
    hours = (row["sampled_at"] - row["since"]).total_seconds() / SECONDS_PER_HOUR
    if hours <= 0.0:
        return None
    gigabytes = (row["memory_bytes"] or 0.0) / BYTES_PER_GIGABYTE
    whole = (
        row["cpu_seconds"] / SECONDS_PER_HOUR * prices.processor_hour
        + gigabytes * hours * prices.gigabyte_hour
        + hours * prices.fixed_hour
    )
    return Cost(row["moment"], prices.currency, hours, row["rows"] or 0.0, whole)


def costs_of(rows: Iterable[Mapping[str, Any]], prices: Prices | None) -> tuple[Cost, ...]:
    """The costs that the rows tell, in their order; none without prices."""
    if prices is None:
        return ()
    return tuple(cost for row in rows if (cost := cost_of(row, prices)) is not None)


def per_thousand_ahead(costs: Sequence[Cost], ahead: int = 1) -> list[Forecast]:
    """What a thousand answers will cost in the next intervals."""
    values = [cost.per_thousand for cost in costs[-LEARNED:]]
    return forecast([value for value in values if value is not None], ahead)


def per_hour_ahead(costs: Sequence[Cost], ahead: int = 1) -> list[Forecast]:
    """What an hour will cost in the next intervals."""
    return forecast([cost.per_hour for cost in costs[-LEARNED:]], ahead)
