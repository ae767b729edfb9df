"""A golden set that was frozen before something was declared: what is new is missing in it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from include.data_sets.golden import GoldenRecord, lacking_in, read_golden
from include.errors import DataError
from include.evaluation.evaluate import evaluate
from include.settings import Settings
from include.spec import Label, UseCase
from include.tables.store import TIMESTAMP, TableStore, frame_digest
from proofs.harness.home import home_settings
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

LOAD = "depot_daily__load"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home_settings(tmp_path / "home")


def frozen(settings: Settings, frame: pl.DataFrame) -> GoldenRecord:
    written = TableStore(settings.tables_uri).replace_all("parcels/golden", frame)
    return GoldenRecord("parcels/golden", written.version, frame_digest(frame), frame.height)


def test_a_set_with_all_columns_is_read_as_it_was_frozen(settings: Settings):
    frame = parcels(200)
    record = frozen(settings, frame)
    assert lacking_in(USE_CASE, settings, record) == []
    assert read_golden(USE_CASE, settings, record).equals(frame.sort("asked_at", "parcel_id"))


def test_a_feature_that_was_added_later_is_missing_in_every_row_and_named(settings: Settings):
    record = frozen(settings, parcels(200).drop(LOAD))
    assert lacking_in(USE_CASE, settings, record) == [LOAD]
    rows = read_golden(USE_CASE, settings, record)
    assert rows[LOAD].null_count() == 200
    assert rows.schema[LOAD] == pl.Float64


def test_a_request_field_that_was_added_later_has_its_declared_type(settings: Settings):
    record = frozen(settings, parcels(200).drop("pickup", "depot"))
    rows = read_golden(USE_CASE, settings, record)
    assert (rows.schema["pickup"], rows.schema["depot"]) == (TIMESTAMP, pl.String)
    assert lacking_in(USE_CASE, settings, record) == ["depot", "pickup"]


def test_a_model_of_the_new_feature_is_measured_on_the_older_rows(
    settings: Settings, tmp_path: Path
):
    _, model = fitted_package(tmp_path / "package", parcels())
    record = frozen(settings, parcels(600, seed=9).drop(LOAD))
    rows = {"test": parcels(600, seed=3), "golden": read_golden(USE_CASE, settings, record)}
    measured = evaluate(USE_CASE, model, rows)["splits"]
    assert measured["golden"]["n"] == 600
    assert 0.5 < measured["golden"]["auc"] < measured["test"]["auc"]


def learning(column: str) -> UseCase:
    return USE_CASE.model_copy(update={"label": Label(column=column, description="Lost or not.")})


def test_an_answer_that_was_never_frozen_is_refused_and_not_made_up(settings: Settings):
    record = frozen(settings, parcels(200))
    with pytest.raises(DataError, match=r"was frozen without \['lost'\], and answers cannot be"):
        read_golden(learning("lost"), settings, record)


def test_a_set_that_was_changed_is_refused_whatever_it_lacks(settings: Settings):
    record = frozen(settings, parcels(200).drop(LOAD))
    other = GoldenRecord(record.table, record.version, "0" * 64, record.rows)
    with pytest.raises(DataError, match="was changed"):
        read_golden(USE_CASE, settings, other)
