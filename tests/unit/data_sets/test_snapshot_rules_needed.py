"""Every rule of a training set is needed: what it alone refuses gets through once it is off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.data_sets import snapshot_verdict
from include.data_sets.champion_reference import ChampionReference
from include.data_sets.representation import AGAINST_WHOLE
from include.data_sets.snapshot import Snapshot
from include.data_sets.snapshot_checks import check_snapshot
from include.data_sets.snapshot_verdict import judge_snapshot
from include.interval import Interval
from include.registry.client import connect
from include.release.in_service import released_version
from include.spec import DataChecks, Input, Representation
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore, frame_digest
from proofs.harness.home import home_settings
from proofs.refusals.without import switchable_rules, switched_off
from tests.unit.model.synthetic import (
    DAYS,
    START,
    fitted_package,
    parcels,
    with_copied_test_rows,
)
from tests.unit.model.synthetic import USE_CASE as PARCELS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations"),
]

USE_CASE = PARCELS.model_copy(
    update={
        "data_checks": DataChecks(
            representation=(
                Representation(
                    column="depot", minimum_rows=10, min_ratio_to_whole=0.5, max_other_share=0.05
                ),
            )
        )
    }
)
WINDOW = Interval(START, START + timedelta(days=DAYS))
LOAD = "depot_daily__load"
Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> ChampionReference:
    folder: Path = tmp_path_factory.mktemp("package") / "package"
    _, model = fitted_package(folder, parcels())
    return ChampionReference(3, model.transform, model.reference, model.metadata.base_rate)


def put(*changed: pl.Expr) -> Change:
    return lambda frame: frame.with_columns(*changed)


def _leaked(frame: pl.DataFrame) -> pl.DataFrame:
    noise = pl.Series(np.random.default_rng(3).normal(0.0, 0.1, frame.height))
    return frame.with_columns((pl.col("late") + noise).alias(LOAD))


def _rare(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter((pl.col("late") == 0) | (pl.int_range(pl.len()) % 40 == 0))


ALONE: dict[str, Change] = {
    "row count": lambda frame: frame.head(100),
    "columns": lambda frame: frame.drop(LOAD),
    "type": put(pl.int_range(pl.len()).alias("parcel_id")),
    "nulls": put(pl.when(pl.int_range(pl.len()) % 50 > 0).then("depot").alias("depot")),
    "categories": put(
        pl.when(pl.int_range(pl.len()) % 50 > 0)
        .then("depot")
        .otherwise(pl.lit("south"))
        .alias("depot")
    ),
    "unique key": lambda frame: pl.concat([frame, frame.tail(1)]),
    "window": put(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.col("asked_at") - pl.duration(days=9))
        .otherwise("asked_at")
        .alias("asked_at")
    ),
    "both classes": put(pl.lit(0, pl.Int64).alias("late")),
    "label share": _rare,
    "label after event": put(pl.col("asked_at").alias("known_at")),
    "not all null": put(pl.lit(None, pl.Float64).alias(LOAD)),
    "not constant": put(pl.lit(0.5).alias(LOAD)),
    "label leakage": _leaked,
    "time order": lambda frame: frame.reverse(),
    "test rows in training": lambda frame: with_copied_test_rows(frame, 0.6),
    "representation": lambda frame: frame.filter(
        (pl.col("depot") != "north") | (pl.int_range(pl.len()) % 200 == 0)
    ),
}
AGAINST_CHAMPION: dict[str, Change] = {
    "null share": put(pl.when(pl.int_range(pl.len()) % 2 == 0).then(LOAD).alias(LOAD)),
    "distribution (PSI)": put(
        pl.when((pl.col("depot") == "east") & (pl.int_range(pl.len()) % 20 > 0))
        .then(pl.lit("west"))
        .otherwise("depot")
        .alias("depot")
    ),
    "distribution (shift)": put(pl.col(LOAD) * 10),
    "label share": put(
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(1).otherwise("late").alias("late")
    ),
}


def refusals(frame: pl.DataFrame, champion: ChampionReference | None = None) -> set[str]:
    found = {failure.rule for failure in check_snapshot(USE_CASE, frame, "x", WINDOW).failures}
    if champion is not None:
        failures, _ = vars(snapshot_verdict)["against_champion"](USE_CASE, frame, "x", champion)
        found |= {failure.rule for failure in failures}
    return found


def test_there_is_a_case_for_every_rule_that_can_be_switched_off():
    # A training set's ranges are those of its source tables: the same rule, shown there
    # (tests/unit/quality/test_rules_needed.py).
    assert {*ALONE, *AGAINST_CHAMPION, AGAINST_WHOLE, "reference", "range"} == set(
        switchable_rules()["validate_snapshot"]
    )


@pytest.mark.parametrize("rule", ALONE)
def test_what_a_rule_alone_refuses_gets_through_without_it(rule: str):
    frame = ALONE[rule](parcels())
    assert refusals(frame) == {rule}
    with switched_off([f"validate_snapshot: {rule}"]):
        assert refusals(frame) == set()


@pytest.mark.parametrize("rule", AGAINST_CHAMPION)
def test_what_a_comparison_with_the_champion_alone_refuses_gets_through_without_it(
    rule: str, champion: ChampionReference
):
    frame = AGAINST_CHAMPION[rule](parcels(seed=2))
    assert refusals(frame, champion) == {rule}
    with switched_off([f"validate_snapshot: {rule}"]):
        assert refusals(frame, champion) == set()


def test_a_champion_with_an_input_that_is_not_declared_any_more_is_compared_on_the_others(
    champion: ChampionReference,
):
    wider = champion.transform.model_copy(
        update={
            "inputs": (
                *champion.transform.inputs,
                Input(name="weight", source="depot_daily:weight"),
            )
        }
    )
    other = ChampionReference(3, wider, champion.reference, champion.base_rate)
    assert refusals(parcels(seed=2), other) == set()
    frame = AGAINST_CHAMPION["label share"](parcels(seed=2))
    assert refusals(frame, other) == {"label share"}


@pytest.fixture
def built(tmp_path: Path) -> tuple[StepContext, Snapshot]:
    """A training set in a home in which a champion is registered whose package is gone."""
    settings = home_settings(tmp_path / "home")
    frame, table = parcels(), f"{USE_CASE.name}/snapshot"
    tables = TableStore(settings.tables_uri)
    written = tables.replace_all(table, frame)
    digest = frame_digest(tables.read(table))
    client = connect(settings)
    client.create_registered_model(USE_CASE.name)
    client.create_model_version(USE_CASE.name, str(tmp_path / "gone"), tags={"digest": digest})
    client.set_registered_model_alias(USE_CASE.name, "champion", "1")
    run = RunInfo(process="training", run_id="run")
    bounds = {"start": START.isoformat(), "end": WINDOW.end.isoformat()}
    asked = tables.replace_all(
        USE_CASE.entity_table, frame.drop("depot_daily__load", "late", "known_at")
    )
    sources = {asked.name: asked.version}
    snapshot = Snapshot(table, "", written.version, digest, frame.height, **bounds, sources=sources)
    return StepContext(USE_CASE, settings, WINDOW, run), snapshot


def test_a_champion_that_cannot_be_read_gets_through_without_the_rule_on_references(
    built: tuple[StepContext, Snapshot],
):
    current = released_version(built[0].settings, USE_CASE)
    refused = judge_snapshot(*built, "run", current)
    assert {failure["rule"] for failure in refused["failures"]} == {"reference"}
    with switched_off(["validate_snapshot: reference"]):
        assert judge_snapshot(*built, "run", current)["accepted"] is True


def test_a_group_whose_labels_were_lost_gets_through_without_the_rule_against_the_whole(
    built: tuple[StepContext, Snapshot],
):
    """Its rows are many enough, and a fourth of what was asked."""
    context, snapshot = built
    tables = TableStore(context.settings.tables_uri)
    questions = parcels(6000).drop("depot_daily__load", "late", "known_at")
    asked = tables.replace_all(USE_CASE.entity_table, questions)
    labelled = parcels().filter((pl.col("depot") != "north") | (pl.int_range(pl.len()) % 4 == 0))
    version = tables.replace_all(snapshot.name, labelled).version
    digest = frame_digest(labelled)
    lost = replace(snapshot, version=version, digest=digest, sources={asked.name: asked.version})
    verdict = judge_snapshot(context, lost, "run", None)
    (failure,) = verdict["failures"]
    assert (failure["rule"], failure["column"]) == (AGAINST_WHOLE, "depot")
    assert "of 6000 rows" in failure["expected"]
    (note,) = [note for note in verdict["notes"] if "rows that train" in note]
    assert failure["observed"] in note
    with switched_off([f"validate_snapshot: {AGAINST_WHOLE}"]):
        assert judge_snapshot(context, lost, "run", None)["accepted"] is True


@pytest.mark.parametrize("rule", ["label leakage", "null share"])
def test_a_rule_is_off_in_the_verdict_as_the_step_makes_it(
    rule: str, built: tuple[StepContext, Snapshot], champion: ChampionReference, monkeypatch
):
    # The champion of the registry cannot be read; its reference stands in, everything else is real.
    context, snapshot = built
    monkeypatch.setattr(snapshot_verdict, "champion_reference", lambda *_: (champion, []))
    tables = TableStore(context.settings.tables_uri)
    change = {**ALONE, **AGAINST_CHAMPION}[rule]
    version = tables.replace_all(snapshot.name, change(parcels(seed=2))).version
    changed = replace(
        snapshot, version=version, digest=frame_digest(tables.read(snapshot.name, version=version))
    )
    found = {
        failure["rule"] for failure in judge_snapshot(context, changed, "run", None)["failures"]
    }
    assert rule in found
    with switched_off([f"validate_snapshot: {rule}"]):
        verdict = judge_snapshot(context, changed, "run", None)
    assert {failure["rule"] for failure in verdict["failures"]} == found - {rule}
