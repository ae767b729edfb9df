"""What answers cost: by the endpoint's own numbers and a table of prices."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cli.application import invoke
from include.errors import SettingsError
from include.monitoring.checks.efficiency import efficiency
from include.monitoring.cost import cost_of, costs_of, per_thousand_ahead
from include.monitoring.serving_metrics import SCHEMA
from include.settings import Settings
from include.settings.prices import Prices, prices_of
from include.spec import ServingLimits
from include.tables.store import TableStore
from proofs.harness.home import home_settings
from tests.unit.monitoring.checks.windows import window

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICES = Prices(currency="EUR", processor_hour=0.04, gigabyte_hour=0.005, fixed_hour=0.01)
FILE = """
currency = "EUR"
processor_hour = 0.04
gigabyte_hour = 0.005
fixed_hour = 0.03

[use_cases.flight_delays]
fixed_hour = 0.01
"""


def row(number: int, rows: float = 50_000.0, **changes: Any) -> dict[str, Any]:
    """An hour in which half a processor and two gigabytes were used."""
    moment = NOON + number * HOUR
    usual = {
        "moment": moment,
        "sampled_at": moment,
        "since": moment - HOUR,
        "reachable": True,
        "requests": 5_000.0,
        "server_errors": 0.0,
        "total_p99_ms": 9.0,
        "rows": rows,
        "cpu_seconds": 1_800.0,
        "cpu_share": 0.5,
        "memory_bytes": 2e9,
    }
    return {**dict.fromkeys(SCHEMA), **usual, **changes}


def home(tmp_path: Path, text: str = FILE) -> Settings:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    return home_settings(tmp_path / "home", PRICES_FILE=path)


def test_processors_memory_and_hours_have_their_prices():
    cost = cost_of(row(0), PRICES)
    assert cost is not None
    # 0.5 h * 0.04 + 2 GB * 1 h * 0.005 + 1 h * 0.01
    assert cost.whole == pytest.approx(0.04)
    assert cost.per_hour == pytest.approx(0.04)
    assert cost.per_thousand == pytest.approx(0.0008)


@pytest.mark.parametrize("changes", [{"reachable": False}, {"since": None}, {"since": NOON}])
def test_a_row_that_tells_no_span_costs_nothing_that_is_told(changes):
    assert cost_of(row(0, **changes), PRICES) is None


def test_an_hour_without_answers_costs_its_hour_and_no_thousand():
    cost = cost_of(row(0, rows=0.0), PRICES)
    assert cost is not None
    assert (cost.per_thousand, cost.per_hour) == (None, pytest.approx(0.04))


def test_prices_of_a_use_case_take_the_place_of_those_of_all(tmp_path):
    settings = home(tmp_path)
    assert prices_of(settings, "flight_delays") == PRICES
    assert prices_of(settings, "other") == PRICES.model_copy(update={"fixed_hour": 0.03})
    assert prices_of(home_settings(tmp_path / "home"), "other") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("currency = ", "cannot be read"),
        (FILE.replace("processor_hour = 0.04", "processor_hour = -1"), "processor_hour: .*valid"),
        (FILE.replace("gigabyte_hour", "gigabytes"), "valid are .*'gigabyte_hour'"),
        ("use_cases = 3", r"below \[use_cases.<name>\]"),
    ],
)
def test_a_file_of_prices_that_is_wrong_says_where_and_what_is_valid(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says):
        prices_of(home(tmp_path, text), "flight_delays")


def test_the_check_tells_the_cost_and_the_next_ones_and_refuses_above_the_limit():
    rows = [row(number, rows=50_000.0 / 1.1**number) for number in range(6)]
    spent = costs_of(rows, PRICES)
    usual = replace(window(), operation=rows[-1], costs=spent)
    found = {item.rule: item for item in efficiency(usual)}["cost_per_thousand"]
    assert found.passed
    assert found.observed == pytest.approx(0.0008 * 1.1**5)
    assert found.example["next"] == pytest.approx([0.0008 * 1.1**6] * 3)
    assert "the next interval's will cost" in found.reason
    limits = usual.limits.model_copy(update={"serving": ServingLimits(max_cost_per_thousand=0.001)})
    (refused,) = [item for item in efficiency(replace(usual, limits=limits)) if not item.passed]
    assert refused.rule == "cost_per_thousand"
    assert "limit 0.001" in refused.reason


def test_without_prices_nothing_is_told_and_a_limit_is_not_judged():
    usual = replace(window(), operation=row(0))
    assert "cost_per_thousand" not in {item.rule for item in efficiency(usual)}
    limits = usual.limits.model_copy(update={"serving": ServingLimits(max_cost_per_thousand=1.0)})
    found = {item.rule: item for item in efficiency(replace(usual, limits=limits))}
    assert found["cost_per_thousand"].outcome == "not judged"


def test_fewer_than_four_intervals_forecast_nothing():
    assert per_thousand_ahead(costs_of([row(0), row(1), row(2)], PRICES)) == []


def test_the_command_prints_intervals_and_forecasts(tmp_path, capsys, monkeypatch):
    settings = home(tmp_path)
    frame = pl.DataFrame([row(number) for number in range(5)], schema=SCHEMA)
    TableStore(settings.tables_uri).replace_all("flight_delays/serving_metrics", frame)
    monkeypatch.setenv("COLUMNS", "80")
    assert invoke(["serving-costs", "flight_delays", "--ahead", "2"], settings) == 0
    printed = capsys.readouterr().out
    assert "Cost of flight_delays in EUR" in printed
    assert "2020-01-01 16:00" in printed
    assert printed.count("0.0008 (0.0008 to 0.0008)") == 2
    assert max(map(len, printed.splitlines())) <= 80
    assert invoke(["serving-costs", "flight_delays", "--json"], settings) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["currency"], len(told["intervals"]), len(told["per_hour_ahead"])) == ("EUR", 5, 3)
    with pytest.raises(SettingsError, match="FLIGHTDECK_PRICES_FILE names no file"):
        invoke(["serving-costs", "flight_delays"], home_settings(tmp_path / "other"))
