"""A panel of stations by day, as somebody has it: no column identifies a row, a measurement has a
word for a trace, the calendar stands in columns, and the last day lacks its label.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from cli.application import run
from cli.authoring import files, new_use_case
from cli.authoring.cadence import cadence
from cli.authoring.measured import use_case_of, whole_intervals
from cli.authoring.profile import profile
from cli.authoring.proposal import problem, roles
from include.errors import DataError
from include.interval import Interval
from include.sources.read import read_table
from include.spec import UseCase

FIRST = date(2022, 1, 1)
DAYS = 363
"""The last is the 29th of December."""
STATIONS = ("Bern", "Chur", "Genf")


def stations(days: int = DAYS) -> pl.DataFrame:
    """A row per day and station."""
    draw = random.Random(5)
    rows = []
    for day in (FIRST + timedelta(days=number) for number in range(days)):
        for station in STATIONS:
            rain = "T" if draw.random() < 0.05 else str(draw.randint(0, 40) / 100)
            rows.append(
                {
                    "station": station,
                    "day": day.isoformat(),
                    "month": day.month,
                    "weekday": day.isoweekday(),
                    "pressure": round(30.1 + draw.uniform(-0.8, 0.8), 2),
                    "sky": draw.choice(["clear", "cloudy", "fog", "haze", "mist", "storm"]),
                    "rain": rain,
                    "is_wet": int(draw.random() < 0.3),
                }
            )
    return pl.DataFrame(rows)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout beside the file of the stations."""
    root = tmp_path / "checkout"
    root.mkdir()
    monkeypatch.setattr(new_use_case, "PROJECT_ROOT", root)
    stations().write_csv(tmp_path / "stations.csv")
    return root


def new(root: Path, *options: str) -> int:
    source = str(root.parent / "stations.csv")
    fixed = ["new-use-case", "wet_days", "--from", source, "--label", "is_wet", "--time", "day"]
    return run([*fixed, *options])


def written(root: Path) -> UseCase:
    return use_case_of(files.paths(root, "wet_days")["spec"].read_text())


def test_columns_that_identify_a_row_together_are_named_and_become_one(root: Path, capsys):
    assert new(root) == 1
    assert "'station' and 'day' do together: --key station,day." in capsys.readouterr().err
    assert new(root, "--key", "station,day") == 0
    assert "station_day is made of station, day by the source" in capsys.readouterr().out
    use_case = written(root)
    january = Interval(datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 2, 1, tzinfo=UTC))
    questions, labels = (
        read_table(use_case, table, january, 1.0, ModuleType("data")) for table in use_case.tables
    )
    assert questions["station_day"][0] == "Bern|2022-01-01"
    assert questions["station_day"].n_unique() == 31 * len(STATIONS)
    # Labels are known a day later, and have the ids of their questions all the same.
    assert labels["station_day"].is_in(questions["station_day"].to_list()).all()
    assert labels.height == 30 * len(STATIONS)


def test_the_option_may_be_repeated_and_a_part_that_is_no_column_is_named(root: Path, capsys):
    assert new(root, "--key", "station", "--key", "dya") == 1
    assert "--key is 'dya', no column of the source; did you mean 'day'?" in capsys.readouterr().err
    assert new(root, "--key", "station", "--key", "day") == 0
    assert written(root).tables[0].key == ("station_day",)


def test_whom_rows_are_about_is_no_measurement_with_a_word_in_it():
    measured = profile(
        stations().with_row_index("row").select(pl.all().cast(pl.String)), texts=True
    )
    proposed = roles(measured, label="is_wet", time="day", key="row", entity=None)
    assert measured.column("rain", "").distinct > measured.column("station", "").distinct
    assert proposed.entity == "station"  # though the sky has more values
    assert [column.name for column in proposed.others] == ["rain"]


def test_codes_with_letters_in_some_may_be_whom_rows_are_about():
    lines = ["1", "2", "3", "4", "N1"]
    rows = stations().with_columns(
        pl.Series("line", [lines[number % 5] for number in range(DAYS * 3)])
    )
    rows = rows.with_row_index("row").drop("station", "sky", "rain")
    measured = profile(rows.select(pl.all().cast(pl.String)), texts=True)
    # Nothing but codes: whole numbers with a letter now and then are names all the same.
    only = roles(measured, label="is_wet", time="day", key="row", entity="line")
    assert measured.column("line", "").words == (("N1", DAYS * 3 // 5),)
    assert only.entity == "line"


@pytest.mark.slow
def test_a_column_that_is_numbers_but_for_some_words_is_said_with_what_to_do(root: Path, capsys):
    assert new(root, "--key", "station,day") == 0
    said = capsys.readouterr().out
    words = stations()["rain"].eq("T").sum()
    folded = " ".join(said.split())
    assert (
        f"rain: a number in {DAYS * 3 - words:,} rows and 'T' ({words} rows) in the rest" in folded
    )
    assert "do it over with --null T" in folded
    removal = next(line for line in said.splitlines() if line.startswith("To do it over, first: "))
    assert removal.endswith(
        "rm include/use_cases/wet_days/spec.py include/use_cases/wet_days/data.py"
        " feature_repo/wet_days.py dags/wet_days.py"
    )
    assert new(root, "--key", "station,day", "--null", "T") == 1
    assert "rm include/use_cases/wet_days/spec.py" in capsys.readouterr().err
    for path in files.paths(root, "wet_days").values():
        path.unlink()
    assert new(root, "--key", "station,day", "--null", "T") == 0
    assert "a number in" not in capsys.readouterr().out
    rain = next(column for column in written(root).tables[0].columns if column.name == "rain")
    assert rain.type == "number"


def test_a_label_with_a_word_in_it_says_which():
    measured = profile(stations().select(pl.all().cast(pl.String)), texts=True)
    with pytest.raises(DataError, match=r"It is a number in .* rows and 'T' \(.* rows\) in the"):
        problem(measured, "rain")


def test_what_the_time_says_already_is_no_input(root: Path, capsys):
    assert new(root, "--key", "station,day") == 0
    assert "month, weekday: no input, because day says it" in capsys.readouterr().out
    sources = {item.source for item in written(root).inputs}
    assert not {"month", "weekday"} & sources
    fields = {field.name for field in written(root).serving.request_fields}
    assert not {"month", "weekday"} & fields
    rare = stations().with_columns(
        pl.when(pl.col("day") == "2022-05-05").then(1).otherwise(0).alias("is_feast")
    )
    measured = profile(rare.select(pl.all().cast(pl.String)), texts=True)
    assert not measured.is_part_of(measured.column("is_feast", ""), "day")


def test_a_bound_far_from_0_is_not_0(root: Path):
    assert new(root, "--key", "station,day") == 0
    columns = {column.name: column for column in written(root).tables[0].columns}
    low, high = columns["pressure"].minimum, columns["pressure"].maximum
    assert low is not None
    assert high is not None
    assert 25 <= low <= 28
    assert 32 <= high <= 36
    spec = files.paths(root, "wet_days")["spec"].read_text()
    assert "twice that span added" in spec


@pytest.mark.parametrize(
    ("days", "end", "beyond"),
    [
        (DAYS, datetime(2023, 1, 1, tzinfo=UTC), 0),
        (365, datetime(2023, 1, 1, tzinfo=UTC), 0),
        (345, datetime(2022, 12, 1, tzinfo=UTC), 11 * len(STATIONS)),
    ],
)
def test_the_end_holds_the_interval_of_the_last_row_or_says_which_rows_none_does(
    days: int, end: datetime, beyond: int
):
    measured = profile(stations(days).select(pl.all().cast(pl.String)), texts=True)
    proposed = cadence(measured, "day")
    assert (proposed.end, proposed.beyond) == (end, beyond)


def test_rows_that_no_interval_holds_are_said(root: Path, capsys):
    stations(345).write_csv(root.parent / "stations.csv")
    assert new(root, "--key", "station,day") == 0
    assert "33 rows from 2022-12-01 00:00 on lie in no interval" in capsys.readouterr().out
    assert len(whole_intervals(written(root))) == 11


@pytest.mark.slow
def test_monitoring_waits_for_an_interval_that_it_can_judge(root: Path):
    stations(730).write_csv(root.parent / "stations.csv")
    assert new(root, "--key", "station,day") == 0
    use_case = written(root)
    assert use_case.schedule.features_cron == "@monthly"
    assert use_case.schedule.monitoring_cron == "@quarterly"  # 90 rows a month, 273 a quarter
    assert use_case.monitoring.minimum_rows == 136
