from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from include.errors import DataError
from include.evaluation.evaluate import evaluate, labels_of, metric_names
from include.evaluation.plots import importance, write_plots
from include.evaluation.slices import slice_parts
from include.spec import Slice
from include.stats.metrics import summary
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fitted_package(tmp_path_factory.mktemp("model") / "package", parcels())[1]


def test_every_split_and_every_slice_has_its_metrics(model):
    splits = {"validation": parcels(400, seed=3), "test": parcels(600, seed=4)}
    evaluation = evaluate(USE_CASE, model, splits)
    metrics = metric_names(evaluation)
    west = splits["test"].filter(pl.col("depot") == "west")
    expected = summary(labels_of(USE_CASE, west), model.score_frame(west))
    assert evaluation["digest"] == model.digest
    assert metrics["test.n"] == 600
    assert {name: metrics[f"test.slice.depot.west.{name}"] for name in expected} == pytest.approx(
        expected
    )
    assert metrics["test.brier"] < metrics["test.baseline.brier"]
    assert {part["value"] for part in evaluation["slices"] if part["split"] == "validation"} == {
        "east",
        "north",
        "west",
    }


def test_a_small_slice_is_listed_with_its_rows_only(model):
    frame = pl.concat(
        [
            parcels(600, seed=4).filter(pl.col("depot") != "west"),
            parcels(600, seed=4).filter(pl.col("depot") == "west").head(7),
        ]
    )
    part = next(
        part
        for part in evaluate(USE_CASE, model, {"test": frame})["slices"]
        if part["value"] == "west"
    )
    assert part["status"] == "too small"
    assert part["metrics"] == {"n": 7.0}


def test_slices_partition_the_rows_by_column_by_input_and_with_the_missing(model):
    frame = parcels(500)
    frame = frame.with_columns(
        depot=pl.when(pl.int_range(pl.len()) < 20).then(None).otherwise(pl.lit("east"))
    )
    use_case = USE_CASE.model_copy(
        update={"slices": (Slice(column="depot"), Slice(column="pickup_hour"))}
    )
    parts = slice_parts(use_case, model.transform, frame)
    depots = {part.value: part.rows for part in parts if part.column == "depot"}
    hours = [part for part in parts if part.column == "pickup_hour"]
    assert depots == {"(missing)": 20, "east": 480}
    assert sum(part.rows for part in hours) == 500
    assert {part.value for part in hours} == {str(hour) for hour in range(24)}
    local = frame["pickup"].dt.convert_time_zone("Europe/Vienna").dt.hour().to_numpy()
    assert np.array_equal(next(part.mask for part in hours if part.value == "13"), local == 13)


def test_an_unknown_slice_column_is_an_error(model):
    use_case = USE_CASE.model_copy(update={"slices": (Slice(column="colour"),)})
    with pytest.raises(DataError, match="colour"):
        slice_parts(use_case, model.transform, parcels(50))


@pytest.mark.slow
def test_plots_are_written_and_the_importance_names_what_matters(model, tmp_path):
    frame = parcels(500, seed=9)
    evaluation = evaluate(USE_CASE, model, {"test": frame})
    files = write_plots(
        tmp_path / "plots",
        model,
        labels_of(USE_CASE, frame),
        model.score_frame(frame),
        evaluation["attributions"],
        evaluation["attribution_rows"],
    )
    assert [file.name for file in files] == [
        "roc.png",
        "calibration.png",
        "importance.png",
        "attributions.png",
        "attribution_rows.png",
    ]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    shares = importance(model)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert next(iter(shares)) == "load"
