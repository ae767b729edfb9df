"""From a version to everything it came from and back, and what a run tells of its model and its
data: over real training steps.
"""

from __future__ import annotations

import json

import polars as pl
import pytest

from include.data_sets.query_script import execute
from include.data_sets.snapshot import Snapshot, read
from include.data_sets.split import cut
from include.data_sets.versions import versions as data_set_versions
from include.errors import DataError
from include.model.package import load_model
from include.quality.summaries import summarise_frame
from include.registry import versions
from include.registry.run_files import read_json, read_text
from include.tables.store import frame_digest
from include.training.artefacts import checked, custom_artefacts, type_of
from include.training.lineage import TABLE, reached_by
from tests.unit.training.trained import FLIGHTS, Trainings, trainings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Trainings:
    return trainings(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="module")
def lineage(world) -> dict:
    return read_json(world.client, world.first["open_run"]["mlflow_run_id"], "lineage.json")


def test_the_lineage_names_everything_that_the_version_came_from(world, lineage):
    snapshot, golden = (world.first["build_snapshot"][name] for name in ("snapshot", "golden"))
    assert (lineage["model"], lineage["version"], lineage["decision"]) == (
        "flight_delays",
        1,
        "accepted",
    )
    data = lineage["data_set"]
    assert (data["table"], data["version"], data["digest"]) == (
        snapshot["name"],
        snapshot["version"],
        snapshot["digest"],
    )
    sources = {
        source["table"]: (source["version"], source["role"]) for source in lineage["sources"]
    }
    assert sources["raw/flights"] == (world.tables.version("raw/flights"), "questions")
    assert sources["raw/arrivals"][1] == "labels"
    assert len([name for name in sources if name.startswith("features/")]) == 5
    assert lineage["golden"] == golden
    assert [trial["trial"] for trial in lineage["trials"]["runs"]] == [0, 1]
    assert all(world.client.get_run(trial["mlflow_run_id"]) for trial in lineage["trials"]["runs"])
    assert lineage["package"]["digest"] == versions.version(world.settings, FLIGHTS, 1).digest
    assert lineage["trigger"]["causes"][0]["cause_id"] == "c1"
    assert lineage["code"]["commit"] == world.first["open_run"]["code_commit"]
    assert {
        "record.json",
        "evaluation.json",
        "gates.json",
        "training_set.sql",
        "plots/roc.png",
    } <= {entry["path"] for entry in lineage["artefacts"]}
    assert lineage["made_by"][0]["tables"]["features/plane"] == sources["features/plane"][0]


def test_a_table_version_a_data_set_a_commit_and_a_cause_know_the_models_they_reached(
    world, lineage
):
    weather = next(
        source for source in lineage["sources"] if source["table"] == "features/weather_hourly"
    )
    found = reached_by(
        world.tables, "table", name="features/weather_hourly", version=weather["version"]
    )
    told = [(one.model, one.model_version, one.decision) for one in found]
    assert told == [
        ("flight_delays", 1, "accepted"),
        ("flight_delays", None, "refused"),
        ("flight_weather", 1, "accepted"),
    ]
    data = lineage["data_set"]
    assert (
        len(reached_by(world.tables, "data_set", name=data["table"], version=data["version"])) == 3
    )
    assert len(reached_by(world.tables, "data_set", digest=data["digest"][:12])) == 3
    assert {
        one.run_id
        for one in reached_by(world.tables, "code", digest=lineage["code"]["commit"][:10])
    } == {
        "first",
        "shallow",
        "weather",
    }
    assert [one.run_id for one in reached_by(world.tables, "cause", name="c1")] == ["first"]


def test_what_reached_nothing_is_told_what_there_is(world):
    with pytest.raises(DataError, match=r"raw/flights at version 99. There are: .*raw/flights@0"):
        reached_by(world.tables, "table", name="raw/flights", version=99)
    with pytest.raises(DataError, match="valid: table, data_set"):
        reached_by(world.tables, "planet")


def test_two_use_cases_trained_on_one_version_of_the_data_set(world):
    assert world.weather["build_snapshot"]["snapshot"] == world.first["build_snapshot"]["snapshot"]
    assert world.weather["build_snapshot"]["golden"] == world.first["build_snapshot"]["golden"]
    (version,) = data_set_versions(world.tables, "flight_delays")
    assert version.built_by == "flight_delays"


def test_every_artefact_has_a_type_and_the_use_cases_own_fits_its_type(world, lineage):
    kinds = {entry["path"]: entry["type"] for entry in lineage["artefacts"]}
    assert (kinds["record.json"], kinds["plots/roc.png"], kinds["custom/carriers.json"]) == (
        "training record",
        "plot",
        "carrier scorecard",
    )
    assert "untyped" not in kinds.values(), kinds
    rows = read_json(world.client, world.first["open_run"]["mlflow_run_id"], "custom/carriers.json")
    assert sum(row["flights"] for row in rows) == world.first["split_data"]["rows"]["test"]
    late = sum(row["flights"] * row["late_share"] for row in rows)
    assert late == pytest.approx(
        world.first["split_data"]["rows"]["test"] * world.first["split_data"]["base_rates"]["test"]
    )
    carrier = custom_artefacts(FLIGHTS)[0].type
    with pytest.raises(
        DataError,
        match=r"'carrier scorecard' \(carriers.json\) does not fit its type at 0.late_share",
    ):
        checked(carrier, [{**rows[0], "late_share": 1.5}])
    assert type_of("custom/other.json", FLIGHTS) == "untyped"
    assert custom_artefacts(FLIGHTS.model_copy(update={"name": "flight_weather"})) == ()


def test_a_refused_run_has_its_lineage_too_and_no_version(world):
    document = read_json(world.client, world.shallow["open_run"]["mlflow_run_id"], "lineage.json")
    assert (document["decision"], document["version"]) == ("refused", None)
    rows = world.tables.read(TABLE, where=pl.col("run_id") == "shallow")
    assert set(rows["kind"]) >= {
        "table",
        "data_set",
        "code",
        "lock",
        "features",
        "specification",
        "package",
    }


def test_the_script_in_the_run_gives_the_rows_that_were_trained_on(world):
    script = read_text(world.client, world.first["open_run"]["mlflow_run_id"], "training_set.sql")
    assert frame_digest(execute(script)) == world.first["build_snapshot"]["snapshot"]["digest"]


def test_the_summary_is_of_the_very_rows_of_every_split(world):
    summary = read_json(world.client, world.first["open_run"]["mlflow_run_id"], "data_summary.json")
    frame = read(FLIGHTS, world.settings, Snapshot(**world.first["build_snapshot"]["snapshot"]))
    for split, rows in cut(FLIGHTS, frame, world.first["split_data"]["boundaries"]).items():
        late, carrier = summary[split]["late"], summary[split]["carrier"]
        assert (late["rows"], late["mean"]) == (rows.height, pytest.approx(rows["late"].mean()))
        assert carrier["top"][0]["rows"] == rows["carrier"].value_counts()["count"].max()
        pressure = rows["weather_hourly__pressure"]
        assert summary[split]["weather_hourly__pressure"]["nulls"] == pressure.null_count()
        median = summary[split]["weather_hourly__pressure"]["quantiles"]["0.5"]
        assert (
            abs((pressure < median).sum() - (pressure > median).sum()) <= (pressure == median).sum()
        )
    page = world.client.get_model_version("flight_delays", "1").description
    assert "data_summary.json" in page


def test_a_summary_of_awkward_columns():
    frame = pl.DataFrame(
        {
            "number": [1.0, None, float("nan"), 3.0],
            "text": ["b", "a", None, "a"],
            "none": pl.Series([None] * 4, dtype=pl.Float64),
        }
    )
    summary = json.loads(json.dumps(summarise_frame(frame)))
    assert (
        summary["number"]["nulls"],
        summary["number"]["mean"],
        summary["number"]["distinct"],
    ) == (2, 2.0, 2)
    assert summary["text"]["top"] == [{"value": "a", "rows": 2}, {"value": "b", "rows": 1}]
    assert summary["none"]["mean"] is None
    assert summary["none"]["quantiles"]["0.5"] is None


def test_the_architecture_counts_the_trees_that_are_in_the_package(world, tmp_path):
    architecture = read_json(
        world.client, world.first["open_run"]["mlflow_run_id"], "model_architecture.json"
    )
    model = load_model(versions.download(versions.version(world.settings, FLIGHTS, 1), tmp_path))
    trees = model.booster.get_dump()
    fitted = architecture["fitted"]
    assert (fitted["trees"], fitted["leaves"]) == (
        len(trees),
        sum(tree.count("leaf=") for tree in trees),
    )
    assert architecture["best_round"] == model.metadata.best_iteration
    assert [item["name"] for item in architecture["inputs"]] == model.transform.feature_names
    assert architecture["pre_trained"] == []
    tag = world.client.get_run(world.first["open_run"]["mlflow_run_id"]).data.tags[
        "flightdeck.architecture"
    ]
    assert tag.startswith(f"xgboost, {len(trees)} trees of at most")
    assert tag in world.client.get_model_version("flight_delays", "1").description
