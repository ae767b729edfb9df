"""A version scored over what was answered: its own answers come out again, another is compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import include.inference_log.log as log
from cli.application import invoke
from include.errors import DataError, RegistryError
from include.inference_log.log import log_schema, log_table
from include.interval import Interval
from include.model.signing import attach_signature, sign_package
from include.release import replay as module
from include.release.model_store import version_folder
from include.release.replay import replay
from include.settings import load_settings
from include.tables.store import TableStore
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

NOW = datetime(2020, 3, 1, 12, tzinfo=UTC)
WINDOW = Interval(NOW, NOW + timedelta(hours=1))
ROWS = 600


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A home whose log holds the answers of version 1; version 2 was trained on other rows."""
    home = load_settings({"FLIGHTDECK_HOME": str(tmp_path_factory.mktemp("home"))})
    models = []
    for number, seed in ((1, 1), (2, 7)):
        folder = version_folder(home, USE_CASE.name, number)
        folder.parent.mkdir(parents=True, exist_ok=True)
        digest, model = fitted_package(folder, parcels(seed=seed))
        attach_signature(folder, sign_package(home, folder, digest))
        models.append(model)
    write_log(home, models[0], parcels(ROWS, seed=3))
    return home, models


def write_log(home, model, frame):
    """The answers of a model, and the labels that came later."""
    count = frame.height
    answered = frame.with_columns(*model.metadata.answers.columns(model.score_frame(frame)))
    columns = {
        "prediction_id": [f"{number:032x}" for number in range(count)],
        "model_version": [1] * count,
        "answered_at": [NOW + timedelta(seconds=number) for number in range(count)],
        "arm": ["champion"] * (count - 100) + [None] * 100,
        **{name: answered[name].to_list() for name in answered.columns},
    }
    schema = log_schema(USE_CASE)
    tables = TableStore(home.tables_uri)
    rows = pl.DataFrame(
        {name: columns.get(name, [None] * count) for name in schema}, schema=schema, strict=False
    )
    mirrored = rows.head(50).with_columns(
        arm=pl.lit("shadow"), model_version=pl.lit(2, dtype=pl.Int64)
    )
    tables.replace_all(log_table(USE_CASE.name), pl.concat([rows, mirrored]))
    labels = frame.select("parcel_id", "late", "known_at")
    tables.replace_all("raw/deliveries", labels.head(count // 2))


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """The synthetic use case is in no catalogue."""
    monkeypatch.setattr(log, "load_use_case", lambda _: USE_CASE)


def test_a_version_gives_its_own_answers_again(world):
    home, models = world
    result = replay(home, USE_CASE, 1, WINDOW)
    assert (result.rows, result.different, result.largest_difference) == (ROWS, 0, 0.0)
    assert result.digest == models[0].digest
    assert result.answered_by == {"1": ROWS}  # a shadow answered nobody
    assert result.score_psi == 0.0
    assert result.loss == result.answered_loss
    assert result.improvement[0] == 0.0


def test_another_version_is_compared_row_by_row_and_by_its_labels(world):
    home, _ = world
    result = replay(home, USE_CASE, 2, WINDOW)
    assert 0 < result.different < ROWS
    assert 0.0 < result.mean_difference < result.largest_difference <= 1.0
    assert result.labelled == ROWS // 2
    difference, low, high = result.improvement
    assert low < difference < high
    assert difference == pytest.approx(result.answered_loss - result.loss)


def test_only_the_windows_answers_are_scored(world):
    home, _ = world
    assert replay(home, USE_CASE, 1, Interval(NOW, NOW + timedelta(seconds=10))).rows == 10


def test_a_window_without_answers_says_so(world):
    home, _ = world
    with pytest.raises(DataError, match="answered nothing from 2020-03-02 12:00"):
        replay(home, USE_CASE, 1, Interval(NOW + timedelta(days=1), NOW + timedelta(days=2)))


def test_a_log_without_what_the_version_reads_says_what(world, monkeypatch):
    home, _ = world
    table = TableStore(home.tables_uri).read(log_table(USE_CASE.name))
    read = module._answered
    monkeypatch.setattr(module, "_answered", lambda *a: (read(*a)[0].drop("depot_daily__load"), 0))
    assert "depot_daily__load" in table.columns
    with pytest.raises(DataError, match="reads \\['depot_daily__load'\\]"):
        replay(home, USE_CASE, 2, WINDOW)


def test_a_package_that_is_not_signed_is_not_loaded(world):
    home, _ = world
    folder = version_folder(home, USE_CASE.name, 3)
    fitted_package(folder, parcels(seed=9))
    with pytest.raises(RegistryError, match="is not signed"):
        replay(home, USE_CASE, 3, WINDOW)


def test_the_command_prints_both_sides(world, monkeypatch, capsys):
    home, _ = world
    monkeypatch.setattr("cli.records.replay.load_use_case", lambda _: USE_CASE)
    arguments = ["replay", "parcels", "--version", "2", "--from", "2020-03-01T12:00", "--to"]
    invoke([*arguments, "2020-03-01T13:00"], home)
    printed = capsys.readouterr().out
    assert "Version 2 of parcels, 600 rows" in printed
    assert "600 by version 1" in printed
    assert "improvement" in printed
    invoke([*arguments, "2020-03-01T13:00", "--json"], home)
    assert '"rows": 600' in capsys.readouterr().out
