"""The rows of the examples made anew from the package that they were taken from:
`python -m proofs.example_rows` (requirements-examples.txt installed) writes every
examples/<name>/rows.csv again, and `--check` only says which would differ.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import polars as pl
import typer

from include.files import write
from include.settings import PROJECT_ROOT
from proofs.bench.defaults.sets import packaged, require

FILE = "rows.csv"
FIRST_SEASON = 2005
HOURS = 6
CODES = {
    "tropical depression": "TD",
    "tropical storm": "TS",
    "hurricane": "HU",
    "extratropical": "EX",
    "subtropical depression": "TD",
    "subtropical storm": "TS",
    "other low": "LO",
    "tropical wave": "LO",
    "disturbance": "LO",
}
"""The nine kinds of systems as five, by the database's own codes."""


@dataclass(frozen=True)
class Origin:
    """The R package and data set that an example's rows are of, and what is made of them."""

    package: str
    item: str
    rows_of: Callable[[pl.DataFrame], pl.DataFrame]


def births_by_state(births: pl.DataFrame) -> pl.DataFrame:
    """1987 and 1988: a row per day, a column per state."""
    days = births.select(pl.col("date").str.head(10).alias("day"), "state", "births")
    years = days.filter(pl.col("day") >= "1987")
    return years.pivot("state", index="day", values="births", sort_columns=True).sort("day")


def storm_tracks(storms: pl.DataFrame) -> pl.DataFrame:
    """A row per storm and six hours, for storms that began in 2005 or later.

    A storm that lasts into another year keeps the year in which it began. What was observed
    between the hours (a landfall) is left out. Only a storm's first row names it.
    """
    at = pl.datetime("year", "month", "day", "hour", time_zone="UTC")
    begins = (pl.col("name") != pl.col("name").shift(1)).fill_null(value=True)
    ordered = storms.sort("rownames").with_columns(begins.cum_sum().alias("number"), at.alias("at"))
    first = pl.col("year").first().over("number")
    storm = pl.concat_str("name", first, separator=" ")
    regular = (
        ordered.with_columns(storm.alias("storm"), first.alias("season"))
        .filter(pl.col("season") >= FIRST_SEASON, pl.col("hour") % HOURS == 0)
        .unique(["number", "at"], keep="first", maintain_order=True)
    )
    return regular.select(
        pl.when(pl.col("number") != pl.col("number").shift(1, fill_value=0)).then("storm"),
        pl.col("at").dt.strftime("%Y-%m-%d %H:%M").alias("observed_at"),
        "lat",
        "long",
        pl.col("status").replace_strict(CODES),
        "wind",
        "pressure",
    )


ORIGINS: Mapping[str, Origin] = {
    "state_births": Origin("mosaicData", "Birthdays", births_by_state),
    "storm_status": Origin("dplyr", "storms", storm_tracks),
}


def text_of(rows: pl.DataFrame) -> str:
    """The rows as rows.csv holds them."""
    lines = io.StringIO()
    rows.write_csv(lines)
    return lines.getvalue()


def example_rows(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 where one differs.")
    ] = False,
) -> None:
    """Write the rows of the examples anew from the package that they were taken from."""
    require(["births"])  # of the same package
    differing = []
    for name, origin in ORIGINS.items():
        path = PROJECT_ROOT / "examples" / name / FILE
        text = text_of(origin.rows_of(packaged(origin.package, origin.item)))
        same = path.exists() and path.read_text(encoding="utf-8") == text
        print(f"{path.relative_to(PROJECT_ROOT)}: {'the same' if same else 'differs'}")
        if not same:
            differing.append(path)
            if not check:
                write(path, text)
    raise typer.Exit(int(check and bool(differing)))


if __name__ == "__main__":
    typer.run(example_rows)
