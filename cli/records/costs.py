"""The command `serving-costs`: what the endpoint's answers cost by interval, and will."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import print_table
from include.catalogue import load_use_case
from include.errors import SettingsError
from include.monitoring.cost import LEARNED, costs_of, per_hour_ahead, per_thousand_ahead
from include.monitoring.serving_metrics import sampled_rows
from include.settings import Settings
from include.settings.prices import VARIABLE, prices_of
from include.stats.forecast import LEVEL, Forecast
from include.tables.store import TableStore


def serving_costs(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="NAME", help="A use case.")],
    *,
    ahead: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many intervals to forecast.")
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """Print what the endpoint's answers cost in the last intervals, and in the next ones.

    The prices stand in the file that FLIGHTDECK_PRICES_FILE names. A forecast is the steady growth
    of the last twelve intervals with the bounds in which nine of ten lie.
    """
    settings = context.find_object(Settings) or running_settings()
    declared = load_use_case(use_case)
    prices = prices_of(settings, use_case)
    if prices is None:
        raise SettingsError(
            f"{VARIABLE} names no file, so nothing has a price. Write processor_hour,"
            " gigabyte_hour and currency into one (docs/monitoring.md)."
        )
    spent = costs_of(sampled_rows(declared, TableStore(settings.tables_uri)), prices)
    thousands, hours = per_thousand_ahead(spent, ahead), per_hour_ahead(spent, ahead)
    answer = {
        "currency": prices.currency,
        "level": LEVEL,
        "intervals": [
            {**asdict(cost), "per_hour": cost.per_hour, "per_thousand": cost.per_thousand}
            for cost in spent[-LEARNED:]
        ],
        "per_thousand_ahead": [asdict(item) for item in thousands],
        "per_hour_ahead": [asdict(item) for item in hours],
    }

    def show(_: Any) -> None:
        rows = [
            [
                f"{cost.moment:%Y-%m-%d %H:%M}",
                f"{cost.rows:,.0f}",
                f"{cost.per_hour:.4g}",
                None if cost.per_thousand is None else f"{cost.per_thousand:.4g}",
            ]
            for cost in spent[-LEARNED:]
        ]
        rows += [
            [f"next {number}", None, _bounds(hours, place), _bounds(thousands, place)]
            for place in range(max(len(hours), len(thousands)))
            for number in (place + 1,)
        ]
        title = f"Cost of {use_case} in {prices.currency}"
        nothing = "no interval of the endpoint has been sampled twice"
        print_table(title, ("until", "rows", "an hour", "1,000 rows"), rows, nothing=nothing)

    print_answer(answer, show, as_json=as_json)


def _bounds(ahead: list[Forecast], place: int) -> str | None:
    if place >= len(ahead):
        return None
    item = ahead[place]
    return f"{item.value:.3g} ({item.low:.3g} to {item.high:.3g})"
