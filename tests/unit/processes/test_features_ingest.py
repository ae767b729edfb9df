from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from include.catalogue import load_data_module
from include.errors import DataError, LateStep, SpecError
from include.processes.features import ingest_source, publish_tables, validate_data
from include.quality.landing import landing_name
from include.spec import UseCase
from include.steps import StepContext
from include.tables.completed import is_complete
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings
from tests.step_runs import ACCEPTED, run_step
from tests.unit.features.world import context_of

pytestmark = pytest.mark.slow  # measured at two seconds or more

DAYS = (datetime(2013, 2, 8, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    return context_of(home_settings(tmp_path, share=0.1), *DAYS)


def tables_of(context: StepContext) -> TableStore:
    return TableStore(context.settings.tables_uri)


def spoil(context: StepContext, table: str, column: str, value: object) -> None:
    tables, name = tables_of(context), landing_name(table, context.interval)
    tables.replace_all(name, tables.read(name).with_columns(pl.lit(value).alias(column)))


def test_real_rows_are_landed_accepted_and_published(context: StepContext):
    inputs: dict[str, object] = {}
    inputs["ingest_source"] = run_step(ingest_source, context)
    assert not tables_of(context).exists("raw/flights")
    inputs["validate_data"] = run_step(validate_data, context, inputs)
    assert inputs["validate_data"]["accepted"] is True
    published = run_step(publish_tables, context, inputs)
    assert json.loads(json.dumps(inputs)) == inputs
    tables = tables_of(context)
    for table in USE_CASE.tables:
        assert tables.read(table.name).height == published["tables"][table.name]["rows"] > 0
    assert is_complete(tables, "flight_delays", "ingest", context.interval)


def test_the_same_interval_again_leaves_the_same_versions(context: StepContext):
    first = run_step(ingest_source, context)
    assert run_step(ingest_source, context) == first
    accepted = {"ingest_source": first, "validate_data": ACCEPTED}
    assert run_step(publish_tables, context, accepted) == run_step(
        publish_tables, context, accepted
    )


def test_a_bad_batch_is_refused_with_an_example_and_a_report(context: StepContext):
    landed = run_step(ingest_source, context)
    spoil(context, "raw/weather", "humidity", 140.0)
    landed["tables"]["raw/weather"]["version"] += 1
    verdict = run_step(validate_data, context, {"ingest_source": landed})
    assert verdict["accepted"] is False
    (failure,) = verdict["failures"]
    assert (failure["table"], failure["column"], failure["rule"]) == (
        "raw/weather",
        "humidity",
        "range",
    )
    assert failure["example"]["humidity"] == 140.0
    assert verdict["reasons"] == [verdict["reasons"][0]]
    report = json.loads(Path(verdict["report"]).read_text())
    assert report["failures"] == verdict["failures"]
    assert report["tables"]["raw/weather"]["statistics"]["humidity"]["maximum"] == 140.0
    assert report["tables"]["raw/weather"]["great_expectations"]["success"] is False
    assert Path(verdict["report"]).is_relative_to(
        context.settings.reports_dir / "validation" / "flight_delays" / context.interval.label
    )


def test_a_delivery_takes_the_place_of_the_source_whatever_its_columns(
    context: StepContext, tmp_path: Path
):
    folder = tmp_path / "deliveries" / "flight_delays" / context.interval.label
    folder.mkdir(parents=True)
    for name, frame in load_data_module(USE_CASE).read_source(context.interval, 0.1).items():
        frame.rename({"carrier": "airline"}, strict=False).write_parquet(
            folder / f"{name.removeprefix('raw/')}.parquet"
        )
    delivered = replace(
        context,
        settings=context.settings.model_copy(update={"delivery_dir": tmp_path / "deliveries"}),
    )
    verdict = run_step(
        validate_data, delivered, {"ingest_source": run_step(ingest_source, delivered)}
    )
    assert {(failure["table"], failure["rule"]) for failure in verdict["failures"]} == {
        ("raw/flights", "columns"),
        ("raw/arrivals", "columns"),
    }
    assert "missing ['carrier'], not declared ['airline']" in verdict["reasons"][0]
    (folder / "planes.parquet").unlink()
    with pytest.raises(DataError, match=r"planes\.parquet"):
        run_step(ingest_source, delivered)


def test_a_new_column_is_recorded_and_left_out_when_publishing(context: StepContext):
    inputs = {"ingest_source": run_step(ingest_source, context)}
    spoil(context, "raw/weather", "dew_point", 40.0)
    inputs["ingest_source"]["tables"]["raw/weather"]["version"] += 1
    inputs["validate_data"] = run_step(validate_data, context, inputs)
    assert inputs["validate_data"]["accepted"] is True
    (warning,) = inputs["validate_data"]["warnings"]
    assert warning.startswith("raw/weather.dew_point: new column (Float64)")
    run_step(publish_tables, context, inputs)
    assert "dew_point" not in tables_of(context).read("raw/weather").columns


def test_a_window_without_rows_is_refused(tmp_path: Path):
    later = context_of(
        home_settings(tmp_path), datetime(2015, 1, 1, tzinfo=UTC), datetime(2015, 2, 1, tzinfo=UTC)
    )
    inputs = {"ingest_source": run_step(ingest_source, later)}
    verdict = run_step(validate_data, later, inputs)
    assert verdict["accepted"] is False
    assert {failure["table"] for failure in verdict["failures"]} == {
        "raw/flights",
        "raw/arrivals",
        "raw/weather",
    }


def test_nothing_is_published_without_an_accepting_verdict(context: StepContext):
    inputs = {"ingest_source": run_step(ingest_source, context)}
    with pytest.raises(SpecError, match="needs verdict: DataVerdict"):
        run_step(publish_tables, context, inputs)
    inputs["validate_data"] = {**ACCEPTED, "accepted": False, "reasons": ["bad"]}
    with pytest.raises(DataError, match="only validated rows are published"):
        run_step(publish_tables, context, inputs)
    assert not tables_of(context).exists("raw/flights")


def test_what_is_published_is_the_version_that_was_ingested(context: StepContext):
    inputs = {"ingest_source": run_step(ingest_source, context), "validate_data": ACCEPTED}
    spoil(context, "raw/flights", "carrier", "ZZ")
    run_step(publish_tables, context, inputs)
    assert "ZZ" not in tables_of(context).read("raw/flights")["carrier"].to_list()


def test_a_use_case_without_data_module_is_named():
    other = UseCase.model_validate(USE_CASE.model_dump() | {"name": "no_such_case"})
    with pytest.raises(SpecError, match=r"include/use_cases/no_such_case/data\.py"):
        load_data_module(other)


def test_an_old_try_that_wakes_up_does_not_overwrite_corrected_rows(context: StepContext):
    old = {"ingest_source": run_step(ingest_source, context), "validate_data": ACCEPTED}
    run_step(publish_tables, context, old)
    spoil(context, "raw/flights", "carrier", "ZZ")  # a correction is landed
    landed = landing_name("raw/flights", context.interval)
    corrected = {**old, "ingest_source": json.loads(json.dumps(old["ingest_source"]))}
    newest = tables_of(context).version(landed)
    corrected["ingest_source"]["tables"]["raw/flights"]["version"] = newest
    run_step(publish_tables, context, corrected)
    version = tables_of(context).version("raw/flights")
    late = replace(context, run=replace(context.run, run_id="old", try_number=1))
    with pytest.raises(LateStep, match=r"publish_tables of run old \(try 1\) is late: raw/flights"):
        run_step(publish_tables, late, old)
    assert tables_of(context).version("raw/flights") == version
    assert tables_of(context).read("raw/flights")["carrier"].unique().to_list() == ["ZZ"]
