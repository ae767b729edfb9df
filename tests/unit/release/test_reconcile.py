"""Aliases, plans and packages that somebody changed by hand are put back or named."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from include.errors import LedgerBroken
from include.registry import versions
from include.registry.client import connect
from include.release.ledger import Ledger
from include.release.model_store import version_folder
from include.release.plan import one_arm, plan_path, read_plan, write_plan
from include.release.reconcile import (
    ledger_finding,
    notable,
    reconcile,
    require_sound_ledger,
    witnesses,
)
from include.release.registry_page import show_releases
from include.settings import Settings, load_settings
from include.verdict import Finding, Verdict
from proofs.harness.databases import mlflow_at
from proofs.harness.ports import free_port
from tests.unit.model.synthetic import USE_CASE
from tests.unit.release.release_files import NAME, promoted, published, registered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
RUN = {"process": "monitoring", "run_id": "scheduled__1"}


def settings_of(home: Path) -> Settings:
    uri = mlflow_at(home / "mlflow.db")
    return load_settings({"FLIGHTDECK_HOME": str(home), "FLIGHTDECK_MLFLOW_TRACKING_URI": uri})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose versions 1 and 2 were released one after the other."""
    settings = settings_of(tmp_path_factory.mktemp("home"))
    for version in (1, 2):
        digest = published(settings, version)
        assert registered(settings, digest) == version
        row = promoted(settings, version, digest)
        plan = one_arm(NAME, version, digest, sequence=row.number, decided_by=row.hash)
        write_plan(settings, plan)
        versions.set_champion(settings, USE_CASE, version)
    return settings.home


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    shutil.copytree(template, home)
    return settings_of(home)


def look(settings: Settings, **options: Any) -> dict[str, Finding]:
    findings = reconcile(settings, USE_CASE, run=RUN, settled_seconds=0.0, **options)
    return {finding.rule: finding for finding in findings}


def repairs(settings: Settings) -> list[tuple[int, str]]:
    rows = Ledger(settings).rows(NAME)
    return [(row.version, row.evidence["rule"]) for row in rows if row.event == "repaired"]


def test_what_nobody_touched_is_in_order_and_leaves_no_row(settings: Settings) -> None:
    findings = look(settings)
    assert sorted(findings) == ["alias", "package", "plan"]
    assert all(finding.passed and finding.judged for finding in findings.values())
    assert len(Ledger(settings).rows()) == 2


def test_an_alias_that_was_moved_or_removed_points_at_the_champion_again(
    settings: Settings,
) -> None:
    client = connect(settings)
    client.set_registered_model_alias(NAME, "champion", "1")
    finding = look(settings)["alias"]
    assert finding.passed
    assert "pointed at version 1, and version 2 is in service" in finding.reason
    assert versions.champion(settings, USE_CASE).version == 2
    client.delete_registered_model_alias(NAME, "champion")
    assert "was removed" in look(settings)["alias"].reason
    assert versions.champion(settings, USE_CASE).version == 2
    assert repairs(settings) == [(2, "alias"), (2, "alias")]
    assert notable([finding]) == (finding.reason,)
    assert notable([look(settings)["alias"]]) == ()
    assert Ledger(settings).rows()[-1].run == "monitoring/scheduled__1"


def test_a_champion_that_was_deleted_in_mlflow_is_named(settings: Settings) -> None:
    connect(settings).delete_model_version(NAME, "2")
    finding = look(settings)["alias"]
    assert not finding.passed
    assert "Version 2, the champion, was deleted in MLflow" in finding.reason
    assert repairs(settings) == []


def test_a_digest_that_was_changed_in_mlflow_is_named(settings: Settings) -> None:
    connect(settings).set_model_version_tag(NAME, "2", "digest", "f" * 64)
    finding = look(settings)["digest"]
    assert not finding.passed
    assert "MLflow's tag says ffff" in finding.reason


@pytest.mark.parametrize("damage", ["removed", "edited", "another version"])
def test_a_plan_that_was_changed_is_written_anew(settings: Settings, damage: str) -> None:
    path = plan_path(settings, NAME)
    if damage == "removed":
        path.unlink()
    elif damage == "edited":
        path.write_text(path.read_text().replace('"version": 2', '"version": 99'))
    else:
        digest = Ledger(settings).rows()[0].digest
        write_plan(settings, one_arm(NAME, 1, digest, sequence=9))
        promote_until(settings, 9)
    finding = look(settings)["plan"]
    assert finding.passed, finding.reason
    assert "was written anew" in finding.reason
    plan = read_plan(settings, NAME)
    newest = Ledger(settings).rows()[-1]
    assert (plan.sequence, plan.decided_by, newest.event) == (
        newest.number,
        newest.hash,
        "repaired",
    )
    assert plan.champion.version == 2
    assert "names what the ledger says" in look(settings)["plan"].reason


def promote_until(settings: Settings, number: int) -> None:
    """Rows about another use case, until the ledger has as many."""
    ledger = Ledger(settings)
    while len(ledger.rows()) < number:
        ledger.append("registered", "other", 1, "d", "a", "r", {})


def test_nothing_is_repaired_while_a_release_may_be_under_way(settings: Settings) -> None:
    path = plan_path(settings, NAME)
    path.unlink()
    connect(settings).set_registered_model_alias(NAME, "champion", "1")
    findings = {finding.rule: finding for finding in reconcile(settings, USE_CASE)}
    for rule in ("plan", "alias"):
        assert findings[rule].outcome == "not judged"
        assert "a release may be under way" in findings[rule].reason
    assert repairs(settings) == []
    assert not path.exists()


def test_traffic_of_a_release_under_way_is_compared_and_not_decided(settings: Settings) -> None:
    ledger = Ledger(settings)
    arms = [
        {"role": "champion", "version": 2, "digest": ledger.rows()[1].digest, "share": 0.95},
        {"role": "challenger", "version": 1, "digest": ledger.rows()[0].digest, "share": 0.05},
    ]
    ledger.append("traffic", NAME, 1, arms[1]["digest"], "a", "r", {"plan": {"arms": arms}})
    findings = look(settings)
    assert not findings["plan"].passed
    assert "version 2 at 95%, version 1 at 5%" in findings["plan"].reason
    assert "alias" not in findings


def test_a_damaged_package_of_the_champion_is_restored(settings: Settings) -> None:
    digest = Ledger(settings).rows()[1].digest
    folder = version_folder(settings, NAME, 2)
    copy = settings.serving_dir / NAME / "last_good" / digest
    shutil.copytree(folder, copy)
    (folder / "model.ubj").write_text("others")
    assert "was restored from the endpoint's copy" in look(settings)["package"].reason
    assert (folder / "model.ubj").read_text() == "trees of 2"
    shutil.rmtree(copy)
    shutil.rmtree(folder)
    assert not look(settings)["package"].passed


def test_mlflow_away_is_not_judged(settings: Settings) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    away = settings.model_copy(update={"mlflow_tracking_uri": address})
    assert look(away)["alias"].outcome == "not judged"


def test_a_broken_ledger_is_no_truth_to_repair_from(settings: Settings) -> None:
    settings.ledger_path.unlink()
    with pytest.raises(LedgerBroken, match="was deleted"):
        look(settings)
    finding = ledger_finding(settings)
    assert (finding.passed, finding.subject) == (False, "deleted")


def test_the_plans_are_witnesses_of_the_ledger(settings: Settings) -> None:
    """Rows and head are put back together to what they were before the second release."""
    folder = settings.ledger_path.parent
    backup = folder.with_name("backup")
    ledger = Ledger(settings)
    before = ledger.rows()[1]
    assert [(item.number, item.hash) for item in witnesses(settings)] == [(2, before.hash)]
    shutil.copytree(folder, backup)
    row = promoted(settings, 1, ledger.rows()[0].digest)
    write_plan(settings, one_arm(NAME, 1, row.digest, sequence=3, decided_by=row.hash))
    require_sound_ledger(settings)
    shutil.rmtree(folder)
    backup.rename(folder)
    assert Ledger(settings).verify().number == 2
    with pytest.raises(LedgerBroken, match=r"ends with row 2, and .*plan\.json says 3 rows"):
        require_sound_ledger(settings)


def test_the_versions_pages_tell_state_history_and_figures_of_their_releases(
    settings: Settings,
) -> None:
    client = connect(settings)
    run = client.create_run(client.create_experiment("parcels")).info.run_id
    source = (settings.home / "packages").as_uri()
    client.create_model_version(NAME, source=source, run_id=run, tags={"digest": "d"})
    finding = Finding(rule="errors", part="west/1", metric="rate", observed=0.25, passed=False)
    verdict = Verdict(findings=(finding,)).model_dump(mode="json")
    smoke = {"p50_ms": 1.5, "calls": 40}
    ledger = Ledger(settings)
    ledger.append("verdict", NAME, 3, "d", "a", "r", {"verdict": verdict})
    promoted(settings, 3, "d", smoke=smoke)
    ledger.append("rolled_back", NAME, 3, "d", "bob", "too slow", {"back_to": 2})
    assert show_releases(settings, NAME, ledger.rows(NAME)) == [1, 2, 3]
    tags = client.get_model_version(NAME, "3").tags
    assert tags["release.state"].startswith("rolled back since ")
    assert tags["release.state"].endswith("(row 5, bob)")
    assert [line.split()[3] for line in json.loads(tags["release.history"])] == [
        "verdict",
        "promoted",
        "rolled_back",
    ]
    metrics = client.get_run(run).data.metrics
    assert metrics == {
        "online.errors.west:2f:1.rate": 0.25,
        "online.smoke.p50_ms": 1.5,
        "online.smoke.calls": 40.0,
    }
    assert show_releases(settings, NAME, ledger.rows(NAME)) == []
    client.set_model_version_tag(NAME, "3", "release.row", "4")
    assert show_releases(settings, NAME, ledger.rows(NAME)) == [3]
    assert len(client.get_metric_history(run, "online.smoke.p50_ms")) == 1


def test_two_looks_at_once_repair_once(settings: Settings) -> None:
    plan_path(settings, NAME).unlink()
    with ThreadPoolExecutor(2) as looks:
        both = list(looks.map(lambda _: look(settings)["plan"], range(2)))
    assert all(finding.passed for finding in both)
    assert repairs(settings) == [(2, "plan")]


def test_before_the_first_release_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert reconcile(settings_of(tmp_path), USE_CASE) == []
    assert not settings_of(tmp_path).keys_dir.exists()
