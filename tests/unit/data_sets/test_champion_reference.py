from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from include.data_sets.champion_reference import ChampionReference, against_champion
from tests.unit.model.synthetic import DAYS, START, USE_CASE, fitted_package, parcels


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> ChampionReference:
    folder: Path = tmp_path_factory.mktemp("package") / "package"
    _, model = fitted_package(folder, parcels())
    return ChampionReference(3, model.transform, model.reference, model.metadata.base_rate)


def rules(frame: pl.DataFrame, champion: ChampionReference) -> list[tuple[str, str]]:
    return [
        (failure.rule, failure.part)
        for failure in against_champion(USE_CASE, frame, "x", champion)[0]
    ]


def test_other_rows_of_the_same_world_pass(champion: ChampionReference):
    assert against_champion(USE_CASE, parcels(seed=2), "x", champion) == ([], [])


@pytest.mark.parametrize(
    ("change", "rule", "column"),
    [
        (pl.col("depot_daily__load") * 10, "distribution (shift)", "depot_daily__load"),
        (
            pl.when(pl.int_range(pl.len()) % 2 == 0)
            .then("depot_daily__load")
            .alias("depot_daily__load"),
            "null share",
            "depot_daily__load",
        ),
        (
            pl.when((pl.col("depot") == "east") & (pl.int_range(pl.len()) % 20 > 0))
            .then(pl.lit("west"))
            .otherwise("depot")
            .alias("depot"),
            "distribution (PSI)",
            "depot",
        ),
        (pl.lit("south").alias("depot"), "null share", "depot"),
        (pl.lit(1, pl.Int64).alias("late"), "label share", "late"),
    ],
)
def test_a_drastic_change_is_refused_by_name(
    champion: ChampionReference, change: pl.Expr, rule: str, column: str
):
    failures, _ = against_champion(USE_CASE, parcels(seed=2).with_columns(change), "x", champion)
    assert [(failure.rule, failure.part) for failure in failures] == [(rule, column)]
    assert "champion 3" in failures[0].limit
    assert failures[0].example is not None


def test_a_season_passes(champion: ChampionReference):
    assert rules(parcels(seed=2).with_columns(pl.col("depot_daily__load") + 1.0), champion) == []


def test_few_rows_are_noted_and_not_judged(champion: ChampionReference):
    failures, notes = against_champion(
        USE_CASE, parcels(900).with_columns(pl.col("depot_daily__load") * 10), "x", champion
    )
    assert failures == []
    assert "900 rows on one side, 1000 needed" in notes[0]


def test_an_input_that_the_training_set_lacks_is_a_missing_reference(champion: ChampionReference):
    assert rules(parcels().drop("depot_daily__load"), champion) == [("reference", "")]


def test_an_input_that_was_dropped_is_not_compared_and_noted(champion: ChampionReference):
    dropped = USE_CASE.model_copy(
        update={"inputs": tuple(item for item in USE_CASE.inputs if item.name != "load")}
    )
    failures, notes = against_champion(
        dropped, parcels(seed=2).drop("depot_daily__load"), "x", champion
    )
    assert failures == []
    assert any(
        "input load of champion 3 is not compared" in note and "depot_daily:load no more" in note
        for note in notes
    )
    moved = parcels(seed=2).drop("depot_daily__load").with_columns(depot=pl.lit("west"))
    assert [failure.part for failure in against_champion(dropped, moved, "x", champion)[0]] == [
        "depot"
    ]


def test_an_input_of_another_type_is_not_compared_and_noted(champion: ChampionReference):
    frame = parcels(seed=2).with_columns(depot=pl.col("depot").str.len_chars().cast(pl.Int64))
    failures, notes = against_champion(USE_CASE, frame, "x", champion)
    assert failures == []
    assert any("champion 3 read depot as category, now it is Int64" in note for note in notes)


def test_history_is_not_compared_with_a_champion_of_later_rows(champion: ChampionReference):
    strange = parcels().with_columns(pl.lit("west").alias("depot"))
    later = replace(champion, trained_from=START + timedelta(days=DAYS))
    failures, notes = against_champion(USE_CASE, strange, "x", later)
    assert failures == []
    assert "whose training data begin later" in notes[0]
    same = replace(champion, trained_from=START)
    assert against_champion(USE_CASE, strange, "x", same)[0] != []
