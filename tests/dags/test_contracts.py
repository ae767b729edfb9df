"""What every use case of the catalogue keeps, on a sample of its first interval: its rows are what
it expects, its features are the same offline and online, and its requests are its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.catalogue import load_use_case, names
from include.features.online.store import OnlineFeatures
from include.features.retrieval import point_in_time
from include.features.transform import FeatureTransform
from include.interval import Interval
from include.processes.features import (
    compute_features,
    ingest_source,
    materialise_online,
    publish_tables,
    validate_data,
)
from include.quality.landing import read_landed
from include.quality.validation import validate
from include.settings import Settings
from include.spec import UseCase
from include.spec.times import ticks_around
from include.steps import RunInfo, StepContext
from include.tables.store import TIMESTAMP, TableStore
from proofs.harness.data import as_request
from proofs.harness.home import home_settings
from serving.contract.errors import InvalidError
from serving.contract.schema import request_schema
from serving.http.openapi import request_example
from tests.step_runs import run_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations"),
]

SHARE, LEAST_ROWS, ASKED = 0.1, 200, 100
"""The part of the rows that is tried first; what is less than so many is tried whole; so many
questions are asked.
"""


@dataclass(frozen=True)
class Sample:
    """A use case whose first interval has been through the features process."""

    context: StepContext
    landed: dict[str, Any]
    verdict: dict[str, Any]
    computed: dict[str, Any]

    @property
    def use_case(self) -> UseCase:
        return self.context.use_case

    @property
    def tables(self) -> TableStore:
        return TableStore(self.context.settings.tables_uri)

    def questions(self) -> pl.DataFrame:
        """Rows of the entity table, all asked about when the interval ends."""
        case = self.use_case
        rows = self.tables.read(case.entity_table).drop_nulls(list(case.serving.entity_keys))
        asked = pl.lit(self.context.interval.end.astimezone(UTC), dtype=TIMESTAMP)
        return rows.sort(case.id_column).tail(ASKED).with_columns(asked.alias(case.event_time))


def first_interval(use_case: UseCase) -> Interval:
    cron, start = use_case.schedule.features_cron, use_case.schedule.start
    begin = ticks_around(cron, start)[1]
    return Interval(begin, ticks_around(cron, begin + timedelta(seconds=1))[1])


def context_of(name: str, settings: Settings, interval: Interval) -> StepContext:
    run = RunInfo(process="features", run_id="contract")
    return StepContext(load_use_case(name), settings, interval, run)


def bring(name: str, settings: Settings, interval: Interval) -> Sample:
    """Run the features process as its DAG does, and before it those whose tables it reads."""
    context = context_of(name, settings, interval)
    use_case = context.use_case
    writers = {table.written_by for table in use_case.tables}
    writers |= {part.written_by for part in use_case.feature_tables}
    for writer in sorted(name for name in writers if name is not None):
        bring(writer, settings, interval)
    landed = run_step(ingest_source, context)
    verdict = run_step(validate_data, context, {"ingest_source": landed})
    assert verdict["accepted"] is True, verdict["reasons"]
    earlier = {"ingest_source": landed, "validate_data": verdict}
    run_step(publish_tables, context, earlier)
    computed = run_step(compute_features, context)
    run_step(materialise_online, context)
    return Sample(context, landed, verdict, computed)


@pytest.fixture(scope="module", params=names())
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    use_case = load_use_case(request.param)
    interval, share = first_interval(use_case), SHARE
    folder: Path = tmp_path_factory.mktemp(request.param)
    trial = home_settings(folder / "trial", share)
    landed = run_step(ingest_source, context_of(request.param, trial, interval))["tables"]
    if landed and min(part["rows"] for part in landed.values()) < LEAST_ROWS:
        share = 1.0
    return bring(request.param, home_settings(folder / "home", share), interval)


def test_the_interval_is_landed_accepted_and_computed(sample: Sample):
    case = sample.use_case
    assert set(sample.landed["tables"]) == {table.name for table in case.own_tables}
    assert sample.verdict["failures"] == []
    assert set(sample.computed["tables"]) == {part.view for part in case.own_feature_tables}
    for part in case.own_feature_tables:
        stamps = sample.tables.read(part.table)[part.timestamp]
        assert len(stamps) > 0
        if part.windowed:
            assert stamps.max() <= sample.context.interval.end


def test_a_row_without_its_key_is_refused_by_its_expectations(sample: Sample):
    interval = sample.context.interval
    for table in sample.use_case.own_tables:
        version = sample.landed["tables"][table.name]["version"]
        rows = read_landed(sample.tables, table, interval, version).head(LEAST_ROWS)
        first = pl.int_range(pl.len()) == 0
        broken = rows.with_columns(
            pl.when(~first).then(pl.col(name)).alias(name) for name in table.key
        )
        failures = validate(table, broken, minimum_rows=1).failures
        assert set(table.key) & {failure.part for failure in failures}, table.name


def test_features_are_the_same_offline_and_online(sample: Sample):
    case, settings = sample.use_case, sample.context.settings
    questions = sample.questions()
    offline = point_in_time(case, questions, settings)
    keys = questions.select(case.serving.entity_keys).to_dicts()
    moments = questions[case.event_time].to_list()
    columns = OnlineFeatures(case, settings).lookup(keys, moments).columns
    names = [reference.replace(":", "__") for reference in dict.fromkeys(case.feature_references)]
    types = {name: offline.schema[name] for name in names}
    online = pl.DataFrame({name: columns[name] for name in names}, schema=types)
    assert online.equals(offline.select(names))
    if names:
        assert any(online[name].null_count() < online.height for name in names)
    transform = FeatureTransform.fit(case, offline)
    looked_up = questions.hstack(online)
    assert transform.apply_frame(offline).tobytes() == transform.apply_frame(looked_up).tobytes()


def test_a_request_is_a_row_of_it_and_one_that_lacks_a_field_is_refused(sample: Sample):
    case = sample.use_case
    schema = request_schema(case)
    names = list(dict.fromkeys([case.event_time, *case.request_columns]))
    nullable = [name for name in schema.types if name in schema.nullable]
    whole = sample.questions().drop_nulls([name for name in names if name not in nullable])
    rows = [as_request(row) for row in whole.select(names).head(case.serving.max_rows).to_dicts()]
    assert len(schema.validate({"rows": rows})) == len(rows) > 0
    assert schema.validate(request_example(schema))
    for name in names:
        lacking = {column: value for column, value in rows[0].items() if column != name}
        with pytest.raises(InvalidError, match=name):
            schema.validate({"rows": [lacking]})
