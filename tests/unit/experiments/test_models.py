"""Searching the registered versions, and taking one out with its whole record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.application import invoke
from include.errors import DigestMismatch, FlightdeckError
from include.experiments.models import verify_export
from include.model.package import load_model
from include.model.signing import public_key, verify_signature
from include.training.record import TrainingRecord
from tests.unit.training.trained import Trainings, trainings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Trainings:
    return trainings(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="module")
def exported(world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "flight_delays-1"
    assert invoke(["models", "export", "flight_delays/1", "--to", str(folder)], world.settings) == 0
    return folder


def asked(world, capsys, *arguments):
    assert invoke(["models", *arguments, "--json"], world.settings) == 0
    return json.loads(capsys.readouterr().out)


def test_the_models_are_listed_with_their_aliases(world, capsys):
    listed = {row["name"]: row for row in asked(world, capsys, "list")}
    assert listed["flight_delays"]["aliases"] == {"challenger": 1, "champion": 1}
    assert (listed["flight_weather"]["versions"], listed["flight_weather"]["aliases"]) == (
        1,
        {"challenger": 1},
    )


def test_versions_are_found_by_alias_input_metric_and_words(world, capsys):
    def found(*arguments):
        return sorted(
            f"{row['model']}/{row['version']}" for row in asked(world, capsys, "search", *arguments)
        )

    both = ["flight_delays/1", "flight_weather/1"]
    assert found() == both, "a refused training is no version"
    assert found("--alias", "champion") == ["flight_delays/1"]
    assert found("--input", "weather_hourly:pressure") == both
    assert found("--metric", "auc>0.99") == []
    assert found("--about", "FLIGHT_WEATHER") == ["flight_weather/1"]
    assert found("--use-case", "flight_weather", "--metric", "auc>0.5") == ["flight_weather/1"]


def test_an_exported_version_is_the_signed_package_with_its_whole_record(world, exported):
    registered = world.first["train_model"]["digest"]
    assert load_model(exported / "package", expected_digest=registered).check_golden() < 1e-7
    verify_signature(exported / "package", public_key(world.settings))
    record = TrainingRecord.model_validate_json((exported / "run" / "record.json").read_text())
    assert record.snapshot.digest == world.first["build_snapshot"]["snapshot"]["digest"]
    run = {path.name for path in (exported / "run").iterdir()}
    assert {
        "lineage.json",
        "evaluation.json",
        "gates.json",
        "data_summary.json",
        "training_set.sql",
        "model_architecture.json",
        "plots",
    } <= run
    assert "Accepted" in (exported / "MODEL.md").read_text()
    assert json.loads((exported / "version.json").read_text())["digest"] == registered


def test_an_export_that_was_changed_is_noticed(exported, capsys):
    assert len(verify_export(exported)) > 15
    file = exported / "run" / "gates.json"
    kept = file.read_bytes()
    try:
        file.write_bytes(kept.replace(b"passed", b"passes"))
        with pytest.raises(DigestMismatch, match=r"\['run/gates.json'\]"):
            invoke(["models", "verify", str(exported)])
    finally:
        file.write_bytes(kept)
    assert invoke(["models", "verify", str(exported)]) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["search", "--alias", "winner"],
            r"has the alias 'winner'; there are: \['challenger', 'champion'\]",
        ),
        (
            ["search", "--input", "moon:phase"],
            "has the input 'moon:phase'; there are: .*'weather_hourly:wind_speed'",
        ),
        (
            ["export", "flight_delays/9", "--to", "/nowhere/x"],
            "There is no version 9 of model 'flight_delays'",
        ),
        (["export", "flight_delays", "--to", "/nowhere/x"], "write <model>/<version>"),
        (["export", "flight_delays/1", "--to", "/tmp"], "is there already"),
        (["verify", "/"], "is no exported version"),
    ],
)
def test_what_cannot_be_is_told(world, arguments, text):
    with pytest.raises(FlightdeckError, match=text):
        invoke(["models", *arguments], world.settings)


def test_people_get_tables(world, capsys):
    assert invoke(["models", "list"], world.settings) == 0
    assert invoke(["models", "search"], world.settings) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("champion=1", "made of", "xgboost"))
