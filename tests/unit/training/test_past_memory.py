"""Rows that stay where they are stored: the same splits in parts, and a fit on XGBoost's external
memory or on a Dask cluster whose model is as good as the one fitted in memory.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from pydantic import ValidationError

from include.data_sets.split import SPLITS, cut, moments
from include.data_sets.stored_splits import StoredSplits, newest_rows
from include.errors import SettingsError
from include.model.package import load_model
from include.problems.registry import strategy_of
from include.quality.summaries import summarise, summarise_columns
from include.settings import load_settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.training.large.cluster import open_cluster
from include.training.package import train_package
from proofs.harness.ports import free_port
from tests.unit.problems.problem_cases import context, rows, use_case

TOLERANCE = 0.01
"""Largest difference of a metric that is stated in docs/scale.md."""
SNAPSHOT = {"name": "parcels/snapshots/x", "uri": "tables/x", "version": 0, "digest": "0" * 64}
FRAME = rows(3000).sort("asked_at", "parcel_id")
PART_ROWS = 400


def stored(home: Path, case: UseCase, frame: pl.DataFrame = FRAME) -> StoredSplits:
    """The frame as a table of several files, none of them in the order of time."""
    settings = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(home)})
    tables = TableStore(settings.tables_uri)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3)
    written = tables.replace_all(SNAPSHOT["name"], shuffled)
    return StoredSplits(
        case,
        settings.tables_uri,
        str(SNAPSHOT["name"]),
        written.version,
        moments(case, frame),
        batch_rows=PART_ROWS,
    )


def trained(case: UseCase, home: Path, splits, threads: int = 1) -> SimpleNamespace:
    here = context(case, home)
    settings = here.settings.model_copy(update={"training_threads": threads})
    folder, digest, fit = train_package(
        replace(here, settings=settings), splits, case.training.parameters, SNAPSHOT, "unknown"
    )
    model = load_model(folder)
    return SimpleNamespace(
        digest=digest,
        fit=fit,
        model=model,
        reference=json.loads((folder / "reference.json").read_text()),
        metrics=model.metadata.metrics,
        folder=folder,
    )


@pytest.mark.parametrize("group", [None, "pickup"])
def test_the_parts_of_stored_splits_are_the_frames_of_the_cut_one_after_the_other(tmp_path, group):
    case = use_case("binary", group_by=group)
    # Groups of half a day, a fiftieth of whose rows say nothing of theirs.
    half_days = pl.col("pickup").dt.truncate("12h").cast(FRAME.schema["pickup"])
    frame = FRAME.with_columns(
        pl.when(pl.int_range(pl.len()) % 50 > 0).then(half_days).alias("pickup")
    )
    splits = stored(tmp_path, case, frame)
    expected = cut(case, frame, moments(case, frame))
    if group is not None:
        ungrouped = cut(use_case("binary"), frame, moments(case, frame))
        assert not expected["train"].equals(ungrouped["train"]), "a group straddles the boundary"
    assert list(splits) == list(SPLITS)
    for name in SPLITS:
        assert splits[name].equals(expected[name]), name
        parts = list(splits.batches(name))
        assert pl.concat([expected[name].clear(), *parts]).equals(expected[name]), name
        assert all(part.height <= PART_ROWS + 10 for part in parts), "with rows of one moment"
        assert [part.height for part in parts] == [within.rows for within in splits.ranges(name)]
    assert newest_rows(splits, 500).equals(newest_rows(expected, 500))


def test_rows_and_facts_are_read_from_stored_splits_as_from_frames(tmp_path):
    case = use_case("binary")
    splits, expected = stored(tmp_path, case), cut(case, FRAME, moments(case, FRAME))
    places = [0, 1, 399, 400, 1234, splits["train"].height - 1]
    assert splits.rows_at("train", places).equals(expected["train"][places])
    facts = summarise_columns(list(splits), splits.columns, splits.column)
    whole = summarise(expected)
    assert facts.keys() == whole.keys()
    for split, columns in whole.items():
        for name, values in columns.items():
            for fact, value in values.items():
                # A sum of floats depends on the order of its terms.
                close = pytest.approx(value) if isinstance(value, float) else value
                assert facts[split][name][fact] == close, (split, name, fact)


@pytest.mark.slow  # it fits three times
def test_external_memory_gives_a_model_as_good_as_in_memory_and_the_same_bytes_again(tmp_path):
    case = use_case("multiclass", fit_in="external_memory", class_weights=(1.0, 2.0, 1.0))
    splits = stored(tmp_path, case)
    memory = trained(case, tmp_path / "memory", dict(splits))
    first = trained(case, tmp_path / "first", splits)
    again = trained(case, tmp_path / "again", splits)
    assert first.metrics == pytest.approx(memory.metrics, abs=TOLERANCE)
    assert first.reference["inputs"] == memory.reference["inputs"], "the rows are the same"
    assert first.reference["rows"] == memory.reference["rows"]
    assert first.model.golden["rows"] == memory.model.golden["rows"]
    assert first.digest == again.digest
    assert not list(tmp_path.rglob("pages-*")), "the pages are removed"


@pytest.mark.slow  # it starts a cluster
def test_processes_of_a_cluster_give_a_model_as_good_as_in_memory(tmp_path):
    case = use_case("regression", fit_in="dask", boost_rounds=10)
    splits = stored(tmp_path, case)
    memory = trained(case, tmp_path / "memory", dict(splits))
    cluster = trained(case, tmp_path / "cluster", splits, threads=2)
    spread = memory.model.metadata.label_spread
    for name in ("rmse", "mae", "bias"):
        assert cluster.metrics[name] / spread == pytest.approx(
            memory.metrics[name] / spread, abs=TOLERANCE
        ), name
    assert cluster.metrics["r2"] == pytest.approx(memory.metrics["r2"], abs=TOLERANCE)
    assert cluster.reference["inputs"] == memory.reference["inputs"]
    labels = strategy_of(case).labels(splits["test"])
    assert cluster.model.score_frame(splits["test"]).shape == labels.shape


def test_what_cannot_be_fitted_past_memory_is_refused_where_it_is_declared():
    with pytest.raises(
        ValidationError, match=r"fit_in is 'dask', but .*LogisticRegression.*XGBoost"
    ):
        use_case("binary", sklearn=True, fit_in="dask")
    with pytest.raises(ValidationError, match=r"'tree_method' to 'exact'.*valid: \['hist'\]"):
        use_case("binary", fit_in="external_memory", parameters={"tree_method": "exact"})
    with pytest.raises(ValidationError, match=r"estimator\.device is 'cuda'"):
        use_case(
            "binary", fit_in="external_memory", estimator={"kind": "xgboost", "device": "cuda"}
        )
    with pytest.raises(ValidationError, match="'memory', 'external_memory' or 'dask'"):
        use_case("binary", fit_in="disk")


def test_a_gpu_of_the_environment_is_refused_before_any_row_is_read(tmp_path):
    case = use_case("binary", fit_in="external_memory")
    here = context(case, tmp_path)
    settings = here.settings.model_copy(update={"training_device": "cuda"})
    missing = StoredSplits(case, settings.tables_uri, "none", 0, moments(case, FRAME))
    with pytest.raises(
        SettingsError, match=r"fits on the CPU.*FLIGHTDECK_TRAINING_DEVICE is 'cuda'"
    ):
        train_package(replace(here, settings=settings), missing, {}, SNAPSHOT, "unknown")


def test_a_scheduler_that_does_not_answer_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr("include.training.large.cluster.CONNECT_SECONDS", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    settings = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_DASK_SCHEDULER": address})
    with (
        pytest.raises(SettingsError, match=f"{address}.*Start `dask scheduler`"),
        open_cluster(settings),
    ):
        pass
