from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from include.data_sets.champion_reference import ChampionReference, against_champion
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels


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
