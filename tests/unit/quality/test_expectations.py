from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.catalogue import load_use_case, names
from include.quality import expectations
from include.quality.expectations import COMMAND, stale, suite, suite_files, write_suites
from include.settings import PROJECT_ROOT
from include.use_cases.flight_delays.spec import FLIGHTS, USE_CASE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations")


WITH_SUITES = [name for name in names() if expectations.suites_folder(load_use_case(name)).is_dir()]


@pytest.mark.parametrize("name", WITH_SUITES)
def test_the_suites_in_the_repository_say_what_the_declarations_say(name: str):
    differing = [str(path.relative_to(PROJECT_ROOT)) for path in stale(load_use_case(name))]
    assert differing == [], (
        f"the declarations of {name} have changed: run `{COMMAND} {name}` and commit {differing}"
    )


def test_great_expectations_reads_them():
    import great_expectations as gx

    for content in suite_files(USE_CASE).values():
        fields = json.loads(content)
        read = gx.ExpectationSuite(name=fields["name"], expectations=fields["expectations"])
        assert len(read.expectations) == len(fields["expectations"]) > 5


def test_a_changed_declaration_is_stale_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(expectations, "suites_folder", lambda _: tmp_path)
    assert [path.name for path in write_suites(USE_CASE)] == [
        path.name for path in sorted(suite_files(USE_CASE))
    ]
    assert stale(USE_CASE) == []
    wider = FLIGHTS.model_copy(update={"minimum_rows": 7})
    changed = USE_CASE.model_copy(update={"tables": (wider, *USE_CASE.tables[1:])})
    assert [path.name for path in stale(changed)] == ["raw_flights.json"]
    (tmp_path / "raw_gone.json").write_text("{}")
    assert [path.name for path in write_suites(changed)] == ["raw_flights.json", "raw_gone.json"]
    assert stale(changed) == []


def test_every_rule_says_in_words_what_it_expects():
    assert {entry["meta"]["rule"] for entry in suite(FLIGHTS)["expectations"]} >= {
        "row count",
        "columns",
        "type",
        "nulls",
        "range",
        "unique key",
    }
    assert all(entry["meta"]["expected"] for entry in suite(FLIGHTS)["expectations"])
