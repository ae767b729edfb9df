"""Finding and comparing real trainings: one accepted, one refused, one of another use case on the
same data set.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from cli.application import invoke
from include.data_sets.golden import GoldenRecord, read_golden
from include.errors import DataError, FlightdeckError, RegistryError
from include.experiments.compare import compare
from include.experiments.criteria import Condition, Criteria, parse_moment, search
from include.experiments.runs import find_training
from include.experiments.runs import trainings as read_trainings
from include.governance.annotations import annotate, current, history
from include.model.package import load_model
from include.stats.metrics import roc_auc
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
def every(world):
    return read_trainings(world.settings)


def found(every, **criteria) -> set[str]:
    return {one.run_id for one in search(every, Criteria(**criteria))}


def asked(world, capsys, *arguments):
    assert invoke(["experiments", *arguments, "--json"], world.settings) == 0
    return json.loads(capsys.readouterr().out)


def test_every_training_is_listed_once_without_its_trials(every):
    assert {
        one.run_id: (one.name.split("/")[0] if one.version else None, one.decision) for one in every
    } == {
        "first": ("flight_delays", "accepted"),
        "shallow": (None, "refused"),
        "weather": ("flight_weather", "accepted"),
    }


def test_each_criterion_finds_its_trainings_and_no_other(every, world):
    snapshot = world.first["build_snapshot"]["snapshot"]
    aucs = {one.run_id: one.metrics["test.auc"] for one in every}
    bound = (aucs["shallow"] + aucs["first"]) / 2
    better, worse = (
        ("first", "shallow") if aucs["first"] > aucs["shallow"] else ("shallow", "first")
    )
    assert found(every) == {"first", "shallow", "weather"}
    assert found(every, decision="refused") == {"shallow"}
    assert found(every, kind="manual") == {"shallow"}
    above, below = (
        found(every, metrics=(Condition.parse(f"{condition}{bound}", number=True),))
        for condition in ("auc>", "test.auc <= ")
    )
    assert better in above - below
    assert worse in below - above
    assert found(every, parameters=(Condition.parse("xgboost.max_depth=2", number=False),)) == {
        "shallow"
    }
    assert found(every, tags=(Condition.parse("triggered_by=ada", number=False),)) == {"shallow"}
    assert found(every, since=parse_moment("2013-04-01")) == {"first", "shallow", "weather"}
    assert found(every, until=parse_moment("2013-04-01")) == set()
    assert (
        len(found(every, snapshot=f"{snapshot['name']}@{snapshot['version']}"))
        == len(found(every, snapshot=snapshot["digest"][:8]))
        == 3
    )
    assert found(every, snapshot="0000") == set()
    assert len(found(every, commit=every[0].commit[:8])) == 3
    assert found(every, text="champion_improvement") == {"shallow"}
    assert found(every, decision="accepted", text="champion_improvement") == set()


def test_annotations_are_found_corrected_and_never_lost(world, capsys):
    run = world.shallow["open_run"]["mlflow_run_id"]
    first = asked(world, capsys, "annotate", run, "Trees too shallow for snow", "--who", "ada")
    asked(
        world,
        capsys,
        "annotate",
        run,
        "Trees too shallow for rain",
        "--who",
        "ada",
        "--replaces",
        first["annotation_id"],
    )
    assert [one["run_id"] for one in asked(world, capsys, "search", "--text", "FOR RAIN")] == [
        "shallow"
    ]
    assert asked(world, capsys, "search", "--text", "for snow") == []
    assert [remark.text for remark in history(world.tables, "run", run)] == [
        "Trees too shallow for snow",
        "Trees too shallow for rain",
    ]
    assert [remark.text for remark in current(world.tables, "run", run)] == [
        "Trees too shallow for rain"
    ]
    with pytest.raises(DataError, match="no standing annotation"):
        annotate(world.tables, "run", run, "again", author="ada", replaces=first["annotation_id"])
    with pytest.raises(DataError, match="needs a text and a name"):
        annotate(world.tables, "run", run, " ", author="ada")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["search", "--metric", "auk>0.7"], r"No training has the metric 'auk'; near: .*'auc'"),
        (
            ["search", "--metric", "auc is good"],
            "is no condition; write <name><comparison><value>, for example auc>0.7",
        ),
        (["search", "--metric", "auc>high"], "'high' is no number"),
        (
            ["search", "--param", "max_dept=3"],
            r"No training has the parameter 'max_dept'; near: .*max_depth",
        ),
        (
            ["search", "--decision", "maybe"],
            r"there are: \['accepted', 'failed', 'refused', 'undecided'\]",
        ),
        (["search", "--trigger", "alrm"], "No training has the trigger 'alrm'"),
        (
            ["search", "--use-case", "trains"],
            (
                r"Nothing has been trained for \['trains'\]; there are runs of \['flight_delays',"
                r" 'flight_weather'\]"
            ),
        ),
        (["search", "--since", "April"], "is no date; write for example 2013-04-01"),
        (["show", "flight_delays/9"], "There is no training 'flight_delays/9'.*flight_delays/1"),
        (["compare", "flight_delays/1"], "needs two trainings or more"),
    ],
)
def test_what_cannot_be_understood_or_found_is_told_with_what_can(world, arguments, text):
    with pytest.raises(FlightdeckError, match=text):
        invoke(["experiments", *arguments], world.settings)


def test_a_comparison_tells_what_differs_and_nothing_else(world):
    first, shallow = (
        find_training(world.settings, name) for name in ("flight_delays/1", "shallow")
    )
    told = compare(world.client, [first, shallow])
    parameters = {row["name"]: row["values"] for row in told["parameters"]}
    assert parameters["xgboost.max_depth"][1] == "2"
    assert "seed" not in parameters
    assert told["data"] == []
    assert [row["name"] for row in told["code"]] == ["specification"]
    gates = {row["gate"]: row["verdicts"] for row in told["gates"]}
    assert gates["champion_improvement"] == [None, "refused"]
    auc = next(row for row in told["metrics"] if row["name"] == "test.auc")["values"]
    assert auc[0]["low"] < auc[0]["value"] < auc[0]["high"]
    assert auc[1]["difference"] == pytest.approx(
        shallow.metrics["test.auc"] - first.metrics["test.auc"]
    )
    spreads = [row["spread"] for row in told["slices"]]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 0
    row = told["slices"][0]
    column, _, value = row["slice"].partition("=")
    assert row["values"][0] == first.metrics[f"test.slice.{column}.{value}.{row['metric']}"]
    assert {"max_depth", "leaves"} <= {row["name"] for row in told["architecture"]}


def test_the_golden_set_is_scored_again_now_by_the_packages(world, capsys):
    told = asked(world, capsys, "compare", "flight_delays/1", "shallow")["golden"]
    golden = GoldenRecord(**world.first["build_snapshot"]["golden"])
    rows = read_golden(FLIGHTS, world.settings, golden)
    models = [
        load_model(Path(run["train_model"]["package"])) for run in (world.first, world.shallow)
    ]
    labels = rows["late"].to_numpy()
    aucs = [roc_auc(labels, model.score_frame(rows)) for model in models]
    assert told["rows"] == rows.height
    assert [one["auc"] for one in told["models"]] == pytest.approx(aucs)
    difference = told["models"][1]["differences"]["auc"]
    assert difference["mean"] == pytest.approx(aucs[1] - aucs[0])
    assert difference["low"] < difference["mean"] < difference["high"]
    brier = [float(np.mean((model.score_frame(rows) - labels) ** 2)) for model in models]
    assert told["models"][1]["differences"]["brier"]["mean"] == pytest.approx(brier[1] - brier[0])


def test_a_package_that_was_altered_is_not_compared(world, capsys):
    logged = world.client.get_logged_model(
        world.weather["train_model"]["model_id"]
    ).artifact_location
    (file,) = Path(unquote(urlsplit(logged).path)).rglob("model.ubj")
    kept = file.read_bytes()
    try:
        file.write_bytes(kept[:-1] + b"x")
        told = asked(world, capsys, "compare", "flight_weather/1", "flight_delays/1")["golden"]
        assert "DigestMismatch" in told["problem"]
    finally:
        file.write_bytes(kept)


def test_people_get_tables_and_programs_get_json(world, capsys):
    listed = {row["use_case"]: row for row in asked(world, capsys, "list")}
    assert (
        listed["flight_delays"]["trainings"],
        listed["flight_delays"]["refused"],
        listed["flight_delays"]["newest_version"],
    ) == (
        2,
        1,
        1,
    )
    shown = asked(world, capsys, "show", "flight_delays/1")
    assert shown["architecture"]["estimator"] == "xgboost"
    assert shown["lineage"]["version"] == 1
    for arguments, words in (
        (["list"], ("flight_weather", "newest version")),
        (["search", "--decision", "refused"], ("refused", "manual")),
        (["show", "flight_delays/1"], ("trees of at most", "Parameters", "training_set.sql")),
        (
            ["compare", "flight_delays/1", "shallow"],
            ("scored now", "Slices that differ most", "the same in all", "champion_improvement"),
        ),
    ):
        assert invoke(["experiments", *arguments], world.settings) == 0
        printed = capsys.readouterr().out
        assert all(word in printed for word in words), printed


def test_why_a_training_started_is_the_same_sentence_wherever_it_is_read(world, capsys):
    sentence = "Alarm (flight_delays__monitoring): AUC fell to 0.61."
    first = find_training(world.settings, "flight_delays/1")
    assert first.started_by == (sentence,)
    assert first.tags["flightdeck.started_by"] == sentence
    assert world.client.get_run(first.mlflow_run_id).info.run_name.endswith(" Alarm")
    version = world.client.get_model_version("flight_delays", "1")
    assert version.tags["started_by"] == sentence
    assert f"\n- {sentence}\n" in version.description
    for command in (["experiments", "show", "flight_delays/1"], ["lineage", "flight_delays", "1"]):
        assert invoke(command, world.settings) == 0
        assert sentence in " ".join(capsys.readouterr().out.split()), command
    told = compare(world.client, [first, find_training(world.settings, "shallow")])
    assert [list(head["started_by"]) for head in told["trainings"]] == [
        [sentence],
        ["Started by hand (ada)"],
    ]


def test_a_name_that_means_several_is_refused(world):
    with pytest.raises(RegistryError, match="There is no training 'nothing'"):
        find_training(world.settings, "nothing")
