"""The evidence of a version that was really trained and registered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from cli.application import invoke
from include.errors import EvidenceError, RegistryError
from include.evidence.collect import collect, save
from include.evidence.data import data
from include.evidence.judged import judged
from include.evidence.origin import origin
from include.evidence.readiness import readiness
from include.evidence.records import Period
from include.evidence.scope import Scope
from include.evidence.verify import verify
from include.files import write
from include.model.signing import public_key
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.evidence.subject import NOW, by_kind, members
from tests.unit.training.trained import FLIGHTS, Trainings, trainings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]
STAMPED = {"index.html", "index.md", "manifest.json", "releases/ledger.json", "signature.json"}
ROWS = (
    "attribution_rows.json",
    "data_summary.json",
    "custom/carriers.json",
    "validation/validation.json",
    "validation/data_docs/index.html",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Trainings:
    return trainings(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="module")
def scope(world) -> Scope:
    return Scope.of(world.settings, FLIGHTS, 1, Period())


@pytest.fixture(scope="module")
def collected(scope):
    return collect(scope, moment=NOW, who="ada")


def with_files(scope, **tags) -> Scope:
    """A scope of the same version whose run's files may be changed."""
    version = replace(scope.version, tags={**scope.version.tags, **tags})
    copy = Scope(scope.settings, scope.use_case, version, scope.period)
    copy.run_files, copy.package = dict(scope.run_files), scope.package
    return copy


def test_the_archive_holds_the_records_with_their_source_and_proves_itself(
    world, collected, tmp_path
):
    path = tmp_path / "evidence.zip"
    save(collected, path)
    assert verify(path, public_key(world.settings)).verdict.accepted
    assert path.stat().st_mode & 0o077 == 0
    files = members(collected.content)
    run_id = world.first["open_run"]["mlflow_run_id"]
    listed = collected.manifest["files"]
    assert {*listed} == {*files} - {"manifest.json", "signature.json"}
    assert listed["training/record.json"]["source"] == f"MLflow run {run_id}, record.json"
    assert json.loads(files["training/record.json"])["run_id"] == "first"
    assert files["evaluation/plots/roc.png"].startswith(b"\x89PNG")
    assert json.loads(files["model/digest.json"])
    with pytest.raises(EvidenceError, match="is there already: evidence is not replaced"):
        save(collected, path)


def test_states_follow_from_what_a_training_leaves_and_what_nobody_did(collected):
    states = {kind: part.state for kind, part in collected.assessment.evidence.items()}
    present = ("record", "lineage", "query", "evaluation", "gates", "slices", "data_set", "card")
    assert {states[kind] for kind in present} == {"present"}
    absent = ("service", "approval", "monitoring", "alarms", "log", "reproduction", "tried")
    assert {states[kind] for kind in absent} == {"missing"}
    score = json.loads(members(collected.content)["evaluation/ml-test-score.json"])
    assert (states["test_score"], len(score["tests"])) == ("partly", 28)
    lacks = collected.assessment.evidence["reproduction"].lacks
    assert lacks[0].how == "flightdeck reproduce flight_delays 1"
    oversight = {item.requirement.clause: item.state for item in collected.assessment.requirements}
    assert (oversight["Art. 19(1)"], oversight["MEASURE 2.1"]) == ("missing", "present")


def test_the_same_records_give_the_same_bytes_but_for_what_is_stamped(world, scope, collected):
    fresh = Scope.of(world.settings, FLIGHTS, 1, Period())
    assert collect(fresh, moment=NOW, who="ada").content == collected.content
    later = collect(scope, moment=NOW + timedelta(days=1), who="ada")
    first, second = members(collected.content), members(later.content)
    assert {*first} == {*second}
    assert {name for name in first if first[name] != second[name]} == STAMPED


def test_no_row_is_in_it_and_what_was_left_out_is_listed_by_its_digest(world, collected):
    files = members(collected.content)
    left = {item["name"] for item in json.loads(files["left-out.json"])}
    assert {*ROWS} <= left
    ids = world.tables.read("raw/flights", columns=["flight_id"])["flight_id"].unique().to_list()
    texts = b"\n".join(content for name, content in files.items() if not name.endswith(".png"))
    named = {*re.findall(rb"[\w-]+", texts)}
    assert not {str(identifier).encode() for identifier in ids} & named
    assert not any("package/" in name or name.endswith(".ubj") for name in files)


@pytest.mark.parametrize(
    ("path", "kind", "collector"),
    [
        ("record.json", "record", origin),
        ("lineage.json", "lineage", origin),
        ("training_set.sql", "query", origin),
        ("validation/validation.json", "training_set", data),
        ("evaluation.json", "evaluation", judged),
        ("gates.json", "gates", judged),
        ("slices.json", "slices", judged),
        ("attributions.json", "explanations", judged),
        ("record.json", "test_score", readiness),
    ],
)
def test_a_record_that_is_gone_turns_its_state(scope, path, kind, collector):
    whole, changed = with_files(scope), with_files(scope)
    del changed.run_files[path]
    assert by_kind(collector(whole))[kind].state != "missing"
    part = by_kind(collector(changed))[kind]
    assert part.state == "missing"
    assert part.lacks[0].how


def test_a_record_that_was_edited_is_a_finding(scope):
    changed = with_files(scope)
    changed.run_files["record.json"] += b" "
    part = by_kind(origin(changed))["record"]
    assert (part.state, [item.rule for item in part.findings]) == ("partly", ["record"])


def test_a_reproduction_counts_for_its_own_package_only(scope):
    path = scope.settings.home / "reproduce" / "flight_delays-1.json"
    report = {"registered_digest": scope.version.digest, "outcome": "identical", "proven": True}
    try:
        for change, state, findings in (
            ({}, "present", 0),
            ({"registered_digest": "another"}, "partly", 0),
            ({"outcome": "different", "proven": False}, "partly", 1),
        ):
            write(path, json.dumps({**report, **change}))
            part = by_kind(origin(scope))["reproduction"]
            assert (part.state, len(part.findings)) == (state, findings), change
    finally:
        path.unlink()


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        if tag == "a":
            self.links.add(values["href"] or "")
        if tag in ("script", "link", "img", "iframe") or "src" in values:
            self.loaded.append(tag)


def test_the_pages_link_what_is_there_load_nothing_and_fold_at_80_columns(collected):
    files = members(collected.content)
    page = Page()
    page.feed(files["index.html"].decode())
    assert page.loaded == []
    inside = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert inside <= page.ids
    assert {link for link in page.links if not link.startswith("#")} <= {*files}
    lines = files["index.md"].decode().splitlines()
    assert all(len(line) <= 80 for line in lines if " " in line.strip("- ") and line[0] != "#")


def test_the_command_writes_the_file_and_says_what_was_found(world, tmp_path, capsys):
    path = tmp_path / "evidence.zip"
    arguments = ["evidence", "collect", "flight_delays", "--output", str(path), "--version", "1"]
    assert (
        invoke([*arguments, "--since", "2026-01-01", "--until", "2026-02-01"], world.settings) == 0
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert "EU AI Act" in printed
    assert "Nothing was monitored in 2026-01-01 00:00 to 2026-02-01 00:00 UTC" in printed
    assert invoke(["evidence", "verify", str(path)]) == 0


def test_a_version_that_is_not_there_is_told(world):
    with pytest.raises(RegistryError, match="There is no version 9 of model 'flight_delays'"):
        Scope.of(world.settings, USE_CASE, 9, Period())
