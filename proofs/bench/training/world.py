"""The tables that are measured on: a year of real flights, ingested, published and with features,
in a home of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from include.catalogue import load_use_case
from include.interval import Interval
from include.settings import Settings, load_settings
from include.steps import RunInfo, StepContext

USE_CASE = "flight_delays"
# All 336,776 flights: the questions about the last evening's flights are asked after midnight UTC.
YEAR = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC))


def bench_settings() -> Settings:
    """The settings that the child inherits."""
    return load_settings()


def year_context(run_id: str, process: str = "training", **params: Any) -> StepContext:
    """A step's context over the year; the environment's overlay makes the training window as
    long.
    """
    run = RunInfo(process=process, run_id=run_id, trigger="manual", params=params)
    return StepContext(load_use_case(USE_CASE), bench_settings(), YEAR, run)
