"""Partitions of real flights: the same scores as in one piece, resumed after a kill, published
whole or not at all, flat in memory.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.errors import DataError
from include.features.store import apply_definitions
from include.processes.batch_scoring import (
    plan_partitions,
    publish_predictions,
    score_interval,
    score_partition,
)
from include.scoring import batch, staging
from include.scoring.plan import partition_interval
from include.scoring.staging import staged_table
from include.settings import PROJECT_ROOT
from include.steps import StepContext
from include.tables.store import TableStore, in_window
from proofs.harness.home import home_settings
from tests.step_runs import run_step
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, SHARE, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]
PARTITION_ROWS = 300
CHILD = "tests.unit.scoring.scoring_child"


def context_of(world: World, run_id: str = "run", **rules: Any) -> StepContext:
    """Partitions of at most `PARTITION_ROWS` rows, and other rules of `BatchScoring`."""
    use_case = FLIGHTS.model_copy(
        update={
            "batch": FLIGHTS.batch.model_copy(update={"partition_rows": PARTITION_ROWS, **rules})
        }
    )
    context = world.context(FEBRUARY, "batch_scoring")
    return replace(context, use_case=use_case, run=replace(context.run, run_id=run_id))


def scored(context: StepContext) -> dict[str, Any]:
    plan = run_step(plan_partitions, context)
    results = [
        run_step(score_partition, context, {"plan_partitions": plan, "partition": part})
        for part in plan["partitions"]
    ]
    return {"plan_partitions": plan, "score_partition": results}


def published(tables: TableStore) -> pl.DataFrame:
    return tables.read(
        "flight_delays/predictions", where=in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
    ).sort("flight_id")


@pytest.fixture(scope="module")
def whole(world: World) -> pl.DataFrame:
    """The predictions of the interval, scored in one piece."""
    assert run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))["partitions"] == 1
    return published(world.tables)


@pytest.fixture
def copy(world: World, whole: pl.DataFrame, tmp_path: Path) -> TableStore:
    """The same world in a home of its own, where nothing has been scored yet."""
    return copied_world(world, tmp_path / "home")


def copied_world(world: World, home: Path) -> TableStore:
    shutil.copytree(world.settings.home, home)
    settings = home_settings(home, SHARE)
    apply_definitions(settings)
    shutil.rmtree(home / "tables" / "flight_delays" / "predictions", ignore_errors=True)
    return TableStore(settings.tables_uri)


def child(home: Path, partition_rows: int = PARTITION_ROWS) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", CHILD, str(home), str(partition_rows)]
    return subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_partitions_cover_the_interval_in_whole_minutes(world: World) -> None:
    plan = run_step(plan_partitions, context_of(world))
    parts = [partition_interval(part) for part in plan["partitions"]]
    assert len(parts) > 5
    assert (parts[0].start, parts[-1].end) == (FEBRUARY.start, FEBRUARY.end)
    assert all(before.end == after.start for before, after in pairwise(parts))
    assert all(part["rows"] <= PARTITION_ROWS for part in plan["partitions"])
    for part in plan["partitions"]:
        window = partition_interval(part)
        assert (
            world.tables.read(
                "raw/flights", where=in_window("asked_at", window.start, window.end)
            ).height
            == part["rows"]
        )
    assert plan == run_step(plan_partitions, context_of(world, "another run"))
    assert plan["scored"] == []


def test_many_partitions_are_the_same_predictions_as_one(world: World, whole: pl.DataFrame) -> None:
    before = world.tables.version("flight_delays/predictions")
    inputs = scored(context_of(world, "in pieces"))
    result = run_step(publish_predictions, context_of(world, "in pieces"), inputs)
    assert result["partitions"] == len(inputs["score_partition"]) > 5
    assert result["changed"] is False
    assert world.tables.version("flight_delays/predictions") == before
    assert published(world.tables).equals(whole)
    assert not list((world.settings.home / "tables" / "flight_delays" / "staging").iterdir())
    assert run_step(publish_predictions, context_of(world, "in pieces"), inputs) == result


def test_publication_clears_what_an_overtaken_scoring_left(copy: TableStore, world: World) -> None:
    context = replace(context_of(world), settings=home_settings(Path(copy.root).parent, SHARE))
    overtaken = run_step(plan_partitions, context)
    run_step(
        score_partition,
        context,
        {"plan_partitions": overtaken, "partition": overtaken["partitions"][0]},
    )
    copy.replace_all("features/plane", copy.read("features/plane").head(5))
    inputs = scored(context)
    assert inputs["plan_partitions"]["scoring"] != overtaken["scoring"]
    run_step(publish_predictions, context, inputs)
    assert not list((Path(copy.root) / "flight_delays" / "staging").iterdir())


def test_what_another_copy_uses_stays_until_that_one_has_published(
    copy: TableStore, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "USE_SECONDS", 0.1)
    context = replace(context_of(world), settings=home_settings(Path(copy.root).parent, SHARE))
    earlier = scored(context)
    folder = Path(copy.uri("flight_delays/staging"))
    with staging.staged_in_use(context.settings, context.use_case, FEBRUARY):
        first = run_step(publish_predictions, context, earlier)
        assert list(folder.glob("*"))
    second = run_step(publish_predictions, context, earlier)
    assert list(folder.glob("*")) == []
    assert first == second


def test_predictions_say_where_they_come_from(world: World, whole: pl.DataFrame) -> None:
    assert whole.columns == batch.prediction_columns(FLIGHTS)
    origin = whole.select(
        "model_version", "model_digest", "interval_start", "interval_end", *batch.LINEAGE_COLUMNS
    ).unique()
    row = origin.row(0, named=True)
    assert origin.height == 1
    assert (row["model_version"], row["model_digest"]) == (world.version, world.digest)
    assert (row["interval_start"], row["interval_end"], row["scoring_run"]) == (
        FEBRUARY.start,
        FEBRUARY.end,
        "batch_scoring-1",
    )
    tables = {"raw/flights", *(part.table for part in FLIGHTS.feature_tables)}
    assert json.loads(row["source_versions"]) == {
        name: world.tables.version(name) for name in tables
    }


def test_a_plan_reads_the_versions_that_it_names(
    world: World, copy: TableStore, whole: pl.DataFrame
) -> None:
    context = replace(context_of(world), settings=home_settings(Path(copy.root).parent, SHARE))
    plan = run_step(plan_partitions, context)
    for name in ("raw/flights", "features/weather_hourly"):
        copy.replace_all(name, copy.read(name).head(10))
    results = [
        run_step(score_partition, context, {"plan_partitions": plan, "partition": part})
        for part in plan["partitions"]
    ]
    run_step(publish_predictions, context, {"plan_partitions": plan, "score_partition": results})
    assert published(copy).drop(batch.LINEAGE_COLUMNS).equals(whole.drop(batch.LINEAGE_COLUMNS))


def test_a_killed_scoring_goes_on_where_it_was(copy: TableStore, whole: pl.DataFrame) -> None:
    home = Path(copy.root).parent
    first = child(home)
    assert first.stdout is not None
    done = [json.loads(first.stdout.readline())["number"] for _ in range(3)]
    first.kill()
    first.communicate()
    assert done == [0, 1, 2]
    assert not copy.exists("flight_delays/predictions")
    output, errors = child(home).communicate(timeout=300)
    *parts, result = [json.loads(line) for line in output.splitlines()]
    assert errors.count("Traceback") == 0
    # One more may have been staged between the third line and the kill.
    assert [part["number"] for part in parts if part["resumed"]] in ([0, 1, 2], [0, 1, 2, 3])
    assert result["rows"] == whole.height
    assert published(copy).drop(batch.LINEAGE_COLUMNS).equals(whole.drop(batch.LINEAGE_COLUMNS))
    assert copy.version("flight_delays/predictions") == 0


def test_a_missing_or_repeated_partition_is_not_published(world: World, copy: TableStore) -> None:
    context = replace(context_of(world), settings=home_settings(Path(copy.root).parent, SHARE))
    inputs = scored(context)
    results = inputs["score_partition"]
    for broken, named in (
        (results[1:], "partition 0 is missing"),
        ([*results, results[0]], "comes more than once"),
    ):
        with pytest.raises(DataError, match=named):
            run_step(publish_predictions, context, {**inputs, "score_partition": broken})
    assert not copy.exists("flight_delays/predictions")


def test_a_staged_partition_that_was_changed_is_not_published(
    world: World, copy: TableStore
) -> None:
    context = replace(context_of(world), settings=home_settings(Path(copy.root).parent, SHARE))
    inputs = scored(context)
    for number, change in ((3, pl.col("score") * 0.9), (0, pl.col("score") * 0.9)):
        name = staged_table(FLIGHTS, inputs["plan_partitions"]["scoring"], number)
        copy.replace_all(name, copy.read(name).with_columns(change))
        with pytest.raises(
            DataError, match=f"{number:05d} does not hold the rows that were scored"
        ):
            run_step(publish_predictions, context, inputs)
        assert (
            not copy.exists("flight_delays/predictions")
            or copy.read("flight_delays/predictions").is_empty()
        )


def test_scores_that_lie_far_from_the_training_are_not_published(
    world: World, copy: TableStore
) -> None:
    context = replace(
        context_of(world, max_score_psi=0.01), settings=home_settings(Path(copy.root).parent, SHARE)
    )
    inputs = scored(context)
    with pytest.raises(
        DataError,
        match=r"the scores lie 0\.\d+ \(PSI\) from those of the model's training, allowed are 0.01",
    ):
        run_step(publish_predictions, context, inputs)
    assert not copy.exists("flight_delays/predictions")
    few = context_of(world, max_score_psi=0.01, minimum_rows=1_000_000)
    assert (
        run_step(publish_predictions, replace(few, settings=context.settings), inputs)["changed"]
        is True
    )


def test_memory_does_not_grow_with_the_rows(
    world: World, whole: pl.DataFrame, tmp_path: Path
) -> None:
    peaks, sizes = {}, {}
    for times in (8, 72):
        tables = copied_world(world, tmp_path / str(times))
        flights = tables.read(
            "raw/flights", where=in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
        )
        rows = pl.concat(
            [flights.with_columns(pl.col("flight_id") + f"-{number}") for number in range(times)]
        )
        tables.replace_window(
            "raw/flights", rows, time_column="asked_at", start=FEBRUARY.start, end=FEBRUARY.end
        )
        output, errors = child(tmp_path / str(times), partition_rows=20_000).communicate(
            timeout=500
        )
        assert output, errors[-2000:]
        result = json.loads(output.splitlines()[-1])
        assert result["rows"] == rows.height
        peaks[times], sizes[times] = result["peak_mb"], published(tables).estimated_size("mb")
    # Scored in one piece, memory grows by more than twice the size of the rows.
    assert peaks[72] - peaks[8] < sizes[72] - sizes[8], (peaks, sizes)
